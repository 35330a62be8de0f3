"""The django-q2 cluster of one worker: its own queue, and an end for all when one of its processes dies.

django-q2 replaces a process that was killed, but what the dead one held stays held: a worker killed while it waits
takes the queue's lock with it, a new monitor never sees a result. A cluster that lost a process is therefore not
mended. It ends, its children die with it, and the supervisor starts a new one.
"""

from __future__ import annotations

import logging
import os
import signal
import threading
import time
import uuid
from typing import Any

from django_q.brokers import get_broker
from django_q.cluster import Sentinel
from django_q.conf import Conf

from syncjobs.supervisor import die_with_parent

logger = logging.getLogger(__name__)

RECYCLED = -2


class Never:
    """A stop event that never comes: the supervisor ends the group when no drain runs in it any more."""

    def is_set(self) -> bool:
        return False

    def wait(self, seconds: float) -> bool:
        time.sleep(seconds)
        return False


class Guard(Sentinel):  # type: ignore[misc]
    """Guards the processes of one cluster; ends with the first of them that dies unasked."""

    def reincarnate(self, process: Any) -> None:
        timer = getattr(process, "timer", None)
        if timer is not None and int(timer.value) == RECYCLED:
            super().reincarnate(process)
            return
        what = {self.monitor: "monitor", self.pusher: "pusher"}.get(process, "worker")
        logger.critical("the %s %s died or hung: the whole cluster ends", what, process.pid)
        os._exit(1)


def run_cluster(queue: str, slots: int) -> None:
    """Runs until it is killed. One process more than there are slots, so that the minute tick never waits for a drain,
    nor a drain for the tick."""
    os.register_at_fork(before=remember_parent, after_in_child=die_with_remembered_parent)
    guard = Guard(
        stop_event=Never(),
        start_event=threading.Event(),
        cluster_id=uuid.uuid4(),
        broker=get_broker(queue),
        timeout=Conf.TIMEOUT,
        start=False,
    )
    # Only the supervisor ends the group: a SIGTERM sent to everybody at once must not cut off what is being sent.
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    guard.pool_size = slots + 1
    guard.start()


parent_pid = 0


def remember_parent() -> None:
    global parent_pid
    parent_pid = os.getpid()


def die_with_remembered_parent() -> None:
    die_with_parent(parent_pid)
