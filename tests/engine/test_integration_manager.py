"""The circle with Extensiv Integration Manager at its end: Vend -> hub -> Integration Manager -> hub -> Vend, both of them
sandboxes over real HTTP. And its law: a shipment is acknowledged there only after it is stored here."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.utils import timezone

from carts import order_flow
from carts.connection_test import run_test
from carts.models import Alert, Cart, Order, Shipment, StockLevel, Warehouse
from carts.setup import check_settings, finish_new_connection
from connectors.functions import Function
from connectors.integration_manager.connector import IntegrationManagerWarehouse
from connectors.integration_manager.sandbox import IntegrationManagerSandbox
from connectors.registry import connector_class
from syncjobs import runner
from syncjobs.flows import acknowledging
from syncjobs.flows import shipments as flow
from syncjobs.models import Delivery, FailedRecord, Run
from syncjobs.runner import end_leases, recover_abandoned
from tests.engine.conftest import World

UPDATE = "POST /v1/cart/orders/update/{cust_ref}"
CREATE = "POST /v1/cart/orders/cartrover"


class Circle(World):
    """A Vend outlet whose orders go to the EAST warehouse of Integration Manager."""

    remote: IntegrationManagerSandbox

    def use(self, remote: IntegrationManagerSandbox, settings: Any) -> None:
        self.remote = remote
        settings.EXTRA_HOSTS = frozenset({self.sandbox.host, remote.host})
        for product in self.store.products:
            remote.store.add_product(product["sku"], product["name"], available=50)
        options, credentials = check_settings(
            connector_class("integration_manager"),
            {"api_url": remote.url, "default_ship_method": "GROUND"},
            {"api_user": remote.user, "api_key": remote.token},
            {},
        )
        self.warehouse = Warehouse.objects.create(
            merchant=self.merchant,
            name="Fulfilment",
            connector="integration_manager",
            options=options,
            credentials=credentials,
            is_active=True,
        )
        finish_new_connection(self.warehouse)
        report = run_test(self.warehouse)
        assert report.ok, report
        self.location = self.warehouse.locations.get(name="EAST")
        Cart.objects.filter(pk=self.cart.pk).update(warehouse=self.warehouse, location=self.location)
        self.cart.refresh_from_db()
        self.pick_up()  # so that orders confirmed by others are not looked for in the next hour

    def sent(self, *lines: tuple[Any, Any]) -> Order:
        """A sale that is at the warehouse."""
        sale = self.sell(*lines)
        self.download()
        self.deliver()
        order = self.order(sale)
        assert order.status == Order.Status.AT_WAREHOUSE, order.problem
        return order

    def pick_up(self, **flags: Any) -> Run:
        return self.run(Function.SHIPMENT_PICKUP, **flags)

    def status_there(self, order: Order) -> str:
        return str(self.remote.store.orders[order.reference]["order_status"])


@pytest.fixture
def circle(world: World, settings: Any) -> Iterator[Circle]:
    world.__class__ = Circle
    assert isinstance(world, Circle)
    with IntegrationManagerSandbox(products=0, bucket=10_000) as remote:
        world.use(remote, settings)
        yield world


def test_all_the_way_round(circle: Circle) -> None:
    bean = circle.product()
    circle.store.set_level(bean["id"], circle.outlet["id"], 50)
    order = circle.sent((bean, 2))
    delivery = Delivery.objects.get()
    there = circle.remote.store.orders[delivery.remote_id]
    assert (there["cust_ref"], there["cust_po_no"], there["location"]) == (order.reference, order.number, "EAST")
    assert Decimal(there["grand_total"]) == order.total

    circle.remote.store.ship(order.reference, tracking_no="1Z999")
    run = circle.pick_up()
    assert (run.state, run.counts) == (Run.State.DONE, {"shipments": 1, "acknowledged": 1}), run.error
    order.refresh_from_db()
    assert order.status == Order.Status.SHIPPED
    shipment = order.shipments.get()
    assert (shipment.carrier, shipment.tracking_number) == ("UPS", "1Z999")
    assert circle.status_there(order) == "confirmed"

    circle.remote.store.set_stock(bean["sku"], 75)
    assert circle.run(Function.INVENTORY_PICKUP).state == Run.State.DONE
    run = circle.sync_stock()
    assert run.state == Run.State.DONE, run.error
    assert circle.level(bean) == 75

    run = circle.run(Function.PRODUCT_PICKUP, circle.warehouse)
    assert run.counts["products"] == len(circle.store.products)
    assert circle.warehouse.products.get(sku=bean["sku"]).prices == {"retail": "10.00"}


def test_a_cancellation_reaches_the_wms(circle: Circle) -> None:
    order = circle.sent()
    circle.remote.store.deliver()
    order_flow.cancel(order.pk, actor="ada", reason="Changed their mind")
    circle.deliver()
    order.refresh_from_db()
    assert order.status == Order.Status.CANCELLED
    assert circle.status_there(order) == "canceled"


def test_an_answer_lost_after_the_order_was_accepted_makes_one_order(circle: Circle) -> None:
    circle.remote.fail(match=CREATE, fault="answer_lost")
    sale = circle.sell()
    circle.download()
    circle.deliver()
    assert Delivery.objects.get().in_doubt
    Delivery.objects.update(run_at=timezone.now())
    circle.warehouse.refresh_from_db()
    circle.deliver()
    assert circle.order(sale).status == Order.Status.AT_WAREHOUSE
    assert circle.remote.count(CREATE) == 1
    assert len(circle.remote.store.orders) == 1


class Killed(BaseException):
    """As if by kill -9."""


def die(*args: Any, **kwargs: Any) -> Any:
    raise Killed


class TestAcknowledgedOnlyAfterItIsStored:
    """The worker dies at each moment: no shipment is lost, none is booked twice, and none is acknowledged unseen."""

    def killed(self, circle: Circle, monkeypatch: pytest.MonkeyPatch, target: Any, name: str) -> None:
        with monkeypatch.context() as patch:
            patch.setattr(target, name, die)
            with pytest.raises(Killed):
                circle.pick_up()
        end_leases("test")
        recover_abandoned()

    def settle(self, circle: Circle, order: Order) -> None:
        """The next worker."""
        queued = Run.objects.get(function=Function.SHIPMENT_PICKUP, state=Run.State.QUEUED)
        claimed = runner.claim_run(queued.pk, "next")
        assert claimed is not None
        run = runner.execute(claimed, "next")
        assert run.state == Run.State.DONE, run.error
        order.refresh_from_db()
        assert order.status == Order.Status.SHIPPED
        assert [line.shipped for line in order.lines.all()] == [2]
        assert Shipment.objects.count() == 1
        assert circle.status_there(order) == "confirmed"

    @pytest.fixture
    def order(self, circle: Circle) -> Order:
        order = circle.sent((circle.product(), 2))
        circle.remote.store.ship(order.reference)
        return order

    def test_before_the_page_is_stored(self, circle: Circle, order: Order, monkeypatch: pytest.MonkeyPatch) -> None:
        self.killed(circle, monkeypatch, flow, "book")
        assert (Shipment.objects.count(), circle.status_there(order)) == (0, "shipped")
        self.settle(circle, order)

    def test_while_the_page_is_stored(self, circle: Circle, order: Order, monkeypatch: pytest.MonkeyPatch) -> None:
        """Everything of the page is written, nothing committed."""
        self.killed(circle, monkeypatch, flow, "record_failures")
        assert (Shipment.objects.count(), circle.status_there(order)) == (0, "shipped")
        self.settle(circle, order)

    def test_between_the_commit_and_the_acknowledgement(
        self, circle: Circle, order: Order, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        self.killed(circle, monkeypatch, IntegrationManagerWarehouse, "acknowledge_shipments")
        assert (Shipment.objects.count(), circle.status_there(order)) == (1, "shipped")
        self.settle(circle, order)

    def test_after_the_acknowledgement(self, circle: Circle, order: Order, monkeypatch: pytest.MonkeyPatch) -> None:
        self.killed(circle, monkeypatch, acknowledging, "settle_external")
        assert (Shipment.objects.count(), circle.status_there(order)) == (1, "confirmed")
        self.settle(circle, order)

    def test_the_answer_to_it_gets_lost(self, circle: Circle, order: Order) -> None:
        circle.remote.fail(match=UPDATE, fault="answer_lost")
        assert circle.pick_up().state == Run.State.FAILED
        assert circle.status_there(order) == "confirmed"
        run = circle.pick_up()
        assert run.state == Run.State.DONE
        assert Shipment.objects.count() == 1

    def test_a_page_that_is_not_ours_any_more_is_not_acknowledged(
        self, circle: Circle, order: Order, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Another worker took the run over while this one was busy."""
        book = flow.book

        def slow(*args: Any) -> Any:
            Run.objects.filter(state=Run.State.RUNNING).update(lease_owner="another")
            return book(*args)

        with monkeypatch.context() as patch:
            patch.setattr(flow, "book", slow)
            circle.pick_up()
        assert (Shipment.objects.count(), circle.status_there(order)) == (0, "shipped")
        assert circle.remote.count(UPDATE) == 0


