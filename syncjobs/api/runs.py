"""Runs: the queue and the history of all functions."""

from __future__ import annotations

import django_filters
from django.db.models import QuerySet
from drf_spectacular.utils import extend_schema, extend_schema_field
from rest_framework import serializers, viewsets
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response

from carts.api.errors import Conflict, ProblemSerializer
from carts.api.fields import HubSerializer
from carts.api.filters import IdFilter, MomentFilter
from carts.api.scoping import MerchantScopedMixin, actor_of
from carts.models import ApiToken
from connectors.functions import Function
from syncjobs.api.connections import in_json
from syncjobs.models import Run
from syncjobs.pausing import PauseRefused, go_on, pause, pause_of
from syncjobs.run_progress import progress_of

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
            "records",
            "worked_seconds",
            "changes_from",
            "changes_until",
            "counts",
            "error_kind",
            "error",
            "fix",
        ]
        read_only_fields = fields


class RunDetailSerializer(RunSerializer):
    """With how far the feed was read, who holds it, and what a dry run would do."""

    percent = serializers.SerializerMethodField(
        help_text="How far an unfinished run is; of a remote's feed an estimate by the dates of the changes. null: not known."
    )
    paused_by = serializers.SerializerMethodField(help_text="Who holds the function while it is paused, else empty.")
    paused_at = serializers.SerializerMethodField(help_text="Since when it is paused, else null.")

    class Meta(RunSerializer.Meta):
        fields = [
            *RunSerializer.Meta.fields,
            "percent",
            "paused_by",
            "paused_at",
            "cursor_before",
            "cursor_after",
            "preview",
        ]
        read_only_fields = fields

    def get_percent(self, run: Run) -> int | None:
        progress = progress_of(run)
        return progress.percent if progress else None

    def get_paused_by(self, run: Run) -> str:
        held = pause_of(run)
        return held.paused_by if held else ""

    @extend_schema_field(serializers.DateTimeField(allow_null=True))
    def get_paused_at(self, run: Run) -> str | None:
        held = pause_of(run)
        return in_json(held.paused_at) if held and held.paused_at else None


class RunFilter(django_filters.FilterSet):
    connection = IdFilter()
    function = django_filters.ChoiceFilter(choices=FUNCTION_CHOICES)
    state = django_filters.ChoiceFilter(choices=Run.State.choices)
    trigger = django_filters.ChoiceFilter(choices=Run.Trigger.choices)
    dry_run = django_filters.BooleanFilter()
    queued_since = MomentFilter(field_name="queued_at", lookup_expr="gte")


class RunViewSet(MerchantScopedMixin, viewsets.ReadOnlyModelViewSet[Run]):
    """What ran, what runs and what waits, newest first. A long one can be paused and continued."""

    queryset = Run.objects.order_by("-pk")
    merchant_path = "connection__merchant"
    filterset_class = RunFilter

    def get_queryset(self) -> QuerySet[Run]:
        rows = super().get_queryset()
        return rows.defer("preview", "cursor_before", "cursor_after", "position") if self.action == "list" else rows

    def get_serializer_class(self) -> type[RunSerializer]:
        return RunSerializer if self.action == "list" else RunDetailSerializer

    @extend_schema(request=None, responses={200: RunDetailSerializer, 409: ProblemSerializer})
    @action(detail=True, methods=["post"])
    def pause(self, request: Request, pk: str) -> Response:
        """Holds the function of this run: the page at hand is stored, then nothing reads on until it is continued. Pausing
        what is paused changes nothing; 409 for a run that is over or cannot be paused."""
        run = self.get_object()
        try:
            pause(run, actor_of(request))
        except PauseRefused as refusal:
            raise Conflict(str(refusal)) from refusal
        return self.show(run)

    @extend_schema(request=None, responses={200: RunDetailSerializer, 409: ProblemSerializer})
    @action(detail=True, methods=["post"], url_path="continue", url_name="continue")
    def continue_(self, request: Request, pk: str) -> Response:
        """Ends the pause: the function goes on from where it stopped. Continuing what is not paused changes nothing; 409
        while the cart or warehouse is switched off."""
        run = self.get_object()
        trigger = Run.Trigger.API if isinstance(request.auth, ApiToken) else Run.Trigger.PERSON
        try:
            go_on(run.connection, Function(run.feed), actor_of(request), trigger)
        except PauseRefused as refusal:
            raise Conflict(str(refusal)) from refusal
        return self.show(run)

    def show(self, run: Run) -> Response:
        return Response(self.get_serializer(self.get_queryset().get(pk=run.pk)).data)
