"""Get Shipments: the list of shipped orders is a queue, emptied by confirming what is stored (sections B.3.2, B.3.3).

An order stands in the list *shipped* until it is confirmed, and the hub confirms it only after its shipments are
committed (``ports.ShipmentAcknowledger``): what got lost in between is simply there again at the next look. No cursor is
needed for that, and none could be trusted: what the list's dates mean depends on the status, and nobody says how.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime, timedelta

import msgspec

from connectors.budget import utc_now
from connectors.errors import ConnectorError, RecordRefused
from connectors.integration_manager.client import CartRoverClient, ListPage
from connectors.integration_manager.orders import mark_of
from connectors.integration_manager.shapes import (
    Order,
    OrderItem,
    Shipment,
    ShipmentItem,
    Unreadable,
    flag,
    moment,
    number,
    read,
    rows,
    table,
    text,
)
from connectors.records import Page, Reject, ShipmentLineRecord, ShipmentRecord, WriteResult

SHIPPED, PARTIAL, CONFIRMED = "shipped", "partial", "confirmed"

# Orders that somebody else confirmed are looked for this often, and this far back.
CONFIRMED_EVERY = timedelta(hours=1)
OVERLAP = timedelta(days=2)
FIRST_LOOK_BACK = timedelta(days=30)

LONGEST_ID = 120
ACKNOWLEDGE_FIX = (
    "The shipment itself is stored. Set the order to Confirmed in Integration Manager by hand, or wait: the hub tries again "
    "at each run."
)


class Progress(msgspec.Struct, omit_defaults=True):
    """The cursor. ``looked_at``: when orders that others confirmed were looked for last. In the middle of a list
    (``stage``), ``page`` is where to go on, so that no list is too long for a worker's slice of time."""

    looked_at: datetime | None = None
    stage: str = ""
    page: int = 1
    began: datetime | None = None


def read_shipments(
    client: CartRoverClient, cursor: str, now: Callable[[], datetime] = utc_now
) -> Iterator[Page[ShipmentRecord]]:
    """Shipped orders that wait to be confirmed, then partly shipped ones, which stay in their list, and now and then those
    that somebody else confirmed."""
    for page in pages_from_the_end(client, SHIPPED):
        yield shipment_page(client, page, SHIPPED, cursor)
    progress = progress_of(cursor)
    if progress.stage != CONFIRMED:
        start = progress.page if progress.stage == PARTIAL else 1
        try:
            for page in pages_as_they_come(client, PARTIAL, start):
                reached = msgspec.structs.replace(progress, stage=PARTIAL, page=page.number + 1)
                yield shipment_page(client, page, PARTIAL, as_cursor(reached))
        except RecordRefused:
            pass  # not every account knows this status: then a part shows up as a shipped order
    looked_at = progress.looked_at
    began = (progress.began if progress.stage == CONFIRMED else None) or now()
    if looked_at is None or began - looked_at >= CONFIRMED_EVERY:
        since = looked_at - OVERLAP if looked_at is not None else began - FIRST_LOOK_BACK
        start = progress.page if progress.stage == CONFIRMED else 1
        wanted = {"from_date": since.isoformat(timespec="seconds")}
        for page in pages_as_they_come(client, CONFIRMED, start, **wanted):
            reached = Progress(looked_at=looked_at, stage=CONFIRMED, page=page.number + 1, began=began)
            yield shipment_page(client, page, CONFIRMED, as_cursor(reached))
        looked_at = began
    done = as_cursor(Progress(looked_at=looked_at))
    if done != cursor:
        yield Page(records=(), cursor=done)


def progress_of(cursor: str) -> Progress:
    try:
        return msgspec.json.decode(cursor, type=Progress)
    except msgspec.MsgspecError:
        return Progress()


def as_cursor(progress: Progress) -> str:
    return msgspec.json.encode(progress).decode()


