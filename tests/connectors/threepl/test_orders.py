"""Orders to 3PL Warehouse Manager: sent once, cancelled, changed."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest
from msgspec import structs

from connectors.errors import AuthenticationFailed, OutcomeUnknown, PermissionMissing, RemoteUnavailable
from connectors.records import Address, OutboundCancellation, OutboundOrderChange
from connectors.threepl.connector import ThreePLConnector
from connectors.threepl.sandbox import ThreePLSandbox
from tests.connectors.threepl.conftest import Connect
from tests.factories import make_outbound

LINES = (("ITEM-001", "2"), ("ITEM-002", "0.5"))


def cancellation(reference: str, remote_id: str = "") -> OutboundCancellation:
    return OutboundCancellation(reference=reference, remote_id=remote_id, reason="The customer changed her mind")


def change_of(order: Any, remote_id: str = "", number: int = 1) -> OutboundOrderChange:
    return OutboundOrderChange(reference=f"{order.reference}/{number}", remote_id=remote_id, order=order)


def items_of(sandbox: ThreePLSandbox, reference: str) -> dict[str, Any]:
    items = sandbox.store.order_of(reference)["orderItems"]
    return {item["itemIdentifier"]["sku"]: item["qty"] for item in items}


# Sending


def test_an_order_arrives_with_everything_the_warehouse_needs(
    sandbox: ThreePLSandbox, warehouse: ThreePLConnector
) -> None:
    address = Address(
        name="Ada Lovelace", company="Engines", street1="1 Queen St", street2="Apt 2", suburb="Ponsonby", city="Auckland",
        state="AUK", postcode="1010", country="NZ", phone="555", email="ada@example.com",
    )  # fmt: skip
    order = make_outbound(
        "WEB-1001-aa", LINES, number="WEB-1001", ship_to=address, bill_to=address, note="Ring twice", location_id="2"
    )
    [result] = warehouse.send_orders([order])
    stored = sandbox.store.order_of("WEB-1001-aa")
    assert (result.ok, result.remote_id) == (True, str(stored["readOnly"]["orderId"]))
    assert stored["poNum"] == "WEB-1001"
    assert stored["notes"] == "Ring twice"
    assert stored["readOnly"]["facilityIdentifier"]["id"] == 2
    assert stored["shipTo"] == {
        "companyName": "Engines",
        "name": "Ada Lovelace",
        "address1": "1 Queen St",
        "address2": "Apt 2, Ponsonby",
        "city": "Auckland",
        "state": "AUK",
        "zip": "1010",
        "country": "NZ",
        "phoneNumber": "555",
        "emailAddress": "ada@example.com",
    }
    assert stored["soldTo"] == stored["shipTo"]
    assert items_of(sandbox, "WEB-1001-aa") == {"ITEM-001": 2, "ITEM-002": Decimal("0.5")}
    assert [item["externalId"] for item in stored["orderItems"]] == ["line-1", "line-2"]
    assert stored["savedElements"] == [{"name": "CartName", "value": "Queen Street"}]


@pytest.mark.parametrize(
    ("ship_method", "routing"),
    [
        ("", {"carrier": "FedEx", "mode": "Ground", "scacCode": "FDEG"}),
        ("UPS: Next Day Air", {"carrier": "UPS", "mode": "Next Day Air"}),
        ("Express", {"carrier": "FedEx", "mode": "Express"}),
    ],
)
def test_the_ship_method_becomes_carrier_and_service(
    sandbox: ThreePLSandbox, connect: Connect, ship_method: str, routing: dict[str, str]
) -> None:
    warehouse = connect(carrier="FedEx", mode="Ground", scac_code="FDEG")
    [result] = warehouse.send_orders([make_outbound("A", LINES, ship_method=ship_method)])
    assert result.ok
    assert sandbox.store.order_of("A")["routingInfo"] == {"trackingNumber": None, **routing}


def test_an_order_that_arrived_without_an_answer_is_found(sandbox: ThreePLSandbox, warehouse: ThreePLConnector) -> None:
    sandbox.fail(match="POST /orders", fault="answer_lost")
    order = make_outbound("A", LINES)
    with pytest.raises(OutcomeUnknown):
        warehouse.send_orders([order])
    found = warehouse.find_sent("A")
    assert found == str(sandbox.store.order_of("A")["readOnly"]["orderId"])
    assert warehouse.find_sent("never-sent") is None


@pytest.mark.parametrize("fault", ["html", "cut_body", "never_received"])
def test_an_answer_that_says_nothing_leaves_the_outcome_open(
    sandbox: ThreePLSandbox, warehouse: ThreePLConnector, fault: str
) -> None:
    sandbox.fail(match="POST /orders", fault=fault)
    with pytest.raises(OutcomeUnknown):
        warehouse.send_orders([make_outbound("A", LINES)])


def test_sending_twice_is_sending_once(sandbox: ThreePLSandbox, warehouse: ThreePLConnector) -> None:
    order = make_outbound("A", LINES)
    [first] = warehouse.send_orders([order])
    [second] = warehouse.send_orders([order])
    assert first == second
    assert len(sandbox.store.orders) == 1


@pytest.mark.parametrize(
    "reference", ["a;b", "a,b==c", "100% (sure)", "a*", "ä + ö", "a'b\"c", "a&b=c", "a%3Bb", "A\\b"]
)
def test_a_reference_of_any_characters_is_found_again(
    sandbox: ThreePLSandbox, warehouse: ThreePLConnector, reference: str
) -> None:
    for other in (reference, f"{reference}x", "ax", "a"):
        warehouse.send_orders([make_outbound(other, LINES)])
    assert warehouse.find_sent(reference) == str(sandbox.store.order_of(reference)["readOnly"]["orderId"])


def test_an_unknown_sku_is_refused_with_what_to_do(warehouse: ThreePLConnector) -> None:
    [result] = warehouse.send_orders([make_outbound("A", (("HAT", "1"),))])
    assert not result.ok
    assert "HAT" in result.reason
    assert "Add the item" in result.fix


def test_a_refusal_keeps_the_words_of_the_warehouse(sandbox: ThreePLSandbox, warehouse: ThreePLConnector) -> None:
    sandbox.store.facilities.pop(2)
    [result] = warehouse.send_orders([make_outbound("A", LINES, location_id="2")])
    assert not result.ok
    assert "DoesNotExist (FacilityIdentifier 2)" in result.reason


def test_a_location_that_is_no_facility_is_refused(sandbox: ThreePLSandbox, warehouse: ThreePLConnector) -> None:
    [result] = warehouse.send_orders([make_outbound("A", LINES, location_id="loc-7")])
    assert (result.ok, "loc-7" in result.reason) == (False, True)
    assert sandbox.count("POST /orders") == 0


@pytest.mark.parametrize(("status", "error"), [(401, AuthenticationFailed), (403, PermissionMissing)])
def test_missing_access_is_told(
    sandbox: ThreePLSandbox, warehouse: ThreePLConnector, status: int, error: type[Exception]
) -> None:
    sandbox.fail(match="POST /orders", status=status, times=None)
    with pytest.raises(error):
        warehouse.send_orders([make_outbound("A", LINES)])


def test_a_missing_role_names_the_role(sandbox: ThreePLSandbox, warehouse: ThreePLConnector) -> None:
    sandbox.roles = sandbox.roles - {"OrderWrite"}
    with pytest.raises(PermissionMissing, match="OrderWrite") as told:
        warehouse.send_orders([make_outbound("A", LINES)])
    assert "roles" in told.value.fix


# Cancelling


def test_an_order_is_cancelled_once(sandbox: ThreePLSandbox, warehouse: ThreePLConnector) -> None:
    [sent] = warehouse.send_orders([make_outbound("A", LINES)])
    assert warehouse.cancel_order(cancellation("A", sent.remote_id)).ok
    assert warehouse.cancel_order(cancellation("A")).ok
    facts = sandbox.store.order_of("A")["readOnly"]
    assert (facts["status"], facts["cancelReason"]) == (2, "The customer changed her mind")
    assert sandbox.count("POST /orders/{id}/canceler") == 1


def test_a_shipped_order_is_not_cancelled(sandbox: ThreePLSandbox, warehouse: ThreePLConnector) -> None:
    [sent] = warehouse.send_orders([make_outbound("A", LINES)])
    sandbox.store.close("A")
    result = warehouse.cancel_order(cancellation("A", sent.remote_id))
    assert (result.ok, "was shipped" in result.reason) == (False, True)


def test_an_order_that_is_not_there_is_not_cancelled(warehouse: ThreePLConnector) -> None:
    for remote_id in ("", "4711"):
        result = warehouse.cancel_order(cancellation("A", remote_id))
        assert (result.ok, "has no order" in result.reason) == (False, True)


def test_an_order_that_changed_in_between_is_read_again(sandbox: ThreePLSandbox, warehouse: ThreePLConnector) -> None:
    [sent] = warehouse.send_orders([make_outbound("A", LINES)])
    sandbox.fail(match="POST /orders/{id}/canceler", status=412)
    assert warehouse.cancel_order(cancellation("A", sent.remote_id)).ok
    assert sandbox.count("GET /orders/{id}") == 2
    assert sandbox.store.order_of("A")["readOnly"]["status"] == 2


def test_an_order_that_never_stands_still_is_tried_later(sandbox: ThreePLSandbox, warehouse: ThreePLConnector) -> None:
    [sent] = warehouse.send_orders([make_outbound("A", LINES)])
    sandbox.fail(match="POST /orders/{id}/canceler", status=412, times=None)
    with pytest.raises(RemoteUnavailable, match="keeps changing"):
        warehouse.cancel_order(cancellation("A", sent.remote_id))


def test_the_version_that_was_read_is_sent_back(sandbox: ThreePLSandbox, warehouse: ThreePLConnector) -> None:
    [sent] = warehouse.send_orders([make_outbound("A", LINES)])
    sandbox.store.allocate("A")
    warehouse.cancel_order(cancellation("A", sent.remote_id))
    call = next(call for call in sandbox.calls if call.template == "/orders/{id}/canceler")
    assert call.headers.get("if-match") == '"2"'


# Changing


def test_lines_address_note_and_ship_method_are_changed(sandbox: ThreePLSandbox, warehouse: ThreePLConnector) -> None:
    order = make_outbound("A", LINES)
    [sent] = warehouse.send_orders([order])
    stored = sandbox.store.order_of("A")
    stored["shippingNotes"] = "Dock 4"
    kept = stored["orderItems"][0]["readOnly"]["orderItemId"]
    wanted = replace(
        make_outbound("A", (("ITEM-001", "3"), ("ITEM-003", "1"))),
        ship_to=structs.replace(order.ship_to, street1="2 King Street", city="Wellington"),
        note="Leave it at the door",
        ship_method="UPS: Ground",
    )
    assert warehouse.change_order(change_of(wanted, sent.remote_id)).ok
    stored = sandbox.store.order_of("A")
    assert items_of(sandbox, "A") == {"ITEM-001": 3, "ITEM-003": 1}
    assert stored["orderItems"][0]["readOnly"]["orderItemId"] == kept
    assert (stored["shipTo"]["address1"], stored["shipTo"]["city"]) == ("2 King Street", "Wellington")
    assert (stored["notes"], stored["shippingNotes"]) == ("Leave it at the door", "Dock 4")
    assert (stored["routingInfo"]["carrier"], stored["routingInfo"]["mode"]) == ("UPS", "Ground")
    assert stored["savedElements"] == [{"name": "CartName", "value": "Queen Street"}]


def test_a_change_that_was_made_before_writes_nothing(sandbox: ThreePLSandbox, warehouse: ThreePLConnector) -> None:
    order = make_outbound("A", LINES)
    warehouse.send_orders([order])
    wanted = replace(order, note="Ring")
    assert warehouse.change_order(change_of(wanted)).ok
    assert warehouse.change_order(change_of(wanted)).ok
    assert sandbox.count("PUT /orders/{id}") == 1


@pytest.mark.parametrize("state", ["close", "cancel", "pick"])
def test_an_order_that_is_past_changing_is_refused(
    sandbox: ThreePLSandbox, warehouse: ThreePLConnector, state: str
) -> None:
    order = make_outbound("A", LINES)
    warehouse.send_orders([order])
    if state == "cancel":
        sandbox.store.cancel_order(sandbox.store.order_of("A"), "")
    else:
        getattr(sandbox.store, state)("A")
    result = warehouse.change_order(change_of(replace(order, note="Ring")))
    assert not result.ok
    assert {"close": "shipped", "cancel": "cancelled", "pick": "picked"}[state] in result.reason
    assert sandbox.count("PUT /orders/{id}") == 0


def test_a_warehouse_that_keeps_the_old_lines_is_found_out(
    sandbox: ThreePLSandbox, warehouse: ThreePLConnector
) -> None:
    sandbox.store.keeps_lines = True
    warehouse.send_orders([make_outbound("A", LINES)])
    result = warehouse.change_order(change_of(make_outbound("A", (("ITEM-001", "9"),))))
    assert (result.ok, "kept the old lines" in result.reason) == (False, True)


def test_a_change_meets_somebody_elses(sandbox: ThreePLSandbox, warehouse: ThreePLConnector) -> None:
    order = make_outbound("A", LINES)
    warehouse.send_orders([order])
    sandbox.fail(match="PUT /orders/{id}", status=412)
    assert warehouse.change_order(change_of(replace(order, note="Ring"))).ok
    assert sandbox.store.order_of("A")["notes"] == "Ring"


def test_a_refused_change_says_why(sandbox: ThreePLSandbox, warehouse: ThreePLConnector) -> None:
    warehouse.send_orders([make_outbound("A", LINES)])
    result = warehouse.change_order(change_of(make_outbound("A", (("HAT", "1"),))))
    assert (result.ok, "HAT" in result.reason) == (False, True)
