"""Canonical records: what travels between the remote world and the database.

Money and quantities are ``Decimal`` made from text, times are aware UTC, ids are opaque strings. Records are frozen:
whoever needs another value makes another record.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import Generic, TypeVar

from connectors.functions import Function

ZERO = Decimal(0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Address:
    """A postal address. ``country`` is ISO 3166 alpha-2 where the remote gives it."""

    name: str = ""
    company: str = ""
    street1: str = ""
    street2: str = ""
    suburb: str = ""
    city: str = ""
    state: str = ""
    postcode: str = ""
    country: str = ""
    phone: str = ""
    email: str = ""

    @property
    def is_usable(self) -> bool:
        """Can a parcel be sent here? Street, city and country are the least a carrier needs."""
        return bool(self.street1.strip() and self.city.strip() and self.country.strip())

    def as_dict(self) -> dict[str, str]:
        return {name: getattr(self, name) for name in ADDRESS_FIELDS}

    @classmethod
    def from_dict(cls, data: Mapping[str, object]) -> Address:
        return cls(**{name: str(data.get(name) or "") for name in ADDRESS_FIELDS})


ADDRESS_FIELDS = (
    "name",
    "company",
    "street1",
    "street2",
    "suburb",
    "city",
    "state",
    "postcode",
    "country",
    "phone",
    "email",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class OutletRecord:
    """A remote shop location found at a cart."""

    external_id: str
    name: str
    currency: str = ""
    time_zone: str = ""
    address: Address | None = None
    deleted: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class LocationRecord:
    """A place at a warehouse that holds stock."""

    external_id: str
    name: str
    is_active: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class CustomerRecord:
    """A cart's customer. A deleted one keeps its data. ``merged_into`` is the external id of the customer that took its
    place, where the remote tells."""

    external_id: str
    version: int = 0
    code: str = ""
    first_name: str = ""
    last_name: str = ""
    company: str = ""
    email: str = ""
    phone: str = ""
    ship_to: Address | None = None
    bill_to: Address | None = None
    is_walk_in: bool = False
    deleted: bool = False
    merged_into: str = ""

    @property
    def display_name(self) -> str:
        return " ".join(part for part in (self.first_name, self.last_name) if part) or self.company


class ProductKind(StrEnum):
    GOODS = "goods"
    GIFT_CARD = "gift_card"
    SERVICE = "service"
    COMPOSITE = "composite"
    DISCOUNT = "discount"


@dataclass(frozen=True, slots=True, kw_only=True)
class ProductRecord:
    """One sellable article (a variant, where the remote has families). ``prices`` maps price list -> amount."""

    external_id: str
    version: int = 0
    sku: str = ""
    name: str = ""
    handle: str = ""
    family_id: str = ""
    barcode: str = ""
    description: str = ""
    brand: str = ""
    product_type: str = ""
    supplier: str = ""
    supplier_code: str = ""
    tags: tuple[str, ...] = ()
    attributes: Mapping[str, str] = field(default_factory=dict)
    prices: Mapping[str, Decimal] = field(default_factory=dict)
    currency: str = ""
    kind: ProductKind = ProductKind.GOODS
    is_active: bool = True
    is_stock_tracked: bool = True
    deleted: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class PriceBookRecord:
    """A list of prices of a shop. ``is_base``: the prices that hold where no other book does. ``outlet_ids`` and
    ``customer_group_ids`` empty: everywhere, for everyone; ``customer_groups`` are their names as far as they are known.
    ``platform``: "" everywhere, else "store" or "online"."""

    external_id: str
    name: str
    is_base: bool = False
    outlet_ids: tuple[str, ...] = ()
    customer_group_ids: tuple[str, ...] = ()
    customer_groups: tuple[str, ...] = ()
    platform: str = ""
    valid_from: datetime | None = None
    valid_to: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PriceRecord:
    """One price of one product in one book. ``min_units`` and ``max_units``: for how many units it holds, None: any.
    ``version`` is the record's own, 0 where the price comes from the product itself."""

    product_id: str
    book: PriceBookRecord
    price: Decimal
    currency: str = ""
    min_units: Decimal | None = None
    max_units: Decimal | None = None
    external_id: str = ""
    version: int = 0


class RemoteOrderState(StrEnum):
    """What the remote's own status word means to the hub."""

    DRAFT = "draft"
    OPEN = "open"
    COMPLETE = "complete"
    CANCELLED = "cancelled"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderLineRecord:
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


@dataclass(frozen=True, slots=True, kw_only=True)
class PaymentRecord:
    external_id: str
    name: str
    amount: Decimal
    paid_at: datetime | None = None
    kind: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ChargeRecord:
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


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderRecord:
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


