"""Cancellations: before shipping an order is taken back, afterwards the refusal says why."""

from __future__ import annotations

import pytest

from connectors.records import OutboundCancellation
from tests.connectors.destinations.capabilities import Capability
from tests.connectors.destinations.destination import Destination, Parcel
from tests.connectors.destinations.test_orders import order_of

pytestmark = pytest.mark.needs(Capability.CANCELLATIONS)


def sent(destination: Destination) -> OutboundCancellation:
    """The cancellation of an order that has just arrived."""
    order = order_of(destination, (destination.article(stock=10), 2))
    [result] = destination.ports.send_orders([order])
    assert result.ok, result
    return OutboundCancellation(reference=order.reference, remote_id=result.remote_id, reason="Voided in the shop")


def test_an_order_is_cancelled_however_often_it_is_asked_for(destination: Destination) -> None:
    wish = sent(destination)
    assert len(destination.orders_under(wish.reference)) == 1
    for connector in (destination.ports, destination.another_connector()):
        result = connector.cancel_order(wish)
        assert (result.reference, result.ok, result.reason) == (wish.reference, True, "")
    assert destination.orders_under(wish.reference) == []


def test_a_cancelled_order_still_counts_as_sent(destination: Destination) -> None:
    wish = sent(destination)
    destination.ports.cancel_order(wish)
    assert destination.another_connector().find_sent(wish.reference) == wish.remote_id


@pytest.mark.needs(Capability.SHIPMENTS, Capability.REFUSED_CANCELLATIONS)
def test_what_was_shipped_is_not_cancelled(destination: Destination) -> None:
    wish = sent(destination)
    destination.ship(wish.reference, Parcel(tracking_number="T1"))
    result = destination.ports.cancel_order(wish)
    assert not result.ok
    assert result.reason and result.fix
    assert len(destination.orders_under(wish.reference)) == 1


def test_an_order_that_never_arrived_cannot_be_cancelled(destination: Destination) -> None:
    result = destination.ports.cancel_order(OutboundCancellation(reference="never-sent", remote_id=""))
    assert not result.ok
    assert result.reason


@pytest.mark.needs(Capability.INVENTORY, Capability.COMMITTED_STOCK)
def test_its_stock_may_be_sold_again(destination: Destination) -> None:
    mug = destination.article(stock=10)
    order = order_of(destination, (mug, 4))
    [result] = destination.ports.send_orders([order])
    assert destination.level(mug).available == 6
    assert destination.ports.cancel_order(
        OutboundCancellation(reference=order.reference, remote_id=result.remote_id)
    ).ok
    assert destination.level(mug).available == 10
