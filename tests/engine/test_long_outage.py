"""Six hours without the warehouse, or without the shop: one alert, few attempts, and a catch-up oldest first at the rate
that the remote allows."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

import pytest

from carts.connection_test import run_test
from carts.models import Alert, Cart, Order, PickOrder
from connectors.registry import CONNECTORS
from connectors.sandbox.wire import Request, Response
from syncjobs.models import ApiCall, Delivery, DeliveryAttempt, FailedRecord, Schedule
from tests.engine.conftest import World
from tests.engine.http_warehouse import KEY, WarehouseServer
from tests.engine.processes import Hub
from tests.engine.simulated_time import START, SimulatedClock, clock_fixture  # noqa: F401

OUTAGE = timedelta(hours=6)
BACK_AT = START + OUTAGE
# The longest rest of a connection, and what jitter may take off it.
SHORTEST_OF_THE_LONGEST_RESTS = timedelta(minutes=2) * 0.85
LADDER_STEPS = 6
ORDERS = 90

OPEN = Alert.Status.OPEN


class LimitedServer(WarehouseServer):
    """Takes ``allowed`` calls a minute and says so in its headers."""

    allowed = 20
    window = timedelta(minutes=1)

    def __init__(self) -> None:
        super().__init__()
        self.window_started: datetime = START
        self.used = 0
        self.accepted_at: list[datetime] = []
        self.most_in_a_window = 0
        self.refused_at: list[datetime] = []
        self.told_to_wait_until: datetime | None = None

    def answer(self, request: Request, handler: Any) -> Response:
        if request.at - self.window_started >= self.window:
            self.window_started, self.used = request.at, 0
        if self.told_to_wait_until is not None:
            assert request.at >= self.told_to_wait_until, "it calls before the time it was told"
        self.used += 1
        if self.used > self.allowed:
            until = self.window_started + self.window
            self.refused_at.append(request.at)
            self.told_to_wait_until = until
            wait = int((until - request.at).total_seconds()) + 1
            answer = Response.json({"error": "Too Many Requests"}, 429)
            answer.headers["Retry-After"] = str(wait)
            return answer
        self.most_in_a_window = max(self.most_in_a_window, self.used)
        answer = super().answer(request, handler)
        answer.headers["X-RateLimit-Limit"] = str(self.allowed)
        answer.headers["X-RateLimit-Remaining"] = str(self.allowed - self.used)
        return answer

    def take(self, request: Request) -> Response:
        self.accepted_at.append(request.at)
        return super().take(request)


@pytest.fixture(name="hub")
def hub_fixture(db: None, clock: SimulatedClock, monkeypatch: pytest.MonkeyPatch, settings: Any) -> Iterator[Hub]:
    monkeypatch.setitem(CONNECTORS, KEY, "tests.engine.http_warehouse.HttpWarehouse")
    with LimitedServer() as server:
        settings.EXTRA_HOSTS = frozenset({server.host})
        hub = Hub(server)
        Cart.objects.update(is_active=False)  # only the warehouse is looked at here
        yield hub


class TestWarehouse:
    @pytest.mark.parametrize("how", ["gone", "no answer"])
    def test_one_alert_few_attempts_then_all_arrive_oldest_first(
        self, hub: Hub, clock: SimulatedClock, how: str
    ) -> None:
        server = hub.server
        assert isinstance(server, LimitedServer)
        sold: list[Order] = []
        for number in range(ORDERS):
            clock.at(START + number * timedelta(minutes=4), lambda: sold.extend(hub.sell()))
        if how == "gone":
            server.stop()
            clock.at(BACK_AT, server.start)
        else:
            # Calls are cut without an answer: each outcome is unknown.
            server.fail(times=None, fault="never_received")
            clock.at(BACK_AT, server.clear_faults)

        clock.work(hours=5.9)
        alert = Alert.objects.get()
        assert (alert.status, alert.kind) == (OPEN, "unavailable")
        assert alert.count > 50, "each further failure is counted, not told"
        attempts = DeliveryAttempt.objects.count()
        assert attempts <= OUTAGE / SHORTEST_OF_THE_LONGEST_RESTS + LADDER_STEPS
        assert max(d.attempts for d in Delivery.objects.all()) <= LADDER_STEPS
        assert server.accepted == []

        clock.work(hours=1)
        assert len(sold) == ORDERS
        assert not FailedRecord.objects.exists()
        assert not Delivery.objects.exclude(state=Delivery.State.DONE).exists()
        assert not Order.objects.exclude(status=Order.Status.AT_WAREHOUSE).exists()
        probe, *rest = server.accepted
        expected = [order.reference for order in sold]
        expected.remove(probe)
        assert rest == expected, "after the one that found the warehouse again: oldest first, each once"
        alert.refresh_from_db()
        assert (alert.status, alert.resolved_by, Alert.objects.count()) == (Alert.Status.RESOLVED, "hub", 1)

        assert server.most_in_a_window == server.allowed, "as fast as it allows"
        calls = len(server.accepted) + len(server.asked)  # it asks about those that may have arrived
        needed = calls / server.allowed * server.window
        assert server.accepted_at[0] - BACK_AT < timedelta(minutes=5)
        # Half as long again: this worker sleeps in large steps, see ``simulated_time``.
        assert server.accepted_at[-1] - server.accepted_at[0] < 1.5 * needed + 2 * server.window
        assert len(server.refused_at) <= calls / server.allowed, "at most once a window it has to say no"


class TestShop:
    def test_what_was_sold_meanwhile_comes_in_once_and_oldest_first(self, clock: SimulatedClock, world: World) -> None:
        world.download()
        Schedule.objects.update(next_run_at=clock.now)
        clock.work(hours=0.1)
        calls_before = ApiCall.objects.count()
        down_at = clock.now
        world.sandbox.stop()
        sales: list[str] = []
        for number in range(40):
            clock.at(down_at + number * timedelta(minutes=9), lambda: sales.append(world.sell()["id"]))
        clock.at(down_at + OUTAGE, world.sandbox.start)

        clock.work(hours=5.9)
        [alert] = Alert.objects.all()
        assert (alert.status, alert.kind) == (OPEN, "unavailable")
        functions = Schedule.objects.filter(connection_id=world.cart.pk, failures__gt=0)
        assert functions.count() > 3, "many functions fail, one alert tells it"
        assert ApiCall.objects.count() - calls_before <= 2 * LADDER_STEPS * functions.count(), "a read is tried twice"
        assert not FailedRecord.objects.exists()

        clock.work(hours=8)
        assert [order.external_id for order in Order.objects.order_by("pk")] == sales
        taken = PickOrder.objects.order_by("pk").values_list("reference", flat=True)
        assert list(taken) == list(Order.objects.order_by("pk").values_list("reference", flat=True))
        alert.refresh_from_db()
        assert (alert.status, alert.resolved_by) == (Alert.Status.RESOLVED, "hub")
        assert not Alert.objects.filter(status=OPEN).exists()
        assert not FailedRecord.objects.exists()
        assert not Schedule.objects.filter(failures__gt=0).exists()


class TestNoOutage:
    """One thing always fails, all others go well."""

    def test_it_keeps_its_place_on_the_ladder(self, hub: Hub, clock: SimulatedClock) -> None:
        bad, *_ = hub.sell()
        take = hub.server.take

        def choke(request: Request) -> Response:
            return Response.json({"error": "Oops"}, 503) if bad.reference in str(request.json()) else take(request)

        hub.server.take = choke  # type: ignore[method-assign]
        for number in range(60):
            clock.at(START + number * timedelta(minutes=1), hub.sell)
        clock.work(hours=1.1)
        assert Delivery.objects.filter(state=Delivery.State.DONE).count() == 60
        waiting = Delivery.objects.get(state=Delivery.State.RETRY)
        assert (waiting.reference, waiting.attempts) == (bad.reference, 4)


class TestMended:
    def test_after_a_good_test_deliveries_go_on_at_once_too(self, hub: Hub, clock: SimulatedClock) -> None:
        hub.sell()
        hub.server.fail(times=None, status=401)
        clock.work(hours=0.1)
        assert Alert.objects.get().status == OPEN
        assert Delivery.objects.get().state == Delivery.State.RETRY
        hub.server.clear_faults()
        assert run_test(hub.warehouse).ok
        assert not Alert.objects.filter(status=OPEN).exists()
        clock.work(hours=0.01)
        assert Delivery.objects.get().state == Delivery.State.DONE
