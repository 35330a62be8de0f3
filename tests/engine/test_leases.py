"""One runner per feed: leases that are lost, stolen and given back; two workers on one cart; slices and schedules."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection as database
from django.db import connections
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from django_q.models import Schedule as QSchedule

from carts.models import Alert, Connection, FunctionSetting, Order, Warehouse
from carts.setup import set_functions
from connectors.functions import Function, Lane
from syncjobs import outbox, runner, supervisor
from syncjobs.drain import ALL_LANES, LeaseKeeper, take_slot, what_is_due
from syncjobs.flows import orders as orders_flow
from syncjobs.inbox import State as EventState
from syncjobs.models import Delivery, DrainSlot, Run, Schedule, WebhookEvent, WorkerProcess
from syncjobs.runner import MOST_ATTEMPTS, claim_run, claim_runs, execute, give_back, recover_abandoned
from syncjobs.schedule import dispatch_due, request_run
from syncjobs.tick import tick
from syncjobs.timing import LEASE
from tests.engine.conftest import World
from tests.factories import make_builtin_warehouse, make_cart, make_merchant, make_order

pytestmark = pytest.mark.django_db

DOWNLOAD = Function.ORDER_DOWNLOAD
PAGE = 4


class Killed(BaseException):
    """As if by kill -9."""


@pytest.fixture(autouse=True)
def small_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("connectors.vend.client.SALES_PER_PAGE", PAGE)


def lease_runs_out(run: Run) -> None:
    Run.objects.filter(pk=run.pk).update(lease_until=timezone.now() - timedelta(seconds=1))


def claimed(world: World, owner: str = "old", **flags: Any) -> Run:
    run = claim_run(request_run(world.cart, DOWNLOAD, Run.Trigger.PERSON, **flags).pk, owner)
    assert run is not None
    return run


def cursor_of(world: World) -> str:
    return Schedule.objects.get(connection_id=world.cart.pk, function=DOWNLOAD).cursor


def assert_all_arrived(world: World, sales: list[Any]) -> None:
    """Every sale is one order with one delivery."""
    times = Counter(Order.objects.values_list("external_id", flat=True))
    assert times == {sale["id"]: 1 for sale in sales}
    assert Delivery.objects.count() == len(sales)


class TestKilledInAPage:
    def test_the_page_is_rolled_back_and_read_again(self, world: World, monkeypatch: pytest.MonkeyPatch) -> None:
        sales = [world.sell() for _ in range(3 * PAGE)]
        record_failures, pages = orders_flow.record_failures, []

        def die_in_the_second_page(*args: Any) -> int:
            pages.append(Order.objects.count())
            if len(pages) == 2:
                raise Killed
            return record_failures(*args)

        run = claimed(world)
        with monkeypatch.context() as patch:
            patch.setattr(orders_flow, "record_failures", die_in_the_second_page)
            with pytest.raises(Killed):
                execute(run, "old")
        assert pages == [PAGE, 2 * PAGE]  # it was killed after it had stored the page's orders
        assert Order.objects.count() == Delivery.objects.count() == PAGE
        cursor = cursor_of(world)
        run.refresh_from_db()
        assert (run.state, run.cursor_after, run.counts) == (Run.State.RUNNING, cursor, {"imported": PAGE})
        assert claim_runs("new", ALL_LANES) == []
        assert recover_abandoned() == 0
        lease_runs_out(run)
        assert recover_abandoned() == 1
        assert cursor_of(world) == cursor
        [again] = claim_runs("new", ALL_LANES)
        assert again.pk == run.pk
        assert execute(again, "new").state == Run.State.DONE
        assert_all_arrived(world, sales)
        assert Run.objects.get(pk=run.pk).counts["imported"] == len(sales)

    def test_a_run_that_kills_workers_is_stopped(self, world: World) -> None:
        for number in range(MOST_ATTEMPTS):
            run = claimed(world, f"dead {number}")
            lease_runs_out(run)
            recover_abandoned()
        run.refresh_from_db()
        assert (run.state, run.error_kind) == (Run.State.FAILED, "worker")
        assert Alert.objects.get(kind="worker").fix

    def test_a_run_that_gets_on_is_not(self, world: World, monkeypatch: pytest.MonkeyPatch) -> None:
        """A long load survives any number of killed workers, as long as each stores a page."""
        sales = [world.sell() for _ in range((MOST_ATTEMPTS + 2) * PAGE)]

        def die(seconds: object = None) -> None:
            raise Killed

        for _ in range(MOST_ATTEMPTS + 1):
            run = claimed(world)
            with monkeypatch.context() as patch:
                patch.setattr("syncjobs.context.RunContext.check_slice", die)
                with pytest.raises(Killed):
                    execute(run, "old")
            lease_runs_out(run)
            recover_abandoned()
        assert execute(claimed(world, "new"), "new").state == Run.State.DONE
        assert_all_arrived(world, sales)


class TestStolen:
    def test_the_old_runners_page_is_refused(self, world: World) -> None:
        """Stolen between two pages: what the old runner stores after that is thrown away."""
        sales = [world.sell() for _ in range(3 * PAGE)]
        run = claimed(world)
        stolen: list[Run] = []
        seen: list[int] = []

        def steal() -> bool:
            seen.append(Order.objects.count())
            if not stolen:
                lease_runs_out(run)
                recover_abandoned()
                stolen.extend(claim_runs("thief", ALL_LANES))
            return False

        execute(run, "old", stopping=steal)
        assert seen == [PAGE]
        assert Order.objects.count() == PAGE
        [mine] = stolen
        mine.refresh_from_db()
        assert (mine.pk, mine.state, mine.lease_owner) == (run.pk, Run.State.RUNNING, "thief")
        assert execute(mine, "thief").state == Run.State.DONE
        assert_all_arrived(world, sales)
        assert not Alert.objects.exists()

    @pytest.mark.parametrize("how", ["give back", "fail", "pause"])
    def test_the_old_runner_cannot_end_what_another_runs(self, world: World, how: str) -> None:
        run = claimed(world)
        lease_runs_out(run)
        recover_abandoned()
        [mine] = claim_runs("thief", ALL_LANES)
        if how == "give back":
            give_back([run])
        elif how == "fail":
            world.sandbox.fail(times=None, status=401)
            execute(run, "old")
        else:
            world.sandbox.fail(times=None, status=429, retry_after_seconds=60)
            execute(run, "old")
        mine.refresh_from_db()
        assert (mine.state, mine.lease_owner, mine.error) == (Run.State.RUNNING, "thief", "")

    def test_two_runs_of_one_feed_never_run_at_once(self, world: World) -> None:
        """Order Cancel Download rides on the order feed: the same lease; so do a full run and an ordinary one."""
        request_run(world.cart, DOWNLOAD, Run.Trigger.PERSON)
        request_run(world.cart, DOWNLOAD, Run.Trigger.PERSON, full=True)
        request_run(world.cart, Function.ORDER_CANCEL_DOWNLOAD, Run.Trigger.PERSON)
        [first] = claim_runs("a", ALL_LANES, 10)
        assert claim_runs("b", ALL_LANES, 10) == []
        for other in Run.objects.filter(state=Run.State.QUEUED):
            assert claim_run(other.pk, "b") is None
        assert execute(first, "a").state == Run.State.DONE
        assert len(claim_runs("b", ALL_LANES, 10)) == 1

    def test_an_equal_run_queued_meanwhile_has_nothing_left_to_do(self, world: World) -> None:
        """The old one goes on to the end of the feed, with its counts and its progress."""
        run = claimed(world)
        twin = request_run(world.cart, DOWNLOAD, Run.Trigger.WEBHOOK)
        assert twin.pk != run.pk
        give_back([run])
        assert Run.objects.get(pk=run.pk).state == Run.State.QUEUED
        twin.refresh_from_db()
        assert (twin.state, twin.error_kind) == (Run.State.CANCELLED, "superseded")
        assert str(run.pk) in twin.error

    def test_a_twin_at_the_very_moment(self, world: World, monkeypatch: pytest.MonkeyPatch) -> None:
        """Another worker queues an equal run right after ours were superseded."""
        run = claimed(world)
        request_run(world.cart, DOWNLOAD, Run.Trigger.WEBHOOK)
        real = Run.objects.filter(pk=0).__class__.update
        twins: list[int] = []

        def one_more(rows: Any, **values: Any) -> int:
            changed = real(rows, **values)
            if values.get("error_kind") == "superseded" and not twins:
                twins.append(request_run(world.cart, DOWNLOAD, Run.Trigger.WEBHOOK).pk)
            return changed

        with monkeypatch.context() as patch:
            patch.setattr("django.db.models.query.QuerySet.update", one_more)
            give_back([run])
        assert twins
        assert Run.objects.get(pk=run.pk).state == Run.State.QUEUED
        assert Run.objects.filter(connection_id=world.cart.pk, state=Run.State.QUEUED).count() == 1
        assert not Run.objects.filter(state=Run.State.RUNNING).exists()


class TestKeeper:
    def test_renews_what_its_owner_holds_and_nothing_else(self, world: World) -> None:
        make_and_claim = {"mine": claimed(world, "5-abc")}
        other = claim_run(request_run(world.warehouse, Function.SHIPMENT_PICKUP, Run.Trigger.PERSON).pk, "55-abc")
        order = make_order(world.cart)
        outbox.order_is_ready(Order, order)
        outbox.claim_batch("5-abc", world.warehouse.pk, "order", 1)
        past = timezone.now() - timedelta(seconds=30)
        Run.objects.update(lease_until=past)
        Delivery.objects.update(lease_until=past)
        keeper = LeaseKeeper("5-abc")
        keeper.beat()
        assert Delivery.objects.get().lease_until == past  # it claims nothing now
        with keeper.holding():
            keeper.beat()
        soon = timezone.now() + LEASE / 2
        assert Run.objects.get(pk=make_and_claim["mine"].pk).lease_until > soon
        assert Delivery.objects.get().lease_until > soon
        assert other is not None
        assert Run.objects.get(pk=other.pk).lease_until == past

    def test_stops_with_its_worker(self) -> None:
        worker = WorkerProcess.objects.create(name="w", host="h", pid=1, beat_at=timezone.now())
        slot = DrainSlot.objects.create(worker=worker, name="w/0")
        keeper = LeaseKeeper("x", slot.pk)
        keeper.beat()
        assert not keeper.stopping
        assert take_slot(slot.pk) is None  # it is taken: it beats
        WorkerProcess.objects.update(stopping=True)
        keeper.beat()
        assert keeper.stopping
        DrainSlot.objects.update(beat_at=None)
        assert take_slot(slot.pk) is None  # nothing new begins in a worker that stops
        worker.delete()
        keeper.beat()
        assert keeper.stopping


def at_once(number: int, work: Callable[[int], list[int]]) -> list[list[int]]:
    """Runs ``work`` in threads that start together; what each returned."""
    gate = threading.Barrier(number)
    results: list[list[int]] = [[] for _ in range(number)]
    errors: list[BaseException] = []

    def run(position: int) -> None:
        try:
            gate.wait(10)
            results[position] = work(position)
        except BaseException as error:
            errors.append(error)
        finally:
            connections.close_all()

    threads = [threading.Thread(target=run, args=(position,)) for position in range(number)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert errors == []
    return results


@pytest.mark.django_db(transaction=True)
class TestThreads:
    def test_claiming_runs(self) -> None:
        merchant = make_merchant()
        for _ in range(12):
            warehouse = make_builtin_warehouse(merchant)
            for function in (Function.SHIPMENT_PICKUP, Function.INVENTORY_PICKUP, Function.PRODUCT_PICKUP):
                request_run(warehouse, function, Run.Trigger.PERSON)
                request_run(warehouse, function, Run.Trigger.PERSON, full=True)

        def claim_all(position: int) -> list[int]:
            mine: list[int] = []
            owner = f"thread {position}"
            for _ in range(200):
                runs = claim_runs(owner, ALL_LANES, 5)
                for run in runs:
                    mine.append(run.pk)
                    Run.objects.filter(pk=run.pk, lease_owner=owner).update(state=Run.State.DONE)
                if not Run.objects.filter(state=Run.State.QUEUED).exists():
                    break
            return mine

        taken = Counter(pk for ids in at_once(4, claim_all) for pk in ids)
        assert taken == dict.fromkeys(Run.objects.values_list("pk", flat=True), 1)
        assert len(taken) == 72
        assert set(Run.objects.values_list("state", flat=True)) == {Run.State.DONE}
        assert set(Run.objects.values_list("attempts", flat=True)) == {1}

    def test_claiming_deliveries(self) -> None:
        cart = make_cart(make_builtin_warehouse())
        for _ in range(60):
            outbox.order_is_ready(Order, make_order(cart))

        def claim_all(position: int) -> list[int]:
            mine: list[int] = []
            for _ in range(200):
                batch = outbox.claim_batch(f"thread {position}", cart.warehouse_id or 0, "order", 3)
                mine.extend(delivery.pk for delivery in batch)
                if not Delivery.objects.filter(state=Delivery.State.PENDING).exists():
                    break
            return mine

        taken = Counter(pk for ids in at_once(4, claim_all) for pk in ids)
        assert taken == dict.fromkeys(Delivery.objects.values_list("pk", flat=True), 1)
        assert set(Delivery.objects.values_list("attempts", flat=True)) == {1}

    def test_recovering(self, world: World) -> None:
        """What a dead worker left is taken up by one of those who look."""
        run = claimed(world)
        outbox.order_is_ready(Order, make_order(world.cart))
        outbox.claim_batch("old", world.warehouse.pk, "order", 1)
        lease_runs_out(run)
        Delivery.objects.update(lease_until=timezone.now() - timedelta(seconds=1))

        def recover(position: int) -> list[int]:
            recover_abandoned()
            outbox.recover_abandoned()
            return [one.pk for one in claim_runs(f"thread {position}", ALL_LANES)]

        taken = [pk for ids in at_once(4, recover) for pk in ids]
        assert taken == [run.pk]
        assert Delivery.objects.get().attempt_log.filter(outcome="abandoned").count() == 1

    def test_dispatching(self) -> None:
        warehouses = many_schedules(30)

        def dispatch(position: int) -> list[int]:
            dispatch_due()
            return []

        at_once(4, dispatch)
        assert Run.objects.count() == len(warehouses) * 3


def many_schedules(number: int) -> list[Warehouse]:
    """Warehouses with three functions each, all due now."""
    merchant = make_merchant()
    Connection.objects.bulk_create(
        Connection(merchant=merchant, name=f"W {i}", connector="builtin", role="warehouse", is_active=True)
        for i in range(number)
    )
    owners = list(Connection.objects.filter(merchant=merchant))
    schedule(owners, {Function.SHIPMENT_PICKUP: 5, Function.INVENTORY_PICKUP: 15, Function.PRODUCT_PICKUP: 60})
    return owners  # type: ignore[return-value]


def schedule(owners: list[Connection], minutes: dict[Function, int]) -> None:
    settings = FunctionSetting.objects.bulk_create(
        FunctionSetting(connection=owner, function=function, is_on=True, minutes=number)
        for owner in owners
        for function, number in minutes.items()
    )
    past = timezone.now() - timedelta(seconds=5)
    Schedule.objects.bulk_create(
        Schedule(setting=item, connection_id=item.connection_id, function=item.function, next_run_at=past)
        for item in settings
    )


class TestSlices:
    def test_a_long_run_gives_way_and_goes_on_from_its_cursor(self, world: World) -> None:
        sales = [world.sell() for _ in range(3 * PAGE)]
        request_run(world.cart, DOWNLOAD, Run.Trigger.PERSON)
        cursors = []
        for turn in range(10):
            [run] = claim_runs(f"turn {turn}", ALL_LANES)
            run = execute(run, f"turn {turn}", seconds=1e-9)
            cursors.append(cursor_of(world))
            if run.state == Run.State.DONE:
                break
            assert (run.state, run.lease_owner) == (Run.State.QUEUED, "")
            assert Order.objects.count() == PAGE * (turn + 1)
        assert run.state == Run.State.DONE
        assert len(cursors) == 4 and cursors == sorted(cursors, key=int)
        assert_all_arrived(world, sales)
        run = Run.objects.get()
        assert (run.counts, run.cursor_before, run.cursor_after) == ({"imported": len(sales)}, "", cursors[-1])

    def test_a_full_run_goes_on_from_its_position(self, world: World) -> None:
        """The schedule's own cursor stays where it is meanwhile."""
        sales = [world.sell() for _ in range(3 * PAGE)]
        world.download()
        cursor = cursor_of(world)
        request_run(world.cart, DOWNLOAD, Run.Trigger.PERSON, full=True)
        positions = []
        for turn in range(10):
            [run] = claim_runs(f"turn {turn}", ALL_LANES)
            run = execute(run, f"turn {turn}", seconds=1e-9)
            positions.append(Run.objects.get(pk=run.pk).position)
            assert cursor_of(world) == cursor
            if run.state == Run.State.DONE:
                break
        assert len(set(positions)) == 3 and positions == sorted(positions, key=int)
        assert Run.objects.get(pk=run.pk).counts == {"unchanged": len(sales)}
        assert_all_arrived(world, sales)

    def test_waiting_runs_come_first(self, world: World) -> None:
        """What gave way goes to the end of the queue."""
        for _ in range(2 * PAGE):
            world.sell()
        long = claimed(world)
        other = request_run(world.warehouse, Function.SHIPMENT_PICKUP, Run.Trigger.PERSON)
        execute(long, "old", seconds=1e-9)
        assert [run.pk for run in claim_runs("a", ALL_LANES, 2)] == [other.pk]
        assert [run.pk for run in claim_runs("a", ALL_LANES, 2)] == [long.pk]
        assert Run.objects.get(pk=other.pk).run_at < Run.objects.get(pk=long.pk).run_at

    def test_a_stopping_worker_gives_way_after_the_page(self, world: World) -> None:
        for _ in range(2 * PAGE):
            world.sell()
        run = execute(claimed(world), "old", stopping=lambda: True)
        assert run.state == Run.State.QUEUED
        assert Order.objects.count() == PAGE
        assert Run.objects.get().attempts == 0


