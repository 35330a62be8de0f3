"""Consignments: the stock documents of the shops, and what became of them."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.db.models import Q, QuerySet
from django.http import HttpRequest
from django.utils.html import format_html
from django.utils.safestring import SafeString
from unfold.decorators import display

from carts import stock_flow
from carts.admin.base import CartFilter, MerchantFilter, PageAdmin, PersonAction, as_id
from carts.admin.filters import DayRangeFilter, StateFilter
from carts.badges import day_and_time, muted, state_badge
from carts.models import Consignment, Outlet, StockTransfer
from carts.stock_effects import has_moved

Status = Consignment.Status
STEPS = "steps__lines", "steps__deliveries"


def check_again(consignment: Consignment, actor: str, data: dict[str, Any]) -> str:
    stock_flow.check_again(consignment.pk, actor)
    return f"{consignment.title} is read again from the shop; what is missing goes out."


def pass_on(consignment: Consignment, actor: str, data: dict[str, Any]) -> str:
    stock_flow.pass_on(consignment.pk, actor)
    return f"{consignment.title} is read from the shop next, and then passed on."


def take_back(consignment: Consignment, actor: str, data: dict[str, Any]) -> str:
    stock_flow.take_back(consignment.pk, actor)
    return f"The warehouse is told to undo {consignment.title}."


def may_be_taken_back(consignment: Consignment) -> bool:
    is_over = not has_moved(consignment.kind, consignment.state) and consignment.taken_back_at is None
    return is_over and stock_flow.is_carried(consignment)


class ConsignmentStatusFilter(StateFilter):
    groups = {"attention": ("Needs attention (waiting or in part)", (Status.WAITING, Status.PARTLY))}
    states = Status.choices


class KindFilter(StateFilter):
    title = "kind"
    parameter_name = "kind"
    field = "kind"
    states = Consignment.Kind.choices


class ConsignmentCartFilter(CartFilter):
    """By either side of a transfer."""

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        chosen = as_id(self.value() or "")
        return queryset.filter(Q(cart=chosen) | Q(source_cart=chosen)) if chosen is not None else queryset


@admin.register(Consignment)
class ConsignmentAdmin(PageAdmin):
    page_template = "admin/hub/consignment.html"
    list_display = ("document", "what", "in_shop", "to_warehouse", "cart_name", "changed")
    list_filter = (
        ConsignmentStatusFilter,
        KindFilter,
        ConsignmentCartFilter,
        MerchantFilter,
        ("changed_at", DayRangeFilter),
    )
    list_select_related = ("cart", "source_cart")
    search_fields = ("number", "name", "external_id", "lines__sku")
    search_help_text = "Number, note, SKU …"
    ordering = ("-changed_at", "-pk")
    noun = ("consignment", "consignments")
    empty_title = "No consignments yet"
    empty_text = (
        "Stock orders, returns to suppliers, counts and transfers of the shops appear here, when a cart does Stock "
        "Adjustment Sync or Stock Transfer Sync."
    )
    person_actions = (
        PersonAction(
            key="check",
            label="Check again",
            icon="refresh",
            explanation="It is read again from the shop and compared with what the warehouse was told. Only what is "
            "missing goes out.",
            done="checked again",
            run=check_again,
            offered=lambda consignment: consignment.status != Status.HISTORY,
        ),
        PersonAction(
            key="pass_on",
            label="Pass on all the same",
            icon="play_arrow",
            explanation="It was finished before the function was switched on, so the warehouse's stock should hold it "
            "already. Pass it on only if it does not.",
            done="passed on",
            run=pass_on,
            offered=lambda consignment: consignment.history != Consignment.History.NOTHING,
        ),
        PersonAction(
            key="take_back",
            label="Take back at the warehouse",
            icon="undo",
            explanation="The warehouse gets documents that undo what was passed on, because the shop has cancelled it.",
            done="taken back",
            run=take_back,
            offered=may_be_taken_back,
            danger=True,
            bulk=False,
        ),
    )

    @display(description="Document", ordering="number")
    def document(self, consignment: Consignment) -> str:
        return str(consignment)

    @display(description="Kind", ordering="kind")
    def what(self, consignment: Consignment) -> str:
        return consignment.get_kind_display()

    @display(description="In the shop", ordering="state")
    def in_shop(self, consignment: Consignment) -> str:
        return consignment.get_state_display()

    @display(description="To the warehouse", ordering="status")
    def to_warehouse(self, consignment: Consignment) -> SafeString:
        shown = state_badge(consignment.status, consignment.get_status_display())
        if not consignment.problem or consignment.status == Status.HISTORY:
            return shown
        return format_html('{}<span class="im-cell-note">{}</span>', shown, consignment.problem)

    @display(description="Cart", ordering="cart__name")
    def cart_name(self, consignment: Consignment) -> str | SafeString:
        names = [cart.name for cart in (consignment.source_cart, consignment.cart) if cart is not None]
        return " → ".join(names) if names else muted("none")

    @display(description="Changed", ordering="changed_at")
    def changed(self, consignment: Consignment) -> SafeString:
        return day_and_time(consignment.changed_at)

    def page_context(self, request: HttpRequest, consignment: Consignment) -> dict[str, Any]:
        transfer = StockTransfer.objects.filter(consignment=consignment).prefetch_related(*STEPS).first()
        adjustments = consignment.adjustments.order_by("pk").select_related("location", "warehouse")
        return {
            "consignment": consignment,
            "lines": list(consignment.lines.all()),
            "adjustments": list(adjustments.prefetch_related("lines")[:200]),
            "transfer": transfer,
            "outlets": outlet_names(consignment),
        }


def outlet_names(consignment: Consignment) -> dict[str, str]:
    """The names of its outlets, as far as a cart of the store has listed them."""
    ids = [consignment.source_outlet_id_at_cart, consignment.outlet_id_at_cart]
    rows = Outlet.objects.filter(connection__merchant=consignment.merchant_id, external_id__in=filter(None, ids))
    names = dict(rows.values_list("external_id", "name"))
    return {"source": names.get(ids[0], ids[0]), "target": names.get(ids[1], ids[1])}
