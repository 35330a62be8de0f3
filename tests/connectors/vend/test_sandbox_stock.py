"""Levels and stock adjustments. Source: vend.md 3.9."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pytest

from connectors.vend.sandbox_core import Record
from connectors.vend.sandbox_store import VendStore
from tests.connectors.vend.calling import Caller, calling

NOBODY = "11111111-2222-1333-8444-555555555555"


@pytest.fixture
def caller() -> Iterator[Caller]:
    with calling(products=6) as caller:
        yield caller


@pytest.fixture
def store(caller: Caller) -> VendStore:
    return caller.sandbox.store


@pytest.fixture
def product(store: VendStore) -> Record:
    for outlet in store.outlets:
        store.set_level(store.products[0], outlet, 10)
    return store.products[0]


def row(store: VendStore, product: Record, quantity: Any, reason: str, **fields: Any) -> dict[str, Any]:
    outlet_id = store.outlets[0].id
    return {"product_id": product.id, "outlet_id": outlet_id, "quantity": quantity, "reason": reason} | fields


# Reading


@pytest.mark.parametrize("size", [1, 5, 12, 5000])
def test_dated_rows_are_read_with_post_in_ascending_order(caller: Caller, store: VendStore, size: int) -> None:
    after, rows = 0, []
    while page := caller.json("POST", "inventory", {"after": after, "size": size, "sort_direction": "asc"}):
        rows += page
        after = page[-1]["version"]
    assert len({(found["product_id"], found["outlet_id"]) for found in rows}) == len(rows) == 12
    for found in rows:
        assert found["current_inventory_level"] == store.level(found["product_id"], found["outlet_id"])


def test_dated_rows_come_newest_first_by_default(caller: Caller, store: VendStore) -> None:
    store.set_level(store.products[3], store.outlets[1], 777)
    rows = caller.json("POST", "inventory", {"size": 3})
    assert rows[0]["current_inventory_level"] == 777
    versions = [found["version"] for found in rows]
    assert versions == sorted(versions, reverse=True)
    only = caller.json("POST", "inventory", {"product_id": store.products[3].id})
    assert {found["product_id"] for found in only} == {store.products[3].id}
    caller.json("POST", "inventory", {"size": 5001}, status=400)


def test_2_0_rows_carry_the_level_twice(caller: Caller, store: VendStore, product: Record) -> None:
    caller.family = "2.0"
    rows = caller.feed("inventory", page_size=5)
    assert len(rows) == 12
    assert all(found["inventory_level"] == found["current_amount"] for found in rows)
    own = caller.get(f"products/{product.id}/inventory")["data"]
    assert [found["inventory_level"] for found in own] == [10, 10]


def test_levels_are_filtered_by_id(caller: Caller, store: VendStore, product: Record) -> None:
    body = {"location_ids": [store.outlets[1].id], "product_ids": [product.id]}
    (level,) = caller.json("POST", "inventory_levels", body)
    assert (level["location_id"], level["current_inventory_level"]) == (store.outlets[1].id, 10)
    assert len(caller.json("POST", "inventory_levels", {"size": 5, "offset": 10})) == 2
    assert len(caller.json("GET", f"inventory_levels/{product.id}")) == 2
    assert len(caller.json("GET", f"inventory/{product.id}")) == 2
    caller.json("POST", "inventory_levels", {"product_ids": [NOBODY] * 1001}, status=400)


def test_only_changed_rows_come_after_a_cursor(caller: Caller, store: VendStore, product: Record) -> None:
    newest = store.version
    store.set_level(product, store.outlets[0], 10)
    store.set_level(product, store.outlets[1], 11)
    (changed,) = caller.json("POST", "inventory", {"after": newest, "sort_direction": "asc"})
    assert (changed["outlet_id"], changed["current_inventory_level"]) == (store.outlets[1].id, 11)


def test_a_new_outlet_starts_with_empty_shelves(store: VendStore, product: Record) -> None:
    outlet = store.add_outlet("Pop-up")
    assert store.level(product, outlet) == 0
    store.add_sale(outlet, [(product, 2)])
    assert store.level(product, outlet) == -2


# Adjusting


@pytest.mark.parametrize("reason", ["DAMAGE", "EXPIRY", "INTERNAL_USE", "THEFT", "DONATION"])
def test_reasons_that_take(caller: Caller, store: VendStore, product: Record, reason: str) -> None:
    (made,) = caller.data(
        "POST", "stock_adjustments", {"stock_adjustments": [row(store, product, "-2.5", reason)]}, 201
    )
    assert (made["quantity"], made["reason"]) == ("-2.5", reason)
    assert store.level(product, store.outlets[0]) == Decimal("7.5")
    caller.json("POST", "stock_adjustments", {"stock_adjustments": [row(store, product, "2.5", reason)]}, status=422)


@pytest.mark.parametrize("reason", ["STOCK_FOUND", "SAMPLE_FOR_SALE"])
def test_reasons_that_give(caller: Caller, store: VendStore, product: Record, reason: str) -> None:
    caller.data("POST", "stock_adjustments", {"stock_adjustments": [row(store, product, "3", reason)]}, 201)
    assert store.level(product, store.outlets[0]) == 13
    caller.json("POST", "stock_adjustments", {"stock_adjustments": [row(store, product, "-3", reason)]}, status=422)


def test_custom_reasons_follow_their_own_sign(caller: Caller, store: VendStore, product: Record) -> None:
    body = {"name": "Shrinkage", "enabled": True, "type": "NEGATIVE"}
    reason = caller.data("POST", "custom_inventory_adjustment_reasons", body)
    caller.json("POST", "custom_inventory_adjustment_reasons", body, status=409)
    named = {"custom_inventory_adjustment_reason_id": reason["id"]}
    good, bad = (row(store, product, quantity, "CUSTOM", **named) for quantity in ("-1", "1"))
    caller.data("POST", "stock_adjustments", {"stock_adjustments": [good]}, 201)
    caller.json("POST", "stock_adjustments", {"stock_adjustments": [bad]}, status=422)
    caller.json("POST", "stock_adjustments", {"stock_adjustments": [row(store, product, "1", "CUSTOM")]}, status=422)
    assert [found["name"] for found in caller.feed("custom_inventory_adjustment_reasons")] == ["Shrinkage"]
    assert store.level(product, store.outlets[0]) == 9


@pytest.mark.parametrize(
    ("change", "status"),
    [
        ({"quantity": -3}, 400),
        ({"quantity": "many"}, 400),
        ({"quantity": "1" * 33}, 400),
        ({"quantity": "0"}, 422),
        ({"quantity": "NaN"}, 422),
        ({"reason": "BORED"}, 400),
        ({"product_id": NOBODY}, 422),
        ({"outlet_id": NOBODY}, 422),
        ({"note": "hello"}, 400),
    ],
)
def test_one_bad_row_refuses_the_whole_batch(
    caller: Caller, store: VendStore, product: Record, change: dict[str, Any], status: int
) -> None:
    rows = [row(store, product, "-1", "DAMAGE"), row(store, product, "-3", "DAMAGE") | change]
    answer = caller.json("POST", "stock_adjustments", {"stock_adjustments": rows}, status=status)
    assert "stock_adjustments[1]" in answer["errors"]["global"][0]
    assert store.level(product, store.outlets[0]) == 10
    assert caller.feed("stock_adjustments") == []


def test_what_is_gone_or_not_tracked_cannot_be_adjusted(caller: Caller, store: VendStore) -> None:
    untracked = store.add_product(sku="NOTRACK", tracked=False)
    deleted = store.add_product(sku="GONE")
    store.delete_product(deleted)
    for product in (untracked, deleted):
        body = {"stock_adjustments": [row(store, product, "1", "STOCK_FOUND")]}
        caller.json("POST", "stock_adjustments", body, status=422)


@pytest.mark.parametrize("count", [0, 1001])
def test_a_batch_has_1_to_1000_rows(caller: Caller, store: VendStore, product: Record, count: int) -> None:
    body = {"stock_adjustments": [row(store, product, "-1", "DAMAGE")] * count}
    caller.json("POST", "stock_adjustments", body, status=400)
    caller.json("POST", "stock_adjustments", {"rows": []}, status=400)


def test_a_full_batch_goes_through_and_is_listed(caller: Caller, store: VendStore, product: Record) -> None:
    body = {"stock_adjustments": [row(store, product, "-1", "DAMAGE")] * 1000}
    assert len(caller.data("POST", "stock_adjustments", body, 201)) == 1000
    assert store.level(product, store.outlets[0]) == -990
    assert len(caller.feed("stock_adjustments", page_size=1000)) == 1000


# Absolute levels


@pytest.mark.parametrize("family", ["2.1", "2026-07"])
def test_put_sets_the_level_of_one_outlet(caller: Caller, store: VendStore, product: Record, family: str) -> None:
    caller.family = family
    first, second = store.outlets
    rows = [{"outlet_id": first.id, "current_amount": 21, "reorder_point": 5, "reorder_amount": 10}]
    caller.data("PUT", f"products/{product.id}", {"details": {"inventory": rows}})
    assert (store.level(product, first), store.level(product, second)) == (21, 10)
    assert store.inventory_row(product.id, first.id)["reorder_point"] == 5
    rows = [{"outlet_id": first.id, "reorder_point": -1}]
    caller.data("PUT", f"products/{product.id}", {"details": {"inventory": rows}})
    assert store.level(product, first) == 21
    assert store.inventory_row(product.id, first.id)["reorder_point"] is None


def test_put_refuses_what_it_cannot_set(caller: Caller, store: VendStore, product: Record) -> None:
    untracked = store.add_product(sku="NOTRACK", tracked=False)
    rows = [{"outlet_id": store.outlets[0].id, "current_amount": 1}]
    caller.json("PUT", f"products/{NOBODY}", {"details": {"inventory": rows}}, status=404)
    caller.json("PUT", f"products/{untracked.id}", {"details": {"inventory": rows}}, status=422)
    rows = [{"outlet_id": NOBODY, "current_amount": 1}]
    caller.json("PUT", f"products/{product.id}", {"details": {"inventory": rows}}, status=422)
    caller.json("PUT", f"products/{product.id}", {"inventory": rows}, status=400)


def test_reorder_points_are_set_in_bulk(caller: Caller, store: VendStore, product: Record) -> None:
    entry = {"product_id": product.id, "outlet_id": store.outlets[0].id, "method": "FIXED", "reorder_point": 4}
    assert caller.data("POST", "inventory/reorder_points", [entry]) == [entry]
    assert store.inventory_row(product.id, store.outlets[0].id)["reorder_point"] == 4
    caller.json("POST", "inventory/reorder_points", [], status=400)
