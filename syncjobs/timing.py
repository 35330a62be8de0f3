"""The worker's clocks. ``settings.WORKER_TIMING`` may replace single values: ``{"lease": 120}``."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from django.conf import settings


@dataclass(frozen=True, slots=True)
class Timing:
    """All in seconds. They must keep their order: beat < slot_free_after < lease."""

    # How long a run or delivery belongs to its worker without a sign of life.
    lease: float = 60.0
    # How often a drain shows that it lives and renews its leases, and looks whether it should stop.
    beat: float = 2.0
    # One call of a drain; how long it sleeps when nothing is due: short after work, longer when nothing comes.
    drain: float = 20.0
    shortest_pause: float = 0.05
    longest_pause: float = 0.25
    # A slot that did not beat for so long is free: its drain ended, or died.
    slot_free_after: float = 12.0
    # How long one run may keep a slot before it gives way and goes on later; the urgent slot is more impatient.
    run_slice: float = 60.0
    urgent_run_slice: float = 3.0
    # The same while others wait in the same hands, or where no other slot looks after orders; and how long these wait before they go back to the queue.
    shared_run_slice: float = 1.0
    # How often abandoned work is looked for, and due schedules: what falls due within a few seconds is queued together, and
    # runs that are queued together share their look-ups.
    sweep: float = 10.0
    dispatch: float = 5.0
    # How often the orders' latencies are counted.
    latencies: float = 10.0
    # How often an idle slot looks whether a connection's daily look at its webhooks is due.
    webhooks: float = 10.0
    # The supervisor: how often it looks and beats, when it calls a silent slot again, and when it takes the cluster for
    # deaf - not before a new cluster had time to start.
    look: float = 0.5
    supervisor_beat: float = 5.0
    call_again_after: float = 5.0
    deaf_after: float = 15.0
    start_grace: float = 20.0
    # A cluster that does not come up is started again after pauses that grow up to this.
    longest_restart_pause: float = 30.0
    # How long running work may take to finish or give way when the worker is told to stop.
    stop_within: float = 60.0


TIMING = Timing(**getattr(settings, "WORKER_TIMING", {}))
LEASE = timedelta(seconds=TIMING.lease)
