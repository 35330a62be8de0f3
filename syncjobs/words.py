"""Counts of a run in words, the same in the terminal and on screen."""

from __future__ import annotations

from collections.abc import Mapping

WORDS: dict[str, str] = {
    "imported": "imported",
    "import": "to import",
    "updated": "updated",
    "update": "to update",
    "cancelled": "cancelled",
    "cancel": "to cancel",
    "held": "held",
    "hold": "to hold",
    "healed": "released by themselves",
    "differs": "changed after sending",
    "unchanged": "unchanged",
    "skipped": "skipped",
    "rejected": "could not be processed",
    "products": "products read",
    "customers": "customers read",
    "levels": "levels read",
    "read": "levels read",
    "changed": "levels changed",
    "different": "levels to write",
    "written": "levels written",
    "not_tracked": "products without inventory tracking",
    "unmatched": "products whose SKU the warehouse does not have",
    "duplicate_sku": "SKUs used more than once",
    "shipments": "shipments booked",
    "book": "shipments to book",
    "sent": "sent",
    "refused": "refused",
    "waiting": "waiting",
}
HIDDEN = {"order_reads"}


def counts_in_words(counts: Mapping[str, int]) -> str:
    """For example "12 imported, 3 unchanged"; "nothing to do" when there is nothing to tell."""
    told = [f"{number:,} {WORDS.get(name, name)}" for name, number in counts.items() if number and name not in HIDDEN]
    return ", ".join(told) or "nothing to do"
