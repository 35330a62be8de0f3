"""How values look in JSON: money and quantities as plain text, addresses with all their parts."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from carts.models import fields as columns
from carts.models.fields import plain_decimal
from connectors.records import Address


@extend_schema_field(
    {"type": "string", "format": "decimal", "pattern": r"^-?\d{1,14}(\.\d{1,6})?$", "example": "12.50"}
)
class MoneyText(serializers.DecimalField):
    """At least two decimals, no needless zeros: "12.50", "0.00125"."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**{"max_digits": 20, "decimal_places": 6, **kwargs})

    def to_representation(self, value: Decimal) -> str:
        return plain_decimal(value, 2)


@extend_schema_field({"type": "string", "format": "decimal", "pattern": r"^-?\d{1,10}(\.\d{1,5})?$", "example": "3"})
class QuantityText(serializers.DecimalField):
    """No needless zeros: "3", "0.25"."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**{"max_digits": 16, "decimal_places": 5, **kwargs})

    def to_representation(self, value: Decimal) -> str:
        return plain_decimal(value)


class HubSerializer(serializers.ModelSerializer):
    """Base of all serializers made from models."""

    serializer_field_mapping = {
        **serializers.ModelSerializer.serializer_field_mapping,
        columns.MoneyField: MoneyText,
        columns.QuantityField: QuantityText,
    }


class AddressSerializer(serializers.Serializer):
    """A postal address. `country` is an ISO 3166 two-letter code where the cart gives one."""

    name = serializers.CharField(required=False, allow_blank=True, max_length=300)
    company = serializers.CharField(required=False, allow_blank=True, max_length=300)
    street1 = serializers.CharField(required=False, allow_blank=True, max_length=300)
    street2 = serializers.CharField(required=False, allow_blank=True, max_length=300)
    suburb = serializers.CharField(required=False, allow_blank=True, max_length=300)
    city = serializers.CharField(required=False, allow_blank=True, max_length=300)
    state = serializers.CharField(required=False, allow_blank=True, max_length=300)
    postcode = serializers.CharField(required=False, allow_blank=True, max_length=40)
    country = serializers.CharField(required=False, allow_blank=True, max_length=60)
    phone = serializers.CharField(required=False, allow_blank=True, max_length=60)
    email = serializers.CharField(required=False, allow_blank=True, max_length=254)

    def to_representation(self, instance: Mapping[str, Any]) -> dict[str, str]:
        return Address.from_dict(instance).as_dict()
