"""The ledger of the built-in warehouse: every change of what lies on the shelf, with its cause."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

from django.db.models import F, Sum

from carts.models import Location, PickLine, PickOrder, StockLevel, StockMovement, StockOnItsWay

Cause = StockMovement.Cause
WAITING = (PickOrder.Status.OPEN, PickOrder.Status.PARTLY_SHIPPED)
MOST_MOVEMENTS = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Why:
    """Why stock moves. ``document`` is the number of the order or document behind it, ``actor`` who did it."""

    cause: str
    document: str = ""
    note: str = ""
    actor: str = ""


BY_HAND = Why(cause=Cause.PERSON)


def write(
    moved: Iterable[tuple[StockLevel, Decimal]],
    why: Why,
    at: datetime,
    counted_at: Mapping[tuple[int, str], datetime] | None = None,
) -> None:
    """Enters (level as it is now, what was added to the shelf). Levels whose shelf did not change are left out.
    ``counted_at`` says, by location and SKU key, of when a count is or when a change happened."""
    times = counted_at or {}
    StockMovement.objects.bulk_create(
        StockMovement(
            location_id=level.location_id,
            sku=level.sku,
            sku_key=level.sku_key,
            cause=why.cause,
            quantity=quantity,
            on_hand=level.on_hand if level.on_hand is not None else level.available,
            available=level.available,
            document=why.document[:200],
            note=why.note[:300],
            actor=why.actor[:150],
            moved_at=at,
            counted_at=times.get((level.location_id, level.sku_key)),
        )
        for level, quantity in moved
        if quantity
    )


def ledger_of(location: Location, sku_key: str) -> dict[str, Any]:
    """What the page of one SKU at one location tells: its last movements, newest first, what lay there before the first of
    them, what open orders need of it, and what stock documents on their way will change."""
    rows = StockMovement.objects.filter(location=location, sku_key=sku_key).order_by("-moved_at", "-pk")
    movements = list(rows[:MOST_MOVEMENTS])
    needed = PickLine.objects.filter(
        pick_order__location=location, pick_order__status__in=WAITING, sku_key=sku_key, quantity__gt=F("shipped")
    ).aggregate(need=Sum(F("quantity") - F("shipped")))["need"]
    coming = StockOnItsWay.objects.filter(location=location, sku_key=sku_key).aggregate(sum=Sum("quantity"))["sum"]
    return {
        "location": location,
        "movements": movements,
        "number": rows.count() if len(movements) == MOST_MOVEMENTS else len(movements),
        "before": movements[-1].on_hand - movements[-1].quantity if movements else None,
        "needed": needed or Decimal(0),
        "coming": coming or Decimal(0),
    }
