"""Carts for the other outlets of a store: which outlets are free, what the new carts get, and what they share."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import pytest
from django.db import connections

from carts.connection_test import run_test
from carts.credential_store import authorization_key
from carts.models import Cart, Location, Outlet, StockFrom, Warehouse
from carts.outlet_carts import OutletErrors, WantedCart, add_carts, default_names, own_access_of, run_tests
from carts.outlets import DELETED, RENAMED, SAME_NAME, keep_outlets, look_for_outlets, survey
from carts.remote import BUDGETS, open_connector
from carts.setup import check_settings, finish_new_connection, set_functions
from connectors.base import Connector
from connectors.errors import ConnectorError, RateLimited
from connectors.functions import Function
from connectors.records import OutletRecord
from connectors.registry import connector_class
from connectors.vend.connector import VendConnector
from connectors.vend.sandbox import VendSandbox
from syncjobs.budgets import load_budgets, save_budgets
from tests.factories import make_builtin_warehouse, make_location

OUTLETS = 4


class Store:
    """A store with four outlets and a cart for the first."""

    def __init__(self, sandbox: VendSandbox) -> None:
        self.sandbox = sandbox
        self.outlets: list[Any] = sandbox.store.outlets
        self.warehouse: Warehouse = make_builtin_warehouse()
        self.cart = self.add_cart(self.outlets[0]["name"], "First")

    def add_cart(self, outlet: str, name: str, **credentials: Any) -> Cart:
        values = {"vend_url": self.sandbox.url, "outlet_name": outlet, "order_status": "LAYBY"}
        given = credentials or {"access_token": self.sandbox.token}
        options, kept = check_settings(connector_class("vend"), values, given, {})
        cart = Cart.objects.create(
            merchant=self.warehouse.merchant,
            name=name,
            connector="vend",
            options=options,
            credentials=kept,
            warehouse=self.warehouse,
        )
        finish_new_connection(cart)
        return cart

    def look(self) -> None:
        look_for_outlets(self.cart)

    def rename(self, number: int, name: str) -> None:
        self.sandbox.store.update_outlet(self.outlets[number]["id"], name=name)

    def free(self) -> list[WantedCart]:
        return [WantedCart(outlet=place.outlet) for place in survey(self.cart) if place.is_free]

    def problems(self) -> dict[str, str]:
        return {place.outlet.name: place.problem for place in survey(self.cart) if place.problem}


@pytest.fixture
def store(db: None, settings: Any) -> Iterator[Store]:
    with VendSandbox(outlets=OUTLETS, sales=0, products=1, customers=1, rate_limit=100_000) as sandbox:
        settings.EXTRA_HOSTS = frozenset({sandbox.host})
        store = Store(sandbox)
        store.look()
        yield store


class TestWhatIsFree:
    def test_every_outlet_but_the_carts_own(self, store: Store) -> None:
        places = survey(store.cart)
        assert [place.is_free for place in places].count(True) == OUTLETS - 1
        assert [place.carts for place in places if not place.is_free] == [(store.cart,)]

    def test_carts_of_other_stores_and_merchants_do_not_count(self, store: Store) -> None:
        other = store.outlets[1]["name"]
        Cart.objects.filter(pk=store.add_cart(other, "Elsewhere").pk).update(
            options={**store.cart.options, "vend_url": "https://other.retail.lightspeed.app", "outlet_name": other}
        )
        foreign = Store(store.sandbox)
        assert len(store.free()) == OUTLETS - 1
        assert [place.carts for place in survey(foreign.cart)] == []

    def test_a_renamed_outlet_is_not_free(self, store: Store) -> None:
        """Or two carts would download the same sales once somebody has entered the new name."""
        other = store.add_cart(store.outlets[1]["name"], "Second")
        assert run_test(other).ok
        store.rename(1, "Renamed")
        store.look()
        assert len(store.free()) == OUTLETS - 2
        assert store.problems() == {"Renamed": RENAMED}

    def test_the_carts_own_outlet_renamed(self, store: Store) -> None:
        run_test(store.cart)
        store.rename(0, "Renamed")
        store.look()
        assert len(store.free()) == OUTLETS - 1
        assert any("is now named “Renamed”" in step.message for step in run_test(store.cart).steps)

    def test_two_that_change_names_are_both_served(self, store: Store) -> None:
        other = store.add_cart(store.outlets[1]["name"], "Second")
        run_test(store.cart), run_test(other)
        first, second = (outlet["name"] for outlet in store.outlets[:2])
        store.rename(0, second)
        store.rename(1, first)
        store.look()
        assert len(store.free()) == OUTLETS - 2
        assert store.problems() == {}

    def test_a_deleted_outlet_is_shown_only_with_its_cart(self, store: Store) -> None:
        other = store.add_cart(store.outlets[1]["name"], "Second")
        run_test(other)
        for outlet in store.outlets[1:3]:
            store.sandbox.store.delete_outlet(outlet["id"])
        store.look()
        assert len(store.free()) == 1
        assert store.problems() == {store.outlets[1]["name"]: DELETED}

    def test_one_that_vanished_from_the_list_counts_as_deleted(self, store: Store) -> None:
        gone = store.outlets[2]
        connector: Any = open_connector(store.cart)
        keep_outlets(store.cart, [one for one in connector.read_outlets() if one.external_id != gone["id"]])
        assert Outlet.objects.get(connection=store.cart, external_id=gone["id"]).deleted
        assert len(store.free()) == OUTLETS - 2

    def test_outlets_of_one_name_cannot_be_told_apart(self, store: Store) -> None:
        store.rename(2, store.outlets[1]["name"])
        store.look()
        assert len(store.free()) == OUTLETS - 3
        assert list(store.problems().values()) == [SAME_NAME]  # both have one name

    def test_looking_costs_one_call_and_few_queries(self, store: Store, django_assert_max_num_queries: Any) -> None:
        store.sandbox.reset_calls()
        with django_assert_max_num_queries(16):
            store.look()
        assert sum(store.sandbox.counts.values()) == 2  # the second call says that there is no more
        with django_assert_max_num_queries(2):
            survey(store.cart)


class TestWhatTheyGet:
    def test_everything_but_the_outlet(self, store: Store) -> None:
        on = [Function.ORDER_DOWNLOAD, Function.INVENTORY_SYNC]
        set_functions(store.cart, on, {Function.ORDER_DOWNLOAD: 7})
        made = add_carts(store.cart, store.free())
        assert [cart.name for cart in made] == sorted(outlet["name"] for outlet in store.outlets[1:])
        for cart in made:
            cart.refresh_from_db()
            assert cart.options == {**store.cart.options, "outlet_name": cart.name}
            assert cart.read_credentials() == store.cart.read_credentials()
            assert (cart.warehouse, cart.location, cart.is_active, cart.tested_at) == (
                store.warehouse,
                None,
                False,
                None,
            )
            assert cart.switched_on_functions() == on
            assert cart.function_settings.get(function=Function.ORDER_DOWNLOAD).minutes == 7
            assert cart.webhook_secret != store.cart.webhook_secret
        assert store.free() == []

    def test_each_passes_its_test(self, store: Store) -> None:
        made = add_carts(store.cart, store.free())
        assert run_tests(made) == made
        assert [cart.test_ok for cart in made] == [True] * (OUTLETS - 1)
        assert {cart.outlet.external_id for cart in made if cart.outlet} == {one["id"] for one in store.outlets[1:]}

    def test_when_the_time_is_over_the_rest_waits(self, store: Store) -> None:
        made = add_carts(store.cart, store.free())
        assert run_tests(made, seconds=0) == made[:1]
        assert [cart.tested_at is None for cart in made] == [False, True, True]

    def test_own_name_location_and_token(self, store: Store) -> None:
        location = make_location(store.warehouse)
        [one, *_] = store.free()
        wanted = WantedCart(
            outlet=one.outlet, name="Mine", location=location, credentials={"access_token": "own-token"}
        )
        [cart] = add_carts(store.cart, [wanted])
        assert (cart.name, cart.location) == ("Mine", location)
        assert cart.read_credentials()["access_token"] == "own-token"
        assert not run_test(cart).ok

    def test_whose_stock_they_show(self, store: Store) -> None:
        """As the source; a set gains the location of the new cart, which must be part of it."""
        first, own = make_location(store.warehouse), make_location(store.warehouse)
        default = store.warehouse.default_location()
        Cart.objects.filter(pk=store.cart.pk).update(stock_from=StockFrom.SET, location=first)
        source = Cart.objects.get(pk=store.cart.pk)
        source.stock_locations.set([first])
        one, two, _ = store.free()
        made = add_carts(source, [WantedCart(outlet=one.outlet, location=own), two])
        assert [set(cart.stock_locations.all()) for cart in made] == [{first, own}, {first, default}]
        assert {cart.stock_from for cart in made} == {StockFrom.SET}

    def test_the_authorisation_is_shared(self, store: Store) -> None:
        app = {"client_id": "app", "client_secret": "secret"}
        store.cart.credentials = {**app, "access_token": ""}
        store.cart.save()
        assert own_access_of(store.cart) == ()
        made = add_carts(store.cart, store.free())
        assert {authorization_key(cart) for cart in made} == {authorization_key(store.cart)}

    def test_the_rate_budget_is_shared(self, store: Store) -> None:
        """What one cart hears of the store's limit holds for all of its carts, in this process and in others."""
        made = add_carts(store.cart, store.free())
        first: Any = open_connector(store.cart)
        others: list[Any] = [open_connector(cart) for cart in made]
        budget = first.client.session.budget
        assert all(other.client.session.budget is budget for other in others)
        store.sandbox.reset_calls()
        store.sandbox.fail(match="GET /retailer", status=429, retry_after_seconds=60, times=1)
        with pytest.raises(RateLimited):
            first.client.retailer()
        calls = dict(store.sandbox.counts)
        for other in others:
            with pytest.raises(RateLimited):
                other.client.retailer()
        assert store.sandbox.counts == calls, "nobody asks the store again before the time it named"
        save_budgets()
        BUDGETS.clear()
        load_budgets()
        elsewhere: Any = open_connector(made[0])
        with pytest.raises(RateLimited):
            elsewhere.client.retailer()
        assert store.sandbox.counts == calls


