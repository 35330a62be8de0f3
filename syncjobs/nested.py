"""A run inside a run: another function must be done first.

While that takes its time - a first load, a pause, a rate limit - the outer run waits in the queue. That is nobody's
failure, so nothing counts it as one.
"""

from __future__ import annotations

import time
from collections.abc import Collection
from datetime import datetime, timedelta

from django.db import connection as database
from django.db.models import Exists, OuterRef, Q
from django.utils import timezone

from carts.models import Connection, FunctionSetting
from connectors.errors import RemoteUnavailable
from connectors.functions import Function
from syncjobs.context import MustWait, RunContext
from syncjobs.models import Run, Schedule
from syncjobs.models.runs import SUPERSEDED
from syncjobs.pausing import words_of_pause
from syncjobs.schedule import feed_of, request_run

WAIT_SECONDS = 20.0
POLL_SECONDS = 0.05
LOOK_AGAIN_AFTER = timedelta(seconds=30)

State = Run.State


class CauseFailed(RemoteUnavailable):
    """A function that had to be done first failed. Its own run said so and counted it; the connection is not to blame a
    second time."""


def run_first(
    context: RunContext, function: Function, connection: Connection | None = None, *, without_it: str
) -> None:
    """Runs ``function`` of the same connection (or of this one) to its end, now, from a start that lies after this call;
    does nothing when it is switched off. When another worker reads the same feed, waits a moment for it and reads again
    after it. Raises ``MustWait`` when that takes longer, and ``CauseFailed``, which begins with the words
    ``without_it``."""
    connection = connection or context.connection
    if not connection.function_is_on(function):
        return
    wait_for_loads(connection, [function])
    from syncjobs.runner import claim_run, execute

    deadline = time.monotonic() + WAIT_SECONDS
    run = request_run(connection, function, Run.Trigger.HUB)
    while True:
        claimed = claim_run(run.pk, context.owner)
        if claimed is not None:
            run = execute(claimed, context.owner, seconds=context.seconds_left(), stopping=context.stopping)
            if function is Function.ORDER_DOWNLOAD:
                context.run.count(order_reads=1)
        else:
            # Another worker may have taken it; it started after it was asked for, so it saw everything.
            run = Run.objects.get(pk=run.pk)
        if run.state == State.DONE:
            return
        if run.error_kind == SUPERSEDED:
            run = request_run(connection, function, Run.Trigger.HUB)
        elif run.state in (State.FAILED, State.CANCELLED):
            raise CauseFailed(
                f"{without_it}: {run.error or 'the run was cancelled'}",
                fix=run.fix or "Nothing to do: the next run tries again.",
            )
        elif claimed is not None or time.monotonic() > deadline:
            raise MustWait(f"Waits until {function.label} of {connection} is through.", max(run.run_at, next_look()))
        time.sleep(POLL_SECONDS)


def next_look() -> datetime:
    return timezone.now() + LOOK_AGAIN_AFTER


# In plain SQL: asked by every Inventory Sync, and nearly always answered by no.
ANY_OBSTACLE = f"""
    SELECT EXISTS (
        SELECT 1 FROM {Schedule._meta.db_table} feed
        JOIN {FunctionSetting._meta.db_table} setting ON setting.id = feed.setting_id
        WHERE feed.connection_id = %s AND feed.function IN (FEEDS) AND setting.is_on
            AND (feed.paused_at IS NOT NULL OR feed.last_success_at IS NULL)
    )
"""  # noqa: S608 - table names of ours, nothing from outside


def may_have_to_wait(connection: Connection, feeds: Collection[Function]) -> bool:
    statement = ANY_OBSTACLE.replace("FEEDS", ", ".join(["%s"] * len(feeds)))
    with database.cursor() as cursor:
        cursor.execute(statement, [connection.pk, *map(str, feeds)])
        return bool(cursor.fetchone()[0])


def wait_for_loads(connection: Connection, functions: Collection[Function]) -> None:
    """Raises ``MustWait`` while one of these functions of a connection is held by a person, or in the middle of its first
    load. Those that are switched off are not waited for. One plain query when there is nothing to wait for."""
    feeds = {feed_of(connection, function) for function in functions}
    if not may_have_to_wait(connection, feeds):
        return
    loading = Run.objects.filter(connection=OuterRef("connection"), feed=OuterRef("function"), state=State.RUNNING)
    obstacle = (
        Schedule.objects.filter(connection_id=connection.pk, function__in=feeds, setting__is_on=True)
        .filter(Q(paused_at__isnull=False) | Q(Exists(loading), last_success_at__isnull=True))
        .order_by("paused_at", "pk")
        .first()
    )
    if obstacle is None:
        return
    if obstacle.paused_at is not None:
        raise MustWait(f"Waits: {words_of_pause(obstacle)}.", next_look())
    raise MustWait(f"Waits until the first {obstacle.function_label} is through.", next_look())
