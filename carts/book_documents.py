"""Stock documents of the shops in the built-in warehouse's book: adjustments, and transfers in two steps.

The goods of a transfer leave one location when it is sent and are at the other when it is received; in between they are
at neither. An SKU of which the warehouse keeps no stock cannot move: it is named in the result, the others are booked. One
that it keeps at another location only gets its entry where the goods arrive.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from decimal import Decimal

from django.utils import timezone

from carts.book_checks import BookError, LocationFinder, check_quantity
from carts.book_ledger import Cause, Why
from carts.book_stock import ZERO, StockKey, lock_book, locked_levels, move, open_needs, store, total
from carts.models import BookedDocument, Location, StockLevel, Warehouse
from carts.models.catalogue import sku_key
from carts.signals import book_changed
from connectors.records import (
    ConsignmentKind,
    OutboundStockAdjustment,
    OutboundStockLine,
    OutboundStockTransfer,
    TransferStep,
    WriteResult,
)

Kind = BookedDocument.Kind
WORDS = {
    ConsignmentKind.PURCHASE: "stock order",
    ConsignmentKind.SUPPLIER_RETURN: "return to supplier",
    ConsignmentKind.COUNT: "inventory count",
    ConsignmentKind.TRANSFER: "stock transfer",
    ConsignmentKind.MANUAL: "manual adjustment",
}
STEP_WORDS = {TransferStep.SENT: "sent", TransferStep.RECEIVED: "received", TransferStep.MOVED: "moved"}


def find(warehouse_pk: int, kind: str, reference: str) -> str | None:
    rows = BookedDocument.objects.filter(warehouse_id=warehouse_pk, kind=kind, reference=reference)
    pk = rows.values_list("pk", flat=True).first()
    return None if pk is None else str(pk)


def adjust(warehouse_pk: int, places: LocationFinder, adjustment: OutboundStockAdjustment) -> WriteResult:
    """Called inside a transaction."""
    warehouse = lock_book(warehouse_pk)
    known = known_document(warehouse, Kind.ADJUSTMENT, adjustment.reference)
    if known is not None:
        return known
    try:
        place = places.find_for_order(adjustment.location_id)
        quantities = quantities_at(place, adjustment.lines)
    except BookError as error:
        return WriteResult.rejected(adjustment.reference, str(error), error.fix)
    why = Why(
        cause=Cause.ADJUSTMENT,
        document=adjustment.number,
        note=f"{WORDS[adjustment.kind]} {adjustment.note}".strip(),
        actor=adjustment.cart_name,
    )
    open_entries(warehouse, quantities, adjustment.lines)
    moved = move(quantities, why)
    return booked(warehouse, Kind.ADJUSTMENT, adjustment, quantities.keys() - moved)


def transfer(warehouse_pk: int, places: LocationFinder, step: OutboundStockTransfer) -> WriteResult:
    """Called inside a transaction."""
    warehouse = lock_book(warehouse_pk)
    known = known_document(warehouse, Kind.TRANSFER, step.reference)
    if known is not None:
        return known
    try:
        start, end = places.find_for_order(step.from_location_id), places.find_for_order(step.to_location_id)
        out = quantities_at(start, step.lines, -1) if step.step is not TransferStep.RECEIVED else {}
        arriving = quantities_at(end, step.lines)
    except BookError as error:
        return WriteResult.rejected(step.reference, str(error), error.fix)
    quantities = {**out, **(arriving if step.step is not TransferStep.SENT else {})}
    why = Why(
        cause=Cause.TRANSFER,
        document=step.number,
        note=f"{STEP_WORDS[step.step]}, {start} to {end} {step.note}".strip(),
        actor=step.cart_name,
    )
    open_entries(warehouse, arriving, step.lines)
    moved = move(quantities, why)
    return booked(warehouse, Kind.TRANSFER, step, quantities.keys() - moved)


def open_entries(
    warehouse: Warehouse, quantities: Mapping[StockKey, Decimal], lines: Iterable[OutboundStockLine]
) -> None:
    """Stock rows for goods that arrive at (or are counted at) a location that had none of them, if the warehouse keeps them
    elsewhere. They begin with nothing; after a count with what the shop's books said before it, so that what was counted
    is what lies there in the end."""
    names = {sku_key(line.sku): line.sku.strip() for line in lines}
    before = {sku_key(line.sku): check_quantity(line.expected) for line in lines if line.expected is not None}
    new = {key for key, quantity in quantities.items() if quantity > 0 or key[1] in before}
    missing = new - locked_levels(new).keys()
    rows = StockLevel.objects.filter(location__warehouse=warehouse, sku_key__in={key for _, key in missing})
    kept = set(rows.values_list("sku_key", flat=True))
    needs = open_needs(warehouse.pk, missing)
    now = timezone.now()
    store(
        StockLevel(
            location_id=place,
            sku=names[key],
            sku_key=key,
            available=before.get(key, ZERO) - needs.get((place, key), ZERO),
            on_hand=before.get(key, ZERO),
            read_at=now,
            changed_at=now,
        )
        for place, key in sorted(missing)
        if key in kept
    )


def quantities_at(place: Location, lines: Iterable[OutboundStockLine], sign: int = 1) -> dict[StockKey, Decimal]:
    """Raises ``BookError`` for a quantity that cannot be stored."""
    return total((place.pk, sku_key(line.sku), sign * check_quantity(line.quantity)) for line in lines)


def known_document(warehouse: Warehouse, kind: str, reference: str) -> WriteResult | None:
    """The result of then, for a document that was booked before."""
    known = BookedDocument.objects.filter(warehouse=warehouse, kind=kind, reference=reference).first()
    return None if known is None else result_of(known)


def booked(
    warehouse: Warehouse,
    kind: str,
    document: OutboundStockAdjustment | OutboundStockTransfer,
    unknown: Iterable[StockKey],
) -> WriteResult:
    keys = {key for _, key in unknown}
    skus = sorted({line.sku for line in document.lines if sku_key(line.sku) in keys})
    remark = f"The warehouse keeps no stock of {', '.join(skus)} there." if skus else ""
    if skus and keys >= {sku_key(line.sku) for line in document.lines}:
        return WriteResult.rejected(document.reference, remark, "Enter their stock there first, then send it again.")
    entry = BookedDocument.objects.create(
        warehouse=warehouse, kind=kind, reference=document.reference, number=document.number[:120], remark=remark
    )
    book_changed.send(Warehouse, warehouse=warehouse, what="stock")
    return result_of(entry)


def result_of(entry: BookedDocument) -> WriteResult:
    return WriteResult(reference=entry.reference, ok=True, remote_id=str(entry.pk), reason=entry.remark)
