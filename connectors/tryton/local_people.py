"""What people do at a local Tryton: they enter products, count stock, pick, pack and hand parcels over, receive returns.
For tests and the demo; each method is what a person clicks in Tryton's own client."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from functools import cached_property

import msgspec

from connectors.tryton.client import Known, TrytonClient
from connectors.tryton.local_company import CARRIER, one, unit
from connectors.tryton.wire import quantity

SHIPMENT = "stock.shipment.out"
YES = (".no_carrier",)


class ShipmentRow(msgspec.Struct):
    id: int
    state: str = ""
    shipments: list[int] = []
    outgoing_moves: list[int] = []
    inventory_moves: list[int] = []


class MoveRow(msgspec.Struct):
    id: int
    product: int
    quantity: float = 0


@dataclass(frozen=True, slots=True)
class Box:
    """A parcel: product id -> quantity; empty: all that is left."""

    contents: Mapping[int, Decimal]
    tracking_number: str


class People:
    def __init__(self, client: TrytonClient) -> None:
        self.client = client

    @cached_property
    def storages(self) -> dict[int, int]:
        """Warehouse -> its storage."""

        class Row(msgspec.Struct):
            id: int
            storage_location: int

        rows = self.client.find("stock.location", [["type", "=", "warehouse"]], ("storage_location",), Row)
        return {row.id: row.storage_location for row in rows}

    @cached_property
    def unit(self) -> int:
        return unit(self.client)

    @cached_property
    def goods(self) -> int:
        return one(self.client, "product.category", [["name", "=", "Goods"]])

    @cached_property
    def carrier(self) -> int:
        return one(self.client, "carrier", [["party.name", "=", CARRIER]])

    @cached_property
    def package_type(self) -> int:
        return one(self.client, "stock.package.type", [])

    # Products and stock

    def add_products(self, rows: Sequence[tuple[str, str, Decimal, Decimal]]) -> list[int]:
        """(SKU, name, list price, cost price) each; returns the products' ids in that order."""
        templates = [
            {
                "name": name,
                "type": "goods",
                "default_uom": self.unit,
                "sale_uom": self.unit,
                "salable": True,
                "list_price": list_price,
                "account_category": self.goods,
                "products": [["create", [{"suffix_code": sku, "cost_price": cost_price}]]],
            }
            for sku, name, list_price, cost_price in rows
        ]
        made = self.client.create("product.template", templates)

        class Row(msgspec.Struct):
            id: int
            template: int

        products = self.client.find("product.product", [["template", "in", made]], ("template",), Row)
        by_template = {row.template: row.id for row in products}
        return [by_template[template] for template in made]

    def product(self, sku: str) -> int:
        return one(self.client, "product.product", [["code", "=", sku]])

    def count(self, warehouse: int, quantities: Mapping[int, Decimal]) -> None:
        """Someone counts: from now on this is what lies in the storage."""
        lines = [{"product": product, "quantity": quantity(counted)} for product, counted in quantities.items()]
        values = {"location": self.storages[warehouse], "lines": [["create", lines]]}
        self.client.press("stock.inventory", "confirm", self.client.create("stock.inventory", [values]))

    def receive(self, warehouse: int, product: int, more: Decimal) -> None:
        """New goods, put on the shelf."""

        class Row(msgspec.Struct):
            id: int
            quantity: Decimal

        here = {"locations": [self.storages[warehouse]], "with_childs": False}
        [row] = self.client.read("product.product", [product], ("quantity",), Row, **here)
        self.count(warehouse, {product: row.quantity + more})

    # Shipments

    def waiting(self, limit: int, *, made_before: datetime) -> list[int]:
        """Shipments that nobody has picked yet, the oldest first."""
        domain = [["state", "in", ["draft", "waiting", "assigned"]], ["create_date", "<=", made_before]]
        return [row.id for row in self.client.find(SHIPMENT, domain, ("id",), Known, limit=limit)]

    def of_sale(self, reference: str) -> list[int]:
        """The shipments of a sale that nobody has picked yet."""
        domain = [["moves.sale.reference", "=", reference], ["state", "in", ["draft", "waiting", "assigned"]]]
        return [row.id for row in self.client.find(SHIPMENT, domain, ("id",), Known)]

    def row(self, shipment: int) -> ShipmentRow:
        fields = ("state", "outgoing_moves", "inventory_moves")
        return self.client.read(SHIPMENT, [shipment], fields, ShipmentRow)[0]

    def pick(self, shipment: int, only: Mapping[int, Decimal] | None = None) -> None:
        """``only``: what is picked; the rest waits for a shipment of its own, which Tryton makes."""
        if self.row(shipment).state == "draft":
            self.client.press(SHIPMENT, "wait", [shipment])
        if only is not None:
            for move in self.moves(self.row(shipment).inventory_moves):
                self.client.write("stock.move", [move.id], {"quantity": quantity(only.get(move.product, Decimal(0)))})
        self.client.press(SHIPMENT, "assign_force", [shipment])
        self.client.press(SHIPMENT, "pick", [shipment])

    def moves(self, ids: Sequence[int]) -> list[MoveRow]:
        return self.client.read("stock.move", ids, ("product", "quantity"), MoveRow)

    def ship(self, shipment: int, boxes: Sequence[Box], *, only: Mapping[int, Decimal] | None = None) -> None:
        """Picks, packs into these boxes and hands over."""
        self.pick(shipment, only)
        left = self.moves(self.row(shipment).outgoing_moves)
        self.client.write(SHIPMENT, [shipment], {"carrier": self.carrier})
        for box in boxes:
            inside = [move.id for move in left if not box.contents or move.product in box.contents]
            left = [move for move in left if move.id not in inside]
            values = {
                "type": self.package_type,
                "shipment": f"{SHIPMENT},{shipment}",
                "shipping_reference": box.tracking_number,
                "moves": [["add", inside]],
            }
            self.client.create("stock.package", [values])
        self.client.press(SHIPMENT, "pack", [shipment], yes_to=YES)
        self.client.press(SHIPMENT, "ship", [shipment])
        self.client.press(SHIPMENT, "do", [shipment])
