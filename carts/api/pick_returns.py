"""Returns that wait at a warehouse in the hub: listed, and received or given up by the WMS of a REST warehouse."""

from __future__ import annotations

from typing import Any

import django_filters
from drf_spectacular.utils import extend_schema
from rest_framework import serializers, viewsets
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response

from carts.api.errors import ProblemSerializer
from carts.api.fields import HubSerializer
from carts.api.filters import IdFilter, MomentFilter, StableOrderingFilter
from carts.api.pick_orders import check_worked_by_wms, given, told
from carts.api.scoping import MerchantScopedMixin, actor_of
from carts.models import PickReturn, PickReturnLine
from carts.warehouse_book import WarehouseBook


class PickReturnLineSerializer(HubSerializer):
    """`restocked` is null until the return is received."""

    class Meta:
        model = PickReturnLine
        fields = ["reference", "sku", "name", "quantity", "restocked"]


class PickReturnSerializer(HubSerializer):
    """Goods that come back. `restock` is what the shop says about selling them again, null when it does not say."""

    lines = PickReturnLineSerializer(many=True, read_only=True)

    class Meta:
        model = PickReturn
        fields = [
            "id",
            "warehouse",
            "location",
            "reference",
            "number",
            "order_number",
            "status",
            "cart_name",
            "customer_name",
            "reason",
            "restock",
            "placed_at",
            "announced_at",
            "closed_at",
            "closed_by",
            "lines",
        ]
        read_only_fields = fields


class ReceivedSerializer(serializers.Serializer):
    """What of the return goes back on the shelf."""

    restock = serializers.ListField(
        child=serializers.CharField(max_length=120),
        required=False,
        allow_null=True,
        default=None,
        help_text="References of the lines that may be sold again. Left out: all of them; empty: none.",
    )


class PickReturnFilter(django_filters.FilterSet):
    warehouse = IdFilter()
    location = IdFilter()
    status = django_filters.MultipleChoiceFilter(
        choices=PickReturn.Status.choices, distinct=False, label="May be given several times."
    )
    number = django_filters.CharFilter()
    reference = django_filters.CharFilter()
    announced_since = MomentFilter(field_name="announced_at", lookup_expr="gte")
    ordering = StableOrderingFilter(fields=["announced_at", "placed_at", "number"])


class PickReturnViewSet(MerchantScopedMixin, viewsets.ReadOnlyModelViewSet[PickReturn]):
    """Returns at all warehouses that are kept in the hub. Work on them is for REST warehouses."""

    queryset = PickReturn.objects.select_related("warehouse").prefetch_related("lines").order_by("announced_at", "pk")
    merchant_path = "warehouse__merchant"
    serializer_class = PickReturnSerializer
    filterset_class = PickReturnFilter
    http_method_names = ["get", "post", "head", "options"]

    @extend_schema(request=ReceivedSerializer, responses={200: PickReturnSerializer, 409: ProblemSerializer})
    @action(detail=True, methods=["post"])
    def receive(self, request: Request, pk: str) -> Response:
        """The goods came back. What goes back on the shelf is added to the stock."""
        wanted = given(ReceivedSerializer, request)

        def receive(book: WarehouseBook, pick_return: PickReturn) -> Any:
            return book.receive_return(pick_return, wanted["restock"], received_by=actor_of(request))

        return self.deal_with(receive)

    @extend_schema(request=None, responses={200: PickReturnSerializer, 409: ProblemSerializer})
    @action(detail=True, methods=["post"])
    def give_up(self, request: Request, pk: str) -> Response:
        """The goods do not come. Nothing is booked; the refund is cancelled."""
        return self.deal_with(lambda book, pick_return: book.give_up_return(pick_return, actor=actor_of(request)))

    def deal_with(self, change: Any) -> Response:
        pick_return: PickReturn = self.get_object()
        check_worked_by_wms(pick_return.warehouse)
        told(lambda: change(WarehouseBook(pick_return.warehouse_id), pick_return))
        return Response(PickReturnSerializer(self.get_queryset().get(pk=pick_return.pk)).data)
