"""One resolved key: which article of the warehouse a product of the shop is, for stock, orders and stock documents."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from carts import stock_keys
from carts.models import Cart, Product, ProductLink, ProductMatch, StockMatch
from carts.product_csv import import_products
from tests.factories import make_builtin_warehouse, make_cart


def make_product(connection: Any, sku: str, external_id: str = "", **fields: Any) -> Product:
    values = {"external_id": external_id or f"id-{sku}-{connection.pk}", "name": f"Article {sku}", **fields}
    return Product.objects.create(connection_id=connection.pk, sku=sku, **values)


def found(product: Product) -> tuple[str, str, str]:
    product.refresh_from_db()
    return product.stock_match, product.stock_key, product.stock_sku


NOT_FOUND = StockMatch.NONE.value
AMBIGUOUS = StockMatch.AMBIGUOUS.value


@pytest.fixture
def cart(db: None) -> Cart:
    return make_cart(make_builtin_warehouse())


def link(cart: Cart, article: Product, product: Product, match: str = ProductMatch.HANDLE) -> ProductLink:
    made = ProductLink.objects.create(
        cart=cart, product=article, remote_id=product.external_id, matched_by=match
    )
    stock_keys.links_changed(cart, [product.external_id], [article.pk])
    return made


class TestDeciding:
    def test_an_equal_sku_is_the_article(self, cart: Cart) -> None:
        make_product(cart.warehouse, "Tee-1")
        assert found(make_product(cart, "TEE-1")) == ("sku", "tee-1", "")

    def test_special_characters_are_left_out(self, cart: Cart) -> None:
        make_product(cart.warehouse, "AB-12")
        assert found(make_product(cart, "AB12")) == ("plain_sku", "ab-12", "AB-12")

    def test_it_does_not_matter_which_side_comes_first(self, cart: Cart) -> None:
        product = make_product(cart, "AB12")
        assert found(product) == (NOT_FOUND, "ab12", "")
        make_product(cart.warehouse, "AB-12")
        assert found(product) == ("plain_sku", "ab-12", "AB-12")

    def test_an_equal_sku_always_wins(self, cart: Cart) -> None:
        make_product(cart.warehouse, "AB-12")
        product = make_product(cart, "AB12")
        make_product(cart.warehouse, "AB12")
        assert found(product) == ("sku", "ab12", "")

    def test_an_equal_sku_that_is_only_in_stock_wins_too(self, cart: Cart) -> None:
        make_product(cart.warehouse, "AB-12")
        product = make_product(cart, "AB12")
        put(cart, "AB12", 3)
        assert found(product) == ("sku", "ab12", "")

    def test_two_articles_are_none(self, cart: Cart) -> None:
        product = make_product(cart, "AB12")
        make_product(cart.warehouse, "AB-12")
        other = make_product(cart.warehouse, "AB/12")
        assert found(product) == (AMBIGUOUS, "ab12", "")
        other.deleted = True
        other.save()
        assert found(product) == ("plain_sku", "ab-12", "AB-12")

    def test_two_products_of_the_shop_share_no_article(self, cart: Cart) -> None:
        make_product(cart.warehouse, "AB-12")
        first, second = make_product(cart, "AB12"), make_product(cart, "A.B.12")
        assert found(first) == (AMBIGUOUS, "ab12", "")
        assert found(second) == (AMBIGUOUS, "a.b.12", "")
        second.deleted = True
        second.save(update_fields=["deleted"])
        assert found(first) == ("plain_sku", "ab-12", "AB-12")

    def test_an_article_with_its_own_product_is_not_given_to_another(self, cart: Cart) -> None:
        make_product(cart.warehouse, "AB-12")
        exact, like = make_product(cart, "AB-12"), make_product(cart, "AB12")
        assert found(exact) == ("sku", "ab-12", "")
        assert found(like) == (AMBIGUOUS, "ab12", "")

    def test_an_article_that_is_linked_is_taken(self, cart: Cart) -> None:
        article = make_product(cart.warehouse, "AB-12")
        like, other = make_product(cart, "AB12"), make_product(cart, "OTHER")
        made = link(cart, article, other)
        assert found(other) == ("handle", "ab-12", "AB-12")
        assert found(like) == (AMBIGUOUS, "ab12", "")
        made.delete()
        stock_keys.links_changed(cart, [other.external_id], [article.pk])
        assert found(other) == (NOT_FOUND, "other", "")
        assert found(like) == ("plain_sku", "ab-12", "AB-12")

    def test_a_link_counts_more_than_the_sku_and_follows_the_article(self, cart: Cart) -> None:
        article = make_product(cart.warehouse, "NEW-1")
        make_product(cart.warehouse, "TEE1")
        product = make_product(cart, "TEE1")
        link(cart, article, product, ProductMatch.HAND)
        assert found(product) == ("hand", "new-1", "NEW-1")
        article.sku = "NEW-2"
        article.save()
        assert found(product) == ("hand", "new-2", "NEW-2")
        article.deleted = True
        article.save()
        assert found(product) == ("sku", "tee1", "")

    def test_several_links_are_none_unless_a_person_made_one(self, cart: Cart) -> None:
        one, two = make_product(cart.warehouse, "X-1"), make_product(cart.warehouse, "X-2")
        product = make_product(cart, "TEE1")
        link(cart, one, product)
        link(cart, two, product)
        assert found(product) == (AMBIGUOUS, "tee1", "")
        ProductLink.objects.filter(product=two).update(matched_by=ProductMatch.HAND)
        stock_keys.links_changed(cart, [product.external_id], [two.pk])
        assert found(product) == ("hand", "x-2", "X-2")

    def test_two_products_with_one_sku_are_ambiguous(self, cart: Cart) -> None:
        make_product(cart.warehouse, "TEE")
        first, second = make_product(cart, "TEE", "1"), make_product(cart, "tee", "2")
        assert found(first) == found(second) == (AMBIGUOUS, "tee", "")

    def test_a_product_without_sku_is_found_by_its_link_only(self, cart: Cart) -> None:
        article = make_product(cart.warehouse, "TEE-1")
        make_product(cart.warehouse, "--")
        bare, dashes = make_product(cart, ""), make_product(cart, "--")
        assert found(bare) == (NOT_FOUND, "", "")
        assert found(dashes) == ("sku", "--", "")
        link(cart, article, bare)
        assert found(bare) == ("handle", "tee-1", "TEE-1")

    def test_stock_alone_makes_an_article_where_no_list_has_one(self, cart: Cart) -> None:
        product = make_product(cart, "AB12")
        put(cart, "AB-12", 3)
        assert found(product) == ("plain_sku", "ab-12", "AB-12")
        make_product(cart.warehouse, "A-B12")
        assert found(product) == ("plain_sku", "a-b12", "A-B12")

    def test_another_warehouse_has_other_articles(self, cart: Cart) -> None:
        make_product(cart.warehouse, "AB-12")
        product = make_product(cart, "AB12")
        elsewhere = make_builtin_warehouse(cart.merchant)
        make_product(elsewhere, "A-B-12")
        cart.warehouse = elsewhere
        cart.save()
        assert found(product) == ("plain_sku", "a-b-12", "A-B-12")
        cart.warehouse = None
        cart.save(update_fields=["warehouse"])
        assert found(product) == (NOT_FOUND, "ab12", "")

    def test_an_imported_article_counts(self, cart: Cart) -> None:
        product = make_product(cart, "AB12")
        assert import_products(cart.warehouse, b"sku,name\nAB-12,Bean\n").created == 1  # type: ignore[arg-type]
        assert found(product) == ("plain_sku", "ab-12", "AB-12")

    def test_carts_of_other_warehouses_are_left_alone(self, cart: Cart) -> None:
        stranger = make_product(make_cart(make_builtin_warehouse()), "AB12")
        make_product(cart.warehouse, "AB-12")
        assert found(stranger) == (NOT_FOUND, "ab12", "")


def put(cart: Cart, sku: str, available: int) -> None:
    from carts.warehouse_book import WarehouseBook

    WarehouseBook(cart.warehouse_id).set_available([(cart.stock_location(), sku, Decimal(available))])