class TestRefused:
    def refused(self, store: Store, *wanted: WantedCart) -> dict[str, dict[str, str]]:
        before = Cart.objects.count()
        with pytest.raises(OutletErrors) as caught:
            add_carts(store.cart, list(wanted))
        assert Cart.objects.count() == before, "all or none"
        return caught.value.errors

    def test_twice(self, store: Store) -> None:
        wanted = store.free()
        add_carts(store.cart, wanted[:1])
        errors = self.refused(store, *wanted)
        assert list(errors) == [wanted[0].outlet.external_id]
        assert "has a cart already" in errors[wanted[0].outlet.external_id]["outlet"]

    def test_deleted_meanwhile(self, store: Store) -> None:
        wanted = store.free()
        Outlet.objects.filter(pk=wanted[0].outlet.pk).update(deleted=True)
        errors = self.refused(store, *wanted)
        assert errors == {wanted[0].outlet.external_id: {"outlet": "The store has no such outlet any more."}}

    def test_names_that_are_taken(self, store: Store) -> None:
        one, two, three = (entry.outlet for entry in store.free())
        errors = self.refused(
            store,
            WantedCart(outlet=one, name="First"),
            WantedCart(outlet=two, name="Same"),
            WantedCart(outlet=three, name="Same"),
        )
        assert set(errors) == {one.external_id, three.external_id}
        assert "another cart named “First”" in errors[one.external_id]["name"]

    def test_names_that_are_found_avoid_those_that_are_taken(self, store: Store) -> None:
        one, two, _ = (entry.outlet for entry in store.free())
        store.add_cart("Nowhere", one.name)
        names = default_names(store.cart, survey(store.cart))
        assert names[one.external_id] == f"{one.name} 2"
        made = add_carts(store.cart, [WantedCart(outlet=one), WantedCart(outlet=two, name=f"{one.name} 2")])
        assert [cart.name for cart in made] == [f"{one.name} 3", f"{one.name} 2"]

    def test_a_location_of_another_warehouse(self, store: Store) -> None:
        foreign: Location = make_location(make_builtin_warehouse())
        [one, *_] = store.free()
        errors = self.refused(store, WantedCart(outlet=one.outlet, location=foreign))
        assert "belongs to another warehouse" in errors[one.outlet.external_id]["location"]

    def test_credentials_that_are_not_a_carts_own(self, store: Store) -> None:
        [one, *_] = store.free()
        errors = self.refused(store, WantedCart(outlet=one.outlet, credentials={"client_id": "x"}))
        assert "access_token" in errors[one.outlet.external_id]["credentials"]
        errors = self.refused(store, WantedCart(outlet=one.outlet, credentials={"access_token": "with space"}))
        assert "no spaces" in errors[one.outlet.external_id]["credentials"]

    def test_a_store_that_does_not_answer(self, store: Store) -> None:
        store.sandbox.stop()
        with pytest.raises(ConnectorError):
            store.look()


