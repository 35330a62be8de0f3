"""Draining: a short call of a worker that does what is due, most urgent first, and then calls itself again.

django-q2 carries these calls and the minute tick, nothing else. What is to be done stands in our own tables, so a lost,
repeated or hanging call costs time only (stack.md sections 2 and 6).
"""

from __future__ import annotations

import logging
import threading
import time
import uuid
from collections.abc import Sequence
from datetime import timedelta

from django.db import connection as database
from django.db.models import Q
from django.utils import timezone
from django_q.tasks import async_task

from connectors.functions import Lane
from syncjobs import inbox, outbox, runner
from syncjobs.connector_cache import OpenConnectors
from syncjobs.context import LEASE
from syncjobs.delivering import deliver_next
from syncjobs.models import DrainSlot, Run
from syncjobs.schedule import dispatch_due

logger = logging.getLogger(__name__)

DRAIN_SECONDS = 20.0
IDLE_PAUSE_SECONDS = 0.15
BEAT_SECONDS = 2.0
# A slot that did not beat for so long is free: its drain ended, or died.
SLOT_FREE_AFTER = timedelta(seconds=12)
# How long one run may keep a slot before it gives way and goes on later.
SLICE_SECONDS = 60.0
URGENT_SLICE_SECONDS = 3.0
SWEEP_SECONDS = 5.0
DISPATCH_SECONDS = 1.0

URGENT_LANES = (Lane.ORDERS,)
ALL_LANES = (Lane.ORDERS, Lane.STOCK, Lane.CATALOGUE)


def drain(slot_id: int, seconds: float = DRAIN_SECONDS) -> int:
    """What django-q2 calls. Returns how many things were done. A slot is drained by one call at a time."""
    owner = f"{slot_id}-{uuid.uuid4().hex[:12]}"
    slot = take_slot(slot_id)
    if slot is None:
        return 0
    keeper = LeaseKeeper(slot_id, owner)
    keeper.start()
    try:
        return work(owner, keeper, urgent_only=slot.urgent_only, seconds=seconds)
    finally:
        keeper.stop()
        DrainSlot.objects.filter(pk=slot_id).update(beat_at=None, doing="")
        if not keeper.stopping:
            call(slot_id)


def call(slot_id: int) -> None:
    """Asks a worker to drain this slot."""
    DrainSlot.objects.filter(pk=slot_id).update(called_at=timezone.now())
    async_task("syncjobs.drain.drain", slot_id, task_name=f"drain {slot_id}")


def take_slot(slot_id: int) -> DrainSlot | None:
    """Takes the slot, unless another call drains it, or its worker process is gone or stopping."""
    now = timezone.now()
    free = DrainSlot.objects.filter(
        Q(beat_at__isnull=True) | Q(beat_at__lt=now - SLOT_FREE_AFTER), pk=slot_id, worker__stopping=False
    )
    if not free.update(beat_at=now):
        return None
    return DrainSlot.objects.get(pk=slot_id)


class LeaseKeeper(threading.Thread):
    """Beats for the slot and renews the leases of what its drain works on, with a database connection of its own."""

    def __init__(self, slot_id: int, owner: str) -> None:
        super().__init__(name=f"lease-keeper-{slot_id}", daemon=True)
        self.slot_id = slot_id
        self.owner = owner
        self.stopping = False
        self._ended = threading.Event()

    def run(self) -> None:
        try:
            while not self._ended.wait(BEAT_SECONDS):
                try:
                    self.beat()
                except Exception:
                    logger.exception("the lease keeper of slot %s could not beat; it tries again", self.slot_id)
                    database.close()
        finally:
            database.close()

    def beat(self) -> None:
        now = timezone.now()
        slot = DrainSlot.objects.filter(pk=self.slot_id).select_related("worker").first()
        if slot is None or slot.worker.stopping:
            self.stopping = True
        DrainSlot.objects.filter(pk=self.slot_id).update(beat_at=now)
        Run.objects.filter(state=Run.State.RUNNING, lease_owner=self.owner).update(lease_until=now + LEASE)
        outbox.renew_leases(self.owner, now)

    def stop(self) -> None:
        self._ended.set()
        self.join()


def work(owner: str, keeper: LeaseKeeper, *, urgent_only: bool, seconds: float) -> int:
    """The loop: deliveries, hints, then one run, until the time is up. Sleeps a moment when nothing is due."""
    end = time.monotonic() + seconds
    connectors = OpenConnectors()
    clock = Clock()
    lanes = URGENT_LANES if urgent_only else ALL_LANES
    slice_seconds = URGENT_SLICE_SECONDS if urgent_only else SLICE_SECONDS
    done = 0
    try:
        while time.monotonic() < end and not keeper.stopping:
            if clock.is_time("sweep", SWEEP_SECONDS):
                sweep()
            if clock.is_time("dispatch", DISPATCH_SECONDS):
                dispatch_due()
            step = inbox.process_inbox()
            step += deliver_next(owner, connectors)
            if not step or not urgent_only:
                step += run_some(owner, lanes, slice_seconds, keeper)
            done += step
            if not step:
                time.sleep(IDLE_PAUSE_SECONDS)
    finally:
        connectors.close()
    return done


def run_some(owner: str, lanes: Sequence[Lane], slice_seconds: float, keeper: LeaseKeeper) -> int:
    """Claims a handful of runs and executes them; what could not be started within a second goes back at once."""
    runs = runner.claim_runs(owner, lanes, runner.CLAIM_AT_ONCE)
    started = time.monotonic()
    for position, run in enumerate(runs):
        if position and (time.monotonic() - started > 1.0 or keeper.stopping):
            runner.give_back(runs[position:])
            return position
        runner.execute(run, owner, seconds=slice_seconds, stopping=lambda: keeper.stopping)
    return len(runs)


def sweep() -> None:
    """Takes up what dead workers left behind."""
    runner.recover_abandoned()
    outbox.recover_abandoned()


class Clock:
    """Says when something is due again that is done every few seconds."""

    def __init__(self) -> None:
        self._last: dict[str, float] = {}

    def is_time(self, name: str, seconds: float) -> bool:
        now = time.monotonic()
        if now - self._last.get(name, 0.0) < seconds:
            return False
        self._last[name] = now
        return True
