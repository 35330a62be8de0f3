"""What the parts of one comparison share: the run, the report, its counts, and what could not be decided."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import islice
from typing import TypeVar

from django.db.models import QuerySet
from django.utils import timezone

from carts.models import Cart, Connection, Order
from connectors.functions import Function
from connectors.records import Page
from syncjobs.context import RunContext
from syncjobs.models import Mismatch, Reconciliation, Run, Schedule
from syncjobs.reconciliation import Key

# What is on its way for longer than this should have arrived.
PATIENCE = timedelta(minutes=30)
# How many differences are held in memory until it is decided which of them are on their way.
AT_ONCE = 500
# Orders per part of the period. The parts are compared, stored and forgotten one by one.
ORDERS_PER_WINDOW = 5000
MINUTE = timedelta(minutes=1)

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Window:
    """A part of the period, from ``since`` until before ``until``."""

    since: datetime
    until: datetime

    def holds(self, at: datetime) -> bool:
        return self.since <= at < self.until


class Look:
    """One comparison by one run. ``undecided`` are differences that may be on their way."""

    def __init__(self, context: RunContext, report: Reconciliation) -> None:
        self.context = context
        self.cart: Cart = context.cart
        self.report = report
        self.undecided: set[Key] = set()

    def count(self, name: str, number: int) -> None:
        self.report.counts[name] = self.report.counts.get(name, 0) + number

    def leave_out(self, sentence: str) -> None:
        """Says what is not compared, and why."""
        if sentence not in self.report.left_out:
            self.report.left_out.append(sentence)

    def undecide(self, cause: str, subject: str) -> None:
        self.undecided.add((cause, subject[:200]))

    def pages(self, pages: Iterator[Page[T]]) -> Iterator[Page[T]]:
        """The cart's pages, the next one fetched while this one is compared."""
        return self.told(self.context.pages(pages))

    def told(self, pages: Iterator[Page[T]]) -> Iterator[Page[T]]:
        """After each page the run shows that it lives, and its calls are logged."""
        for page in pages:
            yield page
            with self.context.page(None):
                pass


def windows(cart: Cart, since: datetime, until: datetime) -> Iterator[Window]:
    """The period in parts of so many orders, cut at whole minutes. One query for each."""
    orders = Order.objects.filter(cart=cart, placed_at__lt=until).order_by("placed_at")
    while since < until:
        rows = orders.filter(placed_at__gte=since).values_list("placed_at", flat=True)
        beyond = list(rows[ORDERS_PER_WINDOW : ORDERS_PER_WINDOW + 1])
        end = min(max(beyond[0].replace(second=0, microsecond=0), since + MINUTE), until) if beyond else until
        yield Window(since, end)
        since = end


def batches(items: Iterable[T], size: int = AT_ONCE) -> Iterator[list[T]]:
    iterator = iter(items)
    while batch := list(islice(iterator, size)):
        yield batch


def by_id(rows: QuerySet[Order], ids: Sequence[int]) -> Iterator[Order]:
    for batch in batches(sorted(ids)):
        yield from rows.filter(pk__in=batch)


def was_done(connection: Connection, *functions: Function) -> bool:
    """Did one of these functions, as far as they are on, ever get to its end?"""
    schedules = Schedule.objects.filter(connection_id=connection.pk, function__in=functions)
    return schedules.filter(last_success_at__isnull=False).exists()


def last_start(connection: Connection, function: Function) -> datetime | None:
    """When the last run that got to its end began."""
    runs = Run.objects.filter(connection_id=connection.pk, function=function, state=Run.State.DONE, dry_run=False)
    newest = runs.exclude(started_at=None).order_by("-pk").values_list("started_at", flat=True).first()
    if newest is not None:
        return newest
    schedule = Schedule.objects.filter(connection_id=connection.pk, function=function).first()
    return schedule.last_success_at - PATIENCE if schedule is not None and schedule.last_success_at else None


def late(now: datetime | None = None) -> datetime:
    return (now or timezone.now()) - PATIENCE


Rows = QuerySet[Mismatch]
