"""Stock levels of the warehouses, and what the shop outlets show."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import URLPattern, path, reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString
from unfold.decorators import display

from carts.admin.base import CartFilter, HubAdmin, MerchantFilter, PageAdmin, WarehouseFilter, person
from carts.admin.csv_download import stream_csv
from carts.admin.csv_upload import builtin_warehouses, chosen_warehouse, import_page
from carts.admin.filters import StateFilter
from carts.admin.scoping import works_here
from carts.admin.stock_movements import ledger_context
from carts.badges import badge, clock, muted, quantity
from carts.book_checks import BookError
from carts.book_ledger import Cause, Why
from carts.forms.stock import NewStockForm, StockForm
from carts.models import Location, OutletLevel, StockLevel
from carts.stock_csv import HEADER, import_stock, stock_rows
from carts.stock_places import NoStockPlaces, in_words, named, places_of
from carts.warehouse_book import WarehouseBook


class StockWarehouseFilter(WarehouseFilter):
    field = "location__warehouse"


class AmountFilter(StateFilter):
    title = "amount"
    parameter_name = "amount"
    states = (("out", "Sold out"), ("some", "In stock"))

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        chosen = self.value()
        if chosen == "out":
            return queryset.filter(available__lte=0)
        return queryset.filter(available__gt=0) if chosen == "some" else queryset


@admin.register(StockLevel)
class StockLevelAdmin(HubAdmin):
    """Readable for every warehouse; edited here for the built-in one only."""

    merchant_path = "location__warehouse__merchant"
    list_display = ("sku", "amount", "shelf", "place", "changed", "read")
    list_filter = (StockWarehouseFilter, AmountFilter, MerchantFilter)
    list_select_related = ("location__warehouse__merchant",)
    search_fields = ("sku",)
    search_help_text = "SKU"
    ordering = ("sku", "pk")
    list_before_template = "admin/hub/stock_tools.html"
    empty_title = "No stock yet"
    empty_text = (
        "For the built-in warehouse enter stock here or import a CSV file with the columns location, sku and available. "
        "Other warehouses are read by Inventory Pickup."
    )

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return works_here(request.user)

    def changelist_view(self, request: HttpRequest, extra_context: Any = None) -> HttpResponse:
        context = {"has_builtin": builtin_warehouses(request).exists(), **(extra_context or {})}
        return super().changelist_view(request, context)

    @display(description="Available", ordering="available")
    def amount(self, level: StockLevel) -> SafeString:
        shown = quantity(level.available)
        return badge(f"{shown} – sold out", "warn") if level.available <= 0 else format_html("<b>{}</b>", shown)

    @display(description="On the shelf", ordering="on_hand")
    def shelf(self, level: StockLevel) -> str:
        return quantity(level.on_hand)

    @display(description="Location", ordering="location__name")
    def place(self, level: StockLevel) -> str:
        return f"{level.location.warehouse.name}, {named(level.location)}"

    @display(description="Changed", ordering="changed_at")
    def changed(self, level: StockLevel) -> SafeString:
        return clock(level.changed_at)

    @display(description="Read", ordering="read_at")
    def read(self, level: StockLevel) -> SafeString:
        return clock(level.read_at)

    def get_urls(self) -> list[URLPattern]:
        own = [
            path("<path:object_id>/ledger/", self.guarded(self.ledger_view), name=self.url_name("ledger")),
            path("import/", self.guarded(self.import_view), name=self.url_name("import")),
            path("export/", self.guarded(self.export_view), name=self.url_name("export")),
        ]
        return own + super().get_urls()

    def ledger_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Why a level of the built-in warehouse is what it is."""
        level: StockLevel = self.visible_object(request, object_id)
        context = ledger_context(level.location, level.sku, level.sku_key)
        return self.page(request, "admin/hub/stock_ledger.html", {"original": level, **context})

    def import_view(self, request: HttpRequest) -> HttpResponse:
        if not works_here(request.user):
            raise Http404("There is no such page.")
        return import_page(
            self,
            request,
            heading="Import stock",
            explanation="A CSV file with the columns location, sku and available. An empty location means the default "
            "one. SKUs that are not in the file stay as they are.",
            read=import_stock,
        )

    def export_view(self, request: HttpRequest) -> HttpResponse:
        """The stock of one built-in warehouse, in the form in which it can be imported again."""
        warehouse = chosen_warehouse(request, "warehouse")
        if warehouse is None:
            messages.info(request, "Filter the list by one built-in warehouse first, then export.")
            return HttpResponseRedirect(self.list_link())
        return stream_csv(f"stock-{warehouse.pk}", HEADER, stock_rows(warehouse))

    def add_view(self, request: HttpRequest, form_url: str = "", extra_context: Any = None) -> HttpResponse:
        if not works_here(request.user):
            raise Http404("There is no such page.")
        locations = Location.objects.filter(warehouse__in=builtin_warehouses(request)).select_related("warehouse")
        form = NewStockForm(request.POST or None, locations=locations)
        if request.method == "POST" and form.is_valid():
            cleaned = form.cleaned_data
            if self.set_level(request, form, cleaned["location"], cleaned["sku"]):
                return HttpResponseRedirect(self.list_link())
        return self.level_page(request, form, "Enter stock", None)

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: Any = None
    ) -> HttpResponse:
        level: StockLevel = self.visible_object(request, object_id)
        if not level.location.warehouse.is_in_hub:
            return self.page(
                request, "admin/hub/stock_level.html", {"title": level.sku, "original": level, "level": level}
            )
        form = StockForm(request.POST or None, initial={"available": quantity(level.available)})
        if request.method == "POST" and form.is_valid() and self.set_level(request, form, level.location, level.sku):
            return HttpResponseRedirect(self.list_link())
        return self.level_page(request, form, f"Stock of {level.sku} at {level.location}", level)

    def set_level(self, request: HttpRequest, form: Any, location: Location, sku: str) -> bool:
        available = form.cleaned_data["available"]
        why = Why(cause=Cause.PERSON, actor=person(request))
        try:
            WarehouseBook(location.warehouse_id).set_available([(location, sku, available)], why)
        except BookError as error:
            form.add_error(None, str(error))
            return False
        messages.success(request, f"{sku} at {location}: {quantity(available)} available. The carts are told next.")
        return True

    def ledger_link(self, level: StockLevel) -> str:
        return reverse(f"admin:{self.url_name('ledger')}", args=[level.pk])

    def level_page(self, request: HttpRequest, form: Any, heading: str, level: StockLevel | None) -> HttpResponse:
        context = {
            "title": heading,
            "heading": heading,
            "original": level,
            "links": [("Ledger", self.ledger_link(level))] if level is not None else [],
            "form": form,
            "submit": "Save stock",
            "back": self.list_link(),
        }
        return self.page(request, "admin/hub/simple_form.html", context)


