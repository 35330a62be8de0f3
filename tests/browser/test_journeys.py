"""The main journeys, as a merchant walks them."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.db import connections
from django.utils import timezone
from playwright.sync_api import Page, expect

from carts.models import Cart, Order, PickOrder, Warehouse
from connectors.vend.sandbox import VendSandbox
from syncjobs.models import Run
from syncjobs.runner import claim_run, execute
from tests.admin.worlds import Shop
from tests.factories import make_merchant

FIELDS_WITHOUT_LABEL = """() => [...document.querySelectorAll(
    "#content-main input:not([type=hidden]), #content-main select, #content-main textarea"
)].filter(field => !field.labels?.length && !field.ariaLabel && !field.placeholder && !field.title)
    .map(field => field.name)"""

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def sandbox(settings: Any) -> Iterator[VendSandbox]:
    with VendSandbox(outlets=2, products=5, rate_limit=100_000) as sandbox:
        settings.EXTRA_HOSTS = frozenset({sandbox.host})
        yield sandbox


def test_from_an_empty_hub_to_a_cart_that_runs(page: Page, log_in: Callable[..., Any], sandbox: VendSandbox) -> None:
    merchant = make_merchant("Kauri Outdoor")
    log_in("maria", merchant)

    # The dashboard leads to the warehouse ...
    expect(page.get_by_role("heading", name="Welcome")).to_be_visible()
    page.get_by_role("link", name="Add a warehouse").click()
    page.get_by_role("link", name="Built-in warehouse").click()
    page.get_by_label("Name").fill("Central warehouse")
    page.get_by_role("button", name="Save and go on to the test").click()
    expect(page.get_by_role("heading", name="Central warehouse").first).to_be_visible()
    warehouse = Warehouse.objects.get()
    page.get_by_role("button", name="Test").click()
    expect(page.get_by_text("every step is fine")).to_be_visible()
    page.get_by_role("link", name="Switch on").click()
    page.get_by_role("button", name="Switch on").click()
    expect(page.get_by_text("is switched on")).to_be_visible()

    # ... and from there to the cart.
    page.goto("/admin/")
    page.get_by_role("link", name="Add a cart").click()
    page.get_by_role("link", name="Vend POS").click()
    page.get_by_label("Name", exact=False).first.fill("Queen Street")
    page.get_by_label("Access Token").fill("not-the-token")
    page.get_by_label("Vend URL").fill("kauri.vendhq.com")
    page.get_by_role("button", name="Save and go on to the test").click()
    expect(page.get_by_text("Enter the new address of your store")).to_be_visible()

    page.get_by_label("Vend URL").fill(sandbox.url)
    page.get_by_label("Access Token").fill("not-the-token")
    page.get_by_label("Warehouse", exact=True).select_option(str(warehouse.pk))
    page.get_by_role("button", name="Save and go on to the test").click()
    expect(page.get_by_text("is added")).to_be_visible()

    # The test says what is wrong ...
    page.get_by_role("button", name="Test").click()
    expect(page.get_by_text("What to do:")).to_be_visible()
    expect(page.get_by_role("img", name="Failed")).to_have_count(1)
    page.get_by_role("link", name="Edit settings").click()
    assert page.get_by_label("Access Token").input_value() == ""
    page.get_by_label("Access Token").fill(sandbox.token)
    page.get_by_role("button", name="Save settings").click()

    # ... and is content in the end; then the cart is switched on.
    page.get_by_role("button", name="Test").click()
    expect(page.get_by_text("every step is fine")).to_be_visible()
    expect(page.get_by_role("img", name="Failed")).to_have_count(0)
    page.get_by_role("link", name="Switch on").click()
    page.get_by_role("button", name="Switch on").click()
    expect(page.get_by_text("is switched on")).to_be_visible()
    cart = Cart.objects.get()
    assert cart.is_active
    assert cart.options["earliest_order_date"], "no sale of the past goes to the warehouse unasked"
    assert cart.outlet is not None


def test_a_long_load_is_watched_paused_and_continued(page: Page, log_in: Callable[..., Any]) -> None:
    shop = Shop("Kauri")
    log_in("maria", shop.merchant)
    now = timezone.now()
    facts = {"changes_from": now - timedelta(days=400), "changes_until": now - timedelta(days=298)}
    run = shop.add_run("running", records=50_000, worked_seconds=100.0, pages=100, counts={"imported": 49_000}, **facts)
    page.goto(f"/admin/carts/cart/{shop.cart.pk}/change/")
    page.get_by_role("link", name="Watch or pause").click()
    expect(page.get_by_text("about 25 %", exact=True)).to_be_visible()
    Run.objects.filter(pk=run.pk).update(records=60_000, counts={"imported": 59_000})
    expect(page.get_by_text("60,000 read")).to_be_visible()

    page.get_by_role("link", name="Pause").click()
    page.get_by_role("button", name="Pause").click()
    expect(page.get_by_text("stops as soon as the page at hand is stored")).to_be_visible()
    Run.objects.filter(pk=run.pk).update(state="paused")  # as the worker does after its page
    expect(page.get_by_text("Paused", exact=True)).to_be_visible()

    page.goto("/admin/")
    expect(page.get_by_text("Order Download paused by maria since")).to_be_visible()
    page.get_by_role("button", name="Continue").click()
    expect(page.get_by_text("goes on from where it stopped").first).to_be_visible()
    assert Run.objects.get(pk=run.pk).state == "queued"


def test_a_run_is_watched_to_its_end(page: Page, log_in: Callable[..., Any]) -> None:
    shop = Shop("Kauri")
    log_in("maria", shop.merchant)
    page.goto(f"/admin/carts/warehouse/{shop.warehouse.pk}/change/")
    page.get_by_role("button", name="Sync Inventory Pickup now").click()
    expect(page.get_by_text("No worker is running")).to_be_visible()
    expect(page.get_by_text("Queued")).to_be_visible()
    run = Run.objects.get(state="queued")

    def work() -> None:
        claimed = claim_run(run.pk, "test")
        assert claimed is not None
        execute(claimed, "test")
        connections.close_all()

    worker = threading.Thread(target=work)
    worker.start()
    worker.join()
    expect(page.get_by_text("Everything is done.")).to_be_visible()
    expect(page.get_by_text("1 level read")).to_be_visible()


def test_an_order_is_understood_held_and_shipped(page: Page, log_in: Callable[..., Any]) -> None:
    shop = Shop("Kauri")
    waiting = shop.add_order()
    log_in("maria", shop.merchant)
    page.get_by_role("link", name="Orders", exact=True).click()
    page.get_by_role("link", name=waiting.number).click()
    expect(page.get_by_role("heading", name=f"Order {waiting.number}")).to_be_visible()
    page.get_by_role("link", name="Hold").click()
    page.get_by_label("Reason").fill("Customer wants another size")
    page.get_by_role("button", name="Hold").click()
    expect(page.get_by_text("Held: Customer wants another size")).to_be_visible()
    waiting.refresh_from_db()
    assert waiting.status == Order.Status.HELD

    # The other one is at the warehouse: a part of it is shipped from the pick list.
    page.get_by_role("link", name="Pick list").click()
    page.get_by_role("link", name=shop.order.number).click()
    page.get_by_role("link", name="Mark shipped").click()
    page.get_by_label("Quantity of SKU-1").fill("1")
    page.get_by_label("Carrier").fill("NZ Post")
    page.get_by_label("Tracking number").fill("NZ4711")
    page.get_by_role("button", name="Mark shipped").click()
    expect(page.get_by_text("Partly shipped")).to_be_visible()
    expect(page.get_by_text("NZ4711")).to_be_visible()
    assert PickOrder.objects.get(reference=shop.order.reference).lines.get().shipped == 1


def test_many_orders_are_held_with_the_keyboard_and_the_list(page: Page, log_in: Callable[..., Any]) -> None:
    shop = Shop("Kauri")
    orders = [shop.add_order(), shop.add_order()]
    log_in("maria", shop.merchant)
    page.goto("/admin/carts/order/?status=new")
    for order in orders:
        page.locator("tr", has_text=order.number).get_by_role("checkbox").check()
    page.locator("select[name=action]").select_option("hold")
    page.get_by_role("button", name="Run").click()
    expect(page.get_by_role("heading", name="Hold: 2 orders?")).to_be_visible()
    page.get_by_label("Reason").press("Enter")
    expect(page.get_by_text("2 orders held.")).to_be_visible()


@pytest.mark.parametrize(("width", "scheme"), [(1280, "light"), (390, "dark")])
def test_no_page_is_wider_than_the_screen(page: Page, log_in: Callable[..., Any], width: int, scheme: Any) -> None:
    shop = Shop("Kauri")
    log_in("root", is_superuser=True)
    page.set_viewport_size({"width": width, "height": 844})
    page.emulate_media(color_scheme=scheme)
    addresses = ["/admin/", f"/admin/carts/cart/{shop.cart.pk}/settings/", "/admin/carts/cart/add/?connector=vend"]
    for name, found in shop.objects.items():
        app = found._meta.app_label
        addresses += [f"/admin/{app}/{name}/", f"/admin/{app}/{name}/{found.pk}/change/"]
    for address in addresses:
        response = page.goto(address)
        assert response is not None
        assert response.status == 200, address
        excess = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
        assert excess <= 0, address
        unlabelled = page.evaluate(FIELDS_WITHOUT_LABEL)
        assert [name for name in unlabelled if not name.startswith(("memberships", "select_across"))] == [], address
