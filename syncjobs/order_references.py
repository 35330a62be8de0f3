"""What a page of orders refers to: the cart's products and customers, by the remote's ids."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from carts.models import Cart, Customer, Product
from connectors.records import Address, OrderRecord, ProductKind

# The columns that an order looks at.
CUSTOMER_FACTS = ("first_name", "last_name", "company", "email", "ship_to", "bill_to", "is_walk_in")


@dataclass(frozen=True, slots=True)
class KnownProduct:
    """``stock_sku``: the warehouse's SKU, where it is another."""

    sku: str
    name: str
    ships: bool
    stock_sku: str = ""


@dataclass(frozen=True, slots=True)
class KnownCustomer:
    """What an order takes from its customer. A walk-in customer lends it no address to send to."""

    id: int
    name: str
    email: str
    ship_to: Address | None
    bill_to: Address | None


@dataclass(slots=True)
class References:
    products: dict[str, KnownProduct] = field(default_factory=dict)
    customers: dict[str, KnownCustomer] = field(default_factory=dict)
    missing_products: set[str] = field(default_factory=set)
    missing_customers: set[str] = field(default_factory=set)


def load_references(cart: Cart, records: Iterable[OrderRecord]) -> References:
    """Two queries for a page, three where customers were merged."""
    product_ids: set[str] = set()
    customer_ids: set[str] = set()
    for record in records:
        if record.customer_id and record.customer is None:
            customer_ids.add(record.customer_id)
        product_ids.update(line.product_id for line in record.lines if not line.sku and line.product_id)
    found = References()
    if product_ids:
        rows = Product.objects.filter(connection_id=cart.pk, external_id__any_of=product_ids).order_by()
        columns = rows.values_list("external_id", "sku", "name", "kind", "stock_sku")
        for external_id, sku, name, kind, stock_sku in columns:
            ships = kind not in (ProductKind.GIFT_CARD, ProductKind.DISCOUNT)
            found.products[external_id] = KnownProduct(sku, name, ships, stock_sku)
        found.missing_products = product_ids - found.products.keys()
    if customer_ids:
        customers = list(
            Customer.objects.filter(connection_id=cart.pk, external_id__any_of=customer_ids)
            .only("external_id", "survivor_id", *CUSTOMER_FACTS)
            .order_by()
        )
        survivors = survivors_of(customers)
        for customer in customers:
            found.customers[customer.external_id] = known_customer(survivors.get(customer.survivor_id or 0, customer))
        found.missing_customers = customer_ids - found.customers.keys()
    return found


def survivors_of(customers: Iterable[Customer]) -> dict[int, Customer]:
    """Those that took the place of merged ones: one query more, where there are any."""
    ids = {customer.survivor_id for customer in customers if customer.survivor_id is not None}
    return Customer.objects.only(*CUSTOMER_FACTS).in_bulk(ids) if ids else {}


def known_customer(customer: Customer) -> KnownCustomer:
    return KnownCustomer(
        id=customer.pk,
        name=customer.display_name,
        email=customer.email,
        ship_to=Address.from_dict(customer.ship_to) if customer.ship_to and not customer.is_walk_in else None,
        bill_to=Address.from_dict(customer.bill_to) if customer.bill_to else None,
    )
