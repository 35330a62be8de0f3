"""The built-in warehouse's book: orders to pick, what was shipped, stock and products, in the hub's own database.

One law holds the numbers together: ``available = on_hand - what open pick lines need`` at every location. Receiving an
order lowers ``available``, cancelling gives it back, shipping lowers ``on_hand``. A SKU without a stock row is picked by
its name; its row appears when someone counts it.

Whoever writes locks the warehouse's row first, so that two workers, a person and a REST client take turns.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from itertools import islice
from typing import TypeVar

from django.core.exceptions import ValidationError
from django.db import transaction
from django.db.models import F, QuerySet, Sum
from django.utils import timezone

from carts.book_records import level_record, product_page, shipment_record
from carts.change_feed import database_trouble, read_changes
from carts.models import (
    Location,
    PickLine,
    PickOrder,
    PickShipment,
    PickShipmentLine,
    Product,
    StockLevel,
    Warehouse,
)
from carts.models.catalogue import sku_key
from carts.models.fields import plain_decimal
from carts.signals import book_changed
from connectors.builtin.book import BookOverview
from connectors.errors import OutcomeUnknown, RemoteUnavailable
from connectors.records import (
    LevelRecord,
    LocationRecord,
    OutboundLine,
    OutboundOrder,
    Page,
    ProductRecord,
    ShipmentRecord,
    WriteResult,
)

SHIPMENTS_PER_PAGE = 200
LEVELS_PER_PAGE = 1000
PRODUCTS_PER_PAGE = 500
ROWS_PER_TRANSACTION = 1000
KEYS_PER_QUERY = 500

FIVE_PLACES = Decimal("0.00001")
LARGEST_QUANTITY = Decimal(10) ** 11
ZERO = Decimal(0)

Status = PickOrder.Status
WAITING = (Status.OPEN, Status.PARTLY_SHIPPED)

ItemT = TypeVar("ItemT")
StockKey = tuple[int, str]  # location pk, SKU key


class BookError(Exception):
    """What was asked for cannot be done. The text says why, for people; ``fix`` says what to do, where that is known."""

    def __init__(self, message: str, fix: str = "") -> None:
        super().__init__(message)
        self.fix = fix


@dataclass(frozen=True, slots=True)
class StockChange:
    """What setting stock did, in rows."""

    created: int = 0
    changed: int = 0
    unchanged: int = 0

    def __add__(self, other: StockChange) -> StockChange:
        return StockChange(self.created + other.created, self.changed + other.changed, self.unchanged + other.unchanged)


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
            self._lock()
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
            self._move(needs_of(lines), "available", -1)
            known |= {reference: pick_order.pk for reference, (pick_order, _) in new.items()}
            return [
                refused.get(order.reference) or WriteResult.done(order.reference, str(known[order.reference]))
                for order in orders
            ]

    def find(self, reference: str) -> str | None:
        with database_trouble(RemoteUnavailable):
            pk = self._received([reference]).get(reference)
            return None if pk is None else str(pk)

    def cancel(self, reference: str, reason: str) -> WriteResult:
        """Cancels an order of which nothing was shipped and gives its stock back. Raises ``OutcomeUnknown``."""
        with database_trouble(OutcomeUnknown), transaction.atomic():
            self._lock()
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
            if pick_order.status == Status.OPEN:
                self._move(needs_of(pick_order.lines.select_related("pick_order")), "available", +1)
                pick_order.status = Status.CANCELLED
                pick_order.note = f"{pick_order.note}\nCancelled: {reason}".strip() if reason else pick_order.note
                pick_order.save(update_fields=["status", "note", "updated_at"])
            return WriteResult.done(reference, str(pick_order.pk))

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
            warehouse = self._lock()
            order = self._pick_orders().filter(pk=pick_order.pk).first()
            if order is None:
                raise BookError(f"Order {pick_order} is not in this warehouse.")
            if idempotency_key:
                booked = order.shipments.filter(idempotency_key=idempotency_key).first()
                if booked:
                    return booked
            if order.status == Status.CANCELLED:
                raise BookError(f"Order {order} was cancelled. Do not ship it.")
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
            self._move(total((order.location_id, line.sku_key, quantity) for line, quantity in parts), "on_hand", -1)
            rest = any(line.open_quantity for line in all_lines)
            order.status = Status.PARTLY_SHIPPED if rest else Status.SHIPPED
            order.save(update_fields=["status", "updated_at"])
            book_changed.send(Warehouse, warehouse=warehouse, what="shipments")
            return shipment

    # Stock

    def set_available(self, rows: Iterable[tuple[Location, str, Decimal]]) -> StockChange:
        """Sets what may be sold, per (location, SKU, quantity); ``on_hand`` follows. The last of several rows for the
        same SKU wins. Rows are checked first and written in transactions of 1,000. Raises ``BookError`` for a row that
        cannot be right; nothing is written then."""
        return self._set_stock(rows, is_on_hand=False)

    def set_on_hand(self, rows: Iterable[tuple[Location, str, Decimal]]) -> StockChange:
        """Sets what lies on the shelf, per (location, SKU, quantity); ``available`` follows. Else as
        ``set_available``."""
        return self._set_stock(rows, is_on_hand=True)

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

    def _lock(self) -> Warehouse:
        """Takes turns with every other writer of this book until the transaction ends. Only the warehouse's own narrow
        row is locked, which nobody updates: its health and settings are in the connection's row."""
        return Warehouse.objects.select_for_update(of=("self",), no_key=True).get(pk=self.warehouse_pk)

    def _locations(self) -> QuerySet[Location]:
        return Location.objects.filter(warehouse_id=self.warehouse_pk)

    def _pick_orders(self) -> QuerySet[PickOrder]:
        return PickOrder.objects.filter(warehouse_id=self.warehouse_pk)

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
            number=order.number,
            cart_name=order.cart_name,
            customer_name=order.customer_name,
            ship_to=order.ship_to.as_dict(),
            ship_method=order.ship_method,
            note=order.note,
            placed_at=order.placed_at,
        )

    def _levels(self, keys: Collection[StockKey]) -> dict[StockKey, StockLevel]:
        """The stock rows that exist, locked."""
        found: dict[StockKey, StockLevel] = {}
        places = {place for place, _ in keys}
        for part in parts_of(sorted({key for _, key in keys}), KEYS_PER_QUERY):
            rows = StockLevel.objects.select_for_update().filter(location_id__in=places, sku_key__in=part)
            for level in rows.order_by("pk"):
                if (level.location_id, level.sku_key) in keys:
                    found[level.location_id, level.sku_key] = level
        return found

    def _open_needs(self, keys: Collection[StockKey]) -> dict[StockKey, Decimal]:
        """What open pick lines still need."""
        needs: dict[StockKey, Decimal] = {}
        for part in parts_of(sorted({key for _, key in keys}), KEYS_PER_QUERY):
            rows = PickLine.objects.filter(
                pick_order__warehouse_id=self.warehouse_pk,
                pick_order__status__in=WAITING,
                pick_order__location_id__in={place for place, _ in keys},
                sku_key__in=part,
                quantity__gt=F("shipped"),
            )
            sums = rows.order_by().values_list("pick_order__location_id", "sku_key")
            for place, key, need in sums.annotate(need=Sum(F("quantity") - F("shipped"))):
                needs[place, key] = need.quantize(FIVE_PLACES)
        return needs

    def _move(self, quantities: Mapping[StockKey, Decimal], number: str, sign: int) -> None:
        """Adds (``sign`` 1) to or takes (-1) from one number of the stock rows that exist."""
        now = timezone.now()
        moved = []
        for key, level in self._levels(quantities.keys()).items():
            before = getattr(level, number)
            if before is not None and quantities[key]:
                setattr(level, number, before + sign * quantities[key])
                level.read_at = level.changed_at = now
                moved.append(level)
        store(moved)

    def _set_stock(self, rows: Iterable[tuple[Location, str, Decimal]], *, is_on_hand: bool) -> StockChange:
        wanted: dict[StockKey, tuple[str, Decimal]] = {}
        for place, sku, quantity in rows:
            if place.warehouse_id != self.warehouse_pk:
                raise BookError(f"Location {place} belongs to another warehouse.")
            wanted[place.pk, check_sku(sku)] = (sku.strip(), check_quantity(quantity))
        change = StockChange()
        for part in parts_of(wanted.items(), ROWS_PER_TRANSACTION):
            with transaction.atomic():
                change += self._set_part(dict(part), is_on_hand)
        return change

    def _set_part(self, wanted: Mapping[StockKey, tuple[str, Decimal]], is_on_hand: bool) -> StockChange:
        warehouse = self._lock()
        now = timezone.now()
        levels = self._levels(wanted.keys())
        needs = self._open_needs(wanted.keys())
        created, changed, unchanged = [], [], []
        for key, (sku, quantity) in wanted.items():
            need = needs.get(key, ZERO)
            available, on_hand = (quantity - need, quantity) if is_on_hand else (quantity, quantity + need)
            level = levels.get(key)
            if level is None:
                level = StockLevel(location_id=key[0], sku=sku, sku_key=key[1])
                created.append(level)
            elif (level.available, level.on_hand) == (available, on_hand):
                unchanged.append(level.pk)
                continue
            else:
                changed.append(level)
            level.available, level.on_hand = available, on_hand
            level.read_at = level.changed_at = now
        store(created + changed)
        for part in parts_of(unchanged, KEYS_PER_QUERY):
            StockLevel.objects.filter(pk__in=part).update(read_at=now)
        if created or changed:
            book_changed.send(Warehouse, warehouse=warehouse, what="stock")
        return StockChange(len(created), len(changed), len(unchanged))


