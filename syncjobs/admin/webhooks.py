"""Webhooks as they arrived."""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qs

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.html import format_html
from django.utils.safestring import SafeString
from unfold.decorators import display

from carts.admin.base import ConnectionFilter, MerchantFilter, PageAdmin, PersonAction
from carts.admin.filters import StateFilter
from carts.badges import clock, muted, state_badge
from connectors.redaction import mask_headers
from syncjobs import inbox
from syncjobs.models import WebhookEvent


def replay(event: WebhookEvent, actor: str, data: dict[str, Any]) -> str:
    inbox.replay(event)
    return f"{event} is worked on again."


class WebhookStateFilter(StateFilter):
    title = "state"
    field = "state"
    parameter_name = "state"
    states = WebhookEvent.State.choices


@admin.register(WebhookEvent)
class WebhookEventAdmin(PageAdmin):
    merchant_path = "connection__merchant"
    page_template = "admin/hub/webhook.html"
    list_display = ("topic_word", "where", "state_word", "record", "received")
    list_filter = (WebhookStateFilter, ConnectionFilter, MerchantFilter)
    list_select_related = ("connection",)
    search_fields = ("topic", "external_id", "connection__name")
    search_help_text = "Topic or id, among the newest 100,000 webhooks"
    search_newest = 100_000
    ordering = ("-pk",)
    noun = ("webhook", "webhooks")
    empty_title = "No webhooks yet"
    empty_text = "Systems that can send webhooks are registered by the Test of their cart. Without them polling works."
    person_actions = (
        PersonAction(
            key="replay",
            label="Replay",
            icon="replay",
            explanation="The webhook is worked on again: what it concerns is read anew from the remote system.",
            done="worked on again",
            run=replay,
        ),
    )

    def get_queryset(self, request: HttpRequest) -> QuerySet[WebhookEvent]:
        return super().get_queryset(request).select_related("connection")

    @display(description="Topic", ordering="topic")
    def topic_word(self, event: WebhookEvent) -> str | SafeString:
        return event.topic or muted("not read yet")

    @display(description="Cart", ordering="connection__name")
    def where(self, event: WebhookEvent) -> str:
        return event.connection.name

    @display(description="State", ordering="state")
    def state_word(self, event: WebhookEvent) -> SafeString:
        shown = state_badge(event.state, event.get_state_display())
        return format_html('{}<span class="im-cell-note">{}</span>', shown, event.error) if event.error else shown

    @display(description="Concerns", ordering="external_id")
    def record(self, event: WebhookEvent) -> str:
        return event.external_id or "–"

    @display(description="Received", ordering="received_at")
    def received(self, event: WebhookEvent) -> SafeString:
        return clock(event.received_at)

    def page_context(self, request: HttpRequest, event: WebhookEvent) -> dict[str, Any]:
        return {"event": event, "body": payload_of(event.text), "headers": mask_headers(event.headers)}


def payload_of(text: str) -> str:
    """The body for people: a form's ``payload`` field (how some systems wrap their JSON) is unwrapped."""
    if not text.startswith("payload="):
        return text
    return parse_qs(text).get("payload", [text])[0]
