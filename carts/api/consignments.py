"""Stock documents of the shops, and the adjustments and transfers made from them."""

from __future__ import annotations

from typing import Any, ClassVar

import django_filters
from django.db.models import Prefetch
from drf_spectacular.utils import extend_schema
from rest_framework import mixins, serializers, viewsets
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response

from carts import stock_flow
from carts.api.fields import HubSerializer
from carts.api.filters import IdFilter, MomentFilter, StableOrderingFilter
from carts.api.orders import ReasonSerializer, told
from carts.api.scoping import MerchantScopedMixin, actor_of
from carts.models import (
    Consignment,
    ConsignmentLine,
    StockAdjustment,
    StockAdjustmentLine,
    StockMovement,
    StockTransfer,
    StockTransferLine,
    StockTransferStep,
)
from carts.models.catalogue import sku_key

LINE_FIELDS = ["product_id_at_cart", "sku", "name", "quantity", "cost"]
DOCUMENT_FIELDS = [
    "warehouse",
    "reference",
    "source",
    "status",
    "problem",
    "happened_at",
    "created_at",
    "updated_at",
    "booked_at",
]


class ConsignmentSerializer(HubSerializer):
    """A stock document of a shop as lists show it. `state` is the shop's, `status` what the hub has done with it."""

    class Meta:
        model = Consignment
        fields = [
            "id",
            "cart",
            "source_cart",
            "external_id",
            "kind",
            "state",
            "remote_status",
            "number",
            "name",
            "status",
            "problem",
            "outlet_id_at_cart",
            "source_outlet_id_at_cart",
            "opened_at",
            "received_at",
            "changed_at",
            "stored_at",
            "updated_at",
            "taken_back_at",
        ]
        read_only_fields = fields


class ConsignmentLineSerializer(HubSerializer):
    """One article. `remark` says why nothing of it is passed on; `left_out`: although it moved stock."""

    class Meta:
        model = ConsignmentLine
        fields = [
            "position",
            "product_id_at_cart",
            "sku",
            "warehouse_sku",
            "name",
            "count",
            "received",
            "cost",
            "remark",
            "left_out",
        ]


class StockAdjustmentLineSerializer(HubSerializer):
    class Meta:
        model = StockAdjustmentLine
        fields = LINE_FIELDS


class StockAdjustmentSerializer(HubSerializer):
    """A change of levels at one location, with its lines. Quantities are signed."""

    lines = StockAdjustmentLineSerializer(many=True, read_only=True)

    class Meta:
        model = StockAdjustment
        fields = ["id", "consignment", "location", "effect", *DOCUMENT_FIELDS, "lines"]
        read_only_fields = fields


class StockTransferLineSerializer(HubSerializer):
    class Meta:
        model = StockTransferLine
        fields = LINE_FIELDS


class StockTransferStepSerializer(HubSerializer):
    """One step, told to the warehouse."""

    lines = StockTransferLineSerializer(many=True, read_only=True)

    class Meta:
        model = StockTransferStep
        fields = ["id", "step", *DOCUMENT_FIELDS, "lines"]
        read_only_fields = fields


class StockTransferSerializer(HubSerializer):
    """A transfer between two locations. `has_transit`: the warehouse books it in two steps."""

    class Meta:
        model = StockTransfer
        fields = [
            "id",
            "consignment",
            "warehouse",
            "from_location",
            "to_location",
            "has_transit",
            "reference",
            "status",
            "problem",
            "remote_id",
            "created_at",
            "updated_at",
        ]
        read_only_fields = fields


class StockTransferDetailSerializer(StockTransferSerializer):
    """With what the shop sent and received, and the steps that the warehouse was told."""

    lines = ConsignmentLineSerializer(source="consignment.lines", many=True, read_only=True)
    steps = StockTransferStepSerializer(many=True, read_only=True)

    class Meta(StockTransferSerializer.Meta):
        fields = [*StockTransferSerializer.Meta.fields, "lines", "steps"]
        read_only_fields = fields


class ConsignmentDetailSerializer(ConsignmentSerializer):
    """A stock document with its lines and the documents made from it."""

    lines = ConsignmentLineSerializer(many=True, read_only=True)
    adjustments = StockAdjustmentSerializer(many=True, read_only=True)
    transfer = StockTransferDetailSerializer(read_only=True, allow_null=True, default=None)

    class Meta(ConsignmentSerializer.Meta):
        fields = [*ConsignmentSerializer.Meta.fields, "lines", "adjustments", "transfer"]
        read_only_fields = fields


