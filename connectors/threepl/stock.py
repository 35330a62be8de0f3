"""Stock at 3PL Warehouse Manager: levels per facility, and adjustments."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec

from connectors.errors import RecordRefused
from connectors.records import LevelRecord, OutboundStockAdjustment, OutboundStockLine, Page, Reject, WriteResult
from connectors.threepl import shapes
from connectors.threepl.client import ThreePLClient
from connectors.threepl.errors import Refusal, Unreadable
from connectors.threepl.options import ThreePLOptions
from connectors.threepl.orders import DUPLICATE, UNKNOWN, NoFacility, facility_of
from connectors.threepl.shapes import text
from connectors.threepl.wire import number

ADJUSTMENTS = "adjustments"
FIX_ADJUSTMENT = "Book the change at the warehouse by hand, then ignore this record."


def read_levels(client: ThreePLClient, options: ThreePLOptions) -> Iterator[Page[LevelRecord]]:
    """Every level, each time. Stock under a qualifier is not a plain SKU's and counts as skipped."""
    for page in client.stock():
        records: list[LevelRecord] = []
        rejects: list[Reject] = []
        skipped = 0
        for row in page.rows:
            try:
                stock = shapes.read(row, shapes.StockRow)
                if text(stock.qualifier) or not text(stock.item_identifier.sku):
                    skipped += 1
                    continue
                records.append(level_of(stock, options))
            except Unreadable as error:
                rejects.append(Reject(external_id="", reason=str(error), payload=msgspec.json.encode(row)))
        yield Page(records=records, cursor="", rejects=rejects, skipped=skipped)


def level_of(stock: shapes.StockRow, options: ThreePLOptions) -> LevelRecord:
    """Raises ``Unreadable``."""
    sku = text(stock.item_identifier.sku)
    if stock.available is None:
        raise Unreadable(f"The stock of {sku} has no available quantity.")
    identifier = stock.facility_identifier
    facility = text(stock.facility_id) or (text(identifier.id) if identifier is not None else "")
    taken = stock.ordered_not_allocated if options.subtract_unallocated else 0
    return LevelRecord(
        location_id=facility or str(options.facility_id),
        sku=sku,
        available=stock.available - taken,
        on_hand=stock.on_hand,
    )


# --- adjustments -----------------------------------------------------------------------------------------------------


def adjust(client: ThreePLClient, options: ThreePLOptions, adjustment: OutboundStockAdjustment) -> WriteResult:
    """All lines in one document. Items that the warehouse does not know are left out, and told."""
    reference = adjustment.reference
    lines = list(adjustment.lines)
    unknown: list[str] = []
    while lines:
        try:
            body = adjustment_body(adjustment, lines, options)
            remote_id = client.create_document(ADJUSTMENTS, body)
        except NoFacility as error:
            return WriteResult.rejected(reference, str(error), FIX_ADJUSTMENT)
        except Refusal as error:
            if error.code == DUPLICATE:
                known = client.find_document(ADJUSTMENTS, reference)
                if known is not None:
                    return WriteResult.done(reference, known.any_id)
            named = {value.strip().casefold() for _, value in error.values}
            missing = [line for line in lines if line.sku.strip().casefold() in named]
            if error.code != UNKNOWN or not missing:
                return refused(reference, error)
            unknown += [line.sku for line in missing]
            lines = [line for line in lines if line not in missing]
        except RecordRefused as error:
            return refused(reference, error)
        else:
            reason = f"Not known at the warehouse and left out: {', '.join(unknown)}." if unknown else ""
            return WriteResult(reference=reference, ok=True, remote_id=remote_id, reason=reason)
    return WriteResult.rejected(
        reference,
        f"3PL Warehouse Manager knows none of these items: {', '.join(unknown)}."
        if unknown
        else "There is nothing in it.",
        "Add the items for this customer in 3PL Warehouse Manager, then send it again.",
    )


def refused(reference: str, error: RecordRefused) -> WriteResult:
    return WriteResult.rejected(
        reference, f"3PL Warehouse Manager refuses the adjustment: {error.message}", FIX_ADJUSTMENT
    )


def adjustment_body(
    adjustment: OutboundStockAdjustment, lines: list[OutboundStockLine], options: ThreePLOptions
) -> dict[str, Any]:
    """Raises ``NoFacility``."""
    words = [
        adjustment.kind.value.replace("_", " ").capitalize(),
        adjustment.number,
        adjustment.cart_name,
        adjustment.note,
    ]
    return {
        "customerIdentifier": {"id": options.customer_id},
        "facilityIdentifier": {"id": facility_of(adjustment.location_id, options)},
        "referenceNum": adjustment.reference,
        "notes": ", ".join(word for word in words if word),
        "adjustmentItems": [
            {
                "itemIdentifier": {"sku": line.sku},
                "qualifier": "",
                "qty": number(line.quantity),
                "externalId": line.reference,
            }
            for line in lines
        ],
    }
