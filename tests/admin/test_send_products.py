"""*Send products to the warehouse*: what it says before it does anything, the preview, the run and its progress."""

from __future__ import annotations

import json
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from carts.models import Cart, Connection, Product
from connectors.functions import Function
from syncjobs.models import Run
from tests.admin.worlds import Shop
from tests.factories import make_cart

SYNC = Function.PRODUCT_DETAIL_SYNC


def page_of(connection: Connection) -> str:
    return reverse("admin:syncjobs_run_send_products", args=[connection.pk])


def text(response: Any) -> str:
    return response.content.decode()  # type: ignore[no-any-return]


@pytest.fixture
def stocked(shop: Shop) -> Shop:
    Product.objects.create(connection=shop.cart, external_id="p1", sku="MUG1", name="Mug")
    return shop


def test_the_button_is_on_both_pages_and_leads_to_the_page(stocked: Shop, member: Client) -> None:
    for connection in (stocked.cart, stocked.warehouse):
        shown = text(member.get(reverse(f"admin:carts_{connection.role}_change", args=[connection.pk])))
        assert page_of(connection) in shown
        page = text(member.get(page_of(connection)))
        assert stocked.cart.name in page and "Stock is not touched, and nothing is deleted" in page
        assert "Switch Product Detail Sync of" in page
    assert not Run.objects.filter(function=SYNC).exists(), "looking at it asks for nothing"


@pytest.mark.parametrize("dry_run", [True, False])
def test_preview_and_sending_queue_one_full_run_of_the_warehouse(stocked: Shop, member: Client, dry_run: bool) -> None:
    data = {"dry_run": "yes"} if dry_run else {}
    response = member.post(page_of(stocked.cart), data)
    run = Run.objects.get(function=SYNC)
    assert (run.connection_id, run.full, run.dry_run) == (stocked.warehouse.pk, True, dry_run)
    assert (run.trigger, run.requested_by) == ("person", "member")
    assert "Product Detail Sync" in text(member.get(response["Location"]))


def test_after_the_preview_comes_the_button_that_sends(stocked: Shop, member: Client) -> None:
    member.post(page_of(stocked.warehouse), {"dry_run": "yes"})
    run = Run.objects.get(function=SYNC)
    url = f"{reverse('admin:syncjobs_run_progress')}?runs={run.pk}"
    assert "Send products to the warehouse" not in text(member.get(url))
    Run.objects.filter(pk=run.pk).update(state="done", counts={"create": 1})
    page = text(member.get(url))
    assert "Send products to the warehouse" in page and "1 to create" in page


def test_the_bar_says_how_far_it_is(stocked: Shop, member: Client) -> None:
    run = stocked.add_run(state="running", counts={"of": 400, "seen": 100, "created": 100})
    card = text(member.get(reverse("admin:syncjobs_run_change", args=[run.pk])))
    assert 'aria-valuenow="25"' in card and "width: 25%" in card
    url = f"{reverse('admin:syncjobs_run_progress_json')}?runs={run.pk}"
    (facts,) = json.loads(member.get(url).content)["runs"]
    assert (facts["percent"], facts["result"]) == (25, "100 created")


def test_a_cart_that_takes_its_details_from_the_warehouse_is_said_to_stay_out(stocked: Shop, member: Client) -> None:
    stocked.cart.function_settings.filter(function=SYNC).update(is_on=True)
    page = text(member.get(page_of(stocked.warehouse)))
    assert "takes its product details from" in page
    member.post(page_of(stocked.warehouse))
    assert not Run.objects.filter(function=SYNC).exists()


def test_what_is_switched_off_can_be_previewed_only(stocked: Shop, member: Client) -> None:
    Cart.objects.filter(pk=stocked.cart.pk).update(is_active=False)
    assert "It is switched off" in text(member.get(page_of(stocked.cart)))
    response = member.post(page_of(stocked.cart), follow=True)
    assert "no shop that is switched on takes part" in text(response)
    member.post(page_of(stocked.cart), {"dry_run": "yes"})
    assert Run.objects.get(function=SYNC).dry_run


def test_a_cart_without_a_warehouse_has_nowhere_to_send(stocked: Shop, member: Client) -> None:
    lonely = make_cart(merchant=stocked.merchant, name="Lonely")
    shown = text(member.get(reverse("admin:carts_cart_change", args=[lonely.pk])))
    assert page_of(lonely) not in shown
    assert "has no warehouse that takes" in text(member.get(page_of(lonely), follow=True))
