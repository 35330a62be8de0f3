"""Orders, with what movement knows about them: their deliveries."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import extend_schema, extend_schema_view
from rest_framework import serializers
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response

from carts.api import orders
from carts.api.errors import ProblemSerializer
from carts.order_timeline import timeline_of
from syncjobs.api.deliveries import DeliverySerializer


class OrderWithDeliveriesSerializer(orders.OrderDetailSerializer):
    """An order with everything that belongs to it."""

    deliveries = DeliverySerializer(many=True, read_only=True)

    class Meta(orders.OrderDetailSerializer.Meta):
        fields = [*orders.OrderDetailSerializer.Meta.fields, "deliveries"]
        read_only_fields = fields


class TimelineEntrySerializer(serializers.Serializer[Any]):
    """One thing that happened to an order."""

    at = serializers.DateTimeField()
    kind = serializers.ChoiceField(choices=["history", "run", "webhook", "attempt", "failed_record"])
    text = serializers.CharField()
    actor = serializers.CharField(help_text="`hub`, or who did it.")


CHANGED = extend_schema(responses={200: OrderWithDeliveriesSerializer, 409: ProblemSerializer})


@extend_schema_view(
    partial_update=CHANGED,
    hold=CHANGED,
    release=CHANGED,
    resend=CHANGED,
    cancel=CHANGED,
    resend_change=CHANGED,
    keep_as_sent=CHANGED,
)
class OrderViewSet(orders.OrderViewSet):
    """Orders of all carts, newest first."""

    detail_serializer = OrderWithDeliveriesSerializer
    parts = (*orders.OrderViewSet.parts, "deliveries")

    @extend_schema(responses=TimelineEntrySerializer(many=True), filters=False)
    @action(detail=True, methods=["get"], filter_backends=(), pagination_class=None)
    def timeline(self, request: Request, pk: str) -> Response:
        """The order's story, oldest first: its history, the run that brought it, webhooks, attempts to deliver and
        failed records."""
        return Response(TimelineEntrySerializer(timeline_of(self.get_object()), many=True).data)
