"""Get Shipments: the queue of shipped orders, and its acknowledgement."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import islice
from typing import Any

import pytest

from connectors.errors import RateLimited, RemoteUnavailable
from connectors.integration_manager.connector import IntegrationManagerWarehouse
from connectors.integration_manager.sandbox import IntegrationManagerSandbox
from connectors.integration_manager.shipments import Progress, as_cursor, progress_of, read_shipments
from connectors.records import ShipmentRecord
from tests.connectors.integration_manager.making import two_lines, web_order

REF = "1001-9f3a2b1c"
LIST = "GET /v1/cart/orders/list/{status}"
UPDATE = "POST /v1/cart/orders/update/{cust_ref}"
NOW = datetime.now(UTC)


def looked_at(moment: datetime) -> str:
    """A cursor: nothing but the shipped and the partly shipped orders is to be looked at for an hour from then."""
    return as_cursor(Progress(looked_at=moment))


def taken(warehouse: IntegrationManagerWarehouse, cursor: str = "now") -> list[ShipmentRecord]:
    cursor = looked_at(NOW) if cursor == "now" else cursor
    return [record for page in warehouse.read_shipments(cursor) for record in page.records]


def lists_asked_for(sandbox: IntegrationManagerSandbox) -> list[str]:
    return [call.path.rpartition("/")[2] for call in sandbox.calls if call.template == LIST.partition(" ")[2]]


@pytest.fixture(params=[False, True], ids=["as documented", "wobbling"])
def sandbox(request: pytest.FixtureRequest, sandbox: IntegrationManagerSandbox) -> Iterator[IntegrationManagerSandbox]:
    sandbox.wobbles = request.param
    yield sandbox


class TestReading:
    def test_a_parcel_with_all_of_it(
        self, sandbox: IntegrationManagerSandbox, warehouse: IntegrationManagerWarehouse
    ) -> None:
        warehouse.send_orders([two_lines(REF)])
        parcel = sandbox.store.ship(REF, carrier="DHL", tracking_no="JD014600003")
        [shipment] = taken(warehouse)
        assert shipment.order_reference == shipment.remote_order_id == shipment.acknowledgement == REF
        assert shipment.external_id == f"{REF}/JD014600003"
        assert (shipment.carrier, shipment.method) == ("DHL", "Courier")
        assert shipment.tracking_number == "JD014600003"
        assert shipment.shipped_at == parcel["date"].replace(microsecond=0)
        assert [(line.sku, line.quantity, line.line_reference) for line in shipment.lines] == [
            ("SKU-0001", Decimal(2), "81"),
            ("SKU-0002", Decimal(1), "82"),
        ]

    def test_parts_come_one_by_one_and_keep_their_names(
        self, sandbox: IntegrationManagerSandbox, warehouse: IntegrationManagerWarehouse
    ) -> None:
        warehouse.send_orders([two_lines(REF)])
        sandbox.store.ship(REF, {"SKU-0001": 1})
        [first] = taken(warehouse)
        assert first.acknowledgement == "", "a part of an order is not confirmed, or the rest would never be looked for"
        sandbox.store.ship(REF)
        again, second = taken(warehouse)
        assert again.external_id == first.external_id
        assert {line.sku: line.quantity for line in second.lines} == {"SKU-0001": 1, "SKU-0002": 1}
        assert again.acknowledgement == second.acknowledgement == REF

    def test_parcels_without_number_or_with_the_same_are_told_apart(
        self, sandbox: IntegrationManagerSandbox, warehouse: IntegrationManagerWarehouse
    ) -> None:
        warehouse.send_orders([two_lines(REF)])
        sandbox.store.ship(REF, {"SKU-0001": 1}, tracking_no="77")
        sandbox.store.ship(REF, {"SKU-0001": 1}, tracking_no="77")
        sandbox.store.ship(REF, tracking_no="")
        names = [shipment.external_id for shipment in taken(warehouse)]
        assert names[:2] == [f"{REF}/77", f"{REF}/77#2"]
        assert len(set(names)) == 3
        assert names == [shipment.external_id for shipment in taken(warehouse)]

    def test_shipped_without_any_parcel_is_all_of_it(
        self, sandbox: IntegrationManagerSandbox, warehouse: IntegrationManagerWarehouse
    ) -> None:
        warehouse.send_orders([web_order(REF)])
        sandbox.store.orders[REF]["order_status"] = "shipped"
        [shipment] = taken(warehouse)
        assert (shipment.lines, shipment.tracking_number, shipment.external_id) == ((), "", f"{REF}/shipped")

    def test_the_same_sku_on_two_lines_is_left_to_the_hub(
        self, sandbox: IntegrationManagerSandbox, warehouse: IntegrationManagerWarehouse
    ) -> None:
        order = two_lines(REF)
        warehouse.send_orders([order])
        sandbox.store.orders[REF]["items"][1]["item"] = "SKU-0001"
        sandbox.store.ship(REF)
        [shipment] = taken(warehouse)
        assert [(line.quantity, line.line_reference) for line in shipment.lines] == [(Decimal(3), "")]

    def test_an_order_of_another_system_is_skipped(
        self, sandbox: IntegrationManagerSandbox, warehouse: IntegrationManagerWarehouse
    ) -> None:
        warehouse.send_orders([web_order("1-aaaaaaaa"), web_order("2-aaaaaaaa")])
        sandbox.store.orders["1-aaaaaaaa"]["extra_fields"] = {"loyalty": "gold"}
        for order in sandbox.store.waiting():
            sandbox.store.ship(order)
        [page] = warehouse.read_shipments(looked_at(NOW))
        assert ([record.order_reference for record in page.records], page.skipped) == (["2-aaaaaaaa"], 1)

    def test_a_reference_comes_back_whole(
        self, sandbox: IntegrationManagerSandbox, warehouse: IntegrationManagerWarehouse
    ) -> None:
        """Shortened by the hub: by the mark. Without the mark: by what the remote says it was, or by its id."""
        long = "Bestellung Nr. 2026/07-0000000000000001-9f3a2b1c"
        [result] = warehouse.send_orders([web_order(long)])
        sandbox.store.ship(result.remote_id)
        [shipment] = taken(warehouse)
        assert (shipment.order_reference, shipment.remote_order_id) == (long, result.remote_id)
        sandbox.store.orders[result.remote_id] |= {"extra_fields": [], "cust_ref_original": REF}
        assert [shipment.order_reference for shipment in taken(warehouse)] == [REF]

    def test_one_that_cannot_be_read_does_not_stop_the_page(
        self, sandbox: IntegrationManagerSandbox, warehouse: IntegrationManagerWarehouse
    ) -> None:
        warehouse.send_orders([web_order("1-aaaaaaaa"), web_order("2-aaaaaaaa")])
        for order in sandbox.store.waiting():
            sandbox.store.ship(order, {"SKU-0001": 2})
        sandbox.store.orders["1-aaaaaaaa"]["shipments"][0]["items"][0]["quantity"] = Decimal("NaN")
        [page] = warehouse.read_shipments(looked_at(NOW))
        assert [record.order_reference for record in page.records] == ["2-aaaaaaaa"]
        [reject] = page.rejects
        assert reject.external_id == "1-aaaaaaaa" and "quantity" in reject.reason and reject.payload


class TestAcknowledging:
    def test_takes_the_order_off_the_list(
        self, sandbox: IntegrationManagerSandbox, warehouse: IntegrationManagerWarehouse
    ) -> None:
        warehouse.send_orders([two_lines(REF)])
        sandbox.store.ship(REF, {"SKU-0001": 2}, tracking_no="77")
        sandbox.store.ship(REF, tracking_no="78")
        shipments = taken(warehouse)
        results = warehouse.acknowledge_shipments(shipments)
        assert [(result.reference, result.ok) for result in results] == [(f"{REF}/77", True), (f"{REF}/78", True)]
        assert sandbox.store.orders[REF]["order_status"] == "confirmed"
        [call] = [call for call in sandbox.calls if call.name == UPDATE]
        assert call.request_json() == {
            "order_status": "confirmed",
            "shipments": [{"tracking_no": "77"}, {"tracking_no": "78"}],
        }
        assert taken(warehouse) == []

    def test_nothing_is_acknowledged_by_reading(
        self, sandbox: IntegrationManagerSandbox, warehouse: IntegrationManagerWarehouse
    ) -> None:
        warehouse.send_orders([web_order(REF)])
        sandbox.store.ship(REF)
        for _ in range(3):
            assert len(taken(warehouse)) == 1
        assert sandbox.count(UPDATE) == 0

    def test_twice_is_done(self, sandbox: IntegrationManagerSandbox, warehouse: IntegrationManagerWarehouse) -> None:
        warehouse.send_orders([web_order(REF)])
        sandbox.store.ship(REF)
        shipments = taken(warehouse)
        assert all(result.ok for _ in range(2) for result in warehouse.acknowledge_shipments(shipments))

    def test_a_refusal_names_the_shipment(
        self, sandbox: IntegrationManagerSandbox, warehouse: IntegrationManagerWarehouse
    ) -> None:
        warehouse.send_orders([web_order(REF), web_order("2-aaaaaaaa")])
        for order in sandbox.store.waiting():
            sandbox.store.ship(order)
        shipments = taken(warehouse)
        sandbox.store.orders[REF]["order_status"] = "error"
        results = warehouse.acknowledge_shipments(shipments)
        assert {result.reference.partition("/")[0]: result.ok for result in results} == {REF: False, "2-aaaaaaaa": True}

    def test_what_was_done_before_the_trouble_is_told(
        self, sandbox: IntegrationManagerSandbox, warehouse: IntegrationManagerWarehouse
    ) -> None:
        warehouse.send_orders([web_order("1-aaaaaaaa"), web_order("2-aaaaaaaa")])
        for order in sandbox.store.waiting():
            sandbox.store.ship(order)
        shipments = taken(warehouse)
        sandbox.fail(match=UPDATE, status=503, after=1)
        assert len(warehouse.acknowledge_shipments(shipments)) == 1
        assert len(taken(warehouse)) == 1

    def test_trouble_from_the_start_is_raised(
        self, sandbox: IntegrationManagerSandbox, warehouse: IntegrationManagerWarehouse
    ) -> None:
        warehouse.send_orders([web_order(REF)])
        sandbox.store.ship(REF)
        shipments = taken(warehouse)
        sandbox.fail(match=UPDATE, status=503)
        with pytest.raises(RemoteUnavailable):
            warehouse.acknowledge_shipments(shipments)
        sandbox.bucket = 0
        with pytest.raises(RateLimited):
            warehouse.acknowledge_shipments(shipments)


class TestLists:
    def many(self, sandbox: IntegrationManagerSandbox, warehouse: IntegrationManagerWarehouse, number: int) -> set[str]:
        sandbox.most_rows = 2
        references = {f"{position}-aaaaaaaa" for position in range(number)}
        warehouse.send_orders([web_order(reference) for reference in sorted(references)])
        for reference in references:
            sandbox.store.ship(reference)
        return references

    @pytest.mark.parametrize("number", [1, 2, 3, 4, 5])
    def test_pages_of_any_size_lose_nothing_while_they_are_acknowledged(
        self, sandbox: IntegrationManagerSandbox, warehouse: IntegrationManagerWarehouse, number: int
    ) -> None:
        """What is confirmed leaves the list at once and moves the rest up."""
        expected = self.many(sandbox, warehouse, number)
        found = []
        for page in warehouse.read_shipments(looked_at(NOW)):
            warehouse.acknowledge_shipments(page.records)
            found += [record.order_reference for record in page.records]
        assert sorted(found) == sorted(expected)
        assert taken(warehouse) == []

    def test_without_a_total_what_moved_up_comes_with_the_next_run(
        self, sandbox: IntegrationManagerSandbox, warehouse: IntegrationManagerWarehouse
    ) -> None:
        sandbox.tells_total = False
        expected = self.many(sandbox, warehouse, 5)
        found: list[str] = []
        for _ in range(5):
            for page in warehouse.read_shipments(looked_at(NOW)):
                warehouse.acknowledge_shipments(page.records)
                found += [record.order_reference for record in page.records]
        assert sorted(found) == sorted(expected)

    def test_without_a_total_short_pages_are_no_end(
        self, sandbox: IntegrationManagerSandbox, warehouse: IntegrationManagerWarehouse
    ) -> None:
        sandbox.tells_total = False
        expected = self.many(sandbox, warehouse, 5)
        assert sorted(shipment.order_reference for shipment in taken(warehouse)) == sorted(expected)

    def test_an_idle_look_costs_two_calls(
        self, sandbox: IntegrationManagerSandbox, warehouse: IntegrationManagerWarehouse
    ) -> None:
        assert list(warehouse.read_shipments(looked_at(NOW))) == []
        assert lists_asked_for(sandbox) == ["shipped", "partial"]

    def test_an_account_without_partial_orders_is_fine(
        self, sandbox: IntegrationManagerSandbox, warehouse: IntegrationManagerWarehouse
    ) -> None:
        sandbox.knows_partial = False
        warehouse.send_orders([web_order(REF)])
        sandbox.store.ship(REF)
        assert len(taken(warehouse)) == 1

    def test_what_somebody_else_confirmed_is_looked_for_every_hour(
        self, sandbox: IntegrationManagerSandbox, warehouse: IntegrationManagerWarehouse
    ) -> None:
        warehouse.send_orders([web_order(REF), web_order("2-aaaaaaaa")])
        for order in sandbox.store.waiting():
            sandbox.store.ship(order)
            sandbox.store.touch(sandbox.store.orders[order], order_status="confirmed")
        sandbox.store.age("2-aaaaaaaa", days=3)
        assert taken(warehouse) == []
        *pages, last = warehouse.read_shipments(looked_at(NOW - timedelta(minutes=61)))
        assert [record.order_reference for page in pages for record in page.records] == [REF]
        assert [record.acknowledgement for page in pages for record in page.records] == [""]
        assert list(warehouse.read_shipments(last.cursor)) == [], "the next hour has not come yet"
        everything = taken(warehouse, "")
        assert len(everything) == 2, "the first look goes back 30 days"

    def test_a_look_that_was_cut_goes_on_where_it_was(
        self, sandbox: IntegrationManagerSandbox, warehouse: IntegrationManagerWarehouse
    ) -> None:
        """Each page of the lists that nothing leaves may be the last one of a worker's slice."""
        sandbox.most_rows = 1
        parts, confirmed = [[f"{kind}{number}-aaaaaaaa" for number in range(3)] for kind in "pc"]
        warehouse.send_orders([web_order(reference) for reference in parts + confirmed])
        for reference in parts:
            sandbox.store.ship(reference, {"SKU-0001": 1})
        for reference in confirmed:
            sandbox.store.ship(reference)
            sandbox.store.confirm(reference, {"order_status": "confirmed"})
        cursor, found = "", []
        for _ in parts + confirmed:
            [page] = islice(warehouse.read_shipments(cursor), 1)
            cursor = page.cursor
            found += [record.order_reference for record in page.records]
        assert found == parts + confirmed
        [page] = warehouse.read_shipments(cursor)
        assert progress_of(page.cursor).stage == ""

    def test_a_cursor_of_another_kind_is_the_beginning(self, warehouse: IntegrationManagerWarehouse) -> None:
        pages: list[Any] = list(read_shipments(warehouse.client, "page-7", now=lambda: NOW))
        assert [page.cursor for page in pages] == [looked_at(NOW)]
