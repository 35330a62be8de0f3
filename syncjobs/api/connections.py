"""Carts and warehouses, with what movement knows about them: their schedules, and syncing on request."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django.db.models import QuerySet
from drf_spectacular.utils import extend_schema, extend_schema_field
from rest_framework import serializers
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response

from carts.api import connections
from carts.api.scoping import actor_of
from carts.models import ApiToken, Connection
from connectors.functions import Function, Role
from syncjobs.api.wms_webhooks import WebhookSecretMixin
from syncjobs.models import Run, Schedule
from syncjobs.schedule import request_runs


class ScheduleSerializer(serializers.ModelSerializer[Schedule]):
    """When a function that is on runs next, and how it went."""

    class Meta:
        model = Schedule
        fields = ["function", "next_run_at", "last_success_at", "failures", "last_error", "paused_at", "paused_by"]
        read_only_fields = fields


class ScheduleFacts(serializers.Serializer[Connection]):
    """What both kinds of connections show of their schedules."""

    schedules = serializers.SerializerMethodField()
    next_run_at = serializers.SerializerMethodField(help_text="When the next function runs by its interval.")

    @extend_schema_field(ScheduleSerializer(many=True))
    def get_schedules(self, connection: Connection) -> list[dict[str, Any]]:
        return [ScheduleSerializer(schedule).data for schedule in schedules_in_use(connection)]

    @extend_schema_field(serializers.DateTimeField(allow_null=True))
    def get_next_run_at(self, connection: Connection) -> str | None:
        if not connection.is_active:
            return None
        polled = [schedule.next_run_at for schedule in schedules_in_use(connection) if schedule.setting.minutes]
        return in_json(min(polled)) if polled else None


def schedules_in_use(connection: Connection) -> list[Schedule]:
    """The schedules of the functions that are on; fetched for the whole page at once."""
    return [schedule for schedule in connection.schedules.all() if schedule.setting.is_on]


def in_json(moment: datetime) -> str:
    return str(serializers.DateTimeField().to_representation(moment))


class CartSerializer(ScheduleFacts, connections.CartSerializer):
    """One configured order source."""

    class Meta(connections.CartSerializer.Meta):
        fields = [*connections.CartSerializer.Meta.fields, "next_run_at", "schedules"]


class WarehouseSerializer(ScheduleFacts, connections.WarehouseSerializer):
    """One configured warehouse or order management system."""

    class Meta(connections.WarehouseSerializer.Meta):
        fields = [*connections.WarehouseSerializer.Meta.fields, "next_run_at", "schedules"]


class SyncSerializer(serializers.Serializer[None]):
    """What to sync. Without functions: all that are on; for a cart, its warehouse's side included."""

    functions = serializers.ListField(child=serializers.CharField(max_length=40), required=False, default=list)
    full = serializers.BooleanField(default=False, help_text="Read from the beginning instead of what is new.")
    dry_run = serializers.BooleanField(default=False, help_text="Write nothing; the runs say what would be done.")


class SyncAnswerSerializer(serializers.Serializer[None]):
    runs = serializers.ListField(child=serializers.IntegerField(), help_text="The ids of the runs; see `runs/`.")


class SyncMixin:
    """``POST {"functions": [...], "full": false, "dry_run": false}`` queues runs."""

    @extend_schema(request=SyncSerializer, responses={202: SyncAnswerSerializer})
    @action(detail=True, methods=["post"])
    def sync(self, request: Request, pk: str) -> Response:
        """Queues runs of the given functions. One that waits already is not queued twice."""
        connection: Connection = self.get_object()  # type: ignore[attr-defined]
        given = SyncSerializer(data=request.data)
        given.is_valid(raise_exception=True)
        names: list[str] = given.validated_data["functions"]
        connections.check_functions(connection.connector, Role(connection.role), names, {})
        runs = request_runs(
            connection,
            [Function(name) for name in names] or None,
            full=given.validated_data["full"],
            dry_run=given.validated_data["dry_run"],
            trigger=Run.Trigger.API if isinstance(request.auth, ApiToken) else Run.Trigger.PERSON,
            requested_by=actor_of(request),
        )
        return Response({"runs": [run.pk for run in runs]}, status=202)

    def get_queryset(self) -> QuerySet[Any]:
        rows: QuerySet[Any] = super().get_queryset()
        return rows.prefetch_related("schedules__setting")


class CartViewSet(SyncMixin, connections.CartViewSet):
    """Order sources. Each shop outlet is a cart of its own."""

    serializer_class = CartSerializer


class WarehouseViewSet(WebhookSecretMixin, SyncMixin, connections.WarehouseViewSet):
    """Where orders are shipped from and stock comes from."""

    serializer_class = WarehouseSerializer
