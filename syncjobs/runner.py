"""Runs runs: claims them, executes their flow, and turns what happens into state, alerts and the next date."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta

from django.db import IntegrityError, transaction
from django.db.models import Exists, F, OuterRef, Q
from django.utils import timezone

from carts.alerting import clear_alert, raise_alert
from carts.encryption import CredentialsUnreadable
from carts.models import Connection
from connectors.errors import (
    ConfigurationInvalid,
    ConnectorError,
    ContractBroken,
    OutcomeUnknown,
    RateLimited,
    RemoteUnavailable,
)
from connectors.functions import Function, Lane, Role
from syncjobs.budgets import load_budgets, save_budgets
from syncjobs.context import LeaseLost, RunContext, SliceOver, load_ahead
from syncjobs.flows import flow_of
from syncjobs.health import note_connection_failure, note_connection_success
from syncjobs.log_context import working_on
from syncjobs.models import Run, Schedule
from syncjobs.retry import LADDER, jittered
from syncjobs.timing import LEASE

logger = logging.getLogger(__name__)

State = Run.State
CLAIM_AT_ONCE = 10
# A run whose worker died this often is not tried again by itself.
MOST_ATTEMPTS = 5
TRIES_TO_REQUEUE = 3
# A single failure of the network is no reason to wake anyone.
FAILURES_BEFORE_ALERT = 2


def claim_runs(owner: str, lanes: Sequence[Lane], limit: int = 1, now: datetime | None = None) -> list[Run]:
    """Takes up to ``limit`` due runs, oldest first, at most one per connection: a run may need another function of its
    connection done first, which must not wait in the same hands. The conditional update and the database's unique
    constraint decide between workers."""
    now = now or timezone.now()
    busy = Run.objects.filter(connection=OuterRef("connection"), feed=OuterRef("feed"), state=State.RUNNING)
    candidates = list(
        Run.objects.filter(state=State.QUEUED, run_at__lte=now, lane__in=lanes)
        .filter(Q(connection__resting_until__isnull=True) | Q(connection__resting_until__lte=now) | Q(trigger="person"))
        .filter(~Exists(busy))
        .order_by("run_at", "pk")
        .values_list("pk", "connection_id")[: limit * 4]
    )
    chosen: dict[int, int] = {}
    for pk, connection_id in candidates:
        if len(chosen) < limit:
            chosen.setdefault(connection_id, pk)
    ids = list(chosen.values())
    if not ids:
        return []
    values = {"state": State.RUNNING, "lease_owner": owner, "lease_until": now + LEASE, "started_at": now}
    claimed = claim(ids, values)
    runs = list(
        Run.objects.filter(pk__in=claimed, lease_owner=owner).select_related("connection__merchant").order_by("pk")
    )
    load_ahead(runs)
    return runs


def claim(ids: list[int], values: dict[str, object]) -> list[int]:
    """Claims all ids at once, or one by one when another worker got in between."""
    try:
        with transaction.atomic():
            Run.objects.filter(pk__in=ids, state=State.QUEUED).update(attempts=F("attempts") + 1, **values)
        return ids
    except IntegrityError:
        if len(ids) == 1:
            return []
        return [pk for one in ids for pk in claim([one], values)]


def claim_run(run_id: int, owner: str) -> Run | None:
    """Takes one particular run; None when somebody else has it, or its feed is busy."""
    now = timezone.now()
    values = {"state": State.RUNNING, "lease_owner": owner, "lease_until": now + LEASE, "started_at": now}
    claim([run_id], values)
    return (
        Run.objects.filter(pk=run_id, lease_owner=owner, state=State.RUNNING)
        .select_related("connection__merchant")
        .first()
    )


def give_back(runs: Sequence[Run]) -> None:
    """Unstarted runs return to the queue."""
    for run in runs:
        requeue(run, timezone.now(), counted=False)


def end_leases(owner_prefix: str) -> None:
    """Owners with this prefix are known to be dead: their runs are free for the next worker."""
    Run.objects.filter(state=State.RUNNING, lease_owner__startswith=owner_prefix).update(
        lease_until=timezone.now() - timedelta(seconds=1)
    )


def recover_abandoned(now: datetime | None = None) -> int:
    """Runs whose worker died go back to the queue; their feed goes on from its cursor."""
    now = now or timezone.now()
    abandoned = list(
        Run.objects.filter(state=State.RUNNING, lease_until__lt=now).select_related("connection__merchant")
    )
    for run in abandoned:
        if run.attempts >= MOST_ATTEMPTS:
            still = Run.objects.filter(pk=run.pk, state=State.RUNNING, lease_until__lt=now, lease_owner=run.lease_owner)
            error = f"The worker died {run.attempts} times while it ran this."
            if still.update(state=State.FAILED, finished_at=now, error_kind="worker", error=error, lease_owner=""):
                alert_about(run, "worker", error, "Look at the worker's log, then run it again.")
            continue
        requeue(run, now, lease_over=now)
    return len(abandoned)


def requeue(run: Run, run_at: datetime, *, counted: bool = True, lease_over: datetime | None = None) -> bool:
    """Puts a run back into the queue, unless it is not ``run.lease_owner``'s any more (with ``lease_over``: or its lease
    was renewed meanwhile). An equal run that was queued meanwhile makes this one superfluous."""
    mine = Run.objects.filter(pk=run.pk, state=State.RUNNING, lease_owner=run.lease_owner)
    if lease_over is not None:
        mine = mine.filter(lease_until__lt=lease_over)
    values: dict[str, object] = {"lease_owner": "", "lease_until": None, "run_at": run_at}
    if not counted:
        values["attempts"] = max(run.attempts - 1, 0)
    twin = Run.objects.filter(
        connection_id=run.connection_id,
        function=run.function,
        full=run.full,
        dry_run=run.dry_run,
        state=State.QUEUED,
    )
    for _ in range(TRIES_TO_REQUEUE):
        try:
            with transaction.atomic():
                if not mine.select_for_update().exists():
                    return False
                if run.full:
                    twin.delete()
                elif twin.exists():
                    return bool(mine.update(state=State.DONE, finished_at=timezone.now(), **values))
                return bool(mine.update(state=State.QUEUED, **values))
        except IntegrityError:
            continue  # an equal run was queued at this very moment
    return False


def execute(
    run: Run,
    owner: str,
    *,
    seconds: float | None = None,
    progress: Callable[[Run], None] | None = None,
    stopping: Callable[[], bool] = lambda: False,
) -> Run:
    """Executes a claimed run to its end, its slice's end, or its failure. Never raises for remote trouble."""
    with working_on(run=run.pk, function=run.function, connection=run.connection_id):
        return execute_slice(run, owner, seconds, progress, stopping)


