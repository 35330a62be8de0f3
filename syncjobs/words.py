"""Counts of a run in words, the same in the terminal and on screen."""

from __future__ import annotations

from collections.abc import Mapping

# One word for one and for many, or a pair of them.
WORDS: dict[str, str | tuple[str, str]] = {
    "imported": "imported",
    "import": "to import",
    "created": "created",
    "create": "to create",
    "updated": "updated",
    "update": "to update",
    "cancelled": "cancelled",
    "cancel": "to cancel",
    "held": "held",
    "hold": "to hold",
    "healed": "released without a person",
    "differs": "changed after sending",
    "unchanged": "unchanged",
    "refunds": ("return taken in", "returns taken in"),
    "return": ("return to take in", "returns to take in"),
    "refunds_changed": ("return updated", "returns updated"),
    "refunds_cancelled": ("return cancelled", "returns cancelled"),
    "refunds_linked": ("return tied to its order", "returns tied to their orders"),
    "skipped": "skipped",
    "rejected": "could not be processed",
    "products": ("product read", "products read"),
    "customers": ("customer read", "customers read"),
    "levels": ("level read", "levels read"),
    "read": ("level read", "levels read"),
    "changed": ("level changed", "levels changed"),
    "locations_new": ("new location", "new locations"),
    "locations_renamed": ("location renamed", "locations renamed"),
    "locations_back": ("location back in use", "locations back in use"),
    "locations_gone": (
        "location switched off, because the warehouse lists it no more",
        "locations switched off, because the warehouse lists them no more",
    ),
    "different": ("level to write", "levels to write"),
    "written": ("level written", "levels written"),
    "not_tracked": ("product without inventory tracking", "products without inventory tracking"),
    "unmatched": (
        "product whose SKU the warehouse does not have",
        "products whose SKU the warehouse does not have",
    ),
    "duplicate_sku": ("SKU used more than once", "SKUs used more than once"),
    "left_alone": ("product of which a part was left alone", "products of which a part was left alone"),
    "kept_by_other": ("product that another shop keeps", "products that other shops keep"),
    "led_by_warehouse": (
        "shop left out, because it takes its details from the warehouse",
        "shops left out, because they take their details from the warehouse",
    ),
    "not_goods": (
        "gift card, service or composite left out",
        "gift cards, services and composites left out",
    ),
    "not_sold": ("product left out, because it is not sold", "products left out, because they are not sold"),
    "gone": (
        "product deleted in the shop and kept at the warehouse",
        "products deleted in the shop and kept at the warehouse",
    ),
    "refused_before": (
        "product refused before and not changed since",
        "products refused before and not changed since",
    ),
    "option_is_no": "option set to No, so nothing was written: Push Product Details",
    "shipments": ("shipment booked", "shipments booked"),
    "acknowledged": ("shipment confirmed to the warehouse", "shipments confirmed to the warehouse"),
    "ignored": (
        "shipment left alone, because its failed record is ignored",
        "shipments left alone, because their failed records are ignored",
    ),
    "book": ("shipment to book", "shipments to book"),
    "sent": "sent",
    "refused": "refused",
    "waiting": "waiting",
}
HIDDEN = {"order_reads", "seen", "of"}


def counts_in_words(counts: Mapping[str, int]) -> str:
    """For example "12 imported, 1 product read"; "nothing to do" when there is nothing to tell."""
    told = [f"{number:,} {word(name, number)}" for name, number in counts.items() if number and name not in HIDDEN]
    return ", ".join(told) or "nothing to do"


def word(name: str, number: int) -> str:
    words = WORDS.get(name, name)
    return words if isinstance(words, str) else words[number != 1]
