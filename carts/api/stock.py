"""Stock of warehouses: read, and set for built-in ones."""

from __future__ import annotations

from collections import defaultdict
from decimal import Decimal

import django_filters
from django.db import transaction
from django.db.models import QuerySet
from drf_spectacular.utils import extend_schema
from rest_framework import mixins, serializers, viewsets
from rest_framework.request import Request
from rest_framework.response import Response

from carts.api.fields import HubSerializer
from carts.api.filters import IdFilter, MomentFilter
from carts.api.scoping import MerchantScopedMixin, actor_of
from carts.api.stock_postings import StockPostingActions
from carts.api.stock_rows import MOST_ROWS, RowErrorsSerializer, StockPlaces, StockRowSerializer, read_rows
from carts.book_ledger import Cause, Why
from carts.models import Location, StockLevel
from carts.models.catalogue import sku_key
from carts.warehouse_book import BookError, StockChange, WarehouseBook


class StockLevelSerializer(HubSerializer):
    """Stock of one SKU at one location. `available` is what may be sold; `on_hand` is what lies on the shelf; `counted_at`:
    of when the last count is, at warehouses whose book is kept here."""

    warehouse = serializers.IntegerField(source="location.warehouse_id", read_only=True)

    class Meta:
        model = StockLevel
        fields = ["id", "warehouse", "location", "sku", "available", "on_hand", "read_at", "changed_at", "counted_at"]
        read_only_fields = fields


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


class InventoryViewSet(StockPostingActions, MerchantScopedMixin, mixins.ListModelMixin, viewsets.GenericViewSet):
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
        rows, errors = read_rows(request.data, StockRowSerializer())
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


def store_levels(wanted: dict[int, list[tuple[Location, str, Decimal]]], why: Why) -> StockChange:
    """All warehouses in one transaction. Raises ``BookError``."""
    change = StockChange()
    with transaction.atomic():
        for warehouse_id in sorted(wanted):
            change += WarehouseBook(warehouse_id).set_available(wanted[warehouse_id], why)
    return change
