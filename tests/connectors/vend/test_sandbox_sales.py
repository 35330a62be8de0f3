"""Sales, their effect on stock, voids and returns; written by helpers and over the API. Source: vend.md 3.5 to 3.7, 8."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pytest

from connectors.vend.sandbox_sale import STATUSES, legacy_status
from connectors.vend.sandbox_store import VendStore
from tests.connectors.vend.calling import Caller, calling


@pytest.fixture
def caller() -> Iterator[Caller]:
    with calling(products=4) as caller:
        yield caller


@pytest.fixture
def store(caller: Caller) -> VendStore:
    store = caller.sandbox.store
    for product in store.products:
        for outlet in store.outlets:
            store.set_level(product, outlet, 100)
    return store


def level(store: VendStore) -> Decimal:
    return store.level(store.products[0], store.outlets[0])


# What a sale takes off the shelves


@pytest.mark.parametrize(
    ("status", "left"),
    [
        ("CLOSED", 98), ("ONACCOUNT", 98), ("ONACCOUNT_CLOSED", 98), ("LAYBY", 100), ("LAYBY_CLOSED", 98),
        ("SAVED", 100), ("OPEN", 100), ("VOIDED", 100), ("AWAITING_DISPATCH", 100), ("DISPATCHED_CLOSED", 98),
        ("AWAITING_PICKUP", 100), ("PICKED_UP_CLOSED", 98), ("SERVICE", 100), ("SERVICE_CLOSED", 98),
    ],
)  # fmt: skip
def test_stock_follows_the_status(store: VendStore, status: str, left: int) -> None:
    sale = store.add_sale(lines=[(store.products[0], 2)], status=status)
    assert sale.status == status
    assert level(store) == left
    assert store.level(store.products[0], store.outlets[1]) == 100
    store.void_sale(sale)
    assert sale.status == "VOIDED"
    assert level(store) == 100


def test_every_status_word_has_its_state_and_attribute() -> None:
    for status, (state, attribute) in STATUSES.items():
        assert legacy_status(state, [attribute] if attribute else []) == status
    assert legacy_status("pending", ["onaccount", "delivery"]) == "AWAITING_DISPATCH"
    assert legacy_status("teleported", []) == "TELEPORTED"


def test_stock_follows_every_later_change(store: VendStore) -> None:
    sale = store.add_sale(lines=[(store.products[0], 2)], status="LAYBY")
    store.update_sale(sale, status="LAYBY_CLOSED")
    assert level(store) == 98
    store.update_sale(sale, lines=[(store.products[0], 5)])
    assert level(store) == 95
    store.update_sale(sale, lines=[(store.products[0], 5), {"product": store.products[0], "status": "VOIDED"}])
    assert level(store) == 95


def test_what_is_not_tracked_does_not_move(store: VendStore) -> None:
    card = store.add_product(sku="GC", name="Gift Card", price=50, kind="gift_card")
    service = store.add_product(sku="SVC", tracked=False)
    store.add_sale(lines=[{"product": card, "gift_card_number": "GC-1"}, (service, 1)], discount=10)
    assert store.level(card, store.outlets[0]) == store.level(service, store.outlets[0]) == 0


def test_a_composite_takes_its_components(store: VendStore) -> None:
    parts = {store.products[0].id: 2, store.products[1].id: 1}
    box = store.add_product(sku="BOX", kind="composite", components=parts)
    store.add_sale(lines=[(box, 3)])
    assert level(store) == 94
    assert store.level(store.products[1], store.outlets[0]) == 97


def test_generated_sales_are_history(store: VendStore) -> None:
    store.generate_sales(20, lines_per_sale=3)
    assert level(store) == 100
    assert all(len(sale.line_items) == 3 and sale.status == "CLOSED" for sale in store.sales)
    assert all(abs(sale.total_paid - sale.total_price_incl) <= Decimal("0.005") for sale in store.sales)
    sale = next(sale for sale in store.sales if sale.outlet_id == store.outlets[0].id)
    line = sale.line_items[0]
    store.void_sale(sale)
    assert store.level(line.product_id, sale.outlet_id) == 100 + line.quantity


# Amounts


def test_totals_are_the_sum_of_the_lines(store: VendStore) -> None:
    product = store.add_product(sku="TEN", price=10)
    sale = store.add_sale(
        lines=[(product, 2), {"product": product, "discount": 4}, {"product": product, "status": "VOIDED"}]
    )
    assert (sale.total_price, sale.total_tax, sale.total_paid) == (26, Decimal("3.9"), Decimal("29.90"))
    assert sum(sale.tax_rows().values()) == sale.total_tax


def test_a_sale_level_discount_is_a_line_of_the_discount_product(caller: Caller, store: VendStore) -> None:
    product = store.add_product(sku="TEN", price=10)
    sale = store.add_sale(lines=[(product, 3)], discount=Decimal("5"))
    shown = caller.data("GET", f"sales/{sale.id}")
    discount = shown["line_items"][-1]
    assert discount["product"]["id"] == caller.data("GET", "retailer")["discount_product_id"]
    assert (discount["quantity"], discount["pricing"]["price"]) == (-1, 5)
    assert discount["tax"]["total"] == Decimal("-0.75")
    assert discount["return"]["is_return"] is False
    assert shown["totals"]["price_incl_tax"] == Decimal("28.75")
    assert shown["return"]["is_return"] is False


def test_fees_and_charges_are_contained_in_the_price(caller: Caller, store: VendStore) -> None:
    charge = {
        "name": "Shipping",
        "source_id": "s1",
        "total": 8,
        "total_tax": Decimal("1.2"),
        "total_incl": Decimal("9.2"),
    }
    sale = store.add_sale(
        lines=[{"product": store.products[0], "price": 20, "tax": 3}],
        adjustments=[
            {"name": "Card fee", "value": Decimal("0.5"), "adjustment_type": "NON_CASH_FEE", "tax_components": []}
        ],
        ecom_custom_charges=[charge | {"tax_components": []}],
    )
    assert (sale.total_price, sale.total_tax) == (Decimal("28.5"), Decimal("4.2"))
    assert caller.data("GET", f"sales/{sale.id}")["ecom_custom_charges"][0]["total_incl"] == Decimal("9.2")
    caller.family = "2.0"
    assert caller.data("GET", f"sales/{sale.id}")["ecom_custom_charges"]["total"] == 8


def test_totals_can_be_stated_against_the_lines(caller: Caller, store: VendStore) -> None:
    sale = store.add_sale(lines=[(store.products[0], 1)], total_price="1.01", total_tax=0, payments=[])
    totals = caller.data("GET", f"sales/{sale.id}")["totals"]
    assert (totals["price"], totals["tax"], totals["price_incl_tax"]) == (Decimal("1.01"), 0, Decimal("1.01"))


@pytest.mark.parametrize(("status", "payments"), [("CLOSED", 1), ("SAVED", 0), ("ONACCOUNT", 0), ("LAYBY", 0)])
def test_finished_sales_are_paid_in_full(store: VendStore, status: str, payments: int) -> None:
    assert len(store.add_sale(lines=[(store.products[0], 1)], status=status).payments) == payments


def test_payments_can_be_named(caller: Caller, store: VendStore) -> None:
    sale = store.add_sale(
        lines=[(store.products[0], 1)], payments=[{"amount": 5, "name": "Gift Card"}, {"amount": 2, "name": "Bitcoin"}]
    )
    shown = caller.data("GET", f"sales/{sale.id}")["payments"]
    assert [(payment["type"]["name"], payment["type"]["id"]) for payment in shown] == [
        ("Gift Card", "118"),
        ("Bitcoin", "2"),
    ]


def test_customers_of_sales(caller: Caller, store: VendStore) -> None:
    walk_in = caller.data("GET", f"customers/{store.add_sale(lines=[]).customer_id}")
    assert (walk_in["customer_code"], walk_in["first_name"]) == ("WALKIN", None)
    assert store.add_sale(lines=[], customer_id=None).customer_id is None
    unnamed = store.add_customer(email="x@example.com")
    assert unnamed.customer_code.startswith("UNNAMED-")
    assert store.add_sale(lines=[], customer=unnamed).customer_id == unnamed.id


def test_overrides_and_mistakes(store: VendStore) -> None:
    sale = store.add_sale("Lambton Quay", [], state="teleported", invoice_number="X-1", date="2026-03-01T10:00:00Z")
    assert (sale.outlet_id, sale.status, sale.receipt_number) == (store.outlets[1].id, "TELEPORTED", "X-1")
    assert sale.sale_date.isoformat() == "2026-03-01T10:00:00+00:00"
    assert sale["invoice_number"] == "X-1"
    with pytest.raises(TypeError, match="colour"):
        store.add_sale(lines=[], colour="red")
    with pytest.raises(TypeError, match="colour"):
        store.add_sale(lines=[{"product": store.products[0], "colour": "red"}])
    with pytest.raises(ValueError, match="SHINY"):
        store.add_sale(lines=[], status="SHINY")


def test_invoice_numbers_count_per_register(store: VendStore) -> None:
    numbers = [store.add_sale(outlet, []).invoice_number for outlet in (*store.outlets, store.outlets[0])]
    assert numbers == ["MO-1001", "LQ-1001", "MO-1002"]


# Returns


def test_a_return_over_the_api_is_parked_and_negative(caller: Caller, store: VendStore) -> None:
    sale = store.add_sale(lines=[(store.products[0], 3), (store.products[1], 1)])
    back = caller.data("POST", f"sales/{sale.id}/actions/return")
    assert (back["state"], back["return"]["original_sale_id"], back["payments"]) == ("parked", sale.id, [])
    assert [line["quantity"] for line in back["line_items"]] == [-3, -1]
    assert all(line["return"]["is_return"] and line["pricing"]["price"] > 0 for line in back["line_items"])
    assert back["totals"]["price_incl_tax"] < 0
    assert level(store) == 97
    assert caller.data("GET", f"sales/{sale.id}")["return"]["return_sale_ids"] == [back["id"]]


def test_starting_a_return_voids_other_parked_ones_since_2026_07(caller: Caller, store: VendStore) -> None:
    sale = store.add_sale(lines=[(store.products[0], 3)])
    caller.family = "2026-04"
    first, second = (caller.data("POST", f"sales/{sale.id}/actions/return")["id"] for _ in range(2))
    assert [store.sale(back).state for back in (first, second)] == ["parked", "parked"]
    caller.family = "2026-07"
    caller.data("POST", f"sales/{sale.id}/actions/return")
    assert [store.sale(back).state for back in (first, second)] == ["voided", "voided"]


def test_2_0_starts_a_return_with_put(caller: Caller, store: VendStore) -> None:
    sale = store.add_sale(lines=[(store.products[0], 3)])
    caller.family = "2.0"
    back = caller.data("PUT", f"sales/{sale.id}/actions/return")
    assert (back["status"], back["return_for"]) == ("SAVED", sale.id)


def test_only_closed_sales_can_be_returned(caller: Caller, store: VendStore) -> None:
    sale = store.add_sale(lines=[(store.products[0], 3)], status="SAVED")
    caller.json("POST", f"sales/{sale.id}/actions/return", status=422)


@pytest.mark.parametrize(("restock", "left"), [(True, 98), (False, 97)])
def test_a_finished_return_pays_back_and_restocks(store: VendStore, restock: bool, left: int) -> None:
    sale = store.add_sale(lines=[(store.products[0], 3), (store.products[1], 1)])
    before = sale.version
    back = store.return_sale(sale, lines=[(store.products[0], 1)], restock=restock)
    assert back.status == "CLOSED"
    assert [line.quantity for line in back.line_items] == [-1]
    assert back.total_paid == -(store.products[0].price_including_tax)
    assert level(store) == left
    assert sale.version > before
    store.void_sale(back)
    assert level(store) == 97


def test_a_return_takes_from_the_first_lines(store: VendStore) -> None:
    product, other = store.products[:2]
    sale = store.add_sale(lines=[(product, 2), (other, 1), (product, 3)])
    back = store.return_sale(sale, lines=[(product, 4)])
    assert [(line.product_id, line.quantity) for line in back.line_items] == [(product.id, -2), (product.id, -2)]
    assert level(store) == 99


def test_an_exchange_takes_one_and_gives_another(store: VendStore) -> None:
    given, taken = store.products[:2]
    sale = store.add_sale(lines=[{"product": given, "quantity": -1, "is_return": True}, (taken, 1)])
    assert sale.is_return
    assert store.level(given, store.outlets[0]) == 101
    assert store.level(taken, store.outlets[0]) == 99


# Over the API


def dated_body(store: VendStore, state: str = "closed", **fields: Any) -> dict[str, Any]:
    line = {
        "product": {"id": store.products[0].id},
        "quantity": 2,
        "pricing": {"price": 10, "discount": 1},
        "tax": {"id": store.default_tax.id, "amount": 1.5},
    }
    payment = {"amount": 23, "type": {"config_id": store.payment_type("Cash").id}}
    source = {"author_id": store.primary_user.id, "register_id": store.registers[1].id, "type": "IMHUB", "id": "e-1"}
    return {"source": source, "state": state, "line_items": [line], "payments": [payment]} | fields


def test_a_sale_is_created_in_the_outlet_of_its_register(caller: Caller, store: VendStore) -> None:
    sale = caller.data("POST", "sales", dated_body(store))
    assert sale["source"]["outlet_id"] == store.outlets[1].id
    assert (sale["source"]["type"], sale["source"]["id"]) == ("IMHUB", "e-1")
    assert sale["totals"]["price_incl_tax"] == sale["payments"][0]["amount"] == 23
    assert sale["line_items"][0]["pricing"]["discount_total"] == 2
    assert store.level(store.products[0], store.outlets[1]) == 98


def test_the_same_id_is_not_sold_twice(caller: Caller, store: VendStore) -> None:
    sale_id = "11111111-2222-1333-8444-555555555555"
    first = caller.data("POST", "sales", dated_body(store, id=sale_id))
    second = caller.data("POST", "sales", dated_body(store, id=sale_id, note="again"))
    assert first == second
    assert store.level(store.products[0], store.outlets[1]) == 98


def test_2026_01_answers_less(caller: Caller, store: VendStore) -> None:
    caller.family = "2026-01"
    answer = caller.json("POST", "sales", dated_body(store, state="pending"))
    assert set(answer["data"]) == {"id"}
    assert caller.json("PUT", f"sales/{answer['data']['id']}", dated_body(store), status=204) is None
    assert store.sale(answer["data"]["id"]).state == "closed"
    caller.sandbox.reset_calls()


@pytest.mark.parametrize("value", ["2.63158", "0.1", "19.99", "1234567.89"])
def test_prices_come_back_exactly(caller: Caller, store: VendStore, value: str) -> None:
    body = dated_body(store)
    body["line_items"][0]["pricing"] = {"price": 0}
    text = caller.send("POST", "sales", None, data=str(body).replace("'", '"').replace('"price": 0', f'"price": {value}'),
                       headers={"Content-Type": "application/json"}).text  # fmt: skip
    assert f'"price":{value}' in text


@pytest.mark.parametrize(
    ("change", "status"),
    [
        ({"state": "shiny"}, 400),
        ({"state": None}, 400),
        ({"source": {}}, 400),
        ({"attributes": ["onaccount", "layby"]}, 400),
        ({"attributes": ["pickup", "delivery"]}, 400),
        ({"line_items": [{"quantity": 1}]}, 400),
        ({"payments": [{"amount": 1}]}, 400),
        ({"customer_id": "11111111-2222-1333-8444-555555555555"}, 422),
        ({"line_items": 5}, 400),
    ],
)
def test_what_cannot_be_sold_is_refused(caller: Caller, store: VendStore, change: dict[str, Any], status: int) -> None:
    before = len(store.sales)
    answer = caller.json("POST", "sales", dated_body(store) | change, status=status)
    assert answer["errors"]["global"]
    assert len(store.sales) == before


def test_closed_sales_can_only_be_voided(caller: Caller, store: VendStore) -> None:
    sale = caller.data("POST", "sales", dated_body(store))
    caller.json("PUT", f"sales/{sale['id']}", dated_body(store, note="later"), status=422)
    voided = caller.data("PUT", f"sales/{sale['id']}", dated_body(store, state="voided"))
    assert voided["state"] == "voided"
    assert store.level(store.products[0], store.outlets[1]) == 100
    caller.json("PUT", f"sales/{sale['id']}", dated_body(store), status=422)


def test_an_update_replaces_lines_and_keeps_what_it_leaves_out(caller: Caller, store: VendStore) -> None:
    sale = caller.data("POST", "sales", dated_body(store, state="parked"))
    source = dated_body(store)["source"]
    kept = caller.data("PUT", f"sales/{sale['id']}", {"source": source, "state": "pending", "note": "soon"})
    assert (kept["note"], len(kept["line_items"]), len(kept["payments"])) == ("soon", 1, 1)
    emptied = caller.data("PUT", f"sales/{sale['id']}", {"source": source, "state": "pending", "line_items": []})
    assert emptied["line_items"] == []
    assert emptied["_metadata"]["version"] > kept["_metadata"]["version"] > sale["_metadata"]["version"]


def test_discounts_of_the_request_become_amounts(caller: Caller, store: VendStore) -> None:
    body = dated_body(store)
    body["line_items"][0]["pricing"] = {
        "price": 10,
        "adjustments": [
            {"type": "DISCOUNT", "target": {"method": "SINGLE"}, "amount": {"type": "PERCENT", "value": "10"}}
        ],
    }
    body["pricing"] = {"adjustments": [{"type": "NON_CASH_FEE", "amount": {"type": "FIXED", "value": "0.30"}}]}
    sale = caller.data("POST", "sales", body)
    assert sale["line_items"][0]["pricing"]["price"] == 9
    assert sale["line_items"][0]["pricing"]["discount"] == 1
    assert sale["adjustments"][0]["total"] == Decimal("0.30")
    assert sale["totals"]["price"] == Decimal("18.30")


def register_body(store: VendStore, status: str = "CLOSED", **fields: Any) -> dict[str, Any]:
    register = store.registers[0]
    line = {"product_id": store.products[0].id, "quantity": 1, "price": 22, "tax": 3.3, "tax_id": store.default_tax.id}
    payment = {
        "register_id": register.id,
        "retailer_payment_type_id": store.payment_type("Cash").id,
        "payment_date": "2026-10-02 09:15:00",
        "amount": 25.3,
    }
    return {
        "register_id": register.id,
        "user_id": store.primary_user.id,
        "status": status,
        "sale_date": "2026-10-02 09:15:00",
        "register_sale_products": [line | {"attributes": [{"name": "line_note", "value": "gift wrap"}]}],
        "register_sale_payments": [payment],
    } | fields


def test_register_sales_of_0_9(caller: Caller, store: VendStore) -> None:
    made = caller.json("POST", "/api/register_sales", register_body(store))["register_sale"]
    assert (made["status"], made["sale_date"]) == ("CLOSED", "2026-10-02 09:15:00")
    assert made["totals"] == {
        "total_price": 22, "total_tax": Decimal("3.3"), "total_payment": Decimal("25.3"), "total_to_pay": 0,
    }  # fmt: skip
    assert made["register_sale_products"][0]["sequence"] == "0"
    assert made["register_sale_products"][0]["attributes"] == [{"name": "line_note", "value": "gift wrap"}]
    assert level(store) == 99
    (shown,) = caller.json("GET", f"/api/register_sales/{made['id']}")["register_sales"]
    assert shown == made
    listed = caller.json("GET", "/api/register_sales", params={"page_size": 1})
    assert listed["pagination"] == {"results": 1, "page": 1, "page_size": 1, "pages": 1}


def test_voiding_and_updating_the_0_9_way(caller: Caller, store: VendStore) -> None:
    made = caller.json("POST", "/api/register_sales", register_body(store, "SAVED"))["register_sale"]
    changed = register_body(store, "SAVED", id=made["id"], register_sale_payments=[])
    assert caller.json("POST", "/api/register_sales", changed)["register_sale"]["register_sale_payments"] == []
    assert len(store.sales) == 1
    void = register_body(store, "VOIDED", id=made["id"])
    assert caller.json("POST", "/api/register_sales", void)["register_sale"]["status"] == "VOIDED"
    caller.json("POST", "/api/register_sales", {"status": "CLOSED"}, status=400)
    caller.json("POST", "/api/register_sales", register_body(store, "SHINY"), status=400)
