"""Pages far down a long list, without reading what lies before them: the ids first, which stand in an index, then the rows.
And lists of which nobody counts how long they are: that would mean to read all of it."""

from __future__ import annotations

from typing import Any, TypeVar, cast

from django.core.paginator import EmptyPage, Page, Paginator
from django.db.models import QuerySet

AnyRows = TypeVar("AnyRows", bound="QuerySet[Any]")

# Up to here one query is cheaper than two.
DEEP = 2_000
MOST_COUNTED = 5_000
LAST_PAGE = 2**31


class MoreThan(int):
    """A number of rows that were counted no further: one more than its name says, ``5,000+``."""

    @property
    def counted(self) -> int:
        return int(self) - 1

    @property
    def words(self) -> str:
        return f"more than {self.counted:,}"

    def __str__(self) -> str:
        return f"{self.counted:,}+"

    def __format__(self, wanted: str) -> str:
        return str(self)


class LongQuerySet(QuerySet[Any]):
    """Known to have more rows than are counted. With a further filter it is an ordinary one again."""

    @classmethod
    def of(cls, rows: QuerySet[Any]) -> LongQuerySet:
        return copy_as(cls, rows)

    def count(self) -> int:
        return MoreThan(MOST_COUNTED + 1)

    def filter(self, *args: Any, **kwargs: Any) -> QuerySet[Any]:
        return copy_as(QuerySet, self).filter(*args, **kwargs)

    def exclude(self, *args: Any, **kwargs: Any) -> QuerySet[Any]:
        return copy_as(QuerySet, self).exclude(*args, **kwargs)


def copy_as(kind: type[AnyRows], rows: QuerySet[Any]) -> AnyRows:
    """The same rows with all that was asked for with them (``prefetch_related``, ...), as this kind of queryset."""
    copied: Any = rows.all()
    copied.__class__ = kind
    return cast(AnyRows, copied)


class DeepPaginator(Paginator):  # type: ignore[type-arg]
    """Like Django's own, for lists of a million rows. Beyond what was counted, pages are found one after another."""

    template_name = "admin/hub/pagination.html"
    pages_found = 0

    @property
    def num_pages(self) -> int:  # type: ignore[override]
        return max(self.pages_counted, self.pages_found)

    @property
    def pages_counted(self) -> int:
        return super().num_pages

    def validate_number(self, number: Any) -> int:
        try:
            return super().validate_number(number)
        except EmptyPage:
            if isinstance(self.count, MoreThan) and 0 < int(number) < LAST_PAGE:
                return int(number)
            raise

    def page(self, number: Any) -> Page[Any]:
        number = self.validate_number(number)
        first = (number - 1) * self.per_page
        rows = self.object_list
        if isinstance(self.count, MoreThan) and number >= self.pages_counted:
            return self.uncounted_page(number, first)
        if first < DEEP or not isinstance(rows, QuerySet):
            return super().page(number)
        ids = ids_of(rows, first, min(first + self.per_page, self.count))
        return self._get_page(rows.filter(pk__in=ids), number, self)

    def uncounted_page(self, number: int, first: int) -> Page[Any]:
        """One row more than the page holds says whether another page follows."""
        ids = ids_of(self.object_list, first, first + self.per_page + 1)
        if not ids:
            raise EmptyPage(self.error_messages["no_results"])
        self.pages_found = number + (len(ids) > self.per_page)
        return self._get_page(self.object_list.filter(pk__in=ids[: self.per_page]), number, self)


def ids_of(rows: QuerySet[Any], first: int, last: int) -> list[int]:
    plain = rows.select_related(None).prefetch_related(None).defer(None)
    return list(plain.values_list("pk", flat=True)[first:last])
