"""Finding orders by what a person types, through indexes only: a million orders must not be read for it.

Found are orders whose number, customer's name and e-mail have all the words (or words that begin so), whose external id or
reference is exactly this, or that hold an article whose SKU begins so, as the warehouse writes it or as the shop does.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django.db import connections
from django.db.models import Q, QuerySet

from carts.models import Cart, Merchant, Order, OrderLine, Product
from carts.models.catalogue import sku_key
from carts.order_words import has_words, words_of

# So many orders of an article are named one by one; more of them are looked up by the database.
MOST_NAMED = 1_000
LAST_CHARACTER = "\U0010ffff"


def find_orders(orders: QuerySet[Order], text: str) -> QuerySet[Order]:
    """Those of ``orders`` that fit what was typed; all of them when nothing was typed."""
    text = text.strip().replace("\0", "")
    if not text:
        return orders
    vendor = connections[orders.db].vendor
    named = set(ids_named(text))
    with_sku = OrderLine.objects.filter(sku_begins(text, vendor)).order_by().values_list("order_id", flat=True)
    some = list(with_sku[: MOST_NAMED + 1])
    words = words_of(text)
    if len(some) > MOST_NAMED:
        # No OR beside a subquery: PostgreSQL would look through it once for each order.
        found = Order.objects.order_by().filter(by_words(words, vendor) | Q(pk__in=named)).values("pk")
        return orders.filter(pk__in=found.union(with_sku.values("order_id")))
    named.update(some)
    return orders.filter(by_words(words, vendor) | Q(pk__in=named)) if named else orders.filter(by_words(words, vendor))


def of_all_merchants(orders: QuerySet[Order]) -> QuerySet[Order]:
    """The same orders. That every merchant is named lets the indexes answer that begin with the merchant."""
    return orders.filter(merchant__in=list(Merchant.objects.order_by().values_list("pk", flat=True)))


def since(orders: QuerySet[Order], moment: datetime) -> QuerySet[Order]:
    """Those that were stored or changed since then, by the index of changes."""
    return of_all_merchants(orders).filter(updated_at__gte=moment)


def by_words(words: list[str], vendor: str) -> Any:
    return Q(has_words(words, vendor)) if words else Q(pk__in=[])


def ids_named(text: str) -> list[int]:
    """By external id and reference, which are unique within a cart and a merchant: one look into an index for each."""
    by_id = Order.objects.filter(cart__in=Cart.objects.order_by().values("pk"), external_id=text)
    by_reference = Order.objects.filter(merchant__in=Merchant.objects.order_by().values("pk"), reference=text)
    return [pk for rows in (by_id, by_reference) for pk in rows.order_by().values_list("pk", flat=True)[:MOST_NAMED]]


def sku_begins(text: str, vendor: str) -> Q:
    """As the index on the SKUs of the lines answers it, whatever the database's collation. Lines are known by the
    warehouse's SKU; where the shop has another one, its product says which."""
    begins = key_begins(sku_key(text), vendor)
    elsewhere = Product.objects.filter(begins, stock_sku__gt="").order_by().values_list("stock_key", flat=True)
    others = set(elsewhere[:MOST_NAMED])
    return begins | Q(sku_key__in=others) if others else begins


def key_begins(key: str, vendor: str) -> Q:
    if vendor == "sqlite":
        return Q(sku_key__gte=key, sku_key__lt=key + LAST_CHARACTER)
    return Q(sku_key__startswith=key)
