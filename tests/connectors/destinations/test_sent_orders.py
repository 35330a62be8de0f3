"""What a warehouse says of the orders that it was sent, listed for a period, for Reconciliation."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from connectors.records import OutboundCancellation, OutboundOrder, SentOrderRecord, SentOrderState
from tests.connectors.destinations.capabilities import Capability
from tests.connectors.destinations.destination import Destination, Parcel, records
from tests.connectors.destinations.test_changes import change_of
from tests.connectors.destinations.test_orders import order_of

HOUR = timedelta(hours=1)
State = SentOrderState

pytestmark = pytest.mark.needs(Capability.SENT_ORDERS)


def span() -> tuple[datetime, datetime]:
    now = datetime.now(UTC)
    return now - HOUR, now + HOUR


def listed(destination: Destination) -> dict[str, SentOrderRecord]:
    """By reference; a reference is listed once."""
    found = records(destination.another_connector().search_sent(*span()))  # type: ignore[attr-defined]
    assert len({record.reference for record in found}) == len(found)
    return {record.reference: record for record in found}


def sent(destination: Destination, number: int = 1) -> list[tuple[OutboundOrder, str]]:
    """Orders that have just arrived, each with the warehouse's id."""
    mug = destination.article(stock=1000)
    orders = [order_of(destination, (mug, 2)) for _ in range(number)]
    size = destination.ports.order_batch_size()
    results = [
        result
        for start in range(0, number, size)
        for result in destination.ports.send_orders(orders[start : start + size])
    ]
    assert all(result.ok for result in results), results
    return [(order, result.remote_id) for order, result in zip(orders, results, strict=True)]


def test_what_arrived_is_listed_as_open(destination: Destination) -> None:
    [(order, remote_id)] = sent(destination)
    record = listed(destination)[order.reference]
    assert (record.remote_id, record.state) == (remote_id, State.OPEN)
    assert record.remote_status
    assert record.total in (None, order.total)


def test_each_of_many_is_listed_once_and_what_never_arrived_is_not(destination: Destination) -> None:
    orders = {order.reference for order, _ in sent(destination, 12)}
    found = listed(destination)
    assert orders <= set(found)
    assert "never-sent" not in found


def test_nothing_is_listed_of_a_time_before(destination: Destination) -> None:
    [(order, _)] = sent(destination)
    since, _ = span()
    pages = destination.ports.search_sent(since - HOUR, since)
    assert order.reference not in {record.reference for record in records(pages)}


@pytest.mark.needs(Capability.SHIPMENTS)
def test_what_left_is_listed_as_shipped(destination: Destination) -> None:
    (gone, _), (waiting, _) = sent(destination, 2)
    destination.ship(gone.reference, Parcel(tracking_number="T1"))
    found = listed(destination)
    assert found[gone.reference].state is State.SHIPPED
    assert found[waiting.reference].state is State.OPEN


@pytest.mark.needs(Capability.PARTIAL_SHIPMENTS)
def test_what_left_in_part_is_open(destination: Destination) -> None:
    mug = destination.article(stock=10)
    order = order_of(destination, (mug, 2))
    assert destination.ports.send_orders([order])[0].ok
    destination.ship(order.reference, Parcel({mug: 1}, tracking_number="T1"))
    assert listed(destination)[order.reference].state is State.OPEN


@pytest.mark.needs(Capability.CANCELLATIONS)
def test_what_was_cancelled_is_listed_as_cancelled(destination: Destination) -> None:
    (dropped, remote_id), (kept, _) = sent(destination, 2)
    wish = OutboundCancellation(reference=dropped.reference, remote_id=remote_id, reason="Voided")
    assert destination.ports.cancel_order(wish).ok
    found = listed(destination)
    assert found[dropped.reference].state is State.CANCELLED
    assert found[kept.reference].state is State.OPEN


@pytest.mark.needs(Capability.CHANGES)
def test_what_was_changed_is_listed_once_and_is_open(destination: Destination) -> None:
    [(order, remote_id)] = sent(destination)
    assert destination.ports.change_order(change_of(destination, order, remote_id)).ok
    assert listed(destination)[order.reference].state is State.OPEN


@pytest.mark.needs(Capability.COUNTED_ORDERS)
def test_the_count_is_that_of_the_list(destination: Destination) -> None:
    """Orders of earlier tests may be there as well."""
    (open_one, _), (gone, _), (dropped, remote_id) = sent(destination, 3)
    destination.ship(gone.reference, Parcel(tracking_number="T1"))
    assert destination.ports.cancel_order(OutboundCancellation(reference=dropped.reference, remote_id=remote_id)).ok
    found = listed(destination)
    numbers = destination.ports.count_sent(*span())
    assert State.OPEN in numbers
    for state, number in numbers.items():
        assert number == sum(record.state is state for record in found.values())
    assert found[open_one.reference].state is State.OPEN


@pytest.mark.needs(Capability.COUNTED_ORDERS)
def test_nothing_is_counted_of_a_time_before(destination: Destination) -> None:
    sent(destination)
    since, _ = span()
    assert set(destination.ports.count_sent(since - HOUR, since).values()) == {0}
