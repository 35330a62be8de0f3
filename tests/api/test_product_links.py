"""Product links over REST: listed, made and ended as in the admin."""

from __future__ import annotations

from typing import Any

import pytest
from rest_framework.test import APIClient

from carts.models import Cart, Product, ProductLink, Warehouse
from tests.api.worlds import World

LINKS = "/api/v1/product-links/"


@pytest.fixture
def article(world: World) -> Product:
    made: Product = Product.objects.create(connection=world[Warehouse], external_id="w-1", sku="W-1", name="Cup")
    return made


@pytest.fixture
def product(world: World) -> Product:
    made: Product = Product.objects.create(connection=world[Cart], external_id="p-1", sku="P-1", name="Cup")
    return made


def row(client: APIClient, product: Product) -> dict[str, Any]:
    answer: dict[str, Any] = client.get(f"{LINKS}{product.pk}/").json()
    return answer


def test_a_link_from_its_beginning_to_its_end(client: APIClient, product: Product, article: Product) -> None:
    assert (row(client, product)["match"], row(client, product)["warehouse_sku"]) == ("none", "")
    made = client.post(LINKS, {"product": product.pk, "article": article.pk})
    assert made.status_code == 201, made.json()
    assert (made.json()["match"], made.json()["warehouse_sku"]) == ("hand", "W-1")
    assert row(client, product) == made.json()
    assert client.delete(f"{LINKS}{product.pk}/").status_code == 204
    assert row(client, product)["match"] == "none"
    again = client.delete(f"{LINKS}{product.pk}/")
    assert again.status_code == 409
    assert "not linked" in again.json()["detail"]


def test_a_new_link_ends_the_others_of_both(
    client: APIClient, world: World, product: Product, article: Product
) -> None:
    other = Product.objects.create(connection=world[Cart], external_id="p-2", sku="P-2")
    second = Product.objects.create(connection=world[Warehouse], external_id="w-2", sku="W-2")
    for left, right in ((product, article), (other, article), (other, second)):
        assert client.post(LINKS, {"product": left.pk, "article": right.pk}).status_code == 201
    assert row(client, product)["match"] == "none"
    assert row(client, other)["warehouse_sku"] == "W-2"
    assert ProductLink.objects.get(product=article).remote_id == ""


def test_only_articles_of_the_carts_warehouse(
    client: APIClient, world: World, foreign_world: World, product: Product
) -> None:
    foreign = Product.objects.get(connection=foreign_world[Warehouse])
    unknown = client.post(LINKS, {"product": product.pk, "article": foreign.pk})
    assert (unknown.status_code, list(unknown.json())) == (400, ["article"])
    own = client.post(LINKS, {"product": product.pk, "article": product.pk})
    assert own.status_code == 409
    of_warehouse = client.post(LINKS, {"product": Product.objects.first().pk, "article": product.pk})  # type: ignore[union-attr]
    assert of_warehouse.status_code in (400, 409)
    bare = Product.objects.create(connection=world[Warehouse], external_id="w-3", sku="")
    refused = client.post(LINKS, {"product": product.pk, "article": bare.pk})
    assert refused.status_code == 409 and "no SKU" in refused.json()["detail"]


def test_filters(client: APIClient, world: World, product: Product, article: Product) -> None:
    like = Product.objects.create(connection=world[Cart], external_id="p-3", sku="W1")

    def found(**filters: Any) -> set[int]:
        return {one["id"] for one in client.get(LINKS, filters).json()["results"]}

    assert like.pk in found(match="plain_sku") and product.pk not in found(match="plain_sku")
    assert found(matched="false", sku="p-1") == {product.pk}
    assert found(warehouse_sku="w-1") == {like.pk}
    assert found(cart=world[Cart].pk, sku="w1") == {like.pk}
    assert found(cart=0) == set()


def test_articles_without_a_product_in_the_shop(client: APIClient, world: World, article: Product) -> None:
    def left() -> set[int]:
        rows = client.get("/api/v1/products/", {"unmatched_at": world[Cart].pk}).json()["results"]
        return {one["id"] for one in rows}

    assert article.pk in left()
    Product.objects.create(connection=world[Cart], external_id="p-3", sku="W1")
    assert article.pk not in left()


def test_the_list_costs_the_same_for_any_number(
    client: APIClient, world: World, django_assert_max_num_queries: Any
) -> None:
    for number in range(20):
        Product.objects.create(connection=world[Cart], external_id=f"q{number}", sku=f"Q{number}")
    with django_assert_max_num_queries(5):
        assert client.get(LINKS).json()["results"]
