"""The built-in warehouse: its remote is the hub's own database."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from decimal import Decimal
from itertools import count
from typing import Any, Self

import pytest
from django.db import OperationalError, connection

from carts.models import PickLine, PickOrder, PickReturn, Product, Warehouse
from carts.remote import open_connector
from carts.warehouse_book import WarehouseBook
from connectors.base import Connector
from tests.connectors.destinations.capabilities import Capability
from tests.connectors.destinations.destination import Destination, Parcel
from tests.factories import make_builtin_warehouse, make_location

NUMBERS = count(1)
OWN_DATABASE = "It is the hub's own database: there are no credentials, no rate limit and no web server in between."


class BuiltinDestination(Destination):
    key = "builtin"
    marks = (pytest.mark.django_db,)
    lacks = {
        Capability.UNKNOWN_SKUS: "It takes any SKU: it has no catalogue that an article must be in.",
        Capability.LOST_ANSWERS: "An order and the word that it arrived are one transaction.",
        Capability.REFUSED_ACCESS: OWN_DATABASE,
        Capability.RATE_LIMITS: OWN_DATABASE,
        Capability.WEB_PAGES: OWN_DATABASE,
    }

    def __init__(self, warehouse: Warehouse) -> None:
        self.warehouse = warehouse
        self.book = WarehouseBook(warehouse.pk)
        self.connector = open_connector(warehouse)
        self.places = [warehouse.locations.get(), make_location(warehouse)]
        self.trouble = ExitStack()

    @classmethod
    @contextmanager
    def opened(cls, request: pytest.FixtureRequest) -> Iterator[Self]:
        destination = cls(make_builtin_warehouse())
        with destination.trouble:
            yield destination

    def another_connector(self) -> Connector:
        return open_connector(self.warehouse)

    def article(self, stock: int = 0) -> str:
        sku = f"ART{next(NUMBERS)}"
        Product.objects.create(
            connection_id=self.warehouse.pk,
            external_id=f"id-{sku}",
            sku=sku,
            name=f"Article {sku}",
            prices={"Retail": "12.50", "Buy": "5.20"},
            currency="NZD",
        )
        self.put_stock(sku, stock)
        return sku

    @property
    def location_ids(self) -> Sequence[str]:
        return [place.external_id for place in self.places]

    def put_stock(self, sku: str, quantity: int, location_id: str = "") -> None:
        self.book.set_on_hand([(self.book.find_location(location_id), sku, Decimal(quantity))])

    def orders_under(self, reference: str) -> list[dict[str, Decimal]]:
        orders = PickOrder.objects.filter(warehouse=self.warehouse, reference=reference)
        return [quantities(order) for order in orders.exclude(status=PickOrder.Status.CANCELLED)]

    def returns_under(self, reference: str) -> list[dict[str, Decimal]]:
        return [quantities(one) for one in PickReturn.objects.filter(warehouse=self.warehouse, reference=reference)]

    def ship(self, reference: str, *parcels: Parcel) -> None:
        order = PickOrder.objects.get(warehouse=self.warehouse, reference=reference)
        for parcel in parcels:
            lines = {
                PickLine.objects.get(pick_order=order, sku=sku).reference: Decimal(quantity)
                for sku, quantity in (parcel.lines or {}).items()
            }
            self.book.ship(order, lines or None, carrier=parcel.carrier, tracking_number=parcel.tracking_number)

    def break_down(self) -> None:
        self.trouble.enter_context(connection.execute_wrapper(refuse))

    def recover(self) -> None:
        self.trouble.close()


def refuse(execute: object, sql: str, *rest: object) -> None:
    raise OperationalError("database is locked")


def quantities(document: Any) -> dict[str, Decimal]:
    return {line.sku: line.quantity for line in document.lines.all()}
