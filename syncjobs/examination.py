"""What ``manage.py doctor`` looks at besides readiness: keys, clocks, disk, mail, work that is left lying, neighbours."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from cryptography.fernet import Fernet, InvalidToken
from django.conf import settings
from django.db import connection
from django.db.migrations.recorder import MigrationRecorder
from django.utils import timezone
from redis import Redis, RedisError

from carts.models import AlertSubscription, Authorization, Connection
from syncjobs.models import Delivery, WorkerProcess
from syncjobs.readiness import BROKER_MUST_ANSWER_WITHIN, WORKER_IS_SILENT_AFTER, Finding
from syncjobs.retention import KEPT, days_of

CLOCKS_MAY_DIFFER = timedelta(seconds=5)
DELIVERIES_MAY_WAIT = timedelta(minutes=10)
# The worker prunes once an hour; this long after their time rows must be gone.
PRUNING_MAY_TAKE = timedelta(days=1)
LITTLE_SPACE, NEARLY_NO_SPACE = 2 * 1024**3, 200 * 1024**2
OPERATOR_GIVES_KEY = "Put the old key behind the new one in CREDENTIALS_KEYS."
NEIGHBOURS = "hub:installation:"
NEIGHBOUR_IS_GONE_AFTER = timedelta(minutes=5)


def look_at_silent_workers() -> Iterator[Finding]:
    """Workers that said good-bye to nobody: killed, hung, or without the database."""
    silent = WorkerProcess.objects.filter(beat_at__lt=timezone.now() - WORKER_IS_SILENT_AFTER, stopping=False)
    for worker in silent.order_by("beat_at"):
        yield Finding(
            "worker",
            False,
            f"{worker.name} gave no sign of life since {worker.beat_at:%d %b %H:%M:%S} UTC",
            f"Look at its log on {worker.host}; start it again if it is gone.",
            number="hub.W104",
        )


def look_at_clocks() -> Iterator[Finding]:
    """Leases compare this host's clock with what other hosts wrote."""
    if connection.vendor != "postgresql":
        return
    before = timezone.now()
    with connection.cursor() as cursor:
        cursor.execute("SELECT clock_timestamp()")
        there: datetime = cursor.fetchone()[0]
    yield clock_finding(there - (before + (timezone.now() - before) / 2))


def clock_finding(difference: timedelta) -> Finding:
    seconds = difference.total_seconds()
    return Finding(
        "clocks",
        abs(difference) <= CLOCKS_MAY_DIFFER,
        f"the database's clock differs by {seconds:+.1f} s from this host's",
        "Let both keep time by NTP. Until then a worker may take another's work for abandoned.",
        number="hub.E105",
    )


def look_at_credentials() -> Iterator[Finding]:
    """Can they be opened, and with the first key, so that the others may be taken away?"""
    first = Fernet(settings.CREDENTIALS_KEYS[0])
    all_keys = [Fernet(key) for key in settings.CREDENTIALS_KEYS]
    old = 0
    for item in Connection.objects.order_by("pk"):
        if not item.has_credentials or opens(first, item.credentials):
            continue
        if any(opens(key, item.credentials) for key in all_keys):
            old += 1
        else:
            yield unreadable(str(item))
    for row in Authorization.objects.order_by("pk"):
        if not row.tokens or opens(first, row.tokens):
            continue
        if any(opens(key, row.tokens) for key in all_keys):
            old += 1
        else:
            yield unreadable(f"Authorisation {row.key}")
    yield Finding(
        "credentials",
        old == 0,
        f"{old} still encrypted with an old key" if old else "all open with the first key",
        "Encrypt them anew (docs/operations.md, Keys) before you take the old key away.",
        number="hub.W106",
    )


def unreadable(name: str) -> Finding:
    message = f"{name}: the stored credentials cannot be read with the keys in CREDENTIALS_KEYS"
    return Finding("credentials", False, message, OPERATOR_GIVES_KEY, number="hub.E106")


def opens(key: Fernet, sealed: str) -> bool:
    try:
        key.decrypt(sealed.encode())
    except InvalidToken:
        return False
    return True


def look_at_waiting_deliveries() -> Iterator[Finding]:
    late = Delivery.objects.filter(
        state=Delivery.State.PENDING, run_at__lt=timezone.now() - DELIVERIES_MAY_WAIT
    ).count()
    yield Finding(
        "deliveries",
        late == 0,
        f"deliveries waiting for more than 10 minutes: {late}",
        "Look at the warehouse's alerts, and whether a worker runs.",
        number="hub.E107",
    )


