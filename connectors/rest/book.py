"""What a REST warehouse needs from the hub beside the built-in warehouse's book."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from connectors.builtin.book import Book
from connectors.records import OrderAnswerRecord, Page


@dataclass(frozen=True, slots=True, kw_only=True)
class WmsOverview:
    """The WMS at a glance. ``tokens``: how many it could use. ``waiting_since``: when the oldest order came that nobody
    has fetched."""

    tokens: int
    last_fetched_at: datetime | None
    waiting_since: datetime | None


class RestBook(Book, Protocol):
    """One warehouse's book, shared with the WMS that works on it."""

    def wms(self) -> WmsOverview: ...

    def answers(self, cursor: str) -> Iterator[Page[OrderAnswerRecord]]: ...

    def webhook_secrets(self) -> list[str]:
        """What webhooks to the WMS are signed with: the secret, and for a while after a change the one before."""
        ...
