"""Products: what every system lists; those of the built-in warehouse are edited here. Customers: read-only."""

from __future__ import annotations

import uuid
from typing import Any

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import URLPattern, path
from django.utils.html import format_html
from django.utils.safestring import SafeString
from unfold.decorators import display

from carts.admin.base import ConnectionFilter, MerchantFilter, PageAdmin
from carts.admin.csv_download import stream_csv
from carts.admin.csv_upload import builtin_warehouses, chosen_warehouse, import_page
from carts.admin.filters import StateFilter
from carts.admin.scoping import works_here
from carts.badges import badge, clock, money, muted
from carts.forms.stock import ProductForm
from carts.models import Customer, Order, Product, ShopProduct, StockLevel, Warehouse
from carts.product_csv import import_products, price_lists, product_header, product_rows

EDITED = ("sku", "name", "barcode", "brand", "description", "prices", "is_active")


class ProductStateFilter(StateFilter):
    title = "state"
    parameter_name = "state"
    states = (("active", "Sold"), ("inactive", "Not sold"), ("deleted", "Deleted"), ("no_sku", "Without SKU"))

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        chosen = self.value()
        if chosen == "deleted":
            return queryset.filter(deleted=True)
        queryset = queryset.filter(deleted=False)
        if chosen in ("active", "inactive"):
            return queryset.filter(is_active=chosen == "active")
        return queryset.filter(sku_key="") if chosen == "no_sku" else queryset


@admin.register(Product)
class ProductAdmin(PageAdmin):
    merchant_path = "connection__merchant"
    page_template = "admin/hub/product.html"
    list_display = ("shown_sku", "name", "price_words", "state", "where", "updated")
    list_filter = (ConnectionFilter, ProductStateFilter, MerchantFilter)
    list_select_related = ("connection",)
    search_fields = ("sku", "name", "barcode")
    search_help_text = "SKU, name or barcode"
    ordering = ("sku", "pk")
    list_before_template = "admin/hub/product_tools.html"
    noun = ("product", "products")
    empty_title = "No products yet"
    empty_text = (
        "Products of a cart appear with its first Order Download or Product Pickup. For the built-in warehouse add them "
        "here, or import a CSV file."
    )

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return works_here(request.user)

    def changelist_view(self, request: HttpRequest, extra_context: Any = None) -> HttpResponse:
        context = {"has_builtin": builtin_warehouses(request).exists(), **(extra_context or {})}
        return super().changelist_view(request, context)

    @display(description="SKU", ordering="sku")
    def shown_sku(self, product: Product) -> str | SafeString:
        return product.sku or badge("no SKU", "warn")

    @display(description="Prices")
    def price_words(self, product: Product) -> SafeString | str:
        shown = [f"{name} {money(price, product.currency)}" for name, price in list(product.prices.items())[:3]]
        return ", ".join(shown) or muted("–")

    @display(description="State")
    def state(self, product: Product) -> SafeString:
        if product.deleted:
            return badge("Deleted")
        if not product.is_active:
            return badge("Not sold")
        return badge("Sold", "good") if product.is_stock_tracked else badge("No stock kept", "info")

    @display(description="Where", ordering="connection__name")
    def where(self, product: Product) -> str:
        return product.connection.name

    @display(description="Updated", ordering="updated_at")
    def updated(self, product: Product) -> SafeString:
        return clock(product.updated_at)

    def get_urls(self) -> list[URLPattern]:
        own = [
            path("import/", self.guarded(self.import_view), name=self.url_name("import")),
            path("export/", self.guarded(self.export_view), name=self.url_name("export")),
            path("<path:object_id>/edit/", self.guarded(self.edit_view), name=self.url_name("edit")),
        ]
        return own + super().get_urls()

    def page_context(self, request: HttpRequest, product: Product) -> dict[str, Any]:
        is_ours = product.connection.is_in_hub
        levels = StockLevel.objects.filter(
            location__warehouse__merchant_id=product.connection.merchant_id, sku_key=product.stock_key
        ).select_related("location__warehouse")
        return {
            "is_ours": is_ours,
            "prices": list(product.prices.items()),
            "attributes": list(product.attributes.items()),
            "stock": list(levels[:50]) if product.stock_key else [],
            "is_shop_product": ShopProduct.objects.filter(pk=product.pk).exists(),
            "shops": list(product.outlet_levels.select_related("cart")[:50]),
        }

    def add_view(self, request: HttpRequest, form_url: str = "", extra_context: Any = None) -> HttpResponse:
        if not works_here(request.user):
            raise Http404("There is no such page.")
        warehouse = chosen_warehouse(request, "warehouse", "connection")
        if warehouse is None:
            choices = list(builtin_warehouses(request).select_related("merchant")[:50])
            return self.page(
                request, "admin/hub/choose_warehouse.html", {"title": "Add product", "warehouses": choices}
            )
        return self.edit(request, warehouse, Product(connection_id=warehouse.pk, external_id=uuid.uuid4().hex))

    def edit_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        product: Product = self.visible_object(request, object_id)
        if not product.connection.is_in_hub:
            messages.error(request, f"This product is kept by {product.connection}; change it there.")
            return HttpResponseRedirect(self.change_link(product))
        warehouse = Warehouse.objects.get(pk=product.connection_id)
        return self.edit(request, warehouse, product)

    def edit(self, request: HttpRequest, warehouse: Warehouse, product: Product) -> HttpResponse:
        known = product if product.pk else None
        form = ProductForm(request.POST or None, warehouse=warehouse, product=known)
        if request.method == "POST" and form.is_valid():
            for name in EDITED:
                setattr(product, name, form.cleaned_data[name])
            product.version += 1
            product.deleted = False
            product.save()
            messages.success(request, f"{product} is saved.")
            return HttpResponseRedirect(self.change_link(product))
        heading = f"Edit {product}" if known else f"New product in {warehouse}"
        context = {
            "title": heading,
            "heading": heading,
            "original": known,
            "form": form,
            "submit": "Save product",
            "back": self.change_link(product) if known else self.list_link(),
        }
        return self.page(request, "admin/hub/simple_form.html", context)

    def import_view(self, request: HttpRequest) -> HttpResponse:
        if not works_here(request.user):
            raise Http404("There is no such page.")
        return import_page(
            self,
            request,
            heading="Import products",
            explanation="A CSV file with the columns sku, name, barcode, description and one column for each price "
            "list, for example price:Retail. Columns that are not in the file stay as they are.",
            read=import_products,
        )

    def export_view(self, request: HttpRequest) -> HttpResponse:
        warehouse = chosen_warehouse(request, "connection", "warehouse")
        if warehouse is None:
            messages.info(request, "Filter the list by one built-in warehouse first, then export.")
            return HttpResponseRedirect(self.list_link())
        lists = price_lists(warehouse)
        return stream_csv(f"products-{warehouse.pk}", product_header(lists), product_rows(warehouse, lists))


