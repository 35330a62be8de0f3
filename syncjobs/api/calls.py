"""The API log: every call to a remote system. Secrets were masked before it was stored."""

from __future__ import annotations

from typing import Any

import django_filters
from django.db.models import QuerySet
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers, viewsets

from carts.api.fields import HubSerializer
from carts.api.filters import IdFilter, MomentFilter
from carts.api.scoping import MerchantScopedMixin, scope_of
from carts.models import Order
from syncjobs.calls_about import calls_about, orders_named
from syncjobs.models import ApiCall, ApiCallBody


class ApiCallSerializer(HubSerializer):
    """`status` is empty when no answer came."""

    class Meta:
        model = ApiCall
        fields = [
            "id",
            "connection",
            "run",
            "delivery",
            "method",
            "url",
            "status",
            "duration_ms",
            "attempt",
            "error",
            "started_at",
        ]
        read_only_fields = fields


class ApiCallBodySerializer(HubSerializer):
    request = serializers.CharField(source="request_text", read_only=True)
    response = serializers.CharField(source="response_text", read_only=True)

    class Meta:
        model = ApiCallBody
        fields = ["request_headers", "request", "response_headers", "response", "cut"]
        read_only_fields = fields


class ApiCallDetailSerializer(ApiCallSerializer):
    """With headers and bodies, as long as they are kept."""

    bodies = serializers.SerializerMethodField(help_text="Empty once they are older than they are kept.")

    class Meta(ApiCallSerializer.Meta):
        fields = [*ApiCallSerializer.Meta.fields, "bodies"]
        read_only_fields = fields

    @extend_schema_field(ApiCallBodySerializer(allow_null=True))
    def get_bodies(self, call: ApiCall) -> dict[str, Any] | None:
        bodies: ApiCallBody | None = getattr(call, "bodies", None)
        return ApiCallBodySerializer(bodies).data if bodies is not None else None


class ApiCallFilter(django_filters.FilterSet):
    connection = IdFilter()
    run = IdFilter()
    delivery = IdFilter()
    method = django_filters.CharFilter(lookup_expr="iexact")
    status = IdFilter()
    failed = django_filters.BooleanFilter(method="that_failed", label="No answer, or one of 400 and more.")
    order = django_filters.CharFilter(
        method="about_order",
        label="Number, external id or reference of an order: its deliveries and the run that brought it.",
    )
    started_since = MomentFilter(field_name="started_at", lookup_expr="gte")

    def that_failed(self, rows: QuerySet[ApiCall], name: str, failed: bool) -> QuerySet[ApiCall]:
        return rows.exclude(status__lt=400) if failed else rows.filter(status__lt=400)

    def about_order(self, rows: QuerySet[ApiCall], name: str, term: str) -> QuerySet[ApiCall]:
        orders = orders_named(scope_of(self.request).limit(Order.objects.all(), "merchant"), term.strip())
        return rows.filter(calls_about(orders)) if orders else rows.none()


class ApiCallViewSet(MerchantScopedMixin, viewsets.ReadOnlyModelViewSet[ApiCall]):
    """Calls to remote systems, newest first."""

    queryset = ApiCall.objects.order_by("-pk")
    merchant_path = "connection__merchant"
    filterset_class = ApiCallFilter

    def get_queryset(self) -> QuerySet[ApiCall]:
        rows = super().get_queryset()
        return rows if self.action == "list" else rows.select_related("bodies")

    def get_serializer_class(self) -> type[ApiCallSerializer]:
        return ApiCallSerializer if self.action == "list" else ApiCallDetailSerializer
