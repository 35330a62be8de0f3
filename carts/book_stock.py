"""The stock of the built-in warehouse: what lies there, what orders need of it, and how both change together."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from itertools import islice
from typing import Literal, TypeVar

from django.db import transaction
from django.db.models import F, Sum
from django.utils import timezone

from carts import book_ledger
from carts.book_checks import FIVE_PLACES, BookError, check_quantity, check_sku
from carts.book_ledger import BY_HAND, WAITING, Why
from carts.models import Location, PickLine, PickOrder, StockLevel, Warehouse
from carts.models.fields import plain_key
from carts.signals import book_changed
from carts.stock_keys import articles_changed

ROWS_PER_TRANSACTION = 1000
KEYS_PER_QUERY = 500
ZERO = Decimal(0)

ItemT = TypeVar("ItemT")
StockKey = tuple[int, str]  # location pk, SKU key
StockNumber = Literal["available", "on_hand"]


@dataclass(frozen=True, slots=True)
class StockChange:
    """What setting stock did, in rows."""

    created: int = 0
    changed: int = 0
    unchanged: int = 0

    def __add__(self, other: StockChange) -> StockChange:
        return StockChange(self.created + other.created, self.changed + other.changed, self.unchanged + other.unchanged)


def lock_book(warehouse_pk: int) -> Warehouse:
    """Takes turns with every other writer of this warehouse's book until the transaction ends. Only the warehouse's own
    narrow row is locked, which nobody updates: its health and settings are in the connection's row."""
    return Warehouse.objects.select_for_update(of=("self",), no_key=True).get(pk=warehouse_pk)


def set_stock(
    warehouse_pk: int, number: StockNumber, rows: Iterable[tuple[Location, str, Decimal]], why: Why = BY_HAND
) -> StockChange:
    """Sets one number of (location, SKU, quantity); the other follows. All rows are checked before the first is written.
    Raises ``BookError``."""
    wanted: dict[StockKey, tuple[str, Decimal]] = {}
    for place, sku, quantity in rows:
        if place.warehouse_id != warehouse_pk:
            raise BookError(f"Location {place} belongs to another warehouse.")
        wanted[place.pk, check_sku(sku)] = (sku.strip(), check_quantity(quantity))
    change = StockChange()
    for part in parts_of(wanted.items(), ROWS_PER_TRANSACTION):
        with transaction.atomic():
            change += set_part(lock_book(warehouse_pk), number, dict(part), why)
    return change


def set_part(
    warehouse: Warehouse, number: StockNumber, wanted: Mapping[StockKey, tuple[str, Decimal]], why: Why
) -> StockChange:
    """Called with the book locked."""
    now = timezone.now()
    levels = locked_levels(wanted.keys())
    needs = open_needs(warehouse.pk, wanted.keys())
    created, changed, unchanged = [], [], []
    shelves: list[tuple[StockLevel, Decimal]] = []
    for key, (sku, quantity) in wanted.items():
        need = needs.get(key, ZERO)
        available, on_hand = (quantity, quantity + need) if number == "available" else (quantity - need, quantity)
        level = levels.get(key)
        if level is None:
            level = StockLevel(location_id=key[0], sku=sku, sku_key=key[1])
            created.append(level)
        elif (level.available, level.on_hand) == (available, on_hand):
            unchanged.append(level.pk)
            continue
        else:
            changed.append(level)
        shelves.append((level, on_hand - (level.on_hand or ZERO)))
        level.available, level.on_hand = available, on_hand
        level.read_at = level.changed_at = level.counted_at = now
        level.counted_as = ""
    store(created + changed)
    articles_changed(warehouse.pk, {plain_key(level.sku) for level in created})
    book_ledger.write(shelves, why, now)
    for part in parts_of(unchanged, KEYS_PER_QUERY):
        StockLevel.objects.filter(pk__in=part).update(read_at=now, counted_at=now, counted_as="")
    if created or changed:
        book_changed.send(Warehouse, warehouse=warehouse, what="stock")
    return StockChange(len(created), len(changed), len(unchanged))


