"""Sending claimed deliveries: doubts settled first, then one batch, then the outcome of each, all in few statements."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, cast

from django.db import transaction
from django.db.models import Exists, OuterRef
from django.utils import timezone

from carts import access_alerts, change_flow, order_flow, refund_flow, stock_flow
from carts.alerting import raise_alert
from carts.encryption import CredentialsUnreadable
from carts.models import Connection, Order, OrderChange, OrderEvent, Shipment
from connectors.base import Connector
from connectors.errors import (
    AuthenticationFailed,
    ConfigurationInvalid,
    ConnectorError,
    ContractBroken,
    OutcomeUnknown,
    RateLimited,
    RecordRefused,
    RemoteUnavailable,
)
from connectors.ports import CancellationWriter, OrderWriter, ShipmentWriter
from connectors.records import OutboundCancellation, OutboundShipment, ShipmentLineRecord, WriteResult
from syncjobs import stock_delivery
from syncjobs.budgets import load_budgets, save_budgets
from syncjobs.change_delivery import send_change
from syncjobs.connector_cache import OpenConnectors
from syncjobs.failures import Failure, close_alerts_without_failures, record_failures
from syncjobs.health import note_connection_failure, note_connection_success, outage_key
from syncjobs.log_context import working_on
from syncjobs.models import Delivery, DeliveryAttempt, FailedRecord
from syncjobs.outbound import outbound_orders, remote_id_of, sent_order
from syncjobs.outbox import FUNCTION_OF_KIND, Kind, State, claim_batch, next_due, refuse_cancellation
from syncjobs.refund_delivery import send_refund
from syncjobs.retry import next_try
from syncjobs.stock_delivery import send_adjustment, send_transfer

logger = logging.getLogger(__name__)

FAILURES_BEFORE_ALERT = 3


@dataclass(slots=True)
class Outcome:
    """What became of one delivery."""

    delivery: Delivery
    result: WriteResult | None = None
    error: Exception | None = None


def deliver_next(owner: str, connectors: OpenConnectors, *, only: Any = None) -> int:
    """Claims and sends the next batch. Returns how many deliveries were worked on (0 = nothing is due)."""
    now = timezone.now()
    due = next_due(now, only)
    if due is None:
        return 0
    connection_id, kind = due
    try:
        connection, connector, calls = connectors.get(connection_id)
    except (ConnectorError, CredentialsUnreadable) as error:
        return cannot_open(owner, connection_id, kind, error, only)
    limit = connector.order_batch_size() if kind == Kind.ORDER and isinstance(connector, OrderWriter) else 1
    batch = claim_batch(owner, connection_id, kind, limit, only=only, now=now)
    if not batch:
        return 0
    load_budgets()
    calls.delivery_id = batch[0].pk if len(batch) == 1 else None
    with working_on(connection=connection_id, **names_of(batch)):
        outcomes = send(connector, kind, batch)
        try:
            store_outcomes(connection, kind, outcomes, now)
        finally:
            calls.flush()
            save_budgets()
    return len(batch)


def names_of(batch: Sequence[Delivery]) -> dict[str, object]:
    """For the log: which deliveries, about which orders."""
    orders = [str(delivery.order_id) for delivery in batch if delivery.order_id]
    names: dict[str, object] = {"delivery": ",".join(str(delivery.pk) for delivery in batch)}
    return {**names, "order": ",".join(orders)} if orders else names


def cannot_open(owner: str, connection_id: int, kind: str, error: Exception, only: Any) -> int:
    """The connection's settings are unusable: its deliveries wait, one alert says why."""
    connection = Connection.objects.select_related("merchant").get(pk=connection_id)
    batch = claim_batch(owner, connection_id, kind, 100, only=only)
    store_outcomes(connection, kind, [Outcome(delivery, error=error) for delivery in batch], timezone.now())
    return len(batch)


