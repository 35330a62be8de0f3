"""Intake of orders: a page of records becomes orders, in a constant number of statements (law 2).

New orders are made in bulk together with their lines, history, payload and delivery. An order that is known is touched
only by a newer version, and then one at a time, with its differences written into its history.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple

from django.utils import timezone

from carts.line_skus import key_of, warehouse_sku
from carts.models import Cart, Location, Order, OrderEvent, OrderLine, OrderPayload
from carts.models.fields import plain_decimal
from connectors.records import (
    Address,
    CustomerRecord,
    OrderLineRecord,
    OrderRecord,
    Page,
    RemoteOrderState,
)
from syncjobs.bulk_insert import insert_values, reserve_ids
from syncjobs.models import Delivery
from syncjobs.order_references import KnownCustomer, KnownProduct, References

Status = Order.Status
Row = dict[str, Any]
NONE_PACKED: Mapping[tuple[str, int], bytes] = {}

NO_ADDRESS = "The order has no ship-to address, its customer has none, and the outlet's is not used."
NO_WAREHOUSE = "The cart has no warehouse. Choose one in the cart's settings; the order then goes out by itself."


def reference_of(cart: Cart, record: OrderRecord) -> str:
    """How the warehouse knows the order: its number, made unique for ever by a short mark of cart and remote id."""
    mark = hashlib.blake2b(f"{cart.uuid}/{record.external_id}".encode(), digest_size=4).hexdigest()
    return f"{record.number[:100]}-{mark}"


def known_orders(cart: Cart, records: Sequence[OrderRecord]) -> dict[str, tuple[int, int]]:
    """external id -> (our id, version stored), for those of the page that are stored already. One query."""
    ids = [record.external_id for record in records]
    # Without an order: SQLite would rather walk through all of the cart's orders than sort a page.
    rows = Order.objects.filter(cart_id=cart.pk, external_id__any_of=ids).order_by()
    return {external_id: (pk, version) for external_id, pk, version in rows.values_list("external_id", "pk", "version")}


def newest_of_each(records: Iterable[OrderRecord]) -> list[OrderRecord]:
    newest: dict[str, OrderRecord] = {}
    for record in records:
        known = newest.get(record.external_id)
        if known is None or record.version >= known.version:
            newest[record.external_id] = record
    return list(newest.values())


class StoredOrder(NamedTuple):
    external_id: str
    status: str


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderPage(Page[OrderRecord]):
    """A page with its payloads packed already, by (external id, version)."""

    bodies: Mapping[tuple[str, int], bytes]


def with_bodies(pages: Iterator[Page[OrderRecord]]) -> Iterator[OrderPage]:
    """The same pages, their payloads packed where they are fetched: while the page before is being stored."""
    for page in pages:
        yield OrderPage(
            records=page.records,
            cursor=page.cursor,
            rejects=page.rejects,
            skipped=page.skipped,
            complete_since=page.complete_since,
            span=page.span,
            bodies={(one.external_id, one.version): OrderPayload.pack(one.raw) for one in page.records if one.raw},
        )


def store_new_orders(
    cart: Cart,
    location: Location | None,
    records: Sequence[OrderRecord],
    references: References,
    bodies: Mapping[tuple[str, int], bytes] = NONE_PACKED,
) -> list[StoredOrder]:
    """Stores orders that are not known yet, each with everything that belongs to it. Only within a transaction.
    ``bodies`` are payloads that are packed already."""
    if not records:
        return []
    now = timezone.now()
    orders: list[Row] = []
    lines: list[Row] = []
    events: list[Row] = []
    payloads: list[Row] = []
    deliveries: list[Row] = []
    for order_id, record in zip(reserve_ids(Order, len(records)), records, strict=True):
        order = new_order(order_id, cart, location, record, references, now)
        orders.append(order)
        lines.extend(
            line_values(order_id, position, line, references) for position, line in enumerate(record.lines, start=1)
        )
        events.extend({"order_id": order_id, "kind": kind, "message": text} for kind, text in history(cart, order))
        if record.raw:
            body = bodies.get((record.external_id, record.version)) or OrderPayload.pack(record.raw)
            payloads.append({"order_id": order_id, "version": record.version, "body": body})
        if order["status"] == Status.NEW and cart.warehouse_id is not None:
            deliveries.append(
                {
                    "connection_id": cart.warehouse_id,
                    "kind": Delivery.Kind.ORDER.value,
                    "order_id": order_id,
                    "reference": order["reference"],
                    "run_at": now,
                }
            )
    for model, rows in (
        (Order, orders),
        (OrderLine, lines),
        (OrderEvent, events),
        (OrderPayload, payloads),
        (Delivery, deliveries),
    ):
        insert_values(model, rows)
    return [StoredOrder(order["external_id"], order["status"]) for order in orders]


def new_order(
    order_id: int, cart: Cart, location: Location | None, record: OrderRecord, references: References, now: datetime
) -> Row:
    """All columns of a new order that do not keep their default."""
    ship_to = ship_to_of(record, references)
    status, problem = first_status(cart.warehouse_id, ship_to, record, references)
    return {
        "id": order_id,
        "merchant_id": cart.merchant_id,
        "cart_id": cart.pk,
        "warehouse_id": cart.warehouse_id,
        "location_id": location.pk if location else None,
        "external_id": record.external_id,
        "reference": reference_of(cart, record),
        "status": status,
        "problem": problem,
        "shipped_at": now if status == Status.SHIPPED else None,
        **order_values(record, ship_to, references),
    }


def history(cart: Cart, order: Row) -> Iterator[tuple[str, str]]:
    """(kind, message) of a new order's first events."""
    yield "imported", f"Imported from {cart} as {order['remote_status']}."
    if order["problem"]:
        yield order["status"], order["problem"]
    if order["status"] == Status.SHIPPED:
        yield "shipped", "Nothing to ship: the order holds no goods."


