"""The returns of the built-in warehouse: what customers brought back, and Mark received."""

from __future__ import annotations

from typing import Any

from django.contrib import admin, messages
from django.db.models import Count, QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import URLPattern, path
from django.utils.html import format_html
from django.utils.safestring import SafeString
from unfold.decorators import display

from carts.admin.base import MerchantFilter, PageAdmin, PersonAction, WarehouseFilter, person
from carts.admin.filters import StateFilter
from carts.badges import clock, muted, state_badge
from carts.book_checks import BookError
from carts.forms.returns import ReceiveForm
from carts.models import PickReturn, Refund
from carts.warehouse_book import WarehouseBook

Status = PickReturn.Status


def give_up(pick_return: PickReturn, actor: str, data: dict[str, Any]) -> str:
    WarehouseBook(pick_return.warehouse_id).give_up_return(pick_return, actor=actor)
    return f"Return {pick_return} is not expected any more."


class ReturnStatusFilter(StateFilter):
    groups = {"all": ("Everything", tuple(Status.values))}
    states = Status.choices
    all_option = ["", "To receive"]

    def queryset(self, request: HttpRequest, queryset: QuerySet[PickReturn]) -> QuerySet[PickReturn]:
        return super().queryset(request, queryset) if self.value() else queryset.filter(status=Status.OPEN)


@admin.register(PickReturn)
class PickReturnAdmin(PageAdmin):
    merchant_path = "warehouse__merchant"
    page_template = "admin/hub/pick_return.html"
    list_display = ("return_number", "state", "order", "customer", "items", "shop", "place", "waiting_since")
    list_filter = (ReturnStatusFilter, WarehouseFilter, MerchantFilter)
    list_select_related = ("warehouse__merchant", "location")
    search_fields = ("number", "order_number", "reference", "customer_name", "lines__sku")
    search_help_text = "Number, order, customer, SKU …"
    ordering = ("announced_at", "pk")
    refusals = (BookError,)
    noun = ("return", "returns")
    empty_title = "Nothing to receive"
    empty_text = "Goods that customers brought back to a shop appear here, the oldest first."
    person_actions = (
        PersonAction(
            key="give_up",
            label="Does not come",
            icon="block",
            explanation="The goods will not reach the warehouse. Nothing is booked, and the return is cancelled.",
            done="not expected any more",
            run=give_up,
            danger=True,
            offered=lambda pick_return: pick_return.status == Status.OPEN,
        ),
    )

    def get_queryset(self, request: HttpRequest) -> QuerySet[PickReturn]:
        return super().get_queryset(request).annotate(line_count=Count("lines"))

    @display(description="Return", ordering="number")
    def return_number(self, pick_return: PickReturn) -> SafeString:
        return format_html('<span class="im-nowrap">{}</span>', pick_return.number)

    @display(description="State", ordering="status")
    def state(self, pick_return: PickReturn) -> SafeString:
        return state_badge(pick_return.status, pick_return.get_status_display())

    @display(description="Order", ordering="order_number")
    def order(self, pick_return: PickReturn) -> SafeString:
        return format_html('<span class="im-nowrap">{}</span>', pick_return.order_number or "–")

    @display(description="Customer", ordering="customer_name")
    def customer(self, pick_return: PickReturn) -> str | SafeString:
        return pick_return.customer_name or muted("Walk-in customer")

    @display(description="Lines")
    def items(self, pick_return: Any) -> int:
        return int(pick_return.line_count)

    @display(description="Shop", ordering="cart_name")
    def shop(self, pick_return: PickReturn) -> str:
        return pick_return.cart_name or "–"

    @display(description="Location", ordering="location__name")
    def place(self, pick_return: PickReturn) -> str:
        return f"{pick_return.location.name}, {pick_return.warehouse.name}"

    @display(description="Waiting since", ordering="announced_at")
    def waiting_since(self, pick_return: PickReturn) -> SafeString:
        return clock(pick_return.announced_at)

    # One return -----------------------------------------------------------------------------------------------------

    def get_urls(self) -> list[URLPattern]:
        own = [path("<path:object_id>/receive/", self.guarded(self.receive_view), name=self.url_name("receive"))]
        return own + super().get_urls()

    def page_context(self, request: HttpRequest, pick_return: PickReturn) -> dict[str, Any]:
        refund = Refund.objects.filter(warehouse_id=pick_return.warehouse_id, reference=pick_return.reference).first()
        return {
            "lines": list(pick_return.lines.all()),
            "can_receive": pick_return.status == Status.OPEN,
            "refund": refund,
        }

    def receive_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Mark received: GET asks line by line whether it can be sold again, POST books it."""
        pick_return = self.visible_object(request, object_id)
        if pick_return.status != Status.OPEN:
            messages.error(
                request, f"Return {pick_return} was dealt with before: {pick_return.get_status_display().lower()}."
            )
            return HttpResponseRedirect(self.change_link(pick_return))
        data = request.POST if request.method == "POST" else None
        form = ReceiveForm(data, lines=pick_return.lines.all(), restock=pick_return.restock is not False)
        if data is not None and form.is_valid():
            try:
                WarehouseBook(pick_return.warehouse_id).receive_return(
                    pick_return, form.restocked(), received_by=person(request)
                )
            except BookError as refusal:
                messages.error(request, str(refusal))
            else:
                messages.success(request, f"Return {pick_return} is received.")
            return HttpResponseRedirect(self.change_link(pick_return))
        return self.page(
            request,
            "admin/hub/receive.html",
            {
                "title": f"Mark return {pick_return} as received",
                "original": pick_return,
                "form": form,
                "back": self.change_link(pick_return),
            },
        )
