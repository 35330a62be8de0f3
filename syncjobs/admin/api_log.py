"""The API log: every call to a remote system, with masked bodies."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

from django.contrib import admin
from django.db.models import Q, QuerySet
from django.http import HttpRequest
from django.utils.html import format_html
from django.utils.safestring import SafeString
from unfold.decorators import display

from carts.admin.base import ConnectionFilter, MerchantFilter, PageAdmin, as_id
from carts.admin.filters import StateFilter
from carts.admin.scoping import scoped
from carts.badges import badge, clock, muted
from carts.models import Order
from connectors.redaction import mask_headers, mask_text, mask_url
from syncjobs.calls_about import calls_about, orders_named
from syncjobs.models import ApiCall, ApiCallBody


class AnswerFilter(StateFilter):
    title = "answer"
    parameter_name = "answer"
    states = (("fine", "Fine"), ("refused", "Refused (4xx)"), ("broken", "Server error (5xx)"), ("none", "No answer"))

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        ranges = {"fine": (100, 399), "refused": (400, 499), "broken": (500, 599)}
        chosen = self.value()
        if chosen in ranges:
            return queryset.filter(status__range=ranges[chosen])
        return queryset.filter(status__isnull=True) if chosen == "none" else queryset


class HiddenFilter(StateFilter):
    """What another page narrows the log to; not offered in the panel."""

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        chosen = request.GET.get(self.parameter_name, "")
        return [(chosen, self.words(chosen))] if as_id(chosen) is not None else []

    def words(self, chosen: str) -> str:
        return f"Number {chosen}"

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        chosen = as_id(self.value() or "")
        return queryset.filter(self.wanted(chosen)) if chosen is not None else queryset

    def wanted(self, chosen: int) -> Q:
        return Q(**{f"{self.field}_id": chosen})


class RunFilter(HiddenFilter):
    title, parameter_name, field = "run", "run", "run"


class DeliveryFilter(HiddenFilter):
    title, parameter_name, field = "delivery", "delivery", "delivery"


class OrderFilter(HiddenFilter):
    title, parameter_name, field = "order", "order", "delivery__order"


@admin.register(ApiCall)
class ApiCallAdmin(PageAdmin):
    merchant_path = "connection__merchant"
    page_template = "admin/hub/api_call.html"
    list_display = ("call", "answer", "took", "where", "host", "when")
    list_filter = (AnswerFilter, ConnectionFilter, RunFilter, DeliveryFilter, OrderFilter, MerchantFilter)
    list_select_related = ("connection",)
    search_fields = ("url", "method", "error")
    search_help_text = "Order number or id; URL, method or error among the newest 100,000 calls"
    search_newest = 100_000
    ordering = ("-pk",)
    noun = ("call", "calls")
    empty_title = "No API calls yet"
    empty_text = "Every call to a remote system is kept here, with what was sent and what came back."

    def get_queryset(self, request: HttpRequest) -> QuerySet[ApiCall]:
        return super().get_queryset(request).select_related("connection")

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[ApiCall], search_term: str
    ) -> tuple[QuerySet[ApiCall], bool]:
        """Also by order: what was sent for it, and the run that brought it."""
        found, may_repeat = super().get_search_results(request, queryset, search_term)
        orders = orders_named(scoped(Order.objects.all(), request.user, "merchant"), search_term.strip())
        return (queryset.filter(calls_about(orders)) | found if orders else found), may_repeat

    @display(description="Call")
    def call(self, call: ApiCall) -> SafeString:
        parts = urlsplit(mask_url(call.url))
        path = f"{parts.path}?{parts.query}" if parts.query else parts.path
        return format_html('<span class="im-mono im-clip" title="{}"><b>{}</b> {}</span>', path, call.method, path)

    @display(description="Answer", ordering="status")
    def answer(self, call: ApiCall) -> SafeString:
        shown = answer_badge(call)
        if call.error:
            return format_html('{}<span class="im-cell-note">{}</span>', shown, mask_text(call.error))
        return shown

    @display(description="Took", ordering="duration_ms")
    def took(self, call: ApiCall) -> str:
        return f"{call.duration_ms:,} ms"

    @display(description="Connection", ordering="connection__name")
    def where(self, call: ApiCall) -> str:
        return call.connection.name

    @display(description="Host")
    def host(self, call: ApiCall) -> SafeString:
        return muted(urlsplit(call.url).netloc)

    @display(description="When", ordering="started_at")
    def when(self, call: ApiCall) -> SafeString:
        return clock(call.started_at)

    def page_context(self, request: HttpRequest, call: ApiCall) -> dict[str, Any]:
        bodies = ApiCallBody.objects.filter(call=call).first()
        return {
            "title": f"{call.method} {urlsplit(call.url).path}",
            "call": call,
            "url": mask_url(call.url),
            "error": mask_text(call.error),
            "answer": answer_badge(call),
            "bodies": bodies,
            "request_headers": mask_headers(bodies.request_headers) if bodies else {},
            "response_headers": mask_headers(bodies.response_headers) if bodies else {},
        }


def answer_badge(call: ApiCall) -> SafeString:
    if call.status is None:
        return badge("No answer", "bad")
    tone = "good" if call.status < 400 else "warn" if call.status < 500 else "bad"
    return badge(str(call.status), tone)
