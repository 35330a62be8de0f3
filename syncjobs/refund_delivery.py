"""Returns on their way to the warehouse: whether they go, what is sent, and what the warehouse did with the goods."""

from __future__ import annotations

from typing import cast

from django.utils import timezone

from carts import refund_flow
from carts.models import Refund, Warehouse
from carts.order_flow import TransitionRefused
from connectors.base import Connector
from connectors.errors import RecordRefused
from connectors.functions import Function
from connectors.ports import RefundWriter
from connectors.records import OutboundRefund, OutboundRefundLine, WriteResult
from connectors.registry import connector_class
from syncjobs.models import Delivery
from syncjobs.outbox import Kind, revive, withdraw


def refund_is_ready(sender: type, refund: Refund, **kwargs: object) -> None:
    """Makes a refund's delivery, or revives it; or writes into the refund why it is not sent."""
    why = why_not(refund)
    if why:
        refund_flow.not_sent(refund, why)
        return
    assert refund.warehouse is not None, "why_not lets no refund out without a warehouse"
    now = timezone.now()
    delivery, created = Delivery.objects.get_or_create(
        connection_id=refund.warehouse.pk,
        kind=Kind.REFUND,
        reference=refund.reference,
        defaults={"order": refund.order, "refund": refund, "run_at": now},
    )
    if not created:
        Delivery.objects.filter(pk=delivery.pk).update(order=refund.order)
        revive(delivery, now)


def why_not(refund: Refund) -> str:
    """Why the settings keep a refund here; "" when they do not."""
    if refund.warehouse is None:
        return f"Cart {refund.cart} has no warehouse."
    if not refund.cart.options.get("send_cancellations", True):
        return f"Send Cancellation/Return To WMS of {refund.cart} is off."
    kind = connector_class(refund.warehouse.connector)
    if not issubclass(kind, RefundWriter):
        return f"{kind.label} takes no returns."
    if not refund.warehouse.function_is_on(Function.REFUND_SENDING):
        return f"Refund Sending of {refund.warehouse} is off."
    return ""


def refund_is_withdrawn(sender: type, refund: Refund, **kwargs: object) -> bool:
    """Takes a refund's delivery back. False when it is on its way, or may have arrived already."""
    return withdraw(Delivery.objects.filter(refund=refund, kind=Kind.REFUND))


def return_is_closed(sender: type, warehouse: Warehouse, reference: str, came: bool, actor: str, **kw: object) -> None:
    """The built-in warehouse received a return, or gave it up. (A return that people put there by other ways is no
    refund of ours.)"""
    refund = Refund.objects.filter(merchant_id=warehouse.merchant_id, warehouse=warehouse, reference=reference).first()
    if refund is None:
        return
    if came:
        refund_flow.received(refund.pk, actor)
        return
    try:
        refund_flow.cancel(refund.pk, f"the goods do not come to {warehouse}", actor)
    except TransitionRefused as refusal:
        refund_flow.note(refund, "refund_not_cancelled", str(refusal), actor)


def send_refund(connector: Connector, delivery: Delivery) -> WriteResult:
    """One return; a doubt about an earlier try is settled first."""
    writer = cast(RefundWriter, connector)
    if delivery.in_doubt:
        remote_id = writer.find_refund(delivery.reference)
        if remote_id:
            return WriteResult.done(delivery.reference, remote_id)
    try:
        return writer.send_refund(outbound_refund(cast(Refund, delivery.refund)))
    except RecordRefused as error:
        return WriteResult.rejected(delivery.reference, error.message, error.fix)


def outbound_refund(refund: Refund) -> OutboundRefund:
    order = refund.order
    place = refund.location
    return OutboundRefund(
        reference=refund.reference,
        number=refund.number,
        order_reference=order.reference if order is not None and order.is_sent else "",
        order_number=order.number if order is not None else "",
        location_id=(place.external_id or f"loc-{place.pk}") if place is not None else "",
        cart_name=refund.cart.name,
        placed_at=refund.placed_at,
        currency=refund.currency,
        amount=refund.amount,
        tax=refund.tax_total,
        customer_name=order.customer_name if order is not None else "",
        reason=refund.reason,
        restock=refund.restock,
        lines=tuple(
            OutboundRefundLine(
                reference=line.external_id,
                sku=line.sku_at_warehouse,
                name=line.name,
                quantity=line.quantity,
                amount=line.amount,
                tax=line.tax,
                order_line_reference=line.order_line.external_id if line.order_line is not None else "",
            )
            for line in refund.lines.filter(ships=True).select_related("order_line")
        ),
    )
