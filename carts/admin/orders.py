"""Orders: the list, an order's page, its address and the CSV export."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from django.contrib import admin, messages
from django.db.models import Prefetch, QuerySet
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import NoReverseMatch, URLPattern, path, reverse
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.text import Truncator
from unfold.decorators import display
from unfold.views import ChangeList

from carts import order_flow
from carts.admin.base import CartFilter, MerchantFilter, PageAdmin, person
from carts.admin.csv_download import stream_csv
from carts.admin.filters import DayRangeFilter, StateFilter, start_of
from carts.admin.order_actions import ORDER_ACTIONS, pick_order_of
from carts.badges import day_and_time, money, muted, state_badge
from carts.book_checks import BookError
from carts.change_flow import OPEN, last_word
from carts.forms.fields import HubForm
from carts.forms.orders import AddressForm, ItemsForm
from carts.models import Order, OrderChange, ShipmentLine
from carts.models.fields import plain_decimal
from carts.order_edits import EditInvalid, can_be_changed, change_unsent
from carts.order_flow import TransitionRefused
from carts.order_search import find_orders, of_all_merchants, since
from carts.order_timeline import timeline_of
from connectors.functions import Function

Status = Order.Status

MOST_WORDS_IN_A_ROW = 140

CSV_HEADER = (
    "Number",
    "Status",
    "Problem",
    "Cart",
    "Warehouse",
    "Placed at",
    "Customer",
    "E-mail",
    "Ship to",
    "Currency",
    "Total",
    "Tax",
    "Shipping",
    "Discount",
    "Reference",
    "External id",
)


class OrderStatusFilter(StateFilter):
    groups = {
        "attention": ("Needs attention (held, error, changed in the cart)", (Status.HELD, Status.ERROR)),
        "unshipped": ("Not shipped yet", (Status.NEW, Status.AT_WAREHOUSE)),
    }
    states = Status.choices
    rare = (Status.NEW, Status.HELD, Status.ERROR)

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        chosen = self.value()
        statuses = self.groups[chosen][1] if chosen in self.groups else [chosen] if chosen in self.rare else None
        if statuses is None:
            return super().queryset(request, queryset)
        # Found by themselves, because they are few: SQLite would look for them through the whole list.
        few = of_all_merchants(Order.objects.order_by()).filter(status__in=statuses).values("pk")
        return queryset.filter(pk__in=few.union(orders_to_decide()) if chosen == "attention" else few)


def orders_to_decide() -> QuerySet[Any, int]:
    """Orders that were changed in the cart after they had been sent, and wait for a person."""
    return OrderChange.objects.filter(status=OrderChange.Status.HELD).order_by().values_list("order_id", flat=True)


class PlacedFilter(StateFilter):
    """Today's orders at one click; exact days are in the filter beside it."""

    title = "arrival"
    parameter_name = "arrived"
    states = (("today", "Arrived today"),)

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        if self.value() == "today":
            today = start_of(timezone.localdate())
            few = since(Order.objects.order_by(), today).filter(stored_at__gte=today)
            return queryset.filter(pk__in=few.values("pk"))
        return queryset


class OrderChangeList(ChangeList):
    """Sorted as an index has it, newest or oldest first: any other order would sort a million orders for one page."""

    def get_ordering(self, request: HttpRequest, queryset: QuerySet[Any]) -> list[str]:
        is_oldest_first = super().get_ordering(request, queryset)[0] == "placed_at"
        return ["placed_at", "pk"] if is_oldest_first else ["-placed_at", "-pk"]


