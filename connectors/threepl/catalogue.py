"""The customer's items as products."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

import msgspec

from connectors.records import Page, ProductRecord, Reject
from connectors.threepl import shapes
from connectors.threepl.client import ThreePLClient
from connectors.threepl.errors import Unreadable
from connectors.threepl.shapes import text
from connectors.threepl.shipments import sortable

OVERLAP = timedelta(minutes=5)


def read_products(client: ThreePLClient, cursor: str) -> Iterator[Page[ProductRecord]]:
    """Items changed since ``cursor``, a time of the warehouse's own; everything where items carry no such time. The
    cursor moves with the last page only: nothing says in which order items come."""
    reached = cursor
    since = (sortable(cursor).replace(tzinfo=None) - OVERLAP).isoformat() if cursor else ""
    for page in client.items(since):
        records: list[ProductRecord] = []
        rejects: list[Reject] = []
        skipped = 0
        for row in page.rows:
            try:
                item = shapes.read(row, shapes.Item)
            except Unreadable as error:
                rejects.append(Reject(external_id=sku_in(row), reason=str(error), payload=msgspec.json.encode(row)))
                continue
            reached = max(reached, item.read_only.last_modified_date, key=sortable)
            if not text(item.sku):
                skipped += 1
                continue
            records.append(product_of(item))
        yield Page(records=records, cursor=reached if page.is_last else cursor, rejects=rejects, skipped=skipped)


def product_of(item: shapes.Item) -> ProductRecord:
    """An item without a price has none: 3PL Warehouse Manager shows 0 for prices that nobody entered."""
    facts = item.read_only
    sku = text(item.sku)
    prices = {"retail": item.price, "cost": item.cost}
    return ProductRecord(
        external_id=next((text(one) for one in (facts.item_id, item.item_id, facts.id, item.id) if text(one)), sku),
        version=version_of(facts.last_modified_date),
        sku=sku,
        name=text(item.description) or sku,
        barcode=text(item.upc),
        prices={name: price for name, price in prices.items() if price},
        is_active=not facts.deactivated,
    )


def version_of(changed_at: str) -> int:
    """Milliseconds since 1970 by the warehouse's clock, 0 when it does not tell."""
    return max(int(sortable(changed_at).timestamp() * 1000), 0) if changed_at else 0


def sku_in(row: object) -> str:
    return str(row.get("sku") or "") if isinstance(row, dict) else ""
