"""When things run: schedules kept beside the settings, due ones dispatched, runs requested by people and webhooks."""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Iterable
from datetime import datetime, timedelta

from django.db import IntegrityError, transaction
from django.db.models import Case, F, When
from django.utils import timezone

from carts.models import Cart, Connection, FunctionSetting
from connectors.functions import FUNCTIONS_BY_ROLE, Function, Role
from connectors.registry import connector_class
from syncjobs.models import Run, Schedule

DISPATCH_CHUNK = 1000

# The order in which "everything" runs: what the shop sold first, then what the warehouse did, then stock and details.
SEQUENCE = (
    (Role.CART, Function.ORDER_DOWNLOAD),
    (Role.CART, Function.ORDER_CANCEL_DOWNLOAD),
    (Role.CART, Function.REFUND_DOWNLOAD),
    (Role.WAREHOUSE, Function.ORDER_SENDING),
    (Role.WAREHOUSE, Function.ORDER_CANCELLATION_SENDING),
    (Role.WAREHOUSE, Function.REFUND_SENDING),
    (Role.WAREHOUSE, Function.ORDER_CANCEL_PICKUP),
    (Role.WAREHOUSE, Function.SHIPMENT_PICKUP),
    (Role.CART, Function.SHIPMENT_CONFIRMATION),
    (Role.CART, Function.STOCK_ADJUSTMENT_SYNC),
    (Role.CART, Function.STOCK_TRANSFER_SYNC),
    (Role.WAREHOUSE, Function.STOCK_ADJUSTMENT_SYNC),
    (Role.WAREHOUSE, Function.STOCK_TRANSFER_SYNC),
    (Role.WAREHOUSE, Function.PRODUCT_PICKUP),
    (Role.WAREHOUSE, Function.INVENTORY_PICKUP),
    (Role.CART, Function.CUSTOMER_SYNC),
    (Role.CART, Function.PRODUCT_PICKUP),
    (Role.WAREHOUSE, Function.PRODUCT_DETAIL_SYNC),
    (Role.CART, Function.PRODUCT_DETAIL_SYNC),
    (Role.CART, Function.INVENTORY_SYNC),
)


def feed_of(connection: Connection, function: Function) -> Function:
    """Whose cursor and lease a function of this connection uses."""
    return connector_class(connection.connector).feed_of(function)


def ensure_schedule(setting: FunctionSetting, now: datetime | None = None) -> Schedule:
    """The schedule of a setting; a new one starts at a random moment of its interval, so that carts are staggered."""
    now = now or timezone.now()
    spread = timedelta(seconds=random.uniform(0, min(setting.minutes * 60, 60)))
    schedule, _ = Schedule.objects.get_or_create(
        connection_id=setting.connection_id,
        function=setting.function,
        defaults={"setting": setting, "next_run_at": now + spread},
    )
    return schedule


def setting_saved(sender: type, instance: FunctionSetting, **kwargs: object) -> None:
    """A changed interval counts from now."""
    schedule = ensure_schedule(instance)
    latest = timezone.now() + timedelta(minutes=instance.minutes)
    if instance.minutes and schedule.next_run_at > latest:
        Schedule.objects.filter(pk=schedule.pk).update(next_run_at=latest)


def schedule_of(connection: Connection, function: Function) -> Schedule:
    schedule = Schedule.objects.filter(connection_id=connection.pk, function=function).first()
    if schedule is None:
        facts = FUNCTIONS_BY_ROLE[Role(connection.role)][function]
        setting, _ = FunctionSetting.objects.get_or_create(
            connection_id=connection.pk, function=function, defaults={"is_on": False, "minutes": facts.minutes}
        )
        schedule = ensure_schedule(setting)
    return schedule


def new_run(
    connection: Connection,
    function: Function,
    trigger: str,
    *,
    full: bool = False,
    dry_run: bool = False,
    requested_by: str = "",
    run_at: datetime | None = None,
) -> Run:
    return Run(
        connection_id=connection.pk,
        function=function,
        feed=feed_of(connection, function),
        lane=FUNCTIONS_BY_ROLE[Role(connection.role)][function].lane,
        trigger=trigger,
        requested_by=requested_by[:150],
        full=full,
        dry_run=dry_run,
        run_at=run_at or timezone.now(),
    )


def request_run(
    connection: Connection,
    function: Function,
    trigger: str,
    *,
    full: bool = False,
    dry_run: bool = False,
    requested_by: str = "",
    run_at: datetime | None = None,
) -> Run:
    """Queues a run, or returns the one that waits already (it will see everything this one would). While a person holds
    its feed, it is paused from the start."""
    run_at = run_at or timezone.now()
    waiting = Run.objects.filter(
        connection_id=connection.pk,
        function=function,
        full=full,
        dry_run=dry_run,
        state__in=[Run.State.QUEUED, Run.State.PAUSED],
    )
    for _ in range(3):
        known = waiting.first()
        if known is not None:
            if known.run_at > run_at:
                waiting.filter(pk=known.pk).update(run_at=run_at)
            return known
        try:
            with transaction.atomic():
                run = new_run(
                    connection,
                    function,
                    trigger,
                    full=full,
                    dry_run=dry_run,
                    requested_by=requested_by,
                    run_at=run_at,
                )
                run.save(force_insert=True)
                if run.locked_pause():
                    run.state = Run.State.PAUSED
                    run.save(update_fields=["state"])
                return run
        except IntegrityError:
            continue
    raise RuntimeError(f"A run of {function} for {connection} can neither be found nor queued.")


