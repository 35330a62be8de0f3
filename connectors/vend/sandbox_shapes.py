"""The same records in the shapes of the dated versions and of 2.0. Source: vend.md 3.1 to 3.4, 3.9 and 3.11."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any

from connectors.vend.sandbox_core import Record, dated_time, legacy_time
from connectors.vend.sandbox_sale import ZERO, Sale, SaleLine, SalePayment

if TYPE_CHECKING:
    from connectors.vend.sandbox_store import VendStore

# Fields that only the dated versions have (vend.md 3.2 and 3.11).
ONLY_DATED: dict[str, frozenset[str]] = {
    "outlets": frozenset({"phone", "latitude", "longitude"}),
    "products": frozenset(
        {"family_id", "skuImages", "packaging", "customizations", "composite_bom", "outlet_taxes", "tax_category"}
    ),
}

# Fields that are there even when they are null and nulls are left out: the documents require them.
ALWAYS_THERE: dict[str, frozenset[str]] = {
    "customers": frozenset({"first_name", "last_name"}),
    "taxes": frozenset({"deleted_at"}),
}


def is_dated(family: str) -> bool:
    return "-" in family


def plain(record: Mapping[str, Any], resource: str, family: str) -> dict[str, Any]:
    """A reference record: times as text, and in 2.0 without the fields that came later."""
    dated = is_dated(family)
    skipped = frozenset[str]() if dated else ONLY_DATED.get(resource, frozenset())
    write: Callable[[datetime | None], str | None] = dated_time if dated else legacy_time
    return {
        name: write(value) if isinstance(value, datetime) else value
        for name, value in record.items()
        if name not in skipped
    }


def without_nulls(value: Any, resource: str = "") -> Any:
    """The same with fields that are null left out, as the documentation's own examples have it."""
    if isinstance(value, dict):
        kept = ALWAYS_THERE.get(resource, frozenset[str]())
        return {name: without_nulls(inner) for name, inner in value.items() if inner is not None or name in kept}
    if isinstance(value, list):
        return [without_nulls(inner) for inner in value]
    return value


# Sales


def sale_dated(sale: Sale) -> dict[str, Any]:
    """vend.md 3.4."""
    return {
        "id": sale.id,
        "state": sale.state,
        "attributes": sale.attributes,
        "customer_id": sale.customer_id,
        "date": dated_time(sale.sale_date),
        "invoice_number": sale.invoice_number,
        "receipt_number": sale.receipt_number,
        "note": sale.note,
        "short_code": sale.short_code,
        "created_at": dated_time(sale.created_at),
        "updated_at": dated_time(sale.updated_at),
        "deleted_at": dated_time(sale.deleted_at),
        "source": {
            "type": sale.source,
            "id": sale.source_id,
            "outlet_id": sale.outlet_id,
            "register_id": sale.register_id,
            "author": {"id": sale.user_id},
        },
        "return": {
            "is_return": sale.is_return,
            "original_sale_id": sale.return_for,
            "return_sale_ids": sale.return_ids,
        },
        "totals": {
            "price": sale.total_price,
            "price_incl_tax": sale.total_price_incl,
            "tax": sale.total_tax,
            "loyalty": sale.total_loyalty,
            "surcharge": sale.total_surcharge,
        },
        "taxes": [{"id": rate_id, "tax": amount} for rate_id, amount in sale.tax_rows().items()],
        "line_items": [line_dated(line) for line in sale.line_items],
        "payments": [payment_dated(payment) for payment in sale.payments],
        "adjustments": [
            {
                "name": row["name"],
                "adjustment_type": row.get("adjustment_type", "NON_CASH_FEE"),
                "total": row["value"],
                "tax_components": row.get("tax_components", []),
            }
            for row in sale.adjustments
        ],
        "ecom_custom_charges": sale.ecom_custom_charges,
        "external_applications": sale.external_applications,
        "_metadata": {
            "version": sale.version,
            "xero_reference": None,
            "has_unsynced_on_account_payments": False,
            "complete_open_sequence_id": None,
        },
    }


