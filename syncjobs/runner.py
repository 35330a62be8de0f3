"""Runs runs: claims them, executes their flow, gives them back. How they end is in ``outcomes``."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta

from django.db import IntegrityError, transaction
from django.db import connection as database
from django.db.models import Exists, F, OuterRef
from django.db.models.functions import Coalesce
from django.utils import timezone

from carts.encryption import CredentialsUnreadable
from carts.models import Connection
from connectors.errors import ConfigurationInvalid, ConnectorError, RateLimited
from connectors.functions import Function, Lane, Role
from connectors.registry import connector_class
from syncjobs.budgets import load_budgets, save_budgets
from syncjobs.context import LeaseLost, MustWait, RunContext, SliceOver, load_ahead
from syncjobs.flows import flow_of
from syncjobs.log_context import working_on
from syncjobs.models import Run, Schedule
from syncjobs.models.runs import SUPERSEDED, WAITING, feed_is_paused
from syncjobs.outcomes import IdleRuns, alert_about, failed, succeeded
from syncjobs.timing import LEASE

logger = logging.getLogger(__name__)

State = Run.State
WAITS = (State.QUEUED, State.PAUSED)
CLAIM_AT_ONCE = 50
# A run whose worker died this often is not tried again by itself.
MOST_ATTEMPTS = 5
TRIES_TO_REQUEUE = 3


def claim_runs(owner: str, lanes: Sequence[Lane], limit: int = 1, now: datetime | None = None) -> list[Run]:
    """Takes due runs, oldest first: one that may take long, or up to ``limit`` of those that are mere looks. The
    conditional update and the database's unique constraint decide between workers."""
    now = now or timezone.now()
    ids = due_runs(lanes, limit, now)
    if not ids:
        return []
    claimed = claim(ids, owner, now)
    runs = list(Run.objects.filter(pk__in=claimed, lease_owner=owner).order_by("pk"))
    load_ahead(runs)
    return runs


# In plain SQL, because building this query anew for every claim took longer than its answer. ``is_calm``: by all that is
# known the run will find little, and its remote answers.
DUE_RUNS = f"""
    SELECT run.id, run.connection_id, connection.connector,
        run."trigger" = 'schedule' AND run.pages = 0 AND run.attempts = 0 AND NOT run."full" AND NOT run.dry_run
        AND connection.failures_in_a_row = 0 AND feed.failures = 0 AND feed.last_success_at IS NOT NULL AS is_calm
    FROM {Run._meta.db_table} run
    JOIN {Connection._meta.db_table} connection ON connection.id = run.connection_id
    LEFT JOIN {Schedule._meta.db_table} feed ON feed.connection_id = run.connection_id AND feed.function = run.feed
    WHERE run.state = 'queued' AND run.run_at <= %s AND run.lane IN (LANES)
        AND (connection.resting_until IS NULL OR connection.resting_until <= %s OR run."trigger" = 'person')
        AND NOT EXISTS (
            SELECT 1 FROM {Run._meta.db_table} busy
            WHERE busy.connection_id = run.connection_id AND busy.feed = run.feed AND busy.state = 'running'
        )
        AND (run.dry_run OR feed.paused_at IS NULL)
    ORDER BY run.run_at, run.id LIMIT %s
"""  # noqa: S608 - table names of ours, nothing from outside


def due_runs(lanes: Sequence[Lane], limit: int, now: datetime) -> list[int]:
    """Ids of what may be claimed together: looks into the hub's own database, and calm ones at a remote system; any other
    run is taken alone, because it may take long. At most one per connection: a run may need another function of its
    connection done first, which must not wait in the same hands."""
    moment = database.ops.adapt_datetimefield_value(now)
    statement = DUE_RUNS.replace("LANES", ", ".join(["%s"] * len(lanes)))
    with database.cursor() as cursor:
        cursor.execute(statement, [moment, *map(str, lanes), moment, limit * 4])
        candidates = cursor.fetchall()
    chosen: dict[int, int] = {}
    for pk, connection_id, connector, is_calm in candidates:
        if is_calm or connector_class(connector).stores_in_hub:
            chosen.setdefault(connection_id, pk)
        elif not chosen:
            return [pk]
    return list(chosen.values())[:limit]


