"""Stock, items, facilities; adjustments and returns."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal

import pytest

from connectors.errors import ContractBroken, OutcomeUnknown
from connectors.records import (
    ConsignmentKind,
    LevelRecord,
    OutboundRefund,
    OutboundRefundLine,
    OutboundStockAdjustment,
    OutboundStockLine,
    ProductRecord,
)
from connectors.threepl import client
from connectors.threepl.connector import ThreePLConnector
from connectors.threepl.sandbox import ThreePLSandbox
from tests.connectors.threepl.conftest import Connect
from tests.factories import make_outbound

NOW = datetime(2026, 7, 1, 9, 30, tzinfo=UTC)


def levels(warehouse: ThreePLConnector) -> list[LevelRecord]:
    return [record for page in warehouse.read_levels("") for record in page.records]


def level(warehouse: ThreePLConnector, sku: str, location_id: str = "1") -> LevelRecord:
    [found] = [record for record in levels(warehouse) if (record.sku, record.location_id) == (sku, location_id)]
    return found


def products(warehouse: ThreePLConnector, cursor: str = "") -> tuple[dict[str, ProductRecord], str]:
    found: dict[str, ProductRecord] = {}
    for page in warehouse.read_products(cursor):
        found |= {record.sku: record for record in page.records}
        cursor = page.cursor
    return found, cursor


def adjustment(*lines: tuple[str, str], **values: str) -> OutboundStockAdjustment:
    return OutboundStockAdjustment(
        **{"reference": "adj-1", "number": "SA-7", "location_id": "1", "note": "Counted", **values},  # type: ignore[arg-type]
        kind=ConsignmentKind.COUNT,
        happened_at=NOW,
        cart_name="Queen Street",
        lines=tuple(
            OutboundStockLine(reference=f"line-{number}", sku=sku, name=sku, quantity=Decimal(quantity))
            for number, (sku, quantity) in enumerate(lines, 1)
        ),
    )


def refund(reference: str = "return-1", sku: str = "ITEM-001") -> OutboundRefund:
    return OutboundRefund(
        reference=reference,
        number="R-7",
        order_reference="A",
        order_number="WEB-1001",
        location_id="2",
        cart_name="Queen Street",
        placed_at=NOW,
        currency="NZD",
        amount=Decimal(20),
        tax=Decimal(0),
        customer_name="Ada Lovelace",
        reason="Too small",
        restock=False,
        lines=(OutboundRefundLine(reference="line-1", sku=sku, name=sku, quantity=Decimal("1.5")),),
    )


# Levels


def test_levels_are_told_for_each_facility(sandbox: ThreePLSandbox, warehouse: ThreePLConnector) -> None:
    sandbox.store.set_stock("ITEM-001", "12.5", 1)
    sandbox.store.set_stock("ITEM-001", "7", 2)
    assert level(warehouse, "ITEM-001").available == Decimal("12.5")
    assert level(warehouse, "ITEM-001", "2").available == 7


def test_what_orders_ask_for_cannot_be_sold_again(
    sandbox: ThreePLSandbox, warehouse: ThreePLConnector, connect: Connect
) -> None:
    warehouse.send_orders([make_outbound("A", (("ITEM-001", "3"),))])
    assert (level(warehouse, "ITEM-001").available, level(warehouse, "ITEM-001").on_hand) == (97, 100)
    assert level(connect(subtract_unallocated=False), "ITEM-001").available == 100
    sandbox.store.allocate("A")
    assert level(warehouse, "ITEM-001").available == 97
    sandbox.store.close("A")
    assert (level(warehouse, "ITEM-001").available, level(warehouse, "ITEM-001").on_hand) == (97, 97)


def test_stock_under_a_qualifier_or_on_hold_is_not_for_sale(
    sandbox: ThreePLSandbox, warehouse: ThreePLConnector
) -> None:
    sandbox.store.set_stock("ITEM-001", 5, qualifier="DAMAGED")
    sandbox.store.on_hold["ITEM-002", "", 1] = Decimal(40)
    [page] = list(warehouse.read_levels(""))
    assert level(warehouse, "ITEM-001").available == 100
    assert level(warehouse, "ITEM-002").available == 60
    assert page.skipped == 1


@pytest.mark.parametrize("sorted_lists", [True, False])
def test_levels_and_items_come_in_pages(
    sandbox: ThreePLSandbox, warehouse: ThreePLConnector, monkeypatch: pytest.MonkeyPatch, sorted_lists: bool
) -> None:
    monkeypatch.setattr(client, "STOCK_ROWS_PER_PAGE", 4)
    monkeypatch.setattr(client, "ITEMS_PER_PAGE", 4)
    sandbox.unfilterable = frozenset() if sorted_lists else frozenset({"stock", "items"})
    assert len(levels(warehouse)) == 6
    assert len(products(warehouse)[0]) == 6


def test_a_level_without_a_quantity_is_set_aside(sandbox: ThreePLSandbox, warehouse: ThreePLConnector) -> None:
    rows = sandbox.store.summaries()
    sandbox.store.summaries = lambda: [{**rows[0], "available": None}, {**rows[1], "available": "many"}, rows[2]]  # type: ignore[method-assign]
    [page] = list(warehouse.read_levels(""))
    assert ([record.sku for record in page.records], len(page.rejects)) == (["ITEM-003"], 2)


# Items and facilities


def test_items_become_products(sandbox: ThreePLSandbox, warehouse: ThreePLConnector) -> None:
    item = sandbox.store.add_item(85, "MUG", "Red mug", upc="036000291452", price=Decimal("12.50"), deactivated=True)
    mug = products(warehouse)[0]["MUG"]
    assert mug.external_id == str(item["itemId"])
    assert (mug.name, mug.barcode, mug.is_active) == ("Red mug", "036000291452", False)
    assert mug.prices == {"retail": Decimal("12.50")}
    assert mug.version > 0


def test_only_changed_items_are_read_again(sandbox: ThreePLSandbox, warehouse: ThreePLConnector) -> None:
    for item in sandbox.store.items.values():
        item["readOnly"]["lastModifiedDate"] = "2026-06-01T10:00:00"
    _, cursor = products(warehouse)
    sandbox.store.change_item("ITEM-004", description="New name")
    changed, later = products(warehouse, cursor)
    assert changed["ITEM-004"].name == "New name"
    assert products(warehouse, later)[0].keys() == {"ITEM-004"}


def test_items_are_read_again_in_full_where_changes_cannot_be_asked_for(
    sandbox: ThreePLSandbox, warehouse: ThreePLConnector
) -> None:
    sandbox.unfilterable = frozenset({"items"})
    _, cursor = products(warehouse)
    assert len(products(warehouse, cursor)[0]) == 6


def test_facilities_are_locations(sandbox: ThreePLSandbox, warehouse: ThreePLConnector) -> None:
    sandbox.store.facilities[2]["readOnly"]["deactivated"] = True
    places = warehouse.read_locations()
    assert [(place.external_id, place.name, place.is_active) for place in places] == [
        ("1", "East", True),
        ("2", "West", False),
    ]


@pytest.mark.parametrize(
    "row",
    [
        {"id": 9, "name": "North"},
        {"facilityId": 9, "name": "North"},
        {"readOnly": {"facilityId": 9}, "name": "North"},
        {"facilityIdentifier": {"id": 9, "name": "North"}},
    ],
)
def test_facilities_are_found_in_any_of_their_forms(
    sandbox: ThreePLSandbox, warehouse: ThreePLConnector, row: dict[str, object]
) -> None:
    sandbox.store.facilities = {9: row, 10: {"somethingElse": 1}}
    [place] = warehouse.read_locations()
    assert (place.external_id, place.name) == ("9", "North")


# Adjustments


def test_an_adjustment_moves_stock_both_ways(sandbox: ThreePLSandbox, warehouse: ThreePLConnector) -> None:
    result = warehouse.send_adjustment(adjustment(("ITEM-001", "-2.5"), ("ITEM-002", "4")))
    assert (result.ok, result.reason) == (True, "")
    assert (level(warehouse, "ITEM-001").available, level(warehouse, "ITEM-002").available) == (Decimal("97.5"), 104)
    [document] = sandbox.store.adjustments.values()
    assert document["notes"] == "Count, SA-7, Queen Street, Counted"
    assert warehouse.find_adjustment("adj-1") == result.remote_id


def test_an_adjustment_is_booked_once(sandbox: ThreePLSandbox, warehouse: ThreePLConnector) -> None:
    sandbox.fail(match="POST /inventory/adjustments", fault="answer_lost")
    with pytest.raises(OutcomeUnknown):
        warehouse.send_adjustment(adjustment(("ITEM-001", "-2")))
    found = warehouse.find_adjustment("adj-1")
    again = warehouse.send_adjustment(adjustment(("ITEM-001", "-2")))
    assert (again.ok, again.remote_id) == (True, found)
    assert level(warehouse, "ITEM-001").available == 98
    assert warehouse.find_adjustment("another") is None


def test_unknown_items_are_named_and_the_rest_is_booked(sandbox: ThreePLSandbox, warehouse: ThreePLConnector) -> None:
    result = warehouse.send_adjustment(adjustment(("HAT", "1"), ("ITEM-001", "1"), ("CAP", "1")))
    assert result.ok
    assert "HAT, CAP" in result.reason
    assert level(warehouse, "ITEM-001").available == 101


def test_an_adjustment_of_unknown_items_only_is_refused(sandbox: ThreePLSandbox, warehouse: ThreePLConnector) -> None:
    result = warehouse.send_adjustment(adjustment(("HAT", "1")))
    assert (result.ok, "HAT" in result.reason) == (False, True)
    assert sandbox.store.adjustments == {}


@pytest.mark.parametrize("spoiled", [adjustment(("ITEM-001", "-101")), adjustment(("ITEM-001", "1"), location_id="9")])
def test_an_adjustment_that_the_warehouse_refuses_changes_nothing(
    warehouse: ThreePLConnector, spoiled: OutboundStockAdjustment
) -> None:
    result = warehouse.send_adjustment(spoiled)
    assert not result.ok
    assert "refuses the adjustment" in result.reason
    assert level(warehouse, "ITEM-001").available == 100


# Returns


def test_a_return_is_announced_as_a_receiver(sandbox: ThreePLSandbox, warehouse: ThreePLConnector) -> None:
    result = warehouse.send_refund(refund())
    [receiver] = sandbox.store.receivers.values()
    assert (result.ok, result.remote_id) == (True, str(receiver["readOnly"]["receiverId"]))
    assert (receiver["referenceNum"], receiver["poNum"]) == ("return-1", "WEB-1001")
    assert receiver["facilityIdentifier"] == {"id": 2}
    assert (receiver["expectedDate"], receiver.get("arrivalDate")) == ("2026-07-01T09:30:00", None)
    assert receiver["receiveItems"][0]["qty"] == Decimal("1.5")
    assert "Too small" in receiver["notes"] and "Do not put back" in receiver["notes"]


def test_a_return_is_announced_once(sandbox: ThreePLSandbox, warehouse: ThreePLConnector) -> None:
    sandbox.fail(match="POST /inventory/receivers", fault="answer_lost")
    with pytest.raises(OutcomeUnknown):
        warehouse.send_refund(refund())
    found = warehouse.find_refund("return-1")
    assert warehouse.send_refund(refund()).remote_id == found
    assert len(sandbox.store.receivers) == 1
    assert warehouse.find_refund("return-2") is None


def test_a_return_of_an_unknown_item_is_refused(warehouse: ThreePLConnector) -> None:
    result = warehouse.send_refund(refund(sku="HAT"))
    assert (result.ok, "HAT" in result.reason) == (False, True)
    assert not warehouse.send_refund(replace(refund(), location_id="loc-4")).ok


# Answers that are none


@pytest.mark.parametrize("body", [b"<html></html>", b'{"a": 1}', b"[1", b'"text"', b""])
def test_an_answer_that_is_no_list_is_told(
    sandbox: ThreePLSandbox, warehouse: ThreePLConnector, body: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    from connectors.sandbox import Response

    monkeypatch.setattr(sandbox, "give_list", lambda *args: Response(body=body))
    with pytest.raises(ContractBroken):
        levels(warehouse)
