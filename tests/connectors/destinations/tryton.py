"""Tryton: a real server."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from decimal import Decimal
from functools import cached_property
from typing import Any, Self

import msgspec
import pytest

from connectors.base import Connector
from connectors.tryton.local_company import HUB_PASSWORD, HUB_USER, WAREHOUSES, one
from connectors.tryton.local_people import Box
from tests.connectors.destinations.capabilities import Capability
from tests.connectors.destinations.destination import Destination, Parcel
from tests.local_tryton import NUMBERS, TrytonWorld

# The call whose answer gets lost, for each thing that is sent.
CALLS = {
    Capability.ORDERS: "POST model.sale.sale.create",
    Capability.RETURNS: "POST model.sale.sale.create",
    Capability.ADJUSTMENTS: "POST model.stock.inventory.confirm",
    Capability.TRANSFERS: "POST model.stock.shipment.internal.ship",
}


class SaleRow(msgspec.Struct):
    id: int
    state: str
    lines: list[Any] = msgspec.field(name="lines.", default_factory=list)
    shipments: list[Any] = msgspec.field(name="shipments.", default_factory=list)


class TrytonDestination(Destination):
    key = "tryton"
    lacks = {
        Capability.PRODUCT_DETAILS: "Products are made in Tryton and go from there to the shops, never back.",
    }

    def __init__(self, world: TrytonWorld) -> None:
        self.world = world
        self.connector = world.connect()

    @classmethod
    @contextmanager
    def opened(cls, request: pytest.FixtureRequest) -> Iterator[Self]:
        world = request.getfixturevalue("tryton")
        destination = cls(world)
        yield destination
        destination.set_password(HUB_PASSWORD)

    def another_connector(self) -> Connector:
        return self.world.connect()

    def article(self, stock: int = 0) -> str:
        sku = f"ART{next(NUMBERS)}"
        [product] = self.world.people.add_products([(sku, f"Article {sku}", Decimal("12.50"), Decimal("5.20"))])
        if stock:
            self.world.people.count(int(self.location_ids[0]), {product: Decimal(stock)})
        return sku

    @cached_property
    def location_ids(self) -> Sequence[str]:
        return [str(one(self.world.admin, "stock.location", [["code", "=", code]])) for _, code in WAREHOUSES]

    def put_stock(self, sku: str, quantity: int, location_id: str = "") -> None:
        place = int(location_id or self.location_ids[0])
        self.world.people.count(place, {self.world.people.product(sku): Decimal(quantity)})

    def sales(self, reference: str) -> list[SaleRow]:
        fields = ("state", "lines.quantity", "lines.product.code", "shipments.state")
        return self.world.admin.find("sale.sale", [["reference", "=", reference]], fields, SaleRow)

    def orders_under(self, reference: str) -> list[dict[str, Decimal]]:
        return [quantities(sale) for sale in self.sales(f"IM/{reference}") if not is_cancelled(sale)]

    def returns_under(self, reference: str) -> list[dict[str, Decimal]]:
        return [
            {sku: -quantity for sku, quantity in quantities(sale).items()} for sale in self.sales(f"IM/R/{reference}")
        ]

    def ship(self, reference: str, *parcels: Parcel) -> None:
        people = self.world.people
        [shipment] = people.of_sale(f"IM/{reference}")
        boxes = [
            Box(
                {people.product(sku): Decimal(quantity) for sku, quantity in (parcel.lines or {}).items()},
                parcel.tracking_number,
            )
            for parcel in parcels
        ]
        picked = {product: quantity for box in boxes for product, quantity in box.contents.items()}
        people.ship(shipment, boxes, only=picked or None)

    def set_password(self, password: str) -> None:
        if self.password != password:
            user = one(self.world.admin, "res.user", [["login", "=", HUB_USER]])
            self.world.admin.write("res.user", [user], {"password": password})
            self.password = password

    password = HUB_PASSWORD

    def lose_answer(self, to: Capability) -> None:
        self.world.door.fail(match=CALLS[to], fault="answer_lost")

    def break_down(self) -> None:
        self.world.door.fail(times=None, status=503)

    def recover(self) -> None:
        self.world.door.clear_faults()

    def refuse_access(self) -> None:
        self.set_password("another-password-1")

    def limit_rate(self) -> None:
        self.world.door.fail(status=429, retry_after="integer")

    def answer_with_web_page(self) -> None:
        self.world.door.fail(fault="html")


def quantities(sale: SaleRow) -> dict[str, Decimal]:
    lines = [(line["product."]["code"], line["quantity"]) for line in sale.lines if line.get("product.")]
    return {sku: Decimal(str(quantity)) for sku, quantity in lines}


def is_cancelled(sale: SaleRow) -> bool:
    """A sale that Tryton processes already stays; then its shipments are cancelled."""
    return sale.state == "cancelled" or bool(
        sale.shipments and all(one["state"] == "cancelled" for one in sale.shipments)
    )
