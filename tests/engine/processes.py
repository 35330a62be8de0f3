"""Real worker processes for tests: started against the test's database, looked into through /proc, ended for certain."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

import pytest
from django.conf import settings as django_settings
from django.db import connection as database
from django.utils import timezone

from carts.models import Cart, Location, Merchant, Order, Warehouse
from carts.setup import finish_new_connection
from connectors.registry import CONNECTORS
from syncjobs import outbox
from syncjobs.models import Delivery, DrainSlot, Run, WorkerProcess
from tests.engine.http_warehouse import KEY, WarehouseServer
from tests.factories import make_cart, make_merchant, make_order
from tests.process_tree import children_of, is_alive, remote_ports

ROOT = Path(__file__).resolve().parent.parent.parent
T = TypeVar("T")


def wait_until(what: str, question: Callable[[], T], seconds: float = 30.0) -> T:
    """Asks until the answer is true, and returns it; fails when it never is."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if answer := question():
            return answer
        time.sleep(0.05)
    raise AssertionError(f"It never came about within {seconds:.0f} s that {what}.")


def database_url() -> str:
    """The test's own database, as a worker process is told of it."""
    facts = database.settings_dict
    if database.vendor == "sqlite":
        return f"sqlite:///{facts['NAME']}"
    host = f"{facts['HOST']}:{facts['PORT']}" if facts["PORT"] else facts["HOST"]
    return f"postgres://{facts['USER']}:{facts['PASSWORD']}@{host}/{facts['NAME']}"


