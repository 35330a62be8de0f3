"""Schedules, what people ask for, and how long things are kept."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

from django.core.management import call_command
from django.utils import timezone

from carts.models import StockLevel, StockMovement
from carts.warehouse_book import WarehouseBook
from connectors.functions import Function
from syncjobs.models import ApiCall, ApiCallBody, Run, Schedule, WebhookEvent
from syncjobs.retention import prune
from syncjobs.schedule import dispatch_due, expand, request_run, request_runs
from tests.engine.conftest import World


def test_everything_that_is_on_runs_in_a_sensible_order(world: World) -> None:
    names = [function for _, function in expand(world.cart, None)]
    assert names == [
        Function.ORDER_DOWNLOAD,
        Function.ORDER_SENDING,
        Function.ORDER_CANCELLATION_SENDING,
        Function.REFUND_SENDING,
        Function.SHIPMENT_PICKUP,
        Function.STOCK_ADJUSTMENT_SYNC,
        Function.STOCK_TRANSFER_SYNC,
        Function.PRODUCT_PICKUP,
        Function.INVENTORY_PICKUP,
        Function.CUSTOMER_SYNC,
        Function.PRODUCT_PICKUP,
        Function.INVENTORY_SYNC,
    ]


def test_asking_twice_queues_once(world: World) -> None:
    first = request_runs(world.cart, [Function.ORDER_DOWNLOAD])
    second = request_runs(world.cart, [Function.ORDER_DOWNLOAD])
    assert [run.pk for run in first] == [run.pk for run in second]
    assert request_run(world.cart, Function.ORDER_DOWNLOAD, Run.Trigger.PERSON, full=True).pk != first[0].pk


def test_due_functions_are_dispatched_once_and_cancellations_ride_along(world: World) -> None:
    Schedule.objects.update(next_run_at=timezone.now() - timedelta(days=1))
    dispatch_due()
    queued = set(Run.objects.values_list("connection_id", "function"))
    assert (world.cart.pk, Function.ORDER_DOWNLOAD) in queued
    assert (world.cart.pk, Function.ORDER_CANCEL_DOWNLOAD) not in queued
    assert (world.warehouse.pk, Function.ORDER_SENDING) not in queued, "it is automatic"
    count = len(queued)
    assert dispatch_due() == 0
    assert Run.objects.count() == count, "a day off is not made up for run by run"


def test_a_switched_off_function_is_not_dispatched(world: World) -> None:
    world.cart.function_settings.filter(function=Function.CUSTOMER_SYNC).update(is_on=False)
    Schedule.objects.update(next_run_at=timezone.now() - timedelta(days=1))
    dispatch_due()
    assert not Run.objects.filter(function=Function.CUSTOMER_SYNC).exists()


def test_a_shorter_interval_counts_from_now(world: World) -> None:
    setting = world.cart.function_settings.get(function=Function.ORDER_DOWNLOAD)
    Schedule.objects.filter(setting=setting).update(next_run_at=timezone.now() + timedelta(hours=20))
    setting.minutes = 10
    setting.save()
    assert Schedule.objects.get(setting=setting).next_run_at < timezone.now() + timedelta(minutes=11)


def test_old_things_go_and_young_ones_stay(world: World) -> None:
    world.sell()
    world.download()
    long_ago = timezone.now() - timedelta(days=400)
    ApiCallBody.objects.update(stored_at=long_ago)
    old = WebhookEvent.objects.create(connection=world.cart, body=b"", state="done")
    unread = WebhookEvent.objects.create(connection=world.cart, body=b"")
    WebhookEvent.objects.update(received_at=long_ago)
    calls = ApiCall.objects.count()
    deleted = prune()
    assert deleted["bodies"] > 0 and not ApiCallBody.objects.exists()
    assert ApiCall.objects.count() == calls
    assert set(WebhookEvent.objects.values_list("pk", flat=True)) == {unread.pk} != {old.pk}
    call_command("prune")


def test_the_ledger_of_stock_is_kept_for_two_years(world: World) -> None:
    place = world.warehouse.locations.get()
    book = WarehouseBook(world.warehouse.pk)
    book.set_on_hand([(place, "OLD", Decimal(3)), (place, "YOUNG", Decimal(4))])
    now = timezone.now()
    StockMovement.objects.filter(sku="OLD").update(moved_at=now - timedelta(days=731))
    StockMovement.objects.filter(sku="YOUNG").update(moved_at=now - timedelta(days=729))
    StockMovement.objects.exclude(sku__in=["OLD", "YOUNG"]).delete()
    assert prune()["movements"] == 1
    assert StockMovement.objects.get().sku == "YOUNG"
    assert StockLevel.objects.get(sku="OLD").on_hand == 3
