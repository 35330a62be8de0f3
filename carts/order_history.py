"""What everything that moves an order shares: the locked row, its history, and refusals in words."""

from __future__ import annotations

from carts.models import Order, OrderEvent

HUB = "hub"


class TransitionRefused(Exception):
    """The order is not in a state in which this can be done. The text says why, for people."""


def locked(order_id: int) -> Order:
    """The order as it is now, locked until the transaction ends."""
    return Order.objects.select_for_update(of=("self",)).select_related("cart", "warehouse").get(pk=order_id)


def note(order: Order, kind: str, message: str, actor: str = HUB) -> None:
    """Adds a line to the order's history."""
    OrderEvent.objects.create(order=order, kind=kind, message=message, actor=actor)
