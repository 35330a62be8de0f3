"""Vend's JSON as typed structs (vend.md sections 3.1 to 3.12).

Every field may be missing or null: the 2.0 examples leave null fields out, and the dated schemas require hardly anything.
Unknown fields are ignored. Money and quantities become ``Decimal`` straight from the text of the number. Texts are
``Text``, because Vend sends some of them as numbers now and then (section 11, trap 15); read them with ``text()``.
"""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any, Generic, TypeAlias, TypeVar

import msgspec
from msgspec import Struct

from connectors.vend.errors import Unreadable

Text: TypeAlias = str | int | None
Flag: TypeAlias = bool | int | str | None


def text(value: Text) -> str:
    """A field's text, "" when it is missing."""
    if isinstance(value, str):
        return value
    return "" if value is None else str(value)


def flag(value: Flag) -> bool:
    """A field's truth: true, 1 and "1" or "true" alike; a missing one is false."""
    if isinstance(value, str):
        return value.strip().lower() in ("1", "true", "yes")
    return bool(value)


class Loose(Struct, gc=False, kw_only=True):
    """Base of all shapes. ``gc=False``: decoded JSON holds no cycles, so the collector need not look at it."""


# --- envelopes (section 3.1) -----------------------------------------------------------------------------------------


class VersionRange(Loose):
    min: int | None = None
    max: int | None = None


class RecordPage(Struct, kw_only=True):
    """``{"data": [...], "version": {...}}`` with every record left as it came. ``data`` must be there: without it the
    answer is not Vend's."""

    data: list[msgspec.Raw]
    version: VersionRange | None = None


class SingleRecord(Struct, kw_only=True):
    data: msgspec.Raw


class RecordMetadata(Loose):
    version: int | None = None


class Peek(Loose):
    """The least that is worth knowing about a record that cannot be read as a whole."""

    id: Any = None
    version: Any = None
    outlet_id: Any = None
    source: Any = None
    metadata: Any = msgspec.field(default=None, name="_metadata")


# --- sales, dated family (section 3.4) -------------------------------------------------------------------------------


class TaxComponent(Loose):
    rate_id: Text = None
    total_tax: Decimal | None = None


class SaleSource(Loose):
    type: Text = None
    id: Text = None
    outlet_id: Text = None
    register_id: Text = None


class SaleReturn(Loose):
    is_return: Flag = None
    original_sale_id: Text = None


class SaleTotals(Loose):
    price: Decimal | None = None
    price_incl_tax: Decimal | None = None
    tax: Decimal | None = None
    surcharge: Decimal | None = None


class SaleTax(Loose):
    """``{id, tax}`` (dated), ``{id, amount}`` (2.0 examples) or ``{name, rate, amount}`` (2.0 schema)."""

    id: Text = None
    name: Text = None
    tax: Decimal | None = None
    amount: Decimal | None = None


class LineProduct(Loose):
    id: Text = None


class LinePricing(Loose):
    price: Decimal | None = None
    total: Decimal | None = None
    discount: Decimal | None = None
    discount_total: Decimal | None = None


class LineTax(Loose):
    id: Text = None
    amount: Decimal | None = None
    total: Decimal | None = None


class LineReturn(Loose):
    is_return: Flag = None
    reason: Text = None


class SaleLine(Loose):
    id: Text = None
    product: LineProduct | None = None
    quantity: Decimal | None = None
    status: Text = None
    note: Text = None
    gift_card_number: Text = None
    pricing: LinePricing | None = None
    tax: LineTax | None = None
    returned: LineReturn | None = msgspec.field(default=None, name="return")


class PaymentType(Loose):
    config_id: Text = None
    id: Text = None
    name: Text = None


class PaymentSource(Loose):
    outlet_id: Text = None


class SalePayment(Loose):
    id: Text = None
    amount: Decimal | None = None
    date: Text = None
    type: PaymentType | None = None
    source: PaymentSource | None = None
    deleted_at: Text = None


class Adjustment(Loose):
    """Dated: ``adjustment_type`` and ``total``; 2.0: ``type`` or ``adjustment_type`` and ``value``."""

    name: Text = None
    adjustment_type: Text = None
    type: Text = None
    total: Decimal | None = None
    value: Decimal | None = None
    tax_components: list[TaxComponent] | None = None


class EcomCharge(Loose):
    name: Text = None
    source_id: Text = None
    total: Decimal | None = None
    total_tax: Decimal | None = None


class EcomCharges(Loose):
    """2.0 wraps the charges in their totals; the dated family gives the bare list."""

    charges: list[EcomCharge] | None = None


