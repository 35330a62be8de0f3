"""Stock adjustments that people make in Vend by hand (vend.md section 3.9), as a further source of stock documents.

The list holds what the hub itself wrote too. So that nothing of it comes back, a cart that reads this list writes with
reasons of its own, and leaves rows with these reasons out.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime
from functools import cached_property

from connectors.records import (
    ConsignmentKind,
    ConsignmentLineRecord,
    ConsignmentRecord,
    ConsignmentState,
    Page,
    Reject,
)
from connectors.vend import consignments, shapes
from connectors.vend.client import FeedPage, VendClient
from connectors.vend.errors import Unreadable
from connectors.vend.mapping import amount, parse_time
from connectors.vend.shapes import text

ADJUSTMENTS = shapes.Reader(shapes.StockAdjustment)
MORE, LESS = "Integration Manager: more", "Integration Manager: less"


class OwnReasons:
    """The reasons under which the hub writes: looked up once, made when they are not there."""

    def __init__(self, client: VendClient) -> None:
        self.client = client

    @cached_property
    def ids(self) -> dict[str, str]:
        """Name -> id, of those that are there."""
        return {name: found for name, found in self.client.adjustment_reasons() if name in (MORE, LESS)}

    def id_of(self, name: str) -> str:
        if name not in self.ids:
            self.ids[name] = self.client.add_adjustment_reason(name, "POSITIVE" if name == MORE else "NEGATIVE")
        return self.ids[name]

    def fields(self, is_more: bool) -> dict[str, str]:
        """How a row of the hub says why."""
        reason = self.id_of(MORE if is_more else LESS)
        return {"reason": "CUSTOM", "custom_inventory_adjustment_reason_id": reason}


def read_with_documents(
    client: VendClient, cursor: str, since: datetime | None, own: OwnReasons
) -> Iterator[Page[ConsignmentRecord]]:
    """Stock documents, then adjustments by hand. The cursor holds both places, ``documents/adjustments``. The first look
    at adjustments only finds the end of their list: what was made before is in the books already."""
    documents, _, manual = cursor.partition("/")
    for page in consignments.read(client, documents, since):
        documents = page.cursor
        yield replace(page, cursor=f"{documents}/{manual}" if manual else documents)
    if not manual:
        manual = "0"
        for found in client.stock_adjustments(""):
            manual = found.cursor
        yield Page(records=(), cursor=f"{documents}/{manual}")
        return
    for found in client.stock_adjustments(manual):
        yield page_of(found, f"{documents}/{found.cursor}", set(own.ids.values()))


def page_of(found: FeedPage, cursor: str, own: set[str]) -> Page[ConsignmentRecord]:
    records: list[ConsignmentRecord] = []
    rejects: list[Reject] = []
    skipped = 0
    for raw in found.records:
        try:
            row = ADJUSTMENTS.read(raw)
            if text(row.custom_inventory_adjustment_reason_id) in own:
                skipped += 1
            else:
                records.append(record_of(row, raw))
        except Unreadable as error:
            rejects.append(Reject(external_id=consignments.id_of(raw), reason=str(error), payload=raw))
    return Page(records=records, cursor=cursor, rejects=rejects, skipped=skipped)


def record_of(row: shapes.StockAdjustment, raw: bytes) -> ConsignmentRecord:
    """Raises ``Unreadable``."""
    external_id, product_id, outlet_id = text(row.id), text(row.product_id), text(row.outlet_id)
    if not external_id or not product_id or not outlet_id or row.quantity is None:
        raise Unreadable("The stock adjustment lacks its id, product, outlet or quantity.")
    made_at = parse_time(row.created_at)
    reason = text(row.reason)
    return ConsignmentRecord(
        external_id=external_id,
        kind=ConsignmentKind.MANUAL,
        state=ConsignmentState.COUNTED,
        outlet_id=outlet_id,
        version=row.version or 1,
        number=f"{reason.replace('_', ' ').capitalize() or 'Adjustment'} {external_id[:8]}",
        remote_status=reason,
        created_at=made_at,
        updated_at=made_at,
        lines=(ConsignmentLineRecord(product_id=product_id, received=amount(row.quantity)),),
        payload=raw,
    )
