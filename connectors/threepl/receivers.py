"""Returns announced to the warehouse: a receiver (an advance notice of goods) that waits for its arrival."""

from __future__ import annotations

from typing import Any

from connectors.errors import RecordRefused
from connectors.records import OutboundRefund, WriteResult
from connectors.threepl.client import ThreePLClient
from connectors.threepl.errors import Refusal
from connectors.threepl.options import ThreePLOptions
from connectors.threepl.orders import DUPLICATE, NoFacility, facility_of
from connectors.threepl.wire import number

RECEIVERS = "receivers"
FIX_RETURN = "Correct it, then send the return again; or announce it to the warehouse by hand and cancel it here."


def announce(client: ThreePLClient, options: ThreePLOptions, refund: OutboundRefund) -> WriteResult:
    try:
        return WriteResult.done(refund.reference, client.create_document(RECEIVERS, receiver_body(refund, options)))
    except NoFacility as error:
        return WriteResult.rejected(refund.reference, str(error), FIX_RETURN)
    except Refusal as error:
        known = client.find_document(RECEIVERS, refund.reference) if error.code == DUPLICATE else None
        if known is not None:
            return WriteResult.done(refund.reference, known.any_id)
        return refused(refund, error)
    except RecordRefused as error:
        return refused(refund, error)


def refused(refund: OutboundRefund, error: RecordRefused) -> WriteResult:
    return WriteResult.rejected(
        refund.reference, f"3PL Warehouse Manager refuses the return: {error.message}", FIX_RETURN
    )


def receiver_body(refund: OutboundRefund, options: ThreePLOptions) -> dict[str, Any]:
    """Without an arrival date: it is only expected. Raises ``NoFacility``."""
    return {
        "customerIdentifier": {"id": options.customer_id},
        "facilityIdentifier": {"id": facility_of(refund.location_id, options)},
        "referenceNum": refund.reference,
        "poNum": refund.order_number or refund.number,
        "notes": notes_of(refund),
        "expectedDate": refund.placed_at.astimezone(options.zone).strftime("%Y-%m-%dT%H:%M:%S"),
        "receiveItems": [
            {
                "itemIdentifier": {"sku": line.sku},
                "qualifier": "",
                "qty": number(line.quantity),
                "externalId": line.reference,
            }
            for line in refund.lines
        ],
    }


def notes_of(refund: OutboundRefund) -> str:
    restock = {True: "Goods may be sold again.", False: "Do not put back on the shelf."}.get(refund.restock, "")  # type: ignore[arg-type]
    words = [
        f"Return {refund.number} of order {refund.order_number}" if refund.order_number else f"Return {refund.number}"
    ]
    words += [refund.cart_name, refund.customer_name, refund.reason, restock]
    return ", ".join(word for word in words if word)
