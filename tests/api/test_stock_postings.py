"""Stock that a WMS posts over REST: counts of a moment, and changes."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.utils import timezone
from rest_framework.test import APIClient

from carts import book_leases
from carts.models import PickOrder, StockLevel, StockMovement, StockPosting, Warehouse
from carts.rest_book import RestBook
from tests.api.worlds import World
from tests.factories import make_location, make_outbound, make_rest_warehouse

COUNTS, CHANGES = "/api/v1/inventory/counts/", "/api/v1/inventory/changes/"


@pytest.fixture
def warehouse(world: World) -> Warehouse:
    warehouse: Warehouse = make_rest_warehouse(world.merchant)
    return warehouse


def order(warehouse: Warehouse, reference: str, sku: str = "A-1", quantity: str = "2") -> PickOrder:
    RestBook(warehouse.pk).receive([make_outbound(reference, ((sku, quantity),))])
    return PickOrder.objects.get(warehouse=warehouse, reference=reference)


def level(warehouse: Warehouse, sku: str = "A-1") -> tuple[Decimal, Decimal | None]:
    row = StockLevel.objects.get(location__warehouse=warehouse, sku=sku)
    return row.available, row.on_hand


def test_counts_are_brought_up_to_date(client: APIClient, warehouse: Warehouse) -> None:
    known = order(warehouse, "known")
    book_leases.acknowledge(warehouse.pk, {known.pk: ""}, "")
    counted_at = timezone.now()
    order(warehouse, "fresh", quantity="3")
    order(warehouse, "other", "B-2", "1")
    rows = [{"sku": "A-1", "available": "20"}, {"sku": "B-2", "on_hand": 5, "counted_at": counted_at.isoformat()}]

    answer = client.post(COUNTS, {"warehouse": warehouse.pk, "counted_at": counted_at.isoformat(), "rows": rows})

    assert answer.json() == {"created": 2, "changed": 0, "unchanged": 0, "outdated": []}
    assert (level(warehouse), level(warehouse, "B-2")) == ((17, 22), (4, 5))
    [shown] = client.get("/api/v1/inventory/", {"warehouse": warehouse.pk, "sku": "A-1"}).json()["results"]
    assert shown["counted_at"] == counted_at.isoformat().replace("+00:00", "Z")


def test_older_counts_are_named(client: APIClient, warehouse: Warehouse) -> None:
    now = timezone.now()

    def count(seconds_ago: int, quantity: int) -> Any:
        at = (now - timedelta(seconds=seconds_ago)).isoformat()
        rows = [{"sku": "A-1", "on_hand": quantity, "counted_at": at}, {"sku": "B-2", "on_hand": quantity}]
        return client.post(COUNTS, {"warehouse": warehouse.pk, "rows": rows}).json()

    count(10, 5)
    answer = count(20, 50)

    assert [(one["row"], one["sku"]) for one in answer["outdated"]] == [(1, "A-1")]
    assert (answer["changed"], level(warehouse), level(warehouse, "B-2")) == (1, (5, 5), (50, 50))


def test_changes_count_once(client: APIClient, warehouse: Warehouse) -> None:
    body = {
        "warehouse": warehouse.pk,
        "idempotency_key": "receipt-7",
        "note": "Container 7",
        "rows": [{"sku": "A-1", "quantity": "5"}, {"sku": "B-2", "quantity": "-1.5"}],
    }

    first, second = client.post(CHANGES, body), client.post(CHANGES, body)

    assert first.json() == {"created": 2, "changed": 0, "unchanged": 0, "outdated": [], "repeated": False}
    assert second.json() == {**first.json(), "repeated": True}
    assert (level(warehouse), level(warehouse, "B-2")[0]) == ((5, 5), Decimal("-1.5"))
    movement = StockMovement.objects.get(sku="A-1", location__warehouse=warehouse)
    assert (movement.cause, movement.document, movement.note) == ("change", "receipt-7", "Container 7")
    assert movement.actor.startswith("REST client")

    body["rows"] = [{"sku": "A-1", "quantity": "6"}]
    other = client.post(CHANGES, body)
    assert (other.status_code, "was used" in other.json()["detail"]) == (409, True)
    assert StockPosting.objects.count() == 1


def test_two_warehouses_may_use_the_same_key(client: APIClient, warehouse: Warehouse) -> None:
    for one in (warehouse, make_rest_warehouse(warehouse.merchant)):
        body = {"warehouse": one.pk, "idempotency_key": "1", "rows": [{"sku": "A-1", "quantity": 1}]}
        assert client.post(CHANGES, body).json()["created"] == 1


def test_wrong_rows_are_named_and_nothing_is_stored(
    client: APIClient, warehouse: Warehouse, foreign_world: World
) -> None:
    make_location(warehouse, name="Back room")
    rows = [
        {"sku": "A-1", "on_hand": 5},
        {"sku": "", "available": "many"},
        {"sku": "B-2"},
        {"sku": "C-3", "on_hand": 1, "available": 1},
        {"sku": " a-1", "on_hand": 5},
        {"sku": "D-4", "on_hand": 1, "location": foreign_world.rows[Warehouse].locations.get().pk},
        {"sku": "E-5", "on_hand": 1, "counted_at": "2099-01-01T00:00:00Z"},
        {"sku": "F-6", "on_hand": 1, "counted_at": "yesterday"},
        "G-7",
    ]

    answer = client.post(COUNTS, {"warehouse": warehouse.pk, "rows": rows})

    errors = {entry["row"]: set(entry["errors"]) for entry in answer.json()["rows"]}
    assert answer.status_code == 400
    assert errors == {
        2: {"sku", "available"},
        3: {"on_hand"},
        4: {"on_hand"},
        5: {"sku"},
        6: {"location"},
        7: {"counted_at"},
        8: {"counted_at"},
        9: {"row"},
    }
    assert not StockLevel.objects.filter(location__warehouse=warehouse).exists()


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "warehouse"),
        ({"rows": [], "idempotency_key": "1"}, "detail"),
        ({"rows": "A-1", "idempotency_key": "1"}, "detail"),
        ({"rows": [{"sku": "A-1", "quantity": 1}] * 10_001, "idempotency_key": "1"}, "detail"),
        ({"rows": [{"sku": "A-1", "quantity": 1}]}, "idempotency_key"),
        ({"rows": [{"sku": "A-1", "quantity": 1}], "idempotency_key": "1", "location": 10**9}, "location"),
    ],
)
def test_calls_that_cannot_be_right(client: APIClient, warehouse: Warehouse, body: dict[str, Any], field: str) -> None:
    if body:
        body = {"warehouse": warehouse.pk, **body}
    answer = client.post(CHANGES, body)
    assert (answer.status_code, field in answer.json()) == (400, True)


def test_warehouses_of_others_and_those_with_stock_of_their_own(
    client: APIClient, world: World, foreign_world: World
) -> None:
    remote = Warehouse.objects.create(merchant=world.merchant, name="Far away", connector="tryton")
    for pk, words in ((foreign_world[Warehouse].pk, "does not exist"), (remote.pk, "keeps its own stock")):
        answer = client.post(COUNTS, {"warehouse": pk, "rows": [{"sku": "A-1", "on_hand": 1}]})
        assert (answer.status_code, words in answer.json()["warehouse"][0]) == (400, True)


def test_thousands_of_rows_at_once(client: APIClient, warehouse: Warehouse) -> None:
    rows = [{"sku": f"SKU-{number}", "on_hand": number} for number in range(3000)]
    body = {"warehouse": warehouse.pk, "rows": rows}
    assert client.post(COUNTS, body).json()["created"] == 3000
    assert client.post(COUNTS, body).json()["unchanged"] == 3000
