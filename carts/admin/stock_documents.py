"""Stock adjustments and stock transfers: what the warehouses are told about the shops' stock."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.html import format_html
from django.utils.safestring import SafeString
from unfold.decorators import display

from carts import stock_flow
from carts.admin.base import MerchantFilter, PageAdmin, PersonAction, WarehouseFilter
from carts.admin.filters import DayRangeFilter, StateFilter
from carts.badges import clock, count_of, muted, signed, state_badge
from carts.forms.fields import ReasonForm
from carts.models import StockAdjustment, StockTransfer, StockTransferStep
from carts.stock_effects import UNBOOKED

Status = StockAdjustment.Status
CANCEL = "It never goes out, and nothing takes its place. Choose this when you have corrected the warehouse by hand."
RESEND = "The warehouse is asked first whether it has it, so it is never booked twice."


def resend(adjustment: StockAdjustment, actor: str, data: dict[str, Any]) -> str:
    stock_flow.resend(adjustment, actor)
    return f"{adjustment} is sent again, unless the warehouse has it already."


def cancel(adjustment: StockAdjustment, actor: str, data: dict[str, Any]) -> str:
    stock_flow.cancel(adjustment, data["reason"], actor)
    return f"{adjustment} is cancelled."


def resend_transfer(transfer: StockTransfer, actor: str, data: dict[str, Any]) -> str:
    stock_flow.resend_transfer(transfer.pk, actor)
    return f"{transfer} is sent again, unless the warehouse has it already."


def cancel_transfer(transfer: StockTransfer, actor: str, data: dict[str, Any]) -> str:
    stock_flow.cancel_transfer(transfer.pk, data["reason"], actor)
    return f"What the warehouse was not told yet of {transfer} is cancelled."


def has_step(transfer: StockTransfer, *statuses: str) -> bool:
    return transfer.steps.filter(status__in=statuses).exists()


class AdjustmentStatusFilter(StateFilter):
    groups = {"attention": ("Needs attention (waiting or error)", (Status.WAITING, Status.ERROR))}
    states = Status.choices


class SourceFilter(StateFilter):
    title = "source"
    parameter_name = "source"
    field = "source"
    states = StockAdjustment.Source.choices


@admin.register(StockAdjustment)
class StockAdjustmentAdmin(PageAdmin):
    page_template = "admin/hub/stock_adjustment.html"
    list_display = ("number", "what", "items", "state", "place", "road", "made")
    list_filter = (
        AdjustmentStatusFilter,
        SourceFilter,
        WarehouseFilter,
        MerchantFilter,
        ("created_at", DayRangeFilter),
    )
    list_select_related = ("consignment", "warehouse", "location")
    search_fields = ("consignment__number", "reference", "lines__sku")
    search_help_text = "Number, SKU, reference …"
    ordering = ("-created_at", "-pk")
    noun = ("stock adjustment", "stock adjustments")
    empty_title = "No stock adjustments yet"
    empty_text = "What the shops receive, send back and count goes to the warehouse as stock adjustments."
    person_actions = (
        PersonAction(
            key="resend",
            label="Send again",
            icon="redo",
            explanation=RESEND,
            done="sent again",
            run=resend,
            offered=lambda adjustment: adjustment.status in (Status.ERROR, Status.NEW, Status.BOOKED),
        ),
        PersonAction(
            key="cancel",
            label="Cancel adjustment",
            icon="cancel",
            explanation=CANCEL,
            done="cancelled",
            run=cancel,
            form=ReasonForm,
            danger=True,
            offered=lambda adjustment: adjustment.status in UNBOOKED,
        ),
    )

    def get_queryset(self, request: HttpRequest) -> QuerySet[StockAdjustment]:
        return super().get_queryset(request).prefetch_related("lines")

    @display(description="Document", ordering="consignment__number")
    def number(self, adjustment: StockAdjustment) -> str:
        return adjustment.number

    @display(description="Kind", ordering="consignment__kind")
    def what(self, adjustment: StockAdjustment) -> str:
        return adjustment.consignment.get_kind_display()

    @display(description="Items")
    def items(self, adjustment: StockAdjustment) -> str:
        lines = list(adjustment.lines.all())
        if len(lines) == 1:
            return f"{signed(lines[0].quantity)} {lines[0].sku}"
        return count_of(len(lines), "item")

    @display(description="Status", ordering="status")
    def state(self, adjustment: StockAdjustment) -> SafeString:
        shown = state_badge(adjustment.status, adjustment.get_status_display())
        if not adjustment.problem:
            return shown
        return format_html('{}<span class="im-cell-note">{}</span>', shown, adjustment.problem)

    @display(description="Location", ordering="location__name")
    def place(self, adjustment: StockAdjustment) -> str:
        return f"{adjustment.warehouse.name}, {adjustment.location.name}"

    @display(description="Source", ordering="source")
    def road(self, adjustment: StockAdjustment) -> str:
        return adjustment.get_source_display()

    @display(description="Made", ordering="created_at")
    def made(self, adjustment: StockAdjustment) -> SafeString:
        return clock(adjustment.created_at)

    def page_context(self, request: HttpRequest, adjustment: StockAdjustment) -> dict[str, Any]:
        return {
            "adjustment": adjustment,
            "lines": list(adjustment.lines.all()),
            "deliveries": list(adjustment.deliveries.select_related("connection")),
        }


class TransferStatusFilter(StateFilter):
    states = StockTransfer.Status.choices


@admin.register(StockTransfer)
class StockTransferAdmin(PageAdmin):
    page_template = "admin/hub/stock_transfer.html"
    list_display = ("number", "state", "start", "end", "made")
    list_filter = (TransferStatusFilter, WarehouseFilter, MerchantFilter, ("created_at", DayRangeFilter))
    list_select_related = ("consignment", "from_location", "to_location")
    search_fields = ("consignment__number", "reference", "consignment__lines__sku")
    search_help_text = "Number, SKU, reference …"
    ordering = ("-created_at", "-pk")
    noun = ("stock transfer", "stock transfers")
    empty_title = "No stock transfers yet"
    empty_text = "What one shop sends to another appears here, when a cart does Stock Transfer Sync."
    person_actions = (
        PersonAction(
            key="resend",
            label="Send again",
            icon="redo",
            explanation=RESEND,
            done="sent again",
            run=resend_transfer,
            offered=lambda transfer: has_step(transfer, Status.ERROR),
        ),
        PersonAction(
            key="cancel",
            label="Cancel transfer",
            icon="cancel",
            explanation=CANCEL,
            done="cancelled",
            run=cancel_transfer,
            form=ReasonForm,
            danger=True,
            offered=lambda transfer: has_step(transfer, *UNBOOKED),
        ),
    )

    @display(description="Document", ordering="consignment__number")
    def number(self, transfer: StockTransfer) -> str:
        return transfer.number

    @display(description="Status", ordering="status")
    def state(self, transfer: StockTransfer) -> SafeString:
        shown = state_badge(transfer.status, transfer.get_status_display())
        if not transfer.problem:
            return shown
        return format_html('{}<span class="im-cell-note">{}</span>', shown, transfer.problem)

    @display(description="From", ordering="from_location__name")
    def start(self, transfer: StockTransfer) -> str | SafeString:
        return transfer.from_location.name if transfer.from_location else muted("not known")

    @display(description="To", ordering="to_location__name")
    def end(self, transfer: StockTransfer) -> str | SafeString:
        return transfer.to_location.name if transfer.to_location else muted("not known")

    @display(description="Made", ordering="created_at")
    def made(self, transfer: StockTransfer) -> SafeString:
        return clock(transfer.created_at)

    def page_context(self, request: HttpRequest, transfer: StockTransfer) -> dict[str, Any]:
        steps = StockTransferStep.objects.filter(transfer=transfer).order_by("pk")
        lines = list(transfer.consignment.lines.all())
        for line in lines:
            both = line.count is not None and line.received is not None
            line.missing = line.count - line.received if both else None  # type: ignore[attr-defined,operator]
        return {
            "transfer": transfer,
            "lines": lines,
            "is_received": transfer.consignment.state == transfer.consignment.State.RECEIVED,
            "steps": list(steps.prefetch_related("lines", "deliveries")),
            "adjustments": list(transfer.consignment.adjustments.order_by("pk").prefetch_related("lines")),
        }
