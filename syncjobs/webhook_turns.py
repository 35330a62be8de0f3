"""Whose webhooks are looked after next: every connection's once a day, one at a time."""

from __future__ import annotations

from datetime import datetime

from django.db.models import F, Q
from django.utils import timezone

from carts.models import Connection
from carts.webhook_care import AGAIN_AFTER_TROUBLE, look_after_webhooks
from connectors.ports import WebhookSource
from connectors.registry import all_connectors
from syncjobs.budgets import load_budgets, save_budgets

AT_ONCE = 10


def look_after_next(now: datetime | None = None) -> int:
    """Looks after the webhooks of the connection that has waited longest. Returns 1 if there was one. Connections that
    rest because their remote is in trouble wait for its end."""
    now = now or timezone.now()
    able = [kind.key for kind in all_connectors() if issubclass(kind, WebhookSource)]
    due = (
        Connection.objects.filter(connector__in=able, is_active=True, merchant__is_active=True)
        .filter(Q(webhooks_due_at__isnull=True) | Q(webhooks_due_at__lte=now))
        .exclude(resting_until__gt=now)
        .select_related("merchant")
        .order_by(F("webhooks_due_at").asc(nulls_first=True), "pk")[:AT_ONCE]
    )
    for connection in due:
        if claim(connection, now):
            load_budgets()
            look_after_webhooks(connection)
            save_budgets()
            return 1
    return 0


def claim(connection: Connection, now: datetime) -> bool:
    """The conditional update decides between workers. A worker that dies over it leaves it to another one, later."""
    mine = Connection.objects.filter(pk=connection.pk, webhooks_due_at=connection.webhooks_due_at)
    if connection.webhooks_due_at is None:
        mine = Connection.objects.filter(pk=connection.pk, webhooks_due_at__isnull=True)
    return bool(mine.update(webhooks_due_at=now + AGAIN_AFTER_TROUBLE))
