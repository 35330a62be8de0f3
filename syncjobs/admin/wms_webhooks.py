"""Webhooks to the WMS of REST warehouses: what was told, what the WMS answered."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.http import HttpRequest
from django.utils.html import format_html
from django.utils.safestring import SafeString
from unfold.decorators import display

from carts.admin.base import MerchantFilter, PageAdmin, PersonAction, WarehouseFilter
from carts.admin.filters import DayRangeFilter, StateFilter
from carts.badges import clock, state_badge
from carts.models import WmsEndpoint
from syncjobs import wms_outbox
from syncjobs.models import WmsWebhook


def replay(webhook: WmsWebhook, actor: str, data: dict[str, Any]) -> str:
    wms_outbox.replay(WmsWebhook.objects.filter(pk=webhook.pk))
    return f"{webhook} goes out again."


class WmsWebhookStateFilter(StateFilter):
    title = "state"
    field = "state"
    parameter_name = "state"
    states = WmsWebhook.State.choices


@admin.register(WmsWebhook)
class WmsWebhookAdmin(PageAdmin):
    merchant_path = "warehouse__merchant"
    page_template = "admin/hub/wms_webhook.html"
    list_display = ("topic", "about", "where", "state_word", "tries", "answer", "created")
    list_filter = (WmsWebhookStateFilter, WarehouseFilter, MerchantFilter, ("created_at", DayRangeFilter))
    list_select_related = ("warehouse",)
    search_fields = ("topic", "subject", "number")
    search_help_text = "Topic, number or reference"
    ordering = ("-pk",)
    noun = ("webhook", "webhooks")
    empty_title = "The WMS was not told anything yet"
    empty_text = (
        "A WMS that works through the REST API can be told what happens: enter its webhook address in the settings of the "
        "REST warehouse. Without one it asks by itself, and misses nothing."
    )
    person_actions = (
        PersonAction(
            key="replay",
            label="Send again",
            icon="replay",
            explanation="The webhook is sent again as it was, with the same event id. A WMS that has seen it drops it.",
            done="sent again",
            run=replay,
        ),
    )

    @display(description="About", ordering="number")
    def about(self, webhook: WmsWebhook) -> str:
        return webhook.number or webhook.subject or "–"

    @display(description="Warehouse", ordering="warehouse__name")
    def where(self, webhook: WmsWebhook) -> str:
        return webhook.warehouse.name

    @display(description="State", ordering="state")
    def state_word(self, webhook: WmsWebhook) -> SafeString:
        shown = state_badge(webhook.state, webhook.get_state_display())
        return format_html('{}<span class="im-cell-note">{}</span>', shown, webhook.error) if webhook.error else shown

    @display(description="Attempts", ordering="attempts")
    def tries(self, webhook: WmsWebhook) -> int:
        return webhook.attempts

    @display(description="Answer", ordering="status")
    def answer(self, webhook: WmsWebhook) -> str:
        return str(webhook.status or "–")

    @display(description="Created", ordering="created_at")
    def created(self, webhook: WmsWebhook) -> SafeString:
        return clock(webhook.created_at)

    def page_context(self, request: HttpRequest, webhook: WmsWebhook) -> dict[str, Any]:
        return {
            "webhook": webhook,
            "attempts": list(webhook.attempt_log.order_by("-started_at", "-pk")[:100]),
            "endpoint": WmsEndpoint.objects.filter(pk=webhook.warehouse_id).first(),
            "address": webhook.warehouse.options.get("webhook_url", ""),
        }
