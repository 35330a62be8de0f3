"""Reconciliation: what cart, hub and warehouse say differently, with both values, the age and a way to mend it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

from django import forms
from django.contrib import admin, messages
from django.db.models import Count, QuerySet
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect, StreamingHttpResponse
from django.urls import URLPattern, path, reverse
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString
from unfold.decorators import display

from carts.admin.base import (
    MOST_NAMES_SHOWN,
    CartFilter,
    MerchantFilter,
    PageAdmin,
    PersonAction,
    person,
    report_refusals,
)
from carts.admin.csv_download import stream_csv
from carts.admin.filters import StateFilter, start_of
from carts.admin.scoping import scoped
from carts.badges import clock, count_of, state_badge
from carts.forms.fields import DateInput, HubForm, ReasonForm
from carts.models import Cart
from connectors.functions import Function
from connectors.ports import OrderSearcher
from syncjobs.models import Mismatch, Reconciliation, Run
from syncjobs.reconciliation import PeriodInvalid, accept, default_period, request_reconciliation
from syncjobs.reconciliation_fixes import CAN_BE_FIXED, NotFixed, fix, fix_all

State = Mismatch.State
TONES = {State.OPEN: "warn", State.FIXING: "info", State.GONE: "good", State.ACCEPTED: "quiet"}
TREND_DAYS = 30
CSV_HEADER = (
    *("Cart", "Cause", "Subject", "Here", "There", "Other side", "State", "Age in days", "First seen", "Last seen"),
    *("Settled by", "Note"),
)


def fix_one(row: Mismatch, actor: str, data: dict[str, Any]) -> str:
    return fix(row, actor)


def accept_one(row: Mismatch, actor: str, data: dict[str, Any]) -> str:
    if row.state not in (State.OPEN, State.FIXING):
        raise NotFixed(f"{row.label}: this was settled before.")
    accept(row, data["reason"], actor)
    return f"{row.label} is accepted as it is."


class MismatchStateFilter(StateFilter):
    states = State.choices


class CauseFilter(StateFilter):
    title = "cause"
    field = "cause"
    parameter_name = "cause"
    states = Mismatch.Cause.choices


class PeriodForm(HubForm):
    """Which cart, and which days."""

    field_order = ("cart", "since", "until")
    since = forms.DateField(label="From", widget=DateInput())
    until = forms.DateField(
        label="To (this day included)", widget=DateInput(), help_text="The last ten minutes are left out."
    )

    def __init__(self, *args: Any, carts: QuerySet[Cart], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["cart"] = forms.ModelChoiceField(carts, label="Cart", empty_label=None)
        self.order_fields(self.field_order)
        self.style_inputs()

    def period(self) -> tuple[datetime, datetime]:
        data = self.cleaned_data
        return start_of(data["since"]), start_of(data["until"] + timedelta(days=1))


@admin.register(Mismatch)
class MismatchAdmin(PageAdmin):
    merchant_path = "cart__merchant"
    page_template = "admin/hub/mismatch.html"
    list_display = ("what", "cause_word", "here_value", "there_value", "other_side", "status_word", "cart_name", "age")
    list_filter = (MismatchStateFilter, CauseFilter, CartFilter, MerchantFilter)
    list_select_related = ("cart",)
    search_fields = ("label", "subject")
    search_help_text = "Order number, id or SKU"
    ordering = ("first_seen_at", "pk")
    refusals = (NotFixed,)
    noun = ("mismatch", "mismatches")
    list_before_template = "admin/hub/mismatch_tools.html"
    actions = ("export_csv",)
    empty_title = "Nothing disagrees"
    empty_text = "Carts, hub and warehouses are compared once a day, or when you ask for it."
    empty_link = ("admin:syncjobs_mismatch_compare", "Compare now")
    person_actions = (
        PersonAction(
            key="fix",
            label="Fix",
            icon="build",
            explanation="Reads again, sends again or pushes again, whatever fits the cause. Orders are looked up at the "
            "warehouse first, so none is there twice. The next comparison shows whether it helped.",
            done="being mended",
            run=fix_one,
            offered=lambda row: row.state in (State.OPEN, State.FIXING) and row.cause in CAN_BE_FIXED,
        ),
        PersonAction(
            key="accept",
            label="Accept",
            icon="check",
            explanation="Leaves the difference alone as long as both sides keep saying what they say now.",
            done="accepted",
            run=accept_one,
            form=ReasonForm,
            offered=lambda row: row.state in (State.OPEN, State.FIXING),
        ),
    )

    @display(description="Order or SKU", ordering="label")
    def what(self, row: Mismatch) -> str:
        return row.label

    @display(description="Cause", ordering="cause")
    def cause_word(self, row: Mismatch) -> str:
        return row.get_cause_display()

    @display(description="The hub says")
    def here_value(self, row: Mismatch) -> str:
        return row.here

    @display(description="The other side says")
    def there_value(self, row: Mismatch) -> str:
        return row.there

    @display(description="Other side", ordering="place")
    def other_side(self, row: Mismatch) -> str:
        return row.place

    @display(description="State", ordering="state")
    def status_word(self, row: Mismatch) -> SafeString:
        shown = state_badge(row.state, row.get_state_display(), TONES[State(row.state)])
        return format_html('{}<span class="im-cell-note im-quiet">{}</span>', shown, row.note) if row.note else shown

    @display(description="Cart", ordering="cart__name")
    def cart_name(self, row: Mismatch) -> str:
        return row.cart.name

    @display(description="Since", ordering="first_seen_at")
    def age(self, row: Mismatch) -> SafeString:
        return clock(row.first_seen_at)

    def changelist_view(self, request: HttpRequest, extra_context: Any = None) -> HttpResponse:
        mine = self.get_queryset(request)
        causes = [
            {"key": row["cause"], "label": Mismatch.Cause(row["cause"]).label, "total": row["total"]}
            for row in mine.filter(state=State.OPEN)
            .order_by()
            .values("cause")
            .annotate(total=Count("pk"))
            .order_by("-total")
        ]
        reports = scoped(Reconciliation.objects.select_related("cart"), request.user, self.merchant_path)
        context = {
            "title": "Reconciliation",
            "causes": causes,
            "reports": list(reports[:5]),
            "trend": trend(reports),
            "can_fix": any(cause["key"] in CAN_BE_FIXED for cause in causes),
        }
        page: HttpResponse = super().changelist_view(request, {**context, **(extra_context or {})})
        return page

    @admin.action(description="Export CSV")
    def export_csv(self, request: HttpRequest, queryset: QuerySet[Mismatch]) -> StreamingHttpResponse:
        return stream_csv("mismatches", CSV_HEADER, csv_rows(queryset))

    def get_urls(self) -> list[URLPattern]:
        own = [
            path("compare/", self.guarded(self.compare_view), name=self.url_name("compare")),
            path("export/", self.guarded(self.export_view), name=self.url_name("export")),
            path("fix-all/", self.guarded(self.fix_all_view), name=self.url_name("fix_all")),
        ]
        return own + super().get_urls()

    def export_view(self, request: HttpRequest) -> StreamingHttpResponse:
        """Every mismatch that fits the list's search and filters."""
        rows = self.get_changelist_instance(request).get_queryset(request)
        return stream_csv("mismatches", CSV_HEADER, csv_rows(rows))

    def fix_all_view(self, request: HttpRequest) -> HttpResponse:
        """Every open mismatch that fits the list's search and filters, one cause or all: GET asks, POST acts."""
        if not self.has_change_permission(request):
            raise Http404("There is no such page.")
        back = f"{self.list_link()}?{request.GET.urlencode()}"
        rows = self.get_changelist_instance(request).get_queryset(request)
        rows = rows.filter(state=State.OPEN, cause__in=CAN_BE_FIXED)
        if request.method != "POST":
            return self.ask(
                request, self.action_named("fix"), None, list(rows[:MOST_NAMES_SHOWN]), rows.count(), back=back
            )
        outcome = fix_all(rows, person(request))
        if outcome.done:
            messages.success(request, f"{count_of(outcome.done, *self.noun)} being mended.")
        if outcome.left:
            messages.info(request, f"{count_of(outcome.left, *self.noun)} are left: choose Fix all again.")
        if not outcome.done and not outcome.refused:
            messages.info(request, "There is nothing among these that can be mended from here.")
        report_refusals(request, outcome.refused)
        return HttpResponseRedirect(back)

    def compare_view(self, request: HttpRequest) -> HttpResponse:
        """Asks for a comparison: which cart, which days; then its progress."""
        able = [
            cart.pk
            for cart in scoped(Cart.objects.filter(is_active=True), request.user, "merchant")
            if Function.RECONCILIATION in cart.possible_functions
        ]
        since, until = (timezone.localdate(at) for at in default_period(timezone.now()))
        initial = {"since": since, "until": until, "cart": request.GET.get("cart")}
        form = PeriodForm(request.POST or None, initial=initial, carts=Cart.objects.filter(pk__in=able))
        if request.method == "POST" and form.is_valid():
            first, last = form.period()
            try:
                _, run = request_reconciliation(
                    form.cleaned_data["cart"], Run.Trigger.PERSON, first, last, person(request)
                )
            except PeriodInvalid as error:
                form.add_error("since", str(error))
            else:
                messages.info(request, "The comparison is on its way. What it finds is listed under Reconciliation.")
                return HttpResponseRedirect(f"{reverse('admin:syncjobs_run_progress')}?runs={run.pk}")
        return self.page(
            request,
            "admin/hub/simple_form.html",
            {
                "title": "Compare now",
                "heading": "Compare cart, hub and warehouse",
                "explanation": "Nothing is changed: what does not agree is listed, and you decide."
                if able
                else f"There is no cart that is switched on and can be compared ({OrderSearcher.__name__}).",
                "form": form,
                "submit": "Compare",
                "back": self.list_link(),
            },
        )

    def page_context(self, request: HttpRequest, row: Mismatch) -> dict[str, Any]:
        return {"title": str(row), "row": row, "tone": TONES[State(row.state)]}