class Sale(Loose):
    """A sale of the dated family. ``status`` is the legacy word, which only 2.0 sends."""

    id: Text = None
    state: Text = None
    status: Text = None
    attributes: list[Text] | None = None
    customer_id: Text = None
    date: Text = None
    created_at: Text = None
    updated_at: Text = None
    deleted_at: Text = None
    invoice_number: Text = None
    receipt_number: Text = None
    short_code: Text = None
    note: Text = None
    source: SaleSource | None = None
    returned: SaleReturn | None = msgspec.field(default=None, name="return")
    totals: SaleTotals | None = None
    taxes: list[SaleTax] | None = None
    line_items: list[SaleLine] | None = None
    payments: list[SalePayment] | None = None
    adjustments: list[Adjustment] | None = None
    ecom_custom_charges: list[EcomCharge] | EcomCharges | None = None
    metadata: RecordMetadata | None = msgspec.field(default=None, name="_metadata")


# --- sales, 2.0 (section 3.3) ----------------------------------------------------------------------------------------


class FlatLine(Loose):
    id: Text = None
    product_id: Text = None
    quantity: Decimal | None = None
    price: Decimal | None = None
    unit_price: Decimal | None = None
    price_total: Decimal | None = None
    total_price: Decimal | None = None
    discount: Decimal | None = None
    discount_total: Decimal | None = None
    total_discount: Decimal | None = None
    tax: Decimal | None = None
    tax_id: Text = None
    tax_total: Decimal | None = None
    total_tax: Decimal | None = None
    note: Text = None
    status: Text = None
    is_return: Flag = None
    gift_card_number: Text = None


class FlatPayment(Loose):
    id: Text = None
    outlet_id: Text = None
    retailer_payment_type_id: Text = None
    payment_type_id: Text = None
    name: Text = None
    amount: Decimal | None = None
    payment_date: Text = None
    deleted_at: Text = None


class FlatSale(Loose):
    """A sale as API 2.0 gives it: everything on one level, with the legacy ``status`` word."""

    id: Text = None
    outlet_id: Text = None
    register_id: Text = None
    customer_id: Text = None
    invoice_number: Text = None
    receipt_number: Text = None
    short_code: Text = None
    source: Text = None
    source_id: Text = None
    status: Text = None
    state: Text = None
    attributes: list[Text] | None = None
    note: Text = None
    return_for: Text = None
    total_price: Decimal | None = None
    total_price_incl: Decimal | None = None
    total_tax: Decimal | None = None
    created_at: Text = None
    updated_at: Text = None
    sale_date: Text = None
    deleted_at: Text = None
    line_items: list[FlatLine] | None = None
    payments: list[FlatPayment] | None = None
    taxes: list[SaleTax] | None = None
    adjustments: list[Adjustment] | None = None
    ecom_custom_charges: list[EcomCharge] | EcomCharges | None = None
    version: int | None = None


# --- reference resources (section 3.2) -------------------------------------------------------------------------------


class Currency(Loose):
    code: Text = None


class Retailer(Loose):
    id: Text = None
    domain_prefix: Text = None
    name: Text = None
    currency: Currency | None = None
    tax_exclusive: Flag = None
    discount_product_id: Text = None


class Outlet(Loose):
    id: Text = None
    name: Text = None
    currency: Text = None
    time_zone: Text = None
    physical_address_1: Text = None
    physical_address_2: Text = None
    physical_suburb: Text = None
    physical_city: Text = None
    physical_postcode: Text = None
    physical_state: Text = None
    physical_country_id: Text = None
    phone: Text = None
    email: Text = None
    deleted_at: Text = None


class Register(Loose):
    id: Text = None
    name: Text = None
    outlet_id: Text = None
    deleted_at: Text = None


class TaxRate(Loose):
    id: Text = None
    name: Text = None
    display_name: Text = None


class Tax(Loose):
    id: Text = None
    name: Text = None
    rates: list[TaxRate] | None = None


# --- customers (section 3.12), fulfilments (3.8) ---------------------------------------------------------------------


class Customer(Loose):
    id: Text = None
    customer_code: Text = None
    first_name: Text = None
    last_name: Text = None
    name: Text = None
    company_name: Text = None
    email: Text = None
    phone: Text = None
    mobile: Text = None
    physical_address_1: Text = None
    physical_address_2: Text = None
    physical_suburb: Text = None
    physical_city: Text = None
    physical_postcode: Text = None
    physical_state: Text = None
    physical_country_id: Text = None
    postal_address_1: Text = None
    postal_address_2: Text = None
    postal_suburb: Text = None
    postal_city: Text = None
    postal_postcode: Text = None
    postal_state: Text = None
    postal_country_id: Text = None
    merged_into_id: Any = None
    merged_into: Any = None
    merged_to_id: Any = None
    merged_customer_id: Any = None
    deleted_at: Text = None
    version: int | None = None


class CustomerAddress(Loose):
    id: Text = None
    address_line_1: Text = None
    address_line_2: Text = None
    suburb: Text = None
    city: Text = None
    state: Text = None
    state_code: Text = None
    postcode: Text = None
    country_code: Text = None