def claim(ids: list[int], owner: str, now: datetime) -> list[int]:
    """Claims all ids at once, or one by one when another worker got in between. What a person paused is left alone;
    a preview writes nothing and may look."""
    free = Run.objects.filter(pk__in=ids, state=State.QUEUED).exclude(feed_is_paused(), dry_run=False)
    try:
        with transaction.atomic():
            free.update(
                attempts=F("attempts") + 1,
                state=State.RUNNING,
                lease_owner=owner,
                lease_until=now + LEASE,
                started_at=Coalesce("started_at", now),
                error_kind="",
                error="",
            )
        return ids
    except IntegrityError:
        if len(ids) == 1:
            return []
        return [pk for one in ids for pk in claim([one], owner, now)]


def claim_run(run_id: int, owner: str) -> Run | None:
    """Takes one particular run; None when somebody else has it, or its feed is busy."""
    claim([run_id], owner, timezone.now())
    return (
        Run.objects.filter(pk=run_id, lease_owner=owner, state=State.RUNNING)
        .select_related("connection__merchant")
        .first()
    )


def give_back(runs: Sequence[Run]) -> None:
    """Unstarted runs of one owner return to the queue, to the places they had. Two statements, unless equal runs were
    queued meanwhile."""
    if not runs:
        return
    ours = Run.objects.filter(
        pk__in=[run.pk for run in runs], state=State.RUNNING, lease_owner=runs[0].lease_owner
    ).order_by("pk")
    equal = ("connection", "function", "full", "dry_run")
    twins = Run.objects.filter(state__in=WAITS, **{name: OuterRef(name) for name in equal})
    try:
        with transaction.atomic():
            ours.filter(~Exists(twins), ~feed_is_paused()).update(
                state=State.QUEUED, attempts=F("attempts") - 1, lease_owner="", lease_until=None
            )
    except IntegrityError:
        logger.info("an equal run was queued at this very moment")
    for run in ours:
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
    """Puts a run back into the queue - or aside, while a person holds its feed -, unless it is not ``run.lease_owner``'s
    any more (with ``lease_over``: or its lease was renewed meanwhile). It goes on to the end of its feed, so an equal run
    that was queued meanwhile has nothing left to do."""
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
        state__in=WAITS,
    )
    for _ in range(TRIES_TO_REQUEUE):
        try:
            with transaction.atomic():
                if not mine.select_for_update().exists():
                    return False
                values["state"] = State.PAUSED if run.locked_pause() else State.QUEUED
                twin.update(
                    state=State.CANCELLED,
                    finished_at=timezone.now(),
                    error_kind=SUPERSEDED,
                    error=f"Run {run.pk} goes on and does the same.",
                )
                return bool(mine.update(**values))
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
    idle: IdleRuns | None = None,
) -> Run:
    """Executes a claimed run to its end, its slice's end, or its failure. Never raises for remote trouble. A run that
    found nothing to do is handed to ``idle``, if there is one, and still has to be marked as done."""
    with working_on(run=run.pk, function=run.function, connection=run.connection_id):
        return execute_slice(run, owner, seconds, progress, stopping, idle)


def execute_slice(
    run: Run,
    owner: str,
    seconds: float | None,
    progress: Callable[[Run], None] | None,
    stopping: Callable[[], bool],
    idle: IdleRuns | None,
) -> Run:
    context = RunContext(run, owner, seconds=seconds, progress=progress, stopping=stopping)
    try:
        if context.loaded is None and not context.connection.connector_class.stores_in_hub:
            load_budgets()
        check_may_run(context)
        flow_of(Role(context.connection.role), Function(run.function))(context)
        context.full_pass_done()
    except LeaseLost:
        logger.warning("run %s was taken over by another worker", run.pk)
    except SliceOver:
        requeue(run, timezone.now(), counted=False)
    except MustWait as wait:
        if requeue(run, wait.until, counted=False):
            Run.objects.filter(pk=run.pk).update(error_kind=WAITING, error=wait.reason)
    except RateLimited as error:
        if requeue(run, error.retry_at, counted=False):
            Run.objects.filter(pk=run.pk).update(error_kind=error.kind, error=error.message)
    except (ConnectorError, CredentialsUnreadable) as error:
        failed(context, error)
    except Exception as error:
        logger.exception("run %s (%s) met a fault of the hub", run.pk, run)
        failed(context, error)
    else:
        if idle is not None and idle.takes(context):
            return run
        succeeded(context)
    finally:
        context.close()
        if not context.is_left_to_idle:
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
