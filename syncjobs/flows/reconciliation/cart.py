"""The cart's orders against the hub's: missing on either side, cancelled on one of them, other totals."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from typing import cast

from msgspec import structs

from carts.models import Order, OrderChange
from carts.models.fields import plain_decimal
from connectors.errors import RecordRefused
from connectors.ports import OrderReader, OrderSearcher
from connectors.records import OrderRecord, RemoteOrderState
from syncjobs.flows.inventory_sync import STEP
from syncjobs.flows.reconciliation.feeds import Feeds
from syncjobs.flows.reconciliation.look import AT_ONCE, MINUTE, Look, Window, batches, by_id
from syncjobs.reconciliation import CART_CAUSES, Cause, Finding

Status = Order.Status
# What the list does not show is asked for by its id before it counts as missing - as long as it is not too much.
MOST_SINGLE_LOOKS = 200


class CartSide:
    def __init__(self, look: Look, feeds: Feeds) -> None:
        self.look = look
        self.feeds = feeds
        self.cart = look.cart
        self.place = str(look.cart)
        self.single_looks = 0

    def findings(self, window: Window) -> Iterator[Finding]:
        """The edges of a list are the remote's own: a minute more is asked for at each end."""
        reader = cast(OrderSearcher, self.look.context.connector)
        seen: set[int] = set()
        differing: dict[str, OrderRecord] = {}
        for page in self.look.pages(reader.search_orders(window.since - MINUTE, window.until + MINUTE)):
            ours = self.ours(record.external_id for record in page.records)
            seen.update(order.pk for order in ours.values())
            for record in page.records:
                if window.holds(record.placed_at):
                    self.look.count("orders_at_cart", 1)
                    if self.difference(record, ours.get(record.external_id)):
                        differing[record.external_id] = slim(record)
            if len(differing) >= AT_ONCE:
                yield from self.settled(differing)
                differing = {}
        yield from self.settled(differing)
        yield from self.not_seen(window, seen)

    def ours(self, external_ids: Iterable[str]) -> dict[str, Order]:
        """Only what is compared of them. One query."""
        orders = Order.objects.filter(cart=self.cart, external_id__any_of=set(external_ids)).only(
            "external_id", "number", "status", "total", "version", "placed_at", "cancel_requested_at"
        )
        return {order.external_id: order for order in orders.order_by()}

    def not_seen(self, window: Window, seen: set[int]) -> Iterator[Finding]:
        here = self.cart.orders.filter(placed_at__gte=window.since, placed_at__lt=window.until).order_by()
        number = 0
        for ids in batches(here.values_list("pk", flat=True).iterator(chunk_size=2000), 2000):
            number += len(ids)
            for order in by_id(here, [pk for pk in ids if pk not in seen]):
                yield from self.asked_for(order.external_id, order)
        self.look.count("orders_here", number)

    def asked_for(self, external_id: str, order: Order | None) -> Iterator[Finding]:
        """One order by its id. ``order`` is ours, if there is one."""
        reader = self.look.context.second_connector
        if isinstance(reader, OrderReader) and self.single_looks < MOST_SINGLE_LOOKS:
            self.single_looks += 1
            try:
                record = reader.read_order(external_id)
            except RecordRefused:
                pass  # it does not exist
            else:
                if self.difference(record, order):
                    yield from self.settled({external_id: record})
                return
        if order is not None:
            here = order.get_status_display()
            yield self.finding(Cause.MISSING_AT_CART, external_id, order.number, here, "not found", order)

    def difference(self, record: OrderRecord, order: Order | None) -> Finding | None:
        there = record.remote_status or record.state.value
        if order is None:
            if not record.importable or record.return_for:
                return None
            found = self.finding(Cause.MISSING_HERE, record.external_id, record.number, "not found", there)
            return replace(found, placed_at=record.placed_at)
        here = order.get_status_display()
        facts = (record.external_id, order.number)
        if record.state == RemoteOrderState.CANCELLED:
            if order.status == Status.CANCELLED or order.cancel_requested_at:
                return None
            return self.finding(Cause.CANCELLED_AT_CART, *facts, here, there, order)
        if order.status == Status.CANCELLED:
            return self.finding(Cause.CANCELLED_HERE, *facts, here, there, order)
        if order.total != record.total.quantize(STEP):
            totals = plain_decimal(order.total, 2), plain_decimal(record.total, 2)
            return self.finding(Cause.TOTAL_DIFFERS, *facts, *totals, order)
        return None

    def finding(
        self, cause: Cause, external_id: str, number: str, here: str, there: str, order: Order | None = None
    ) -> Finding:
        return Finding(
            cause,
            external_id,
            number,
            here,
            there,
            self.place,
            order.pk if order is not None else None,
            order.placed_at if order is not None else None,
        )

    # --- what is on its way --------------------------------------------------------------------------------------------

    def settled(self, differing: dict[str, OrderRecord]) -> Iterator[Finding]:
        """Which of these are mismatches: not those that the feed still has to tell, nor those of which the hub has a
        newer version by now, nor those whose change is on its way to the warehouse."""
        if not differing:
            return
        told = self.feeds.orders()
        ours = self.ours(differing)
        changing = self.changing(order.pk for order in ours.values())
        for external_id, record in differing.items():
            order = ours.get(external_id)
            found = self.difference(record, order)
            if found is None:
                continue
            is_newer = order is not None and order.version > record.version
            if told is None or external_id in told or is_newer or (order is not None and order.pk in changing):
                for cause in CART_CAUSES:
                    self.look.undecide(cause, external_id)
            else:
                yield found

    @staticmethod
    def changing(ids: Iterable[int]) -> set[int]:
        """Orders with a change that waits, is sent, or is held with an alert of its own."""
        kinds = OrderChange.Status
        changes = OrderChange.objects.filter(order__in=list(ids), status__in=[kinds.WAITING, kinds.SENDING, kinds.HELD])
        return set(changes.values_list("order", flat=True))

    # --- older ones ----------------------------------------------------------------------------------------------------

    def look_again(self, external_ids: Sequence[str]) -> Iterator[Finding]:
        """Orders from outside the period, one by one."""
        for batch in batches(external_ids):
            ours = self.ours(batch)
            for external_id in batch:
                yield from self.asked_for(external_id, ours.get(external_id))


def slim(record: OrderRecord) -> OrderRecord:
    """What is compared of it, without what takes memory."""
    return structs.replace(
        record, lines=(), payments=(), charges=(), customer=None, ship_to=None, bill_to=None, refund=None, raw=b""
    )
