"""How a connection is doing: last success, last error, and the rest a failing remote is given."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta

from django.db.models import F

from carts.access_alerts import access_works
from carts.alerting import clear_alert
from carts.models import Connection
from syncjobs.models import Delivery
from syncjobs.retry import FAILURES_BEFORE_REST, rest_until
from syncjobs.schedule import hurry

SUCCESS_IS_NEWS_AFTER = timedelta(seconds=5)

# Trouble of the remote as a whole, not of one thing that is read from it or written to it.
TRANSIENT_KINDS = ("unavailable", "contract", "outcome_unknown")
# Trouble that ends when a person mends the set-up.
SETUP_KINDS = ("authentication", "permission", "configuration", "credentials")


def note_connection_success(connection: Connection, now: datetime) -> None:
    """Remembers the success. If the remote was given a rest, it is back: everything that waited for it goes on now. A
    single failure was no outage: what failed keeps its place on the ladder, or one thing that always fails would be
    tried again after each success of another."""
    was_away = connection.resting_until is not None or connection.failures_in_a_row >= FAILURES_BEFORE_REST
    if connection.failures_in_a_row or was_away:
        Connection.objects.filter(pk=connection.pk).update(last_success_at=now, failures_in_a_row=0, resting_until=None)
        connection.failures_in_a_row, connection.resting_until = 0, None
        for kind in TRANSIENT_KINDS:
            clear_alert(connection.merchant_id, kind, outage_key(connection))
        access_works(connection)
        if was_away:
            hurry(connection, now)
            hurry_deliveries(connection, TRANSIENT_KINDS, now)
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


def outage_key(connection: Connection) -> str:
    """The cause of an alert about a remote that is in trouble as a whole."""
    return f"{connection.pk}"


def hurry_deliveries(connection: Connection, kinds: Iterable[str], now: datetime) -> None:
    """What waits after trouble of these kinds goes out now, oldest first."""
    Delivery.objects.filter(
        connection_id=connection.pk, state=Delivery.State.RETRY, error_kind__in=kinds, run_at__gt=now
    ).update(run_at=now)


def note_connection_failure(connection: Connection, message: str, now: datetime, *, transient: bool) -> None:
    """Remembers the failure; a remote that fails again and again is left alone for a while."""
    values: dict[str, object] = {"last_error_at": now, "last_error": message[:2000]}
    if transient:
        failures = connection.failures_in_a_row + 1
        values |= {"failures_in_a_row": F("failures_in_a_row") + 1, "resting_until": rest_until(failures, now)}
        connection.failures_in_a_row = failures
    Connection.objects.filter(pk=connection.pk).update(**values)
