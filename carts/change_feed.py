"""Reading rows of our own database as a feed of changes: pages, and a cursor that loses nothing.

A cursor is one of:

* ``""``: from the beginning;
* ``<time>``: everything that changed before this time was read. Rows may become visible a little later than the time
  they carry (a transaction that took long, hosts whose clocks differ), so reading goes on ``OVERLAP`` earlier;
* ``<time>|<moment>|<pk>``: the reading that began at this time stopped after this row.

Times are ISO 8601 in UTC. A cursor from the future (a clock was wrong) or one that cannot be read starts again from the
beginning: whoever stores the records does so idempotently.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TypeVar

from django.db import InterfaceError, OperationalError
from django.db.models import Model, Q, QuerySet
from django.utils import timezone

from connectors.errors import ConnectorError, RemoteUnavailable

OVERLAP = timedelta(minutes=10)
# A reading that finds nothing keeps its cursor this long: nothing has to be stored then. Not for ever, because what other
# warehouses did since would have to be passed over each time.
CURSOR_LASTS = timedelta(hours=1)

ModelT = TypeVar("ModelT", bound=Model)


@dataclass(frozen=True, slots=True)
class Position:
    """Where a reading stands: when it began, the lower bound, and the last row that was given out."""

    began: datetime
    since: datetime | None = None
    after: tuple[datetime, int] | None = None

    @classmethod
    def of(cls, cursor: str, now: datetime) -> Position:
        try:
            began, *row = cursor.split("|")
            position = cls(began=aware(began))
            if row:
                moment, pk = row
                position = cls(began=position.began, after=(aware(moment), int(pk)))
        except ValueError:
            return cls(began=now)
        if position.began > now + OVERLAP:
            return cls(began=now)
        return position if position.after else cls(began=now, since=position.began - OVERLAP)

    @property
    def is_worth_keeping(self) -> bool:
        """Of a reading that found nothing: does the next one have to look at so much less that this is worth storing?"""
        return self.since is None or self.began - self.since > CURSOR_LASTS

    def filter(self, moment: str) -> Q:
        if self.after:
            time, pk = self.after
            return Q(**{f"{moment}__gte": time}) & (Q(**{f"{moment}__gt": time}) | Q(pk__gt=pk))
        return Q(**{f"{moment}__gte": self.since}) if self.since else Q()


def read_changes(rows: QuerySet[ModelT], moment: str, cursor: str, size: int) -> Iterator[tuple[list[ModelT], str]]:
    """Pages of at most ``size`` rows in the order of their time field ``moment``, each with the cursor to keep once the
    page is stored. A reading without changes gives one empty page, mostly with the cursor it began with. Raises
    ``RemoteUnavailable``."""
    position = Position.of(cursor, timezone.now())
    more = True
    while more:
        with database_trouble(RemoteUnavailable):
            changed = rows.filter(position.filter(moment))
            # Mostly nothing changed, and that is a much shorter question.
            page = list(changed.order_by(moment, "pk")[: size + 1]) if changed.exists() else []
        more = len(page) > size
        page = page[:size]
        if more:
            position = Position(began=position.began, after=(getattr(page[-1], moment), page[-1].pk))
            yield page, f"{iso(position.began)}|{iso(getattr(page[-1], moment))}|{page[-1].pk}"
        elif page or (cursor and position.is_worth_keeping):
            yield page, iso(position.began)
        else:
            yield page, cursor


@contextmanager
def database_trouble(kind: type[ConnectorError]) -> Iterator[None]:
    """Turns trouble with the database into the error type that the engine retries."""
    try:
        yield
    except (OperationalError, InterfaceError) as error:
        raise kind(f"The hub's own database did not answer: {error}") from error


def aware(text: str) -> datetime:
    """Raises ``ValueError`` for anything but an ISO time with its zone."""
    time = datetime.fromisoformat(text)
    if time.tzinfo is None:
        raise ValueError(f"{text} has no time zone")
    return time


def iso(time: datetime) -> str:
    return time.astimezone(UTC).isoformat()
