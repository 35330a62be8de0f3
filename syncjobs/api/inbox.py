"""Webhooks as they arrived."""

from __future__ import annotations

import django_filters
from django.db.models import QuerySet
from drf_spectacular.utils import extend_schema
from rest_framework import serializers, viewsets
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response

from carts.api.fields import HubSerializer
from carts.api.filters import IdFilter, MomentFilter
from carts.api.scoping import MerchantScopedMixin
from syncjobs.inbox import replay
from syncjobs.models import WebhookEvent


class WebhookEventSerializer(HubSerializer):
    """A webhook: a hint to look, never the truth."""

    class Meta:
        model = WebhookEvent
        fields = [
            "id",
            "connection",
            "topic",
            "external_id",
            "state",
            "attempts",
            "error",
            "received_at",
            "processed_at",
        ]
        read_only_fields = fields


class WebhookEventDetailSerializer(WebhookEventSerializer):
    """With headers and body."""

    body = serializers.CharField(source="text", read_only=True)

    class Meta(WebhookEventSerializer.Meta):
        fields = [*WebhookEventSerializer.Meta.fields, "headers", "body"]
        read_only_fields = fields


class WebhookEventFilter(django_filters.FilterSet):
    connection = IdFilter()
    state = django_filters.ChoiceFilter(choices=WebhookEvent.State.choices)
    topic = django_filters.CharFilter()
    external_id = django_filters.CharFilter()
    received_since = MomentFilter(field_name="received_at", lookup_expr="gte")


class WebhookEventViewSet(MerchantScopedMixin, viewsets.ReadOnlyModelViewSet[WebhookEvent]):
    """What remote systems reported, newest first."""

    queryset = WebhookEvent.objects.order_by("-pk")
    merchant_path = "connection__merchant"
    filterset_class = WebhookEventFilter

    def get_queryset(self) -> QuerySet[WebhookEvent]:
        rows = super().get_queryset()
        return rows.defer("headers", "body") if self.action == "list" else rows

    def get_serializer_class(self) -> type[WebhookEventSerializer]:
        return WebhookEventSerializer if self.action == "list" else WebhookEventDetailSerializer

    @extend_schema(request=None, responses=WebhookEventDetailSerializer)
    @action(detail=True, methods=["post"])
    def replay(self, request: Request, pk: str) -> Response:
        """Works through the webhook once more."""
        event = self.get_object()
        replay(event)
        return Response(self.get_serializer(self.get_queryset().get(pk=event.pk)).data)
