"""Vend's outlets, customers, products and stock rows as the hub's records (vend.md sections 3.2, 3.9, 3.11, 3.12 and
10). Pure: no HTTP, no clock."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

from connectors.records import Address, CustomerRecord, LevelRecord, OutletRecord, ProductKind, ProductRecord
from connectors.vend import shapes
from connectors.vend.errors import Unreadable
from connectors.vend.mapping import amount, first
from connectors.vend.shapes import flag, text

WALK_IN_CODE = "WALKIN"
BARCODE_TYPES = ("EAN", "UPC")
# Vend keeps gift cards as a product of its own, under this SKU and handle (seen in stores, not in the documentation).
GIFT_CARD_WORDS = ("vend-internal-gift-card", "gift-card", "giftcard")


@dataclass(frozen=True, slots=True, kw_only=True)
class StoreFacts:
    """What the retailer's own record says about the whole store (section 3.2)."""

    currency: str = ""
    discount_product_id: str = ""
    is_tax_exclusive: bool = True


def store_facts(retailer: shapes.Retailer) -> StoreFacts:
    return StoreFacts(
        currency=text(retailer.currency.code) if retailer.currency is not None else "",
        discount_product_id=text(retailer.discount_product_id),
        is_tax_exclusive=retailer.tax_exclusive is None or flag(retailer.tax_exclusive),
    )


def outlet_record(outlet: shapes.Outlet) -> OutletRecord:
    external_id, name = text(outlet.id), text(outlet.name)
    if not external_id:
        raise Unreadable("The outlet has no id.")
    return OutletRecord(
        external_id=external_id,
        name=name,
        currency=text(outlet.currency),
        time_zone=text(outlet.time_zone),
        address=Address(
            name=name,
            street1=text(outlet.physical_address_1),
            street2=text(outlet.physical_address_2),
            suburb=text(outlet.physical_suburb),
            city=text(outlet.physical_city),
            state=text(outlet.physical_state),
            postcode=text(outlet.physical_postcode),
            country=text(outlet.physical_country_id),
            phone=text(outlet.phone),
            email=text(outlet.email),
        ),
        deleted=bool(outlet.deleted_at),
    )


# --- customers -------------------------------------------------------------------------------------------------------


def customer_record(customer: shapes.Customer) -> CustomerRecord:
    """``ship_to`` is the postal address, ``bill_to`` the physical one, and each stands in for the other."""
    external_id = text(customer.id)
    if not external_id:
        raise Unreadable("The customer has no id.")
    postal, physical = postal_address(customer), physical_address(customer)
    code = text(customer.customer_code)
    return CustomerRecord(
        external_id=external_id,
        version=customer.version or 0,
        code=code,
        first_name=text(customer.first_name),
        last_name=text(customer.last_name),
        company=text(customer.company_name),
        email=text(customer.email),
        phone=phone_of(customer),
        ship_to=better_address(postal, physical),
        bill_to=better_address(physical, postal),
        is_walk_in=code.strip().upper() == WALK_IN_CODE,
        deleted=bool(customer.deleted_at),
        merged_into=survivor_of(customer),
    )


def survivor_of(customer: shapes.Customer) -> str:
    """The id of the customer that a merged one lives on in, "" where Vend does not tell. How Vend tells is not
    documented: an id or an object with an id, under one of the names in ``shapes.Customer``."""
    for told in (customer.merged_into_id, customer.merged_into, customer.merged_to_id, customer.merged_customer_id):
        survivor = told.get("id") if isinstance(told, dict) else told
        if isinstance(survivor, str) and survivor and survivor != customer.id:
            return survivor
    return ""


def better_address(wanted: Address | None, other: Address | None) -> Address | None:
    """The wanted address if a parcel can go there, else the other one if it can, else whatever there is."""
    for address in (wanted, other):
        if address is not None and address.is_usable:
            return address
    return wanted or other


def postal_address(customer: shapes.Customer) -> Address | None:
    return customer_address(
        customer,
        street1=text(customer.postal_address_1),
        street2=text(customer.postal_address_2),
        suburb=text(customer.postal_suburb),
        city=text(customer.postal_city),
        state=text(customer.postal_state),
        postcode=text(customer.postal_postcode),
        country=text(customer.postal_country_id),
    )


def physical_address(customer: shapes.Customer) -> Address | None:
    return customer_address(
        customer,
        street1=text(customer.physical_address_1),
        street2=text(customer.physical_address_2),
        suburb=text(customer.physical_suburb),
        city=text(customer.physical_city),
        state=text(customer.physical_state),
        postcode=text(customer.physical_postcode),
        country=text(customer.physical_country_id),
    )


def delivery_address(address: shapes.CustomerAddress, customer: shapes.Customer | None) -> Address:
    """The address that was chosen for one delivery (``customers/{id}/addresses/{id}``, section 3.12)."""
    return Address(
        name=name_of(customer) if customer is not None else "",
        company=text(customer.company_name) if customer is not None else "",
        street1=text(address.address_line_1),
        street2=text(address.address_line_2),
        suburb=text(address.suburb),
        city=text(address.city),
        state=text(address.state) or text(address.state_code),
        postcode=text(address.postcode),
        country=text(address.country_code),
        phone=phone_of(customer) if customer is not None else "",
        email=text(customer.email) if customer is not None else "",
    )