class Worker:
    """A running ``manage.py worker``."""

    def __init__(self, settings_module: str, extra_hosts: str, slots: int) -> None:
        environment = {
            **os.environ,
            "DJANGO_SETTINGS_MODULE": settings_module,
            "DATABASE_URL": database_url(),
            "SECRET_KEY": django_settings.SECRET_KEY,
            "CREDENTIALS_KEYS": ",".join(django_settings.CREDENTIALS_KEYS),
            "PUBLIC_URL": "http://testserver",
            "REDIS_URL": django_settings.REDIS_URL,
            "INTEGRATION_MANAGER_EXTRA_HOSTS": extra_hosts,
            "WORKERS": str(slots),
            "PYTHONPATH": str(ROOT),
        }
        self.slots = slots
        self.seen: set[int] = set()
        self.process = subprocess.Popen([sys.executable, "manage.py", "worker"], cwd=ROOT, env=environment)
        self.pid = self.process.pid

    @property
    def cluster(self) -> int:
        """The cluster's guard: the worker's only child."""
        return self.note(wait_until("a cluster runs", lambda: children_of(self.pid)))[0]

    def members(self) -> list[int]:
        """The cluster's processes in the order in which django-q2 starts them: the workers (one more than slots), then
        the monitor, then the pusher."""
        number = self.slots + 3
        return wait_until("the cluster is complete", lambda: self._members(number))

    def _members(self, number: int) -> list[int]:
        found = self.note(children_of(self.cluster))
        return found if len(found) == number else []

    def note(self, pids: list[int]) -> list[int]:
        self.seen.update(pids)
        return pids

    def talks_to(self, port: int) -> bool:
        return any(port in remote_ports(pid) for pid in self.members())

    def row(self) -> WorkerProcess | None:
        return WorkerProcess.objects.filter(pid=self.pid).first()

    def wait_for_start(self) -> None:
        def all_beat() -> bool:
            return DrainSlot.objects.filter(worker__pid=self.pid, beat_at__isnull=False).count() == self.slots

        wait_until("all slots beat", all_beat)
        self.members()

    def member_that_talks_to(self, port: int) -> int:
        """The q2 worker that waits for an answer from this port."""

        def find() -> list[int]:
            return [pid for pid in self.members() if port in remote_ports(pid)]

        return wait_until("a worker talks to the remote", find)[0]

    def draining_members(self) -> list[int]:
        """The q2 workers that drain a slot now."""
        busy = DrainSlot.objects.filter(worker__pid=self.pid, beat_at__isnull=False)
        return [int(doing.rpartition(" ")[2]) for doing in busy.values_list("doing", flat=True)]

    def idle_member(self) -> int:
        """The q2 worker that drains nothing: it waits for a call, and so holds the lock of the queue."""

        def find() -> list[int]:
            draining = self.draining_members()
            idle = [pid for pid in self.members()[: self.slots + 1] if pid not in draining]
            return idle if len(draining) == self.slots else []

        return wait_until("a q2 worker is idle", find)[0]

    def stop(self, seconds: float = 30.0) -> int:
        """SIGTERM; the exit code."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(seconds)

    def left(self) -> list[int]:
        """Processes of this worker that still live."""
        return [pid for pid in (self.pid, *self.seen) if is_alive(pid)]

    def end(self) -> None:
        """Ends it for certain; nothing of it is left."""
        for pid in children_of(self.pid):
            self.note(children_of(pid))
            self.note([pid])
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        wait_until("all its processes have ended", lambda: not self.left())


class Hub:
    """A hub whose warehouse is a real remote, and its worker processes."""

    def __init__(self, server: WarehouseServer, connector: str = KEY) -> None:
        self.server = server
        self.workers: list[Worker] = []
        self.merchant: Merchant = make_merchant()
        self.warehouse: Warehouse = Warehouse.objects.create(
            merchant=self.merchant, name="Remote", connector=connector, is_active=True, options={"url": server.url}
        )
        Location.objects.create(warehouse=self.warehouse, name="Here", external_id="here", is_default=True)
        finish_new_connection(self.warehouse)
        self.cart: Cart = make_cart(self.warehouse)
        self.extra_hosts = {server.host}

    def start(self, settings_module: str = "tests.engine.process_settings", slots: int = 2) -> Worker:
        worker = Worker(settings_module, ",".join(sorted(self.extra_hosts)), slots)
        self.workers.append(worker)
        worker.wait_for_start()
        return worker

    def sell(self, number: int = 1) -> list[Order]:
        """New orders, on their way to the warehouse."""
        orders = [make_order(self.cart) for _ in range(number)]
        for order in orders:
            outbox.order_is_ready(Order, order)
        return orders

    def all_done(self) -> bool:
        return not Delivery.objects.exclude(state=Delivery.State.DONE).exists()

    def nothing_is_held(self) -> bool:
        sending = Delivery.objects.filter(state=Delivery.State.SENDING).exists()
        return not sending and not Run.objects.filter(state=Run.State.RUNNING).exists()

    def wait_for_arrival(self, seconds: float = 45.0) -> None:
        """Every order is at the warehouse, exactly once, and nothing is held by anybody."""
        wait_until("all orders arrived", self.all_done, seconds)
        references = set(Delivery.objects.values_list("reference", flat=True))
        assert set(self.server.accepted) == references
        assert self.server.doubled == []
        wait_until("nothing is held", self.nothing_is_held)

    def prove_it_works(self) -> None:
        """A fresh order and a fresh run are done in time."""
        orders = self.sell(2)
        run = self.queue_run()
        wait_until("fresh orders arrive", lambda: {o.reference for o in orders} <= set(self.server.accepted))
        wait_until("a fresh run is done", lambda: Run.objects.get(pk=run.pk).state == Run.State.DONE)

    def queue_run(self, **fields: Any) -> Run:
        """A run with nothing to do: Order Sending of the warehouse."""
        values = {"function": "order_sending", "feed": "order_sending", "lane": "orders", "trigger": "person"}
        return Run.objects.create(connection_id=self.warehouse.pk, run_at=timezone.now(), **{**values, **fields})


@pytest.fixture(name="hub")
def hub_fixture(db: None, monkeypatch: pytest.MonkeyPatch, settings: Any) -> Iterator[Hub]:
    monkeypatch.setitem(CONNECTORS, KEY, "tests.engine.http_warehouse.HttpWarehouse")
    with WarehouseServer() as server:
        settings.EXTRA_HOSTS = frozenset({server.host})
        hub = Hub(server)
        try:
            yield hub
        finally:
            for worker in hub.workers:
                worker.end()