def send(connector: Connector, kind: str, batch: Sequence[Delivery]) -> list[Outcome]:
    """Sends one batch and returns an outcome for every delivery. Never raises."""
    if kind == Kind.CANCELLATION:
        return [attempt(delivery, lambda d=delivery: cancel(connector, d)) for delivery in batch]
    if kind == Kind.SHIPMENT:
        return [attempt(delivery, lambda d=delivery: confirm(connector, d)) for delivery in batch]
    if kind == Kind.REFUND:
        return [attempt(delivery, lambda d=delivery: send_refund(connector, d)) for delivery in batch]
    if kind == Kind.ADJUSTMENT:
        return [attempt(delivery, lambda d=delivery: send_adjustment(connector, d)) for delivery in batch]
    if kind == Kind.TRANSFER:
        return [attempt(delivery, lambda d=delivery: send_transfer(connector, d)) for delivery in batch]
    if kind == Kind.CHANGE:
        return [attempt(delivery, lambda d=delivery: send_change(connector, d)) for delivery in batch]
    outcomes: list[Outcome] = []
    fresh: list[Delivery] = []
    for delivery in batch:
        if not delivery.in_doubt:
            fresh.append(delivery)
            continue
        settled = attempt(delivery, lambda d=delivery: find(connector, d))
        if settled.error is None and settled.result is None:
            fresh.append(up_to_date(delivery))  # it certainly never arrived
        else:
            outcomes.append(settled)
    return outcomes + send_orders(connector, fresh)


def attempt(delivery: Delivery, call: Any) -> Outcome:
    try:
        return Outcome(delivery, result=call())
    except ConnectorError as error:
        return Outcome(delivery, error=error)
    except Exception as error:
        logger.exception("delivery %s met a fault of the hub", delivery.pk)
        return Outcome(delivery, error=error)


def find(connector: Connector, delivery: Delivery) -> WriteResult | None:
    """Settles a doubt: the remote's id when it has the order, None when it certainly has not."""
    remote_id = cast(OrderWriter, connector).find_sent(delivery.reference)
    return WriteResult.done(delivery.reference, remote_id) if remote_id else None


def up_to_date(delivery: Delivery) -> Delivery:
    """The order of a delivery that is sent afresh, with what the cart changed while its arrival was in doubt."""
    with transaction.atomic():
        order = order_flow.locked(delivery.own_order.pk)
        if change_flow.catch_up(order):
            delivery.order = Order.objects.select_related("cart", "location").get(pk=order.pk)
    return delivery


def cancel(connector: Connector, delivery: Delivery) -> WriteResult:
    cancellation = OutboundCancellation(
        reference=delivery.reference,
        remote_id=remote_id_of(delivery.own_order, delivery.connection_id),
        reason=delivery.own_order.cancel_reason,
    )
    return cast(CancellationWriter, connector).cancel_order(cancellation)


def confirm(connector: Connector, delivery: Delivery) -> WriteResult:
    shipment = cast(Shipment, delivery.shipment)
    parts = list(shipment.lines.select_related("order_line"))
    return cast(ShipmentWriter, connector).confirm_shipment(
        OutboundShipment(
            reference=delivery.reference,
            order_id=delivery.own_order.external_id,
            shipped_at=shipment.shipped_at,
            carrier=shipment.carrier,
            method=shipment.method,
            tracking_number=shipment.tracking_number,
            tracking_url=shipment.tracking_url,
            lines=tuple(
                ShipmentLineRecord(
                    sku=part.order_line.sku, quantity=part.quantity, line_reference=part.order_line.external_id
                )
                for part in parts
            ),
            completes=all(line.open_quantity == 0 for line in delivery.own_order.lines.all()),
        )
    )


