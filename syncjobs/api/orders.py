"""Orders, with what movement knows about them: their deliveries."""

from __future__ import annotations

from drf_spectacular.utils import extend_schema, extend_schema_view

from carts.api import orders
from carts.api.errors import ProblemSerializer
from syncjobs.api.deliveries import DeliverySerializer


class OrderWithDeliveriesSerializer(orders.OrderDetailSerializer):
    """An order with everything that belongs to it."""

    deliveries = DeliverySerializer(many=True, read_only=True)

    class Meta(orders.OrderDetailSerializer.Meta):
        fields = [*orders.OrderDetailSerializer.Meta.fields, "deliveries"]
        read_only_fields = fields


CHANGED = extend_schema(responses={200: OrderWithDeliveriesSerializer, 409: ProblemSerializer})


@extend_schema_view(partial_update=CHANGED, hold=CHANGED, release=CHANGED, resend=CHANGED, cancel=CHANGED)
class OrderViewSet(orders.OrderViewSet):
    """Orders of all carts, newest first."""

    detail_serializer = OrderWithDeliveriesSerializer
    parts = (*orders.OrderViewSet.parts, "deliveries")