def line_dated(line: SaleLine) -> dict[str, Any]:
    return {
        "id": line.id,
        "product": {"id": line.product_id},
        "quantity": line.quantity,
        "status": line.status,
        "note": line.note,
        "gift_card_number": line.gift_card_number,
        "salesperson_id": line.salesperson_id,
        "pricing": {
            "price": line.price,
            "total": line.price_total,
            "discount": line.discount,
            "discount_total": line.discount * line.quantity,
            "cost": line.cost,
            "cost_total": line.cost * line.quantity,
            "loyalty_amount": line.loyalty_value,
            "loyalty_amount_total": line.loyalty_value * line.quantity,
        },
        "tax": {"id": line.tax_id, "amount": line.tax, "total": line.tax_total},
        "return": {"is_return": line.is_return, "reason": line.return_reason},
        "source": {"register_id": line.register_id},
        "promotions": line.promotions,
        "surcharges": line.surcharges,
        "customizations": line.customizations,
        "_metadata": {
            "sequence": line.sequence,
            "is_price_override": line.price_set,
            "tax_components": line.tax_components,
        },
    }


def payment_dated(payment: SalePayment) -> dict[str, Any]:
    return {
        "id": payment.id,
        "amount": payment.amount,
        "date": dated_time(payment.payment_date),
        "type": {
            "config_id": payment.retailer_payment_type_id,
            "id": payment.payment_type_id,
            "name": payment.name,
        },
        "source": {
            "id": payment.source_id,
            "outlet_id": payment.outlet_id,
            "register_id": payment.register_id,
        },
        "surcharge": payment.surcharge,
        "external_attributes": payment.external_attributes,
        "external_applications": payment.external_applications,
        "billing_address_id": None,
        "deleted_at": dated_time(payment.deleted_at),
        "_metadata": {"register_open_sequence_id": None},
    }


def sale_legacy(sale: Sale) -> dict[str, Any]:
    """vend.md 3.3: flat, with a status word and most line values under two names."""
    charges = sale.ecom_custom_charges
    return {
        "id": sale.id,
        "outlet_id": sale.outlet_id,
        "register_id": sale.register_id,
        "user_id": sale.user_id,
        "customer_id": sale.customer_id,
        "invoice_number": sale.invoice_number,
        "receipt_number": sale.receipt_number,
        "invoice_sequence": sale.invoice_sequence,
        "receipt_sequence": sale.invoice_sequence,
        "source": sale.source,
        "source_id": sale.source_id,
        "status": sale.status,
        "state": sale.state,
        "attributes": sale.attributes,
        "note": sale.note,
        "short_code": sale.short_code,
        "return_for": sale.return_for,
        "return_ids": sale.return_ids,
        "total_price": sale.total_price,
        "total_price_incl": sale.total_price_incl,
        "total_tax": sale.total_tax,
        "total_loyalty": sale.total_loyalty,
        "created_at": legacy_time(sale.created_at),
        "updated_at": legacy_time(sale.updated_at),
        "sale_date": legacy_time(sale.sale_date),
        "deleted_at": legacy_time(sale.deleted_at),
        "line_items": [line_legacy(line) for line in sale.line_items],
        "payments": [payment_legacy(payment) for payment in sale.payments],
        "taxes": [{"id": rate_id, "amount": amount} for rate_id, amount in sale.tax_rows().items()],
        "adjustments": [row | {"type": row.get("adjustment_type", "NON_CASH_FEE")} for row in sale.adjustments],
        "ecom_custom_charges": {
            "total": sum((row["total"] for row in charges), ZERO),
            "total_tax": sum((row["total_tax"] for row in charges), ZERO),
            "total_incl": sum((row["total_incl"] for row in charges), ZERO),
            "charges": charges,
        }
        if charges
        else None,
        "version": sale.version,
    }


