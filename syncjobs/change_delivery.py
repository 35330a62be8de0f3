"""Changes of orders on their way to the warehouse that has them: whether they go, and what is sent."""

from __future__ import annotations

from typing import cast

from django.utils import timezone

from carts import change_flow, order_content
from carts.models import OrderChange
from carts.order_content import OrderContent
from connectors.base import Connector
from connectors.errors import RecordRefused
from connectors.ports import OrderChangeWriter
from connectors.records import OutboundOrderChange, WriteResult
from connectors.registry import connector_class
from syncjobs.models import Delivery
from syncjobs.outbound import outbound_order, remote_id_of
from syncjobs.outbox import Kind, revive, withdraw


def change_is_ready(sender: type, change: OrderChange, **kwargs: object) -> None:
    """Makes a change's delivery, or revives it; a warehouse that cannot change orders leaves it to a person."""
    order = change.order
    assert order.warehouse is not None, "only an order that was sent has changes to send"
    kind = connector_class(order.warehouse.connector)
    if not issubclass(kind, OrderChangeWriter):
        change_flow.hold(change, f"{kind.label} cannot change orders that it has.")
        return
    now = timezone.now()
    delivery, created = Delivery.objects.get_or_create(
        connection_id=order.warehouse.pk,
        kind=Kind.CHANGE,
        reference=change.reference,
        defaults={"order": order, "change": change, "run_at": now},
    )
    if not created:
        revive(delivery, now)


def change_is_withdrawn(sender: type, change: OrderChange, **kwargs: object) -> bool:
    """Takes a change's delivery back. False when it is on its way, or may have arrived already."""
    return withdraw(Delivery.objects.filter(change=change, kind=Kind.CHANGE))


def send_change(connector: Connector, delivery: Delivery) -> WriteResult:
    """One change. The port is idempotent, so a doubt about an earlier try is settled by trying again."""
    change, order = cast(OrderChange, delivery.change), delivery.own_order
    content = OrderContent.from_json(change.content)
    order_content.fill(order, content)
    wanted = OutboundOrderChange(
        reference=delivery.reference,
        remote_id=remote_id_of(order, delivery.connection_id),
        order=outbound_order(order, [line for line in order_content.lines_for(order, content) if line.ships]),
        summary=change.summary,
    )
    try:
        return cast(OrderChangeWriter, connector).change_order(wanted)
    except RecordRefused as error:
        return WriteResult.rejected(delivery.reference, error.message, error.fix)
