"""What the figures of a cart's locations do not show yet: orders on their way to the warehouse, goods on their way back to it, and
stock documents of the shops that it has not booked."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

from django.db import connection as database
from django.db.models import F, Q, Sum
from django.utils import timezone

from carts.models import Cart, Location, Order, OrderChange, OrderLine, Refund, StockOnItsWay
from syncjobs.expected_returns import EXPECTED_FOR, ExpectedBack, expected_back
from syncjobs.models import Delivery
from syncjobs.pending_changes import added_by_changes
from syncjobs.stock_on_its_way import WAITED_FOR, OnItsWay, figure_time, figures_are_live, on_its_way

STEP = Decimal("0.00001")
ZERO = Decimal(0)


@dataclass(frozen=True, slots=True)
class ExpectedStock:
    """By SKU key, of all the cart's locations together. ``waiting``: sold, but not deducted in the warehouse's figures
    yet."""

    waiting: dict[str, Decimal]
    back: ExpectedBack
    moved: OnItsWay

    @classmethod
    def load(cls, cart: Cart, places: Sequence[Location]) -> ExpectedStock:
        if figures_are_live(places) and not anything_expected(cart, places):
            return cls({}, ExpectedBack(), OnItsWay())
        return cls(not_at_warehouse_yet(places), expected_back(cart, places), on_its_way(places))

    @property
    def keys(self) -> set[str]:
        return {*self.waiting, *self.back.keys, *self.moved.keys}

    def of(self, key: str) -> tuple[Decimal, Decimal]:
        """What is to be added to the warehouse's figure of an SKU: at least, and at most. What may or may not be in the
        figure, or on the shop's shelf, explains what the shop shows now, but nothing is written because of it."""
        least, most = self.moved.bounds(key)
        sure = self.back.sure.get(key, ZERO) - self.waiting.get(key, ZERO)
        return sure + least, sure + most + self.back.perhaps.get(key, ZERO)

    def desired(self, key: str, available: Decimal, current: Decimal) -> Decimal:
        """The level that the shop should show, which shows ``current`` now."""
        least, most = self.of(key)
        return min(max(current, available + least), available + most)


# Wider than what the sums below count, and in plain SQL: mostly there is nothing at all, and then no sum is formed.
ANYTHING_EXPECTED = f"""
    SELECT EXISTS (
            SELECT 1 FROM {Order._meta.db_table}
            WHERE location_id IN (PLACES) AND status IN ('new', 'held', 'error')
        )
        OR EXISTS (
            SELECT 1 FROM {OrderChange._meta.db_table} change
            JOIN {Order._meta.db_table} changed ON changed.id = change.order_id
            WHERE change.status IN ('waiting', 'sending', 'held') AND changed.location_id IN (PLACES)
        )
        OR EXISTS (
            SELECT 1 FROM {Refund._meta.db_table}
            WHERE cart_id = %s AND stored_at > %s AND status IN ('new', 'held', 'error', 'at_warehouse')
        )
        OR EXISTS (
            SELECT 1 FROM {StockOnItsWay._meta.db_table} WHERE location_id IN (PLACES) AND changed_at > %s
        )
        OR EXISTS (
            SELECT 1 FROM {Delivery._meta.db_table}
            WHERE connection_id = %s AND kind IN ('adjustment', 'transfer') AND state NOT IN ('done', 'cancelled')
        )
"""  # noqa: S608 - table names of ours, nothing from outside


def anything_expected(cart: Cart, places: Sequence[Location]) -> bool:
    """For a warehouse whose figures are live: may there be something that they do not show yet? One query."""
    ids = [place.pk for place in places]
    now = timezone.now()
    returned_after, moved_after = (
        database.ops.adapt_datetimefield_value(now - age) for age in (EXPECTED_FOR, WAITED_FOR)
    )
    statement = ANYTHING_EXPECTED.replace("PLACES", ", ".join(["%s"] * len(ids)))
    with database.cursor() as cursor:
        cursor.execute(statement, [*ids, *ids, cart.pk, returned_after, *ids, moved_after, places[0].warehouse_id])
        return bool(cursor.fetchone()[0])


def not_at_warehouse_yet(places: Sequence[Location]) -> dict[str, Decimal]:
    """SKU key -> quantity that the shops sold but that is not deducted in the warehouse's figures yet: what was not sent,
    and what was sent after the time of the SKU's own figure at the order's location. Where that location has no figure
    of the SKU at all, it is deducted from what the other locations have until it is shipped."""
    unsent = [Order.Status.NEW, Order.Status.HELD, Order.Status.ERROR]
    lines = OrderLine.objects.filter(order__location__in=places, ships=True).exclude(sku_key="")
    if figures_are_live(places):
        lines = lines.filter(order__status__in=unsent)
    else:
        late = Q(order__at_warehouse_at__gte=F("figure_of"))
        if len(places) > 1:
            late |= Q(figure_of=None)
        lines = lines.annotate(figure_of=figure_time("order__location")).filter(
            Q(order__status__in=unsent) | late,
            # Said once more for all of them: so the databases see that an index answers it.
            order__status__in=[*unsent, Order.Status.AT_WAREHOUSE],
        )
    rows = lines.order_by().values("sku_key").annotate(open=Sum(F("quantity") - F("shipped")))
    waiting = {row["sku_key"]: Decimal(row["open"]).quantize(STEP) for row in rows if row["open"] and row["open"] > 0}
    for key, more in added_by_changes(places).items():
        waiting[key] = waiting.get(key, ZERO) + more.quantize(STEP)
    return waiting
