"""Webhooks to a WMS: created with what they tell, claimed, sent, retried, replayed. Hints, never the truth: a WMS that
misses one finds the same by asking.

PENDING -> SENDING (claimed by a conditional update, attempt counted, committed before the call) -> DONE | RETRY(at) |
FAILED. One found in SENDING after its lease ended is sent again: the WMS drops what it has seen by the event's id. Webhooks
about the same order go out one after the other. An address that does not answer is left alone for a while, so a WMS that is
down costs a few seconds now and then, and orders do not wait for it.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

import msgspec
from django.conf import settings
from django.db import transaction
from django.db.models import Exists, F, OuterRef
from django.utils import timezone

from carts.alerting import clear_alert, raise_alert
from carts.encryption import CredentialsUnreadable
from carts.models import Warehouse, WmsEndpoint
from carts.wms_secrets import endpoint_of, valid_secrets
from connectors.errors import ConfigurationInvalid, ConnectorError, RateLimited
from connectors.http import HttpResponse
from connectors.redaction import mask_text
from connectors.rest.webhooks import OutgoingWebhook, WebhookSender
from syncjobs.call_log import CallBuffer
from syncjobs.models import WmsWebhook, WmsWebhookAttempt
from syncjobs.retry import RESTS, jittered, next_try
from syncjobs.timing import LEASE

logger = logging.getLogger(__name__)

State = WmsWebhook.State
OPEN = (State.PENDING, State.SENDING, State.RETRY)

AT_ONCE = 20
# A drain gives way after this, whatever else waits for the same address.
LONGEST_BATCH_SECONDS = 8.0
ALERT_AFTER = timedelta(hours=24)
ALERT_KIND = "wms_webhooks"
RESPONSE_KEPT = 2000
NO_ADDRESS = "The warehouse has no webhook address any more."


def wms_is_told(sender: type, warehouse: Warehouse, topic: str, subject: dict[str, Any], **kwargs: object) -> None:
    """Stores the event inside the transaction of what it tells. Nothing is stored where nobody listens."""
    if not warehouse.options.get("webhook_url"):
        return
    now = timezone.now()
    webhook = WmsWebhook(
        warehouse=warehouse,
        topic=topic,
        subject=str(subject.get("reference", ""))[:280],
        number=str(subject.get("number", ""))[:120],
        run_at=now,
        created_at=now,
    )
    told = {
        "id": str(webhook.event_id),
        "topic": topic,
        "created_at": now,
        "warehouse": warehouse.pk,
        "subject": subject,
    }
    webhook.body = msgspec.json.encode(told).decode()
    webhook.save(force_insert=True)


# Sending


def send_next(owner: str) -> int:
    """Sends what is due for the warehouse that has waited longest. Returns how many were worked on."""
    now = timezone.now()
    first = due(now).order_by("run_at", "pk").values_list("warehouse_id", flat=True).first()
    if first is None:
        return 0
    warehouse = Warehouse.objects.select_related("merchant").get(pk=first)
    if not warehouse.options.get("webhook_url"):
        return WmsWebhook.objects.filter(warehouse=warehouse, state__in=[State.PENDING, State.RETRY]).update(
            state=State.CANCELLED, error=NO_ADDRESS
        )
    endpoint = endpoint_of(warehouse.pk)
    # Whether an address that failed answers again is tried out with one.
    batch = claim(owner, warehouse.pk, 1 if endpoint.failures_in_a_row else AT_ONCE, now)
    if batch:
        send_batch(warehouse, endpoint, batch)
    return len(batch)


def due(now: datetime) -> Any:
    """What may go out now: nothing that is older about the same subject waits before it."""
    before = WmsWebhook.objects.filter(
        warehouse=OuterRef("warehouse"), subject=OuterRef("subject"), state__in=OPEN, pk__lt=OuterRef("pk")
    ).exclude(subject="")
    resting = WmsEndpoint.objects.filter(pk=OuterRef("warehouse"), resting_until__gt=now)
    return WmsWebhook.objects.filter(
        ~Exists(before),
        ~Exists(resting),
        state__in=[State.PENDING, State.RETRY],
        run_at__lte=now,
        warehouse__is_active=True,
        warehouse__merchant__is_active=True,
    )


def claim(owner: str, warehouse_pk: int, limit: int, now: datetime) -> list[WmsWebhook]:
    """Two workers never claim the same one: the update's condition decides."""
    ids = list(due(now).filter(warehouse_id=warehouse_pk).order_by("pk").values_list("pk", flat=True)[:limit])
    token = f"{owner}/{now.timestamp():.6f}"
    WmsWebhook.objects.filter(pk__in=ids, state__in=[State.PENDING, State.RETRY]).update(
        state=State.SENDING, lease_owner=token, lease_until=now + LEASE, attempts=F("attempts") + 1
    )
    claimed = WmsWebhook.objects.filter(pk__in=ids, lease_owner=token, state=State.SENDING)
    return list(claimed.order_by("pk"))


