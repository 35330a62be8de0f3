"""The outbox: deliveries are made with the thing to be sent, claimed, sent, settled, retried (law 3).

PENDING -> SENDING (claimed by a conditional update, attempt counted, committed before the call) -> DONE | RETRY(at) |
FAILED. A delivery that is found in SENDING after its lease ended is *in doubt* and settled before any second send.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

from django.db import connection as database
from django.db import transaction
from django.db.models import Exists, F, OuterRef, Q
from django.utils import timezone

from carts import change_flow, order_flow, refund_flow, stock_flow
from carts.alerting import raise_alert
from carts.models import Connection, FunctionSetting, Merchant, Order, Shipment
from connectors.functions import Function
from connectors.ports import CancellationWriter, ShipmentWriter
from connectors.registry import connector_class
from syncjobs.failures import Failure, record_failures
from syncjobs.models import Delivery, DeliveryAttempt
from syncjobs.timing import LEASE

State = Delivery.State
Kind = Delivery.Kind

# A delivery whose worker died this often is taken aside, so that it cannot kill workers for ever.
MOST_DEATHS = 5
ABANDONED = "abandoned"

FUNCTION_OF_KIND = {
    Kind.ORDER: Function.ORDER_SENDING,
    Kind.CHANGE: Function.ORDER_SENDING,
    Kind.CANCELLATION: Function.ORDER_CANCELLATION_SENDING,
    Kind.SHIPMENT: Function.SHIPMENT_CONFIRMATION,
    Kind.REFUND: Function.REFUND_SENDING,
    Kind.ADJUSTMENT: Function.STOCK_ADJUSTMENT_SYNC,
    Kind.TRANSFER: Function.STOCK_TRANSFER_SYNC,
}


def order_is_ready(sender: type, order: Order, **kwargs: object) -> None:
    """Makes an order's delivery, or revives it. One that may have arrived is settled first, never just sent again."""
    assert order.warehouse_id is not None, "carts.order_flow lets no order out without a warehouse"
    now = timezone.now()
    delivery, created = Delivery.objects.get_or_create(
        connection_id=order.warehouse_id,
        kind=Kind.ORDER,
        reference=order.reference,
        defaults={"order": order, "run_at": now},
    )
    if not created:
        revive(delivery, now)


def revive(delivery: Delivery, now: datetime) -> None:
    """Lets a delivery go out again. One that arrived, or may have, is settled first."""
    if delivery.state == State.SENDING:
        return
    Delivery.objects.filter(pk=delivery.pk).exclude(state=State.SENDING).update(
        state=State.PENDING,
        run_at=now,
        attempts=0,
        in_doubt=delivery.in_doubt or delivery.state == State.DONE,
        first_failed_at=None,
        error="",
        error_kind="",
        fix="",
    )


def order_is_withdrawn(sender: type, order: Order, **kwargs: object) -> bool:
    """Takes an order's delivery back. False when it is on its way, or may have arrived already."""
    return withdraw(Delivery.objects.filter(order=order, kind=Kind.ORDER))


def withdraw(deliveries: Any) -> bool:
    """Takes deliveries back. False when one is on its way, or may have arrived already."""
    if deliveries.filter(Q(state=State.SENDING) | Q(state=State.DONE)).exists():
        return False
    if deliveries.filter(in_doubt=True).exclude(state=State.CANCELLED).exists():
        return False
    # Conditional: a worker may claim it between the look and the update.
    deliveries.filter(state__in=[State.PENDING, State.RETRY, State.FAILED]).update(state=State.CANCELLED)
    return not deliveries.filter(state=State.SENDING).exists()


def cancellation_is_wanted(sender: type, order: Order, reason: str, **kwargs: object) -> None:
    """Makes the delivery of a cancellation; a warehouse that cannot cancel refuses at once."""
    assert order.warehouse is not None
    kind = connector_class(order.warehouse.connector)
    if not issubclass(kind, CancellationWriter):
        refuse_cancellation(order, f"{kind.label} cannot cancel orders.")
        return
    if not order.warehouse.function_is_on(Function.ORDER_CANCELLATION_SENDING):
        refuse_cancellation(order, f"Order Cancellation Sending of {order.warehouse} is off.")
        return
    now = timezone.now()
    delivery, created = Delivery.objects.get_or_create(
        connection_id=order.warehouse.pk,
        kind=Kind.CANCELLATION,
        reference=order.reference,
        defaults={"order": order, "run_at": now},
    )
    if not created:
        Delivery.objects.filter(pk=delivery.pk).exclude(state=State.SENDING).update(
            state=State.PENDING, run_at=now, attempts=0, first_failed_at=None, error="", error_kind="", fix=""
        )


