"""Bad input and trouble: each has a clear message, loses nothing, and heals by itself where it can."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from carts import remote
from carts.connection_test import run_test
from carts.models import Alert, Connection, Order, PickOrder
from connectors.functions import Function
from connectors.records import WriteResult
from syncjobs.failures import ignore, reprocess
from syncjobs.models import ApiCall, Delivery, FailedRecord, RateBudget, Run, Schedule
from syncjobs.runner import claim_runs
from tests.engine.conftest import World

OPEN = Alert.Status.OPEN


def schedule(world: World, function: Function = Function.ORDER_DOWNLOAD) -> Schedule:
    return Schedule.objects.get(connection_id=world.cart.pk, function=function)


def test_wrong_token(world: World) -> None:
    world.sell()
    world.sandbox.fail(times=100, match="", status=401)
    run = world.download()
    assert (run.state, run.error_kind) == (Run.State.FAILED, "authentication")
    assert "access token" in run.error and "Test" in run.fix
    alert = Alert.objects.get(status=OPEN)
    assert alert.kind == "authentication" and alert.link == f"/admin/carts/cart/{world.cart.pk}/settings/#credentials"
    report = run_test(world.cart)
    assert not report.ok and next(step.name for step in report.steps if not step.ok) == "Access token"
    world.sandbox.clear_faults()
    assert run_test(world.cart).ok
    assert not Alert.objects.filter(status=OPEN).exists()
    assert world.download().counts["imported"] == 1


@pytest.mark.parametrize("fault", ["cut_body", "html", "big_body"])
def test_answers_that_cannot_be_read(world: World, fault: str) -> None:
    world.sell()
    world.sandbox.fail(times=10, match="GET /sales", fault=fault)
    run = world.download()
    assert run.state == Run.State.FAILED
    assert run.error and "Traceback" not in run.error
    assert not Order.objects.exists()
    world.sandbox.clear_faults()
    assert world.download().counts["imported"] == 1


def test_an_outage_backs_off_raises_one_alert_and_heals(world: World) -> None:
    world.sell()
    world.sandbox.fail(times=1000, match="", status=503)
    for failures in range(1, 6):
        world.download()
        assert schedule(world).failures == failures
    waits = schedule(world).next_run_at - timezone.now()
    assert waits > timedelta(hours=4), "the fifth failure waits about six hours"
    world.cart.refresh_from_db()
    assert world.cart.resting_until > timezone.now()
    alert = Alert.objects.get(status=OPEN)
    assert (alert.kind, alert.count) == ("unavailable", 4)
    world.sandbox.clear_faults()
    assert world.download().counts["imported"] == 1
    assert not Alert.objects.filter(status=OPEN).exists()
    world.cart.refresh_from_db()
    assert world.cart.resting_until is None and schedule(world).failures == 0


def test_a_resting_connection_is_left_alone_by_schedules_but_not_by_people(world: World) -> None:
    from syncjobs.schedule import request_run

    Connection.objects.filter(pk=world.cart.pk).update(resting_until=timezone.now() + timedelta(minutes=5))
    request_run(world.cart, Function.PRODUCT_PICKUP, Run.Trigger.SCHEDULE)
    assert claim_runs("test", ["catalogue"]) == []  # type: ignore[list-item]
    request_run(world.cart, Function.CUSTOMER_SYNC, Run.Trigger.PERSON)
    assert [run.function for run in claim_runs("test", ["catalogue"])] == [Function.CUSTOMER_SYNC]  # type: ignore[list-item]


@pytest.mark.parametrize("form", ["date", "integer", "body"])
def test_too_many_requests_pauses_the_store_and_resumes(world: World, form: str) -> None:
    world.sell()
    other = world.add_cart(world.store.outlets[1]["name"])
    world.sandbox.fail(times=1, match="GET /sales", status=429, retry_after=form, retry_after_seconds=50)
    run = world.download()
    assert run.state == Run.State.QUEUED, "it goes on by itself"
    wait = (run.run_at - timezone.now()).total_seconds()
    assert 40 < wait < 60
    assert not Alert.objects.exists() and schedule(world).failures == 0
    calls = len(world.sandbox.calls)
    second = world.run(Function.ORDER_DOWNLOAD, other)
    assert second.state == Run.State.QUEUED and len(world.sandbox.calls) == calls, (
        "the other cart of the store waits too"
    )
    assert RateBudget.objects.get().paused_until is not None
    remote.BUDGETS.clear()
    assert world.run(Function.CUSTOMER_SYNC, other).state == Run.State.QUEUED, "another process knows as well"
    RateBudget.objects.update(paused_until=timezone.now())
    remote.BUDGETS.clear()
    Run.objects.filter(function=Function.ORDER_DOWNLOAD).update(run_at=timezone.now())
    assert world.download().counts["imported"] == 1


def test_url_of_another_system_and_host_not_allowed(world: World, settings: Any) -> None:
    settings.EXTRA_HOSTS = frozenset()
    run = world.download()
    assert run.error_kind == "configuration"
    assert "INTEGRATION_MANAGER_EXTRA_HOSTS" in run.fix
    assert [step.name for step in run_test(world.cart).steps if not step.ok] == ["Vend URL"]


def test_outlet_renamed_in_vend(world: World) -> None:
    world.store.update_outlet(world.outlet["id"], name="Harbour Shop")
    world.sell()
    world.let_store_facts_age()
    for _ in range(2):
        run = world.download()
        assert run.error_kind == "configuration"
        assert run.error == "The outlet “Main Outlet” is now named “Harbour Shop” in Vend."
    world.set_options(outlet_name="Harbour Shop")
    assert world.download().counts["imported"] == 1


def test_no_register(world: World) -> None:
    world.store.remove_registers(world.outlet["id"])
    report = run_test(world.cart)
    (failing,) = [step for step in report.steps if not step.ok]
    assert failing.name == "Register" and failing.help


def test_a_switched_off_connection_is_not_synced(world: World) -> None:
    world.cart.is_active = False
    world.cart.save()
    run = world.download()
    assert run.state == Run.State.FAILED and "switched off" in run.error


def test_a_fault_of_our_own_is_caught_told_and_tried_again(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    from syncjobs.flows import orders

    def broken(*args: object) -> None:
        raise ZeroDivisionError("secret detail")

    world.sell()
    monkeypatch.setattr(orders, "store_new_orders", broken)
    run = world.download()
    assert (run.state, run.error_kind) == (Run.State.FAILED, "fault")
    assert "secret detail" not in run.error
    assert schedule(world).cursor == "" and schedule(world).next_run_at > timezone.now()
    monkeypatch.undo()
    assert world.download().counts["imported"] == 1


def test_every_call_is_logged_and_nothing_secret_is(world: World) -> None:
    world.store.add_customer(first_name="Card", last_name="Holder", note="4111 1111 1111 1111")
    world.sell()
    run = world.download()
    calls = list(ApiCall.objects.filter(run=run).select_related("bodies"))
    assert len(calls) >= 3 and all(call.status == 200 for call in calls)
    everything = "".join(
        f"{call.url}{call.bodies.request_headers}{call.bodies.request_text}{call.bodies.response_text}"
        for call in calls
    )
    assert world.sandbox.token not in everything
    assert "4111 1111 1111 1111" not in everything and "[card …1111]" in everything


class FakeWarehouse:
    """Stands in for a remote warehouse's answers; everything else is real."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        from connectors.builtin.connector import BuiltinWarehouse

        self.accepted: list[str] = []
        self.answers: list[Any] = []
        real = BuiltinWarehouse.send_orders

        def send_orders(connector: Any, orders: Any) -> Any:
            answer = self.answers.pop(0) if self.answers else None
            if isinstance(answer, Exception):
                raise answer
            if callable(answer):
                return answer(connector, orders, real)
            return real(connector, orders)

        monkeypatch.setattr(BuiltinWarehouse, "send_orders", send_orders)


