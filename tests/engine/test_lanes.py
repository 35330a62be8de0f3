"""A sweep over a whole catalogue never delays an order: it has no urgent slot, gives way, and leaves calls to orders."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from carts import remote
from carts.models import Product
from connectors.functions import Function
from connectors.vend.sandbox import VendSandbox
from syncjobs import drain
from syncjobs.models import DrainSlot, Run, Schedule, WorkerProcess
from syncjobs.runner import claim_run, claim_runs, execute
from syncjobs.schedule import request_run
from syncjobs.timing import TIMING
from tests.engine.conftest import World
from tests.engine.simulated_time import SimulatedClock, clock_fixture  # noqa: F401

PRODUCTS = 2500
SLICE = 60.0


def queue(world: World, function: Function, **flags: Any) -> Run:
    return request_run(world.cart, function, Run.Trigger.SCHEDULE, **flags)


def state(run: Run) -> str:
    return Run.objects.get(pk=run.pk).state


def work(*, urgent_only: bool, seconds: float = 30.0) -> None:
    drain.work("test", drain.LeaseKeeper("test"), urgent_only=urgent_only, seconds=seconds)


@pytest.fixture
def large(db: None, settings: Any) -> Iterator[World]:
    """A shop whose catalogue has many pages."""
    with VendSandbox(outlets=1, sales=0, products=PRODUCTS, customers=3, seed=1, rate_limit=100_000) as sandbox:
        world = World(sandbox, settings)
        Schedule.objects.update(next_run_at=timezone.now() + timedelta(days=1))
        yield world


class TestSlots:
    def test_the_urgent_slot_takes_orders_only(self, clock: SimulatedClock, world: World) -> None:
        Schedule.objects.update(next_run_at=clock.now + timedelta(days=1))
        waiting = [
            queue(world, function)
            for function in (Function.PRODUCT_PICKUP, Function.CUSTOMER_SYNC, Function.INVENTORY_SYNC)
        ]
        order = queue(world, Function.ORDER_DOWNLOAD)
        work(urgent_only=True)
        assert state(order) == Run.State.DONE
        assert {state(run) for run in waiting} == {Run.State.QUEUED}
        work(urgent_only=False)
        assert {state(run) for run in waiting} == {Run.State.DONE}


class TestSlices:
    def test_a_sweep_gives_way_and_goes_on_where_it_was(self, clock: SimulatedClock, large: World) -> None:
        """Each page takes half a slice: an order that came meanwhile is next, and no page is read twice."""
        large.download()  # the first one reads all products itself
        products = Product.objects.filter(connection_id=large.cart.pk).count()
        assert products >= PRODUCTS
        sweep = queue(large, Function.PRODUCT_PICKUP, full=True)
        clock.at(clock.now + timedelta(seconds=SLICE / 2), lambda: queue(large, Function.ORDER_DOWNLOAD))
        order_of_work = []
        while claimed := claim_runs("test", drain.ALL_LANES):
            order_of_work.append(claimed[0].function)
            execute(claimed[0], "test", seconds=SLICE, progress=lambda run: clock.sleep(SLICE * 0.6))
        first, second, *rest = order_of_work
        assert (first, second) == (Function.PRODUCT_PICKUP, Function.ORDER_DOWNLOAD)
        assert rest and set(rest) == {Function.PRODUCT_PICKUP}
        assert state(sweep) == Run.State.DONE
        assert Run.objects.get(pk=sweep.pk).counts["products"] == products, "no page was taken in twice"

    @pytest.mark.parametrize(("slots", "seconds"), [(1, TIMING.shared_run_slice), (2, TIMING.run_slice)])
    def test_a_worker_without_an_urgent_slot_gives_way_sooner(
        self, db: None, monkeypatch: pytest.MonkeyPatch, slots: int, seconds: float
    ) -> None:
        given: list[float] = []

        def some(owner: str, lanes: Any, slice_seconds: float, keeper: Any) -> int:
            given.append(slice_seconds)
            keeper.stopping = True
            return 0

        monkeypatch.setattr(drain, "run_some", some)
        monkeypatch.setattr(drain, "what_is_due", lambda: drain.Due(True, True, True, True))
        worker = WorkerProcess.objects.create(name="w", host="h", pid=1, beat_at=timezone.now())
        for number in range(slots):
            DrainSlot.objects.create(worker=worker, name=f"w/{number}", urgent_only=number == 0 and slots > 1)
        drain.drain(DrainSlot.objects.get(name=f"w/{slots - 1}").pk, seconds=5)
        assert given == [seconds]


class TestCalls:
    """The remote allows so many calls in five minutes; the last fifth of them is not for sweeps."""

    def only_the_reserve_is_left(self, world: World) -> None:
        world.sandbox.rate_limit = 100
        with world.sandbox.store.lock:
            world.sandbox._window_calls = 85
        world.download()  # one call tells how many are left

    def test_a_sweep_leaves_them_to_orders(self, clock: SimulatedClock, world: World) -> None:
        self.only_the_reserve_is_left(world)
        calls = len(world.sandbox.calls)
        sweep = queue(world, Function.PRODUCT_PICKUP, full=True)
        claimed = claim_run(sweep.pk, "test")
        assert claimed is not None
        run = execute(claimed, "test")
        assert (run.state, run.error_kind) == (Run.State.QUEUED, "rate_limited")
        assert "kept for orders" in run.error and run.run_at > clock.now
        assert len(world.sandbox.calls) == calls, "nothing was called"
        assert Schedule.objects.get(connection_id=world.cart.pk, function=Function.PRODUCT_PICKUP).failures == 0
        sale = world.sell()
        assert world.download().state == Run.State.DONE
        assert world.order(sale)

    def test_it_goes_on_once_there_are_more(self, clock: SimulatedClock, world: World) -> None:
        self.only_the_reserve_is_left(world)
        Schedule.objects.update(next_run_at=clock.now + timedelta(days=1))
        sweep = queue(world, Function.PRODUCT_PICKUP, full=True)
        work(urgent_only=False, seconds=60)
        assert state(sweep) == Run.State.QUEUED
        assert remote.BUDGETS.changed() == []
        work(urgent_only=False, seconds=300)
        assert state(sweep) == Run.State.DONE

    def test_a_person_who_asks_does_not_wait(self, clock: SimulatedClock, world: World) -> None:
        self.only_the_reserve_is_left(world)
        assert world.run(Function.PRODUCT_PICKUP, full=True).state == Run.State.DONE
