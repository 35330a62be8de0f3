"""Cost follows change: how many API calls a sale and an idle cycle cost a store with two carts and webhooks on."""

from __future__ import annotations

from typing import Any

import pytest
from django.utils import timezone

from carts.connection_test import run_test
from carts.models import Cart, Order, OutletLevel, StoreFact
from carts.remote import open_connector
from connectors.functions import Function
from syncjobs.models import Run, WebhookEvent
from tests.engine.conftest import World
from tests.factories import make_builtin_warehouse, make_location, make_merchant

IDLE_CALLS = {
    Function.ORDER_DOWNLOAD: {"GET /sales": 1},
    Function.ORDER_CANCEL_DOWNLOAD: {"GET /sales": 1},
    Function.REFUND_DOWNLOAD: {"GET /sales": 1},
    Function.INVENTORY_SYNC: {"POST /inventory": 1},
    Function.PRODUCT_PICKUP: {"GET /products": 1},
    Function.CUSTOMER_SYNC: {"GET /customers": 1},
}


class TwoOutlets:
    """A store with a cart for each of its two outlets, each with a location of its own, everything up to date."""

    def __init__(self, world: World, hub_url: str, settings: Any) -> None:
        settings.PUBLIC_URL = hub_url
        self.world = world
        self.there = world.store.outlets[1]
        self.elsewhere = world.add_cart(self.there["name"])
        self.elsewhere.location = make_location(world.warehouse)
        self.elsewhere.save()
        self.carts = (world.cart, self.elsewhere)
        for cart in self.carts:
            assert run_test(cart).ok
        for product in world.store.products:
            for place, outlet in ((world.location, world.outlet), (self.elsewhere.location, self.there)):
                level = world.store.level(product["id"], outlet["id"])
                world.book.set_available([(place, product["sku"], level)])
        for _ in range(2):
            for cart in self.carts:
                for function in cart.switched_on_functions():
                    assert world.run(function, cart).state == Run.State.DONE
            self.settle()
        world.sandbox.reset_calls()

    def settle(self) -> list[tuple[Cart, str]]:
        """Webhooks, deliveries and runs until nothing is waiting any more. Returns what ran for the carts."""
        ran = []
        for _ in range(10):
            self.world.sandbox.flush_webhooks(10)
            self.world.process_inbox()
            self.world.deliver()
            queued = list(Run.objects.filter(state=Run.State.QUEUED).select_related("connection").order_by("run_at"))
            if not queued and not WebhookEvent.objects.filter(state=WebhookEvent.State.RECEIVED).exists():
                return ran
            Run.objects.update(run_at=timezone.now())
            for run in queued:
                done = self.world.run(Function(run.function), run.connection)
                assert done.state == Run.State.DONE, done.error
                if run.connection.role == "cart":
                    ran.append((Cart.objects.get(pk=run.connection_id), run.function))
        raise AssertionError("The hub does not come to rest.")


@pytest.fixture
def two(world: World, live_server: Any, settings: Any) -> TwoOutlets:
    return TwoOutlets(world, live_server.url, settings)


def test_a_sale_costs_five_calls(two: TwoOutlets) -> None:
    """Two for the sale (its page, and the empty one after it), one for the customer, two for the outlet's levels. The
    store's other cart has nothing to do with it."""
    sandbox, customer = two.world.sandbox, two.world.store.customers[1]
    two.world.sell(customer=customer["id"])
    two.settle()
    sandbox.reset_calls()
    two.world.sell(customer=customer["id"])
    ran = two.settle()
    assert Order.objects.filter(cart=two.world.cart, status=Order.Status.AT_WAREHOUSE).count() == 2
    assert sandbox.counts == {"GET /sales": 2, "GET /customers": 1, "POST /inventory": 2}
    assert {cart for cart, _ in ran} == {two.world.cart}


def test_an_idle_cycle_costs_one_call_per_function(two: TwoOutlets) -> None:
    sandbox = two.world.sandbox
    for cart in two.carts:
        # Reconciliation compares everything on purpose, once a day.
        for function in set(cart.switched_on_functions()) - {Function.RECONCILIATION}:
            sandbox.reset_calls()
            assert two.world.run(function, cart).state == Run.State.DONE
            assert sandbox.counts == IDLE_CALLS[function], function


def test_the_store_is_asked_about_itself_once_for_all_its_carts(two: TwoOutlets) -> None:
    world = two.world
    world.let_store_facts_age()
    for cart in two.carts:
        for _ in range(3):
            assert world.download().state == world.run(Function.ORDER_DOWNLOAD, cart).state == Run.State.DONE
    assert world.sandbox.count("GET /outlets") == 2  # a page, and the empty one after it


