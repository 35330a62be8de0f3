"""Sync history: runs, their live progress, Sync now and Preview."""

from __future__ import annotations

from typing import Any

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseNotAllowed, HttpResponseRedirect, JsonResponse
from django.urls import URLPattern, path, reverse
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString
from unfold.decorators import display

from carts.admin.base import ConnectionFilter, MerchantFilter, PageAdmin, PersonAction, as_id, person
from carts.admin.filters import StateFilter
from carts.admin.scoping import scoped
from carts.badges import TONES, clock, duration, state_badge
from carts.models import Connection
from carts.order_flow import TransitionRefused
from connectors.functions import Function, Role
from syncjobs.admin import send_products
from syncjobs.admin.workers import START_HINT, worker_state
from syncjobs.models import FailedRecord, Run
from syncjobs.models.runs import FUNCTION_CHOICES
from syncjobs.pausing import PauseRefused, go_on, may_be_paused, pause, pause_of, words_of_pause
from syncjobs.run_progress import UNFINISHED, progress_of
from syncjobs.run_words import result_of, trigger_of, waits_in_words
from syncjobs.schedule import request_run, request_runs

State = Run.State
MOST_RUNS_WATCHED = 30

# What a preview looks at: the functions that show what the next run would change.
PREVIEWED = (
    Function.ORDER_DOWNLOAD,
    Function.INVENTORY_SYNC,
    Function.ORDER_SENDING,
    Function.ORDER_CANCEL_PICKUP,
    Function.SHIPMENT_PICKUP,
    Function.INVENTORY_PICKUP,
    Function.PRODUCT_PICKUP,
    Function.PRODUCT_DETAIL_SYNC,
)

PREVIEW_HEADINGS = {
    "number": "Order",
    "placed_at": "Placed",
    "total": "Total",
    "what": "Would",
    "why": "Why",
    "sku": "SKU",
    "name": "Name",
    "now": "Now",
    "then": "Then",
    "location": "Location",
    "available": "Available",
    "field": "Field",
    "left_alone": "Left alone",
}


def run_again(run: Run, actor: str, data: dict[str, Any]) -> str:
    request_run(
        run.connection,
        Function(run.function),
        Run.Trigger.PERSON,
        full=run.full,
        dry_run=run.dry_run,
        requested_by=actor,
    )
    return f"{run} waits for its turn again."


def cancel_run(run: Run, actor: str, data: dict[str, Any]) -> str:
    if not Run.objects.filter(pk=run.pk, state=State.QUEUED).update(state=State.CANCELLED, finished_at=timezone.now()):
        raise TransitionRefused("Only a run that waits for its turn can be cancelled.")
    return f"{run} is cancelled. The next one comes at its time."


def pause_run(run: Run, actor: str, data: dict[str, Any]) -> str:
    return pause(run, actor)


def continue_run(run: Run, actor: str, data: dict[str, Any]) -> str:
    return go_on(run.connection, Function(run.feed), actor)


class RunStateFilter(StateFilter):
    title = "state"
    field = "state"
    parameter_name = "state"
    groups = {"unfinished": ("Waiting or running", UNFINISHED)}
    states = State.choices


class FunctionFilter(StateFilter):
    title = "function"
    field = "function"
    parameter_name = "function"
    states = FUNCTION_CHOICES


