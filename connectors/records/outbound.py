"""Orders, cancellations, returns and shipments on their way to the other side."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from connectors.records.amounts import ZERO
from connectors.records.orders import ShipmentLineRecord
from connectors.records.places import Address


@dataclass(frozen=True, slots=True, kw_only=True)
class OutboundLine:
    reference: str
    sku: str
    name: str
    quantity: Decimal
    unit_price: Decimal = ZERO
    discount: Decimal = ZERO
    tax: Decimal = ZERO
    total: Decimal = ZERO
    note: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class OutboundOrder:
    """An order on its way to a warehouse. ``reference`` is unique for ever and settles an unknown outcome."""

    reference: str
    number: str
    location_id: str
    cart_name: str
    placed_at: datetime
    currency: str
    total: Decimal
    tax_total: Decimal
    shipping_total: Decimal
    discount_total: Decimal
    ship_to: Address
    bill_to: Address | None
    customer_name: str = ""
    customer_email: str = ""
    ship_method: str = ""
    note: str = ""
    lines: tuple[OutboundLine, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class OutboundOrderChange:
    """Asks the warehouse to change the order it knows as ``order.reference`` (its own id: ``remote_id``) into ``order``.
    ``reference`` is unique for ever and differs for every change; ``summary`` says in words what differs."""

    reference: str
    remote_id: str
    order: OutboundOrder
    summary: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class OutboundCancellation:
    """Asks the warehouse to cancel the order it knows as ``reference`` (its own id: ``remote_id``)."""

    reference: str
    remote_id: str
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class OutboundShipment:
    """Tells a cart what was shipped for its order ``order_id`` (the cart's own id). ``lines`` name the cart's own line
    ids. ``completes`` is True when nothing of the order is open any more. ``reference`` is unique for ever."""

    reference: str
    order_id: str
    shipped_at: datetime
    carrier: str = ""
    method: str = ""
    tracking_number: str = ""
    tracking_url: str = ""
    lines: tuple[ShipmentLineRecord, ...] = ()
    completes: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class OutboundRefundLine:
    """Goods that come back. ``order_line_reference`` is the ``OutboundLine.reference`` of the line they were sold on, ""
    when it is not known."""

    reference: str
    sku: str
    name: str
    quantity: Decimal
    amount: Decimal = ZERO
    tax: Decimal = ZERO
    order_line_reference: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class OutboundRefund:
    """A return on its way to a warehouse. ``reference`` is unique for ever. ``order_reference`` is the order's reference
    there, "" when the warehouse never had it. ``restock`` None: whoever receives the goods decides."""

    reference: str
    number: str
    order_reference: str
    order_number: str
    location_id: str
    cart_name: str
    placed_at: datetime
    currency: str
    amount: Decimal
    tax: Decimal
    customer_name: str = ""
    reason: str = ""
    restock: bool | None = None
    lines: tuple[OutboundRefundLine, ...] = ()
