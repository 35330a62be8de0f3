"""Is this installation able to work? Answers for ``manage.py doctor`` and for ``/readyz``."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta

from django.conf import settings
from django.db import DatabaseError, connection
from django.db.migrations.executor import MigrationExecutor
from django.utils import timezone
from redis import Redis, RedisError

from syncjobs.models import WorkerProcess

WORKER_IS_SILENT_AFTER = timedelta(seconds=60)
BROKER_MUST_ANSWER_WITHIN = 3.0


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing looked at. ``message`` may be shown to anybody; ``detail`` (the error itself) only to the operator.
    ``number`` stands in docs/operations.md: ``hub.E...`` is an error, ``hub.W...`` a warning."""

    name: str
    ok: bool
    message: str
    help: str = ""
    detail: str = ""
    number: str = ""

    @property
    def is_error(self) -> bool:
        """An error unless its number says that it is a warning."""
        return not self.number.rpartition(".")[2].startswith("W")


def look_at_database() -> Iterator[Finding]:
    """The database, and whether it is as new as the code. Stops at the first trouble: nothing else can be asked then."""
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
    except DatabaseError as error:
        yield Finding(
            "database",
            False,
            "the database does not answer",
            "Check DATABASE_URL and that the server runs.",
            str(error),
            number="hub.E101",
        )
        return
    yield Finding("database", True, connection.vendor)
    missing = missing_migrations()
    yield Finding("migrations", not missing, f"{missing} missing", "Run: manage.py migrate", number="hub.E102")


def missing_migrations() -> int:
    executor = MigrationExecutor(connection)
    return len(executor.migration_plan(executor.loader.graph.leaf_nodes()))


def look_at_broker() -> Finding:
    if not settings.REDIS_URL:
        return Finding("broker", True, "the database")
    try:
        with Redis.from_url(
            settings.REDIS_URL,
            socket_connect_timeout=BROKER_MUST_ANSWER_WITHIN,
            socket_timeout=BROKER_MUST_ANSWER_WITHIN,
        ) as broker:
            broker.ping()
    except RedisError as error:
        return Finding(
            "broker",
            False,
            "Redis does not answer",
            "Check REDIS_URL and that the server runs.",
            str(error),
            number="hub.E103",
        )
    return Finding("broker", True, "Redis")


def look_at_workers() -> Finding:
    beaten_since = timezone.now() - WORKER_IS_SILENT_AFTER
    alive = WorkerProcess.objects.filter(beat_at__gt=beaten_since, stopping=False).count()
    return Finding("workers", alive > 0, f"{alive} running", "Start one: manage.py worker", number="hub.E104")
