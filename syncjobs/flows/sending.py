"""Order Sending, Order Cancellation Sending, Refund Sending, Shipment Confirmation and stock documents on request:
everything that waits, now, whatever its back-off says."""

from __future__ import annotations

from django.utils import timezone

from connectors.errors import RateLimited, RemoteUnavailable
from syncjobs.connector_cache import OpenConnectors
from syncjobs.context import RunContext
from syncjobs.delivering import deliver_next
from syncjobs.models import Delivery
from syncjobs.outbox import Kind, pending_for


def deliver_orders(context: RunContext) -> None:
    deliver(context, [Kind.ORDER, Kind.CHANGE])


def deliver_cancellations(context: RunContext) -> None:
    deliver(context, [Kind.CANCELLATION])


def deliver_shipments(context: RunContext) -> None:
    deliver(context, [Kind.SHIPMENT])


def deliver_refunds(context: RunContext) -> None:
    deliver(context, [Kind.REFUND])


def deliver_adjustments(context: RunContext) -> None:
    deliver(context, [Kind.ADJUSTMENT])


def deliver_transfers(context: RunContext) -> None:
    deliver(context, [Kind.TRANSFER])


def deliver(context: RunContext, kinds: list[str]) -> None:
    """Each waiting delivery is tried once in this run. Raises the error of the last one that failed for the remote's
    sake, so that the run shows it."""
    waiting = pending_for(context.connection.pk, kinds)
    if context.run.dry_run:
        for delivery in waiting.select_related("order", "refund", "adjustment", "transfer_step").order_by("pk")[:100]:
            context.preview(number=str(delivery.subject), what=f"send {delivery.kind}", why=delivery.error)
        context.run.count(waiting=waiting.count())
        return
    ids = list(waiting.values_list("pk", flat=True))
    started = timezone.now()
    connectors = OpenConnectors()
    try:
        while ids:
            chunk, ids = ids[:500], ids[500:]
            untried = Delivery.objects.filter(pk__in=chunk, state__in=["pending", "retry"])
            untried = untried.exclude(attempt_log__started_at__gte=started)
            while deliver_next(context.owner, connectors, only=untried):
                with context.page(None):
                    pass
                context.check_slice()
            count(context, chunk)
    finally:
        connectors.close()
    raise_what_holds_up(context, kinds)


def raise_what_holds_up(context: RunContext, kinds: list[str]) -> None:
    """A pause that the remote named is waited out; other trouble fails the run."""
    waiting = Delivery.objects.filter(
        connection_id=context.connection.pk, kind__in=kinds, state=Delivery.State.RETRY
    ).exclude(error="")
    limited = waiting.filter(error_kind=RateLimited.kind).order_by("-run_at").first()
    if limited is not None:
        raise RateLimited(limited.error, retry_at=limited.run_at)
    last = waiting.order_by("-pk").first()
    if last is not None:
        raise RemoteUnavailable(last.error, fix=last.fix)


def count(context: RunContext, ids: list[int]) -> None:
    states = list(Delivery.objects.filter(pk__in=ids).values_list("state", flat=True))
    context.run.count(
        sent=states.count(Delivery.State.DONE),
        refused=states.count(Delivery.State.FAILED),
        waiting=states.count(Delivery.State.RETRY) + states.count(Delivery.State.PENDING),
    )
