"""Shipment Confirmation: the cart is told what was shipped, once, when it wants to know."""

from __future__ import annotations

from decimal import Decimal

from django.utils import timezone

from carts.models import Order, PickOrder
from connectors.functions import Function
from syncjobs.failures import reprocess
from syncjobs.models import Delivery, FailedRecord
from tests.engine.conftest import World

Status = Order.Status


def ready(world: World, *lines: tuple[object, int]) -> Order:
    """A delivery sale that is at the warehouse, in a cart that wants to know about shipments."""
    world.set_options(order_status="ALL_EXCEPT_VOIDED_SAVED")
    setting = world.cart.function_settings.get(function=Function.SHIPMENT_CONFIRMATION)
    setting.is_on = True
    setting.save()
    sale = world.sell(*(lines or [(world.product(), 2)]), status="AWAITING_DISPATCH")
    world.download()
    world.deliver()
    order = world.order(sale)
    assert order.status == Status.AT_WAREHOUSE
    return order


def ship(world: World, **quantities: int) -> None:
    pick = PickOrder.objects.get()
    lines = {line.reference: Decimal(quantities[line.sku]) for line in pick.lines.all()} if quantities else None
    world.book.ship(pick, lines, carrier="DHL", tracking_number="JD014")
    world.run(Function.SHIPMENT_PICKUP)


def test_it_is_off_until_someone_switches_it_on(world: World) -> None:
    assert not world.cart.function_is_on(Function.SHIPMENT_CONFIRMATION)
    sale = world.sell()
    world.download()
    world.deliver()
    ship(world)
    assert world.deliver() == 0
    assert world.order(sale).status == Status.SHIPPED


def test_a_shipped_delivery_sale_is_fulfilled_and_the_order_confirmed(world: World) -> None:
    order = ready(world)
    ship(world)
    assert world.deliver() == 1
    order.refresh_from_db()
    assert order.status == Status.CONFIRMED
    assert order.events.last().kind == "confirmed"
    assert world.store.sale(order.external_id).status == "DISPATCHED_CLOSED"
    assert world.deliver() == 0


def test_parts_are_confirmed_as_they_leave(world: World) -> None:
    order = ready(world)
    sku = world.product()["sku"]
    ship(world, **{sku: 1})
    world.deliver()
    order.refresh_from_db()
    assert order.status == Status.AT_WAREHOUSE
    ship(world)
    world.deliver()
    order.refresh_from_db()
    assert order.status == Status.CONFIRMED
    assert Delivery.objects.filter(kind="shipment", state="done").count() == 2


def test_an_answer_that_got_lost_is_asked_for_again_without_harm(world: World) -> None:
    order = ready(world)
    world.sandbox.fail(times=1, match="POST /fulfillments/{id}/fulfill", fault="answer_lost")
    ship(world)
    world.deliver(rounds=1)
    assert Delivery.objects.get(kind="shipment").state in ("retry", "done")
    Delivery.objects.update(run_at=timezone.now())
    world.deliver()
    order.refresh_from_db()
    assert order.status == Status.CONFIRMED


def test_a_refusal_is_filed_and_can_be_tried_again(world: World) -> None:
    order = ready(world)
    world.sandbox.fail(times=20, match="POST /fulfillments/{id}/fulfill", status=422)
    ship(world)
    world.deliver()
    order.refresh_from_db()
    assert order.status == Status.SHIPPED
    record = FailedRecord.objects.get(function=Function.SHIPMENT_CONFIRMATION)
    world.sandbox.clear_faults()
    reprocess(record, "support")
    world.deliver()
    order.refresh_from_db()
    assert order.status == Status.CONFIRMED
