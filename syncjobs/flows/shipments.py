"""Shipment Pickup: what the warehouse shipped, booked once on each order."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

from carts import order_flow
from carts.models import Order, Shipment
from connectors.functions import Function
from connectors.ports import ShipmentReader
from connectors.records import Page, ShipmentRecord
from syncjobs.context import RunContext
from syncjobs.failures import Failure, failures_of_rejects, record_failures


def pull_shipments(context: RunContext) -> None:
    reader = cast(ShipmentReader, context.connector)
    for page in context.pages(reader.read_shipments(context.start_cursor())):
        if context.run.dry_run:
            preview(context, page)
            if context.preview_is_long_enough():
                return
            continue
        with context.page(page.cursor):
            failures = book(context, page.records) + failures_of_rejects(page.rejects)
            rejected = record_failures(context.connection, Function.SHIPMENT_PICKUP, failures)
            context.run.count(rejected=rejected)
        context.check_slice()


def orders_of(context: RunContext, records: Sequence[ShipmentRecord]) -> dict[str, int]:
    """order reference -> our id, among the orders of this warehouse. One query."""
    references = {record.order_reference for record in records}
    rows = Order.objects.filter(warehouse_id=context.connection.pk, reference__in=references)
    return dict(rows.values_list("reference", "pk"))


def booked_before(order_ids: Sequence[int], records: Sequence[ShipmentRecord]) -> set[tuple[int, str]]:
    """(order, shipment) pairs that an earlier run booked: readers overlap on purpose. One query."""
    rows = Shipment.objects.filter(order_id__in=order_ids, external_id__in=[record.external_id for record in records])
    return set(rows.values_list("order_id", "external_id"))


def book(context: RunContext, records: Sequence[ShipmentRecord]) -> list[Failure]:
    if not records:
        return []
    orders = orders_of(context, records)
    known = booked_before(list(orders.values()), records)
    failures = []
    shipped = 0
    for record in records:
        order_id = orders.get(record.order_reference)
        if order_id is None:
            failures.append(
                Failure(
                    external_id=record.external_id,
                    cause="unknown_order",
                    reason=f"The warehouse shipped order {record.order_reference}, which the hub never sent to it.",
                    fix="If the order was entered at the warehouse by hand, ignore this record.",
                )
            )
        elif (order_id, record.external_id) not in known and order_flow.add_shipment(order_id, record):
            shipped += 1
    context.run.count(shipments=shipped, unchanged=len(records) - shipped - len(failures))
    return failures


def preview(context: RunContext, page: Page[ShipmentRecord]) -> None:
    context.run.pages += 1
    orders = orders_of(context, page.records)
    known = booked_before(list(orders.values()), page.records)
    for record in page.records:
        order_id = orders.get(record.order_reference)
        if order_id is not None and (order_id, record.external_id) in known:
            context.run.count(unchanged=1)
            continue
        what = "rejected" if order_id is None else "book"
        context.run.count(**{what: 1})
        context.preview(number=record.order_reference, what=what, why=f"{record.carrier} {record.tracking_number}")
