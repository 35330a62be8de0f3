"""The two ways of Product Detail Sync: a warehouse's products to a cart, and a cart's products to its warehouse."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any, ClassVar, TypeVar, cast

from django.db.models import QuerySet

from carts.models import Cart, Connection, Product, ProductLink, PushedProduct, SentProduct, StockMatch
from carts.stock_keys import links_changed
from connectors.product_rules import TO_CART, TO_WAREHOUSE, Sides
from connectors.records import ProductKind

LOOKUP_CHUNK = 500
WRITTEN = [
    "remote_id",
    "matched_by",
    "acknowledged",
    "product_updated_at",
    "rules",
    "checked_at",
    "written_at",
    "problem",
    "note",
    "tried",
    "in_doubt_since",
]

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Route:
    """From where to where products are written, and where it is kept what became of them."""

    source: Connection
    target: Connection

    sides: ClassVar[Sides]
    rows: ClassVar[type[PushedProduct]]
    target_column: ClassVar[str]

    def states(self) -> QuerySet[Any]:
        """What is known of the source's products at the target."""
        model: Any = self.rows
        return model.objects.filter(**{self.target_column: self.target.pk})  # type: ignore[no-any-return]

    def new_state(self, product: Product) -> PushedProduct:
        model: Any = self.rows
        return model(**{f"{self.target_column}_id": self.target.pk}, product=product)  # type: ignore[no-any-return]

    def store(self, states: Sequence[PushedProduct]) -> None:
        """New rows and changed ones, in one statement."""
        model: Any = self.rows
        for state in states:
            state.pk = None
        model.objects.bulk_create(
            states,
            update_conflicts=True,
            unique_fields=[self.target_column, "product"],
            update_fields=WRITTEN,
            batch_size=LOOKUP_CHUNK,
        )

    def candidates(self) -> QuerySet[Product]:
        """The source's products that may be written."""
        return Product.objects.filter(
            connection_id=self.source.pk, deleted=False, is_active=True, kind=ProductKind.GOODS
        )

    def cursor(self, after: int) -> str:
        return str(after)

    def linked_ids(self, rows: Sequence[Product], states: dict[int, Any]) -> dict[int, str]:
        """product -> the target's id that it is linked to."""
        return {pk: state.remote_id for pk, state in states.items() if state.remote_id}

    def owners(self, ids: Iterable[str]) -> Iterator[tuple[str, Product]]:
        """(target's id, the source's product that has it), the oldest first."""
        for part in chunks(sorted(ids)):
            linked = self.states().filter(remote_id__in=part, product__deleted=False)
            for state in self.of_sources(linked).select_related("product").order_by("pk"):
                yield state.remote_id, state.product

    def of_sources(self, states: QuerySet[Any]) -> QuerySet[Any]:
        return states.filter(product__connection_id=self.source.pk)


class ToCart(Route):
    """A warehouse's products to one of its carts."""

    sides = TO_CART
    rows = ProductLink
    target_column = "cart"

    def store(self, states: Sequence[PushedProduct]) -> None:
        """What a product of the cart is linked to decides about its stock and orders."""
        if not states:
            return
        links = cast(Sequence[ProductLink], states)
        now = {link.product_id: link.remote_id for link in links}
        before = dict(self.states().filter(product__in=list(now)).values_list("product", "remote_id"))
        super().store(states)
        moved = [pk for pk, remote_id in now.items() if before.get(pk, "") != remote_id]
        of_cart = {now[pk] for pk in moved} | {before.get(pk, "") for pk in moved}
        links_changed(Cart.objects.get(pk=self.target.pk), of_cart, moved)


@dataclass(frozen=True, slots=True)
class ToWarehouse(Route):
    """A cart's products to its warehouse. ``sources``: all carts whose products the warehouse takes; a product of the
    warehouse is kept by the first of them that brought it."""

    sources: Sequence[Cart] = ()

    sides = TO_WAREHOUSE
    rows = SentProduct
    target_column = "warehouse"

    def cursor(self, after: int) -> str:
        return f"{self.source.pk}:{after}"

    def linked_ids(self, rows: Sequence[Product], states: dict[int, Any]) -> dict[int, str]:
        """What the two sides are linked by counts more than what was sent earlier: a person may have linked anew."""
        by_external_id = {row.external_id: row.pk for row in rows}
        linked = {pk: state.remote_id for pk, state in states.items() if state.remote_id}
        for part in chunks(list(by_external_id)):
            pairs = ProductLink.objects.filter(
                cart_id=self.source.pk,
                remote_id__in=part,
                product__connection_id=self.target.pk,
                product__deleted=False,
            )
            for cart_id, warehouse_id in pairs.order_by("-pk").values_list("remote_id", "product__external_id"):
                linked[by_external_id[cart_id]] = warehouse_id
        return {**self.matched_ids([row for row in rows if row.pk not in linked]), **linked}

    def matched_ids(self, rows: Sequence[Product]) -> dict[int, str]:
        """Products whose article has another SKU: they must not be created beside it."""
        by_key = {row.stock_key: row.pk for row in rows if row.stock_match == StockMatch.PLAIN_SKU}
        found = {}
        for part in chunks(sorted(by_key)):
            articles = Product.objects.filter(connection_id=self.target.pk, deleted=False, sku_key__in=part)
            for key, external_id in articles.order_by("-pk").values_list("sku_key", "external_id"):
                found[by_key[key]] = external_id
        return found

    def of_sources(self, states: QuerySet[Any]) -> QuerySet[Any]:
        return states.filter(product__connection__in=[cart.pk for cart in self.sources])


def chunks(items: Sequence[T]) -> Iterator[list[T]]:
    iterator = iter(items)
    while chunk := list(islice(iterator, LOOKUP_CHUNK)):
        yield chunk
