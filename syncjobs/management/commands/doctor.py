"""``manage.py doctor``: looks at the installation as an operator would, and says what to do."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import Any

from cryptography.fernet import Fernet
from django.core import checks
from django.core.management.base import BaseCommand

from syncjobs.checks import TAG
from syncjobs.examination import LOOKS
from syncjobs.readiness import Finding, look_at_broker, look_at_database, look_at_workers

# Without keys, a database and its tables the rest cannot be looked at.
STOPPERS = {"hub.E003", "hub.E004", "hub.E101", "hub.E102"}


class Command(BaseCommand):
    help = "Checks settings, database, broker, workers and credentials. Exit status 1 when it finds an error."
    requires_system_checks: list[str] = []

    def handle(self, *args: Any, **options: Any) -> None:
        errors = warnings = 0
        for finding in look():
            mark = "ok   "
            if not finding.ok and finding.is_error:
                mark, errors = "ERROR", errors + 1
            elif not finding.ok:
                mark, warnings = "WARN ", warnings + 1
            number = "" if finding.ok else f"{finding.number} "
            detail = f" ({finding.detail})" if finding.detail else ""
            self.stdout.write(f"  {mark} {number}{finding.name}: {finding.message}{detail}")
            if finding.help and not finding.ok:
                self.stdout.write(f"        {finding.help}")
        self.stdout.write(f"\nErrors: {errors}. Warnings: {warnings}.")
        self.stdout.write(f"A new key for CREDENTIALS_KEYS, if you need one: {Fernet.generate_key().decode()}")
        if errors:
            sys.exit(1)


def look() -> Iterator[Finding]:
    """Everything in turn."""
    first = [*look_at_settings(), *look_at_database(), look_at_broker()]
    yield from first
    if STOPPERS & {finding.number for finding in first if not finding.ok}:
        return
    yield look_at_workers()
    for part in LOOKS:
        yield from part()


def look_at_settings() -> Iterator[Finding]:
    everything = checks.run_checks() + checks.run_checks(tags=[TAG], include_deployment_checks=True)
    found = {(message.id, message.msg): message for message in everything if not message.is_silenced()}.values()
    for message in found:
        yield Finding("settings", False, str(message.msg), str(message.hint or ""), number=str(message.id))
    if not found:
        yield Finding("settings", True, "nothing to complain about")