@pytest.fixture
def warehouse(monkeypatch: pytest.MonkeyPatch) -> FakeWarehouse:
    return FakeWarehouse(monkeypatch)


class TestDeliveries:
    def test_transient_trouble_climbs_the_ladder(self, world: World, warehouse: FakeWarehouse) -> None:
        from connectors.errors import RemoteUnavailable

        world.sell()
        world.download()
        delivery = Delivery.objects.get()
        for lowest in (25, 100, 500, 3000, 18000, 18000):
            warehouse.answers = [RemoteUnavailable("no one at home")]
            Connection.objects.update(resting_until=None)
            Delivery.objects.update(run_at=timezone.now())
            assert world.deliver(rounds=1) == 1
            delivery.refresh_from_db()
            assert delivery.state == Delivery.State.RETRY
            assert (delivery.run_at - timezone.now()).total_seconds() > lowest
        assert Alert.objects.get().kind == "unavailable"
        assert delivery.attempt_log.count() == delivery.attempts == 6
        Connection.objects.update(resting_until=None)
        Delivery.objects.update(run_at=timezone.now())
        world.deliver()
        assert Order.objects.get().status == Order.Status.AT_WAREHOUSE
        assert not Alert.objects.filter(status=OPEN).exists()

    def test_after_five_days_it_gives_up_and_can_be_reprocessed(self, world: World, warehouse: FakeWarehouse) -> None:
        from connectors.errors import RemoteUnavailable

        world.sell()
        world.download()
        Delivery.objects.update(first_failed_at=timezone.now() - timedelta(days=5, minutes=1), attempts=20)
        warehouse.answers = [RemoteUnavailable("no one at home")]
        world.deliver(rounds=1)
        order = Order.objects.get()
        assert order.status == Order.Status.ERROR and "five days" in order.problem
        record = FailedRecord.objects.get()
        reprocess(record, "support")
        world.deliver()
        order.refresh_from_db()
        record.refresh_from_db()
        assert order.status == Order.Status.AT_WAREHOUSE
        assert record.status == FailedRecord.Status.REPROCESSED and record.settled_by == "support"

    def test_an_answer_lost_after_acceptance_is_settled_not_repeated(
        self, world: World, warehouse: FakeWarehouse
    ) -> None:
        from connectors.errors import OutcomeUnknown

        def accept_then_vanish(connector: Any, orders: Any, real: Any) -> Any:
            real(connector, orders)
            raise OutcomeUnknown("the line went dead")

        world.sell()
        world.download()
        warehouse.answers = [accept_then_vanish]
        world.deliver(rounds=1)
        delivery = Delivery.objects.get()
        assert delivery.in_doubt and delivery.state == Delivery.State.RETRY
        Delivery.objects.update(run_at=timezone.now())
        warehouse.answers = [AssertionError("it must not be sent again")]
        world.deliver(rounds=1)
        delivery.refresh_from_db()
        assert delivery.state == Delivery.State.DONE and delivery.remote_id
        assert PickOrder.objects.count() == 1

    def test_a_doubtful_order_that_never_arrived_is_sent(self, world: World, warehouse: FakeWarehouse) -> None:
        from connectors.errors import OutcomeUnknown

        world.sell()
        world.download()
        warehouse.answers = [OutcomeUnknown("the line went dead")]
        world.deliver(rounds=1)
        Delivery.objects.update(run_at=timezone.now())
        world.deliver()
        assert Order.objects.get().status == Order.Status.AT_WAREHOUSE
        assert PickOrder.objects.count() == 1

    def test_a_refusal_holds_the_order_with_reason_and_fix(self, world: World, warehouse: FakeWarehouse) -> None:
        def refuse(connector: Any, orders: Any, real: Any) -> Any:
            first, *rest = orders
            return [WriteResult.rejected(first.reference, "SKU is not known.", "Add it."), *real(connector, rest)]

        first, second = world.sell(), world.sell()
        world.download()
        warehouse.answers = [refuse]
        world.deliver()
        assert world.order(first).status == Order.Status.ERROR
        assert "SKU is not known." in world.order(first).problem
        assert world.order(second).status == Order.Status.AT_WAREHOUSE
        record = FailedRecord.objects.get()
        assert (record.cause, record.fix) == ("refused", "Add it.")
        assert world.deliver() == 0, "data errors are not retried"
        ignore(record, "Entered by hand", "support")
        assert not Alert.objects.filter(status=OPEN).exists()

    def test_a_batch_refused_as_a_whole_is_sent_one_by_one(self, world: World, warehouse: FakeWarehouse) -> None:
        from connectors.errors import RecordRefused

        world.sell(), world.sell()
        world.download()
        warehouse.answers = [RecordRefused("batch refused"), None, RecordRefused("this one is bad")]
        world.deliver()
        assert sorted(Order.objects.values_list("status", flat=True)) == ["at_warehouse", "error"]

    def test_cancelled_while_it_was_being_sent(self, world: World, warehouse: FakeWarehouse) -> None:
        """The void arrives between the claim and the answer: the order is sent, then cancelled at the warehouse."""

        def void_meanwhile(connector: Any, orders: Any, real: Any) -> Any:
            world.store.void_sale(sale["id"])
            world.download()
            return real(connector, orders)

        sale = world.sell()
        world.download()
        warehouse.answers = [void_meanwhile]
        world.deliver()
        assert world.order(sale).status == Order.Status.CANCELLED
        assert PickOrder.objects.get().status == PickOrder.Status.CANCELLED

    def test_a_switched_off_warehouse_gets_nothing_and_nothing_is_lost(self, world: World) -> None:
        world.warehouse.is_active = False
        world.warehouse.save()
        world.sell()
        world.download()
        assert world.deliver() == 0
        world.warehouse.is_active = True
        world.warehouse.save()
        assert world.deliver() == 1

    def test_a_hundred_orders_go_in_one_batch_with_few_queries(
        self, world: World, django_assert_max_num_queries: Any
    ) -> None:
        for _ in range(100):
            world.sell()
        world.download()
        with django_assert_max_num_queries(45):
            world.deliver()
        assert Order.objects.filter(status=Order.Status.AT_WAREHOUSE).count() == 100

    def test_a_switched_off_function_sends_nothing_and_loses_nothing(self, world: World) -> None:
        sending = world.warehouse.function_settings.get(function=Function.ORDER_SENDING)
        sending.is_on = False
        sending.save()
        world.sell()
        world.download()
        assert world.deliver() == 0
        sending.is_on = True
        sending.save()
        assert world.deliver() == 1

    def test_a_cancellation_that_may_not_be_sent_is_told(self, world: World) -> None:
        world.warehouse.function_settings.filter(function=Function.ORDER_CANCELLATION_SENDING).update(is_on=False)
        sale = world.sell()
        world.download()
        world.deliver()
        world.store.void_sale(sale["id"])
        world.download()
        assert world.order(sale).status == Order.Status.AT_WAREHOUSE
        assert "is off" in Alert.objects.get(kind="cancellation_refused").message
