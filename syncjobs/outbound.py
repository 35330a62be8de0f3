"""Orders as warehouses get them."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from carts.line_skus import UNSENT_ORDERS, bring_up_to_date
from carts.models import Order, OrderLine
from connectors.records import Address, OutboundLine, OutboundOrder
from syncjobs.models import Delivery


def outbound_orders(batch: Sequence[Delivery]) -> list[OutboundOrder]:
    """Orders as the warehouse gets them, under the SKUs that count now. One query for all lines, and one for the products
    of each cart."""
    lines: dict[int, list[OrderLine]] = {}
    for line in OrderLine.objects.filter(order_id__in=[delivery.order_id for delivery in batch], ships=True):
        lines.setdefault(line.order_id, []).append(line)
    of_cart: dict[int, list[OrderLine]] = {}
    for delivery in batch:
        order = delivery.own_order
        if order.status in UNSENT_ORDERS:
            of_cart.setdefault(order.cart_id, []).extend(lines.get(order.pk, []))
    for cart_id, unsent in of_cart.items():
        bring_up_to_date(cart_id, unsent)
    return [outbound_order(delivery.own_order, lines.get(delivery.own_order.pk, [])) for delivery in batch]


def outbound_order(order: Order, lines: Sequence[OrderLine]) -> OutboundOrder:
    return OutboundOrder(
        reference=order.reference,
        number=order.number,
        location_id=(order.location.external_id or f"loc-{order.location.pk}") if order.location else "",
        cart_name=order.cart.name,
        placed_at=order.placed_at,
        currency=order.currency,
        total=order.total,
        tax_total=order.tax_total,
        shipping_total=order.shipping_total,
        discount_total=order.discount_total,
        ship_to=Address.from_dict(order.ship_to),
        bill_to=Address.from_dict(order.bill_to) if order.bill_to else None,
        customer_name=order.customer_name,
        customer_email=order.customer_email,
        ship_method=order.ship_method,
        note=order.note,
        lines=tuple(
            OutboundLine(
                reference=line.external_id,
                sku=line.sku_at_warehouse,
                name=line.name,
                quantity=line.quantity,
                unit_price=line.unit_price,
                discount=line.discount,
                tax=line.tax,
                total=line.total,
                note=line.note,
            )
            for line in lines
        ),
    )


def sent_order(delivery: Delivery) -> str:
    """The order as the warehouse's connector got it, as JSON."""
    return msgspec.json.encode(outbound_orders([delivery])[0]).decode()


def remote_id_of(order: Order, connection_id: int) -> str:
    """The warehouse's own id of an order that was sent to it, "" when it gave none."""
    sent = Delivery.objects.filter(connection_id=connection_id, kind=Delivery.Kind.ORDER, reference=order.reference)
    return sent.values_list("remote_id", flat=True).first() or ""