def reserve(quantities: Mapping[StockKey, Decimal], sign: Literal[1, -1]) -> None:
    """Takes from (-1) or gives back to (+1) what may be sold; what lies on the shelf stays. Called with the book
    locked."""
    now = timezone.now()
    moved = []
    for key, level in locked_levels(quantities.keys()).items():
        if quantities[key]:
            level.available += sign * quantities[key]
            level.read_at = level.changed_at = now
            moved.append(level)
    store(moved)


def move(quantities: Mapping[StockKey, Decimal], why: Why, *, reserved: bool = False) -> set[StockKey]:
    """Adds to (or takes from) the shelf; what may be sold follows, unless it was ``reserved`` before. Enters it in the
    ledger. Only stock rows that exist move: returns which do. Called with the book locked."""
    now = timezone.now()
    levels = locked_levels(quantities.keys())
    moved = []
    for key, level in levels.items():
        quantity = quantities[key]
        if quantity and level.on_hand is not None:
            level.on_hand += quantity
            level.available += ZERO if reserved else quantity
            level.read_at = level.changed_at = now
            moved.append((level, quantity))
    store(level for level, _ in moved)
    book_ledger.write(moved, why, now)
    return set(levels)


def locked_levels(keys: Collection[StockKey]) -> dict[StockKey, StockLevel]:
    """The stock rows that exist, locked in the order of their primary keys."""
    found: dict[StockKey, StockLevel] = {}
    places = {place for place, _ in keys}
    for part in parts_of(sorted({key for _, key in keys}), KEYS_PER_QUERY):
        rows = StockLevel.objects.select_for_update().filter(location_id__in=places, sku_key__in=part)
        for level in rows.order_by("pk"):
            if (level.location_id, level.sku_key) in keys:
                found[level.location_id, level.sku_key] = level
    return found


def open_needs(warehouse_pk: int, keys: Collection[StockKey]) -> dict[StockKey, Decimal]:
    """What the open pick lines still need."""
    needs: dict[StockKey, Decimal] = {}
    places = {place for place, _ in keys}
    for part in parts_of(sorted({key for _, key in keys}), KEYS_PER_QUERY):
        rows = PickLine.objects.filter(
            pick_order__warehouse_id=warehouse_pk,
            pick_order__status__in=WAITING,
            pick_order__location_id__in=places,
            sku_key__in=part,
            quantity__gt=F("shipped"),
        )
        sums = rows.order_by().values_list("pick_order__location_id", "sku_key")
        for place, key, need in sums.annotate(need=Sum(F("quantity") - F("shipped"))):
            needs[place, key] = need.quantize(FIVE_PLACES)
    return needs


def needs_of(lines: Iterable[PickLine]) -> dict[StockKey, Decimal]:
    """What lines still need, per location and SKU. Their pick orders must be loaded."""
    return total((line.pick_order.location_id, line.sku_key, line.open_quantity) for line in lines)


def take_off(pick_order: PickOrder, status: str, reason: str) -> None:
    """Takes an open order off the list: its goods are free again. Called with the book locked."""
    reserve(needs_of(pick_order.lines.select_related("pick_order")), +1)
    word = pick_order.Status(status).label
    pick_order.status = status
    pick_order.note = f"{pick_order.note}\n{word}: {reason}".strip() if reason else pick_order.note
    pick_order.save(update_fields=["status", "note", "updated_at"])


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
                counted_at=level.counted_at,
                counted_as=level.counted_as,
            )
            for level in levels
        ],
        update_conflicts=True,
        unique_fields=["location", "sku_key"],
        update_fields=["available", "on_hand", "read_at", "changed_at", "counted_at", "counted_as"],
    )


def parts_of(items: Iterable[ItemT], size: int) -> Iterator[list[ItemT]]:
    iterator = iter(items)
    while part := list(islice(iterator, size)):
        yield part
