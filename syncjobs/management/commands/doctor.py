"""``manage.py doctor``: looks at the installation as an operator would, and says what to do."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

from cryptography.fernet import Fernet
from django.core import checks
from django.core.management.base import BaseCommand
from django.utils import timezone

from carts.credential_store import store_of
from carts.encryption import CredentialsUnreadable
from carts.models import Connection
from syncjobs.checks import TAG
from syncjobs.models import Delivery
from syncjobs.readiness import Finding, look_at_broker, look_at_database, look_at_workers

Line = tuple[bool, str, str]


class Command(BaseCommand):
    help = "Checks settings, database, broker, workers and credentials. Exit status 1 when something needs attention."

    def handle(self, *args: Any, **options: Any) -> None:
        attention = False
        parts: list[Callable[[], Iterator[Line]]] = [settings_ok, database_ok, broker_ok, workers_ok, connections_ok]
        for part in parts:
            for ok, text, help_text in part():
                attention = attention or not ok
                self.stdout.write(("  ok   " if ok else "  LOOK ") + text)
                if help_text and not ok:
                    self.stdout.write(f"       {help_text}")
        self.stdout.write(f"\nA new key for CREDENTIALS_KEYS, if you need one: {Fernet.generate_key().decode()}")
        if attention:
            sys.exit(1)


def settings_ok() -> Iterator[Line]:
    everything = checks.run_checks() + checks.run_checks(tags=[TAG], include_deployment_checks=True)
    found = {message.id: message for message in everything if not message.is_silenced()}.values()
    if not found:
        yield True, "settings", ""
    for message in found:
        yield False, f"{message.id}: {message.msg}", str(message.hint or "")


def database_ok() -> Iterator[Line]:
    yield from map(line_of, look_at_database())


def broker_ok() -> Iterator[Line]:
    yield line_of(look_at_broker())


def line_of(finding: Finding) -> Line:
    detail = f" ({finding.detail})" if finding.detail else ""
    return finding.ok, f"{finding.name}: {finding.message}{detail}", finding.help


def workers_ok() -> Iterator[Line]:
    yield line_of(look_at_workers())
    late = Delivery.objects.filter(
        state=Delivery.State.PENDING, run_at__lt=timezone.now() - timedelta(minutes=10)
    ).count()
    yield late == 0, f"deliveries waiting for more than 10 minutes: {late}", "Look at the warehouse's alerts."


def connections_ok() -> Iterator[Line]:
    for item in Connection.objects.order_by("pk"):
        try:
            item.read_credentials()
            store = store_of(item)
            if store is not None:
                store.read()
        except CredentialsUnreadable as error:
            yield False, f"{item}: {error}", "Put the old key behind the new one in CREDENTIALS_KEYS."
    failing = [item for item in Connection.objects.filter(is_active=True) if item.health == "failing"]
    for item in failing:
        yield False, f"{item}: {item.last_error}", "Open it in the admin and click Test."
    yield True, f"connections: {Connection.objects.filter(is_active=True).count()} switched on", ""
