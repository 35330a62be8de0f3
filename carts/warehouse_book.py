"""The book of a warehouse in the hub: orders to pick, what was shipped, stock and products, in the hub's own database.

One law holds the numbers together: ``available = on_hand - what open pick lines need`` at every location. Receiving an
order lowers ``available``, cancelling gives it back, shipping lowers ``on_hand``. A SKU without a stock row is picked by
its name; its row appears when someone counts it.

Whoever writes locks the warehouse's row first, so that two workers, a person and a REST client take turns.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from decimal import Decimal

from django.db import transaction
from django.db.models import Count, QuerySet
from django.utils import timezone

from carts import book_changes, book_documents, book_products, book_returns
from carts.book_changes import order_values, pick_line
from carts.book_checks import BookError, LocationFinder, check_fields, check_lines, parts_to_ship
from carts.book_counts import ship_off
from carts.book_leases import shipped_in_spite
from carts.book_ledger import BY_HAND, Cause, Why
from carts.book_records import STATES, level_record, product_page, sent_order_record, shipment_record
from carts.book_stock import (
    KEYS_PER_QUERY,
    WAITING,
    StockChange,
    lock_book,
    needs_of,
    parts_of,
    reserve,
    set_stock,
    take_off,
    total,
)
from carts.change_feed import database_trouble, read_changes
from carts.models import (
    Location,
    PickLine,
    PickOrder,
    PickReturn,
    PickShipment,
    PickShipmentLine,
    Product,
    StockLevel,
    Warehouse,
)
from carts.signals import book_changed
from connectors.builtin.book import BookOverview
from connectors.errors import OutcomeUnknown, RemoteUnavailable
from connectors.records import (
    LevelRecord,
    LocationRecord,
    OutboundOrder,
    OutboundOrderChange,
    OutboundRefund,
    OutboundStockAdjustment,
    OutboundStockTransfer,
    Page,
    ProductFamilyChange,
    ProductRecord,
    ProductRules,
    SentOrderRecord,
    SentOrderState,
    ShipmentRecord,
    WriteResult,
)

__all__ = ["BookError", "StockChange", "WarehouseBook"]

SHIPMENTS_PER_PAGE = 200
LEVELS_PER_PAGE = 1000
ORDERS_PER_PAGE = 500
PRODUCTS_PER_PAGE = 500

Status = PickOrder.Status


class WarehouseBook:
    """The book of one warehouse; nothing outside it is read or written. Implements ``connectors.builtin.book.Book``."""

    def __init__(self, warehouse_pk: int) -> None:
        self.warehouse_pk = warehouse_pk

    # Places

    def overview(self) -> BookOverview:
        with database_trouble(RemoteUnavailable):
            places = list(self._locations().filter(is_active=True).order_by("-is_default", "pk"))
            return BookOverview(
                default_location=places[0].name if places else "",
                active_locations=len(places),
                stocked_skus=StockLevel.objects.filter(location__in=places).count(),
                open_orders=self._pick_orders().filter(status__in=WAITING).count(),
            )

    def locations(self) -> list[LocationRecord]:
        with database_trouble(RemoteUnavailable):
            self._give_location_ids()
            return [
                LocationRecord(external_id=place.external_id, name=place.name, is_active=place.is_active)
                for place in self._locations().order_by("pk")
            ]

    def find_location(self, name: str = "") -> Location:
        """The location with this id or (upper and lower case alike) name; "" is the default location. Raises
        ``BookError``."""
        return LocationFinder(self._locations()).find(name)

    # Orders

    def receive(self, orders: Sequence[OutboundOrder]) -> list[WriteResult]:
        """Takes orders in, all in one transaction. An order that was received before is done again with its old id; one
        that names an unknown or disabled location is rejected. Raises ``OutcomeUnknown``."""
        with database_trouble(OutcomeUnknown), transaction.atomic():
            lock_book(self.warehouse_pk)
            places = LocationFinder(self._locations())
            known = self._received(order.reference for order in orders)
            refused: dict[str, WriteResult] = {}
            new: dict[str, tuple[PickOrder, OutboundOrder]] = {}
            for order in orders:
                if order.reference in known or order.reference in new:
                    continue
                try:
                    place = places.find_for_order(order.location_id)
                    check_lines(order)
                except BookError as error:
                    refused[order.reference] = WriteResult.rejected(order.reference, str(error), error.fix)
                else:
                    new[order.reference] = (self._pick_order(order, place), order)
            PickOrder.objects.bulk_create(pick_order for pick_order, _ in new.values())
            lines = [pick_line(pick_order, line) for pick_order, order in new.values() for line in order.lines]
            PickLine.objects.bulk_create(lines)
            reserve(needs_of(lines), -1)
            known |= {reference: pick_order.pk for reference, (pick_order, _) in new.items()}
            return [
                refused.get(order.reference) or WriteResult.done(order.reference, str(known[order.reference]))
                for order in orders
            ]

    def find(self, reference: str) -> str | None:
        with database_trouble(RemoteUnavailable):
            pk = self._received([reference]).get(reference)
            return None if pk is None else str(pk)

    def search(self, since: datetime, until: datetime) -> Iterator[Page[SentOrderRecord]]:
        rows = self._pick_orders().filter(received_at__lt=until).order_by("received_at", "pk")
        at, after = since, 0
        while True:
            with database_trouble(RemoteUnavailable):
                rest = rows.filter(received_at__gte=at).exclude(received_at=at, pk__lte=after)
                found = list(rest[:ORDERS_PER_PAGE])
            if not found:
                return
            at, after = found[-1].received_at, found[-1].pk
            yield Page(records=[sent_order_record(order) for order in found], cursor=str(after))

    def count(self, since: datetime, until: datetime) -> Mapping[SentOrderState, int]:
        with database_trouble(RemoteUnavailable):
            rows = self._pick_orders().filter(received_at__gte=since, received_at__lt=until).order_by()
            numbers: Counter[SentOrderState] = Counter()
            for status, number in rows.values_list("status").annotate(Count("pk")):
                numbers[STATES.get(Status(status), SentOrderState.OPEN)] += number
            # What the WMS refused counts as cancelled here, but not in the hub.
            return {state: numbers[state] for state in (SentOrderState.OPEN, SentOrderState.SHIPPED)}

    def cancel(self, reference: str, reason: str) -> WriteResult:
        """Cancels an order of which nothing was shipped and gives its stock back. Raises ``OutcomeUnknown``."""
        with database_trouble(OutcomeUnknown), transaction.atomic():
            lock_book(self.warehouse_pk)
            pick_order = self._pick_orders().filter(reference=reference).first()
            if pick_order is None:
                return WriteResult.rejected(reference, f"The warehouse has no order with the reference {reference}.")
            if pick_order.status in (Status.SHIPPED, Status.PARTLY_SHIPPED):
                part = "already" if pick_order.status == Status.SHIPPED else "partly"
                return WriteResult.rejected(
                    reference,
                    f"Order {pick_order} was {part} shipped and cannot be cancelled any more.",
                    "Tell the customer, and take the goods back as a return.",
                )
            return self._cancel(pick_order, reason)

    def change(self, change: OutboundOrderChange) -> WriteResult:
        """Makes an order of which nothing was shipped what the shop wants now. The same change again is done. Raises
        ``OutcomeUnknown``."""
        with database_trouble(OutcomeUnknown), transaction.atomic():
            lock_book(self.warehouse_pk)
            pick_order = self._pick_orders().filter(reference=change.order.reference).first()
            try:
                check_lines(change.order)
                return book_changes.change(pick_order, change)
            except BookError as error:
                return WriteResult.rejected(change.reference, str(error), error.fix)

    def ship(
        self,
        pick_order: PickOrder,
        lines: Mapping[str, Decimal] | None = None,
        *,
        carrier: str = "",
        method: str = "",
        tracking_number: str = "",
        tracking_url: str = "",
        shipped_by: str = "",
        shipped_at: datetime | None = None,
        idempotency_key: str = "",
    ) -> PickShipment:
        """Books a shipment. ``lines`` maps ``PickLine.reference`` -> quantity (zeros are left out); None = everything
        that is open. With an ``idempotency_key`` that this order has seen, nothing is booked and the shipment of then is
        returned. Raises ``BookError``."""
        with transaction.atomic():
            warehouse = lock_book(self.warehouse_pk)
            order = self._pick_orders().filter(pk=pick_order.pk).first()
            if order is None:
                raise BookError(f"Order {pick_order} is not in this warehouse.")
            if idempotency_key:
                booked = order.shipments.filter(idempotency_key=idempotency_key).first()
                if booked:
                    return booked
            if order.status == Status.CANCELLED:
                raise BookError(f"Order {order} was cancelled. Do not ship it.")
            if order.status == Status.REFUSED:
                raise BookError(f"Order {order} was refused. Do not ship it, unless it comes again.")
            if order.status == Status.SHIPPED:
                raise BookError(f"Order {order} was already shipped; nothing is open.")
            all_lines = list(order.lines.all())
            parts = parts_to_ship(order, all_lines, lines)
            shipment = PickShipment(
                pick_order=order,
                carrier=carrier.strip(),
                method=method.strip(),
                tracking_number=tracking_number.strip(),
                tracking_url=tracking_url.strip(),
                shipped_by=shipped_by[:150],
                shipped_at=shipped_at or timezone.now(),
                idempotency_key=idempotency_key,
            )
            check_fields(shipment)
            shipment.save(force_insert=True)
            PickShipmentLine.objects.bulk_create(
                PickShipmentLine(shipment=shipment, pick_line=line, quantity=quantity) for line, quantity in parts
            )
            for line, quantity in parts:
                line.shipped += quantity
            PickLine.objects.bulk_update([line for line, _ in parts], ["shipped"])
            gone = total((order.location_id, line.sku_key, quantity) for line, quantity in parts)
            ship_off(
                warehouse,
                order,
                gone,
                shipment.shipped_at,
                Why(cause=Cause.ORDER, document=order.number, actor=shipped_by),
            )
            rest = any(line.open_quantity for line in all_lines)
            order.status = Status.PARTLY_SHIPPED if rest else Status.SHIPPED
            order.save(update_fields=["status", "updated_at"])
            if order.cancel_requested_at:
                shipped_in_spite(warehouse, order)
            book_changed.send(Warehouse, warehouse=warehouse, what="shipments")
            return shipment

    # Returns

    def announce_return(self, refund: OutboundRefund) -> WriteResult:
        """Takes a return in; one that is there already is done again with its old id. One that names an unknown or
        disabled location is rejected. Raises ``OutcomeUnknown``."""
        with database_trouble(OutcomeUnknown), transaction.atomic():
            lock_book(self.warehouse_pk)
            known = self._returns().filter(reference=refund.reference).first()
            if known is None:
                try:
                    place = LocationFinder(self._locations()).find_for_order(refund.location_id)
                    check_lines(refund)
                except BookError as error:
                    return WriteResult.rejected(refund.reference, str(error), error.fix)
                known = book_returns.announce(self.warehouse_pk, refund, place)
            return WriteResult.done(refund.reference, str(known.pk))

    def find_return(self, reference: str) -> str | None:
        with database_trouble(RemoteUnavailable):
            pk = self._returns().filter(reference=reference).values_list("pk", flat=True).first()
            return None if pk is None else str(pk)

    def receive_return(
        self, pick_return: PickReturn, restock: Collection[str] | None = None, *, received_by: str = ""
    ) -> PickReturn:
        """The goods came back. ``restock`` names the lines (by reference) that may be sold again; None = all of them.
        Raises ``BookError``."""
        with transaction.atomic():
            return book_returns.receive(self.warehouse_pk, pick_return.pk, restock, received_by)

    def give_up_return(self, pick_return: PickReturn, *, actor: str = "") -> PickReturn:
        """The goods do not come. Raises ``BookError``."""
        with transaction.atomic():
            return book_returns.give_up(self.warehouse_pk, pick_return.pk, actor)

    # Stock

    def set_available(self, rows: Iterable[tuple[Location, str, Decimal]], why: Why = BY_HAND) -> StockChange:
        """Sets what may be sold, per (location, SKU, quantity); ``on_hand`` follows. The last of several rows for the
        same SKU wins. Rows are checked first and written in transactions of 1,000. Raises ``BookError`` for a row that
        cannot be right; nothing is written then."""
        return set_stock(self.warehouse_pk, "available", rows, why)

    def set_on_hand(self, rows: Iterable[tuple[Location, str, Decimal]], why: Why = BY_HAND) -> StockChange:
        """Sets what lies on the shelf, per (location, SKU, quantity); ``available`` follows. Else as
        ``set_available``."""
        return set_stock(self.warehouse_pk, "on_hand", rows, why)

    # Stock documents of the shops

    def adjust(self, adjustment: OutboundStockAdjustment) -> WriteResult:
        """Books a stock adjustment, each reference once for ever. Raises ``OutcomeUnknown``."""
        with database_trouble(OutcomeUnknown), transaction.atomic():
            return book_documents.adjust(self.warehouse_pk, LocationFinder(self._locations()), adjustment)

    def move_transfer(self, transfer: OutboundStockTransfer) -> WriteResult:
        """Books one step of a transfer, each reference once for ever. Raises ``OutcomeUnknown``."""
        with database_trouble(OutcomeUnknown), transaction.atomic():
            return book_documents.transfer(self.warehouse_pk, LocationFinder(self._locations()), transfer)

    def find_document(self, kind: str, reference: str) -> str | None:
        with database_trouble(RemoteUnavailable):
            return book_documents.find(self.warehouse_pk, kind, reference)

    # Products

    def take_products(self, family: ProductFamilyChange, rules: ProductRules) -> list[WriteResult]:
        """Creates or changes one family. Raises ``OutcomeUnknown``."""
        with database_trouble(OutcomeUnknown), transaction.atomic():
            lock_book(self.warehouse_pk)
            return book_products.write_family(self.warehouse_pk, family, rules)

    # Feeds

    def shipments(self, cursor: str) -> Iterator[Page[ShipmentRecord]]:
        rows = (
            PickShipment.objects.filter(pick_order__warehouse_id=self.warehouse_pk)
            .select_related("pick_order")
            .prefetch_related("lines__pick_line")
        )
        for page, after in read_changes(rows, "booked_at", cursor, SHIPMENTS_PER_PAGE):
            yield Page(records=[shipment_record(shipment) for shipment in page], cursor=after)

    def levels(self, cursor: str) -> Iterator[Page[LevelRecord]]:
        """Levels of the active locations."""
        with database_trouble(RemoteUnavailable):
            self._give_location_ids()
        rows = StockLevel.objects.filter(location__warehouse_id=self.warehouse_pk, location__is_active=True)
        for page, after in read_changes(rows.select_related("location"), "changed_at", cursor, LEVELS_PER_PAGE):
            yield Page(records=[level_record(level) for level in page], cursor=after)

    def products(self, cursor: str) -> Iterator[Page[ProductRecord]]:
        rows = Product.objects.filter(connection_id=self.warehouse_pk)
        for page, after in read_changes(rows, "updated_at", cursor, PRODUCTS_PER_PAGE):
            yield product_page(page, after)

    # Inside

    def _cancel(self, pick_order: PickOrder, reason: str) -> WriteResult:
        """Called with the book locked, for an order of which nothing was shipped."""
        if pick_order.status == Status.OPEN:
            take_off(pick_order, Status.CANCELLED, reason)
        return WriteResult.done(pick_order.reference, str(pick_order.pk))

    def _locations(self) -> QuerySet[Location]:
        return Location.objects.filter(warehouse_id=self.warehouse_pk)

    def _pick_orders(self) -> QuerySet[PickOrder]:
        return PickOrder.objects.filter(warehouse_id=self.warehouse_pk)

    def _returns(self) -> QuerySet[PickReturn]:
        return PickReturn.objects.filter(warehouse_id=self.warehouse_pk)

    def _give_location_ids(self) -> None:
        """A location made on a screen without an id gets one for good: whoever stores what is listed here must find
        the same location again."""
        for place in self._locations().filter(external_id=""):
            Location.objects.filter(pk=place.pk, external_id="").update(external_id=f"loc-{place.pk}")

    def _received(self, references: Iterable[str]) -> dict[str, int]:
        found: dict[str, int] = {}
        for part in parts_of(sorted(set(references)), KEYS_PER_QUERY):
            found.update(self._pick_orders().filter(reference__in=part).values_list("reference", "pk"))
        return found

    def _pick_order(self, order: OutboundOrder, place: Location) -> PickOrder:
        return PickOrder(
            warehouse_id=self.warehouse_pk,
            location=place,
            reference=order.reference,
            cart_name=order.cart_name,
            placed_at=order.placed_at,
            **order_values(order),
        )
