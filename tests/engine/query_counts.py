"""Counting what a piece of work asks of the database."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from django.db import connection
from django.test.utils import CaptureQueriesContext


@contextmanager
def counted_queries() -> Iterator[list[str]]:
    """The statements of the block, once it is over, without those that store the API log and without savepoints. Calls are
    made ahead by a thread of their own, and the log is stored as often as there is something in it: how often that is
    follows the clock, not the work."""
    statements: list[str] = []
    with CaptureQueriesContext(connection) as captured:
        yield statements
    statements += [query["sql"] for query in captured if not keeps_the_log(query["sql"])]


def keeps_the_log(statement: str) -> bool:
    return "SAVEPOINT" in statement or statement.startswith('INSERT INTO "syncjobs_apicall')
