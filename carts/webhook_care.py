"""Webhook care: what the remote has registered for a connection is compared with what should be there, and put right."""

from __future__ import annotations

import logging
import random
from collections.abc import Sequence
from dataclasses import asdict
from datetime import timedelta

from django.utils import timezone

from carts.access_alerts import access_is_known_to_be_gone
from carts.alerting import clear_alert, raise_alert
from carts.encryption import CredentialsUnreadable
from carts.models import Alert, Connection
from carts.remote import open_connector, webhook_url
from carts.store_facts import save_store_facts
from carts.webhook_registrations import note_registration, remove_stale
from connectors.base import Connector
from connectors.errors import ConnectorError
from connectors.ports import WebhookChecker, WebhookSource
from connectors.records import TestStep

logger = logging.getLogger(__name__)

ALERT_KIND = "webhooks"
# A day, less a bit that is never the same, so that connections made together do not stay together.
EVERY = timedelta(hours=24)
EARLIER_BY_AT_MOST = timedelta(hours=2)
AGAIN_AFTER_TROUBLE = timedelta(hours=1)


def look_after_webhooks(connection: Connection) -> list[TestStep]:
    """One look: reads what is registered, registers what is missing and removes what is stale. Keeps what came of it on
    the connection, and returns it."""
    try:
        connector = open_connector(connection)
    except (ConnectorError, CredentialsUnreadable) as error:
        steps = [TestStep(name="Settings", ok=False, message=str(error), help=getattr(error, "fix", ""))]
    else:
        try:
            note_registration(connection)
            steps = put_right(connector, webhook_url(connection))
            if all(step.ok for step in steps):
                steps += remove_stale(connection, connector)
        except Exception as error:
            logger.exception("the webhooks of connection %s met a fault of the hub", connection.pk)
            message = f"A fault in the hub itself: {type(error).__name__}."
            steps = [TestStep(name="Webhooks", ok=False, message=message, help="Report this with the worker's log.")]
        finally:
            connector.close()
        save_store_facts(connection, connector)
    keep_webhook_report(connection, steps)
    return steps


def put_right(connector: Connector, url: str) -> list[TestStep]:
    if not isinstance(connector, WebhookSource):
        return []
    try:
        if isinstance(connector, WebhookChecker):
            steps = list(connector.check_webhooks(url))
            if all(step.ok for step in steps):
                return steps
        return list(connector.register_webhooks(url))
    except ConnectorError as error:
        return [TestStep(name="Webhooks", ok=False, message=error.message, help=error.fix)]


def keep_webhook_report(connection: Connection, steps: Sequence[TestStep]) -> None:
    """Remembers the look and says when the next one is due. Trouble that is still there at the second look in a row
    raises an alert; the first look that finds everything in order closes it."""
    now = timezone.now()
    failed = next((step for step in steps if not step.ok), None)
    was_in_order = all(step["ok"] for step in connection.webhook_steps)
    wait = AGAIN_AFTER_TROUBLE if failed else EVERY - random.random() * EARLIER_BY_AT_MOST
    values = {
        "webhooks_checked_at": now,
        "webhooks_due_at": now + wait,
        "webhook_steps": [asdict(step) for step in steps],
    }
    Connection.objects.filter(pk=connection.pk).update(**values)
    for name, value in values.items():
        setattr(connection, name, value)
    if failed is None:
        clear_alert(connection.merchant_id, ALERT_KIND, str(connection.pk))
    elif not was_in_order and not access_is_known_to_be_gone(connection):
        raise_alert(
            connection.merchant,
            ALERT_KIND,
            str(connection.pk),
            f"{connection}: {failed.message}",
            fix=failed.help,
            link=f"/admin/carts/{connection.role}/{connection.pk}/change/#webhooks",
            connection=connection,
            severity=Alert.Severity.WARNING,
        )