class ConsignmentFilter(django_filters.FilterSet):
    cart = IdFilter()
    source_cart = IdFilter()
    kind = django_filters.ChoiceFilter(choices=Consignment.Kind.choices)
    state = django_filters.ChoiceFilter(choices=Consignment.State.choices)
    status = django_filters.MultipleChoiceFilter(
        choices=Consignment.Status.choices, distinct=False, label="May be given several times."
    )
    number = django_filters.CharFilter()
    external_id = django_filters.CharFilter()
    updated_since = MomentFilter(field_name="updated_at", lookup_expr="gte")
    ordering = StableOrderingFilter(fields=["changed_at", "stored_at", "updated_at", "number", "status"])


class DetailMixin(MerchantScopedMixin):
    """A short form in lists, the whole one for one object."""

    detail_serializer: ClassVar[type[serializers.BaseSerializer[Any]]]
    list_serializer: ClassVar[type[serializers.BaseSerializer[Any]]]
    parts: ClassVar[tuple[str | Prefetch, ...]] = ()
    action: str

    def get_serializer_class(self) -> type[serializers.BaseSerializer[Any]]:
        return self.list_serializer if self.action == "list" else self.detail_serializer

    def show(self, obj: Any) -> Response:
        """The object with all its parts, as the database has it now."""
        fresh = self.get_queryset().prefetch_related(*self.parts).get(pk=obj.pk)
        context = self.get_serializer_context()  # type: ignore[attr-defined]
        return Response(self.detail_serializer(fresh, context=context).data)

    def retrieve(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        return self.show(self.get_object())


class ConsignmentViewSet(DetailMixin, viewsets.ReadOnlyModelViewSet[Consignment]):
    """Stock documents of all shops."""

    queryset = Consignment.objects.order_by("-changed_at", "-pk")
    filterset_class = ConsignmentFilter
    http_method_names = ["get", "post", "head", "options"]
    list_serializer = ConsignmentSerializer
    detail_serializer = ConsignmentDetailSerializer
    parts: ClassVar[tuple[str | Prefetch, ...]] = (
        "lines",
        "adjustments__lines",
        "transfer__steps__lines",
        "transfer__consignment__lines",
    )

    @extend_schema(request=None)
    @action(detail=True, methods=["post"])
    def check(self, request: Request, pk: str) -> Response:
        """Reads the document again from the shop, soon, and sends what is missing."""
        consignment = self.get_object()
        told(lambda: stock_flow.check_again(consignment.pk, actor_of(request)))
        return self.show(consignment)

    @extend_schema(request=None)
    @action(detail=True, methods=["post"])
    def pass_on(self, request: Request, pk: str) -> Response:
        """Lets a document go to the warehouse that was finished before the function was switched on."""
        consignment = self.get_object()
        told(lambda: stock_flow.pass_on(consignment.pk, actor_of(request)))
        return self.show(consignment)

    @extend_schema(request=None)
    @action(detail=True, methods=["post"])
    def take_back(self, request: Request, pk: str) -> Response:
        """Has the warehouse undo what was passed on of a document that the shop has cancelled."""
        consignment = self.get_object()
        told(lambda: stock_flow.take_back(consignment.pk, actor_of(request)))
        return self.show(consignment)


class StockAdjustmentFilter(django_filters.FilterSet):
    consignment = IdFilter()
    warehouse = IdFilter()
    location = IdFilter()
    status = django_filters.MultipleChoiceFilter(
        choices=StockAdjustment.Status.choices, distinct=False, label="May be given several times."
    )
    source = django_filters.ChoiceFilter(choices=StockAdjustment.Source.choices)
    reference = django_filters.CharFilter()
    updated_since = MomentFilter(field_name="updated_at", lookup_expr="gte")
    ordering = StableOrderingFilter(fields=["created_at", "updated_at", "happened_at", "status"])


class StockAdjustmentViewSet(DetailMixin, viewsets.ReadOnlyModelViewSet[StockAdjustment]):
    """Stock adjustments, each with its lines."""

    queryset = StockAdjustment.objects.prefetch_related("lines").order_by("-created_at", "-pk")
    filterset_class = StockAdjustmentFilter
    http_method_names = ["get", "post", "head", "options"]
    list_serializer = StockAdjustmentSerializer
    detail_serializer = StockAdjustmentSerializer

    @extend_schema(request=None)
    @action(detail=True, methods=["post"])
    def resend(self, request: Request, pk: str) -> Response:
        """Sends the adjustment (again), unless the warehouse has it already."""
        adjustment = self.get_object()
        told(lambda: stock_flow.resend(adjustment, actor_of(request)))
        return self.show(adjustment)

    @extend_schema(request=ReasonSerializer)
    @action(detail=True, methods=["post"])
    def cancel(self, request: Request, pk: str) -> Response:
        """It never goes out, and nothing takes its place: the warehouse was corrected in another way."""
        adjustment = self.get_object()
        given = ReasonSerializer(data=request.data)
        given.is_valid(raise_exception=True)
        told(lambda: stock_flow.cancel(adjustment, given.validated_data["reason"], actor_of(request)))
        return self.show(adjustment)


class StockTransferFilter(django_filters.FilterSet):
    consignment = IdFilter()
    warehouse = IdFilter()
    from_location = IdFilter()
    to_location = IdFilter()
    status = django_filters.MultipleChoiceFilter(
        choices=StockTransfer.Status.choices, distinct=False, label="May be given several times."
    )
    reference = django_filters.CharFilter()
    updated_since = MomentFilter(field_name="updated_at", lookup_expr="gte")
    ordering = StableOrderingFilter(fields=["created_at", "updated_at", "status"])


class StockTransferViewSet(DetailMixin, viewsets.ReadOnlyModelViewSet[StockTransfer]):
    """Stock transfers between locations."""

    queryset = StockTransfer.objects.order_by("-created_at", "-pk")
    filterset_class = StockTransferFilter
    http_method_names = ["get", "post", "head", "options"]
    list_serializer = StockTransferSerializer
    detail_serializer = StockTransferDetailSerializer
    parts: ClassVar[tuple[str | Prefetch, ...]] = ("consignment__lines", "steps__lines")

    @extend_schema(request=None)
    @action(detail=True, methods=["post"])
    def resend(self, request: Request, pk: str) -> Response:
        """Sends the steps again that the warehouse refused."""
        transfer = self.get_object()
        told(lambda: stock_flow.resend_transfer(transfer.pk, actor_of(request)))
        return self.show(transfer)

    @extend_schema(request=ReasonSerializer)
    @action(detail=True, methods=["post"])
    def cancel(self, request: Request, pk: str) -> Response:
        """What the warehouse was not told yet never goes out: it was corrected in another way."""
        transfer = self.get_object()
        given = ReasonSerializer(data=request.data)
        given.is_valid(raise_exception=True)
        told(lambda: stock_flow.cancel_transfer(transfer.pk, given.validated_data["reason"], actor_of(request)))
        return self.show(transfer)


class StockMovementSerializer(HubSerializer):
    """One change of what lies on a shelf of a built-in warehouse. `on_hand` and `available` are what was there after it."""

    warehouse = serializers.IntegerField(source="location.warehouse_id", read_only=True)

    class Meta:
        model = StockMovement
        fields = [
            "id",
            "warehouse",
            "location",
            "sku",
            "cause",
            "quantity",
            "on_hand",
            "available",
            "document",
            "note",
            "actor",
            "moved_at",
            "counted_at",
        ]
        read_only_fields = fields


class StockMovementFilter(django_filters.FilterSet):
    warehouse = IdFilter(field_name="location__warehouse")
    location = IdFilter()
    sku = django_filters.CharFilter(method="with_sku", label="Upper and lower case alike.")
    cause = django_filters.ChoiceFilter(choices=StockMovement.Cause.choices)
    document = django_filters.CharFilter()
    moved_since = MomentFilter(field_name="moved_at", lookup_expr="gte")

    def with_sku(self, rows: Any, name: str, sku: str) -> Any:
        return rows.filter(sku_key=sku_key(sku))


class StockMovementViewSet(MerchantScopedMixin, mixins.ListModelMixin, viewsets.GenericViewSet):
    """The ledger of the built-in warehouses: every change of what lies on a shelf, with its cause, newest first."""

    queryset = StockMovement.objects.select_related("location").order_by("-moved_at", "-pk")
    merchant_path = "location__warehouse__merchant"
    serializer_class = StockMovementSerializer
    filterset_class = StockMovementFilter
