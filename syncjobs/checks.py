"""Numbered system checks of the settings: what an operator got wrong, and what to do. They need no database. ``manage.py
doctor`` runs them and looks at what is running besides (``readiness``, ``examination``). All numbers stand in
docs/operations.md. An error of a check without ``deploy`` keeps web and workers from starting: only what would do harm.
"""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from cryptography.fernet import Fernet
from django.conf import settings
from django.core.checks import CheckMessage, Error, Warning, register
from django.http.request import validate_host

TAG = "hub"

HOST_AND_PORT = re.compile(r"(?:[a-z0-9_.-]+|\[[0-9a-f:.]+\]):(\d{1,5})")
NETWORK_FILE_SYSTEMS = {
    "nfs",
    "nfs4",
    "cifs",
    "smb3",
    "smbfs",
    "9p",
    "ceph",
    "glusterfs",
    "fuse.sshfs",
    "afs",
    "lustre",
}
FEWEST_DIFFERENT_CHARACTERS = 12


@register(TAG)
def check_sqlite_mode(app_configs: Any, **kwargs: Any) -> Sequence[CheckMessage]:
    """SQLite in any other mode loses results and says "database is locked"."""
    database = settings.DATABASES["default"]
    if not runs_on_sqlite():
        return []
    options = database.get("OPTIONS", {})
    wal = "journal_mode=wal" in str(options.get("init_command", "")).replace(" ", "").lower()
    if options.get("transaction_mode") == "IMMEDIATE" and wal and options.get("timeout", 0) >= 20:
        return []
    return [
        Error(
            "SQLite must run in WAL mode with immediate transactions and a timeout of 20 s.",
            hint="Leave DATABASES to integration_manager.settings, or copy its OPTIONS.",
            id="hub.E001",
        )
    ]


def runs_on_sqlite() -> bool:
    return bool(settings.DATABASES["default"]["ENGINE"].endswith("sqlite3"))


@register(TAG)
def check_retention(app_configs: Any, **kwargs: Any) -> Sequence[CheckMessage]:
    return [
        Error(
            f"KEEP_{kind.upper()}_DAYS is {days}; it must be at least 1.",
            hint="Set it to 1 or more, or take it out: then its usual value counts.",
            id="hub.E002",
        )
        for kind, days in settings.RETENTION_DAYS.items()
        if days < 1
    ]


@register(TAG)
def check_credentials_keys(app_configs: Any, **kwargs: Any) -> Sequence[CheckMessage]:
    found: list[CheckMessage] = []
    keys = list(settings.CREDENTIALS_KEYS)
    if not keys:
        found.append(
            Error(
                "CREDENTIALS_KEYS is empty: access tokens can neither be stored nor read.",
                hint="Put the installation's key into it; `manage.py doctor` prints a new one for a new installation.",
                id="hub.E003",
            )
        )
    for position, key in enumerate(keys, 1):
        try:
            Fernet(key)
        except (ValueError, TypeError):
            found.append(
                Error(
                    f"Key {position} of {len(keys)} in CREDENTIALS_KEYS is no Fernet key.",
                    hint="A key is 44 characters as `manage.py doctor` prints them; several are separated by commas.",
                    id="hub.E004",
                )
            )
    if len(set(keys)) < len(keys):
        found.append(
            Warning(
                "CREDENTIALS_KEYS holds the same key more than once.",
                hint="Keep each key once. If the new key was forgotten, put it first.",
                id="hub.W002",
            )
        )
    return found


@register(TAG, deploy=True)
def check_extra_hosts(app_configs: Any, **kwargs: Any) -> Sequence[CheckMessage]:
    return [
        Error(
            f"INTEGRATION_MANAGER_EXTRA_HOSTS holds “{entry}”, which is no host and port: it opens nothing.",
            hint="Write host:port without http:// and without a path, separated by commas: 127.0.0.1:8101, erp.local:443.",
            id="hub.E005",
        )
        for entry in sorted(settings.EXTRA_HOSTS)
        if not is_host_and_port(entry)
    ]


def is_host_and_port(entry: str) -> bool:
    found = HOST_AND_PORT.fullmatch(entry)
    return found is not None and 0 < int(found[1]) < 65_536


@register(TAG, deploy=True)
def check_public_url(app_configs: Any, **kwargs: Any) -> Sequence[CheckMessage]:
    parts = urlsplit(settings.PUBLIC_URL)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        return [
            Error(
                f"PUBLIC_URL is “{settings.PUBLIC_URL}”, which is no address.",
                hint="Write it with https:// in front: https://hub.example.com. Webhooks are registered under it.",
                id="hub.E006",
            )
        ]
    if validate_host(parts.hostname, settings.ALLOWED_HOSTS):
        return []
    return [
        Error(
            f"ALLOWED_HOSTS does not hold {parts.hostname}, the host of PUBLIC_URL: people and webhooks are turned away.",
            hint=f"Add {parts.hostname} to ALLOWED_HOSTS.",
            id="hub.E007",
        )
    ]


