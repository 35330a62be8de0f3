"""Which article of the warehouse a cart's product is: decided once, when anything changes that it depends on, and written
into the product (``Product.stock_key``). Stock, orders and stock documents only look there.

In this order: the article that it is linked to (by hand first); the article with the same SKU; the only article whose SKU
is the same without special characters, where the cart's system keeps none, and only when no other product of the cart
could be meant. Everything else keeps its own SKU. Where a warehouse lists no such article, an SKU counts of which it has
stock.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from itertools import islice
from typing import Any, TypeVar

from django.db import transaction
from django.db.models import Exists, F, OuterRef, QuerySet
from django.utils import timezone

from carts.line_skus import relabel
from carts.models import Cart, Product, ProductLink, ProductMatch, StockLevel, StockMatch
from carts.models.fields import plain_key
from carts.stock_flow import relabel_documents

PART = 500
READ = ("external_id", "sku_key", "plain_key", "deleted", "stock_key", "stock_sku", "stock_match")

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Article:
    """What the warehouse calls it."""

    sku: str
    key: str


@dataclass(frozen=True, slots=True)
class Found:
    """How a product was found, and as what; without an article it keeps its own SKU."""

    match: str
    article: Article | None = None


# --- what changed ----------------------------------------------------------------------------------------------------


@transaction.atomic
def refresh(cart: Cart, *, external_ids: Iterable[str] = (), plain_keys: Iterable[str] = ()) -> int:
    """Decides anew for these products of a cart, and for all with these plain keys. Two products whose SKUs are the same
    without special characters depend on each other: they are always looked at together. Returns how many changed. Two
    queries when the cart has none of them, a handful for every 500."""
    rows = Product.objects.filter(connection_id=cart.pk)
    keys, without = set(plain_keys), []
    for part in parts(sorted(set(external_ids))):
        for pk, key in rows.filter(external_id__any_of=part).order_by().values_list("pk", "plain_key"):
            keys.add(key)
            if not key:
                without.append(pk)
    keys.discard("")
    if not keys and not without:
        return 0
    lock(cart)
    changed = sum(decide(cart, rows.filter(plain_key__any_of=part)) for part in parts(sorted(keys)))
    return changed + sum(decide(cart, rows.filter(pk__any_of=part)) for part in parts(without))


def refresh_cart(cart: Cart) -> int:
    """Decides anew for all products of a cart: its warehouse is another one."""
    changed, after = 0, 0
    rows = Product.objects.filter(connection_id=cart.pk).order_by("pk")
    while page := list(rows.filter(pk__gt=after).values_list("pk", "external_id")[: PART * 4]):
        after = page[-1][0]
        changed += refresh(cart, external_ids=[external_id for _, external_id in page])
    return changed


def cart_moved(sender: type[Cart], cart: Cart, **kwargs: Any) -> None:
    refresh_cart(cart)


def articles_changed(warehouse_id: int, plain_keys: Iterable[str], articles: Iterable[int] = ()) -> None:
    """Articles of a warehouse came, went or have another SKU: ``plain_keys`` are those of the SKUs before and after,
    ``articles`` the ids of those whose links count."""
    gathering = GATHERED.get()
    if gathering is not None:
        gathering.setdefault(warehouse_id, Changed()).add(plain_keys, articles)
        return
    keys, ids = set(plain_keys) - {""}, list(articles)
    if not keys and not ids:
        return
    for cart in Cart.objects.filter(warehouse_id=warehouse_id).order_by("pk"):
        linked: set[str] = set()
        for part in parts(ids):
            of_part = ProductLink.objects.filter(cart=cart, product__in=part).exclude(remote_id="")
            linked.update(of_part.values_list("remote_id", flat=True))
        refresh(cart, external_ids=linked, plain_keys=keys)


def links_changed(cart: Cart, external_ids: Iterable[str], articles: Iterable[int]) -> None:
    """Products of a cart were linked or unlinked. The articles are taken, or free again, for products with a like SKU."""
    ids = set(external_ids) - {""}
    if not ids:
        return
    keys: set[str] = set()
    for part in parts(sorted(set(articles))):
        keys.update(Product.objects.filter(pk__in=part).values_list("plain_key", flat=True))
    refresh(cart, external_ids=ids, plain_keys=keys)


@dataclass(slots=True)
class Changed:
    keys: set[str] = field(default_factory=set)
    articles: set[int] = field(default_factory=set)

    def add(self, keys: Iterable[str], articles: Iterable[int]) -> None:
        self.keys.update(keys)
        self.articles.update(articles)


GATHERED: ContextVar[dict[int, Changed] | None] = ContextVar("gathered", default=None)


@contextmanager
def gathered() -> Iterator[None]:
    """Articles that change within are looked at once, at the end. Within a transaction."""
    if GATHERED.get() is not None:
        yield
        return
    changes: dict[int, Changed] = {}
    token = GATHERED.set(changes)
    try:
        yield
    finally:
        GATHERED.reset(token)
    for warehouse_id, changed in changes.items():
        articles_changed(warehouse_id, changed.keys, sorted(changed.articles))


# --- rows that are written one by one, or in bulk --------------------------------------------------------------------


State = dict[str, tuple[int, str, bool]]  # external id -> (our id, SKU, deleted)


def state_before(connection_id: int, external_ids: Collection[str]) -> State:
    """What products were before they are written in bulk. One query."""
    rows = Product.objects.filter(connection_id=connection_id, external_id__any_of=external_ids).order_by()
    return {
        external_id: (pk, sku, deleted)
        for external_id, pk, sku, deleted in rows.values_list("external_id", "pk", "sku", "deleted")
    }


def products_written(connection_id: int, before: State, rows: Sequence[Product]) -> None:
    """After products of a connection were written in bulk: those that are new or have another SKU, or came or went. No
    query when there are none."""
    changed = [row for row in rows if before.get(row.external_id, (0, None, None))[1:] != (row.sku, row.deleted)]
    if not changed:
        return
    known = [before[row.external_id] for row in changed if row.external_id in before]
    settle(
        connection_id,
        external_ids=[row.external_id for row in changed],
        keys={*(plain_key(row.sku) for row in changed), *(plain_key(sku) for _, sku, _ in known)},
        known=[pk for pk, _, _ in known],
    )


def settle(connection_id: int, *, external_ids: Collection[str], keys: set[str], known: Sequence[int]) -> None:
    """``known``: those of the products that were there before, so that something may be linked to them."""
    cart = Cart.objects.filter(pk=connection_id).first()
    if cart is not None:
        # An article is free again when the product that it is linked to is gone.
        linked = ProductLink.objects.filter(cart=cart, remote_id__any_of=external_ids).exclude(remote_id="")
        of_articles = linked.order_by().values_list("product__plain_key", flat=True) if known else ()
        refresh(cart, external_ids=external_ids, plain_keys={*keys, *of_articles})
        return
    for part in parts(list(known)):
        Product.objects.filter(pk__in=part).exclude(stock_key=F("sku_key")).update(stock_key=F("sku_key"))
    articles_changed(connection_id, keys, known)


def note_before(sender: type[Product], instance: Product, update_fields: Any = None, **kwargs: Any) -> None:
    """Before one product is saved: what it was."""
    instance._before = None  # type: ignore[attr-defined]
    if instance.pk is not None and (update_fields is None or {"sku", "deleted"} & set(update_fields)):
        instance._before = Product.objects.filter(pk=instance.pk).values_list("sku", "deleted").first()  # type: ignore[attr-defined]


def product_saved(
    sender: type[Product], instance: Product, created: bool, update_fields: Any = None, raw: bool = False, **kwargs: Any
) -> None:
    before: tuple[str, bool] | None = instance._before  # type: ignore[attr-defined]
    if raw or not (created or before) or before == (instance.sku, instance.deleted):
        return
    keys = {plain_key(instance.sku), plain_key(before[0]) if before else ""}
    settle(
        instance.connection_id,
        external_ids=[instance.external_id],
        keys=keys,
        known=[] if created else [instance.pk],
    )


# --- deciding --------------------------------------------------------------------------------------------------------


def lock(cart: Cart) -> None:
    """Two workers that look at one cart's products do so one after the other, each with what the other one wrote."""
    list(Cart.objects.select_for_update(of=("self",), no_key=True).filter(pk=cart.pk).values_list("pk"))


