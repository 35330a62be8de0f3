"""A clock that tests turn: hours pass in seconds. Hub, connectors and sandboxes all see its time; whoever sleeps turns it."""

from __future__ import annotations

import dataclasses
import heapq
import time as real_time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, tzinfo
from itertools import count
from types import SimpleNamespace

import pytest
from django.utils import timezone

from connectors import budget, http
from connectors.sandbox import server
from connectors.vend import sandbox as vend_sandbox
from syncjobs import context, drain, latency

START = datetime(2026, 7, 1, 8, 0, tzinfo=UTC)
# How long an idle drain sleeps: hours of idleness are hours of loops.
SHORTEST_PAUSE, LONGEST_PAUSE = 10.0, 60.0


class SimulatedClock:
    """``at`` plans something for a moment; it happens as soon as the clock has been turned that far."""

    def __init__(self) -> None:
        self.now = START
        self._plan: list[tuple[datetime, int, Callable[[], object]]] = []
        self._number = count()

    def at(self, moment: datetime, action: Callable[[], object]) -> None:
        heapq.heappush(self._plan, (moment, next(self._number), action))

    def sleep(self, seconds: float) -> None:
        until = self.now + timedelta(seconds=seconds)
        while self._plan and self._plan[0][0] <= until:
            moment, _, action = heapq.heappop(self._plan)
            self.now = max(self.now, moment)
            action()
        self.now = max(self.now, until)

    def monotonic(self) -> float:
        return (self.now - START).total_seconds() + 1_000.0

    def work(self, hours: float) -> None:
        """One worker's drain, as it is, for so many hours of this clock."""
        drain.work("simulated", drain.LeaseKeeper("simulated"), urgent_only=False, seconds=hours * 3600)

    def install(self, patch: pytest.MonkeyPatch) -> None:
        clock = self

        class Datetime(datetime):
            @classmethod
            def now(cls, tz: tzinfo | None = None) -> datetime:
                return clock.now.astimezone(tz)

        sleepy = SimpleNamespace(sleep=self.sleep, monotonic=self.monotonic, perf_counter=real_time.perf_counter)
        patch.setattr(timezone, "now", lambda: clock.now)
        for module in (budget, server):
            patch.setattr(module, "datetime", Datetime)
        for module in (http, context, drain, latency, vend_sandbox):
            patch.setattr(module, "time", sleepy)
        patch.setattr(
            drain,
            "TIMING",
            dataclasses.replace(drain.TIMING, shortest_pause=SHORTEST_PAUSE, longest_pause=LONGEST_PAUSE),
        )


@pytest.fixture(name="clock")
def clock_fixture(monkeypatch: pytest.MonkeyPatch) -> SimulatedClock:
    clock = SimulatedClock()
    clock.install(monkeypatch)
    return clock
