"""Carts in which nothing happens: their looks at the shop are claimed together, share their look-ups and are marked
together. What does happen is seen all the same, on either side."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.utils import timezone

from carts.models import Cart, Connection, Location, Order, OutletLevel, StockFrom
from connectors.functions import Function
from syncjobs.drain import ALL_LANES, Handful, LeaseKeeper, run_some
from syncjobs.models import ApiCall, Run, Schedule
from syncjobs.runner import claim_runs, recover_abandoned
from syncjobs.schedule import request_run
from syncjobs.timing import Timing
from tests.engine.conftest import World
from tests.engine.query_counts import counted_queries

LOOKS = (Function.ORDER_DOWNLOAD, Function.PRODUCT_PICKUP, Function.CUSTOMER_SYNC)


def add_carts(world: World, number: int) -> list[Cart]:
    """Carts whose feeds were read to the end: the first one's by itself, and the others stand where it stands."""
    names = [outlet["name"] for outlet in world.store.outlets]
    others = [world.add_cart(names[one % len(names)], tested=False) for one in range(1, number)]
    for function in LOOKS:
        assert world.run(function).state == Run.State.DONE
        feed = Schedule.objects.get(connection=world.cart.pk, function=function)
        same = Schedule.objects.filter(connection__in=others, function=function)
        same.update(cursor=feed.cursor, last_success_at=feed.last_success_at)
    return [world.cart, *others]


def queue(carts: list[Cart], function: Function) -> list[Run]:
    """As the schedule does."""
    Run.objects.filter(state=Run.State.QUEUED).delete()
    world_time = timezone.now() - timedelta(seconds=1)
    return [request_run(cart, function, Run.Trigger.SCHEDULE, run_at=world_time) for cart in carts]


def drain_once() -> int:
    return run_some("me", ALL_LANES, 60, LeaseKeeper("me"))


def settle(world: World, carts: list[Cart]) -> None:
    """Ten of everything at the warehouse, and what shows them at the outlets."""
    for product in world.store.products:
        world.stock(product["sku"], 10)
    for cart in carts:
        world.run(Function.INVENTORY_SYNC, cart)
        world.run(Function.INVENTORY_SYNC, cart)
    world.sandbox.reset_calls()