class TestTroubleWithAcknowledging:
    def test_does_not_keep_shipments_from_being_taken(self, circle: Circle) -> None:
        circle.remote.most_rows = 1
        orders = [circle.sent() for _ in range(3)]
        for order in orders:
            circle.remote.store.ship(order.reference)
        circle.remote.fail(match=UPDATE, times=None, status=503)
        run = circle.pick_up()
        assert (run.state, run.counts) == (Run.State.FAILED, {"shipments": 3})
        assert circle.remote.count(UPDATE) == 1, "the rest of the run spares the remote"
        circle.remote.clear_faults()
        run = circle.pick_up()
        assert (run.state, run.counts) == (Run.State.DONE, {"unchanged": 3, "acknowledged": 3})
        assert {circle.status_there(order) for order in orders} == {"confirmed"}

    def test_a_refusal_is_filed_and_closes_itself(self, circle: Circle) -> None:
        order = circle.sent()
        circle.remote.store.ship(order.reference)
        circle.remote.fail(match=UPDATE, status=400)
        run = circle.pick_up()
        assert (run.state, run.counts) == (Run.State.DONE, {"shipments": 1, "rejected": 1})
        record = FailedRecord.objects.get()
        assert record.cause == "not_acknowledged" and "booked" in record.reason
        assert Alert.objects.filter(resolved_at__isnull=True).exists()
        assert circle.pick_up().counts == {"unchanged": 1, "acknowledged": 1}
        record.refresh_from_db()
        assert record.status == FailedRecord.Status.REPROCESSED
        assert not Alert.objects.filter(resolved_at__isnull=True).exists()

    def test_a_preview_acknowledges_nothing(self, circle: Circle) -> None:
        order = circle.sent()
        circle.remote.store.ship(order.reference)
        run = circle.pick_up(dry_run=True)
        assert run.counts == {"book": 1}
        assert circle.status_there(order) == "shipped"
        assert not Shipment.objects.exists()


