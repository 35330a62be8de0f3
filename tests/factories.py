"""Tiny makers of test data. Names are unique, so that a test may call them as often as it likes."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from itertools import count
from typing import Any

from carts.models import Cart, Location, Merchant, Order, OrderLine, Warehouse
from carts.models.catalogue import sku_key
from carts.setup import finish_new_connection
from connectors.records import Address, OutboundLine, OutboundOrder

NUMBERS = count(1)
PLACED_AT = datetime(2026, 7, 1, 9, 30, tzinfo=UTC)
ADDRESS = Address(
    name="Ada Lovelace",
    street1="1 Queen Street",
    city="Auckland",
    postcode="1010",
    country="NZ",
    phone="+64 9 555 0100",
)


def make_merchant(name: str = "") -> Merchant:
    return Merchant.create_named(name or f"Merchant {next(NUMBERS)}")


def make_builtin_warehouse(merchant: Merchant | None = None, **fields: Any) -> Warehouse:
    """A built-in warehouse, switched on, with its first location (id ``main``)."""
    values = {"name": f"Warehouse {next(NUMBERS)}", "connector": "builtin", "is_active": True, **fields}
    warehouse = Warehouse.objects.create(merchant=merchant or make_merchant(), **values)
    finish_new_connection(warehouse)
    return warehouse


def make_rest_warehouse(merchant: Merchant | None = None, **fields: Any) -> Warehouse:
    """A warehouse whose WMS works through the REST API."""
    return make_builtin_warehouse(merchant, **{"connector": "rest", **fields})


def make_location(warehouse: Warehouse, **fields: Any) -> Location:
    number = next(NUMBERS)
    return Location.objects.create(
        warehouse=warehouse, **{"name": f"Location {number}", "external_id": f"place-{number}", **fields}
    )


def make_cart(warehouse: Warehouse | None = None, merchant: Merchant | None = None, **fields: Any) -> Cart:
    """A cart of the warehouse's merchant, switched on, without functions."""
    owner = merchant or (warehouse.merchant if warehouse else make_merchant())
    values = {"name": f"Cart {next(NUMBERS)}", "connector": "vend", "is_active": True, **fields}
    return Cart.objects.create(merchant=owner, warehouse=warehouse, **values)


def make_order(
    cart: Cart | None = None, lines: tuple[tuple[str, str], ...] = (("SKU-1", "2"),), **fields: Any
) -> Order:
    """A stored order, new, with a complete address. ``lines`` are (SKU, quantity) at 10.00 each."""
    cart = cart or make_cart(make_builtin_warehouse())
    number = next(NUMBERS)
    total = sum((Decimal(quantity) * 10 for _, quantity in lines), Decimal(0))
    values = {
        "external_id": f"sale-{number}",
        "number": f"#{number}",
        "reference": f"{cart.pk}-sale-{number}",
        "placed_at": PLACED_AT,
        "currency": "NZD",
        "subtotal": total,
        "total": total,
        "customer_name": ADDRESS.name,
        "ship_to": ADDRESS.as_dict(),
        **fields,
    }
    order = Order.objects.create(
        merchant=cart.merchant, cart=cart, warehouse=cart.warehouse, location=cart.stock_location(), **values
    )
    OrderLine.objects.bulk_create(
        OrderLine(
            order=order,
            position=position,
            external_id=f"line-{position}",
            sku=sku,
            sku_key=sku_key(sku),
            name=f"Article {sku}",
            quantity=Decimal(quantity),
            unit_price=Decimal(10),
            total=Decimal(quantity) * 10,
        )
        for position, (sku, quantity) in enumerate(lines, 1)
    )
    return order


def make_outbound(
    reference: str = "", lines: tuple[tuple[str, str], ...] = (("SKU-1", "2"),), **fields: Any
) -> OutboundOrder:
    """An order as it is sent to a warehouse. ``lines`` are (SKU, quantity), with references line-1, line-2, ..."""
    reference = reference or f"order-{next(NUMBERS)}"
    values = {
        "number": f"#{reference}",
        "location_id": "",
        "cart_name": "Queen Street",
        "placed_at": PLACED_AT,
        "currency": "NZD",
        "total": Decimal(20),
        "tax_total": Decimal(0),
        "shipping_total": Decimal(0),
        "discount_total": Decimal(0),
        "ship_to": ADDRESS,
        "bill_to": None,
        "customer_name": ADDRESS.name,
        "ship_method": "Courier",
        **fields,
    }
    return OutboundOrder(
        reference=reference,
        lines=tuple(
            OutboundLine(reference=f"line-{position}", sku=sku, name=f"Article {sku}", quantity=Decimal(quantity))
            for position, (sku, quantity) in enumerate(lines, 1)
        ),
        **values,
    )
