"""A sale as the fake retailer keeps it: lines, payments, states and totals. Source: vend.md 3.3, 3.5 and 8.

Money is ``Decimal``, before tax unless named otherwise. Attribute names are those of API 2.0, and every attribute can
be read as ``sale["..."]`` too.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Any

ZERO = Decimal(0)

# legacy status -> (state, attribute); vend.md 3.5
STATUSES: dict[str, tuple[str, str]] = {
    "SAVED": ("parked", ""),
    "OPEN": ("pending", ""),
    "VOIDED": ("voided", ""),
    "CLOSED": ("closed", ""),
    "ONACCOUNT": ("pending", "onaccount"),
    "ONACCOUNT_CLOSED": ("closed", "onaccount"),
    "LAYBY": ("pending", "layby"),
    "LAYBY_CLOSED": ("closed", "layby"),
    "AWAITING_DISPATCH": ("pending", "delivery"),
    "DISPATCHED_CLOSED": ("closed", "delivery"),
    "AWAITING_PICKUP": ("pending", "pickup"),
    "PICKED_UP_CLOSED": ("closed", "pickup"),
    "SERVICE": ("pending", "service"),
    "SERVICE_CLOSED": ("closed", "service"),
}
# The attribute that names the status when a sale has several.
NAMING_ORDER = ("delivery", "pickup", "layby", "onaccount", "service")
EXCLUDED_PAIRS = (("onaccount", "layby"), ("pickup", "delivery"))


def legacy_status(state: str, attributes: list[str]) -> str:
    """``("pending", ["delivery"])`` -> ``AWAITING_DISPATCH``; an unknown state is passed on in capitals."""
    if state in ("pending", "closed"):
        naming = next((name for name in NAMING_ORDER if name in attributes), "")
        for status, meaning in STATUSES.items():
            if meaning == (state, naming):
                return status
    return {"parked": "SAVED", "voided": "VOIDED"}.get(state, state.upper())


class Readable:
    """Attributes readable with square brackets, as those of the other records."""

    __slots__ = ()

    def __getitem__(self, name: str) -> Any:
        try:
            return getattr(self, name)
        except AttributeError:
            raise KeyError(name) from None


@dataclass(slots=True)
class SaleLine(Readable):
    """``price`` is the unit price charged before tax; ``discount`` the unit reduction already taken off it; ``tax`` the
    tax of one unit. ``quantity`` is negative on return lines. ``fulfilled`` counts what was handed over."""

    id: str
    product_id: str
    quantity: Decimal
    price: Decimal
    tax: Decimal
    tax_id: str
    discount: Decimal = ZERO
    cost: Decimal = ZERO
    loyalty_value: Decimal = ZERO
    price_set: bool = False
    sequence: int = 0
    note: str | None = None
    status: str = "CONFIRMED"
    is_return: bool = False
    return_reason: str | None = None
    salesperson_id: str | None = None
    register_id: str | None = None
    gift_card_number: str | None = None
    promotions: list[Any] = field(default_factory=list)
    surcharges: list[Any] = field(default_factory=list)
    customizations: list[Any] = field(default_factory=list)
    tax_components: list[dict[str, Any]] = field(default_factory=list)
    picked: Decimal = ZERO
    packed: Decimal = ZERO
    fulfilled: Decimal = ZERO

    @property
    def counts(self) -> bool:
        return self.status != "VOIDED"

    @property
    def price_total(self) -> Decimal:
        return self.price * self.quantity

    @property
    def tax_total(self) -> Decimal:
        return self.tax * self.quantity


@dataclass(slots=True)
class SalePayment(Readable):
    """Money taken, or given back when ``amount`` is negative. Includes tax."""

    id: str
    amount: Decimal
    payment_date: datetime
    retailer_payment_type_id: str
    payment_type_id: str
    name: str
    register_id: str | None
    outlet_id: str | None
    source_id: str | None = None
    surcharge: dict[str, Any] | None = None
    external_attributes: list[Any] = field(default_factory=list)
    external_applications: list[Any] = field(default_factory=list)
    deleted_at: datetime | None = None


@dataclass(slots=True)
class Sale(Readable):
    """One sale. ``stated`` overrides computed totals with what a test wants said (``total_price``, ``total_tax``,
    ``total_price_incl``). ``taken`` is what it took off the shelves so far: quantity by product id."""

    id: str
    outlet_id: str
    register_id: str | None
    user_id: str | None
    customer_id: str | None
    state: str
    sale_date: datetime
    created_at: datetime
    updated_at: datetime
    attributes: list[str] = field(default_factory=list)
    invoice_number: str = ""
    invoice_sequence: int = 0
    receipt_number: str = ""
    source: str = "USER"
    source_id: str | None = None
    note: str | None = ""
    short_code: str = ""
    return_for: str | None = None
    return_ids: list[str] = field(default_factory=list)
    line_items: list[SaleLine] = field(default_factory=list)
    payments: list[SalePayment] = field(default_factory=list)
    adjustments: list[dict[str, Any]] = field(default_factory=list)
    ecom_custom_charges: list[dict[str, Any]] = field(default_factory=list)
    external_applications: list[dict[str, Any]] = field(default_factory=list)
    total_loyalty: Decimal = ZERO
    total_surcharge: Decimal = ZERO
    deleted_at: datetime | None = None
    version: int = 0
    restock: bool = True
    ship_to_address_id: int | None = None
    fulfilment_note: str = ""
    stated: dict[str, Decimal] = field(default_factory=dict)
    taken: dict[str, Decimal] = field(default_factory=dict)

    @property
    def status(self) -> str:
        return legacy_status(self.state, self.attributes)

    @property
    def is_return(self) -> bool:
        return self.return_for is not None or any(line.is_return for line in self.line_items)

    @property
    def awaits_fulfilment(self) -> bool:
        return any(name in self.attributes for name in ("delivery", "pickup", "service"))

    @property
    def total_price(self) -> Decimal:
        """Before tax; fees and e-commerce charges are contained in it."""
        if "total_price" in self.stated:
            return self.stated["total_price"]
        lines = sum((line.price_total for line in self.line_items if line.counts), ZERO)
        fees = sum((Decimal(str(row["value"])) for row in self.adjustments), ZERO)
        charges = sum((Decimal(str(row["total"])) for row in self.ecom_custom_charges), ZERO)
        return lines + fees + charges

    @property
    def total_tax(self) -> Decimal:
        if "total_tax" in self.stated:
            return self.stated["total_tax"]
        lines = sum((line.tax_total for line in self.line_items if line.counts), ZERO)
        fees = sum((tax for row in self.adjustments for tax in component_taxes(row)), ZERO)
        charges = sum((Decimal(str(row["total_tax"])) for row in self.ecom_custom_charges), ZERO)
        return lines + fees + charges

    @property
    def total_price_incl(self) -> Decimal:
        return self.stated.get("total_price_incl", self.total_price + self.total_tax)

    @property
    def total_paid(self) -> Decimal:
        return sum((payment.amount for payment in self.payments if payment.deleted_at is None), ZERO)

    def tax_rows(self) -> dict[str, Decimal]:
        """Tax by rate id."""
        rows: dict[str, Decimal] = {}
        for line in self.line_items:
            if line.counts:
                for part in line.tax_components:
                    rows[part["rate_id"]] = rows.get(part["rate_id"], ZERO) + part["total_tax"]
        return rows


def component_taxes(row: dict[str, Any]) -> list[Decimal]:
    return [Decimal(str(part["total_tax"])) for part in row.get("tax_components") or ()]
