"""Pages far down a long list, without reading what lies before them: the ids first, which stand in an index, then the rows."""

from __future__ import annotations

from typing import Any

from django.core.paginator import Page, Paginator
from django.db.models import QuerySet

# Up to here one query is cheaper than two.
DEEP = 2_000


class DeepPaginator(Paginator):  # type: ignore[type-arg]
    """Like Django's own, for lists of a million rows."""

    def page(self, number: Any) -> Page[Any]:
        number = self.validate_number(number)
        first = (number - 1) * self.per_page
        rows = self.object_list
        if first < DEEP or not isinstance(rows, QuerySet):
            return super().page(number)
        last = min(first + self.per_page, self.count)
        plain = rows.select_related(None).prefetch_related(None).defer(None)
        ids = list(plain.values_list("pk", flat=True)[first:last])
        return self._get_page(rows.filter(pk__in=ids), number, self)
