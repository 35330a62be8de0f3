"""How a WMS takes orders off the list of its warehouse: leased so that two pickers never meet, then acknowledged.

A lease names its holder and ends by itself; then the order is offered again. An acknowledged order is the WMS's own and
is not offered any more. Whoever works on an order that somebody else holds is refused.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from django.db import transaction
from django.db.models import Q, QuerySet
from django.utils import timezone

from carts.book_checks import BookError
from carts.book_stock import WAITING, lock_book, take_off
from carts.models import PickOrder, Warehouse
from carts.signals import book_changed
from connectors.records import OrderAnswer

Status = PickOrder.Status

SHORTEST_LEASE, USUAL_LEASE, LONGEST_LEASE = timedelta(seconds=30), timedelta(minutes=10), timedelta(hours=24)
MOST_AT_ONCE = 100
LONGEST_HOLDER = 120


def lease(
    warehouse_pk: int, holder: str, limit: int, duration: timedelta = USUAL_LEASE, location_pk: int | None = None
) -> list[PickOrder]:
    """Up to ``limit`` orders that are ready to ship, the oldest first, all held by ``holder`` from now on. What it holds
    already comes first and is renewed, so that a lost answer loses nothing."""
    with transaction.atomic():
        lock_book(warehouse_pk)
        now = timezone.now()
        ready = to_fetch(warehouse_pk)
        if location_pk is not None:
            ready = ready.filter(location_id=location_pk)
        own = list(ready.filter(lease_holder=holder, lease_until__gt=now)[:limit])
        free = ready.filter(Q(lease_until__isnull=True) | Q(lease_until__lte=now))
        found = [*own, *free[: limit - len(own)]] if len(own) < limit else own
        ids = [pick_order.pk for pick_order in found]
        PickOrder.objects.filter(pk__in=ids).update(lease_holder=holder, lease_until=now + duration, updated_at=now)
        PickOrder.objects.filter(pk__in=ids, fetched_at__isnull=True).update(fetched_at=now)
        return with_parts(PickOrder.objects.filter(pk__in=ids))


def to_fetch(warehouse_pk: int) -> QuerySet[PickOrder]:
    """Orders that nobody acknowledged and nobody wants to cancel."""
    return PickOrder.objects.filter(
        warehouse_id=warehouse_pk, status__in=WAITING, acknowledged_at__isnull=True, cancel_requested_at__isnull=True
    ).order_by("received_at", "pk")


def with_parts(rows: QuerySet[PickOrder]) -> list[PickOrder]:
    return list(rows.select_related("location").prefetch_related("lines", "shipments__lines__pick_line"))


def renew(pick_order: PickOrder, holder: str, duration: timedelta) -> None:
    """Holds an order longer. Raises ``BookError`` when it is not this holder's any more."""
    with transaction.atomic():
        lock_book(pick_order.warehouse_id)
        now = timezone.now()
        current = PickOrder.objects.get(pk=pick_order.pk)
        if not current.is_leased(now) or current.lease_holder != holder:
            check_holder(current, holder, now)
            raise BookError(f"{holder} does not hold order {current} any more.", "Fetch orders again.")
        PickOrder.objects.filter(pk=pick_order.pk).update(lease_until=now + duration, updated_at=now)


def release(pick_order: PickOrder, holder: str) -> None:
    """Gives an order back, leased or acknowledged: it is offered again. One that is to be cancelled is cancelled. Raises
    ``BookError``."""
    with transaction.atomic():
        warehouse = lock_book(pick_order.warehouse_id)
        now = timezone.now()
        current = open_order(pick_order, holder, now)
        PickOrder.objects.filter(pk=current.pk).update(
            lease_holder="", lease_until=None, acknowledged_at=None, wms_id="", updated_at=now
        )
        if current.cancel_requested_at and current.status == Status.OPEN:
            cancel_given_back(warehouse, [current])


def acknowledge(warehouse_pk: int, wms_ids: Mapping[int, str], holder: str) -> None:
    """The WMS has stored these orders (primary key -> its own id, "" = none) and answers for them from now on. All or
    none. Twice is once. Raises ``BookError``."""
    with transaction.atomic():
        lock_book(warehouse_pk)
        now = timezone.now()
        orders = {one.pk: one for one in PickOrder.objects.filter(warehouse_id=warehouse_pk, pk__in=wms_ids)}
        for pk, wms_id in wms_ids.items():
            current = orders.get(pk)
            if current is None:
                raise BookError(f"The warehouse has no order with the id {pk}.")
            if current.status in (Status.CANCELLED, Status.REFUSED):
                state = current.get_status_display().lower()
                raise BookError(
                    f"Order {current} is {state}. Do not ship it.", "Leave it out and send the others again."
                )
            check_holder(current, holder, now)
            current.acknowledged_at = current.acknowledged_at or now
            current.fetched_at = current.fetched_at or now
            current.wms_id = wms_id or current.wms_id
            current.lease_holder, current.lease_until, current.updated_at = "", None, now
        PickOrder.objects.bulk_update(
            orders.values(),
            ["acknowledged_at", "fetched_at", "wms_id", "lease_holder", "lease_until", "updated_at"],
            batch_size=500,
        )


