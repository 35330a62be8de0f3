"""Building blocks of list filters."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import django_filters
from django import forms
from django.db.models import QuerySet
from django_filters.fields import IsoDateTimeField
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema_field

from carts.api.scoping import LARGEST_ID


class IdFormField(forms.IntegerField):
    def __init__(self, **kwargs: Any) -> None:
        super().__init__(min_value=0, max_value=LARGEST_ID, **kwargs)


@extend_schema_field(OpenApiTypes.INT)
class IdFilter(django_filters.Filter):
    """Rows that point to this id. An id that does not exist, or is not the caller's, simply finds nothing."""

    field_class = IdFormField


class MomentFormField(IsoDateTimeField):
    default_error_messages = {"invalid": "Enter a time as 2026-01-31T13:45:00Z."}

    def clean(self, value: Any) -> datetime | None:
        moment: datetime | None = super().clean(value)
        if moment is None:
            return None
        if not 1 < moment.year < 9999:
            raise forms.ValidationError(self.error_messages["invalid"])
        return moment.astimezone(UTC)  # databases know fewer offsets than ISO 8601


@extend_schema_field(OpenApiTypes.DATETIME)
class MomentFilter(django_filters.Filter):
    """A point in time, in ISO 8601."""

    field_class = MomentFormField


class StableOrderingFilter(django_filters.OrderingFilter):
    """``?ordering=-placed_at``. Ties are broken by id, so that no row is on two pages or on none; in the same direction, as
    indexes have it."""

    def filter(self, rows: QuerySet[Any], value: Any) -> QuerySet[Any]:
        ordered = super().filter(rows, value)
        if not value:
            return ordered
        terms = [str(term) for term in ordered.query.order_by]
        return ordered.order_by(*terms, "-pk" if terms[-1].startswith("-") else "pk")