class LocationFinder:
    """Finds one warehouse's locations by what people and carts call them. One query, however many are looked up."""

    def __init__(self, locations: Iterable[Location]) -> None:
        places = sorted(locations, key=lambda place: (not place.is_default, place.pk))
        self.default = next((place for place in places if place.is_active), None)
        self.by_name = {place.name.strip().casefold(): place for place in places}
        self.by_id = {place.external_id or f"loc-{place.pk}": place for place in places}

    def find(self, name: str) -> Location:
        """By id, else by name; "" is the default location. Raises ``BookError``."""
        name = name.strip()
        place = self.by_id.get(name) or self.by_name.get(name.casefold()) if name else self.default
        if place is None:
            raise BookError(
                f"The warehouse has no location {name}." if name else "The warehouse has no active location.",
                "Choose a location of this warehouse in the cart's settings."
                if name
                else "Add a location to the warehouse, or switch one on.",
            )
        return place

    def find_for_order(self, external_id: str) -> Location:
        """As ``find``, and it must be active."""
        place = self.find(external_id)
        if not place.is_active:
            raise BookError(
                f"Location {place} is switched off, so it takes no orders.",
                "Switch the location on, or choose another one in the cart's settings.",
            )
        return place


def pick_line(pick_order: PickOrder, line: OutboundLine) -> PickLine:
    return PickLine(
        pick_order=pick_order,
        reference=line.reference,
        sku=line.sku,
        sku_key=sku_key(line.sku),
        name=line.name,
        quantity=line.quantity.quantize(FIVE_PLACES),
        note=line.note,
    )


