"""Webhooks to the WMS: stored with what they tell, signed, in order, retried, replayed; silent where nobody listens."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection as database
from django.db import transaction
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from carts import book_leases
from carts.connection_test import run_test
from carts.models import Alert, ApiToken, PickOrder, Warehouse, WmsEndpoint
from carts.rest_book import RestBook
from carts.wms_secrets import endpoint_of, replace_secret, valid_secrets
from connectors.rest.connector import RestOptions
from connectors.settings_fields import SettingErrors
from syncjobs import wms_outbox
from syncjobs.drain import what_is_due
from syncjobs.models import ApiCall, WmsWebhook
from syncjobs.retention import prune
from syncjobs.wms_outbox import State
from tests.factories import make_outbound, make_rest_warehouse
from tests.wms_listener import WmsListener, is_signed_with

pytestmark = pytest.mark.django_db


@pytest.fixture
def wms(settings: Any) -> Iterator[WmsListener]:
    with WmsListener() as listener:
        settings.EXTRA_HOSTS = frozenset({listener.host})
        yield listener


@pytest.fixture
def warehouse(wms: WmsListener) -> Warehouse:
    return make_rest_warehouse(options={"webhook_url": wms.url})


def receive(warehouse: Warehouse, *references: str) -> list[PickOrder]:
    RestBook(warehouse.pk).receive([make_outbound(reference) for reference in references])
    return [PickOrder.objects.get(warehouse=warehouse, reference=reference) for reference in references]


def send_all() -> int:
    sent = 0
    while number := wms_outbox.send_next("test"):
        sent += number
    return sent


def wake(warehouse: Warehouse) -> None:
    """As if every pause were over."""
    WmsEndpoint.objects.filter(pk=warehouse.pk).update(resting_until=None)
    WmsWebhook.objects.filter(warehouse=warehouse).update(run_at=timezone.now())


def states() -> list[str]:
    return list(WmsWebhook.objects.order_by("pk").values_list("state", flat=True))


# What is told


def test_what_happens_is_told_signed_and_numbered(warehouse: Warehouse, wms: WmsListener) -> None:
    secret, _ = replace_secret(warehouse.pk)
    [order] = receive(warehouse, "A")
    book_leases.acknowledge(warehouse.pk, {order.pk: ""}, "")
    RestBook(warehouse.pk).cancel("A", "Voided")

    assert any(what_is_due())
    assert send_all() == 2

    first, second = WmsWebhook.objects.order_by("pk")
    assert wms.topics == ["order.ready", "order.cancellation_requested"]
    assert wms.received[0]["subject"] == {"id": order.pk, "reference": "A", "number": "#A"}
    assert [one["id"] for one in wms.received] == [str(first.event_id), str(second.event_id)]
    assert (wms.headers[0]["Hub-Event-Id"], wms.headers[0]["Hub-Topic"]) == (str(first.event_id), "order.ready")
    assert is_signed_with(secret, wms.headers[0], wms.bodies[0])
    assert not is_signed_with("other", wms.headers[0], wms.bodies[0])
    assert (first.state, first.status, first.attempts) == (State.DONE, 204, 1)
    assert first.attempt_log.get().outcome == "done"
    assert ApiCall.objects.filter(connection=warehouse, status=204).count() == 2
    assert not any(what_is_due())


def test_where_nobody_listens_nothing_is_stored_and_nothing_costs() -> None:
    warehouse = make_rest_warehouse()
    with CaptureQueriesContext(database) as seen:
        receive(warehouse, "A")
    assert not WmsWebhook.objects.exists()
    assert not [one for one in seen if "wmswebhook" in one["sql"] or "wmsendpoint" in one["sql"]]


def test_what_does_not_happen_is_not_told(warehouse: Warehouse) -> None:
    with pytest.raises(RuntimeError), transaction.atomic():
        receive(warehouse, "A")
        assert WmsWebhook.objects.count() == 1
        raise RuntimeError("undone")
    assert not WmsWebhook.objects.exists()


def test_an_address_that_was_taken_out_ends_what_waits(warehouse: Warehouse, wms: WmsListener) -> None:
    receive(warehouse, "A")
    Warehouse.objects.filter(pk=warehouse.pk).update(options={})
    send_all()
    assert (states(), wms.received) == ([State.CANCELLED], [])


# Trouble


def test_what_is_not_taken_is_tried_again_and_the_address_rests(warehouse: Warehouse, wms: WmsListener) -> None:
    wms.answers = [500]
    receive(warehouse, "A", "B")
    assert send_all() == 2
    webhook = WmsWebhook.objects.earliest("pk")
    assert (len(wms.received), webhook.state, webhook.status, webhook.attempts) == (1, State.RETRY, 500, 1)
    assert WmsWebhook.objects.latest("pk").attempts == 0
    assert not any(what_is_due())

    wake(warehouse)
    assert send_all() == 2
    assert states() == [State.DONE, State.DONE]
    assert [one["Hub-Attempt"] for one in wms.headers] == ["1", "2", "1"]
    assert wms.bodies[0] == wms.bodies[1]


def test_an_address_that_failed_is_tried_out_with_one(warehouse: Warehouse, wms: WmsListener) -> None:
    wms.answers = [503, 503]
    receive(warehouse, *(f"order-{number}" for number in range(5)))
    send_all()
    wake(warehouse)
    assert wms_outbox.send_next("test") == 1
    assert len(wms.received) == 2


def test_webhooks_about_one_order_keep_their_order(warehouse: Warehouse, wms: WmsListener) -> None:
    """The first was refused: the second waits for it, those of other orders do not."""
    receive(warehouse, "A")
    wms.answers = [400]
    send_all()
    RestBook(warehouse.pk).cancel("A", "Voided")
    receive(warehouse, "B")
    WmsEndpoint.objects.update(resting_until=None)
    WmsWebhook.objects.exclude(state=State.RETRY).update(run_at=timezone.now())
    wms_outbox.send_next("test")
    assert wms.topics == ["order.ready", "order.ready"]
    assert wms.received[1]["subject"]["reference"] == "B"
    send_all()
    assert wms.topics[2:] == ["order.ready", "order.cancelled"]


def test_two_workers_never_claim_the_same(warehouse: Warehouse) -> None:
    receive(warehouse, "A", "B", "C")
    now = timezone.now()
    first = wms_outbox.claim("one", warehouse.pk, 2, now)
    second = wms_outbox.claim("two", warehouse.pk, 10, now)
    assert (len(first), len(second)) == (2, 1)
    assert not {one.pk for one in first} & {one.pk for one in second}


def test_what_a_dead_worker_left_is_sent_again(warehouse: Warehouse, wms: WmsListener) -> None:
    receive(warehouse, "A")
    now = timezone.now()
    wms_outbox.claim("dead", warehouse.pk, 1, now)
    assert wms_outbox.recover_abandoned(now + timedelta(seconds=1)) == 0
    assert wms_outbox.recover_abandoned(now + timedelta(hours=1)) == 1
    wake(warehouse)
    send_all()
    assert (states(), wms.headers[0]["Hub-Attempt"]) == ([State.DONE], "2")


def test_an_address_that_fails_for_a_day_raises_one_alert_that_closes_itself(
    warehouse: Warehouse, wms: WmsListener
) -> None:
    wms.answers = [500, 500, 500]
    receive(warehouse, "A")
    send_all()
    assert not Alert.objects.exists()
    WmsEndpoint.objects.update(failing_since=timezone.now() - timedelta(hours=25))
    for _ in range(2):
        wake(warehouse)
        send_all()
    alert = Alert.objects.get(kind="wms_webhooks")
    assert (alert.status, alert.count) == (Alert.Status.OPEN, 2)
    wake(warehouse)
    send_all()
    alert.refresh_from_db()
    assert alert.status == Alert.Status.RESOLVED


def test_after_five_days_it_is_given_up(warehouse: Warehouse, wms: WmsListener) -> None:
    wms.answers = [500]
    receive(warehouse, "A")
    WmsWebhook.objects.update(first_failed_at=timezone.now() - timedelta(days=6), attempts=20)
    send_all()
    assert states() == [State.FAILED]


@pytest.mark.parametrize("address", ["https://127.0.0.1/", "https://10.0.0.1/hooks", "http://127.0.0.1:9/"])
def test_an_inner_address_is_never_called(wms: WmsListener, address: str) -> None:
    warehouse = make_rest_warehouse(options={"webhook_url": address})
    receive(warehouse, "A")
    send_all()
    webhook = WmsWebhook.objects.get()
    assert (webhook.state, webhook.status) == (State.RETRY, None)
    assert "may not send" in webhook.error
    assert not ApiCall.objects.exists()


# The secret


def test_the_secret_is_kept_encrypted_and_replaced_with_an_overlap(warehouse: Warehouse, wms: WmsListener) -> None:
    old, _ = replace_secret(warehouse.pk)
    new, endpoint = replace_secret(warehouse.pk)
    row = WmsEndpoint.objects.get()
    assert old not in row.secrets
    assert new not in row.secrets
    receive(warehouse, "A")
    send_all()
    assert is_signed_with(old, wms.headers[0], wms.bodies[0])
    assert is_signed_with(new, wms.headers[0], wms.bodies[0])
    assert endpoint.old_valid_until is not None
    assert valid_secrets(endpoint_of(warehouse.pk), endpoint.old_valid_until + timedelta(seconds=1)) == [new]


# Test


def test_test_sends_one(warehouse: Warehouse, wms: WmsListener) -> None:
    ApiToken.issue(warehouse.merchant)
    step = next(step for step in run_test(warehouse).steps if step.name == "Webhooks")
    assert (step.ok, wms.topics) == (True, ["test"])
    wms.answers = [404]
    step = next(step for step in run_test(warehouse).steps if step.name == "Webhooks")
    assert (step.ok, "not taken" in step.message, bool(step.help)) == (False, True, True)


def test_a_good_test_sends_what_waits_at_once(warehouse: Warehouse, wms: WmsListener) -> None:
    ApiToken.issue(warehouse.merchant)
    wms.answers = [500]
    receive(warehouse, "A")
    send_all()
    assert run_test(warehouse).ok
    assert send_all() == 1


@pytest.mark.parametrize(
    ("address", "words"),
    [
        ("wms.example.com", "whole address"),
        ("https://user:word@wms.example.com/", "user and password"),
        ("https://wms.example.com/#x", "#"),
        ("http://wms.example.com/", "https"),
        ("https://[", "no web address"),
    ],
)
def test_addresses_that_cannot_be_entered(address: str, words: str) -> None:
    with pytest.raises(SettingErrors) as refused:
        RestOptions.parse({"webhook_url": address})
    assert words in refused.value.errors["webhook_url"]
    assert RestOptions.parse({"webhook_url": "https://wms.example.com/hooks?key=1"})


# Afterwards


def test_replaying_sends_the_same_again(warehouse: Warehouse, wms: WmsListener) -> None:
    receive(warehouse, "A", "B")
    send_all()
    assert wms_outbox.replay(WmsWebhook.objects.filter(warehouse=warehouse)) == 2
    send_all()
    assert wms.bodies[:2] == wms.bodies[2:]
    assert WmsWebhook.objects.earliest("pk").attempt_log.count() == 2


def test_old_ones_are_pruned_unless_they_wait(warehouse: Warehouse, wms: WmsListener) -> None:
    receive(warehouse, "A", "B")
    WmsWebhook.objects.filter(subject="A").update(state=State.DONE)
    assert prune(timezone.now() + timedelta(days=31))["wms_webhooks"] == 1
    assert WmsWebhook.objects.get().subject == "B"


def test_event_ids_are_unique(warehouse: Warehouse) -> None:
    receive(warehouse, "A", "B")
    assert len({uuid.UUID(str(one.event_id)) for one in WmsWebhook.objects.all()}) == 2
