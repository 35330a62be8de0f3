"""Draining: a short call of a worker that does what is due, most urgent first, and then calls itself again.

django-q2 carries these calls and the minute tick, nothing else. What is to be done stands in our own tables, so a lost,
repeated or hanging call costs time only.
"""

from __future__ import annotations

import logging
import os
import threading
import time
import uuid
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from typing import NamedTuple

from django.db import connection as database
from django.db.models import Q
from django.utils import timezone
from django_q.tasks import async_task

from carts.book_leases import cancel_all_given_back
from connectors.functions import Lane
from syncjobs import inbox, outbox, runner, wms_outbox
from syncjobs.connector_cache import OpenConnectors
from syncjobs.delivering import deliver_next
from syncjobs.latency import count_latencies
from syncjobs.models import Delivery, DrainSlot, Run, WebhookEvent, WmsWebhook
from syncjobs.outcomes import IdleRuns
from syncjobs.pausing import put_aside
from syncjobs.schedule import dispatch_due
from syncjobs.timing import LEASE, TIMING
from syncjobs.webhook_turns import look_after_next

logger = logging.getLogger(__name__)

OVERDUE_AFTER = timedelta(seconds=2 * TIMING.dispatch)
SLOT_FREE_AFTER = timedelta(seconds=TIMING.slot_free_after)

URGENT_LANES = (Lane.ORDERS,)
ALL_LANES = (Lane.ORDERS, Lane.STOCK, Lane.CATALOGUE)


def drain(slot_id: int, seconds: float = TIMING.drain) -> int:
    """What django-q2 calls. Returns how many things were done. A slot is drained by one call at a time."""
    slot = take_slot(slot_id)
    if slot is None:
        return 0
    owner = f"{drain_prefix(slot_id)}{uuid.uuid4().hex[:12]}"
    keeper = LeaseKeeper(owner, slot_id)
    keeper.start()
    try:
        return work(owner, keeper, urgent_only=slot.urgent_only, seconds=seconds, is_alone=is_alone(slot))
    finally:
        keeper.stop()
        DrainSlot.objects.filter(pk=slot_id).update(beat_at=None, doing="")
        if not keeper.stopping:
            call(slot)


def drain_prefix(slot_id: int) -> str:
    """What the lease owners of a slot's drains begin with."""
    return f"{slot_id}-"


def call(slot: DrainSlot) -> None:
    """Asks the slot's own worker to drain it."""
    DrainSlot.objects.filter(pk=slot.pk).update(called_at=timezone.now())
    queue = slot.name.rpartition("/")[0]
    async_task("syncjobs.drain.drain", slot.pk, task_name=f"drain {slot.pk}", cluster=queue)


def take_slot(slot_id: int) -> DrainSlot | None:
    """Takes the slot, unless another call drains it, or its worker process is gone or stopping."""
    now = timezone.now()
    free = DrainSlot.objects.filter(
        Q(beat_at__isnull=True) | Q(beat_at__lt=now - SLOT_FREE_AFTER), pk=slot_id, worker__stopping=False
    )
    if not free.update(beat_at=now, doing=f"drained by process {os.getpid()}"):
        return None
    return DrainSlot.objects.filter(pk=slot_id).first()


def is_alone(slot: DrainSlot) -> bool:
    """Does this worker have no slot for urgent work only?"""
    return not DrainSlot.objects.filter(worker=slot.worker_id, urgent_only=True).exists()


class LeaseKeeper(threading.Thread):
    """Renews the leases of what its owner works on, with a database connection of its own. For a drain it also beats
    for the slot and learns that the worker stops."""

    def __init__(self, owner: str, slot_id: int | None = None) -> None:
        super().__init__(name=f"lease-keeper-{owner}", daemon=True)
        self.slot_id = slot_id
        self.owner = owner
        self.stopping = False
        self.handful: Handful | None = None
        self._holding = False
        self._ended = threading.Event()

    def run(self) -> None:
        try:
            while not self._ended.wait(TIMING.beat):
                try:
                    self.beat()
                except Exception:
                    logger.exception("the leases of %s could not be renewed; trying again", self.owner)
                    database.close()
        finally:
            database.close()

    def beat(self) -> None:
        now = timezone.now()
        if self.slot_id is not None:
            mine = DrainSlot.objects.filter(pk=self.slot_id, worker__stopping=False)
            self.stopping = not mine.exists()
            DrainSlot.objects.filter(pk=self.slot_id).update(beat_at=now)
        handful = self.handful
        if handful is not None:
            handful.give_back(late_only=True)
        if self._holding:
            Run.objects.filter(state=Run.State.RUNNING, lease_owner=self.owner).update(lease_until=now + LEASE)
            outbox.renew_leases(self.owner, now)

    @contextmanager
    def holding(self) -> Iterator[None]:
        """Around everything that claims: outside of it there is nothing to renew."""
        self._holding = True
        try:
            yield
        finally:
            self._holding = False

    def stop(self) -> None:
        self._ended.set()
        self.join()


