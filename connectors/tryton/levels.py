"""Stock: what lies in each warehouse, and what open shipments and orders take of it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from decimal import Decimal
from functools import cached_property

import msgspec

from connectors.records import ZERO, LevelRecord, Page
from connectors.tryton.client import ROWS_PER_CALL, TrytonClient
from connectors.tryton.company import Company, Place
from connectors.tryton.feed import Feed
from connectors.tryton.wire import changed_since, like

# Moves that are planned, or reserved; what is done already shows in the quantity.
OPEN_MOVES = ("draft", "assigned")
# The hub's own sales for which Tryton has made no shipment yet.
OPEN_SALES = ("draft", "quotation", "confirmed")
WHOLE_EVERY_HOURS = 24
PRODUCTS_PER_PAGE = 500


class GoodsRow(msgspec.Struct):
    id: int
    code: str | None = None


class QuantityRow(msgspec.Struct):
    id: int
    quantity: Decimal = ZERO


class MoveRow(msgspec.Struct):
    id: int
    product: int
    from_location: int = 0
    to_location: int = 0
    internal_quantity: Decimal = ZERO


class LocationRow(msgspec.Struct):
    id: int
    parent: int | None = None


class SaleWarehouse(msgspec.Struct):
    warehouse: int | None = None


class LineRow(msgspec.Struct):
    id: int
    product: int | None = None
    quantity: Decimal | None = None
    sale: SaleWarehouse | None = msgspec.field(name="sale.", default=None)


class Levels:
    def __init__(self, client: TrytonClient, company: Company, mark: str) -> None:
        self.client = client
        self.company = company
        self.mark = mark

    def pages(self, cursor: str) -> Iterator[Page[LevelRecord]]:
        """Everything the first time and once a day; in between the products that moved, or were ordered."""
        feed = Feed(self.client, cursor, whole_after_hours=WHOLE_EVERY_HOURS)
        domain: list[object] = [["type", "=", "goods"], ["code", "!=", None]]
        if feed.since is not None:
            domain.append(["id", "in", self.moved(feed)])
        if feed.since is None or domain[-1] != ["id", "in", []]:
            for rows in self.client.find_all(
                "product.product", domain, ("code",), GoodsRow, after=feed.after, limit=PRODUCTS_PER_PAGE
            ):
                yield Page(records=self.records(rows), cursor=feed.inside(rows[-1].id))
        yield Page(records=[], cursor=feed.end())

    def moved(self, feed: Feed) -> list[int]:
        """Products with a stock move or an order line of the hub's that was made or changed since, and new products."""
        assert feed.since is not None
        since = changed_since(feed.since)
        found = {
            move.product
            for page in self.client.find_all("stock.move", since, ("product",), MoveRow, limit=5000)
            for move in page
        }
        lines = [["sale.reference", "like", f"{like(self.mark)}%"], ["product", "!=", None], self.touched(feed)]
        for line in self.client.find("sale.line", lines, ("product",), LineRow):
            found.add(line.product or 0)
        for row in self.client.find("product.product", since, ("code",), GoodsRow):
            found.add(row.id)
        return sorted(found)

    @staticmethod
    def touched(feed: Feed) -> list[object]:
        """An order's lines change with the order itself: it is confirmed, cancelled, ..."""
        assert feed.since is not None
        return ["OR", changed_since(feed.since), ["sale.write_date", ">=", feed.since]]

    def records(self, rows: Sequence[GoodsRow]) -> list[LevelRecord]:
        """The levels of these products at every active warehouse."""
        ids = [row.id for row in rows]
        places = [place for place in self.company.places if place.is_active]
        # Orders first: what Tryton turns into a shipment in between is taken off twice for a moment, never left out.
        ordered = self.ordered(ids)
        leaving = self.leaving(ids, places)
        records = []
        for place in places:
            quantities = self.quantities(ids, place)
            for row in rows:
                on_hand = quantities.get(row.id, ZERO)
                taken = ordered.get((place.id, row.id), ZERO) + leaving.get((place.id, row.id), ZERO)
                records.append(
                    LevelRecord(
                        location_id=place.key,
                        product_id=str(row.id),
                        sku=row.code or "",
                        available=on_hand - taken,
                        on_hand=on_hand,
                    )
                )
        return records

    def quantities(self, ids: Sequence[int], place: Place) -> dict[int, Decimal]:
        """What lies in storage and output, and in what is inside them. Goods in the input zone may not be sold yet."""
        rows = self.client.read(
            "product.product", ids, ("quantity",), QuantityRow, locations=place.shelves, with_childs=True
        )
        return {row.id: row.quantity for row in rows}

    def leaving(self, ids: Sequence[int], places: Sequence[Place]) -> dict[tuple[int, int], Decimal]:
        """(warehouse, product) -> what open moves take out of its shelves."""
        shelf_of = {zone: place.id for place in places for zone in self.inside(place)}
        domain = [
            ["product", "in", list(ids)],
            ["state", "in", list(OPEN_MOVES)],
            ["from_location", "in", sorted(shelf_of)],
            ["company", "=", self.company.id],
        ]
        fields = ("product", "from_location", "to_location", "internal_quantity")
        found: dict[tuple[int, int], Decimal] = {}
        for page in self.client.find_all("stock.move", domain, fields, MoveRow, limit=10 * ROWS_PER_CALL):
            for move in page:
                place = shelf_of[move.from_location]
                if shelf_of.get(move.to_location) != place:
                    key = (place, move.product)
                    found[key] = found.get(key, ZERO) + move.internal_quantity
        return found

    def ordered(self, ids: Sequence[int]) -> dict[tuple[int, int], Decimal]:
        """(warehouse, product) -> what the hub's own orders need that Tryton has made no shipment for."""
        domain = [
            ["product", "in", list(ids)],
            ["sale.reference", "like", f"{like(self.mark)}%"],
            ["sale.state", "in", list(OPEN_SALES)],
            ["quantity", ">", 0],
        ]
        found: dict[tuple[int, int], Decimal] = {}
        for line in self.client.find("sale.line", domain, ("product", "quantity", "sale.warehouse"), LineRow):
            if line.product and line.sale and line.sale.warehouse:
                key = (line.sale.warehouse, line.product)
                found[key] = found.get(key, ZERO) + (line.quantity or ZERO)
        return found

    @cached_property
    def parents(self) -> dict[int, int | None]:
        rows = self.client.find("stock.location", [], ("parent",), LocationRow, active_test=False)
        return {row.id: row.parent for row in rows}

    def inside(self, place: Place) -> set[int]:
        """The zones of a warehouse whose stock may be sold, with everything inside them."""
        zones = set(place.shelves)
        grown = True
        while grown:
            more = {child for child, parent in self.parents.items() if parent in zones} - zones
            grown = bool(more)
            zones |= more
        return zones
