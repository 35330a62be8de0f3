"""The retry ladder: 30 s, 2 min, 10 min, 1 h, 6 h, then four times a day until day 5; each step jittered."""

from __future__ import annotations

import random
from datetime import datetime, timedelta

LADDER = (
    timedelta(seconds=30),
    timedelta(minutes=2),
    timedelta(minutes=10),
    timedelta(hours=1),
    timedelta(hours=6),
)
GIVE_UP_AFTER = timedelta(days=5)
JITTER = 0.15

# A remote that fails this often in a row is left alone for a while by everybody.
FAILURES_BEFORE_REST = 3
RESTS = (timedelta(seconds=15), timedelta(seconds=30), timedelta(minutes=1), timedelta(minutes=2))


def jittered(wait: timedelta) -> timedelta:
    return wait * random.uniform(1 - JITTER, 1 + JITTER)


def next_try(failures: int, first_failed_at: datetime, now: datetime) -> datetime | None:
    """When to try again after the ``failures``-th failure (1, 2, ...); None when it is time to give up."""
    if now - first_failed_at >= GIVE_UP_AFTER:
        return None
    return now + jittered(LADDER[min(failures, len(LADDER)) - 1])


def rest_until(failures_in_a_row: int, now: datetime) -> datetime | None:
    """How long nobody calls a remote that keeps failing; None while it has not failed often enough."""
    if failures_in_a_row < FAILURES_BEFORE_REST:
        return None
    return now + jittered(RESTS[min(failures_in_a_row - FAILURES_BEFORE_REST, len(RESTS) - 1)])
