"""Is anybody working? The answer for the dashboard and for pages that wait for a worker."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from django.utils import timezone

from syncjobs.models import WorkerProcess

SILENT_AFTER = timedelta(seconds=60)
START_HINT = "Start one with: manage.py worker"


@dataclass(frozen=True)
class WorkerState:
    """How many workers beat lately, and when the last one did."""

    running: int
    last_beat: datetime | None

    @property
    def is_running(self) -> bool:
        return self.running > 0


def worker_state(now: datetime | None = None) -> WorkerState:
    now = now or timezone.now()
    beats = list(WorkerProcess.objects.order_by("-beat_at").values_list("beat_at", flat=True)[:50])
    return WorkerState(sum(now - beat < SILENT_AFTER for beat in beats), beats[0] if beats else None)
