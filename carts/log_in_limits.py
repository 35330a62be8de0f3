"""Guessing passwords is slow: after some wrong ones an account, and an address, has to wait, longer each time.

The counts are in the database, so they hold for all web processes, on all hosts. An account that does not exist is
counted like one that does: the answer tells nobody which names are in use. Somebody who is logged in stays so.
"""

from __future__ import annotations

import hashlib
import ipaddress
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db import transaction
from django.db.models import Max
from django.http import HttpRequest
from django.utils import timezone

from carts.models import LogInFailures

SHORTEST_WAIT, LONGEST_WAIT = timedelta(seconds=30), timedelta(minutes=15)
# So long after the last wrong password it begins again.
FORGOTTEN_AFTER = timedelta(hours=2)

PRIVATE_NETWORKS = tuple(
    ipaddress.ip_network(text) for text in ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "fc00::/7")
)


@dataclass(frozen=True, slots=True)
class Subject:
    """Whom wrong passwords are counted for, and how many are free."""

    key: str
    free: int


def subjects_of(username: str, address: str) -> list[Subject]:
    """The account, and the address: many people may sit behind one, so it has more tries."""
    return [Subject(hashed("account", username.strip().casefold()), 5), Subject(hashed("address", address), 25)]


def hashed(kind: str, text: str) -> str:
    return hashlib.sha256(f"{kind}\n{text}".encode()).hexdigest()


def address_of(request: HttpRequest) -> str:
    """Who calls. A proxy of the own network is believed about whom it heard last; nobody else is."""
    caller = str(request.META.get("REMOTE_ADDR", ""))
    told = str(request.META.get("HTTP_X_FORWARDED_FOR", "")).rpartition(",")[2].strip()
    return network_of(told if told and is_private(caller) else caller)


def is_private(address: str) -> bool:
    try:
        found = ipaddress.ip_address(address)
    except ValueError:
        return address == ""  # a socket file: the proxy is on this machine
    return found.is_loopback or any(found in network for network in PRIVATE_NETWORKS)


def network_of(address: str) -> str:
    """One customer has a whole network of IPv6 addresses (/64), but one IPv4 address."""
    try:
        found = ipaddress.ip_address(address)
    except ValueError:
        return address
    return str(ipaddress.ip_network((found, 64), strict=False)) if found.version == 6 else address


def blocked_until(subjects: Iterable[Subject], now: datetime) -> datetime | None:
    """When the next try is allowed; None: now. One query."""
    keys = [subject.key for subject in subjects]
    until: datetime | None = LogInFailures.objects.filter(subject__in=keys, blocked_until__gt=now).aggregate(
        latest=Max("blocked_until")
    )["latest"]
    return until


def note_failure(subjects: Iterable[Subject], now: datetime) -> None:
    """Counts a wrong password; from the first one that is not free each one more doubles the wait."""
    for subject in sorted(subjects, key=lambda subject: subject.key):
        with transaction.atomic():
            LogInFailures.objects.bulk_create([LogInFailures(subject=subject.key, last_at=now)], ignore_conflicts=True)
            row = LogInFailures.objects.select_for_update().get(subject=subject.key)
            row.count = row.count + 1 if now - row.last_at < FORGOTTEN_AFTER else 1
            row.last_at = now
            row.blocked_until = now + wait_after(row.count - subject.free) if row.count >= subject.free else None
            row.save()


def wait_after(beyond: int) -> timedelta:
    """``beyond``: how many wrong passwords there were more than those that are free (0, 1, ...)."""
    return min(SHORTEST_WAIT * 2 ** min(beyond, 10), LONGEST_WAIT)


def forget_account(subjects: Iterable[Subject]) -> None:
    """The right password: the account begins anew. The address does not, or its owner could guess between log-ins."""
    account, *_ = subjects
    LogInFailures.objects.filter(subject=account.key).delete()


def in_words(until: datetime, now: datetime) -> str:
    """How long to wait, for people."""
    minutes = -(-int((until - now).total_seconds()) // 60)
    return "a minute" if minutes <= 1 else f"{minutes} minutes"


def prune(now: datetime | None = None) -> int:
    """Deletes what is forgotten."""
    deleted, _ = LogInFailures.objects.filter(last_at__lt=(now or timezone.now()) - FORGOTTEN_AFTER).delete()
    return deleted
