"""Shipments: every parcel that left, with what is in it and its tracking number."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, time
from decimal import Decimal

import msgspec

from connectors.records import Page, ShipmentLineRecord, ShipmentRecord
from connectors.tryton.client import TrytonClient
from connectors.tryton.company import Company
from connectors.tryton.feed import Feed
from connectors.tryton.sales import RETURN_MARK
from connectors.tryton.wire import Day, Moment, changed_since, like

SHIPMENTS_PER_PAGE = 200
LEFT = ("shipped", "done")


class PartyRow(msgspec.Struct):
    name: str | None = None


class CarrierRow(msgspec.Struct):
    party: PartyRow | None = msgspec.field(name="party.", default=None)


class ShipmentRow(msgspec.Struct):
    id: int
    number: str | None = None
    reference: str | None = None
    effective_date: Day | None = None
    write_date: Moment | None = None
    create_date: Moment | None = None
    shipping_reference: str | None = None
    carrier: CarrierRow | None = msgspec.field(name="carrier.", default=None)


class ProductCode(msgspec.Struct):
    code: str | None = None


class SaleReference(msgspec.Struct):
    reference: str | None = None


class MoveRow(msgspec.Struct):
    id: int
    shipment: str
    internal_quantity: Decimal = Decimal(0)
    package: int | None = None
    product: ProductCode | None = msgspec.field(name="product.", default=None)
    sale: SaleReference | None = msgspec.field(name="sale.", default=None)


class PackageRow(msgspec.Struct):
    id: int
    number: str | None = None
    parent: int | None = None
    shipping_reference: str | None = None
    shipping_tracking_url: str | None = None


class Shipments:
    def __init__(self, client: TrytonClient, company: Company, mark: str) -> None:
        self.client = client
        self.company = company
        self.mark = mark

    def pages(self, cursor: str) -> Iterator[Page[ShipmentRecord]]:
        """Shipments of the hub's own sales that left since. One is told when it leaves and again when it is done; it is
        the same one."""
        feed = Feed(self.client, cursor)
        domain: list[object] = [
            ["company", "=", self.company.id],
            ["state", "in", list(LEFT)],
            ["moves.sale.reference", "like", f"{like(self.mark)}%"],
        ]
        if feed.since is not None:
            domain.append(changed_since(feed.since))
        for rows in self.client.find_all(
            "stock.shipment.out", domain, self.fields, ShipmentRow, after=feed.after, limit=SHIPMENTS_PER_PAGE
        ):
            yield Page(records=self.records(rows), cursor=feed.inside(rows[-1].id))
        yield Page(records=[], cursor=feed.end())

    @property
    def fields(self) -> list[str]:
        """What there is to know depends on the modules."""
        known = self.client.has
        model = "stock.shipment.out"
        return [
            *("number", "reference", "effective_date", "write_date", "create_date"),
            *(["shipping_reference"] if known(model, "shipping_reference") else []),
            *(["carrier.party.name"] if known(model, "carrier") else []),
        ]

    @property
    def has_packages(self) -> bool:
        return self.client.has("stock.move", "package")

    def records(self, rows: Sequence[ShipmentRow]) -> list[ShipmentRecord]:
        moves: dict[str, list[MoveRow]] = {}
        fields = ("shipment", "internal_quantity", "product.code", "sale.reference")
        names = [f"stock.shipment.out,{row.id}" for row in rows]
        domain = [["shipment", "in", names], ["state", "in", ["assigned", "done"]]]
        for move in self.client.find(
            "stock.move", domain, [*fields, *(["package"] if self.has_packages else [])], MoveRow
        ):
            moves.setdefault(move.shipment, []).append(move)
        packages = self.packages({move.package for group in moves.values() for move in group if move.package})
        return [
            record
            for row, name in zip(rows, names, strict=True)
            for record in self.parcels(row, moves.get(name, []), packages)
        ]

    def packages(self, ids: set[int]) -> dict[int, PackageRow]:
        """The packages and, where they are in others, those too."""
        found: dict[int, PackageRow] = {}
        fields = ["number", "parent"]
        for name in ("shipping_reference", "shipping_tracking_url"):
            if ids and self.client.has("stock.package", name):
                fields.append(name)
        while ids:
            found |= {row.id: row for row in self.client.read("stock.package", sorted(ids), fields, PackageRow)}
            ids = {row.parent for row in found.values() if row.parent} - found.keys()
        return found

    def parcels(
        self, shipment: ShipmentRow, moves: Sequence[MoveRow], packages: Mapping[int, PackageRow]
    ) -> Iterator[ShipmentRecord]:
        """One record for each order and parcel: what was packed together in the outermost package."""
        contents: dict[tuple[str, int], dict[str, Decimal]] = {}
        for move in moves:
            ours = self.order_reference(move)
            if ours and move.product and move.internal_quantity:
                box = outermost(move.package, packages)
                parcel = contents.setdefault((ours, box), {})
                sku = move.product.code or ""
                parcel[sku] = parcel.get(sku, Decimal(0)) + move.internal_quantity
        for (ours, box), quantities in contents.items():
            package = packages.get(box)
            tracking = package.shipping_reference if package else None
            carrier = shipment.carrier.party.name if shipment.carrier and shipment.carrier.party else None
            yield ShipmentRecord(
                external_id=f"{shipment.id}-{box}" if box else str(shipment.id),
                order_reference=ours,
                shipped_at=self.shipped_at(shipment),
                carrier=carrier or "",
                tracking_number=tracking or self.number_of(shipment),
                tracking_url=(package.shipping_tracking_url if package else None) or "",
                lines=tuple(ShipmentLineRecord(sku=sku, quantity=count) for sku, count in quantities.items()),
            )

    def order_reference(self, move: MoveRow) -> str:
        """The hub's reference of the order that a move is for; "" when it is none of the hub's orders."""
        given = (move.sale.reference if move.sale else None) or ""
        ours = given.removeprefix(self.mark) if given.startswith(self.mark) else ""
        return "" if ours.startswith(RETURN_MARK) else ours

    def number_of(self, shipment: ShipmentRow) -> str:
        """The tracking number of the whole shipment. Without Tryton's shipping module people write it into the
        shipment's Reference."""
        if self.client.has("stock.shipment.out", "shipping_reference"):
            return shipment.shipping_reference or ""
        return shipment.reference or ""

    def shipped_at(self, shipment: ShipmentRow) -> datetime:
        """The time of the last change, unless the shipment is dated earlier by hand."""
        changed = shipment.write_date or shipment.create_date
        moment = changed.value() if changed else self.client.now()
        day = shipment.effective_date.value() if shipment.effective_date else None
        if day is not None and self.company.day_of(moment) > day:
            return datetime.combine(day, time(12), self.company.zone).astimezone(UTC)
        return moment


def outermost(package: int | None, packages: Mapping[int, PackageRow]) -> int:
    """The package that holds a package; 0: none."""
    box, seen = package or 0, set[int]()
    while box in packages and packages[box].parent and box not in seen:
        seen.add(box)
        box = packages[box].parent or 0
    return box
