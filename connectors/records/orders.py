"""Orders, returns and shipments, as they are read. What an order consists of is made by the hundred thousand: as structs,
which cost a tenth of a frozen dataclass. ``gc=False``: nothing in them refers back, so the collector need not look."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from enum import StrEnum

from msgspec import Struct

from connectors.records.amounts import ZERO
from connectors.records.catalogue import CustomerRecord
from connectors.records.places import Address


class RemoteOrderState(StrEnum):
    """What the remote's own status word means to the hub."""

    DRAFT = "draft"
    OPEN = "open"
    COMPLETE = "complete"
    CANCELLED = "cancelled"
    UNKNOWN = "unknown"


class OrderLineRecord(Struct, frozen=True, kw_only=True, gc=False):
    """One line of goods. ``unit_price`` is what one unit is charged before tax; ``discount`` and ``tax`` are for the
    whole line; ``total`` is ``unit_price x quantity`` as the remote states it. ``sku`` may be empty when the remote
    only gives a product id: the hub then looks it up among the cart's products."""

    external_id: str
    product_id: str = ""
    sku: str = ""
    name: str = ""
    quantity: Decimal
    unit_price: Decimal = ZERO
    discount: Decimal = ZERO
    tax: Decimal = ZERO
    total: Decimal = ZERO
    note: str = ""
    ships: bool = True


class PaymentRecord(Struct, frozen=True, kw_only=True, gc=False):
    external_id: str
    name: str
    amount: Decimal
    paid_at: datetime | None = None
    kind: str = ""


class ChargeRecord(Struct, frozen=True, kw_only=True, gc=False):
    """A charge or reduction beside the goods: tax per rate, shipping, surcharge, tip, non-cash fee, sale discount."""

    kind: str
    name: str
    amount: Decimal
    tax: Decimal = ZERO
    external_id: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class RefundRecord:
    """What a sale takes back: quantities and money are above zero, ``payments`` is money given back, ``amount`` includes
    tax. ``return_for`` is the external id of the order that it returns, "" when the remote names none. ``restock`` None:
    the remote does not tell whether the goods may be sold again."""

    return_for: str = ""
    lines: tuple[OrderLineRecord, ...] = ()
    amount: Decimal
    tax: Decimal = ZERO
    payments: tuple[PaymentRecord, ...] = ()
    reason: str = ""
    restock: bool | None = None


class OrderRecord(Struct, frozen=True, kw_only=True, gc=False):
    """One order as the remote has it now. Totals are kept **as sent**, never recomputed.

    ``version`` orders the states of one order: an older one never overwrites a newer one.
    ``importable`` is False for an order that the cart's own options leave out (status, date); it still matters when the
    order was imported earlier. ``hold_reason`` asks for a human before the order may go to a warehouse.
    ``customer_id`` lets the hub fill ``customer``, ``ship_to`` and ``bill_to`` from the customers it keeps;
    ``fallback_ship_to`` is used when neither the order nor the customer has a usable address.
    ``return_for`` is the external id of the order that this one returns. ``refund`` is what it takes back: all of a
    return, the returned part of an exchange.
    ``unexplained`` is what of ``total`` the parts leave open: total - (totals of the lines + amounts of all charges but
    those of kind "tax" + ``tax_total``). Zero when no more than rounding is left. Lines of a return count as negative.
    """

    external_id: str
    number: str
    version: int
    state: RemoteOrderState
    remote_status: str
    importable: bool = True
    skip_reason: str = ""
    hold_reason: str = ""
    placed_at: datetime
    updated_at: datetime | None = None
    currency: str = ""
    subtotal: Decimal = ZERO
    discount_total: Decimal = ZERO
    shipping_total: Decimal = ZERO
    tax_total: Decimal = ZERO
    total: Decimal = ZERO
    unexplained: Decimal = ZERO
    lines: tuple[OrderLineRecord, ...] = ()
    payments: tuple[PaymentRecord, ...] = ()
    charges: tuple[ChargeRecord, ...] = ()
    customer: CustomerRecord | None = None
    customer_id: str = ""
    ship_to: Address | None = None
    bill_to: Address | None = None
    fallback_ship_to: Address | None = None
    ship_method: str = ""
    note: str = ""
    return_for: str = ""
    refund: RefundRecord | None = None
    raw: bytes = b""


@dataclass(frozen=True, slots=True, kw_only=True)
class CancellationRecord:
    """An order that a cart cancelled, or that a warehouse gave up."""

    order_id: str
    reason: str = ""
    cancelled_at: datetime | None = None


class OrderAnswer(StrEnum):
    """What a warehouse can decide about an order that it was given."""

    REFUSED = "refused"  # it will not ship it
    HELD = "held"  # it cannot ship it as it is; a person must look
    CANCELLED = "cancelled"  # it is cancelled there, because it was asked to or by itself
    CANCELLATION_REFUSED = "cancellation_refused"  # it was asked to cancel it and will not


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderAnswerRecord:
    """A warehouse's decision about the order that it knows as ``order_reference``."""

    order_reference: str
    answer: OrderAnswer
    answered_at: datetime
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ShipmentLineRecord:
    """``line_reference`` is the ``OutboundLine.reference`` the warehouse was given; else the SKU decides."""

    sku: str
    quantity: Decimal
    line_reference: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ShipmentRecord:
    """One parcel or consignment that left a warehouse. No lines = everything that was still open.

    ``remote_order_id`` is the warehouse's own id of the order, by which the hub finds it where ``order_reference`` came
    back changed. ``acknowledgement``: what to name when the warehouse is told that this is stored here
    (``ports.ShipmentAcknowledger``); "" when it need not be told.
    """

    external_id: str
    order_reference: str
    remote_order_id: str = ""
    acknowledgement: str = ""
    shipped_at: datetime
    carrier: str = ""
    method: str = ""
    tracking_number: str = ""
    tracking_url: str = ""
    lines: tuple[ShipmentLineRecord, ...] = ()