class TestSchedules:
    def test_thousands_of_due_schedules_cost_the_same_queries(self) -> None:
        def dispatch(number: int) -> int:
            """Queries that 3 * ``number`` due schedules cost, without the inserts (some rows each) of their runs."""
            many_schedules(number)
            with CaptureQueriesContext(database) as queries:
                assert dispatch_due() == 3 * number
            return sum(not query["sql"].startswith("INSERT") for query in queries)

        few, many = dispatch(3), dispatch(1667)
        assert many <= 6 * few  # 5,001 schedules are six rounds of up to 1,000
        assert Run.objects.filter(state=Run.State.QUEUED).count() == 9 + 5001

    def test_riding_functions_cost_no_query_each(self, world: World) -> None:
        """Order Cancel Download asks whether Order Download is on: once for all."""
        counts = []
        for number in (1, 20):
            carts = [make_cart(world.warehouse) for _ in range(number)]
            owners = list(Connection.objects.filter(pk__in=[cart.pk for cart in carts]))
            schedule(owners, {DOWNLOAD: 5, Function.ORDER_CANCEL_DOWNLOAD: 5})
            Schedule.objects.exclude(connection__in=owners).update(next_run_at=timezone.now() + timedelta(hours=1))
            with CaptureQueriesContext(database) as queries:
                assert dispatch_due() == number
            counts.append(len(queries))
        assert counts[0] == counts[1]
        assert not Run.objects.filter(function=Function.ORDER_CANCEL_DOWNLOAD).exists()

    def test_first_runs_are_staggered(self) -> None:
        warehouse = make_builtin_warehouse()
        now = timezone.now()
        for _ in range(20):
            Schedule.objects.all().delete()
            set_functions(warehouse, [])
            set_functions(warehouse, [Function.SHIPMENT_PICKUP, Function.INVENTORY_PICKUP])
        for _ in range(10):
            make_builtin_warehouse(warehouse.merchant)
        starts = list(Schedule.objects.filter(setting__minutes__gt=0).values_list("next_run_at", flat=True))
        assert len(starts) > 10 and len(set(starts)) == len(starts)
        assert all(start <= now + timedelta(minutes=2) for start in starts)
        assert max(starts) - min(starts) > timedelta(seconds=5)

    def test_a_day_off_is_made_up_for_once(self, world: World) -> None:
        Schedule.objects.update(next_run_at=timezone.now() - timedelta(days=1))
        on = Schedule.objects.filter(setting__is_on=True, setting__minutes__gt=0)
        first = dispatch_due()
        assert first == Run.objects.count()
        assert dispatch_due() == 0
        now = timezone.now()
        assert all(start > now for start in on.values_list("next_run_at", flat=True))
        downloads = Run.objects.filter(function=DOWNLOAD)
        assert downloads.count() == 1

    def test_a_run_that_still_waits_is_not_queued_again(self, world: World) -> None:
        Schedule.objects.update(next_run_at=timezone.now())
        dispatch_due()
        before = Run.objects.count()
        Schedule.objects.update(next_run_at=timezone.now())
        dispatch_due()
        assert Run.objects.count() == before