def send_orders(connector: Connector, batch: Sequence[Delivery]) -> list[Outcome]:
    if not batch:
        return []
    try:
        results = {
            result.reference: result for result in cast(OrderWriter, connector).send_orders(outbound_orders(batch))
        }
    except RecordRefused as error:
        if len(batch) > 1:
            # The remote refuses the batch as a whole: one of them is at fault, the others must not suffer.
            return [outcome for delivery in batch for outcome in send_orders(connector, [delivery])]
        return [Outcome(batch[0], result=WriteResult.rejected(batch[0].reference, error.message, error.fix))]
    except ConnectorError as error:
        return [Outcome(delivery, error=error) for delivery in batch]
    except Exception as error:
        logger.exception("sending %d orders met a fault of the hub", len(batch))
        return [Outcome(delivery, error=error) for delivery in batch]
    missing = OutcomeUnknown("The remote's answer does not say what became of this order.")
    return [
        Outcome(delivery, result=results[delivery.reference])
        if delivery.reference in results
        else Outcome(delivery, error=missing)
        for delivery in batch
    ]


def store_outcomes(connection: Connection, kind: str, outcomes: Sequence[Outcome], started_at: datetime) -> None:
    """Writes what became of a batch: in one transaction, in few statements when all went well."""
    now = timezone.now()
    done = [outcome for outcome in outcomes if outcome.result is not None and outcome.result.ok]
    rest = [outcome for outcome in outcomes if outcome not in done]
    with transaction.atomic():
        stock_delivery.lock_first(outcome.delivery for outcome in outcomes)
        if kind == Kind.ORDER:
            orders_arrived(connection, done, now)
        for outcome in done if kind != Kind.ORDER else ():
            finish(outcome.delivery, cast(WriteResult, outcome.result).remote_id, now)
            if kind == Kind.CANCELLATION:
                cancellation_delivered(outcome.delivery, cast(WriteResult, outcome.result))
            elif outcome.delivery.change_id is not None:
                change_flow.done(outcome.delivery.change_id, now)
            elif outcome.delivery.refund is not None:
                refund_flow.sent(refund_flow.locked(outcome.delivery.refund.pk), now)
                close_failures(connection, [outcome.delivery.pk])
            elif outcome.delivery.stock_document is not None:
                stock_delivery.arrived(outcome.delivery, cast(WriteResult, outcome.result), now)
                close_failures(connection, [outcome.delivery.pk])
            else:
                shipment_confirmed(connection, outcome.delivery, now)
        for outcome in still_ours(rest):
            if outcome.result is not None:
                rejected(connection, outcome.delivery, outcome.result, now)
            elif outcome.error is not None:
                postponed(connection, outcome.delivery, outcome.error, now)
        DeliveryAttempt.objects.bulk_create(attempt_of(outcome, started_at, now) for outcome in outcomes)
    errors = [outcome.error for outcome in rest if outcome.error is not None]
    if errors:
        note_trouble(connection, errors, now)
    elif outcomes:
        note_connection_success(connection, now)


def still_ours(outcomes: Sequence[Outcome]) -> list[Outcome]:
    """Trouble is told only of deliveries that nobody took over meanwhile: that one knows better. (Success is true
    whoever tells it.)"""
    if not outcomes:
        return []
    ours = set(
        Delivery.objects.select_for_update()
        .filter(
            pk__in=[outcome.delivery.pk for outcome in outcomes],
            state=State.SENDING,
            lease_owner=outcomes[0].delivery.lease_owner,
        )
        .values_list("pk", flat=True)
    )
    return [outcome for outcome in outcomes if outcome.delivery.pk in ours]


def orders_arrived(connection: Connection, done: Sequence[Outcome], now: datetime) -> None:
    """Orders that the warehouse has. The usual case in four statements; an order that changed meanwhile by itself."""
    if not done:
        return
    ids = [outcome.delivery.own_order.pk for outcome in done]
    changed = OrderChange.objects.filter(order=OuterRef("pk"), status__in=change_flow.OPEN)
    plain = list(
        Order.objects.select_for_update(of=("self",))
        .filter(~Exists(changed), pk__in=ids, status=Order.Status.NEW, cancel_requested_at__isnull=True)
        .order_by("pk")
        .values_list("pk", flat=True)
    )
    Order.objects.filter(pk__in=plain).update(
        status=Order.Status.AT_WAREHOUSE, problem="", at_warehouse_at=now, updated_at=now
    )
    OrderEvent.objects.bulk_create(
        OrderEvent(order_id=pk, kind="sent", message=f"Arrived at {connection}.") for pk in plain
    )
    for order_id in set(ids) - set(plain):
        order_flow.sent(order_flow.locked(order_id), now)
    deliveries = [outcome.delivery for outcome in done]
    if len(done) == 1:
        finish(done[0].delivery, cast(WriteResult, done[0].result).remote_id, now)
    else:
        for outcome in done:
            outcome.delivery.remote_id = cast(WriteResult, outcome.result).remote_id[:200]
        Delivery.objects.bulk_update(deliveries, ["remote_id"])
        Delivery.objects.filter(pk__in=[delivery.pk for delivery in deliveries]).update(**finished(now))
    close_failures(connection, [delivery.pk for delivery in deliveries])


