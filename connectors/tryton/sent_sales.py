"""The sales that the hub made, listed and counted: to be compared, not to be stored."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

import msgspec

from connectors.records import Page, SentOrderRecord, SentOrderState
from connectors.tryton.client import TrytonClient
from connectors.tryton.company import Company
from connectors.tryton.sales import NOT_PACKED, RETURN_MARK
from connectors.tryton.shipments import LEFT
from connectors.tryton.wire import Domain, like

FIELDS = ("reference", "state", "shipments.state")
NOT_PROCESSED = ("draft", "quotation", "confirmed")
STILL_HERE = (*NOT_PACKED, "packed")


class ShipmentState(msgspec.Struct):
    state: str = ""


class SentSale(msgspec.Struct):
    id: int
    reference: str | None = None
    state: str = ""
    shipments: list[ShipmentState] = msgspec.field(name="shipments.", default_factory=list)

    @property
    def is_cancelled(self) -> bool:
        """A sale that Tryton processes already stays; then its shipments are cancelled."""
        return self.state == "cancelled" or bool(
            self.shipments and all(shipment.state == "cancelled" for shipment in self.shipments)
        )

    @property
    def meaning(self) -> SentOrderState:
        """A sale is shipped when nothing of it waits any more, as the hub's own orders are."""
        if self.is_cancelled:
            return SentOrderState.CANCELLED
        alive = [shipment.state for shipment in self.shipments if shipment.state != "cancelled"]
        has_left = bool(alive) and all(state in LEFT for state in alive)
        return SentOrderState.SHIPPED if has_left else SentOrderState.OPEN

    @property
    def words(self) -> str:
        shipments = sorted({shipment.state for shipment in self.shipments if shipment.state})
        return f"{self.state}, shipment {' and '.join(shipments)}" if shipments else self.state


@dataclass(frozen=True, slots=True)
class SentSales:
    client: TrytonClient
    company: Company
    mark: str

    def made(self, since: datetime, until: datetime) -> Domain:
        """Returns carry the mark as well."""
        return [
            ["company", "=", self.company.id],
            ["reference", "like", f"{like(self.mark)}%"],
            ["reference", "not like", f"{like(self.mark + RETURN_MARK)}%"],
            ["create_date", ">=", since],
            ["create_date", "<", until],
        ]

    def pages(self, since: datetime, until: datetime) -> Iterator[Page[SentOrderRecord]]:
        for rows in self.client.find_all("sale.sale", self.made(since, until), FIELDS, SentSale):
            replaced = self.replaced(rows)
            records = [self.record(row) for row in rows if not (row.is_cancelled and row.reference in replaced)]
            yield Page(records=records, cursor="")

    def replaced(self, rows: Sequence[SentSale]) -> set[str | None]:
        """References of cancelled sales in whose place there is another one: an order that was changed."""
        cancelled = {row.reference for row in rows if row.is_cancelled}
        if not cancelled:
            return set()
        domain = [["company", "=", self.company.id], ["reference", "in", sorted(one for one in cancelled if one)]]
        same = self.client.find("sale.sale", domain, FIELDS, SentSale)
        return {row.reference for row in same if not row.is_cancelled}

    def record(self, row: SentSale) -> SentOrderRecord:
        """Without a total: which charges and taxes a sale holds is a matter of the settings, and of Tryton's own taxes."""
        return SentOrderRecord(
            reference=(row.reference or "").removeprefix(self.mark),
            remote_id=str(row.id),
            state=row.meaning,
            remote_status=row.words,
        )

    def count_open(self, since: datetime, until: datetime) -> int:
        waiting = [["state", "=", "processing"], ["shipments.state", "in", list(STILL_HERE)]]
        is_open: Domain = ["OR", ["state", "in", list(NOT_PROCESSED)], waiting]
        return self.client.ask("sale.sale", "search_count", [self.made(since, until), is_open], kind=int)
