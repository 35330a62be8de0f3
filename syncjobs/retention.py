"""How long things are kept. Old rows go in small batches, so that pruning never blocks the tables."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.utils import timezone

from carts.models import OrderPayload, StockMovement, StockPosting
from syncjobs import wms_outbox
from syncjobs.models import (
    ApiCall,
    ApiCallBody,
    DeliveryAttempt,
    Mismatch,
    Reconciliation,
    Run,
    WebhookEvent,
    WmsWebhook,
)

BATCH = 500

Rows = Callable[[datetime], Any]

KEPT: dict[str, Rows] = {
    "idle_runs": lambda before: Run.objects.filter(queued_at__lt=before, state=Run.State.DONE, counts={}),
    "bodies": lambda before: ApiCallBody.objects.filter(stored_at__lt=before),
    "api_calls": lambda before: ApiCall.objects.filter(started_at__lt=before),
    "payloads": lambda before: OrderPayload.objects.filter(stored_at__lt=before),
    "reconciliations": lambda before: Reconciliation.objects.filter(requested_at__lt=before),
    "mismatches": lambda before: Mismatch.objects.filter(last_seen_at__lt=before, state=Mismatch.State.GONE),
    "movements": lambda before: StockMovement.objects.filter(moved_at__lt=before),
    "attempts": lambda before: DeliveryAttempt.objects.filter(started_at__lt=before),
    "webhooks": lambda before: WebhookEvent.objects.filter(received_at__lt=before).exclude(
        state=WebhookEvent.State.RECEIVED
    ),
    "wms_webhooks": lambda before: WmsWebhook.objects.filter(created_at__lt=before).exclude(state__in=wms_outbox.OPEN),
    "stock_postings": lambda before: StockPosting.objects.filter(posted_at__lt=before),
    "runs": lambda before: Run.objects.filter(queued_at__lt=before).exclude(
        state__in=[Run.State.QUEUED, Run.State.RUNNING, Run.State.PAUSED]
    ),
}


def prune(now: datetime | None = None) -> dict[str, int]:
    """Deletes what is older than its retention. Returns how much of each kind."""
    now = now or timezone.now()
    return {kind: delete_in_batches(rows(now - timedelta(days=days_of(kind)))) for kind, rows in KEPT.items()}


def days_of(kind: str) -> int:
    """Mismatches are kept as long as the reports that found them."""
    return int(settings.RETENTION_DAYS["reconciliations" if kind == "mismatches" else kind])


def delete_in_batches(rows: Any) -> int:
    deleted = 0
    while ids := list(rows.order_by().values_list("pk", flat=True)[:BATCH]):
        rows.model.objects.filter(pk__in=ids).delete()
        deleted += len(ids)
    return deleted
