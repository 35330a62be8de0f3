"""The pick list of warehouses in the hub: what waits to be packed, and Mark shipped."""

from __future__ import annotations

from typing import Any

from django.contrib import admin, messages
from django.db.models import Count, DecimalField, F, Prefetch, Q, QuerySet, Sum, Value
from django.db.models.functions import Coalesce, Greatest
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import URLPattern, path
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString
from unfold.decorators import display

from carts.admin.base import MerchantFilter, PageAdmin, PersonAction, WarehouseFilter, person
from carts.admin.filters import StateFilter
from carts.badges import clock, due, muted, quantity, state_badge
from carts.book_checks import BookError
from carts.forms.orders import ParcelForm, ShipForm
from carts.models import Order, PickOrder, PickShipmentLine
from carts.warehouse_book import WarehouseBook

Status = PickOrder.Status
WAITING = (Status.OPEN, Status.PARTLY_SHIPPED)
MOST_PRINTED = 100


def ship_all(pick_order: PickOrder, actor: str, data: dict[str, Any]) -> str:
    parcel = {name: data[name] for name in ("carrier", "method", "tracking_number", "tracking_url")}
    WarehouseBook(pick_order.warehouse_id).ship(pick_order, None, **parcel, shipped_by=actor)
    return f"Order {pick_order} is marked as shipped."


def where_it_is(pick_order: PickOrder) -> str:
    """What the WMS of a REST warehouse does with it, in a few words; "" for other warehouses."""
    if pick_order.status not in WAITING:
        return pick_order.answer_reason
    if pick_order.cancel_requested_at:
        return "to be cancelled: the WMS has not answered"
    if pick_order.acknowledged_at:
        return f"in the WMS {pick_order.wms_id}".strip()
    return f"fetched by {pick_order.lease_holder}" if pick_order.is_leased(timezone.now()) else ""


def wms_facts(pick_order: PickOrder) -> list[tuple[str, str | SafeString]]:
    """What the WMS of a REST warehouse did so far."""
    if not pick_order.warehouse.connector_class.worked_by_wms:
        return []
    leased = pick_order.is_leased(timezone.now()) and pick_order.lease_until
    facts = [
        ("Fetched", clock(pick_order.fetched_at) if pick_order.fetched_at else "not yet"),
        ("Held by", format_html("{}, lease ends {}", pick_order.lease_holder, due(leased)) if leased else ""),
        ("Acknowledged", clock(pick_order.acknowledged_at) if pick_order.acknowledged_at else "not yet"),
        ("Its number there", pick_order.wms_id),
        ("Asked to cancel", clock(pick_order.cancel_requested_at) if pick_order.cancel_requested_at else ""),
        (
            "Answer",
            f"{pick_order.get_answer_display()}: {pick_order.answer_reason}".strip(": ") if pick_order.answer else "",
        ),
    ]
    return [(label, value) for label, value in facts if value]


class PickStatusFilter(StateFilter):
    groups = {"all": ("Everything", tuple(Status.values))}
    states = Status.choices
    all_option = ["", "To pick and partly shipped"]

    def queryset(self, request: HttpRequest, queryset: QuerySet[PickOrder]) -> QuerySet[PickOrder]:
        return super().queryset(request, queryset) if self.value() else queryset.filter(status__in=WAITING)


