"""Pause and Continue: a person holds the feed of a long load. The page that is being stored is finished, the cursor stays,
and nothing reads the feed - by schedule, webhook or *Sync now* - until somebody continues.

The schedule of the feed carries the pause; its runs show it. Functions that need what is not read yet wait
(``syncjobs.nested``, ``flows.catalogue``); all others go on.
"""

from __future__ import annotations

from django.db import transaction
from django.utils import timezone
from django.utils.formats import date_format

from carts.models import Connection
from connectors.functions import Function
from syncjobs.models import Run, Schedule
from syncjobs.models.runs import WAITING
from syncjobs.schedule import request_run, schedule_of

State = Run.State

# What may take long enough to be paused, and reads (or sends) page by page.
PAUSABLE = (
    Function.ORDER_DOWNLOAD,
    Function.ORDER_CANCEL_DOWNLOAD,
    Function.REFUND_DOWNLOAD,
    Function.PRODUCT_PICKUP,
    Function.CUSTOMER_SYNC,
    Function.PRODUCT_DETAIL_SYNC,
)


class PauseRefused(Exception):
    """It cannot be paused or continued; the text says why and what to do."""


def may_be_paused(run: Run) -> bool:
    return run.function in PAUSABLE and not run.dry_run and run.state in (State.QUEUED, State.RUNNING)


def pause(run: Run, actor: str) -> str:
    """Holds the feed of an unfinished run. Returns what was done in words; pausing twice changes nothing. Raises
    ``PauseRefused``."""
    schedule_of(run.connection, Function(run.feed))  # from here on there is one to lock
    with transaction.atomic():
        schedule = Schedule.objects.select_for_update().get(connection_id=run.connection_id, function=run.feed)
        run.refresh_from_db(fields=["state"])
        if schedule.paused_at is not None and run.state in (State.QUEUED, State.RUNNING, State.PAUSED):
            return f"{words_of_pause(schedule)} already."
        if run.dry_run:
            raise PauseRefused("A preview writes nothing and is short: there is nothing to pause.")
        if run.function not in PAUSABLE:
            raise PauseRefused(
                f"{run.function_label} is never long: only loads of orders, products and customers pause."
            )
        if run.state not in (State.QUEUED, State.RUNNING):
            raise PauseRefused("This run is over, so there is nothing to pause.")
        schedule.paused_at, schedule.paused_by = timezone.now(), actor[:150]
        schedule.save(update_fields=["paused_at", "paused_by"])
        hold_queued(schedule)
    if run.state == State.RUNNING:
        return f"{run} pauses as soon as the page at hand is stored."
    return f"{run} is paused. Nothing reads it until somebody continues."


def hold_queued(schedule: Schedule) -> None:
    Run.objects.filter(
        connection_id=schedule.connection_id, feed=schedule.function, state=State.QUEUED, dry_run=False
    ).update(state=State.PAUSED)


def put_aside() -> None:
    """What was queued at the very moment of a pause is paused as well. One query while nothing is paused."""
    for schedule in Schedule.objects.filter(paused_at__isnull=False):
        hold_queued(schedule)


def go_on(connection: Connection, feed: Function, actor: str, trigger: str = Run.Trigger.PERSON) -> str:
    """Continue: ends the pause of a feed; it is read on from its cursor, and what waited for it looks again. Continuing
    twice changes nothing. Raises ``PauseRefused`` while the connection is switched off."""
    now = timezone.now()
    with transaction.atomic():
        schedule = (
            Schedule.objects.select_for_update()
            .filter(connection_id=connection.pk, function=feed, paused_at__isnull=False)
            .first()
        )
        if schedule is None:
            return f"{feed.label} of {connection} is not paused (any more)."
        if not connection.is_active or not connection.merchant.is_active:
            raise PauseRefused(
                f"{connection} is switched off, so {feed.label} cannot go on. Switch it on, then continue."
            )
        schedule.paused_at, schedule.paused_by = None, ""
        schedule.save(update_fields=["paused_at", "paused_by"])
        held = Run.objects.filter(connection_id=connection.pk, feed=feed, state=State.PAUSED)
        went_on = held.update(state=State.QUEUED, run_at=now)
        Run.objects.filter(
            connection__merchant_id=connection.merchant_id, state=State.QUEUED, error_kind=WAITING, run_at__gt=now
        ).update(run_at=now)
    if not went_on and not Run.objects.filter(connection_id=connection.pk, feed=feed, state=State.RUNNING).exists():
        request_run(connection, feed, trigger, requested_by=actor)
    return f"{feed.label} of {connection} goes on from where it stopped."


def pause_of(run: Run) -> Schedule | None:
    """The schedule of an unfinished run's feed while a person holds it."""
    if run.dry_run or run.state not in (State.QUEUED, State.RUNNING, State.PAUSED):
        return None
    return Schedule.objects.filter(connection_id=run.connection_id, function=run.feed, paused_at__isnull=False).first()


def pauses_of(connection: Connection) -> list[Schedule]:
    return list(connection.schedules.filter(paused_at__isnull=False).order_by("paused_at"))


def words_of_pause(schedule: Schedule) -> str:
    """For example "Order Download paused by ada since 3 May 2026, 14:02"; times in the reader's zone."""
    since = date_format(timezone.localtime(schedule.paused_at), "j F Y, H:i")
    return f"{schedule.function_label} paused by {schedule.paused_by or 'a person'} since {since}"
