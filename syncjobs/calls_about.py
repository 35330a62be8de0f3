"""The API calls about an order: what was sent for it, and the run that brought it."""

from __future__ import annotations

from collections.abc import Sequence

from django.db.models import Q, QuerySet

from carts.models import Merchant, Order
from carts.order_search import ids_named
from connectors.functions import Function
from syncjobs.models import Delivery, Run

MOST_ORDERS = 20
MOST_NUMBERED = 1_000


def orders_named(orders: QuerySet[Order], term: str) -> list[Order]:
    """The orders that have this number, external id or reference, newest first."""
    if not term:
        return []
    merchants = list(Merchant.objects.order_by().values_list("pk", flat=True))
    numbered = Order.objects.filter(merchant__in=merchants, number=term).order_by().values_list("pk", flat=True)
    named = {*ids_named(term), *numbered[:MOST_NUMBERED]}
    return list(orders.filter(pk__in=named).order_by("-pk")[:MOST_ORDERS])


def calls_about(orders: Sequence[Order]) -> Q:
    """As a filter of ``ApiCall``."""
    deliveries = Delivery.objects.filter(order__in=[order.pk for order in orders]).order_by()
    about = Q(delivery__in=list(deliveries.values_list("pk", flat=True)))
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
