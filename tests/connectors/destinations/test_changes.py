"""Changes of orders that were sent: afterwards there is one order, and it is the new one."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest
from msgspec import structs

from connectors.records import OutboundOrder, OutboundOrderChange
from tests.connectors.destinations.capabilities import Capability
from tests.connectors.destinations.destination import Destination, Parcel
from tests.connectors.destinations.test_orders import order_of

pytestmark = pytest.mark.needs(Capability.CHANGES)


def change_of(destination: Destination, order: OutboundOrder, remote_id: str) -> OutboundOrderChange:
    """Five of everything, to another street."""
    changed = replace(
        order,
        lines=tuple(replace(line, quantity=Decimal(5)) for line in order.lines),
        ship_to=structs.replace(order.ship_to, street1="99 New Road"),
    )
    return OutboundOrderChange(reference=f"{order.reference}/2", remote_id=remote_id, order=changed, summary="Changed")


def sent(destination: Destination) -> tuple[str, OutboundOrderChange]:
    """The SKU and the change of an order that has just arrived."""
    sku = destination.article(stock=20)
    order = order_of(destination, (sku, 3))
    [result] = destination.ports.send_orders([order])
    assert result.ok, result
    return sku, change_of(destination, order, result.remote_id)


def test_the_changed_order_is_the_only_one_however_often_it_is_asked_for(destination: Destination) -> None:
    sku, change = sent(destination)
    for connector in (destination.ports, destination.another_connector()):
        result = connector.change_order(change)
        assert (result.reference, result.ok) == (change.reference, True), result
    assert destination.orders_under(change.order.reference) == [{sku: Decimal(5)}]
    assert destination.another_connector().find_sent(change.order.reference)


@pytest.mark.needs(Capability.SHIPMENTS)
def test_what_was_shipped_stays_as_it_is(destination: Destination) -> None:
    sku, change = sent(destination)
    destination.ship(change.order.reference, Parcel(tracking_number="T"))
    result = destination.ports.change_order(change)
    assert not result.ok
    assert result.reason
    assert destination.orders_under(change.order.reference) == [{sku: Decimal(3)}]


def test_an_order_that_never_arrived_cannot_be_changed(destination: Destination) -> None:
    order = order_of(destination, (destination.article(stock=20), 3))
    result = destination.ports.change_order(change_of(destination, order, ""))
    assert not result.ok
    assert destination.orders_under(order.reference) == []
