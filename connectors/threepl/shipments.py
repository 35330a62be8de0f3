"""What the warehouse closed: one shipment per package, with its tracking number and what lies in it; and what it
cancelled."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime, time, timedelta
from typing import TypeAlias, TypeVar

import msgspec

from connectors.records import OrderAnswer, OrderAnswerRecord, Page, Reject, ShipmentLineRecord, ShipmentRecord
from connectors.threepl import shapes
from connectors.threepl.client import Rows, ThreePLClient
from connectors.threepl.errors import Unreadable
from connectors.threepl.options import ThreePLOptions
from connectors.threepl.shapes import text

# An order may be seen a little later than the time it carries.
OVERLAP = timedelta(minutes=5)
RecordT = TypeVar("RecordT")
Convert: TypeAlias = Callable[[shapes.Order, ThreePLOptions], list[RecordT]]

# The field that every order of ours carries beside its reference, for orders that came back without their external id.
CART_NAME = "CartName"


def read_shipments(client: ThreePLClient, options: ThreePLOptions, cursor: str) -> Iterator[Page[ShipmentRecord]]:
    return closed_orders(client, options, cursor, shipment_records)


def read_answers(client: ThreePLClient, options: ThreePLOptions, cursor: str) -> Iterator[Page[OrderAnswerRecord]]:
    return closed_orders(client, options, cursor, answers_of)


def closed_orders(
    client: ThreePLClient, options: ThreePLOptions, cursor: str, convert: Convert[RecordT]
) -> Iterator[Page[RecordT]]:
    """What the orders closed since ``cursor``, a time of the warehouse's own, come to.

    Each page of orders is asked for from the time of the last one before it, so that an order that is opened again
    meanwhile does not push another one out of sight.
    """
    start = start_of(cursor, options)
    reached = newest = cursor
    sorted_so_far = True
    while True:
        for rows in client.closed_orders(start):
            page, times, in_order = page_of(rows, options, convert)
            newest = max([newest, *times], key=sortable)
            sorted_so_far = sorted_so_far and in_order
            if sorted_so_far or rows.is_last:
                reached = newest
            yield Page(records=page.records, cursor=reached, rejects=page.rejects, skipped=page.skipped)
            if sorted_so_far and not rows.is_last and sortable(times[-1]) > sortable(start):
                start = times[-1]
                break
        else:
            return


def start_of(cursor: str, options: ThreePLOptions) -> str:
    if cursor:
        try:
            return (datetime.fromisoformat(cursor) - OVERLAP).isoformat()
        except ValueError:
            return cursor
    first = options.shipments_from
    return datetime.combine(first, time.min).isoformat() if first else ""


def sortable(moment: str) -> datetime:
    """Only for comparing times of the same warehouse with each other."""
    try:
        found = datetime.fromisoformat(moment)
    except ValueError:
        return datetime.min.replace(tzinfo=UTC)
    return found if found.tzinfo is not None else found.replace(tzinfo=UTC)


def page_of(rows: Rows, options: ThreePLOptions, convert: Convert[RecordT]) -> tuple[Page[RecordT], list[str], bool]:
    """(what a page of orders comes to, the times of the orders, whether these are in order)."""
    records: list[RecordT] = []
    rejects: list[Reject] = []
    times: list[str] = []
    skipped = 0
    for row in rows.rows:
        try:
            order = shapes.read(row, shapes.Order)
            times.append(order.closed_at)
            found = convert(order, options) if is_ours(order) else []
            records += found
            skipped += not found
        except Unreadable as error:
            rejects.append(Reject(external_id=reference_in(row), reason=str(error), payload=msgspec.json.encode(row)))
    moments = [sortable(moment) for moment in times]
    in_order = bool(times) and not rejects and "" not in times and moments == sorted(moments)
    return Page(records=records, cursor="", rejects=rejects, skipped=skipped), times, in_order


def reference_in(row: object) -> str:
    return str(row.get("referencenum") or "") if isinstance(row, dict) else ""


def is_ours(order: shapes.Order) -> bool:
    """Did the hub send it? The warehouse's other orders for this customer are none of its business."""
    names = {text(element.name) for element in order.saved_elements}
    return text(order.external_id) == order.reference or CART_NAME in names


def shipment_records(order: shapes.Order, options: ThreePLOptions) -> list[ShipmentRecord]:
    """One for each package; one for each tracking number, or for the whole order, where no packages are told. Raises
    ``Unreadable``."""
    if not order.is_shipped:
        return []
    shipped_at = closed_at(order, options)
    packages = order.read_only.packages or order.packages
    if packages:
        parts = parts_of(order, packages)
    else:
        numbers = tracking_numbers(order)
        parts = [(f"{order.id}-{number}", number, ()) for number in numbers] or [(order.id, "", ())]
    return [
        ShipmentRecord(
            external_id=external_id,
            order_reference=order.reference,
            shipped_at=shipped_at,
            carrier=text(order.routing_info.carrier),
            method=text(order.routing_info.mode),
            tracking_number=number,
            lines=lines,
        )
        for external_id, number, lines in parts
    ]


def answers_of(order: shapes.Order, options: ThreePLOptions) -> list[OrderAnswerRecord]:
    """Raises ``Unreadable``."""
    if not order.is_cancelled:
        return []
    return [
        OrderAnswerRecord(
            order_reference=order.reference,
            answer=OrderAnswer.CANCELLED,
            answered_at=closed_at(order, options),
            reason="It was cancelled in 3PL Warehouse Manager.",
        )
    ]


def closed_at(order: shapes.Order, options: ThreePLOptions) -> datetime:
    """Raises ``Unreadable``."""
    if not order.id or not order.closed_at:
        raise Unreadable(f"Order {order.reference} is closed, but has no id or no date.")
    return shapes.moment(order.closed_at, options.zone).astimezone(UTC)


Part = tuple[str, str, tuple[ShipmentLineRecord, ...]]


def parts_of(order: shapes.Order, packages: Sequence[shapes.Package]) -> list[Part]:
    """(id, tracking number, lines) of each package. Packages that do not tell what they hold come last: they hold what
    is left."""
    items = {item.id: item for item in order.order_items}
    fallback = tracking_numbers(order)
    parts: list[Part] = []
    for position, package in enumerate(packages):
        number = text(package.tracking_number)
        if not number and fallback:
            number = fallback[position] if len(fallback) == len(packages) else fallback[0]
        external_id = f"{order.id}-{text(package.package_id) or position + 1}"
        parts.append((external_id, number, tuple(lines_of(package, items))))
    return sorted(parts, key=lambda part: not part[2])


def lines_of(package: shapes.Package, items: dict[str, shapes.OrderItem]) -> Iterator[ShipmentLineRecord]:
    """Raises ``Unreadable`` for contents that belong to none of the order's items."""
    for content in package.package_contents:
        if not content.qty:
            continue
        item = items.get(text(content.order_item_id))
        if item is None:
            raise Unreadable(f"A package holds item {text(content.order_item_id)}, which the order does not have.")
        yield ShipmentLineRecord(sku=item.sku, quantity=content.qty, line_reference=text(item.external_id))


def tracking_numbers(order: shapes.Order) -> list[str]:
    """Those that stand on the order itself: of the carrier's answer, else of its routing."""
    numbers = [text(number) for number in order.parcel_response.tracking_numbers if text(number)]
    routed = text(order.routing_info.tracking_number)
    return list(dict.fromkeys(numbers)) or ([routed] if routed else [])
