"""The orders that 3PL Warehouse Manager has of the hub, listed and counted: to be compared, not to be stored."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime

import msgspec

from connectors.records import Page, Reject, SentOrderRecord, SentOrderState
from connectors.threepl import shapes
from connectors.threepl.client import Rows, ThreePLClient
from connectors.threepl.errors import Unreadable
from connectors.threepl.options import ThreePLOptions
from connectors.threepl.shipments import is_ours, reference_in


def search_sent(
    client: ThreePLClient, options: ThreePLOptions, since: datetime, until: datetime
) -> Iterator[Page[SentOrderRecord]]:
    for rows in client.orders_made(own_time(since, options), own_time(until, options)):
        yield sent_page(rows)


def count_sent(
    client: ThreePLClient, options: ThreePLOptions, since: datetime, until: datetime
) -> Mapping[SentOrderState, int]:
    """Open ones only: the API cannot tell shipped orders from cancelled ones in a filter. It counts the orders of others as
    well, so that the numbers may never agree; then everything is listed."""
    number = client.count_open(own_time(since, options), own_time(until, options))
    return {} if number is None else {SentOrderState.OPEN: number}


def own_time(at: datetime, options: ThreePLOptions) -> str:
    return at.astimezone(options.zone).replace(tzinfo=None).isoformat(timespec="seconds")


def sent_page(rows: Rows) -> Page[SentOrderRecord]:
    records: list[SentOrderRecord] = []
    rejects: list[Reject] = []
    skipped = 0
    for row in rows.rows:
        try:
            order = shapes.read(row, shapes.Order)
        except Unreadable as error:
            rejects.append(Reject(external_id=reference_in(row), reason=str(error), payload=msgspec.json.encode(row)))
            continue
        if is_ours(order):
            records.append(sent_record(order))
        else:
            skipped += 1
    return Page(records=records, cursor="", rejects=rejects, skipped=skipped)


def sent_record(order: shapes.Order) -> SentOrderRecord:
    state = SentOrderState.SHIPPED if order.is_shipped else SentOrderState.OPEN
    if order.is_cancelled:
        state = SentOrderState.CANCELLED
    return SentOrderRecord(reference=order.reference, remote_id=order.id, state=state, remote_status=WORDS[state])


WORDS = {SentOrderState.OPEN: "Open", SentOrderState.SHIPPED: "Closed", SentOrderState.CANCELLED: "Canceled"}
