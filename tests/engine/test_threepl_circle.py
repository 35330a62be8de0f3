"""A sale all the way through 3PL Warehouse Manager: order, package with tracking, stock back; and what goes wrong."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pytest

from carts import order_flow
from carts.connection_test import run_test
from carts.models import Alert, Order, Product, StockLevel, Warehouse
from carts.setup import check_settings, finish_new_connection
from connectors.functions import Function
from connectors.registry import connector_class
from connectors.threepl.sandbox import ThreePLSandbox
from syncjobs.models import Delivery, FailedRecord, Run
from tests.engine.conftest import World


@pytest.fixture
def remote(world: World, settings: Any) -> Iterator[ThreePLSandbox]:
    """The world's cart sends its orders to a fake 3PL Warehouse Manager that knows the shop's products."""
    with ThreePLSandbox(products=0) as remote:
        settings.EXTRA_HOSTS = frozenset({world.sandbox.host, remote.host})
        for product in world.store.products:
            remote.store.add_item(85, product["sku"], product["name"], price=Decimal(15))
            remote.store.set_stock(product["sku"], 50)
        options, credentials = check_settings(
            connector_class("threepl"),
            {"url": remote.url, "user_login": "hub", "customer_id": 85, "facility_id": 1},
            {"client_id": remote.client_id, "client_secret": remote.client_secret},
            {},
        )
        world.warehouse = Warehouse.objects.create(
            merchant=world.merchant, name="3PL", connector="threepl", options=options, credentials=credentials,
            is_active=True,
        )  # fmt: skip
        finish_new_connection(world.warehouse)
        assert run_test(world.warehouse).ok
        # The first location: the facility of the settings.
        assert world.run(Function.INVENTORY_PICKUP).state == Run.State.DONE
        world.location = world.warehouse.locations.get(external_id="1")
        world.cart.warehouse, world.cart.location = world.warehouse, world.location
        world.cart.save()
        yield remote


def sold(world: World, *lines: tuple[Any, Any]) -> Order:
    sale = world.sell(*lines)
    world.download()
    return world.order(sale)


def test_a_sale_goes_all_the_way_round(world: World, remote: ThreePLSandbox) -> None:
    bean, cup = world.product(0), world.product(1)
    order = sold(world, (bean, 2), (cup, 1))
    assert world.deliver() == 1
    order.refresh_from_db()
    assert order.status == Order.Status.AT_WAREHOUSE
    stored = remote.store.order_of(order.reference)
    assert stored["poNum"] == order.number
    assert [(item["itemIdentifier"]["sku"], item["qty"]) for item in stored["orderItems"]] == [
        (bean["sku"], 2),
        (cup["sku"], 1),
    ]

    remote.store.close(order.reference, [("1Z1", {bean["sku"]: 2}), ("1Z2", {cup["sku"]: 1})])
    for _ in range(2):
        run = world.run(Function.SHIPMENT_PICKUP)
        assert run.state == Run.State.DONE, run.error
    order.refresh_from_db()
    assert order.status == Order.Status.SHIPPED
    assert [shipment.tracking_number for shipment in order.shipments.all()] == ["1Z1", "1Z2"]

    assert world.run(Function.INVENTORY_PICKUP).state == Run.State.DONE
    assert StockLevel.objects.get(location=world.location, sku=bean["sku"]).available == 48
    assert world.sync_stock().state == Run.State.DONE
    assert world.level(bean) == 48
    assert world.run(Function.PRODUCT_PICKUP, world.warehouse).state == Run.State.DONE
    product = Product.objects.get(connection=world.warehouse, sku=bean["sku"])
    assert (product.name, Decimal(product.prices["retail"])) == (bean["name"], 15)


def test_an_order_whose_answer_was_lost_is_there_once(world: World, remote: ThreePLSandbox) -> None:
    order = sold(world, (world.product(), 1))
    remote.fail(match="POST /orders", fault="answer_lost")
    world.deliver()
    delivery = Delivery.objects.get(order=order, kind=Delivery.Kind.ORDER)
    assert (delivery.state, delivery.in_doubt) == (Delivery.State.RETRY, True)
    Delivery.objects.update(run_at=delivery.created_at)
    world.warehouse.refresh_from_db()
    Warehouse.objects.update(resting_until=None)
    world.deliver()
    delivery.refresh_from_db()
    order.refresh_from_db()
    assert (delivery.state, order.status) == (Delivery.State.DONE, Order.Status.AT_WAREHOUSE)
    assert delivery.remote_id == str(remote.store.order_of(order.reference)["readOnly"]["orderId"])
    assert remote.count("POST /orders") == 1


def test_an_unknown_sku_is_told_and_heals(world: World, remote: ThreePLSandbox) -> None:
    product = world.product()
    order = sold(world, (product, 1))
    item = remote.store.item(product["sku"])
    del remote.store.items[item["itemId"]]
    world.deliver()
    order.refresh_from_db()
    assert order.status == Order.Status.ERROR
    assert product["sku"] in order.problem
    assert FailedRecord.objects.get().fix.startswith("Add the item")
    remote.store.items[item["itemId"]] = item
    order_flow.release(order.pk, "ann")
    world.deliver()
    order.refresh_from_db()
    assert order.status == Order.Status.AT_WAREHOUSE
    assert not Alert.objects.filter(status=Alert.Status.OPEN).exists()


@pytest.mark.parametrize("shipped", [False, True])
def test_a_cancellation_reaches_the_warehouse(world: World, remote: ThreePLSandbox, shipped: bool) -> None:
    order = sold(world, (world.product(), 1))
    world.deliver()
    if shipped:
        remote.store.close(order.reference)
    order_flow.cancel(order.pk, "changed her mind", "ann")
    world.deliver()
    order.refresh_from_db()
    assert order.status == (Order.Status.AT_WAREHOUSE if shipped else Order.Status.CANCELLED)
    assert remote.store.order_of(order.reference)["readOnly"]["status"] == (1 if shipped else 2)
    assert Alert.objects.filter(kind="cancellation_refused").exists() is shipped
