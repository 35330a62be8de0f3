"""The old shapes: 0.9 ``register_sales`` and the 1.0 objects that webhooks carry. Source: vend.md 3.6 and 7."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Any

from connectors.vend.sandbox_core import Record, bare_time
from connectors.vend.sandbox_sale import ZERO, Sale, SaleLine

if TYPE_CHECKING:
    from connectors.vend.sandbox_store import VendStore


def sale_webhook(sale: Sale, store: VendStore) -> dict[str, Any]:
    """vend.md section 7: the 1.0 object, without an outlet id."""
    customer = store.customer_feed.by_id.get(sale.customer_id or "")
    user = store.user_feed.by_id.get(sale.user_id or "")
    return {
        "id": sale.id,
        "sale_date": bare_time(sale.sale_date),
        "status": sale.status,
        "user_id": sale.user_id,
        "customer_id": sale.customer_id,
        "register_id": sale.register_id,
        "invoice_number": sale.invoice_number,
        "short_code": sale.short_code,
        "note": sale.note,
        "created_at": bare_time(sale.created_at),
        "updated_at": bare_time(sale.updated_at),
        "totals": sale_totals(sale),
        "customer": customer_in_sale(customer) if customer else None,
        "user": {"id": user["id"], "name": user["username"], "display_name": user["display_name"]} if user else None,
        "register_sale_products": [line_webhook(line, store) for line in sale.line_items],
        "register_sale_payments": [
            {
                "id": payment.id,
                "payment_date": bare_time(payment.payment_date),
                "amount": payment.amount,
                "retailer_payment_type_id": payment.retailer_payment_type_id,
                "payment_type_id": payment.payment_type_id,
            }
            for payment in sale.payments
        ],
        "taxes": tax_rows_named(sale, store),
    }


def sale_totals(sale: Sale) -> dict[str, Decimal]:
    return {
        "total_price": sale.total_price,
        "total_tax": sale.total_tax,
        "total_payment": sale.total_paid,
        "total_to_pay": sale.total_price_incl - sale.total_paid,
    }


def tax_rows_named(sale: Sale, store: VendStore) -> list[dict[str, Any]]:
    rates = {row["id"]: row for tax in store.tax_feed for row in tax["rates"]}
    return [
        {"id": rate_id, "tax": amount, "name": rates[rate_id]["name"], "rate": rates[rate_id]["rate"]}
        for rate_id, amount in sale.tax_rows().items()
        if rate_id in rates
    ]


def line_webhook(line: SaleLine, store: VendStore) -> dict[str, Any]:
    tax = store.tax_feed.by_id.get(line.tax_id)
    return {
        "id": line.id,
        "product_id": line.product_id,
        "quantity": line.quantity,
        "price": line.price,
        "price_set": int(line.price_set),
        "discount": line.discount,
        "tax": line.tax,
        "price_total": line.price_total,
        "tax_total": line.tax_total,
        "tax_id": line.tax_id,
        "tax_name": tax["name"] if tax else None,
        "tax_rate": store.tax_rate(line.tax_id),
        "attributes": [{"name": "line_note", "value": line.note}] if line.note else [],
    }


def customer_in_sale(customer: Record) -> dict[str, Any]:
    return {
        "id": customer["id"],
        "customer_code": customer["customer_code"],
        "balance": customer["balance"],
        "points": 0,
        "note": customer["note"],
        "year_to_date": customer["year_to_date"],
        "sex": customer["gender"],
        "date_of_birth": customer["date_of_birth"],
        "created_at": bare_time(customer["created_at"]),
        "updated_at": bare_time(customer["updated_at"]),
    }


def register_sale(sale: Sale, store: VendStore) -> dict[str, Any]:
    """vend.md 3.6: the answer of 0.9 ``POST /api/register_sales``; ``sequence`` and ``payment_type_id`` come as text."""
    shape = sale_webhook(sale, store)
    customer = store.customer_feed.by_id.get(sale.customer_id or "")
    for row, line in zip(shape["register_sale_products"], sale.line_items, strict=True):
        product = store.product_feed.by_id.get(line.product_id)
        row |= {
            "register_id": line.register_id,
            "sequence": str(line.sequence),
            "cost": line.cost,
            "loyalty_value": line.loyalty_value,
            "status": line.status,
            "handle": product["handle"] if product else None,
            "sku": product["sku"] if product else None,
            "name": product["variant_name"] if product else None,
            "display_retail_price_tax_inclusive": str(int(not store.retailer["tax_exclusive"])),
        }
    return shape | {
        "state": sale.state,
        "register_sale_attributes": sale.attributes,
        "source": sale.source,
        "source_id": sale.source_id,
        "return_for": sale.return_for,
        "market_id": "1",
        "customer_name": customer["name"] if customer else None,
        "user_name": store.primary_user["username"],
        "total_price": sale.total_price,
        "total_cost": sum((line.cost * line.quantity for line in sale.line_items), ZERO),
        "total_tax": sale.total_tax,
        "tax_name": store.default_tax["name"],
    }


def product_webhook(product: Record, store: VendStore) -> dict[str, Any]:
    """vend.md section 7, ``product.update``: prices are text here."""
    brand = store.brand_feed.by_id.get(product["brand_id"] or "")
    kind = store.product_type_feed.by_id.get(product["product_type_id"] or "")
    supplier = store.supplier_feed.by_id.get(product["supplier_id"] or "")
    return {
        "id": product["id"],
        "retailer_id": store.retailer["id"],
        "name": product["variant_name"],
        "base_name": product["name"],
        "handle": product["handle"],
        "sku": product["sku"],
        "active": product["active"],
        "description": product["description"],
        "source": product["source"],
        "source_id": product["source_id"],
        "source_variant_id": product["source_variant_id"],
        "supply_price": str(product["supply_price"]),
        "attributed_cost": str(product["supply_price"]),
        "button_order": product["button_order"],
        "brand": {"id": brand["id"], "name": brand["name"]} if brand else None,
        "supplier": {"id": supplier["id"], "name": supplier["name"], "description": None, "source": "USER"}
        if supplier
        else None,
        "product_type": {"id": kind["id"], "name": kind["name"]} if kind else None,
        "categories": [],
        "inventory": [
            inventory_webhook(store.inventory_row(product["id"], outlet["id"]))
            for outlet in store.outlets
            if product["has_inventory"]
        ],
        "price_book_entries": [
            {
                "id": row["id"],
                "product_id": row["product_id"],
                "price": str(row["price"]),
                "type": "GENERAL",
                "min_units": row["min_units"],
                "max_units": row["max_units"],
            }
            for row in store.price_book_product_feed
            if row["product_id"] == product["id"]
        ],
        "taxes": [{"outlet_id": outlet["id"], "tax_id": outlet["default_tax_id"]} for outlet in store.outlets],
        "variant_options": product["variant_options"],
        "deleted_at": bare_time(product["deleted_at"]),
    }


def inventory_webhook(row: Record) -> dict[str, Any]:
    return {
        "id": row["id"],
        "product_id": row["product_id"],
        "outlet_id": row["outlet_id"],
        "count": row["inventory_level"],
        "attributed_cost": str(row["average_cost"]),
        "reorder_point": None if row["reorder_point"] is None else str(row["reorder_point"]),
        "restock_level": None if row["reorder_amount"] is None else str(row["reorder_amount"]),
    }


def customer_webhook(customer: Record) -> dict[str, Any]:
    shape = {
        name: customer[name]
        for name in [
            "id",
            "customer_code",
            "first_name",
            "last_name",
            "company_name",
            "email",
            "phone",
            "mobile",
            "fax",
            "balance",
            "loyalty_balance",
            "enable_loyalty",
            "custom_field_1",
            "custom_field_2",
            "custom_field_3",
            "custom_field_4",
            "note",
            "year_to_date",
        ]
    }
    contact = {
        name.replace("address_", "address"): value
        for name, value in customer.items()
        if name.startswith(("physical_", "postal_"))
        or name in ("first_name", "last_name", "company_name", "phone", "mobile", "fax", "email", "twitter")
    }
    return shape | {"contact": contact, "deleted_at": bare_time(customer["deleted_at"])}
