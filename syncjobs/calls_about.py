"""The API calls about an order: what was sent for it, and the run that brought it."""

from __future__ import annotations

from collections.abc import Sequence

from django.db.models import Q, QuerySet

from carts.models import Order
from connectors.functions import Function
from syncjobs.models import Run

MOST_ORDERS = 20


def orders_named(orders: QuerySet[Order], term: str) -> list[Order]:
    """The orders that have this number, external id or reference, newest first."""
    if not term:
        return []
    named = Q(number=term) | Q(external_id=term) | Q(reference=term)
    return list(orders.filter(named).order_by("-pk")[:MOST_ORDERS])


def calls_about(orders: Sequence[Order]) -> Q:
    """As a filter of ``ApiCall``."""
    about = Q(delivery__order__in=[order.pk for order in orders])
    runs = [run.pk for order in orders if (run := run_that_brought(order))]
    return about | Q(run__in=runs) if runs else about


def run_that_brought(order: Order) -> Run | None:
    """The Order Download during which the order was stored."""
    return (
        Run.objects.filter(
            connection_id=order.cart_id,
            feed=Function.ORDER_DOWNLOAD,
            started_at__lte=order.stored_at,
            finished_at__gte=order.stored_at,
        )
        .order_by("-pk")
        .first()
    )
