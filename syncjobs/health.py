"""How a connection is doing: last success, last error, and the rest a failing remote is given."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta

from django.db.models import F

from carts.access_alerts import access_works
from carts.alerting import clear_alert
from carts.models import Connection
from syncjobs.models import Delivery
from syncjobs.retry import rest_until
from syncjobs.schedule import hurry

SUCCESS_IS_NEWS_AFTER = timedelta(seconds=5)


def note_connection_success(connection: Connection, now: datetime) -> None:
    """Remembers the success. If the remote had been failing, everything that waited for it goes on now."""
    was_failing = connection.failures_in_a_row or connection.resting_until
    if was_failing:
        Connection.objects.filter(pk=connection.pk).update(last_success_at=now, failures_in_a_row=0, resting_until=None)
        connection.failures_in_a_row, connection.resting_until = 0, None
        clear_alert(connection.merchant_id, "unavailable", f"{connection.pk}:deliveries")
        access_works(connection)
        hurry(connection, now)
        Delivery.objects.filter(
            connection_id=connection.pk, state=Delivery.State.RETRY, error_kind__in=TRANSIENT_KINDS, run_at__gt=now
        ).update(run_at=now)
    elif success_is_news(connection, now):
        Connection.objects.filter(pk=connection.pk).update(last_success_at=now)
    connection.last_success_at = now


def note_connections_success(connections: Iterable[Connection], now: datetime) -> None:
    """The same for many connections without trouble. One that somebody else writes to just now is left out: its success
    is no news then."""
    old = [one.pk for one in connections if success_is_news(one, now)]
    if old:
        free = Connection.objects.filter(pk__in=old).order_by("pk").select_for_update(skip_locked=True)
        Connection.objects.filter(pk__in=list(free.values_list("pk", flat=True))).update(last_success_at=now)


def success_is_news(connection: Connection, now: datetime) -> bool:
    return connection.last_success_at is None or now - connection.last_success_at > SUCCESS_IS_NEWS_AFTER


TRANSIENT_KINDS = ("unavailable", "contract", "outcome_unknown")


def note_connection_failure(connection: Connection, message: str, now: datetime, *, transient: bool) -> None:
    """Remembers the failure; a remote that fails again and again is left alone for a while."""
    values: dict[str, object] = {"last_error_at": now, "last_error": message[:2000]}
    if transient:
        failures = connection.failures_in_a_row + 1
        values |= {"failures_in_a_row": F("failures_in_a_row") + 1, "resting_until": rest_until(failures, now)}
        connection.failures_in_a_row = failures
    Connection.objects.filter(pk=connection.pk).update(**values)