def refuse(pick_order: PickOrder, holder: str, reason: str, *, hold: bool = False) -> None:
    """The WMS will not ship it (``hold``: not as it is). Its goods are free again and a person at the hub decides. Raises
    ``BookError``."""
    with transaction.atomic():
        warehouse = lock_book(pick_order.warehouse_id)
        now = timezone.now()
        current = open_order(pick_order, holder, now)
        if current.status != Status.OPEN:
            raise BookError(f"A part of order {current} was shipped; it cannot be refused any more.", "Ship the rest.")
        take_off(current, Status.REFUSED, reason)
        answered(warehouse, current, OrderAnswer.HELD if hold else OrderAnswer.REFUSED, reason, now)


def answer_cancellation(pick_order: PickOrder, accepted: bool, reason: str) -> None:
    """What the WMS says to a cancellation that it was asked for. Twice the same is once. Raises ``BookError``."""
    with transaction.atomic():
        warehouse = lock_book(pick_order.warehouse_id)
        now = timezone.now()
        current = PickOrder.objects.get(pk=pick_order.pk)
        wanted = OrderAnswer.CANCELLED if accepted else OrderAnswer.CANCELLATION_REFUSED
        if current.answer == wanted:
            return
        if current.cancel_requested_at is None:
            raise BookError(f"Nobody asked to cancel order {current}.", "Refuse it if you do not ship it.")
        if accepted and current.status != Status.OPEN:
            raise BookError(f"Order {current} was shipped, at least in part.", "Refuse the cancellation.")
        if accepted:
            take_off(current, Status.CANCELLED, reason or current.cancel_reason)
        answered(warehouse, current, wanted, reason, now)


def shipped_in_spite(warehouse: Warehouse, pick_order: PickOrder) -> None:
    """It was shipped although it was to be cancelled: that refuses the cancellation. Called with the book locked."""
    answered(warehouse, pick_order, OrderAnswer.CANCELLATION_REFUSED, "It was shipped.", timezone.now())


def cancel_given_back(warehouse: Warehouse, orders: Sequence[PickOrder]) -> None:
    """Orders to be cancelled that the WMS does not hold any more. Called with the book locked."""
    now = timezone.now()
    for one in orders:
        take_off(one, Status.CANCELLED, one.cancel_reason)
        answered(warehouse, one, OrderAnswer.CANCELLED, one.cancel_reason, now)


def cancel_all_given_back(now: datetime) -> int:
    """The same for all warehouses: a lease may end without a word."""
    ended = PickOrder.objects.filter(
        status=Status.OPEN, acknowledged_at__isnull=True, cancel_requested_at__isnull=False, lease_until__lte=now
    )
    number = 0
    for warehouse_pk in set(ended.values_list("warehouse_id", flat=True)):
        with transaction.atomic():
            warehouse = lock_book(warehouse_pk)
            orders = list(ended.filter(warehouse_id=warehouse_pk))
            cancel_given_back(warehouse, orders)
            number += len(orders)
    return number


def answered(warehouse: Warehouse, pick_order: PickOrder, answer: OrderAnswer, reason: str, now: datetime) -> None:
    """Keeps the answer for Order Cancel Pickup. Who refuses to cancel an order still holds it."""
    values: dict[str, Any] = {"answer": answer, "answer_reason": reason[:500], "answered_at": now, "updated_at": now}
    if answer is not OrderAnswer.CANCELLATION_REFUSED:
        values |= {"lease_holder": "", "lease_until": None}
    PickOrder.objects.filter(pk=pick_order.pk).update(cancel_requested_at=None, **values)
    book_changed.send(Warehouse, warehouse=warehouse, what="answers")


def open_order(pick_order: PickOrder, holder: str, now: datetime) -> PickOrder:
    """The order as it is now, if it is still to be shipped and not somebody else's. Raises ``BookError``."""
    current = PickOrder.objects.get(pk=pick_order.pk)
    if current.status not in WAITING:
        raise BookError(f"Order {current} is {current.get_status_display().lower()}.")
    check_holder(current, holder, now)
    return current


def check_holder(pick_order: PickOrder, holder: str, now: datetime) -> None:
    """Raises ``BookError`` when somebody else holds a lease."""
    if pick_order.is_leased(now) and pick_order.lease_holder != holder:
        raise BookError(
            f"Order {pick_order} is held by {pick_order.lease_holder} until {pick_order.lease_until:%H:%M:%S} UTC.",
            "Say who you are in “holder”, or wait until the lease has ended.",
        )