def pages_from_the_end(client: CartRoverClient, status: str) -> Iterator[ListPage]:
    """The pages of a list, the last one first: what is confirmed while the list is read leaves it, and would push the
    rows of the following pages out of sight. (Whatever is missed all the same is there at the next run.) Where the
    remote does not say how long the list is, it is read as it comes."""
    first = client.list_page(status, 1)
    if first.total is None:
        yield from pages_as_they_come(client, status, 1)
        return
    if first.total > len(first.rows) > 0:
        for page_number in range(-(-first.total // len(first.rows)), 1, -1):
            page = client.list_page(status, page_number)
            if page.rows:
                yield page
    if first.rows:
        yield first


def pages_as_they_come(client: CartRoverClient, status: str, start: int, **params: str) -> Iterator[ListPage]:
    """Up to the total, or the first empty page, or one that repeats: a short one may be all that the remote gives at
    once."""
    before: Sequence[bytes] = []
    page, size = client.list_page(status, start, **params), 0
    while page.rows and [bytes(row) for row in page.rows] != before:
        yield page
        size = size or len(page.rows)
        if page.total is not None and (page.number - 1) * size + len(page.rows) >= page.total:
            return
        before = [bytes(row) for row in page.rows]
        page = client.list_page(status, page.number + 1, **params)


def shipment_page(client: CartRoverClient, page: ListPage, listed_as: str, cursor: str) -> Page[ShipmentRecord]:
    """The shipments of a page of the orders with a status. Orders that another system sent (they carry extra fields, but not the hub's) are
    counted as skipped."""
    records: list[ShipmentRecord] = []
    rejects: list[Reject] = []
    skipped = 0
    for raw in page.rows:
        cust_ref = ""
        try:
            order = read(raw, Order)
            cust_ref = text(order.cust_ref)
            if not cust_ref:
                raise Unreadable("The order has no cust_ref.")
            if is_foreign(order):
                skipped += 1
            else:
                records += shipments_of(client, order, text(order.order_status).lower() or listed_as)
        except (Unreadable, ArithmeticError) as error:
            rejects.append(
                Reject(external_id=cust_ref or fingerprint(bytes(raw)), reason=str(error), payload=bytes(raw))
            )
    return Page(records=records, cursor=cursor, rejects=rejects, skipped=skipped)


def is_foreign(order: Order) -> bool:
    return bool(table(order.extra_fields)) and not mark_of(order)


def shipments_of(client: CartRoverClient, order: Order, status: str) -> list[ShipmentRecord]:
    """An order's shipments. A shipped order that shows none is asked for its status; if that shows none either, all of it
    left without a tracking number. Raises ``Unreadable``."""
    cust_ref = text(order.cust_ref)
    reference = mark_of(order) or text(order.cust_ref_original) or cust_ref
    shipments = rows(order.shipments, Shipment)
    if not shipments and status != PARTIAL:
        shipments = shipments_by_status(client, cust_ref) or [Shipment()]
    elif not shipments:
        return []
    seen: Counter[str] = Counter()
    items = rows(order.items, OrderItem)
    updated = moment(order.updated_date_time, "updated_date_time")
    return [
        ShipmentRecord(
            external_id=external_id_of(cust_ref, shipment, seen),
            order_reference=reference,
            remote_order_id=cust_ref,
            acknowledgement=cust_ref if status == SHIPPED else "",
            shipped_at=moment(shipment.date, "date") or updated or utc_now(),
            carrier=text(shipment.carrier)[:120],
            method=text(shipment.method)[:120],
            tracking_number=text(shipment.tracking_no)[:200],
            tracking_url=web_address(text(shipment.tracking_url)),
            lines=lines_of(shipment, items),
        )
        for shipment in shipments
    ]


def shipments_by_status(client: CartRoverClient, cust_ref: str) -> list[Shipment]:
    try:
        return rows(client.status(cust_ref).shipments, Shipment)
    except RecordRefused:
        return []


def external_id_of(cust_ref: str, shipment: Shipment, seen: Counter[str]) -> str:
    """Shipments have no id: the tracking number makes one, else what else names the parcel; those that share it are
    numbered."""
    own = text(shipment.tracking_no) or text(shipment.sscc_barcode) or text(shipment.bill_of_lading)
    key = own or text(shipment.date) or "shipped"
    seen[key] += 1
    name = f"{cust_ref}/{key}" + (f"#{seen[key]}" if seen[key] > 1 else "")
    return name if len(name) <= LONGEST_ID else f"{name[:80]}~{fingerprint(name.encode())}"


def fingerprint(data: bytes) -> str:
    return hashlib.blake2b(data, digest_size=8).hexdigest()


def lines_of(shipment: Shipment, items: Sequence[OrderItem]) -> tuple[ShipmentLineRecord, ...]:
    """Shipments name SKUs; a SKU that only one line of the order has names the line as well."""
    by_sku: dict[str, list[str]] = {}
    for item in items:
        if not flag(item.filtered_sku):
            by_sku.setdefault(text(item.item).casefold(), []).append(text(item.line_item_id))
    lines = []
    for part in rows(shipment.items, ShipmentItem):
        sku, quantity = text(part.item), number(part.quantity, "quantity")
        if not quantity:
            continue
        lines_with_it = by_sku.get(sku.casefold(), [])
        reference = lines_with_it[0] if len(lines_with_it) == 1 else ""
        lines.append(ShipmentLineRecord(sku=sku, quantity=quantity, line_reference=reference))
    return tuple(lines)


def web_address(told: str) -> str:
    return told if told.startswith(("https://", "http://")) and len(told) <= 500 else ""


def acknowledge(client: CartRoverClient, shipments: Sequence[ShipmentRecord]) -> list[WriteResult]:
    """Confirms the orders of these shipments, one call each. When the remote stops answering, what was done by then is
    returned; the trouble is raised only if nothing was. Confirming twice is harmless, so an unknown outcome is not
    told apart."""
    orders: dict[str, list[ShipmentRecord]] = {}
    for shipment in shipments:
        orders.setdefault(shipment.acknowledgement, []).append(shipment)
    results: list[WriteResult] = []
    for cust_ref, parts in orders.items():
        try:
            client.confirm(cust_ref, [part.tracking_number for part in parts])
        except RecordRefused as error:
            if status_of(client, cust_ref) != CONFIRMED:
                results += [WriteResult.rejected(part.external_id, error.message, ACKNOWLEDGE_FIX) for part in parts]
                continue
        except ConnectorError:
            if results:
                return results
            raise
        results += [WriteResult.done(part.external_id, cust_ref) for part in parts]
    return results


def status_of(client: CartRoverClient, cust_ref: str) -> str:
    try:
        return text(client.status(cust_ref).order_status).lower()
    except ConnectorError:
        return ""
