"""The list of orders that Reconciliation reads: whose they are, what their status means, and their totals."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from connectors.http import CallRecord
from connectors.integration_manager import client
from connectors.integration_manager.connector import IntegrationManagerWarehouse
from connectors.integration_manager.sandbox import IntegrationManagerSandbox
from connectors.records import SentOrderRecord, SentOrderState
from tests.connectors.integration_manager.making import web_order

HOUR = timedelta(hours=1)


def listed(warehouse: IntegrationManagerWarehouse, ago: timedelta = HOUR) -> dict[str, SentOrderRecord]:
    now = datetime.now(UTC)
    pages = warehouse.search_sent(now - ago, now + HOUR)
    return {record.reference: record for page in pages for record in page.records}


def send(warehouse: IntegrationManagerWarehouse, *references: str) -> None:
    for reference in references:
        assert warehouse.send_orders([web_order(reference)])[0].ok


@pytest.mark.parametrize(
    ("status", "meaning"),
    [
        ("new", SentOrderState.OPEN),
        ("at_wms", SentOrderState.OPEN),
        ("partial", SentOrderState.OPEN),
        ("error", SentOrderState.OPEN),
        ("shipped", SentOrderState.SHIPPED),
        ("confirmed", SentOrderState.SHIPPED),
        ("canceled", SentOrderState.CANCELLED),
    ],
)
def test_what_a_status_means(
    warehouse: IntegrationManagerWarehouse, sandbox: IntegrationManagerSandbox, status: str, meaning: SentOrderState
) -> None:
    send(warehouse, "1001-a")
    sandbox.store.orders["1001-a"]["order_status"] = status
    record = listed(warehouse)["1001-a"]
    assert (record.state, record.remote_status, record.total) == (meaning, status, Decimal("47.29"))


def test_an_order_that_is_not_to_be_sent_counts_as_cancelled(
    warehouse: IntegrationManagerWarehouse, sandbox: IntegrationManagerSandbox
) -> None:
    send(warehouse, "1001-a")
    sandbox.store.orders["1001-a"]["sending_canceled"] = "Y"
    record = listed(warehouse)["1001-a"]
    assert (record.state, record.remote_status) == (SentOrderState.CANCELLED, "Cancel Sending")


def test_a_long_reference_comes_back_whole(warehouse: IntegrationManagerWarehouse) -> None:
    reference = "Eine sehr lange Bestellnummer / 2026-10001-9f3a2b1c"
    send(warehouse, reference)
    assert reference in listed(warehouse)


def test_orders_of_other_programs_and_younger_ones_are_left_out(
    warehouse: IntegrationManagerWarehouse, sandbox: IntegrationManagerSandbox
) -> None:
    send(warehouse, "mine", "theirs", "young")
    sandbox.store.orders["theirs"]["extra_fields"] = {"loyalty": "gold"}
    sandbox.store.orders["young"]["created"] += 2 * HOUR
    assert set(listed(warehouse)) == {"mine"}


def test_a_list_of_several_pages(
    warehouse: IntegrationManagerWarehouse, calls: list[CallRecord], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client, "ORDERS_PER_PAGE", 2)
    send(warehouse, *(f"order-{number}" for number in range(5)))
    calls.clear()
    assert len(listed(warehouse)) == 5
    assert len(calls) == 3, "the total says where it ends"


def test_an_order_that_cannot_be_read_holds_no_other_up(
    warehouse: IntegrationManagerWarehouse, sandbox: IntegrationManagerSandbox
) -> None:
    send(warehouse, "good", "bad")
    sandbox.store.orders["bad"]["cust_ref"] = None
    now = datetime.now(UTC)
    pages: list[Any] = list(warehouse.search_sent(now - HOUR, now + HOUR))
    assert [record.reference for page in pages for record in page.records] == ["good"]
    assert ["no cust_ref" in reject.reason for page in pages for reject in page.rejects] == [True]
