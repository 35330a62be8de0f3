"""Stock orders, transfers, returns and counts with their effect on stock. Source: vend.md 3.10."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pytest

from connectors.vend.sandbox_core import Record
from connectors.vend.sandbox_store import VendStore
from tests.connectors.vend.calling import Caller, calling


@pytest.fixture
def caller() -> Iterator[Caller]:
    with calling(products=3) as caller:
        yield caller


@pytest.fixture
def store(caller: Caller) -> VendStore:
    store = caller.sandbox.store
    for product in store.products:
        for outlet in store.outlets:
            store.set_level(product, outlet, 100)
    return store


def levels(store: VendStore, product: Record) -> tuple[Decimal, Decimal]:
    first, second = store.outlets
    return store.level(product, first), store.level(product, second)


def body(store: VendStore, kind: str, **fields: Any) -> dict[str, Any]:
    return {"name": "CAR-25", "outlet_id": store.outlets[0].id, "type": kind} | fields


@pytest.mark.parametrize("wrapped", [False, True])
@pytest.mark.parametrize("family", ["2.0", "2026-07"])
def test_a_stock_order_from_open_to_received(caller: Caller, store: VendStore, family: str, wrapped: bool) -> None:
    caller.family = family
    product = store.products[0]

    def wrap(content: dict[str, Any]) -> dict[str, Any]:
        return {"data": content} if wrapped else content

    order = caller.data("POST", "consignments", wrap(body(store, "SUPPLIER", status="OPEN")), 201)
    path = f"consignments/{order['id']}"
    line = caller.data("POST", f"{path}/products", wrap({"product_id": product.id, "count": "60"}))
    assert (line["count"], line["received"], line["status"]) == ("60.00000", "0.00000", "PENDING")
    caller.data("PUT", path, wrap(body(store, "SUPPLIER", status="SENT")))
    caller.json("PUT", path, wrap(body(store, "SUPPLIER", status="RECEIVED")), status=422)
    caller.data("PUT", f"{path}/products/{product.id}", wrap({"product_id": product.id, "received": "58"}))
    assert caller.data("GET", path)["status"] == "DISPATCHED"
    assert levels(store, product) == (100, 100)
    done = caller.data("PUT", path, wrap(body(store, "SUPPLIER", status="RECEIVED")))
    assert (done["status"], done["received_at"] is None) == ("RECEIVED", False)
    assert levels(store, product) == (158, 100)
    (line,) = caller.get(f"{path}/products")["data"]
    assert (line["count"], line["received"], line["status"]) == ("60.00000", "58.00000", "RECEIVE_SUCCESS")


@pytest.mark.parametrize(
    ("kind", "status", "answer"),
    [
        ("SUPPLIER", "RECEIVED", 422),
        ("SUPPLIER", "DISPATCHED", 422),
        ("OUTLET", "SENT", 422),
        ("RETURN", "SENT", 422),
        ("STOCKTAKE", "STOCKTAKE_COMPLETE", 422),
        ("GIFT", "OPEN", 400),
    ],
)
def test_nothing_starts_at_its_end(caller: Caller, store: VendStore, kind: str, status: str, answer: int) -> None:
    source = {"source_outlet_id": store.outlets[1].id} if kind == "OUTLET" else {}
    caller.json("POST", "consignments", body(store, kind, status=status, **source), status=answer)


def test_rules_of_stock_orders(caller: Caller, store: VendStore) -> None:
    order = store.add_consignment("SUPPLIER", store.outlets[0])
    path = f"consignments/{order.id}"
    caller.json("PUT", path, body(store, "SUPPLIER", status="SENT"), status=422)
    caller.json("PUT", path, body(store, "OUTLET"), status=422)
    caller.json("PUT", path, {"status": "SENT"}, status=400)
    box = store.add_product(sku="BOX", kind="composite", components={store.products[0].id: 2})
    caller.json("POST", f"{path}/products", {"product_id": box.id, "count": "1"}, status=422)
    store.write_line(order, store.products[0], count=5)
    assert caller.send("DELETE", f"{path}/products/{store.products[0].id}").status_code == 204
    store.write_line(order, store.products[0], count=5)
    store.move_consignment(order, "SENT")
    store.write_line(order, store.products[0], received=5)
    store.move_consignment(order, "RECEIVED")
    caller.json("DELETE", f"{path}/products/{store.products[0].id}", status=422)
    caller.json("PUT", path, body(store, "SUPPLIER", status="CANCELLED"), status=422)
    caller.json("PUT", f"{path}/products/{store.products[0].id}", {"product_id": "x", "count": "1"}, status=422)
    caller.json("DELETE", path, status=422)


def test_bulk_adds_on_stock_orders_and_sets_elsewhere(caller: Caller, store: VendStore) -> None:
    product = store.products[0]
    order = store.add_consignment("SUPPLIER", store.outlets[0])
    transfer = store.add_consignment("OUTLET", store.outlets[0], source_outlet=store.outlets[1])
    rows = [{"product_id": product.id, "count": "60"}]
    for _ in range(2):
        answer = caller.data("POST", f"consignments/{order.id}/bulk", rows)
        caller.data("POST", f"consignments/{transfer.id}/bulk", rows)
    assert answer == {product.id: {"count": "120.00000"}}
    assert store.line(transfer, product)["count"] == 60
    caller.json("POST", f"consignments/{order.id}/bulk", [{"product_id": product.id}], status=400)
    caller.json("POST", f"consignments/{order.id}/bulk", rows * 501, status=400)
    caller.data("POST", f"consignments/{order.id}/bulk", [{"product_id": product.id, "received": "7"}])
    assert store.consignment(order)["status"] == "DISPATCHED"


def test_a_transfer_leaves_when_sent_and_arrives_when_received(caller: Caller, store: VendStore) -> None:
    product = store.products[0]
    source, target = store.outlets
    transfer = caller.data(
        "POST",
        "consignments",
        {"name": "T", "outlet_id": target.id, "source_outlet_id": source.id, "type": "OUTLET", "status": "OPEN"},
        201,
    )
    path = f"consignments/{transfer['id']}"
    fields = {"name": "T", "outlet_id": target.id, "source_outlet_id": source.id, "type": "OUTLET"}
    caller.data("POST", f"{path}/products", {"product_id": product.id, "count": "10.5"})
    caller.json("PUT", f"{path}/products/{product.id}", {"product_id": product.id, "received": "1"}, status=422)
    caller.data("PUT", path, fields | {"status": "SENT"})
    assert levels(store, product) == (Decimal("89.5"), 100)
    assert store.line(transfer["id"], product)["cost"] == product["supply_price"]
    caller.json("DELETE", f"{path}/products/{product.id}", status=422)
    caller.data("PUT", f"{path}/products/{product.id}", {"product_id": product.id, "received": "9"})
    caller.data("PUT", path, fields | {"status": "RECEIVED"})
    assert levels(store, product) == (Decimal("89.5"), 109)
    (totals,) = caller.data("GET", f"{path}/totals")
    assert (totals["total_sent_count"], totals["total_received_count"]) == ("10.50000", "9.00000")
    caller.json("POST", "consignments", body(store, "OUTLET"), status=422)


def test_a_cancelled_transfer_gives_back(store: VendStore) -> None:
    product = store.products[0]
    transfer = store.transfer_stock(*store.outlets, [(product, 4)], receive=False)
    assert levels(store, product) == (96, 100)
    store.move_consignment(transfer, "CANCELLED")
    assert levels(store, product) == (100, 100)


def test_what_people_do_in_one_step(store: VendStore) -> None:
    product, other = store.products[:2]
    first, second = store.outlets
    order = store.order_stock(first, [(product, 60), (other, 50)], name="CAR-25", reference="PO-1")
    assert (order["status"], order["name"], order["reference"]) == ("RECEIVED", "CAR-25", "PO-1")
    assert levels(store, product) == (160, 100)
    assert store.return_stock(first, [(product, 10)])["status"] == "SENT"
    assert levels(store, product) == (150, 100)
    store.transfer_stock(first, second, [(product, 5)])
    assert levels(store, product) == (145, 105)
    count = store.count_stock(first, [(product, 140), (other, 152)])
    assert levels(store, product) == (140, 105)
    assert store.level(other, first) == 152
    assert (count["total_count_gain"], count["total_count_loss"]) == (2, -5)
    assert [line["received"] - line["count"] for line in store.lines_of(count)] == [-5, 2]


def test_a_count_keeps_what_was_sold_meanwhile(store: VendStore) -> None:
    product = store.products[0]
    count = store.add_consignment("STOCKTAKE", store.outlets[0], status="STOCKTAKE_IN_PROGRESS")
    store.process_stocktakes()
    store.write_line(count, product, received=90)
    for other in store.products[1:]:
        store.write_line(count, other, received=100)
    store.add_sale(lines=[(product, 3)])
    store.move_consignment(count, "STOCKTAKE_COMPLETE")
    assert levels(store, product) == (87, 100)
    assert levels(store, store.products[1]) == (100, 100)


def test_a_count_without_filters_and_without_counting_empties_the_shop(store: VendStore) -> None:
    count = store.add_consignment("STOCKTAKE", store.outlets[0], status="STOCKTAKE_IN_PROGRESS")
    store.process_stocktakes()
    store.move_consignment(count, "STOCKTAKE_COMPLETE")
    assert [levels(store, product) for product in store.products] == [(0, 100)] * 3


def test_a_count_is_prepared_in_the_background(caller: Caller, store: VendStore) -> None:
    product = store.products[1]
    store.stocktake_delay = 3600
    filters = [{"type": "product", "value": product.id}, {"type": "brand", "value": store.products[2]["brand_id"]}]
    count = store.add_consignment("STOCKTAKE", store.outlets[0], status="STOCKTAKE_IN_PROGRESS", filters=filters)
    path = f"consignments/{count.id}"
    assert caller.data("GET", path)["status"] == "STOCKTAKE_IN_PROGRESS"
    assert caller.get(f"{path}/products")["data"] == []
    line = {"product_id": product.id, "received": "1"}
    caller.json("POST", f"{path}/products", line, status=422)
    store.stocktake_delay = 0
    assert caller.data("GET", path)["status"] == "STOCKTAKE_IN_PROGRESS_PROCESSED"
    lines = caller.get(f"{path}/products")["data"]
    assert product.id in [line["product_id"] for line in lines]
    assert all(line["is_included"] and line["count"] == "100.00000" for line in lines)
    caller.data("PUT", f"{path}/products/{product.id}", {"product_id": product.id, "received": "40"})
    caller.data("POST", f"{path}/products", {"product_id": product.id, "received": "2"})
    assert store.line(count, product)["received"] == 42
    caller.json("GET", f"{path}/totals", status=422)
    caller.data("PUT", path, body(store, "STOCKTAKE", status="STOCKTAKE_COMPLETE"))
    assert levels(store, product) == (42, 100)


def test_lists_are_filtered_by_type_status_and_outlet(caller: Caller, store: VendStore) -> None:
    product = store.products[0]
    store.order_stock(store.outlets[0], [(product, 1)])
    store.transfer_stock(*store.outlets, [(product, 1)], receive=False)
    store.return_stock(store.outlets[1], [(product, 1)])
    assert [found["type"] for found in caller.feed("consignments", 2)] == ["SUPPLIER", "OUTLET", "RETURN"]
    assert [found["type"] for found in caller.feed("consignments", type="OUTLET")] == ["OUTLET"]
    received = caller.json("GET", "consignments", params={"status": "RECEIVED"})["data"]
    assert [found["type"] for found in received] == ["SUPPLIER"]
    outlet_id = store.outlets[1].id
    assert [found["type"] for found in caller.feed("consignments", outlet_id=outlet_id)] == ["OUTLET", "RETURN"]


def test_a_changed_consignment_comes_again(caller: Caller, store: VendStore) -> None:
    order = store.order_stock(store.outlets[0], [(store.products[0], 60)])
    newest = store.version
    store.correct_line(order, store.products[0], received=66)
    assert levels(store, store.products[0]) == (166, 100)
    (again,) = caller.get("consignments", after=newest)["data"]
    assert again["id"] == order.id
    (line,) = caller.get(f"consignments/{order.id}/products", after=newest)["data"]
    assert line["received"] == "66.00000"


def test_a_deleted_consignment_is_gone(caller: Caller, store: VendStore) -> None:
    transfer = store.transfer_stock(*store.outlets, [(store.products[0], 4)], receive=False)
    assert caller.send("DELETE", f"consignments/{transfer.id}").status_code == 204
    caller.json("GET", f"consignments/{transfer.id}", status=404)
    assert levels(store, store.products[0]) == (100, 100)
    assert caller.feed("consignments") == []
