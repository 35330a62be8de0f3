"""``manage.py worker``: starts a qcluster in a process group of its own, watches it, and replaces it as a whole.

One killed process can leave a qcluster deaf for good while it looks alive (stack.md 2.2). So the supervisor does not
trust its processes but what they do: each drain slot must beat. A slot that was called and does not beat means that the
cluster is deaf: the whole group is killed and started anew. Children die with their parent.
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
from django.db import OperationalError
from django.db import connection as database
from django.utils import timezone
from django_q.models import Schedule as QSchedule

from syncjobs.drain import SLOT_FREE_AFTER, call
from syncjobs.models import DrainSlot, WorkerProcess

logger = logging.getLogger(__name__)

LOOK_EVERY_SECONDS = 0.5
BEAT_EVERY = timedelta(seconds=5)
CALL_AGAIN_AFTER = timedelta(seconds=5)
# Time for a cluster to start (imports, forks) before its silence means anything.
START_GRACE = timedelta(seconds=20)
DEAF_AFTER = timedelta(seconds=15)
STOP_WITHIN_SECONDS = 60.0
PR_SET_PDEATHSIG = 1
TICK = "minute tick"


def die_with_parent() -> None:
    """Linux: this process is killed when its parent dies, so that no orphan goes on working."""
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


class Supervisor:
    """Runs until SIGTERM or SIGINT. ``slots`` is the number of q2 worker processes; the first slot takes urgent work
    only, so that a long sweep never delays an order."""

    def __init__(self, slots: int | None = None) -> None:
        self.slots = slots or settings.Q_CLUSTER["workers"]
        self.cluster: subprocess.Popen[bytes] | None = None
        self.cluster_started_at = timezone.now()
        self.silent_since: dict[int, datetime] = {}
        self.stop_requested = False
        name = f"{socket.gethostname()}-{os.getpid()}-{uuid.uuid4().hex[:6]}"
        self.name = name[-64:]

    def run(self) -> None:
        signal.signal(signal.SIGTERM, self.request_stop)
        signal.signal(signal.SIGINT, self.request_stop)
        self.register()
        self.start_cluster()
        try:
            while not self.stop_requested:
                try:
                    self.look()
                except OperationalError as error:
                    logger.warning("the database does not answer (%s); trying again", error)
                    database.close()
                time.sleep(LOOK_EVERY_SECONDS)
        finally:
            self.shut_down()

    def request_stop(self, number: int, frame: FrameType | None) -> None:
        self.stop_requested = True

    def register(self) -> None:
        now = timezone.now()
        self.worker = WorkerProcess.objects.create(
            name=self.name, host=socket.gethostname()[:120], pid=os.getpid(), beat_at=now
        )
        for number in range(self.slots):
            DrainSlot.objects.create(
                worker=self.worker, name=f"{self.name}/{number}", urgent_only=number == 0 and self.slots > 1
            )
        QSchedule.objects.update_or_create(
            name=TICK,
            defaults={"func": "syncjobs.tick.tick", "schedule_type": QSchedule.MINUTES, "minutes": 1, "repeats": -1},
        )

    def start_cluster(self) -> None:
        """A qcluster in a new process group, tied to this process's life."""
        manage = Path(settings.BASE_DIR) / "manage.py"
        self.cluster = subprocess.Popen(  # noqa: S603
            [sys.executable, str(manage), "qcluster_process"], start_new_session=True
        )
        self.cluster_started_at = timezone.now()
        self.silent_since.clear()
        DrainSlot.objects.filter(worker=self.worker).update(beat_at=None, called_at=None)

    def look(self) -> None:
        """One look: beat, call idle slots, replace a dead or deaf cluster."""
        now = timezone.now()
        if now - self.worker.beat_at > BEAT_EVERY:
            self.worker.beat_at = now
            if not WorkerProcess.objects.filter(pk=self.worker.pk).update(beat_at=now):
                self.register()  # somebody took us for dead and cleared the row
        if self.cluster is not None and self.cluster.poll() is not None:
            self.replace_cluster(f"the cluster ended by itself (exit code {self.cluster.returncode})")
            return
        for slot in DrainSlot.objects.filter(worker=self.worker):
            if slot.beat_at is not None and now - slot.beat_at < SLOT_FREE_AFTER:
                self.silent_since.pop(slot.pk, None)
                continue
            silent_since = self.silent_since.setdefault(slot.pk, now)
            if now - silent_since > DEAF_AFTER and now - self.cluster_started_at > START_GRACE:
                self.replace_cluster(f"slot {slot.name} does not answer")
                return
            if slot.called_at is None or now - slot.called_at > CALL_AGAIN_AFTER:
                call(slot.pk)

    def replace_cluster(self, reason: str) -> None:
        logger.error("replacing the worker cluster: %s", reason)
        self.kill_cluster()
        WorkerProcess.objects.filter(pk=self.worker.pk).update(restarts=self.worker.restarts + 1)
        self.worker.restarts += 1
        self.start_cluster()

    def kill_cluster(self) -> None:
        if self.cluster is None:
            return
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.cluster.pid, signal.SIGKILL)
        self.cluster.wait()

    def shut_down(self) -> None:
        """Lets running work finish or give way, then ends the group for certain."""
        logger.info("stopping: running work finishes or goes back to the queue")
        WorkerProcess.objects.filter(pk=self.worker.pk).update(stopping=True)
        if self.cluster is not None and self.cluster.poll() is None:
            self.cluster.terminate()
            try:
                self.cluster.wait(STOP_WITHIN_SECONDS)
            except subprocess.TimeoutExpired:
                logger.warning("the cluster did not stop within %.0f s; ending it", STOP_WITHIN_SECONDS)
        self.kill_cluster()
        WorkerProcess.objects.filter(pk=self.worker.pk).delete()
