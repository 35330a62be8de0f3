"""Choosing where a cart's stock comes from: only what fits is offered."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from carts.models import Cart
from tests.factories import make_builtin_warehouse, make_cart, make_location, make_merchant

pytestmark = pytest.mark.django_db(transaction=True)


def test_a_set_of_the_chosen_warehouses_locations(page: Page, log_in: Callable[..., Any]) -> None:
    merchant = make_merchant("Kauri Outdoor")
    near, far = (make_builtin_warehouse(merchant, name=name) for name in ("Near", "Far"))
    make_location(near, name="East room")
    make_location(far, name="Harbour")
    options = {"vend_url": "https://kauri.retail.lightspeed.app", "outlet_name": "Queen Street"}
    cart = make_cart(near, name="Queen Street", options=options, credentials={"access_token": "lsxs_pt_fresh"})
    log_in("maria", merchant)
    page.goto(f"/admin/carts/cart/{cart.pk}/settings/")
    boxes = page.get_by_role("group", name="Locations whose stock is added up")
    expect(boxes).to_be_hidden()
    page.get_by_label("Stock From").select_option("set")
    expect(boxes.get_by_label("East room")).to_be_visible()
    expect(boxes.get_by_label("Harbour")).to_be_hidden()
    page.get_by_label("Warehouse", exact=True).select_option(str(far.pk))
    expect(boxes.get_by_label("East room")).to_be_hidden()
    page.get_by_label("Warehouse", exact=True).select_option(str(near.pk))

    boxes.get_by_label("East room").check()
    page.get_by_role("button", name="Save settings").click()
    expect(page.get_by_text("Choose Main location too")).to_be_visible()
    boxes.get_by_label("Main location").first.check()
    page.get_by_role("button", name="Save settings").click()
    expect(page.get_by_text("East room + Main location").first).to_be_visible()
    assert {place.name for place in Cart.objects.get().stock_locations.all()} == {"East room", "Main location"}
