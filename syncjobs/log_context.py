"""What is being worked on, for every line that is logged meanwhile: run, connection, deliveries, orders."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

Facts = dict[str, str]
current: ContextVar[Facts | None] = ContextVar("what_is_worked_on", default=None)


@contextmanager
def working_on(**facts: object) -> Iterator[None]:
    """Adds facts (``run``, ``delivery``, ``order``, ...) to all log lines of this thread until the block ends."""
    token = current.set({**(current.get() or {}), **{name: str(value) for name, value in facts.items()}})
    try:
        yield
    finally:
        current.reset(token)


class AddWork(logging.Filter):
    """Puts the facts on the record: ``record.work``."""

    def filter(self, record: logging.LogRecord) -> bool:
        if not hasattr(record, "work"):
            record.work = dict(current.get() or {})
        return True
