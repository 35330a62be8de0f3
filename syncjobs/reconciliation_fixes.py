"""*Fix* for each cause of a mismatch: read again, send again, push again. What was done is seen by the next comparison."""

from __future__ import annotations

from collections.abc import Callable

from django.utils import timezone

from carts import order_flow, signals
from carts.models import Order
from connectors.functions import Function
from syncjobs.failures import NotReprocessed
from syncjobs.models import Delivery, Mismatch, Run
from syncjobs.reconciliation import State, tell
from syncjobs.reprocessing import take_in_again
from syncjobs.schedule import request_run

Cause = Mismatch.Cause


class NotFixed(Exception):
    """It could not be mended from here; the text says why."""


def fix(row: Mismatch, actor: str) -> str:
    """Mends one mismatch. Returns what was done, in words. Raises ``NotFixed``."""
    if row.state not in (State.OPEN, State.FIXING):
        raise NotFixed(f"{row.label}: this was settled before.")
    said = FIXES[Cause(row.cause)](row, actor)
    Mismatch.objects.filter(pk=row.pk).update(
        state=State.FIXING, settled_at=timezone.now(), settled_by=actor[:150], note=said[:300]
    )
    tell(row.cart)
    return f"{row.label}: {said}"


def order_of(row: Mismatch) -> Order:
    if row.order is None:
        raise NotFixed(f"{row.label}: the order is not here.")
    return row.order


def pull_again(row: Mismatch, actor: str) -> str:
    try:
        take_in_again(row.cart_id, row.subject)
    except NotReprocessed as error:
        raise NotFixed(f"{row.label}: {error}") from error
    return "read again from the cart."


def send_again(row: Mismatch, actor: str) -> str:
    try:
        order_flow.resend(order_of(row).pk, actor)
    except order_flow.TransitionRefused as refusal:
        raise NotFixed(str(refusal)) from refusal
    return "goes to the warehouse; it is asked first whether it has the order."


def cancel_again(row: Mismatch, actor: str) -> str:
    order = order_of(row)
    if order.warehouse is None or not order.warehouse.function_is_on(Function.ORDER_CANCELLATION_SENDING):
        raise NotFixed(f"{row.label}: cancellations are not sent to this warehouse. Cancel the order there by hand.")
    signals.cancellation_wanted.send(Order, order=order, reason=order.cancel_reason or "Cancelled in the cart.")
    return "the warehouse is asked to cancel it."


def confirm_again(row: Mismatch, actor: str) -> str:
    order = order_of(row)
    for shipment in order.shipments.all():
        signals.shipment_booked.send(Order, order=order, shipment=shipment)
    Delivery.objects.filter(order=order, kind=Delivery.Kind.SHIPMENT, state=Delivery.State.FAILED).update(
        state=Delivery.State.PENDING, run_at=timezone.now(), attempts=0, first_failed_at=None, error="", error_kind=""
    )
    return "the cart is told about the shipment."


def pick_up_shipments(row: Mismatch, actor: str) -> str:
    order = order_of(row)
    if order.warehouse is None:
        raise NotFixed(f"{row.label}: the order has no warehouse.")
    request_run(order.warehouse, Function.SHIPMENT_PICKUP, Run.Trigger.PERSON, full=True, requested_by=actor)
    return "the warehouse's shipments are read again."


def push_stock(row: Mismatch, actor: str) -> str:
    request_run(row.cart, Function.INVENTORY_SYNC, Run.Trigger.PERSON, requested_by=actor)
    return "Inventory Sync writes it next."


def decide(row: Mismatch, actor: str) -> str:
    raise NotFixed(
        f"{row.label}: only a person can say which side is right. Change it there, or accept it with a reason."
    )


FIXES: dict[Cause, Callable[[Mismatch, str], str]] = {
    Cause.MISSING_HERE: pull_again,
    Cause.CANCELLED_AT_CART: pull_again,
    Cause.TOTAL_DIFFERS: pull_again,
    Cause.NOT_SENT: send_again,
    Cause.MISSING_AT_WAREHOUSE: send_again,
    Cause.ALIVE_AT_WAREHOUSE: cancel_again,
    Cause.SHIPPED_AT_WAREHOUSE: pick_up_shipments,
    Cause.NOT_CONFIRMED: confirm_again,
    Cause.STOCK_DIFFERS: push_stock,
    Cause.MISSING_AT_CART: decide,
    Cause.CANCELLED_HERE: decide,
    Cause.CANCELLED_AT_WAREHOUSE: decide,
}
CAN_BE_FIXED = [cause.value for cause, way in FIXES.items() if way is not decide]
