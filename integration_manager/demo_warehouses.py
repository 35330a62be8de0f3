"""The warehouses that the demo can have, each with a robot that plays the person who works there."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from decimal import Decimal
from itertools import islice
from typing import TYPE_CHECKING, Any, Protocol

from django.utils import timezone

from carts.connection_test import run_test
from carts.models import Location, Merchant, PickOrder, Product, StockLevel, Warehouse
from carts.models.catalogue import sku_key
from carts.setup import check_settings, finish_new_connection
from carts.warehouse_book import WarehouseBook
from connectors.functions import Function
from connectors.registry import connector_class
from connectors.tryton.local_company import HUB_PASSWORD, HUB_USER, WAREHOUSES, one
from connectors.tryton.local_people import Box, People
from connectors.vend.sandbox_data import goods, outlet_facts
from integration_manager.demo import OUTLETS, PRODUCTS, DemoFailed
from syncjobs.models import Run
from syncjobs.schedule import request_run

if TYPE_CHECKING:
    from connectors.tryton.local_server import LocalTryton

# On the shelf at first: so much at the first location, less at the others, a little different for each product.
SHELF = 60
LESS_AT_NEXT_LOCATION = 17
LEAST_ON_SHELF = 10
SHIPPED_AT_ONCE = 3
CARRIERS = ("NZ Post", "Aramex", "NZ Couriers")


class DemoWarehouse(Protocol):
    """A warehouse that sells what the shop sells, and has stock of it for each outlet."""

    def set_up(self, merchant: Merchant) -> tuple[Warehouse, list[Location]]:
        """Made or found, with a location for each outlet. Raises ``DemoFailed``."""
        ...

    def ship(self, ship_after: float) -> None:
        """Ships what has waited so many seconds."""
        ...

    def receive(self, location: Location, sku: str, quantity: int) -> None:
        """New goods arrive."""
        ...


def catalogue() -> list[dict[str, Any]]:
    return list(islice(goods(), PRODUCTS))


def on_shelf(number: int, place: int) -> Decimal:
    return Decimal(max(SHELF + number % 7 - LESS_AT_NEXT_LOCATION * place, LEAST_ON_SHELF))


class BuiltinDemo:
    """The hub's own warehouse."""

    NAME = "Our warehouse"

    def set_up(self, merchant: Merchant) -> tuple[Warehouse, list[Location]]:
        self.warehouse = self.make_warehouse(merchant)
        self.book = WarehouseBook(self.warehouse.pk)
        locations = self.make_locations()
        self.fill_shelves(locations)
        return self.warehouse, locations

    def make_warehouse(self, merchant: Merchant) -> Warehouse:
        known = Warehouse.objects.filter(merchant=merchant, name=self.NAME).first()
        if known is not None:
            return known
        warehouse = Warehouse.objects.create(merchant=merchant, name=self.NAME, connector="builtin", is_active=True)
        finish_new_connection(warehouse)
        return warehouse

    def make_locations(self) -> list[Location]:
        """The first is the default."""
        first = self.warehouse.locations.get(is_default=True)
        first.name = f"{outlet_facts(0)['physical_city']} store room"
        first.save()
        others = [
            Location.objects.get_or_create(
                warehouse=self.warehouse,
                external_id=f"room-{place + 1}",
                defaults={"name": f"{outlet_facts(place)['physical_city']} store room"},
            )[0]
            for place in range(1, OUTLETS)
        ]
        return [first, *others]

    def fill_shelves(self, locations: Sequence[Location]) -> None:
        """At two price lists, and with stock at every location."""
        rows = []
        for number, facts in enumerate(catalogue()):
            Product.objects.get_or_create(
                connection_id=self.warehouse.pk,
                external_id=facts["sku"],
                defaults={
                    "sku": facts["sku"],
                    "name": facts["name"],
                    "brand": facts["brand"],
                    "product_type": facts["type"],
                    "currency": "NZD",
                    "prices": {"Retail": str(facts["price"]), "Wholesale": str(facts["supply_price"])},
                },
            )
            for place, location in enumerate(locations):
                if not StockLevel.objects.filter(location=location, sku_key=sku_key(facts["sku"])).exists():
                    rows.append((location, facts["sku"], on_shelf(number, place)))
        self.book.set_on_hand(rows)

    def ship(self, ship_after: float) -> None:
        waited = timezone.now() - timedelta(seconds=ship_after)
        waiting = PickOrder.objects.filter(
            warehouse=self.warehouse,
            status__in=[PickOrder.Status.OPEN, PickOrder.Status.PARTLY_SHIPPED],
            received_at__lte=waited,
        )
        for pick_order in waiting.order_by("received_at")[:SHIPPED_AT_ONCE]:
            self.book.ship(
                pick_order,
                carrier=CARRIERS[pick_order.pk % len(CARRIERS)],
                tracking_number=f"DEMO{pick_order.pk:06d}NZ",
                shipped_by="robot",
            )

    def receive(self, location: Location, sku: str, quantity: int) -> None:
        level = StockLevel.objects.get(location=location, sku_key=sku_key(sku))
        self.book.set_on_hand([(location, sku, (level.on_hand or Decimal(0)) + quantity)])


