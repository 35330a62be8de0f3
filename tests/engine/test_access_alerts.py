"""When access is gone there is one alert, however many functions and carts it stops, and it closes by itself."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
import requests
from django.utils import timezone

from carts.access_alerts import access_key, access_link, access_works, in_words
from carts.authorization import finish, keep_authorization, redirect_uri
from carts.connection_test import run_test
from carts.models import Alert, Cart, Connection, Order
from carts.remote import open_connector
from carts.webhook_care import look_after_webhooks
from connectors.errors import AuthenticationFailed
from connectors.functions import Function
from syncjobs.delivering import note_trouble
from syncjobs.models import Delivery, Schedule
from tests.engine.conftest import World
from tests.factories import make_builtin_warehouse, make_order

APP = {"client_id": "hub", "client_secret": "secret-of-the-app"}
FEEDS = (Function.ORDER_DOWNLOAD, Function.PRODUCT_PICKUP, Function.CUSTOMER_SYNC, Function.INVENTORY_SYNC)


def open_alerts() -> list[Alert]:
    return list(Alert.objects.filter(status=Alert.Status.OPEN))


def consent(cart: Cart) -> dict[str, str]:
    """What the shop sends back once somebody has agreed."""
    connector: Any = open_connector(cart)
    answer = requests.get(connector.authorize_url("state-of-a-test", redirect_uri()), allow_redirects=False, timeout=5)
    return {name: values[0] for name, values in parse_qs(urlsplit(answer.headers["Location"]).query).items()}


class TestAPersonalToken:
    @pytest.fixture(autouse=True)
    def revoked(self, world: World) -> None:
        world.sandbox.fail(times=None, match="", status=401)

    def test_one_alert_for_all_functions(self, world: World) -> None:
        for feed in FEEDS:
            assert world.run(feed).error_kind == "authentication"
        [alert] = open_alerts()
        assert (alert.kind, alert.count, alert.connection_id) == ("authentication", len(FEEDS), world.cart.pk)
        assert alert.message.startswith(f"{world.cart}: ")
        assert alert.link == f"/admin/carts/cart/{world.cart.pk}/settings/#credentials"

    def test_the_first_run_that_gets_in_closes_it(self, world: World) -> None:
        for feed in FEEDS:
            world.run(feed)
        world.sandbox.clear_faults()
        assert world.run(Function.CUSTOMER_SYNC).state == "done"
        assert open_alerts() == []

    def test_a_good_test_closes_it(self, world: World) -> None:
        world.download()
        world.sandbox.clear_faults()
        assert run_test(world.cart).ok
        assert open_alerts() == []

    def test_one_from_before_an_upgrade_closes_too(self, world: World) -> None:
        key = f"{world.cart.pk}:order_download"
        Alert.objects.create(
            merchant=world.merchant, connection=world.cart, kind="authentication", key=key, message="gone"
        )
        assert access_works(world.cart) == 1

    def test_two_carts_with_tokens_of_their_own_are_two_causes(self, world: World) -> None:
        world.sandbox.clear_faults()
        other = world.add_cart(world.store.outlets[1]["name"])
        Connection.objects.filter(pk=other.pk).update(credentials={"access_token": "another"})
        world.sandbox.fail(times=None, match="", status=401)
        world.download()
        world.run(Function.ORDER_DOWNLOAD, Cart.objects.get(pk=other.pk))
        assert {alert.connection_id for alert in open_alerts()} == {world.cart.pk, other.pk}

    def test_carts_with_the_same_token_are_one(self, world: World) -> None:
        world.sandbox.clear_faults()
        other = world.add_cart(world.store.outlets[1]["name"])
        world.sandbox.fail(times=None, match="", status=401)
        world.download()
        world.run(Function.ORDER_DOWNLOAD, other)
        [alert] = open_alerts()
        assert alert.count == 2 and alert.message.startswith(f"{other} and {world.cart}: ")
        assert world.sandbox.token not in alert.key
        world.sandbox.clear_faults()
        assert world.download().state == "done"
        assert open_alerts() == []

    def test_webhook_care_adds_no_alert_of_its_own(self, world: World) -> None:
        world.download()
        for _ in range(3):
            look_after_webhooks(world.cart)
        assert [alert.kind for alert in open_alerts()] == ["authentication"]

    def test_a_missing_permission_stays_the_functions_own(self, world: World) -> None:
        world.sandbox.clear_faults()
        world.sandbox.fail(times=None, match="GET /products", status=403)
        assert world.run(Function.PRODUCT_PICKUP).error_kind == "permission"
        [alert] = open_alerts()
        assert (alert.kind, alert.key) == ("permission", f"{world.cart.pk}:product_pickup")
        assert alert.link.endswith("/settings/#credentials")


class TestASharedAuthorisation:
    @pytest.fixture
    def other(self, world: World) -> Cart:
        """Two carts with one authorisation, which the shop has taken away."""
        other = world.add_cart(world.store.outlets[1]["name"])
        world.sandbox.oauth.applications = {APP["client_id"]: APP["client_secret"]}
        for cart in (world.cart, other):
            cart.credentials = APP
            cart.save()
        connector: Any = open_connector(world.cart)
        tokens = connector.exchange_code(consent(world.cart), redirect_uri())
        keep_authorization(world.cart, tokens, "ann")
        world.sandbox.oauth.revoke_all()
        return other

    @pytest.fixture
    def world(self, transactional_db: None, world: World) -> World:
        """Tokens are stored durably, which a test's own transaction does not allow."""
        return world

    def fail(self, world: World, *carts: Cart) -> None:
        for cart in carts:
            for feed in FEEDS[:2]:
                assert world.run(feed, cart).error_kind == "authentication"

    def test_one_alert_names_the_carts(self, world: World, other: Cart) -> None:
        self.fail(world, world.cart, other)
        [alert] = open_alerts()
        assert alert.count == 4
        assert alert.message.startswith(f"{other} and {world.cart}: ")
        assert alert.link == f"/admin/carts/cart/{other.pk}/authorise/" == access_link(other)

    def test_carts_that_are_off_or_have_a_token_are_not_named(self, world: World, other: Cart) -> None:
        Connection.objects.filter(pk=other.pk).update(is_active=False)
        self.fail(world, world.cart)
        assert open_alerts()[0].message.startswith(f"{world.cart}: ")

    def test_authorising_one_closes_it_and_hurries_all(self, world: World, other: Cart) -> None:
        self.fail(world, world.cart, other)
        world.sell()
        report = finish(world.cart, consent(world.cart), "ann")
        assert report.ok, report
        assert open_alerts() == []
        waiting = Schedule.objects.filter(function__in=FEEDS[:2], next_run_at__gt=timezone.now())
        assert not waiting.filter(failures__gt=0).exists()
        assert world.download().counts["imported"] == 1

    def test_also_when_the_test_then_finds_something_else(self, world: World, other: Cart) -> None:
        self.fail(world, world.cart, other)
        world.store.remove_registers(world.outlet["id"])
        assert not finish(world.cart, consent(world.cart), "ann").ok
        assert open_alerts() == []
        assert not Schedule.objects.filter(connection=world.cart, failures__gt=0).exists()

    def test_a_run_of_the_other_cart_closes_it(self, world: World, other: Cart) -> None:
        self.fail(world, world.cart, other)
        connector: Any = open_connector(world.cart)
        keep_authorization(world.cart, connector.exchange_code(consent(world.cart), redirect_uri()), "ann")
        assert world.run(Function.ORDER_DOWNLOAD, other).state == "done"
        assert open_alerts() == []

    def test_a_very_long_key_fits(self, world: World, other: Cart) -> None:
        cart = Cart(pk=1, merchant=world.merchant, connector="vend", options=dict(world.cart.options))
        cart.credentials = {**APP, "client_id": "x" * 500}
        assert len(access_key(cart)) == 64


