"""Deliveries: what must reach a warehouse, with every attempt."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.db.models import Q, QuerySet
from django.http import HttpRequest
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString
from unfold.decorators import display

from carts import change_flow, order_flow, refund_flow, stock_flow
from carts.admin.base import ConnectionFilter, MerchantFilter, PageAdmin, PersonAction
from carts.admin.filters import StateFilter
from carts.admin.scoping import scoped
from carts.badges import clock, due, state_badge
from carts.models import Connection, Order, OrderChange, Refund
from carts.order_flow import TransitionRefused
from carts.order_search import find_orders
from carts.signals import cancellation_wanted
from syncjobs.models import Delivery
from syncjobs.outbox import revive

State = Delivery.State
WAITING = (State.PENDING, State.RETRY)
# Of a search: the newest of the orders that fit.
MOST_FOUND = 1_000
SUBJECTS = (
    "connection",
    "order",
    "change",
    "refund",
    "adjustment__consignment",
    "transfer_step__transfer__consignment",
)


def retry_now(delivery: Delivery, actor: str, data: dict[str, Any]) -> str:
    """Tries a waiting delivery at once; revives a failed one through what it is about, which checks that it may go."""
    if delivery.state in WAITING:
        if not Delivery.objects.filter(pk=delivery.pk, state__in=WAITING).update(run_at=timezone.now()):
            raise TransitionRefused(f"{delivery} is being sent at this moment.")
    elif delivery.state != State.FAILED:
        raise TransitionRefused(f"{delivery} is {delivery.get_state_display().lower()}; there is nothing to retry.")
    elif delivery.refund is not None:
        refund_flow.resend(delivery.refund.pk, actor)
    elif delivery.stock_document is not None:
        stock_flow.resend(delivery.stock_document, actor)
    elif delivery.change is not None:
        if delivery.change.status != OrderChange.Status.HELD:
            raise TransitionRefused(f"This change is settled: {delivery.change.get_status_display().lower()}.")
        change_flow.resend(delivery.own_order.pk, actor)
    elif delivery.kind == Delivery.Kind.ORDER:
        order_flow.resend(delivery.own_order.pk, actor)
    elif delivery.kind == Delivery.Kind.CANCELLATION:
        order = delivery.own_order
        order_flow.note(order, "cancel_retry", "The warehouse is asked again to cancel.", actor)
        cancellation_wanted.send(type(order), order=order, reason=order.cancel_reason)
    else:
        order_flow.note(delivery.own_order, "confirm_retry", "The cart is told again about the shipment.", actor)
        revive(delivery, timezone.now())
    return f"{delivery} is tried next."


class DeliveryStateFilter(StateFilter):
    title = "state"
    field = "state"
    parameter_name = "state"
    groups = {"open": ("Not done yet", (State.PENDING, State.SENDING, State.RETRY))}
    states = State.choices


@admin.register(Delivery)
class DeliveryAdmin(PageAdmin):
    merchant_path = "connection__merchant"
    page_template = "admin/hub/delivery.html"
    list_display = ("what", "order_number", "where", "state_word", "attempts", "next_try", "created")
    list_filter = (DeliveryStateFilter, ConnectionFilter, MerchantFilter)
    list_select_related = SUBJECTS
    search_fields = ("reference", "order__number", "refund__number", "remote_id")
    search_help_text = "Order, customer or SKU; reference or id at the warehouse"
    ordering = ("-pk",)
    noun = ("delivery", "deliveries")
    empty_title = "Nothing was sent yet"
    empty_text = (
        "Whatever goes to a warehouse or back to a cart has its delivery here: orders, returns, stock documents."
    )
    person_actions = (
        PersonAction(
            key="retry",
            label="Retry now",
            icon="replay",
            explanation="Tries it at once instead of waiting. Where the warehouse may already have it, the hub asks "
            "first, so nothing is there twice.",
            done="tried next",
            run=retry_now,
            offered=lambda delivery: delivery.state in (*WAITING, State.FAILED),
        ),
    )

    def get_queryset(self, request: HttpRequest) -> QuerySet[Delivery]:
        return super().get_queryset(request).select_related(*SUBJECTS)

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Delivery], search_term: str
    ) -> tuple[QuerySet[Delivery], bool]:
        """By what it is about, and by whole references: all of it stands in an index."""
        term = search_term.strip()
        if not term:
            return queryset, False
        orders = find_orders(scoped(Order.objects.all(), request.user, "merchant"), term)
        refunds = scoped(Refund.objects.all(), request.user, "merchant").filter(number__iexact=term)
        places = Connection.objects.order_by().values("pk")
        named = Delivery.objects.filter(connection__in=places, kind__in=Delivery.Kind.values).order_by()
        ids = [
            pk
            for rows in (named.filter(reference=term), named.filter(remote_id__gt="", remote_id=term))
            for pk in rows.values_list("pk", flat=True)[:MOST_FOUND]
        ]
        about = Q(order__in=list(orders.values_list("pk", flat=True)[:MOST_FOUND]))
        about |= Q(refund__in=list(refunds.order_by().values_list("pk", flat=True)[:MOST_FOUND]))
        return queryset.filter(about | Q(pk__in=ids)), False

    @display(description="What", ordering="kind")
    def what(self, delivery: Delivery) -> str:
        return delivery.get_kind_display()

    @display(description="Number", ordering="order__number")
    def order_number(self, delivery: Delivery) -> str:
        return delivery.subject.number

    @display(description="To", ordering="connection__name")
    def where(self, delivery: Delivery) -> str:
        return delivery.connection.name

    @display(description="State", ordering="state")
    def state_word(self, delivery: Delivery) -> SafeString:
        shown = state_badge(delivery.state, delivery.get_state_display())
        if delivery.error and delivery.state not in (State.DONE, State.CANCELLED):
            return format_html('{}<span class="im-cell-note">{}</span>', shown, delivery.error)
        return shown

    @display(description="Next try", ordering="run_at")
    def next_try(self, delivery: Delivery) -> SafeString | str:
        return due(delivery.run_at) if delivery.state in WAITING else "–"

    @display(description="Created", ordering="created_at")
    def created(self, delivery: Delivery) -> SafeString:
        return clock(delivery.created_at)

    def page_context(self, request: HttpRequest, delivery: Delivery) -> dict[str, Any]:
        return {
            "delivery": delivery,
            "attempts": list(delivery.attempt_log.order_by("-started_at", "-pk")[:100]),
            "calls": delivery.api_calls.count(),
        }
