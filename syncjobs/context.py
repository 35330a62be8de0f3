"""What a flow has in its hands while it runs: connection, connector, cursor, page transactions, time slice."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import Any, TypeVar

from django.db import transaction
from django.utils import timezone

from carts.models import Cart, Connection, FunctionSetting, Warehouse
from carts.remote import facts_of_stores, open_connector
from carts.store_facts import save_store_facts
from connectors.base import Connector
from connectors.functions import Function, Lane
from connectors.records import Page
from connectors.store_facts import StoreFacts
from syncjobs.budgets import load_budgets, save_budgets
from syncjobs.call_log import CallBuffer
from syncjobs.models import Run, Schedule
from syncjobs.prefetch import FetchedAhead
from syncjobs.schedule import schedule_of
from syncjobs.timing import LEASE

PREVIEW_ROWS = 100
PREVIEW_PAGES = 5

AnyPage = TypeVar("AnyPage", bound=Page[Any])


class LeaseLost(Exception):
    """Another worker took the run over: this one must not write any more."""


class SliceOver(Exception):
    """The run used up its time slice, or a person paused it; it goes on later from its cursor."""


class MustWait(Exception):
    """The run needs something that is not there yet, which is nobody's failure. It looks again at ``until``."""

    def __init__(self, reason: str, until: datetime) -> None:
        super().__init__(reason)
        self.reason = reason
        self.until = until


class RunContext:
    """One execution of a run by one worker. ``owner`` is the worker's name in the lease."""

    def __init__(
        self,
        run: Run,
        owner: str,
        *,
        seconds: float | None = None,
        progress: Callable[[Run], None] | None = None,
        stopping: Callable[[], bool] = lambda: False,
    ) -> None:
        self.run = run
        self.owner = owner
        self.deadline = time.monotonic() + seconds if seconds else None
        self.progress = progress
        self.stopping = stopping
        self.calls = CallBuffer(run.connection_id, run_id=run.pk)
        self.started_at = timezone.now()
        self.fetching: list[FetchedAhead[Any]] = []
        # Found nothing; ``IdleRuns`` marks the run and stores its calls.
        self.is_left_to_idle = False
        self.read_from = ""
        self._worked_until = time.monotonic()
        self._pages_at_last_look = run.pages

    @property
    def loaded(self) -> Loaded | None:
        """Fetched before the run was started; None for one that was claimed alone."""
        return getattr(self.run, "loaded", None)

    @cached_property
    def functions(self) -> frozenset[Function]:
        """Those of the connection that are switched on, as it was when this run first asked."""
        if self.loaded is not None:
            return self.loaded.functions
        return frozenset(self.connection.switched_on_functions())

    @cached_property
    def connection(self) -> Connection:
        """The cart or warehouse, with all its columns."""
        if self.loaded is not None:
            return self.loaded.connection
        carts = Cart.objects.select_related("merchant", "warehouse", "location", "outlet")
        cart = carts.filter(pk=self.run.connection_id).order_by().first()
        return cart or Warehouse.objects.select_related("merchant").get(pk=self.run.connection_id)

    @property
    def cart(self) -> Cart:
        assert isinstance(self.connection, Cart)
        return self.connection

    @property
    def warehouse(self) -> Warehouse:
        assert isinstance(self.connection, Warehouse)
        return self.connection

    @property
    def is_patient(self) -> bool:
        """A sweep over a catalogue must not use up the calls that an order needs. A person who asked does not wait."""
        return self.run.lane == Lane.CATALOGUE and self.run.trigger != Run.Trigger.PERSON

    @cached_property
    def connector(self) -> Connector:
        facts = self.loaded.store_facts if self.loaded is not None else None
        return open_connector(self.connection, self.calls, facts, patient=self.is_patient)

    @cached_property
    def second_connector(self) -> Connector:
        """Another session to the same remote, for use while ``connector`` fetches the next page."""
        facts = self.connector.environment.store_facts
        return open_connector(self.connection, self.calls, facts, patient=self.is_patient)

    def close(self) -> None:
        for ahead in self.fetching:
            ahead.close()
        for name in ("connector", "second_connector"):
            if name in self.__dict__:
                self.__dict__[name].close()
        if "connector" in self.__dict__:
            save_store_facts(self.connection, self.connector)

    @cached_property
    def schedule(self) -> Schedule:
        return self.schedule_of(Function(self.run.feed))

    def schedule_of(self, function: Function) -> Schedule:
        """As it was when this run first asked for one: all of the connection's are fetched together."""
        known = self.schedules.get(function)
        return schedule_of(self.connection, function) if known is None else known

    @cached_property
    def schedules(self) -> dict[str, Schedule]:
        if self.loaded is not None:
            return self.loaded.schedules
        rows = Schedule.objects.filter(connection_id=self.connection.pk).select_related("setting").order_by()
        return {schedule.function: schedule for schedule in rows}

    def start_cursor(self) -> str:
        """Where to go on: the schedule's cursor, or the run's own position in a full pass."""
        cursor = self.run.position if self.run.full or self.run.dry_run else self.schedule.cursor
        if self.run.dry_run and not self.run.full and not cursor:
            cursor = self.schedule.cursor
        if not self.run.pages:
            self.run.cursor_before = cursor
        self.read_from = cursor
        return cursor

    def pages(self, pages: Iterator[AnyPage]) -> Iterator[AnyPage]:
        """The reader's pages, the next one fetched while this one is stored. What already lies in our own database is
        read as it comes: the fetching thread never touches the database."""
        if self.connector.stores_in_hub:
            # An idle look at our own tables mostly leaves nothing to store, not even a cursor.
            return (page for page in pages if page.records or page.rejects or page.cursor != self.read_from)
        ahead = FetchedAhead(pages)
        self.fetching.append(ahead)
        return ahead

    def fetch_now(self) -> None:
        """Before something else is done: what ``pages`` gives is fetched meanwhile."""
        for ahead in self.fetching:
            ahead.start()

    @contextmanager
    def page(self, cursor: str | None) -> Iterator[None]:
        """One page: what happens inside, the cursor and the run's counts commit together (law 1). Raises ``LeaseLost``
        when the run is not ours any more; then nothing of the page is kept."""
        with transaction.atomic():
            yield
            self.run.pages += 1
            self._save_progress(cursor)
        self.page_stored()

    def note_read(self, page: Page[Any]) -> None:
        """Within the transaction of a page: how much of the run's own feed was read, and until which change."""
        self.run.records += len(page.records) + len(page.rejects) + page.skipped
        if page.span is not None:
            first, last = page.span
            self.run.changes_from = min(first, self.run.changes_from or first)
            self.run.changes_until = max(last, self.run.changes_until or last)

    def page_stored(self) -> None:
        self.calls.flush()
        save_budgets()
        if self.progress:
            self.progress(self.run)

    def _save_progress(self, cursor: str | None) -> None:
        now = time.monotonic()
        self.run.worked_seconds += now - self._worked_until
        self._worked_until = now
        values: dict[str, object] = {
            "pages": self.run.pages,
            "records": self.run.records,
            "worked_seconds": self.run.worked_seconds,
            "changes_from": self.run.changes_from,
            "changes_until": self.run.changes_until,
            "counts": self.run.counts,
            "cursor_before": self.run.cursor_before,
            "lease_until": timezone.now() + LEASE,
            "attempts": 1,  # a run that gets on is not one that kills workers
        }
        self.run.attempts = 1
        if self.run.preview:
            values["preview"] = self.run.preview
        if cursor is not None:
            self.run.cursor_after = cursor
            values["cursor_after"] = cursor
            if self.run.full:
                self.run.position = cursor
                values["position"] = cursor
        mine = Run.objects.filter(pk=self.run.pk, state=Run.State.RUNNING, lease_owner=self.owner)
        if not mine.update(**values):
            raise LeaseLost(f"{self.run} was taken over.")
        if cursor is not None and not self.run.full:
            Schedule.objects.filter(pk=self.schedule.pk).update(cursor=cursor)
            self.schedule.cursor = cursor

    def full_pass_done(self) -> None:
        """After a full pass the schedule goes on from where the pass ended."""
        if self.run.full and not self.run.dry_run and self.run.position:
            Schedule.objects.filter(pk=self.schedule.pk).update(cursor=self.run.position)

    def check_slice(self) -> None:
        """Between two pages: gives way when the slice is over, the worker stops, or a person paused the feed. Raises
        ``SliceOver``."""
        if (self.deadline is not None and time.monotonic() > self.deadline) or self.stopping() or self._is_paused():
            raise SliceOver

    def _is_paused(self) -> bool:
        """Asked once after each page."""
        if self.run.dry_run or self.run.pages == self._pages_at_last_look:
            return False
        self._pages_at_last_look = self.run.pages
        return Schedule.objects.filter(pk=self.schedule.pk, paused_at__isnull=False).exists()

    def seconds_left(self) -> float | None:
        """Of the slice, for another run in the same hands; None = as long as it takes."""
        return None if self.deadline is None else max(self.deadline - time.monotonic(), 1.0)

    def preview(self, **row: object) -> None:
        """Adds a row to the run's report: of a dry run what it would do, of any other what it left alone."""
        if len(self.run.preview) < PREVIEW_ROWS:
            self.run.preview.append({name: str(value) for name, value in row.items()})

    def preview_is_long_enough(self) -> bool:
        return self.run.dry_run and (len(self.run.preview) >= PREVIEW_ROWS or self.run.pages >= PREVIEW_PAGES)


