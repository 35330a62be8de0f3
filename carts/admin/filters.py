"""List filters by time and by state that speak the merchant's words."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date, datetime, time, timedelta
from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils import timezone
from unfold.contrib.filters.admin import DropdownFilter, RangeDateFilter


def start_of(day: date) -> datetime:
    """Midnight of a day in the user's zone."""
    return timezone.make_aware(datetime.combine(day, time.min))


def day_from(text: object) -> date | None:
    """A day as the date picker writes it; None for anything else."""
    for form in ("%Y-%m-%d", "%d.%m.%Y", "%m/%d/%Y", "%m/%d/%y"):
        try:
            return datetime.strptime(str(text), form).date()  # noqa: DTZ007 - a calendar day has no zone
        except ValueError:
            continue
    return None


class DayRangeFilter(RangeDateFilter):
    """From day to day, both included, in the user's zone."""

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        first = day_from(self.used_parameters.get(f"{self.parameter_name}_from"))
        last = day_from(self.used_parameters.get(f"{self.parameter_name}_to"))
        if first:
            queryset = queryset.filter(**{f"{self.parameter_name}__gte": start_of(first)})
        if last:
            queryset = queryset.filter(**{f"{self.parameter_name}__lt": start_of(last + timedelta(days=1))})
        return queryset


class StateFilter(DropdownFilter):
    """One state, or a group of them that belong together for people (``groups``: key -> label, states)."""

    title = "status"
    parameter_name = "status"
    field = "status"
    groups: dict[str, tuple[str, tuple[str, ...]]] = {}
    states: Iterable[tuple[str, str]] = ()

    def lookups(self, request: HttpRequest, model_admin: admin.ModelAdmin) -> list[tuple[str, str]]:
        return [(key, label) for key, (label, _) in self.groups.items()] + list(self.states)

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        chosen = self.value()
        if not chosen:
            return queryset
        if chosen in self.groups:
            return queryset.filter(**{f"{self.field}__in": self.groups[chosen][1]})
        return queryset.filter(**{self.field: chosen})