class TestStrangers:
    @pytest.fixture
    def stranger(self, circle: Circle) -> str:
        """An order that somebody entered at Integration Manager by hand, under the hub's own key."""
        order = circle.sent()
        store = circle.remote.store
        store.orders["BY-HAND"] = {
            **store.orders[order.reference],
            "cust_ref": "BY-HAND",
            "extra_fields": [],
            "shipments": [],
        }
        store.ship("BY-HAND")
        return "BY-HAND"

    def test_are_told_once_and_stay_theirs(self, circle: Circle, stranger: str) -> None:
        for _ in range(2):
            assert circle.pick_up().counts == {"rejected": 1}
        record = FailedRecord.objects.get()
        assert (record.cause, record.count) == ("unknown_order", 2)
        assert circle.remote.store.orders[stranger]["order_status"] == "shipped"

    def test_are_left_alone_once_a_person_says_so(self, circle: Circle, stranger: str) -> None:
        from syncjobs.failures import ignore

        circle.pick_up()
        ignore(FailedRecord.objects.get(), "Entered by hand", "ada")
        assert circle.pick_up().counts == {"ignored": 1}
        assert FailedRecord.objects.count() == 1
        assert not Alert.objects.filter(resolved_at__isnull=True).exists()


def test_an_order_is_found_by_the_id_that_the_remote_gave_it(circle: Circle) -> None:
    """A remote that shortens references and loses what came with them."""
    circle.remote.store.longest_cust_ref = 8
    order = circle.sent()
    there = circle.remote.store.orders[Delivery.objects.get().remote_id]
    assert there["cust_ref"] != order.reference
    there |= {"extra_fields": [], "cust_ref_original": None}
    circle.remote.store.ship(there["cust_ref"])
    assert circle.pick_up().counts == {"shipments": 1, "acknowledged": 1}
    order.refresh_from_db()
    assert order.status == Order.Status.SHIPPED


class TestFreshOrders:
    """Integration Manager hands on what its WMS told last: orders that went out since are not in those figures."""

    def test_are_deducted_by_the_time_of_each_figure(self, circle: Circle) -> None:
        bean, tea = circle.product(0), circle.product(1)
        order = circle.sent((bean, 2), (tea, 3))
        for product, minutes in ((bean, -5), (tea, +5)):
            level = circle.remote.store.stock[product["sku"]]["2352"]
            level["as_of"] = order.at_warehouse_at + timedelta(minutes=minutes)
            circle.store.set_level(product["id"], circle.outlet["id"], 50)
        circle.run(Function.INVENTORY_PICKUP)
        circle.sync_stock()
        assert (circle.level(bean), circle.level(tea)) == (48, 50)

    def test_a_figure_from_the_future_is_one_of_now(self, circle: Circle) -> None:
        level = circle.remote.store.stock[circle.product()["sku"]]["2352"]
        level["as_of"] = timezone.now() + timedelta(days=1)
        circle.run(Function.INVENTORY_PICKUP)
        assert StockLevel.objects.get(sku=circle.product()["sku"]).read_at <= timezone.now()


def test_a_new_warehouse_there_appears_here_by_its_name(circle: Circle) -> None:
    circle.remote.store.set_stock(circle.product()["sku"], 4, "2353")
    circle.run(Function.INVENTORY_PICKUP)
    assert circle.warehouse.locations.get(external_id="2353").name == "WEST"


def test_a_rate_limit_lets_the_run_wait(circle: Circle) -> None:
    circle.remote.bucket = 0
    run = circle.pick_up()
    assert (run.state, run.error_kind) == (Run.State.QUEUED, "rate_limited")
    assert run.run_at > timezone.now()
    assert not Alert.objects.exists()
