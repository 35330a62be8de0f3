"""Latency in public: how long a cart's orders take from the sale to the hub, to the warehouse, out of its door, and back.

The orders' histories are counted once, in the order of their lines, into a few rows per cart: what it costs follows from
what happened, and a screen reads rows, not orders.
"""

from __future__ import annotations

import time
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from django.db import transaction
from django.db.models import Min

from carts.models import Order, OrderEvent
from syncjobs.models.latency import CLASS_ENDS, EVER, LatencyCount, LatencyCursor

Step = LatencyCount.Step
Period = LatencyCount.Period

STEP_OF_EVENT = {"imported": Step.STORED, "sent": Step.SENT, "shipped": Step.SHIPPED, "confirmed": Step.CONFIRMED}
# Lines get their numbers before they are committed: a transaction may still be adding lower ones.
SETTLED_AFTER = timedelta(seconds=15)
AT_ONCE = 2000
# After an upgrade there may be years to count: orders must not wait for that.
AT_MOST_SECONDS = 0.5
SPANS = {"24h": (Period.HOUR, timedelta(hours=24)), "30d": (Period.DAY, timedelta(days=30))}
KEPT = {Period.HOUR: timedelta(days=3), Period.DAY: timedelta(days=40)}


@dataclass(slots=True)
class Tally:
    """Durations, counted by class."""

    total: int = 0
    seconds: float = 0.0
    slowest: float = 0.0
    counts: list[int] = field(default_factory=lambda: [0] * (len(CLASS_ENDS) + 1))

    def add(self, duration: float) -> None:
        self.total += 1
        self.seconds += duration
        self.slowest = max(self.slowest, duration)
        self.counts[bisect_left(CLASS_ENDS, duration)] += 1

    def merge(self, other: Tally | LatencyCount) -> None:
        self.total += other.total
        self.seconds += other.seconds
        self.slowest = max(self.slowest, other.slowest)
        self.counts = [mine + more for mine, more in zip(self.counts, other.counts, strict=True)]

    def percentile(self, share: float) -> float | None:
        """In seconds; never beyond the slowest."""
        found = percentile(self.counts, share)
        return None if found is None else min(found, self.slowest)


def percentile(counts: Sequence[int], share: float) -> float | None:
    """The duration in seconds below which ``share`` of what was counted lies; within a class as if evenly spread."""
    total = sum(counts)
    if not total:
        return None
    wanted, seen = share * total, 0
    for index, count in enumerate(counts):
        if count and seen + count >= wanted:
            low = CLASS_ENDS[index - 1] if index else 0
            high = CLASS_ENDS[index] if index < len(CLASS_ENDS) else CLASS_ENDS[-1]
            return low + (high - low) * (wanted - seen) / count
        seen += count
    return float(CLASS_ENDS[-1])


Key = tuple[int, str, str, datetime]


def count_latencies(now: datetime) -> int:
    """Counts what was added to the orders' histories since the last time. Returns the number of lines looked at."""
    looked_at = 0
    end = time.monotonic() + AT_MOST_SECONDS
    while step := count_some(now):
        looked_at += step
        if step < AT_ONCE or time.monotonic() > end:
            break
    return looked_at


def count_some(now: datetime) -> int:
    if not OrderEvent.objects.filter(pk__gt=after_event()).exists():
        return 0
    with transaction.atomic():
        cursor = LatencyCursor.objects.select_for_update().get_or_create(pk=1)[0]
        lines = list(
            OrderEvent.objects.filter(pk__gt=cursor.after_event)
            .order_by("pk")
            .values_list("pk", "kind", "order_id", "at")[:AT_ONCE]
        )
        settled = [line for line in lines if line[3] <= now - SETTLED_AFTER]
        if len(settled) < len(lines):
            # Up to the first that is too young: whatever comes before it in number may still come.
            young = next(position for position, line in enumerate(lines) if line[3] > now - SETTLED_AFTER)
            settled = lines[:young]
        if not settled:
            return 0
        store(tally([(pk, kind, order_id, at) for pk, kind, order_id, at in settled if kind in STEP_OF_EVENT]))
        cursor.after_event = settled[-1][0]
        cursor.save(update_fields=["after_event"])
    return len(settled)


