from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from django.db import connection

from carts.models import PickLine, PickOrder, PickShipment, StockLevel, Warehouse
from carts.signals import book_changed
from carts.warehouse_book import BookError, StockChange, WarehouseBook
from connectors.records import OutboundOrder, OutboundOrderChange
from tests.factories import make_builtin_warehouse, make_location, make_merchant, make_outbound

pytestmark = pytest.mark.django_db


@pytest.fixture
def warehouse() -> Warehouse:
    return make_builtin_warehouse()


@pytest.fixture
def book(warehouse: Warehouse) -> WarehouseBook:
    return WarehouseBook(warehouse.pk)


def count(book: WarehouseBook, *rows: tuple[str, str]) -> StockChange:
    """Sets ``available`` at the default location."""
    place = book.find_location()
    return book.set_available([(place, sku, Decimal(quantity)) for sku, quantity in rows])


def level(book: WarehouseBook, sku: str) -> StockLevel:
    return StockLevel.objects.get(location__warehouse_id=book.warehouse_pk, sku_key=sku.casefold())


def numbers(book: WarehouseBook, sku: str) -> tuple[Decimal, Decimal | None]:
    """(available, on hand)."""
    found = level(book, sku)
    return found.available, found.on_hand


def received(book: WarehouseBook, *lines: tuple[str, str], **fields: Any) -> PickOrder:
    [result] = book.receive([make_outbound("", lines, **fields)])
    assert result.ok, result.reason
    return PickOrder.objects.get(pk=result.remote_id)


@contextmanager
def changes() -> Iterator[list[tuple[int, str]]]:
    """What the book says has changed, as (warehouse pk, what)."""
    heard: list[tuple[int, str]] = []

    def hear(sender: object, warehouse: Warehouse, what: str, **_: object) -> None:
        heard.append((warehouse.pk, what))

    book_changed.connect(hear)
    try:
        yield heard
    finally:
        book_changed.disconnect(hear)


def at_once(*actions: Callable[[], Any]) -> list[Any]:
    """Starts all actions in the same moment, each in a thread of its own; their results or ``BookError``s in order."""
    barrier = threading.Barrier(len(actions))
    results: list[Any] = [None] * len(actions)

    def run(position: int, action: Callable[[], Any]) -> None:
        try:
            connection.ensure_connection()
            barrier.wait(timeout=20)
            results[position] = action()
        except BookError as error:
            results[position] = error
        finally:
            connection.close()

    threads = [threading.Thread(target=run, args=pair) for pair in enumerate(actions)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=60)
    return results


