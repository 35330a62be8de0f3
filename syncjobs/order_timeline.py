"""What movement knows about one order: attempts to deliver, the run that brought it, webhooks, failed records."""

from __future__ import annotations

from collections.abc import Iterator

from django.db.models import Count
from django.urls import reverse

from carts.models import Order
from carts.order_timeline import TimelineEntry
from connectors.functions import Function
from syncjobs.calls_about import run_that_brought
from syncjobs.models import DeliveryAttempt, FailedRecord, WebhookEvent

MOST_OF_A_KIND = 100
OUTCOMES = {
    "done": ("accepted", "good"),
    "refused": ("refused", "bad"),
    "abandoned": ("the worker died meanwhile", "warn"),
    "": ("no outcome yet", ""),
}


def attempts(order: Order) -> Iterator[TimelineEntry]:
    rows = (
        DeliveryAttempt.objects.filter(delivery__order=order)
        .select_related("delivery__connection")
        .annotate(calls=Count("delivery__api_calls"))
        .order_by("-started_at", "-pk")[:MOST_OF_A_KIND]
    )
    for attempt in rows:
        delivery = attempt.delivery
        words, tone = OUTCOMES.get(attempt.outcome, (attempt.outcome.replace("_", " "), "warn"))
        message = f": {attempt.message}" if attempt.message else ""
        yield TimelineEntry(
            attempt.started_at,
            "attempt",
            f"{delivery.get_kind_display()} to {delivery.connection}, attempt {attempt.number}: {words}{message}",
            tone=tone,
            link=reverse("admin:syncjobs_delivery_change", args=[delivery.pk]),
            link_text="Delivery and calls" if attempt.calls else "Delivery",
        )


def run_that_brought_it(order: Order) -> Iterator[TimelineEntry]:
    run = run_that_brought(order)
    if run is not None and run.started_at is not None:
        yield TimelineEntry(
            run.started_at,
            "run",
            f"{run.function_label} of {order.cart} began ({run.get_trigger_display().lower()}).",
            link=reverse("admin:syncjobs_run_change", args=[run.pk]),
            link_text="Run and calls",
        )


def webhooks(order: Order) -> Iterator[TimelineEntry]:
    rows = WebhookEvent.objects.filter(connection_id=order.cart_id, external_id=order.external_id)
    for event in rows.defer("body", "headers").order_by("-pk")[:MOST_OF_A_KIND]:
        yield TimelineEntry(
            event.received_at,
            "webhook",
            f"Webhook {event.topic} from {order.cart}: {event.get_state_display().lower()}.",
            tone="bad" if event.state == WebhookEvent.State.FAILED else "",
            link=reverse("admin:syncjobs_webhookevent_change", args=[event.pk]),
            link_text="Webhook",
        )


def failed_records(order: Order) -> Iterator[TimelineEntry]:
    for record in FailedRecord.objects.filter(order=order).defer("payload").order_by("-pk")[:MOST_OF_A_KIND]:
        link = reverse("admin:syncjobs_failedrecord_change", args=[record.pk])
        yield TimelineEntry(
            record.first_seen_at,
            "failed_record",
            f"{Function(record.function).label} failed: {record.reason}",
            tone="bad",
            link=link,
            link_text="Failed record",
        )
        if record.settled_at is not None:
            note = f": {record.note}" if record.note else "."
            yield TimelineEntry(
                record.settled_at,
                "failed_record",
                f"The failed record was {record.get_status_display().lower()}{note}",
                record.settled_by or "hub",
                link=link,
                link_text="Failed record",
            )


SOURCES = (run_that_brought_it, webhooks, attempts, failed_records)
