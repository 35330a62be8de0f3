"""Shipment Confirmation: whole and part shipments, conflicts, lost answers, both families (vend.md section 3.8)."""

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from connectors.errors import AuthenticationFailed, ConnectorError, OutcomeUnknown, RateLimited, RemoteUnavailable
from connectors.ports import ShipmentWriter
from connectors.records import OutboundShipment, ShipmentLineRecord
from connectors.vend.connector import VendConnector
from connectors.vend.fulfilment import MOST_CONFLICTS
from connectors.vend.sale_note import holds, tracking_line
from connectors.vend.sandbox import VendSandbox
from connectors.vend.sandbox_sale import Sale
from tests.connectors.vend.conftest import Connect

FULFIL = "POST /fulfillments/{id}/fulfill"
SHIPPED_AT = datetime(2026, 9, 19, tzinfo=UTC)


def shipment(sale: Sale, *quantities: Any, completes: bool = True, **facts: Any) -> OutboundShipment:
    """``quantities``: for the sale's lines, in their order; none: no lines, everything."""
    lines = tuple(
        ShipmentLineRecord(sku="x", quantity=Decimal(str(quantity)), line_reference=line.id)
        for line, quantity in zip(sale.line_items, quantities, strict=False)
    )
    return OutboundShipment(
        reference="s-1", order_id=sale.id, shipped_at=SHIPPED_AT, lines=lines, completes=completes, **facts
    )


@pytest.fixture
def waiting(sandbox: VendSandbox) -> Sale:
    """A paid sale of 3 + 1.5 that waits to be delivered."""
    store = sandbox.store
    return store.add_sale(
        lines=[(store.products[0], 3), (store.products[1], "1.5")],
        status="AWAITING_DISPATCH",
        customer=store.customers[0],
    )


def fulfilled(sale: Sale) -> list[Decimal]:
    return [line.fulfilled for line in sale.line_items]


def test_the_connector_has_the_port() -> None:
    assert issubclass(VendConnector, ShipmentWriter)


# --- whole shipments -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("version", ["2026-01", "2026-04", "2026-07", "2026-10", "2.0"])
@pytest.mark.parametrize(
    ("status", "after"), [("AWAITING_DISPATCH", "DISPATCHED_CLOSED"), ("AWAITING_PICKUP", "PICKED_UP_CLOSED")]
)
@pytest.mark.parametrize("quantities", [(), (3, "1.5")])
def test_a_whole_shipment_finishes_the_sale(
    sandbox: VendSandbox, connect: Connect, version: str, status: str, after: str, quantities: tuple[Any, ...]
) -> None:
    store = sandbox.store
    sale = store.add_sale(lines=[(store.products[0], 3), (store.products[1], "1.5")], status=status)
    stock = store.level(store.products[0], store.outlets[0])
    result = connect(api_version=version).confirm_shipment(shipment(sale, *quantities))
    assert (result.reference, result.ok, result.reason) == ("s-1", True, "")
    assert (sale.status, fulfilled(sale)) == (after, [3, Decimal("1.5")])
    assert store.level(store.products[0], store.outlets[0]) == stock - 3


@pytest.mark.parametrize("version", ["2026-07", "2.0"])
def test_confirming_again_changes_nothing(sandbox: VendSandbox, connect: Connect, waiting: Sale, version: str) -> None:
    connector = connect(api_version=version)
    assert connector.confirm_shipment(shipment(waiting)).ok
    before = waiting.version
    assert connector.confirm_shipment(shipment(waiting)).ok
    assert (waiting.version, fulfilled(waiting)) == (before, [3, Decimal("1.5")])


@pytest.mark.parametrize("version", ["2026-07", "2.0"])
def test_an_unpaid_sale_stays_open_and_is_confirmed_once(sandbox: VendSandbox, connect: Connect, version: str) -> None:
    store = sandbox.store
    sale = store.add_sale(lines=[(store.products[0], 2)], status="AWAITING_DISPATCH", payments=[1])
    connector = connect(api_version=version)
    assert connector.confirm_shipment(shipment(sale)).ok
    assert (sale.status, fulfilled(sale)) == ("AWAITING_DISPATCH", [2])
    before = sale.version
    assert connector.confirm_shipment(shipment(sale)).ok
    assert sale.version == before


@pytest.mark.parametrize("version", ["2026-07", "2.0"])
@pytest.mark.parametrize("status", ["CLOSED", "ONACCOUNT", "LAYBY", "OPEN", "SAVED", "SERVICE"])
def test_a_sale_of_the_till_has_nothing_to_confirm(
    sandbox: VendSandbox, connect: Connect, status: str, version: str
) -> None:
    sale = sandbox.store.add_sale(lines=[(sandbox.store.products[0], 1)], status=status)
    assert connect(api_version=version, tracking_in_note=True).confirm_shipment(shipment(sale, tracking_number="T")).ok
    assert sandbox.counts == {"GET /sales/{id}": 1}


