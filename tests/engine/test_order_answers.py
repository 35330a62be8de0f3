"""What a warehouse decides about orders: refused, held, cancelled there, cancellations agreed or not."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from carts import book_leases, order_flow
from carts.models import Alert, Order, PickOrder, Warehouse
from carts.rest_book import RestBook
from connectors.functions import Function
from connectors.threepl.sandbox import ThreePLSandbox
from syncjobs.drain import sweep
from syncjobs.models import Delivery, FailedRecord, Run
from tests.engine.conftest import World
from tests.engine.test_threepl_circle import remote as remote  # the fixture
from tests.factories import make_rest_warehouse


@pytest.fixture
def rest(world: World) -> RestBook:
    """The world's cart sends its orders to a REST warehouse."""
    world.warehouse = make_rest_warehouse(world.merchant)
    world.location = world.warehouse.locations.get()
    world.cart.warehouse, world.cart.location = world.warehouse, world.location
    world.cart.save()
    return RestBook(world.warehouse.pk)


def sent(world: World) -> Order:
    world.store.set_level(world.product()["id"], world.outlet["id"], 50)
    sale = world.sell((world.product(), 2))
    world.download()
    world.deliver()
    order = world.order(sale)
    assert order.status == Order.Status.AT_WAREHOUSE
    return order


def pick(order: Order) -> PickOrder:
    return PickOrder.objects.get(reference=order.reference)


def pull(world: World, **flags: Any) -> Run:
    run = world.run(Function.ORDER_CANCEL_PICKUP, world.warehouse, **flags)
    assert run.state == Run.State.DONE, run.error
    return run


def open_alerts(kind: str) -> int:
    return Alert.objects.filter(kind=kind, status=Alert.Status.OPEN).count()


@pytest.mark.parametrize(("hold", "status"), [(False, Order.Status.ERROR), (True, Order.Status.HELD)])
def test_a_refused_order_waits_for_a_person_and_goes_out_again(
    world: World, rest: RestBook, hold: bool, status: str
) -> None:
    order = sent(world)
    book_leases.refuse(pick(order), "", "No room on the truck", hold=hold)
    for _ in range(2):
        pull(world)
    order.refresh_from_db()
    assert order.status == status
    assert "No room on the truck" in order.problem
    delivery = order.deliveries.get()
    assert (delivery.state, delivery.error_kind) == (Delivery.State.FAILED, "refused")
    record = FailedRecord.objects.get()
    assert (record.function, record.status, "No room" in record.reason) == (Function.ORDER_SENDING, "open", True)
    assert open_alerts("failed_records") == 1

    order_flow.release(order.pk, "ann")
    assert world.deliver() == 1
    pull(world)
    order.refresh_from_db()
    record.refresh_from_db()
    assert (order.status, order.problem, record.status) == (Order.Status.AT_WAREHOUSE, "", "reprocessed")
    assert open_alerts("failed_records") == 0
    assert pick(order).status == PickOrder.Status.OPEN


def test_a_refusal_that_comes_before_the_hub_noted_the_arrival_is_taken_in_later(world: World, rest: RestBook) -> None:
    order = sent(world)
    Order.objects.update(status=Order.Status.NEW, at_warehouse_at=None)
    book_leases.refuse(pick(order), "", "No room")
    assert pull(world).counts == {"unchanged": 1}
    Order.objects.update(status=Order.Status.AT_WAREHOUSE)
    assert pull(world).counts == {"answers": 1}


def test_a_preview_shows_the_answers_and_changes_nothing(world: World, rest: RestBook) -> None:
    order = sent(world)
    book_leases.refuse(pick(order), "", "No room")
    run = pull(world, dry_run=True)
    assert run.preview[0]["why"] == "No room"
    order.refresh_from_db()
    assert order.status == Order.Status.AT_WAREHOUSE


def cancel(world: World, order: Order) -> None:
    order_flow.cancel(order.pk, "changed her mind", "ann")
    world.deliver()