def trend(reports: QuerySet[Reconciliation]) -> list[dict[str, Any]]:
    """How much was found on each of the last days, all carts together; the last report of a day and cart counts."""
    today = timezone.localdate()
    first = today - timedelta(days=TREND_DAYS - 1)
    latest: dict[tuple[Any, int], int] = {}
    rows = reports.filter(state=Reconciliation.State.DONE, finished_at__gte=start_of(first)).order_by("pk")
    for finished_at, cart_id, found in rows.values_list("finished_at", "cart_id", "found"):
        latest[timezone.localdate(finished_at), cart_id] = found
    sums: dict[Any, int] = defaultdict(int)
    for (day, _), found in latest.items():
        sums[day] += found
    most = max(sums.values(), default=0) or 1
    days = [first + timedelta(days=number) for number in range(TREND_DAYS)]
    return [
        {"day": day, "found": sums.get(day), "height": round(100 * sums.get(day, 0) / most) if day in sums else 0}
        for day in days
    ]


def csv_rows(rows: QuerySet[Mismatch]) -> Iterator[tuple[object, ...]]:
    for row in rows.select_related("cart").iterator(chunk_size=1000):
        yield (
            row.cart.name,
            row.get_cause_display(),
            row.label,
            row.here,
            row.there,
            row.place,
            row.get_state_display(),
            (row.last_seen_at - row.first_seen_at).days,
            timezone.localtime(row.first_seen_at).isoformat(timespec="seconds"),
            timezone.localtime(row.last_seen_at).isoformat(timespec="seconds"),
            row.settled_by,
            row.note,
        )