def customer_address(customer: shapes.Customer, **parts: str) -> Address | None:
    """An address of the customer's, None when it is empty. A country alone, which Vend fills in by default, is empty."""
    if not any(value.strip() for name, value in parts.items() if name != "country"):
        return None
    return Address(
        name=name_of(customer),
        company=text(customer.company_name),
        phone=phone_of(customer),
        email=text(customer.email),
        **parts,
    )


def name_of(customer: shapes.Customer) -> str:
    names = [text(customer.first_name).strip(), text(customer.last_name).strip()]
    return " ".join(part for part in names if part) or text(customer.name)


def phone_of(customer: shapes.Customer) -> str:
    return text(customer.phone) or text(customer.mobile)


# --- products --------------------------------------------------------------------------------------------------------


def product_record(product: shapes.Product, facts: StoreFacts) -> ProductRecord:
    external_id = text(product.id)
    if not external_id:
        raise Unreadable("The product has no id.")
    kind = product_kind(product, facts)
    brand, product_type, supplier = (
        text(part.name) if part is not None else "" for part in (product.brand, product.type, product.supplier)
    )
    return ProductRecord(
        external_id=external_id,
        version=product.version or 0,
        sku=sku_of(product),
        name=text(product.variant_name) or text(product.name),
        handle=text(product.handle),
        family_id=text(product.family_id) or text(product.variant_parent_id),
        barcode=barcode_of(product),
        description=text(product.description),
        brand=brand,
        product_type=product_type,
        supplier=supplier or first_supplier(product, "supplier_name"),
        supplier_code=text(product.supplier_code) or first_supplier(product, "code"),
        tags=tuple(name for name in (text(tag.name) for tag in product.categories or ()) if name),
        attributes={text(option.name): text(option.value) for option in product.variant_options or () if option.name},
        prices=prices_of(product, facts),
        currency=facts.currency,
        kind=kind,
        is_active=is_active(product),
        is_stock_tracked=kind in (ProductKind.GOODS, ProductKind.GIFT_CARD) and is_tracked(product),
        deleted=bool(product.deleted_at),
    )


def product_kind(product: shapes.Product, facts: StoreFacts) -> ProductKind:
    if facts.discount_product_id and product.id == facts.discount_product_id:
        return ProductKind.DISCOUNT
    if flag(product.is_composite):
        return ProductKind.COMPOSITE
    if text(product.sku).lower() in GIFT_CARD_WORDS or text(product.handle).lower() in GIFT_CARD_WORDS:
        return ProductKind.GIFT_CARD
    return ProductKind.GOODS


def sku_of(product: shapes.Product) -> str:
    """The SKU; without one the first code of type CUSTOM, else the first code of any type."""
    sku = text(product.sku)
    if sku:
        return sku
    codes = [(text(code.type).upper(), text(code.code)) for code in product.product_codes or () if code.code]
    return next((code for kind, code in codes if kind == "CUSTOM"), codes[0][1] if codes else "")


def barcode_of(product: shapes.Product) -> str:
    return next(
        (text(code.code) for code in product.product_codes or () if text(code.type).upper() in BARCODE_TYPES), ""
    )


def is_tracked(product: shapes.Product) -> bool:
    """Does Vend keep stock of it? A product that says nothing is taken to be tracked."""
    common = product.common.track_inventory if product.common is not None else None
    for told in (product.has_inventory, product.track_inventory, common):
        if told is not None:
            return flag(told)
    return True


def is_active(product: shapes.Product) -> bool:
    for told in (product.active, product.is_active):
        if told is not None:
            return flag(told)
    return True


def prices_of(product: shapes.Product, facts: StoreFacts) -> dict[str, Decimal]:
    """``retail`` is the shelf price: without tax in a tax-exclusive store, with tax in the others. ``supply`` is what the
    supplier charges."""
    shelf = (product.price_excluding_tax, product.price_including_tax)
    retail = first(*(shelf if facts.is_tax_exclusive else reversed(shelf)))
    supply = first(product.supply_price, *(supplier.price for supplier in product.product_suppliers or ()))
    return {name: amount(price) for name, price in (("retail", retail), ("supply", supply)) if price is not None}


def first_supplier(product: shapes.Product, name: str) -> str:
    return next((text(getattr(row, name)) for row in product.product_suppliers or () if getattr(row, name)), "")


# --- stock -----------------------------------------------------------------------------------------------------------


def level_record(row: shapes.InventoryRow) -> LevelRecord:
    """One product at one outlet. Levels may be negative and fractional."""
    product_id, outlet_id = text(row.product_id), text(row.outlet_id)
    level = first(row.current_inventory_level, row.inventory_level, row.current_amount)
    if not product_id or not outlet_id:
        raise Unreadable("The stock row names no product or no outlet.")
    if level is None:
        raise Unreadable("The stock row has no level.")
    return LevelRecord(
        location_id=outlet_id,
        product_id=product_id,
        available=amount(level),
        version=row.version or 0,
    )
