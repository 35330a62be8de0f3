"""A long first load: what needs the orders waits for them, and nothing takes that for trouble."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils import timezone

from carts.models import Alert, Connection, Order
from connectors.functions import Function
from syncjobs.models import Run
from syncjobs.run_progress import length, progress_of
from syncjobs.runner import claim_run, execute
from syncjobs.schedule import request_run
from tests.engine.conftest import World

pytestmark = pytest.mark.django_db

DOWNLOAD = Function.ORDER_DOWNLOAD


@pytest.fixture
def loading(world: World, monkeypatch: pytest.MonkeyPatch) -> World:
    """Another worker is in the middle of the cart's first Order Download, and there is stock to write."""
    monkeypatch.setattr("syncjobs.nested.WAIT_SECONDS", 0.0)
    world.run(Function.PRODUCT_PICKUP)
    for product in world.store.products:
        world.stock(product["sku"], 7)
    assert claim_run(request_run(world.cart, DOWNLOAD, Run.Trigger.SCHEDULE).pk, "another") is not None
    return world


def test_inventory_sync_waits_for_the_first_order_download(loading: World) -> None:
    for _ in range(4):
        run = loading.sync_stock()
        assert run.state == Run.State.QUEUED, run.error
    connection = Connection.objects.get(pk=loading.cart.pk)
    assert (connection.failures_in_a_row, connection.resting_until, connection.last_error) == (0, None, "")
    assert not Alert.objects.exists()


def test_a_load_that_takes_longer_than_the_slice_goes_on_by_itself(world: World) -> None:
    """Inventory Sync begins the first Order Download itself, but does not hold its slot until that is through."""
    world.run(Function.PRODUCT_PICKUP)
    world.stock(world.product()["sku"], 7)
    world.sell()
    stock = claim_run(request_run(world.cart, Function.INVENTORY_SYNC, Run.Trigger.SCHEDULE).pk, "worker")
    assert stock is not None
    stock = execute(stock, "worker", stopping=lambda: Order.objects.exists())
    assert (stock.state, stock.error_kind) == (Run.State.QUEUED, "waiting")
    orders = Run.objects.get(function=DOWNLOAD)
    assert (orders.state, orders.counts) == (Run.State.QUEUED, {"imported": 1})
    assert "through" in stock.error
    world.download()
    assert world.sync_stock().state == Run.State.DONE


def test_products_for_the_warehouse_wait_for_the_shops_products(world: World) -> None:
    """Sending all products reads the shop first: a failure there is the cart's, and never rests the warehouse."""
    world.sandbox.fail(times=None, match="GET /products", status=503)
    run = world.run(Function.PRODUCT_DETAIL_SYNC, world.warehouse, full=True)
    assert run.state == Run.State.FAILED
    warehouse = Connection.objects.get(pk=world.warehouse.pk)
    assert (warehouse.failures_in_a_row, warehouse.resting_until) == (0, None)
    assert Connection.objects.get(pk=world.cart.pk).failures_in_a_row == 1


def test_what_failed_for_the_orders_counts_once(stocked: World) -> None:
    """Three Inventory Syncs that need orders while Vend is down: each failed download counts, its echo does not."""
    stocked.sandbox.fail(times=None, match="GET /sales", status=503)
    assert stocked.sync_stock().state == Run.State.FAILED
    assert Connection.objects.get(pk=stocked.cart.pk).failures_in_a_row == 1


@pytest.fixture
def stocked(world: World) -> World:
    world.run(Function.PRODUCT_PICKUP)
    for product in world.store.products:
        world.stock(product["sku"], 7)
    return world


def test_how_far_the_load_is_shows_in_the_dates_of_the_changes(world: World) -> None:
    world.store.generate_sales(6)
    run = Run.objects.get(pk=world.download().pk)
    changes = [sale.updated_at for sale in world.store.sales]
    assert run.records == 6
    assert (run.changes_from, run.changes_until) == (min(changes), max(changes))
    assert run.worked_seconds > 0


def a_run(**values: object) -> Run:
    return Run(function=DOWNLOAD, feed=DOWNLOAD, state=Run.State.RUNNING, **values)


class TestProgress:
    def test_of_a_feed_is_an_estimate_by_dates(self) -> None:
        now = timezone.now()
        run = a_run(
            records=50_000,
            worked_seconds=100.0,
            changes_from=now - timedelta(days=100),
            changes_until=now - timedelta(days=75),
        )
        progress = progress_of(run, now)
        assert progress is not None
        assert (progress.percent, progress.percent_words) == (25, "about 25 %")
        assert (progress.rate, progress.remaining) == (500.0, pytest.approx(300.0))
        parts = progress.parts()
        assert parts[:2] == ["50,000 read", "500 per second"]
        assert "about 5 min left" in parts

    def test_of_a_feed_that_says_nothing_invents_nothing(self) -> None:
        progress = progress_of(a_run(records=1_000, worked_seconds=20.0))
        assert progress is not None
        assert (progress.percent, progress.percent_words, progress.remaining) == (None, "", None)
        assert "how many there are is not known" in progress.parts()

    def test_of_a_pass_over_our_own_counts(self) -> None:
        progress = progress_of(a_run(counts={"seen": 30, "of": 120}, worked_seconds=6.0))
        assert progress is not None
        assert (progress.percent, progress.percent_words, progress.remaining) == (25, "25 %", pytest.approx(18.0))

    def test_at_the_very_beginning(self) -> None:
        progress = progress_of(a_run())
        assert progress is not None
        assert (progress.percent, progress.parts()) == (None, [])

    def test_of_what_is_over(self) -> None:
        assert progress_of(Run(state=Run.State.DONE, records=5)) is None

    @pytest.mark.parametrize(
        ("seconds", "words"), [(0.2, "1 s"), (59, "59 s"), (60, "1 min"), (3_500, "58 min"), (11_100, "3 h 5 min")]
    )
    def test_lengths(self, seconds: float, words: str) -> None:
        assert length(seconds) == words