@admin.register(Run)
class RunAdmin(PageAdmin):
    merchant_path = "connection__merchant"
    page_template = "admin/hub/run.html"
    list_display = ("function_name", "where", "state_word", "result", "trigger_word", "took", "when")
    list_filter = (RunStateFilter, FunctionFilter, ConnectionFilter, MerchantFilter)
    list_select_related = ("connection",)
    search_fields = ("connection__name", "error")
    search_help_text = "Cart, warehouse or error, among the newest 100,000 runs"
    search_newest = 100_000
    ordering = ("-pk",)
    noun = ("run", "runs")
    empty_title = "Nothing ran yet"
    empty_text = "Runs appear here as soon as a cart or warehouse is switched on, or when you click Sync now."
    refusals = (TransitionRefused, PauseRefused)
    person_actions = (
        PersonAction(
            key="continue",
            label="Continue",
            icon="play_arrow",
            explanation="Goes on from where it stopped. What is stored already is not read again.",
            done="continued",
            run=continue_run,
            offered=lambda run: pause_of(run) is not None,
        ),
        PersonAction(
            key="pause",
            label="Pause",
            icon="pause",
            explanation="The page at hand is stored, then this function of the cart or warehouse stands still until somebody "
            "continues: neither its interval nor a webhook starts it. What needs it waits; everything else goes on.",
            done="paused",
            run=pause_run,
            offered=lambda run: may_be_paused(run) and pause_of(run) is None,
        ),
        PersonAction(
            key="run_again",
            label="Run again",
            icon="replay",
            explanation="Puts the same function into the queue once more.",
            done="queued again",
            run=run_again,
            offered=lambda run: run.state not in UNFINISHED,
        ),
        PersonAction(
            key="cancel",
            label="Cancel run",
            icon="cancel",
            explanation="Takes the run out of the queue. The next one comes at its time.",
            done="cancelled",
            run=cancel_run,
            offered=lambda run: run.state == State.QUEUED,
        ),
    )

    # The list --------------------------------------------------------------------------------------------------------

    def get_queryset(self, request: HttpRequest) -> QuerySet[Run]:
        return super().get_queryset(request).select_related("connection")

    @display(description="Function", ordering="function")
    def function_name(self, run: Run) -> str:
        return f"{run.function_label} (preview)" if run.dry_run else run.function_label

    @display(description="Where", ordering="connection__name")
    def where(self, run: Run) -> str:
        return run.connection.name

    @display(description="State", ordering="state")
    def state_word(self, run: Run) -> SafeString:
        return state_badge(run.state, run.get_state_display())

    @display(description="Result")
    def result(self, run: Run) -> SafeString:
        if not run.error or waits_in_words(run):
            return format_html('<span class="im-wrap">{}</span>', result_of(run))
        return format_html(
            '<span class="im-cell-note">{}</span><span class="im-cell-note im-quiet">{}</span>', run.error, run.fix
        )

    @display(description="Why")
    def trigger_word(self, run: Run) -> str:
        return trigger_of(run)

    @display(description="Took")
    def took(self, run: Run) -> str:
        return duration(run.started_at, run.finished_at) or "–"

    @display(description="When", ordering="queued_at")
    def when(self, run: Run) -> SafeString:
        return clock(run.started_at or run.queued_at)

    # Asking for runs -------------------------------------------------------------------------------------------------

    def get_urls(self) -> list[URLPattern]:
        view = self.guarded
        own = [
            path("sync/<int:connection_id>/", view(self.sync_view), name=self.url_name("sync")),
            path("continue/<int:connection_id>/", view(self.continue_view), name=self.url_name("continue_function")),
            path("preview/<int:connection_id>/", view(self.preview_view), name=self.url_name("preview")),
            path(
                "send-products/<int:connection_id>/", view(self.send_products_view), name=self.url_name("send_products")
            ),
            path("progress/", view(self.progress_view), name=self.url_name("progress")),
            path("progress.json", view(self.progress_json), name=self.url_name("progress_json")),
        ]
        return own + super().get_urls()

    def connection_or_404(self, request: HttpRequest, connection_id: int) -> Connection:
        connection = scoped(Connection.objects.all(), request.user, "merchant").filter(pk=connection_id).first()
        if connection is None:
            raise Http404("There is no such page.")
        return connection  # type: ignore[no-any-return]

    def sync_view(self, request: HttpRequest, connection_id: int) -> HttpResponse:
        """Sync now: everything that is on, or the one function that was clicked. POST only."""
        connection = self.connection_or_404(request, connection_id)
        if request.method != "POST":
            return HttpResponseNotAllowed(["POST"])
        functions: list[Function] | None = None
        if name := request.POST.get("function"):
            if name not in connection.possible_functions:
                raise Http404("There is no such function.")
            functions = [Function(name)]
        if not connection.is_active:
            messages.error(request, f"{connection} is switched off. Switch it on first; a preview works at any time.")
            return HttpResponseRedirect(connection_link(connection))
        return self.ask_for_runs(request, connection, functions, dry_run=False)

    def continue_view(self, request: HttpRequest, connection_id: int) -> HttpResponse:
        """Continue: ends the pause of one function, from the page of its cart or warehouse. POST only."""
        connection = self.connection_or_404(request, connection_id)
        if request.method != "POST":
            return HttpResponseNotAllowed(["POST"])
        name = request.POST.get("function", "")
        if name not in connection.possible_functions:
            raise Http404("There is no such function.")
        try:
            messages.success(request, go_on(connection, Function(name), person(request)))
        except PauseRefused as refusal:
            messages.error(request, str(refusal))
        return HttpResponseRedirect(connection_link(connection))

    def preview_view(self, request: HttpRequest, connection_id: int) -> HttpResponse:
        """Preview: what the next runs would do; nothing is written. POST only."""
        connection = self.connection_or_404(request, connection_id)
        if request.method != "POST":
            return HttpResponseNotAllowed(["POST"])
        on = set(connection.switched_on_functions())
        functions = [function for function in PREVIEWED if function in on]
        return self.ask_for_runs(request, connection, functions, dry_run=True)

    def send_products_view(self, request: HttpRequest, connection_id: int) -> HttpResponse:
        """Send products to the warehouse: what would happen, then the preview or the run. Asked for by POST only."""
        connection = self.connection_or_404(request, connection_id)
        warehouse = send_products.receiving_warehouse(connection)
        if warehouse is None:
            messages.error(request, f"{connection} has no warehouse that takes the products of shops.")
            return HttpResponseRedirect(connection_link(connection))
        context = send_products.facts(warehouse)
        if request.method == "POST":
            dry_run = "dry_run" in request.POST
            if context["can_preview" if dry_run else "can_send"]:
                run = send_products.ask(warehouse, dry_run=dry_run, actor=person(request))
                return HttpResponseRedirect(
                    f"{reverse('admin:syncjobs_run_progress')}?runs={run.pk}&connection={connection.pk}"
                )
            messages.error(request, "Nothing can be sent now: no shop that is switched on takes part.")
        heading = {"title": "Send products to the warehouse", "back": connection_link(connection)}
        return self.page(request, "admin/hub/send_products.html", {**heading, **context})

    def ask_for_runs(
        self, request: HttpRequest, connection: Connection, functions: list[Function] | None, *, dry_run: bool
    ) -> HttpResponse:
        runs = request_runs(connection, functions, dry_run=dry_run, requested_by=person(request))
        if not runs:
            messages.info(request, f"No function of {connection} is switched on. Choose some in its settings.")
            return HttpResponseRedirect(connection_link(connection))
        ids = ",".join(str(run.pk) for run in runs)
        back = f"&connection={connection.pk}"
        return HttpResponseRedirect(f"{reverse('admin:syncjobs_run_progress')}?runs={ids}{back}")

    # Watching --------------------------------------------------------------------------------------------------------

    def watched(self, request: HttpRequest) -> list[Run]:
        ids = [number for text in request.GET.get("runs", "").split(",") if (number := as_id(text)) is not None]
        return list(self.get_queryset(request).filter(pk__in=ids[:MOST_RUNS_WATCHED]).order_by("pk"))

    def progress_view(self, request: HttpRequest) -> HttpResponse:
        runs = self.watched(request)
        if not runs:
            raise Http404("There is no such run.")
        connection_id = as_id(request.GET.get("connection", ""))
        connection = (
            scoped(Connection.objects.all(), request.user, "merchant").filter(pk=connection_id).first()
            if connection_id
            else runs[0].connection
        )
        return self.page(
            request,
            "admin/hub/progress.html",
            {
                "title": "Preview" if runs[0].dry_run else "Sync now",
                "connection": connection,
                "connection_url": connection_link(connection) if connection else "",
                "is_preview": runs[0].dry_run,
                "next_step": next_step(runs),
                "runs": [described(run) for run in runs],
                **self.live_context(runs),
            },
        )

    def live_context(self, runs: list[Run]) -> dict[str, Any]:
        is_live = any(run.state in UNFINISHED for run in runs)
        ids = ",".join(str(run.pk) for run in runs)
        return {
            "is_live": is_live,
            "progress_url": f"{reverse('admin:syncjobs_run_progress_json')}?runs={ids}",
            "worker_hint": START_HINT if is_live and not worker_state().is_running else "",
        }

    def progress_json(self, request: HttpRequest) -> JsonResponse:
        runs = self.watched(request)
        return JsonResponse(
            {
                "runs": [facts_of(run) for run in runs],
                "done": all(run.state not in UNFINISHED for run in runs),
                "workers": worker_state().running,
            }
        )

    def page_context(self, request: HttpRequest, run: Run) -> dict[str, Any]:
        failures = FailedRecord.objects.filter(
            connection_id=run.connection_id, function=run.function, status=FailedRecord.Status.OPEN
        ).count()
        return {
            "title": str(run),
            "run": described(run),
            "failures": failures,
            "connection_url": connection_link(run.connection),
            "calls": run.api_calls.count(),
            **self.live_context([run]),
        }