def test_deliveries_join_the_alert_and_go_on(world: World) -> None:
    """Confirmations that wait because of the access go out as soon as it is back, not at the end of their back-off."""
    now = timezone.now()
    error = AuthenticationFailed("The token is refused.")
    order: Order = make_order(world.cart)
    waiting = Delivery.objects.create(
        connection=world.cart,
        kind="shipment",
        order=order,
        reference="x",
        state="retry",
        error_kind="authentication",
        run_at=now + timedelta(hours=3),
    )
    note_trouble(world.cart, [error, error], now)
    world.sandbox.fail(times=1, match="", status=401)
    world.download()
    [alert] = open_alerts()
    assert alert.count == 3
    assert run_test(world.cart).ok
    waiting.refresh_from_db()
    assert waiting.run_at <= timezone.now()
    assert open_alerts() == []
    assert Connection.objects.get(pk=world.cart.pk).resting_until is None


def test_many_carts_are_not_all_named(world: World) -> None:
    carts = [make_builtin_warehouse(world.merchant, name=f"Shop {number}") for number in range(1, 31)]
    assert in_words(carts[:1]) == "Shop 1"
    assert in_words(carts[:3]) == "Shop 1, Shop 2 and Shop 3"
    assert in_words(carts).endswith("Shop 8 and 22 more")