def cancellation_delivered(delivery: Delivery, result: WriteResult) -> None:
    """The warehouse cancelled it, or was asked to: then Order Cancel Pickup brings its answer."""
    if result.answer_later:
        order_flow.note(delivery.own_order, "cancel_asked", f"{delivery.connection} has it and was asked to cancel it.")
    else:
        order_flow.cancellation_accepted(delivery.own_order.pk)


def finish(delivery: Delivery, remote_id: str, now: datetime) -> None:
    Delivery.objects.filter(pk=delivery.pk).update(remote_id=remote_id[:200], **finished(now))


def finished(now: datetime) -> dict[str, Any]:
    """What a delivery that arrived looks like."""
    return {
        "state": State.DONE,
        "done_at": now,
        "in_doubt": False,
        "error": "",
        "error_kind": "",
        "fix": "",
        "lease_owner": "",
        "lease_until": None,
    }


def shipment_confirmed(connection: Connection, delivery: Delivery, now: datetime) -> None:
    """The cart knows this shipment; when it knows all of a shipped order's, the order is confirmed."""
    close_failures(connection, [delivery.pk])
    if not delivery.own_order.deliveries.filter(kind=Kind.SHIPMENT).exclude(state=State.DONE).exists():
        order_flow.confirmed(delivery.own_order.pk, now)


def close_failures(connection: Connection, delivery_ids: Sequence[int]) -> None:
    """Deliveries that arrived after all close their failed records."""
    records = FailedRecord.objects.filter(delivery_id__in=delivery_ids, status=FailedRecord.Status.OPEN)
    functions = set(records.order_by().values_list("function", flat=True))
    if functions and records.update(
        status=FailedRecord.Status.REPROCESSED, settled_at=timezone.now(), settled_by="hub"
    ):
        close_alerts_without_failures(
            (connection.pk, connection.merchant_id, function) for function in sorted(functions)
        )


def rejected(connection: Connection, delivery: Delivery, result: WriteResult, now: datetime) -> None:
    """Refused for good: not tried again; a person decides."""
    give_up(connection, delivery, "refused", result.reason, result.fix or "Correct it, then resend it.", now)


def give_up(connection: Connection, delivery: Delivery, kind: str, reason: str, fix: str, now: datetime) -> None:
    Delivery.objects.filter(pk=delivery.pk).update(
        state=State.FAILED,
        in_doubt=False if kind == "refused" else delivery.in_doubt,
        error_kind=kind,
        error=reason,
        fix=fix,
        first_failed_at=delivery.first_failed_at or now,
        lease_owner="",
        lease_until=None,
    )
    if delivery.kind == Kind.CANCELLATION:
        refuse_cancellation(order_flow.locked(delivery.own_order.pk), reason)
        return
    if delivery.change_id is not None:
        change_flow.refused(delivery.change_id, reason)
        return
    if delivery.refund is not None:
        refund_flow.failed(refund_flow.locked(delivery.refund.pk), f"{connection} refused the return: {reason}")
    elif delivery.stock_document is not None:
        stock_flow.failed(delivery.stock_document, f"{connection} refused it: {reason}")
    elif delivery.kind == Kind.ORDER:
        arrived = False if kind == "refused" else None
        problem = f"{connection} refused the order: {reason}"
        order_flow.failed(order_flow.locked(delivery.own_order.pk), problem, arrived=arrived)
    else:
        order_flow.note(delivery.own_order, "not_confirmed", f"{connection} refused the shipment: {reason}")
    payload = sent_order(delivery) if delivery.kind == Kind.ORDER else ""
    failure = Failure(delivery.reference, kind, reason, fix, payload, order=delivery.order, delivery=delivery)
    record_failures(connection, FUNCTION_OF_KIND[Kind(delivery.kind)], [failure])


