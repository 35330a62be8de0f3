"""Finding orders by what a person types, through indexes only: a million orders must not be read for it.

Found are orders whose number, customer's name and e-mail have all the words (or words that begin so), whose external id or
reference is exactly this, or that hold an article whose SKU begins so, as the warehouse writes it or as the shop does.

Some thousand orders are named by their ids. Where more fit, nobody counts them, and a page is found by a walk along the
list: the next order that fits is never far.
"""

from __future__ import annotations

from datetime import datetime

from django.db import connections
from django.db.models import Exists, OuterRef, Q, QuerySet, Subquery

from carts import deep_pages
from carts.deep_pages import LongQuerySet
from carts.models import Cart, Merchant, Order, OrderLine, Product
from carts.models.catalogue import sku_key
from carts.order_words import has_words, has_words_itself, through_the_index, words_of

# Of one external id, reference or beginning of a SKU.
MOST_NAMED = 1_000
LAST_CHARACTER = "\U0010ffff"


def find_orders(orders: QuerySet[Order], text: str) -> QuerySet[Order]:
    """Those of ``orders`` that fit what was typed; all of them when nothing was typed."""
    text = text.strip().replace("\0", "")
    if not text:
        return orders
    vendor = connections[orders.db].vendor
    words = words_of(text)
    lines = OrderLine.objects.filter(sku_begins(text, vendor)).order_by()
    named = ids_named(text)
    with_words = ids_with_words(orders, words, vendor) if words else []
    with_sku = ids_with_lines(orders, lines)
    few = [ids for ids in (named, with_words, with_sku) if len(ids) <= deep_pages.MOST_COUNTED]
    fits = Q(pk__in=set().union(*few))
    if len(with_words) > deep_pages.MOST_COUNTED:
        fits |= Q(has_words_itself(words, vendor))
    if len(with_sku) > deep_pages.MOST_COUNTED:
        # Not EXISTS: PostgreSQL would look for the orders of all lines first.
        orders = orders.alias(own_line=Subquery(lines.filter(order=OuterRef("pk")).values("pk")[:1]))
        fits |= Q(own_line__isnull=False)
    found = orders.filter(fits)
    return found if len(few) == 3 else LongQuerySet.of(found)


def first_ids(orders: QuerySet[Order]) -> list[int]:
    """One more than is counted, at most."""
    return list(orders.order_by().values_list("pk", flat=True)[: deep_pages.MOST_COUNTED + 1])


def ids_with_words(orders: QuerySet[Order], words: list[str], vendor: str) -> list[int]:
    with through_the_index(orders.db):
        return first_ids(orders.filter(has_words(words, vendor)))


def ids_with_lines(orders: QuerySet[Order], lines: QuerySet[OrderLine]) -> list[int]:
    """Of an article with few lines whosesoever they are: the caller's own filters stay with the orders."""
    some = list(lines.values_list("order_id", flat=True)[: deep_pages.MOST_COUNTED + 1])
    if len(some) <= deep_pages.MOST_COUNTED:
        return some
    return first_ids(orders.filter(Exists(lines.filter(order=OuterRef("pk")))))


def of_all_merchants(orders: QuerySet[Order]) -> QuerySet[Order]:
    """The same orders. That every merchant is named lets the indexes answer that begin with the merchant."""
    return orders.filter(merchant__in=list(Merchant.objects.order_by().values_list("pk", flat=True)))


def since(orders: QuerySet[Order], moment: datetime) -> QuerySet[Order]:
    """Those that were stored or changed since then, by the index of changes."""
    return orders.filter(updated_at__gte=moment)


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
