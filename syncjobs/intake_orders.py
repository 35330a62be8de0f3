"""Intake of orders: a page of records becomes orders, in a constant number of statements (law 2).

New orders are made in bulk together with their lines, history, payload and delivery. An order that is known is touched
only by a newer version, and then one at a time, with its differences written into its history.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from django.utils import timezone

from carts.models import Cart, Customer, Location, Order, OrderEvent, OrderLine, OrderPayload, Product
from carts.models.catalogue import sku_key
from carts.models.fields import plain_decimal
from connectors.records import (
    Address,
    CustomerRecord,
    OrderLineRecord,
    OrderRecord,
    ProductKind,
    RemoteOrderState,
)
from syncjobs.bulk_insert import insert_rows, insert_values
from syncjobs.models import Delivery

Status = Order.Status

NO_ADDRESS = "The order has no ship-to address, its customer has none, and the outlet's is not used."
NO_WAREHOUSE = "The cart has no warehouse. Choose one in the cart's settings; the order then goes out by itself."


@dataclass(frozen=True, slots=True)
class KnownProduct:
    sku: str
    name: str
    ships: bool


@dataclass(slots=True)
class References:
    """What a page of orders refers to: the cart's products and customers, by the remote's ids."""

    products: dict[str, KnownProduct] = field(default_factory=dict)
    customers: dict[str, Customer] = field(default_factory=dict)
    missing_products: set[str] = field(default_factory=set)
    missing_customers: set[str] = field(default_factory=set)


def load_references(cart: Cart, records: Iterable[OrderRecord]) -> References:
    """Two queries for a page."""
    product_ids: set[str] = set()
    customer_ids: set[str] = set()
    for record in records:
        if record.customer_id and record.customer is None:
            customer_ids.add(record.customer_id)
        product_ids.update(line.product_id for line in record.lines if not line.sku and line.product_id)
    found = References()
    if product_ids:
        rows = Product.objects.filter(connection_id=cart.pk, external_id__in=product_ids)
        for external_id, sku, name, kind in rows.values_list("external_id", "sku", "name", "kind"):
            ships = kind not in (ProductKind.GIFT_CARD, ProductKind.DISCOUNT)
            found.products[external_id] = KnownProduct(sku, name, ships)
        found.missing_products = product_ids - found.products.keys()
    if customer_ids:
        for customer in Customer.objects.filter(connection_id=cart.pk, external_id__in=customer_ids):
            found.customers[customer.external_id] = customer
        found.missing_customers = customer_ids - found.customers.keys()
    return found


def reference_of(cart: Cart, record: OrderRecord) -> str:
    """How the warehouse knows the order: its number, made unique for ever by a short mark of cart and remote id."""
    mark = hashlib.blake2b(f"{cart.uuid}/{record.external_id}".encode(), digest_size=4).hexdigest()
    return f"{record.number[:100]}-{mark}"


def known_orders(cart: Cart, records: Sequence[OrderRecord]) -> dict[str, tuple[int, int]]:
    """external id -> (our id, version stored), for those of the page that are stored already. One query."""
    rows = Order.objects.filter(cart_id=cart.pk, external_id__in=[record.external_id for record in records])
    return {external_id: (pk, version) for external_id, pk, version in rows.values_list("external_id", "pk", "version")}


def newest_of_each(records: Iterable[OrderRecord]) -> list[OrderRecord]:
    newest: dict[str, OrderRecord] = {}
    for record in records:
        known = newest.get(record.external_id)
        if known is None or record.version >= known.version:
            newest[record.external_id] = record
    return list(newest.values())


def store_new_orders(
    cart: Cart, location: Location | None, records: Sequence[OrderRecord], references: References
) -> list[Order]:
    """Stores orders that are not known yet, each with everything that belongs to it. Returns them."""
    now = timezone.now()
    orders = [order_of(cart, location, record, references, now) for record in records]
    insert_rows(Order, orders)
    known = known_orders(cart, records)
    lines: list[dict[str, Any]] = []
    events: list[dict[str, Any]] = []
    payloads: list[dict[str, Any]] = []
    deliveries: list[dict[str, Any]] = []
    for order, record in zip(orders, records, strict=True):
        order.pk, _ = known[record.external_id]
        lines.extend(
            line_values(order.pk, position, line, references) for position, line in enumerate(record.lines, start=1)
        )
        events.append(
            {"order_id": order.pk, "kind": "imported", "message": f"Imported from {cart} as {record.remote_status}."}
        )
        if order.problem:
            events.append({"order_id": order.pk, "kind": order.status, "message": order.problem})
        if order.status == Status.SHIPPED:
            events.append(
                {"order_id": order.pk, "kind": "shipped", "message": "Nothing to ship: the order holds no goods."}
            )
        if record.raw:
            payloads.append({"order_id": order.pk, "version": record.version, "body": OrderPayload.pack(record.raw)})
        if order.status == Status.NEW and order.warehouse_id is not None:
            deliveries.append(
                {
                    "connection_id": order.warehouse_id,
                    "kind": Delivery.Kind.ORDER.value,
                    "order_id": order.pk,
                    "reference": order.reference,
                    "run_at": now,
                }
            )
    insert_values(OrderLine, lines)
    insert_values(OrderEvent, events)
    insert_values(OrderPayload, payloads)
    insert_values(Delivery, deliveries)
    return orders


def order_of(
    cart: Cart, location: Location | None, record: OrderRecord, references: References, now: datetime
) -> Order:
    order = Order(
        merchant_id=cart.merchant_id,
        cart_id=cart.pk,
        warehouse_id=cart.warehouse_id,
        location_id=location.pk if location else None,
        external_id=record.external_id,
        reference=reference_of(cart, record),
        stored_at=now,
    )
    fill_order(order, record, references)
    order.status, order.problem = first_status(order, record, references)
    if order.status == Status.SHIPPED:
        order.shipped_at = now
    return order


def fill_order(order: Order, record: OrderRecord, references: References) -> None:
    """Copies a record's values into an order (not its status)."""
    customer = references.customers.get(record.customer_id)
    order.number = record.number[:120]
    order.remote_status = record.remote_status[:60]
    order.version = record.version
    order.placed_at = record.placed_at
    order.remote_updated_at = record.updated_at
    order.currency = record.currency[:3]
    order.subtotal = record.subtotal
    order.discount_total = record.discount_total
    order.shipping_total = record.shipping_total
    order.tax_total = record.tax_total
    order.total = record.total
    order.unexplained = record.unexplained
    order.ship_method = record.ship_method[:120]
    order.note = record.note
    order.payments = [
        {
            "name": payment.name,
            "amount": plain_decimal(payment.amount, 2),
            "paid_at": payment.paid_at.isoformat() if payment.paid_at else None,
            "kind": payment.kind,
        }
        for payment in record.payments
    ]
    order.charges = [
        {
            "kind": charge.kind,
            "name": charge.name,
            "amount": plain_decimal(charge.amount, 2),
            "tax": plain_decimal(charge.tax, 2),
        }
        for charge in record.charges
    ]
    order.customer = customer
    order.customer_name, order.customer_email = customer_facts(record.customer, customer)
    order.ship_to = ship_to_of(record, customer)
    order.bill_to = bill_to_of(record, customer) or order.ship_to