class Fulfillment(Loose):
    id: Text = None
    sale_id: Text = None
    type: Text = None
    shipping_address_id: Text = None


# --- products (section 3.11), stock (3.9), webhooks (7) --------------------------------------------------------------


class Named(Loose):
    """Brand, type, supplier, tag: ``{id, name}`` or an empty object."""

    name: Text = None


class ProductCode(Loose):
    type: Text = None
    code: Text = None


class VariantOption(Loose):
    name: Text = None
    value: Text = None


class ProductSupplier(Loose):
    supplier_name: Text = None
    code: Text = None
    price: Decimal | None = None


class ProductCommon(Loose):
    track_inventory: Flag = None


class Product(Loose):
    id: Text = None
    name: Text = None
    variant_name: Text = None
    handle: Text = None
    sku: Text = None
    description: Text = None
    product_codes: list[ProductCode] | None = None
    active: Flag = None
    is_active: Flag = None
    has_inventory: Flag = None
    track_inventory: Flag = None
    common: ProductCommon | None = None
    is_composite: Flag = None
    family_id: Text = None
    variant_parent_id: Text = None
    variant_options: list[VariantOption] | None = None
    price_including_tax: Decimal | None = None
    price_excluding_tax: Decimal | None = None
    supply_price: Decimal | None = None
    brand: Named | None = None
    type: Named | None = None
    supplier: Named | None = None
    supplier_code: Text = None
    product_suppliers: list[ProductSupplier] | None = None
    categories: list[Named] | None = None
    deleted_at: Text = None
    version: int | None = None


class InventoryRow(Loose):
    """Dated: ``current_inventory_level``; 2.0: ``inventory_level`` and ``current_amount`` with the same number."""

    product_id: Text = None
    outlet_id: Text = None
    current_inventory_level: Decimal | None = None
    inventory_level: Decimal | None = None
    current_amount: Decimal | None = None
    deleted_at: Text = None
    version: int | None = None


class StockAdjustment(Loose):
    id: Text = None
    product_id: Text = None
    outlet_id: Text = None
    quantity: Decimal | None = None
    reason: Text = None
    custom_inventory_adjustment_reason_id: Text = None
    created_at: Text = None
    version: int | None = None


class AdjustmentReason(Loose):
    """A reason for stock adjustments that the store made itself."""

    id: Text = None
    name: Text = None


class StockAdjustments(Loose):
    data: list[StockAdjustment] | None = None


class Consignment(Loose):
    """Section 3.10."""

    id: Text = None
    type: Text = None
    status: Text = None
    outlet_id: Text = None
    source_outlet_id: Text = None
    reference: Text = None
    name: Text = None
    consignment_date: Text = None
    received_at: Text = None
    created_at: Text = None
    updated_at: Text = None
    deleted_at: Text = None
    product_count: int | None = None
    total_count_gain: Decimal | None = None
    total_count_loss: Decimal | None = None
    version: int | None = None


class ConsignmentLine(Loose):
    """Quantities are numbers as texts."""

    product_id: Text = None
    product_sku: Text = None
    count: Decimal | None = None
    received: Decimal | None = None
    cost: Decimal | None = None
    is_included: Flag = None
    status: Text = None
    deleted_at: Text = None
    version: int | None = None


class Webhook(Loose):
    id: Text = None
    type: Text = None
    url: Text = None
    active: Flag = None


# --- reading one record ----------------------------------------------------------------------------------------------

ShapeT = TypeVar("ShapeT")


class Reader(Generic[ShapeT]):
    """Reads single records of one shape.

    First as they should be. If that fails, once more with empty texts, objects and arrays taken as absent (an empty
    value where a number or an object belongs is the commonest wobble). Raises ``Unreadable``.
    """

    def __init__(self, shape: type[ShapeT]) -> None:
        self.shape = shape
        self.decoder = msgspec.json.Decoder(shape, strict=False)

    def read(self, record: bytes | msgspec.Raw) -> ShapeT:
        try:
            return self.decoder.decode(record)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
            return self.read_again(bytes(record), error)

    def read_again(self, record: bytes, first: Exception) -> ShapeT:
        try:
            loose = json.loads(record, parse_float=Decimal)
            return msgspec.convert(without_empties(loose), self.shape, strict=False)
        except (ValueError, RecursionError) as error:
            reason = error if isinstance(error, msgspec.ValidationError) else first
            raise Unreadable(f"The record cannot be read: {reason}.") from first


def without_empties(value: Any) -> Any:
    """The JSON value without members that are "", {} or [], and without halves of characters, which no database takes."""
    if isinstance(value, str):
        return value.encode("utf-8", "replace").decode()
    if isinstance(value, dict):
        return {name: without_empties(member) for name, member in value.items() if member not in ("", {}, [])}
    if isinstance(value, list):
        return [without_empties(member) for member in value]
    return value
