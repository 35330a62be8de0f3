"""The orders that Integration Manager has of the hub, listed: to be compared, not to be stored (section B.3.2).

What the dates of a list mean depends on the status, and nobody says how. But none of them lies before the order was made:
so the list begins where the period does, goes on to its end, and what is younger than the period is left out here.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from decimal import Decimal

from msgspec import Raw

from connectors.integration_manager.client import CartRoverClient, ListPage
from connectors.integration_manager.orders import CANCELLED, NEW, mark_of
from connectors.integration_manager.shapes import Order, Unreadable, flag, moment, number, read, text
from connectors.integration_manager.shipments import (
    CONFIRMED,
    PARTIAL,
    SHIPPED,
    fingerprint,
    is_foreign,
    pages_as_they_come,
)
from connectors.records import Page, Reject, SentOrderRecord, SentOrderState

ANY = "any"
MEANINGS = {
    NEW: SentOrderState.OPEN,
    "at_wms": SentOrderState.OPEN,
    "error": SentOrderState.OPEN,
    PARTIAL: SentOrderState.OPEN,
    SHIPPED: SentOrderState.SHIPPED,
    CONFIRMED: SentOrderState.SHIPPED,
    CANCELLED: SentOrderState.CANCELLED,
}


def search_sent(client: CartRoverClient, since: datetime, until: datetime) -> Iterator[Page[SentOrderRecord]]:
    for page in pages_as_they_come(client, ANY, 1, from_date=since.isoformat(timespec="seconds")):
        yield sent_page(page, until)


def sent_page(page: ListPage, until: datetime) -> Page[SentOrderRecord]:
    records: list[SentOrderRecord] = []
    rejects: list[Reject] = []
    skipped = 0
    for raw in page.rows:
        try:
            record = sent_record(raw, until)
        except (Unreadable, ArithmeticError) as error:
            name = fingerprint(bytes(raw))
            rejects.append(Reject(external_id=name, reason=str(error), payload=bytes(raw)))
            continue
        skipped += record is None
        records += [record] if record is not None else []
    return Page(records=records, cursor="", rejects=rejects, skipped=skipped)


def sent_record(raw: Raw, until: datetime) -> SentOrderRecord | None:
    """None for an order that another system sent, or that is younger. Raises ``Unreadable``."""
    order = read(raw, Order)
    cust_ref, status = text(order.cust_ref), text(order.order_status).lower()
    made_at = moment(order.created_date_time, "created_date_time")
    if not cust_ref:
        raise Unreadable("The order has no cust_ref.")
    if is_foreign(order) or (made_at is not None and made_at >= until):
        return None
    is_stopped = status == NEW and flag(order.sending_canceled)
    total = number(order.grand_total, "grand_total")
    return SentOrderRecord(
        reference=mark_of(order) or text(order.cust_ref_original) or cust_ref,
        remote_id=cust_ref,
        state=SentOrderState.CANCELLED if is_stopped else MEANINGS.get(status, SentOrderState.UNKNOWN),
        remote_status="Cancel Sending" if is_stopped else status,
        total=total.quantize(Decimal("0.01")) if total is not None else None,
    )
