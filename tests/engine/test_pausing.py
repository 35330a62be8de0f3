"""Pause and Continue: the page at hand is stored, the cursor stays, nothing starts the function meanwhile, and what waits
for it is not in trouble."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from carts.models import Alert, Cart, Connection, Order, OutletLevel
from connectors.functions import Function
from syncjobs.drain import ALL_LANES
from syncjobs.models import Run, Schedule, WebhookEvent
from syncjobs.pausing import PauseRefused, go_on, pause, put_aside
from syncjobs.runner import claim_run, claim_runs, execute, recover_abandoned
from syncjobs.schedule import dispatch_due, request_run
from tests.engine.conftest import World
from tests.engine.test_leases import Killed, assert_all_arrived, claimed, cursor_of, lease_runs_out

pytestmark = pytest.mark.django_db

DOWNLOAD = Function.ORDER_DOWNLOAD
PRODUCTS = Function.PRODUCT_PICKUP
PAGE = 4
State = Run.State


@pytest.fixture(autouse=True)
def small_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("connectors.vend.client.SALES_PER_PAGE", PAGE)


@pytest.fixture
def sales(world: World) -> list[Any]:
    return [world.sell() for _ in range(4 * PAGE)]


def paused_after_a_page(world: World) -> Run:
    """A load that a person pauses while its first page is being stored."""
    run = claimed(world)

    def press_pause(run: Run) -> None:
        if Order.objects.exists():
            pause(Run.objects.get(pk=run.pk), "ada")

    return execute(run, "old", progress=press_pause)


def go_on_with(world: World, function: Function = DOWNLOAD) -> str:
    return go_on(Connection.objects.select_related("merchant").get(pk=world.cart.pk), function, "bob")


def run_what_is_due(world: World) -> None:
    for _ in range(20):
        runs = claim_runs("worker", ALL_LANES)
        if not runs:
            return
        for run in runs:
            execute(run, "worker")


class TestALoad:
    def test_ends_after_its_page_and_goes_on_from_its_cursor(self, world: World, sales: list[Any]) -> None:
        run = paused_after_a_page(world)
        assert (run.state, run.lease_owner, Order.objects.count()) == (State.PAUSED, "", PAGE)
        schedule = Schedule.objects.get(connection_id=world.cart.pk, function=DOWNLOAD)
        assert (schedule.paused_by, schedule.cursor) == ("ada", run.cursor_after)
        assert (schedule.failures, schedule.last_error, Alert.objects.count()) == (0, "", 0)
        assert "goes on from where it stopped" in go_on_with(world)
        [again] = claim_runs("new", ALL_LANES)
        assert again.pk == run.pk
        assert execute(again, "new").state == State.DONE
        assert_all_arrived(world, sales)
        run.refresh_from_db()
        assert (run.counts["imported"], run.records) == (len(sales), len(sales))

    def test_nothing_starts_it_meanwhile(self, world: World, sales: list[Any]) -> None:
        run = paused_after_a_page(world)
        cursor, calls = cursor_of(world), world.sandbox.count("GET /sales")
        Schedule.objects.update(next_run_at=timezone.now() - timedelta(minutes=1))
        Schedule.objects.exclude(function=DOWNLOAD).update(next_run_at=timezone.now() + timedelta(days=1))
        dispatch_due()
        assert request_run(world.cart, DOWNLOAD, Run.Trigger.WEBHOOK).pk == run.pk
        assert request_run(world.cart, DOWNLOAD, Run.Trigger.PERSON, full=True).state == State.PAUSED
        assert request_run(world.cart, Function.ORDER_CANCEL_DOWNLOAD, Run.Trigger.API).state == State.PAUSED
        assert claim_run(run.pk, "worker") is None
        assert claim_runs("worker", ALL_LANES) == []
        assert not Run.objects.filter(state=State.QUEUED).exists()
        assert (cursor_of(world), world.sandbox.count("GET /sales")) == (cursor, calls)
        go_on_with(world)
        run_what_is_due(world)
        assert_all_arrived(world, sales)
        assert not Run.objects.filter(state__in=[State.QUEUED, State.PAUSED]).exists()

    def test_a_webhook_meanwhile(self, world: World, sales: list[Any]) -> None:
        run = paused_after_a_page(world)
        payload = b'{"id": "x", "status": "CLOSED"}'
        WebhookEvent.objects.create(connection_id=world.cart.pk, topic="sale.update", headers={}, body=payload)
        assert world.process_inbox() == 1
        assert set(Run.objects.filter(feed=DOWNLOAD).values_list("pk", "state")) == {(run.pk, State.PAUSED)}

    def test_a_webhook_between_the_click_and_the_end_of_the_page(self, world: World, sales: list[Any]) -> None:
        run = claimed(world)
        pause(Run.objects.get(pk=run.pk), "ada")
        late = request_run(world.cart, DOWNLOAD, Run.Trigger.WEBHOOK)
        assert late.state == State.PAUSED
        assert execute(run, "old").state == State.PAUSED
        late.refresh_from_db()
        assert (late.state, late.error_kind) == (State.CANCELLED, "superseded")

    def test_what_slipped_into_the_queue(self, world: World, sales: list[Any]) -> None:
        paused_after_a_page(world)
        Run.objects.update(state=State.QUEUED)
        assert claim_runs("worker", ALL_LANES) == []
        put_aside()
        assert Run.objects.get().state == State.PAUSED

    def test_a_worker_killed_while_it_was_to_pause(self, world: World, sales: list[Any]) -> None:
        run = claimed(world)

        def die(one: Run) -> None:
            if Order.objects.exists():
                pause(Run.objects.get(pk=one.pk), "ada")
                raise Killed

        with pytest.raises(Killed):
            execute(run, "old", progress=die)
        lease_runs_out(run)
        assert recover_abandoned() == 1
        run.refresh_from_db()
        assert run.state == State.PAUSED
        assert recover_abandoned() == 0
        go_on_with(world)
        run_what_is_due(world)
        assert_all_arrived(world, sales)

    def test_a_full_pass(self, world: World, sales: list[Any]) -> None:
        world.download()
        run = claimed(world, full=True)
        finished = execute(run, "old", progress=lambda one: pause(Run.objects.get(pk=one.pk), "ada") and None)
        assert (finished.state, finished.counts["unchanged"]) == (State.PAUSED, PAGE)
        go_on_with(world)
        run_what_is_due(world)
        finished.refresh_from_db()
        assert (finished.state, finished.counts["unchanged"]) == (State.DONE, len(sales))

    def test_on_its_last_page(self, world: World) -> None:
        """The load is over, and the function stays paused: that is what the person asked for."""
        world.sell()
        run = claimed(world)
        finished = execute(run, "old", progress=lambda one: pause(one, "ada") if one.state == State.RUNNING else None)
        assert finished.state == State.PAUSED
        go_on_with(world)
        run_what_is_due(world)
        assert Run.objects.get(pk=run.pk).state == State.DONE


class TestPressing:
    def test_pause_twice(self, world: World, sales: list[Any]) -> None:
        run = request_run(world.cart, DOWNLOAD, Run.Trigger.PERSON)
        pause(run, "ada")
        since = Schedule.objects.get(connection_id=world.cart.pk, function=DOWNLOAD).paused_at
        assert "paused by ada" in pause(Run.objects.get(pk=run.pk), "bob")
        schedule = Schedule.objects.get(connection_id=world.cart.pk, function=DOWNLOAD)
        assert (schedule.paused_at, schedule.paused_by) == (since, "ada")

    def test_what_cannot_be_paused(self, world: World) -> None:
        with pytest.raises(PauseRefused, match="is over"):
            pause(world.download(), "ada")
        with pytest.raises(PauseRefused, match="preview"):
            pause(request_run(world.cart, DOWNLOAD, Run.Trigger.PERSON, dry_run=True), "ada")
        with pytest.raises(PauseRefused, match="never long"):
            pause(request_run(world.warehouse, Function.SHIPMENT_PICKUP, Run.Trigger.PERSON), "ada")
        assert not Schedule.objects.filter(paused_at__isnull=False).exists()

    def test_continue_from_two_windows(self, world: World, sales: list[Any]) -> None:
        paused_after_a_page(world)
        go_on_with(world)
        assert "is not paused" in go_on_with(world)
        assert Run.objects.filter(state=State.QUEUED, feed=DOWNLOAD).count() == 1

    def test_continue_when_no_run_waits_asks_for_one(self, world: World, sales: list[Any]) -> None:
        paused_after_a_page(world)
        Run.objects.all().delete()
        go_on_with(world)
        run_what_is_due(world)
        assert_all_arrived(world, sales)

    def test_a_preview_looks_all_the_same(self, world: World, sales: list[Any]) -> None:
        paused_after_a_page(world)
        assert world.download(dry_run=True).counts["import"] == len(sales) - PAGE

    def test_a_cart_that_is_switched_off(self, world: World, sales: list[Any]) -> None:
        paused_after_a_page(world)
        Cart.objects.filter(pk=world.cart.pk).update(is_active=False)
        with pytest.raises(PauseRefused, match="switched off"):
            go_on_with(world)
        Cart.objects.filter(pk=world.cart.pk).update(is_active=True)
        dispatch_due(timezone.now() + timedelta(hours=2))
        assert Run.objects.get(feed=DOWNLOAD, full=False).state == State.PAUSED
        go_on_with(world)
        Run.objects.exclude(feed=DOWNLOAD).delete()
        run_what_is_due(world)
        assert_all_arrived(world, sales)

    def test_a_cart_that_is_deleted(self, world: World) -> None:
        pause(request_run(world.cart, DOWNLOAD, Run.Trigger.PERSON), "ada")
        Cart.objects.get(pk=world.cart.pk).delete()
        put_aside()
        assert claim_runs("worker", ALL_LANES) == []
        assert not Run.objects.exists()


class TestWhatNeedsIt:
    def test_inventory_sync_waits_and_writes_afterwards(self, world: World, sales: list[Any]) -> None:
        bean = world.product()
        world.stock(bean["sku"], 90)
        paused_after_a_page(world)
        world.sandbox.reset_calls()
        stock = world.sync_stock()
        assert (stock.state, stock.error_kind) == (State.QUEUED, "waiting")
        assert "Order Download paused by ada" in stock.error
        assert stock.run_at > timezone.now()
        assert world.sandbox.count("POST /inventory") == 0, "it looks before it calls anybody"
        connection = Connection.objects.get(pk=world.cart.pk)
        assert (connection.failures_in_a_row, connection.resting_until, Alert.objects.count()) == (0, None, 0)
        go_on_with(world)
        stock.refresh_from_db()
        assert stock.run_at <= timezone.now(), "it looks again at once"
        run_what_is_due(world)
        stock.refresh_from_db()
        assert (stock.state, stock.error) == (State.DONE, "")
        assert world.level(bean) == 90 - len(sales)

    def test_orders_of_known_products_go_on_while_products_are_paused(self, world: World) -> None:
        world.sell()
        world.download()
        pause(request_run(world.cart, PRODUCTS, Run.Trigger.PERSON), "ada")
        known = world.sell()
        assert world.download().state == State.DONE
        assert world.order(known).status == Order.Status.NEW
        fresh = world.store.add_product(sku="FRESH", name="Fresh", price=5, levels={world.outlet["id"]: 10})
        unknown = world.sell((fresh, 1))
        run = world.download()
        assert (run.state, run.error_kind) == (State.QUEUED, "waiting")
        assert "Product Pickup paused by ada" in run.error
        assert not Order.objects.filter(external_id=unknown["id"]).exists()
        assert not Alert.objects.exists()
        go_on_with(world, PRODUCTS)
        run_what_is_due(world)
        assert world.order(unknown).lines.get().sku == "FRESH"

    def test_another_cart_of_the_store_and_the_warehouse_goes_on(self, world: World, sales: list[Any]) -> None:
        other = world.add_cart(world.store.outlets[1]["name"])
        world.stock(world.product()["sku"], 60)
        paused_after_a_page(world)
        sale = world.sell(outlet=world.store.outlets[1]["id"])
        assert world.download(connection=other).state == State.DONE
        assert world.order(sale).cart_id == other.pk
        assert world.sync_stock(connection=other).state == State.DONE
        assert OutletLevel.objects.filter(cart=other).exists()
