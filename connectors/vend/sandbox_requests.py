"""Sales as clients send them, turned into changes of the store. Source: vend.md 3.5 and 3.6."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from connectors.vend.sandbox_core import bad_request, decimal_of, mask_cards, parse_time, unprocessable
from connectors.vend.sandbox_sale import STATUSES, ZERO, Sale
from connectors.vend.sandbox_sales import check_words
from connectors.vend.sandbox_store import VendStore


def save_dated_sale(store: VendStore, body: Any, sale: Sale | None = None) -> Sale:
    """``POST`` and ``PUT /sales`` of the dated versions. A ``POST`` with an ``id`` that is known already gives the sale
    that is there and changes nothing. Raises ``Refusal`` 400 and 422."""
    if not isinstance(body, dict):
        raise bad_request("The body must be an object.")
    source = part(body, "source")
    need(body, "state")
    need(source, "author_id", "source.author_id")
    check_words(body["state"], body.get("attributes", []))
    if sale is None and body.get("id"):
        known = store.sale_feed.by_id.get(body["id"])
        if isinstance(known, Sale):
            return known
    changes = dated_changes(store, body, source)
    if sale is not None:
        return store.change_sale(sale, changes)
    changes.setdefault("payments", [])
    return store.add_sale(outlet_of(store, source.get("register_id"), body.get("fulfillment_outlet_id")), **changes)


def dated_changes(store: VendStore, body: Mapping[str, Any], source: Mapping[str, Any]) -> dict[str, Any]:
    changes: dict[str, Any] = {"state": body["state"], "user_id": source["author_id"]}
    for name in ("id", "attributes", "note", "invoice_number", "short_code"):
        if body.get(name) is not None:
            changes[name] = body[name]
    changes = mask_cards(changes)
    if "customer_id" in body:
        changes["customer_id"] = known_customer(store, body["customer_id"])
    if body.get("date"):
        changes["sale_date"] = parse_time(body["date"])
    for name, target in (("type", "source"), ("id", "source_id"), ("register_id", "register_id")):
        if source.get(name) is not None:
            changes[target] = source[name]
    if "line_items" in body:
        changes["lines"] = [dated_line(store, line) for line in rows(body, "line_items")]
    if "payments" in body:
        changes["payments"] = [dated_payment(payment) for payment in rows(body, "payments")]
    changes |= fulfilment_changes(store, body)
    adjustments = rows(part(body, "pricing"), "adjustments")
    if adjustments:
        net = sum((line["price"] * line["quantity"] for line in changes.get("lines", ())), ZERO)
        changes["adjustments"] = [sale_adjustment(row, net) for row in adjustments]
    return changes


def fulfilment_changes(store: VendStore, body: Mapping[str, Any]) -> dict[str, Any]:
    """Where a delivery goes: an address id, or the ``id_token`` that creating an address gave."""
    changes: dict[str, Any] = {}
    for detail in rows(body, "fulfillment_details"):
        changes["fulfilment_note"] = detail.get("note") or ""
        told = detail.get("shipping_address_id") or detail.get("shipping_address_token")
        if not told:
            continue
        for owned in store.addresses.values():
            for address in owned.values():
                if told in (str(address["id"]), address["id_token"]):
                    changes["ship_to_address_id"] = address["id"]
        if "ship_to_address_id" not in changes:
            raise unprocessable(f"The shipping address {told} does not exist.")
    return changes


def dated_line(store: VendStore, line: Any) -> dict[str, Any]:
    product, pricing, tax = part(line, "product"), part(line, "pricing"), part(line, "tax")
    need(product, "id", "line_items[].product.id")
    need(line, "quantity", "line_items[].quantity")
    need(pricing, "price", "line_items[].pricing.price")
    need(tax, "id", "line_items[].tax.id")
    need(tax, "amount", "line_items[].tax.amount")
    metadata = part(line, "_metadata")
    fields: dict[str, Any] = {
        "product": known_product(store, product["id"]),
        "quantity": decimal_of(line["quantity"]),
        "price": decimal_of(pricing["price"]),
        "discount": decimal_of(pricing.get("discount") or 0),
        "loyalty_value": decimal_of(pricing.get("loyalty_amount") or 0),
        "tax": decimal_of(tax["amount"]),
        "tax_id": tax["id"],
        "price_set": bool(metadata.get("is_price_override", False)),
    }
    if pricing.get("cost") is not None:
        fields["cost"] = decimal_of(pricing["cost"])
    if metadata.get("sequence") is not None:
        fields["sequence"] = int(metadata["sequence"])
    for name in ("id", "status"):
        if line.get(name):
            fields[name] = line[name]
    if part(line, "source").get("register_id"):
        fields["register_id"] = line["source"]["register_id"]
    for row in rows(pricing, "adjustments"):
        if row.get("type") == "DISCOUNT":
            off = adjustment_amount(row, fields["price"])
            fields["discount"] += off
            fields["price"] -= off
    for row in rows(line, "attributes"):
        if row.get("name") == "line_note":
            fields["note"] = row.get("value")
    return fields


def dated_payment(payment: Any) -> dict[str, Any]:
    kind = part(payment, "type")
    need(payment, "amount", "payments[].amount")
    need(kind, "config_id", "payments[].type.config_id")
    fields: dict[str, Any] = {"amount": decimal_of(payment["amount"]), "retailer_payment_type_id": kind["config_id"]}
    if payment.get("date"):
        fields["payment_date"] = payment["date"]
    if payment.get("id"):
        fields["id"] = payment["id"]
    if part(payment, "source").get("register_id"):
        fields["register_id"] = payment["source"]["register_id"]
    return fields


def sale_adjustment(row: Mapping[str, Any], net: Decimal) -> dict[str, Any]:
    """A fee adds to the sale, a discount takes off it."""
    amount = adjustment_amount(row, net)
    return {
        "name": row.get("name") or row["type"].title(),
        "adjustment_type": row["type"],
        "value": -amount if row["type"] == "DISCOUNT" else amount,
        "tax_components": [],
    }


def adjustment_amount(row: Mapping[str, Any], base: Decimal) -> Decimal:
    amount = part(row, "amount")
    value = decimal_of(amount.get("value", 0))
    return base * value / 100 if amount.get("type") == "PERCENT" else value


# 0.9


def save_register_sale(store: VendStore, body: Any) -> Sale:
    """``POST /api/register_sales``: creates, or updates when ``id`` is known; lines and payments that are left out of an
    update are removed. Raises ``Refusal`` 400 and 422."""
    if not isinstance(body, dict):
        raise bad_request("The body must be an object.")
    for name in ("register_id", "user_id", "status"):
        need(body, name)
    if body["status"] not in STATUSES:
        raise bad_request(f"{body['status']!r} is no status.")
    state, attribute = STATUSES[body["status"]]
    changes: dict[str, Any] = {
        "state": state,
        "attributes": [attribute] if attribute else list(body.get("register_sale_attributes") or []),
        "user_id": body["user_id"],
        "register_id": body["register_id"],
        "lines": [register_line(store, line) for line in rows(body, "register_sale_products")],
        "payments": [register_payment(payment) for payment in rows(body, "register_sale_payments")],
    }
    for name in ("source", "source_id", "note", "short_code", "invoice_number", "return_for"):
        if body.get(name):
            changes[name] = body[name]
    if body.get("customer_id"):
        changes["customer_id"] = known_customer(store, body["customer_id"])
    if body.get("sale_date"):
        changes["sale_date"] = parse_time(body["sale_date"])
    known = store.sale_feed.by_id.get(body.get("id") or "")
    if isinstance(known, Sale):
        return store.change_sale(known, changes)
    if body.get("id"):
        changes["id"] = body["id"]
    return store.add_sale(outlet_of(store, body["register_id"], None), **changes)


def register_line(store: VendStore, line: Any) -> dict[str, Any]:
    for name in ("product_id", "quantity", "price", "tax", "tax_id"):
        need(line, name, f"register_sale_products[].{name}")
    fields: dict[str, Any] = {
        "product": known_product(store, line["product_id"]),
        "quantity": decimal_of(line["quantity"]),
        "price": decimal_of(line["price"]),
        "tax": decimal_of(line["tax"]),
        "tax_id": line["tax_id"],
        "discount": decimal_of(line.get("discount") or 0),
        "loyalty_value": decimal_of(line.get("loyalty_value") or 0),
        "price_set": str(line.get("price_set", 0)) in ("1", "True"),
    }
    if line.get("cost") is not None:
        fields["cost"] = decimal_of(line["cost"])
    if line.get("sequence") not in (None, ""):
        fields["sequence"] = int(decimal_of(line["sequence"]))
    for name in ("id", "status", "register_id"):
        if line.get(name):
            fields[name] = line[name]
    for row in rows(line, "attributes"):
        if row.get("name") == "line_note":
            fields["note"] = row.get("value")
    return fields


def register_payment(payment: Any) -> dict[str, Any]:
    for name in ("register_id", "retailer_payment_type_id", "amount", "payment_date"):
        need(payment, name, f"register_sale_payments[].{name}")
    return {
        name: payment[name]
        for name in ("id", "register_id", "retailer_payment_type_id", "amount", "payment_date")
        if payment.get(name)
    }


# Shared


def part(body: Any, name: str) -> dict[str, Any]:
    """A nested object; an absent one is empty. Raises ``Refusal`` 400."""
    if not isinstance(body, Mapping):
        raise bad_request("An object was expected.")
    value = body.get(name)
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise bad_request(f"{name} must be an object.")
    return value


def rows(body: Mapping[str, Any], name: str) -> list[dict[str, Any]]:
    """A list of objects; an absent one is empty. Raises ``Refusal`` 400."""
    value = body.get(name)
    if value is None:
        return []
    if not isinstance(value, list) or not all(isinstance(row, dict) for row in value):
        raise bad_request(f"{name} must be a list of objects.")
    return value


def need(body: Any, name: str, path: str = "") -> None:
    if not isinstance(body, Mapping) or body.get(name) is None:
        raise bad_request(f"{path or name} is required.")


def outlet_of(store: VendStore, register_id: str | None, outlet_id: str | None) -> Any:
    if register_id:
        register = store.register_feed.by_id.get(register_id)
        if register is None or register["deleted_at"] is not None:
            raise unprocessable(f"The register {register_id} does not exist.")
        return register["outlet_id"]
    return outlet_id


def known_product(store: VendStore, product_id: str) -> str:
    product = store.product_feed.by_id.get(product_id)
    if product is None or product["deleted_at"] is not None:
        raise unprocessable(f"The product {product_id} does not exist.")
    return product_id


def known_customer(store: VendStore, customer_id: str | None) -> str | None:
    if customer_id is not None and customer_id not in store.customer_feed.by_id:
        raise unprocessable(f"The customer {customer_id} does not exist.")
    return customer_id
