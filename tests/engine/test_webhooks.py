"""Webhooks over real HTTP: registered by Test, stored fast, hints only; a lost one costs time, nothing else."""

from __future__ import annotations

import hashlib
import hmac
from typing import Any
from urllib.parse import urlencode

import pytest
from django.db import connection as database
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from carts.connection_test import run_test
from carts.models import Connection, Order
from carts.remote import webhook_url
from carts.setup import set_functions
from connectors.functions import Function
from syncjobs.inbox import replay
from syncjobs.models import Run, WebhookEvent
from tests.engine.conftest import World
from tests.factories import make_cart

State = WebhookEvent.State


@pytest.fixture
def online(world: World, live_server: Any, settings: Any) -> World:
    """The world with the hub reachable: Test registers the webhooks at the running server."""
    settings.PUBLIC_URL = live_server.url
    report = run_test(world.cart)
    assert report.ok, report
    return world


def path_of(world: World) -> str:
    return webhook_url(world.cart).removeprefix("http://testserver")


def finish_queued(world: World) -> dict[str, dict[str, int]]:
    Run.objects.update(run_at=timezone.now())
    return {
        run.function: world.run(Function(run.function), run.connection).counts
        for run in Run.objects.filter(state=Run.State.QUEUED).select_related("connection")
    }


def test_registering_twice_makes_no_second_set(online: World) -> None:
    mine = [hook for hook in online.store.webhooks if "testserver" not in hook["url"]]
    assert len(mine) == 6
    before = len(online.store.webhooks)
    assert run_test(online.cart).ok
    assert len(online.store.webhooks) == before


def test_a_sale_arrives_by_webhook(online: World) -> None:
    sale = online.sell()
    online.sandbox.flush_webhooks(10)
    events = WebhookEvent.objects.filter(topic="sale.update")
    assert events.exists() and {event.state for event in events} == {State.RECEIVED}
    assert online.process_inbox() >= 1
    assert {event.state for event in events.all()} == {State.DONE}
    assert {event.external_id for event in events.all()} == {sale["id"]}, [e.text for e in events]
    assert Run.objects.filter(function=Function.ORDER_DOWNLOAD, state=Run.State.QUEUED).count() == 1
    finish_queued(online)
    assert online.order(sale).status == Order.Status.NEW
    online.cart.refresh_from_db()
    assert online.cart.webhook_received_at is not None


def test_many_hints_make_one_run(online: World) -> None:
    online.sandbox.webhook_mode = {"repeat": 3, "lose": 0.0, "shuffle": True}
    for _ in range(4):
        online.sell()
    online.sandbox.flush_webhooks(20)
    assert WebhookEvent.objects.filter(topic="sale.update").count() >= 12
    online.process_inbox()
    assert Run.objects.filter(function=Function.ORDER_DOWNLOAD, state=Run.State.QUEUED).count() == 1
    finish_queued(online)
    assert Order.objects.count() == 4


def test_workers_that_meet_take_connections_in_one_order(world: World) -> None:
    """Two workers with webhooks of the same carts, one the other way round, waited for each other in a circle."""
    settings = {"options": world.cart.options, "credentials": dict(world.cart.read_credentials())}
    other = make_cart(world.warehouse, **settings)
    set_functions(other, [Function.ORDER_DOWNLOAD, Function.INVENTORY_SYNC, Function.CUSTOMER_SYNC])
    for cart in (other, world.cart, other):
        body = urlencode({"payload": '{"id": "5e"}'})
        Client().post(
            webhook_url(cart).removeprefix("http://testserver") + "?topic=sale.update",
            body,
            content_type="application/x-www-form-urlencoded",
        )
    with CaptureQueriesContext(database) as queries:
        assert world.process_inbox() == 3
    runs = list(Run.objects.order_by("pk").values_list("connection_id", "function"))
    assert {connection for connection, _ in runs} == {world.cart.pk, other.pk}
    assert runs == sorted(runs)
    heard = [
        query["sql"].rpartition(" = ")[2]
        for query in queries
        if query["sql"].startswith('UPDATE "carts_connection"') and "webhook_received_at" in query["sql"]
    ]
    assert heard == [str(pk) for pk in sorted([world.cart.pk, other.pk])]


