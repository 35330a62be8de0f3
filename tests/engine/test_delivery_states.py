"""The worker dies at each moment in the life of a delivery: the outcome is exactly one order at the warehouse.

Death is an exception that nothing in the hub catches: what was committed stays, nothing else happens.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from carts.models import Alert, Order
from carts.order_flow import cancel
from connectors.errors import RemoteUnavailable
from syncjobs import delivering, outbox
from syncjobs.connector_cache import OpenConnectors
from syncjobs.delivering import Outcome, deliver_next, store_outcomes
from syncjobs.models import Delivery, DeliveryAttempt, FailedRecord
from syncjobs.outbox import MOST_DEATHS, claim_batch, owners_died, recover_abandoned
from syncjobs.timing import LEASE
from tests.engine.http_warehouse import HttpWarehouse
from tests.engine.processes import Hub, hub_fixture  # noqa: F401

State = Delivery.State


class Killed(BaseException):
    """As if by kill -9."""


def work(owner: str = "a") -> int:
    """What a worker does with the outbox until nothing is due."""
    connectors = OpenConnectors()
    done = 0
    try:
        while step := deliver_next(owner, connectors):
            done += step
    finally:
        connectors.close()
    return done


def killed_while(monkeypatch: pytest.MonkeyPatch, target: Any, name: str, deadly: Callable[..., Any]) -> None:
    """A worker that dies in ``target.name``."""
    with monkeypatch.context() as patch:
        patch.setattr(target, name, deadly)
        with pytest.raises(Killed):
            work("dead")


def lease_runs_out() -> None:
    Delivery.objects.filter(state=State.SENDING).update(lease_until=timezone.now() - timedelta(seconds=1))
    recover_abandoned()


def die(*args: Any, **kwargs: Any) -> Any:
    raise Killed


def die_after_sending(connector: HttpWarehouse, orders: Any, send: Any = HttpWarehouse.send_orders) -> Any:
    send(connector, orders)
    raise Killed


class TestKilledAtEachMoment:
    def assert_one_order(self, hub: Hub, order: Order, *, asked: int, attempts: int) -> None:
        assert hub.server.accepted == [order.reference]
        assert hub.server.asked == [order.reference] * asked
        delivery = Delivery.objects.get()
        assert (delivery.state, delivery.in_doubt, delivery.attempts) == (State.DONE, False, attempts)
        assert delivery.remote_id == f"wh-{order.reference}"
        order.refresh_from_db()
        assert order.status == Order.Status.AT_WAREHOUSE
        assert [event.kind for event in order.events.all()] == ["sent"]
        assert work() == 0

    def test_pending(self, hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
        """Before it claimed anything: nothing to settle."""
        [order] = hub.sell()
        killed_while(monkeypatch, delivering, "claim_batch", die)
        assert Delivery.objects.get().state == State.PENDING
        work()
        self.assert_one_order(hub, order, asked=0, attempts=1)

    def test_sending_before_the_call(self, hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
        [order] = hub.sell()
        killed_while(monkeypatch, HttpWarehouse, "send_orders", die)
        assert Delivery.objects.get().state == State.SENDING
        assert work() == 0  # it is the dead worker's until its lease runs out
        assert recover_abandoned() == 0
        lease_runs_out()
        assert (Delivery.objects.get().state, Delivery.objects.get().in_doubt) == (State.RETRY, True)
        work()
        self.assert_one_order(hub, order, asked=1, attempts=2)

    def test_sending_after_the_remote_accepted(self, hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
        """In doubt: settled by asking, not sent again."""
        [order] = hub.sell()
        killed_while(monkeypatch, HttpWarehouse, "send_orders", die_after_sending)
        assert hub.server.accepted == [order.reference]
        assert Delivery.objects.get().state == State.SENDING
        lease_runs_out()
        work()
        self.assert_one_order(hub, order, asked=1, attempts=2)
        assert hub.server.accepted == [order.reference]

    def test_killed_again_while_it_asks(self, hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
        [order] = hub.sell()
        killed_while(monkeypatch, HttpWarehouse, "send_orders", die_after_sending)
        lease_runs_out()
        killed_while(monkeypatch, HttpWarehouse, "find_sent", die)
        lease_runs_out()
        work()
        self.assert_one_order(hub, order, asked=1, attempts=3)

    @pytest.mark.parametrize("deadly", [die, die_after_sending], ids=["before", "after"])
    def test_retry(self, hub: Hub, monkeypatch: pytest.MonkeyPatch, deadly: Any) -> None:
        """The first try failed cleanly; the worker dies in the second."""
        [order] = hub.sell()
        with monkeypatch.context() as patch:
            patch.setattr(HttpWarehouse, "send_orders", refuse_for_now)
            work()
        delivery = Delivery.objects.get()
        assert (delivery.state, delivery.in_doubt) == (State.RETRY, False)
        assert work() == 0  # not before its time
        Delivery.objects.update(run_at=timezone.now())
        killed_while(monkeypatch, HttpWarehouse, "send_orders", deadly)
        lease_runs_out()
        work()
        self.assert_one_order(hub, order, asked=1, attempts=3)

    @pytest.mark.parametrize("point", ["orders_arrived", "attempt_of"])
    def test_done_but_not_committed(self, hub: Hub, monkeypatch: pytest.MonkeyPatch, point: str) -> None:
        """At the start and at the end of the transaction that writes the outcome."""
        [order] = hub.sell()
        killed_while(monkeypatch, delivering, point, die)
        order.refresh_from_db()
        assert order.status == Order.Status.NEW
        assert Delivery.objects.get().state == State.SENDING
        lease_runs_out()
        work()
        self.assert_one_order(hub, order, asked=1, attempts=2)

    def test_after_the_commit(self, hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
        [order] = hub.sell()
        killed_while(monkeypatch, delivering, "save_budgets", die)
        lease_runs_out()
        work()
        self.assert_one_order(hub, order, asked=0, attempts=1)


def refuse_for_now(connector: HttpWarehouse, orders: Any) -> Any:
    raise RemoteUnavailable("The warehouse is closed.")


class TestTakenOver:
    """The lease ran out, but the old worker still lives and comes back late."""

    def claimed_by_old_and_taken_over(self, hub: Hub) -> tuple[Order, list[Delivery]]:
        [order] = hub.sell()
        late = claim_batch("old", hub.warehouse.pk, "order", 1)
        lease_runs_out()
        work("new")
        assert Delivery.objects.get().state == State.DONE
        return order, late

    def test_its_failure_is_no_news(self, hub: Hub) -> None:
        order, late = self.claimed_by_old_and_taken_over(hub)
        error = RemoteUnavailable("No answer.")
        store_outcomes(hub.warehouse, "order", [Outcome(late[0], error=error)], timezone.now())
        assert Delivery.objects.get().state == State.DONE
        order.refresh_from_db()
        assert order.status == Order.Status.AT_WAREHOUSE

    def test_its_refusal_is_no_news(self, hub: Hub) -> None:
        order, late = self.claimed_by_old_and_taken_over(hub)
        refused = delivering.WriteResult.rejected(order.reference, "Known already.", "")
        store_outcomes(hub.warehouse, "order", [Outcome(late[0], result=refused)], timezone.now())
        assert Delivery.objects.get().state == State.DONE
        order.refresh_from_db()
        assert order.status == Order.Status.AT_WAREHOUSE
        assert not FailedRecord.objects.exists()

    def test_its_success_is_not_told_twice(self, hub: Hub) -> None:
        order, late = self.claimed_by_old_and_taken_over(hub)
        done = delivering.WriteResult.done(order.reference, f"wh-{order.reference}")
        store_outcomes(hub.warehouse, "order", [Outcome(late[0], result=done)], timezone.now())
        assert [event.kind for event in order.events.all()] == ["sent"]

    def test_given_back_too_late(self, hub: Hub) -> None:
        _, late = self.claimed_by_old_and_taken_over(hub)
        outbox.give_back(late)
        assert Delivery.objects.get().state == State.DONE


class TestKnownToBeDead:
    """The supervisor killed the owners itself."""

    def test_the_remote_may_still_be_at_work(self, hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
        """It is asked no earlier than if the lease had run out."""
        hub.sell()
        killed_while(monkeypatch, HttpWarehouse, "send_orders", die)
        before = timezone.now()
        assert owners_died("dead") == 1
        delivery = Delivery.objects.get()
        assert (delivery.state, delivery.in_doubt) == (State.RETRY, True)
        assert delivery.run_at >= before + LEASE
        assert work() == 0

    def test_others_are_left_alone(self, hub: Hub) -> None:
        hub.sell()
        claim_batch("11-abc", hub.warehouse.pk, "order", 1)
        assert owners_died("1-") == 0
        assert Delivery.objects.get().state == State.SENDING


class TestKillsWorkers:
    def kill(self, times: int) -> None:
        for _ in range(times):
            Delivery.objects.update(run_at=timezone.now())
            assert Delivery.objects.get().state in (State.PENDING, State.RETRY)
            connection_id, kind = outbox.next_due(timezone.now()) or (0, "")
            assert claim_batch("dead", connection_id, kind, 1)
            lease_runs_out()

    def test_is_taken_aside_and_told(self, hub: Hub) -> None:
        [order] = hub.sell()
        self.kill(MOST_DEATHS)
        delivery = Delivery.objects.get()
        assert (delivery.state, delivery.in_doubt, delivery.error_kind) == (State.FAILED, True, "worker")
        order.refresh_from_db()
        assert order.status == Order.Status.ERROR
        assert FailedRecord.objects.get().delivery == delivery
        assert Alert.objects.get(kind="failed_records").fix
        outbox.order_is_ready(Order, order)  # a person resends it
        work()
        assert hub.server.asked == hub.server.accepted == [order.reference]
        assert FailedRecord.objects.get().status == FailedRecord.Status.REPROCESSED

    def test_ordinary_failures_are_no_deaths(self, hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
        [order] = hub.sell()
        Delivery.objects.update(attempts=MOST_DEATHS + 3, state=State.RETRY)
        self.kill(1)
        assert Delivery.objects.get().state == State.RETRY
        work()
        assert hub.server.accepted == [order.reference]

    def test_a_cancellation_is_refused_and_the_order_goes_on(self, hub: Hub) -> None:
        [order] = hub.sell()
        work()
        cancel(order.pk, "Changed my mind.")
        Delivery.objects.filter(kind="order").delete()
        self.kill(MOST_DEATHS)
        order.refresh_from_db()
        assert order.status == Order.Status.AT_WAREHOUSE
        assert order.cancel_requested_at is None
        assert Alert.objects.filter(kind="cancellation_refused").exists()
        assert DeliveryAttempt.objects.filter(outcome="abandoned").count() == MOST_DEATHS
