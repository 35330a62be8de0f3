"""A sale all the way through a real Tryton and back, and the shop's returns, counts and transfers; and what goes wrong."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pytest

from carts import order_flow
from carts.connection_test import run_test
from carts.models import (
    Alert,
    FunctionSetting,
    Order,
    Product,
    Refund,
    StockAdjustment,
    StockLevel,
    StockTransfer,
    Warehouse,
)
from carts.setup import check_settings, finish_new_connection
from connectors.functions import Function
from connectors.registry import connector_class
from connectors.tryton.client import Known
from connectors.tryton.local_company import PRICE_LIST, WAREHOUSES, one
from connectors.tryton.local_people import Box
from syncjobs.models import Delivery, FailedRecord, Run
from tests.engine.conftest import World
from tests.engine.stockroom import Stockroom
from tests.local_tryton import TrytonWorld

SHELF = 40


class Erp:
    """The world's warehouse is Tryton: its first location ships for the world's cart. Every test has a reference mark of
    its own, because Tryton remembers what the test database forgets."""

    def __init__(self, world: World, tryton: TrytonWorld) -> None:
        self.world = world
        self.tryton = tryton
        self.mark = f"{uuid.uuid4().hex[:8]}/"
        self.places = [one(tryton.admin, "stock.location", [["code", "=", code]]) for _, code in WAREHOUSES]
        for product in world.store.products[:3]:
            self.put(product, SHELF)
        options, credentials = check_settings(
            connector_class("tryton"), {**tryton.settings, "mark": self.mark}, tryton.credentials, {}
        )
        self.warehouse = Warehouse.objects.create(
            merchant=world.merchant, name="Tryton", connector="tryton", options=options, credentials=credentials,
            is_active=True,
        )  # fmt: skip
        finish_new_connection(self.warehouse)
        FunctionSetting.objects.filter(connection=self.warehouse).update(is_on=True)
        report = run_test(self.warehouse)
        assert report.ok, report
        world.warehouse, world.location = self.warehouse, self.location(0)
        world.cart.warehouse, world.cart.location = world.warehouse, world.location
        world.cart.save()

    def location(self, place: int) -> Any:
        return self.warehouse.locations.get(external_id=str(self.places[place]))

    def put(self, product: Any, quantity: int, place: int = 0) -> None:
        """The shop's product with so much on Tryton's shelf; the same in every test, so it may be there already."""
        known = self.tryton.admin.find("product.product", [["code", "=", product["sku"]]], ("id",), Known)
        ids = [row.id for row in known] or self.tryton.people.add_products(
            [(product["sku"], product["name"], Decimal("12.50"), Decimal("5.20"))]
        )
        self.tryton.people.count(self.places[place], {ids[0]: Decimal(quantity)})

    def sales(self, reference: str) -> list[dict[str, Any]]:
        fields = ("state", "shipments", "shipment_returns")
        return self.tryton.admin.find("sale.sale", [["reference", "=", f"{self.mark}{reference}"]], fields, dict)

    def on_hand(self, product: Any, place: int = 0) -> Decimal:
        run = self.world.run(Function.INVENTORY_PICKUP, self.warehouse, full=True)
        assert run.state == Run.State.DONE, run.error
        level = StockLevel.objects.get(location=self.location(place), sku=product["sku"])
        assert level.on_hand is not None
        return level.on_hand

    def sold(self, *lines: tuple[Any, Any]) -> Order:
        sale = self.world.sell(*lines)
        self.world.download()
        return self.world.order(sale)


@pytest.fixture
def erp(world: World, tryton: TrytonWorld, settings: Any) -> Iterator[Erp]:
    settings.EXTRA_HOSTS = frozenset({world.sandbox.host, tryton.door.host})
    yield Erp(world, tryton)


def test_a_sale_goes_all_the_way_round(world: World, erp: Erp) -> None:
    bean, cup = world.product(0), world.product(1)
    world.store.set_level(bean["id"], world.outlet["id"], SHELF)
    order = erp.sold((bean, 2), (cup, 1))
    assert world.deliver() == 1
    order.refresh_from_db()
    assert order.status == Order.Status.AT_WAREHOUSE
    [sale] = erp.sales(order.reference)
    assert sale["state"] == "processing"

    erp.tryton.people.ship(sale["shipments"][0], [Box({}, "NZ123")])
    for _ in range(2):
        run = world.run(Function.SHIPMENT_PICKUP)
        assert run.state == Run.State.DONE, run.error
    order.refresh_from_db()
    assert order.status == Order.Status.SHIPPED
    shipment = order.shipments.get()
    assert (shipment.carrier, shipment.tracking_number) == ("NZ Post", "NZ123")

    run = world.run(Function.INVENTORY_PICKUP)
    assert run.state == Run.State.DONE, run.error
    assert StockLevel.objects.get(location=world.location, sku=bean["sku"]).available == SHELF - 2
    assert world.sync_stock().state == Run.State.DONE
    assert world.level(bean) == SHELF - 2

    run = world.run(Function.PRODUCT_PICKUP, world.warehouse)
    assert run.state == Run.State.DONE, run.error
    product = Product.objects.get(connection=world.warehouse, sku=bean["sku"])
    assert {name: Decimal(price) for name, price in product.prices.items()} == {
        "Retail": Decimal("12.50"),
        "Buy": Decimal("5.20"),
        PRICE_LIST: Decimal("8.75"),
    }


def test_an_order_whose_answer_was_lost_is_there_once(world: World, erp: Erp) -> None:
    order = erp.sold((world.product(), 1))
    erp.tryton.door.fail(match="POST model.sale.sale.create", fault="answer_lost")
    world.deliver()
    delivery = Delivery.objects.get(order=order, kind=Delivery.Kind.ORDER)
    assert (delivery.state, delivery.in_doubt) == (Delivery.State.RETRY, True)
    Delivery.objects.update(run_at=delivery.created_at)
    Warehouse.objects.update(resting_until=None)
    world.deliver()
    delivery.refresh_from_db()
    order.refresh_from_db()
    assert (delivery.state, order.status) == (Delivery.State.DONE, Order.Status.AT_WAREHOUSE)
    [sale] = erp.sales(order.reference)
    assert (delivery.remote_id, sale["state"]) == (str(sale["id"]), "processing")
    assert erp.tryton.door.count("POST model.sale.sale.create") == 1


def test_an_unknown_sku_is_told_and_heals(world: World, erp: Erp) -> None:
    product = world.store.products[5]
    erp.put(product, 5)
    [known] = [erp.tryton.people.product(product["sku"])]
    erp.tryton.admin.write("product.product", [known], {"suffix_code": f"OLD-{known}"})
    order = erp.sold((product, 1))
    world.deliver()
    order.refresh_from_db()
    assert order.status == Order.Status.ERROR
    assert product["sku"] in order.problem
    assert FailedRecord.objects.get().fix.startswith("Add the product in Tryton")
    erp.tryton.admin.write("product.product", [known], {"suffix_code": product["sku"]})
    order_flow.release(order.pk, "ann")
    world.deliver()
    order.refresh_from_db()
    assert order.status == Order.Status.AT_WAREHOUSE
    assert not Alert.objects.filter(status=Alert.Status.OPEN).exists()


def test_a_sale_voided_in_the_shop_is_taken_back(world: World, erp: Erp) -> None:
    sale = world.sell((world.product(), 2))
    world.download()
    world.deliver()
    world.store.void_sale(sale["id"])
    world.download()
    world.deliver()
    order = world.order(sale)
    assert order.status == Order.Status.CANCELLED
    [there] = erp.sales(order.reference)
    states = erp.tryton.admin.read("stock.shipment.out", there["shipments"], ("state",), dict)
    assert [row["state"] for row in states] == ["cancelled"]


def test_a_return_reaches_tryton_as_a_return_of_its_sale(world: World, erp: Erp) -> None:
    sale = world.sell((world.product(), 2))
    world.download()
    world.deliver()
    [sold] = erp.sales(world.order(sale).reference)
    erp.tryton.people.ship(sold["shipments"][0], [Box({}, "T")])
    world.store.return_sale(sale["id"])
    world.download()
    world.deliver()
    refund = Refund.objects.get()
    assert refund.status == Refund.Status.AT_WAREHOUSE
    [back] = erp.sales(f"R/{refund.reference}")
    assert len(back["shipment_returns"]) == 1


def test_a_count_and_a_transfer_of_the_shop_are_booked(world: World, erp: Erp) -> None:
    bean = world.product()
    room = Stockroom.__new__(Stockroom)
    room.world, room.store, room.cart = world, world.store, world.cart
    room.here, room.there = world.store.outlets[:2]
    room.products = world.store.products[:2]
    room.switch_on(world.cart)
    world.run(Function.PRODUCT_PICKUP)
    other = room.add_cart(room.there, erp.location(1))
    room.switch_on(other)
    erp.put(bean, 0, place=1)

    room.store.order_stock(room.here, [(bean, 60)], name="", reference="CAR-25")
    room.search()
    room.deliver()
    assert StockAdjustment.objects.get().status == StockAdjustment.Status.BOOKED
    assert erp.on_hand(bean) == SHELF + 60

    room.store.transfer_stock(room.here, room.there, [(bean, 15)])
    for cart in (world.cart, other):
        assert world.run(Function.STOCK_TRANSFER_SYNC, cart).state == Run.State.DONE
    room.deliver()
    assert StockTransfer.objects.get().status == StockTransfer.Status.RECEIVED
    assert (erp.on_hand(bean), erp.on_hand(bean, place=1)) == (SHELF + 45, 15)