def work(owner: str, keeper: LeaseKeeper, *, urgent_only: bool, seconds: float, is_alone: bool = False) -> int:
    """The loop: deliveries, hints, then one run, webhooks to a WMS last, until the time is up. Sleeps a moment when nothing
    is due. ``is_alone``: no other slot looks after urgent work, so a long run gives way soon."""
    end = time.monotonic() + seconds
    connectors = OpenConnectors()
    clock = Clock()
    lanes = URGENT_LANES if urgent_only else ALL_LANES
    slice_seconds = TIMING.urgent_run_slice if urgent_only else TIMING.run_slice
    if is_alone:
        slice_seconds = TIMING.shared_run_slice
    pause = TIMING.shortest_pause
    done = 0
    try:
        while time.monotonic() < end and not keeper.stopping:
            if clock.is_time("sweep", TIMING.sweep):
                sweep()
            if clock.is_time("dispatch", TIMING.dispatch):
                # One slot queues what is due, so that much of it is queued together; the urgent one steps in when that
                # slot is at something long.
                dispatch_due(timezone.now() - (OVERDUE_AFTER if urgent_only else timedelta(0)))
            if clock.is_time("latencies", TIMING.latencies):
                count_latencies(timezone.now())
            step = 0
            due = what_is_due()
            if any(due):
                with keeper.holding():
                    step = inbox.process_inbox() if due.events else 0
                    step += deliver_next(owner, connectors) if due.deliveries else 0
                    if due.runs and (not step or not urgent_only):
                        step += run_some(owner, lanes, slice_seconds, keeper)
                    if due.wms_webhooks and not urgent_only:
                        step += wms_outbox.send_next(owner)
            if not step and not urgent_only and clock.is_time("webhooks", TIMING.webhooks):
                step = look_after_next()
            done += step
            if step:
                pause = TIMING.shortest_pause
            else:
                time.sleep(pause)
                pause = min(pause * 1.5, TIMING.longest_pause)
    finally:
        connectors.close()
    return done


# Literals, not parameters: so the databases see that the partial indexes of the queues answer these questions.
WHAT_IS_DUE = f"""
    SELECT EXISTS (SELECT 1 FROM {WebhookEvent._meta.db_table} WHERE state = 'received'),
        EXISTS (SELECT 1 FROM {Delivery._meta.db_table} WHERE state IN ('pending', 'retry') AND run_at <= %s),
        EXISTS (SELECT 1 FROM {Run._meta.db_table} WHERE state = 'queued' AND run_at <= %s),
        EXISTS (SELECT 1 FROM {WmsWebhook._meta.db_table} WHERE state IN ('pending', 'retry') AND run_at <= %s)
"""  # noqa: S608 - table names of ours, nothing from outside


class Due(NamedTuple):
    """Which queues have something to do."""

    events: bool
    deliveries: bool
    runs: bool
    wms_webhooks: bool


def what_is_due() -> Due:
    """One cheap question in place of all the queues' own: False means that a queue has nothing to do. (True may still
    come to nothing: what is due can wait for a remote that rests.)"""
    now = database.ops.adapt_datetimefield_value(timezone.now())
    with database.cursor() as cursor:
        cursor.execute(WHAT_IS_DUE, [now, now, now])
        return Due(*map(bool, cursor.fetchone()))


def run_some(owner: str, lanes: Sequence[Lane], slice_seconds: float, keeper: LeaseKeeper) -> int:
    """Claims a handful of runs and executes them; what could not be started in time goes back at once."""
    handful = keeper.handful = Handful(runner.claim_runs(owner, lanes, runner.CLAIM_AT_ONCE))
    idle = IdleRuns(owner)
    started = 0
    try:
        while run := handful.take():
            started += 1
            seconds = min(slice_seconds, TIMING.shared_run_slice) if handful.is_waited_for else slice_seconds
            runner.execute(run, owner, seconds=seconds, stopping=lambda: keeper.stopping, idle=idle)
            handful.give_back(late_only=not keeper.stopping)
        return started
    finally:
        keeper.handful = None
        idle.mark()


class Handful:
    """Runs that were claimed together, to be started one after the other. When one of them takes long, the others go back
    to the queue: at its end, or by the lease keeper's thread while it still runs, should its remote hang."""

    def __init__(self, runs: Sequence[Run]) -> None:
        self._waiting = deque(runs)
        self._since = time.monotonic()
        self._lock = threading.Lock()

    @property
    def is_waited_for(self) -> bool:
        return bool(self._waiting)

    def take(self) -> Run | None:
        with self._lock:
            return self._waiting.popleft() if self._waiting else None

    def give_back(self, *, late_only: bool) -> None:
        # Under the lock: nobody starts what is just being given back.
        with self._lock:
            if self._waiting and not (late_only and time.monotonic() - self._since <= TIMING.shared_run_slice):
                runner.give_back(list(self._waiting))
                self._waiting.clear()


def sweep() -> None:
    """Takes up what dead workers and pickers left behind, and what slipped into the queue beside a pause."""
    runner.recover_abandoned()
    put_aside()
    outbox.recover_abandoned()
    wms_outbox.recover_abandoned(timezone.now())
    cancel_all_given_back(timezone.now())


class Clock:
    """Says when something is due again that is done every few seconds."""

    def __init__(self) -> None:
        self._last: dict[str, float] = {}

    def is_time(self, name: str, seconds: float) -> bool:
        now = time.monotonic()
        if now - self._last.get(name, float("-inf")) < seconds:
            return False
        self._last[name] = now
        return True