def request_runs(
    connection: Connection,
    functions: Iterable[Function] | None,
    full: bool = False,
    dry_run: bool = False,
    trigger: str = Run.Trigger.PERSON,
    requested_by: str = "",
) -> list[Run]:
    """Queues the named functions; ``None`` = all that are on, the warehouse's side included for a cart."""
    return [
        request_run(owner, function, trigger, full=full, dry_run=dry_run, requested_by=requested_by)
        for owner, function in expand(connection, functions)
    ]


def expand(connection: Connection, functions: Iterable[Function] | None) -> list[tuple[Connection, Function]]:
    """(connection, function) pairs in the order in which they should run. Functions that ride on a feed named anyway
    are left out."""
    owners: dict[Role, Connection] = {Role(connection.role): connection}
    if functions is not None:
        wanted = set(functions)
        pairs = [(owner, f) for role, f in SEQUENCE if f in wanted and (owner := owners.get(role)) is not None]
        return pairs + [(connection, f) for f in wanted if (Role(connection.role), f) not in SEQUENCE]
    cart = connection if isinstance(connection, Cart) else Cart.objects.filter(pk=connection.pk).first()
    if cart is not None and cart.warehouse is not None:
        owners[Role.WAREHOUSE] = cart.warehouse
    on = {role: set(owner.switched_on_functions()) for role, owner in owners.items()}
    pairs = [(owners[role], f) for role, f in SEQUENCE if f in on.get(role, ())]
    return [(owner, f) for owner, f in pairs if feed_of(owner, f) == f or (owner, feed_of(owner, f)) not in pairs]


def dispatch_due(now: datetime | None = None) -> int:
    """Queues a run for every schedule that is due. A constant number of queries per 1,000 schedules."""
    now = now or timezone.now()
    dispatched = 0
    while True:
        due = list(
            Schedule.objects.filter(
                next_run_at__lte=now,
                setting__is_on=True,
                setting__minutes__gt=0,
                connection__is_active=True,
                connection__merchant__is_active=True,
                paused_at__isnull=True,
            )
            .select_related("setting", "connection")
            .order_by("next_run_at")[:DISPATCH_CHUNK]
        )
        if not due:
            return dispatched
        with transaction.atomic():
            # The condition decides which dispatcher owns them when two look at once.
            still_due = Schedule.objects.filter(pk__in=[schedule.pk for schedule in due], next_run_at__lte=now)
            mine = set(still_due.select_for_update(skip_locked=True).values_list("pk", flat=True))
            for_minutes: dict[int, list[int]] = defaultdict(list)
            for schedule in due:
                if schedule.pk in mine:
                    for_minutes[schedule.setting.minutes].append(schedule.pk)
            if mine:
                turns = (
                    When(pk__in=ids, then=now + timedelta(minutes=minutes)) for minutes, ids in for_minutes.items()
                )
                Schedule.objects.filter(pk__in=mine).update(next_run_at=Case(*turns, default=F("next_run_at")))
            riding = riding_on_another(due)
            runs = [
                new_run(schedule.connection, Function(schedule.function), Run.Trigger.SCHEDULE, run_at=now)
                for schedule in due
                if schedule.pk in mine and schedule.pk not in riding
            ]
            Run.objects.bulk_create(runs, ignore_conflicts=True)
        dispatched += len(runs)
        if len(due) < DISPATCH_CHUNK:
            return dispatched


def riding_on_another(due: Iterable[Schedule]) -> set[int]:
    """Order Cancel Download needs no run of its own while Order Download reads the same feed. At most one query."""
    feeds = {
        schedule.pk: (schedule.connection_id, feed)
        for schedule in due
        if (feed := feed_of(schedule.connection, Function(schedule.function))) != schedule.function
    }
    if not feeds:
        return set()
    on = FunctionSetting.objects.filter(
        connection__in={connection for connection, _ in feeds.values()},
        function__in={feed for _, feed in feeds.values()},
        is_on=True,
    )
    read_anyway = set(on.values_list("connection_id", "function"))
    return {pk for pk, feed in feeds.items() if feed in read_anyway}


def hurry(connection: Connection, now: datetime | None = None) -> None:
    """The remote is back: what waited because of it goes on now."""
    now = now or timezone.now()
    Schedule.objects.filter(connection_id=connection.pk, failures__gt=0, next_run_at__gt=now).update(next_run_at=now)
