"""Store facts in the database: loaded when a connector is opened, stored when it has learned something."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping

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


def load_facts_of(keys: Mapping[int, tuple[int, str]]) -> dict[int, StoreFacts]:
    """The same for many connections: of pk -> (merchant, store key). Those of one store share what they know. One query."""
    stores = {place for place in keys.values() if place[1]}
    rows = StoreFact.objects.filter(
        merchant_id__in={merchant for merchant, _ in stores}, store_key__in={key for _, key in stores}
    )
    kept: defaultdict[tuple[int, str], dict[str, Fact]] = defaultdict(dict)
    for merchant_id, key, name, body, read_at in rows.values_list(
        "merchant_id", "store_key", "name", "body", "read_at"
    ):
        kept[merchant_id, key][name] = Fact(bytes(body), read_at)
    facts = {place: StoreFacts(place[1], kept[place]) for place in stores}
    return {pk: facts[place] for pk, place in keys.items() if place in facts}


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
