"""Webhooks that are the hub's own: where they are registered, and which of them are stale.

Ours is what this installation has noted before it was registered; nothing else is ever taken off. Not by its looks: another
hub, or a copy of this one's database with a key of its own, may serve the same store.
"""

from __future__ import annotations

from collections.abc import Sequence

from django.conf import settings
from django.utils.crypto import salted_hmac

from carts.encryption import CredentialsUnreadable
from carts.models import Connection, WebhookRegistration
from carts.remote import open_connector, store_key_of, webhook_url
from carts.store_facts import save_store_facts
from connectors.base import Connector
from connectors.errors import ConnectorError
from connectors.ports import WebhookRemover
from connectors.records import TestStep

STEP_NAME = "Old webhooks"
SALT = "carts.webhook_registrations"


def installation_marks() -> list[str]:
    """The mark of this installation, then those of its earlier keys."""
    keys = [settings.SECRET_KEY, *settings.SECRET_KEY_FALLBACKS]
    return [salted_hmac(SALT, "installation", secret=key, algorithm="sha256").hexdigest() for key in keys]


def store_of(connection: Connection) -> str:
    """The store that the settings lead to; the connection's own where stores cannot be told apart."""
    return store_key_of(connection) or f"connection {connection.pk}"


def note_registration(connection: Connection) -> None:
    """Remembers the connection's address. Called before the store is given it, so that no crash can forget one."""
    if not issubclass(connection.connector_class, WebhookRemover):
        return
    WebhookRegistration.objects.update_or_create(
        merchant_id=connection.merchant_id,
        store_key=store_of(connection),
        address=webhook_url(connection),
        defaults={"connection_id": connection.pk, "installation": installation_marks()[0]},
    )


def stale_registrations(connection: Connection) -> list[WebhookRegistration]:
    """What this connection may take off in its store: its own earlier addresses, those of deleted connections, and those of
    connections that have moved to another store. Others look after their own."""
    ours = WebhookRegistration.objects.filter(
        merchant_id=connection.merchant_id, store_key=store_of(connection), installation__in=installation_marks()
    )
    rows = ours.exclude(connection_id=connection.pk, address=webhook_url(connection)).select_related("connection")
    return [row for row in rows if is_stale(row, connection)]


def is_stale(row: WebhookRegistration, connection: Connection) -> bool:
    if row.connection is None or row.connection.pk == connection.pk:
        return True
    return store_key_of(row.connection) not in ("", row.store_key)


def remove_stale(connection: Connection, connector: Connector) -> list[TestStep]:
    """Takes stale webhooks off and forgets them. Costs the store nothing when there are none."""
    stale = stale_registrations(connection)
    if not stale or not isinstance(connector, WebhookRemover):
        return []
    try:
        removed = take_off(connector, stale)
    except ConnectorError as error:
        message = f"Webhooks that the hub registered earlier could not be taken off: {error.message}"
        return [TestStep(name=STEP_NAME, ok=False, message=message, help=f"{error.fix} The hub tries again.")]
    if not removed:
        return []
    message = f"{removed} that the hub registered earlier {'was' if removed == 1 else 'were'} taken off."
    return [TestStep(name=STEP_NAME, ok=True, message=message)]


def take_off(connector: WebhookRemover, rows: Sequence[WebhookRegistration]) -> int:
    removed = connector.remove_webhooks([row.address for row in rows])
    WebhookRegistration.objects.filter(pk__in=[row.pk for row in rows]).delete()
    return removed


def take_off_all(connection: Connection) -> str:
    """Before a connection is deleted: takes its webhooks off, if the store lets us. Returns "", or why some may be left;
    the daily check of the store's other connections takes those off."""
    if connection.webhooks_checked_at is not None:
        note_registration(connection)  # one from before registrations were noted
    ours = connection.webhook_registrations.filter(installation__in=installation_marks())
    rows = list(ours.filter(store_key=store_of(connection)))
    if not rows:
        return ""
    try:
        connector = open_connector(connection)
    except (ConnectorError, CredentialsUnreadable) as error:
        return str(error)
    try:
        if isinstance(connector, WebhookRemover):
            take_off(connector, rows)
        return ""
    except ConnectorError as error:
        return error.message
    finally:
        connector.close()
        save_store_facts(connection, connector)
