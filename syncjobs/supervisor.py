"""``manage.py worker``: starts a django-q2 cluster in a process group of its own, watches it, and replaces it as a whole.

One killed process can leave a cluster deaf for good while it looks alive. So the cluster ends itself when one of its
processes dies (``syncjobs.cluster``), and the supervisor does not trust it but looks at what it does: each drain slot
must beat. A slot that was called and does not beat means that the cluster is deaf. In either case the whole group is
killed and started anew, and what it held is taken up at once. Children die with their parent.
"""

from __future__ import annotations

import contextlib
import ctypes
import logging
import os
import signal
import socket
import subprocess
import sys
import time
import uuid
from datetime import datetime, timedelta
from pathlib import Path
from types import FrameType

from django.conf import settings
from django.db import connection as database
from django.db import transaction
from django.utils import timezone
from django_q.brokers import get_broker
from django_q.models import Schedule as QSchedule

from syncjobs import outbox, runner
from syncjobs.drain import SLOT_FREE_AFTER, call, drain_prefix, sweep
from syncjobs.models import DrainSlot, WorkerProcess
from syncjobs.timing import TIMING

logger = logging.getLogger(__name__)

BEAT_EVERY = timedelta(seconds=TIMING.supervisor_beat)
CALL_AGAIN_AFTER = timedelta(seconds=TIMING.call_again_after)
# Time for a cluster to start (imports, forks) before its silence means anything.
START_GRACE = timedelta(seconds=TIMING.start_grace)
DEAF_AFTER = timedelta(seconds=TIMING.deaf_after)
PR_SET_PDEATHSIG = 1
PR_SET_CHILD_SUBREAPER = 36
TICK = "minute tick"


def die_with_parent(parent: int | None = None) -> None:
    """Linux: this process is killed when its parent dies, so that no orphan goes on working. ``parent``: the process
    that must be the parent; when it is gone already, this one ends here."""
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if parent is not None and os.getppid() != parent:
        os._exit(1)


def adopt_orphans() -> None:
    """Linux: descendants whose parent dies become children of this process, so that it can wait for their end."""
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(PR_SET_CHILD_SUBREAPER, 1)


def host_name() -> str:
    """As it is written to ``WorkerProcess.host``."""
    return socket.gethostname()[:120]