@dataclass(frozen=True, slots=True)
class Loaded:
    """What was fetched for a run together with other runs'. ``store_facts``: shared by those of one store."""

    connection: Connection
    schedules: dict[str, Schedule]
    functions: frozenset[Function]
    store_facts: StoreFacts | None


def load_ahead(runs: Sequence[Run]) -> None:
    """Fetches what runs that were claimed together need first. Seven queries at most for all of them."""
    if len(runs) < 2:
        return
    ids = {run.connection_id for run in runs}
    connections: dict[int, Connection] = {**Warehouse.objects.select_related("merchant").in_bulk(ids)}
    if carts := ids - connections.keys():
        connections |= Cart.objects.select_related("merchant", "warehouse", "location", "outlet").in_bulk(carts)
    schedules: defaultdict[int, dict[str, Schedule]] = defaultdict(dict)
    for schedule in Schedule.objects.filter(connection_id__in=ids).order_by():
        schedules[schedule.connection_id][schedule.function] = schedule
    functions: defaultdict[int, set[Function]] = defaultdict(set)
    on = FunctionSetting.objects.filter(connection_id__in=ids, is_on=True).order_by()
    for connection_id, function in on.values_list("connection_id", "function"):
        functions[connection_id].add(Function(function))
    remote = [one for one in connections.values() if not one.connector_class.stores_in_hub]
    facts = facts_of_stores(remote)
    if remote:
        load_budgets()
    for run in runs:
        pk = run.connection_id
        if pk in connections:
            run.connection = connections[pk]
            run.loaded = Loaded(  # type: ignore[attr-defined]
                connections[pk], schedules[pk], frozenset(functions[pk]), facts.get(pk)
            )