def postponed(connection: Connection, delivery: Delivery, error: Exception, now: datetime) -> None:
    """Trouble that may pass: try again later, on the ladder; after five days give up."""
    kind, message, fix = describe(error)
    values: dict[str, object] = {
        "error_kind": kind,
        "error": message,
        "fix": fix,
        "lease_owner": "",
        "lease_until": None,
    }
    if isinstance(error, RateLimited):
        # The remote named the time; this was no attempt.
        values |= {"state": State.RETRY, "run_at": error.retry_at, "attempts": max(delivery.attempts - 1, 0)}
        Delivery.objects.filter(pk=delivery.pk).update(**values)
        return
    first = delivery.first_failed_at or now
    run_at = next_try(delivery.attempts, first, now)
    if run_at is None:
        give_up(connection, delivery, "given_up", f"{message} Tried for five days.", fix, now)
        return
    unclear = isinstance(error, OutcomeUnknown | ContractBroken) or not isinstance(error, ConnectorError)
    values |= {
        "state": State.RETRY,
        "run_at": run_at,
        "first_failed_at": first,
        "in_doubt": delivery.in_doubt or unclear,
    }
    Delivery.objects.filter(pk=delivery.pk).update(**values)


def describe(error: Exception) -> tuple[str, str, str]:
    if isinstance(error, ConnectorError):
        return error.kind, error.message, error.fix
    if isinstance(error, CredentialsUnreadable):
        return "credentials", str(error), "Ask the operator to look at CREDENTIALS_KEYS."
    return "fault", f"A fault in the hub itself: {type(error).__name__}.", "Report this with the worker's log."


def note_trouble(connection: Connection, errors: Sequence[Exception], now: datetime) -> None:
    """One note and at most one alert per batch, however many deliveries it held."""
    error = errors[0]
    kind, message, fix = describe(error)
    if isinstance(error, RateLimited):
        Connection.objects.filter(pk=connection.pk).update(resting_until=error.retry_at)
        return
    transient = isinstance(error, RemoteUnavailable | OutcomeUnknown | ContractBroken)
    note_connection_failure(connection, message, now, transient=transient)
    final = isinstance(error, AuthenticationFailed | ConfigurationInvalid) or not isinstance(error, ConnectorError)
    if final:
        # Nobody needs to try again and again with settings that are wrong; the Test button ends the pause.
        rest = next_try(2, now, now)
        Connection.objects.filter(pk=connection.pk).update(resting_until=rest)
    if kind in access_alerts.KINDS:
        access_alerts.access_is_gone(connection, kind, message, fix, times=len(errors))
    elif final or connection.failures_in_a_row >= FAILURES_BEFORE_ALERT:
        raise_alert(
            connection.merchant,
            "unavailable",
            outage_key(connection),
            f"{connection} cannot be written to: {message}",
            fix=fix,
            link=f"/admin/carts/{connection.role}/{connection.pk}/change/",
            connection=connection,
            times=len(errors),
        )


def attempt_of(outcome: Outcome, started_at: datetime, now: datetime) -> DeliveryAttempt:
    if outcome.result is not None:
        name, message = ("done", "") if outcome.result.ok else ("refused", outcome.result.reason)
    else:
        name, message, _ = describe(cast(Exception, outcome.error))
    return DeliveryAttempt(
        delivery=outcome.delivery,
        number=outcome.delivery.attempts,
        started_at=started_at,
        ended_at=now,
        outcome=name[:40],
        message=message,
    )
