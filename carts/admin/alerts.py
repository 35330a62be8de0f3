"""Alerts: open ones first, with what to do and where."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import admin
from django.db.models import Case, IntegerField, QuerySet, Value, When
from django.http import HttpRequest
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString
from unfold.decorators import display

from carts.admin.base import ConnectionFilter, MerchantFilter, PageAdmin, PersonAction
from carts.admin.filters import StateFilter
from carts.admin.scoping import scoped
from carts.badges import clock, muted, state_badge
from carts.forms.people import AssignForm
from carts.models import Alert
from carts.order_flow import TransitionRefused

Status = Alert.Status


def resolve(alert: Alert, actor: str, data: dict[str, Any]) -> str:
    changed = Alert.objects.filter(pk=alert.pk).exclude(status=Status.RESOLVED)
    if not changed.update(status=Status.RESOLVED, resolved_at=timezone.now(), resolved_by=actor):
        raise TransitionRefused("This alert was resolved before.")
    return "The alert is resolved. If its cause comes back, a new one opens."


def mute(alert: Alert, actor: str, data: dict[str, Any]) -> str:
    if not Alert.objects.filter(pk=alert.pk, status=Status.OPEN).update(status=Status.MUTED):
        raise TransitionRefused("Only an open alert can be muted.")
    return "The alert is muted: it goes on counting, and closes itself when its cause is gone."


def unmute(alert: Alert, actor: str, data: dict[str, Any]) -> str:
    if not Alert.objects.filter(pk=alert.pk, status=Status.MUTED).update(status=Status.OPEN):
        raise TransitionRefused("This alert is not muted.")
    return "The alert is open again."


def assign(alert: Alert, actor: str, data: dict[str, Any]) -> str:
    Alert.objects.filter(pk=alert.pk).update(assigned_to=data["person"])
    return f"The alert is assigned to {data['person']}." if data["person"] else "Nobody is assigned any more."


class AlertStatusFilter(StateFilter):
    states = Status.choices


@admin.register(Alert)
class AlertAdmin(PageAdmin):
    page_template = "admin/hub/alert.html"
    list_display = ("what", "state", "where", "times", "last_seen", "who")
    list_filter = (AlertStatusFilter, ConnectionFilter, MerchantFilter)
    list_select_related = ("connection", "merchant", "assigned_to")
    search_fields = ("message", "fix")
    search_help_text = "Words of the alert"
    noun = ("alert", "alerts")
    empty_title = "No alerts"
    empty_text = "Everything runs. When something needs you, it is listed here with what to do."
    person_actions = (
        PersonAction(
            key="resolve",
            label="Resolve",
            icon="check",
            explanation="Closes the alert. Alerts also close by themselves as soon as their cause is gone.",
            done="resolved",
            run=resolve,
            offered=lambda alert: alert.status != Status.RESOLVED,
        ),
        PersonAction(
            key="mute",
            label="Mute",
            icon="notifications_off",
            explanation="Takes the alert out of the open ones while its cause lasts. It still closes by itself.",
            done="muted",
            run=mute,
            offered=lambda alert: alert.status == Status.OPEN,
        ),
        PersonAction(
            key="unmute",
            label="Unmute",
            icon="notifications",
            explanation="Puts the alert back among the open ones.",
            done="open again",
            run=unmute,
            offered=lambda alert: alert.status == Status.MUTED,
            bulk=False,
        ),
        PersonAction(
            key="assign",
            label="Assign",
            icon="person_add",
            explanation="Says who looks after it.",
            done="assigned",
            run=assign,
            form=AssignForm,
            offered=lambda alert: alert.status != Status.RESOLVED,
        ),
    )

    def action_form_of(self, action: PersonAction, data: Any, objects: Any) -> forms.Form | None:
        if action.form is AssignForm:
            return AssignForm(data, merchants={alert.merchant_id for alert in objects})
        return super().action_form_of(action, data, objects)

    def get_queryset(self, request: HttpRequest) -> QuerySet[Alert]:
        rank = Case(
            When(status=Status.OPEN, then=Value(0)),
            When(status=Status.MUTED, then=Value(1)),
            default=Value(2),
            output_field=IntegerField(),
        )
        return scoped(Alert.objects.annotate(rank=rank), request.user, self.merchant_path)

    def get_ordering(self, request: HttpRequest) -> tuple[str, ...]:
        return ("rank", "-last_seen_at", "-pk")

    @display(description="What happened")
    def what(self, alert: Alert) -> SafeString:
        fix = format_html('<span class="im-cell-note im-quiet">{}</span>', alert.fix) if alert.fix else ""
        return format_html('<span class="im-wrap">{}</span>{}', alert.message, fix)

    @display(description="State")
    def state(self, alert: Alert) -> SafeString:
        tone = ("bad" if alert.severity == "error" else "warn") if alert.status == Status.OPEN else ""
        return state_badge(alert.status, alert.get_status_display(), tone)

    @display(description="Where")
    def where(self, alert: Alert) -> object:
        return alert.connection.name if alert.connection else alert.merchant.name

    @display(description="Times", ordering="count")
    def times(self, alert: Alert) -> str:
        return f"{alert.count:,}"

    @display(description="Last seen", ordering="last_seen_at")
    def last_seen(self, alert: Alert) -> SafeString:
        return clock(alert.last_seen_at)

    @display(description="Assigned to")
    def who(self, alert: Alert) -> object:
        return alert.assigned_to or muted("–")