class OutletProblemFilter(StateFilter):
    title = "state"
    parameter_name = "state"
    states = (("problem", "With a problem"), ("doubt", "Being checked"))

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        chosen = self.value()
        if chosen == "problem":
            return queryset.exclude(problem="")
        return queryset.filter(in_doubt_since__isnull=False) if chosen == "doubt" else queryset


@admin.register(OutletLevel)
class OutletLevelAdmin(PageAdmin):
    """What the shops show: read-only."""

    merchant_path = "cart__merchant"
    page_template = "admin/hub/outlet_level.html"
    list_display = ("article", "shown", "last_written", "state", "cart_name", "read")
    list_filter = (CartFilter, OutletProblemFilter, MerchantFilter)
    list_select_related = ("cart", "product")
    search_fields = ("product__sku", "product__name")
    search_help_text = "SKU or name"
    ordering = ("-read_at", "-pk")
    empty_title = "No shop stock read yet"
    empty_text = "Inventory Sync reads what the shops show before it writes anything."

    def page_context(self, request: HttpRequest, level: OutletLevel) -> dict[str, Any]:
        """What the cart's locations have of the product, one by one and together; those that do not know it too."""
        stock_from = in_words(level.cart)
        try:
            places = places_of(level.cart)
        except NoStockPlaces as error:
            return {"stock_from": stock_from, "no_places": f"{error} {error.fix}"}
        key = level.product.stock_key
        known = (
            {one.location_id: one for one in StockLevel.objects.filter(location__in=places, sku_key=key)} if key else {}
        )
        return {
            "stock_from": stock_from,
            "places": [(place, known.get(place.pk)) for place in places],
            "total": sum((one.available for one in known.values()), Decimal(0)) if known else None,
        }

    @display(description="Product", ordering="product__sku")
    def article(self, level: OutletLevel) -> SafeString:
        return format_html("{} {}", level.product.sku or muted("no SKU"), muted(level.product.name))

    @display(description="Shown in the shop", ordering="level")
    def shown(self, level: OutletLevel) -> str:
        return quantity(level.level)

    @display(description="Last written", ordering="written_at")
    def last_written(self, level: OutletLevel) -> object:
        if level.written is None:
            return muted("never")
        return format_html("{} {}", quantity(level.written), clock(level.written_at))

    @display(description="State")
    def state(self, level: OutletLevel) -> SafeString:
        if level.problem:
            return format_html('{}<span class="im-cell-note">{}</span>', badge("Problem", "bad"), level.problem)
        return badge("Being checked", "warn") if level.in_doubt_since else badge("Fine", "good")

    @display(description="Cart", ordering="cart__name")
    def cart_name(self, level: OutletLevel) -> str:
        return level.cart.name

    @display(description="Read", ordering="read_at")
    def read(self, level: OutletLevel) -> SafeString:
        return clock(level.read_at)