@pytest.mark.parametrize("accepted", [True, False])
def test_the_wms_answers_a_cancellation(world: World, rest: RestBook, accepted: bool) -> None:
    order = sent(world)
    book_leases.lease(world.warehouse.pk, "ann", 1)
    cancel(world, order)
    pull(world)
    order.refresh_from_db()
    assert order.status == Order.Status.AT_WAREHOUSE
    assert order.cancel_requested_at is not None
    assert order.deliveries.get(kind=Delivery.Kind.CANCELLATION).state == Delivery.State.DONE
    assert order.events.filter(kind="cancel_asked").count() == 1

    book_leases.answer_cancellation(pick(order), accepted, "It is packed")
    for _ in range(2):
        pull(world)
    order.refresh_from_db()
    assert order.cancel_requested_at is None or accepted
    assert order.status == (Order.Status.CANCELLED if accepted else Order.Status.AT_WAREHOUSE)
    assert open_alerts("cancellation_refused") == (0 if accepted else 1)
    if not accepted:
        assert "It is packed" in Alert.objects.get(kind="cancellation_refused").message


def test_an_old_refusal_does_not_answer_a_new_question(world: World, rest: RestBook) -> None:
    order = sent(world)
    book_leases.lease(world.warehouse.pk, "ann", 1)
    cancel(world, order)
    book_leases.answer_cancellation(pick(order), False, "It is packed")
    pull(world)
    order_flow.cancel(order.pk, "really", "ann")  # its delivery is still on the way
    pull(world)
    order.refresh_from_db()
    assert order.cancel_requested_at is not None
    world.deliver()
    book_leases.answer_cancellation(pick(order), True, "")
    pull(world)
    order.refresh_from_db()
    assert order.status == Order.Status.CANCELLED


def test_what_was_not_fetched_is_cancelled_without_a_question(world: World, rest: RestBook) -> None:
    order = sent(world)
    cancel(world, order)
    order.refresh_from_db()
    assert order.status == Order.Status.CANCELLED


def test_a_lease_that_ends_answers_by_itself(world: World, rest: RestBook) -> None:
    order = sent(world)
    book_leases.lease(world.warehouse.pk, "ann", 1)
    cancel(world, order)
    PickOrder.objects.update(lease_until=timezone.now())
    sweep()
    pull(world)
    order.refresh_from_db()
    assert order.status == Order.Status.CANCELLED


def test_refusing_an_order_that_is_to_be_cancelled_cancels_it(world: World, rest: RestBook) -> None:
    order = sent(world)
    book_leases.lease(world.warehouse.pk, "ann", 1)
    cancel(world, order)
    book_leases.refuse(pick(order), "ann", "Cancelled in the shop")
    pull(world)
    order.refresh_from_db()
    assert (order.status, FailedRecord.objects.count()) == (Order.Status.CANCELLED, 0)


def test_a_wms_that_does_not_answer_is_reported(world: World, rest: RestBook) -> None:
    order = sent(world)
    book_leases.lease(world.warehouse.pk, "ann", 1)
    cancel(world, order)
    pull(world)
    assert open_alerts("cancellation_unanswered") == 0
    Order.objects.update(cancel_requested_at=timezone.now() - timedelta(hours=25))
    for _ in range(2):
        pull(world)
    alert = Alert.objects.get(kind="cancellation_unanswered")
    assert (alert.count, str(order) in alert.message) == (1, True)
    book_leases.answer_cancellation(pick(order), True, "")
    pull(world)
    assert open_alerts("cancellation_unanswered") == 0


def test_orders_that_nobody_fetches_are_reported(world: World, rest: RestBook) -> None:
    sent(world)
    pull(world)
    assert open_alerts("orders_not_fetched") == 0
    PickOrder.objects.update(received_at=timezone.now() - timedelta(hours=25))
    for _ in range(2):
        pull(world)
    assert Alert.objects.get(kind="orders_not_fetched").count == 1
    book_leases.lease(world.warehouse.pk, "ann", 1)
    pull(world)
    assert open_alerts("orders_not_fetched") == 0
    PickOrder.objects.update(lease_until=timezone.now())
    Warehouse.objects.update(options={"alert_after_hours": 0})
    world.warehouse.refresh_from_db()
    pull(world)
    assert open_alerts("orders_not_fetched") == 0


def test_an_order_cancelled_in_3pl_warehouse_manager_comes_back(world: World, remote: ThreePLSandbox) -> None:
    order = sent(world)
    remote.store.cancel_order(remote.store.order_of(order.reference), "")
    for _ in range(2):
        pull(world)
    order.refresh_from_db()
    assert order.status == Order.Status.ERROR
    assert "cancelled in 3PL Warehouse Manager" in order.problem
    order_flow.release(order.pk, "ann")
    world.deliver()
    order.refresh_from_db()
    assert order.status == Order.Status.ERROR
    assert "a reference cannot be used again" in order.problem
