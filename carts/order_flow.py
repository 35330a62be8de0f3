"""The life of an order: the one place where its status changes, with checks and history.

``new -> at_warehouse -> shipped -> confirmed``, with ``held``, ``error`` and ``cancelled`` beside. Every function opens
its own transaction, locks the order, and writes who did what and why.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal

from django.db import transaction
from django.utils import timezone

from carts import change_flow
from carts.models import Order, OrderLine, Shipment, ShipmentLine
from carts.models.catalogue import sku_key
from carts.order_history import HUB as HUB
from carts.order_history import TransitionRefused as TransitionRefused
from carts.order_history import locked as locked
from carts.order_history import note as note
from carts.signals import cancellation_wanted, order_ready, order_withdrawn, shipment_booked
from connectors.records import Address, ShipmentLineRecord, ShipmentRecord

Status = Order.Status

NOT_SENT = (Status.NEW, Status.HELD, Status.ERROR)


def hold(order_id: int, reason: str, actor: str = HUB) -> Order:
    """Keeps an order from being sent until someone releases it."""
    with transaction.atomic():
        order = locked(order_id)
        if order.status == Status.HELD:
            return order
        if order.status not in (Status.NEW, Status.ERROR):
            raise TransitionRefused(
                f"Order {order} is {order.get_status_display().lower()}; only an unsent order can wait."
            )
        withdraw(order)
        change(order, Status.HELD, problem=reason)
        note(order, "held", f"Held: {reason}" if reason else "Held.", actor)
        return order


def release(order_id: int, actor: str = HUB) -> Order:
    """Lets a held or failed order go to the warehouse."""
    with transaction.atomic():
        order = locked(order_id)
        if order.status not in (Status.HELD, Status.ERROR):
            raise TransitionRefused(
                f"Order {order} is {order.get_status_display().lower()}; there is nothing to release."
            )
        check_sendable(order)
        change(order, Status.NEW, problem="")
        note(order, "released", "Released: goes to the warehouse next.", actor)
        order_ready.send(Order, order=order)
        return order


def resend(order_id: int, actor: str = HUB) -> Order:
    """Sends an order (again). One that the warehouse may already have is looked up there first, never doubled."""
    with transaction.atomic():
        order = locked(order_id)
        if order.status in (Status.HELD, Status.ERROR):
            return release(order_id, actor)
        if order.status not in (Status.NEW, Status.AT_WAREHOUSE):
            raise TransitionRefused(f"Order {order} is {order.get_status_display().lower()}; it is not sent again.")
        check_sendable(order)
        note(order, "resend", "Sending was asked for again; the warehouse is asked first whether it has it.", actor)
        order_ready.send(Order, order=order)
        return order


def cancel(order_id: int, reason: str, actor: str = HUB, tell_warehouse: bool = True) -> Order:
    """Cancels an order. Not sent yet: it never goes out. Sent: the warehouse is asked to cancel it, and the order is
    cancelled once it agrees; with ``tell_warehouse`` False it is cancelled here only."""
    with transaction.atomic():
        order = locked(order_id)
        if order.status == Status.CANCELLED or order.cancel_requested_at:
            return order
        if order.status in (Status.SHIPPED, Status.CONFIRMED):
            raise TransitionRefused(f"Order {order} was already shipped and cannot be cancelled any more.")
        order.cancel_reason = reason[:300]
        if order.status in NOT_SENT and withdrawn(order):
            finish_cancel(order, f"Cancelled before it was sent: {reason}", actor)
        elif tell_warehouse:
            order.cancel_requested_at = timezone.now()
            order.save(update_fields=["cancel_requested_at", "cancel_reason", "updated_at"])
            note(order, "cancel_requested", f"Cancellation goes to the warehouse: {reason}", actor)
            is_free = change_flow.step_back(order)
            if order.is_sent and is_free:
                cancellation_wanted.send(Order, order=order, reason=reason)
        else:
            finish_cancel(order, f"Cancelled here only; the warehouse was not told: {reason}", actor)
        return order


def cancellation_accepted(order_id: int) -> Order:
    """The warehouse cancelled it."""
    with transaction.atomic():
        order = locked(order_id)
        if order.status != Status.CANCELLED:
            finish_cancel(order, "Cancelled: the warehouse agreed.", HUB)
        return order


def cancellation_refused(order_id: int, reason: str) -> Order:
    """The warehouse will not cancel it: the order goes on."""
    with transaction.atomic():
        order = locked(order_id)
        order.cancel_requested_at = None
        order.save(update_fields=["cancel_requested_at", "updated_at"])
        note(order, "cancel_refused", f"The warehouse refused the cancellation: {reason}")
        change_flow.go_on(order)
        return order


def refused_there(order_id: int, reason: str, *, hold: bool = False) -> bool:
    """The warehouse has it and will not ship it: it waits for a person, held or in error. One whose cancellation was asked
    for is cancelled. False when it is not at the warehouse any more."""
    with transaction.atomic():
        order = locked(order_id)
        if order.status != Status.AT_WAREHOUSE:
            return False
        if order.cancel_requested_at:
            finish_cancel(order, f"Cancelled: the warehouse does not ship it. {reason}".strip(), HUB)
            return True
        change(order, Status.HELD if hold else Status.ERROR, problem=reason)
        note(order, "held" if hold else "error", reason)
        return True


def sent(order: Order, at: datetime) -> None:
    """The warehouse has it. Called by the outbox with the order locked, inside its transaction."""
    if order.status in NOT_SENT:
        change(order, Status.AT_WAREHOUSE, problem="", at_warehouse_at=at)
        note(order, "sent", f"Arrived at {order.warehouse}.")
    elif order.at_warehouse_at is None:
        order.at_warehouse_at = at
        order.save(update_fields=["at_warehouse_at", "updated_at"])
    if order.status == Status.AT_WAREHOUSE:
        change_flow.go_on(order)


def failed(order: Order, problem: str, *, arrived: bool | None = None) -> None:
    """It could not be delivered and will not be tried again by itself. ``arrived`` None: whether the warehouse has it is
    not known. Called with the order locked."""
    if order.cancel_requested_at:
        finish_cancel(order, "Cancelled; it never reached the warehouse.", HUB)
    elif order.status in NOT_SENT:
        change(order, Status.ERROR, problem=problem)
        note(order, "error", problem)
        if arrived is False:
            change_flow.catch_up(order)


def add_shipment(order_id: int, record: ShipmentRecord) -> Shipment | None:
    """Books a shipment once. Returns None when it was booked before."""
    with transaction.atomic():
        order = locked(order_id)
        shipment, created = Shipment.objects.get_or_create(
            order=order,
            external_id=record.external_id,
            defaults={
                "carrier": record.carrier,
                "method": record.method,
                "tracking_number": record.tracking_number,
                "tracking_url": record.tracking_url,
                "shipped_at": record.shipped_at,
            },
        )
        if not created:
            return None
        lines = list(order.lines.select_for_update(of=("self",)))
        for line, quantity in shipped_quantities(lines, record.lines):
            line.shipped += quantity
            line.save(update_fields=["shipped"])
            ShipmentLine.objects.create(shipment=shipment, order_line=line, quantity=quantity)
        tracking = f" with {record.carrier} {record.tracking_number}".rstrip() if record.carrier else ""
        if all(line.open_quantity == 0 for line in lines):
            change(order, Status.SHIPPED, problem="", shipped_at=record.shipped_at)
            note(order, "shipped", f"Shipped{tracking}.")
        else:
            order.save(update_fields=["updated_at"])
            note(order, "partly_shipped", f"Partly shipped{tracking}.")
        shipment_booked.send(Order, order=order, shipment=shipment)
        return shipment


def confirmed(order_id: int, at: datetime) -> Order:
    """The cart knows about the shipment."""
    with transaction.atomic():
        order = locked(order_id)
        if order.status == Status.SHIPPED:
            change(order, Status.CONFIRMED, confirmed_at=at)
            note(order, "confirmed", f"Shipment confirmed to {order.cart}.")
        return order


def shipped_quantities(
    lines: Sequence[OrderLine], shipped: Sequence[ShipmentLineRecord]
) -> list[tuple[OrderLine, Decimal]]:
    """Which line got how much: by line reference, else by SKU, never more than is open unless the warehouse insists on
    one line. No shipped lines = everything that is open."""
    if not shipped:
        return [(line, line.open_quantity) for line in lines if line.open_quantity]
    quantities: dict[int, Decimal] = {}
    by_reference = {line.external_id: line for line in lines}
    for part in shipped:
        rest = part.quantity
        line = by_reference.get(part.line_reference)
        candidates = [line] if line else lines_with_sku(lines, part.sku)
        for position, candidate in enumerate(candidates):
            open_quantity = candidate.open_quantity - quantities.get(candidate.pk, Decimal(0))
            is_last = position == len(candidates) - 1
            taken = rest if is_last else min(rest, open_quantity)
            if taken > 0:
                quantities[candidate.pk] = quantities.get(candidate.pk, Decimal(0)) + taken
                rest -= taken
    return [(line, quantities[line.pk]) for line in lines if line.pk in quantities]


def lines_with_sku(lines: Sequence[OrderLine], sku: str) -> list[OrderLine]:
    """By the warehouse's SKU, else by the shop's own."""
    key = sku_key(sku)
    return [line for line in lines if line.sku_key == key] or [line for line in lines if sku_key(line.sku) == key]


def check_sendable(order: Order) -> None:
    """Raises ``TransitionRefused`` when the order lacks what a warehouse needs."""
    problem = problem_of(order)
    if problem:
        raise TransitionRefused(problem)


def problem_of(order: Order) -> str:
    """What keeps the order from being sent, in words; "" if nothing does."""
    if not Address.from_dict(order.ship_to).is_usable:
        return f"Order {order} has no complete ship-to address: enter street, city and country."
    without_sku = [line for line in order.lines.all() if line.ships and not line.sku]
    if without_sku:
        return f"Order {order} has a line without SKU ({without_sku[0].name or without_sku[0].external_id})."
    if order.warehouse is None:
        return f"Cart {order.cart} has no warehouse: choose one in the cart's settings."
    return ""


def change(order: Order, status: str, **values: object) -> None:
    order.status = status
    for name, value in values.items():
        setattr(order, name, value)
    order.save(update_fields=["status", "updated_at", *values])


def finish_cancel(order: Order, message: str, actor: str) -> None:
    change(order, Status.CANCELLED, cancelled_at=timezone.now(), cancel_reason=order.cancel_reason, problem="")
    note(order, "cancelled", message, actor)
    change_flow.drop(order)


def withdrawn(order: Order) -> bool:
    """Takes the order's delivery back; False when it is being sent at this moment."""
    return all(answer is not False for _, answer in order_withdrawn.send(Order, order=order))


def withdraw(order: Order) -> None:
    if not withdrawn(order):
        raise TransitionRefused(f"Order {order} is being sent to the warehouse at this moment. Try again in a minute.")