@pytest.mark.django_db(transaction=True)
def test_two_at_once_make_one_cart_each(store: Store) -> None:
    wanted = store.free()
    outcomes: list[Any] = []
    start = threading.Barrier(2)

    def add() -> None:
        start.wait()
        try:
            outcomes.append(add_carts(Cart.objects.get(pk=store.cart.pk), wanted))
        except OutletErrors as error:
            outcomes.append(error)
        finally:
            connections.close_all()

    threads = [threading.Thread(target=add) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(type(outcome).__name__ for outcome in outcomes) == ["OutletErrors", "list"]
    assert Cart.objects.count() == OUTLETS


class ByKey(VendConnector):
    """A system whose option holds the outlet's id, and whose store has one access."""

    outlet_option_holds = "external_id"
    own_access = ()


def test_a_connector_gets_it_by_declaring(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    kinds: dict[str, type[Connector]] = {"vend": ByKey}
    monkeypatch.setattr("carts.models.connections.connector_class", kinds.__getitem__)
    store.cart.options = {**store.cart.options, "outlet_name": store.outlets[0]["id"]}
    store.cart.save()
    twins = [OutletRecord(external_id=one["id"], name="All the same") for one in store.outlets]
    keep_outlets(store.cart, twins)
    assert store.cart.outlet is not None
    assert store.cart.outlet.external_id == store.outlets[0]["id"]
    assert own_access_of(store.cart) == ()
    made = add_carts(store.cart, store.free())
    assert {cart.options["outlet_name"] for cart in made} == {one["id"] for one in store.outlets[1:]}
    assert [cart.name for cart in made] == ["All the same", "All the same 2", "All the same 3"]
