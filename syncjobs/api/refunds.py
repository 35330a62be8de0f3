"""Refunds, with what movement knows about them: their deliveries."""

from __future__ import annotations

from drf_spectacular.utils import extend_schema, extend_schema_view

from carts.api import refunds
from carts.api.errors import ProblemSerializer
from syncjobs.api.deliveries import DeliverySerializer


class RefundWithDeliveriesSerializer(refunds.RefundDetailSerializer):
    """A return with everything that belongs to it."""

    deliveries = DeliverySerializer(many=True, read_only=True)

    class Meta(refunds.RefundDetailSerializer.Meta):
        fields = [*refunds.RefundDetailSerializer.Meta.fields, "deliveries"]
        read_only_fields = fields


CHANGED = extend_schema(responses={200: RefundWithDeliveriesSerializer, 409: ProblemSerializer})


@extend_schema_view(release=CHANGED, resend=CHANGED, cancel=CHANGED)
class RefundViewSet(refunds.RefundViewSet):
    """Returns of all carts, newest first."""

    detail_serializer = RefundWithDeliveriesSerializer
    parts = (*refunds.RefundViewSet.parts, "deliveries")