def connection_link(connection: Connection) -> str:
    return reverse(f"admin:carts_{connection.role}_change", args=[connection.pk])


def next_step(runs: list[Run]) -> dict[str, str] | None:
    """What a person wants after looking at this preview."""
    run = runs[0]
    is_sending = run.function == Function.PRODUCT_DETAIL_SYNC and run.connection.role == Role.WAREHOUSE
    if not (is_sending and run.dry_run and run.full and run.state == State.DONE):
        return None
    return {
        "url": reverse("admin:syncjobs_run_send_products", args=[run.connection_id]),
        "label": "Send products to the warehouse",
    }


def facts_of(run: Run) -> dict[str, Any]:
    """What the page's script needs to show one run."""
    is_done = run.state not in UNFINISHED
    progress = progress_of(run)
    is_trouble = bool(run.error) and not waits_in_words(run)
    return {
        "id": run.pk,
        "state": run.state,
        "label": run.get_state_display(),
        "tone": TONES.get(run.state, "quiet"),
        "result": result_of(run),
        "pages": run.pages,
        "percent": progress.percent if progress else None,
        "percent_words": progress.percent_words if progress else "",
        "progress": " · ".join(progress.parts()) if progress else "",
        "error": run.error if is_trouble else "",
        "fix": run.fix,
        "finished": is_done,
        "took": duration(run.started_at, run.finished_at or timezone.now()) if run.started_at else "",
    }


def described(run: Run) -> dict[str, Any]:
    """A run with everything its card shows."""
    names = list(dict.fromkeys(name for row in run.preview for name in row))
    return {
        **facts_of(run),
        "pause": pause_in_words(run),
        "object": run,
        "headings": [PREVIEW_HEADINGS.get(name, name.replace("_", " ").capitalize()) for name in names],
        "rows": [[cell(row, name) for name in names] for row in run.preview],
    }


def pause_in_words(run: Run) -> str:
    """Who holds an unfinished run, and since when."""
    held = pause_of(run)
    if held is None:
        return ""
    words = words_of_pause(held)
    return words if run.state == State.PAUSED else f"{words}. It stops as soon as the page at hand is stored"


def cell(row: dict[str, str], name: str) -> str:
    value = row.get(name, "")
    return value.replace("_", " ") if name == "field" else value
