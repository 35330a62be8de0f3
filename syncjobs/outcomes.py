"""How a run ended: its state, its schedule, the health of its connection, and one alert that says what to do."""

from __future__ import annotations

import json
from datetime import timedelta

from django.db import connection as database
from django.db import transaction
from django.utils import timezone

from carts import access_alerts
from carts.alerting import clear_alert, raise_alert
from carts.encryption import CredentialsUnreadable
from carts.models import Alert, Connection
from connectors.errors import (
    ConfigurationInvalid,
    ConnectorError,
    ContractBroken,
    OutcomeUnknown,
    RemoteUnavailable,
)
from syncjobs.call_log import flush_together
from syncjobs.context import RunContext
from syncjobs.health import (
    TRANSIENT_KINDS,
    note_connection_failure,
    note_connection_success,
    note_connections_success,
    outage_key,
)
from syncjobs.models import Run, Schedule
from syncjobs.nested import CauseFailed
from syncjobs.retry import LADDER, jittered

State = Run.State
# A single failure of the network is no reason to wake anyone.
FAILURES_BEFORE_ALERT = 2


DONE = {"state": State.DONE, "error": "", "error_kind": "", "fix": "", "lease_owner": "", "lease_until": None}


def succeeded(context: RunContext) -> None:
    run, now = context.run, timezone.now()
    values = {
        **DONE,
        "finished_at": now,
        "counts": run.counts,
        "pages": run.pages,
        "cursor_before": run.cursor_before,
        "cursor_after": run.cursor_after,
        "preview": run.preview,
    }
    mine = Run.objects.filter(pk=run.pk, state=State.RUNNING, lease_owner=context.owner)
    # One commit instead of three waits for the disk. The connection's row comes before the schedules': its success may
    # hurry the schedules of its other functions.
    with transaction.atomic():
        if not mine.update(**values):
            return
        for name, value in values.items():
            setattr(run, name, value)
        if run.dry_run:
            return
        note_connection_success(context.connection, now)
        schedule = context.schedule
        had_trouble = schedule.failures or schedule.last_error
        Schedule.objects.filter(pk=schedule.pk).update(failures=0, last_error="", last_success_at=now)
        if had_trouble:
            access_alerts.access_works(context.connection)
            for kind in ALERT_KINDS:
                clear_alert(context.connection.merchant_id, kind, alert_key(run))


# Plain SQL: ``bulk_update`` builds an expression for every value.
KEEP_LOOK = f"UPDATE {Run._meta.db_table} SET cursor_before = %s, counts = %s WHERE id = %s"  # noqa: S608


class IdleRuns:
    """Runs of one owner that found nothing to do, marked as done together, with the log of their calls: one commit in
    place of one each.

    Until then they stay RUNNING under their leases. If the worker dies, somebody runs them again and finds nothing again.
    """

    def __init__(self, owner: str) -> None:
        self.owner = owner
        self._contexts: list[RunContext] = []

    def takes(self, context: RunContext) -> bool:
        """Takes a run that ended well, unless there is more to say about it than that."""
        run, schedule, connection = context.run, context.schedule, context.connection
        had_trouble = (
            schedule.failures or schedule.last_error or connection.failures_in_a_row or connection.resting_until
        )
        if run.pages or run.preview or run.full or run.dry_run or had_trouble:
            return False
        context.is_left_to_idle = True
        self._contexts.append(context)
        return True

    def mark(self) -> None:
        """Marks those that are still the owner's. Nine statements at most, however many runs."""
        contexts, self._contexts = self._contexts, []
        if not contexts:
            return
        now = timezone.now()
        ours = Run.objects.filter(
            pk__in=[context.run.pk for context in contexts], state=State.RUNNING, lease_owner=self.owner
        )
        with transaction.atomic():
            flush_together([context.calls for context in contexts])
            still = set(ours.select_for_update().order_by("pk").values_list("pk", flat=True))
            contexts = [context for context in contexts if context.run.pk in still]
            Run.objects.filter(pk__in=still).update(**DONE, finished_at=now)
            looks = [
                (run.cursor_before, json.dumps(run.counts), run.pk)
                for run in (context.run for context in contexts)
                if run.cursor_before or run.counts
            ]
            if looks:
                with database.cursor() as cursor:
                    cursor.executemany(KEEP_LOOK, looks)
            note_connections_success([context.connection for context in contexts], now)
            schedules = Schedule.objects.filter(pk__in=[context.schedule.pk for context in contexts])
            schedules.update(last_success_at=now)


