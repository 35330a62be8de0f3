"""Product links: the shop's products and the articles that they are at the warehouse, and what is left over on either
side."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from django import forms
from django.contrib import admin, messages
from django.core.paginator import Paginator
from django.db.models import Count, QuerySet
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import URLPattern, path, reverse
from django.utils import timezone
from django.utils.safestring import SafeString
from unfold.decorators import display

from carts.admin.base import CartFilter, MerchantFilter, PageAdmin, PersonAction, as_id
from carts.admin.csv_download import stream_csv
from carts.admin.filters import StateFilter
from carts.admin.scoping import scoped, sees_everything
from carts.badges import badge, clock, muted, state_badge
from carts.models import Cart, ShopProduct, StockMatch
from carts.order_history import TransitionRefused
from carts.product_links import (
    MATCHED,
    advice,
    article_of,
    articles,
    link,
    links_of,
    shown_sku,
    suggestions,
    unlink,
    unmatched_articles,
)
from connectors.functions import Function

CSV_HEADER = ("cart", "shop SKU", "shop product", "shop product id", "SKU at the warehouse", "matched by", "since")
ARTICLES_PER_PAGE = 50
CARTS_OFFERED = 200
UNLINK_EXPLAINED = (
    "The hub forgets the link and looks at the SKUs again. Orders that were sent stay as they are. If Product Detail Sync of "
    "the cart is on, its next run looks for the article's product by handle and SKU, and creates one in the shop where it "
    "finds none."
)


class LinkCartFilter(CartFilter):
    field = "connection"


class MatchFilter(StateFilter):
    title = "match"
    parameter_name = "match"
    field = "stock_match"
    groups = {"matched": ("Matched", tuple(choice.value for choice in MATCHED))}
    states = tuple((choice.value, choice.label) for choice in StockMatch)


class LinkForm(forms.Form):
    article = forms.IntegerField(widget=forms.HiddenInput)


def unlink_by_hand(product: ShopProduct, actor: str, given: dict[str, Any]) -> str:
    after = unlink(product.pk)
    return f"{product} is unlinked. {advice(after)}"


@admin.register(ShopProduct)
class ProductLinkAdmin(PageAdmin):
    merchant_path = "connection__merchant"
    page_template = "admin/hub/product_link.html"
    list_display = ("shop_product", "shown_name", "article", "match", "where", "since")
    list_filter = (LinkCartFilter, MatchFilter, MerchantFilter)
    list_select_related = ("connection",)
    search_fields = ("sku", "name", "barcode", "stock_sku")
    search_help_text = "SKU of either side, name or barcode"
    ordering = ("sku", "pk")
    list_before_template = "admin/hub/product_link_tools.html"
    noun = ("product", "products")
    empty_title = "No products of a shop yet"
    empty_text = (
        "They appear with the cart's first Order Download or Product Pickup. Each one is then matched with an article of the "
        "cart's warehouse by its link or its SKU."
    )
    person_actions = (
        PersonAction(
            key="unlink",
            label="Unlink",
            icon="link_off",
            explanation=UNLINK_EXPLAINED,
            done="unlinked",
            run=unlink_by_hand,
            offered=lambda product: links_of(product).exists(),
        ),
    )

    # The list ------------------------------------------------------------------------------------------------------

    @display(description="Shop SKU", ordering="sku")
    def shop_product(self, product: ShopProduct) -> str | SafeString:
        return product.sku or badge("no SKU", "warn")

    @display(description="Name", ordering="name")
    def shown_name(self, product: ShopProduct) -> str:
        return product.name

    @display(description="SKU at the warehouse")
    def article(self, product: ShopProduct) -> str | SafeString:
        return shown_sku(product) or muted("–")

    @display(description="Matched by", ordering="stock_match")
    def match(self, product: ShopProduct) -> SafeString:
        return state_badge(product.stock_match, product.get_stock_match_display())

    @display(description="Cart", ordering="connection__name")
    def where(self, product: ShopProduct) -> str:
        return product.connection.name

    @display(description="Since", ordering="stock_match_at")
    def since(self, product: ShopProduct) -> SafeString:
        return clock(product.stock_match_at, "–")

    def changelist_view(self, request: HttpRequest, extra_context: Any = None) -> HttpResponse:
        cart = self.chosen_cart(request)
        context = {"cart": cart, "numbers": self.numbers(request, cart), **(extra_context or {})}
        return super().changelist_view(request, context)

    def chosen_cart(self, request: HttpRequest) -> Cart | None:
        number = as_id(request.GET.get("cart", ""))
        carts = self.carts(request)
        return carts.filter(pk=number).first() if number is not None else None

    @staticmethod
    def carts(request: HttpRequest) -> QuerySet[Cart]:
        return scoped(Cart.objects.select_related("warehouse").order_by("name"), request.user, "merchant")

    def numbers(self, request: HttpRequest, cart: Cart | None) -> list[dict[str, Any]]:
        """How many products were matched, and how many were not. One query; not of all merchants at once."""
        rows = self.get_queryset(request)
        if cart is not None:
            rows = rows.filter(connection_id=cart.pk)
        elif sees_everything(request.user):
            return []
        found = dict(rows.order_by().values_list("stock_match").annotate(Count("pk")))
        matched = sum(number for match, number in found.items() if match in MATCHED)
        groups = (
            ("matched", "Matched", matched),
            (StockMatch.AMBIGUOUS.value, "Ambiguous", found.get(StockMatch.AMBIGUOUS, 0)),
            (StockMatch.NONE.value, "Not found", found.get(StockMatch.NONE, 0)),
        )
        return [{"key": key, "label": label, "number": number} for key, label, number in groups]

    def export_view(self, request: HttpRequest) -> HttpResponse:
        """Every product that fits the list's search and filters."""
        rows = self.get_changelist_instance(request).get_queryset(request)
        return stream_csv("product-links", CSV_HEADER, csv_rows(rows))

    # A product's page ----------------------------------------------------------------------------------------------

    def get_urls(self) -> list[URLPattern]:
        own = [
            path("export/", self.guarded(self.export_view), name=self.url_name("export")),
            path("articles/", self.guarded(self.articles_view), name=self.url_name("articles")),
            path("<path:object_id>/link/", self.guarded(self.link_view), name=self.url_name("link")),
        ]
        return own + super().get_urls()

    def page_context(self, request: HttpRequest, product: ShopProduct) -> dict[str, Any]:
        cart = Cart.objects.select_related("warehouse").get(pk=product.connection_id)
        term = request.GET.get("find", "").replace("\0", "")[:200]
        has_warehouse = cart.warehouse_id is not None
        article = article_of(cart, product)
        return {
            "cart": cart,
            "article": article,
            "article_sku": shown_sku(product),
            "advice": advice(product, has_warehouse),
            "links": list(links_of(product)[:20]),
            "term": term,
            "found": [row for row in suggestions(cart, product, term) if row != article] if has_warehouse else [],
        }

    def link_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """GET asks, POST links. ``article`` is the article's id."""
        product: ShopProduct = self.visible_object(request, object_id)
        if not self.has_change_permission(request, product):
            raise Http404("There is no such page.")
        cart = Cart.objects.select_related("warehouse").get(pk=product.connection_id)
        number = as_id((request.POST if request.method == "POST" else request.GET).get("article", ""))
        article = articles(cart).filter(pk=number).first() if number is not None else None
        if article is None:
            messages.error(request, "Choose an article of the warehouse first.")
            return HttpResponseRedirect(self.change_link(product))
        if request.method == "POST":
            try:
                after = link(product.pk, article.pk)
                messages.success(request, f"{product} is linked to {article}. {advice(after)}")
            except TransitionRefused as refusal:
                messages.error(request, str(refusal))
            return HttpResponseRedirect(self.change_link(product))
        context = {
            "title": f"Link {product}",
            "original": product,
            "heading": f"Link {product} to {article}?",
            "explanation": link_explained(cart, product.sku, article.sku),
            "form": LinkForm(initial={"article": article.pk}),
            "submit": "Link",
            "back": self.change_link(product),
        }
        return self.page(request, "admin/hub/simple_form.html", context)

    # The other side ------------------------------------------------------------------------------------------------

    def articles_view(self, request: HttpRequest) -> HttpResponse:
        """Articles of a cart's warehouse that no product of the cart is."""
        carts = list(self.carts(request)[:CARTS_OFFERED])
        cart = self.chosen_cart(request) or (carts[0] if len(carts) == 1 else None)
        has_warehouse = cart is not None and cart.warehouse_id is not None
        page = None
        if cart is not None and has_warehouse:
            rows = unmatched_articles(cart).order_by("sku", "pk")
            page = Paginator(rows, ARTICLES_PER_PAGE).get_page(request.GET.get("page"))
        context = {
            "title": "Articles without a product in the shop",
            "cart": cart,
            "carts": carts,
            "rows": page,
            "has_warehouse": has_warehouse,
            "sync_is_on": cart is not None and cart.function_is_on(Function.PRODUCT_DETAIL_SYNC),
            "cart_link": reverse("admin:carts_cart_change", args=[cart.pk]) if cart is not None else "",
            "back": self.list_link(),
        }
        return self.page(request, "admin/hub/unmatched_articles.html", context)


def link_explained(cart: Cart, sku: str, article_sku: str) -> str:
    words = (
        f"From now on the shop shows the stock of {article_sku}, and orders for {sku or 'this product'} that were not sent yet "
        f"go to {cart.warehouse} as {article_sku}. What was sent stays as it is. Other links of the two end."
    )
    if cart.function_is_on(Function.PRODUCT_DETAIL_SYNC):
        words += " Product Detail Sync of the cart is on: its next run writes the article's name, texts and prices to the shop."
    return words


def csv_rows(products: QuerySet[ShopProduct]) -> Iterator[tuple[object, ...]]:
    for product in products.select_related("connection").iterator(chunk_size=2000):
        at = product.stock_match_at
        yield (
            product.connection.name,
            product.sku,
            product.name,
            product.external_id,
            shown_sku(product),
            product.get_stock_match_display(),
            timezone.localtime(at).isoformat(timespec="seconds") if at else "",
        )