def test_a_sale_that_vend_finished_itself_is_done(sandbox: VendSandbox, connect: Connect, waiting: Sale) -> None:
    sandbox.store.update_sale(waiting, status="DISPATCHED_CLOSED")
    assert connect().confirm_shipment(shipment(waiting)).ok
    assert sandbox.counts == {"GET /sales/{id}": 1}


@pytest.mark.parametrize(
    ("change", "words"), [({"state": "voided"}, "voided"), ({"state": "parked"}, "parked in Vend")]
)
def test_a_sale_that_cannot_be_confirmed_is_rejected(
    sandbox: VendSandbox, connect: Connect, waiting: Sale, change: dict[str, Any], words: str
) -> None:
    sandbox.store.update_sale(waiting, **change)
    result = connect().confirm_shipment(shipment(waiting))
    assert not result.ok
    assert words in result.reason
    assert result.fix
    assert sandbox.count("GET /fulfillments") == 0


@pytest.mark.parametrize("version", ["2026-07", "2.0"])
def test_an_unknown_sale_is_rejected(sandbox: VendSandbox, connect: Connect, waiting: Sale, version: str) -> None:
    unknown = OutboundShipment(reference="s-1", order_id="nowhere", shipped_at=SHIPPED_AT)
    result = connect(api_version=version).confirm_shipment(unknown)
    assert not result.ok
    assert "404" in result.reason


# --- part shipments --------------------------------------------------------------------------------------------------


def test_part_shipments_add_up(sandbox: VendSandbox, connect: Connect, waiting: Sale) -> None:
    connector = connect()
    assert connector.confirm_shipment(shipment(waiting, 1, completes=False)).ok
    assert (waiting.status, fulfilled(waiting)) == ("AWAITING_DISPATCH", [1, 0])
    assert connector.confirm_shipment(shipment(waiting, 0, "0.5", completes=False)).ok
    assert fulfilled(waiting) == [1, Decimal("0.5")]
    assert connector.confirm_shipment(shipment(waiting, 2, 1)).ok
    assert (waiting.status, fulfilled(waiting)) == ("DISPATCHED_CLOSED", [3, Decimal("1.5")])


def test_more_than_is_open_is_cut_to_what_is_open(sandbox: VendSandbox, connect: Connect, waiting: Sale) -> None:
    assert connect().confirm_shipment(shipment(waiting, 99, completes=False)).ok
    assert fulfilled(waiting) == [3, 0]


def test_the_same_line_in_two_parcels(sandbox: VendSandbox, connect: Connect, waiting: Sale) -> None:
    line = waiting.line_items[0].id
    rows = tuple(ShipmentLineRecord(sku="x", quantity=Decimal(1), line_reference=line) for _ in range(2))
    parcels = OutboundShipment(reference="s-1", order_id=waiting.id, shipped_at=SHIPPED_AT, lines=rows, completes=False)
    assert connect().confirm_shipment(parcels).ok
    assert fulfilled(waiting) == [2, 0]


def test_a_line_that_the_sale_does_not_have(sandbox: VendSandbox, connect: Connect, waiting: Sale) -> None:
    rows = (ShipmentLineRecord(sku="x", quantity=Decimal(1), line_reference="other"),)
    strange = OutboundShipment(reference="s-1", order_id=waiting.id, shipped_at=SHIPPED_AT, lines=rows)
    result = connect().confirm_shipment(strange)
    assert not result.ok
    assert "no line “other”" in result.reason
    assert sandbox.count(FULFIL) == 0


def test_2_0_waits_for_the_last_part(sandbox: VendSandbox, connect: Connect, waiting: Sale) -> None:
    connector = connect(api_version="2.0")
    result = connector.confirm_shipment(shipment(waiting, 1, completes=False))
    assert result.ok
    assert "whole sale" in result.reason
    assert fulfilled(waiting) == [0, 0]
    assert connector.confirm_shipment(shipment(waiting, 2, "1.5")).ok
    assert waiting.status == "DISPATCHED_CLOSED"


# --- conflicts, refusals, lost answers -------------------------------------------------------------------------------


def test_a_conflict_is_settled_on_the_fresh_version(sandbox: VendSandbox, connect: Connect, waiting: Sale) -> None:
    sandbox.fail(match=FULFIL, status=409, times=MOST_CONFLICTS - 1)
    assert connect().confirm_shipment(shipment(waiting, 1, completes=False)).ok
    assert fulfilled(waiting) == [1, 0]
    assert sandbox.count("GET /fulfillments") == MOST_CONFLICTS


