"""The hub's orders against those of its warehouses: not sent, missing there, alive there, shipped, other totals.

A warehouse that can count is asked for numbers first where there are many orders; only the days whose numbers differ are
listed. One that cannot list its orders is asked for single ones.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, time, timedelta
from decimal import Decimal
from typing import TypeAlias

from django.db.models import Count, Max, Min, Q, QuerySet
from django.db.models.functions import TruncDay

from carts.encryption import CredentialsUnreadable
from carts.models import Order, OrderChange, Warehouse
from carts.models.fields import plain_decimal
from carts.remote import open_connector
from connectors.base import Connector
from connectors.errors import ConnectorError, RateLimited
from connectors.functions import Function
from connectors.ports import OrderWriter, SentOrderCounter, SentOrderSearcher
from connectors.records import SentOrderRecord, SentOrderState
from syncjobs.call_log import CallBuffer
from syncjobs.flows.reconciliation.feeds import Feeds
from syncjobs.flows.reconciliation.look import AT_ONCE, Look, Window, batches, by_id, late
from syncjobs.models import Delivery
from syncjobs.reconciliation import WAREHOUSE_CAUSES, Cause, Finding

Status = Order.Status
# A warehouse's clock is not the hub's, and an order is there a little before the hub knows.
MARGIN = timedelta(hours=1)
# Orders that were sent further apart than this are listed for themselves.
GAP = timedelta(days=1)
DAY = timedelta(days=1)
# A warehouse that cannot list its orders is asked for single ones. Which it lists without one is asked for that as well.
MOST_SINGLE_LOOKS = 200
# Fewer orders than this are listed as quickly as they are counted.
COUNT_FIRST_FROM = 1000
CENT = Decimal("0.01")

# How many orders are in each state, as the warehouse sees them.
Numbers: TypeAlias = "Counter[SentOrderState]"
COUNTED: dict[str, SentOrderState] = {
    Status.AT_WAREHOUSE: SentOrderState.OPEN,
    Status.SHIPPED: SentOrderState.SHIPPED,
    Status.CONFIRMED: SentOrderState.SHIPPED,
    Status.CANCELLED: SentOrderState.CANCELLED,
}


@dataclass(slots=True)
class Opened:
    """A warehouse while it is compared. ``agreeing``: spans of time of which its numbers are the hub's."""

    warehouse: Warehouse
    connector: Connector
    calls: CallBuffer
    agreeing: list[Window] = field(default_factory=list)
    single_looks: int = 0

    def is_counted(self, at: datetime) -> bool:
        return any(span.holds(at) for span in self.agreeing)