@register(TAG, deploy=True)
def check_public_url_is_https(app_configs: Any, **kwargs: Any) -> Sequence[CheckMessage]:
    if settings.DEBUG or not settings.PUBLIC_URL.startswith("http://"):
        return []
    return [
        Warning(
            f"PUBLIC_URL is {settings.PUBLIC_URL}: remote systems can only reach the hub's webhooks over https.",
            hint="Set PUBLIC_URL to the address under which the hub is reached from outside. Without it polling works.",
            id="hub.W001",
        )
    ]


@register(TAG, deploy=True)
def check_debug(app_configs: Any, **kwargs: Any) -> Sequence[CheckMessage]:
    if not settings.DEBUG or not settings.PUBLIC_URL.startswith("https://"):
        return []
    return [
        Error(
            f"DEBUG is on under {settings.PUBLIC_URL}: error pages show the hub's insides to everybody.",
            hint="Set DEBUG=false and restart web and workers.",
            id="hub.E008",
        )
    ]


@register(TAG, deploy=True)
def check_secret_key(app_configs: Any, **kwargs: Any) -> Sequence[CheckMessage]:
    key = settings.SECRET_KEY
    if len(key) >= 50 and len(set(key)) >= FEWEST_DIFFERENT_CHARACTERS and not key.startswith("django-insecure"):
        return []
    return [
        Warning(
            "SECRET_KEY is short or easy to guess: it signs sessions and the workers' calls.",
            hint='Use 50 random characters: python -c "import secrets; print(secrets.token_urlsafe(50))". '
            "Everybody logs in again after that.",
            id="hub.W003",
        )
    ]


@register(TAG, deploy=True)
def check_sqlite_place(app_configs: Any, **kwargs: Any) -> Sequence[CheckMessage]:
    """SQLite is for one host, and its file for a disk of that host."""
    if not runs_on_sqlite() or settings.DEBUG:
        return []
    found: list[CheckMessage] = []
    if settings.REDIS_URL:
        found.append(
            Warning(
                "REDIS_URL is set, but the database is SQLite: workers on other hosts would not see this hub's data.",
                hint="For several hosts set DATABASE_URL to a PostgreSQL; for one host take REDIS_URL out.",
                id="hub.W004",
            )
        )
    web = os.environ.get("GUNICORN_CMD_ARGS", "")
    if "gthread" in web or "--threads" in web:
        found.append(
            Warning(
                "gunicorn runs with threads on SQLite: they wait for each other when they write.",
                hint="Use two sync workers (--workers 2), or PostgreSQL.",
                id="hub.W005",
            )
        )
    kind = file_system_of(Path(str(settings.DATABASES["default"]["NAME"])))
    if kind in NETWORK_FILE_SYSTEMS:
        found.append(
            Error(
                f"The SQLite file lies on a network file system ({kind}), where its locks do not hold: it will be damaged.",
                hint="Move it to a local disk, or set DATABASE_URL to a PostgreSQL.",
                id="hub.E009",
            )
        )
    return found


def file_system_of(file: Path, mounts: Path = Path("/proc/mounts")) -> str:
    """The kind of file system that a file lies on, as Linux names it; "" where it does not say."""
    try:
        rows = [line.split() for line in mounts.read_text().splitlines()]
    except OSError:
        return ""
    file = file.absolute()
    around = [(row[1], row[2]) for row in rows if len(row) > 2 and file.is_relative_to(row[1])]
    return max(around, key=lambda mount: len(mount[0]))[1] if around else ""


@register(TAG, deploy=True)
def check_database_connections(app_configs: Any, **kwargs: Any) -> Sequence[CheckMessage]:
    database = settings.DATABASES["default"]
    if runs_on_sqlite() or (database.get("CONN_MAX_AGE") != 0 and database.get("CONN_HEALTH_CHECKS")):
        return []
    return [
        Warning(
            "Database connections are opened anew for each call, or not looked at before they are used again.",
            hint="Leave CONN_MAX_AGE (60) and CONN_HEALTH_CHECKS (on) to integration_manager.settings.",
            id="hub.W006",
        )
    ]


@register(TAG, deploy=True)
def check_mail_sender(app_configs: Any, **kwargs: Any) -> Sequence[CheckMessage]:
    if not settings.EMAIL_URL or not settings.DEFAULT_FROM_EMAIL.endswith("@localhost"):
        return []
    return [
        Warning(
            f"EMAIL_URL is set, but mails are sent from {settings.DEFAULT_FROM_EMAIL}: most servers refuse that.",
            hint="Set DEFAULT_FROM_EMAIL to an address of your own domain.",
            id="hub.W007",
        )
    ]
