"""Store facts in the database: loaded when a connector is opened, stored when it has learned something."""

from __future__ import annotations

from carts.models import Connection, StoreFact
from connectors.base import Connector
from connectors.settings_fields import Settings
from connectors.store_facts import StoreFact as Fact
from connectors.store_facts import StoreFacts


def load_store_facts(connection: Connection, options: Settings) -> StoreFacts:
    """What this merchant's connections to the same store know of it. One query."""
    key = connection.connector_class.store_key(options)
    if not key:
        return StoreFacts()
    rows = StoreFact.objects.filter(merchant_id=connection.merchant_id, store_key=key)
    return StoreFacts(key, {row.name: Fact(bytes(row.body), row.read_at) for row in rows})


def save_store_facts(connection: Connection, connector: Connector) -> None:
    """No query when nothing new was learned. Of two that learned at once, either is right."""
    facts = connector.environment.store_facts
    changed = facts.take_changed() if facts.key else {}
    if not changed:
        return
    StoreFact.objects.bulk_create(
        [
            StoreFact(
                merchant_id=connection.merchant_id, store_key=facts.key, name=name, body=fact.body, read_at=fact.read_at
            )
            for name, fact in sorted(changed.items())
        ],
        update_conflicts=True,
        unique_fields=["merchant", "store_key", "name"],
        update_fields=["body", "read_at"],
    )
