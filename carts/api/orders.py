"""Orders: found, read, changed while unsent, and moved through their life by ``carts.order_flow``."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any, ClassVar

import django_filters
from django.db.models import Prefetch, Q, QuerySet
from drf_spectacular.utils import extend_schema, extend_schema_field
from rest_framework import mixins, serializers, viewsets
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response

from carts import change_flow, order_flow
from carts.api.errors import Conflict, ProblemSerializer
from carts.api.fields import AddressSerializer, HubSerializer
from carts.api.filters import IdFilter, MomentFilter, StableOrderingFilter
from carts.api.scoping import MerchantScopedMixin, actor_of
from carts.api.shipments import NewShipmentSerializer, ShipmentSerializer, book_shipment
from carts.change_flow import OPEN, last_word
from carts.models import Customer, Order, OrderChange, OrderEvent, OrderLine, Shipment, ShipmentLine
from carts.order_edits import EditInvalid, change_unsent
from carts.order_flow import TransitionRefused
from carts.order_search import find_orders, since


class OrderSerializer(HubSerializer):
    """An order as lists show it. Totals are as the cart sent them."""

    class Meta:
        model = Order
        fields = [
            "id",
            "cart",
            "warehouse",
            "location",
            "external_id",
            "number",
            "reference",
            "status",
            "problem",
            "remote_status",
            "currency",
            "subtotal",
            "discount_total",
            "shipping_total",
            "tax_total",
            "total",
            "unexplained",
            "customer",
            "customer_name",
            "customer_email",
            "ship_method",
            "note",
            "placed_at",
            "stored_at",
            "updated_at",
            "at_warehouse_at",
            "shipped_at",
            "confirmed_at",
            "cancelled_at",
            "cancel_requested_at",
            "cancel_reason",
        ]
        read_only_fields = fields


class OrderLineSerializer(HubSerializer):
    class Meta:
        model = OrderLine
        fields = [
            "id",
            "position",
            "external_id",
            "product_id_at_cart",
            "sku",
            "warehouse_sku",
            "name",
            "quantity",
            "shipped",
            "unit_price",
            "discount",
            "tax",
            "total",
            "note",
            "ships",
        ]


class OrderEventSerializer(HubSerializer):
    class Meta:
        model = OrderEvent
        fields = ["at", "actor", "kind", "message"]


class PaymentSerializer(serializers.Serializer):
    name = serializers.CharField()
    amount = serializers.CharField()
    paid_at = serializers.DateTimeField(allow_null=True)
    kind = serializers.CharField()

    def to_representation(self, instance: dict[str, Any]) -> dict[str, Any]:
        return dict(instance)


class ChargeSerializer(serializers.Serializer):
    kind = serializers.CharField()
    name = serializers.CharField()
    amount = serializers.CharField()
    tax = serializers.CharField()

    def to_representation(self, instance: dict[str, Any]) -> dict[str, Any]:
        return dict(instance)


class OrderChangeShownSerializer(HubSerializer):
    """What the shop changed after the order had been sent."""

    differences = serializers.ListField(child=serializers.CharField(), help_text="In words, one each.")

    class Meta:
        model = OrderChange
        fields = ["id", "version", "status", "differences", "problem", "created_at", "settled_at", "settled_by"]
        read_only_fields = fields


class OrderDetailSerializer(OrderSerializer):
    """An order with everything that belongs to it."""

    ship_to = AddressSerializer(read_only=True)
    bill_to = AddressSerializer(read_only=True)
    payments = PaymentSerializer(many=True, read_only=True)
    charges = ChargeSerializer(many=True, read_only=True)
    lines = OrderLineSerializer(many=True, read_only=True)
    shipments = ShipmentSerializer(many=True, read_only=True)
    history = OrderEventSerializer(source="events", many=True, read_only=True)
    pending_change = serializers.SerializerMethodField(
        help_text="What the shop says now and the warehouse does not know, or was not told; null when there is nothing."
    )

    class Meta(OrderSerializer.Meta):
        fields = [
            *OrderSerializer.Meta.fields,
            "ship_to",
            "bill_to",
            "payments",
            "charges",
            "lines",
            "shipments",
            "history",
            "pending_change",
        ]
        read_only_fields = fields

    @extend_schema_field(OrderChangeShownSerializer(allow_null=True))
    def get_pending_change(self, order: Order) -> dict[str, Any] | None:
        change = last_word(order)
        return OrderChangeShownSerializer(change).data if change is not None else None


class LineChangeSerializer(serializers.Serializer):
    id = serializers.IntegerField()
    sku = serializers.CharField(max_length=200, help_text="As the warehouse knows it.")


class OrderChangeSerializer(serializers.Serializer):
    """What may be changed while an order is not sent. Parts of the address and lines that are left out stay as they
    are."""

    ship_to = AddressSerializer(required=False)
    ship_method = serializers.CharField(required=False, allow_blank=True, max_length=120)
    note = serializers.CharField(required=False, allow_blank=True, max_length=5000)
    lines = LineChangeSerializer(many=True, required=False)

    def changes(self) -> dict[str, Any]:
        """As ``carts.order_edits.change_unsent`` takes them."""
        given = self.validated_data
        skus = {line["id"]: line["sku"] for line in given.get("lines", ())}
        return {**{name: given.get(name) for name in ("ship_to", "ship_method", "note")}, "skus": skus}


class ReasonSerializer(serializers.Serializer):
    reason = serializers.CharField(required=False, allow_blank=True, default="", max_length=300)


class OrderFilter(django_filters.FilterSet):
    cart = IdFilter()
    warehouse = IdFilter()
    location = IdFilter()
    customer = IdFilter(method="of_customer", label="Orders of customers that were merged into this one included.")
    status = django_filters.MultipleChoiceFilter(
        choices=Order.Status.choices, distinct=False, label="May be given several times."
    )
    pending_change = django_filters.ChoiceFilter(
        choices=[(state.value, state.label) for state in OPEN],
        method="with_change",
        label="Changed in the cart after it was sent: waiting, sending, or held for a decision.",
    )
    number = django_filters.CharFilter()
    external_id = django_filters.CharFilter()
    reference = django_filters.CharFilter()
    updated_since = MomentFilter(method="changed_since", label="Stored or changed since then.")
    placed_after = MomentFilter(field_name="placed_at", lookup_expr="gte")
    placed_before = MomentFilter(field_name="placed_at", lookup_expr="lt")
    search = django_filters.CharFilter(
        method="find",
        label="Words, or their beginnings, of number, customer's name and e-mail; a whole external id or reference; or how a "
        "SKU begins.",
    )
    # By what an index answers; orders get their ids as they are stored.
    ordering = StableOrderingFilter(fields={"placed_at": "placed_at", "pk": "stored_at", "updated_at": "updated_at"})

    def of_customer(self, rows: QuerySet[Order], name: str, customer_id: int) -> QuerySet[Order]:
        people = Customer.objects.filter(Q(pk=customer_id) | Q(survivor=customer_id))
        return rows.filter(customer__in=people.order_by().values("pk"))

    def with_change(self, rows: QuerySet[Order], name: str, state: str) -> QuerySet[Order]:
        return rows.filter(pk__in=OrderChange.objects.filter(status=state).order_by().values("order_id"))

    def changed_since(self, rows: QuerySet[Order], name: str, moment: datetime) -> QuerySet[Order]:
        return since(rows, moment)

    def find(self, rows: QuerySet[Order], name: str, text: str) -> QuerySet[Order]:
        return find_orders(rows, text)


SHIPMENTS = Shipment.objects.prefetch_related(
    Prefetch("lines", ShipmentLine.objects.select_related("order_line").order_by("pk"))
)


class OrderViewSet(
    MerchantScopedMixin,
    mixins.ListModelMixin,
    mixins.RetrieveModelMixin,
    mixins.UpdateModelMixin,
    viewsets.GenericViewSet,
):
    """Orders of all carts."""

    queryset = Order.objects.order_by("-placed_at", "-pk")
    filterset_class = OrderFilter
    http_method_names = ["get", "post", "patch", "head", "options"]
    detail_serializer: ClassVar[type[serializers.BaseSerializer[Any]]] = OrderDetailSerializer
    # What the detail shows beside the order itself; a constant number of queries.
    parts: ClassVar[tuple[str | Prefetch, ...]] = ("lines", "events", Prefetch("shipments", SHIPMENTS))

    def get_queryset(self) -> QuerySet[Order]:
        rows = super().get_queryset()
        # Lists leave out the wide columns.
        return rows.defer("ship_to", "bill_to", "payments", "charges") if self.action == "list" else rows

    def get_serializer_class(self) -> type[serializers.BaseSerializer[Any]]:
        return OrderSerializer if self.action == "list" else self.detail_serializer

    def show(self, order: Order) -> Response:
        """The order with all its parts, as the database has it now."""
        fresh = self.get_queryset().prefetch_related(*self.parts).get(pk=order.pk)
        return Response(self.detail_serializer(fresh, context=self.get_serializer_context()).data)

    def retrieve(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        return self.show(self.get_object())

    @extend_schema(request=OrderChangeSerializer)
    def partial_update(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        """Changes address, ship method, note or SKUs of an order that was not sent yet."""
        order = self.get_object()
        wanted = OrderChangeSerializer(data=request.data)
        wanted.is_valid(raise_exception=True)
        try:
            told(lambda: change_unsent(order.pk, actor_of(request), **wanted.changes()))
        except EditInvalid as invalid:
            raise serializers.ValidationError(invalid.errors) from invalid
        return self.show(order)

    @extend_schema(request=ReasonSerializer)
    @action(detail=True, methods=["post"])
    def hold(self, request: Request, pk: str) -> Response:
        """Keeps an unsent order here until it is released."""
        order, reason = self.get_object(), self.reason(request)
        told(lambda: order_flow.hold(order.pk, reason, actor_of(request)))
        return self.show(order)

    @extend_schema(request=None)
    @action(detail=True, methods=["post"])
    def release(self, request: Request, pk: str) -> Response:
        """Lets a held or failed order go to the warehouse."""
        order = self.get_object()
        told(lambda: order_flow.release(order.pk, actor_of(request)))
        return self.show(order)

    @extend_schema(request=None)
    @action(detail=True, methods=["post"])
    def resend(self, request: Request, pk: str) -> Response:
        """Sends the order (again), unless the warehouse has it already."""
        order = self.get_object()
        told(lambda: order_flow.resend(order.pk, actor_of(request)))
        return self.show(order)

    @extend_schema(request=ReasonSerializer)
    @action(detail=True, methods=["post"])
    def cancel(self, request: Request, pk: str) -> Response:
        """Cancels the order. One that was not sent never goes out; else the warehouse is asked to cancel it."""
        order, reason = self.get_object(), self.reason(request)
        told(lambda: order_flow.cancel(order.pk, reason, actor_of(request)))
        return self.show(order)

    @extend_schema(request=None)
    @action(detail=True, methods=["post"], url_path="resend-change")
    def resend_change(self, request: Request, pk: str) -> Response:
        """Sends a change that is held to the warehouse again."""
        order = self.get_object()
        told(lambda: change_flow.resend(order.pk, actor_of(request)))
        return self.show(order)

    @extend_schema(request=None)
    @action(detail=True, methods=["post"], url_path="keep-as-sent")
    def keep_as_sent(self, request: Request, pk: str) -> Response:
        """Settles a change that is held: the order stays as the warehouse has it."""
        order = self.get_object()
        told(lambda: change_flow.keep_as_sent(order.pk, actor_of(request)))
        return self.show(order)

    @extend_schema(responses=ShipmentSerializer(many=True), filters=False)
    @action(detail=True, methods=["get"], filter_backends=())
    def shipments(self, request: Request, pk: str) -> Response:
        """What was shipped of this order."""
        page = self.paginate_queryset(SHIPMENTS.filter(order=self.get_object()).order_by("shipped_at", "pk"))
        return self.get_paginated_response(ShipmentSerializer(page, many=True).data)

    @extend_schema(
        request=NewShipmentSerializer,
        responses={200: ShipmentSerializer, 201: ShipmentSerializer, 409: ProblemSerializer},
    )
    @shipments.mapping.post
    def add_shipment(self, request: Request, pk: str) -> Response:
        """Books a shipment: everything that is open, or the given lines. The same `idempotency_key` books only once and
        is answered with the shipment of then (200)."""
        order = self.get_object()
        wanted = NewShipmentSerializer(data=request.data)
        wanted.is_valid(raise_exception=True)
        shipment, is_new = book_shipment(order.pk, wanted.validated_data, actor_of(request))
        shown = ShipmentSerializer(SHIPMENTS.get(pk=shipment.pk))
        return Response(shown.data, status=201 if is_new else 200)

    @staticmethod
    def reason(request: Request) -> str:
        given = ReasonSerializer(data=request.data)
        given.is_valid(raise_exception=True)
        return str(given.validated_data["reason"])


def told(change: Callable[[], object]) -> None:
    """A change that the order's state does not allow is answered with 409 and the reason."""
    try:
        change()
    except TransitionRefused as refusal:
        raise Conflict(str(refusal)) from refusal
