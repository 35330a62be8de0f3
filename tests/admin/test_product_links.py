"""Product links in the admin: what was matched, what was not, and how a person sets it right."""

from __future__ import annotations

from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from carts.models import Product, ShopProduct
from connectors.functions import Function
from tests.admin.worlds import Shop

LIST = "admin:carts_shopproduct_changelist"


def make(shop: Shop, connection_id: int, sku: str, **fields: Any) -> Product:
    return Product.objects.create(
        connection_id=connection_id, external_id=f"{connection_id}-{sku}", sku=sku, name=f"Name of {sku}", **fields
    )


def page(member: Client, product: Product, **query: Any) -> str:
    return member.get(reverse("admin:carts_shopproduct_change", args=[product.pk]), query).content.decode()


@pytest.mark.django_db
class TestList:
    def test_it_can_be_filtered_by_match_and_cart(self, shop: Shop, member: Client) -> None:
        make(shop, shop.warehouse.pk, "AB-12")
        make(shop, shop.cart.pk, "AB12")
        make(shop, shop.cart.pk, "LONELY")

        def listed(**query: Any) -> str:
            return member.get(reverse(LIST), query).content.decode()

        assert "AB-12" in listed(match="matched", cart=shop.cart.pk) and "LONELY" not in listed(match="matched")
        assert "LONELY" in listed(match="none") and "AB-12" not in listed(match="none")
        assert "Matched: 2" in listed() and "Not found: 1" in listed()
        assert "AB12" in listed(q="AB-12"), "found by the SKU of either side"

    def test_it_costs_the_same_for_any_number(self, shop: Shop, member: Client) -> None:
        def queries() -> int:
            with CaptureQueriesContext(connection) as captured:
                member.get(reverse(LIST))
            return len(captured)

        queries()  # what is kept from the first request on
        few = queries()
        for number in range(20):
            make(shop, shop.cart.pk, f"MORE{number}")
        assert queries() == few

    def test_the_download_holds_what_is_listed(self, shop: Shop, member: Client) -> None:
        make(shop, shop.warehouse.pk, "AB-12")
        make(shop, shop.cart.pk, "AB12")
        make(shop, shop.cart.pk, "LONELY")
        answer: Any = member.get(reverse("admin:carts_shopproduct_export"), {"match": "plain_sku"})
        text = b"".join(answer.streaming_content).decode()
        assert "AB12,Name of AB12" in text and "AB-12,SKU without special characters" in text
        assert "LONELY" not in text


@pytest.mark.django_db
class TestProduct:
    def test_it_is_found_and_linked(self, shop: Shop, member: Client) -> None:
        article = make(shop, shop.warehouse.pk, "W-1")
        product = make(shop, shop.cart.pk, "LONELY")
        assert "no article with this SKU" in page(member, product)
        assert "W-1" in page(member, product, find="w1")
        assert "No article of" in page(member, product, find="nothing like it")
        address = reverse("admin:carts_shopproduct_link", args=[product.pk])
        asked = member.get(address, {"article": article.pk}).content.decode()
        assert "go to Alpha warehouse as W-1" in asked and "Product Detail Sync" not in asked
        assert ShopProduct.objects.get(pk=product.pk).stock_match == "none", "asking changes nothing"
        member.post(address, {"article": article.pk})
        linked = ShopProduct.objects.get(pk=product.pk)
        assert (linked.stock_match, linked.stock_sku) == ("hand", "W-1")
        assert "orders go out as W-1" in page(member, product)

    def test_the_effect_on_product_details_is_told(self, shop: Shop, member: Client) -> None:
        shop.cart.function_settings.update_or_create(function=Function.PRODUCT_DETAIL_SYNC, defaults={"is_on": True})
        article = make(shop, shop.warehouse.pk, "W-1")
        product = make(shop, shop.cart.pk, "LONELY")
        address = reverse("admin:carts_shopproduct_link", args=[product.pk])
        assert "Product Detail Sync" in member.get(address, {"article": article.pk}).content.decode()

    def test_unlinking_asks_first(self, shop: Shop, member: Client) -> None:
        product = shop.objects["shopproduct"]
        address = reverse("admin:carts_shopproduct_unlink", args=[product.pk])
        assert "looks at the SKUs again" in member.get(address).content.decode()
        member.post(address, {"confirmed": "yes"})
        product.refresh_from_db()
        assert product.stock_match == "plain_sku"
        answer = member.post(address, {"confirmed": "yes"}, follow=True).content.decode()
        assert "is not linked" in answer

    def test_an_article_of_another_merchant_is_not_there(self, shop: Shop, other_shop: Shop, member: Client) -> None:
        product = make(shop, shop.cart.pk, "LONELY")
        address = reverse("admin:carts_shopproduct_link", args=[product.pk])
        answer = member.post(address, {"article": other_shop.objects["product"].pk}, follow=True).content.decode()
        assert "Choose an article" in answer and "Omega" not in answer
        product.refresh_from_db()
        assert product.stock_match == "none"

    @pytest.mark.parametrize("given", ["", "x", "9" * 30, "0", "\0"])
    def test_odd_ids_are_answered_in_words(self, shop: Shop, member: Client, given: str) -> None:
        address = reverse("admin:carts_shopproduct_link", args=[shop.objects["shopproduct"].pk])
        assert "Choose an article" in member.get(address, {"article": given}, follow=True).content.decode()


@pytest.mark.django_db
class TestOtherSide:
    def test_articles_without_a_product(self, shop: Shop, member: Client) -> None:
        make(shop, shop.warehouse.pk, "UNSOLD")
        make(shop, shop.warehouse.pk, "AB-12")
        make(shop, shop.cart.pk, "AB12")
        text = member.get(reverse("admin:carts_shopproduct_articles"), {"cart": shop.cart.pk}).content.decode()
        assert "UNSOLD" in text and "AB-12" not in text and "Alpha-SKU" not in text

    def test_a_cart_without_warehouse_says_so(self, shop: Shop, member: Client) -> None:
        shop.cart.warehouse = None
        shop.cart.save()
        text = member.get(reverse("admin:carts_shopproduct_articles"), {"cart": shop.cart.pk}).content.decode()
        assert "has no warehouse" in text
        assert "has no warehouse" in page(member, shop.objects["shopproduct"])
