"""The story of one order in one place: history, attempts to deliver, webhooks, failed records, oldest first.

Other rooms add what they know with ``add_source``; each source costs a constant number of queries.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime

from carts.models import Order

MOST_SHOWN = 300


@dataclass(frozen=True, slots=True)
class TimelineEntry:
    """``kind`` says what it is (``history``, ``attempt``, ``webhook``, ``failed_record``), ``tone`` how it looks
    ("", good, warn, bad). ``link`` leads to its page in the admin."""

    at: datetime
    kind: str
    text: str
    actor: str = "hub"
    tone: str = ""
    link: str = ""
    link_text: str = ""


Source = Callable[[Order], Iterable[TimelineEntry]]
TONES = {"error": "bad", "held": "warn", "cancelled": "warn", "shipped": "good", "confirmed": "good"}


def history(order: Order) -> Iterable[TimelineEntry]:
    for event in order.events.order_by("-at", "-pk")[:MOST_SHOWN]:
        yield TimelineEntry(event.at, "history", event.message, event.actor, TONES.get(event.kind, ""))


SOURCES: list[Source] = [history]


def add_source(source: Source) -> None:
    if source not in SOURCES:
        SOURCES.append(source)


def timeline_of(order: Order) -> list[TimelineEntry]:
    """The newest ``MOST_SHOWN`` entries, oldest first."""
    entries = [entry for source in SOURCES for entry in source(order)]
    return sorted(entries, key=lambda entry: entry.at)[-MOST_SHOWN:]
