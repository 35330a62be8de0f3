"""The page of a store's outlets: look, add, test, switch on, with everything that can go wrong, in words."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.contrib.messages import get_messages
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from carts import outlet_carts
from carts.models import Cart, Connection, Outlet
from connectors.vend.sandbox import VendSandbox
from tests.admin.worlds import Shop, make_user
from tests.factories import make_location


@pytest.fixture
def sandbox(db: None, settings: Any) -> Iterator[VendSandbox]:
    with VendSandbox(outlets=3, sales=0, products=1, customers=1, rate_limit=100_000) as sandbox:
        settings.EXTRA_HOSTS = frozenset({sandbox.host})
        yield sandbox


@pytest.fixture
def cart(sandbox: VendSandbox, shop: Shop) -> Cart:
    options = {"vend_url": sandbox.url, "outlet_name": sandbox.store.outlets[0]["name"]}
    credentials = {"access_token": sandbox.token}
    Connection.objects.filter(pk=shop.cart.pk).update(options=options, credentials=credentials)
    return Cart.objects.get(pk=shop.cart.pk)


@pytest.fixture
def seen(cart: Cart, member: Client) -> Cart:
    """The hub has looked."""
    do(member, cart, "look")
    return cart


def url(cart: Cart) -> str:
    return reverse("admin:carts_cart_outlets", args=[cart.pk])


def do(client: Client, about: Cart, what: str, /, **fields: Any) -> Any:
    return client.post(url(about), {"do": what, **fields})


def page(client: Client, cart: Cart) -> str:
    return client.get(url(cart)).content.decode()  # type: ignore[no-any-return]


def words(answer: Any) -> str:
    return " ".join(str(message) for message in get_messages(answer.wsgi_request))


def ticked(cart: Cart, **fields: Any) -> dict[str, Any]:
    """The form with every outlet ticked, as it is shown."""
    others = cart.outlets.exclude(name=cart.options["outlet_name"])
    rows = {f"add_{outlet.pk}": "on" for outlet in others} | {f"name_{outlet.pk}": outlet.name for outlet in others}
    return {**rows, "test": "on", **fields}


def new_carts() -> Any:
    return Cart.objects.filter(connector="vend").order_by("pk")[1:]


def test_from_the_carts_page_to_carts_that_run(cart: Cart, member: Client) -> None:
    shown = member.get(reverse("admin:carts_cart_change", args=[cart.pk])).content.decode()
    assert "Add carts for the other outlets" in shown
    assert "has not seen the outlets" in page(member, cart)
    assert do(member, cart, "look")["Location"] == url(cart)
    assert page(member, cart).count("checked") == 3, "both outlets, and the test"
    answer = do(member, cart, "add", **ticked(cart))
    assert "2 carts added" in words(answer) and "2 tests passed" in words(answer)
    made = list(new_carts())
    assert [(one.test_ok, one.is_active, one.warehouse_id) for one in made] == [(True, False, cart.warehouse_id)] * 2
    text = page(member, cart)
    assert text.count("Ready to be switched on") == 2 and "Every outlet of the store has its cart" in text
    answer = do(member, cart, "switch_on", cart=[one.pk for one in made])
    assert "2 carts switched on" in words(answer) and "They take sales from today on" in words(answer)
    today = timezone.localdate().isoformat()
    assert [(one.is_active, one.options["earliest_order_date"]) for one in new_carts()] == [(True, today)] * 2


def test_names_locations_and_a_token_of_its_own(seen: Cart, member: Client) -> None:
    first, second = seen.outlets.exclude(name=seen.options["outlet_name"])
    assert seen.warehouse is not None
    location = make_location(seen.warehouse, name=second.name.upper())
    assert f'<option value="{location.pk}" selected>' in page(member, seen), "the location of the same name is meant"
    fields = {f"name_{first.pk}": "Mine", f"own_{first.pk}_access_token": "wrong", f"location_{second.pk}": location.pk}
    answer = do(member, seen, "add", **ticked(seen, **fields))
    assert "1 test of 2 found something" in words(answer)
    mine, other = new_carts()
    assert (mine.name, mine.read_credentials()["access_token"], mine.test_ok) == ("Mine", "wrong", False)
    assert (other.name, other.location, other.test_ok) == (second.name, location, True)
    text = page(member, seen)
    assert "What to do: In Vend open Setup" in text and "wrong" not in text
    assert "Tick the carts" in words(do(member, seen, "switch_on", cart=[mine.pk])), "it is not ready"


def test_tests_that_take_long_go_on(seen: Cart, member: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outlet_carts.run_tests, "__defaults__", (0.0,))
    answer = do(member, seen, "add", **ticked(seen))
    assert answer["Location"].endswith("?go=on")
    shown = member.get(answer["Location"]).content.decode()
    assert "data-goes-on" in shown and "1 tested, 2 to go" in shown, "the other new one, and the cart that was there"
    assert do(member, seen, "test")["Location"].endswith("?go=on")
    assert not do(member, seen, "test")["Location"].endswith("?go=on")
    assert [cart.test_ok for cart in new_carts()] == [True, True]
    assert "data-goes-on" not in member.get(answer["Location"]).content.decode()


def test_untested_until_asked(seen: Cart, member: Client) -> None:
    do(member, seen, "add", **ticked(seen, test=""))
    assert "Test the 3 that are not tested" in page(member, seen)
    assert [cart.tested_at for cart in new_carts()] == [None, None]


def test_a_second_click_adds_nothing(seen: Cart, member: Client) -> None:
    fields = ticked(seen)
    do(member, seen, "add", **fields)
    answer = do(member, seen, "add", **fields)
    assert "has a cart already" in words(answer)
    assert len(new_carts()) == 2


def test_what_is_wrong_is_told_at_its_field(seen: Cart, member: Client) -> None:
    first, second = seen.outlets.exclude(name=seen.options["outlet_name"])
    assert "Tick the outlets" in do(member, seen, "add", test="on").content.decode()
    fields = {f"name_{first.pk}": seen.name, f"own_{second.pk}_access_token": "with space"}
    text = do(member, seen, "add", **ticked(seen, **fields)).content.decode()
    assert "There is another cart named" in text and "holds no spaces" in text
    assert "with space" not in text
    assert not new_carts()


def test_deleted_meanwhile(seen: Cart, member: Client, sandbox: VendSandbox) -> None:
    fields = ticked(seen)
    sandbox.store.delete_outlet(sandbox.store.outlets[1]["id"])
    answer = do(member, seen, "add", **fields)
    assert "is not in the shop any more" in words(answer) and "1 cart added" in words(answer)
    assert len(new_carts()) == 1


def test_no_other_outlet(cart: Cart, member: Client, sandbox: VendSandbox) -> None:
    for outlet in sandbox.store.outlets[1:]:
        sandbox.store.delete_outlet(outlet["id"])
    do(member, cart, "look")
    text = page(member, cart)
    assert "The store has no other outlet." in text and "Add the carts" not in text
    assert not new_carts()
    assert do(member, cart, "add").status_code == 302


def test_two_outlets_of_one_name(cart: Cart, member: Client, sandbox: VendSandbox) -> None:
    for outlet in sandbox.store.outlets[1:]:
        sandbox.store.update_outlet(outlet["id"], name="Twin")
    do(member, cart, "look")
    text = page(member, cart)
    assert "Outlets that cannot get a cart yet" in text and "Another outlet has the same name" in text


def test_the_shop_is_away(seen: Cart, member: Client, sandbox: VendSandbox) -> None:
    sandbox.stop()
    assert "could not be asked for its outlets" in words(do(member, seen, "look"))
    answer = do(member, seen, "add", **ticked(seen))
    assert answer.status_code == 200 and "could not be asked" in words(answer)
    assert not new_carts()


def test_credentials_that_no_key_opens(seen: Cart, member: Client) -> None:
    Connection.objects.filter(pk=seen.pk).update(credentials="unreadable")
    assert member.get(url(seen)).status_code == 200
    assert "cannot be read" in words(do(member, seen, "look"))
    assert "cannot be read" in words(do(member, seen, "add", **ticked(seen)))


def test_an_authorisation_is_shared(seen: Cart, member: Client) -> None:
    Connection.objects.filter(pk=seen.pk).update(credentials={"client_id": "app", "client_secret": "s"})
    text = page(member, seen)
    assert "use the authorisation that the store has given" in text and "_access_token" not in text


def test_many_outlets_are_shown_in_parts(cart: Cart, member: Client, django_assert_max_num_queries: Any) -> None:
    Outlet.objects.bulk_create(
        Outlet(connection_id=cart.pk, external_id=f"x{number}", name=f"Shop {number}") for number in range(130)
    )
    assert cart.warehouse is not None
    make_location(cart.warehouse)
    with django_assert_max_num_queries(25):
        text = page(member, cart)
    assert "100 of 130 outlets are shown" in text and text.count('name="add_') == 100


def test_people_of_another_merchant(cart: Cart, other_shop: Shop, log_in: Callable[[Any], Client]) -> None:
    foreigner = log_in(make_user("foreigner", other_shop.merchant))
    assert foreigner.get(url(cart)).status_code == 404
    assert do(foreigner, cart, "look").status_code == 404
    assert not cart.outlets.exists()


def test_a_system_without_outlets(cart: Cart, member: Client) -> None:
    Connection.objects.filter(pk=cart.pk).update(connector="builtin")
    assert member.get(url(cart)).status_code == 404


def test_a_token_that_carts_share_is_replaced_for_all(seen: Cart, member: Client) -> None:
    do(member, seen, "add", **ticked(seen))
    first, second = new_carts()
    Connection.objects.filter(pk=second.pk).update(credentials={"access_token": "its-own"})
    settings = reverse("admin:carts_cart_settings", args=[seen.pk])
    assert f"Replace it for {first} too" in member.get(settings).content.decode()
    choices = seen.connector_class.Options.fields()
    fields = {f"options__{field.name}": str(field.default) for field in choices if field.choices}
    fields |= {f"options__{name}": value for name, value in seen.options.items()} | {"name": seen.name}
    member.post(settings, {**fields, "also_for": "on"})
    assert {cart.test_ok for cart in new_carts()} == {True}, "nothing was entered"
    answer = member.post(settings, {**fields, "also_for": "on", "credentials__access_token": "new-token"})
    assert answer.status_code == 302, answer.content.decode()
    tokens = [cart.read_credentials()["access_token"] for cart in (Cart.objects.get(pk=seen.pk), *new_carts())]
    assert tokens == ["new-token", "new-token", "its-own"]
    assert [cart.test_ok for cart in new_carts()] == [None, True]