@admin.register(Customer)
class CustomerAdmin(PageAdmin):
    merchant_path = "connection__merchant"
    page_template = "admin/hub/customer.html"
    list_display = ("shown_name", "email", "phone", "where", "updated")
    list_filter = (ConnectionFilter, MerchantFilter)
    list_select_related = ("connection", "survivor")
    search_fields = ("first_name", "last_name", "company", "email", "code")
    search_help_text = "Name or e-mail"
    ordering = ("-updated_at", "-pk")
    empty_title = "No customers yet"
    empty_text = "Customers are read from the carts together with their orders."

    @display(description="Customer", ordering="last_name")
    def shown_name(self, customer: Customer) -> SafeString | str:
        name = customer.display_name or customer.code or customer.external_id
        words = state_in_cart(customer)
        return format_html("{} {}", name, badge(words)) if words else name

    @display(description="Cart", ordering="connection__name")
    def where(self, customer: Customer) -> str:
        return customer.connection.name

    @display(description="Updated", ordering="updated_at")
    def updated(self, customer: Customer) -> SafeString:
        return clock(customer.updated_at)

    def page_context(self, request: HttpRequest, customer: Customer) -> dict[str, Any]:
        people = [customer.pk, *customer.merged.values_list("pk", flat=True)]
        orders = Order.objects.filter(customer__in=people)
        return {
            "orders": list(orders.order_by("-placed_at", "-pk")[:20]),
            "merged": list(customer.merged.order_by("pk")[:20]),
        }


def state_in_cart(customer: Customer) -> str:
    if customer.is_walk_in:
        return "Walk-in"
    if customer.merged_into:
        return "Merged"
    return "Deleted" if customer.deleted else ""
