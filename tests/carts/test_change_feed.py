from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.db.models import QuerySet
from django.utils import timezone

from carts.change_feed import CURSOR_LASTS, OVERLAP, iso, read_changes
from carts.models import Location, StockLevel
from tests.factories import make_builtin_warehouse

pytestmark = pytest.mark.django_db

LONG_AGO = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.fixture
def place() -> Location:
    return make_builtin_warehouse().locations.get()


def add(place: Location, sku: str, changed_at: datetime) -> StockLevel:
    return StockLevel.objects.create(
        location=place, sku=sku, available=Decimal(1), read_at=changed_at, changed_at=changed_at
    )


def rows() -> QuerySet[StockLevel]:
    return StockLevel.objects.all()


def read(cursor: str, size: int = 100) -> tuple[list[str], str]:
    """All SKUs of one reading, and the cursor it ends with."""
    skus = []
    for page, after in read_changes(rows(), "changed_at", cursor, size):
        skus += [row.sku for row in page]
        cursor = after
    return skus, cursor


def test_pages_follow_the_order_of_change(place: Location) -> None:
    for minutes, sku in enumerate("CAB"):
        add(place, sku, LONG_AGO + timedelta(minutes=minutes))
    pages = [[row.sku for row in page] for page, _ in read_changes(rows(), "changed_at", "", 2)]
    assert pages == [["C", "A"], ["B"]]


def test_a_full_last_page_needs_no_empty_one(place: Location) -> None:
    for sku in "AB":
        add(place, sku, LONG_AGO)
    pages = [[row.sku for row in page] for page, _ in read_changes(rows(), "changed_at", "", 2)]
    assert pages == [["A", "B"]]


def test_reading_goes_on_after_the_very_row_where_it_stopped(place: Location) -> None:
    for number in range(7):
        add(place, f"S{number}", LONG_AGO)
    reading: Iterator[tuple[list[StockLevel], str]] = read_changes(rows(), "changed_at", "", 3)
    first, cursor = next(reading)
    assert [row.sku for row in first] == ["S0", "S1", "S2"]
    assert read(cursor, 3)[0] == ["S3", "S4", "S5", "S6"]


def test_an_interrupted_reading_does_not_forget_when_it_began(place: Location) -> None:
    """What became visible during the interrupted reading, behind its position, is found by the next one."""
    for number in range(4):
        add(place, f"S{number}", LONG_AGO + timedelta(days=number))
    _, cursor = next(read_changes(rows(), "changed_at", "", 2))
    began = datetime.fromisoformat(cursor.split("|")[0])
    seen, cursor = read(cursor)
    assert seen == ["S2", "S3"]
    assert cursor == iso(began)
    add(place, "LATE", began - timedelta(minutes=9))
    assert read(cursor)[0] == ["LATE"]


def test_late_rows_are_found_within_the_overlap(place: Location) -> None:
    add(place, "OLD", LONG_AGO)
    _, cursor = read("")
    edge = datetime.fromisoformat(cursor) - OVERLAP
    add(place, "AT-THE-EDGE", edge)
    add(place, "BEFORE-IT", edge - timedelta(microseconds=1))
    add(place, "LATE", edge + timedelta(minutes=5))
    assert read(cursor)[0] == ["AT-THE-EDGE", "LATE"]


def test_without_changes_a_reading_is_one_query_and_nothing_comes(
    place: Location, django_assert_num_queries: Callable[[int], Any]
) -> None:
    for number in range(50):
        add(place, f"S{number}", LONG_AGO)
    _, cursor = read("")
    with django_assert_num_queries(1):
        skus, again = read(cursor, size=10)
    assert skus == []
    assert again == cursor


def test_without_changes_an_old_cursor_is_brought_forward(place: Location) -> None:
    """Or each look would pass over all that other warehouses did since."""
    add(place, "OLD", LONG_AGO)
    now = timezone.now()
    for age, kept in ((CURSOR_LASTS - OVERLAP * 2, True), (CURSOR_LASTS, False)):
        cursor = iso(now - age)
        assert (read(cursor) == ([], cursor)) is kept
    assert read(cursor)[1] >= iso(now)


@pytest.mark.parametrize("cursor", ["nonsense", "2026-01-01T00:00:00", "2026-01-01T00:00:00+00:00|x|y", "a|b"])
def test_a_cursor_that_cannot_be_read_starts_again(place: Location, cursor: str) -> None:
    add(place, "OLD", LONG_AGO)
    assert read(cursor)[0] == ["OLD"]


def test_a_cursor_from_the_future_starts_again(place: Location) -> None:
    """A clock was wrong: what came since might carry any time, so everything is read once more."""
    add(place, "OLD", LONG_AGO)
    skus, cursor = read(iso(timezone.now() + timedelta(hours=3)))
    assert skus == ["OLD"]
    assert datetime.fromisoformat(cursor) <= timezone.now()


def test_clocks_that_differ_by_minutes_do_no_harm(place: Location) -> None:
    add(place, "OLD", LONG_AGO)
    add(place, "NEW", timezone.now())
    assert read(iso(timezone.now() + timedelta(minutes=5)))[0] == ["NEW"]
