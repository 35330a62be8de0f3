"""``manage.py doctor``: looks at the installation as an operator would, and says what to do."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

from cryptography.fernet import Fernet
from django.conf import settings
from django.core import checks
from django.core.management.base import BaseCommand
from django.db import DatabaseError, connection
from django.db.migrations.executor import MigrationExecutor
from django.utils import timezone
from redis import Redis, RedisError

from carts.credential_store import StoredTokens
from carts.encryption import CredentialsUnreadable
from carts.models import Connection
from syncjobs.checks import TAG
from syncjobs.models import Delivery, WorkerProcess

Finding = tuple[bool, str, str]
WORKER_IS_SILENT_AFTER = timedelta(seconds=60)


class Command(BaseCommand):
    help = "Checks settings, database, broker, workers and credentials. Exit status 1 when something needs attention."

    def handle(self, *args: Any, **options: Any) -> None:
        attention = False
        parts: list[Callable[[], Iterator[Finding]]] = [settings_ok, database_ok, broker_ok, workers_ok, connections_ok]
        for part in parts:
            for ok, text, help_text in part():
                attention = attention or not ok
                self.stdout.write(("  ok   " if ok else "  LOOK ") + text)
                if help_text and not ok:
                    self.stdout.write(f"       {help_text}")
        self.stdout.write(f"\nA new key for CREDENTIALS_KEYS, if you need one: {Fernet.generate_key().decode()}")
        if attention:
            sys.exit(1)


def settings_ok() -> Iterator[Finding]:
    everything = checks.run_checks() + checks.run_checks(tags=[TAG], include_deployment_checks=True)
    found = {message.id: message for message in everything if not message.is_silenced()}.values()
    if not found:
        yield True, "settings", ""
    for message in found:
        yield False, f"{message.id}: {message.msg}", str(message.hint or "")


def database_ok() -> Iterator[Finding]:
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
    except DatabaseError as error:
        yield False, f"database: {error}", "Check DATABASE_URL and that the server runs."
        return
    yield True, f"database: {connection.vendor}", ""
    executor = MigrationExecutor(connection)
    missing = executor.migration_plan(executor.loader.graph.leaf_nodes())
    yield not missing, f"migrations: {len(missing)} missing", "Run: manage.py migrate"


def broker_ok() -> Iterator[Finding]:
    if not settings.REDIS_URL:
        yield True, "broker: the database", ""
        return
    try:
        Redis.from_url(settings.REDIS_URL).ping()
        yield True, "broker: Redis", ""
    except RedisError as error:
        yield False, f"broker: Redis does not answer ({error})", "Check REDIS_URL and that the server runs."


def workers_ok() -> Iterator[Finding]:
    alive = WorkerProcess.objects.filter(beat_at__gt=timezone.now() - WORKER_IS_SILENT_AFTER).count()
    yield alive > 0, f"workers: {alive} running", "Start one: manage.py worker"
    late = Delivery.objects.filter(
        state=Delivery.State.PENDING, run_at__lt=timezone.now() - timedelta(minutes=10)
    ).count()
    yield late == 0, f"deliveries waiting for more than 10 minutes: {late}", "Look at the warehouse's alerts."


def connections_ok() -> Iterator[Finding]:
    for item in Connection.objects.order_by("pk"):
        try:
            item.read_credentials()
            StoredTokens(item.pk).read()
        except CredentialsUnreadable as error:
            yield False, f"{item}: {error}", "Put the old key behind the new one in CREDENTIALS_KEYS."
    failing = [item for item in Connection.objects.filter(is_active=True) if item.health == "failing"]
    for item in failing:
        yield False, f"{item}: {item.last_error}", "Open it in the admin and click Test."
    yield True, f"connections: {Connection.objects.filter(is_active=True).count()} switched on", ""