class TestClaimedTogether:
    def test_looks_of_carts_that_were_read_before(self, world: World) -> None:
        carts = add_carts(world, 4)
        runs = queue(carts, Function.ORDER_DOWNLOAD)
        assert [run.pk for run in claim_runs("me", ALL_LANES, 10)] == [run.pk for run in runs]

    def test_what_may_take_long_is_taken_alone(self, world: World) -> None:
        carts = add_carts(world, 6)
        asked, failing, away, whole, unread, calm = queue(carts, Function.ORDER_DOWNLOAD)
        Run.objects.filter(pk=asked.pk).update(trigger=Run.Trigger.PERSON)
        Run.objects.filter(pk=whole.pk).update(full=True)
        feeds = Schedule.objects.filter(function=Function.ORDER_DOWNLOAD)
        feeds.filter(connection=carts[1].pk).update(failures=1)
        feeds.filter(connection=carts[4].pk).update(last_success_at=None)
        Connection.objects.filter(pk=carts[2].pk).update(failures_in_a_row=1)
        hands = []
        while runs := claim_runs("me", ALL_LANES, 10):
            hands.append([run.pk for run in runs])
        assert hands == [[run.pk] for run in (asked, failing, away, whole, unread, calm)]

    def test_one_that_gave_way_goes_on_alone(self, world: World) -> None:
        carts = add_carts(world, 2)
        long, other = queue(carts, Function.PRODUCT_PICKUP)
        Run.objects.filter(pk=long.pk).update(pages=3)
        assert [run.pk for run in claim_runs("me", ALL_LANES, 10)] == [long.pk]
        assert [run.pk for run in claim_runs("me", ALL_LANES, 10)] == [other.pk]

    def test_a_remote_that_hangs_does_not_hold_up_the_others(
        self, world: World, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """The lease keeper gives back what was not started, and the one that hangs stays where it is."""
        hanging, second, third = queue(add_carts(world, 3), Function.ORDER_DOWNLOAD)
        handful = Handful(claim_runs("me", ALL_LANES, 10))
        keeper = LeaseKeeper("me")
        keeper.handful = handful
        first = handful.take()
        assert first is not None and first.pk == hanging.pk
        keeper.beat()
        assert handful.is_waited_for, "it has only begun"
        monkeypatch.setattr("syncjobs.drain.TIMING", Timing(shared_run_slice=1e-9))
        keeper.beat()
        assert handful.take() is None
        assert [run.pk for run in claim_runs("other", ALL_LANES, 10)] == [second.pk, third.pk]
        hanging.refresh_from_db()
        assert (hanging.state, hanging.lease_owner) == (Run.State.RUNNING, "me")


class TestCost:
    @pytest.mark.parametrize("function", LOOKS)
    def test_a_look_is_one_call_and_hardly_a_query(self, world: World, function: Function) -> None:
        carts = add_carts(world, 8)

        def queries_of(number: int) -> int:
            queue(carts[:number], function)
            world.sandbox.reset_calls()
            with counted_queries() as queries:
                assert drain_once() == number
            assert len(world.sandbox.calls) == number
            return len(queries)

        # Where it stood is kept for each; an Order Download also asks whether an order waits for data.
        assert queries_of(8) - queries_of(3) <= 5 * (2 if function is Function.ORDER_DOWNLOAD else 1)
        assert queries_of(8) <= 35

    def test_a_look_at_the_stock_is_one_call_and_five_queries(self, world: World) -> None:
        carts = add_carts(world, 4)
        settle(world, carts)

        def queries_of(number: int) -> int:
            queue(carts[:number], Function.INVENTORY_SYNC)
            world.sandbox.reset_calls()
            with counted_queries() as queries:
                assert drain_once() == number
            assert [call.name for call in world.sandbox.calls] == ["POST /inventory"] * number
            return len(queries)

        # The locations, what must be read first, what is on its way, what differs, what is left out; where it stood.
        assert queries_of(4) - queries_of(2) <= 2 * 6


class TestTrace:
    def test_each_run_ends_with_its_calls_counts_and_place(self, world: World) -> None:
        world.sell()  # so that the feed of orders stands somewhere
        carts = add_carts(world, 3)
        for function in (Function.ORDER_DOWNLOAD, Function.INVENTORY_SYNC):
            for cart in carts if function is Function.INVENTORY_SYNC else ():
                world.run(function, cart)
            before = timezone.now()
            runs = queue(carts, function)
            assert drain_once() == 3
            for run, cart in zip(runs, carts, strict=True):
                run.refresh_from_db()
                feed = Schedule.objects.get(connection=cart.pk, function=function)
                assert (run.state, run.lease_owner, run.attempts) == (Run.State.DONE, "", 1)
                assert run.cursor_before == feed.cursor != ""
                assert feed.last_success_at is not None and feed.last_success_at >= before
                [call] = ApiCall.objects.filter(run=run)
                assert (call.connection_id, call.status) == (cart.pk, 200)
                assert call.bodies.response_text
                # The warehouse knows none of the first cart's products: that is said each time.
                says_so = function is Function.INVENTORY_SYNC and cart == world.cart
                assert run.counts == ({"unmatched": 12} if says_so else {})

    def test_a_worker_that_dies_before_the_mark_leaves_them_to_the_next(self, world: World) -> None:
        runs = queue(add_carts(world, 2), Function.ORDER_DOWNLOAD)
        assert len(claim_runs("dead", ALL_LANES, 10)) == 2
        Run.objects.filter(lease_owner="dead").update(lease_until=timezone.now() - timedelta(seconds=1))
        assert recover_abandoned() == 2
        while drain_once():
            pass
        assert {Run.objects.get(pk=run.pk).state for run in runs} == {Run.State.DONE}

    def test_one_that_fails_says_so_and_the_others_are_done(self, world: World) -> None:
        carts = add_carts(world, 3)
        runs = queue(carts, Function.ORDER_DOWNLOAD)
        world.sandbox.fail(times=2, match="GET /sales", status=503)
        assert drain_once() == 3
        assert [Run.objects.get(pk=run.pk).state for run in runs] == ["failed", "done", "done"]
        assert ApiCall.objects.filter(run=runs[0], status=503).count() == 2
        assert Schedule.objects.get(connection=carts[0].pk, function=Function.ORDER_DOWNLOAD).failures == 1


class TestNothingIsHidden:
    def test_a_sale_is_imported_in_the_middle_of_looks(self, world: World) -> None:
        carts = add_carts(world, 2)
        sale = world.sell((world.product(), 2))
        runs = queue(carts, Function.ORDER_DOWNLOAD)
        assert drain_once() == 2
        assert world.order(sale).cart_id == world.cart.pk
        assert Run.objects.get(pk=runs[0].pk).counts["imported"] == 1
        assert {Run.objects.get(pk=run.pk).state for run in runs} == {Run.State.DONE}

    def stocked(self, world: World) -> list[Cart]:
        carts = add_carts(world, 2)
        Schedule.objects.filter(connection=carts[1].pk, function=Function.PRODUCT_PICKUP).update(cursor="")
        settle(world, carts)
        return carts

    def look(self, carts: list[Cart]) -> None:
        queue(carts, Function.INVENTORY_SYNC)
        drain_once()

    def test_a_change_at_the_warehouse(self, world: World) -> None:
        carts, bean = self.stocked(world), world.product()
        self.look(carts)
        world.stock(bean["sku"], 14)
        self.look(carts)
        assert world.level(bean) == 14
        world.stock(bean["sku"], 0)
        self.look(carts)
        assert world.level(bean) == 0

    def test_a_change_at_the_outlet(self, world: World) -> None:
        carts, bean = self.stocked(world), world.product()
        world.store.set_level(bean["id"], world.outlet["id"], 3)
        self.look(carts)
        assert world.level(bean) == 10

    def test_an_order_that_waits(self, world: World) -> None:
        """Of another cart of the same location: nothing at this one's outlet or at the warehouse has moved."""
        carts, bean = self.stocked(world), world.product()
        other = next(outlet for outlet in world.store.outlets if outlet["name"] == carts[1].options["outlet_name"])
        world.sell((bean, 4), outlet=other["id"])
        world.run(Function.ORDER_DOWNLOAD, carts[1])
        assert Order.objects.get().at_warehouse_at is None
        self.look(carts)
        assert world.level(bean) == 6

    def test_a_product_that_can_be_matched_now(self, world: World) -> None:
        carts = self.stocked(world)
        product = world.store.add_product(sku="NEW1", name="New", price=1, levels={world.outlet["id"]: 2})
        self.look(carts)
        assert world.level(product) == 2, "the warehouse does not know it"
        world.stock("NEW1", 5)
        self.look(carts)
        assert world.level(product) == 5

    def test_another_set_of_locations(self, world: World) -> None:
        carts, bean = self.stocked(world), world.product()
        second = Location.objects.create(warehouse=world.warehouse, name="Second", external_id="second")
        world.book.set_available([(second, bean["sku"], Decimal(7))])
        self.look(carts)
        assert world.level(bean) == 10
        Cart.objects.filter(pk=carts[0].pk).update(stock_from=StockFrom.ALL)
        self.look(carts)
        assert world.level(bean) == 17

    def test_a_doubt_that_is_over(self, world: World, monkeypatch: pytest.MonkeyPatch) -> None:
        carts, bean = self.stocked(world), world.product()
        world.stock(bean["sku"], 15)
        level = OutletLevel.objects.filter(cart=world.cart, product__sku=bean["sku"])
        level.update(in_doubt_since=timezone.now())
        self.look(carts)
        assert world.level(bean) == 10, "a write may still be on its way"
        level.update(in_doubt_since=timezone.now() - timedelta(minutes=5))
        self.look(carts)
        assert world.level(bean) == 15


def test_a_pause_is_heeded_at_once(world: World) -> None:
    carts: list[Any] = add_carts(world, 2)
    settle(world, carts)
    held, free = queue(carts, Function.INVENTORY_SYNC)
    Schedule.objects.filter(connection=carts[0].pk, function=Function.ORDER_DOWNLOAD).update(paused_at=timezone.now())
    drain_once()
    held.refresh_from_db()
    free.refresh_from_db()
    assert (held.state, held.error_kind, free.state) == (Run.State.QUEUED, "waiting", Run.State.DONE)
