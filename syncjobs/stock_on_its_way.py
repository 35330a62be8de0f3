"""What the shops' stock documents changed and the warehouse's figures do not show yet, as Inventory Sync sees it.

The shop's own level moved when the stock moved; the warehouse's follows when the document is booked there. In between
the shop is not pushed back. While a document is being sent, or whether it arrived is not known, either figure is right.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import timedelta
from decimal import Decimal

from django.db.models import F, OuterRef, Q, Subquery, Sum
from django.utils import timezone

from carts.models import (
    Location,
    StockAdjustmentLine,
    StockDocument,
    StockLevel,
    StockOnItsWay,
    StockTransferLine,
    StockTransferStep,
)
from connectors.registry import connector_class
from syncjobs.models import Delivery

STEP = Decimal("0.00001")
ZERO = Decimal(0)
# What was not booked by then is not waited for any more: the warehouse's figures count.
WAITED_FOR = timedelta(days=14)
Step = StockTransferStep.Step


@dataclass(frozen=True, slots=True)
class OnItsWay:
    """Quantities by SKU key. ``sure`` is missing in the warehouse's figure; ``less`` (below zero) and ``more`` may be in
    it already, or not."""

    sure: dict[str, Decimal] = field(default_factory=dict)
    less: dict[str, Decimal] = field(default_factory=dict)
    more: dict[str, Decimal] = field(default_factory=dict)

    @property
    def keys(self) -> set[str]:
        return {*self.sure, *self.less, *self.more}

    def bounds(self, key: str) -> tuple[Decimal, Decimal]:
        """What is to be added to the warehouse's figure: at least, and at most."""
        sure = self.sure.get(key, ZERO)
        return sure + self.less.get(key, ZERO), sure + self.more.get(key, ZERO)


def on_its_way(location: Location) -> OnItsWay:
    """For one location: three queries, five for a warehouse whose figures are read from time to time."""
    found = OnItsWay()
    rows = StockOnItsWay.objects.filter(location=location, changed_at__gt=timezone.now() - WAITED_FOR)
    collect(found.sure, rows.values_list("sku_key", "quantity"))
    doubtful = Q(state=Delivery.State.SENDING) | Q(in_doubt=True)
    deliveries = Delivery.objects.filter(doubtful, connection_id=location.warehouse_id).exclude(
        state__in=[Delivery.State.DONE, Delivery.State.CANCELLED]
    )
    unclear = Q(adjustment__deliveries__in=deliveries), Q(step__deliveries__in=deliveries)
    for key, quantity in lines_at(location, *unclear):
        found.sure[key] = found.sure.get(key, ZERO) - quantity
        side = found.more if quantity > 0 else found.less
        side[key] = side.get(key, ZERO) + quantity
    if not figures_are_live(location):
        # Booked after the time of the SKU's own figure.
        booked = StockDocument.Status.BOOKED
        late = (
            Q(adjustment__status=booked, adjustment__booked_at__gte=F("figure_of")),
            Q(step__status=booked, step__booked_at__gte=F("figure_of")),
        )
        collect(found.sure, lines_at(location, *late, figure_of=figure_time(location)))
    return found


def figures_are_live(location: Location) -> bool:
    """Are the location's figures always those of this moment, or read from time to time?"""
    return connector_class(location.warehouse.connector).levels_are_live


def figure_time(location: Location) -> Subquery:
    """When the figure of a line's SKU was read."""
    level = StockLevel.objects.filter(location=location, sku_key=OuterRef("sku_key")).order_by()
    return Subquery(level.values("read_at")[:1])


def lines_at(location: Location, adjustments: Q, steps: Q, **more: Subquery) -> list[tuple[str, Decimal]]:
    """What lines of these documents do to the location's levels. Two queries."""
    rows = StockAdjustmentLine.objects.annotate(**more).filter(adjustments, adjustment__location=location)
    found = list(rows.order_by().values_list("sku_key").annotate(Sum("quantity")))
    moves = StockTransferLine.objects.annotate(**more).filter(
        steps, Q(step__transfer__from_location=location) | Q(step__transfer__to_location=location)
    )
    for key, step, start, end, quantity in moves.values_list(
        "sku_key", "step__step", "step__transfer__from_location", "step__transfer__to_location", "quantity"
    ):
        if start == location.pk and step != Step.RECEIVED:
            found.append((key, -quantity))
        if end == location.pk and step != Step.SENT:
            found.append((key, quantity))
    return found


def collect(sums: dict[str, Decimal], rows: Iterable[tuple[str, Decimal]]) -> None:
    for key, quantity in rows:
        sums[key] = (sums.get(key, ZERO) + Decimal(quantity)).quantize(STEP)
