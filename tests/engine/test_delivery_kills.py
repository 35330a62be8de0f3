"""A real process, really killed (SIGKILL) at each moment in the life of a delivery: what must be at the warehouse is
there once, and the hub knows it."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.conf import settings as django_settings
from django.utils import timezone

from carts.models import Alert, Order
from carts.order_flow import cancel
from connectors.registry import CONNECTORS
from syncjobs.connector_cache import OpenConnectors
from syncjobs.delivering import deliver_next
from syncjobs.models import Delivery, DeliveryAttempt, FailedRecord
from syncjobs.outbox import ABANDONED, recover_abandoned
from tests.engine.http_warehouse import CHANGING_KEY, WarehouseServer
from tests.engine.processes import ROOT, Hub, database_url, wait_until

pytestmark = pytest.mark.django_db(transaction=True)

State = Delivery.State


@pytest.fixture(name="hub")
def hub_fixture(db: None, monkeypatch: pytest.MonkeyPatch, settings: Any) -> Iterator[Hub]:
    """Its warehouse can cancel what it has."""
    monkeypatch.setitem(CONNECTORS, CHANGING_KEY, "tests.engine.http_warehouse.ChangingWarehouse")
    with WarehouseServer() as server:
        settings.EXTRA_HOSTS = frozenset({server.host})
        yield Hub(server, CHANGING_KEY)


def start(hub: Hub, point: str = "", when: str = "before", work: str = "deliver") -> subprocess.Popen[str]:
    environment = {
        **os.environ,
        "DJANGO_SETTINGS_MODULE": "tests.engine.process_settings",
        "DATABASE_URL": database_url(),
        "SECRET_KEY": django_settings.SECRET_KEY,
        "CREDENTIALS_KEYS": ",".join(django_settings.CREDENTIALS_KEYS),
        "REDIS_URL": "",
        "INTEGRATION_MANAGER_EXTRA_HOSTS": hub.server.host,
        "PYTHONPATH": str(ROOT),
    }
    command = [sys.executable, "-m", "tests.engine.dying_worker", work, point, when]
    return subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True)


def kill(process: subprocess.Popen[str]) -> None:
    process.kill()
    process.communicate()
    assert process.returncode == -9


def killed_at(hub: Hub, point: str, when: str = "before", work: str = "deliver") -> None:
    process = start(hub, point, when, work)
    assert process.stdout is not None
    line = process.stdout.readline()
    kill(process)
    assert line == "here\n", f"it never got to {point}"


def works_to_the_end(hub: Hub) -> None:
    process = start(hub)
    process.communicate(timeout=30)
    assert process.returncode == 0


def killed_in_call(hub: Hub, point: str) -> None:
    """While the remote works on the order: ``before`` or ``after`` it accepts it. It does not notice the death."""
    hub.server.halt(point)
    process = start(hub)
    try:
        assert hub.server.halted.wait(20)
    finally:
        kill(process)
        hub.server.go_on.set()


def take_over() -> None:
    """The lease runs out, and another worker goes on."""
    Delivery.objects.filter(state=State.SENDING).update(lease_until=timezone.now() - timedelta(seconds=1))
    recover_abandoned()
    Delivery.objects.filter(state=State.RETRY).update(run_at=timezone.now())
    connectors = OpenConnectors()
    try:
        while deliver_next("next", connectors):
            pass
    finally:
        connectors.close()


def assert_arrived_once(hub: Hub, order: Order) -> None:
    assert hub.server.accepted == [order.reference]
    delivery = Delivery.objects.get(kind=Delivery.Kind.ORDER)
    assert (delivery.state, delivery.in_doubt, delivery.remote_id) == (State.DONE, False, f"wh-{order.reference}")
    order.refresh_from_db()
    assert order.status == Order.Status.AT_WAREHOUSE
    assert [event.kind for event in order.events.all()] == ["sent"]
    assert not FailedRecord.objects.exists() and not Alert.objects.filter(status=Alert.Status.OPEN).exists()


WAREHOUSE = "tests.engine.http_warehouse.ChangingWarehouse"

# What stands in the database at the moment of death, and how often the remote is asked afterwards.
MOMENTS = [
    pytest.param("syncjobs.delivering.claim_batch", "before", State.PENDING, 0, id="pending"),
    pytest.param("syncjobs.delivering.claim_batch", "after", State.SENDING, 1, id="claimed"),
    pytest.param(f"{WAREHOUSE}.send_orders", "before", State.SENDING, 1, id="sending, before the call"),
    pytest.param(f"{WAREHOUSE}.send_orders", "after", State.SENDING, 1, id="sending, accepted and answered"),
    pytest.param("syncjobs.delivering.orders_arrived", "after", State.SENDING, 1, id="done is written, not committed"),
    pytest.param("syncjobs.delivering.note_connection_success", "before", State.DONE, 0, id="done"),
]


class TestOrder:
    @pytest.mark.parametrize(("point", "when", "state", "asked"), MOMENTS)
    def test_arrives_once(self, hub: Hub, point: str, when: str, state: str, asked: int) -> None:
        [order] = hub.sell()
        killed_at(hub, point, when)
        assert Delivery.objects.get().state == state
        take_over()
        assert_arrived_once(hub, order)
        assert hub.server.asked == [order.reference] * asked

    @pytest.mark.parametrize("point", ["before", "after"])
    def test_during_the_call(self, hub: Hub, point: str) -> None:
        """The remote accepts it after the death, or had accepted it already."""
        [order] = hub.sell()
        killed_in_call(hub, point)
        assert Delivery.objects.get().state == State.SENDING
        wait_until("the remote has accepted it", lambda: hub.server.accepted == [order.reference])
        take_over()
        assert_arrived_once(hub, order)
        assert hub.server.asked == [order.reference]
        assert DeliveryAttempt.objects.filter(outcome=ABANDONED).count() == 1

    def test_while_a_retry_is_written(self, hub: Hub) -> None:
        [order] = hub.sell()
        hub.server.fail(times=1, status=503)
        killed_at(hub, "syncjobs.delivering.postponed", "after")
        assert Delivery.objects.get().state == State.SENDING, "nothing of it was committed"
        take_over()
        assert_arrived_once(hub, order)

    def test_in_a_retry(self, hub: Hub) -> None:
        [order] = hub.sell()
        hub.server.fail(times=1, status=503)
        works_to_the_end(hub)
        assert Delivery.objects.get().state == State.RETRY
        Delivery.objects.update(run_at=timezone.now())
        killed_at(hub, f"{WAREHOUSE}.send_orders", "after")
        take_over()
        assert_arrived_once(hub, order)

    def test_in_doubt_while_it_asks(self, hub: Hub) -> None:
        [order] = hub.sell()
        killed_at(hub, f"{WAREHOUSE}.send_orders", "after")
        Delivery.objects.update(lease_until=timezone.now() - timedelta(seconds=1))
        recover_abandoned()
        assert Delivery.objects.get().in_doubt
        Delivery.objects.update(run_at=timezone.now())
        killed_at(hub, f"{WAREHOUSE}.find_sent", "after")
        assert (Delivery.objects.get().state, Delivery.objects.get().in_doubt) == (State.SENDING, True)
        take_over()
        assert_arrived_once(hub, order)
        assert hub.server.asked == [order.reference] * 2

    def test_while_what_was_abandoned_is_taken_up(self, hub: Hub) -> None:
        [order] = hub.sell()
        killed_at(hub, f"{WAREHOUSE}.send_orders", "after")
        Delivery.objects.update(lease_until=timezone.now() - timedelta(seconds=1))
        killed_at(hub, "syncjobs.outbox.DeliveryAttempt.save", "before", work="recover")
        assert Delivery.objects.get().state == State.SENDING, "nothing of it was committed"
        take_over()
        assert_arrived_once(hub, order)

    def test_while_a_refusal_is_written(self, hub: Hub) -> None:
        """Refused again by the next worker: one failed record, told once."""
        [order] = hub.sell()
        hub.server.fail(times=2, match="POST /orders", status=422)
        killed_at(hub, "syncjobs.delivering.record_failures", "after")
        assert (Delivery.objects.get().state, FailedRecord.objects.count()) == (State.SENDING, 0)
        take_over()
        order.refresh_from_db()
        assert (Delivery.objects.get().state, order.status) == (State.FAILED, Order.Status.ERROR)
        assert FailedRecord.objects.get().count == 1
        assert Alert.objects.get(status=Alert.Status.OPEN).count == 1
        assert hub.server.accepted == []


class TestCancellation:
    def test_while_the_order_is_sent(self, hub: Hub) -> None:
        """Cancelled in the shop, then the sender dies: the order is settled first, then cancelled at the warehouse."""
        [order] = hub.sell()
        hub.server.halt("after")
        process = start(hub)
        try:
            assert hub.server.halted.wait(20)
            cancel(order.pk, "Changed my mind.")
        finally:
            kill(process)
            hub.server.go_on.set()
        take_over()
        order.refresh_from_db()
        assert order.status == Order.Status.CANCELLED
        assert hub.server.accepted == [order.reference]
        assert hub.server.told == [("cancel", order.reference)]
        assert not Delivery.objects.exclude(state=State.DONE).exists()

    @pytest.mark.parametrize("when", ["before", "after"])
    def test_while_it_is_sent(self, hub: Hub, when: str) -> None:
        """Cancelling twice is cancelling once: it is simply said again."""
        [order] = hub.sell()
        works_to_the_end(hub)
        cancel(order.pk, "Changed my mind.")
        killed_at(hub, f"{WAREHOUSE}.cancel_order", when)
        assert Delivery.objects.get(kind=Delivery.Kind.CANCELLATION).state == State.SENDING
        take_over()
        order.refresh_from_db()
        assert order.status == Order.Status.CANCELLED
        assert hub.server.told == [("cancel", order.reference)] * (2 if when == "after" else 1)
        assert not Delivery.objects.exclude(state=State.DONE).exists()
