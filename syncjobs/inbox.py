"""The inbox: webhooks are stored by the view and worked on here (law 5).

A webhook is a hint: it queues a run of the functions it concerns, which reads through the API. Many hints make one run.
"""

from __future__ import annotations

import logging
from collections import defaultdict
from datetime import datetime, timedelta

from django.db import transaction
from django.utils import timezone

from carts.encryption import CredentialsUnreadable
from carts.models import Connection
from carts.remote import open_connector
from connectors.base import Connector
from connectors.errors import ConnectorError
from connectors.functions import Function
from connectors.ports import WebhookSource
from connectors.records import Hint
from syncjobs import consignment_hints
from syncjobs.models import Run, WebhookEvent
from syncjobs.schedule import request_run

logger = logging.getLogger(__name__)

State = WebhookEvent.State
AT_ONCE = 200
# One sale causes several webhooks within a second or two: they share a run. Orders are wanted at once; what a sale does
# to stock, products and customers is no news to the hub, and every look costs calls of the store's rate limit.
DEBOUNCE = {
    Function.ORDER_DOWNLOAD: timedelta(milliseconds=500),
    Function.INVENTORY_SYNC: timedelta(seconds=10),
    **dict.fromkeys(consignment_hints.FUNCTIONS, consignment_hints.GATHERED_FOR),
}
LONGEST_DEBOUNCE = timedelta(seconds=60)


def process_inbox(limit: int = AT_ONCE) -> int:
    """Works through the oldest events. Returns how many. Two workers may meet: the rows are locked where the database
    can, and the outcome is the same in any case, because equal runs are queued once."""
    if not WebhookEvent.objects.filter(state=State.RECEIVED).exists():
        return 0
    with transaction.atomic():
        events = list(
            WebhookEvent.objects.select_for_update(skip_locked=True, of=("self",))
            .filter(state=State.RECEIVED)
            .select_related("connection__merchant")
            .order_by("pk")[:limit]
        )
        by_connection: dict[int, list[WebhookEvent]] = defaultdict(list)
        for event in events:
            by_connection[event.connection_id].append(event)
        # Always in the same order: workers that meet wait for each other, and never in a circle.
        for _, group in sorted(by_connection.items()):
            process_group(group[0].connection, group)
        for connection_id, group in sorted(by_connection.items()):
            heard_of(connection_id, max(event.received_at for event in group))
        WebhookEvent.objects.bulk_update(
            events, ["state", "topic", "external_id", "error", "attempts", "processed_at"], batch_size=500
        )
    return len(events)


def process_group(connection: Connection, events: list[WebhookEvent]) -> None:
    """The events of one connection: each read, their functions run once."""
    wanted: set[Function] = set()
    consignments: set[str] = set()
    if not connection.is_active or not connection.merchant.is_active:
        for event in events:
            settle(event, State.IGNORED, "The connection is switched off.")
        return
    try:
        connector = open_connector(connection)
    except (ConnectorError, CredentialsUnreadable) as error:
        for event in events:
            settle(event, State.FAILED, str(error))
        return
    on = set(connection.switched_on_functions())
    try:
        for event in events:
            for hint in read(connector, event):
                wanted.update(function for function in hint.functions if function in on)
                if on.intersection(hint.functions, consignment_hints.FUNCTIONS) and hint.external_id:
                    consignments.add(hint.external_id)
    finally:
        connector.close()
    if consignments:
        consignment_hints.note(connection, consignments)
    if len(wanted.intersection(consignment_hints.FUNCTIONS)) > 1:
        # Both read the same feed, and one look serves both.
        wanted.discard(Function.STOCK_TRANSFER_SYNC)
    for function in sorted(wanted):
        run_at = timezone.now() + DEBOUNCE.get(function, LONGEST_DEBOUNCE)
        request_run(connection, function, Run.Trigger.WEBHOOK, run_at=run_at)


def heard_of(connection_id: int, at: datetime) -> None:
    """Keeps when the connection's last webhook came."""
    Connection.objects.filter(pk=connection_id).update(webhook_received_at=at)


def read(connector: Connector, event: WebhookEvent) -> list[Hint]:
    """One event's hints; what happened is kept on the event."""
    if not isinstance(connector, WebhookSource):
        settle(event, State.IGNORED, f"{connector.label} has no webhooks.")
        return []
    try:
        hints = list(connector.read_webhook(event.headers, bytes(event.body)))
    except ConnectorError as error:
        settle(event, State.FAILED, error.message)
        return []
    except Exception as error:
        logger.exception("webhook %s met a fault of the hub", event.pk)
        settle(event, State.FAILED, f"A fault in the hub itself: {type(error).__name__}. Polling makes up for it.")
        return []
    if hints:
        event.topic, event.external_id = hints[0].topic[:60], hints[0].external_id[:120]
    if hints and all(hint.elsewhere for hint in hints):
        settle(event, State.IGNORED, "It is about another outlet.")
    else:
        settle(event, State.DONE if hints else State.IGNORED)
    return hints


def settle(event: WebhookEvent, state: str, error: str = "") -> None:
    event.state, event.error = state, error
    event.attempts += 1
    event.processed_at = timezone.now()


def replay(event: WebhookEvent) -> None:
    """Works on a stored event again."""
    WebhookEvent.objects.filter(pk=event.pk).update(state=State.RECEIVED, error="")
