"""Fulfilments: versions, conflicts, partial work, stock. Source: vend.md 3.8."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pytest

from connectors.vend.sandbox_core import to_cents
from connectors.vend.sandbox_sale import Sale
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
        store.set_level(product, store.outlets[0], 10)
    return store


@pytest.fixture
def sale(store: VendStore) -> Sale:
    return store.add_sale(
        lines=[(store.products[0], 3), (store.products[1], 1)], status="AWAITING_DISPATCH", discount=1
    )


def waiting(caller: Caller, **filters: Any) -> list[Any]:
    return list(caller.get("fulfillments", **filters)["data"])


def test_a_delivery_sale_waits_for_its_goods(caller: Caller, store: VendStore, sale: Sale) -> None:
    store.add_sale(lines=[(store.products[0], 1)])
    (found,) = waiting(caller)
    assert (found["sale_id"], found["type"], found["state"], found["version"]) == (sale.id, "DISPATCH", "OPEN", 1)
    assert [line["quantity"] for line in found["line_items"]] == ["3", "1"]
    assert store.level(store.products[0], store.outlets[0]) == 9


def test_lists_are_filtered_and_paged_by_number(caller: Caller, store: VendStore, sale: Sale) -> None:
    for _ in range(12):
        store.add_sale(store.outlets[1], [(store.products[0], 1)], status="AWAITING_PICKUP")
    assert len(waiting(caller, page_size=10)) == 10
    assert len(waiting(caller, page_size=10, page_number=2)) == 3
    assert [found["sale_id"] for found in waiting(caller, sale_id=sale.id)] == [sale.id]
    assert len(waiting(caller, fulfillment_type="PICKUP", page_size=100)) == 12
    assert len(waiting(caller, outlet_id=[outlet.id for outlet in store.outlets], page_size=100)) == 13
    assert waiting(caller, fulfillment_state="FULFILLED") == []
    caller.get("fulfillments", status=400, page_number=0)


def test_fulfilling_the_sale_closes_it_and_takes_the_stock(caller: Caller, store: VendStore, sale: Sale) -> None:
    before = sale.version
    (done,) = caller.data("POST", "fulfillments/fulfill", {"sale_id": sale.id})
    assert done["version"] == 2
    assert (sale.status, store.level(store.products[0], store.outlets[0])) == ("DISPATCHED_CLOSED", 7)
    assert sale.version > before
    assert caller.data("POST", "fulfillments/fulfill", {"sale_id": sale.id}) == [done]
    assert store.level(store.products[0], store.outlets[0]) == 7


def test_lines_are_handed_over_one_by_one(caller: Caller, store: VendStore, sale: Sale) -> None:
    (found,) = waiting(caller)
    first, second = found["line_items"]
    path = f"fulfillments/{found['id']}/fulfill"
    body = {"version": 1, "line_items": [{"sale_line_item_id": first["sale_line_item_id"], "quantity": 2}]}
    assert caller.data("POST", path, body) == {"id": found["id"], "version": 2}
    assert caller.data("POST", path, body) == {"id": found["id"], "version": 2}
    assert (sale.state, store.level(store.products[0], store.outlets[0])) == ("pending", 8)
    assert waiting(caller)[0]["state"] == "STARTED"
    rest = [
        {"sale_line_item_id": first["sale_line_item_id"], "quantity": 1},
        {"sale_line_item_id": second["sale_line_item_id"], "quantity": 1},
    ]
    conflict = caller.json("POST", path, {"version": 1, "line_items": rest}, status=409)
    assert "version 2" in conflict["error"]
    caller.data("POST", path, {"version": 2, "line_items": rest})
    assert (sale.status, store.level(store.products[0], store.outlets[0])) == ("DISPATCHED_CLOSED", 7)
    assert waiting(caller)[0]["line_items"][0]["fulfilled_quantity"] == "3"


def test_picking_and_packing_come_before(caller: Caller, store: VendStore, sale: Sale) -> None:
    (found,) = waiting(caller)
    rows = [
        {"sale_line_item_id": line["sale_line_item_id"], "quantity": int(line["quantity"])}
        for line in found["line_items"]
    ]
    states = []
    for version, action in enumerate(("pick", "pack", "fulfill"), start=1):
        caller.data("POST", f"fulfillments/{found['id']}/{action}", {"version": version, "line_items": rows})
        states.append(waiting(caller)[0]["state"])
    assert states == ["PICKED", "PACKED", "FULFILLED"]
    assert sale.state == "closed"


@pytest.mark.parametrize("quantity", [0, -1, 4])
def test_more_than_is_left_is_refused(caller: Caller, sale: Sale, quantity: int) -> None:
    (found,) = waiting(caller)
    row = {"sale_line_item_id": found["line_items"][0]["sale_line_item_id"], "quantity": quantity}
    caller.json("POST", f"fulfillments/{found['id']}/fulfill", {"version": 1, "line_items": [row]}, status=400)
    assert waiting(caller)[0]["version"] == 1


def test_what_cannot_be_fulfilled(caller: Caller, store: VendStore, sale: Sale) -> None:
    plain = store.add_sale(lines=[(store.products[0], 1)])
    caller.json("POST", "fulfillments/fulfill", {"sale_id": plain.id}, status=404)
    caller.json("POST", "fulfillments/123/fulfill", {"version": 1, "line_items": []}, status=404)
    caller.json("POST", "fulfillments/fulfill", {}, status=400)
    store.void_sale(sale)
    assert waiting(caller) == []
    caller.json("POST", "fulfillments/fulfill", {"sale_id": sale.id}, status=409)


def test_an_unpaid_sale_stays_open_when_its_goods_are_gone(store: VendStore) -> None:
    sale = store.add_sale(
        lines=[(store.products[0], 2)], state="pending", attributes=["onaccount", "delivery"], payments=[]
    )
    store.fulfil_sale(sale)
    assert (sale.state, store.level(store.products[0], store.outlets[0])) == ("pending", 8)
    store.update_sale(sale, state="closed", payments=[to_cents(sale.total_price_incl)])
    assert store.level(store.products[0], store.outlets[0]) == 8


def test_closing_the_sale_in_the_shop_fulfils_it(caller: Caller, store: VendStore, sale: Sale) -> None:
    store.update_sale(sale, state="closed")
    assert waiting(caller)[0]["state"] == "FULFILLED"
    assert store.level(store.products[0], store.outlets[0]) == 7


def test_an_address_of_the_customer_goes_along(caller: Caller, store: VendStore) -> None:
    customer = store.customers[0]
    address = store.add_address(
        customer, type="SHIPPING", address_line_1="7 Quay St", city="Auckland", postcode="1010", country_code="NZ"
    )
    line = {
        "product": {"id": store.products[0].id},
        "quantity": 1,
        "pricing": {"price": 10},
        "tax": {"id": store.default_tax.id, "amount": 1.5},
    }
    body = {
        "source": {"author_id": store.primary_user.id, "register_id": store.registers[0].id},
        "state": "pending",
        "attributes": ["delivery"],
        "customer_id": customer.id,
        "line_items": [line],
        "fulfillment_details": [{"type": "DISPATCH", "note": "ring", "shipping_address_token": address["id_token"]}],
    }
    sale = caller.data("POST", "sales", body)
    (found,) = waiting(caller, sale_id=sale["id"])
    assert (found["shipping_address_id"], found["note"]) == (str(address["id"]), "ring")
    body["fulfillment_details"] = [{"type": "DISPATCH", "shipping_address_id": "1"}]
    caller.json("POST", "sales", body, status=422)


def test_the_2_0_way(caller: Caller, store: VendStore, sale: Sale) -> None:
    caller.family = "2.0"
    assert caller.data("GET", f"sales/{sale.id}/fulfillments") == []
    (picks,) = caller.data("GET", f"sales/{sale.id}/pick_lists")
    assert [line["quantity"] for line in picks["line_items"]] == [3, 1]
    caller.json("POST", f"sales/{sale.id}/fulfill", {"fulfillment_type": "PICKED_UP"}, status=422)
    done = caller.data("POST", f"sales/{sale.id}/fulfill", {"fulfillment_type": "SHIPPED"})
    assert (done["status"], done["line_items"][0]["quantity"]) == ("SHIPPED", Decimal(3))
    assert caller.data("GET", f"sales/{sale.id}/fulfillments") == [done]
    assert caller.data("GET", f"sales/{sale.id}")["status"] == "DISPATCHED_CLOSED"
