"""Where a reader goes on: Tryton has no change feed, so readers ask for what was written since they asked last."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from connectors.tryton.client import TrytonClient

# A change carries the time at which its transaction began; one that was long under way shows up late.
OVERLAP = timedelta(minutes=10)


@dataclass(slots=True)
class Feed:
    """One reading, from ``cursor``: ``{since}|{until}|{id}|{whole}``, times in ISO 8601, ``id`` the last record that was
    told of a reading that is under way, ``whole`` when everything was read last.

    ``since`` None: read everything. ``whole_after_hours``: how long changes alone are trusted; 0 for ever. (What is
    deleted in Tryton leaves no trace to be found by.)
    """

    client: TrytonClient
    cursor: str
    whole_after_hours: int = 0
    since: datetime | None = None
    until: datetime = field(init=False)
    whole: datetime | None = None
    after: int = 0

    def __post_init__(self) -> None:
        since, until, after, whole = ([*self.cursor.split("|"), "", "", "", ""])[:4]
        self.since, self.whole = moment(since), moment(whole)
        self.until = self.client.now()
        under_way = moment(until)
        if under_way and after.isdigit():
            self.until, self.after = under_way, int(after)
        elif self.since and self.is_stale():
            self.since = None
        if self.since is None:
            self.whole = self.until

    def is_stale(self) -> bool:
        if not self.whole_after_hours:
            return False
        return self.whole is None or self.until - self.whole > timedelta(hours=self.whole_after_hours)

    def inside(self, last_id: int) -> str:
        """The cursor after a page of this reading."""
        return "|".join((text(self.since), text(self.until), str(last_id), text(self.whole)))

    def end(self) -> str:
        """The cursor after the reading."""
        return "|".join((text(self.until - OVERLAP), "", "", text(self.whole)))


def moment(given: str) -> datetime | None:
    try:
        found = datetime.fromisoformat(given)
    except ValueError:
        return None
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def text(given: datetime | None) -> str:
    return given.isoformat() if given else ""
