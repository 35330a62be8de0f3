"""Stock that a WMS (or another REST client) posts: counts as of a moment, and changes that happened at a moment.

A count is true for its moment and reaches the hub later, so it is brought up to date before it is stored: what moved since
then is added, what orders need is deducted. A figure of what lies on the shelf (``on_hand``) holds no reservations, so
all open orders are deducted. A figure of what is free (``available``) holds those that its maker knew at that moment: at a
REST warehouse the orders it had acknowledged by then (one that is only leased may not be in its books yet), at the built-in
warehouse those that stood on its list. All others are deducted, or were shipped from what it had counted.

Where two moments are the same, the order of things is not known, and the lower level is taken.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from django.conf import settings
from django.db import transaction
from django.db.models import F, Sum
from django.db.models.functions import Coalesce
from django.utils import timezone

from carts import book_ledger
from carts.book_checks import FIVE_PLACES, BookError, check_quantity, check_sku
from carts.book_ledger import WAITING, Cause, Why
from carts.book_stock import (
    KEYS_PER_QUERY,
    ROWS_PER_TRANSACTION,
    ZERO,
    StockChange,
    StockKey,
    lock_book,
    locked_levels,
    move,
    open_needs,
    parts_of,
    reserve,
    store,
)
from carts.models import (
    Location,
    PickLine,
    PickOrder,
    PickShipmentLine,
    StockLevel,
    StockMovement,
    StockPosting,
    Warehouse,
)
from carts.signals import book_changed

Counted = StockLevel.Counted

# A clock that is further ahead than this would hide orders that came meanwhile.
CLOCKS_MAY_DIFFER = timedelta(minutes=1)
OLDEST_COUNT_DAYS = 31
# What moves goods beside orders, as the ledger has it.
OTHER_MOVES = (Cause.RETURN, Cause.ADJUSTMENT, Cause.TRANSFER, Cause.CHANGE)


@dataclass(frozen=True, slots=True, kw_only=True)
class PostedStock:
    """One row: ``quantity`` of a SKU as counted, or how much it changed. ``at``: the moment; None = now. ``counted``:
    which number was counted ("" for a change). ``row``: its place in what was posted."""

    row: int
    location: Location
    sku: str
    quantity: Decimal
    at: datetime | None = None
    counted: str = ""


@dataclass(frozen=True, slots=True)
class Outdated:
    """A row that changed nothing, because a count that is newer (``counted_at``) is known."""

    row: int
    counted_at: datetime


@dataclass(slots=True)
class PostedChange:
    """What posted stock did."""

    levels: StockChange = field(default_factory=StockChange)
    outdated: list[Outdated] = field(default_factory=list)


def check_moment(at: datetime | None, now: datetime) -> None:
    """Raises ``BookError`` for a moment that no count can be of."""
    if at is None:
        return
    if at > now + CLOCKS_MAY_DIFFER:
        raise BookError(f"This is in the future: here it is {now:%d %b %Y %H:%M:%S} UTC.", "Set your clock.")
    # What moved since then must still stand in the ledger.
    days = min(OLDEST_COUNT_DAYS, settings.RETENTION_DAYS["movements"])
    if at < now - timedelta(days=days):
        raise BookError(f"This is more than {days} days ago.", "Count again.")


# Counts


def set_counts(warehouse_pk: int, rows: Iterable[PostedStock], why: Why) -> PostedChange:
    """Stores counts, each brought up to date. A count that is older than the one that is known changes nothing. All rows
    are checked first; they are written in transactions of 1,000. Raises ``BookError``."""
    wanted = checked(warehouse_pk, rows)
    change = PostedChange()
    for part in parts_of(wanted.items(), ROWS_PER_TRANSACTION):
        with transaction.atomic():
            set_part(lock_book(warehouse_pk), dict(part), why, change)
    return change


def set_part(warehouse: Warehouse, wanted: Mapping[StockKey, PostedStock], why: Why, change: PostedChange) -> None:
    """Called with the book locked. A constant number of statements."""
    now = timezone.now()
    levels = locked_levels(wanted.keys())
    times = {key: min(row.at or now, now) for key, row in wanted.items()}
    fresh: dict[StockKey, PostedStock] = {}
    for key, row in wanted.items():
        known = levels[key].counted_at if key in levels else None
        if known is not None and known > times[key]:
            change.outdated.append(Outdated(row.row, known))
        else:
            fresh[key] = row
    if not fresh:
        return
    since = Since(warehouse, {key: times[key] for key in fresh})
    created, changed, unchanged = [], [], []
    shelves: list[tuple[StockLevel, Decimal]] = []
    for key, row in fresh.items():
        available, on_hand = since.brought_up_to_date(key, row)
        level = levels.get(key)
        if level is None:
            level = StockLevel(location_id=key[0], sku=row.sku.strip(), sku_key=key[1], changed_at=now)
            created.append(level)
        elif (level.available, level.on_hand) == (available, on_hand):
            unchanged.append(level)
        else:
            level.changed_at = now
            changed.append(level)
        shelves.append((level, on_hand - (level.on_hand or ZERO)))
        level.available, level.on_hand, level.read_at = available, on_hand, now
        level.counted_at, level.counted_as = times[key], row.counted
    store(created + changed + unchanged)
    book_ledger.write(shelves, why, now, told_times(wanted, times))
    if created or changed:
        book_changed.send(Warehouse, warehouse=warehouse, what="stock")
    change.levels += StockChange(len(created), len(changed), len(unchanged))


class Since:
    """What happened to some SKUs since the moments of their counts. Called with the book locked; a constant number of
    queries for every 500 SKUs."""

    def __init__(self, warehouse: Warehouse, times: Mapping[StockKey, datetime]) -> None:
        self.times = times
        self.is_rest = warehouse.connector_class.worked_by_wms
        self.needs: dict[StockKey, Decimal] = defaultdict(lambda: ZERO)
        self.needs_not_in_figures: dict[StockKey, Decimal] = defaultdict(lambda: ZERO)
        self.shipped: dict[StockKey, Decimal] = defaultdict(lambda: ZERO)
        self.shipped_not_in_figures: dict[StockKey, Decimal] = defaultdict(lambda: ZERO)
        self.given_back: dict[StockKey, Decimal] = defaultdict(lambda: ZERO)
        self.moved: dict[StockKey, Decimal] = defaultdict(lambda: ZERO)
        places = {place for place, _ in times}
        earliest = min(times.values())
        for part in parts_of(sorted({key for _, key in times}), KEYS_PER_QUERY):
            self._read_orders(warehouse.pk, places, part)
            self._read_shipments(warehouse.pk, places, part, earliest)
            self._read_given_back(warehouse.pk, places, part, earliest)
            self._read_moves(places, part, earliest)

    def brought_up_to_date(self, key: StockKey, row: PostedStock) -> tuple[Decimal, Decimal]:
        """(available, on hand) as they are now."""
        figure = row.quantity + self.moved[key]
        if row.counted == Counted.ON_HAND:
            on_hand = figure - self.shipped[key]
            return on_hand - self.needs[key], on_hand
        free = figure - self.needs_not_in_figures[key] - self.shipped_not_in_figures[key] + self.given_back[key]
        return free, free + self.needs[key]

    def known_at(self, path: str) -> F | Coalesce:
        """From when on an order (found by following ``path``) is in the figures of whoever counts what is free."""
        if self.is_rest:
            return F(f"{path}__acknowledged_at")
        return Coalesce(F(f"{path}__changed_at"), F(f"{path}__received_at"))

    def is_in_figures(self, key: StockKey, known_at: datetime | None) -> bool:
        return known_at is not None and known_at < self.times[key]

    def _read_orders(self, warehouse_pk: int, places: Collection[int], keys: list[str]) -> None:
        lines = PickLine.objects.filter(
            pick_order__warehouse_id=warehouse_pk,
            pick_order__status__in=WAITING,
            pick_order__location_id__in=places,
            sku_key__in=keys,
            quantity__gt=F("shipped"),
        )
        rows = lines.order_by().annotate(known_at=self.known_at("pick_order"))
        rows = rows.values_list("pick_order__location_id", "sku_key", "known_at")
        for place, key, known_at, need in rows.annotate(need=Sum(F("quantity") - F("shipped"))).iterator():
            if (place, key) in self.times:
                self.needs[place, key] += exact(need)
                if not self.is_in_figures((place, key), known_at):
                    self.needs_not_in_figures[place, key] += exact(need)

    def _read_shipments(self, warehouse_pk: int, places: Collection[int], keys: list[str], earliest: datetime) -> None:
        """Nothing leaves after it was booked, so what was booked before the first moment is of no interest."""
        lines = PickShipmentLine.objects.filter(
            shipment__booked_at__gte=earliest,
            pick_line__sku_key__in=keys,
            pick_line__pick_order__warehouse_id=warehouse_pk,
            pick_line__pick_order__location_id__in=places,
        )
        rows = lines.order_by().annotate(known_at=self.known_at("pick_line__pick_order"))
        rows = rows.values_list(
            "pick_line__pick_order__location_id",
            "pick_line__sku_key",
            "known_at",
            "shipment__shipped_at",
            "shipment__booked_at",
            "quantity",
        )
        for place, key, known_at, shipped_at, booked_at, quantity in rows.iterator():
            if (place, key) in self.times and min(shipped_at, booked_at) >= self.times[place, key]:
                self.shipped[place, key] += quantity
                if not self.is_in_figures((place, key), known_at):
                    self.shipped_not_in_figures[place, key] += quantity

    def _read_given_back(self, warehouse_pk: int, places: Collection[int], keys: list[str], earliest: datetime) -> None:
        """Orders that were in the figures and that the WMS refused or cancelled after the count: they were reserved in
        it, and their goods are free now."""
        lines = PickLine.objects.filter(
            pick_order__warehouse_id=warehouse_pk,
            pick_order__answered_at__gt=earliest,
            pick_order__status__in=(PickOrder.Status.CANCELLED, PickOrder.Status.REFUSED),
            pick_order__location_id__in=places,
            sku_key__in=keys,
        )
        rows = lines.order_by().annotate(known_at=self.known_at("pick_order"))
        rows = rows.values_list(
            "pick_order__location_id",
            "sku_key",
            "known_at",
            "pick_order__answered_at",
            "quantity",
            "shipped",
        )
        for place, key, known_at, answered_at, quantity, shipped in rows.iterator():
            if (place, key) not in self.times or answered_at <= self.times[place, key]:
                continue
            if self.is_in_figures((place, key), known_at):
                self.given_back[place, key] += quantity - shipped

    def _read_moves(self, places: Collection[int], keys: list[str], earliest: datetime) -> None:
        """Returns, stock documents of the shops, and posted changes. What happened before it was entered counts from when
        it happened."""
        moves = StockMovement.objects.filter(
            location_id__in=places, sku_key__in=keys, moved_at__gte=earliest, cause__in=OTHER_MOVES
        )
        rows = moves.order_by().values_list("location_id", "sku_key", "counted_at", "moved_at", "quantity")
        for place, key, counted_at, moved_at, quantity in rows.iterator():
            if (place, key) in self.times and is_after(counted_at or moved_at, quantity, self.times[place, key]):
                self.moved[place, key] += quantity


def is_after(at: datetime, quantity: Decimal, counted_at: datetime) -> bool:
    """Did the change happen after the count? At the very same moment only what takes goods away did."""
    return at > counted_at or (at == counted_at and quantity < 0)


def ship_off(
    warehouse: Warehouse, pick_order: PickOrder, gone: Mapping[StockKey, Decimal], shipped_at: datetime, why: Why
) -> None:
    """Takes what was shipped off the shelf. What had left before the shelf was counted is not in the count: then it only
    is not needed any more. Called with the book locked."""
    levels = locked_levels(gone.keys())
    counted = {key for key, level in levels.items() if is_in_count(level, warehouse, pick_order, shipped_at)}
    move({key: -quantity for key, quantity in gone.items() if key not in counted}, why, reserved=True)
    reserve({key: quantity for key, quantity in gone.items() if key in counted}, +1)


def is_in_count(level: StockLevel, warehouse: Warehouse, pick_order: PickOrder, shipped_at: datetime) -> bool:
    """Had the goods left the shelf when it was counted, although their order still stood open in the hub?"""
    if level.counted_at is None or shipped_at >= level.counted_at:
        return False
    if level.counted_as == Counted.ON_HAND:
        return True
    if level.counted_as != Counted.AVAILABLE:
        return False
    # What an order needs that was in the figures was added to what is free, to get what lies on the shelf: it comes off.
    known_at = pick_order.acknowledged_at
    if not warehouse.connector_class.worked_by_wms:
        known_at = pick_order.changed_at or pick_order.received_at
    return known_at is None or known_at >= level.counted_at


# Changes


def book_changes(warehouse_pk: int, rows: Iterable[PostedStock], why: Why) -> PostedChange:
    """Adds to what lies on the shelf (and takes from it); what may be sold follows. A change from before the count that is
    known is in the count. Called inside a transaction. Raises ``BookError``."""
    wanted = checked(warehouse_pk, rows)
    change = PostedChange()
    for part in parts_of(wanted.items(), ROWS_PER_TRANSACTION):
        change_part(lock_book(warehouse_pk), dict(part), why, change)
    return change


def change_part(warehouse: Warehouse, wanted: Mapping[StockKey, PostedStock], why: Why, change: PostedChange) -> None:
    """Called with the book locked. A constant number of statements."""
    now = timezone.now()
    levels = locked_levels(wanted.keys())
    needs = open_needs(warehouse.pk, wanted.keys() - levels.keys())
    times = {key: min(row.at or now, now) for key, row in wanted.items()}
    moved: list[tuple[StockLevel, Decimal]] = []
    created = unchanged = 0
    for key, row in wanted.items():
        level = levels.get(key)
        if level is None:
            need = needs.get(key, ZERO)
            level = StockLevel(location_id=key[0], sku=row.sku.strip(), sku_key=key[1], available=-need, on_hand=ZERO)
            created += 1
        elif level.counted_at is not None and not is_after(times[key], row.quantity, level.counted_at):
            change.outdated.append(Outdated(row.row, level.counted_at))
            continue
        elif not row.quantity:
            unchanged += 1
            continue
        level.on_hand = (level.on_hand or ZERO) + row.quantity
        level.available += row.quantity
        level.read_at = level.changed_at = now
        moved.append((level, row.quantity))
    store(level for level, _ in moved)
    book_ledger.write(moved, why, now, told_times(wanted, times))
    if moved:
        book_changed.send(Warehouse, warehouse=warehouse, what="stock")
    change.levels += StockChange(created, len(moved) - created, unchanged)


def once(
    warehouse_pk: int, key: str, content: str, by: str, book: Callable[[], dict[str, Any]]
) -> tuple[dict[str, Any], bool]:
    """``book()`` (which returns what is answered) for a key that is new; the answer of then for one that came before.
    Returns the answer, and whether it came before. Called inside a transaction. Raises ``BookError`` when the key came
    with other content."""
    lock_book(warehouse_pk)
    fingerprint = hashlib.sha256(content.encode()).hexdigest()
    known = StockPosting.objects.filter(warehouse_id=warehouse_pk, idempotency_key=key).first()
    if known is not None:
        if known.fingerprint != fingerprint:
            raise BookError(
                f"The idempotency_key {key} was used on {known.posted_at:%d %b %Y %H:%M} UTC for other changes.",
                "Give every call a key of its own, and repeat a call unchanged.",
            )
        return known.answer, True
    answer: dict[str, Any] = book()
    StockPosting.objects.create(
        warehouse_id=warehouse_pk, idempotency_key=key, fingerprint=fingerprint, answer=answer, posted_by=by[:150]
    )
    return answer, False


# Inside


def checked(warehouse_pk: int, rows: Iterable[PostedStock]) -> dict[StockKey, PostedStock]:
    """By location and SKU. Raises ``BookError`` for a row that cannot be right."""
    now = timezone.now()
    wanted: dict[StockKey, PostedStock] = {}
    for row in rows:
        if row.location.warehouse_id != warehouse_pk:
            raise BookError(f"Location {row.location} belongs to another warehouse.")
        check_quantity(row.quantity)
        check_moment(row.at, now)
        key = row.location.pk, check_sku(row.sku)
        if key in wanted:
            raise BookError(f"Two rows are about {row.sku} at {row.location}.", "Send one row for each.")
        wanted[key] = row
    return wanted


def told_times(wanted: Mapping[StockKey, PostedStock], times: Mapping[StockKey, datetime]) -> dict[StockKey, datetime]:
    """The moments that whoever posted it named."""
    return {key: times[key] for key, row in wanted.items() if row.at is not None}


def exact(number: Decimal) -> Decimal:
    """Sums come back from SQLite with more decimals than any quantity has."""
    return number.quantize(FIVE_PLACES)
