"""Access to a shop as a merchant meets it: given again after it was taken away, and shared by carts for other outlets."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from carts.models import Alert, Cart, Connection, Order
from connectors.functions import Function
from connectors.vend.sandbox import VendSandbox
from syncjobs.models import Run
from syncjobs.runner import claim_run, execute
from syncjobs.schedule import request_run
from tests.admin.worlds import Shop

APP = {"client_id": "hub-app", "client_secret": "client-secret"}

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def sandbox(settings: Any) -> Iterator[VendSandbox]:
    with VendSandbox(outlets=3, sales=0, products=3, customers=1, rate_limit=100_000) as sandbox:
        settings.EXTRA_HOSTS = frozenset({sandbox.host})
        sandbox.oauth.applications = {APP["client_id"]: APP["client_secret"]}
        yield sandbox


@pytest.fixture
def cart(sandbox: VendSandbox) -> Cart:
    cart = Shop("Kauri").cart
    options = {"vend_url": sandbox.url, "outlet_name": sandbox.store.outlets[0]["name"]}
    Connection.objects.filter(pk=cart.pk).update(options=options, credentials=APP)
    return Cart.objects.get(pk=cart.pk)


def download(cart: Cart) -> Run:
    claimed = claim_run(request_run(cart, Function.ORDER_DOWNLOAD, Run.Trigger.PERSON).pk, "test")
    assert claimed is not None
    return execute(claimed, "test")


def sell(sandbox: VendSandbox) -> Any:
    outlet, product = sandbox.store.outlets[0]["id"], sandbox.store.products[0]
    return sandbox.store.add_sale(outlet=outlet, lines=[(product, 1)])


def open_the_alert(page: Page) -> None:
    page.goto("/admin/carts/alert/?status=open")
    page.get_by_role("link", name="Kauri cart:").click()
    page.get_by_role("link", name="Mend it").click()


def test_an_authorisation_that_was_taken_away_is_given_again(
    page: Page,
    log_in: Callable[..., Any],
    cart: Cart,
    sandbox: VendSandbox,
    live_server: Any,
    settings: Any,
    strays: list[str],
) -> None:
    settings.PUBLIC_URL = live_server.url
    log_in("maria", cart.merchant)
    page.goto(f"/admin/carts/cart/{cart.pk}/change/")
    page.get_by_role("button", name="Authorise").click()
    page.get_by_role("link", name="Continue to").click()
    expect(page.get_by_text("is authorised, and the test passed.")).to_be_visible()

    # The shop throws the hub out; the worker meets it.
    sandbox.oauth.revoke_all()
    sale = sell(sandbox)
    assert download(cart).state == Run.State.FAILED

    open_the_alert(page)
    expect(page.get_by_role("heading", name="Authorise Kauri cart").first).to_be_visible()
    page.get_by_role("button", name="Authorise again").click()
    page.get_by_role("link", name="Continue to").click()
    expect(page.get_by_text("is authorised, and the test passed.")).to_be_visible()
    page.goto("/admin/carts/alert/?status=open")
    expect(page.get_by_text("Kauri cart:")).to_have_count(0)
    alert = Alert.objects.get(kind="authentication")
    assert (alert.status, alert.resolved_by) == (Alert.Status.RESOLVED, "hub")
    assert download(Cart.objects.get(pk=cart.pk)).state == Run.State.DONE
    assert Order.objects.filter(cart=cart, external_id=sale["id"]).exists()

    # Leaving the hub for the shop's consent page was meant.
    assert any(stray.startswith(f"request to {sandbox.url}/connect") for stray in strays)
    strays[:] = [stray for stray in strays if not stray.startswith(f"request to {sandbox.url}/connect")]


def test_a_token_that_is_refused_is_replaced(
    page: Page, log_in: Callable[..., Any], cart: Cart, sandbox: VendSandbox
) -> None:
    Connection.objects.filter(pk=cart.pk).update(credentials={"access_token": "deleted-in-the-shop"})
    cart.refresh_from_db()
    sale = sell(sandbox)
    assert download(cart).state == Run.State.FAILED
    log_in("maria", cart.merchant)
    open_the_alert(page)
    page.get_by_label("Access Token").fill(sandbox.token)
    page.get_by_role("button", name="Save settings").click()
    expect(page.get_by_text("Test it now")).to_be_visible()
    page.get_by_role("button", name="Test").click()
    expect(page.get_by_text("every step is fine")).to_be_visible()
    assert Alert.objects.get(kind="authentication").status == Alert.Status.RESOLVED
    assert download(Cart.objects.get(pk=cart.pk)).state == Run.State.DONE
    assert Order.objects.filter(cart=cart, external_id=sale["id"]).exists()


@pytest.mark.parametrize("width", [1280, 390])
def test_carts_for_the_other_outlets(
    page: Page, log_in: Callable[..., Any], cart: Cart, sandbox: VendSandbox, width: int
) -> None:
    Connection.objects.filter(pk=cart.pk).update(credentials={"access_token": sandbox.token})
    page.set_viewport_size({"width": width, "height": 900})
    log_in("maria", cart.merchant)
    page.goto(f"/admin/carts/cart/{cart.pk}/change/")
    page.get_by_role("button", name="Add carts for the other outlets").click()
    first, second = (outlet["name"] for outlet in sandbox.store.outlets[1:])
    page.get_by_label(f"Name of the cart for {first}").fill("Mine")
    page.get_by_label(f"Access Token of {second}").fill("wrong")
    fits(page)
    page.get_by_role("button", name="Add the carts").click()
    expect(page.get_by_text("2 carts added")).to_be_visible()
    expect(page.get_by_text("Ready to be switched on")).to_have_count(1)
    expect(page.get_by_text("What to do: In Vend open Setup")).to_be_visible()
    expect(page.get_by_role("checkbox", name="Switch Mine on")).to_be_checked()
    fits(page)
    page.get_by_role("button", name="Switch the ticked ones on").click()
    expect(page.get_by_text("1 cart switched on")).to_be_visible()
    assert Cart.objects.get(name="Mine").is_active


def fits(page: Page) -> None:
    assert page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth") <= 0
