"""Refunds: found, read, and moved through their life by ``carts.refund_flow``."""

from __future__ import annotations

from typing import Any, ClassVar

import django_filters
from django.db.models import Prefetch, QuerySet
from drf_spectacular.utils import extend_schema
from rest_framework import serializers, viewsets
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response

from carts import refund_flow
from carts.api.fields import HubSerializer
from carts.api.filters import IdFilter, MomentFilter, StableOrderingFilter
from carts.api.orders import PaymentSerializer, ReasonSerializer, told
from carts.api.scoping import MerchantScopedMixin, actor_of
from carts.models import Refund, RefundLine


class RefundSerializer(HubSerializer):
    """A return as lists show it."""

    class Meta:
        model = Refund
        fields = [
            "id",
            "cart",
            "warehouse",
            "location",
            "order",
            "return_for",
            "external_id",
            "number",
            "reference",
            "status",
            "problem",
            "currency",
            "amount",
            "tax_total",
            "reason",
            "restock",
            "placed_at",
            "stored_at",
            "updated_at",
            "at_warehouse_at",
            "received_at",
            "cancelled_at",
        ]
        read_only_fields = fields


class RefundLineSerializer(HubSerializer):
    class Meta:
        model = RefundLine
        fields = [
            "id",
            "order_line",
            "position",
            "external_id",
            "product_id_at_cart",
            "sku",
            "warehouse_sku",
            "name",
            "quantity",
            "amount",
            "tax",
            "ships",
        ]


class RefundDetailSerializer(RefundSerializer):
    """A return with its lines and payments."""

    payments = PaymentSerializer(many=True, read_only=True)
    lines = RefundLineSerializer(many=True, read_only=True)

    class Meta(RefundSerializer.Meta):
        fields = [*RefundSerializer.Meta.fields, "payments", "lines"]
        read_only_fields = fields


class RefundFilter(django_filters.FilterSet):
    cart = IdFilter()
    warehouse = IdFilter()
    order = IdFilter()
    status = django_filters.MultipleChoiceFilter(
        choices=Refund.Status.choices, distinct=False, label="May be given several times."
    )
    number = django_filters.CharFilter()
    external_id = django_filters.CharFilter()
    reference = django_filters.CharFilter()
    updated_since = MomentFilter(field_name="updated_at", lookup_expr="gte")
    ordering = StableOrderingFilter(fields=["placed_at", "stored_at", "updated_at", "number", "amount", "status"])


class RefundViewSet(MerchantScopedMixin, viewsets.ReadOnlyModelViewSet[Refund]):
    """Returns of all carts."""

    queryset = Refund.objects.order_by("-placed_at", "-pk")
    filterset_class = RefundFilter
    http_method_names = ["get", "post", "head", "options"]
    detail_serializer: ClassVar[type[serializers.BaseSerializer[Any]]] = RefundDetailSerializer
    parts: ClassVar[tuple[str | Prefetch, ...]] = ("lines",)

    def get_queryset(self) -> QuerySet[Refund]:
        rows = super().get_queryset()
        return rows.defer("payments") if self.action == "list" else rows

    def get_serializer_class(self) -> type[serializers.BaseSerializer[Any]]:
        return RefundSerializer if self.action == "list" else self.detail_serializer

    def show(self, refund: Refund) -> Response:
        """The return with all its parts, as the database has it now."""
        fresh = self.get_queryset().prefetch_related(*self.parts).get(pk=refund.pk)
        return Response(self.detail_serializer(fresh, context=self.get_serializer_context()).data)

    def retrieve(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        return self.show(self.get_object())

    @extend_schema(request=None)
    @action(detail=True, methods=["post"])
    def release(self, request: Request, pk: str) -> Response:
        """Lets a return go to the warehouse that is held, in error or was not sent; also one without its order."""
        refund = self.get_object()
        told(lambda: refund_flow.release(refund.pk, actor_of(request)))
        return self.show(refund)

    @extend_schema(request=None)
    @action(detail=True, methods=["post"])
    def resend(self, request: Request, pk: str) -> Response:
        """Sends the return (again), unless the warehouse has it already."""
        refund = self.get_object()
        told(lambda: refund_flow.resend(refund.pk, actor_of(request)))
        return self.show(refund)

    @extend_schema(request=ReasonSerializer)
    @action(detail=True, methods=["post"])
    def cancel(self, request: Request, pk: str) -> Response:
        """Cancels the return here. One that the warehouse knows must be stopped there by hand."""
        refund = self.get_object()
        given = ReasonSerializer(data=request.data)
        given.is_valid(raise_exception=True)
        told(lambda: refund_flow.cancel(refund.pk, given.validated_data["reason"], actor_of(request)))
        return self.show(refund)
