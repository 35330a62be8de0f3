"""What a comparison covers: nothing that is merely on its way, old mismatches close, and a month does not fit in memory."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.utils import timezone

from carts import order_flow
from carts.models import Alert, Order, OutletLevel, PickOrder, StockLevel, Warehouse
from carts.setup import check_settings, finish_new_connection
from connectors.functions import Function
from connectors.registry import connector_class
from connectors.threepl.sandbox import ThreePLSandbox
from syncjobs.flows.reconciliation import look, warehouse
from syncjobs.models import Mismatch, Reconciliation, Run, Schedule
from syncjobs.reconciliation import request_reconciliation
from syncjobs.reconciliation_fixes import fix
from syncjobs.runner import claim_run, execute
from syncjobs.schedule import request_run
from tests.engine.conftest import World
from tests.engine.query_counts import counted_queries
from tests.engine.test_reconciliation import HOUR, causes, compare, let_time_pass, miss, some_order

DAY = timedelta(days=1)


def newest() -> Reconciliation:
    return Reconciliation.objects.order_by("-pk")[0]


def sell_many(world: World, number: int, ago: timedelta = 2 * HOUR) -> None:
    for place in range(number):
        world.sell(sale_date=timezone.now() - ago - timedelta(minutes=place))
    world.download()
    world.deliver(rounds=number + 5)
    world.sync_stock()
    let_time_pass()


# --- on its way ------------------------------------------------------------------------------------------------------


def test_a_cart_that_was_never_synced_has_no_mismatches(world: World) -> None:
    world.sell(sale_date=timezone.now() - 2 * HOUR)
    world.stock(world.product()["sku"], 40)
    assert causes(world) == []
    assert newest().left_out == [
        "The cart's orders were not compared: Order Download has not been through yet.",
        "Stock was not compared: Inventory Sync has not been through yet.",
    ]
    assert not Alert.objects.filter(kind="reconciliation").exists()
    world.download()
    world.deliver()
    world.sync_stock()
    assert causes(world) == []
    assert newest().left_out == []


def test_a_sale_that_the_download_has_not_seen_yet_is_on_its_way(world: World) -> None:
    world.download()
    world.sync_stock()
    world.sell(sale_date=timezone.now() - HOUR)
    assert causes(world) == []
    let_time_pass()
    miss(world, Function.ORDER_DOWNLOAD)
    miss(world, Function.INVENTORY_SYNC)
    assert "missing_here" in {cause for cause, _ in causes(world)}
    assert newest().left_out == []


def test_stock_that_a_fresh_sale_moved_is_on_its_way(world: World) -> None:
    """What made alerts in a shop that had just opened."""
    product = world.product(3)
    world.stock(product["sku"], 40)
    world.download()
    world.sync_stock()
    let_time_pass()
    world.sell((product, 2))
    assert world.level(product) == 38
    assert causes(world) == []


def test_a_level_that_is_written_meanwhile_is_no_mismatch(world: World) -> None:
    product = world.product(3)
    world.stock(product["sku"], 40)
    world.download()
    world.sync_stock()
    let_time_pass()
    world.store.set_level(product["id"], world.outlet["id"], Decimal(7))
    miss(world, Function.INVENTORY_SYNC)
    OutletLevel.objects.update(written_at=timezone.now() + HOUR)
    assert causes(world) == []
    OutletLevel.objects.update(written_at=timezone.now() - HOUR)
    assert [cause for cause, _ in causes(world)] == ["stock_differs"]
    StockLevel.objects.update(changed_at=timezone.now())
    row = Mismatch.objects.get()
    assert [row.cause for row in compare(world)] == ["stock_differs"], "not decided, so it stays as it was"
    row.refresh_from_db()
    assert row.state == Mismatch.State.OPEN


def test_a_cancellation_on_its_way_to_the_warehouse_is_no_mismatch(world: World) -> None:
    sell_many(world, 1)
    let_time_pass()
    order_flow.cancel(some_order().pk, "Customer called", "pat")
    assert "alive_at_warehouse" not in {cause for cause, _ in causes(world)}


def test_an_order_that_arrived_without_an_answer_is_found(world: World) -> None:
    sell_many(world, 1)
    order = some_order()
    Order.objects.filter(pk=order.pk).update(status=Order.Status.ERROR, at_warehouse_at=None)
    other = order.cart.orders.create(
        merchant=order.merchant, warehouse=order.warehouse, external_id="x", number="X", reference="other",
        placed_at=order.placed_at, status=Order.Status.CONFIRMED, at_warehouse_at=timezone.now(),
    )  # fmt: skip
    found = [row for row in compare(world) if row.cause == "arrived_unknown"]
    assert [row.label for row in found] == [order.number]
    fix(found[0], "pat")
    world.deliver()
    order.refresh_from_db()
    assert order.status == Order.Status.AT_WAREHOUSE
    assert PickOrder.objects.count() == 1
    assert other.status == Order.Status.CONFIRMED


# --- what closes, and when it is looked at again ----------------------------------------------------------------------


def test_a_mismatch_from_before_the_period_closes_itself(world: World) -> None:
    """What left alerts open for which nobody found a cause."""
    world.sell(sale_date=timezone.now() - 20 * DAY)
    world.download()
    world.deliver()
    order = some_order()
    right = order.total
    Order.objects.filter(pk=order.pk).update(total=1, version=0)
    now = timezone.now()
    request_reconciliation(world.cart, Run.Trigger.PERSON, now - 30 * DAY, now)
    (row,) = compare(world)
    assert row.placed_at == order.placed_at
    assert causes(world) == [("total_differs", order.number)], "older than the daily period, and still so"
    Order.objects.filter(pk=order.pk).update(total=right)
    assert causes(world) == []
    assert Alert.objects.get(kind="reconciliation").status == Alert.Status.RESOLVED


def test_an_old_order_that_was_missing_here_closes_itself(world: World) -> None:
    world.sell(sale_date=timezone.now() - 20 * DAY)
    world.download()
    world.deliver()
    lost = some_order()
    PickOrder.objects.all().delete()
    lost.delete()
    now = timezone.now()
    request_reconciliation(world.cart, Run.Trigger.PERSON, now - 30 * DAY, now)
    (row,) = compare(world)
    assert (row.cause, row.order) == ("missing_here", None)
    fix(row, "pat")
    world.deliver()
    assert causes(world) == []
    row.refresh_from_db()
    assert row.state == Mismatch.State.GONE


def test_stock_is_settled_when_it_is_not_synced_any_more(world: World) -> None:
    product = world.product(3)
    world.stock(product["sku"], 40)
    world.sync_stock()
    let_time_pass()
    world.store.set_level(product["id"], world.outlet["id"], Decimal(7))
    miss(world, Function.INVENTORY_SYNC)
    (row,) = compare(world)
    assert row.place == f"{world.cart}, stock of {world.location}"
    world.cart.function_settings.filter(function=Function.INVENTORY_SYNC).update(is_on=False)
    assert causes(world) == []


def test_what_is_new_and_what_was_mended_is_looked_at_again_soon(world: World) -> None:
    sell_many(world, 1)
    schedule = Schedule.objects.filter(connection=world.cart, function=Function.RECONCILIATION)
    schedule.update(next_run_at=timezone.now() + DAY)
    Order.objects.update(total=1, version=0)
    (row,) = compare(world)
    assert schedule.get().next_run_at < timezone.now() + 2 * HOUR
    schedule.update(next_run_at=timezone.now() + DAY)
    compare(world)
    assert schedule.get().next_run_at > timezone.now() + 2 * HOUR, "nothing new"
    fix(row, "pat")
    assert schedule.get().next_run_at < timezone.now() + HOUR


def test_two_requests_that_share_a_run_are_both_answered(world: World) -> None:
    sell_many(world, 2)
    now = timezone.now()
    for days in (3, 5):
        request_reconciliation(world.cart, Run.Trigger.API, now - days * DAY, now)
    world.run(Function.RECONCILIATION)
    assert [report.counts["orders_here"] for report in Reconciliation.objects.all()] == [2, 2]
    assert not Reconciliation.objects.exclude(state=Reconciliation.State.DONE).exists()


def test_a_warehouse_that_does_not_answer_is_said_and_its_mismatches_stay(world: World) -> None:
    sell_many(world, 2)
    PickOrder.objects.filter(reference=some_order().reference).delete()
    assert [cause for cause, _ in causes(world)] == ["missing_at_warehouse"]
    Warehouse.objects.update(is_active=False)
    assert [cause for cause, _ in causes(world)] == ["missing_at_warehouse"]
    assert newest().left_out == [f"Orders at {world.warehouse} were not compared: it is switched off."]


# --- many orders ------------------------------------------------------------------------------------------------------


def queries_of_a_comparison(world: World) -> int:
    with counted_queries() as queries:
        assert causes(world) == []
    return len(queries)


def test_queries_follow_pages_not_orders(world: World) -> None:
    sell_many(world, 5)
    few = queries_of_a_comparison(world)
    sell_many(world, 60, 3 * HOUR)
    assert queries_of_a_comparison(world) == few
    assert newest().counts["orders_here"] == 65


def test_a_long_period_is_compared_in_parts(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    sell_many(world, 40)
    whole = queries_of_a_comparison(world)
    monkeypatch.setattr(look, "ORDERS_PER_WINDOW", 10)
    in_parts = queries_of_a_comparison(world)
    assert newest().counts["orders_here"] == newest().counts["orders_at_cart"] == 40
    assert newest().counts["orders_at_warehouse"] >= 40
    assert in_parts <= 4 * whole
    assert [(w.since, w.until) for w in look.windows(world.cart, timezone.now() - DAY, timezone.now())][-1][1]


def test_a_run_that_gives_way_goes_on_where_it_was(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    sell_many(world, 40)
    Order.objects.filter(pk=some_order(3).pk).update(total=1, version=0)
    Order.objects.filter(pk=some_order(33).pk).update(total=1, version=0)
    monkeypatch.setattr(look, "ORDERS_PER_WINDOW", 10)
    queued = request_run(world.cart, Function.RECONCILIATION, Run.Trigger.PERSON)
    slices = 0
    while queued.state == Run.State.QUEUED:
        claimed = claim_run(queued.pk, "test")
        assert claimed is not None
        execute(claimed, "test", seconds=0.000001)
        queued.refresh_from_db()
        slices += 1
    assert (queued.state, queued.error) == (Run.State.DONE, "")
    assert slices > 4
    report = Reconciliation.objects.get()
    assert (report.counts["orders_here"], report.found, report.progress) == (40, 2, {})
    assert Mismatch.objects.filter(state=Mismatch.State.OPEN).count() == 2


def test_more_of_one_cause_than_anybody_reads_is_counted(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    from syncjobs import reconciliation
    from syncjobs.flows.reconciliation import comparison

    sell_many(world, 12)
    Order.objects.update(total=1, version=0)
    for module in (reconciliation, comparison):
        monkeypatch.setattr(module, "MOST_PER_CAUSE", 5)
    assert len(compare(world)) == 5
    assert newest().found == 12
    assert newest().left_out == ["Totals differ: 12 in all, 5 of them are listed."]
    assert len(compare(world)) <= 12


# --- counting first --------------------------------------------------------------------------------------------------


@pytest.fixture
def count_early(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(warehouse, "COUNT_FIRST_FROM", 10)


def test_where_the_numbers_agree_nothing_is_listed(world: World, count_early: None) -> None:
    sell_many(world, 20)
    assert causes(world) == []
    assert newest().counts["orders_counted"] == 20
    assert "orders_at_warehouse" not in newest().counts
    PickOrder.objects.filter(reference=some_order().reference).delete()
    assert [cause for cause, _ in causes(world)] == ["missing_at_warehouse"]


@pytest.fixture
def remote(world: World, settings: Any) -> Iterator[ThreePLSandbox]:
    with ThreePLSandbox(products=0) as remote:
        settings.EXTRA_HOSTS = frozenset({world.sandbox.host, remote.host})
        for product in world.store.products:
            remote.store.add_item(85, product["sku"], product["name"], price=Decimal(15))
            remote.store.set_stock(product["sku"], 5000)
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
        world.cart.warehouse, world.cart.location = world.warehouse, None
        world.cart.save()
        yield remote


def test_calls_to_a_warehouse_where_all_agree(world: World, remote: ThreePLSandbox, count_early: None) -> None:
    sell_many(world, 15)
    remote.reset_calls()
    assert causes(world) == []
    assert remote.count("GET /orders") == 1, "one count, no list"
    assert newest().counts["orders_counted"] == 15


def test_only_the_days_whose_numbers_differ_are_listed(world: World, remote: ThreePLSandbox, count_early: None) -> None:
    """Orders of two days ago, all well, and of today, one of which left unseen."""
    sell_many(world, 15, 3 * DAY)
    then = timezone.now() - 2 * DAY
    Order.objects.update(at_warehouse_at=then)
    for order in remote.store.orders.values():
        order["readOnly"]["creationDate"] = then.replace(tzinfo=None).isoformat()
    sell_many(world, 5)
    left = Order.objects.order_by("-pk")[0]
    remote.store.close(left.reference, [("1Z", None)])
    world.warehouse.function_settings.filter(function=Function.SHIPMENT_PICKUP).update(is_on=False)
    remote.reset_calls()
    assert causes(world) == [("shipped_at_warehouse", left.number)]
    assert newest().counts["orders_counted"] == 15
    assert newest().counts["orders_at_warehouse"] == 5
