"""Product links in a browser: a product that the warehouse does not know under its SKU is found and linked."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from carts.models import Product
from tests.admin.worlds import Shop

pytestmark = pytest.mark.django_db(transaction=True)


def test_a_product_is_found_and_linked(page: Page, log_in: Callable[..., Any]) -> None:
    shop = Shop("Alpha")
    Product.objects.create(connection=shop.warehouse, external_id="w", sku="MUG/blue-9", name="Blue mug")
    Product.objects.create(connection=shop.cart, external_id="c", sku="CUP9", name="Cup, blue")
    log_in("ada", shop.merchant)
    page.goto("/admin/")
    page.get_by_role("link", name="Product links").click()
    page.get_by_role("link", name="Not found: 1").click()
    page.get_by_role("link", name="CUP9").click()
    page.get_by_label("Find an article of").fill("mugb")
    page.get_by_role("button", name="Find").click()
    page.get_by_role("link", name="Link to MUG/blue-9").click()
    expect(page.get_by_text("the shop shows the stock of MUG/blue-9")).to_be_visible()
    page.get_by_role("button", name="Link").click()
    expect(page.get_by_text("orders go out as MUG/blue-9").first).to_be_visible()
    page.get_by_role("link", name="Unlink").click()
    page.get_by_role("button", name="Unlink").click()
    expect(page.get_by_text("lists no article with this SKU").first).to_be_visible()
