"""Reconciliation: what cart, hub and warehouse say of the same orders and the same stock, compared. Nothing is mended
here: that is a person's decision (``syncjobs.reconciliation_fixes``)."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any, cast

from django.utils import timezone

from carts.models import Order, Warehouse
from carts.models.fields import plain_decimal
from carts.remote import open_connector
from carts.stock_places import NoStockPlaces, places_of
from connectors.functions import Function
from connectors.ports import InventoryReader, OrderSearcher, OrderWriter, SentOrderSearcher
from connectors.records import OrderRecord, RemoteOrderState, SentOrderRecord, SentOrderState
from syncjobs.context import RunContext
from syncjobs.flows.inventory_sync import STEP, differences_of
from syncjobs.models import Mismatch
from syncjobs.reconciliation import Finding, keep, next_report

Cause = Mismatch.Cause
Status = Order.Status
AT_ONCE = 500
# A period's edges are the remote's: what lies near them is fetched with it and matched, but not missed.
MARGIN = timedelta(days=1)
# What waits longer than this should be at the warehouse.
PATIENCE = timedelta(minutes=30)
# A warehouse that cannot list its orders is asked for single ones.
MOST_SINGLE_LOOKS = 200
ALIVE = (Status.NEW, Status.HELD, Status.ERROR, Status.AT_WAREHOUSE)


def reconcile(context: RunContext) -> None:
    report = next_report(context.cart, context.run)
    look = Look(context, report.since, report.until)
    findings = [*look.orders_against_cart(), *look.orders_against_warehouse(), *look.stock()]
    report.counts = look.counts
    context.run.count(compared=sum(look.counts.values()), different=len(findings))
    with context.page(None):
        keep(report, findings, look.order_ids, look.whole_stock)


class Look:
    """One comparison. ``order_ids`` are our orders of the period."""

    def __init__(self, context: RunContext, since: datetime, until: datetime) -> None:
        self.context = context
        self.cart = context.cart
        self.since, self.until = since, until
        self.counts: dict[str, int] = {}
        self.order_ids: set[int] = set()
        self.whole_stock = False

    def count(self, name: str, number: int) -> None:
        self.counts[name] = self.counts.get(name, 0) + number

    # --- the cart ----------------------------------------------------------------------------------------------------

    def orders_against_cart(self) -> Iterator[Finding]:
        reader = cast(OrderSearcher, self.context.connector)
        seen: set[int] = set()
        for page in self.context.pages(reader.search_orders(self.since - MARGIN, self.until + MARGIN)):
            records = list(page.records)
            ours = {
                order.external_id: order
                for order in self.cart.orders.filter(external_id__in=[record.external_id for record in records])
            }
            self.count("orders_at_cart", len(records))
            for record in records:
                order = ours.get(record.external_id)
                if order is not None:
                    seen.add(order.pk)
                if self.since <= record.placed_at < self.until:
                    yield from self.compare(record, order)
            self.context.page_stored()
        here = self.cart.orders.filter(placed_at__gte=self.since, placed_at__lt=self.until)
        self.order_ids = set(here.values_list("pk", flat=True))
        self.count("orders_here", len(self.order_ids))
        for order in in_chunks(here, self.order_ids - seen):
            yield Finding(
                Cause.MISSING_AT_CART,
                order.external_id,
                order.number,
                order.get_status_display(),
                "not found",
                order.pk,
            )

    def compare(self, record: OrderRecord, order: Order | None) -> Iterator[Finding]:
        there = record.remote_status or record.state.value
        if order is None:
            if record.importable:
                yield Finding(Cause.MISSING_HERE, record.external_id, record.number, "not found", there)
            return
        here = order.get_status_display()
        facts = (order.external_id, order.number)
        if record.state == RemoteOrderState.CANCELLED:
            if order.status != Status.CANCELLED and not order.cancel_requested_at:
                yield Finding(Cause.CANCELLED_AT_CART, *facts, here, there, order.pk)
            return
        if order.status == Status.CANCELLED:
            yield Finding(Cause.CANCELLED_HERE, *facts, here, there, order.pk)
        elif order.total != record.total.quantize(STEP):
            yield Finding(
                Cause.TOTAL_DIFFERS, *facts, plain_decimal(order.total, 2), plain_decimal(record.total, 2), order.pk
            )

    # --- the warehouse -----------------------------------------------------------------------------------------------

    def orders_against_warehouse(self) -> Iterator[Finding]:
        now = timezone.now()
        late = self.cart.orders.filter(pk__in=self.order_ids) if len(self.order_ids) <= AT_ONCE else self.of_period()
        for order in late.filter(status=Status.NEW, stored_at__lt=now - PATIENCE).select_related("warehouse"):
            yield self.finding(Cause.NOT_SENT, order, "not sent")
        if self.cart.function_is_on(Function.SHIPMENT_CONFIRMATION):
            for order in late.filter(status=Status.SHIPPED, shipped_at__lt=now - PATIENCE):
                yield self.finding(Cause.NOT_CONFIRMED, order, "not told")
        for warehouse in Warehouse.objects.filter(orders__in=self.of_period()).distinct().select_related("merchant"):
            yield from self.orders_at(warehouse)

    def of_period(self) -> Any:
        return self.cart.orders.filter(placed_at__gte=self.since, placed_at__lt=self.until)

    def orders_at(self, warehouse: Warehouse) -> Iterator[Finding]:
        sent = self.of_period().filter(warehouse=warehouse, at_warehouse_at__isnull=False)
        connector = open_connector(warehouse, self.context.calls)
        try:
            if isinstance(connector, SentOrderSearcher):
                yield from self.against_list(sent, connector)
            elif isinstance(connector, OrderWriter):
                yield from self.against_single_looks(sent, connector)
        finally:
            connector.close()

    def against_list(self, sent: Any, connector: SentOrderSearcher) -> Iterator[Finding]:
        open_ids = {order.pk for order in sent.filter(status__in=ALIVE).only("pk")}
        first = sent.order_by("at_warehouse_at").values_list("at_warehouse_at", flat=True).first()
        for page in connector.search_sent((first or self.since) - MARGIN, timezone.now() + MARGIN):
            records = {record.reference: record for record in page.records}
            self.count("orders_at_warehouse", len(records))
            for order in sent.filter(reference__in=list(records)):
                open_ids.discard(order.pk)
                yield from self.compare_sent(order, records[order.reference])
            self.context.page_stored()
        for order in in_chunks(sent, open_ids):
            yield self.finding(Cause.MISSING_AT_WAREHOUSE, order, "not found")

    def against_single_looks(self, sent: Any, connector: OrderWriter) -> Iterator[Finding]:
        for order in sent.filter(status=Status.AT_WAREHOUSE).order_by("-pk")[:MOST_SINGLE_LOOKS]:
            self.count("orders_at_warehouse", 1)
            if connector.find_sent(order.reference) is None:
                yield self.finding(Cause.MISSING_AT_WAREHOUSE, order, "not found")

    def compare_sent(self, order: Order, record: SentOrderRecord) -> Iterator[Finding]:
        there = record.remote_status or record.state.value
        if order.status == Status.CANCELLED and record.state == SentOrderState.OPEN:
            yield self.finding(Cause.ALIVE_AT_WAREHOUSE, order, there)
        elif order.status == Status.AT_WAREHOUSE and record.state == SentOrderState.SHIPPED:
            yield self.finding(Cause.SHIPPED_AT_WAREHOUSE, order, there)
        elif order.status == Status.AT_WAREHOUSE and record.state == SentOrderState.CANCELLED:
            yield self.finding(Cause.CANCELLED_AT_WAREHOUSE, order, there)

    def finding(self, cause: Cause, order: Order, there: str) -> Finding:
        return Finding(cause, order.external_id, order.number, order.get_status_display(), there, order.pk)

    # --- stock -------------------------------------------------------------------------------------------------------

    def stock(self) -> Iterator[Finding]:
        """The outlet's levels as they are now against what the warehouse's stock says they should be. Only read: what
        the hub knows of the levels stays Inventory Sync's own."""
        if not self.cart.function_is_on(Function.INVENTORY_SYNC):
            return
        try:
            places = places_of(self.cart)
        except NoStockPlaces:
            return  # Inventory Sync says what is missing
        reader = cast(InventoryReader, self.context.connector)
        for page in self.context.pages(reader.read_levels("")):
            levels = {record.product_id: record.available.quantize(STEP) for record in page.records}
            self.count("skus", len(levels))
            for one in differences_of(self.context, places, levels):
                yield Finding(
                    Cause.STOCK_DIFFERS, one.sku, one.sku, plain_decimal(one.desired), plain_decimal(one.current)
                )
            self.context.page_stored()
        self.whole_stock = True


def in_chunks(rows: Any, ids: set[int]) -> Iterator[Order]:
    wanted = sorted(ids)
    for start in range(0, len(wanted), AT_ONCE):
        yield from rows.filter(pk__in=wanted[start : start + AT_ONCE])
