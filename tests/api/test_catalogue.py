"""Products of built-in warehouses are edited over REST; all others are read."""

from __future__ import annotations

from typing import Any

import pytest
from rest_framework.test import APIClient

from carts.models import Cart, Connection, Customer, Product, ShopProduct, Warehouse
from tests.api.worlds import World

PRODUCTS = "/api/v1/products/"


@pytest.fixture
def article(world: World) -> dict[str, Any]:
    return {"connection": world[Warehouse].pk, "sku": "A-1", "name": "Cup", "prices": {"Retail": "12.5", "Buy": "3"}}


@pytest.fixture
def cart_product(world: World) -> Product:
    """One that the shop lists."""
    product: Product = Product.objects.create(connection=world[Cart], external_id="p-1", sku="P-1")
    return product


def test_a_product_from_its_beginning_to_its_end(client: APIClient, article: dict[str, Any]) -> None:
    made = client.post(PRODUCTS, article)
    assert made.status_code == 201, made.json()
    assert made.json()["prices"] == {"Retail": "12.50", "Buy": "3.00"}
    assert made.json()["external_id"]
    url = f"{PRODUCTS}{made.json()['id']}/"

    changed = client.patch(url, {"name": "Large cup", "tags": ["kitchen"]}).json()
    assert (changed["name"], changed["tags"], changed["sku"]) == ("Large cup", ["kitchen"], "A-1")

    assert client.delete(url).status_code == 204
    assert client.get(url).json()["deleted"] is True
    assert client.patch(url, {"name": "Back again"}).status_code == 409
    assert Product.objects.get(pk=made.json()["id"]).version == 3
    again = client.post(PRODUCTS, article)
    assert again.status_code == 201, again.json()


@pytest.mark.parametrize(
    "change, field",
    [
        ({"sku": ""}, "sku"),
        ({"sku": "x" * 201}, "sku"),
        ({"prices": {"Retail": "cheap"}}, "prices"),
        ({"prices": {"Retail": "-1"}}, "prices"),
        ({"prices": {" ": "1"}}, "prices"),
        ({"prices": ["12.50"]}, "prices"),
        ({"tags": "kitchen"}, "tags"),
        ({"attributes": {"a\x00": "b"}}, "attributes"),
        ({"attributes": {"a": "b\x00"}}, "attributes"),
        ({"kind": "ghost"}, "kind"),
        ({"currency": "EURO"}, "currency"),
        ({"connection": 0}, "connection"),
    ],
)
def test_wrong_products_are_refused(
    client: APIClient, article: dict[str, Any], change: dict[str, Any], field: str
) -> None:
    answer = client.post(PRODUCTS, {**article, **change})

    assert (answer.status_code, set(answer.json())) == (400, {field})


def test_skus_and_ids_are_unique_in_a_warehouse(client: APIClient, article: dict[str, Any], world: World) -> None:
    known = world[Product]

    assert set(client.post(PRODUCTS, {**article, "sku": known.sku.lower()}).json()) == {"sku"}
    assert set(client.post(PRODUCTS, {**article, "external_id": known.external_id}).json()) == {"external_id"}
    url = f"{PRODUCTS}{client.post(PRODUCTS, article).json()['id']}/"
    assert set(client.patch(url, {"sku": known.sku}).json()) == {"sku"}
    assert client.patch(url, {"sku": "A-1", "connection": world[Warehouse].pk}).status_code == 200


def test_products_of_other_systems_are_edited_there(
    client: APIClient, article: dict[str, Any], cart_product: Product
) -> None:
    url = f"{PRODUCTS}{cart_product.pk}/"

    made = client.post(PRODUCTS, {**article, "connection": cart_product.connection_id})
    assert (made.status_code, set(made.json())) == (400, {"connection"})
    assert client.patch(url, {"name": "Cup"}).status_code == 409
    assert client.delete(url).status_code == 409
    cart_product.refresh_from_db()
    assert not cart_product.deleted


def test_products_stay_where_they_are(client: APIClient, world: World, foreign_world: World) -> None:
    url = f"{PRODUCTS}{world[Product].pk}/"
    second = Warehouse.objects.create(merchant=world.merchant, name="Second", connector="builtin")

    assert "stays with" in client.patch(url, {"connection": second.pk}).json()["connection"][0]
    theirs = client.patch(url, {"connection": foreign_world[Warehouse].pk})
    assert "does not exist" in theirs.json()["connection"][0]


def test_products_are_found(client: APIClient, world: World, cart_product: Product) -> None:
    Product.objects.filter(pk=cart_product.pk).update(updated_at="2026-01-01T00:00:00Z", deleted=True)

    def ids(**query: Any) -> list[int]:
        return [row["id"] for row in client.get(PRODUCTS, query).json()["results"]]

    assert ids(sku="p-1 ") == ids(deleted=True) == [cart_product.pk]
    assert set(ids(connection=world[Cart].pk)) == {cart_product.pk, world[ShopProduct].pk}
    assert set(ids(updated_since="2026-06-01T00:00:00Z")) == {world[Product].pk, world[ShopProduct].pk}


def test_prices_that_are_no_numbers_do_not_break_the_list(client: APIClient, world: World) -> None:
    Product.objects.update(prices={"Retail": "cheap"})
    assert client.get(PRODUCTS).json()["results"][0]["prices"] == {"Retail": "cheap"}


def test_customers(client: APIClient, world: World) -> None:
    Customer.objects.update(email="Ada@example.com", ship_to={"city": "Auckland"})

    (row,) = client.get("/api/v1/customers/", {"email": "ada@example.com"}).json()["results"]

    assert (row["display_name"], row["ship_to"]["city"], row["ship_to"]["street1"]) == ("Ada", "Auckland", "")
    assert Connection.objects.filter(pk=row["connection"]).exists()
