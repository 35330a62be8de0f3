"""Records exactly as Vend documents them, one function per shape; keyword arguments change single fields."""

import json
from typing import Any

OUTLET_ID = "0a1b2c3d-0000-11ef-8000-000000000001"
OTHER_OUTLET_ID = "0a1b2c3d-0000-11ef-8000-000000000002"
REGISTER_ID = "0b1b2c3d-0000-11ef-8000-000000000001"
CUSTOMER_ID = "0d1b2c3d-0000-11ef-8000-000000000001"
PRODUCT_ID = "7b1b2c3d-0000-11ef-8000-000000000001"
DISCOUNT_PRODUCT_ID = "7b1b2c3d-0000-11ef-8000-00000000d15c"
RATE_ID = "8d1b2c3d-0000-11ef-8000-000000000001"
SALE_ID = "5e1b2c3d-0000-11ef-8000-000000000001"


def as_json(record: Any) -> bytes:
    return json.dumps(record, ensure_ascii=False).encode()


def line(number: int = 1, *, quantity: Any = 2, price: Any = 100.0, **changes: Any) -> dict[str, Any]:
    """A line of a dated sale. ``pricing`` and ``tax`` given are merged into the documented ones."""
    total = round(price * quantity, 5) if not isinstance(price, str) else price
    pricing = {
        "price": price,
        "total": total,
        "discount": 0,
        "discount_total": 0,
        "cost": 40,
        "cost_total": 80,
        "loyalty_amount": 0,
        "loyalty_amount_total": 0,
    } | changes.pop("pricing", {})
    tax = {"id": "8c1b2c3d-0000-11ef-8000-000000000001", "amount": 15.0, "total": 30.0} | changes.pop("tax", {})
    return {
        "id": f"6a1b2c3d-0000-11ef-8000-{number:012d}",
        "product": {"id": PRODUCT_ID},
        "quantity": quantity,
        "status": "CONFIRMED",
        "note": None,
        "gift_card_number": None,
        "salesperson_id": "0c1b2c3d-0000-11ef-8000-000000000001",
        "pricing": pricing,
        "tax": tax,
        "return": {"is_return": False, "reason": None},
        "source": {"register_id": REGISTER_ID},
        "promotions": [],
        "surcharges": [],
        "customizations": [],
        "_metadata": {
            "sequence": number - 1,
            "is_price_override": False,
            "tax_components": [{"rate_id": RATE_ID, "total_tax": 30.0}],
        },
        **changes,
    }


def discount_line(value: Any = 20.0, tax: Any = 3.0, **changes: Any) -> dict[str, Any]:
    """The sale-level discount as Vend writes it: quantity -1 of the retailer's discount product."""
    return line(
        99,
        quantity=-1,
        price=value,
        product={"id": DISCOUNT_PRODUCT_ID},
        tax={"amount": tax, "total": -tax},
        **changes,
    )


def payment(amount: Any = 230.0, name: str = "Cash", kind: Any = "1", **changes: Any) -> dict[str, Any]:
    return {
        "id": "9e1b2c3d-0000-11ef-8000-000000000001",
        "amount": amount,
        "date": "2026-09-18T01:37:54Z",
        "type": {"config_id": "af1b2c3d-0000-11ef-8000-000000000001", "id": kind, "name": name},
        "source": {"id": None, "outlet_id": OUTLET_ID, "register_id": REGISTER_ID},
        "surcharge": None,
        "external_attributes": [],
        "external_applications": [],
        "billing_address_id": None,
        "deleted_at": None,
        "_metadata": {"register_open_sequence_id": "b01b2c3d-0000-11ef-8000-000000000001"},
        **changes,
    }


def sale(**changes: Any) -> dict[str, Any]:
    """A closed and paid sale of the dated family (vend.md section 3.4)."""
    return {
        "id": SALE_ID,
        "state": "closed",
        "attributes": [],
        "customer_id": CUSTOMER_ID,
        "date": "2026-09-18T01:37:56Z",
        "invoice_number": "MR-1036",
        "receipt_number": "MR-1036",
        "note": "leave at desk",
        "short_code": "xamfvy",
        "created_at": "2026-09-11T21:09:59Z",
        "updated_at": "2026-09-18T01:37:59Z",
        "deleted_at": None,
        "source": {
            "type": "USER",
            "id": None,
            "outlet_id": OUTLET_ID,
            "register_id": REGISTER_ID,
            "author": {"id": "0c1b2c3d-0000-11ef-8000-000000000001"},
        },
        "return": {"is_return": False, "original_sale_id": None, "return_sale_ids": []},
        "totals": {"price": 200.0, "price_incl_tax": 230.0, "tax": 30.0, "loyalty": 0, "surcharge": 0},
        "taxes": [{"id": RATE_ID, "tax": 30.0}],
        "line_items": [line()],
        "payments": [payment()],
        "adjustments": [],
        "ecom_custom_charges": [],
        "external_applications": [],
        "_metadata": {
            "version": 413,
            "xero_reference": None,
            "has_unsynced_on_account_payments": False,
            "complete_open_sequence_id": None,
        },
        **changes,
    }