class TestReceive:
    def test_twice_is_once(self, book: WarehouseBook) -> None:
        count(book, ("A", "10"))
        first = book.receive([make_outbound("o-1", (("A", "3"),))])
        again = book.receive([make_outbound("o-1", (("A", "3"),)), make_outbound("o-1", (("A", "3"),))])
        assert [result.ok for result in first + again] == [True, True, True]
        assert {result.remote_id for result in first + again} == {book.find("o-1")}
        assert PickLine.objects.count() == 1
        assert numbers(book, "A") == (7, 10)

    def test_twice_in_one_batch_is_once(self, book: WarehouseBook) -> None:
        count(book, ("A", "10"))
        results = book.receive([make_outbound("o-1", (("A", "3"),)), make_outbound("o-1", (("A", "3"),))])
        assert [result.ok for result in results] == [True, True]
        assert PickOrder.objects.count() == 1
        assert numbers(book, "A") == (7, 10)

    def test_what_never_arrived_is_not_found(self, book: WarehouseBook) -> None:
        assert book.find("o-1") is None

    def test_keeps_what_a_picker_needs(self, book: WarehouseBook) -> None:
        order = received(book, ("A", "1.5"), ("B", "2"), note="Leave at the door", customer_name="Mārama Ngāi 山田")
        assert order.status == "open"
        assert (order.number, order.cart_name) == (f"#{order.reference}", "Queen Street")
        assert (order.ship_method, order.note, order.customer_name) == (
            "Courier",
            "Leave at the door",
            "Mārama Ngāi 山田",
        )
        assert order.ship_to["street1"] == "1 Queen Street"
        assert [(line.sku, line.name, line.quantity, line.shipped) for line in order.lines.all()] == [
            ("A", "Article A", Decimal("1.5"), 0),
            ("B", "Article B", 2, 0),
        ]

    def test_lowers_available_once_for_all_lines_of_a_sku(self, book: WarehouseBook) -> None:
        count(book, ("Shirt-M", "10"), ("Hat", "4"))
        before = level(book, "Hat").changed_at
        received(book, ("Shirt-M", "2"), (" shirt-m ", "3"))
        assert numbers(book, "Shirt-M") == (5, 10)
        assert numbers(book, "Hat") == (4, 4)
        assert level(book, "Hat").changed_at == before
        assert level(book, "Shirt-M").changed_at > before

    def test_an_unknown_sku_is_picked_by_its_name(self, book: WarehouseBook) -> None:
        order = received(book, ("NEVER-SEEN", "1"))
        assert [line.name for line in order.lines.all()] == ["Article NEVER-SEEN"]
        assert not StockLevel.objects.exists()
        book.ship(order)
        order.refresh_from_db()
        assert order.status == "shipped"

    def test_goes_to_the_named_location_else_to_the_default_one(
        self, book: WarehouseBook, warehouse: Warehouse
    ) -> None:
        south = make_location(warehouse, name="South", external_id="s-1")
        book.set_available([(south, "A", Decimal(5)), (book.find_location(), "A", Decimal(5))])
        assert received(book, ("A", "1"), location_id="s-1").location == south
        assert received(book, ("A", "2")).location == book.find_location()
        assert [row.available for row in StockLevel.objects.order_by("location__name")] == [3, 4]

    def test_a_location_without_an_id_of_its_own_is_known_by_its_key(
        self, book: WarehouseBook, warehouse: Warehouse
    ) -> None:
        shed = make_location(warehouse, name="Shed", external_id="")
        assert received(book, ("A", "1"), location_id=f"loc-{shed.pk}").location == shed

    def test_unknown_and_disabled_locations_are_rejected_and_hold_nobody_up(
        self, book: WarehouseBook, warehouse: Warehouse
    ) -> None:
        make_location(warehouse, name="Old shed", external_id="old", is_active=False)
        results = book.receive(
            [
                make_outbound("o-1", location_id="nowhere"),
                make_outbound("o-2", location_id="old"),
                make_outbound("o-3"),
            ]
        )
        assert [(result.reference, result.ok) for result in results] == [("o-1", False), ("o-2", False), ("o-3", True)]
        assert results[0].reason == "The warehouse has no location nowhere."
        assert results[0].fix == "Choose a location of this warehouse in the cart's settings."
        assert results[1].reason == "Location Old shed is switched off, so it takes no orders."
        assert results[1].fix.startswith("Switch the location on")
        assert [order.reference for order in PickOrder.objects.all()] == ["o-3"]

    def test_without_any_active_location_nothing_is_taken(self, book: WarehouseBook, warehouse: Warehouse) -> None:
        warehouse.locations.update(is_active=False)
        [result] = book.receive([make_outbound()])
        assert (result.ok, result.reason) == (False, "The warehouse has no active location.")
        assert result.fix == "Add a location to the warehouse, or switch one on."

    def test_lines_that_cannot_be_told_apart_are_rejected(self, book: WarehouseBook) -> None:
        order = make_outbound("o-1", (("A", "1"),))
        doubled = OutboundOrder(**{name: getattr(order, name) for name in order.__slots__} | {"lines": order.lines * 2})
        results = book.receive([doubled, make_outbound("o-2")])
        assert [result.ok for result in results] == [False, True]
        assert results[0].reason == "Order #o-1 has two lines with the reference line-1."

    def test_100_orders_cost_few_queries(
        self, book: WarehouseBook, django_assert_max_num_queries: Callable[[int], Any]
    ) -> None:
        count(book, *((f"SKU-{number}", "100") for number in range(300)))
        orders = [
            make_outbound(f"o-{number}", tuple((f"SKU-{number * 3 + line}", "1") for line in range(3)))
            for number in range(100)
        ]
        with django_assert_max_num_queries(20):
            assert all(result.ok for result in book.receive(orders))
        with django_assert_max_num_queries(5):
            assert all(result.ok for result in book.receive(orders))
        assert set(StockLevel.objects.values_list("available", "on_hand")) == {(99, 100)}

    def test_an_order_of_1000_lines(self, book: WarehouseBook) -> None:
        lines = [(f"SKU-{number}", "1") for number in range(1000)]
        count(book, *((sku, "5") for sku, _ in lines))
        order = received(book, *lines)
        assert set(StockLevel.objects.values_list("available", "on_hand")) == {(4, 5)}
        book.ship(order)
        assert set(StockLevel.objects.values_list("available", "on_hand")) == {(4, 4)}