def test_conflicts_without_end_are_left_for_later(sandbox: VendSandbox, connect: Connect, waiting: Sale) -> None:
    sandbox.fail(match=FULFIL, status=409, times=None)
    with pytest.raises(RemoteUnavailable, match="again and again"):
        connect().confirm_shipment(shipment(waiting))
    assert sandbox.count(FULFIL) == MOST_CONFLICTS


@pytest.mark.parametrize(("version", "path"), [("2026-07", FULFIL), ("2.0", "POST /sales/{id}/fulfill")])
def test_a_refusal_is_rejected_with_vends_reason(
    sandbox: VendSandbox, connect: Connect, waiting: Sale, version: str, path: str
) -> None:
    sandbox.fail(match=path, status=422, times=None)
    result = connect(api_version=version).confirm_shipment(shipment(waiting))
    assert not result.ok
    assert "422" in result.reason


@pytest.mark.parametrize("completes", [True, False])
@pytest.mark.parametrize("fault", ["answer_lost", "never_received", "html"])
def test_one_lost_answer_is_settled_at_once(
    sandbox: VendSandbox, connect: Connect, waiting: Sale, fault: str, completes: bool
) -> None:
    sandbox.fail(match=FULFIL, fault=fault)
    assert connect().confirm_shipment(shipment(waiting, 2, completes=completes)).ok
    assert fulfilled(waiting) == [2, 0]


def test_lost_answers_of_a_whole_shipment_may_be_asked_again(
    sandbox: VendSandbox, connect: Connect, waiting: Sale
) -> None:
    sandbox.fail(match=FULFIL, fault="answer_lost", times=2)
    connector = connect()
    with pytest.raises(OutcomeUnknown):
        connector.confirm_shipment(shipment(waiting, 3, "1.5"))
    assert connector.confirm_shipment(shipment(waiting, 3, "1.5")).ok
    assert fulfilled(waiting) == [3, Decimal("1.5")]


def test_lost_answers_of_a_part_shipment_are_left_to_a_person(
    sandbox: VendSandbox, connect: Connect, waiting: Sale
) -> None:
    sandbox.fail(match=FULFIL, fault="answer_lost", times=2)
    result = connect().confirm_shipment(shipment(waiting, 1, completes=False))
    assert not result.ok
    assert "not known" in result.reason
    assert "Open the sale in Vend" in result.fix


def test_a_limit_after_a_lost_answer_is_no_reason_to_confirm_a_part_twice(
    sandbox: VendSandbox, connect: Connect, waiting: Sale
) -> None:
    sandbox.fail(match=FULFIL, fault="answer_lost")
    sandbox.fail(match=FULFIL, status=429)
    result = connect().confirm_shipment(shipment(waiting, 1, completes=False))
    assert not result.ok


def test_lost_answer_of_2_0_may_be_asked_again(sandbox: VendSandbox, connect: Connect, waiting: Sale) -> None:
    sandbox.fail(match="POST /sales/{id}/fulfill", fault="answer_lost")
    connector = connect(api_version="2.0")
    with pytest.raises(OutcomeUnknown):
        connector.confirm_shipment(shipment(waiting))
    before = waiting.version
    assert connector.confirm_shipment(shipment(waiting)).ok
    assert waiting.version == before


@pytest.mark.parametrize(
    ("status", "error"), [(429, RateLimited), (401, AuthenticationFailed), (503, RemoteUnavailable)]
)
@pytest.mark.parametrize("path", ["GET /sales/{id}", "GET /fulfillments", FULFIL])
def test_trouble_that_passes_is_raised(
    sandbox: VendSandbox, connect: Connect, waiting: Sale, path: str, status: int, error: type[ConnectorError]
) -> None:
    sandbox.fail(match=path, status=status, times=2)
    with pytest.raises(error):
        connect().confirm_shipment(shipment(waiting, 1, completes=False))
    assert fulfilled(waiting) == [0, 0]


# --- the note --------------------------------------------------------------------------------------------------------

NOTED: dict[str, Any] = {
    "carrier": "NZ Post",
    "tracking_number": "AB123NZ",
    "tracking_url": "https://post.example/AB123NZ",
}
NOTE = "Shipped with NZ Post: AB123NZ https://post.example/AB123NZ"