def check_lines(order: OutboundOrder) -> None:
    """Raises ``BookError`` for an order whose lines could not be told apart."""
    seen: set[str] = set()
    for line in order.lines:
        if line.reference in seen:
            raise BookError(
                f"Order {order.number} has two lines with the reference {line.reference}.",
                "Give every line of the order a reference of its own.",
            )
        seen.add(line.reference)


def parts_to_ship(
    order: PickOrder, lines: Sequence[PickLine], wanted: Mapping[str, Decimal] | None
) -> list[tuple[PickLine, Decimal]]:
    """Which line ships how much. Empty only for an order in which there is nothing to pick at all. Raises
    ``BookError``."""
    if wanted is None:
        return [(line, line.open_quantity) for line in lines if line.open_quantity]
    by_reference = {line.reference: line for line in lines}
    parts = []
    for reference, given in wanted.items():
        line = by_reference.get(reference)
        if line is None:
            raise BookError(f"Order {order} has no line {reference}.")
        quantity = check_quantity(given)
        if quantity < 0:
            raise BookError(f"{line.sku}: a quantity to ship cannot be negative.")
        if quantity > line.open_quantity:
            raise BookError(
                f"{line.sku}: {plain_decimal(quantity)} to ship, but only {plain_decimal(line.open_quantity)} open."
            )
        if quantity:
            parts.append((line, quantity))
    if not parts and any(line.open_quantity for line in lines):
        raise BookError(f"Nothing to ship: enter a quantity for at least one line of order {order}.")
    return parts


