"""Where a cart's stock comes from, on the screens: the cart's form, page and list, the outlet level, the locations."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from carts.models import Alert, Cart, Location, OutletLevel, StockLevel
from carts.setup import keep_stock_locations
from tests.admin.test_connections import TestLocations, cart_form
from tests.admin.test_queries import cost
from tests.admin.worlds import Shop
from tests.factories import make_builtin_warehouse, make_cart, make_location


@pytest.fixture
def east(shop: Shop) -> Location:
    return make_location(shop.warehouse, name="East room")


def save(client: Client, shop: Shop, **more: Any) -> Any:
    form = {name: value for name, value in cart_form(shop, **more).items() if name != "merchant"}
    return client.post(reverse("admin:carts_cart_settings", args=[shop.cart.pk]), form)


def page(client: Client, name: str, *args: Any) -> str:
    answer = client.get(reverse(f"admin:carts_{name}", args=args))
    assert answer.status_code == 200
    return answer.content.decode()


class TestForm:
    def test_a_set(self, shop: Shop, member: Client, east: Location) -> None:
        chosen = [shop.location.pk, east.pk]
        assert save(member, shop, stock_from="set", stock_locations=chosen).status_code == 302
        cart = Cart.objects.get(pk=shop.cart.pk)
        assert (cart.stock_from, set(cart.stock_locations.all())) == ("set", {shop.location, east})
        assert "East room + Main location" in page(member, "cart_change", cart.pk)
        assert "East room + Main location" in page(member, "cart_changelist")
        text = page(member, "cart_settings", cart.pk)
        assert 'value="set" selected' in text and text.count("checked") >= 2

    def test_all_and_back_again(self, shop: Shop, member: Client, east: Location) -> None:
        """What is ticked beside another choice does not count."""
        save(member, shop, stock_from="set", stock_locations=[shop.location.pk, east.pk])
        assert save(member, shop, stock_from="all", stock_locations=[east.pk]).status_code == 302
        cart = Cart.objects.get(pk=shop.cart.pk)
        assert (cart.stock_from, cart.stock_locations.count()) == ("all", 0)
        assert "All locations, added up" in page(member, "cart_changelist")
        assert save(member, shop, stock_from="location").status_code == 302
        assert Cart.objects.get(pk=shop.cart.pk).stock_from == "location"

    def test_without_a_word_it_is_the_own_location(self, shop: Shop, member: Client) -> None:
        assert save(member, shop).status_code == 302
        assert Cart.objects.get(pk=shop.cart.pk).stock_from == "location"

    @pytest.mark.parametrize(
        ("chosen", "words"),
        [
            (lambda shop, east: [], "Choose at least one location."),
            (lambda shop, east: [east.pk], "Choose Main location too: this cart&#x27;s orders go there"),
            (
                lambda shop, east: [shop.location.pk, make_builtin_warehouse(shop.merchant).locations.get().pk],
                "Not a location of the cart&#x27;s warehouse: Main location.",
            ),
        ],
    )
    def test_mistakes_are_told(self, shop: Shop, member: Client, east: Location, chosen: Any, words: str) -> None:
        answer = save(member, shop, stock_from="set", stock_locations=chosen(shop, east))
        assert answer.status_code == 200
        assert words in answer.content.decode()
        assert Cart.objects.get(pk=shop.cart.pk).stock_from == "location"

    def test_a_strangers_location_is_none(self, shop: Shop, other_shop: Shop, member: Client) -> None:
        answer = save(member, shop, stock_from="set", stock_locations=[shop.location.pk, other_shop.location.pk])
        assert answer.status_code == 200 and "is not one of the available choices" in answer.content.decode()

    def test_the_default_location_must_be_in_the_set(self, shop: Shop, member: Client, east: Location) -> None:
        answer = save(member, shop, location="", stock_from="set", stock_locations=[east.pk])
        assert "Choose Main location too" in answer.content.decode()

    def test_what_was_chosen_and_then_switched_off_is_still_chosen(
        self, shop: Shop, member: Client, east: Location
    ) -> None:
        save(member, shop, stock_from="set", stock_locations=[shop.location.pk, east.pk])
        Location.objects.filter(pk=east.pk).update(is_active=False)
        assert "East room (switched off)" in page(member, "cart_settings", shop.cart.pk)
        assert save(member, shop, stock_from="set", stock_locations=[shop.location.pk, east.pk]).status_code == 302

    def test_help_says_where_orders_go(self, shop: Shop, member: Client) -> None:
        text = page(member, "cart_settings", shop.cart.pk)
        assert (
            "its orders are sent there, and the outlet&#x27;s stock adjustments and transfers are booked there" in text
        )
        assert "new ones of the warehouse count by themselves" in text


class TestOutletLevel:
    def test_it_adds_up(self, shop: Shop, member: Client, east: Location) -> None:
        level: OutletLevel = shop.objects["outletlevel"]
        now = timezone.now()
        StockLevel.objects.create(
            location=east, sku=level.product.sku, available=Decimal(6), read_at=now, changed_at=now
        )
        make_location(shop.warehouse, name="Shed")
        text = page(member, "outletlevel_change", level.pk)
        assert "Default location" in text and "Together" not in text
        Cart.objects.filter(pk=shop.cart.pk).update(stock_from="all")
        text = page(member, "outletlevel_change", level.pk)
        own = StockLevel.objects.get(location=shop.location, sku=level.product.sku).available
        assert "Together" in text and f">{(own + 6).normalize():f}<" in text
        assert "not kept there" in text, "the shed does not know it"

    def test_why_nothing_is_shown(self, shop: Shop, member: Client) -> None:
        level: OutletLevel = shop.objects["outletlevel"]
        StockLevel.objects.all().delete()
        assert "does not know this SKU" in page(member, "outletlevel_change", level.pk)
        Location.objects.update(is_active=False)
        assert "no active warehouse location" in page(member, "outletlevel_change", level.pk)


class TestLocationPages:
    def test_one_that_is_gone(self, shop: Shop, member: Client, east: Location) -> None:
        Location.objects.filter(pk=east.pk).update(is_active=False, gone_since=timezone.now())
        assert "lists it no more since" in page(member, "warehouse_change", shop.warehouse.pk)

    def test_switched_on_by_hand_closes_its_alert(self, shop: Shop, member: Client, east: Location) -> None:
        Location.objects.filter(pk=east.pk).update(is_active=False, gone_since=timezone.now())
        Alert.objects.create(merchant=shop.merchant, kind="location_gone", key=str(east.pk), message="Gone")
        rows = {
            place.pk: {"name": place.name, "external_id": place.external_id, "is_active": "on"}
            for place in shop.warehouse.locations.all()
        }
        rows[shop.location.pk]["is_default"] = "on"
        assert TestLocations().save(member, shop, *rows.values()).status_code == 302
        east.refresh_from_db()
        assert east.is_active
        assert Alert.objects.get(kind="location_gone").status == Alert.Status.RESOLVED


def test_the_list_of_carts_costs_the_same_however_many_sets(shop: Shop, member: Client, east: Location) -> None:
    def add() -> None:
        cart = make_cart(shop.warehouse, stock_from="set", location=shop.location)
        keep_stock_locations(cart, [shop.location, east])

    url = reverse("admin:carts_cart_changelist")
    add()
    few = cost(member, url)
    for _ in range(5):
        add()
    assert cost(member, url) == few
