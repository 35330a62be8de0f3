"""Failed records: by cause, with payload, reprocess and ignore."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import admin, messages
from django.db.models import Count, QuerySet
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import URLPattern, path, reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString
from unfold.decorators import display

from carts.admin.base import ConnectionFilter, MerchantFilter, PageAdmin, PersonAction, person, report_refusals
from carts.admin.filters import StateFilter
from carts.badges import clock, count_of, muted, state_badge
from carts.forms.fields import ReasonForm
from carts.forms.orders import CorrectionForm
from carts.forms.people import AssignForm
from carts.order_edits import EditInvalid
from connectors.functions import Function
from syncjobs.admin.runs import FunctionFilter, connection_link
from syncjobs.failures import NotReprocessed, correct, correctable, ignore, reprocess, reprocess_all
from syncjobs.models import FailedRecord

Status = FailedRecord.Status


def reprocess_one(record: FailedRecord, actor: str, data: dict[str, Any]) -> str:
    reprocess(record, actor)
    return f"{name_of(record)} was reprocessed."


def ignore_one(record: FailedRecord, actor: str, data: dict[str, Any]) -> str:
    if record.status != Status.OPEN:
        raise NotReprocessed(f"{name_of(record)} was settled before.")
    ignore(record, data["reason"], actor)
    return f"{name_of(record)} is ignored from now on."


def assign(record: FailedRecord, actor: str, data: dict[str, Any]) -> str:
    FailedRecord.objects.filter(pk=record.pk).update(owner=data["person"])
    return f"{name_of(record)} is {data['person']}'s." if data["person"] else f"{name_of(record)} is nobody's any more."


def name_of(record: FailedRecord) -> str:
    return f"Record {record.external_id}" if record.external_id else "The record"


class FailureStatusFilter(StateFilter):
    states = Status.choices
    parameter_name = "status__exact"


class OwnerFilter(StateFilter):
    title = "owner"
    parameter_name = "owner"
    states = (("me", "Mine"), ("nobody", "Nobody's"))

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        if self.value() == "me":
            return queryset.filter(owner=request.user.pk)
        return queryset.filter(owner=None) if self.value() == "nobody" else queryset


class CauseFilter(StateFilter):
    title = "cause"
    field = "cause"
    parameter_name = "cause"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        causes = (
            model_admin.get_queryset(request)
            .filter(status=Status.OPEN)
            .order_by()
            .values("cause")
            .annotate(total=Count("pk"))
            .order_by("-total")[:30]
        )
        return [(row["cause"], f"{cause_words(row['cause'])} ({row['total']})") for row in causes]


def cause_words(cause: str) -> str:
    return cause.replace("_", " ").capitalize()


@admin.register(FailedRecord)
class FailedRecordAdmin(PageAdmin):
    merchant_path = "connection__merchant"
    page_template = "admin/hub/failed_record.html"
    list_display = ("record", "status_word", "why", "cause_word", "where", "times", "age", "last_seen", "owner_name")
    list_filter = (FailureStatusFilter, CauseFilter, OwnerFilter, FunctionFilter, ConnectionFilter, MerchantFilter)
    list_select_related = ("connection", "owner")
    search_fields = ("external_id", "reason")
    search_help_text = "Id or reason, among the newest 100,000 records"
    search_newest = 100_000
    ordering = ("-last_seen_at", "-pk")
    refusals = (NotReprocessed,)
    noun = ("record", "records")
    list_before_template = "admin/hub/failed_record_tools.html"
    empty_title = "No failed records"
    empty_text = (
        "What cannot be taken in or sent is kept here whole, with its reason, until you reprocess or ignore it."
    )
    person_actions = (
        PersonAction(
            key="reprocess",
            label="Reprocess",
            icon="replay",
            explanation="Tries the record again as it is now in the remote system. If it still fails, it stays here.",
            done="reprocessed",
            run=reprocess_one,
            offered=lambda record: record.status == Status.OPEN,
        ),
        PersonAction(
            key="ignore",
            label="Ignore",
            icon="visibility_off",
            explanation="Leaves the record alone for good. Say why, so that others understand it later.",
            done="ignored",
            run=ignore_one,
            form=ReasonForm,
            offered=lambda record: record.status == Status.OPEN,
        ),
        PersonAction(
            key="assign",
            label="Assign",
            icon="person_add",
            explanation="Says who looks after it.",
            done="assigned",
            run=assign,
            form=AssignForm,
            offered=lambda record: record.status == Status.OPEN,
        ),
    )

    def action_form_of(self, action: PersonAction, data: Any, objects: Any) -> forms.Form | None:
        if action.form is AssignForm:
            return AssignForm(data, merchants={record.connection.merchant_id for record in objects})
        return super().action_form_of(action, data, objects)

    def get_queryset(self, request: HttpRequest) -> QuerySet[FailedRecord]:
        return super().get_queryset(request).select_related("connection", "owner", "order")

    @display(description="Record", ordering="external_id")
    def record(self, record: FailedRecord) -> str:
        return record.external_id or f"Record {record.pk}"

    @display(description="State", ordering="status")
    def status_word(self, record: FailedRecord) -> SafeString:
        tone = "bad" if record.status == Status.OPEN else ""
        return state_badge(record.status, record.get_status_display(), tone)

    @display(description="Reason")
    def why(self, record: FailedRecord) -> SafeString:
        return format_html(
            '<span class="im-wrap">{}</span><span class="im-cell-note im-quiet">{}</span>', record.reason, record.fix
        )

    @display(description="Cause", ordering="cause")
    def cause_word(self, record: FailedRecord) -> str:
        return cause_words(record.cause)

    @display(description="Where")
    def where(self, record: FailedRecord) -> str:
        return f"{record.connection.name}: {Function(record.function).label}"

    @display(description="Times", ordering="count")
    def times(self, record: FailedRecord) -> int:
        return record.count

    @display(description="First seen", ordering="first_seen_at")
    def age(self, record: FailedRecord) -> SafeString:
        return clock(record.first_seen_at)

    @display(description="Owner", ordering="owner__username")
    def owner_name(self, record: FailedRecord) -> object:
        return record.owner or muted("–")

    @display(description="Last seen", ordering="last_seen_at")
    def last_seen(self, record: FailedRecord) -> SafeString:
        return clock(record.last_seen_at)

    def changelist_view(self, request: HttpRequest, extra_context: Any = None) -> HttpResponse:
        rows = (
            self.get_queryset(request)
            .filter(status=Status.OPEN)
            .order_by()
            .values("cause")
            .annotate(total=Count("pk"))
            .order_by("-total")[:6]
        )
        causes = [{"key": row["cause"], "label": cause_words(row["cause"]), "total": row["total"]} for row in rows]
        page: HttpResponse = super().changelist_view(request, {"causes": causes, **(extra_context or {})})
        return page

    def get_urls(self) -> list[URLPattern]:
        own = [
            path(
                "<path:object_id>/reprocess-cause/",
                self.guarded(self.same_cause_view),
                name=self.url_name("same_cause"),
            ),
            path("<path:object_id>/correct/", self.guarded(self.correct_view), name=self.url_name("correct")),
        ]
        return own + super().get_urls()

    def same_cause(self, request: HttpRequest, record: FailedRecord) -> QuerySet[FailedRecord]:
        return self.get_queryset(request).filter(
            status=Status.OPEN,
            cause=record.cause,
            connection_id=record.connection_id,
            function=record.function,
        )

    def same_cause_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """All open records with this record's cause at the same place: GET asks, POST reprocesses."""
        record = self.visible_object(request, object_id)
        records = self.same_cause(request, record)
        if request.method == "POST":
            outcome = reprocess_all(records, person(request))
            if outcome.done:
                messages.success(request, f"{count_of(outcome.done, *self.noun)} reprocessed.")
            report_refusals(request, outcome.refused)
            if outcome.left:
                messages.info(request, f"{count_of(outcome.left, *self.noun)} were not tried yet: click again.")
            return HttpResponseRedirect(f"{self.list_link()}?status__exact=open")
        action = PersonAction(
            key="reprocess",
            label="Reprocess all",
            icon="replay",
            explanation=f"All open records of {record.connection} with the cause “{cause_words(record.cause)}” are "
            "tried again as they are now in the remote system.",
            done="reprocessed",
            run=reprocess_one,
        )
        shown = list(records[:12])
        return self.ask(request, action, None, shown, records.count(), back=self.change_link(record))

    def correct_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """The order of a failed record: GET shows what can be corrected, POST corrects it, and reprocesses the record."""
        record = self.visible_object(request, object_id)
        if not self.has_change_permission(request, record):
            raise Http404("There is no such page.")
        order = record.order
        if order is None or not correctable(record):
            messages.error(
                request, f"{name_of(record)} cannot be corrected here: it is settled, or the order was sent."
            )
            return HttpResponseRedirect(self.change_link(record))
        form = CorrectionForm(request.POST or None, order=order, lines=order.lines.all())
        if request.method == "POST" and form.is_valid():
            try:
                correct(record, person(request), form.changes())
                messages.success(request, "The correction is saved. The order's history says what changed.")
                if form.cleaned_data["reprocess"]:
                    messages.success(request, reprocess_one(record, person(request), {}))
            except (NotReprocessed, EditInvalid) as refusal:
                messages.error(request, str(refusal))
            return HttpResponseRedirect(self.change_link(record))
        return self.page(
            request,
            "admin/hub/simple_form.html",
            {
                "title": f"Correct order {order}",
                "original": record,
                "heading": f"Correct order {order}",
                "problem": f"{record.reason} {record.fix}".strip(),
                "explanation": "Change what is wrong. Later versions from the cart leave alone what you change here.",
                "form": form,
                "submit": "Save",
                "back": self.change_link(record),
            },
        )

    def page_context(self, request: HttpRequest, record: FailedRecord) -> dict[str, Any]:
        buttons = self.offered_actions(record)
        same = self.same_cause(request, record).count() if record.status == Status.OPEN else 0
        if same > 1:
            url = reverse("admin:syncjobs_failedrecord_same_cause", args=[record.pk])
            buttons.insert(1, {"label": f"Reprocess all {same}", "icon": "replay", "danger": False, "url": url})
        can_correct = correctable(record)
        if can_correct:
            url = reverse("admin:syncjobs_failedrecord_correct", args=[record.pk])
            buttons.insert(0, {"label": "Correct", "icon": "edit", "danger": False, "url": url})
        return {
            "title": name_of(record),
            "record": record,
            "buttons": buttons,
            "cause": cause_words(record.cause),
            "connection_url": connection_link(record.connection),
            "can_correct": can_correct,
        }
