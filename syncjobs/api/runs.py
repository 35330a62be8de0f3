"""Runs: the queue and the history of all functions."""

from __future__ import annotations

import django_filters
from django.db.models import QuerySet
from rest_framework import viewsets

from carts.api.fields import HubSerializer
from carts.api.filters import IdFilter, MomentFilter
from carts.api.scoping import MerchantScopedMixin
from connectors.functions import Function
from syncjobs.models import Run

FUNCTION_CHOICES = [(function.value, function.label) for function in Function]


class RunSerializer(HubSerializer):
    """One run of one function: waiting, running or history."""

    class Meta:
        model = Run
        fields = [
            "id",
            "connection",
            "function",
            "trigger",
            "requested_by",
            "state",
            "full",
            "dry_run",
            "attempts",
            "run_at",
            "queued_at",
            "started_at",
            "finished_at",
            "pages",
            "counts",
            "error_kind",
            "error",
            "fix",
        ]
        read_only_fields = fields


class RunDetailSerializer(RunSerializer):
    """With how far the feed was read, and what a dry run would do."""

    class Meta(RunSerializer.Meta):
        fields = [*RunSerializer.Meta.fields, "cursor_before", "cursor_after", "preview"]
        read_only_fields = fields


class RunFilter(django_filters.FilterSet):
    connection = IdFilter()
    function = django_filters.ChoiceFilter(choices=FUNCTION_CHOICES)
    state = django_filters.ChoiceFilter(choices=Run.State.choices)
    trigger = django_filters.ChoiceFilter(choices=Run.Trigger.choices)
    dry_run = django_filters.BooleanFilter()
    queued_since = MomentFilter(field_name="queued_at", lookup_expr="gte")


class RunViewSet(MerchantScopedMixin, viewsets.ReadOnlyModelViewSet[Run]):
    """What ran, what runs and what waits, newest first."""

    queryset = Run.objects.order_by("-pk")
    merchant_path = "connection__merchant"
    filterset_class = RunFilter

    def get_queryset(self) -> QuerySet[Run]:
        rows = super().get_queryset()
        return rows.defer("preview", "cursor_before", "cursor_after", "position") if self.action == "list" else rows

    def get_serializer_class(self) -> type[RunSerializer]:
        return RunSerializer if self.action == "list" else RunDetailSerializer