class TrytonDemo:
    """A real Tryton beside the hub. Its people work in Tryton alone; the hub sees only what any hub would. It is asked to
    look at once after they did something, instead of at its next interval."""

    NAME = "Tryton"

    def __init__(self, server: LocalTryton) -> None:
        self.server = server

    def set_up(self, merchant: Merchant) -> tuple[Warehouse, list[Location]]:
        self.people = People(self.server.client())
        self.places = [one(self.people.client, "stock.location", [["code", "=", code]]) for _, code in WAREHOUSES]
        self.fill_shelves()
        self.warehouse = self.make_warehouse(merchant)
        report = run_test(self.warehouse)
        for step in report.steps:
            if not step.ok:
                raise DemoFailed(f"Test of {self.warehouse}: {step.name}: {step.message} {step.help}")
        rooms = {location.external_id: location for location in self.warehouse.locations.all()}
        return self.warehouse, [rooms[str(place)] for place in self.places[:OUTLETS]]

    def make_warehouse(self, merchant: Merchant) -> Warehouse:
        options, credentials = check_settings(
            connector_class("tryton"), self.server.settings, {"user_name": HUB_USER, "password": HUB_PASSWORD}, {}
        )
        warehouse, made = Warehouse.objects.get_or_create(
            merchant=merchant,
            name=self.NAME,
            defaults={"connector": "tryton", "options": options, "credentials": credentials, "is_active": True},
        )
        if made:
            finish_new_connection(warehouse)
        return warehouse

    def fill_shelves(self) -> None:
        sold = catalogue()
        products = self.people.add_products(
            [(facts["sku"], facts["name"], Decimal(facts["price"]), Decimal(facts["supply_price"])) for facts in sold]
        )
        for place, warehouse in enumerate(self.places):
            self.people.count(warehouse, {product: on_shelf(number, place) for number, product in enumerate(products)})

    def ship(self, ship_after: float) -> None:
        waited = self.people.client.now() - timedelta(seconds=ship_after)
        shipments = self.people.waiting(SHIPPED_AT_ONCE, made_before=waited)
        for shipment in shipments:
            self.people.ship(shipment, [Box({}, f"DEMO{shipment:06d}NZ")])
        if shipments:
            self.look(Function.SHIPMENT_PICKUP)

    def receive(self, location: Location, sku: str, quantity: int) -> None:
        self.people.receive(int(location.external_id), self.people.product(sku), Decimal(quantity))
        self.look(Function.INVENTORY_PICKUP)

    def look(self, function: Function) -> None:
        request_run(self.warehouse, function, Run.Trigger.PERSON, requested_by="demo")