def check_fields(shipment: PickShipment) -> None:
    """Raises ``BookError`` for texts that are too long and for a tracking URL that is none."""
    try:
        shipment.clean_fields(exclude=["pick_order"])
    except ValidationError as error:
        field, messages = next(iter(error.message_dict.items()))
        label = PickShipment._meta.get_field(field).verbose_name
        raise BookError(f"{str(label).capitalize()}: {messages[0]}") from error


def check_sku(sku: str) -> str:
    """The SKU's key. Raises ``BookError`` for an SKU that cannot be stored."""
    key = sku_key(sku)
    if not key:
        raise BookError("The SKU is missing.")
    if max(len(key), len(sku.strip())) > 200:
        raise BookError(f"The SKU {sku.strip()[:40]}… is longer than 200 characters.")
    if "\0" in key:
        raise BookError("The SKU holds a character that cannot be stored.")
    return key


def check_quantity(quantity: Decimal) -> Decimal:
    """The quantity with five decimals. Raises ``BookError`` for one that cannot be stored exactly."""
    if not quantity.is_finite() or abs(quantity) >= LARGEST_QUANTITY:
        raise BookError(f"{quantity} is not a possible quantity.")
    exact = quantity.quantize(FIVE_PLACES)
    if exact != quantity:
        raise BookError(f"{plain_decimal(quantity)} has more than five decimals.")
    return exact


def needs_of(lines: Iterable[PickLine]) -> dict[StockKey, Decimal]:
    """What lines still need, per location and SKU. Their pick orders must be loaded."""
    return total((line.pick_order.location_id, line.sku_key, line.open_quantity) for line in lines)


def total(quantities: Iterable[tuple[int, str, Decimal]]) -> dict[StockKey, Decimal]:
    sums: dict[StockKey, Decimal] = {}
    for place, key, quantity in quantities:
        sums[place, key] = sums.get((place, key), ZERO) + quantity
    return sums


def store(levels: Iterable[StockLevel]) -> None:
    """Writes new stock rows and rows that were loaded and locked before, in as few statements as the database takes."""
    StockLevel.objects.bulk_create(
        [
            StockLevel(
                location_id=level.location_id,
                sku=level.sku,
                sku_key=level.sku_key,
                available=level.available,
                on_hand=level.on_hand,
                read_at=level.read_at,
                changed_at=level.changed_at,
            )
            for level in levels
        ],
        update_conflicts=True,
        unique_fields=["location", "sku_key"],
        update_fields=["available", "on_hand", "read_at", "changed_at"],
    )


def parts_of(items: Iterable[ItemT], size: int) -> Iterator[list[ItemT]]:
    iterator = iter(items)
    while part := list(islice(iterator, size)):
        yield part