def send_batch(warehouse: Warehouse, endpoint: WmsEndpoint, batch: Sequence[WmsWebhook]) -> None:
    """One after the other, until one fails or the time is up; what was not tried goes back."""
    calls = CallBuffer(warehouse.pk)
    started = time.monotonic()
    left = list(batch)
    sender: WebhookSender | None = None
    try:
        while left and time.monotonic() - started < LONGEST_BATCH_SECONDS:
            webhook = left.pop(0)
            began, clock = timezone.now(), time.perf_counter()
            answer: HttpResponse | None = None
            error: Exception | None = None
            try:
                sender = sender or WebhookSender(
                    warehouse.options["webhook_url"],
                    valid_secrets(endpoint, began),
                    extra_hosts=settings.EXTRA_HOSTS,
                    call_log=calls,
                )
                answer = sender.send(outgoing(webhook))
            except (ConnectorError, CredentialsUnreadable) as trouble:
                error = trouble
            except Exception as trouble:
                logger.exception("webhook %s to a WMS met a fault of the hub", webhook.pk)
                error = trouble
            milliseconds = round((time.perf_counter() - clock) * 1000)
            settle(warehouse, endpoint, webhook, answer, error, began, milliseconds)
            if error is not None:
                break
    finally:
        if sender is not None:
            sender.close()
        give_back(left, endpoint.resting_until)
        calls.flush()


def outgoing(webhook: WmsWebhook) -> OutgoingWebhook:
    return OutgoingWebhook(
        event_id=str(webhook.event_id), topic=webhook.topic, body=webhook.body, attempt=webhook.attempts
    )


def give_back(webhooks: Sequence[WmsWebhook], resting_until: datetime | None) -> None:
    """Claimed but certainly not sent: the attempt is not counted."""
    for webhook in webhooks:
        mine = WmsWebhook.objects.filter(pk=webhook.pk, state=State.SENDING, lease_owner=webhook.lease_owner)
        state = State.PENDING if webhook.attempts <= 1 else State.RETRY
        run_at = max(webhook.run_at, resting_until or webhook.run_at)
        mine.update(state=state, run_at=run_at, attempts=F("attempts") - 1, lease_owner="", lease_until=None)


def settle(
    warehouse: Warehouse,
    endpoint: WmsEndpoint,
    webhook: WmsWebhook,
    answer: HttpResponse | None,
    error: Exception | None,
    began: datetime,
    milliseconds: int,
) -> None:
    now = timezone.now()
    status = answer.status if answer is not None else getattr(error, "status", None)
    message = words_of(error)
    text = answer.text(RESPONSE_KEPT) if answer is not None else getattr(error, "body", "")[:RESPONSE_KEPT]
    values: dict[str, Any] = {"status": status, "error": message, "lease_owner": "", "lease_until": None}
    if error is None:
        values |= {"state": State.DONE, "done_at": now, "first_failed_at": None}
    else:
        first_failed_at = webhook.first_failed_at or now
        again = next_try(webhook.attempts, first_failed_at, now)
        if again is not None and isinstance(error, RateLimited):
            again = max(again, error.retry_at)
        values |= {
            "first_failed_at": first_failed_at,
            "state": State.FAILED if again is None else State.RETRY,
            "run_at": again or now,
        }
    with transaction.atomic():
        WmsWebhook.objects.filter(pk=webhook.pk, state=State.SENDING, lease_owner=webhook.lease_owner).update(**values)
        WmsWebhookAttempt.objects.create(
            webhook=webhook,
            number=webhook.attempts,
            started_at=began,
            duration_ms=milliseconds,
            status=status,
            outcome="done" if error is None else getattr(error, "kind", "error"),
            message=message,
            response=mask_text(text),
        )
        if error is None:
            note_success(warehouse, endpoint, now)
        else:
            note_failure(warehouse, endpoint, error, message, now)