def look_at_connections() -> Iterator[Finding]:
    active = list(Connection.objects.filter(is_active=True).order_by("pk"))
    for item in active:
        if item.health == "failing":
            yield Finding(
                "connection",
                False,
                f"{item}: {item.last_error}",
                "Open it in the admin and click Test.",
                number="hub.W108",
            )
    yield Finding("connections", True, f"{len(active)} switched on")


def look_at_mail() -> Iterator[Finding]:
    wanted = 0 if settings.EMAIL_URL else AlertSubscription.objects.filter(is_on=True).count()
    yield Finding(
        "mail",
        wanted == 0,
        f"{wanted} chose alerts by e-mail, but no mail server is set" if wanted else "as chosen",
        "Set EMAIL_URL and DEFAULT_FROM_EMAIL; until then alerts are in the admin only.",
        number="hub.W109",
    )


def look_at_disk() -> Iterator[Finding]:
    places = {Path(settings.BASE_DIR)}
    if connection.vendor == "sqlite":
        places.add(Path(str(connection.settings_dict["NAME"])).absolute().parent)
    for place in sorted(places):
        if place.is_dir():
            yield disk_finding(place, shutil.disk_usage(place).free)


def disk_finding(place: Path, free: int) -> Finding:
    return Finding(
        "disk",
        free >= LITTLE_SPACE,
        f"{free / 1024**3:.1f} GiB free in {place}",
        "Make room, or keep things shorter (KEEP_..._DAYS). A full disk stops the hub; nothing that was stored is lost.",
        number="hub.E110" if free < NEARLY_NO_SPACE else "hub.W110",
    )


def look_at_retention() -> Iterator[Finding]:
    """Rows that should have been deleted a day ago."""
    now = timezone.now() - PRUNING_MAY_TAKE
    overdue = [kind for kind, rows in KEPT.items() if rows(now - timedelta(days=days_of(kind))).exists()]
    yield Finding(
        "retention",
        not overdue,
        f"not pruned: {', '.join(overdue).replace('_', ' ')}" if overdue else "pruned",
        "The worker prunes once an hour: look at its log. By hand: manage.py prune",
        number="hub.W111",
    )


def look_at_neighbours() -> Iterator[Finding]:
    """Other hubs that call their workers through the same Redis database."""
    if not settings.REDIS_URL:
        return
    try:
        with redis() as broker:
            found = {key.decode().removeprefix(NEIGHBOURS) for key in broker.scan_iter(match=f"{NEIGHBOURS}*")}
    except RedisError:
        return  # told already, as the broker that does not answer
    others = len(found - {installation()})
    yield Finding(
        "neighbours",
        others == 0,
        f"{others} other hub(s) use this Redis database" if others else "nobody else uses this Redis database",
        "Give each hub a Redis database of its own: the number at the end of REDIS_URL.",
        number="hub.E112",
    )


def announce() -> None:
    """Says that this hub uses its Redis database, for a few minutes. Called each minute by a worker."""
    if settings.REDIS_URL:
        with redis() as broker:
            broker.set(f"{NEIGHBOURS}{installation()}", "", ex=NEIGHBOUR_IS_GONE_AFTER)


def installation() -> str:
    """What tells this hub's database from another's: the moment at which it was made."""
    born = MigrationRecorder.Migration.objects.order_by("pk").values_list("applied", flat=True).first()
    return hashlib.sha256(f"{born:%Y-%m-%dT%H:%M:%S.%f}".encode()).hexdigest()[:16] if born else ""


def redis() -> Any:
    return Redis.from_url(
        settings.REDIS_URL,
        socket_connect_timeout=BROKER_MUST_ANSWER_WITHIN,
        socket_timeout=BROKER_MUST_ANSWER_WITHIN,
    )


# In the order in which doctor prints them.
LOOKS: tuple[Callable[[], Iterator[Finding]], ...] = (
    look_at_clocks,
    look_at_silent_workers,
    look_at_waiting_deliveries,
    look_at_credentials,
    look_at_connections,
    look_at_mail,
    look_at_disk,
    look_at_retention,
    look_at_neighbours,
)
