"""The work of a REST warehouse's WMS: orders fetched under a lease, acknowledged, shipped in cartons, refused; and its
answers to cancellations. Everything is written into the warehouse's book; the hub's orders follow by themselves."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from decimal import Decimal
from typing import Any

import django_filters
from django.db import transaction
from django.db.models import QuerySet
from django.utils import timezone
from drf_spectacular.utils import extend_schema
from rest_framework import serializers, viewsets
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response

from carts import book_leases
from carts.api.errors import Conflict, ProblemSerializer
from carts.api.fields import AddressSerializer, HubSerializer, QuantityText
from carts.api.filters import IdFilter, MomentFilter, StableOrderingFilter
from carts.api.scoping import LARGEST_ID, MerchantScopedMixin, ScopedRelatedField, actor_of
from carts.api.shipments import SMALLEST_QUANTITY
from carts.book_checks import BookError
from carts.book_leases import LONGEST_HOLDER, LONGEST_LEASE, MOST_AT_ONCE, SHORTEST_LEASE, USUAL_LEASE
from carts.book_stock import lock_book
from carts.models import Location, PickLine, PickOrder, PickShipment, PickShipmentLine, Warehouse
from carts.models.catalogue import sku_key
from carts.models.fields import plain_decimal
from carts.warehouse_book import WarehouseBook

MOST_ACKNOWLEDGED = 1000
MOST_CARTONS = 200


# What is shown


class PickLineSerializer(HubSerializer):
    """A line to pick. `open` is what is still to be shipped."""

    open = QuantityText(source="open_quantity", read_only=True)

    class Meta:
        model = PickLine
        fields = ["reference", "sku", "name", "quantity", "shipped", "open", "note"]


class CartonLineSerializer(HubSerializer):
    line = serializers.CharField(source="pick_line.reference")
    sku = serializers.CharField(source="pick_line.sku")

    class Meta:
        model = PickShipmentLine
        fields = ["line", "sku", "quantity"]


class CartonSerializer(HubSerializer):
    """A carton that left."""

    lines = CartonLineSerializer(many=True)

    class Meta:
        model = PickShipment
        fields = [
            "id",
            "carrier",
            "method",
            "tracking_number",
            "tracking_url",
            "shipped_at",
            "shipped_by",
            "booked_at",
            "idempotency_key",
            "lines",
        ]


class PickOrderSerializer(HubSerializer):
    """An order on the list of a warehouse. `reference` is unique for ever; `number` is what the customer knows."""

    ship_to = AddressSerializer(read_only=True)
    lines = PickLineSerializer(many=True, read_only=True)
    cartons = CartonSerializer(source="shipments", many=True, read_only=True)
    answer = serializers.CharField(
        read_only=True, help_text="What the WMS said: refused, held, cancelled or cancellation_refused; empty: nothing."
    )

    class Meta:
        model = PickOrder
        fields = [
            "id",
            "warehouse",
            "location",
            "reference",
            "number",
            "status",
            "cart_name",
            "customer_name",
            "ship_to",
            "ship_method",
            "note",
            "placed_at",
            "received_at",
            "updated_at",
            "lease_holder",
            "lease_until",
            "fetched_at",
            "acknowledged_at",
            "wms_id",
            "cancel_requested_at",
            "cancel_reason",
            "answer",
            "answer_reason",
            "answered_at",
            "lines",
            "cartons",
        ]
        read_only_fields = fields


# What is sent


def holder_field(required: bool = False, help_text: str = "") -> serializers.CharField:
    if required:
        return serializers.CharField(max_length=LONGEST_HOLDER, help_text=help_text or "Who holds the lease.")
    return serializers.CharField(
        required=False,
        default="",
        allow_blank=True,
        max_length=LONGEST_HOLDER,
        help_text="Who holds the lease. Needed while there is one.",
    )


def seconds_field() -> serializers.IntegerField:
    return serializers.IntegerField(
        required=False,
        default=int(USUAL_LEASE.total_seconds()),
        min_value=int(SHORTEST_LEASE.total_seconds()),
        max_value=int(LONGEST_LEASE.total_seconds()),
        help_text="How long the lease holds.",
    )


class LeaseSerializer(serializers.Serializer):
    """Which orders are wanted, and who takes them."""

    warehouse = ScopedRelatedField(queryset=Warehouse.objects.all())
    location = ScopedRelatedField(
        queryset=Location.objects.all(),
        merchant_path="warehouse__merchant",
        required=False,
        allow_null=True,
        help_text="Left out: all locations of the warehouse.",
    )
    holder = holder_field(required=True, help_text="A name of your own for this picker. Two pickers have two names.")
    limit = serializers.IntegerField(
        required=False, default=20, min_value=1, max_value=MOST_AT_ONCE, help_text="How many this picker wants to hold."
    )
    seconds = seconds_field()

    def validate(self, given: dict[str, Any]) -> dict[str, Any]:
        place = given.get("location")
        if place is not None and place.warehouse_id != given["warehouse"].pk:
            raise serializers.ValidationError({"location": ["This location belongs to another warehouse."]})
        return given


class HoldSerializer(serializers.Serializer):
    holder = holder_field(required=True)
    seconds = seconds_field()


class ReleaseSerializer(serializers.Serializer):
    holder = holder_field()


class AcknowledgedOrderSerializer(serializers.Serializer):
    id = serializers.IntegerField(min_value=0, max_value=LARGEST_ID)
    wms_id = serializers.CharField(
        required=False, default="", allow_blank=True, max_length=200, help_text="Your own id of the order."
    )


class AcknowledgementSerializer(serializers.Serializer):
    """Orders that the WMS has stored."""

    warehouse = ScopedRelatedField(queryset=Warehouse.objects.all())
    holder = holder_field()
    orders = AcknowledgedOrderSerializer(many=True, allow_empty=False, max_length=MOST_ACKNOWLEDGED)


class AcknowledgedSerializer(serializers.Serializer):
    acknowledged = serializers.IntegerField()


class NewCartonLineSerializer(serializers.Serializer):
    """One of `line` and `sku` says what lies in the carton."""

    line = serializers.CharField(required=False, max_length=120, help_text="The reference of the order's line.")
    sku = serializers.CharField(required=False, max_length=200)
    quantity = QuantityText(min_value=SMALLEST_QUANTITY)

    def validate(self, given: dict[str, Any]) -> dict[str, Any]:
        if ("sku" in given) == ("line" in given):
            raise serializers.ValidationError({"sku": ["Give either the SKU or the reference of the order's line."]})
        return given


class NewCartonSerializer(serializers.Serializer):
    """A carton. Without `lines`: everything that is still open, which only the last carton can hold."""

    idempotency_key = serializers.CharField(
        max_length=100, help_text="A text of your own for this carton. Sending it again never books twice."
    )
    carrier = serializers.CharField(required=False, allow_blank=True, default="", max_length=120)
    method = serializers.CharField(required=False, allow_blank=True, default="", max_length=120)
    tracking_number = serializers.CharField(required=False, allow_blank=True, default="", max_length=200)
    tracking_url = serializers.URLField(required=False, allow_blank=True, default="", max_length=500)
    shipped_at = serializers.DateTimeField(required=False, help_text="Left out: now.")
    lines = NewCartonLineSerializer(many=True, required=False, allow_empty=False)


class ShippingSerializer(serializers.Serializer):
    """What left. All cartons are booked, or none."""

    holder = holder_field()
    cartons = NewCartonSerializer(many=True, allow_empty=False, max_length=MOST_CARTONS)

    def validate_cartons(self, cartons: list[dict[str, Any]]) -> list[dict[str, Any]]:
        keys = [carton["idempotency_key"] for carton in cartons]
        if len(set(keys)) < len(keys):
            raise serializers.ValidationError("Two cartons have the same idempotency_key.")
        if any("lines" not in carton for carton in cartons[:-1]):
            raise serializers.ValidationError("Only the last carton may do without lines.")
        return cartons


class RefusalSerializer(serializers.Serializer):
    """Why the order will not be shipped."""

    holder = holder_field()
    reason = serializers.CharField(max_length=500)
    hold = serializers.BooleanField(
        required=False, default=False, help_text="The order is held for a person instead of being in error."
    )


class CancellationAnswerSerializer(serializers.Serializer):
    accepted = serializers.BooleanField()
    reason = serializers.CharField(required=False, default="", allow_blank=True, max_length=500)


class PickOrderFilter(django_filters.FilterSet):
    warehouse = IdFilter()
    location = IdFilter()
    status = django_filters.MultipleChoiceFilter(
        choices=PickOrder.Status.choices, distinct=False, label="May be given several times."
    )
    number = django_filters.CharFilter()
    reference = django_filters.CharFilter()
    wms_id = django_filters.CharFilter()
    acknowledged = django_filters.BooleanFilter(field_name="acknowledged_at", lookup_expr="isnull", exclude=True)
    cancellation = django_filters.BooleanFilter(
        field_name="cancel_requested_at", lookup_expr="isnull", exclude=True, label="Is to be cancelled: answer it."
    )
    updated_since = MomentFilter(field_name="updated_at", lookup_expr="gte")
    ordering = StableOrderingFilter(fields=["received_at", "updated_at", "placed_at", "number"])


class PickOrderViewSet(MerchantScopedMixin, viewsets.ReadOnlyModelViewSet[PickOrder]):
    """The lists of all warehouses that are kept in the hub. Work on them is for REST warehouses."""

    queryset = PickOrder.objects.select_related("warehouse").order_by("received_at", "pk")
    merchant_path = "warehouse__merchant"
    serializer_class = PickOrderSerializer
    filterset_class = PickOrderFilter
    http_method_names = ["get", "post", "head", "options"]
    parts = ("lines", "shipments__lines__pick_line")

    def get_queryset(self) -> QuerySet[PickOrder]:
        rows = super().get_queryset()
        return rows.prefetch_related(*self.parts) if self.request.method in ("GET", "HEAD") else rows

    def show(self, pick_order: PickOrder, status: int = 200) -> Response:
        """The order as the database has it now."""
        fresh = self.get_queryset().prefetch_related(*self.parts).get(pk=pick_order.pk)
        return Response(PickOrderSerializer(fresh).data, status=status)

    def worked_on(self) -> PickOrder:
        pick_order: PickOrder = self.get_object()
        check_worked_by_wms(pick_order.warehouse)
        return pick_order

    @extend_schema(
        request=LeaseSerializer, responses={200: PickOrderSerializer(many=True), 409: ProblemSerializer}, filters=False
    )
    @action(detail=False, methods=["post"], filter_backends=(), pagination_class=None)
    def lease(self, request: Request) -> Response:
        """Takes orders that are ready to ship, the oldest first. What this holder has already comes first, so that a
        lost answer loses nothing."""
        wanted = given(LeaseSerializer, request)
        warehouse, place = wanted["warehouse"], wanted.get("location")
        check_worked_by_wms(warehouse)
        orders = book_leases.lease(
            warehouse.pk,
            wanted["holder"],
            wanted["limit"],
            timedelta(seconds=wanted["seconds"]),
            place.pk if place is not None else None,
        )
        return Response(PickOrderSerializer(orders, many=True).data)

    @extend_schema(
        request=AcknowledgementSerializer,
        responses={200: AcknowledgedSerializer, 409: ProblemSerializer},
        filters=False,
    )
    @action(detail=False, methods=["post"], filter_backends=(), pagination_class=None)
    def acknowledge(self, request: Request) -> Response:
        """The WMS has stored these orders and answers for them from now on: they are not offered again. All or none."""
        wanted = given(AcknowledgementSerializer, request)
        check_worked_by_wms(wanted["warehouse"])
        wms_ids = {one["id"]: one["wms_id"] for one in wanted["orders"]}
        told(lambda: book_leases.acknowledge(wanted["warehouse"].pk, wms_ids, wanted["holder"]))
        return Response({"acknowledged": len(wms_ids)})

    @extend_schema(request=HoldSerializer, responses={200: PickOrderSerializer, 409: ProblemSerializer})
    @action(detail=True, methods=["post"])
    def renew(self, request: Request, pk: str) -> Response:
        """Holds the order longer."""
        pick_order, wanted = self.worked_on(), given(HoldSerializer, request)
        told(lambda: book_leases.renew(pick_order, wanted["holder"], timedelta(seconds=wanted["seconds"])))
        return self.show(pick_order)

    @extend_schema(request=ReleaseSerializer, responses={200: PickOrderSerializer, 409: ProblemSerializer})
    @action(detail=True, methods=["post"])
    def release(self, request: Request, pk: str) -> Response:
        """Gives the order back, leased or acknowledged: it is offered again."""
        pick_order, wanted = self.worked_on(), given(ReleaseSerializer, request)
        told(lambda: book_leases.release(pick_order, wanted["holder"]))
        return self.show(pick_order)

    @extend_schema(
        request=ShippingSerializer,
        responses={200: PickOrderSerializer, 201: PickOrderSerializer, 409: ProblemSerializer},
    )
    @action(detail=True, methods=["post"])
    def ship(self, request: Request, pk: str) -> Response:
        """Books cartons that left, each once for its `idempotency_key`: 201, or 200 when all of them were booked before.
        What is not in them stays open."""
        pick_order, wanted = self.worked_on(), given(ShippingSerializer, request)
        booked = told(lambda: ship_cartons(pick_order, wanted, actor_of(request)))
        return self.show(pick_order, 201 if booked else 200)

    @extend_schema(request=RefusalSerializer, responses={200: PickOrderSerializer, 409: ProblemSerializer})
    @action(detail=True, methods=["post"])
    def refuse(self, request: Request, pk: str) -> Response:
        """Will not be shipped. The hub shows the reason to a person, who corrects the order and sends it again, or
        cancels it."""
        pick_order, wanted = self.worked_on(), given(RefusalSerializer, request)
        told(lambda: book_leases.refuse(pick_order, wanted["holder"], wanted["reason"], hold=wanted["hold"]))
        return self.show(pick_order)

    @extend_schema(request=CancellationAnswerSerializer, responses={200: PickOrderSerializer, 409: ProblemSerializer})
    @action(detail=True, methods=["post"])
    def cancellation(self, request: Request, pk: str) -> Response:
        """Answers a cancellation: `cancel_requested_at` says that one was asked for."""
        pick_order, wanted = self.worked_on(), given(CancellationAnswerSerializer, request)
        told(lambda: book_leases.answer_cancellation(pick_order, wanted["accepted"], wanted["reason"]))
        return self.show(pick_order)


def given(kind: type[serializers.Serializer], request: Request) -> dict[str, Any]:
    wanted = kind(data=request.data, context={"request": request})
    wanted.is_valid(raise_exception=True)
    return dict(wanted.validated_data)


def told(change: Callable[[], Any]) -> Any:
    """What the book does not allow is answered with 409 and the reason."""
    try:
        return change()
    except BookError as error:
        raise Conflict(f"{error} {error.fix}".strip()) from error


def check_worked_by_wms(warehouse: Warehouse) -> None:
    if not warehouse.connector_class.worked_by_wms:
        raise Conflict(
            f"{warehouse} is no REST warehouse: people work on its list, and shipments are reported on orders."
        )


def ship_cartons(pick_order: PickOrder, wanted: Mapping[str, Any], actor: str) -> int:
    """Books the cartons that were not booked before; returns how many. Raises ``BookError`` or field errors."""
    book = WarehouseBook(pick_order.warehouse_id)
    with transaction.atomic():
        lock_book(pick_order.warehouse_id)
        current = PickOrder.objects.get(pk=pick_order.pk)
        known = set(current.shipments.exclude(idempotency_key="").values_list("idempotency_key", flat=True))
        new = [carton for carton in wanted["cartons"] if carton["idempotency_key"] not in known]
        for number, carton in enumerate(new):
            if not number:
                # A carton that is known is answered whoever holds the order now.
                book_leases.open_order(current, wanted["holder"], timezone.now())
            lines = list(current.lines.all())
            book.ship(
                current,
                quantities(lines, carton["lines"]) if "lines" in carton else None,
                **{name: carton[name] for name in ("carrier", "method", "tracking_number", "tracking_url")},
                shipped_by=actor,
                shipped_at=carton.get("shipped_at"),
                idempotency_key=carton["idempotency_key"],
            )
        return len(new)


def quantities(lines: Sequence[PickLine], wanted: Sequence[Mapping[str, Any]]) -> dict[str, Decimal]:
    """Line reference -> how much. A SKU that stands in several lines fills them one after the other. Raises field errors
    for what the order does not have, or not so much of."""
    chosen: dict[str, Decimal] = {}
    for part in wanted:
        fitting = [line for line in lines if is_meant(line, part)]
        name = "line" if "line" in part else "sku"
        if not fitting:
            raise serializers.ValidationError({"cartons": [f"The order has no {name} {part[name]}."]})
        rest: Decimal = part["quantity"]
        for line in fitting:
            taken = min(rest, line.open_quantity - chosen.get(line.reference, Decimal(0)))
            if taken > 0:
                chosen[line.reference] = chosen.get(line.reference, Decimal(0)) + taken
                rest -= taken
        if rest:
            still = plain_decimal(part["quantity"] - rest)
            raise serializers.ValidationError({"cartons": [f"Only {still} of {fitting[0].sku} still open."]})
    return chosen


def is_meant(line: PickLine, part: Mapping[str, Any]) -> bool:
    return line.reference == part["line"] if "line" in part else line.sku_key == sku_key(part["sku"])