def refuse_cancellation(order: Order, reason: str) -> None:
    order_flow.cancellation_refused(order.pk, reason)
    raise_alert(
        order.merchant,
        "cancellation_refused",
        f"{order.pk}",
        f"Order {order} was cancelled in the cart, but {order.warehouse} did not cancel it: {reason}",
        fix="Stop the order at the warehouse by hand, or tell the customer that it was shipped.",
        link=f"/admin/carts/order/{order.pk}/change/",
        connection=order.warehouse,
    )


def shipment_is_booked(sender: type, order: Order, shipment: Shipment, **kwargs: object) -> None:
    """Makes the delivery that tells the cart about a shipment, where the cart wants to know."""
    if issubclass(connector_class(order.cart.connector), ShipmentWriter) and order.cart.function_is_on(
        Function.SHIPMENT_CONFIRMATION
    ):
        Delivery.objects.get_or_create(
            connection_id=order.cart_id,
            kind=Kind.SHIPMENT,
            reference=f"{order.reference}/{shipment.external_id}",
            defaults={"order": order, "shipment": shipment, "run_at": timezone.now()},
        )


def due_deliveries(kind: str, now: datetime) -> Any:
    """Deliveries of a kind that may go out now: their connection is switched on, not resting, and the function is on."""
    function = FUNCTION_OF_KIND[Kind(kind)]
    setting = FunctionSetting.objects.filter(connection=OuterRef("connection"), function=function, is_on=True)
    return Delivery.objects.filter(
        Exists(setting),
        Q(connection__resting_until__isnull=True) | Q(connection__resting_until__lte=now),
        kind=kind,
        state__in=[State.PENDING, State.RETRY],
        run_at__lte=now,
        connection__is_active=True,
        connection__merchant__is_active=True,
    )


# The same question for all kinds at once, asked before every batch: in plain SQL, because building it anew each time took
# longer than the answer.
NEXT_DUE = f"""
    SELECT delivery.connection_id, delivery.kind
    FROM {Delivery._meta.db_table} delivery
    JOIN {Connection._meta.db_table} connection ON connection.id = delivery.connection_id AND connection.is_active
    JOIN {Merchant._meta.db_table} merchant ON merchant.id = connection.merchant_id AND merchant.is_active
    JOIN {FunctionSetting._meta.db_table} setting ON setting.connection_id = connection.id AND setting.is_on
        AND setting.function = CASE delivery.kind {" ".join(f"WHEN '{k}' THEN '{f}'" for k, f in FUNCTION_OF_KIND.items())} END
    WHERE delivery.state IN ('pending', 'retry') AND delivery.run_at <= %s
        AND (connection.resting_until IS NULL OR connection.resting_until <= %s)
    ORDER BY delivery.run_at, delivery.id LIMIT 1
"""  # noqa: S608 - names of ours, nothing from outside


def next_due(now: datetime, only: Any = None) -> tuple[int, str] | None:
    """(connection, kind) of the delivery that has waited longest; None when nothing is due."""
    first: tuple[int, str] | None
    if only is not None:
        first = only.order_by("run_at", "pk").values_list("connection_id", "kind").first()
        return first
    moment = database.ops.adapt_datetimefield_value(now)
    with database.cursor() as cursor:
        cursor.execute(NEXT_DUE, [moment, moment])
        first = cursor.fetchone()
    return first


def claim_batch(
    owner: str, connection_id: int, kind: str, limit: int, *, only: Any = None, now: datetime | None = None
) -> list[Delivery]:
    """Claims up to ``limit`` deliveries of one kind for one connection, oldest first. Two workers never claim the same
    one: the update's condition decides."""
    now = now or timezone.now()
    due = due_deliveries(kind, now) if only is None else only
    token = f"{owner}/{now.timestamp():.6f}"
    with transaction.atomic():
        # Workers that look at the same moment step over what the others are taking, and take the next ones.
        free = due.filter(connection_id=connection_id, kind=kind).select_for_update(skip_locked=True, of=("self",))
        ids = list(free.order_by("pk").values_list("pk", flat=True)[:limit])
        if not ids:
            return []
        Delivery.objects.filter(pk__in=ids, state__in=[State.PENDING, State.RETRY]).update(
            state=State.SENDING, lease_owner=token, lease_until=now + LEASE, attempts=F("attempts") + 1
        )
    return list(
        Delivery.objects.filter(pk__in=ids, lease_owner=token, state=State.SENDING)
        .select_related("connection__merchant", "order__cart", "order__location", "change")
        .order_by("pk")
    )