@admin.register(Order)
class OrderAdmin(PageAdmin):
    page_template = "admin/hub/order.html"
    list_display = ("order_number", "state", "cart_name", "who", "amount", "warehouse_name", "placed")
    list_filter = (OrderStatusFilter, PlacedFilter, CartFilter, MerchantFilter, ("placed_at", DayRangeFilter))
    list_select_related = ("cart", "warehouse")
    search_fields = ("number", "external_id", "reference", "customer_name", "customer_email")
    search_help_text = "Number, customer, e-mail, SKU …"
    ordering = ("-placed_at", "-pk")
    list_before_template = "admin/hub/order_list_tools.html"
    actions = ("export_csv",)
    person_actions = ORDER_ACTIONS
    refusals = (TransitionRefused, BookError)
    noun = ("order", "orders")
    empty_title = "No orders yet"
    empty_text = "Orders appear here as soon as a cart that is switched on downloads them."
    empty_link = ("admin:carts_cart_changelist", "Go to the carts")

    # The list -------------------------------------------------------------------------------------------------------

    @display(description="Order")
    def order_number(self, order: Order) -> SafeString:
        return format_html('<span class="im-nowrap">{}</span>', order.number)

    @display(description="Status")
    def state(self, order: Order) -> SafeString:
        shown = state_badge(order.status, order.get_status_display())
        if order.problem:
            return format_html('{}<span class="im-cell-note">{}</span>', shown, order.problem)
        for change in getattr(order, "open_changes", ()):
            tone = "" if change.status == OrderChange.Status.HELD else " im-quiet"
            words = Truncator(f"Changed in the cart: {change.summary}").chars(MOST_WORDS_IN_A_ROW)
            return format_html('{}<span class="im-cell-note{}">{}</span>', shown, tone, words)
        if order.cancel_requested_at and order.status != Status.CANCELLED:
            return format_html('{}<span class="im-cell-note im-quiet">Cancellation requested</span>', shown)
        return shown

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[ChangeList]:
        return OrderChangeList

    def get_changelist_instance(self, request: HttpRequest) -> Any:
        changelist = super().get_changelist_instance(request)
        for_list = Prefetch("changes", OrderChange.objects.filter(status__in=OPEN), to_attr="open_changes")
        changelist.result_list = changelist.result_list.prefetch_related(for_list)
        return changelist

    @display(description="Cart")
    def cart_name(self, order: Order) -> SafeString:
        return format_html('<span class="im-nowrap">{}</span>', order.cart.name)

    @display(description="Warehouse")
    def warehouse_name(self, order: Order) -> str | SafeString:
        return order.warehouse.name if order.warehouse else muted("none")

    @display(description="Customer")
    def who(self, order: Order) -> str | SafeString:
        return order.customer_name or order.customer_email or muted("Walk-in customer")

    @display(description="Total")
    def amount(self, order: Order) -> SafeString:
        return format_html('<span class="im-nowrap">{}</span>', money(order.total, order.currency))

    @display(description="Placed", ordering="placed_at")
    def placed(self, order: Order) -> SafeString:
        return day_and_time(order.placed_at)

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Order], search_term: str
    ) -> tuple[QuerySet[Order], bool]:
        return find_orders(queryset, search_term), False

    @admin.action(description="Export CSV")
    def export_csv(self, request: HttpRequest, queryset: QuerySet[Order]) -> HttpResponse:
        return stream_csv("orders", CSV_HEADER, csv_rows(queryset))

    def export_view(self, request: HttpRequest) -> HttpResponse:
        """Every order that fits the list's search and filters."""
        return stream_csv("orders", CSV_HEADER, csv_rows(self.get_changelist_instance(request).get_queryset(request)))

    # An order's page ------------------------------------------------------------------------------------------------

    def get_urls(self) -> list[URLPattern]:
        own = [
            path("export/", self.guarded(self.export_view), name=self.url_name("export")),
            path(
                "<path:object_id>/address/",
                self.guarded(self.address_view),
                name=self.url_name("address"),
            ),
            path("<path:object_id>/items/", self.guarded(self.items_view), name=self.url_name("items")),
        ]
        return own + super().get_urls()

    def visible_object(self, request: HttpRequest, object_id: object) -> Order:
        order: Order = super().visible_object(request, object_id)
        return order

    def page_context(self, request: HttpRequest, order: Order) -> dict[str, Any]:
        lines = list(order.lines.all())
        shipments = order.shipments.prefetch_related(
            Prefetch("lines", ShipmentLine.objects.select_related("order_line"))
        )
        pick_order = pick_order_of(order)
        payload = order.payloads.first()
        return {
            "order": order,
            "lines": lines,
            "some_shipped": any(line.shipped for line in lines),
            "charges": [charge for charge in order.charges if charge.get("kind") != "tax"],
            "track": track(order),
            "timeline": timeline_of(order),
            "shipments": list(shipments),
            "refunds": list(order.refunds.prefetch_related("lines")),
            "deliveries": list(order.deliveries.select_related("connection").prefetch_related("attempt_log")),
            "failures": list(order.failed_records.filter(status="open")),
            "change": last_word(order),
            "pick_order": pick_order,
            "payload": payload,
            "can_edit": can_be_changed(order),
            "api_calls_url": link_with("admin:syncjobs_apicall_changelist", f"order={order.pk}"),
        }

    def address_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Ship-to, editable while the order was not sent."""
        order = self.visible_object(request, object_id)
        form = AddressForm(request.POST or None, initial=order.ship_to, can_release=waits_for_somebody(order))
        return self.edit(request, order, form, "Ship-to address", lambda: {"ship_to": form.address().as_dict()})

    def items_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """The SKUs of its lines, editable while the order was not sent."""
        order = self.visible_object(request, object_id)
        form = ItemsForm(request.POST or None, lines=order.lines.all(), can_release=waits_for_somebody(order))
        return self.edit(request, order, form, "Items", lambda: {"skus": form.skus()})

    def edit(
        self, request: HttpRequest, order: Order, form: HubForm, what: str, changes: Callable[[], dict[str, Any]]
    ) -> HttpResponse:
        if not can_be_changed(order):
            messages.error(
                request, f"Order {order} is {order.get_status_display().lower()}; it cannot be changed any more."
            )
            return HttpResponseRedirect(self.change_link(order))
        if request.method == "POST" and form.is_valid():
            try:
                change_unsent(order.pk, person(request), **changes())
                messages.success(request, "The change is saved.")
                if form.cleaned_data.get("release"):
                    order_flow.release(order.pk, person(request))
                    messages.success(request, f"Order {order} is released and goes to the warehouse next.")
            except (TransitionRefused, EditInvalid) as refusal:
                messages.error(request, str(refusal))
            return HttpResponseRedirect(self.change_link(order))
        return self.page(
            request,
            "admin/hub/simple_form.html",
            {
                "title": f"{what} of order {order}",
                "original": order,
                "heading": f"{what} of order {order}",
                "problem": order.problem,
                "form": form,
                "submit": "Save",
                "back": self.change_link(order),
            },
        )


def waits_for_somebody(order: Order) -> bool:
    return order.status in (Status.HELD, Status.ERROR)


def track(order: Order) -> list[dict[str, Any]]:
    """The way of an order as the page draws it."""
    steps = [
        {"label": "New", "at": order.stored_at, "done": True},
        {"label": "At warehouse", "at": order.at_warehouse_at, "done": bool(order.at_warehouse_at)},
        {"label": "Shipped", "at": order.shipped_at, "done": bool(order.shipped_at)},
    ]
    if order.confirmed_at or order.cart.function_is_on(Function.SHIPMENT_CONFIRMATION):
        steps.append({"label": "Confirmed", "at": order.confirmed_at, "done": bool(order.confirmed_at)})
    if order.status in (Status.HELD, Status.ERROR, Status.CANCELLED):
        stopped = next((index for index, step in enumerate(steps) if not step["done"]), len(steps))
        if order.status == Status.CANCELLED:
            steps = steps[:stopped]
        steps.insert(
            stopped,
            {"label": order.get_status_display(), "at": order.cancelled_at, "stop": True, "done": False},
        )
    return steps


def link_with(name: str, query: str) -> str:
    try:
        return f"{reverse(name)}?{query}"
    except NoReverseMatch:
        raise Http404("There is no such page.") from None


def csv_rows(orders: QuerySet[Order]) -> Iterator[tuple[object, ...]]:
    for order in orders.select_related("cart", "warehouse").iterator(chunk_size=1000):
        ship_to = order.ship_to or {}
        places = ("name", "street1", "postcode", "city", "country")
        yield (
            order.number,
            order.get_status_display(),
            order.problem,
            order.cart.name,
            order.warehouse.name if order.warehouse else "",
            timezone.localtime(order.placed_at).isoformat(timespec="seconds"),
            order.customer_name,
            order.customer_email,
            ", ".join(str(ship_to[name]) for name in places if ship_to.get(name)),
            order.currency,
            plain_decimal(order.total, 2),
            plain_decimal(order.tax_total, 2),
            plain_decimal(order.shipping_total, 2),
            plain_decimal(order.discount_total, 2),
            order.reference,
            order.external_id,
        )
