"""Shipments booked over REST, at the built-in warehouse and at others."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from rest_framework.test import APIClient

from carts import order_flow
from carts.book_records import shipment_record
from carts.models import Cart, Order, PickOrder, PickShipment, Shipment, StockLevel, Warehouse
from tests.api.worlds import World, at_warehouse
from tests.factories import make_order

PARCEL = {
    "carrier": "NZ Post",
    "method": "Courier",
    "tracking_number": "NZ123",
    "tracking_url": "https://track.example/NZ123",
}


@pytest.fixture
def order(world: World) -> Order:
    """At the built-in warehouse: two of SKU-A in two lines, 1.5 of SKU-B."""
    return at_warehouse(make_order(world[Cart], (("SKU-A", "1"), ("SKU-B", "1.5"), ("SKU-A", "1"))))


@pytest.fixture
def remote_order(world: World) -> Order:
    """At a warehouse that keeps its own book."""
    order = make_order(world[Cart])
    warehouse = Warehouse.objects.create(merchant=world.merchant, name="Far away", connector="vend")
    Order.objects.filter(pk=order.pk).update(warehouse=warehouse, location=None)
    order.refresh_from_db()
    return at_warehouse(order)


def url_of(order: Order) -> str:
    return f"/api/v1/orders/{order.pk}/shipments/"


def test_everything_is_shipped_at_once(client: APIClient, order: Order) -> None:
    answer = client.post(url_of(order), {**PARCEL, "shipped_at": "2026-07-02T10:00:00+12:00"})

    assert answer.status_code == 201, answer.json()
    shown = answer.json()
    assert {name: shown[name] for name in PARCEL} == PARCEL
    assert shown["shipped_at"] == "2026-07-01T22:00:00Z"
    assert [(line["sku"], line["quantity"]) for line in shown["lines"]] == [
        ("SKU-A", "1"),
        ("SKU-B", "1.5"),
        ("SKU-A", "1"),
    ]
    order.refresh_from_db()
    assert order.status == "shipped"
    assert PickOrder.objects.get(reference=order.reference).status == "shipped"
    assert PickShipment.objects.get().shipped_by == "REST client REST client"
    assert client.get(url_of(order)).json()["results"] == [shown]


def test_the_pickup_finds_the_shipment_booked_already(client: APIClient, order: Order) -> None:
    client.post(url_of(order), {"lines": [{"sku": "sku-b", "quantity": "0.5"}]})

    assert order_flow.add_shipment(order.pk, shipment_record(PickShipment.objects.get())) is None
    assert Shipment.objects.filter(order=order).count() == 1
    assert order.lines.get(sku="SKU-B").shipped == Decimal("0.5")


def test_stock_leaves_the_shelf(client: APIClient, order: Order) -> None:
    level = StockLevel.objects.create(
        location=order.location,
        sku="SKU-B",
        available=3,
        on_hand=5,
        read_at=order.placed_at,
        changed_at=order.placed_at,
    )

    client.post(url_of(order), {"lines": [{"sku": "SKU-B", "quantity": 1}]})

    level.refresh_from_db()
    assert (level.available, level.on_hand) == (3, 4)


def test_parts_by_sku_and_by_line(client: APIClient, order: Order) -> None:
    first, _, third = order.lines.all()

    answer = client.post(url_of(order), {"lines": [{"line": third.pk, "quantity": "1"}]})
    assert [line["line"] for line in answer.json()["lines"]] == [third.pk]
    answer = client.post(url_of(order), {"lines": [{"sku": "SKU-A", "quantity": "1"}]})
    assert [line["line"] for line in answer.json()["lines"]] == [first.pk]
    order.refresh_from_db()
    assert order.status == "at_warehouse"
    assert client.post(url_of(order), {}).status_code == 201
    order.refresh_from_db()
    assert order.status == "shipped"


def test_a_sku_in_two_lines_fills_both(client: APIClient, order: Order) -> None:
    answer = client.post(url_of(order), {"lines": [{"sku": "SKU-A", "quantity": "2"}]})

    assert [line["quantity"] for line in answer.json()["lines"]] == ["1", "1"]


@pytest.mark.parametrize(
    "lines, problem",
    [
        ([{"sku": "SKU-A", "quantity": 1}, {"sku": "SKU-B", "quantity": 2}], (1, "quantity", "Only 1.5 still open.")),
        ([{"sku": "SKU-A", "quantity": 1}] * 3, (2, "quantity", "Only 0 still open.")),
        ([{"sku": "SKU-C", "quantity": 1}], (0, "sku", "The order has no such line to ship.")),
        ([{"line": 0, "quantity": 1}], (0, "line", "The order has no such line to ship.")),
        ([{"quantity": 1}], (0, "sku", "Give either the SKU or the id of the order's line.")),
        ([{"sku": "SKU-A"}], (0, "quantity", "This field is required.")),
        ([{"sku": "SKU-A", "quantity": 0}], (0, "quantity", "greater than or equal to")),
        ([{"sku": "SKU-A", "quantity": "NaN"}], (0, "quantity", "A valid number is required.")),
    ],
)
def test_wrong_lines_are_named(
    client: APIClient, order: Order, lines: list[dict[str, Any]], problem: tuple[int, str, str]
) -> None:
    answer = client.post(url_of(order), {"lines": lines})

    row, field, text = problem
    assert answer.status_code == 400
    assert text in answer.json()["lines"][str(row)][field][0]
    assert not Shipment.objects.filter(order=order).exists()


@pytest.mark.parametrize(
    "change", [{"tracking_url": "not a link"}, {"carrier": "x" * 121}, {"shipped_at": "soon"}, {"lines": []}]
)
def test_wrong_fields_are_named(client: APIClient, order: Order, change: dict[str, Any]) -> None:
    answer = client.post(url_of(order), {**PARCEL, **change})

    assert (answer.status_code, set(answer.json())) == (400, set(change))


@pytest.mark.parametrize("which", ["order", "remote_order"])
def test_the_same_key_books_once(client: APIClient, which: str, request: pytest.FixtureRequest) -> None:
    order = request.getfixturevalue(which)
    parcel = {**PARCEL, "idempotency_key": "parcel-1"}

    first, second = client.post(url_of(order), parcel), client.post(url_of(order), parcel)

    assert (first.status_code, second.status_code) == (201, 200)
    assert first.json() == second.json()
    assert Shipment.objects.filter(order=order).count() == 1


def test_shipments_of_other_warehouses_are_added_directly(client: APIClient, remote_order: Order) -> None:
    answer = client.post(url_of(remote_order), {**PARCEL, "lines": [{"sku": "SKU-1", "quantity": "1"}]})

    assert answer.status_code == 201, answer.json()
    remote_order.refresh_from_db()
    assert remote_order.status == "at_warehouse"
    assert client.post(url_of(remote_order), {}).status_code == 201
    remote_order.refresh_from_db()
    assert remote_order.status == "shipped"
    assert not PickShipment.objects.exists()


@pytest.mark.parametrize("status", ["new", "held", "error", "shipped", "confirmed", "cancelled"])
def test_only_what_is_at_the_warehouse_can_be_shipped(client: APIClient, order: Order, status: str) -> None:
    Order.objects.filter(pk=order.pk).update(status=status)

    answer = client.post(url_of(order), PARCEL)

    assert answer.status_code == 409
    assert "at the warehouse" in answer.json()["detail"]
    assert not PickShipment.objects.exists()


def test_what_the_book_refuses_is_a_conflict(client: APIClient, order: Order) -> None:
    PickOrder.objects.filter(reference=order.reference).update(status="cancelled")

    answer = client.post(url_of(order), PARCEL)

    assert answer.status_code == 409
    assert "was cancelled" in answer.json()["detail"]
    assert not Shipment.objects.filter(order=order).exists()


def test_an_order_that_is_not_in_the_book_is_a_conflict(client: APIClient, order: Order) -> None:
    PickOrder.objects.all().delete()

    assert client.post(url_of(order), PARCEL).status_code == 409
