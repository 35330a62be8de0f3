"""``manage.py worker`` as real processes: what is killed is replaced, and every order arrives exactly once."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest
from django_q.models import OrmQ

from carts.models import Order, PickOrder
from connectors.functions import Function
from syncjobs.models import Delivery, DrainSlot, Run, WorkerProcess
from syncjobs.schedule import request_run
from tests.engine.conftest import World
from tests.engine.processes import Hub, Worker, hub_fixture, is_alive, wait_until  # noqa: F401

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.skipif(not Path("/proc/self/task").is_dir(), reason="looks at processes through Linux's /proc"),
]


def assert_clean(worker: Worker) -> None:
    """It stopped by itself, left nobody and nothing behind."""
    members = [worker.cluster, *worker.members()]
    assert worker.stop() == 0
    assert worker.left() == []
    assert not any(is_alive(pid) for pid in members)
    assert not WorkerProcess.objects.filter(pid=worker.pid).exists()
    assert not Run.objects.filter(state=Run.State.RUNNING).exists()
    assert not Delivery.objects.filter(state=Delivery.State.SENDING).exists()


class TestStartAndStop:
    def test_with_the_products_own_settings(self, world: World) -> None:
        """A sale is fetched, sent and done by a worker that knows nothing of tests."""
        sale = world.sell()
        run = request_run(world.cart, Function.ORDER_DOWNLOAD, Run.Trigger.PERSON)
        worker = Worker("integration_manager.settings", world.sandbox.host, slots=2)
        try:
            worker.wait_for_start()
            wait_until("the order is at the warehouse", lambda: PickOrder.objects.exists())
            wait_until("the run is done", lambda: Run.objects.get(pk=run.pk).state == Run.State.DONE)
            wait_until("it is noted", lambda: world.order(sale).status == Order.Status.AT_WAREHOUSE)
            queue = worker.row().name
            assert_clean(worker)
        finally:
            worker.end()
        assert PickOrder.objects.count() == 1
        assert not OrmQ.objects.filter(key=queue).exists()

    def test_sigterm_to_everybody_lets_what_is_being_sent_finish(self, hub: Hub) -> None:
        """As a service manager does it: the signal reaches each process of the service at once."""
        worker = hub.start()
        hub.server.halt("before")
        hub.sell(1)
        assert hub.server.halted.wait(20)
        members = [worker.cluster, *worker.members()]
        for pid in [*members, worker.pid]:
            os.kill(pid, signal.SIGTERM)
        wait_until("it was told", lambda: WorkerProcess.objects.filter(stopping=True).exists())
        hub.server.go_on.set()
        assert worker.process.wait(20) == 0
        assert Delivery.objects.get().state == Delivery.State.DONE
        assert Delivery.objects.get().attempts == 1
        assert len(hub.server.accepted) == 1
        assert hub.server.asked == []
        assert not any(is_alive(pid) for pid in members)

    def test_sigterm_in_the_middle_of_a_run_gives_it_back(self, world: World) -> None:
        """It ends behind a stored page: the run waits in the queue, and the next worker goes on from there."""
        sales = {world.sell()["id"] for _ in range(1200)}
        run = request_run(world.cart, Function.ORDER_DOWNLOAD, Run.Trigger.PERSON)
        world.sandbox.latency = 0.5
        first = Worker("tests.engine.process_settings", world.sandbox.host, slots=2)
        try:
            first.wait_for_start()
            wait_until("a page is stored", lambda: Order.objects.exists())
            assert_clean(first)
        finally:
            first.end()
        run.refresh_from_db()
        stored = Order.objects.count()
        assert (run.state, run.pages > 0, stored < len(sales)) == (Run.State.QUEUED, True, True)
        world.sandbox.latency = 0.0
        second = Worker("tests.engine.process_settings", world.sandbox.host, slots=2)
        try:
            second.wait_for_start()
            wait_until("the run is done", lambda: Run.objects.get(pk=run.pk).state == Run.State.DONE, 60)
            wait_until("all are at the warehouse", lambda: PickOrder.objects.count() == len(sales), 60)
            wait_until("all is noted", lambda: not Delivery.objects.exclude(state=Delivery.State.DONE).exists())
            assert_clean(second)
        finally:
            second.end()
        assert set(Order.objects.values_list("external_id", flat=True)) == sales
        assert Order.objects.count() == len(sales)

    def test_more_slots_than_the_settings_say(self, hub: Hub) -> None:
        worker = hub.start(slots=3)
        assert DrainSlot.objects.filter(worker__pid=worker.pid).count() == 3
        assert len(worker.members()) == 6


KINDS = ["idle worker", "busy worker", "monitor", "pusher", "cluster"]


class TestKilled:
    @pytest.mark.parametrize("kind", KINDS)
    def test_one_of_the_cluster(self, hub: Hub, kind: str) -> None:
        """Whoever is killed while an order is under way: it arrives once, and the hub works again."""
        worker = hub.start()
        cluster = worker.cluster
        members = worker.members()
        hub.server.halt("after")
        hub.sell(3)
        assert hub.server.halted.wait(20)
        busy = worker.member_that_talks_to(hub.server.port)
        idle = worker.idle_member()
        victims = {
            "idle worker": idle,
            "busy worker": busy,
            "monitor": members[3],
            "pusher": members[4],
            "cluster": cluster,
        }
        os.kill(victims[kind], signal.SIGKILL)
        wait_until("the old cluster is gone", lambda: not any(is_alive(pid) for pid in (cluster, *members)))
        hub.server.go_on.set()
        hub.wait_for_arrival()
        hub.prove_it_works()
        assert worker.row().restarts == 1
        assert_clean(worker)

    def test_in_the_middle_of_a_download(self, world: World) -> None:
        """Killed between its pages: it goes on from its cursor, nothing is lost or doubled."""
        sales = {world.sell()["id"] for _ in range(1200)}
        request_run(world.cart, Function.ORDER_DOWNLOAD, Run.Trigger.PERSON)
        world.sandbox.latency = 0.2
        worker = Worker("tests.engine.process_settings", world.sandbox.host, slots=2)
        try:
            worker.wait_for_start()
            wait_until("a page is stored", lambda: Order.objects.exists())
            os.kill(worker.member_that_talks_to(world.sandbox.port), signal.SIGKILL)
            wait_until("the cluster is replaced", lambda: worker.row().restarts == 1)
            wait_until("all are at the warehouse", lambda: PickOrder.objects.count() == len(sales), 60)
            wait_until("the run is done", lambda: not Run.objects.filter(state=Run.State.RUNNING).exists())
            assert set(Order.objects.values_list("external_id", flat=True)) == sales
            assert Order.objects.count() == Delivery.objects.count() == len(sales)
            wait_until("all is noted", lambda: not Delivery.objects.exclude(state=Delivery.State.DONE).exists())
        finally:
            worker.end()

    def test_the_worker_itself(self, hub: Hub) -> None:
        """No orphan goes on working; another worker takes over what the dead one held."""
        first = hub.start()
        members = [first.cluster, *first.members()]
        hub.server.halt("after")
        hub.sell(3)
        assert hub.server.halted.wait(20)
        os.kill(first.pid, signal.SIGKILL)
        first.process.wait()
        wait_until("no orphan is left", lambda: not any(is_alive(pid) for pid in members))
        hub.server.go_on.set()
        second = hub.start()
        hub.wait_for_arrival()
        hub.prove_it_works()
        assert_clean(second)

    def test_a_cluster_that_hangs_is_replaced(self, hub: Hub) -> None:
        """It lives, but nothing moves in it: only what it does tells."""
        worker = hub.start()
        members = worker.members()
        for pid in members:
            os.kill(pid, signal.SIGSTOP)
        hub.sell(1)
        wait_until("the old cluster is gone", lambda: not any(is_alive(pid) for pid in members))
        hub.wait_for_arrival()
        hub.prove_it_works()


class TestTwoWorkers:
    def test_they_share_the_work_and_one_may_go(self, hub: Hub) -> None:
        first, second = hub.start(), hub.start()
        hub.server.latency = 0.05
        hub.sell(60)
        for worker in (first, second):
            wait_until("both send", lambda worker=worker: worker.talks_to(hub.server.port))
        assert first.stop() == 0
        assert first.left() == []
        hub.wait_for_arrival()
        hub.prove_it_works()
        assert second.row().restarts == 0
        assert_clean(second)
