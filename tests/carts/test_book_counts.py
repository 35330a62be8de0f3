"""Posted stock: counts as of a moment are brought up to date, and never bring back what fresh orders took."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from unittest import mock

import pytest
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from carts import book_counts, book_leases
from carts.book_checks import BookError
from carts.book_counts import PostedChange, PostedStock
from carts.book_ledger import Cause, Why
from carts.models import Location, PickOrder, StockLevel, StockMovement, Warehouse
from carts.rest_book import RestBook
from carts.warehouse_book import WarehouseBook
from tests.factories import make_builtin_warehouse, make_outbound, make_rest_warehouse

pytestmark = pytest.mark.django_db

START = datetime(2026, 7, 1, 9, 0, tzinfo=UTC)
COUNT = Why(cause=Cause.COUNT, actor="WMS")
CHANGE = Why(cause=Cause.CHANGE, actor="WMS")
ON_HAND, AVAILABLE = StockLevel.Counted.ON_HAND.value, StockLevel.Counted.AVAILABLE.value


class Shelf:
    """One SKU at one warehouse, and a clock that only moves when it is told to."""

    sku = "SKU-1"

    def __init__(self, warehouse: Warehouse) -> None:
        self.warehouse = warehouse
        self.book = RestBook(warehouse.pk) if warehouse.connector == "rest" else WarehouseBook(warehouse.pk)
        self.place: Location = warehouse.locations.get()
        self.now = START

    def later(self, minutes: int = 1) -> datetime:
        self.now += timedelta(minutes=minutes)
        return self.now

    def order(self, quantity: int = 2) -> PickOrder:
        self.later()
        number = PickOrder.objects.count() + 1
        self.book.receive([make_outbound(f"order-{number}", ((self.sku, str(quantity)),))])
        return PickOrder.objects.get(warehouse=self.warehouse, reference=f"order-{number}")

    def acknowledge(self, order: PickOrder) -> None:
        self.later()
        book_leases.acknowledge(self.warehouse.pk, {order.pk: ""}, "ann")

    def ship(self, order: PickOrder, shipped_at: datetime | None = None) -> None:
        self.later()
        self.book.ship(order, shipped_at=shipped_at)

    def count(self, quantity: int, counted: str = ON_HAND, at: datetime | None = None) -> PostedChange:
        self.later()
        row = PostedStock(row=1, location=self.place, sku=self.sku, quantity=Decimal(quantity), at=at, counted=counted)
        return book_counts.set_counts(self.warehouse.pk, [row], COUNT)

    def change(self, quantity: int, at: datetime | None = None) -> PostedChange:
        self.later()
        row = PostedStock(row=1, location=self.place, sku=self.sku, quantity=Decimal(quantity), at=at)
        with transaction.atomic():
            return book_counts.book_changes(self.warehouse.pk, [row], CHANGE)

    @property
    def level(self) -> tuple[Decimal, Decimal | None]:
        """(available, on hand)."""
        row = StockLevel.objects.get(location=self.place, sku=self.sku)
        return row.available, row.on_hand


@pytest.fixture
def shelf() -> Iterator[Shelf]:
    shelf = Shelf(make_rest_warehouse())
    with mock.patch.object(timezone, "now", lambda: shelf.now):
        yield shelf


# Counts of what lies there


def test_open_orders_are_deducted_from_what_lies_there(shelf: Shelf) -> None:
    shelf.order(2)
    shelf.acknowledge(shelf.order(3))
    shelf.count(10)
    assert shelf.level == (5, 10)


def test_an_order_that_came_after_the_count_is_deducted(shelf: Shelf) -> None:
    counted_at = shelf.later()
    shelf.order(2)
    shelf.count(10, at=counted_at)
    assert shelf.level == (8, 10)


def test_what_was_shipped_after_the_count_is_off_the_shelf(shelf: Shelf) -> None:
    order = shelf.order(2)
    counted_at = shelf.later()
    shelf.ship(order)
    shelf.count(10, at=counted_at)
    assert shelf.level == (8, 8)


def test_what_left_before_the_count_is_not_taken_off_twice(shelf: Shelf) -> None:
    """The count was told before the shipment was."""
    order = shelf.order(2)
    gone_at, counted_at = shelf.later(), shelf.later()
    shelf.count(8, at=counted_at)
    assert shelf.level == (6, 8)
    shelf.ship(order, shipped_at=gone_at)
    assert shelf.level == (8, 8)
    shelf.count(8, at=counted_at)
    assert shelf.level == (8, 8)


def test_the_first_count_of_a_sku_knows_what_was_shipped_before_it_came(shelf: Shelf) -> None:
    """Nothing of it stands in the ledger: there was no stock row."""
    order = shelf.order(2)
    counted_at = shelf.later()
    shelf.ship(order)
    assert not StockLevel.objects.exists()
    shelf.count(10, at=counted_at)
    assert shelf.level == (8, 8)


# Counts of what is free


def test_an_order_that_the_wms_did_not_know_is_deducted(shelf: Shelf) -> None:
    shelf.order(1)
    leased = shelf.order(2)
    book_leases.lease(shelf.warehouse.pk, "ann", 10)
    shelf.acknowledge(shelf.order(4))
    shelf.count(20, AVAILABLE)
    assert shelf.level == (17, 24)
    shelf.acknowledge(leased)
    assert shelf.level == (17, 24)
    shelf.count(18, AVAILABLE)
    assert shelf.level == (17, 24)


@pytest.mark.parametrize("acknowledged", [True, False])
def test_what_of_it_was_shipped_after_the_count(shelf: Shelf, acknowledged: bool) -> None:
    order = shelf.order(2)
    if acknowledged:
        shelf.acknowledge(order)
    counted_at = shelf.later()
    shelf.ship(order)
    shelf.count(10, AVAILABLE, at=counted_at)
    assert shelf.level == ((10, 10) if acknowledged else (8, 8))


@pytest.mark.parametrize("acknowledged", [True, False])
def test_what_left_before_what_is_free_was_counted(shelf: Shelf, acknowledged: bool) -> None:
    order = shelf.order(2)
    if acknowledged:
        shelf.acknowledge(order)
    gone_at, counted_at = shelf.later(), shelf.later()
    shelf.count(10, AVAILABLE, at=counted_at)
    assert shelf.level == ((10, 12) if acknowledged else (8, 10))
    shelf.ship(order, shipped_at=gone_at)
    assert shelf.level == (10, 10)


def test_what_was_refused_after_the_count_is_free_again(shelf: Shelf) -> None:
    order = shelf.order(2)
    shelf.acknowledge(order)
    counted_at = shelf.later()
    shelf.later()
    book_leases.refuse(order, "", "Not here")
    shelf.count(10, AVAILABLE, at=counted_at)
    assert shelf.level == (12, 12)


def test_in_the_built_in_warehouse_its_own_list_is_in_what_is_free() -> None:
    shelf = Shelf(make_builtin_warehouse())
    with mock.patch.object(timezone, "now", lambda: shelf.now):
        shelf.order(2)
        counted_at = shelf.later()
        shelf.order(3)
        shelf.count(10, AVAILABLE, at=counted_at)
        assert shelf.level == (7, 12)


# Older and newer


def test_an_older_count_changes_nothing_and_says_so(shelf: Shelf) -> None:
    older, newer = shelf.later(), shelf.later()
    shelf.count(10, at=newer)
    change = shelf.count(50, at=older)
    assert [(one.row, one.counted_at) for one in change.outdated] == [(1, newer)]
    assert (shelf.level, change.levels.changed) == ((10, 10), 0)


def test_a_person_s_figure_is_a_count_of_that_moment(shelf: Shelf) -> None:
    older = shelf.later()
    shelf.later()
    shelf.book.set_available([(shelf.place, shelf.sku, Decimal(7))])
    assert shelf.count(50, at=older).outdated
    shelf.count(9)
    assert shelf.level == (9, 9)


def test_the_same_count_twice_changes_nothing(shelf: Shelf) -> None:
    shelf.order(2)
    at = shelf.later()
    assert shelf.count(10, at=at).levels.created == 1
    assert shelf.count(10, at=at).levels.unchanged == 1
    assert StockMovement.objects.count() == 1


def test_moments_that_cannot_be(shelf: Shelf) -> None:
    with pytest.raises(BookError, match="in the future"):
        shelf.count(1, at=shelf.now + timedelta(minutes=10))
    with pytest.raises(BookError, match="31 days ago"):
        shelf.count(1, at=shelf.now - timedelta(days=32))
    shelf.count(1, at=shelf.now + timedelta(seconds=90))
    assert StockLevel.objects.get().counted_at == shelf.now


# Changes


def test_changes_move_the_shelf_and_what_is_free(shelf: Shelf) -> None:
    shelf.order(2)
    assert shelf.change(5).levels.created == 1
    shelf.change(-1)
    assert shelf.level == (2, 4)


def test_a_change_from_before_the_count_is_in_it(shelf: Shelf) -> None:
    before, counted_at, after = shelf.later(), shelf.later(), shelf.later()
    shelf.count(10, at=counted_at)
    assert shelf.change(5, at=before).outdated
    shelf.change(3, at=after)
    assert shelf.level == (13, 13)


def test_a_change_from_after_the_count_stays_when_the_count_comes_late(shelf: Shelf) -> None:
    shelf.count(10)
    counted_at = shelf.later()
    shelf.change(5)
    shelf.change(4, at=counted_at - timedelta(seconds=1))
    shelf.count(12, at=counted_at)
    assert shelf.level == (17, 17)


def test_the_ledger_shows_the_cause_and_the_moment(shelf: Shelf) -> None:
    at = shelf.later()
    shelf.count(10, at=at)
    shelf.change(-3)
    change, count = StockMovement.objects.all()
    assert (count.cause, count.quantity, count.counted_at, count.actor) == (Cause.COUNT, 10, at, "WMS")
    assert (change.cause, change.quantity, change.on_hand) == (Cause.CHANGE, -3, 7)


# Cost


def test_a_chunk_costs_a_constant_number_of_statements(shelf: Shelf) -> None:
    order = shelf.order(2)
    shelf.ship(order)

    def questions(number: int) -> int:
        rows = [
            PostedStock(row=row, location=shelf.place, sku=f"SKU-{row}", quantity=Decimal(row), counted=ON_HAND)
            for row in range(1, number + 1)
        ]
        with CaptureQueriesContext(connection) as seen:
            book_counts.set_counts(shelf.warehouse.pk, rows, COUNT)
        # SQLite writes a few hundred rows at once, PostgreSQL all of them.
        return len([one["sql"] for one in seen if one["sql"].startswith("SELECT")])

    # The first call also asks for a run that reads them.
    assert questions(1) <= 9
    assert questions(2) == questions(400)


# Any interleaving


class Wms:
    """A WMS with a real shelf. What it tells the hub travels by itself and arrives in any order; what it must say before it
    does it (acknowledge after storing, refuse before freeing) it says in that order."""

    def __init__(self, shelf: Shelf) -> None:
        self.shelf = shelf
        self.lies_there = 10
        self.orders: list[PickOrder] = []
        self.stored: set[int] = set()  # reserved in the WMS's books
        self.gone: set[int] = set()  # left the shelf
        self.refused: set[int] = set()  # as the hub knows
        self.on_their_way: list[Callable[[], Any]] = []

    def quantity(self, order: PickOrder) -> int:
        return int(order.lines.get().quantity)

    def really_free(self) -> int:
        open_orders = [one for one in self.orders if one.pk not in self.gone | self.refused]
        return self.lies_there - sum(self.quantity(one) for one in open_orders)

    def waiting(self, which: int) -> PickOrder | None:
        """One of the orders that nobody has shipped or refused."""
        there = [one for one in self.orders if one.pk not in self.gone | self.refused]
        return there[which % len(there)] if there else None

    def order(self, which: int, number: int) -> None:
        self.orders.append(self.shelf.order(number))

    def fetch(self, which: int, number: int) -> None:
        book_leases.lease(self.shelf.warehouse.pk, "ann", number)

    def store(self, which: int, number: int) -> None:
        order = self.waiting(which)
        if order is not None and order.pk not in self.stored:
            self.stored.add(order.pk)
            self.on_their_way.append(lambda: self.acknowledged(order))

    def acknowledged(self, order: PickOrder) -> None:
        if order.pk not in self.refused:
            book_leases.acknowledge(self.shelf.warehouse.pk, {order.pk: ""}, "ann")

    def ship(self, which: int, number: int) -> None:
        order = self.waiting(which)
        if order is not None:
            self.gone.add(order.pk)
            self.lies_there -= self.quantity(order)
            at = self.shelf.now if number > 1 else None
            self.on_their_way.append(lambda: self.shelf.book.ship(order, shipped_at=at))

    def refuse(self, which: int, number: int) -> None:
        order = self.waiting(which)
        if order is not None:
            book_leases.refuse(order, "ann", "Not here")
            self.refused.add(order.pk)

    def free(self, which: int, number: int) -> None:
        self.stored -= self.refused

    def receive(self, which: int, number: int) -> None:
        self.lies_there += number
        at = self.shelf.now
        self.on_their_way.append(lambda: self.shelf.change(number, at=at))

    def lose(self, which: int, number: int) -> None:
        """The hub is told at once: it cannot know what nobody tells it."""
        self.lies_there -= number
        at = self.shelf.now
        self.shelf.change(-number, at=at)

    def count_on_hand(self, which: int, number: int) -> None:
        figure, at = self.lies_there, self.shelf.now
        self.on_their_way.append(lambda: self.shelf.count(figure, ON_HAND, at=at))

    def count_free(self, which: int, number: int) -> None:
        reserved = [one for one in self.orders if one.pk in self.stored - self.gone]
        figure, at = self.lies_there - sum(self.quantity(one) for one in reserved), self.shelf.now
        self.on_their_way.append(lambda: self.shelf.count(figure, AVAILABLE, at=at))

    def arrive(self, which: int, number: int) -> None:
        if self.on_their_way:
            self.on_their_way.pop(which % len(self.on_their_way))()


ON_HAND_DEEDS = ("order", "order", "fetch", "store", "ship", "ship", "refuse", "free", "receive", "lose")
DEEDS = (*ON_HAND_DEEDS, "count_on_hand", "count_free", "count_free", "arrive", "arrive", "arrive")


def steps(deeds: tuple[str, ...]) -> Any:
    return st.lists(st.tuples(st.sampled_from(deeds), st.integers(0, 7), st.integers(1, 3)), min_size=4, max_size=30)


def live_through(shelf: Shelf, taken: list[tuple[str, int, int]]) -> Wms:
    """Whatever happens, the hub never shows more than is really free."""
    wms = Wms(shelf)
    shelf.count(wms.lies_there)
    for deed, which, number in taken:
        shelf.later()
        getattr(wms, deed)(which, number)
        assert shelf.level[0] <= wms.really_free(), deed
    while wms.on_their_way:
        shelf.later()
        wms.arrive(0, 0)
        assert shelf.level[0] <= wms.really_free()
    return wms


class Undo(Exception):
    pass


def in_a_world_of_its_own(play: Callable[[Shelf], None]) -> None:
    try:
        with transaction.atomic():
            shelf = Shelf(make_rest_warehouse())
            with mock.patch.object(timezone, "now", lambda: shelf.now):
                play(shelf)
            raise Undo
    except Undo:
        pass


QUICKLY = settings(
    max_examples=60,
    derandomize=True,
    database=None,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


@QUICKLY
@given(taken=steps(DEEDS))
def test_never_more_than_is_really_free(taken: list[tuple[str, int, int]]) -> None:
    def play(shelf: Shelf) -> None:
        wms = live_through(shelf, taken)
        shelf.later()
        wms.count_on_hand(0, 0)
        wms.arrive(0, 0)
        assert shelf.level == (wms.really_free(), wms.lies_there)

    in_a_world_of_its_own(play)


@QUICKLY
@given(taken=steps((*ON_HAND_DEEDS, "count_on_hand", "arrive", "arrive")))
def test_counts_of_what_lies_there_leave_nothing_out(taken: list[tuple[str, int, int]]) -> None:
    """In whatever order counts and shipments arrive: when everything is told, the hub has it exactly."""

    def play(shelf: Shelf) -> None:
        wms = live_through(shelf, [step for step in taken if step[0] != "ship" or step[2] > 1])
        assert shelf.level == (wms.really_free(), wms.lies_there)

    in_a_world_of_its_own(play)
