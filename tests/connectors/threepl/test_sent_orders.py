"""The list of orders that Reconciliation reads, and the count of open ones."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from urllib.parse import unquote

from connectors.http import CallRecord
from connectors.records import SentOrderState
from connectors.threepl.connector import ThreePLConnector
from connectors.threepl.sandbox import ThreePLSandbox
from tests.connectors.threepl.conftest import Connect
from tests.factories import make_outbound

HOUR = timedelta(hours=1)
LINES = (("ITEM-001", "2"),)


def span() -> tuple[datetime, datetime]:
    now = datetime.now(UTC)
    return now - HOUR, now + HOUR


def references(warehouse: ThreePLConnector) -> list[str]:
    return [record.reference for page in warehouse.search_sent(*span()) for record in page.records]


def test_orders_of_others_are_not_listed_but_counted(warehouse: ThreePLConnector, sandbox: ThreePLSandbox) -> None:
    assert warehouse.send_orders([make_outbound("A", LINES)])[0].ok
    assert warehouse.send_orders([make_outbound("B", LINES)])[0].ok
    theirs = sandbox.store.order_of("B")
    theirs["externalId"], theirs["savedElements"] = "", []
    assert references(warehouse) == ["A"]
    assert warehouse.count_sent(*span()) == {SentOrderState.OPEN: 2}


def test_times_are_the_warehouses_own(connect: Connect, sandbox: ThreePLSandbox, calls: list[CallRecord]) -> None:
    warehouse = connect(time_zone="America/Chicago")
    since = datetime(2026, 7, 1, 12, 0, tzinfo=UTC)
    assert next(iter(warehouse.search_sent(since, since + HOUR))).records == []
    asked = unquote(calls[-1].url)
    assert "2026-07-01T07:00:00" in asked
    assert "2026-07-01T08:00:00" in asked


def test_where_orders_cannot_be_filtered_all_are_listed_and_none_counted(
    warehouse: ThreePLConnector, sandbox: ThreePLSandbox
) -> None:
    assert warehouse.send_orders([make_outbound("A", LINES)])[0].ok
    sandbox.unfilterable = frozenset({"orders"})
    assert references(warehouse) == ["A"]
    assert warehouse.count_sent(*span()) == {}


def test_one_call_counts_and_one_lists(
    warehouse: ThreePLConnector, sandbox: ThreePLSandbox, calls: list[CallRecord]
) -> None:
    for number in range(3):
        assert warehouse.send_orders([make_outbound(f"A{number}", LINES)])[0].ok
    sandbox.reset_calls()
    assert warehouse.count_sent(*span()) == {SentOrderState.OPEN: 3}
    assert sandbox.count("GET /orders") == 1
    assert len(references(warehouse)) == 3
    assert sandbox.count("GET /orders") == 2