def test_a_webhook_about_another_outlet_is_left_alone(two: TwoOutlets) -> None:
    world = two.world
    world.sell()
    two.settle()
    events = WebhookEvent.objects.filter(topic="sale.update").order_by("pk")
    outcome = {event.connection_id: (event.state, event.error) for event in events}
    assert outcome[world.cart.pk] == ("done", "")
    assert outcome[two.elsewhere.pk] == ("ignored", "It is about another outlet.")


def test_what_is_not_known_may_concern_every_cart(two: TwoOutlets) -> None:
    """A register that was added after the last look at the registers."""
    world = two.world
    register = world.store.add_register(two.there["id"])
    world.sell(outlet=two.there["id"], register_id=register["id"])
    ran = two.settle()
    assert {cart for cart, function in ran if function == Function.ORDER_DOWNLOAD} == set(two.carts)
    assert Order.objects.filter(cart=two.elsewhere).count() == 1


def test_carts_that_share_a_location_hear_of_each_others_sales(two: TwoOutlets) -> None:
    """What the hub hears from Vend is about one outlet; what is sold there is gone for the other one all the same."""
    world, product = two.world, two.world.product()
    two.elsewhere.location = None
    two.elsewhere.save()
    world.stock(product["sku"], 9)
    world.run(Function.INVENTORY_SYNC, two.elsewhere)
    two.settle()
    world.sell((product, 2))
    two.settle()
    assert world.store.level(product["id"], two.there["id"]) == 7
    assert OutletLevel.objects.get(cart=two.elsewhere, product__sku=product["sku"]).level == 7


class TestNews:
    """A kept fact never makes the hub miss what changed."""

    def test_a_renamed_outlet_is_noticed_by_a_test_at_once(self, world: World) -> None:
        world.store.update_outlet(world.outlet["id"], name="Harbour Shop")
        assert not run_test(world.cart).ok
        assert "now named “Harbour Shop”" in world.download().error

    def test_a_renamed_outlet_is_noticed_after_a_while_by_itself(self, world: World) -> None:
        world.store.update_outlet(world.outlet["id"], name="Harbour Shop")
        assert world.download().state == Run.State.DONE
        world.let_store_facts_age()
        assert world.download().error_kind == "configuration"

    def test_a_new_name_in_the_settings_is_looked_up_at_once(self, world: World) -> None:
        world.store.add_outlet("New Shop")
        sale = world.sell(outlet=world.store.outlets[-1]["id"])
        world.set_options(outlet_name="New Shop")
        assert world.download().counts["imported"] == 1
        assert world.order(sale)

    def test_an_outlet_made_anew_under_the_same_name_loses_no_sale(self, world: World) -> None:
        assert world.download().state == Run.State.DONE
        name = world.outlet["name"]
        world.store.delete_outlet(world.outlet["id"])
        world.store.add_outlet(name)
        sale = world.sell(outlet=world.store.outlets[-1]["id"])
        assert world.download().counts["imported"] == 1
        assert world.order(sale)

    def test_a_sale_of_an_outlet_that_is_new_changes_nothing_for_the_others(self, world: World) -> None:
        assert world.download().state == Run.State.DONE
        world.store.add_outlet("New Shop")
        world.sell(outlet=world.store.outlets[-1]["id"])
        mine = world.sell()
        run = world.download()
        assert (run.counts["imported"], run.counts["skipped"]) == (1, 1)
        assert world.order(mine)

    def test_a_token_that_is_refused_is_noticed_by_the_next_run(self, world: World) -> None:
        assert world.download().state == Run.State.DONE
        world.sandbox.token = "another"
        assert world.download().error_kind == "authentication"


class TestWhoShares:
    def test_another_merchant_with_the_same_store_sees_nothing(self, world: World) -> None:
        assert StoreFact.objects.filter(merchant=world.merchant).exists()
        stranger = make_merchant()
        cart = Cart.objects.create(
            merchant=stranger,
            name="Theirs",
            connector="vend",
            options=world.cart.options,
            credentials={"access_token": "guessed"},
            warehouse=make_builtin_warehouse(stranger),
            is_active=True,
        )
        connector = open_connector(cart)
        assert connector.environment.store_facts.get("outlets") is None
        connector.close()
        run = world.run(Function.ORDER_DOWNLOAD, cart)
        assert run.error_kind == "authentication"
        assert not StoreFact.objects.filter(merchant=stranger).exists()

    def test_another_store_of_the_same_merchant_is_another_store(self, world: World) -> None:
        other = world.add_cart(world.outlet["name"], tested=False)
        other.options = {**other.options, "vend_url": "http://127.0.0.1:9"}
        connector = open_connector(other)
        assert connector.environment.store_facts.get("outlets") is None
        connector.close()