def failed(context: RunContext, error: Exception) -> None:
    """Permanent or transient trouble: the run fails, the schedule backs off, one alert says what to do."""
    run, now = context.run, timezone.now()
    kind, message, fix = describe(error)
    values = {
        "state": State.FAILED,
        "finished_at": now,
        "counts": run.counts,
        "pages": run.pages,
        "error_kind": kind,
        "error": message,
        "fix": fix,
        "lease_owner": "",
        "lease_until": None,
    }
    if not Run.objects.filter(pk=run.pk, state=State.RUNNING, lease_owner=context.owner).update(**values):
        return
    if run.dry_run:
        return
    schedule = context.schedule
    failures = schedule.failures + 1
    wait = jittered(LADDER[min(failures, len(LADDER)) - 1])
    interval = timedelta(minutes=schedule.setting.minutes or 15)
    next_run_at = now + (min(wait, interval) if isinstance(error, ConfigurationInvalid) else wait)
    Schedule.objects.filter(pk=schedule.pk).update(failures=failures, last_error=message, next_run_at=next_run_at)
    transient = isinstance(error, RemoteUnavailable | OutcomeUnknown)
    if not isinstance(error, CauseFailed):
        counts = transient or isinstance(error, ContractBroken)
        note_connection_failure(context.connection, message, now, transient=counts)
    if not transient or failures >= FAILURES_BEFORE_ALERT:
        # Nothing else of the connection went well since this began to fail: the remote itself is in trouble.
        is_outage = kind in TRANSIENT_KINDS and context.connection.failures_in_a_row >= failures
        alert_about(run, kind, message, fix, is_outage=is_outage)


ALERT_KINDS = (
    "permission",
    "configuration",
    "outlet_address",
    "unavailable",
    "outcome_unknown",
    "contract",
    "refused",
    "worker",
    "fault",
    "error",
)


def alert_key(run: Run) -> str:
    return f"{run.connection_id}:{run.feed}"


def alert_about(run: Run, kind: str, message: str, fix: str, *, is_outage: bool = False) -> None:
    """One alert for one cause: an outage is the connection's, however many functions fail because of it."""
    connection = run.connection
    if kind in access_alerts.KINDS:
        access_alerts.access_is_gone(connection, kind, message, fix)
        return
    text = message if kind == "outlet_address" else f"{connection}: {message}"
    raise_alert(
        connection.merchant,
        kind,
        outage_key(connection) if is_outage else told_already(connection, kind, text) or alert_key(run),
        text,
        fix=fix,
        link=access_alerts.access_link(connection) if kind == "permission" else connection_link(connection),
        connection=connection,
    )


def told_already(connection: Connection, kind: str, text: str) -> str | None:
    """The key of an alert that says the same of this connection: two functions that fail for one cause are told once."""
    same = Alert.objects.filter(connection=connection, kind=kind, message=text)
    return same.exclude(status=Alert.Status.RESOLVED).values_list("key", flat=True).first()


def connection_link(connection: Connection) -> str:
    return f"/admin/carts/{connection.role}/{connection.pk}/change/"


def describe(error: Exception) -> tuple[str, str, str]:
    """(kind, message, fix) of whatever ended a run, in words."""
    if isinstance(error, ConnectorError):
        return error.kind, error.message, error.fix
    if isinstance(error, CredentialsUnreadable):
        return "credentials", str(error), "Ask the operator to look at CREDENTIALS_KEYS."
    return (
        "fault",
        f"A fault in the hub itself: {type(error).__name__}. Nothing was lost; the run will be tried again.",
        "Report this with the worker's log.",
    )