def words_of(error: Exception | None) -> str:
    if error is None:
        return ""
    if isinstance(error, ConnectorError):
        return f"{error.message} {error.fix}".strip() if isinstance(error, ConfigurationInvalid) else error.message
    if isinstance(error, CredentialsUnreadable):
        return str(error)
    return f"A fault in the hub itself: {type(error).__name__}."


# How the address does


def note_success(warehouse: Warehouse, endpoint: WmsEndpoint, now: datetime) -> None:
    """The first success sets everything going at once that waited, and closes the alert."""
    if not endpoint.failures_in_a_row:
        WmsEndpoint.objects.filter(pk=endpoint.pk).update(last_success_at=now)
        return
    endpoint.failures_in_a_row, endpoint.failing_since, endpoint.resting_until = 0, None, None
    WmsEndpoint.objects.filter(pk=endpoint.pk).update(
        last_success_at=now, failures_in_a_row=0, failing_since=None, resting_until=None, last_error=""
    )
    WmsWebhook.objects.filter(warehouse=warehouse, state__in=[State.PENDING, State.RETRY], run_at__gt=now).update(
        run_at=now
    )
    clear_alert(warehouse.merchant_id, ALERT_KIND, str(warehouse.pk))


def note_failure(warehouse: Warehouse, endpoint: WmsEndpoint, error: Exception, message: str, now: datetime) -> None:
    """The address rests: nobody asks for its webhooks before that. Raises one alert when it fails for a day."""
    endpoint.failures_in_a_row += 1
    endpoint.failing_since = endpoint.failing_since or now
    rest = now + jittered(RESTS[min(endpoint.failures_in_a_row, len(RESTS)) - 1])
    if isinstance(error, RateLimited):
        rest = error.retry_at
    endpoint.resting_until = rest
    WmsEndpoint.objects.filter(pk=endpoint.pk).update(
        failures_in_a_row=endpoint.failures_in_a_row,
        failing_since=endpoint.failing_since,
        resting_until=rest,
        last_error=message[:2000],
    )
    WmsWebhook.objects.filter(warehouse=warehouse, state__in=[State.PENDING, State.RETRY], run_at__lt=rest).update(
        run_at=rest
    )
    if now - endpoint.failing_since >= ALERT_AFTER:
        raise_alert(
            warehouse.merchant,
            ALERT_KIND,
            str(warehouse.pk),
            f"The WMS of {warehouse} has not taken any webhook since {endpoint.failing_since:%d %b %Y %H:%M} UTC: {message}",
            fix="See whether it listens at the warehouse's webhook address, correct the address or empty it, then click "
            "Test. It goes on by itself, and nothing is lost: the WMS finds the same by asking.",
            link=f"/admin/carts/warehouse/{warehouse.pk}/change/",
            connection=warehouse,
        )


def warehouse_tested(sender: type, connection: Any, ok: bool, **kwargs: object) -> None:
    """After a good Test the address takes webhooks again: nothing waits any more. Without an address there is nothing to
    complain about."""
    if not ok or not connection.connector_class.worked_by_wms:
        return
    WmsEndpoint.objects.filter(pk=connection.pk).update(resting_until=None)
    waiting = WmsWebhook.objects.filter(warehouse_id=connection.pk, state__in=[State.PENDING, State.RETRY])
    waiting.update(run_at=timezone.now())
    if not connection.options.get("webhook_url"):
        WmsEndpoint.objects.filter(pk=connection.pk).update(failures_in_a_row=0, failing_since=None, last_error="")
        clear_alert(connection.merchant_id, ALERT_KIND, str(connection.pk))


def recover_abandoned(now: datetime) -> int:
    """Webhooks whose worker died while sending are sent again."""
    return WmsWebhook.objects.filter(state=State.SENDING, lease_until__lt=now).update(
        state=State.RETRY,
        run_at=now,
        lease_owner="",
        lease_until=None,
        error="The worker died before the outcome was known; it is sent again.",
    )


# Replaying


def replay(webhooks: Any) -> int:
    """Sends them again, with the ids and bodies of then. Those that wait go out now. Returns how many."""
    now = timezone.now()
    return int(
        webhooks.exclude(state=State.SENDING).update(
            state=State.PENDING, run_at=now, attempts=0, first_failed_at=None, error="", done_at=None
        )
    )
