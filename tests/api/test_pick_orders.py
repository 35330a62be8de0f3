"""The work of a REST warehouse's WMS over the API."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from rest_framework.test import APIClient

from carts.models import Merchant, PickOrder, PickReturn, Warehouse
from carts.rest_book import RestBook
from connectors.records import OutboundRefund, OutboundRefundLine
from tests.api.test_permissions import PREFIX
from tests.factories import (
    PLACED_AT,
    make_builtin_warehouse,
    make_location,
    make_merchant,
    make_outbound,
    make_rest_warehouse,
)

LINES = (("SKU-1", "2"), ("SKU-2", "1.5"), ("sku-1", "1"))


@pytest.fixture
def warehouse(merchant: Merchant) -> Warehouse:
    return make_rest_warehouse(merchant)


@pytest.fixture
def book(warehouse: Warehouse) -> RestBook:
    return RestBook(warehouse.pk)


def receive(book: RestBook, *references: str) -> list[PickOrder]:
    assert all(result.ok for result in book.receive([make_outbound(one, LINES) for one in references]))
    return [PickOrder.objects.get(reference=one) for one in references]


def post(client: APIClient, path: str, body: dict[str, Any], status: int = 200) -> Any:
    answer = client.post(f"{PREFIX}{path}", body, format="json")
    assert answer.status_code == status, answer.content
    return answer.json()


def lease(client: APIClient, warehouse: Warehouse, holder: str = "ann", **more: Any) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = post(
        client, "pick-orders/lease/", {"warehouse": warehouse.pk, "holder": holder, **more}
    )
    return found


def carton(key: str, *lines: dict[str, str], **more: Any) -> dict[str, Any]:
    return {"idempotency_key": key, **({"lines": list(lines)} if lines else {}), **more}


def test_an_order_is_fetched_with_all_a_picker_needs(client: APIClient, warehouse: Warehouse, book: RestBook) -> None:
    receive(book, "A")
    [order] = lease(client, warehouse)
    assert (order["reference"], order["number"], order["status"]) == ("A", "#A", "open")
    assert order["ship_to"]["street1"] == "1 Queen Street"
    assert order["lease_holder"] == "ann" and order["lease_until"]
    assert order["lines"][1] == {
        "reference": "line-2",
        "sku": "SKU-2",
        "name": "Article SKU-2",
        "quantity": "1.5",
        "shipped": "0",
        "open": "1.5",
        "note": "",
    }
    assert lease(client, warehouse, "bob") == []


def test_a_day_at_the_warehouse(client: APIClient, warehouse: Warehouse, book: RestBook) -> None:
    one, two, three = receive(book, "A", "B", "C")
    lease(client, warehouse, limit=3, seconds=60)
    renewed = post(client, f"pick-orders/{one.pk}/renew/", {"holder": "ann", "seconds": 3600})
    assert renewed["lease_until"]
    orders = [{"id": one.pk, "wms_id": "W-1"}, {"id": two.pk}]
    body = {"warehouse": warehouse.pk, "holder": "ann", "orders": orders}
    assert post(client, "pick-orders/acknowledge/", body) == {"acknowledged": 2}
    assert post(client, f"pick-orders/{three.pk}/release/", {"holder": "ann"})["lease_until"] is None
    listed = client.get(f"{PREFIX}pick-orders/?acknowledged=true").json()["results"]
    assert [(order["reference"], order["wms_id"]) for order in listed] == [("A", "W-1"), ("B", "")]
    refused = post(client, f"pick-orders/{two.pk}/refuse/", {"reason": "Broken", "hold": True})
    assert (refused["status"], refused["answer"], refused["answer_reason"]) == ("refused", "held", "Broken")
    assert [order["reference"] for order in lease(client, warehouse, "bob")] == ["C"]


def test_cartons_leave_together_in_parts_and_once(client: APIClient, warehouse: Warehouse, book: RestBook) -> None:
    [order] = receive(book, "A")
    lease(client, warehouse)
    path = f"pick-orders/{order.pk}/ship/"
    first = {
        "holder": "ann",
        "cartons": [
            carton("c1", {"line": "line-1", "quantity": "1"}, carrier="NZ Post", tracking_number="T1"),
            carton("c2", {"sku": "sku-1", "quantity": "2"}, tracking_number="T2", shipped_at="2026-07-01T10:00:00Z"),
        ],
    }
    shipped = post(client, path, first, 201)
    assert shipped["status"] == "partly_shipped"
    assert [line["open"] for line in shipped["lines"]] == ["0", "1.5", "0"]
    assert [(one["tracking_number"], one["lines"]) for one in shipped["cartons"]] == [
        ("T1", [{"line": "line-1", "sku": "SKU-1", "quantity": "1"}]),
        (
            "T2",
            [{"line": "line-1", "sku": "SKU-1", "quantity": "1"}, {"line": "line-3", "sku": "sku-1", "quantity": "1"}],
        ),
    ]
    assert shipped["cartons"][1]["shipped_at"] == "2026-07-01T10:00:00Z"
    assert shipped["cartons"][0]["shipped_by"] == "REST client REST client"
    assert post(client, path, first) == shipped
    rest = {"holder": "ann", "cartons": [*first["cartons"], carton("c3")]}
    assert post(client, path, rest, 201)["status"] == "shipped"
    assert len(post(client, path, rest)["cartons"]) == 3


@pytest.mark.parametrize(
    ("cartons", "status", "words"),
    [
        ([carton("c", {"line": "line-9", "quantity": "1"})], 400, "no line line-9"),
        ([carton("c", {"sku": "HAT", "quantity": "1"})], 400, "no sku HAT"),
        ([carton("c", {"sku": "SKU-1", "quantity": "4"})], 400, "Only 3 of SKU-1"),
        (
            [carton("a", {"sku": "SKU-1", "quantity": "1"}), carton("b", {"sku": "SKU-1", "quantity": "3"})],
            400,
            "Only 2",
        ),
        ([carton("c", {"sku": "SKU-1", "quantity": "0"})], 400, "quantity"),
        ([carton("c", {"quantity": "1"})], 400, "Give either"),
        ([carton("c"), carton("c", {"sku": "SKU-1", "quantity": "1"})], 400, "same idempotency_key"),
        ([carton("a"), carton("b", {"sku": "SKU-1", "quantity": "1"})], 400, "Only the last"),
        ([{"carrier": "DHL"}], 400, "idempotency_key"),
        ([], 400, "cartons"),
    ],
)
def test_cartons_that_cannot_be_book_nothing(
    client: APIClient, warehouse: Warehouse, book: RestBook, cartons: list[Any], status: int, words: str
) -> None:
    [order] = receive(book, "A")
    answer = client.post(f"{PREFIX}pick-orders/{order.pk}/ship/", {"cartons": cartons}, format="json")
    assert (answer.status_code, words in answer.content.decode()) == (status, True), answer.content
    assert order.shipments.count() == 0


def test_who_does_not_hold_an_order_does_not_work_on_it(
    client: APIClient, warehouse: Warehouse, book: RestBook
) -> None:
    [order] = receive(book, "A")
    lease(client, warehouse, "ann")
    works = {
        "renew": {"holder": "bob"},
        "release": {"holder": "bob"},
        "refuse": {"reason": "x"},
        "ship": {"cartons": [carton("c")]},
    }
    for work, body in works.items():
        problem = post(client, f"pick-orders/{order.pk}/{work}/", body, 409)
        assert "held by ann until" in problem["detail"]
    body = {"warehouse": warehouse.pk, "orders": [{"id": order.pk}]}
    assert "held by ann" in post(client, "pick-orders/acknowledge/", body, 409)["detail"]


def test_a_cancellation_is_seen_and_answered(client: APIClient, warehouse: Warehouse, book: RestBook) -> None:
    one, two, _ = receive(book, "A", "B", "C")
    lease(client, warehouse)
    for order in (one, two):
        assert book.cancel(order.reference, "Voided").answer_later
    asked = client.get(f"{PREFIX}pick-orders/?cancellation=true").json()["results"]
    assert [(order["reference"], order["cancel_reason"]) for order in asked] == [("A", "Voided"), ("B", "Voided")]
    accepted = post(client, f"pick-orders/{one.pk}/cancellation/", {"accepted": True})
    assert (accepted["status"], accepted["answer"]) == ("cancelled", "cancelled")
    refused = post(client, f"pick-orders/{two.pk}/cancellation/", {"accepted": False, "reason": "Packed"})
    assert (refused["status"], refused["answer_reason"]) == ("open", "Packed")
    assert client.get(f"{PREFIX}pick-orders/?cancellation=true").json()["count"] == 0
    problem = post(client, f"pick-orders/{one.pk}/ship/", {"cartons": [carton("c")]}, 409)
    assert "cancelled" in problem["detail"]


def test_the_list_of_people_is_only_looked_at(client: APIClient, merchant: Merchant) -> None:
    warehouse = make_builtin_warehouse(merchant)
    [order] = receive(RestBook(warehouse.pk), "A")
    assert client.get(f"{PREFIX}pick-orders/").json()["count"] == 1
    for work, body in (("ship", {"cartons": [carton("c")]}), ("refuse", {"reason": "x"})):
        assert "no REST warehouse" in post(client, f"pick-orders/{order.pk}/{work}/", body, 409)["detail"]
    body = {"warehouse": warehouse.pk, "holder": "ann"}
    assert "no REST warehouse" in post(client, "pick-orders/lease/", body, 409)["detail"]


def test_warehouses_and_locations_of_others_do_not_exist(
    client: APIClient, warehouse: Warehouse, book: RestBook
) -> None:
    other = make_rest_warehouse(make_merchant())
    [foreign] = receive(RestBook(other.pk), "F")
    receive(book, "A")
    for body in (
        {"warehouse": other.pk, "holder": "ann"},
        {"warehouse": warehouse.pk, "location": other.locations.get().pk, "holder": "ann"},
        {
            "warehouse": warehouse.pk,
            "location": make_location(make_rest_warehouse(warehouse.merchant)).pk,
            "holder": "a",
        },
        {"warehouse": warehouse.pk},
        {"warehouse": warehouse.pk, "holder": "ann", "limit": 101},
        {"warehouse": warehouse.pk, "holder": "ann", "seconds": 1},
    ):
        post(client, "pick-orders/lease/", body, 400)
    body = {"warehouse": warehouse.pk, "orders": [{"id": foreign.pk}]}
    assert "no order with the id" in post(client, "pick-orders/acknowledge/", body, 409)["detail"]
    assert PickOrder.objects.filter(lease_until__isnull=False).count() == 0


@pytest.mark.parametrize(("restock", "back"), [(None, "3.5"), (["line-2"], "1.5"), ([], "0")])
def test_a_return_is_received(
    client: APIClient, warehouse: Warehouse, book: RestBook, restock: list[str] | None, back: str
) -> None:
    for sku in ("SKU-1", "SKU-2"):
        book.set_on_hand([(book.find_location(), sku, Decimal(0))])
    pick_return = announce(book)
    body = {} if restock is None else {"restock": restock}
    received = post(client, f"pick-returns/{pick_return.pk}/receive/", body)
    assert (received["status"], received["closed_by"]) == ("received", "REST client REST client")
    levels = client.get(f"{PREFIX}inventory/?warehouse={warehouse.pk}").json()["results"]
    assert sum(Decimal(level["available"]) for level in levels) == Decimal(back)
    assert "dealt with before" in post(client, f"pick-returns/{pick_return.pk}/give_up/", {}, 409)["detail"]


def test_a_return_that_does_not_come(client: APIClient, book: RestBook) -> None:
    pick_return = announce(book)
    assert client.get(f"{PREFIX}pick-returns/?status=open").json()["count"] == 1
    assert post(client, f"pick-returns/{pick_return.pk}/give_up/", {})["status"] == "cancelled"


def announce(book: RestBook) -> PickReturn:
    lines = (("SKU-1", "2"), ("SKU-2", "1.5"))
    refund = OutboundRefund(
        reference="R-1",
        number="R1",
        order_reference="",
        order_number="1001",
        location_id="",
        cart_name="Queen Street",
        placed_at=PLACED_AT,
        currency="NZD",
        amount=Decimal(20),
        tax=Decimal(0),
        lines=tuple(
            OutboundRefundLine(reference=f"line-{number}", sku=sku, name=sku, quantity=Decimal(quantity))
            for number, (sku, quantity) in enumerate(lines, 1)
        ),
    )
    assert book.announce_return(refund).ok
    return PickReturn.objects.get(reference="R-1")