class TestCancel:
    def test_gives_the_stock_back_once(self, book: WarehouseBook) -> None:
        count(book, ("A", "10"))
        order = received(book, ("A", "3"), note="Gift")
        for _ in range(2):
            result = book.cancel(order.reference, "Voided in the shop")
            assert (result.ok, result.remote_id) == (True, str(order.pk))
        order.refresh_from_db()
        assert (order.status, order.note) == ("cancelled", "Gift\nCancelled: Voided in the shop")
        assert numbers(book, "A") == (10, 10)

    def test_is_refused_when_something_was_shipped(self, book: WarehouseBook) -> None:
        count(book, ("A", "10"))
        order = received(book, ("A", "3"))
        book.ship(order, {"line-1": Decimal(1)})
        partly = book.cancel(order.reference, "")
        assert not partly.ok
        assert partly.reason == f"Order {order} was partly shipped and cannot be cancelled any more."
        book.ship(order)
        fully = book.cancel(order.reference, "")
        assert fully.reason == f"Order {order} was already shipped and cannot be cancelled any more."
        assert fully.fix
        assert numbers(book, "A") == (7, 7)

    def test_is_refused_for_an_order_that_never_arrived(self, book: WarehouseBook) -> None:
        result = book.cancel("o-404", "")
        assert (result.ok, result.reason) == (False, "The warehouse has no order with the reference o-404.")

    def test_a_sku_that_was_counted_after_the_order_came_is_given_back_too(self, book: WarehouseBook) -> None:
        order = received(book, ("A", "2"))
        count(book, ("A", "5"))
        assert numbers(book, "A") == (5, 7)
        book.cancel(order.reference, "")
        assert numbers(book, "A") == (7, 7)


def changed(order: PickOrder, *lines: tuple[str, str], reference: str = "c-1", **fields: Any) -> OutboundOrderChange:
    """The order as it is now: (SKU, quantity) lines."""
    return OutboundOrderChange(
        reference=reference,
        remote_id=str(order.pk),
        order=make_outbound(order.reference, lines, **fields),
        summary="A: quantity 3 -> 4",
    )


class TestChange:
    def test_lines_and_stock_follow_and_whoever_picks_is_told(self, book: WarehouseBook) -> None:
        count(book, ("A", "10"), ("B", "10"), ("C", "10"))
        order = received(book, ("A", "3"), ("B", "1"))
        result = book.change(changed(order, ("A", "4"), ("C", "2"), note="Ring twice"))
        assert (result.ok, result.reference, result.remote_id) == (True, "c-1", str(order.pk))
        order.refresh_from_db()
        assert {line.sku: line.quantity for line in order.lines.all()} == {"A": 4, "C": 2}
        assert (order.note, order.changed_how) == ("Ring twice", "A: quantity 3 -> 4")
        assert [numbers(book, sku) for sku in "ABC"] == [(6, 10), (10, 10), (8, 10)]

    def test_twice_is_once(self, book: WarehouseBook) -> None:
        count(book, ("A", "10"))
        order = received(book, ("A", "3"))
        book.change(changed(order, ("A", "4")))
        order.refresh_from_db()
        before = order.changed_at
        assert book.change(changed(order, ("A", "4"))).ok
        order.refresh_from_db()
        assert order.changed_at == before
        assert numbers(book, "A") == (6, 10)

    @pytest.mark.parametrize("state", ["partly shipped", "shipped", "cancelled"])
    def test_too_late_is_refused_with_the_reason(self, book: WarehouseBook, state: str) -> None:
        order = received(book, ("A", "3"))
        if state == "cancelled":
            book.cancel(order.reference, "")
        else:
            book.ship(order, {"line-1": Decimal(1)} if state == "partly shipped" else None)
        result = book.change(changed(order, ("A", "4")))
        assert (result.ok, result.reason) == (False, f"Order {order} was {state} and cannot be changed any more.")
        assert result.fix
        assert order.lines.get().quantity == 3

    def test_an_order_that_never_arrived_and_lines_that_cannot_be_told_apart(self, book: WarehouseBook) -> None:
        order = received(book, ("A", "3"))
        twin = changed(order, ("A", "1"), ("B", "1"))
        lines = tuple(replace(line, reference="same") for line in twin.order.lines)
        assert "two lines" in book.change(replace(twin, order=replace(twin.order, lines=lines))).reason
        order.reference = "o-404"
        assert "no order with the reference" in book.change(changed(order, ("A", "1"))).reason