class TestIdle:
    def test_one_question_tells_that_nothing_is_due(self, world: World) -> None:
        Schedule.objects.update(next_run_at=timezone.now() + timedelta(hours=1))
        with CaptureQueriesContext(database) as queries:
            assert not any(what_is_due())
        assert len(queries) == 1

    def test_it_sees_each_kind_of_work(self, world: World) -> None:
        later = timezone.now() + timedelta(hours=1)
        run = request_run(world.cart, DOWNLOAD, Run.Trigger.PERSON, run_at=later)
        order = make_order(world.cart)
        outbox.order_is_ready(Order, order)
        Delivery.objects.update(run_at=later)
        assert not any(what_is_due())
        Delivery.objects.update(run_at=timezone.now())
        assert any(what_is_due())
        Delivery.objects.update(state=Delivery.State.RETRY)
        assert any(what_is_due())
        Delivery.objects.update(state=Delivery.State.DONE)
        assert not any(what_is_due())
        Run.objects.filter(pk=run.pk).update(run_at=timezone.now())
        assert any(what_is_due())
        Run.objects.all().delete()
        assert not any(what_is_due())
        event = WebhookEvent.objects.create(connection_id=world.cart.pk, body=b"{}")
        assert any(what_is_due())
        WebhookEvent.objects.filter(pk=event.pk).update(state=EventState.DONE)
        assert not any(what_is_due())