def customer_facts(inline: CustomerRecord | None, stored: Customer | None) -> tuple[str, str]:
    if inline is not None:
        return inline.display_name[:300], inline.email[:254]
    if stored is not None:
        return stored.display_name[:300], stored.email
    return "", ""


def ship_to_of(record: OrderRecord, customer: Customer | None) -> dict[str, str]:
    """The order's own address, else the customer's, else the fallback that the cart's options allow."""
    stored = Address.from_dict(customer.ship_to) if customer and not customer.is_walk_in else None
    inline = record.customer.ship_to if record.customer else None
    for address in (record.ship_to, inline, stored, record.fallback_ship_to):
        if address is not None and address.is_usable:
            return address.as_dict()
    for address in (record.ship_to, inline, stored):
        if address is not None and any(address.as_dict().values()):
            return address.as_dict()
    return {}


def bill_to_of(record: OrderRecord, customer: Customer | None) -> dict[str, str]:
    stored = Address.from_dict(customer.bill_to) if customer and customer.bill_to else None
    inline = record.customer.bill_to if record.customer else None
    for address in (record.bill_to, inline, stored):
        if address is not None and address.is_usable:
            return address.as_dict()
    return {}


def lines_of(order: Order, records: Sequence[OrderLineRecord], references: References) -> list[OrderLine]:
    return [line_of(order, position, record, references) for position, record in enumerate(records, start=1)]


def line_of(order: Order, position: int, record: OrderLineRecord, references: References) -> OrderLine:
    return OrderLine(**line_values(order.pk, position, record, references))


def line_values(order_id: int | None, position: int, record: OrderLineRecord, references: References) -> dict[str, Any]:
    """The columns of one line."""
    product = references.products.get(record.product_id)
    sku = record.sku or (product.sku if product else "")
    return {
        "order_id": order_id,
        "position": position,
        "external_id": record.external_id or str(position),
        "product_id_at_cart": record.product_id,
        "sku": sku[:200],
        "sku_key": sku_key(sku)[:200],
        "name": (record.name or (product.name if product else ""))[:500],
        "quantity": record.quantity,
        "unit_price": record.unit_price,
        "discount": record.discount,
        "tax": record.tax,
        "total": record.total,
        "note": record.note[:500],
        "ships": record.ships and (product.ships if product else True),
    }


def first_status(order: Order, record: OrderRecord, references: References) -> tuple[str, str]:
    """(status, problem) of an order that was just filled."""
    if record.state is RemoteOrderState.CANCELLED:
        return Status.CANCELLED, ""
    if record.hold_reason:
        return Status.HELD, record.hold_reason
    goods = [line for line in record.lines if ships(line, references.products)]
    if not goods:
        return Status.SHIPPED, ""
    problem = data_problem(order, goods, references.products)
    return (Status.ERROR, problem) if problem else (Status.NEW, "")


def ships(line: OrderLineRecord, products: Mapping[str, KnownProduct]) -> bool:
    product = products.get(line.product_id)
    return line.ships and (product.ships if product else True)


def data_problem(order: Order, goods: Sequence[OrderLineRecord], products: Mapping[str, KnownProduct]) -> str:
    """What keeps an order from going out, in words; "" if nothing does. It heals itself when the data come in."""
    if order.warehouse_id is None:
        return NO_WAREHOUSE
    for line in goods:
        if line.sku:
            continue
        product = products.get(line.product_id)
        if product is None:
            return (
                f"Line {line.name or line.external_id}: product {line.product_id or '(none)'} is not in the cart's "
                "product list. Restore the product, or correct the line."
            )
        if not product.sku:
            return f"Line {product.name}: the product has no SKU. Give it one in the cart."
    if not Address.from_dict(order.ship_to).is_usable:
        return (
            f"{NO_ADDRESS} Enter street, city and country here, add them to the customer, or switch "
            "Default to Outlet Address on."
        )
    return ""
