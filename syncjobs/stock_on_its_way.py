"""What the shops' stock documents changed and the warehouse's figures do not show yet, as Inventory Sync sees it.

The shop's own level moved when the stock moved; the warehouse's follows when the document is booked there. In between
the shop is not pushed back. While a document is being sent, or whether it arrived is not known, either figure is right.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from decimal import Decimal

from django.db.models import BooleanField, ExpressionWrapper, F, OuterRef, Q, QuerySet, Subquery, Sum
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
MOVE = ("sku_key", "leaves", "arrives", "quantity")


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


def on_its_way(places: Sequence[Location]) -> OnItsWay:
    """For locations of one warehouse, added up: three queries, five for a warehouse whose figures are read from time to
    time."""
    found = OnItsWay()
    rows = StockOnItsWay.objects.filter(location__in=places, changed_at__gt=timezone.now() - WAITED_FOR)
    collect(found.sure, rows.values_list("sku_key", "quantity"))
    for key, quantity in in_doubt(places):
        found.sure[key] = found.sure.get(key, ZERO) - quantity
        side = found.more if quantity > 0 else found.less
        side[key] = side.get(key, ZERO) + quantity
    if not figures_are_live(places):
        collect(found.sure, booked_late(places))
    return found


def figures_are_live(places: Sequence[Location]) -> bool:
    """Are the figures of these locations of one warehouse always those of this moment, or read from time to time?"""
    return connector_class(places[0].warehouse.connector).levels_are_live


def figure_time(location: str) -> Subquery:
    """When the figure of a line's SKU was read at the location that ``location`` (a look-up from the line) names."""
    level = StockLevel.objects.filter(location=OuterRef(location), sku_key=OuterRef("sku_key")).order_by()
    return Subquery(level.values("read_at")[:1])


def in_doubt(places: Sequence[Location]) -> Iterator[tuple[str, Decimal]]:
    """What lines do to the levels whose document is being sent, or may have arrived. Two queries."""
    doubtful = Q(state=Delivery.State.SENDING) | Q(in_doubt=True)
    deliveries = Delivery.objects.filter(doubtful, connection_id=places[0].warehouse_id).exclude(
        state__in=[Delivery.State.DONE, Delivery.State.CANCELLED]
    )
    adjusted = StockAdjustmentLine.objects.filter(
        adjustment__deliveries__in=deliveries, adjustment__location__in=places
    )
    yield from adjusted.order_by().values_list("sku_key").annotate(Sum("quantity"))
    for key, leaves, arrives, quantity in moves(places).filter(step__deliveries__in=deliveries).values_list(*MOVE):
        # Between two of the locations nothing changes, booked or not.
        if leaves != arrives:
            yield key, -quantity if leaves else quantity


def booked_late(places: Sequence[Location]) -> Iterator[tuple[str, Decimal]]:
    """What lines did to the levels that were booked after the time of the SKU's own figure. Two queries."""
    adjusted = StockAdjustmentLine.objects.annotate(figure_of=figure_time("adjustment__location")).filter(
        adjustment__location__in=places,
        adjustment__status=StockDocument.Status.BOOKED,
        adjustment__booked_at__gte=F("figure_of"),
    )
    yield from adjusted.order_by().values_list("sku_key").annotate(Sum("quantity"))
    booked = moves(places).annotate(
        figure_there=figure_time("step__transfer__from_location"),
        figure_here=figure_time("step__transfer__to_location"),
    )
    late = Q(step__booked_at__gte=F("figure_there")) | Q(step__booked_at__gte=F("figure_here"))
    rows = booked.filter(late, step__status=StockDocument.Status.BOOKED)
    times = ("step__booked_at", "figure_there", "figure_here")
    for key, leaves, arrives, quantity, booked_at, figure_there, figure_here in rows.values_list(*MOVE, *times):
        if leaves and figure_there is not None and booked_at >= figure_there:
            yield key, -quantity
        if arrives and figure_here is not None and booked_at >= figure_here:
            yield key, quantity


def moves(places: Sequence[Location]) -> QuerySet[StockTransferLine]:
    """Lines of transfers from or to these locations; ``leaves`` and ``arrives`` say what a line's step does to them."""
    is_from = Q(step__transfer__from_location__in=places) & ~Q(step__step=Step.RECEIVED)
    is_to = Q(step__transfer__to_location__in=places) & ~Q(step__step=Step.SENT)
    return StockTransferLine.objects.filter(is_from | is_to).annotate(
        leaves=ExpressionWrapper(is_from, output_field=BooleanField()),
        arrives=ExpressionWrapper(is_to, output_field=BooleanField()),
    )


def collect(sums: dict[str, Decimal], rows: Iterable[tuple[str, Decimal]]) -> None:
    for key, quantity in rows:
        sums[key] = (sums.get(key, ZERO) + Decimal(quantity)).quantize(STEP)
