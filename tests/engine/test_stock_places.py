"""A cart shows the stock of its own location, of a set of locations, or of all of them: counted right, and shared right."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.utils import timezone

from carts.connection_test import run_test
from carts.models import Cart, Location, Order, StockFrom, StockLevel, StockTransfer
from carts.setup import keep_stock_locations
from connectors.functions import Function
from syncjobs.expected_stock import ExpectedStock
from syncjobs.flows.shared_stock import tell_others
from syncjobs.models import Mismatch, Run
from tests.engine.conftest import World
from tests.engine.query_counts import counted_queries
from tests.engine.stockroom import Stockroom, transfer
from tests.factories import make_builtin_warehouse, make_location

Queued = Run.State.QUEUED


def show(cart: Cart, stock_from: str, *places: Location) -> Cart:
    """What saving the cart's settings does."""
    cart.refresh_from_db()
    cart.stock_from = stock_from
    cart.save()
    keep_stock_locations(cart, places)
    return cart


class Rooms:
    """The world's warehouse with three locations that hold 10, 5 and 3 of every product; the shop shows 10."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.main = world.location
        self.east = make_location(world.warehouse, name="East")
        self.west = make_location(world.warehouse, name="West")
        for product in world.store.products:
            world.store.set_level(product["id"], world.outlet["id"], 10)
            for place, number in ((self.main, 10), (self.east, 5), (self.west, 3)):
                self.put(place, product, number)

    def put(self, place: Location, product: Any, number: int) -> None:
        self.world.book.set_available([(place, product["sku"], Decimal(number))])

    def sync(self, cart: Cart | None = None) -> Run:
        run = self.world.sync_stock(connection=cart or self.world.cart)
        assert run.state == Run.State.DONE, run.error
        return run

    def shown(self, number: int = 0) -> Any:
        return self.world.level(self.world.product(number))


@pytest.fixture
def rooms(world: World) -> Rooms:
    return Rooms(world)


class TestWhatCounts:
    def test_one_location_is_as_ever(self, rooms: Rooms) -> None:
        rooms.sync()
        assert rooms.shown() == 10

    def test_a_set_is_added_up(self, rooms: Rooms) -> None:
        show(rooms.world.cart, StockFrom.SET, rooms.main, rooms.west)
        rooms.sync()
        assert rooms.shown() == 13

    def test_all_are_added_up_and_new_ones_count_by_themselves(self, rooms: Rooms) -> None:
        show(rooms.world.cart, StockFrom.ALL)
        rooms.sync()
        assert rooms.shown() == 18
        rooms.put(make_location(rooms.world.warehouse), rooms.world.product(), 4)
        rooms.sync()
        assert rooms.shown() == 22

    @pytest.mark.parametrize("stock_from", [StockFrom.SET, StockFrom.ALL])
    def test_what_is_switched_off_is_left_out(self, rooms: Rooms, stock_from: str) -> None:
        chosen = (rooms.main, rooms.east, rooms.west) if stock_from == StockFrom.SET else ()
        show(rooms.world.cart, stock_from, *chosen)
        Location.objects.filter(pk=rooms.east.pk).update(is_active=False)
        rooms.sync()
        assert rooms.shown() == 13

    def test_another_warehouse_does_not_count(self, rooms: Rooms) -> None:
        other = make_builtin_warehouse(rooms.world.merchant)
        type(rooms.world.book)(other.pk).set_available(
            [(other.locations.get(), rooms.world.product()["sku"], Decimal(90))]
        )
        show(rooms.world.cart, StockFrom.ALL)
        rooms.sync()
        assert rooms.shown() == 18

    def test_known_at_some_is_their_sum_and_known_at_none_is_unmatched(self, rooms: Rooms) -> None:
        outlet = rooms.world.outlet["id"]
        some = rooms.world.store.add_product(sku="SOME", name="Some", price=1, levels={outlet: 1})
        rooms.world.store.add_product(sku="NONE", name="None", price=1, levels={outlet: 7})
        rooms.put(rooms.west, some, 6)
        show(rooms.world.cart, StockFrom.SET, rooms.main, rooms.west)
        run = rooms.sync()
        assert rooms.world.level(some) == 6
        assert run.counts["unmatched"] == 1
        assert rooms.world.level(rooms.world.store.products[-1]) == 7

    def test_the_number_of_queries_depends_on_neither_catalogue_nor_locations(self, rooms: Rooms) -> None:
        world = rooms.world
        show(world.cart, StockFrom.ALL)
        rooms.sync()

        def queries() -> int:
            rooms.sync()  # takes in what the last one wrote
            with counted_queries() as captured:
                run = rooms.sync()
            assert "written" not in run.counts
            return len(captured)

        few = queries()
        for number in range(40):
            product = world.store.add_product(sku=f"MORE{number}", name=f"More {number}", price=5, levels={})
            world.stock(product["sku"], 10)
        for _ in range(5):
            rooms.put(make_location(world.warehouse), world.product(), 2)
        rooms.sync()
        assert queries() == few

    def test_a_preview_adds_up_too(self, rooms: Rooms) -> None:
        show(rooms.world.cart, StockFrom.SET, rooms.main, rooms.east)
        first = rooms.world.sync_stock(dry_run=True)
        assert {"sku": rooms.world.product()["sku"], "now": "10", "then": "15"} in first.preview
        rooms.sync()
        rooms.put(rooms.east, rooms.world.product(), 6)
        assert rooms.world.sync_stock(dry_run=True).preview == [
            {"sku": rooms.world.product()["sku"], "now": "15", "then": "16"}
        ]

    def test_reconciliation_compares_with_the_sum(self, rooms: Rooms) -> None:
        show(rooms.world.cart, StockFrom.ALL)
        rooms.sync()
        rooms.sync()  # reads what the first one wrote
        rooms.world.run(Function.RECONCILIATION)
        assert not Mismatch.objects.filter(cause=Mismatch.Cause.STOCK_DIFFERS).exists()
        rooms.put(rooms.west, rooms.world.product(), 1)
        # Long ago, so that Inventory Sync should have brought it to the shop.
        StockLevel.objects.filter(location=rooms.west).update(changed_at=timezone.now() - timedelta(hours=1))
        rooms.world.run(Function.RECONCILIATION)
        found = Mismatch.objects.get(cause=Mismatch.Cause.STOCK_DIFFERS)
        assert (found.label, found.here, found.there) == (rooms.world.product()["sku"], "16", "18")


class TestWhatIsOnItsWay:
    @pytest.mark.parametrize("stock_from", [StockFrom.SET, StockFrom.ALL])
    def test_a_sale_is_deducted_once_all_the_way(self, rooms: Rooms, stock_from: str) -> None:
        world = rooms.world
        show(world.cart, stock_from, *((rooms.main, rooms.east) if stock_from == StockFrom.SET else ()))
        rooms.sync()
        before = rooms.shown()
        world.sell((world.product(), 4))
        for step in (world.download, world.deliver, lambda: None):
            step()
            world.sandbox.reset_calls()
            rooms.sync()
            assert rooms.shown() == before - 4
            assert world.sandbox.count("POST /stock_adjustments") == 0

    def test_more_than_the_own_location_has_is_deducted_too(self, rooms: Rooms) -> None:
        """The shop sells 12 of the 15 it shows; the location that ships has 10."""
        world = rooms.world
        show(world.cart, StockFrom.SET, rooms.main, rooms.east)
        rooms.sync()
        world.sell((world.product(), 12))
        world.download()
        world.deliver()
        rooms.sync()
        assert rooms.shown() == 3
        assert world.available(world.product()["sku"]) == -2

    def test_a_sale_the_hub_does_not_know_yet_is_not_overwritten(self, rooms: Rooms) -> None:
        world = rooms.world
        show(world.cart, StockFrom.ALL)
        rooms.sync()
        rooms.put(rooms.east, world.product(), 8)
        world.sell((world.product(), 2))
        rooms.sync()
        assert rooms.shown() == 19, "10 + 8 + 3 - 2"

    def test_an_order_at_a_location_that_is_not_shown_changes_nothing(self, rooms: Rooms) -> None:
        world = rooms.world
        there = world.add_cart(world.store.outlets[1]["name"])
        Cart.objects.filter(pk=there.pk).update(location=rooms.west)
        show(world.cart, StockFrom.SET, rooms.main, rooms.east)
        rooms.sync()
        world.sell((world.product(), 1), outlet=world.store.outlets[1]["id"])
        world.run(Function.ORDER_DOWNLOAD, there)
        assert ExpectedStock.load(world.cart, [rooms.main, rooms.east]).waiting == {}
        rooms.sync()
        assert rooms.shown() == 15


class TestSharedStock:
    @pytest.fixture
    def there(self, rooms: Rooms) -> Cart:
        """The second outlet, whose orders go to the east room."""
        cart = rooms.world.add_cart(rooms.world.store.outlets[1]["name"])
        Cart.objects.filter(pk=cart.pk).update(location=rooms.east)
        for product in rooms.world.store.products:
            rooms.world.store.set_level(product["id"], rooms.world.store.outlets[1]["id"], 10)
        return cart

    def shown_there(self, rooms: Rooms) -> Any:
        return rooms.world.store.level(rooms.world.product()["id"], rooms.world.store.outlets[1]["id"])

    def test_sets_that_overlap_share_what_they_sell(self, rooms: Rooms, there: Cart) -> None:
        world = rooms.world
        show(world.cart, StockFrom.SET, rooms.main, rooms.east)
        show(there, StockFrom.SET, rooms.east, rooms.west)
        rooms.sync()
        rooms.sync(there)
        assert (rooms.shown(), self.shown_there(rooms)) == (15, 8)
        world.sell((world.product(), 3), outlet=world.store.outlets[1]["id"])
        Run.objects.filter(state=Queued).delete()
        world.run(Function.ORDER_DOWNLOAD, there)
        asked = Run.objects.filter(state=Queued, function=Function.INVENTORY_SYNC)
        assert [run.connection_id for run in asked] == [world.cart.pk]
        rooms.sync()
        assert (rooms.shown(), self.shown_there(rooms)) == (12, 5)
        world.deliver()
        for cart in (world.cart, there):
            rooms.sync(cart)
        assert (rooms.shown(), self.shown_there(rooms)) == (12, 5)

    @pytest.mark.parametrize(
        ("prepare", "is_told"),
        [
            (lambda rooms, cart: show(cart, StockFrom.LOCATION), False),
            (lambda rooms, cart: show(cart, StockFrom.ALL), True),
            (lambda rooms, cart: show(cart, StockFrom.SET, rooms.east, rooms.main), True),
            (lambda rooms, cart: show(cart, StockFrom.SET, rooms.east, rooms.west), False),
            (lambda rooms, cart: Cart.objects.filter(pk=cart.pk).update(location=None), True),
            (lambda rooms, cart: Cart.objects.filter(pk=cart.pk).update(is_active=False), False),
        ],
    )
    def test_who_is_told_of_a_sale(
        self, rooms: Rooms, there: Cart, prepare: Callable[[Rooms, Cart], Any], is_told: bool
    ) -> None:
        Cart.objects.filter(pk=rooms.world.cart.pk).update(location=rooms.main)
        prepare(rooms, there)
        Run.objects.filter(state=Queued).delete()
        tell_others(Cart.objects.get(pk=rooms.world.cart.pk))
        assert Run.objects.filter(connection_id=there.pk, state=Queued).exists() is is_told

    def test_the_default_location_need_not_be_marked(self, rooms: Rooms, there: Cart) -> None:
        """A warehouse with a list of its own marks none: the first one stands in."""
        rooms.world.warehouse.locations.update(is_default=False)
        Cart.objects.filter(pk=rooms.world.cart.pk).update(location=rooms.main)
        Cart.objects.filter(pk=there.pk).update(location=None)
        Run.objects.filter(state=Queued).delete()
        tell_others(Cart.objects.get(pk=rooms.world.cart.pk))
        assert Run.objects.filter(connection_id=there.pk, state=Queued).count() == 1


class TestStockDocuments:
    @pytest.fixture
    def room(self, world: World) -> Stockroom:
        """Both outlets are carts with a location of their own, and both show the sum."""
        room = Stockroom(world)
        room.other, room.back = room.add_outlet()
        for cart in (room.cart, room.other):
            show(cart, StockFrom.ALL)
        for product in room.products:
            for outlet in (room.here, room.there):
                room.store.set_level(product, outlet, 80)
        return room

    def sync(self, room: Stockroom) -> tuple[Any, Any]:
        for cart in (room.cart, room.other):
            run = room.world.sync_stock(connection=cart)
            assert run.state == Run.State.DONE, run.error
        return room.in_shop(0), room.in_shop(0, room.there)

    def test_goods_on_their_way_from_one_to_the_other_are_in_neither(self, room: Stockroom) -> None:
        assert self.sync(room) == (80, 80)
        sent = room.store.transfer_stock(room.here, room.there, [(room.products[0], 5)], receive=False)
        room.search()
        assert self.sync(room) == (75, 75)
        room.deliver()
        assert self.sync(room) == (75, 75)
        room.store.move_consignment(sent, "RECEIVED")
        room.search()
        assert self.sync(room) == (80, 80)
        room.deliver()
        assert self.sync(room) == (80, 80)
        assert transfer(sent).status == StockTransfer.Status.RECEIVED
        assert (room.on_hand(0), room.on_hand(0, room.back)) == (35, 45)

    def test_what_one_shop_received_is_in_both(self, room: Stockroom) -> None:
        room.store.order_stock(room.there, [(room.products[0], 60)])
        room.search()
        assert self.sync(room) == (140, 140)
        room.deliver()
        assert self.sync(room) == (140, 140)

    def test_a_transfer_in_doubt_between_the_two_is_no_reason_to_write(self, room: Stockroom) -> None:
        from syncjobs.models import Delivery

        self.sync(room)
        room.store.transfer_stock(room.here, room.there, [(room.products[0], 5)])
        room.search()
        places = [room.world.location, room.back]
        Delivery.objects.filter(transfer_step__step="sent").update(state=Delivery.State.SENDING)
        moved = ExpectedStock.load(room.cart, places).moved
        key = room.sku(0).casefold()
        assert moved.bounds(key) == (0, 5), "what was sent may be booked already; what was received is not"


class TestMissing:
    def test_none_in_use_stops_with_words(self, rooms: Rooms) -> None:
        show(rooms.world.cart, StockFrom.SET, rooms.main, rooms.east)
        Location.objects.update(is_active=False)
        run = rooms.world.sync_stock()
        assert run.state == Run.State.FAILED and run.error_kind == "configuration"
        assert "None of the locations whose stock" in run.error and "Stock From" in run.fix

    @pytest.mark.parametrize("stock_from", [StockFrom.SET, StockFrom.ALL])
    def test_orders_to_a_location_that_does_not_count_stop_it(self, rooms: Rooms, stock_from: str) -> None:
        """Else the shop's own sales would never lower what it shows."""
        Cart.objects.filter(pk=rooms.world.cart.pk).update(location=rooms.west)
        show(rooms.world.cart, stock_from, *((rooms.west, rooms.east) if stock_from == StockFrom.SET else ()))
        Location.objects.filter(pk=rooms.west.pk).update(is_active=False)
        run = rooms.world.sync_stock()
        assert run.state == Run.State.FAILED
        assert f"go to {rooms.west}, which is not among the locations whose stock it shows" in run.error
        assert rooms.shown() == 10

    def test_the_test_says_where_the_stock_comes_from(self, rooms: Rooms) -> None:
        cart = show(rooms.world.cart, StockFrom.ALL)
        [step] = [step for step in run_test(cart).steps if step.name == "Warehouse"]
        assert step.ok and step.message.endswith(
            "orders go to Main location; the stock of all 3 locations is added up: East, Main location, West."
        )
        Cart.objects.filter(pk=cart.pk).update(location=rooms.west)
        show(cart, StockFrom.SET, rooms.main)
        [step] = [step for step in run_test(Cart.objects.get(pk=cart.pk)).steps if step.name == "Warehouse"]
        assert not step.ok and "add this one under Stock From" in step.help


def test_orders_go_to_the_carts_own_location(rooms: Rooms) -> None:
    Cart.objects.filter(pk=rooms.world.cart.pk).update(location=rooms.west)
    show(rooms.world.cart, StockFrom.ALL)
    rooms.world.cart.refresh_from_db()
    rooms.world.sell((rooms.world.product(), 1))
    rooms.world.download()
    order = Order.objects.get()
    assert order.location == rooms.west
    assert order.placed_at <= timezone.now()
