"""Rows of stock as REST clients send them: read fast, many at once, each with its own errors."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from rest_framework import serializers
from rest_framework.request import Request

from carts.api.fields import QuantityText
from carts.api.scoping import LARGEST_ID, scope_of
from carts.models import Location, Warehouse

MOST_ROWS = 10_000

Errors = dict[str, list[str]]


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


def read_rows(data: Sequence[Any], reader: serializers.Serializer) -> tuple[list[dict[str, Any]], list[Errors]]:
    """The rows as typed values, and what is wrong with each one."""
    fields = reader.fields
    needed = " and ".join(name for name, field in fields.items() if field.required)
    rows: list[dict[str, Any]] = []
    errors: list[Errors] = []
    for given in data:
        row: dict[str, Any] = {}
        problems: Errors = {}
        if not isinstance(given, dict):
            problems = {"row": [f"Send an object with {needed}."]}
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
