"""What people do to orders. Every deed goes through ``carts.order_flow`` or the warehouse's book."""

from __future__ import annotations

import uuid
from typing import Any

from django.utils import timezone

from carts import change_flow, order_flow
from carts.admin.base import PersonAction
from carts.forms.fields import OptionalReasonForm
from carts.forms.orders import CancelForm, ParcelForm
from carts.models import Order, OrderChange, PickOrder
from carts.order_flow import NOT_SENT, TransitionRefused
from carts.warehouse_book import WarehouseBook
from connectors.records import ShipmentRecord

Status = Order.Status


def hold(order: Order, actor: str, data: dict[str, Any]) -> str:
    order_flow.hold(order.pk, data["reason"] or "Held by hand.", actor)
    return f"Order {order} is held. It is not sent until somebody releases it."


def release(order: Order, actor: str, data: dict[str, Any]) -> str:
    order_flow.release(order.pk, actor)
    return f"Order {order} is released and goes to the warehouse next."


def send_now(order: Order, actor: str, data: dict[str, Any]) -> str:
    if order.status not in NOT_SENT:
        raise TransitionRefused(f"Order {order} is {order.get_status_display().lower()}; it was sent already.")
    order_flow.resend(order.pk, actor)
    return f"Order {order} is on its way to the warehouse."


def resend(order: Order, actor: str, data: dict[str, Any]) -> str:
    order_flow.resend(order.pk, actor)
    return f"Order {order} is sent again, unless the warehouse has it already."


def cancel(order: Order, actor: str, data: dict[str, Any]) -> str:
    changed = order_flow.cancel(order.pk, data["reason"], actor, tell_warehouse=data["tell_warehouse"])
    if changed.status == Status.CANCELLED:
        return f"Order {order} is cancelled."
    return f"The warehouse is asked to cancel order {order}. It is cancelled once the warehouse agrees."


def resend_change(order: Order, actor: str, data: dict[str, Any]) -> str:
    change_flow.resend(order.pk, actor)
    return f"The change of order {order} goes to the warehouse again."


def keep_as_sent(order: Order, actor: str, data: dict[str, Any]) -> str:
    change_flow.keep_as_sent(order.pk, actor)
    return f"Order {order} stays as it was sent."


def waits_for_decision(order: Order) -> bool:
    return order.changes.filter(status=OrderChange.Status.HELD).exists()


def mark_shipped(order: Order, actor: str, data: dict[str, Any]) -> str:
    """Everything that is open leaves in one parcel. At the built-in warehouse this is written into its book."""
    if order.status != Status.AT_WAREHOUSE:
        raise TransitionRefused(
            f"Order {order} is {order.get_status_display().lower()}; only an order at the warehouse can be shipped."
        )
    parcel = {name: data[name] for name in ("carrier", "method", "tracking_number", "tracking_url")}
    pick_order = pick_order_of(order)
    if pick_order is not None:
        WarehouseBook(pick_order.warehouse_id).ship(pick_order, None, **parcel, shipped_by=actor)
        return f"Order {order} is marked as shipped in {order.warehouse}."
    order_flow.add_shipment(
        order.pk,
        ShipmentRecord(
            external_id=f"by-hand-{uuid.uuid4()}",
            order_reference=order.reference,
            shipped_at=timezone.now(),
            **parcel,
        ),
    )
    order_flow.note(order, "shipped_by_hand", "Marked as shipped by hand.", actor)
    return f"Order {order} is marked as shipped."


def pick_order_of(order: Order) -> PickOrder | None:
    """The order as the built-in warehouse has it on its pick list."""
    if order.warehouse is None or not order.warehouse.is_in_hub:
        return None
    return PickOrder.objects.filter(warehouse_id=order.warehouse_id, reference=order.reference).first()


ORDER_ACTIONS = (
    PersonAction(
        key="send_now",
        label="Send now",
        icon="send",
        explanation="The order goes to the warehouse at once instead of waiting for its turn. Nothing is sent twice.",
        done="sent to the warehouse",
        run=send_now,
        offered=lambda order: order.status == Status.NEW,
    ),
    PersonAction(
        key="release",
        label="Release",
        icon="play_arrow",
        explanation="The order is checked again and goes to the warehouse next.",
        done="released",
        run=release,
        offered=lambda order: order.status in (Status.HELD, Status.ERROR),
    ),
    PersonAction(
        key="hold",
        label="Hold",
        icon="pause",
        explanation="The order stays here until somebody releases it. Only orders that were not sent yet can be held.",
        done="held",
        run=hold,
        form=OptionalReasonForm,
        offered=lambda order: order.status in (Status.NEW, Status.ERROR),
    ),
    PersonAction(
        key="resend_change",
        label="Send change again",
        icon="edit_note",
        explanation="What the shop changed goes to the warehouse again. The warehouse may refuse it once more, for "
        "example because the order is packed.",
        done="changed at the warehouse, if it agrees",
        run=resend_change,
        offered=lambda order: order.status not in (Status.SHIPPED, Status.CONFIRMED) and waits_for_decision(order),
    ),
    PersonAction(
        key="keep_as_sent",
        label="Keep as sent",
        icon="done",
        explanation="The warehouse ships the order as it has it, without what the shop changed afterwards. The alert "
        "closes; the difference stays in the history.",
        done="kept as sent",
        run=keep_as_sent,
        offered=waits_for_decision,
    ),
    PersonAction(
        key="mark_shipped",
        label="Mark shipped",
        icon="local_shipping",
        explanation="Everything that is still open counts as shipped now, and the cart is told about it. For a part of "
        "an order use its page on the pick list.",
        done="marked as shipped",
        run=mark_shipped,
        form=ParcelForm,
        offered=lambda order: order.status == Status.AT_WAREHOUSE,
    ),
    PersonAction(
        key="resend",
        label="Resend",
        icon="redo",
        explanation="The warehouse is asked first whether it has the order, so it is never there twice.",
        done="sent again",
        run=resend,
        offered=lambda order: order.status == Status.AT_WAREHOUSE,
    ),
    PersonAction(
        key="cancel",
        label="Cancel order",
        icon="cancel",
        explanation="An order that was not sent yet never goes out. One that the warehouse has is cancelled there "
        "first; the warehouse may refuse. Shipped orders cannot be cancelled.",
        done="cancelled, or waiting for the warehouse to agree",
        run=cancel,
        form=CancelForm,
        danger=True,
        offered=lambda order: order.status in (*NOT_SENT, Status.AT_WAREHOUSE) and order.cancel_requested_at is None,
    ),
)
