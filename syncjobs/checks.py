"""Numbered system checks: what an operator got wrong, and what to do. ``manage.py doctor`` runs them and more."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.conf import settings
from django.core.checks import CheckMessage, Error, Warning, register

TAG = "hub"


@register(TAG)
def check_sqlite_mode(app_configs: Any, **kwargs: Any) -> Sequence[CheckMessage]:
    """SQLite in any other mode loses results and says "database is locked" (stack.md 2.2)."""
    database = settings.DATABASES["default"]
    if not database["ENGINE"].endswith("sqlite3"):
        return []
    options = database.get("OPTIONS", {})
    wal = "journal_mode=wal" in str(options.get("init_command", "")).replace(" ", "").lower()
    if options.get("transaction_mode") == "IMMEDIATE" and wal and options.get("timeout", 0) >= 20:
        return []
    return [
        Error(
            "SQLite must run in WAL mode with immediate transactions and a timeout of 20 s.",
            hint="Leave DATABASES to integration_manager.settings, or copy its OPTIONS.",
            id="syncjobs.E001",
        )
    ]


@register(TAG, deploy=True)
def check_public_url(app_configs: Any, **kwargs: Any) -> Sequence[CheckMessage]:
    if settings.DEBUG or settings.PUBLIC_URL.startswith("https://"):
        return []
    return [
        Warning(
            f"PUBLIC_URL is {settings.PUBLIC_URL}: remote systems can only reach the hub's webhooks over https.",
            hint="Set PUBLIC_URL to the address under which the hub is reached from outside. Without it polling works.",
            id="syncjobs.W001",
        )
    ]


@register(TAG, deploy=True)
def check_retention(app_configs: Any, **kwargs: Any) -> Sequence[CheckMessage]:
    return [
        Error(f"KEEP_{kind.upper()}_DAYS must be at least 1.", id="syncjobs.E002")
        for kind, days in settings.RETENTION_DAYS.items()
        if days < 1
    ]