class TestShip:
    def test_lowers_on_hand_and_says_so(self, book: WarehouseBook) -> None:
        count(book, ("A", "10"))
        order = received(book, ("A", "3"))
        with changes() as heard:
            shipment = book.ship(
                order,
                carrier=" NZ Post ",
                method="Overnight",
                tracking_number="NZ123",
                tracking_url="https://example.com/NZ123",
                shipped_by="kim",
            )
        assert heard == [(book.warehouse_pk, "shipments")]
        assert numbers(book, "A") == (7, 7)
        order.refresh_from_db()
        assert order.status == "shipped"
        shipment.refresh_from_db()
        assert (shipment.carrier, shipment.method, shipment.tracking_number, shipment.shipped_by) == (
            "NZ Post",
            "Overnight",
            "NZ123",
            "kim",
        )
        assert [(line.pick_line.sku, line.quantity) for line in shipment.lines.all()] == [("A", 3)]

    def test_a_part_then_the_rest(self, book: WarehouseBook) -> None:
        count(book, ("A", "10"), ("B", "10"))
        order = received(book, ("A", "3"), ("B", "2"))
        book.ship(order, {"line-1": Decimal(1), "line-2": Decimal(0)})
        order.refresh_from_db()
        assert order.status == "partly_shipped"
        assert (numbers(book, "A"), numbers(book, "B")) == ((7, 9), (8, 10))
        rest = book.ship(order)
        order.refresh_from_db()
        assert order.status == "shipped"
        assert [(line.pick_line.sku, line.quantity) for line in rest.lines.order_by("pk")] == [("A", 2), ("B", 2)]
        assert (numbers(book, "A"), numbers(book, "B")) == ((7, 7), (8, 8))

    def test_fractions_add_up(self, book: WarehouseBook) -> None:
        count(book, ("A", "1"))
        order = received(book, ("A", "0.3"))
        for _ in range(3):
            book.ship(order, {"line-1": Decimal("0.1")})
        order.refresh_from_db()
        assert order.status == "shipped"
        assert numbers(book, "A") == (Decimal("0.7"), Decimal("0.7"))
        fine = received(book, ("A", "0.00003"))
        book.ship(fine, {"line-1": Decimal("0.00001")})
        assert numbers(book, "A") == (Decimal("0.69997"), Decimal("0.69999"))

    def test_the_same_key_books_once(self, book: WarehouseBook) -> None:
        count(book, ("A", "10"))
        order = received(book, ("A", "3"))
        first = book.ship(order, {"line-1": Decimal(1)}, idempotency_key="k-1")
        with changes() as heard:
            assert book.ship(order, {"line-1": Decimal(1)}, idempotency_key="k-1") == first
        assert heard == []
        assert numbers(book, "A") == (7, 9)
        assert book.ship(order, {"line-1": Decimal(1)}, idempotency_key="k-2") != first

    @pytest.mark.parametrize(
        ("lines", "message"),
        [
            ({"line-1": Decimal("3.5")}, "A: 3.5 to ship, but only 3 open."),
            ({"line-1": Decimal(-1)}, "A: a quantity to ship cannot be negative."),
            ({"line-1": Decimal(0)}, "Nothing to ship: enter a quantity for at least one line of order #o-1."),
            ({}, "Nothing to ship: enter a quantity for at least one line of order #o-1."),
            ({"line-9": Decimal(1)}, "Order #o-1 has no line line-9."),
            ({"line-1": Decimal("NaN")}, "NaN is not a possible quantity."),
            ({"line-1": Decimal("0.000001")}, "0.000001 has more than five decimals."),
        ],
    )
    def test_wrong_quantities_are_refused(self, book: WarehouseBook, lines: dict[str, Decimal], message: str) -> None:
        count(book, ("A", "10"))
        book.receive([make_outbound("o-1", (("A", "3"),))])
        order = PickOrder.objects.get()
        with changes() as heard, pytest.raises(BookError) as refusal:
            book.ship(order, lines)
        assert str(refusal.value) == message
        assert heard == []
        assert not PickShipment.objects.exists()
        assert numbers(book, "A") == (7, 10)

    def test_not_twice_and_not_after_a_cancellation(self, book: WarehouseBook) -> None:
        shipped, cancelled = received(book, ("A", "1")), received(book, ("A", "1"))
        book.ship(shipped)
        book.cancel(cancelled.reference, "")
        with pytest.raises(BookError, match=f"Order {shipped} was already shipped; nothing is open."):
            book.ship(shipped)
        with pytest.raises(BookError, match=f"Order {cancelled} was cancelled. Do not ship it."):
            book.ship(cancelled)

    @pytest.mark.parametrize(
        ("fields", "start"),
        [
            ({"carrier": "x" * 121}, "Carrier: Ensure this value has at most 120 characters"),
            ({"tracking_url": "javascript:alert(1)"}, "Tracking url: Enter a valid URL"),
        ],
    )
    def test_texts_that_cannot_be_stored_are_refused(
        self, book: WarehouseBook, fields: dict[str, str], start: str
    ) -> None:
        order = received(book, ("A", "1"))
        with pytest.raises(BookError) as refusal:
            book.ship(order, **fields)
        assert str(refusal.value).startswith(start)
        assert not PickShipment.objects.exists()

    def test_an_order_without_goods_is_shipped_by_an_empty_shipment(self, book: WarehouseBook) -> None:
        order = received(book)
        shipment = book.ship(order)
        assert list(shipment.lines.all()) == []
        order.refresh_from_db()
        assert order.status == "shipped"

    def test_a_line_taken_back_in_exchange_needs_no_stock(self, book: WarehouseBook) -> None:
        count(book, ("A", "10"), ("B", "10"))
        order = received(book, ("A", "1"), ("B", "-1"))
        assert (numbers(book, "A"), numbers(book, "B")) == ((9, 10), (10, 10))
        book.ship(order)
        assert (numbers(book, "A"), numbers(book, "B")) == ((9, 9), (10, 10))
        order.refresh_from_db()
        assert order.status == "shipped"


