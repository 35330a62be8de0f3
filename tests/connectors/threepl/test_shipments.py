"""Packages of closed orders as shipments."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from connectors.records import ShipmentRecord
from connectors.threepl import client
from connectors.threepl.connector import ThreePLConnector
from connectors.threepl.sandbox import ThreePLSandbox
from tests.connectors.threepl.conftest import Connect
from tests.factories import make_outbound

LINES = (("ITEM-001", "2"), ("ITEM-002", "1"))


def send(warehouse: ThreePLConnector, *references: str) -> None:
    for reference in references:
        [result] = warehouse.send_orders([make_outbound(reference, LINES, ship_method="UPS: Ground")])
        assert result.ok


def read(warehouse: ThreePLConnector, cursor: str = "") -> tuple[list[ShipmentRecord], str]:
    records: list[ShipmentRecord] = []
    for page in warehouse.read_shipments(cursor):
        assert not page.rejects
        records += page.records
        cursor = page.cursor
    return records, cursor


def contents(record: ShipmentRecord) -> list[tuple[str, Decimal, str]]:
    return [(line.sku, line.quantity, line.line_reference) for line in record.lines]


def test_each_package_is_a_shipment_with_its_contents(sandbox: ThreePLSandbox, warehouse: ThreePLConnector) -> None:
    send(warehouse, "A")
    closed = sandbox.store.close("A", [("1Z1", {"ITEM-001": 1}), ("1Z2", {"ITEM-001": 1, "ITEM-002": 1})])
    (one, two), _ = read(warehouse)
    order_id = closed["readOnly"]["orderId"]
    assert (one.external_id, two.external_id) == (f"{order_id}-1", f"{order_id}-2")
    assert {one.order_reference, two.order_reference} == {"A"}
    assert (one.tracking_number, one.carrier, one.method) == ("1Z1", "UPS", "Ground")
    assert contents(one) == [("ITEM-001", 1, "line-1")]
    assert contents(two) == [("ITEM-001", 1, "line-1"), ("ITEM-002", 1, "line-2")]


def test_what_was_left_out_stays_open(sandbox: ThreePLSandbox, warehouse: ThreePLConnector) -> None:
    send(warehouse, "A")
    sandbox.store.close("A", [("1Z1", {"ITEM-002": "1"})])
    [only], _ = read(warehouse)
    assert contents(only) == [("ITEM-002", 1, "line-2")]


def test_packages_that_tell_nothing_hold_the_rest(sandbox: ThreePLSandbox, warehouse: ThreePLConnector) -> None:
    send(warehouse, "A")
    sandbox.store.close("A", [("1Z1", None), ("1Z2", {"ITEM-002": 1})])
    (known, rest), _ = read(warehouse)
    assert (known.tracking_number, contents(known)) == ("1Z2", [("ITEM-002", 1, "line-2")])
    assert (rest.tracking_number, rest.lines) == ("1Z1", ())


def test_the_tracking_number_may_stand_in_any_of_three_places(
    sandbox: ThreePLSandbox, warehouse: ThreePLConnector
) -> None:
    send(warehouse, "A", "B", "C", "D")
    sandbox.store.close("A", tracking="R1")
    sandbox.store.close("B")["parcelResponse"]["trackingNumbers"] = ["P1", "P2", "P1"]
    sandbox.store.close("C", [("", {"ITEM-001": 2})], tracking="R2")
    sandbox.store.close("D")
    records, _ = read(warehouse)
    assert [(record.order_reference, record.tracking_number) for record in records] == [
        ("A", "R1"),
        ("B", "P1"),
        ("B", "P2"),
        ("C", "R2"),
        ("D", ""),
    ]
    assert [len(record.lines) for record in records] == [0, 0, 0, 1, 0]
    assert len({record.external_id for record in records}) == 5


def test_open_cancelled_and_foreign_orders_are_no_shipments(
    sandbox: ThreePLSandbox, warehouse: ThreePLConnector
) -> None:
    send(warehouse, "open", "cancelled", "foreign", "bare", "ours")
    sandbox.store.cancel_order(sandbox.store.order_of("cancelled"), "")
    foreign = sandbox.store.close("foreign")
    foreign["externalId"], foreign["savedElements"] = "9001", []
    sandbox.store.close("bare")["externalId"] = None
    sandbox.store.close("ours")["savedElements"] = []
    pages = list(warehouse.read_shipments(""))
    assert [record.order_reference for page in pages for record in page.records] == ["bare", "ours"]
    assert sum(page.skipped for page in pages) == 2


def test_times_are_meant_in_the_zone_of_the_settings(connect: Connect, sandbox: ThreePLSandbox) -> None:
    warehouse = connect(time_zone="America/Chicago")
    send(warehouse, "A")
    sandbox.store.close("A")["readOnly"]["processDate"] = "2026-07-01T18:00:00"
    [only], _ = read(warehouse)
    assert only.shipped_at == datetime(2026, 7, 1, 23, tzinfo=UTC)


def test_an_offset_in_a_time_counts(connect: Connect, sandbox: ThreePLSandbox) -> None:
    warehouse = connect(time_zone="America/Chicago")
    send(warehouse, "A")
    sandbox.store.close("A")["readOnly"]["processDate"] = "2026-07-01T18:00:00.1234567+02:00"
    [only], _ = read(warehouse)
    assert only.shipped_at == datetime(2026, 7, 1, 16, 0, 0, 123456, tzinfo=UTC)


@pytest.fixture
def small_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client, "CLOSED_ORDERS_PER_PAGE", 3)


def close_all(sandbox: ThreePLSandbox, references: list[str], step: timedelta = timedelta(minutes=10)) -> None:
    start = datetime(2026, 7, 1, 8, tzinfo=UTC).replace(tzinfo=None)
    for number, reference in enumerate(references):
        sandbox.store.close(reference)["readOnly"]["processDate"] = (start + number * step).isoformat()


@pytest.mark.parametrize("count", [0, 1, 2, 3, 4, 7, 9])
@pytest.mark.usefixtures("small_pages")
def test_pages_join_without_gaps(sandbox: ThreePLSandbox, warehouse: ThreePLConnector, count: int) -> None:
    references = [f"order-{number}" for number in range(count)]
    send(warehouse, *references)
    close_all(sandbox, references)
    records, cursor = read(warehouse)
    assert sorted({record.order_reference for record in records}) == references
    again, _ = read(warehouse, cursor)
    assert {record.order_reference for record in again} == set(references[-1:])


@pytest.mark.usefixtures("small_pages")
def test_many_orders_closed_in_the_same_second_are_all_read(
    sandbox: ThreePLSandbox, warehouse: ThreePLConnector
) -> None:
    references = [f"order-{number}" for number in range(8)]
    send(warehouse, *references)
    close_all(sandbox, references, timedelta(0))
    records, _ = read(warehouse)
    assert sorted({record.order_reference for record in records}) == references


@pytest.mark.usefixtures("small_pages")
def test_an_order_opened_again_meanwhile_hides_no_other(sandbox: ThreePLSandbox, warehouse: ThreePLConnector) -> None:
    references = [f"order-{number}" for number in range(9)]
    send(warehouse, *references)
    close_all(sandbox, references)
    seen = []
    for page in warehouse.read_shipments(""):
        seen += [record.order_reference for record in page.records]
        sandbox.store.order_of("order-0")["readOnly"].update(isClosed=False, status=0)
    assert set(seen) == set(references)


@pytest.mark.usefixtures("small_pages")
def test_a_list_that_is_not_sorted_is_read_to_its_end(sandbox: ThreePLSandbox, warehouse: ThreePLConnector) -> None:
    references = [f"order-{number}" for number in range(8)]
    send(warehouse, *references)
    close_all(sandbox, references[::-1])
    sandbox.unfilterable = frozenset()
    sandbox.fail(match="GET /orders", status=400)
    pages = list(warehouse.read_shipments(""))
    assert {record.order_reference for page in pages for record in page.records} == set(references)
    assert [page.cursor for page in pages] == ["", "", "2026-07-01T09:10:00"]
    assert "sort" not in sandbox.calls[-1].query


def test_reading_may_begin_on_a_day(sandbox: ThreePLSandbox, connect: Connect) -> None:
    warehouse = connect(shipments_from="2026-07-02")
    send(warehouse, "A", "B")
    sandbox.store.close("A")["readOnly"]["processDate"] = "2026-07-01T23:59:00"
    sandbox.store.close("B")["readOnly"]["processDate"] = "2026-07-02T00:00:00"
    records, _ = read(warehouse)
    assert [record.order_reference for record in records] == ["B"]


@pytest.mark.parametrize(
    "spoil",
    [
        lambda order: order["readOnly"].update(processDate="yesterday"),
        lambda order: order["readOnly"]["packages"][0]["packageContents"][0].update(orderItemId=4711),
        lambda order: order["readOnly"].update(packages="none"),
    ],
)
def test_an_order_that_cannot_be_read_holds_up_no_other(
    sandbox: ThreePLSandbox, warehouse: ThreePLConnector, spoil: Any
) -> None:
    send(warehouse, "A", "B", "C")
    for reference in "ABC":
        sandbox.store.close(reference, [("1Z", {"ITEM-001": 1})])
    spoil(sandbox.store.order_of("B"))
    [page] = list(warehouse.read_shipments(""))
    assert {record.order_reference for record in page.records} == {"A", "C"}
    assert [reject.external_id for reject in page.rejects] == ["B"]
    assert page.cursor == sandbox.store.order_of("C")["readOnly"]["processDate"]


def test_a_date_that_is_missing_is_replaced(sandbox: ThreePLSandbox, warehouse: ThreePLConnector) -> None:
    send(warehouse, "A")
    sandbox.store.close("A")["readOnly"].update(processDate=None, lastModifiedDate="2026-07-01T18:00:00")
    [only], _ = read(warehouse)
    assert only.shipped_at == datetime(2026, 7, 1, 18, tzinfo=UTC)
