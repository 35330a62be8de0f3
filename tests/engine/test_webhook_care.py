"""Webhook care: once a day, what is missing is registered again, what is stale is removed, and a person is told when that
does not work."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from carts.connection_test import run_test
from carts.models import Alert, Cart, Connection, WebhookRegistration
from carts.remote import webhook_url
from carts.removal import StillNeeded, delete_connection
from carts.webhook_care import EARLIER_BY_AT_MOST, EVERY, look_after_webhooks
from syncjobs.drain import work
from syncjobs.webhook_turns import look_after_next
from tests.engine.conftest import World
from tests.factories import make_cart, make_merchant, make_order

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


class TestStaleOnesOfOurs:
    """Only what this installation has noted when it registered it is ever taken off."""

    @pytest.fixture
    def other(self, registered: World) -> Cart:
        """A second cart of the store, with its webhooks."""
        other = registered.add_cart(registered.store.outlets[1]["name"], tested=False)
        for cart in (other, registered.cart):
            assert run_test(cart).ok
        assert len(registered.store.webhooks) == 2 * TOPICS
        return other

    def at(self, world: World, address: str) -> int:
        return sum(hook["url"].startswith(address) for hook in world.store.webhooks)

    def test_a_deleted_cart_takes_its_own_along(self, registered: World, other: Cart) -> None:
        registered.store.add_webhook("sale.update", "https://someone-else.example/hook")
        assert delete_connection(other) == ""
        assert len(registered.store.webhooks) == TOPICS + 1
        assert self.at(registered, webhook_url(registered.cart)) == TOPICS
        assert not WebhookRegistration.objects.filter(connection=None).exists()

    def test_what_it_cannot_take_the_next_check_of_another_cart_does(self, registered: World, other: Cart) -> None:
        address = webhook_url(other)
        registered.sandbox.fail(match="GET /webhooks", status=503, times=None)
        assert "still registered" in delete_connection(other)
        assert not Cart.objects.filter(pk=other.pk).exists()
        assert look(registered).webhooks_in_order is False
        registered.sandbox.clear_faults()
        assert self.at(registered, address) == TOPICS
        cart = look(registered)
        assert self.at(registered, address) == 0 and self.at(registered, webhook_url(cart)) == TOPICS
        assert cart.webhooks_in_order and cart.webhook_steps[-1]["message"].startswith("6 that the hub registered")
        registered.sandbox.reset_calls()
        look(registered)
        assert registered.sandbox.counts["GET /webhooks"] == 1, "nothing is left to look for"

    def test_half_way_it_is_tried_again(self, registered: World, other: Cart) -> None:
        address = webhook_url(other)
        registered.sandbox.fail(match="DELETE /webhooks/*", status=503, times=None, after=2)
        assert "still registered" in delete_connection(other)
        assert self.at(registered, address) == TOPICS - 2
        cart = look(registered)
        assert not cart.webhooks_in_order and "could not be taken off" in cart.webhook_steps[-1]["message"]
        registered.sandbox.clear_faults()
        look(registered)
        assert self.at(registered, address) == 0

    def test_a_deletion_without_access_is_quick_and_told(self, registered: World, other: Cart) -> None:
        registered.sandbox.fail(match="", status=401, times=None)
        registered.sandbox.reset_calls()
        assert "daily check of the store's other carts" in delete_connection(other)
        assert sum(registered.sandbox.counts.values()) == 1
        assert "if the store gets a cart again" in delete_connection(registered.cart)

    def test_a_cart_that_was_never_tested_asks_nobody(self, registered: World) -> None:
        new = registered.add_cart("Nowhere", tested=False)
        registered.sandbox.reset_calls()
        assert delete_connection(new) == ""
        assert registered.sandbox.counts == {}

    def test_one_from_before_registrations_were_noted(self, registered: World, other: Cart) -> None:
        WebhookRegistration.objects.all().delete()
        assert delete_connection(other) == ""
        assert len(registered.store.webhooks) == TOPICS

    def test_a_cart_with_orders_keeps_cart_and_webhooks(self, registered: World) -> None:
        make_order(registered.cart)
        with pytest.raises(StillNeeded):
            delete_connection(registered.cart)
        assert len(registered.store.webhooks) == TOPICS

    def test_the_hub_moves_to_another_address(self, registered: World, other: Cart, settings: Any) -> None:
        """Each cart looks after its own: the other one's old webhooks stay until its new ones are there."""
        settings.PUBLIC_URL = "https://new.example"
        look(registered)
        assert self.at(registered, "https://new.example/") == TOPICS
        assert len(registered.store.webhooks) == 2 * TOPICS
        look_after_webhooks(other)
        assert self.at(registered, "https://new.example/") == len(registered.store.webhooks) == 2 * TOPICS

    def test_the_old_ones_stay_as_long_as_the_new_ones_cannot_be_registered(
        self, registered: World, settings: Any
    ) -> None:
        settings.PUBLIC_URL = "https://new.example"
        registered.sandbox.fail(match="POST /webhooks", status=503, times=None)
        look(registered)
        assert len(registered.store.webhooks) == TOPICS

    def test_another_installation_on_the_same_store(self, registered: World, settings: Any) -> None:
        """Its addresses look like ours, but we have not noted them."""
        theirs = "https://other-hub.example/webhooks/0f8fad5b-d9cb-469f-a165-70867728950e/their-secret/"
        ours_by_its_looks = f"{settings.PUBLIC_URL}/webhooks/0f8fad5b-d9cb-469f-a165-70867728950e/their-secret/"
        for address in (theirs, ours_by_its_looks):
            registered.store.add_webhook("sale.update", f"{address}?topic=sale.update")
        look(registered)
        assert self.at(registered, theirs) == self.at(registered, ours_by_its_looks) == 1

    def test_a_copy_of_the_database_elsewhere(self, registered: World, other: Cart, settings: Any) -> None:
        """A copy with a key and an address of its own knows all our rows, and takes none of our webhooks off."""
        settings.PUBLIC_URL, settings.SECRET_KEY = "https://copy.example", "the copy's own key" * 5
        look(registered)
        delete_connection(other)
        look(registered)
        assert len(registered.store.webhooks) == 3 * TOPICS
        assert self.at(registered, "https://copy.example/") == TOPICS

    def test_a_key_that_was_replaced_is_still_ours(self, registered: World, other: Cart, settings: Any) -> None:
        settings.SECRET_KEY_FALLBACKS = [settings.SECRET_KEY]
        settings.SECRET_KEY = "a new key" * 10
        delete_connection(other)
        assert len(registered.store.webhooks) == TOPICS

    def test_a_cart_that_moved_to_another_store(self, registered: World, other: Cart) -> None:
        elsewhere = {**other.options, "vend_url": "https://other.retail.lightspeed.app"}
        Connection.objects.filter(pk=other.pk).update(options=elsewhere)
        look(registered)
        assert len(registered.store.webhooks) == TOPICS

    def test_stores_of_other_merchants_are_not_asked_for(self, registered: World, other: Cart) -> None:
        registered.sandbox.fail(match="GET /webhooks", status=503, times=None)
        delete_connection(other)
        registered.sandbox.clear_faults()
        WebhookRegistration.objects.filter(connection=None).update(merchant=make_merchant())
        look(registered)
        assert len(registered.store.webhooks) == 2 * TOPICS

    def test_the_note_comes_before_the_registration(self, registered: World, settings: Any) -> None:
        settings.PUBLIC_URL = "https://new.example"
        registered.sandbox.fail(match="", status=503, times=None)
        look(registered)
        assert WebhookRegistration.objects.filter(address__startswith="https://new.example/").count() == 1
        assert "secret" not in str(WebhookRegistration.objects.last())
