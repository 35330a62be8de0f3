"""The ledger of the built-in warehouse: every change of what lies on the shelf, with its cause."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from carts.models import StockLevel, StockMovement

Cause = StockMovement.Cause


@dataclass(frozen=True, slots=True, kw_only=True)
class Why:
    """Why stock moves. ``document`` is the number of the order or document behind it, ``actor`` who did it."""

    cause: str
    document: str = ""
    note: str = ""
    actor: str = ""


BY_HAND = Why(cause=Cause.PERSON)


def write(moved: Iterable[tuple[StockLevel, Decimal]], why: Why, at: datetime) -> None:
    """Enters (level as it is now, what was added to the shelf). Levels whose shelf did not change are left out."""
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
        )
        for level, quantity in moved
        if quantity
    )
