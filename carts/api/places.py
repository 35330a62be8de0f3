"""Places: the locations of warehouses, and the outlets found at carts."""

from __future__ import annotations

from typing import Any

import django_filters
from django.db import transaction
from django.db.models import ProtectedError, QuerySet
from drf_spectacular.utils import extend_schema
from rest_framework import serializers, viewsets
from rest_framework.request import Request
from rest_framework.response import Response

from carts.api.errors import Conflict, ProblemSerializer, conflicts_told
from carts.api.fields import AddressSerializer, HubSerializer
from carts.api.filters import IdFilter
from carts.api.scoping import MerchantScopedMixin, ScopedRelatedField
from carts.location_list import switched_by_a_person
from carts.models import Location, Outlet, Warehouse


class LocationSerializer(HubSerializer):
    """A place in a warehouse that holds stock."""

    warehouse = ScopedRelatedField(queryset=Warehouse.objects.all())
    external_id = serializers.CharField(
        max_length=120, required=False, allow_blank=True, help_text="The id that the warehouse's system uses for it."
    )

    class Meta:
        model = Location
        fields = ["id", "warehouse", "external_id", "name", "is_active", "is_default", "gone_since"]
        read_only_fields = ["gone_since"]
        validators: list[Any] = []  # in ``validate``, with texts that name the field

    def validate_warehouse(self, warehouse: Warehouse) -> Warehouse:
        if self.instance is not None and warehouse.pk != self.instance.warehouse_id:
            raise serializers.ValidationError("A location stays with its warehouse.")
        return warehouse

    def validate(self, given: dict[str, Any]) -> dict[str, Any]:
        warehouse_id = self.instance.warehouse_id if self.instance else given["warehouse"].pk
        siblings = Location.objects.filter(warehouse=warehouse_id)
        siblings = siblings.exclude(pk=self.instance.pk) if self.instance else siblings
        errors = {
            field: [f"The warehouse has another location with this {what}."]
            for field, what in (("name", "name"), ("external_id", "id"))
            if given.get(field) and siblings.filter(**{field: given[field]}).exists()
        }
        if errors:
            raise serializers.ValidationError(errors)
        return given

    def save(self, **kwargs: Any) -> Location:
        """A new default location takes the place of the old one."""
        with conflicts_told(name="The warehouse has another location like this one."), transaction.atomic():
            if self.validated_data.get("is_default"):
                warehouse_id = self.instance.warehouse_id if self.instance else self.validated_data["warehouse"].pk
                Location.objects.filter(warehouse=warehouse_id, is_default=True).update(is_default=False)
            was_active = self.instance.is_active if self.instance else None
            location: Location = super().save(**kwargs)
            if was_active not in (None, location.is_active):
                switched_by_a_person(location)
            return location


class LocationFilter(django_filters.FilterSet):
    warehouse = IdFilter()
    name = django_filters.CharFilter()
    external_id = django_filters.CharFilter()
    is_active = django_filters.BooleanFilter()
    is_default = django_filters.BooleanFilter()


class LocationViewSet(MerchantScopedMixin, viewsets.ModelViewSet):
    """Places in warehouses. Disabled ones are left out of every sync."""

    queryset = Location.objects.order_by("name", "pk")
    merchant_path = "warehouse__merchant"
    serializer_class = LocationSerializer
    filterset_class = LocationFilter
    http_method_names = ["get", "post", "patch", "delete", "head", "options"]

    @extend_schema(responses={204: None, 409: ProblemSerializer})
    def destroy(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        return super().destroy(request, *args, **kwargs)

    def perform_destroy(self, instance: Location) -> None:
        if instance.is_default:
            raise Conflict("This is the warehouse's default location. Make another one the default first.")
        try:
            instance.delete()
        except ProtectedError:
            raise Conflict("Carts or orders use this location. Switch it off (is_active) instead.") from None


class OutletSerializer(HubSerializer):
    """A shop location found at a cart."""

    address = AddressSerializer(read_only=True)

    class Meta:
        model = Outlet
        fields = ["id", "connection", "external_id", "name", "currency", "time_zone", "address", "deleted"]
        read_only_fields = fields


class OutletFilter(django_filters.FilterSet):
    connection = IdFilter()
    name = django_filters.CharFilter()
    external_id = django_filters.CharFilter()
    deleted = django_filters.BooleanFilter()


class OutletViewSet(MerchantScopedMixin, viewsets.ReadOnlyModelViewSet):
    """Shop locations found at carts. They are refreshed by each test of the cart."""

    queryset: QuerySet[Outlet] = Outlet.objects.order_by("name", "pk")
    merchant_path = "connection__merchant"
    serializer_class = OutletSerializer
    filterset_class = OutletFilter
