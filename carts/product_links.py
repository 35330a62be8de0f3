"""Product links: which article of the warehouse each product of a shop is, as people see it and set it right by hand."""

from __future__ import annotations

from collections.abc import Sequence

from django.db import transaction
from django.db.models import Exists, OuterRef, Q, QuerySet

from carts.models import Cart, Product, ProductLink, ProductMatch, StockMatch
from carts.models.catalogue import sku_key
from carts.models.fields import plain_key
from carts.order_history import TransitionRefused
from carts.stock_keys import links_changed, lock
from connectors.records import ProductKind

# A link that is made or removed starts afresh: what was acknowledged of another product says nothing.
AFRESH = {
    "acknowledged": {},
    "product_updated_at": None,
    "problem": "",
    "note": "",
    "tried": "",
    "in_doubt_since": None,
}
MATCHED = [choice for choice in StockMatch if choice not in (StockMatch.NONE, StockMatch.AMBIGUOUS)]
MOST_SUGGESTED = 20


def link(product_id: int, article_id: int) -> Product:
    """By hand: this product of a shop is that article of its warehouse, whatever their SKUs and handles. Other links of
    both end. Raises ``TransitionRefused``."""
    with transaction.atomic():
        product = Product.objects.get(pk=product_id)
        cart = Cart.objects.select_related("warehouse").get(pk=product.connection_id)
        lock(cart)
        article = Product.objects.filter(pk=article_id, connection_id=cart.warehouse_id, deleted=False).first()
        check(cart, product, article)
        assert article is not None, "check refuses it"
        freed = free(cart, product, keep=article)
        row, _ = ProductLink.objects.get_or_create(cart=cart, product=article)
        before = row.remote_id
        for name, value in {**AFRESH, "remote_id": product.external_id, "matched_by": ProductMatch.HAND}.items():
            setattr(row, name, value)
        row.save()
        links_changed(cart, [product.external_id, before], [article.pk, *freed])
        product.refresh_from_db()
        return product


def unlink(product_id: int) -> Product:
    """Forgets what a product of a shop is linked to; from now on its SKU decides again. Raises ``TransitionRefused``."""
    with transaction.atomic():
        product = Product.objects.get(pk=product_id)
        cart = Cart.objects.get(pk=product.connection_id)
        lock(cart)
        freed = free(cart, product)
        if not freed:
            raise TransitionRefused(
                f"{product} is not linked: its SKU decides. Link it to another article, or change the SKU."
            )
        links_changed(cart, [product.external_id], freed)
        product.refresh_from_db()
        return product


def check(cart: Cart, product: Product, article: Product | None) -> None:
    if cart.warehouse_id is None:
        raise TransitionRefused(f"{cart} has no warehouse. Choose one in the cart's settings first.")
    if product.deleted:
        raise TransitionRefused(f"{product} was deleted in the shop.")
    if article is None:
        raise TransitionRefused(f"{cart.warehouse} has no such article.")
    if not article.sku_key:
        raise TransitionRefused(
            f"{article} has no SKU at {cart.warehouse}, so nothing could be ordered. Give it one first."
        )


def free(cart: Cart, product: Product, keep: Product | None = None) -> list[int]:
    """Ends the links of a cart's product. Returns the articles that it was linked to."""
    links = ProductLink.objects.filter(cart=cart, remote_id=product.external_id)
    links = links.exclude(product=keep) if keep is not None else links
    freed = list(links.values_list("product_id", flat=True))
    ProductLink.objects.filter(cart=cart, product__in=freed).update(remote_id="", matched_by="", **AFRESH)
    return freed


def links_of(product: Product) -> QuerySet[ProductLink]:
    links = ProductLink.objects.filter(cart_id=product.connection_id, remote_id=product.external_id)
    return links.select_related("product").order_by("pk")


def article_of(cart: Cart, product: Product) -> Product | None:
    """The article of the warehouse's list; None where there is none, or where only stock of its SKU is known."""
    if product.stock_match not in MATCHED:
        return None
    linked = links_of(product).filter(product__connection_id=cart.warehouse_id, product__sku_key=product.stock_key)
    link = linked.first()
    if link is not None:
        return link.product
    return articles(cart).filter(sku_key=product.stock_key).order_by("pk").first()


def articles(cart: Cart) -> QuerySet[Product]:
    return Product.objects.filter(connection_id=cart.warehouse_id, deleted=False)


def suggestions(cart: Cart, product: Product, term: str) -> Sequence[Product]:
    """Articles that a product could be: by a search, else those with a like SKU, the same barcode or the same name."""
    term = term.strip()
    if term:
        words = Q(sku_key__startswith=sku_key(term)) | Q(name__icontains=term) | Q(barcode=term)
        if key := plain_key(term):
            words |= Q(plain_key__startswith=key)
        return articles(cart).filter(words).exclude(sku_key="").order_by("sku", "pk")[:MOST_SUGGESTED]
    like = Q(name__iexact=product.name) if product.name else Q(pk__in=[])
    if product.plain_key:
        like |= Q(plain_key=product.plain_key)
    if product.barcode:
        like |= Q(barcode=product.barcode)
    return articles(cart).filter(like).exclude(sku_key="").order_by("sku", "pk")[:MOST_SUGGESTED]


def unmatched_articles(cart: Cart, rows: QuerySet[Product] | None = None) -> QuerySet[Product]:
    """Articles of the warehouse that no product of the cart is."""
    rows = Product.objects.all() if rows is None else rows
    matched = Product.objects.filter(
        connection_id=cart.pk, stock_key=OuterRef("sku_key"), deleted=False, stock_match__in=MATCHED
    )
    goods = rows.filter(connection_id=cart.warehouse_id, deleted=False, kind=ProductKind.GOODS)
    return goods.exclude(Exists(matched))


def shown_sku(product: Product) -> str:
    """The SKU at the warehouse; "" where no article was found."""
    return (product.stock_sku or product.sku) if product.stock_match in MATCHED else ""


def advice(product: Product, has_warehouse: bool = True) -> str:
    """What the state means, and what to do about it."""
    if not has_warehouse:
        return "The cart has no warehouse. Choose one in the cart's settings."
    if product.stock_match == StockMatch.NONE:
        return (
            "The warehouse lists no article with this SKU. No stock is written, and orders go out under the shop's SKU, which "
            "the warehouse may refuse. Link it here, or create the article at the warehouse."
        )
    if product.stock_match == StockMatch.AMBIGUOUS:
        return (
            "More than one product or article fits, so none was taken: no stock is written, and orders go out under the "
            "shop's SKU. Link it here, or give each product its own SKU."
        )
    if product.stock_sku:
        return f"Stock of {product.stock_sku} is shown in the shop, and orders go out as {product.stock_sku}."
    return "Stock and orders use the same SKU on both sides."
