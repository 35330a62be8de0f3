"""What the built-in warehouse needs from the hub: its book of orders, shipments, stock and products."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from connectors.records import (
    LevelRecord,
    LocationRecord,
    OutboundOrder,
    OutboundOrderChange,
    OutboundRefund,
    OutboundStockAdjustment,
    OutboundStockTransfer,
    Page,
    ProductFamilyChange,
    ProductRecord,
    ProductRules,
    SentOrderRecord,
    SentOrderState,
    ShipmentRecord,
    WriteResult,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class BookOverview:
    """The book at a glance. ``default_location`` is the name of the place used where none is named, "" if there is no
    active location; the other three are counts."""

    default_location: str
    active_locations: int
    stocked_skus: int
    open_orders: int


class Book(Protocol):
    """One warehouse's book, kept by the hub's database side.

    Every method may raise ``RemoteUnavailable`` (nothing was written) or ``OutcomeUnknown`` when the database is in
    trouble. Cursors are the book's own; "" is the beginning.
    """

    def overview(self) -> BookOverview: ...

    def locations(self) -> Sequence[LocationRecord]:
        """Every location, disabled ones included."""
        ...

    def receive(self, orders: Sequence[OutboundOrder]) -> Sequence[WriteResult]:
        """Takes orders in, each reference once for ever. One result per order."""
        ...

    def find(self, reference: str) -> str | None:
        """The book's id of the order received under ``reference``, or None."""
        ...

    def search(self, since: datetime, until: datetime) -> Iterator[Page[SentOrderRecord]]:
        """Every order that was taken in from ``since`` until before ``until``."""
        ...

    def count(self, since: datetime, until: datetime) -> Mapping[SentOrderState, int]:
        """How many of these are in each state."""
        ...

    def cancel(self, reference: str, reason: str) -> WriteResult:
        """Cancels an order of which nothing was shipped. Cancelling twice is done."""
        ...

    def change(self, change: OutboundOrderChange) -> WriteResult:
        """Makes an order of which nothing was shipped what the shop wants now. The same change twice is done."""
        ...

    def announce_return(self, refund: OutboundRefund) -> WriteResult:
        """Takes a return in, each reference once for ever."""
        ...

    def find_return(self, reference: str) -> str | None:
        """The book's id of the return announced under ``reference``, or None."""
        ...

    def adjust(self, adjustment: OutboundStockAdjustment) -> WriteResult:
        """Books a stock adjustment, each reference once for ever. SKUs without stock rows are named in ``reason``."""
        ...

    def move_transfer(self, transfer: OutboundStockTransfer) -> WriteResult:
        """Books one step of a transfer, each reference once for ever."""
        ...

    def find_document(self, kind: str, reference: str) -> str | None:
        """The book's id of the ``adjustment`` or (step of a) ``transfer`` booked under ``reference``, or None."""
        ...

    def shipments(self, cursor: str) -> Iterator[Page[ShipmentRecord]]: ...

    def levels(self, cursor: str) -> Iterator[Page[LevelRecord]]: ...

    def products(self, cursor: str) -> Iterator[Page[ProductRecord]]: ...

    def take_products(self, family: ProductFamilyChange, rules: ProductRules) -> Sequence[WriteResult]:
        """Creates or changes one family; see ``ports.ProductWriter.write_products``."""
        ...
