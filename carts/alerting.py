"""Raising and closing alerts: one per cause, counted, never a flood."""

from __future__ import annotations

from django.db import IntegrityError, transaction
from django.db.models import F
from django.utils import timezone

from carts.models import Alert, Connection, Merchant


def raise_alert(
    merchant: Merchant,
    kind: str,
    key: str,
    message: str,
    *,
    fix: str = "",
    link: str = "",
    connection: Connection | None = None,
    severity: str = Alert.Severity.ERROR,
    times: int = 1,
) -> None:
    """Opens an alert for this cause, or counts it up if it is open (or muted) already."""
    now = timezone.now()
    cause = {"merchant": merchant, "kind": kind, "key": key[:200]}
    values = {"message": message, "fix": fix, "link": link, "last_seen_at": now}

    def count_up() -> int:
        return (
            Alert.objects.filter(**cause)
            .exclude(status=Alert.Status.RESOLVED)
            .update(count=F("count") + times, **values)
        )

    if count_up():
        return
    try:
        with transaction.atomic():
            Alert.objects.create(**cause, **values, connection=connection, severity=severity, count=times)
    except IntegrityError:
        count_up()


def clear_alert(merchant: Merchant | int, kind: str, key: str) -> int:
    """The cause is gone: closes its alert. Returns how many were closed."""
    return close(Alert.objects.filter(merchant=merchant, kind=kind, key=key[:200]))


def clear_connection_alerts(connection: Connection, *kinds: str) -> int:
    """Closes this connection's alerts of the given kinds."""
    return close(Alert.objects.filter(connection=connection, kind__in=kinds))


def close(alerts: object, by: str = "hub") -> int:
    now = timezone.now()
    return (  # type: ignore[no-any-return]
        alerts.exclude(status=Alert.Status.RESOLVED).update(  # type: ignore[attr-defined]
            status=Alert.Status.RESOLVED, resolved_at=now, resolved_by=by
        )
    )
