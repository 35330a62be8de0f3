"""A merchant with two carts and two warehouses of different systems: neither orders nor stock are mixed."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from carts.models import Cart, Order, StockFrom, StockLevel, Warehouse
from connectors.functions import Function
from connectors.integration_manager.sandbox import IntegrationManagerSandbox
from connectors.threepl.sandbox import ThreePLSandbox
from syncjobs.models import Delivery, Run
from tests.engine.conftest import World
from tests.engine.remote_warehouses import add_integration_manager, add_threepl


class TwoWarehouses:
    """The first outlet is served by 3PL Warehouse Manager (50 of everything), the second by Integration Manager (20)."""

    def __init__(
        self, world: World, threepl: ThreePLSandbox, manager: IntegrationManagerSandbox, settings: Any
    ) -> None:
        self.world, self.threepl, self.manager = world, threepl, manager
        self.there = world.store.outlets[1]
        self.first = add_threepl(world, threepl, settings)
        self.second = add_integration_manager(world, manager, settings, stock=20)
        self.here_cart, self.there_cart = world.cart, world.add_cart(self.there["name"])
        for cart, warehouse in ((self.here_cart, self.first), (self.there_cart, self.second)):
            Cart.objects.filter(pk=cart.pk).update(warehouse=warehouse, stock_from=StockFrom.ALL)
            cart.refresh_from_db()
        for function in (Function.SHIPMENT_PICKUP, Function.INVENTORY_PICKUP):
            for warehouse in (self.first, self.second):
                self.run(function, warehouse)

    def run(self, function: Function, connection: Any) -> None:
        run = self.world.run(function, connection)
        assert run.state == Run.State.DONE, run.error

    def sync(self) -> tuple[Any, Any]:
        """What the two outlets show of the first product afterwards."""
        product = self.world.product()
        for cart in (self.here_cart, self.there_cart):
            self.run(Function.INVENTORY_SYNC, cart)
        return self.world.level(product), self.world.store.level(product["id"], self.there["id"])

    def sell(self, quantity: int, outlet: Any) -> None:
        self.world.sell((self.world.product(), quantity), outlet=outlet["id"])

    def download(self) -> None:
        for cart in (self.here_cart, self.there_cart):
            self.run(Function.ORDER_DOWNLOAD, cart)


@pytest.fixture
def two(world: World, settings: Any) -> Iterator[TwoWarehouses]:
    with ThreePLSandbox(products=0) as threepl, IntegrationManagerSandbox(products=0, bucket=10_000) as manager:
        yield TwoWarehouses(world, threepl, manager, settings)


def order_of(cart: Cart) -> Order:
    return Order.objects.get(cart=cart)


def test_each_outlet_shows_its_own_warehouse(two: TwoWarehouses) -> None:
    assert two.sync() == (50, 20)
    two.threepl.store.set_stock(two.world.product()["sku"], 44)
    two.run(Function.INVENTORY_PICKUP, two.first)
    assert two.sync() == (44, 20)
    assert {level.location.warehouse_id for level in StockLevel.objects.filter(available=20)} == {two.second.pk}


def test_what_one_sells_is_not_taken_from_the_other(two: TwoWarehouses) -> None:
    two.sync()
    two.sell(3, two.world.outlet)
    two.sell(5, two.there)
    two.download()
    assert two.sync() == (47, 15), "before the orders are sent"
    assert two.world.deliver() == 2
    assert two.sync() == (47, 15), "after that"


def test_orders_shipments_and_cancellations_go_their_own_ways(two: TwoWarehouses) -> None:
    two.sell(3, two.world.outlet)
    two.sell(5, two.there)
    two.download()
    assert two.world.deliver() == 2
    here, there = order_of(two.here_cart), order_of(two.there_cart)
    assert (here.warehouse_id, there.warehouse_id) == (two.first.pk, two.second.pk)
    assert {order.location.warehouse_id for order in (here, there) if order.location} == {two.first.pk, two.second.pk}
    assert {delivery.connection_id: delivery.order_id for delivery in Delivery.objects.all()} == {
        two.first.pk: here.pk,
        two.second.pk: there.pk,
    }
    assert [order["referenceNum"] for order in two.threepl.store.orders.values()] == [here.reference]
    assert list(two.manager.store.orders) == [there.reference]

    two.manager.store.ship(there.reference, tracking_no="1Z-THERE")
    for warehouse in (two.first, two.second):
        two.run(Function.SHIPMENT_PICKUP, warehouse)
    assert (order_of(two.here_cart).status, order_of(two.there_cart).status) == ("at_warehouse", "shipped")


def test_one_warehouse_in_trouble_does_not_hold_the_other_up(two: TwoWarehouses) -> None:
    two.threepl.fail(times=20, match="POST /orders", status=503)
    two.sell(1, two.world.outlet)
    two.sell(1, two.there)
    two.download()
    two.world.deliver()
    assert (order_of(two.here_cart).status, order_of(two.there_cart).status) == ("new", "at_warehouse")
    assert Warehouse.objects.get(pk=two.second.pk).failures_in_a_row == 0