class TestTick:
    def test_workers_that_start_at_once_share_one_tick(self) -> None:
        QSchedule.objects.bulk_create(QSchedule(name=supervisor.TICK, func="syncjobs.tick.tick") for _ in range(2))
        supervisor.schedule_tick()
        supervisor.schedule_tick()
        assert QSchedule.objects.get(name=supervisor.TICK).func == "syncjobs.tick.tick"

    def test_dead_workers_are_cleared_away(self, world: World) -> None:
        now = timezone.now()
        WorkerProcess.objects.create(name="dead", host="h", pid=1, beat_at=now - timedelta(minutes=5))
        WorkerProcess.objects.create(name="alive", host="h", pid=2, beat_at=now)
        run = claimed(world)
        lease_runs_out(run)
        tick()
        assert [worker.name for worker in WorkerProcess.objects.all()] == ["alive"]
        assert Run.objects.get(pk=run.pk).state == Run.State.QUEUED


def test_urgent_lanes_leave_the_rest(world: World) -> None:
    request_run(world.cart, Function.INVENTORY_SYNC, Run.Trigger.PERSON)
    assert claim_runs("a", (Lane.ORDERS,)) == []
    assert len(claim_runs("a", ALL_LANES)) == 1
    assert runner.claim_runs("b", ALL_LANES) == []