@admin.register(PickOrder)
class PickOrderAdmin(PageAdmin):
    merchant_path = "warehouse__merchant"
    page_template = "admin/hub/pick_order.html"
    list_display = ("order_number", "state", "customer", "open_items", "town", "shop", "place", "waiting_since")
    list_filter = (PickStatusFilter, WarehouseFilter, MerchantFilter)
    list_select_related = ("warehouse__merchant", "location")
    search_fields = ("number", "reference", "customer_name", "lines__sku")
    search_help_text = "Number, customer, SKU …"
    ordering = ("received_at", "pk")
    list_before_template = "admin/hub/pick_list_tools.html"
    refusals = (BookError,)
    noun = ("order", "orders")
    empty_title = "Nothing to pick"
    empty_text = "Orders for warehouses of the hub's own appear here as soon as they arrive, the oldest first."
    person_actions = (
        PersonAction(
            key="ship_all",
            label="Mark shipped completely",
            icon="local_shipping",
            explanation="Everything that is still open of these orders leaves now. For a part of an order, or a "
            "tracking number of its own, open the order.",
            done="marked as shipped",
            run=ship_all,
            form=ParcelForm,
            offered=lambda pick_order: False,
        ),
    )

    def get_queryset(self, request: HttpRequest) -> QuerySet[PickOrder]:
        open_quantity = Greatest(
            F("lines__quantity") - F("lines__shipped"), Value(0, DecimalField(max_digits=16, decimal_places=5))
        )
        return (
            super()
            .get_queryset(request)
            .annotate(
                open_total=Coalesce(Sum(open_quantity), Value(0, DecimalField(max_digits=16, decimal_places=5))),
                open_lines=Count("lines", filter=Q(lines__quantity__gt=F("lines__shipped"))),
            )
        )

    @display(description="Order", ordering="number")
    def order_number(self, pick_order: PickOrder) -> SafeString:
        return format_html('<span class="im-nowrap">{}</span>', pick_order.number)

    @display(description="State", ordering="status")
    def state(self, pick_order: PickOrder) -> SafeString:
        shown = state_badge(pick_order.status, pick_order.get_status_display())
        words: str | SafeString = where_it_is(pick_order)
        if not words and pick_order.changed_at and pick_order.status == Status.OPEN:
            words = format_html("Changed {}", clock(pick_order.changed_at))
        return format_html('{}<span class="im-cell-note im-quiet">{}</span>', shown, words) if words else shown

    @display(description="Customer", ordering="customer_name")
    def customer(self, pick_order: PickOrder) -> str | SafeString:
        return pick_order.customer_name or muted("Walk-in customer")

    @display(description="To pick")
    def open_items(self, pick_order: Any) -> str:
        if not pick_order.open_lines:
            return "–"
        lines = "line" if pick_order.open_lines == 1 else "lines"
        return f"{quantity(pick_order.open_total)} in {pick_order.open_lines} {lines}"

    @display(description="Ship to")
    def town(self, pick_order: PickOrder) -> str:
        ship_to = pick_order.ship_to or {}
        return ", ".join(str(ship_to[name]) for name in ("city", "country") if ship_to.get(name)) or "–"

    @display(description="Shop", ordering="cart_name")
    def shop(self, pick_order: PickOrder) -> str:
        return pick_order.cart_name or "–"

    @display(description="Location", ordering="location__name")
    def place(self, pick_order: PickOrder) -> str:
        return f"{pick_order.location.name}, {pick_order.warehouse.name}"

    @display(description="Waiting since", ordering="received_at")
    def waiting_since(self, pick_order: PickOrder) -> SafeString:
        return clock(pick_order.received_at)

    # One order -------------------------------------------------------------------------------------------------------

    def get_urls(self) -> list[URLPattern]:
        own = [
            path("print/", self.guarded(self.print_view), name=self.url_name("print")),
            path("<path:object_id>/ship/", self.guarded(self.ship_view), name=self.url_name("ship")),
        ]
        return own + super().get_urls()

    def page_context(self, request: HttpRequest, pick_order: PickOrder) -> dict[str, Any]:
        shipments = pick_order.shipments.prefetch_related(
            Prefetch("lines", PickShipmentLine.objects.select_related("pick_line"))
        )
        lines = list(pick_order.lines.all())
        orders = Order.objects.filter(
            merchant_id=pick_order.warehouse.merchant_id, warehouse_id=pick_order.warehouse_id
        )
        order = orders.filter(reference=pick_order.reference).order_by().first()
        return {
            "lines": lines,
            "shipments": list(shipments),
            "can_ship": pick_order.status in WAITING and any(line.open_quantity for line in lines),
            "order": order,
            "wms": wms_facts(pick_order),
        }

    def ship_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Mark shipped: GET shows the form with what is open, POST books the parcel."""
        pick_order = self.visible_object(request, object_id)
        if pick_order.status not in WAITING:
            messages.error(
                request, f"Order {pick_order} is {pick_order.get_status_display().lower()}; nothing is left to ship."
            )
            return HttpResponseRedirect(self.change_link(pick_order))
        form = ShipForm(request.POST or None, lines=pick_order.lines.all())
        if request.method == "POST" and form.is_valid():
            cleaned = form.cleaned_data
            try:
                WarehouseBook(pick_order.warehouse_id).ship(
                    pick_order,
                    {line.reference: amount for line, amount in form.quantities().items()},
                    carrier=cleaned["carrier"],
                    method=cleaned["method"],
                    tracking_number=cleaned["tracking_number"],
                    tracking_url=cleaned["tracking_url"],
                    shipped_by=person(request),
                )
            except BookError as refusal:
                form.add_error(None, " ".join(filter(None, (str(refusal), refusal.fix))))
            else:
                messages.success(request, f"The shipment of order {pick_order} is booked. The shop is told about it.")
                return HttpResponseRedirect(self.change_link(pick_order))
        return self.page(
            request,
            "admin/hub/ship.html",
            {
                "title": f"Mark order {pick_order} as shipped",
                "original": pick_order,
                "form": form,
                "back": self.change_link(pick_order),
            },
        )

    def print_view(self, request: HttpRequest) -> HttpResponse:
        """The open orders that fit the list's search and filters, one below the other, for paper."""
        found = self.get_changelist_instance(request).get_queryset(request)
        pick_orders = found.select_related("warehouse", "location").prefetch_related("lines")
        return self.page(
            request,
            "admin/hub/pick_print.html",
            {"title": "Pick list", "pick_orders": list(pick_orders[:MOST_PRINTED]), "most": MOST_PRINTED},
        )
