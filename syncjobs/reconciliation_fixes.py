"""*Fix* for each cause of a mismatch: read again, send again, push again. What was done is seen by the next comparison."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from django.db import transaction
from django.db.models import QuerySet
from django.utils import timezone

from carts import order_flow, signals
from carts.models import Order, OrderChange, Product, ProductLink
from connectors.functions import Function
from syncjobs.failures import NotReprocessed
from syncjobs.models import Delivery, Mismatch, Run
from syncjobs.reconciliation import LOOK_AGAIN_AFTER_FIX, NO_PRICE, Cause, State, look_again, tell
from syncjobs.reprocessing import take_in_again
from syncjobs.schedule import request_run

MOST_AT_ONCE = 1000
PRICE_OF = {
    Cause.RETAIL_PRICE_DIFFERS: ("retail_price", "retail"),
    Cause.SUPPLY_PRICE_DIFFERS: ("supply_price", "supply"),
}


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
    look_again(row.cart, LOOK_AGAIN_AFTER_FIX)
    return f"{row.label}: {said}"


@dataclass(slots=True)
class Outcome:
    """Of many at once. ``refused`` says of each that was not mended why; ``left``: how many there are beyond these."""

    done: int = 0
    refused: list[str] = field(default_factory=list)
    left: int = 0


def fix_all(rows: QuerySet[Mismatch], actor: str) -> Outcome:
    """Mends open mismatches, the oldest first, so many at a time."""
    wanted = rows.filter(state=State.OPEN, cause__in=CAN_BE_FIXED).order_by("first_seen_at", "pk")
    outcome = Outcome(left=max(wanted.count() - MOST_AT_ONCE, 0))
    for row in wanted.select_related("cart", "order__warehouse")[:MOST_AT_ONCE]:
        try:
            fix(row, actor)
            outcome.done += 1
        except NotFixed as error:
            outcome.refused.append(str(error))
    return outcome


def order_of(row: Mismatch) -> Order:
    if row.order is None:
        raise NotFixed(f"{row.label}: the order is not here.")
    return row.order


def pull_again(row: Mismatch, actor: str) -> str:
    """An order of which a change waits at the warehouse is decided on its own page."""
    held = row.order.changes.filter(status=OrderChange.Status.HELD) if row.order is not None else None
    if held is not None and held.exists():
        raise NotFixed(f"{row.label}: the warehouse does not take the shop's change. Decide on the order's page.")
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


def push_price(row: Mismatch, actor: str) -> str:
    """The hub's copy of the shop's product shows what the shop shows, and nothing counts as acknowledged any more: so
    Product Detail Sync finds the difference and writes it."""
    field_name, list_name = PRICE_OF[Cause(row.cause)]
    link = ProductLink.objects.filter(cart=row.cart, remote_id=row.subject).select_related("product").first()
    if link is None:
        raise NotFixed(f"{row.label}: the product is not linked to one of the warehouse any more.")
    shown = Product.objects.filter(connection_id=row.cart_id, external_id=row.subject).first()
    with transaction.atomic():
        if shown is not None:
            others = {name: price for name, price in shown.prices.items() if name != list_name}
            shown.prices = others if row.there == NO_PRICE else {**others, list_name: row.there}
            shown.save(update_fields=["prices", "updated_at"])
        link.acknowledged = {name: mark for name, mark in link.acknowledged.items() if name != field_name}
        link.product_updated_at, link.tried = None, ""
        link.save(update_fields=["acknowledged", "product_updated_at", "tried"])
    request_run(row.cart, Function.PRODUCT_DETAIL_SYNC, Run.Trigger.PERSON, requested_by=actor)
    return "Product Detail Sync writes the warehouse's price next."


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
    Cause.ARRIVED_UNKNOWN: send_again,
    Cause.ALIVE_AT_WAREHOUSE: cancel_again,
    Cause.SHIPPED_AT_WAREHOUSE: pick_up_shipments,
    Cause.NOT_CONFIRMED: confirm_again,
    Cause.STOCK_DIFFERS: push_stock,
    Cause.RETAIL_PRICE_DIFFERS: push_price,
    Cause.SUPPLY_PRICE_DIFFERS: push_price,
    Cause.TOTAL_AT_WAREHOUSE: decide,
    Cause.MISSING_AT_CART: decide,
    Cause.CANCELLED_HERE: decide,
    Cause.CANCELLED_AT_WAREHOUSE: decide,
}
CAN_BE_FIXED = [cause.value for cause, way in FIXES.items() if way is not decide]