def after_event() -> int:
    return LatencyCursor.objects.filter(pk=1).values_list("after_event", flat=True).first() or 0


def tally(lines: Sequence[tuple[int, str, int, datetime]]) -> dict[Key, Tally]:
    """The durations that these lines end. A step counts once, when it happens first."""
    order_ids = {order_id for _, _, order_id, _ in lines}
    orders = Order.objects.select_related("cart").only(
        "placed_at", "remote_updated_at", "stored_at", "at_warehouse_at", "shipped_at", "cart__created_at"
    )
    known = orders.in_bulk(order_ids)
    firsts = set(
        OrderEvent.objects.filter(order_id__in=order_ids, kind__in=STEP_OF_EVENT)
        .order_by()
        .values("order_id", "kind")
        .annotate(first=Min("pk"))
        .values_list("first", flat=True)
    )
    found: dict[Key, Tally] = defaultdict(Tally)
    for pk, kind, order_id, at in lines:
        order = known.get(order_id)
        if order is None or pk not in firsts:
            continue
        step = STEP_OF_EVENT[kind]
        began = beginning(order, step)
        if began is None:
            continue
        duration = max((at - began).total_seconds(), 0.0)
        for period, start in periods_of(at):
            found[order.cart_id, step.value, period.value, start].add(duration)
    return found


def beginning(order: Order, step: str) -> datetime | None:
    """When the step began; None when its duration says nothing: what was sold before the cart was set up came late for
    no fault of anybody's."""
    if step == Step.STORED:
        sold = max(order.placed_at, order.remote_updated_at or order.placed_at)
        return sold if sold >= order.cart.created_at else None
    if step == Step.SENT:
        return order.stored_at
    return order.at_warehouse_at if step == Step.SHIPPED else order.shipped_at


def periods_of(at: datetime) -> Iterator[tuple[Period, datetime]]:
    hour = at.replace(minute=0, second=0, microsecond=0)
    yield Period.HOUR, hour
    yield Period.DAY, hour.replace(hour=0)
    yield Period.EVER, EVER


def store(found: dict[Key, Tally]) -> None:
    if not found:
        return
    known = {
        (row.cart_id, row.step, row.period, row.start): row
        for row in LatencyCount.objects.filter(
            cart_id__in={key[0] for key in found}, start__in={key[3] for key in found}
        )
    }
    for key, more in found.items():
        if key in known:
            more.merge(known[key])
    LatencyCount.objects.bulk_create(
        [
            LatencyCount(
                cart_id=cart_id,
                step=step,
                period=period,
                start=start,
                total=sums.total,
                seconds=sums.seconds,
                slowest=sums.slowest,
                counts=sums.counts,
            )
            for (cart_id, step, period, start), sums in found.items()
        ],
        update_conflicts=True,
        unique_fields=["cart", "step", "period", "start"],
        update_fields=["total", "seconds", "slowest", "counts"],
    )


def latencies(cart_ids: Iterable[int], span: str, now: datetime) -> dict[tuple[int, str], Tally]:
    """Per cart and step, over the last 24 hours or 30 days. One query."""
    period, length = SPANS[span]
    rows = LatencyCount.objects.filter(cart_id__in=list(cart_ids), period=period, start__gt=now - length)
    found: dict[tuple[int, str], Tally] = defaultdict(Tally)
    for row in rows.iterator(chunk_size=2000):
        found[row.cart_id, row.step].merge(row)
    return found


def prune_latencies(now: datetime) -> None:
    for period, kept in KEPT.items():
        LatencyCount.objects.filter(period=period, start__lt=now - kept).delete()
