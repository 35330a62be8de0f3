"""What a warehouse says of the orders it was sent: read to be compared, never to be stored."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum


class SentOrderState(StrEnum):
    """What the warehouse's own status word means to the hub."""

    OPEN = "open"
    SHIPPED = "shipped"
    CANCELLED = "cancelled"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True, kw_only=True)
class SentOrderRecord:
    """``reference`` is the one the hub sent it under. ``total`` is the order's total as the hub sent it, where the
    warehouse keeps just that; None where it keeps none, or makes one of its own (its own taxes, for example)."""

    reference: str
    remote_id: str
    state: SentOrderState
    remote_status: str = ""
    total: Decimal | None = None
