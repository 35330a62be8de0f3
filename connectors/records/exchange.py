"""What reading and writing themselves are made of: pages, rejects, results, hints, test steps."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Generic, TypeVar

from connectors.functions import Function


@dataclass(frozen=True, slots=True, kw_only=True)
class WriteResult:
    """What became of one item of a write: done (``remote_id``) or rejected for good (``reason``, and ``fix`` in words)."""

    reference: str
    ok: bool
    remote_id: str = ""
    reason: str = ""
    fix: str = ""
    # Done, but the remote was only asked: what it decides comes later, by another way.
    answer_later: bool = False

    @classmethod
    def asked(cls, reference: str, remote_id: str = "") -> WriteResult:
        return cls(reference=reference, ok=True, remote_id=remote_id, answer_later=True)

    @classmethod
    def done(cls, reference: str, remote_id: str = "") -> WriteResult:
        return cls(reference=reference, ok=True, remote_id=remote_id)

    @classmethod
    def rejected(cls, reference: str, reason: str, fix: str = "") -> WriteResult:
        return cls(reference=reference, ok=False, reason=reason, fix=fix)


@dataclass(frozen=True, slots=True, kw_only=True)
class Reject:
    """A record that could not be mapped: kept whole, with the reason, for a person to look at."""

    external_id: str
    reason: str
    payload: bytes = b""


RecordT = TypeVar("RecordT", covariant=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class Page(Generic[RecordT]):
    """One page of a feed. ``cursor`` is where to go on **after** this page is stored; it is opaque to the engine.

    ``skipped`` counts records that do not concern this connection (another outlet, for example). ``complete_since``, on
    the last page of a reader that tells everything each time: what was not told since then is not there any more.
    ``span``, of a feed in the order of changes: when its first and its last record were changed in the remote, if the
    remote says. How far a long load is gets judged by it; nothing else depends on it.
    """

    records: Sequence[RecordT]
    cursor: str
    rejects: Sequence[Reject] = ()
    skipped: int = 0
    complete_since: datetime | None = None
    span: tuple[datetime, datetime] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Hint:
    """What a webhook says: *look here*. ``functions`` are the functions to run because of it. ``elsewhere``: it is about
    another outlet than the connection's, so there is nothing to look at."""

    topic: str
    external_id: str = ""
    functions: tuple[Function, ...] = ()
    elsewhere: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class TestStep:
    """One step of a connection's Test. ``help`` says what to do when ``ok`` is False."""

    __test__ = False  # not a test case, whatever pytest thinks of the name

    name: str
    ok: bool
    message: str
    help: str = ""
