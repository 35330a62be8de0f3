"""Order Cancel Pickup: what the warehouse decided about orders that it has - refused, given up, cancelled or not."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import cast

from django.db import transaction
from django.utils import timezone

from carts import order_flow
from carts.alerting import clear_alert, raise_alert
from carts.book_leases import to_fetch
from carts.models import Alert, Order, Warehouse
from connectors.functions import Function
from connectors.ports import OrderAnswerReader
from connectors.records import OrderAnswer, OrderAnswerRecord
from connectors.rest.connector import RestWarehouse
from syncjobs.context import RunContext
from syncjobs.failures import Failure, failures_of_rejects, record_failures
from syncjobs.models import Delivery
from syncjobs.outbound import sent_order
from syncjobs.outbox import refuse_cancellation

# A cancellation without an answer is reported after so long.
PATIENCE = timedelta(hours=24)
FIX_REFUSED = "Read the warehouse's reason, correct the order and release it, or cancel it."
UNANSWERED = "cancellation_unanswered"
UNFETCHED = "orders_not_fetched"


def pull_answers(context: RunContext) -> None:
    reader = cast(OrderAnswerReader, context.connector)
    for page in context.pages(reader.read_answers(context.start_cursor())):
        orders = orders_of(context.warehouse, page.records)
        if context.run.dry_run:
            context.run.pages += 1
            for record in page.records:
                if record.order_reference in orders:
                    context.preview(number=record.order_reference, what=record.answer.value, why=record.reason)
            if context.preview_is_long_enough():
                return
            continue
        with context.page(page.cursor):
            for record in page.records:
                order = orders.get(record.order_reference)
                changed = order is not None and take_in(context.warehouse, order, record)
                context.run.count(**{"answers" if changed else "unchanged": 1})
            failures = failures_of_rejects(page.rejects)
            context.run.count(rejected=record_failures(context.connection, Function.ORDER_CANCEL_PICKUP, failures))
        context.check_slice()
    if not context.run.dry_run:
        tell_of_unanswered(context.warehouse, timezone.now())
        if isinstance(context.connector, RestWarehouse):
            tell_of_unfetched(context.warehouse, context.connector.options.alert_after_hours, timezone.now())


def orders_of(warehouse: Warehouse, records: Sequence[OrderAnswerRecord]) -> dict[str, Order]:
    """reference -> order, among those of this warehouse. One query."""
    references = {record.order_reference for record in records}
    # With its merchant, by whom references are indexed.
    rows = Order.objects.filter(
        merchant_id=warehouse.merchant_id, warehouse_id=warehouse.pk, reference__in=references
    ).order_by()
    return {order.reference: order for order in rows.select_related("merchant", "cart", "warehouse")}


def take_in(warehouse: Warehouse, order: Order, record: OrderAnswerRecord) -> bool:
    """Does what the answer asks for; False when nothing is left to do, because readers overlap on purpose."""
    if record.answer is OrderAnswer.CANCELLATION_REFUSED:
        asked = order.cancel_requested_at
        # An answer from before the question belongs to an earlier one.
        if asked is None or record.answered_at < asked:
            return False
        refuse_cancellation(order, record.reason or "It gave no reason.")
        return True
    if record.answer is OrderAnswer.CANCELLED and order.cancel_requested_at:
        order_flow.cancellation_accepted(order.pk)
        return True
    return refused(warehouse, order, record)


def refused(warehouse: Warehouse, order: Order, record: OrderAnswerRecord) -> bool:
    words = {OrderAnswer.CANCELLED: "cancelled", OrderAnswer.HELD: "cannot ship"}.get(record.answer, "refused")
    reason = f"{warehouse} {words} the order: {record.reason or 'it gave no reason.'}"
    with transaction.atomic():
        if not order_flow.refused_there(order.pk, reason, hold=record.answer is OrderAnswer.HELD):
            return False
        order.refresh_from_db(fields=["status"])
        delivery = Delivery.objects.filter(
            connection_id=warehouse.pk, kind=Delivery.Kind.ORDER, reference=order.reference
        ).first()
        if order.status == Order.Status.CANCELLED or delivery is None:
            return True
        Delivery.objects.filter(pk=delivery.pk).update(
            state=Delivery.State.FAILED, error_kind="refused", error=reason, fix=FIX_REFUSED, done_at=None
        )
        payload = sent_order(delivery)
        failure = Failure(order.reference, "refused", reason, FIX_REFUSED, payload, order=order, delivery=delivery)
        record_failures(warehouse, Function.ORDER_SENDING, [failure])
    return True


def tell_of_unanswered(warehouse: Warehouse, now: datetime) -> None:
    """One alert per warehouse while a cancellation waits for its answer too long; it closes itself."""
    late = Order.objects.filter(
        warehouse_id=warehouse.pk, status=Order.Status.AT_WAREHOUSE, cancel_requested_at__lt=now - PATIENCE
    )
    first = late.order_by("cancel_requested_at").first()
    tell_once(
        warehouse,
        UNANSWERED,
        f"{warehouse} was asked to cancel orders and has not answered for a day. The first is order {first}.",
        "Ask the warehouse to answer, or cancel the order here only.",
        f"/admin/carts/order/{first.pk}/change/" if first else "",
    )


def tell_of_unfetched(warehouse: Warehouse, hours: int, now: datetime) -> None:
    """The same for orders on the list of a REST warehouse that its WMS does not fetch. ``hours`` 0: never."""
    late = to_fetch(warehouse.pk).filter(received_at__lt=now - timedelta(hours=hours)) if hours else None
    first = late.exclude(lease_until__gt=now).first() if late is not None else None
    tell_once(
        warehouse,
        UNFETCHED,
        f"Orders wait at {warehouse} for more than {hours} hours, and its WMS has not fetched them. The first is {first}.",
        "See whether the WMS runs and reaches the hub with its token, or mark the orders as shipped by hand.",
        f"/admin/carts/pickorder/{first.pk}/change/" if first else "",
    )


def tell_once(warehouse: Warehouse, kind: str, message: str, fix: str, link: str) -> None:
    """Opens the alert if there is something to look at (``link``) and it is not open yet; closes it if there is not."""
    key = f"{warehouse.pk}"
    alerts = Alert.objects.filter(merchant_id=warehouse.merchant_id, kind=kind, key=key)
    if not link:
        clear_alert(warehouse.merchant_id, kind, key)
    elif not alerts.exclude(status=Alert.Status.RESOLVED).exists():
        raise_alert(
            warehouse.merchant,
            kind,
            key,
            message,
            fix=fix,
            link=link,
            connection=warehouse,
            severity=Alert.Severity.WARNING,
        )
