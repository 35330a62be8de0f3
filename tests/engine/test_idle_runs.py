"""Runs that only look into the hub's own database are claimed together and, when they find nothing, marked together."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.db import connection as database
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from carts.models import Alert, Connection, Warehouse
from carts.setup import finish_new_connection
from connectors.functions import Function
from syncjobs.drain import ALL_LANES, LeaseKeeper, run_some
from syncjobs.models import Run, Schedule
from syncjobs.outcomes import IdleRuns
from syncjobs.runner import claim_run, claim_runs, execute, give_back, recover_abandoned
from syncjobs.schedule import request_run
from syncjobs.timing import Timing
from tests.engine.conftest import World
from tests.factories import make_builtin_warehouse, make_cart, make_merchant

pytestmark = pytest.mark.django_db

PICKUP = Function.SHIPMENT_PICKUP


def make_warehouses(number: int) -> list[Warehouse]:
    merchant = make_merchant()
    warehouses = [make_builtin_warehouse(merchant) for _ in range(number)]
    for warehouse in warehouses:
        finish_new_connection(warehouse)
    return warehouses


def queue(connection: Connection, function: Function = PICKUP) -> Run:
    return request_run(connection, function, Run.Trigger.SCHEDULE)


def schedule_of(run: Run) -> Schedule:
    return Schedule.objects.get(connection_id=run.connection_id, function=run.feed)


def drain_once(owner: str = "me", seconds: float = 60) -> int:
    return run_some(owner, ALL_LANES, seconds, LeaseKeeper(owner))


class TestClaimedTogether:
    def test_what_stays_in_the_hub_is_taken_together(self) -> None:
        runs = [queue(warehouse) for warehouse in make_warehouses(4)]
        assert [run.pk for run in claim_runs("me", ALL_LANES, 3)] == [run.pk for run in runs[:3]]
        assert [run.pk for run in claim_runs("me", ALL_LANES, 3)] == [runs[3].pk]

    def test_what_calls_a_remote_system_is_taken_alone(self) -> None:
        """It may take long, and nobody should wait in the same hands."""
        warehouses = make_warehouses(3)
        shop, other = (make_cart(warehouses[0], warehouses[0].merchant) for _ in range(2))
        due = [
            queue(warehouses[0]),
            queue(shop, Function.ORDER_DOWNLOAD),
            queue(warehouses[1]),
            queue(other, Function.ORDER_DOWNLOAD),
            queue(warehouses[2]),
        ]
        hands = []
        while runs := claim_runs("me", ALL_LANES, 10):
            hands.append([run.pk for run in runs])
        assert hands == [[due[0].pk, due[2].pk, due[4].pk], [due[1].pk], [due[3].pk]]

    def test_one_of_each_connection(self) -> None:
        first, second = make_warehouses(2)
        mine, later, other = queue(first), queue(first, Function.INVENTORY_PICKUP), queue(second)
        assert [run.pk for run in claim_runs("me", ALL_LANES, 10)] == [mine.pk, other.pk]
        assert [run.pk for run in claim_runs("me", ALL_LANES, 10)] == [later.pk]

    def test_they_bring_their_connection_and_schedule(self) -> None:
        for warehouse in make_warehouses(3):
            queue(warehouse)
        runs = claim_runs("me", ALL_LANES, 10)
        with CaptureQueriesContext(database) as queries:
            assert all(run.connection.merchant.is_active for run in runs)
        assert len(queries) == 0


class TestMarkedTogether:
    def test_each_is_done_and_its_success_is_remembered(self) -> None:
        runs = [queue(warehouse) for warehouse in make_warehouses(5)]
        before = timezone.now()
        assert drain_once() == 5
        for run in runs:
            run.refresh_from_db()
            assert (run.state, run.lease_owner, run.lease_until, run.attempts) == (Run.State.DONE, "", None, 1)
            assert run.finished_at is not None and run.finished_at >= before
            assert (schedule_of(run).last_success_at or before) > before
            assert (Connection.objects.get(pk=run.connection_id).last_success_at or before) > before

    def test_more_of_them_cost_one_look_more_each(self) -> None:
        def queries_of(number: int) -> int:
            for warehouse in make_warehouses(number):
                queue(warehouse)
            with CaptureQueriesContext(database) as queries:
                assert drain_once() == number
            return len(queries)

        assert queries_of(30) - queries_of(10) == 20

    def test_where_it_stood_is_kept(self) -> None:
        run, other = (queue(warehouse) for warehouse in make_warehouses(2))
        stood = timezone.now().isoformat()
        Schedule.objects.filter(pk=schedule_of(run).pk).update(cursor=stood)
        drain_once()
        run.refresh_from_db()
        other.refresh_from_db()
        assert (run.state, run.cursor_before, other.state, other.cursor_before) == ("done", stood, "done", "")
        assert schedule_of(run).cursor == stood

    def test_what_another_worker_took_over_is_left_to_it(self) -> None:
        for warehouse in make_warehouses(2):
            queue(warehouse)
        idle = IdleRuns("me")
        mine, lost = claim_runs("me", ALL_LANES, 10)
        for run in (mine, lost):
            execute(run, "me", idle=idle)
        Run.objects.filter(pk=lost.pk).update(lease_until=timezone.now() - timedelta(seconds=1))
        assert recover_abandoned() == 1
        [stolen] = claim_runs("thief", ALL_LANES)
        assert stolen.pk == lost.pk
        idle.mark()
        mine.refresh_from_db()
        stolen.refresh_from_db()
        assert mine.state == Run.State.DONE
        assert (stolen.state, stolen.lease_owner) == (Run.State.RUNNING, "thief")
        assert schedule_of(stolen).last_success_at is None

    def test_a_worker_that_dies_before_the_mark_leaves_runs_to_be_run_again(self) -> None:
        runs = [queue(warehouse) for warehouse in make_warehouses(3)]
        idle = IdleRuns("dead")
        for run in claim_runs("dead", ALL_LANES, 10):
            assert execute(run, "dead", idle=idle).state == Run.State.RUNNING
        Run.objects.update(lease_until=timezone.now() - timedelta(seconds=1))
        assert recover_abandoned() == 3
        assert drain_once("next") == 3
        assert set(Run.objects.values_list("pk", "state", "attempts")) == {(run.pk, Run.State.DONE, 2) for run in runs}

    def test_marking_twice_or_nothing_does_no_harm(self) -> None:
        idle = IdleRuns("me")
        idle.mark()
        queue(make_warehouses(1)[0])
        [run] = claim_runs("me", ALL_LANES)
        execute(run, "me", idle=idle)
        idle.mark()
        idle.mark()
        assert Run.objects.get().state == Run.State.DONE

    def test_a_run_after_trouble_forgets_it_as_always(self) -> None:
        first, second = make_warehouses(2)
        run = queue(first)
        queue(second)
        schedule = schedule_of(run)
        Schedule.objects.filter(pk=schedule.pk).update(failures=2, last_error="gone")
        Connection.objects.filter(pk=first.pk).update(failures_in_a_row=2)
        Alert.objects.create(
            merchant=first.merchant, kind="unavailable", key=f"{first.pk}:{PICKUP}", message="gone", connection=first
        )
        assert drain_once() == 2
        schedule.refresh_from_db()
        first.refresh_from_db()
        assert (schedule.failures, schedule.last_error, first.failures_in_a_row) == (0, "", 0)
        assert Alert.objects.get().status == Alert.Status.RESOLVED
        assert set(Run.objects.values_list("state", flat=True)) == {Run.State.DONE}

    def test_one_that_fails_does_not_take_the_others_with_it(self) -> None:
        first, second, third = make_warehouses(3)
        runs = [queue(one) for one in (first, second, third)]
        Connection.objects.filter(pk=second.pk).update(is_active=False)
        assert drain_once() == 3
        assert [Run.objects.get(pk=run.pk).state for run in runs] == ["done", "failed", "done"]


def test_a_long_run_lets_the_others_go_back(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """A slice is short while others wait in the same hands, and what could not start in time is free for others."""
    others = make_warehouses(2)
    world.book.set_available((world.location, f"SKU-{number}", Decimal(number)) for number in range(6))
    Run.objects.all().delete()  # the book told of its change already
    monkeypatch.setattr("carts.warehouse_book.LEVELS_PER_PAGE", 2)
    monkeypatch.setattr("syncjobs.drain.TIMING", Timing(shared_run_slice=1e-9))
    long = request_run(world.warehouse, Function.INVENTORY_PICKUP, Run.Trigger.SCHEDULE, full=True)
    waiting = [queue(warehouse) for warehouse in others]
    assert drain_once() == 1
    long.refresh_from_db()
    assert (long.state, long.pages, long.lease_owner) == (Run.State.QUEUED, 1, "")
    assert [Run.objects.get(pk=run.pk).state for run in waiting] == [Run.State.QUEUED] * 2
    assert {run.pk for run in claim_runs("other", ALL_LANES, 10)} == {long.pk, *(run.pk for run in waiting)}


def test_what_goes_back_keeps_its_place_and_costs_little() -> None:
    first, *others = make_warehouses(12)
    runs = [queue(warehouse) for warehouse in (first, *others)]
    places = dict(Run.objects.values_list("pk", "run_at"))
    mine = claim_runs("me", ALL_LANES, 20)
    twin = queue(others[3])
    assert twin.pk not in places
    Run.objects.filter(pk=runs[5].pk).update(lease_owner="thief")
    with CaptureQueriesContext(database) as queries:
        give_back(mine)
    assert len(queries) < 12
    back = Run.objects.filter(state=Run.State.QUEUED).exclude(pk=twin.pk)
    assert {run.pk: run.run_at for run in back} == {
        pk: place for pk, place in places.items() if pk not in (runs[4].pk, runs[5].pk)
    } | {runs[4].pk: Run.objects.get(pk=runs[4].pk).run_at}
    assert set(back.values_list("attempts", "lease_owner", "lease_until")) == {(0, "", None)}
    twin.refresh_from_db()
    stolen = Run.objects.get(pk=runs[5].pk)
    assert (twin.state, stolen.state, stolen.lease_owner) == (Run.State.CANCELLED, Run.State.RUNNING, "thief")


def test_a_person_who_waits_sees_the_end_at_once() -> None:
    run = claim_run(queue(make_warehouses(1)[0]).pk, "sync")
    assert run is not None
    seen: list[Any] = []
    assert execute(run, "sync", progress=lambda one: seen.append(one.state)).state == Run.State.DONE
    assert seen == [Run.State.DONE]