@pytest.mark.parametrize("version", ["2026-01", "2026-07"])
def test_tracking_goes_into_the_note_once(sandbox: VendSandbox, connect: Connect, waiting: Sale, version: str) -> None:
    sandbox.store.update_sale(waiting, note="ring twice")
    before = [(line.id, line.price, line.tax, line.discount, line.quantity) for line in waiting.line_items]
    paid = [(payment.id, payment.amount) for payment in waiting.payments]
    connector = connect(api_version=version, tracking_in_note=True)
    sandbox.fail(match=FULFIL, status=503)
    with pytest.raises(RemoteUnavailable):
        connector.confirm_shipment(shipment(waiting, **NOTED))
    assert waiting.note == f"ring twice\n{NOTE}"
    result = connector.confirm_shipment(shipment(waiting, **NOTED))
    assert (result.ok, result.reason) == (True, "")
    assert waiting.note == f"ring twice\n{NOTE}"
    assert sandbox.count("PUT /sales/{id}") == 1
    assert waiting.status == "DISPATCHED_CLOSED"
    assert [(line.id, line.price, line.tax, line.discount, line.quantity) for line in waiting.line_items] == before
    assert [(payment.id, payment.amount) for payment in waiting.payments] == paid


def test_every_parcel_has_its_line_in_the_note(sandbox: VendSandbox, connect: Connect, waiting: Sale) -> None:
    connector = connect(tracking_in_note=True)
    assert connector.confirm_shipment(shipment(waiting, 1, completes=False, **NOTED)).ok
    assert connector.confirm_shipment(shipment(waiting, 2, "1.5", tracking_number="CD9")).ok
    assert waiting.note == f"{NOTE}\nShipped: CD9"
    assert fulfilled(waiting) == [3, Decimal("1.5")]


def test_without_the_option_the_note_is_left_alone(sandbox: VendSandbox, connect: Connect, waiting: Sale) -> None:
    assert connect().confirm_shipment(shipment(waiting, **NOTED)).ok
    assert waiting.note == ""


def test_a_number_that_vend_masks_is_not_added_again(sandbox: VendSandbox, connect: Connect, waiting: Sale) -> None:
    parcel = shipment(waiting, 1, completes=False, tracking_number="4111111111111111")
    connector = connect(tracking_in_note=True)
    connector.confirm_shipment(parcel)
    assert waiting.note == "Shipped: ****************"
    connector.confirm_shipment(parcel)
    assert waiting.note == "Shipped: ****************"


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"adjustments": [{"name": "Fee", "adjustment_type": "NON_CASH_FEE", "value": Decimal(1)}]}, "would be lost"),
        ({"user_id": None}, "would be lost"),
    ],
)
def test_a_note_that_would_cost_something_is_not_written(
    sandbox: VendSandbox, connect: Connect, waiting: Sale, changes: dict[str, Any], words: str
) -> None:
    sandbox.store.update_sale(waiting, **changes)
    result = connect(tracking_in_note=True).confirm_shipment(shipment(waiting, 1, completes=False, **NOTED))
    assert result.ok
    assert words in result.reason
    assert waiting.note == ""
    assert fulfilled(waiting) == [1, 0]


def test_a_gift_card_on_the_sale_keeps_the_note_as_it_is(sandbox: VendSandbox, connect: Connect) -> None:
    store = sandbox.store
    card = {"product": store.products[1], "quantity": 1, "gift_card_number": "GC-1"}
    sale = store.add_sale(lines=[(store.products[0], 1), card], status="AWAITING_DISPATCH")
    result = connect(tracking_in_note=True).confirm_shipment(shipment(sale, 1, completes=False, **NOTED))
    assert (result.ok, sale.note) == (True, "")
    assert sale.line_items[1].gift_card_number == "GC-1"


def test_a_refused_note_does_not_stop_the_confirmation(sandbox: VendSandbox, connect: Connect, waiting: Sale) -> None:
    sandbox.fail(match="PUT /sales/{id}", status=422)
    result = connect(tracking_in_note=True).confirm_shipment(shipment(waiting, **NOTED))
    assert result.ok
    assert "not added to the sale's note" in result.reason
    assert waiting.status == "DISPATCHED_CLOSED"


def test_a_finished_sale_and_2_0_say_that_the_note_stays(sandbox: VendSandbox, connect: Connect, waiting: Sale) -> None:
    result = connect(api_version="2.0", tracking_in_note=True).confirm_shipment(shipment(waiting, **NOTED))
    assert (result.ok, "API 2.0" in result.reason) == (True, True)
    result = connect(tracking_in_note=True).confirm_shipment(shipment(waiting, **NOTED))
    assert (result.ok, "finished sale" in result.reason) == (True, True)


def test_the_tracking_line() -> None:
    def text(**facts: Any) -> str:
        return tracking_line(OutboundShipment(reference="s", order_id="o", shipped_at=SHIPPED_AT, **facts))

    assert text() == text(tracking_url="https://post.example") == ""
    assert text(carrier="DHL") == "Shipped with DHL"
    assert text(tracking_number=" 1 ") == "Shipped: 1"
    assert text(**NOTED) == NOTE
    assert holds(f"first\n{NOTE}\nlast", NOTE)
    assert not holds("Shipped: AB12", "Shipped: AB13")
    assert not holds("", NOTE)