def line_legacy(line: SaleLine) -> dict[str, Any]:
    quantity = line.quantity
    return {
        "id": line.id,
        "product_id": line.product_id,
        "quantity": quantity,
        "price": line.price,
        "unit_price": line.price,
        "price_total": line.price_total,
        "total_price": line.price_total,
        "discount": line.discount,
        "unit_discount": line.discount,
        "discount_total": line.discount * quantity,
        "total_discount": line.discount * quantity,
        "loyalty_value": line.loyalty_value,
        "unit_loyalty_value": line.loyalty_value,
        "total_loyalty_value": line.loyalty_value * quantity,
        "cost": line.cost,
        "unit_cost": line.cost,
        "cost_total": line.cost * quantity,
        "total_cost": line.cost * quantity,
        "tax": line.tax,
        "unit_tax": line.tax,
        "tax_total": line.tax_total,
        "total_tax": line.tax_total,
        "tax_id": line.tax_id,
        "tax_components": line.tax_components,
        "price_set": line.price_set,
        "sequence": line.sequence,
        "note": line.note,
        "status": line.status,
        "is_return": line.is_return,
        "salesperson_id": line.salesperson_id,
        "gift_card_number": line.gift_card_number,
        "promotions": line.promotions,
        "surcharges": line.surcharges,
    }


def payment_legacy(payment: SalePayment) -> dict[str, Any]:
    return {
        "id": payment.id,
        "register_id": payment.register_id,
        "outlet_id": payment.outlet_id,
        "retailer_payment_type_id": payment.retailer_payment_type_id,
        "payment_type_id": payment.payment_type_id,
        "name": payment.name,
        "amount": payment.amount,
        "payment_date": legacy_time(payment.payment_date),
        "deleted_at": legacy_time(payment.deleted_at),
        "source_id": payment.source_id,
        "surcharge": payment.surcharge,
        "external_attributes": payment.external_attributes,
        "external_applications": payment.external_applications,
    }


# Products


def product_shape(product: Record, store: VendStore, family: str) -> dict[str, Any]:
    """A product with its brand, type, supplier and tags looked up."""
    shape = plain(product, "products", family)
    shape["is_active"] = product["active"]
    shape["brand"] = sample(store.brand_feed.by_id.get(product["brand_id"] or ""))
    shape["type"] = sample(store.product_type_feed.by_id.get(product["product_type_id"] or ""))
    shape["supplier"] = sample(store.supplier_feed.by_id.get(product["supplier_id"] or ""))
    shape["categories"] = [
        {"id": tag["id"], "name": tag["name"]}
        for tag in map(store.tag_feed.by_id.get, product["tag_ids"])
        if tag is not None
    ]
    if is_dated(family):
        shape["product_category"] = shape["type"]
    else:
        for empty in ("brand", "type", "supplier"):
            shape[empty] = shape[empty] or {}
    return shape


def sample(record: Record | None) -> dict[str, Any] | None:
    return {"id": record["id"], "name": record["name"], "version": record["version"]} if record else None


# Inventory


def inventory_dated(row: Record) -> dict[str, Any]:
    """vend.md 3.9: the rows of dated ``POST /inventory``."""
    return {
        "id": row["id"],
        "product_id": row["product_id"],
        "outlet_id": row["outlet_id"],
        "current_inventory_level": row["inventory_level"],
        "average_cost": row["average_cost"],
        "quantity_to_procure": 0,
        "reorder_point": row["reorder_point"],
        "reorder_amount": row["reorder_amount"],
        "reorder_method": None if row["reorder_point"] is None else "FIXED",
        "reorder_target": None,
        "deleted_at": dated_time(row["deleted_at"]),
        "version": row["version"],
    }


def inventory_legacy(row: Record) -> dict[str, Any]:
    """vend.md 3.9: ``inventory_level`` and ``current_amount`` carry the same number."""
    shape = plain(row, "inventory", "2.0")
    shape["current_amount"] = row["inventory_level"]
    return shape
