"""Reading stock documents (vend.md section 3.10)."""

import json
from collections.abc import Iterator
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from connectors.errors import RateLimited, RecordRefused
from connectors.records import ConsignmentKind, ConsignmentRecord, ConsignmentState, Page
from connectors.vend import consignments, shapes
from connectors.vend.consignments import line_record, record_of
from connectors.vend.errors import Unreadable
from connectors.vend.sandbox import VendSandbox
from tests.connectors.vend.conftest import Connect

Kind, State = ConsignmentKind, ConsignmentState


@pytest.fixture(params=["2026-07", "2.0"])
def client(request: Any, connect: Connect) -> Any:
    return connect(api_version=request.param).client


def pages(client: Any, cursor: str = "", since: Any = None) -> Iterator[Page[ConsignmentRecord]]:
    return consignments.read(client, cursor, since)


def records(client: Any, cursor: str = "", since: Any = None) -> list[ConsignmentRecord]:
    return [record for page in pages(client, cursor, since) for record in page.records]


def test_all_four_kinds_with_their_lines(sandbox: VendSandbox, client: Any) -> None:
    store = sandbox.store
    here, there = store.outlets
    one, two = store.products[:2]
    store.order_stock(here, [(one, 60), (two, "50.5")], name="note", reference="CAR-25")
    store.return_stock(here, [(one, 3)], name="Back")
    store.transfer_stock(here, there, [(two, 5)], receive=False)
    store.count_stock(there, [(one, 7)])
    order, back, transfer, count = records(client)
    assert [(record.kind, record.state) for record in (order, back, transfer, count)] == [
        (Kind.PURCHASE, State.RECEIVED),
        (Kind.SUPPLIER_RETURN, State.SENT),
        (Kind.TRANSFER, State.SENT),
        (Kind.COUNT, State.COUNTED),
    ]
    assert (order.number, order.name, order.remote_status) == ("CAR-25", "note", "RECEIVED")
    assert (order.outlet_id, order.source_outlet_id) == (here["id"], "")
    assert order.received_at is not None and order.updated_at is not None
    assert [(line.product_id, line.sku, line.count, line.received) for line in order.lines] == [
        (one["id"], one["sku"], 60, 60),
        (two["id"], two["sku"], Decimal("50.5"), Decimal("50.5")),
    ]
    assert back.number == "Back"
    assert (transfer.source_outlet_id, transfer.outlet_id) == (here["id"], there["id"])
    assert transfer.lines[0].count == 5
    assert count.lines[0].received == 7


def test_a_document_that_moved_nothing_costs_no_call_for_lines(sandbox: VendSandbox, client: Any) -> None:
    store = sandbox.store
    order = store.add_consignment("SUPPLIER", store.outlets[0], [(store.products[0], 5)])
    (found,) = records(client)
    assert (found.state, found.has_lines, found.lines) == (State.OPEN, False, ())
    assert not [call for call in sandbox.calls if "products" in call.name]
    store.move_consignment(order, "CANCELLED")
    (found,) = records(client, str(found.version))
    assert (found.state, found.has_lines) == (State.CANCELLED, False)


def test_history_costs_no_call_for_lines_either(sandbox: VendSandbox, client: Any) -> None:
    store = sandbox.store
    store.order_stock(store.outlets[0], [(store.products[0], 5)])
    soon = sandbox.now() + timedelta(minutes=1)
    (found,) = records(client, since=soon)
    assert (found.state, found.has_lines) == (State.RECEIVED, False)
    (found,) = records(client, since=soon - timedelta(hours=1))
    assert found.has_lines and len(found.lines) == 1


def test_one_call_for_the_lines_of_a_document(sandbox: VendSandbox, client: Any) -> None:
    store = sandbox.store
    store.order_stock(store.outlets[0], [(product, 1) for product in store.products])
    (found,) = records(client)
    assert len(found.lines) == 20
    assert len([call for call in sandbox.calls if "/products" in call.name]) == 1


def test_lines_without_a_count_in_the_document_are_read_to_their_end(sandbox: VendSandbox, client: Any) -> None:
    store = sandbox.store
    order = store.order_stock(store.outlets[0], [(product, 1) for product in store.products[:3]])
    lines, version = client.consignment_lines(order["id"])
    assert len(lines) == 3
    assert version == max(line["version"] for line in store.lines_of(order))


def test_the_cursor_goes_on_and_a_corrected_line_comes_again(sandbox: VendSandbox, client: Any) -> None:
    store = sandbox.store
    order = store.order_stock(store.outlets[0], [(store.products[0], 5)])
    (page,) = pages(client)
    assert list(pages(client, page.cursor)) == []
    store.correct_line(order, store.products[0], received=4)
    (found,) = records(client, page.cursor)
    assert found.lines[0].received == 4
    assert found.version > page.records[0].version


