"""Stock over REST: read, and set many rows at once."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from rest_framework.test import APIClient

from carts.models import Cart, Location, StockLevel, Warehouse
from tests.api.worlds import World, at_warehouse
from tests.factories import make_builtin_warehouse, make_location, make_order

INVENTORY = "/api/v1/inventory/"


@pytest.fixture
def warehouse(world: World) -> Warehouse:
    """An empty one."""
    warehouse: Warehouse = make_builtin_warehouse(world.merchant)
    return warehouse


def levels(warehouse: Warehouse) -> dict[tuple[str, str], Decimal]:
    rows = StockLevel.objects.filter(location__warehouse=warehouse)
    return {(row.location.name, row.sku): row.available for row in rows.select_related("location")}


def test_levels_are_shown_as_plain_numbers(client: APIClient, world: World) -> None:
    StockLevel.objects.update(available="0.25000", on_hand="1200")

    (row,) = client.get(INVENTORY).json()["results"]

    assert (row["available"], row["on_hand"]) == ("0.25", "1200")
    assert (row["warehouse"], row["location"]) == (world[Warehouse].pk, world[Location].pk)


def test_levels_are_found_by_place_and_sku(client: APIClient, world: World) -> None:
    sku = world[StockLevel].sku

    def count(**query: Any) -> int:
        return client.get(INVENTORY, query).json()["count"]

    assert count(sku=f" {sku.lower()} ", warehouse=world[Warehouse].pk, location=world[Location].pk) == 1
    assert count(sku="other") == count(warehouse=10**9) == count(location=10**9) == 0


def test_setting_levels(client: APIClient, warehouse: Warehouse) -> None:
    back = make_location(warehouse, name="Back room")
    rows = [
        {"warehouse": warehouse.pk, "sku": "A-1", "available": "5"},
        {"warehouse": warehouse.pk, "location": back.pk, "sku": "A-1", "available": 2.5},
        {"warehouse": warehouse.pk, "location": None, "sku": "B-2", "available": -1},
    ]

    assert client.put(INVENTORY, rows).json() == {"created": 3, "changed": 0, "unchanged": 0}
    assert levels(warehouse) == {
        ("Main location", "A-1"): 5,
        ("Back room", "A-1"): Decimal("2.5"),
        ("Main location", "B-2"): -1,
    }
    rows[0]["available"] = "6"
    assert client.put(INVENTORY, rows).json() == {"created": 0, "changed": 1, "unchanged": 2}


def test_what_open_orders_need_stays_on_the_shelf(client: APIClient, world: World) -> None:
    at_warehouse(make_order(world[Cart], (("A-1", "2"),)))

    client.put(INVENTORY, [{"warehouse": world[Warehouse].pk, "sku": "a-1", "available": "5"}])

    level = StockLevel.objects.get(sku_key="a-1")
    assert (level.available, level.on_hand) == (5, 7)


def test_wrong_rows_are_named_and_nothing_is_stored(
    client: APIClient, warehouse: Warehouse, world: World, foreign_world: World
) -> None:
    def row(**change: Any) -> dict[str, Any]:
        return {"warehouse": warehouse.pk, "sku": "A-1", "available": "5", **change}

    elsewhere = world[Location].pk
    rows = [
        row(),
        row(sku="", available="many"),
        row(warehouse=foreign_world[Warehouse].pk),
        row(location=foreign_world[Location].pk),
        row(location=elsewhere, sku="B-2"),
        row(sku=" a-1 "),
        row(available="1.000001", sku="C-3"),
        row(available=10**11, sku="D-4"),
        "A-1",
        {"sku": "E-5"},
    ]

    answer = client.put(INVENTORY, rows)

    assert answer.status_code == 400
    errors = {entry["row"]: entry["errors"] for entry in answer.json()["rows"]}
    assert {number: set(error) for number, error in errors.items()} == {
        2: {"sku", "available"},
        3: {"warehouse"},
        4: {"location"},
        5: {"location"},
        6: {"sku"},
        7: {"available"},
        8: {"available"},
        9: {"row"},
        10: {"warehouse", "available"},
    }
    assert "does not exist" in errors[3]["warehouse"][0]
    assert "Row 1 is about the same stock" in errors[6]["sku"][0]
    assert levels(warehouse) == {}


def test_the_stock_of_other_systems_is_set_there(client: APIClient, world: World) -> None:
    remote = Warehouse.objects.create(merchant=world.merchant, name="Far away", connector="vend")

    answer = client.put(INVENTORY, [{"warehouse": remote.pk, "sku": "A-1", "available": 1}])

    assert answer.status_code == 400
    assert "keeps its own stock" in answer.json()["rows"][0]["errors"]["warehouse"][0]


def test_a_warehouse_without_an_active_location(client: APIClient, warehouse: Warehouse) -> None:
    warehouse.locations.update(is_active=False)

    answer = client.put(INVENTORY, [{"warehouse": warehouse.pk, "sku": "A-1", "available": 1}])

    assert "no active location" in answer.json()["rows"][0]["errors"]["location"][0]


@pytest.mark.parametrize("body", [{}, "text", None, 5])
def test_anything_but_a_list_is_refused(client: APIClient, warehouse: Warehouse, body: Any) -> None:
    assert client.put(INVENTORY, body, format="json").status_code == 400


def test_ten_thousand_rows_at_once_and_no_more(client: APIClient, warehouse: Warehouse) -> None:
    rows = [{"warehouse": warehouse.pk, "sku": f"SKU-{number}", "available": number} for number in range(10_000)]

    with CaptureQueriesContext(connection) as seen:
        answer = client.put(INVENTORY, rows)

    assert answer.json() == {"created": 10_000, "changed": 0, "unchanged": 0}
    assert StockLevel.objects.filter(location__warehouse=warehouse).count() == 10_000
    # Nothing per row: a few statements for every hundred at most.
    assert len(seen) < 360

    too_many = client.put(INVENTORY, [*rows, rows[0]])
    assert (too_many.status_code, too_many.json()) == (400, {"detail": "Send at most 10,000 rows at once."})
