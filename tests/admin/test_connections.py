"""Setting up carts and warehouses: gallery, form, test, switching."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone
from django.utils.html import escape

from carts.models import Cart, Connection, FunctionSetting, Location, Merchant, Warehouse
from carts.setup import complete_functions
from connectors.functions import Function
from connectors.vend.sandbox import VendSandbox
from syncjobs.models import Schedule
from syncjobs.schedule import schedule_of
from tests.admin.worlds import SECRET, Shop, make_user

ADD_CART = "admin:carts_cart_add"


def cart_form(shop: Shop, **more: Any) -> dict[str, Any]:
    return {
        "merchant": shop.merchant.pk,
        "name": "Lambton Quay",
        "credentials__access_token": "lsxs_pt_fresh",
        "options__vend_url": "https://kauri.retail.lightspeed.app",
        "options__outlet_name": "Lambton Quay",
        "options__order_status": "CLOSED",
        "options__retail_price_list": "Retail",
        "options__supply_price_list": "Retail",
        "options__api_version": "2026-07",
        "options__inventory_mode": "adjustments",
        "options__default_to_outlet_address": "on",
        "warehouse": shop.warehouse.pk,
        "location": shop.location.pk,
        "on__order_download": "on",
        "minutes__order_download": "7",
        **more,
    }


def add(client: Client, form: dict[str, Any], connector: str = "vend") -> Any:
    return client.post(f"{reverse(ADD_CART)}?connector={connector}", form)


class TestAdding:
    def test_the_gallery_shows_what_each_system_can_do(self, shop: Shop, member: Client) -> None:
        text = member.get(reverse(ADD_CART)).content.decode()
        assert "Vend" in text
        assert "Order Download" in text
        assert "Built-in" not in text, "a warehouse is no cart"
        assert "Built-in warehouse" in member.get(reverse("admin:carts_warehouse_add")).content.decode()

    def test_an_unknown_system_leads_back_to_the_gallery(self, shop: Shop, member: Client) -> None:
        text = member.get(f"{reverse(ADD_CART)}?connector=nothing").content.decode()
        assert "Choose the system" in text

    def test_the_form_asks_what_the_connector_declares(self, shop: Shop, member: Client) -> None:
        text = member.get(f"{reverse(ADD_CART)}?connector=vend").content.decode()
        for field in shop.cart.connector_class.Options.fields() + shop.cart.connector_class.Credentials.fields():
            assert escape(field.label) in text, field.label
        assert 'type="password"' in text

    def test_a_cart_is_added_switched_off(self, shop: Shop, member: Client) -> None:
        response = add(member, cart_form(shop))
        cart = Cart.objects.get(name="Lambton Quay")
        assert response["Location"] == reverse("admin:carts_cart_change", args=[cart.pk])
        assert not cart.is_active
        assert cart.read_credentials()["access_token"] == "lsxs_pt_fresh"
        assert cart.options["vend_url"] == "https://kauri.retail.lightspeed.app"
        assert cart.location == shop.location
        on = {setting.function: setting.minutes for setting in cart.function_settings.filter(is_on=True)}
        assert on == {"order_download": 7}

    @pytest.mark.parametrize(
        ("changed", "message"),
        [
            ({"options__vend_url": ""}, "Enter the Vend URL."),
            ({"options__vend_url": "https://kauri.vendhq.com"}, "https://kauri.retail.lightspeed.app"),
            ({"credentials__access_token": ""}, "Enter the Access Token."),
            ({"options__order_status": "NOPE"}, "Select a valid choice"),
            ({"options__earliest_order_date": "31st of May"}, "Enter a valid date."),
            ({"name": ""}, "This field is required."),
            ({"name": "Alpha cart"}, "There is already a cart with this name."),
            ({"minutes__order_download": "0"}, "greater than or equal to 1"),
            ({"minutes__order_download": "often"}, "Enter a whole number."),
            ({"warehouse": "999999"}, "Select a valid choice"),
        ],
    )
    def test_wrong_input_is_told_at_its_field(
        self, shop: Shop, member: Client, changed: dict[str, str], message: str
    ) -> None:
        response = add(member, cart_form(shop, **changed))
        assert response.status_code == 200
        assert message in response.content.decode()
        assert not Cart.objects.filter(name="Lambton Quay").exists()

    def test_an_entered_secret_does_not_come_back(self, shop: Shop, member: Client) -> None:
        form = cart_form(shop, name="", credentials__access_token=SECRET)
        assert SECRET not in add(member, form).content.decode()

    def test_foreign_merchants_and_places_are_refused(self, shop: Shop, other_shop: Shop, member: Client) -> None:
        for changed in (
            {"merchant": other_shop.merchant.pk},
            {"warehouse": other_shop.warehouse.pk, "location": ""},
            {"location": other_shop.location.pk},
        ):
            assert add(member, cart_form(shop, **changed)).status_code == 200
        assert not Cart.objects.filter(name="Lambton Quay").exists()

    def test_places_of_two_merchants_do_not_mix(
        self, shop: Shop, other_shop: Shop, log_in: Callable[[Any], Client]
    ) -> None:
        client = log_in(make_user("root", is_superuser=True))
        mixed = add(client, cart_form(shop, warehouse=other_shop.warehouse.pk, location=""))
        assert "This warehouse belongs to another merchant." in mixed.content.decode()

    def test_a_warehouse_gets_its_first_location(self, shop: Shop, member: Client) -> None:
        url = f"{reverse('admin:carts_warehouse_add')}?connector=builtin"
        member.post(url, {"merchant": shop.merchant.pk, "name": "Second", "on__order_sending": "on"})
        assert Warehouse.objects.get(name="Second").locations.count() == 1

    def test_without_a_merchant_the_page_says_what_comes_first(self, log_in: Callable[[Any], Client]) -> None:
        client = log_in(make_user("root", is_superuser=True))
        assert not Merchant.objects.exists()
        assert "Create a merchant" in client.get(reverse(ADD_CART)).content.decode()


class TestSettings:
    def url(self, shop: Shop) -> str:
        return reverse("admin:carts_cart_settings", args=[shop.cart.pk])

    def test_the_stored_secret_is_kept_when_left_empty(self, shop: Shop, member: Client) -> None:
        text = member.get(self.url(shop)).content.decode()
        assert "leave empty to keep it" in text
        assert SECRET not in text
        form = cart_form(shop, name="Renamed", credentials__access_token="")
        assert member.post(self.url(shop), form).status_code == 302
        shop.cart.refresh_from_db()
        assert shop.cart.name == "Renamed"
        assert shop.cart.read_credentials()["access_token"] == SECRET

    def test_a_new_secret_replaces_it_and_outdates_the_test(self, shop: Shop, member: Client) -> None:
        Connection.objects.filter(pk=shop.cart.pk).update(test_ok=True, test_steps=[{"name": "x", "ok": True}])
        member.post(self.url(shop), cart_form(shop, credentials__access_token="brand-new"))
        cart = Cart.objects.get(pk=shop.cart.pk)
        assert cart.read_credentials()["access_token"] == "brand-new"
        assert cart.test_ok is None
        assert cart.merchant == shop.merchant


class TestSwitching:
    def test_on_and_off(self, shop: Shop, member: Client) -> None:
        for key, expected in (("switch_off", False), ("switch_on", True)):
            url = reverse(f"admin:carts_cart_{key}", args=[shop.cart.pk])
            assert member.get(url).status_code == 200
            shop.cart.refresh_from_db()
            assert shop.cart.is_active is not expected
            member.post(url)
            shop.cart.refresh_from_db()
            assert shop.cart.is_active is expected

    def test_a_cart_without_a_warehouse_stays_off(self, shop: Shop, member: Client) -> None:
        Cart.objects.filter(pk=shop.cart.pk).update(warehouse=None, location=None)
        Connection.objects.filter(pk=shop.cart.pk).update(is_active=False)
        url = reverse("admin:carts_cart_switch_on", args=[shop.cart.pk])
        assert "has no warehouse yet" in member.post(url, follow=True).content.decode()

    def test_what_has_orders_is_not_deleted(self, shop: Shop, member: Client) -> None:
        for key in ("cart", "warehouse"):
            url = reverse(f"admin:carts_{key}_delete", args=[shop.objects[key].pk])
            member.post(url)
            assert Connection.objects.filter(pk=shop.objects[key].pk).exists()


class TestTheFirstLoad:
    """Before a cart is switched on for the first time it is asked how far back its sales go."""

    QUESTION = "Take sales from"
    WARNING = "everything that was ever sold here"

    @pytest.fixture(autouse=True)
    def fresh(self, shop: Shop) -> None:
        Connection.objects.filter(pk=shop.cart.pk).update(is_active=False)
        FunctionSetting.objects.update_or_create(
            connection_id=shop.cart.pk, function="order_download", defaults={"is_on": True}
        )
        Schedule.objects.filter(connection_id=shop.cart.pk).update(cursor="")
        shop.cart.options.pop("earliest_order_date", None)
        shop.cart.is_active = False
        shop.cart.save()
        self.url = reverse("admin:carts_cart_switch_on", args=[shop.cart.pk])
        self.page = reverse("admin:carts_cart_change", args=[shop.cart.pk])

    def cart(self, shop: Shop) -> Cart:
        return Cart.objects.get(pk=shop.cart.pk)

    def test_asks_and_suggests_today(self, shop: Shop, member: Client) -> None:
        assert self.WARNING in member.get(self.page).content.decode()
        text = member.get(self.url).content.decode()
        assert self.QUESTION in text
        assert f'value="{timezone.localdate():%Y-%m-%d}"' in text
        member.post(self.url, {"earliest_order_date": "2026-05-04"})
        assert (self.cart(shop).is_active, self.cart(shop).options["earliest_order_date"]) == (True, "2026-05-04")
        assert self.WARNING not in member.get(self.page).content.decode()

    def test_who_empties_it_gets_everything_and_is_told(self, shop: Shop, member: Client) -> None:
        member.post(self.url, {"earliest_order_date": ""})
        assert self.cart(shop).is_active
        assert "earliest_order_date" not in self.cart(shop).options
        assert self.WARNING in member.get(self.page).content.decode()

    def test_a_day_that_is_none_switches_nothing_on(self, shop: Shop, member: Client) -> None:
        text = member.post(self.url, {"earliest_order_date": "the 4th of May"}).content.decode()
        assert "Enter a valid date" in text
        assert not self.cart(shop).is_active

    def test_a_cart_that_was_read_before_is_not_asked(self, shop: Shop, member: Client) -> None:
        schedule = schedule_of(shop.cart, Function.ORDER_DOWNLOAD)
        Schedule.objects.filter(pk=schedule.pk).update(cursor="123")
        assert self.QUESTION not in member.get(self.url).content.decode()
        assert self.WARNING not in member.get(self.page).content.decode()

    def test_nor_is_a_warehouse(self, shop: Shop, member: Client) -> None:
        Connection.objects.filter(pk=shop.warehouse.pk).update(is_active=False)
        url = reverse("admin:carts_warehouse_switch_on", args=[shop.warehouse.pk])
        assert self.QUESTION not in member.get(url).content.decode()


class TestLocations:
    def save(self, client: Client, shop: Shop, *rows: dict[str, str]) -> Any:
        known = list(shop.warehouse.locations.values_list("pk", flat=True))
        form = {
            "locations-TOTAL_FORMS": len(rows),
            "locations-INITIAL_FORMS": len(known),
            "locations-MIN_NUM_FORMS": 0,
            "locations-MAX_NUM_FORMS": 1000,
        }
        for index, row in enumerate(rows):
            form |= {f"locations-{index}-{name}": value for name, value in row.items()}
            if index < len(known):
                form[f"locations-{index}-id"] = known[index]
            form[f"locations-{index}-warehouse"] = shop.warehouse.pk
        return client.post(reverse("admin:carts_warehouse_locations", args=[shop.warehouse.pk]), form)

    def test_one_is_added_and_becomes_the_default(self, shop: Shop, member: Client) -> None:
        first = {"name": "Main location", "external_id": "main", "is_active": "on"}
        second = {"name": "Wellington", "external_id": "wlg", "is_active": "on", "is_default": "on"}
        assert self.save(member, shop, first, second).status_code == 302
        assert Location.objects.get(warehouse=shop.warehouse, is_default=True).name == "Wellington"

    @pytest.mark.parametrize(
        ("rows", "message"),
        [
            (
                (
                    {"name": "A", "is_active": "on", "is_default": "on"},
                    {"name": "B", "is_active": "on", "is_default": "on"},
                ),
                "Only one",
            ),
            (({"name": "A"},), "At least one location must be in use."),
            (({"name": "A", "is_active": "on"}, {"name": "A", "is_active": "on"}), "correct the duplicate"),
        ],
    )
    def test_mistakes_are_told(
        self, shop: Shop, member: Client, rows: tuple[dict[str, str], ...], message: str
    ) -> None:
        response = self.save(member, shop, *rows)
        assert response.status_code == 200
        assert message in response.content.decode()


@pytest.fixture
def sandbox() -> Any:
    with VendSandbox(outlets=2, products=3, rate_limit=100_000) as sandbox:
        yield sandbox


class TestTest:
    def run(self, client: Client, shop: Shop, sandbox: VendSandbox, settings: Any, token: str = "") -> str:
        settings.EXTRA_HOSTS = frozenset({sandbox.host})
        cart = Cart.objects.get(pk=shop.cart.pk)
        cart.options = {"vend_url": sandbox.url, "outlet_name": "Main Outlet"}
        cart.credentials = {"access_token": token or sandbox.token}
        cart.save()
        url = reverse("admin:carts_cart_test", args=[cart.pk])
        assert client.get(url).status_code == 405
        response = client.post(url, follow=True)
        return str(response.content.decode())

    def test_every_step_is_shown_and_kept(self, shop: Shop, member: Client, sandbox: Any, settings: Any) -> None:
        text = self.run(member, shop, sandbox, settings)
        assert "The test passed" in text
        again = member.get(reverse("admin:carts_cart_change", args=[shop.cart.pk])).content.decode()
        for step in ("Vend URL", "Access token", "Outlet address", "Register"):
            assert step in again, step

    def test_a_failed_step_says_what_to_do(self, shop: Shop, member: Client, sandbox: Any, settings: Any) -> None:
        text = self.run(member, shop, sandbox, settings, token="wrong")
        assert "The test found" in text
        assert "What to do:" in text
        assert "Setup &gt; Personal Tokens" in text


def test_functions_that_are_newer_than_the_connection_are_shown_and_can_be_chosen(shop: Shop, member: Client) -> None:
    """As after an upgrade, before a worker has started."""
    shop.warehouse.function_settings.filter(function="product_detail_sync").delete()
    shop.cart.function_settings.all().delete()
    for connection in (shop.warehouse, shop.cart):
        page = member.get(reverse(f"admin:carts_{connection.role}_change", args=[connection.pk]))
        assert page.status_code == 200
        assert "Product Detail Sync" in page.content.decode()
    settings = member.get(reverse("admin:carts_warehouse_settings", args=[shop.warehouse.pk])).content.decode()
    assert 'name="on__product_detail_sync"' in settings
    complete_functions()
    page = member.get(reverse("admin:carts_warehouse_change", args=[shop.warehouse.pk])).content.decode()
    assert 'Product Detail Sync</span> <span class="im-badge">Off</span>' in page