def test_one_document_by_its_id(sandbox: VendSandbox, client: Any) -> None:
    store = sandbox.store
    order = store.order_stock(store.outlets[0], [(store.products[0], 5)])
    found = consignments.read_one(client, order["id"])
    assert (found.external_id, len(found.lines)) == (order["id"], 1)
    with pytest.raises(RecordRefused):
        consignments.read_one(client, "5f0a0000-0000-4000-8000-000000000000")


def test_deleted_between_the_list_and_its_lines(
    sandbox: VendSandbox, client: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = sandbox.store
    transfer = store.transfer_stock(*store.outlets, [(store.products[0], 5)], receive=False)
    listed = list(client.consignments(""))
    store.delete_consignment(transfer)
    monkeypatch.setattr(client, "consignments", lambda cursor: iter(listed))
    (found,) = records(client)
    assert found.state is State.CANCELLED


def test_what_was_read_before_the_rate_limit_is_not_read_again(sandbox: VendSandbox, client: Any) -> None:
    store = sandbox.store
    orders = [store.order_stock(store.outlets[0], [(store.products[0], n)]) for n in (1, 2, 3)]
    sandbox.rate_limit = 2 + len(sandbox.calls)
    reading = pages(client)
    found = next(reading)
    with pytest.raises(RateLimited):
        next(reading)
    assert [record.external_id for record in found.records] == [orders[0]["id"]]
    assert found.cursor == str(orders[0]["version"])


RAW = {"id": "c1", "type": "SUPPLIER", "status": "RECEIVED", "outlet_id": "o1", "name": "N", "version": 7}


def raw(**changes: Any) -> bytes:
    return json.dumps({**RAW, **changes}).encode()


@pytest.mark.parametrize(
    ("changes", "state"),
    [
        ({"type": "STOCKTAKE", "status": "STOCKTAKE_COMPLETE"}, State.COUNTED),
        ({"type": "STOCKTAKE", "status": "COMPLETED"}, State.COUNTED),
        ({"type": "STOCKTAKE", "status": "STOCKTAKE_IN_PROGRESS_PROCESSED"}, State.OPEN),
        ({"type": "STOCKTAKE", "status": "CLOSED"}, State.CANCELLED),
        ({"type": "STOCKTAKE", "status": "CLOSED", "total_count_gain": "0"}, State.COUNTED),
        ({"status": "DISPATCHED"}, State.SENT),
        ({"status": "received"}, State.RECEIVED),
        ({"status": "SOMETHING_NEW"}, State.UNKNOWN),
        ({"status": "SENT", "deleted_at": "2026-07-01T00:00:00+00:00"}, State.CANCELLED),
    ],
)
def test_states(changes: dict[str, Any], state: State) -> None:
    assert record_of(raw(**changes)).state is state


@pytest.mark.parametrize(
    ("changes", "reason"),
    [({"type": "LOAN"}, "LOAN"), ({"outlet_id": None}, "outlet"), ({"id": ""}, "id"), ({"version": {}}, "version")],
)
def test_what_cannot_be_used_says_why(changes: dict[str, Any], reason: str) -> None:
    if reason == "version":
        assert record_of(raw(**changes)).version == 0
        return
    with pytest.raises(Unreadable, match=reason):
        record_of(raw(**changes))


def test_numbers_and_names() -> None:
    assert record_of(raw(reference="PO-1")).number == "PO-1"
    assert record_of(raw()).number == "N"
    assert record_of(raw(name=None, id="0a1b2c3d4e5f")).number == "0a1b2c3d"


def test_lines_that_moved_nothing_say_why() -> None:
    line = shapes.ConsignmentLine(product_id="p", count=Decimal(1), received=Decimal(2))
    assert line_record(line).problem == ""
    line.is_included = False
    assert "left out of the count" in line_record(line).problem
    line.is_included, line.status = True, "RECEIVE_FAIL"
    assert "RECEIVE_FAIL" in line_record(line).problem
    with pytest.raises(Unreadable):
        line_record(shapes.ConsignmentLine())


def test_a_document_that_cannot_be_read_holds_nobody_up(
    sandbox: VendSandbox, client: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = sandbox.store
    order = store.order_stock(store.outlets[0], [(store.products[0], 5)])
    (page,) = client.consignments("")
    broken = type(page)([raw(type="LOAN"), *page.records], page.cursor)
    monkeypatch.setattr(client, "consignments", lambda cursor: iter([broken]))
    (found,) = pages(client)
    assert [record.external_id for record in found.records] == [order["id"]]
    assert [(reject.external_id, "LOAN" in reject.reason) for reject in found.rejects] == [("c1", True)]