@dataclass(frozen=True, slots=True, kw_only=True)
class LevelRecord:
    """Stock of one article at one place (warehouse location or shop outlet). ``product_id`` or ``sku`` names it."""

    location_id: str
    available: Decimal
    product_id: str = ""
    sku: str = ""
    on_hand: Decimal | None = None
    version: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class ShipmentLineRecord:
    """``line_reference`` is the ``OutboundLine.reference`` the warehouse was given; else the SKU decides."""

    sku: str
    quantity: Decimal
    line_reference: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ShipmentRecord:
    """One parcel or consignment that left a warehouse. No lines = everything that was still open."""

    external_id: str
    order_reference: str
    shipped_at: datetime
    carrier: str = ""
    method: str = ""
    tracking_number: str = ""
    tracking_url: str = ""
    lines: tuple[ShipmentLineRecord, ...] = ()


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


@dataclass(frozen=True, slots=True, kw_only=True)
class WriteResult:
    """What became of one item of a write: done (``remote_id``) or rejected for good (``reason``, and ``fix`` in words)."""

    reference: str
    ok: bool
    remote_id: str = ""
    reason: str = ""
    fix: str = ""

    @classmethod
    def done(cls, reference: str, remote_id: str = "") -> WriteResult:
        return cls(reference=reference, ok=True, remote_id=remote_id)

    @classmethod
    def rejected(cls, reference: str, reason: str, fix: str = "") -> WriteResult:
        return cls(reference=reference, ok=False, reason=reason, fix=fix)


@dataclass(frozen=True, slots=True, kw_only=True)
class Reject:
    """A record that could not be mapped: kept whole, with the reason, for a person to look at."""

    external_id: str
    reason: str
    payload: bytes = b""


RecordT = TypeVar("RecordT", covariant=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class Page(Generic[RecordT]):
    """One page of a feed. ``cursor`` is where to go on **after** this page is stored; it is opaque to the engine.

    ``skipped`` counts records that do not concern this connection (another outlet, for example).
    """

    records: Sequence[RecordT]
    cursor: str
    rejects: Sequence[Reject] = ()
    skipped: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Hint:
    """What a webhook says: *look here*. ``functions`` are the functions to run because of it."""

    topic: str
    external_id: str = ""
    functions: tuple[Function, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class TestStep:
    """One step of a connection's Test. ``help`` says what to do when ``ok`` is False."""

    __test__ = False  # not a test case, whatever pytest thinks of the name

    name: str
    ok: bool
    message: str
    help: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ProductRules:
    """How a cart takes products. ``off_reason`` says why its own options want nothing written. ``plain_skus``: a SKU
    has letters and digits only. ``supply_by_supplier``: supply price and supplier code belong to a supplier; a product that
    has none has neither. A price list "" leaves that price alone; 0 is no limit."""

    off_reason: str = ""
    retail_price_list: str = "retail"
    supply_price_list: str = ""
    most_variants: int = 0
    most_attributes: int = 0
    plain_skus: bool = False
    supply_by_supplier: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class VariantChange:
    """One article of a family: to be created (no ``remote_id``), or changed. None leaves a field alone. ``reference`` is
    the warehouse's product id, ``sku`` the warehouse's SKU as it is there."""

    reference: str
    sku: str
    remote_id: str = ""
    barcode: str | None = None
    supplier_code: str | None = None
    retail_price: Decimal | None = None
    supply_price: Decimal | None = None
    attributes: Mapping[str, str] | None = None

    @property
    def is_empty(self) -> bool:
        """Is nothing of this article itself to be written?"""
        fields = (self.barcode, self.supplier_code, self.retail_price, self.supply_price, self.attributes)
        return bool(self.remote_id) and all(value is None for value in fields)


@dataclass(frozen=True, slots=True, kw_only=True)
class ProductFamilyChange:
    """What is to be written of one product of the warehouse and its variants: nothing but differences.

    ``handle`` is the warehouse's id of the family. ``remote_id`` is the cart's id of any of its articles, "" when the
    cart has none of them. ``name`` is always given and written when the family is created or ``renamed``; of the other
    fields None leaves alone what the cart has. ``in_doubt``: an earlier creation got no answer, look before creating.
    """

    handle: str
    name: str
    variants: tuple[VariantChange, ...]
    remote_id: str = ""
    renamed: bool = False
    description: str | None = None
    brand: str | None = None
    product_type: str | None = None
    supplier: str | None = None
    tags: tuple[str, ...] | None = None
    in_doubt: bool = False