class TestSetStock:
    def test_available_counts_what_open_orders_need(self, book: WarehouseBook) -> None:
        order = received(book, ("A", "4"))
        book.ship(order, {"line-1": Decimal(1)})
        received(book, ("a", "2"))
        book.cancel(received(book, ("A", "50")).reference, "")
        book.ship(received(book, ("A", "60")))
        count(book, ("A", "10"))
        assert numbers(book, "A") == (10, 15)
        book.set_on_hand([(book.find_location(), "A", Decimal("20.5"))])
        assert numbers(book, "A") == (Decimal("15.5"), Decimal("20.5"))

    def test_needs_of_another_location_do_not_count(self, book: WarehouseBook, warehouse: Warehouse) -> None:
        south = make_location(warehouse, external_id="s-1")
        received(book, ("A", "4"), location_id="s-1")
        received(book, ("B", "1"))
        book.set_available([(book.find_location(), "A", Decimal(10)), (south, "B", Decimal(10))])
        assert numbers(book, "A") == (10, 10)
        assert numbers(book, "B") == (10, 10)

    def test_the_times_tell_what_happened(self, book: WarehouseBook) -> None:
        with changes() as heard:
            assert count(book, ("A", "1"), ("B", "1")) == StockChange(created=2)
        assert heard == [(book.warehouse_pk, "stock")]
        first = {sku: (level(book, sku).read_at, level(book, sku).changed_at) for sku in "AB"}
        with changes() as heard:
            assert count(book, ("A", "1"), ("B", "2")) == StockChange(changed=1, unchanged=1)
        assert heard == [(book.warehouse_pk, "stock")]
        assert level(book, "A").read_at > first["A"][0]
        assert level(book, "A").changed_at == first["A"][1]
        assert level(book, "B").changed_at > first["B"][1]
        with changes() as heard:
            assert count(book, ("A", "1"), ("B", "2")) == StockChange(unchanged=2)
        assert heard == []

    def test_the_last_of_several_rows_wins(self, book: WarehouseBook) -> None:
        assert count(book, ("A", "1"), (" a ", "2"), ("A", "3")) == StockChange(created=1)
        assert numbers(book, "A") == (3, 3)

    def test_less_than_nothing_can_be_available(self, book: WarehouseBook) -> None:
        count(book, ("A", "-2.5"))
        assert numbers(book, "A") == (Decimal("-2.5"), Decimal("-2.5"))

    @pytest.mark.parametrize(
        ("sku", "quantity", "message"),
        [
            (" ", "1", "The SKU is missing."),
            ("x" * 201, "1", f"The SKU {'x' * 40}… is longer than 200 characters."),
            ("A\0", "1", "The SKU holds a character that cannot be stored."),
            ("A", "Infinity", "Infinity is not a possible quantity."),
            ("A", "99999999999", "99999999999 is not a possible quantity."),
            ("A", "1.000001", "1.000001 has more than five decimals."),
        ],
    )
    def test_a_row_that_cannot_be_right_stops_all(
        self, book: WarehouseBook, sku: str, quantity: str, message: str
    ) -> None:
        with pytest.raises(BookError) as refusal:
            count(book, ("GOOD", "1"), (sku, quantity))
        assert str(refusal.value) == message
        assert not StockLevel.objects.exists()

    def test_10000_rows_cost_few_queries(
        self, book: WarehouseBook, django_assert_max_num_queries: Callable[[int], Any]
    ) -> None:
        rows = [(f"SKU-{number}", "7") for number in range(10_000)]
        with django_assert_max_num_queries(355):
            assert count(book, *rows).created == 10_000
        with django_assert_max_num_queries(100):
            assert count(book, *rows).unchanged == 10_000
        with django_assert_max_num_queries(355):
            assert count(book, *((sku, "8") for sku, _ in rows)).changed == 10_000