def decide(cart: Cart, rows: QuerySet[Product]) -> int:
    """``rows`` holds whole groups of products with the same plain key. Returns how many are another article now."""
    members = list(rows.only(*READ).order_by("pk"))
    if not members:
        return 0
    found = Resolver(cart, members).resolve()
    now = timezone.now()
    kept: defaultdict[str, list[int]] = defaultdict(list)
    other: list[Product] = []
    moved: list[str] = []
    for row in members:
        result = found[row.pk]
        article = result.article if result.article is not None and result.article.key != row.sku_key else None
        key, sku = (article.key, article.sku) if article is not None else (row.sku_key, "")
        match = StockMatch.PLAIN_SKU if article is not None and result.match == StockMatch.SKU else result.match
        if (row.stock_key, row.stock_sku) != (key, sku):
            moved.append(row.external_id)
        elif row.stock_match == match:
            continue
        row.stock_key, row.stock_sku, row.stock_match, row.stock_match_at = key, sku, match, now
        if article is None:
            kept[match].append(row.pk)
        else:
            other.append(row)
    for match, ids in kept.items():
        Product.objects.filter(pk__any_of=ids).update(
            stock_key=F("sku_key"), stock_sku="", stock_match=match, stock_match_at=now
        )
    Product.objects.bulk_update(other, ["stock_key", "stock_sku", "stock_match", "stock_match_at"], batch_size=200)
    if moved:
        relabel(cart, moved)
        relabel_documents(cart, moved)
    return len(moved)