class WarehouseSide:
    """``failed``: warehouses that could not be compared this time."""

    def __init__(self, look: Look, feeds: Feeds) -> None:
        self.look = look
        self.feeds = feeds
        self.cart = look.cart
        self.opened: dict[int, Opened] = {}
        self.failed: set[int] = set()

    def close(self) -> None:
        for opened in self.opened.values():
            opened.connector.close()
            opened.calls.flush()

    def findings(self, window: Window) -> Iterator[Finding]:
        orders = self.cart.orders.filter(placed_at__gte=window.since, placed_at__lt=window.until).order_by()
        yield from self.of_orders(orders)

    def of_orders(self, orders: QuerySet[Order], *, counts_suffice: bool = True) -> Iterator[Finding]:
        yield from self.waiting_here(orders)
        ids = orders.exclude(warehouse=None).values_list("warehouse", flat=True).distinct()
        for pk in sorted(ids):
            opened = self.open(pk)
            if opened is None:
                continue
            try:
                yield from self.orders_at(opened, orders.filter(warehouse=pk), counts_suffice)
            except RateLimited:
                raise
            except ConnectorError as error:
                self.give_up(opened.warehouse, str(error))
            finally:
                opened.calls.flush()

    def waiting_here(self, orders: QuerySet[Order]) -> Iterator[Finding]:
        """What should have left the hub by now. Whatever changed in the order starts its patience anew."""
        overdue = orders.filter(updated_at__lt=late())
        for order in overdue.filter(status=Status.NEW, stored_at__lt=late()).select_related("warehouse"):
            yield self.finding(Cause.NOT_SENT, order, "not sent", str(order.warehouse or "no warehouse"))
        if self.cart.function_is_on(Function.SHIPMENT_CONFIRMATION):
            for order in overdue.filter(status=Status.SHIPPED, shipped_at__lt=late()):
                yield self.finding(Cause.NOT_CONFIRMED, order, "not told", str(self.cart))

    # --- opening -------------------------------------------------------------------------------------------------------

    def open(self, pk: int) -> Opened | None:
        """None: it cannot be compared, and why is said."""
        if pk in self.opened or pk in self.failed:
            return self.opened.get(pk) if pk not in self.failed else None
        warehouse = Warehouse.objects.select_related("merchant").get(pk=pk)
        if not warehouse.is_active:
            self.give_up(warehouse, "it is switched off.")
            return None
        calls = CallBuffer(warehouse.pk, run_id=self.look.context.run.pk)
        try:
            opened = Opened(warehouse, open_connector(warehouse, calls), calls)
            self.opened[pk] = opened
            opened.agreeing = self.agreeing(opened)
        except RateLimited:
            raise
        except (ConnectorError, CredentialsUnreadable) as error:
            self.give_up(warehouse, str(error))
            return None
        return opened

    def give_up(self, warehouse: Warehouse, why: str) -> None:
        self.failed.add(warehouse.pk)
        self.look.leave_out(f"Orders at {warehouse} were not compared: {why}")

    # --- counting ------------------------------------------------------------------------------------------------------

    def agreeing(self, opened: Opened) -> list[Window]:
        """First the whole span in which the period's orders were sent, then day by day."""
        connector = opened.connector
        if not isinstance(connector, SentOrderCounter):
            return []
        sent = Order.objects.filter(
            cart=self.cart,
            warehouse=opened.warehouse,
            placed_at__gte=self.look.report.since,
            placed_at__lt=self.look.report.until,
            at_warehouse_at__isnull=False,
        ).order_by()
        if len(sent.values_list("pk", flat=True)[:COUNT_FIRST_FROM]) < COUNT_FIRST_FROM:
            return []
        span = sent.aggregate(first=Min("at_warehouse_at"), last=Max("at_warehouse_at"))
        first, last = span["first"], span["last"]
        begin = datetime.combine(first.astimezone(UTC).date(), time(), UTC)
        days = [Window(begin + DAY * number, begin + DAY * (number + 1)) for number in range((last - begin).days + 1)]
        here = self.numbers_here(opened.warehouse, Window(begin, days[-1].until))
        whole: Numbers = sum(here.values(), Counter())
        if numbers_agree(connector, Window(begin, days[-1].until), whole):
            return [Window(begin, days[-1].until)]
        return [day for day in days if numbers_agree(connector, day, here.get(day.since, Counter()))]

    @staticmethod
    def numbers_here(warehouse: Warehouse, span: Window) -> dict[datetime, Numbers]:
        """By day, and of all carts: a warehouse does not count by cart. One query."""
        sent = Order.objects.filter(
            warehouse=warehouse, at_warehouse_at__gte=span.since, at_warehouse_at__lt=span.until
        )
        rows = sent.order_by().annotate(day=TruncDay("at_warehouse_at", tzinfo=UTC)).values_list("day", "status")
        found: dict[datetime, Numbers] = {}
        for day, status, number in rows.annotate(Count("pk")):
            if status in COUNTED:
                found.setdefault(day, Counter())[COUNTED[status]] += number
        return found

    # --- listing -------------------------------------------------------------------------------------------------------

    def orders_at(self, opened: Opened, orders: QuerySet[Order], counts_suffice: bool) -> Iterator[Finding]:
        rows = orders.filter(at_warehouse_at__isnull=False).order_by("at_warehouse_at", "pk")
        sent = [(at, pk, status) for at, pk, status in rows.values_list("at_warehouse_at", "pk", "status") if at]
        if isinstance(opened.connector, SentOrderSearcher):
            if counts_suffice and opened.agreeing:
                listed = [row for row in sent if not opened.is_counted(row[0])]
                self.look.count("orders_counted", len(sent) - len(listed))
                sent = listed
            for cluster in clusters(sent):
                yield from self.listed(opened, opened.connector, cluster)
        elif isinstance(opened.connector, OrderWriter):
            open_ids = [pk for _, pk, status in reversed(sent) if status == Status.AT_WAREHOUSE]
            yield from self.missing(opened, open_ids, are_listed=False)

    def listed(
        self, opened: Opened, connector: SentOrderSearcher, sent: list[tuple[datetime, int, str]]
    ) -> Iterator[Finding]:
        not_seen = {pk for _, pk, status in sent if status == Status.AT_WAREHOUSE}
        differing: dict[str, SentOrderRecord] = {}
        since, until = sent[0][0] - MARGIN, sent[-1][0] + MARGIN
        # Nothing is fetched ahead: in between the same connector is asked for more.
        for page in self.look.told(connector.search_sent(since, until)):
            records = {record.reference: record for record in page.records}
            self.look.count("orders_at_warehouse", len(records))
            for order in self.ours(opened.warehouse, records):
                not_seen.discard(order.pk)
                if self.differences(order, records[order.reference]):
                    differing[order.reference] = records[order.reference]
            opened.calls.flush()
            if len(differing) >= AT_ONCE:
                yield from self.settled(opened, differing)
                differing = {}
        yield from self.settled(opened, differing)
        yield from self.missing(opened, sorted(not_seen), are_listed=True)

    def ours(self, warehouse: Warehouse, references: Iterable[str]) -> QuerySet[Order]:
        ours = Order.objects.filter(merchant_id=self.cart.merchant_id, cart=self.cart, warehouse=warehouse)
        return ours.filter(reference__any_of=list(references)).order_by()

    def missing(self, opened: Opened, ids: list[int], *, are_listed: bool) -> Iterator[Finding]:
        """Orders that a list does not show, or that cannot be listed: asked for one by one, as long as it is not too
        much; then the list counts."""
        writer = opened.connector
        for order in by_id(self.cart.orders.filter(status=Status.AT_WAREHOUSE), ids):
            if isinstance(writer, OrderWriter) and opened.single_looks < MOST_SINGLE_LOOKS:
                opened.single_looks += 1
                if not are_listed:
                    self.look.count("orders_at_warehouse", 1)
                if writer.find_sent(order.reference) is not None:
                    continue
            elif not are_listed:
                self.look.leave_out(
                    f"{opened.warehouse} cannot list its orders: only {MOST_SINGLE_LOOKS} of them were looked up."
                )
                return
            yield self.finding(Cause.MISSING_AT_WAREHOUSE, order, "not found", str(opened.warehouse))

    # --- comparing -----------------------------------------------------------------------------------------------------

    def differences(self, order: Order, record: SentOrderRecord) -> list[tuple[Cause, str, str]]:
        """(cause, what the hub says, what the warehouse says)"""
        here, there = order.get_status_display(), record.remote_status or record.state.value
        is_there = record.state in (SentOrderState.OPEN, SentOrderState.SHIPPED)
        if order.status == Status.CANCELLED:
            return [(Cause.ALIVE_AT_WAREHOUSE, here, there)] if is_there else []
        if order.status in (Status.NEW, Status.HELD, Status.ERROR):
            # One that was there and came back (refused, for example) is a person's matter already.
            return [(Cause.ARRIVED_UNKNOWN, here, there)] if is_there and not order.is_sent else []
        if order.status == Status.AT_WAREHOUSE and record.state is SentOrderState.SHIPPED:
            return [(Cause.SHIPPED_AT_WAREHOUSE, here, there)]
        if order.status == Status.AT_WAREHOUSE and record.state is SentOrderState.CANCELLED:
            return [(Cause.CANCELLED_AT_WAREHOUSE, here, there)] if not order.cancel_requested_at else []
        if record.total is not None and record.total != order.total.quantize(CENT):
            return [(Cause.TOTAL_AT_WAREHOUSE, plain_decimal(order.total, 2), plain_decimal(record.total, 2))]
        return []

    def settled(self, opened: Opened, differing: dict[str, SentOrderRecord]) -> Iterator[Finding]:
        """Which of these are mismatches: not those of which a feed still has to tell, or a delivery is on its way, or
        that the hub knows of by now."""
        if not differing:
            return
        causes = {
            cause
            for order in self.ours(opened.warehouse, differing)
            for cause, _, _ in self.differences(order, differing[order.reference])
        }
        told: dict[Cause, set[str] | None] = {}
        if Cause.SHIPPED_AT_WAREHOUSE in causes:
            told[Cause.SHIPPED_AT_WAREHOUSE] = self.feeds.shipments(opened.warehouse, opened.connector)
        if Cause.CANCELLED_AT_WAREHOUSE in causes:
            told[Cause.CANCELLED_AT_WAREHOUSE] = self.feeds.answers(opened.warehouse, opened.connector)
        opened.calls.flush()
        orders = list(self.ours(opened.warehouse, differing))
        busy = self.busy(order.pk for order in orders)
        for order in orders:
            for cause, here, there in self.differences(order, differing[order.reference]):
                feed = told.get(cause, set())
                if feed is None or order.reference in feed or order.pk in busy:
                    for one in WAREHOUSE_CAUSES:
                        self.look.undecide(one, order.external_id)
                else:
                    yield self.finding(cause, order, there, str(opened.warehouse), here)

    @staticmethod
    def busy(ids: Iterable[int]) -> set[int]:
        """Orders about which something is on its way to the warehouse, not for too long, or a change is not settled."""
        states, kinds = Delivery.State, Delivery.Kind
        found: set[int] = set()
        for batch in batches(ids):
            moving = Delivery.objects.filter(
                order__in=batch,
                kind__in=[kinds.ORDER, kinds.CHANGE, kinds.CANCELLATION],
                state__in=[states.PENDING, states.SENDING, states.RETRY],
            ).filter(Q(first_failed_at=None) | Q(first_failed_at__gt=late()))
            found.update(pk for pk in moving.values_list("order", flat=True) if pk is not None)
            changes = OrderChange.objects.filter(
                order__in=batch,
                status__in=[OrderChange.Status.WAITING, OrderChange.Status.SENDING, OrderChange.Status.HELD],
            )
            found.update(changes.values_list("order", flat=True))
        return found

    @staticmethod
    def finding(cause: Cause, order: Order, there: str, place: str, here: str = "") -> Finding:
        return Finding(
            cause,
            order.external_id,
            order.number,
            here or order.get_status_display(),
            there,
            place,
            order.pk,
            order.placed_at,
        )


def numbers_agree(connector: SentOrderCounter, span: Window, here: Numbers) -> bool:
    there = connector.count_sent(span.since, span.until)
    return bool(there) and all(here[state] == number for state, number in there.items())


def clusters(sent: list[tuple[datetime, int, str]]) -> Iterator[list[tuple[datetime, int, str]]]:
    """Orders that were sent one after the other. ``sent`` is in the order of time."""
    cluster: list[tuple[datetime, int, str]] = []
    for row in sent:
        if cluster and row[0] - cluster[-1][0] > GAP:
            yield cluster
            cluster = []
        cluster.append(row)
    if cluster:
        yield cluster
