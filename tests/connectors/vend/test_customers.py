"""Customers who are deleted, merged, or nobody in particular (vend.md section 3.12)."""

from typing import Any

import pytest

from connectors.records import CustomerRecord, OrderRecord
from connectors.vend import shapes
from connectors.vend.catalogue import customer_record
from connectors.vend.sandbox import VendSandbox
from tests.connectors.vend import payloads
from tests.connectors.vend.conftest import Connect
from tests.connectors.vend.payloads import as_json

CUSTOMERS = shapes.Reader(shapes.Customer)


def record(**changes: Any) -> CustomerRecord:
    return customer_record(CUSTOMERS.read(as_json(payloads.customer(**changes))))


def test_a_deleted_customer_keeps_its_data() -> None:
    found = record(deleted_at="2026-09-18T01:37:56Z")
    assert (found.deleted, found.merged_into) == (True, "")
    assert (found.display_name, found.email) == ("Anthony Stark", "tony@stark.example")
    assert found.ship_to == record().ship_to


@pytest.mark.parametrize(
    "told",
    [
        {"merged_into_id": "c2"},
        {"merged_into": "c2"},
        {"merged_into": {"id": "c2", "customer_code": "Ana"}},
        {"merged_to_id": "c2"},
        {"merged_customer_id": "c2"},
    ],
)
def test_a_merged_customer_names_its_survivor_in_any_form(told: dict[str, Any]) -> None:
    assert record(**told).merged_into == "c2"


@pytest.mark.parametrize("told", [{}, None, "", 0, False, [], payloads.CUSTOMER_ID, {"id": None}])
def test_anything_else_names_nobody(told: Any) -> None:
    assert record(merged_into_id=told).merged_into == ""


@pytest.mark.parametrize("code", ["WALKIN", "walkin", " WALKIN "])
def test_the_walk_in_customer(code: str) -> None:
    assert record(customer_code=code).is_walk_in
    assert not record(customer_code="WALKIN-2").is_walk_in


def test_a_merge_arrives_with_the_feed(sandbox: VendSandbox, connect: Connect) -> None:
    store = sandbox.store
    gone, survivor = store.customers[:2]
    connector = connect()
    *_, last = connector.read_customers("")
    store.merge_customers(gone, survivor)
    (page,) = connector.read_customers(last.cursor)
    (found,) = page.records
    assert (found.external_id, found.deleted, found.merged_into) == (gone["id"], True, survivor["id"])
    assert found.email == gone["email"]


# --- deliveries to them ----------------------------------------------------------------------------------------------


def delivery(sandbox: VendSandbox, customer: Any, owner: Any) -> None:
    store = sandbox.store
    address = store.add_address(
        owner, type="SHIPPING", address_line_1="9 Cuba St", city="Wellington", postcode="6011", country_code="NZ"
    )
    store.add_sale(
        lines=[(store.products[0], 1)],
        status="AWAITING_DISPATCH",
        customer=customer,
        ship_to_address_id=address["id"],
    )


def one_order(connect: Connect) -> OrderRecord:
    (page,) = connect(order_status="ALL_EXCEPT_VOIDED_SAVED").read_orders("")
    (found,) = page.records
    return found


@pytest.mark.parametrize("owner", ["gone", "survivor"])
def test_a_delivery_to_a_merged_customer_goes_to_the_survivor(
    sandbox: VendSandbox, connect: Connect, owner: str
) -> None:
    store = sandbox.store
    gone = store.add_customer(first_name="Old", last_name="Ana", email="old@example.com")
    middle = store.add_customer(first_name="Middle", last_name="Ana")
    survivor = store.add_customer(first_name="New", last_name="Ana", email="new@example.com")
    delivery(sandbox, gone, {"gone": gone, "survivor": survivor}[owner])
    store.merge_customers(gone, middle)
    store.merge_customers(middle, survivor)
    found = one_order(connect)
    assert found.ship_to is not None
    assert (found.ship_to.name, found.ship_to.email) == ("New Ana", "new@example.com")
    assert (found.ship_to.street1, found.customer_id, found.hold_reason) == ("9 Cuba St", gone["id"], "")


def test_merges_in_a_circle_and_into_nobody_end(sandbox: VendSandbox, connect: Connect) -> None:
    store = sandbox.store
    first, second = store.customers[:2]
    delivery(sandbox, first, first)
    store.merge_customers(first, second)
    store.merge_customers(second, first)
    assert one_order(connect).ship_to is not None
    second["merged_into_id"] = "nobody"
    found = one_order(connect)
    assert found.ship_to is not None
    assert found.ship_to.street1 == "9 Cuba St"
