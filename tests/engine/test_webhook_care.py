"""Webhook care: once a day, what is missing is registered again, what is stale is removed, and a person is told when that
does not work."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from carts.connection_test import run_test
from carts.models import Alert, Connection
from carts.remote import webhook_url
from carts.webhook_care import EARLIER_BY_AT_MOST, EVERY
from syncjobs.drain import work
from syncjobs.webhook_turns import look_after_next
from tests.engine.conftest import World
from tests.factories import make_cart

TOPICS = 6


@pytest.fixture
def registered(world: World) -> World:
    """The cart's webhooks are registered and its daily look is due."""
    assert run_test(world.cart).ok
    assert len(world.store.webhooks) == TOPICS
    make_due(world)
    world.sandbox.reset_calls()
    return world


def make_due(world: World) -> None:
    Connection.objects.filter(pk=world.cart.pk).update(webhooks_due_at=timezone.now() - timedelta(minutes=1))


def look(world: World) -> Connection:
    make_due(world)
    assert look_after_next() == 1
    return Connection.objects.get(pk=world.cart.pk)


def test_when_all_is_well_it_costs_a_look_a_day(registered: World) -> None:
    """At the webhooks, and at the outlets and registers by which a webhook's outlet is told."""
    registered.let_store_facts_age()
    assert look_after_next() == 1
    assert registered.sandbox.counts == {"GET /webhooks": 1, "GET /outlets": 2, "GET /registers": 2}
    cart = Connection.objects.get(pk=registered.cart.pk)
    assert cart.webhooks_in_order is True
    now = timezone.now()
    assert now + EVERY - EARLIER_BY_AT_MOST - timedelta(minutes=1) < cart.webhooks_due_at <= now + EVERY
    assert look_after_next() == 0


def test_what_is_missing_off_or_stale_is_put_right(registered: World) -> None:
    store = registered.store
    gone, off = store.webhooks[:2]
    store.delete_webhook(gone["id"])
    off["active"] = False
    base = webhook_url(registered.cart).rsplit("/", 2)[0]
    store.add_webhook("sale.update", f"{base}/an-earlier-secret/?topic=sale.update")
    store.add_webhook("sale.update", "https://someone-else.example/hook")
    assert look_after_next() == 1
    ours = [hook for hook in store.webhooks if hook["url"].startswith(webhook_url(registered.cart))]
    assert len(ours) == TOPICS and all(hook["active"] for hook in ours)
    assert len(store.webhooks) == TOPICS + 1
    cart = Connection.objects.get(pk=registered.cart.pk)
    assert cart.webhook_steps[0]["message"] == "6 webhooks are registered (2 added or switched on, 1 removed)."
    assert not Alert.objects.filter(kind="webhooks").exists()


def test_an_alert_when_it_cannot_be_put_right_closes_itself(registered: World) -> None:
    registered.sandbox.fail(match="GET /webhooks", status=403, times=None)
    cart = look(registered)
    assert cart.webhooks_in_order is False
    assert cart.webhooks_due_at < timezone.now() + timedelta(hours=1, minutes=1)
    assert not Alert.objects.exists()  # a single failure wakes nobody
    look(registered)
    look(registered)
    alert = Alert.objects.get()
    assert (alert.kind, alert.severity, alert.status, alert.count) == ("webhooks", "warning", "open", 2)
    assert "could not be registered" in alert.message and "interval instead of at once" in alert.fix
    assert alert.link.endswith(f"/{cart.pk}/change/#webhooks")
    registered.sandbox.clear_faults()
    assert look(registered).webhooks_in_order is True
    alert.refresh_from_db()
    assert alert.status == "resolved"


def test_a_good_test_closes_the_alert_too(registered: World) -> None:
    registered.sandbox.fail(match="GET /webhooks", status=500, times=None)
    look(registered)
    look(registered)
    registered.sandbox.clear_faults()
    assert run_test(registered.cart).ok
    assert Alert.objects.get().status == "resolved"


def test_settings_that_do_not_fit_are_told(registered: World) -> None:
    Connection.objects.filter(pk=registered.cart.pk).update(options={})
    cart = look(registered)
    assert cart.webhook_steps[0]["name"] == "Settings" and not cart.webhooks_in_order


def test_a_fault_of_the_hub_is_told_and_stops_nothing(registered: World, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*args: Any) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr("connectors.vend.webhooks.check", broken)
    cart = look(registered)
    assert "A fault in the hub itself: ZeroDivisionError" in cart.webhook_steps[0]["message"]


class TestTurns:
    @pytest.mark.parametrize("reason", ["off", "merchant off", "resting", "no webhooks"])
    def test_some_are_left_alone(self, registered: World, reason: str) -> None:
        cart = registered.cart
        if reason == "off":
            Connection.objects.filter(pk=cart.pk).update(is_active=False)
        elif reason == "merchant off":
            cart.merchant.is_active = False
            cart.merchant.save()
        elif reason == "resting":
            Connection.objects.filter(pk=cart.pk).update(resting_until=timezone.now() + timedelta(minutes=5))
        else:
            Connection.objects.filter(pk=cart.pk).update(connector="builtin")
        assert look_after_next() == 0
        assert registered.sandbox.counts == {}

    def test_who_waited_longest_comes_first_and_new_ones_before_all(self, registered: World) -> None:
        new = make_cart(registered.warehouse)
        look_after_next()
        new.refresh_from_db()
        registered.cart.refresh_from_db()
        assert new.webhooks_checked_at is not None
        assert registered.cart.webhooks_due_at < timezone.now()
        assert look_after_next() == 1
        assert look_after_next() == 0

    def test_an_idle_worker_does_it(self, registered: World) -> None:
        class Keeper:
            stopping = False

        registered.store.delete_webhook(registered.store.webhooks[0]["id"])
        work("test", Keeper(), urgent_only=True, seconds=0.2)  # type: ignore[arg-type]
        assert len(registered.store.webhooks) == TOPICS - 1
        work("test", Keeper(), urgent_only=False, seconds=0.2)  # type: ignore[arg-type]
        assert len(registered.store.webhooks) == TOPICS
