"""A page costs a constant number of queries, however many rows it holds."""

from __future__ import annotations

from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from rest_framework.test import APIClient

from carts.models import Cart, Merchant, Order, OrderLine
from tests.api.test_permissions import PREFIX, Endpoint, lists
from tests.api.worlds import World, make_world
from tests.factories import ADDRESS, PLACED_AT, make_order

# Token, count, page, and at most four more for what belongs to the rows. None of them grows.
MOST_QUERIES = 7


def queries_of(client: APIClient, url: str) -> tuple[int, int]:
    """(queries, rows)"""
    client.get(url)  # the token's last use is noted once a minute
    with CaptureQueriesContext(connection) as seen:
        answer = client.get(url)
    assert answer.status_code == 200
    return len(seen), len(answer.json()["results"])


@lists
def test_a_list_costs_the_same_for_one_row_and_for_many(
    endpoint: Endpoint, merchant: Merchant, client: APIClient, world: World
) -> None:
    url = f"{endpoint.url(world)}?page_size=1000"
    for_one, rows = queries_of(client, url)
    assert rows > 0
    for _ in range(3):
        make_world(merchant)

    assert queries_of(client, url) == (for_one, 4 * rows)
    assert for_one <= MOST_QUERIES


def test_a_page_of_a_thousand_orders(merchant: Merchant, client: APIClient, world: World) -> None:
    cart = world[Cart]
    Order.objects.bulk_create(order_of(cart, number) for number in range(999))

    assert queries_of(client, f"{PREFIX}orders/?page_size=1000") == (3, 1000)


def test_an_order_costs_the_same_with_one_line_and_with_many(client: APIClient, world: World) -> None:
    small, large = make_order(world[Order].cart), make_order(world[Order].cart)
    OrderLine.objects.bulk_create(
        OrderLine(order=large, external_id=f"more-{number}", sku="SKU", quantity=1) for number in range(500)
    )

    def queries(order: Order) -> int:
        with CaptureQueriesContext(connection) as seen:
            answer = client.get(f"{PREFIX}orders/{order.pk}/")
        assert len(answer.json()["lines"]) == order.lines.count()
        return len(seen)

    queries(small)
    assert queries(large) == queries(small) <= 8


@pytest.mark.parametrize("asked, held", [("", 50), ("?page_size=7", 7), ("?page_size=5000", 60)])
def test_pages_hold_what_was_asked_for(asked: str, held: int, client: APIClient, world: World) -> None:
    Order.objects.bulk_create(order_of(world[Order].cart, number) for number in range(59))

    answer = client.get(f"{PREFIX}orders/{asked}").json()

    assert answer["count"] == 60
    assert len(answer["results"]) == held
    assert (answer["next"] is None) == (held == 60)


def test_pages_neither_repeat_nor_miss_rows_that_tie(client: APIClient, world: World) -> None:
    Order.objects.bulk_create(order_of(world[Order].cart, number) for number in range(59))
    url: str | None = f"{PREFIX}orders/?page_size=7&ordering=placed_at"
    ids = []
    while url:
        page = client.get(url).json()
        ids += [row["id"] for row in page["results"]]
        url = page["next"]

    assert sorted(ids) == sorted(set(ids)) == sorted(Order.objects.values_list("pk", flat=True))


def order_of(cart: Any, number: int) -> Order:
    return Order(
        merchant=cart.merchant,
        cart=cart,
        warehouse=cart.warehouse,
        external_id=f"many-{number}",
        number=f"{number:05}",
        reference=f"many-{number}",
        placed_at=PLACED_AT,
        ship_to=ADDRESS.as_dict(),
    )