def execute_slice(
    run: Run,
    owner: str,
    seconds: float | None,
    progress: Callable[[Run], None] | None,
    stopping: Callable[[], bool],
) -> Run:
    context = RunContext(run, owner, seconds=seconds, progress=progress, stopping=stopping)
    try:
        if not context.connection.connector_class.stores_in_hub:
            load_budgets()
        check_may_run(context)
        flow_of(Role(context.connection.role), Function(run.function))(context)
        context.full_pass_done()
    except LeaseLost:
        logger.warning("run %s was taken over by another worker", run.pk)
    except SliceOver:
        requeue(run, timezone.now(), counted=False)
    except RateLimited as error:
        if requeue(run, error.retry_at, counted=False):
            Run.objects.filter(pk=run.pk).update(error_kind=error.kind, error=error.message)
    except (ConnectorError, CredentialsUnreadable) as error:
        failed(context, error)
    except Exception as error:
        logger.exception("run %s (%s) met a fault of the hub", run.pk, run)
        failed(context, error)
    else:
        succeeded(context)
    finally:
        context.close()
        context.calls.flush()
        save_budgets()
    if run.state == State.RUNNING:
        run.refresh_from_db(fields=["state", "error", "error_kind", "fix", "finished_at", "run_at", "lease_owner"])
    if progress:
        progress(run)
    return run


def check_may_run(context: RunContext) -> None:
    connection = context.connection
    if context.run.dry_run:
        return
    if not connection.is_active:
        raise ConfigurationInvalid(f"{connection} is switched off.", fix="Switch the connection on, then run it again.")
    if not connection.merchant.is_active:
        raise ConfigurationInvalid(f"Merchant {connection.merchant} is switched off.", fix="Switch the merchant on.")


def succeeded(context: RunContext) -> None:
    run, now = context.run, timezone.now()
    values = {
        "state": State.DONE,
        "finished_at": now,
        "counts": run.counts,
        "pages": run.pages,
        "cursor_before": run.cursor_before,
        "cursor_after": run.cursor_after,
        "preview": run.preview,
        "error": "",
        "error_kind": "",
        "fix": "",
        "lease_owner": "",
        "lease_until": None,
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
            for kind in ALERT_KINDS:
                clear_alert(context.connection.merchant_id, kind, alert_key(run))


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
    note_connection_failure(context.connection, message, now, transient=transient or isinstance(error, ContractBroken))
    if not transient or failures >= FAILURES_BEFORE_ALERT:
        alert_about(run, kind, message, fix)


ALERT_KINDS = (
    "authentication",
    "permission",
    "configuration",
    "outlet_address",
    "unavailable",
    "outcome_unknown",
    "contract",
    "refused",
    "credentials",
    "worker",
    "fault",
    "error",
)


def alert_key(run: Run) -> str:
    return f"{run.connection_id}:{run.feed}"


def alert_about(run: Run, kind: str, message: str, fix: str) -> None:
    connection = run.connection
    raise_alert(
        connection.merchant,
        kind,
        alert_key(run),
        message if kind == "outlet_address" else f"{connection}: {message}",
        fix=fix,
        link=connection_link(connection),
        connection=connection,
    )


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