def flat_sale(**changes: Any) -> dict[str, Any]:
    """The same sale as API 2.0 gives it (vend.md section 3.3)."""
    return {
        "id": SALE_ID,
        "outlet_id": OUTLET_ID,
        "register_id": REGISTER_ID,
        "user_id": "0c1b2c3d-0000-11ef-8000-000000000001",
        "customer_id": CUSTOMER_ID,
        "invoice_number": "MR-1036",
        "receipt_number": "MR-1036",
        "invoice_sequence": 1036,
        "receipt_sequence": 1036,
        "source": "USER",
        "source_id": None,
        "status": "CLOSED",
        "state": "closed",
        "attributes": [],
        "note": "leave at desk",
        "short_code": "xamfvy",
        "return_for": None,
        "return_ids": [],
        "total_price": 200.0,
        "total_price_incl": 230.0,
        "total_tax": 30.0,
        "total_loyalty": 0,
        "created_at": "2026-09-11T21:09:59+00:00",
        "updated_at": "2026-09-18T01:37:59+00:00",
        "sale_date": "2026-09-18T01:37:56+00:00",
        "deleted_at": None,
        "line_items": [
            {
                "id": "6a1b2c3d-0000-11ef-8000-000000000001",
                "product_id": PRODUCT_ID,
                "quantity": 2,
                "price": 100.0,
                "unit_price": 100.0,
                "price_total": 200.0,
                "total_price": 200.0,
                "discount": 0,
                "unit_discount": 0,
                "discount_total": 0,
                "total_discount": 0,
                "loyalty_value": 0,
                "cost": 40,
                "cost_total": 80,
                "tax": 15.0,
                "unit_tax": 15.0,
                "tax_total": 30.0,
                "total_tax": 30.0,
                "tax_id": "8c1b2c3d-0000-11ef-8000-000000000001",
                "tax_components": [{"rate_id": RATE_ID, "total_tax": 30.0}],
                "price_set": False,
                "sequence": 0,
                "note": None,
                "status": "CONFIRMED",
                "is_return": False,
                "gift_card_number": None,
                "promotions": [],
                "surcharges": [],
            }
        ],
        "payments": [
            {
                "id": "9e1b2c3d-0000-11ef-8000-000000000001",
                "register_id": REGISTER_ID,
                "outlet_id": OUTLET_ID,
                "retailer_payment_type_id": "af1b2c3d-0000-11ef-8000-000000000001",
                "payment_type_id": "1",
                "name": "Cash",
                "amount": 230.0,
                "payment_date": "2026-09-18T01:37:54+00:00",
                "deleted_at": None,
                "source_id": None,
                "surcharge": None,
                "external_attributes": [],
                "external_applications": [],
            }
        ],
        "taxes": [{"id": RATE_ID, "amount": 30.0}],
        "adjustments": [],
        "ecom_custom_charges": None,
        "version": 413,
        **changes,
    }


def outlet(**changes: Any) -> dict[str, Any]:
    return {
        "id": OUTLET_ID,
        "name": "Main Outlet",
        "default_tax_id": "0a2b2c3d-0000-11ef-8000-000000000001",
        "currency": "USD",
        "currency_symbol": "$",
        "display_prices": "exclusive",
        "time_zone": "America/New_York",
        "physical_address_1": "12 Dock Rd",
        "physical_address_2": "",
        "physical_suburb": "",
        "physical_city": "Newark",
        "physical_postcode": "07105",
        "physical_state": "NJ",
        "physical_country_id": "US",
        "email": None,
        "attributes": [],
        "deleted_at": None,
        "version": 909257071,
        **changes,
    }


def customer(**changes: Any) -> dict[str, Any]:
    return {
        "id": CUSTOMER_ID,
        "customer_code": "Tony-N4ZJ",
        "first_name": "Anthony",
        "last_name": "Stark",
        "name": "Anthony Stark",
        "email": "tony@stark.example",
        "phone": "+001 555 12345678",
        "mobile": "+001 485 23456789",
        "company_name": "Stark Industries Inc",
        "customer_group_id": "b1ca8902-f019-11e3-a0f5-b8ca3a64f8f4",
        "physical_address_1": "1 Works Road",
        "physical_address_2": "Gate 4",
        "physical_suburb": "Harbour",
        "physical_city": "Los Angeles",
        "physical_postcode": "90001",
        "physical_state": "California",
        "physical_country_id": "US",
        "postal_address_1": "PO Box 7",
        "postal_address_2": "",
        "postal_suburb": "",
        "postal_city": "Pasadena",
        "postal_postcode": "91101",
        "postal_state": "California",
        "postal_country_id": "US",
        "balance": -25840.85,
        "loyalty_balance": 5809.64,
        "version": 2691964626,
        **changes,
    }


def product(**changes: Any) -> dict[str, Any]:
    return {
        "id": PRODUCT_ID,
        "name": "Hoodie",
        "variant_name": "Hoodie / Red / S",
        "handle": "wms-7781",
        "sku": "HOODRS",
        "product_codes": [
            {"id": "1", "type": "CUSTOM", "code": "HOODRS"},
            {"id": "2", "type": "EAN", "code": "9400000000017"},
        ],
        "description": "<p>Soft</p>",
        "active": True,
        "is_active": True,
        "has_inventory": True,
        "is_composite": False,
        "has_variants": False,
        "variant_parent_id": "7b1b2c3d-0000-11ef-8000-0000000000aa",
        "variant_options": [{"id": "a", "name": "Colour", "value": "Red"}, {"id": "b", "name": "Size", "value": "S"}],
        "variant_count": 2,
        "price_including_tax": 46.0,
        "price_excluding_tax": 40.0,
        "supply_price": 18.5,
        "brand": {"id": "c", "name": "Kauri"},
        "type": {"id": "d", "name": "Clothing"},
        "supplier": {"id": "e", "name": "Weavers"},
        "supplier_code": "S-1",
        "tag_ids": ["f"],
        "categories": [{"id": "f", "name": "winter"}],
        "deleted_at": None,
        "version": 59780745,
        **changes,
    }