def recover_abandoned(now: datetime | None = None) -> int:
    """Deliveries whose worker died while sending: in doubt from now on, settled by the next worker."""
    now = now or timezone.now()
    return abandon(Q(lease_until__lt=now), now, now)


def owners_died(owner_prefix: str) -> int:
    """Owners with this prefix died just now: the same, without waiting for their leases. But the remote may still be at
    work on what it got: it is asked no earlier than if the leases had run out."""
    now = timezone.now()
    return abandon(Q(lease_owner__startswith=owner_prefix), now, now + LEASE)


def abandon(whose: Q, now: datetime, ask_at: datetime) -> int:
    abandoned = list(
        Delivery.objects.filter(whose, state=State.SENDING).select_related("connection__merchant", "order")
    )
    for delivery in abandoned:
        mine = Delivery.objects.filter(whose, pk=delivery.pk, state=State.SENDING, lease_owner=delivery.lease_owner)
        with transaction.atomic():
            if not mine.update(state=State.RETRY, in_doubt=True, run_at=ask_at, lease_owner="", lease_until=None):
                continue
            DeliveryAttempt.objects.create(
                delivery=delivery,
                number=delivery.attempts,
                started_at=now,
                ended_at=now,
                outcome=ABANDONED,
                message="The worker died before the outcome was known; the warehouse is asked first.",
            )
            deaths = delivery.attempt_log.filter(outcome=ABANDONED).count()
            if deaths >= MOST_DEATHS:
                take_aside(delivery, deaths, now)
    return len(abandoned)


def take_aside(delivery: Delivery, deaths: int, now: datetime) -> None:
    """A delivery that kills workers waits for a person; whether it arrived is settled when it is sent again."""
    reason = f"The worker died {deaths} times while it was sent; whether it arrived is not known."
    fix = "Look at the worker's log, then resend it: the warehouse is asked first whether it has it."
    Delivery.objects.filter(pk=delivery.pk).update(
        state=State.FAILED, error_kind="worker", error=reason, fix=fix, first_failed_at=delivery.first_failed_at or now
    )
    if delivery.kind == Kind.CANCELLATION:
        refuse_cancellation(order_flow.locked(delivery.own_order.pk), reason)
        return
    if delivery.change_id is not None:
        change_flow.refused(delivery.change_id, reason)
        return
    if delivery.refund is not None:
        refund_flow.failed(refund_flow.locked(delivery.refund.pk), reason)
    elif delivery.stock_document is not None:
        stock_flow.failed(delivery.stock_document, reason)
    else:
        order_flow.failed(order_flow.locked(delivery.own_order.pk), reason)
    failure = Failure(delivery.reference, "worker", reason, fix, order=delivery.order, delivery=delivery)
    record_failures(delivery.connection, FUNCTION_OF_KIND[Kind(delivery.kind)], [failure])


def renew_leases(owner: str, now: datetime) -> None:
    """Called while a worker is busy, so that nobody takes its deliveries for abandoned."""
    Delivery.objects.filter(state=State.SENDING, lease_owner__startswith=f"{owner}/").update(lease_until=now + LEASE)


def give_back(deliveries: Iterable[Delivery]) -> None:
    """Claimed but certainly not sent: back to the queue, the attempt not counted."""
    for delivery in deliveries:
        Delivery.objects.filter(pk=delivery.pk, state=State.SENDING, lease_owner=delivery.lease_owner).update(
            state=State.PENDING if delivery.attempts <= 1 else State.RETRY,
            attempts=F("attempts") - 1,
            lease_owner="",
            lease_until=None,
        )


def pending_for(connection_id: int, kinds: Sequence[str]) -> Any:
    """Everything that waits for one connection, whatever its back-off says: a person asked."""
    return Delivery.objects.filter(connection_id=connection_id, kind__in=kinds, state__in=[State.PENDING, State.RETRY])