def fill_order(order: Order, record: OrderRecord, references: References) -> None:
    """Copies a record's values into an order (not its status)."""
    for name, value in order_values(record, ship_to_of(record, references), references).items():
        setattr(order, name, value.as_dict() if isinstance(value, Address) else value)


def order_values(record: OrderRecord, ship_to: Address | None, references: References) -> Row:
    """The columns of an order that follow the cart's record of it; addresses as they are, which a bulk insert encodes."""
    customer = references.customers.get(record.customer_id)
    name, email = customer_facts(record.customer, customer)
    return {
        "number": record.number[:120],
        "remote_status": record.remote_status[:60],
        "version": record.version,
        "placed_at": record.placed_at,
        "remote_updated_at": record.updated_at,
        "currency": record.currency[:3],
        "subtotal": record.subtotal,
        "discount_total": record.discount_total,
        "shipping_total": record.shipping_total,
        "tax_total": record.tax_total,
        "total": record.total,
        "unexplained": record.unexplained,
        "ship_method": record.ship_method[:120],
        "note": record.note,
        "payments": [
            {
                "name": payment.name,
                "amount": plain_decimal(payment.amount, 2),
                "paid_at": payment.paid_at.isoformat() if payment.paid_at else None,
                "kind": payment.kind,
            }
            for payment in record.payments
        ],
        "charges": [
            {
                "kind": charge.kind,
                "name": charge.name,
                "amount": plain_decimal(charge.amount, 2),
                "tax": plain_decimal(charge.tax, 2),
            }
            for charge in record.charges
        ],
        "customer_id": customer.id if customer else None,
        "customer_name": name[:300],
        "customer_email": email[:254],
        "ship_to": ship_to or {},
        "bill_to": bill_to_of(record, customer) or ship_to or {},
    }


def customer_facts(inline: CustomerRecord | None, stored: KnownCustomer | None) -> tuple[str, str]:
    """(name, email)"""
    if inline is not None:
        return inline.display_name, inline.email
    if stored is not None:
        return stored.name, stored.email
    return "", ""


def ship_to_of(record: OrderRecord, references: References) -> Address | None:
    """The order's own address, else the customer's, else the fallback that the cart's options allow."""
    customer = references.customers.get(record.customer_id)
    stored = customer.ship_to if customer else None
    inline = record.customer.ship_to if record.customer else None
    for address in (record.ship_to, inline, stored, record.fallback_ship_to):
        if address is not None and address.is_usable:
            return address
    for address in (record.ship_to, inline, stored):
        if address is not None and any(address.as_dict().values()):
            return address
    return None


def bill_to_of(record: OrderRecord, customer: KnownCustomer | None) -> Address | None:
    stored = customer.bill_to if customer else None
    inline = record.customer.bill_to if record.customer else None
    for address in (record.bill_to, inline, stored):
        if address is not None and address.is_usable:
            return address
    return None


def lines_of(order: Order, records: Sequence[OrderLineRecord], references: References) -> list[OrderLine]:
    return [line_of(order, position, record, references) for position, record in enumerate(records, start=1)]


def line_of(order: Order, position: int, record: OrderLineRecord, references: References) -> OrderLine:
    return OrderLine(**line_values(order.pk, position, record, references))


def line_values(order_id: int | None, position: int, record: OrderLineRecord, references: References) -> Row:
    """The columns of one line."""
    product = references.products.get(record.product_id)
    sku = record.sku or (product.sku if product else "")
    sku_there = warehouse_sku(sku, product.sku, product.stock_sku) if product else ""
    return {
        "order_id": order_id,
        "position": position,
        "external_id": record.external_id or str(position),
        "product_id_at_cart": record.product_id,
        "sku": sku[:200],
        "warehouse_sku": sku_there,
        "sku_key": key_of(sku, sku_there),
        "name": (record.name or (product.name if product else ""))[:500],
        "quantity": record.quantity,
        "unit_price": record.unit_price,
        "discount": record.discount,
        "tax": record.tax,
        "total": record.total,
        "note": record.note[:500],
        "ships": record.ships and (product.ships if product else True),
    }


def first_status(
    warehouse_id: int | None, ship_to: Address | None, record: OrderRecord, references: References
) -> tuple[str, str]:
    """(status, problem) of an order that has not left yet."""
    if record.state is RemoteOrderState.CANCELLED:
        return Status.CANCELLED.value, ""
    if record.hold_reason:
        return Status.HELD.value, record.hold_reason
    goods = [line for line in record.lines if ships(line, references.products)]
    if not goods:
        return Status.SHIPPED.value, ""
    problem = data_problem(warehouse_id, ship_to, goods, references.products)
    return (Status.ERROR.value, problem) if problem else (Status.NEW.value, "")


def ships(line: OrderLineRecord, products: Mapping[str, KnownProduct]) -> bool:
    product = products.get(line.product_id)
    return line.ships and (product.ships if product else True)


def data_problem(
    warehouse_id: int | None,
    ship_to: Address | None,
    goods: Sequence[OrderLineRecord],
    products: Mapping[str, KnownProduct],
) -> str:
    """What keeps an order from going out, in words; "" if nothing does. It heals itself when the data come in."""
    if warehouse_id is None:
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
    if ship_to is None or not ship_to.is_usable:
        return (
            f"{NO_ADDRESS} Enter street, city and country here, add them to the customer, or switch "
            "Default to Outlet Address on."
        )
    return ""