class TestLocations:
    def test_are_found_by_id_then_by_name(self, book: WarehouseBook, warehouse: Warehouse) -> None:
        south = make_location(warehouse, name="South shed", external_id="s-1")
        assert book.find_location("s-1") == book.find_location(" SOUTH SHED ") == south
        assert book.find_location().name == "Main location"
        with pytest.raises(BookError, match=r"The warehouse has no location North\."):
            book.find_location("North")

    def test_the_first_active_one_stands_in_for_a_disabled_default(
        self, book: WarehouseBook, warehouse: Warehouse
    ) -> None:
        south = make_location(warehouse)
        warehouse.locations.filter(is_default=True).update(is_active=False)
        assert book.find_location() == south


class TestOtherWarehouses:
    def test_are_never_touched(self, book: WarehouseBook) -> None:
        other = WarehouseBook(make_builtin_warehouse(make_merchant()).pk)
        count(book, ("A", "10"))
        count(other, ("A", "10"))
        theirs = make_outbound("o-1", (("A", "4"),))
        other.receive([theirs])
        assert book.find("o-1") is None
        assert not book.cancel("o-1", "").ok
        their_order = PickOrder.objects.get(reference="o-1")
        with pytest.raises(BookError, match="is not in this warehouse"):
            book.ship(their_order)
        with pytest.raises(BookError, match="belongs to another warehouse"):
            book.set_available([(other.find_location(), "A", Decimal(1))])
        book.receive([make_outbound("o-1", (("A", "1"),))])
        count(book, ("A", "5"))
        assert numbers(book, "A") == (5, 6)
        assert numbers(other, "A") == (6, 10)
        assert PickOrder.objects.filter(reference="o-1").count() == 2
        other.ship(their_order)
        assert [page.records for page in book.shipments("")] == [[]]
        assert [len(page.records) for page in other.levels("")] == [1]

    def test_a_location_of_another_warehouse_takes_no_order(self, book: WarehouseBook) -> None:
        make_location(make_builtin_warehouse(), external_id="theirs")
        [result] = book.receive([make_outbound(location_id="theirs")])
        assert result.reason == "The warehouse has no location theirs."