def test_lost_webhooks_cost_only_time(online: World) -> None:
    online.sandbox.webhook_mode = {"repeat": 1, "lose": 1.0, "shuffle": False}
    online.sell()
    online.sandbox.flush_webhooks(10)
    assert not WebhookEvent.objects.exists()
    online.download()
    assert Order.objects.count() == 1


def test_an_event_that_cannot_be_read_fails_alone_and_can_be_replayed(world: World) -> None:
    client = Client()
    client.post(path_of(world), "payload=%7Bcut", content_type="application/x-www-form-urlencoded")
    client.post(
        path_of(world) + "?topic=sale.update",
        urlencode({"payload": '{"id": "5e"}'}),
        content_type="application/x-www-form-urlencoded",
    )
    world.process_inbox()
    broken, good = WebhookEvent.objects.order_by("pk")
    assert (broken.state, good.state) == (State.FAILED, State.DONE)
    assert broken.error
    replay(broken)
    world.process_inbox()
    broken.refresh_from_db()
    assert broken.attempts == 2


class TestDoor:
    """What the webhook address lets in."""

    def test_wrong_secret_unknown_connection_and_method(self, world: World) -> None:
        client = Client()
        wrong = path_of(world).replace(world.cart.webhook_secret, "guessed")
        assert client.post(wrong, b"x", content_type="text/plain").status_code == 404
        assert client.post(f"/webhooks/{'0' * 8}-0000-4000-8000-{'0' * 12}/x/").status_code == 404
        assert client.put(path_of(world)).status_code == 405
        assert client.head(path_of(world)).status_code == 204
        assert not WebhookEvent.objects.exists()
        world.cart.refresh_from_db()
        assert world.cart.webhook_rejection == "Wrong secret in the address."

    def test_too_large(self, world: World) -> None:
        answer = Client().post(path_of(world), b"x" * (2 * 1024 * 1024 + 1), content_type="text/plain")
        assert answer.status_code == 413
        assert not WebhookEvent.objects.exists()

    def test_the_secret_of_another_connection_does_not_fit(self, world: World) -> None:
        other = world.add_cart(world.store.outlets[1]["name"])
        mixed = path_of(world).replace(world.cart.webhook_secret, other.webhook_secret)
        assert Client().post(mixed, b"x", content_type="text/plain").status_code == 404

    def test_signed_webhooks_are_verified(self, world: World, settings: Any) -> None:
        """Only webhooks of OAuth apps are signed; then the signature must fit."""
        credentials = {"access_token": "", "client_id": "app", "client_secret": "app-secret"}
        Connection.objects.filter(pk=world.cart.pk).update(credentials=credentials)
        body = urlencode({"payload": '{"id": "5e"}'}).encode()
        signature = hmac.new(b"app-secret", body, hashlib.sha256).hexdigest()
        kind = "application/x-www-form-urlencoded"
        good = {"X-Signature": f"signature={signature},algorithm=HMAC-SHA256"}
        bad = {"X-Signature": f"signature={'0' * 64},algorithm=HMAC-SHA256"}
        client = Client()
        assert client.post(path_of(world), body, content_type=kind, headers=good).status_code == 200
        assert client.post(path_of(world), body, content_type=kind, headers=bad).status_code == 400
        assert client.post(path_of(world), body, content_type=kind).status_code == 400
        assert WebhookEvent.objects.count() == 1

    def test_storing_costs_two_queries(self, world: World, django_assert_num_queries: Any) -> None:
        client = Client()
        with django_assert_num_queries(2):
            client.post(path_of(world), b"payload=%7B%7D", content_type="application/x-www-form-urlencoded")