class Supervisor:
    """Runs until SIGTERM or SIGINT. ``slots`` is how many things are done at once; the first slot takes urgent work
    only, so that a long sweep never delays an order."""

    def __init__(self, slots: int | None = None) -> None:
        self.slots = slots or settings.Q_CLUSTER["workers"]
        self.cluster: subprocess.Popen[bytes] | None = None
        self.cluster_started_at = timezone.now()
        self.failed_starts = 0
        self.silent_since: dict[int, datetime] = {}
        self.stop_requested = False
        name = f"{socket.gethostname()}-{os.getpid()}-{uuid.uuid4().hex[:6]}"
        # The name of the worker and of the queue through which its slots are called.
        self.name = name[-64:]

    def run(self) -> None:
        signal.signal(signal.SIGTERM, self.request_stop)
        signal.signal(signal.SIGINT, self.request_stop)
        adopt_orphans()
        self.register()
        try:
            self.start_cluster()
            while not self.stop_requested:
                try:
                    self.look()
                except Exception as error:
                    # The database or the broker is away: nothing of it may end the one who brings all back.
                    logger.warning("could not look after the cluster (%s: %s); trying again", type(error), error)
                    database.close()
                time.sleep(TIMING.look)
        finally:
            self.shut_down()

    def request_stop(self, number: int, frame: FrameType | None) -> None:
        self.stop_requested = True

    def register(self) -> None:
        with transaction.atomic():
            self.worker = WorkerProcess.objects.create(
                name=self.name, host=host_name(), pid=os.getpid(), beat_at=timezone.now()
            )
            DrainSlot.objects.bulk_create(
                DrainSlot(worker=self.worker, name=f"{self.name}/{number}", urgent_only=number == 0 and self.slots > 1)
                for number in range(self.slots)
            )
        self.silent_since.clear()
        schedule_tick()

    def start_cluster(self) -> None:
        """A cluster in a new process group, tied to this process's life."""
        manage = Path(settings.BASE_DIR) / "manage.py"
        self.cluster = subprocess.Popen(  # noqa: S603
            [sys.executable, str(manage), "qcluster_process", self.name, str(self.slots), str(os.getpid())],
            start_new_session=True,
        )
        self.cluster_started_at = timezone.now()

    def look(self) -> None:
        """One look: beat, call idle slots, replace a dead or deaf cluster."""
        now = timezone.now()
        if now - self.worker.beat_at > BEAT_EVERY:
            self.worker.beat_at = now
            if not WorkerProcess.objects.filter(pk=self.worker.pk).update(beat_at=now):
                self.register()  # somebody took us for dead and cleared the row
        if self.cluster is None or self.cluster.poll() is not None:
            self.cluster_has_ended(now)
            return
        for slot in DrainSlot.objects.filter(worker=self.worker):
            if slot.beat_at is not None and now - slot.beat_at < SLOT_FREE_AFTER:
                self.silent_since.pop(slot.pk, None)
                self.failed_starts = 0
                continue
            silent_since = self.silent_since.setdefault(slot.pk, now)
            if now - silent_since > DEAF_AFTER and now - self.cluster_started_at > START_GRACE:
                self.replace_cluster(f"slot {slot.name} does not answer")
                return
            if slot.called_at is None or now - slot.called_at > CALL_AGAIN_AFTER:
                call(slot)

    def cluster_has_ended(self, now: datetime) -> None:
        """Starts a new one: at once, or after a growing pause when the last ones did not come up."""
        pause = min(2.0**self.failed_starts, TIMING.longest_restart_pause) if self.failed_starts else 0.0
        if (now - self.cluster_started_at).total_seconds() >= pause:
            code = self.cluster.returncode if self.cluster is not None else None
            self.replace_cluster(f"the cluster ended by itself (exit code {code})")

    def replace_cluster(self, reason: str) -> None:
        logger.error("replacing the worker cluster: %s", reason)
        self.kill_cluster()
        self.free_slots()
        self.worker.restarts += 1
        self.failed_starts += 1
        WorkerProcess.objects.filter(pk=self.worker.pk).update(restarts=self.worker.restarts)
        self.start_cluster()

    def kill_cluster(self) -> None:
        """Kills the group and returns when none of it is left."""
        if self.cluster is None:
            return
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.cluster.pid, signal.SIGKILL)
        self.cluster.wait()
        with contextlib.suppress(ChildProcessError):
            while True:
                os.waitpid(-self.cluster.pid, 0)

    def free_slots(self) -> None:
        """What the killed group held is nobody's: it is taken up at once, not after its leases ran out."""
        self.silent_since.clear()
        slots = DrainSlot.objects.filter(worker=self.worker)
        for pk in slots.values_list("pk", flat=True):
            runner.end_leases(drain_prefix(pk))
            outbox.owners_died(drain_prefix(pk))
        slots.update(beat_at=None, called_at=None, doing="")
        get_broker(self.name).delete_queue()

    def shut_down(self) -> None:
        """Lets running work finish or give way, then ends the group for certain and clears up behind it."""
        logger.info("stopping: running work finishes or goes back to the queue")
        try:
            WorkerProcess.objects.filter(pk=self.worker.pk).update(stopping=True)
            deadline = time.monotonic() + TIMING.stop_within
            while self.is_working():
                if time.monotonic() > deadline:
                    logger.warning("work did not give way within %.0f s; ending it", TIMING.stop_within)
                    break
                time.sleep(0.1)
        finally:
            self.kill_cluster()
        self.free_slots()
        sweep()
        WorkerProcess.objects.filter(pk=self.worker.pk).delete()

    def is_working(self) -> bool:
        """Does a drain still run in one of our slots?"""
        if self.cluster is None or self.cluster.poll() is not None:
            return False
        return DrainSlot.objects.filter(worker=self.worker, beat_at__gt=timezone.now() - SLOT_FREE_AFTER).exists()


def schedule_tick() -> None:
    """One row for all workers: django-q2 lets the minute tick run in whichever cluster comes first."""
    with transaction.atomic():
        known = list(QSchedule.objects.select_for_update().filter(name=TICK).order_by("pk"))
        for twin in known[1:]:
            twin.delete()  # two workers that started at the same moment
        facts = {"func": "syncjobs.tick.tick", "schedule_type": QSchedule.MINUTES, "minutes": 1, "repeats": -1}
        if known:
            QSchedule.objects.filter(pk=known[0].pk).update(**facts)
        else:
            QSchedule.objects.create(name=TICK, **facts)