@pytest.mark.django_db(transaction=True)
class TestAtTheSameTime:
    def test_two_workers_send_the_same_orders(self, book: WarehouseBook) -> None:
        count(book, ("A", "1000"))
        orders = [make_outbound(f"o-{number}", (("A", "1"),)) for number in range(50)]
        first, second = at_once(lambda: book.receive(orders), lambda: book.receive(orders[::-1]))
        assert all(result.ok for result in first + second)
        assert {result.reference: result.remote_id for result in first} == {
            result.reference: result.remote_id for result in second
        }
        assert PickOrder.objects.count() == PickLine.objects.count() == 50
        assert numbers(book, "A") == (950, 1000)

    def test_two_workers_send_different_orders_for_the_same_goods(self, book: WarehouseBook) -> None:
        count(book, ("A", "100"), ("B", "100"))
        forth = [make_outbound(f"f-{number}", (("A", "1"), ("B", "1"))) for number in range(30)]
        back = [make_outbound(f"b-{number}", (("B", "1"), ("A", "1"))) for number in range(30)]
        at_once(lambda: book.receive(forth), lambda: book.receive(back))
        assert (numbers(book, "A"), numbers(book, "B")) == ((40, 100), (40, 100))

    def test_two_people_ship_the_same_order(self, book: WarehouseBook) -> None:
        count(book, ("A", "10"))
        order = received(book, ("A", "3"))
        results = at_once(lambda: book.ship(order), lambda: book.ship(order))
        assert sorted(type(result).__name__ for result in results) == ["BookError", "PickShipment"]
        assert numbers(book, "A") == (7, 7)

    def test_a_client_repeats_a_call_that_is_still_running(self, book: WarehouseBook) -> None:
        order = received(book, ("A", "3"))
        part = {"line-1": Decimal(1)}
        first, second = at_once(
            lambda: book.ship(order, part, idempotency_key="k"), lambda: book.ship(order, part, idempotency_key="k")
        )
        assert first == second
        assert PickShipment.objects.count() == 1

    def test_shipping_and_cancelling(self, book: WarehouseBook) -> None:
        count(book, ("A", "10"))
        order = received(book, ("A", "3"))
        shipped, cancelled = at_once(lambda: book.ship(order), lambda: book.cancel(order.reference, ""))
        assert isinstance(shipped, PickShipment) != cancelled.ok
        assert numbers(book, "A") == ((10, 10) if cancelled.ok else (7, 7))

    def test_shipping_and_changing(self, book: WarehouseBook) -> None:
        count(book, ("A", "10"))
        order = received(book, ("A", "3"))
        shipped, change = at_once(lambda: book.ship(order), lambda: book.change(changed(order, ("A", "5"))))
        assert isinstance(shipped, PickShipment)
        assert numbers(book, "A") == ((5, 5) if change.ok else (7, 7))

    def test_counting_while_orders_come_in(self, book: WarehouseBook) -> None:
        orders = [make_outbound(f"o-{number}", (("A", "1"), ("NEW", "1"))) for number in range(20)]
        at_once(lambda: book.receive(orders), lambda: count(book, ("A", "100"), ("NEW", "100")))
        for sku in ("A", "NEW"):
            available, on_hand = numbers(book, sku)
            assert on_hand is not None
            assert on_hand - available == 20


def test_shipped_at_can_be_given(book: WarehouseBook) -> None:
    moment = datetime(2026, 7, 2, 15, 0, tzinfo=UTC)
    assert book.ship(received(book, ("A", "1")), shipped_at=moment).shipped_at == moment
