"""The dashboard's charts: orders stored per hour or day, and how long they took to reach the warehouse."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db.models import Case, Count, DurationField, ExpressionWrapper, F, IntegerField, QuerySet, Value, When
from django.db.models.functions import TruncDay, TruncHour
from django.utils import timezone

from carts.models import Order
from carts.order_search import since
from syncjobs.latency import percentile
from syncjobs.models.latency import CLASS_ENDS


@dataclass(frozen=True)
class Span:
    """What a chart covers, and the width of its steps."""

    key: str
    label: str
    steps: int
    is_hourly: bool

    def times(self, now: datetime) -> list[datetime]:
        """The beginnings of all steps, the current one last, in the user's zone."""
        local = timezone.localtime(now)
        if self.is_hourly:
            current = local.replace(minute=0, second=0, microsecond=0)
            return [timezone.localtime(current - timedelta(hours=back)) for back in reversed(range(self.steps))]
        today = local.date()
        return [
            timezone.make_aware(datetime.combine(today - timedelta(days=back), datetime.min.time()))
            for back in reversed(range(self.steps))
        ]


SPANS = {"24h": Span("24h", "24 hours", 24, True), "30d": Span("30d", "30 days", 30, False)}


def charts(orders: QuerySet[Order], span: Span, now: datetime) -> dict[str, Any]:
    """Labels and series of both charts. Three queries."""
    times = span.times(now)
    trunc = TruncHour if span.is_hourly else TruncDay
    recent = since(orders, times[0])
    stored = dict(
        recent.filter(stored_at__gte=times[0])
        .order_by()
        .annotate(step=trunc("stored_at"))
        .values_list("step")
        .annotate(total=Count("pk"))
    )
    latency = ExpressionWrapper(F("at_warehouse_at") - F("stored_at"), output_field=DurationField())
    classes = Case(
        *(When(latency__lte=timedelta(seconds=end), then=Value(index)) for index, end in enumerate(CLASS_ENDS)),
        default=Value(len(CLASS_ENDS)),
        output_field=IntegerField(),
    )
    rows = (
        recent.filter(at_warehouse_at__gte=times[0])
        .order_by()
        .annotate(latency=latency, step=trunc("at_warehouse_at"))
        .annotate(latency_class=classes)
        .values_list("step", "latency_class")
        .annotate(total=Count("pk"))
    )
    counted: dict[datetime, list[int]] = defaultdict(lambda: [0] * (len(CLASS_ENDS) + 1))
    for step, index, total in rows:
        counted[step][index] += total
    overall = [sum(column) for column in zip(*counted.values(), strict=True)] if counted else []
    return {
        "labels": [f"{time:%H:%M}" if span.is_hourly else f"{time.day} {time:%b}" for time in times],
        "stored": [stored.get(time, 0) for time in times],
        "p50": [rounded(percentile(counted[time], 0.5)) if time in counted else None for time in times],
        "p95": [rounded(percentile(counted[time], 0.95)) if time in counted else None for time in times],
        "total": sum(stored.values()),
        "typical": words(percentile(overall, 0.5)),
        "slow": words(percentile(overall, 0.95)),
    }


def rounded(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds, 1)


def words(seconds: float | None) -> str:
    """``8 s``, ``4 min``, ``2.5 h``; nothing is quicker than a second."""
    if seconds is None:
        return ""
    if seconds < 90:
        return f"{max(seconds, 1):.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
