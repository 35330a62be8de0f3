"""Webhooks to the WMS of a REST warehouse: what was sent, what the WMS answered, sending again, and the signing secret."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import django_filters
from django.db.models import QuerySet
from drf_spectacular.utils import extend_schema
from rest_framework import serializers, viewsets
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response

from carts import wms_secrets
from carts.api.errors import Conflict, ProblemSerializer
from carts.api.fields import HubSerializer
from carts.api.filters import IdFilter, MomentFilter
from carts.api.scoping import MerchantScopedMixin, ScopedRelatedField
from carts.models import Warehouse
from syncjobs import wms_outbox
from syncjobs.models import WmsWebhook, WmsWebhookAttempt


class WmsWebhookSerializer(HubSerializer):
    """An event that the WMS was (or is to be) told. `subject` is the reference of what it is about, `status` the WMS's last
    answer."""

    class Meta:
        model = WmsWebhook
        fields = [
            "id",
            "event_id",
            "warehouse",
            "topic",
            "subject",
            "number",
            "state",
            "attempts",
            "run_at",
            "status",
            "error",
            "created_at",
            "done_at",
        ]
        read_only_fields = fields


class WmsWebhookAttemptSerializer(HubSerializer):
    class Meta:
        model = WmsWebhookAttempt
        fields = ["number", "started_at", "duration_ms", "status", "outcome", "message", "response"]
        read_only_fields = fields


class WmsWebhookDetailSerializer(WmsWebhookSerializer):
    """With its body, exactly as it is sent, and its attempts."""

    attempt_log = WmsWebhookAttemptSerializer(many=True, read_only=True)

    class Meta(WmsWebhookSerializer.Meta):
        fields = [*WmsWebhookSerializer.Meta.fields, "body", "attempt_log"]
        read_only_fields = fields


class ReplaySerializer(serializers.Serializer[None]):
    """Which webhooks of a warehouse go out again."""

    warehouse = ScopedRelatedField(queryset=Warehouse.objects.all())
    since = serializers.DateTimeField(help_text="Those of events from this time on.")
    until = serializers.DateTimeField(required=False, allow_null=True, help_text="Left out: all that came since.")
    topic = serializers.CharField(required=False, allow_blank=True, default="", max_length=60)
    state = serializers.MultipleChoiceField(
        choices=WmsWebhook.State.choices, required=False, help_text="Left out: whatever became of them."
    )


class ReplayedSerializer(serializers.Serializer[None]):
    replayed = serializers.IntegerField()


class NewSecretSerializer(serializers.Serializer[None]):
    old_valid_hours = serializers.IntegerField(
        required=False,
        default=24,
        min_value=0,
        max_value=wms_secrets.LONGEST_OVERLAP_HOURS,
        help_text="How long webhooks are signed with the old secret as well.",
    )


class SecretSerializer(serializers.Serializer[dict[str, Any]]):
    """Shown this once."""

    secret = serializers.CharField()
    old_valid_until = serializers.DateTimeField()


class WmsWebhookFilter(django_filters.FilterSet):
    warehouse = IdFilter()
    state = django_filters.MultipleChoiceFilter(
        choices=WmsWebhook.State.choices, distinct=False, label="May be given several times."
    )
    topic = django_filters.CharFilter()
    subject = django_filters.CharFilter(label="The reference of an order, return or document.")
    event_id = django_filters.UUIDFilter()
    created_since = MomentFilter(field_name="created_at", lookup_expr="gte")


class WmsWebhookViewSet(MerchantScopedMixin, viewsets.ReadOnlyModelViewSet[WmsWebhook]):
    """What the WMS of REST warehouses is told, newest first."""

    queryset = WmsWebhook.objects.order_by("-pk")
    merchant_path = "warehouse__merchant"
    filterset_class = WmsWebhookFilter
    http_method_names = ["get", "post", "head", "options"]

    def get_queryset(self) -> QuerySet[WmsWebhook]:
        rows = super().get_queryset()
        return rows.defer("body") if self.action == "list" else rows.prefetch_related("attempt_log")

    def get_serializer_class(self) -> type[WmsWebhookSerializer]:
        return WmsWebhookSerializer if self.action == "list" else WmsWebhookDetailSerializer

    @extend_schema(request=None, responses=WmsWebhookDetailSerializer)
    @action(detail=True, methods=["post"])
    def replay(self, request: Request, pk: str) -> Response:
        """Sends the webhook again, with the id and the body of then."""
        webhook = self.get_object()
        wms_outbox.replay(WmsWebhook.objects.filter(pk=webhook.pk))
        return Response(self.get_serializer(self.get_queryset().get(pk=webhook.pk)).data)

    @extend_schema(
        operation_id="wms_webhooks_replay_many", request=ReplaySerializer, responses=ReplayedSerializer, filters=False
    )
    @action(detail=False, methods=["post"], url_path="replay", filter_backends=(), pagination_class=None)
    def replay_many(self, request: Request) -> Response:
        """Sends all webhooks of a warehouse again since a time, in their order: for a WMS that has lost some."""
        given = ReplaySerializer(data=request.data, context={"request": request})
        given.is_valid(raise_exception=True)
        wanted: dict[str, Any] = given.validated_data
        rows = WmsWebhook.objects.filter(warehouse=wanted["warehouse"], created_at__gte=wanted["since"])
        if wanted.get("until"):
            rows = rows.filter(created_at__lte=wanted["until"])
        if wanted["topic"]:
            rows = rows.filter(topic=wanted["topic"])
        if wanted.get("state"):
            rows = rows.filter(state__in=wanted["state"])
        return Response({"replayed": wms_outbox.replay(rows)})


class WebhookSecretMixin:
    """``POST warehouses/{id}/webhook-secret/``"""

    @extend_schema(request=NewSecretSerializer, responses={200: SecretSerializer, 409: ProblemSerializer})
    @action(detail=True, methods=["post"], url_path="webhook-secret")
    def webhook_secret(self, request: Request, pk: str) -> Response:
        """Makes a new secret that webhooks to the WMS are signed with, and shows it this once."""
        warehouse: Warehouse = self.get_object()  # type: ignore[attr-defined]
        given = NewSecretSerializer(data=request.data)
        given.is_valid(raise_exception=True)
        if not warehouse.connector_class.worked_by_wms:
            raise Conflict(f"{warehouse} is no REST warehouse: nothing is sent to its WMS.")
        hours = timedelta(hours=given.validated_data["old_valid_hours"])
        secret, endpoint = wms_secrets.replace_secret(warehouse.pk, hours)
        return Response(SecretSerializer(instance={"secret": secret, "old_valid_until": endpoint.old_valid_until}).data)
