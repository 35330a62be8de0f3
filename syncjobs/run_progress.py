"""How far a run is: what it read, how fast, and what is known of the rest - on screen and in the terminal alike.

A run that knows how much there is counts (a pass over our own products). A feed of a remote says no total; but it comes in
the order of changes, so the time of the last change that was read, against now, shows how far it is. That is a share of the
time, not of the records, hence "about". Where the remote does not say when a record was changed, nothing is made up.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from django.utils import timezone
from django.utils.formats import date_format

from syncjobs.models import Run

State = Run.State
UNFINISHED = (State.QUEUED, State.RUNNING, State.PAUSED)

# Before that much was done, a rate or a remaining time would be a guess.
SECONDS_TO_JUDGE = 5.0
SHARE_TO_JUDGE = 0.02


@dataclass(frozen=True, slots=True)
class Progress:
    """``share``: 0 to 1, None = not known. ``is_estimate``: judged by the dates of the changes. ``until``: up to which
    change the feed was read. ``rate``: records per second of work."""

    read: int
    worked: float
    share: float | None = None
    is_estimate: bool = False
    until: datetime | None = None

    @property
    def percent(self) -> int | None:
        return None if self.share is None else int(100 * self.share)

    @property
    def rate(self) -> float | None:
        return self.read / self.worked if self.read and self.worked >= SECONDS_TO_JUDGE else None

    @property
    def remaining(self) -> float | None:
        """Seconds of work, by the share that is done."""
        if self.share is None or self.share < SHARE_TO_JUDGE or self.worked < SECONDS_TO_JUDGE:
            return None
        return self.worked * (1 - self.share) / self.share

    @property
    def percent_words(self) -> str:
        if self.percent is None:
            return ""
        return f"about {self.percent} %" if self.is_estimate else f"{self.percent} %"

    def parts(self) -> list[str]:
        """What there is to tell, in the order in which people ask."""
        told = []
        if self.read:
            told.append(f"{self.read:,} read")
        if self.rate is not None:
            told.append(f"{self.rate:,.0f} per second")
        if self.until is not None:
            told.append(f"changes up to {date_format(timezone.localtime(self.until), 'j F Y')}")
        if self.remaining is not None:
            told.append(f"about {length(self.remaining)} left")
        if self.read and self.share is None:
            told.append("how many there are is not known")
        if self.worked >= 1:
            told.append(f"{length(self.worked)} of work")
        return told


def progress_of(run: Run, now: datetime | None = None) -> Progress | None:
    """The progress of an unfinished run; None when it is over."""
    if run.state not in UNFINISHED:
        return None
    read = int(run.counts.get("seen", 0)) or run.records
    expected = int(run.counts.get("of", 0))
    if expected:
        return Progress(read, run.worked_seconds, min(read / expected, 1.0))
    if run.changes_from is None or run.changes_until is None:
        return Progress(read, run.worked_seconds)
    whole = (now or timezone.now()) - run.changes_from
    done = run.changes_until - run.changes_from
    share = min(max(done / whole, 0.0), 0.99) if whole > timedelta(0) else None
    return Progress(read, run.worked_seconds, share, True, run.changes_until)


def length(seconds: float) -> str:
    """``40 s``, ``12 min``, ``3 h 5 min``."""
    if seconds < 60:
        return f"{max(round(seconds), 1)} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"
