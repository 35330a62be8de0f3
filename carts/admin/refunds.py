"""Refunds: what customers brought back, where it stands, and what a person can do about it."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.http import HttpRequest
from django.utils.html import format_html
from django.utils.safestring import SafeString
from unfold.decorators import display

from carts import refund_flow
from carts.admin.base import CartFilter, MerchantFilter, PageAdmin, PersonAction
from carts.admin.filters import DayRangeFilter, StateFilter
from carts.badges import day_and_time, money, muted, state_badge
from carts.forms.fields import ReasonForm
from carts.models import PickReturn, Refund

Status = Refund.Status
WAITING = (Status.HELD, Status.ERROR, Status.NOT_SENT)


def release(refund: Refund, actor: str, data: dict[str, Any]) -> str:
    refund_flow.release(refund.pk, actor)
    return f"Return {refund} is released and goes to the warehouse next."


def resend(refund: Refund, actor: str, data: dict[str, Any]) -> str:
    refund_flow.resend(refund.pk, actor)
    return f"Return {refund} is sent again, unless the warehouse has it already."


def cancel(refund: Refund, actor: str, data: dict[str, Any]) -> str:
    refund_flow.cancel(refund.pk, data["reason"], actor)
    return f"Return {refund} is cancelled."


class RefundStatusFilter(StateFilter):
    groups = {"attention": ("Needs attention (held or error)", (Status.HELD, Status.ERROR))}
    states = Status.choices


@admin.register(Refund)
class RefundAdmin(PageAdmin):
    page_template = "admin/hub/refund.html"
    list_display = ("refund_number", "state", "order_number", "cart_name", "given_back", "placed")
    list_filter = (RefundStatusFilter, CartFilter, MerchantFilter, ("placed_at", DayRangeFilter))
    list_select_related = ("cart", "order")
    search_fields = ("number", "external_id", "reference", "order__number", "lines__sku")
    search_help_text = "Number, order, SKU …"
    ordering = ("-placed_at", "-pk")
    noun = ("return", "returns")
    empty_title = "No returns yet"
    empty_text = "Goods that customers bring back appear here, when the cart does Refund Download."
    person_actions = (
        PersonAction(
            key="release",
            label="Send to the warehouse",
            icon="play_arrow",
            explanation="The return is checked again and goes to the warehouse next, even if its order is not known here.",
            done="released",
            run=release,
            offered=lambda refund: refund.status in WAITING,
        ),
        PersonAction(
            key="resend",
            label="Resend",
            icon="redo",
            explanation="The warehouse is asked first whether it has the return, so it is never there twice.",
            done="sent again",
            run=resend,
            offered=lambda refund: refund.status in (Status.NEW, Status.AT_WAREHOUSE),
        ),
        PersonAction(
            key="cancel",
            label="Cancel return",
            icon="cancel",
            explanation="A return that was not sent yet never goes out. One that the warehouse knows is cancelled here "
            "only: tell the warehouse that the goods do not come.",
            done="cancelled",
            run=cancel,
            form=ReasonForm,
            danger=True,
            offered=lambda refund: refund.status not in (Status.RECEIVED, Status.CANCELLED),
        ),
    )

    @display(description="Return", ordering="number")
    def refund_number(self, refund: Refund) -> SafeString:
        return format_html('<span class="im-nowrap">{}</span>', refund.number)

    @display(description="Status", ordering="status")
    def state(self, refund: Refund) -> SafeString:
        shown = state_badge(refund.status, refund.get_status_display())
        return format_html('{}<span class="im-cell-note">{}</span>', shown, refund.problem) if refund.problem else shown

    @display(description="Order", ordering="order__number")
    def order_number(self, refund: Refund) -> str | SafeString:
        return refund.order.number if refund.order else muted("not downloaded")

    @display(description="Cart", ordering="cart__name")
    def cart_name(self, refund: Refund) -> SafeString:
        return format_html('<span class="im-nowrap">{}</span>', refund.cart.name)

    @display(description="Given back", ordering="amount")
    def given_back(self, refund: Refund) -> SafeString:
        return format_html('<span class="im-nowrap">{}</span>', money(refund.amount, refund.currency))

    @display(description="Returned", ordering="placed_at")
    def placed(self, refund: Refund) -> SafeString:
        return day_and_time(refund.placed_at)

    def page_context(self, request: HttpRequest, refund: Refund) -> dict[str, Any]:
        waiting = PickReturn.objects.filter(warehouse_id=refund.warehouse_id, reference=refund.reference).first()
        return {
            "refund": refund,
            "lines": list(refund.lines.all()),
            "deliveries": list(refund.deliveries.select_related("connection")),
            "pick_return": waiting,
        }
