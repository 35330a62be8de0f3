"""Stock of warehouses: read, and set for built-in ones."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from decimal import Decimal
from typing import Any

import django_filters
from django.db import transaction
from django.db.models import QuerySet
from drf_spectacular.utils import extend_schema
from rest_framework import mixins, serializers, viewsets
from rest_framework.request import Request
from rest_framework.response import Response

from carts.api.fields import HubSerializer, QuantityText
from carts.api.filters import IdFilter, MomentFilter
from carts.api.scoping import LARGEST_ID, MerchantScopedMixin, actor_of, scope_of
from carts.book_ledger import Cause, Why
from carts.models import Location, StockLevel, Warehouse
from carts.models.catalogue import sku_key
from carts.warehouse_book import BookError, StockChange, WarehouseBook

MOST_ROWS = 10_000

Errors = dict[str, list[str]]


class StockLevelSerializer(HubSerializer):
    """Stock of one SKU at one location. `available` is what may be sold; `on_hand` is what lies on the shelf."""

    warehouse = serializers.IntegerField(source="location.warehouse_id", read_only=True)

    class Meta:
        model = StockLevel
        fields = ["id", "warehouse", "location", "sku", "available", "on_hand", "read_at", "changed_at"]
        read_only_fields = fields


class StockRowSerializer(serializers.Serializer):
    """What may be sold of one SKU."""

    warehouse = serializers.IntegerField(min_value=0, max_value=LARGEST_ID)
    location = serializers.IntegerField(
        min_value=0,
        max_value=LARGEST_ID,
        required=False,
        allow_null=True,
        help_text="Left out: the warehouse's default location.",
    )
    sku = serializers.CharField(max_length=200)
    available = QuantityText(max_digits=15)


class RowErrorSerializer(serializers.Serializer):
    row = serializers.IntegerField(help_text="Counted from 1.")
    errors = serializers.DictField(child=serializers.ListField(child=serializers.CharField()))


class RowErrorsSerializer(serializers.Serializer):
    """Which rows are wrong, or what is wrong with the request as a whole. Nothing was stored."""

    rows = RowErrorSerializer(many=True, required=False)
    detail = serializers.CharField(required=False)


class StockChangeSerializer(serializers.Serializer):
    """How many stock levels were set."""

    created = serializers.IntegerField()
    changed = serializers.IntegerField()
    unchanged = serializers.IntegerField()


class StockFilter(django_filters.FilterSet):
    warehouse = IdFilter(field_name="location__warehouse")
    location = IdFilter()
    sku = django_filters.CharFilter(method="with_sku", label="Upper and lower case alike.")
    changed_since = MomentFilter(field_name="changed_at", lookup_expr="gte")

    def with_sku(self, rows: QuerySet[StockLevel], name: str, sku: str) -> QuerySet[StockLevel]:
        return rows.filter(sku_key=sku_key(sku))


class InventoryViewSet(MerchantScopedMixin, mixins.ListModelMixin, viewsets.GenericViewSet):
    """Stock levels of all warehouses."""

    queryset = StockLevel.objects.select_related("location").order_by("sku", "pk")
    merchant_path = "location__warehouse__merchant"
    serializer_class = StockLevelSerializer
    filterset_class = StockFilter

    @extend_schema(
        operation_id="inventory_set",
        request=StockRowSerializer(many=True),
        responses={200: StockChangeSerializer, 400: RowErrorsSerializer},
        filters=False,
    )
    def set_levels(self, request: Request) -> Response:
        """Sets what may be sold at built-in warehouses: all rows, or none when one of them is wrong."""
        if not isinstance(request.data, list):
            return Response({"detail": "Send a list of rows."}, status=400)
        if len(request.data) > MOST_ROWS:
            return Response({"detail": f"Send at most {MOST_ROWS:,} rows at once."}, status=400)
        rows, errors = read_rows(request.data)
        places = StockPlaces(request, rows)
        seen: dict[tuple[int, str], int] = {}
        wanted: dict[int, list[tuple[Location, str, Decimal]]] = defaultdict(list)
        for number, row in enumerate(rows, 1):
            if errors[number - 1]:
                continue
            place, problem = places.place_of(row)
            if place is not None:
                first = seen.setdefault((place.pk, sku_key(row["sku"])), number)
                problem = {} if first == number else {"sku": [f"Row {first} is about the same stock."]}
                wanted[place.warehouse_id].append((place, row["sku"], row["available"]))
            errors[number - 1] = problem
        if any(errors):
            wrong = [{"row": number, "errors": error} for number, error in enumerate(errors, 1) if error]
            return Response({"rows": wrong}, status=400)
        try:
            change = store_levels(wanted, Why(cause=Cause.REST, actor=actor_of(request)))
        except BookError as error:
            return Response({"detail": f"{error} {error.fix}".strip()}, status=400)
        return Response(StockChangeSerializer(change).data)


def read_rows(data: Sequence[Any]) -> tuple[list[dict[str, Any]], list[Errors]]:
    """The rows as typed values, and what is wrong with each one."""
    reader = StockRowSerializer()
    fields = reader.fields
    rows: list[dict[str, Any]] = []
    errors: list[Errors] = []
    for given in data:
        row: dict[str, Any] = {}
        problems: Errors = {}
        if not isinstance(given, dict):
            problems = {"row": ["Send an object with warehouse, sku and available."]}
        else:
            for name, field in fields.items():
                try:
                    if name in given or field.required:
                        row[name] = field.run_validation(given.get(name, serializers.empty))
                except serializers.ValidationError as error:
                    problems[name] = [str(detail) for detail in error.detail]
        rows.append(row)
        errors.append(problems)
    return rows, errors


class StockPlaces:
    """The caller's built-in warehouses and their locations that a request names: two queries, however many rows."""

    def __init__(self, request: Request, rows: Sequence[dict[str, Any]]) -> None:
        ids = {row["warehouse"] for row in rows if "warehouse" in row}
        within_reach = scope_of(request).limit(Warehouse.objects.all(), "merchant")
        self.warehouses = {warehouse.pk: warehouse for warehouse in within_reach.filter(pk__in=ids)}
        locations = Location.objects.filter(warehouse__in=self.warehouses).order_by("-is_default", "pk")
        self.locations: dict[int, Location] = {}
        self.defaults: dict[int, Location] = {}
        for location in locations:
            self.locations[location.pk] = location
            if location.is_active:
                self.defaults.setdefault(location.warehouse_id, location)

    def place_of(self, row: dict[str, Any]) -> tuple[Location | None, Errors]:
        """The location that a row means, or what is wrong."""
        warehouse = self.warehouses.get(row["warehouse"])
        if warehouse is None:
            return None, {"warehouse": [f'Invalid pk "{row["warehouse"]}" - object does not exist.']}
        if not warehouse.is_in_hub:
            return None, {"warehouse": [f"{warehouse} keeps its own stock; set it there."]}
        if row.get("location") is None:
            default = self.defaults.get(warehouse.pk)
            return default, {} if default else {"location": [f"{warehouse} has no active location."]}
        location = self.locations.get(row["location"])
        if location is None or location.warehouse_id != warehouse.pk:
            return None, {"location": [f'Invalid pk "{row["location"]}" - object does not exist in this warehouse.']}
        return location, {}


def store_levels(wanted: dict[int, list[tuple[Location, str, Decimal]]], why: Why) -> StockChange:
    """All warehouses in one transaction. Raises ``BookError``."""
    change = StockChange()
    with transaction.atomic():
        for warehouse_id in sorted(wanted):
            change += WarehouseBook(warehouse_id).set_available(wanted[warehouse_id], why)
    return change
