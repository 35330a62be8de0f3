"""Stock documents, with what movement knows about them: their deliveries."""

from __future__ import annotations

from drf_spectacular.utils import extend_schema, extend_schema_view

from carts.api import consignments
from carts.api.errors import ProblemSerializer
from carts.models import StockAdjustment
from syncjobs.api.deliveries import DeliverySerializer


class AdjustmentWithDeliveriesSerializer(consignments.StockAdjustmentSerializer):
    """A stock adjustment with its lines and deliveries."""

    deliveries = DeliverySerializer(many=True, read_only=True)

    class Meta(consignments.StockAdjustmentSerializer.Meta):
        fields = [*consignments.StockAdjustmentSerializer.Meta.fields, "deliveries"]
        read_only_fields = fields


class StepWithDeliveriesSerializer(consignments.StockTransferStepSerializer):
    """One step, with its lines and deliveries."""

    deliveries = DeliverySerializer(many=True, read_only=True)

    class Meta(consignments.StockTransferStepSerializer.Meta):
        fields = [*consignments.StockTransferStepSerializer.Meta.fields, "deliveries"]
        read_only_fields = fields


class TransferWithDeliveriesSerializer(consignments.StockTransferDetailSerializer):
    """A stock transfer with everything that belongs to it."""

    steps = StepWithDeliveriesSerializer(many=True, read_only=True)


class ConsignmentWithDeliveriesSerializer(consignments.ConsignmentDetailSerializer):
    """A stock document with everything that belongs to it."""

    adjustments = AdjustmentWithDeliveriesSerializer(many=True, read_only=True)
    transfer = TransferWithDeliveriesSerializer(read_only=True, allow_null=True, default=None)


CONSIGNMENT = extend_schema(responses={200: ConsignmentWithDeliveriesSerializer, 409: ProblemSerializer})
ADJUSTMENT = extend_schema(responses={200: AdjustmentWithDeliveriesSerializer, 409: ProblemSerializer})
TRANSFER = extend_schema(responses={200: TransferWithDeliveriesSerializer, 409: ProblemSerializer})


@extend_schema_view(check=CONSIGNMENT, pass_on=CONSIGNMENT, take_back=CONSIGNMENT)
class ConsignmentViewSet(consignments.ConsignmentViewSet):
    """Stock documents of all shops, newest change first."""

    detail_serializer = ConsignmentWithDeliveriesSerializer
    parts = (*consignments.ConsignmentViewSet.parts, "adjustments__deliveries", "transfer__steps__deliveries")


@extend_schema_view(resend=ADJUSTMENT, cancel=ADJUSTMENT)
class StockAdjustmentViewSet(consignments.StockAdjustmentViewSet):
    """Stock adjustments for the warehouses, each with its lines and deliveries, newest first."""

    queryset = StockAdjustment.objects.prefetch_related("lines", "deliveries").order_by("-created_at", "-pk")
    list_serializer = AdjustmentWithDeliveriesSerializer
    detail_serializer = AdjustmentWithDeliveriesSerializer


@extend_schema_view(resend=TRANSFER, cancel=TRANSFER)
class StockTransferViewSet(consignments.StockTransferViewSet):
    """Stock transfers between locations, newest first."""

    detail_serializer = TransferWithDeliveriesSerializer
    parts = (*consignments.StockTransferViewSet.parts, "steps__deliveries")
