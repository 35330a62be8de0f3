"""The stock ledger of the built-in warehouses: why a level is what it is."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.http import HttpRequest
from django.utils.html import format_html
from django.utils.safestring import SafeString
from unfold.decorators import display

from carts.admin.base import MerchantFilter, PageAdmin, WarehouseFilter
from carts.admin.filters import DayRangeFilter, StateFilter
from carts.badges import day_and_time, muted, quantity, signed
from carts.book_ledger import ledger_of
from carts.models import StockLevel, StockMovement


class MovementWarehouseFilter(WarehouseFilter):
    field = "location__warehouse"


class CauseFilter(StateFilter):
    title = "cause"
    parameter_name = "cause"
    field = "cause"
    states = StockMovement.Cause.choices


@admin.register(StockMovement)
class StockMovementAdmin(PageAdmin):
    merchant_path = "location__warehouse__merchant"
    page_template = "admin/hub/stock_ledger.html"
    list_display = ("sku", "moved", "shelf", "why", "document", "who", "place", "at")
    list_filter = (CauseFilter, MovementWarehouseFilter, MerchantFilter, ("moved_at", DayRangeFilter))
    list_select_related = ("location__warehouse",)
    search_fields = ("sku", "document")
    search_help_text = "SKU or document"
    ordering = ("-moved_at", "-pk")
    noun = ("movement", "movements")
    empty_title = "Nothing moved yet"
    empty_text = "Every change of what lies on the shelves of a built-in warehouse is entered here, with its cause."

    @display(description="Change", ordering="quantity")
    def moved(self, movement: StockMovement) -> SafeString:
        return format_html("<b>{}</b>", signed(movement.quantity))

    @display(description="On the shelf then", ordering="on_hand")
    def shelf(self, movement: StockMovement) -> str:
        return quantity(movement.on_hand)

    @display(description="Cause", ordering="cause")
    def why(self, movement: StockMovement) -> SafeString:
        words = movement.get_cause_display()
        return format_html("{}<br>{}", words, muted(movement.note)) if movement.note else words

    @display(description="Who", ordering="actor")
    def who(self, movement: StockMovement) -> str:
        return movement.actor or "–"

    @display(description="Location", ordering="location__name")
    def place(self, movement: StockMovement) -> str:
        return f"{movement.location.warehouse.name}, {movement.location.name}"

    @display(description="When", ordering="moved_at")
    def at(self, movement: StockMovement) -> SafeString:
        return day_and_time(movement.moved_at)

    def page_context(self, request: HttpRequest, movement: StockMovement) -> dict[str, Any]:
        return ledger_context(movement.location, movement.sku, movement.sku_key)


def ledger_context(location: Any, sku: str, sku_key: str) -> dict[str, Any]:
    """The page of one SKU at one location."""
    level = StockLevel.objects.filter(location=location, sku_key=sku_key).first()
    return {"title": f"{sku} at {location}", "sku": sku, "level": level, **ledger_of(location, sku_key)}
