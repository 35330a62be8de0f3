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
from syncjobs.flows.acknowledging import Acknowledgement
from syncjobs.models import Delivery, FailedRecord


def pull_shipments(context: RunContext) -> None:
    reader = cast(ShipmentReader, context.connector)
    acknowledgement = Acknowledgement(context)
    for page in context.pages(reader.read_shipments(context.start_cursor())):
        if context.run.dry_run:
            preview(context, page)
            if context.preview_is_long_enough():
                return
            continue
        with context.page(page.cursor):
            stored, failures = book(context, page.records)
            failures += failures_of_rejects(page.rejects)
            rejected = record_failures(context.connection, Function.SHIPMENT_PICKUP, failures)
            context.run.count(rejected=rejected)
        acknowledgement.tell(stored)
        context.check_slice()
    acknowledgement.finish()


def orders_of(context: RunContext, records: Sequence[ShipmentRecord]) -> dict[str, int]:
    """order reference -> our id, among the orders of this warehouse: by our own reference, else by the id under which the
    warehouse said that it keeps the order. One query, or two."""
    references = {record.order_reference for record in records}
    warehouse = context.connection
    # With its merchant, by whom references are indexed.
    ours = Order.objects.filter(merchant_id=warehouse.merchant_id, warehouse_id=warehouse.pk)
    rows = ours.filter(reference__any_of=references).order_by()
    found = dict(rows.values_list("reference", "pk"))
    others = {
        record.remote_order_id: record.order_reference
        for record in records
        if record.remote_order_id and record.order_reference not in found
    }
    if others:
        sent = Delivery.objects.filter(
            connection_id=warehouse.pk, kind=Delivery.Kind.ORDER, remote_id__gt="", remote_id__any_of=others
        )
        for remote_id, order_id in sent.order_by().values_list("remote_id", "order_id"):
            found[others[remote_id]] = order_id
    return found


def booked_before(order_ids: Sequence[int], records: Sequence[ShipmentRecord]) -> set[tuple[int, str]]:
    """(order, shipment) pairs that an earlier run booked: readers overlap on purpose. One query."""
    ids = [record.external_id for record in records]
    rows = Shipment.objects.filter(order_id__in=order_ids, external_id__any_of=ids).order_by()
    return set(rows.values_list("order_id", "external_id"))


def left_alone(context: RunContext, external_ids: Sequence[str]) -> set[str]:
    """Those that a person said to ignore: a warehouse may offer them again and again. One query."""
    rows = FailedRecord.objects.filter(
        connection_id=context.connection.pk,
        function=Function.SHIPMENT_PICKUP,
        external_id__in=external_ids,
        status=FailedRecord.Status.IGNORED,
    )
    return set(rows.values_list("external_id", flat=True))


def book(context: RunContext, records: Sequence[ShipmentRecord]) -> tuple[list[ShipmentRecord], list[Failure]]:
    """Returns the shipments that are stored now, and what became of the others."""
    if not records:
        return [], []
    orders = orders_of(context, records)
    known = booked_before(list(orders.values()), records)
    stored = [record for record in records if record.order_reference in orders]
    strangers = [record for record in records if record.order_reference not in orders]
    ignored = left_alone(context, [record.external_id for record in strangers]) if strangers else set()
    failures = [
        Failure(
            external_id=record.external_id,
            cause="unknown_order",
            reason=f"The warehouse shipped order {record.order_reference}, which the hub never sent to it.",
            fix="If the order was entered at the warehouse by hand, ignore this record.",
        )
        for record in strangers
        if record.external_id not in ignored
    ]
    shipped = 0
    for record in stored:
        order_id = orders[record.order_reference]
        if (order_id, record.external_id) not in known and order_flow.add_shipment(order_id, record):
            shipped += 1
    context.run.count(shipments=shipped, unchanged=len(stored) - shipped, ignored=len(strangers) - len(failures))
    return stored, failures


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
