"""Stock levels, read and to be written."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class LevelRecord:
    """Stock of one article at one place (warehouse location or shop outlet). ``product_id`` or ``sku`` names it.

    ``as_of`` is when the figure was true at the remote; None: when it was read. ``location_name`` is what a location that
    is new to the hub is called.
    """

    location_id: str
    location_name: str = ""
    available: Decimal
    as_of: datetime | None = None
    product_id: str = ""
    sku: str = ""
    on_hand: Decimal | None = None
    version: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class LevelChange:
    """A level to be written. ``current`` is what the remote had when it was last read, ``desired`` what it should have."""

    product_id: str
    sku: str
    location_id: str
    current: Decimal
    desired: Decimal

    @property
    def difference(self) -> Decimal:
        return self.desired - self.current
