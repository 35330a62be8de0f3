"""Where a cart's stock comes from, over REST."""

from __future__ import annotations

from typing import Any

import pytest
from django.utils import timezone
from rest_framework.test import APIClient

from carts.models import Cart, Location, Merchant, Warehouse
from tests.api.test_connections import CARTS, VEND
from tests.api.worlds import World
from tests.factories import make_builtin_warehouse, make_location

PLACES = "/api/v1/locations/"


@pytest.fixture
def cart(world: World) -> Cart:
    cart: Cart = world[Cart]
    return cart


@pytest.fixture
def own(world: World) -> Location:
    return world[Warehouse].locations.get()  # type: ignore[no-any-return]


@pytest.fixture
def east(world: World) -> Location:
    return make_location(world[Warehouse])


def change(client: APIClient, cart: Cart, **values: Any) -> tuple[int, Any]:
    answer = client.patch(f"{CARTS}{cart.pk}/", values, format="json")
    return answer.status_code, answer.json()


def test_as_it_was_without_a_word(client: APIClient, cart: Cart, own: Location) -> None:
    shown = client.get(f"{CARTS}{cart.pk}/").json()
    assert (shown["stock_from"], shown["stock_locations"]) == ("location", [])
    status, shown = change(client, cart, location=own.pk)
    assert (status, shown["location"], shown["stock_from"]) == (200, own.pk, "location")


def test_a_set_all_and_back(client: APIClient, cart: Cart, own: Location, east: Location) -> None:
    status, shown = change(client, cart, stock_from="set", stock_locations=[own.pk, east.pk])
    assert (status, shown["stock_from"], set(shown["stock_locations"])) == (200, "set", {own.pk, east.pk})
    assert change(client, cart, name="Renamed")[1]["stock_from"] == "set", "what is left out stays"
    assert change(client, cart, stock_locations=[own.pk])[1]["stock_locations"] == [own.pk]
    assert client.get(f"{CARTS}?stock_from=set").json()["count"] == 1
    assert client.get(f"{CARTS}?stock_from=all").json()["count"] == 0
    for stock_from in ("all", "location"):
        shown = change(client, cart, stock_from=stock_from)[1]
        assert (shown["stock_from"], shown["stock_locations"]) == (stock_from, [])


def test_created_with_a_set(client: APIClient, world: World, own: Location, east: Location) -> None:
    values = {**VEND, "warehouse": world[Warehouse].pk, "stock_from": "set", "stock_locations": [own.pk, east.pk]}
    answer = client.post(CARTS, values, format="json")
    assert answer.status_code == 201, answer.json()
    assert set(Cart.objects.get(pk=answer.json()["id"]).stock_locations.all()) == {own, east}


def test_mistakes_are_told(
    client: APIClient, cart: Cart, own: Location, east: Location, merchant: Merchant, foreign_world: World
) -> None:
    elsewhere = make_location(make_builtin_warehouse(merchant))
    theirs = foreign_world[Warehouse].locations.get()
    for values, words in (
        ({"stock_from": "set"}, "Choose at least one location."),
        ({"stock_from": "set", "stock_locations": []}, "Choose at least one location."),
        ({"stock_from": "set", "stock_locations": [east.pk]}, f"Choose {own} too"),
        ({"stock_from": "set", "stock_locations": [own.pk, elsewhere.pk]}, f"warehouse: {elsewhere}."),
        ({"stock_from": "set", "stock_locations": [theirs.pk]}, "does not exist"),
        ({"stock_from": "all", "stock_locations": [own.pk]}, "only where the stock comes from chosen locations"),
    ):
        status, told = change(client, cart, **values)
        assert (status, set(told)) == (400, {"stock_locations"}), values
        assert words in str(told), told
    assert change(client, cart, stock_from="some")[0] == 400
    cart.refresh_from_db()
    assert (cart.stock_from, cart.stock_locations.count()) == ("location", 0)


def test_another_warehouse_needs_another_set(client: APIClient, cart: Cart, own: Location, merchant: Merchant) -> None:
    change(client, cart, stock_from="set", stock_locations=[own.pk])
    elsewhere = make_builtin_warehouse(merchant)
    assert change(client, cart, warehouse=elsewhere.pk, location=None)[0] == 400
    there = elsewhere.locations.get().pk
    assert change(client, cart, warehouse=elsewhere.pk, location=None, stock_locations=[there])[0] == 200


def test_a_set_that_no_longer_fits_keeps_nobody_from_switching_the_cart_off(
    client: APIClient, cart: Cart, own: Location, east: Location
) -> None:
    """The default location, where its orders go, became another one."""
    assert change(client, cart, location=None, stock_from="set", stock_locations=[own.pk])[0] == 200
    assert client.patch(f"{PLACES}{east.pk}/", {"is_default": True}).status_code == 200
    assert change(client, cart, is_active=False)[0] == 200
    assert change(client, cart, stock_locations=[own.pk])[0] == 400


def test_a_location_in_a_set_is_not_deleted(client: APIClient, cart: Cart, own: Location, east: Location) -> None:
    change(client, cart, stock_from="set", stock_locations=[own.pk, east.pk])
    assert client.delete(f"{PLACES}{east.pk}/").status_code == 409
    change(client, cart, stock_from="all")
    assert client.delete(f"{PLACES}{east.pk}/").status_code == 204


def test_a_location_that_is_gone_and_switched_by_a_person(client: APIClient, east: Location) -> None:
    Location.objects.filter(pk=east.pk).update(is_active=False, gone_since=timezone.now())
    url = f"{PLACES}{east.pk}/"
    assert client.get(url).json()["gone_since"] is not None
    assert client.patch(url, {"gone_since": None}).json()["gone_since"] is not None, "the warehouse's word, not ours"
    assert client.patch(url, {"is_active": True}).json()["gone_since"] is not None
    assert client.patch(url, {"is_active": False}).json()["gone_since"] is None, "off by hand, so it stays off"


def test_what_a_reader_may(reader: APIClient, cart: Cart, own: Location) -> None:
    assert reader.get(f"{CARTS}{cart.pk}/").json()["stock_from"] == "location"
    assert change(reader, cart, stock_from="all")[0] == 403
