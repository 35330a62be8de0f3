"""The dashboard's charts: orders stored per hour or day, and how long they took to reach the warehouse."""

from __future__ import annotations

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db.models import Case, Count, Func, IntegerField, QuerySet, Value, When
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


class SecondsBetween(Func):
    """From the second moment to the first one, a begun second counted as a whole. Django's own difference of moments is a
    Python function on SQLite, called for every order."""

    arity = 2
    output_field = IntegerField()
    template = "CEIL(EXTRACT(EPOCH FROM %(expressions)s))::integer"
    arg_joiner = " - "

    def as_sqlite(self, compiler: Any, connection: Any, **context: Any) -> tuple[str, Sequence[Any]]:
        milliseconds = "CAST(ROUND((julianday(%(expressions)s)) * 86400000) AS INTEGER)"
        template = f"(({milliseconds} + 999) / 1000)"
        return self.as_sql(compiler, connection, template=template, arg_joiner=") - julianday(", **context)


def step_of(moment: str, times: list[datetime]) -> Case:
    """The place of the step that a moment is in. Comparisons cost less than cutting each moment in the user's zone."""
    ends = (When(**{f"{moment}__lt": end}, then=Value(place)) for place, end in enumerate(times[1:]))
    return Case(*ends, default=Value(len(times) - 1), output_field=IntegerField())


def charts(orders: QuerySet[Order], span: Span, now: datetime) -> dict[str, Any]:
    """Labels and series of both charts. Three queries."""
    times = span.times(now)
    recent = since(orders, times[0]).order_by()
    stored = dict(
        recent.filter(stored_at__gte=times[0])
        .annotate(step=step_of("stored_at", times))
        .values_list("step")
        .annotate(total=Count("pk"))
    )
    rows = (
        recent.filter(at_warehouse_at__gte=times[0])
        .annotate(step=step_of("at_warehouse_at", times), seconds=SecondsBetween("at_warehouse_at", "stored_at"))
        .values_list("step", "seconds")
        .annotate(total=Count("pk"))
    )
    counted: dict[int, list[int]] = defaultdict(lambda: [0] * (len(CLASS_ENDS) + 1))
    for step, seconds, total in rows:
        counted[step][bisect_left(CLASS_ENDS, seconds)] += total
    overall = [sum(column) for column in zip(*counted.values(), strict=True)] if counted else []
    steps = range(len(times))
    return {
        "labels": [f"{time:%H:%M}" if span.is_hourly else f"{time.day} {time:%b}" for time in times],
        "stored": [stored.get(step, 0) for step in steps],
        "p50": [rounded(percentile(counted[step], 0.5)) if step in counted else None for step in steps],
        "p95": [rounded(percentile(counted[step], 0.95)) if step in counted else None for step in steps],
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
