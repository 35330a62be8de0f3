"""Stock that a shop moved: its documents as they are read, and adjustments and transfers on their way to a warehouse."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from enum import StrEnum


class ConsignmentKind(StrEnum):
    """What a shop does with stock, whatever the remote calls it."""

    PURCHASE = "purchase"  # received from a supplier
    SUPPLIER_RETURN = "supplier_return"  # sent back to a supplier
    COUNT = "count"  # counted on the shelf
    TRANSFER = "transfer"  # from one outlet to another
    MANUAL = "manual"  # an adjustment by hand, outside any of the others


class ConsignmentState(StrEnum):
    """What the remote's own status word means to the hub."""

    OPEN = "open"
    SENT = "sent"
    RECEIVED = "received"
    COUNTED = "counted"
    CANCELLED = "cancelled"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True, kw_only=True)
class ConsignmentLineRecord:
    """One article of a consignment. ``count`` is what was ordered, sent or expected, ``received`` what arrived or was
    counted; None when the remote does not say. ``problem``: why this line moved no stock, "" if it did."""

    product_id: str
    sku: str = ""
    name: str = ""
    count: Decimal | None = None
    received: Decimal | None = None
    cost: Decimal | None = None
    problem: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ConsignmentRecord:
    """A stock document of a shop. ``outlet_id`` is where the goods are or arrive, ``source_outlet_id`` where a transfer
    comes from. ``version`` grows with every change, also of a line. ``has_lines``: False when the lines were not read,
    because the document moved no stock (yet), or moved it before the reader was asked to look. The one line of a MANUAL
    adjustment holds what was added (or taken) as ``received``."""

    external_id: str
    kind: ConsignmentKind
    state: ConsignmentState
    outlet_id: str
    version: int = 0
    source_outlet_id: str = ""
    number: str = ""
    name: str = ""
    remote_status: str = ""
    created_at: datetime | None = None
    sent_at: datetime | None = None
    received_at: datetime | None = None
    updated_at: datetime | None = None
    has_lines: bool = True
    lines: tuple[ConsignmentLineRecord, ...] = ()
    payload: bytes = b""


@dataclass(frozen=True, slots=True, kw_only=True)
class OutboundStockLine:
    """``quantity`` of an adjustment is signed: what is added to (or taken from) the level. Of a transfer it is what moves;
    below zero in a later step that corrects an earlier one of its kind, so that less has moved in all. ``expected`` of
    an inventory count: what the shop's books said before somebody counted."""

    reference: str
    sku: str
    name: str
    quantity: Decimal
    cost: Decimal | None = None
    expected: Decimal | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class OutboundStockAdjustment:
    """A change of levels at one location, on its way to a warehouse. ``reference`` is unique for ever. A warehouse that
    knows absolute levels only is given level + quantity by its connector."""

    reference: str
    number: str
    location_id: str
    kind: ConsignmentKind
    happened_at: datetime
    cart_name: str = ""
    note: str = ""
    lines: tuple[OutboundStockLine, ...] = ()


class TransferStep(StrEnum):
    """SENT takes the goods from the source and puts them in transit, RECEIVED takes them out of transit. A warehouse that
    knows no transit gets one step, MOVED."""

    SENT = "sent"
    RECEIVED = "received"
    MOVED = "moved"


@dataclass(frozen=True, slots=True, kw_only=True)
class OutboundStockTransfer:
    """A transfer between two locations of one warehouse. ``reference`` is unique for ever and differs for each step;
    ``transfer_reference`` is the same for all steps of one transfer. ``remote_id``: the warehouse's id of the transfer
    that an earlier step made, "" for the first."""

    reference: str
    transfer_reference: str
    number: str
    step: TransferStep
    from_location_id: str
    to_location_id: str
    happened_at: datetime
    remote_id: str = ""
    cart_name: str = ""
    note: str = ""
    lines: tuple[OutboundStockLine, ...] = ()
