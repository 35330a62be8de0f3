"""Deliveries: what had to reach a remote system, and every try."""

from __future__ import annotations

import django_filters
from django.db.models import QuerySet
from rest_framework import viewsets

from carts.api.fields import HubSerializer
from carts.api.filters import IdFilter, MomentFilter
from carts.api.scoping import MerchantScopedMixin
from syncjobs.models import Delivery, DeliveryAttempt


class DeliverySerializer(HubSerializer):
    """One thing that must reach a remote system. `run_at` is when it is tried next."""

    class Meta:
        model = Delivery
        fields = [
            "id",
            "connection",
            "order",
            "refund",
            "adjustment",
            "transfer_step",
            "kind",
            "reference",
            "state",
            "run_at",
            "attempts",
            "in_doubt",
            "remote_id",
            "error_kind",
            "error",
            "fix",
            "created_at",
            "first_failed_at",
            "done_at",
        ]
        read_only_fields = fields


class DeliveryAttemptSerializer(HubSerializer):
    class Meta:
        model = DeliveryAttempt
        fields = ["number", "started_at", "ended_at", "outcome", "message"]
        read_only_fields = fields


class DeliveryDetailSerializer(DeliverySerializer):
    """With every try."""

    attempt_log = DeliveryAttemptSerializer(many=True, read_only=True)

    class Meta(DeliverySerializer.Meta):
        fields = [*DeliverySerializer.Meta.fields, "attempt_log"]
        read_only_fields = fields


class DeliveryFilter(django_filters.FilterSet):
    connection = IdFilter()
    order = IdFilter()
    refund = IdFilter()
    adjustment = IdFilter()
    transfer_step = IdFilter()
    kind = django_filters.ChoiceFilter(choices=Delivery.Kind.choices)
    state = django_filters.ChoiceFilter(choices=Delivery.State.choices)
    reference = django_filters.CharFilter()
    created_since = MomentFilter(field_name="created_at", lookup_expr="gte")


class DeliveryViewSet(MerchantScopedMixin, viewsets.ReadOnlyModelViewSet[Delivery]):
    """Orders, cancellations, returns and stock documents on their way to warehouses, shipments on their way to carts,
    newest first."""

    queryset = Delivery.objects.order_by("-pk")
    merchant_path = "connection__merchant"
    filterset_class = DeliveryFilter

    def get_queryset(self) -> QuerySet[Delivery]:
        rows = super().get_queryset()
        return rows if self.action == "list" else rows.prefetch_related("attempt_log")

    def get_serializer_class(self) -> type[DeliverySerializer]:
        return DeliverySerializer if self.action == "list" else DeliveryDetailSerializer