class Resolver:
    """Decides for some products of a cart, with what the hub knows of the warehouse's articles. Four queries."""

    def __init__(self, cart: Cart, members: Sequence[Product]) -> None:
        self.cart = cart
        self.members = members
        self.links: dict[str, Found] = {}
        self.listed: defaultdict[str, dict[str, Article]] = defaultdict(dict)
        self.stocked: defaultdict[str, dict[str, Article]] = defaultdict(dict)
        # Keys of SKUs that the warehouse has, and of articles that some product of the cart is linked to.
        self.exact: set[str] = set()
        self.taken: set[str] = set()

    def resolve(self) -> dict[int, Found]:
        nothing = Found(StockMatch.NONE)
        if self.cart.warehouse_id is None:
            return {row.pk: nothing for row in self.members}
        self.read()
        found: dict[int, Found] = {}
        open_ones: defaultdict[str, list[Product]] = defaultdict(list)
        for row in self.members:
            if row.deleted:
                found[row.pk] = nothing
            elif row.external_id in self.links:
                found[row.pk] = self.links[row.external_id]
            else:
                open_ones[row.plain_key].append(row)
        for key, rows in open_ones.items():
            numbers = Counter(row.sku_key for row in rows)
            for row in rows:
                if row.sku_key and row.sku_key in self.exact:
                    is_sole = numbers[row.sku_key] == 1 and row.sku_key not in self.taken
                    found[row.pk] = Found(StockMatch.SKU if is_sole else StockMatch.AMBIGUOUS)
                else:
                    found[row.pk] = self.guess(key, len(rows))
        return found

    def guess(self, key: str, rivals: int) -> Found:
        """A product whose SKU the warehouse does not have as it is; ``rivals`` products of the cart have one like it."""
        candidates = (self.listed.get(key) or self.stocked.get(key)) if key else None
        if not candidates or not self.cart.connector_class.plain_skus:
            return Found(StockMatch.NONE)
        if len(candidates) == 1 and rivals == 1 and not candidates.keys() & self.taken:
            return Found(StockMatch.PLAIN_SKU, next(iter(candidates.values())))
        return Found(StockMatch.AMBIGUOUS)

    def of_warehouse(self) -> QuerySet[ProductLink]:
        """The links of the cart to articles that its warehouse has."""
        links = ProductLink.objects.filter(cart_id=self.cart.pk, product__connection_id=self.cart.warehouse_id)
        return links.exclude(remote_id="").filter(product__deleted=False).exclude(product__sku_key="").order_by()

    def read(self) -> None:
        links: defaultdict[str, list[tuple[str, Article]]] = defaultdict(list)
        rows = self.of_warehouse().filter(remote_id__any_of=[row.external_id for row in self.members])
        for remote_id, match, sku, key in rows.values_list(
            "remote_id", "matched_by", "product__sku", "product__sku_key"
        ):
            links[remote_id].append((match, Article(sku, key)))
        self.links = {remote_id: chosen(pairs) for remote_id, pairs in links.items()}
        keys = {row.plain_key for row in self.members}
        if keys == {""}:  # nothing but special characters: only the very same SKU counts
            self.read_articles(sku_key__any_of=sorted({row.sku_key for row in self.members} - {""}))
        else:
            self.read_articles(plain_key__any_of=sorted(keys - {""}))
            there = Product.objects.filter(connection_id=self.cart.pk, external_id=OuterRef("remote_id"), deleted=False)
            linked = self.of_warehouse().filter(Exists(there), product__plain_key__any_of=sorted(keys - {""}))
            self.taken = set(linked.values_list("product__sku_key", flat=True))

    def read_articles(self, **which: list[str]) -> None:
        listed = Product.objects.filter(connection_id=self.cart.warehouse_id, deleted=False, **which)
        stocked = StockLevel.objects.filter(location__warehouse_id=self.cart.warehouse_id, **which)
        for rows, articles in ((listed, self.listed), (stocked, self.stocked)):
            for sku, key, plain_sku in rows.order_by().values_list("sku", "sku_key", "plain_key"):
                articles[plain_sku][key] = Article(sku.strip(), key)
                self.exact.add(key)


def chosen(links: Sequence[tuple[str, Article]]) -> Found:
    """What a product is linked to: by hand first; several articles are none."""
    by_hand = [pair for pair in links if pair[0] == ProductMatch.HAND]
    counted = by_hand or links
    if len({article.key for _, article in counted}) > 1:
        return Found(StockMatch.AMBIGUOUS)
    match, article = counted[0]
    return Found(match or StockMatch.SKU, article)


def parts(items: Sequence[T]) -> Iterator[list[T]]:
    iterator = iter(items)
    while part := list(islice(iterator, PART)):
        yield part
