"""Shipments: every parcel is told, with its tracking number and what is in it."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from connectors.records import OutboundOrder, ShipmentRecord
from tests.connectors.destinations.capabilities import Capability
from tests.connectors.destinations.destination import Destination, Parcel, last_cursor
from tests.connectors.destinations.test_orders import order_of

pytestmark = pytest.mark.needs(Capability.SHIPMENTS)


def sent(destination: Destination, *lines: tuple[str, int]) -> OutboundOrder:
    order = order_of(destination, *lines)
    [result] = destination.ports.send_orders([order])
    assert result.ok, result
    return order


def contents(*shipments: ShipmentRecord) -> dict[str, Decimal]:
    total: Counter[str] = Counter()
    for shipment in shipments:
        for line in shipment.lines:
            total[line.sku] += line.quantity  # type: ignore[assignment]
    return dict(total)  # type: ignore[arg-type]


def test_an_order_that_is_not_shipped_has_none(destination: Destination) -> None:
    order = sent(destination, (destination.article(stock=10), 1))
    assert destination.shipments_of(order.reference) == []


def test_a_shipment_is_told_with_its_tracking_number(destination: Destination) -> None:
    mug, bowl = destination.article(stock=10), destination.article(stock=10)
    order = sent(destination, (mug, 2), (bowl, 1))
    destination.ship(order.reference, Parcel(carrier="NZ Post", tracking_number="TRACK-1"))
    [shipment] = destination.shipments_of(order.reference)
    assert (shipment.carrier, shipment.tracking_number) == ("NZ Post", "TRACK-1")
    assert contents(shipment) in ({mug: 2, bowl: 1}, {})
    assert shipment.shipped_at.utcoffset() == timedelta(0)
    assert abs(shipment.shipped_at - datetime.now(UTC)) < timedelta(days=1)


@pytest.mark.needs(Capability.PARTIAL_SHIPMENTS)
def test_parts_are_told_one_by_one(destination: Destination) -> None:
    mug, bowl = destination.article(stock=10), destination.article(stock=10)
    order = sent(destination, (mug, 3), (bowl, 1))
    destination.ship(order.reference, Parcel({mug: 1}, tracking_number="PART-1"))
    [first] = destination.shipments_of(order.reference)
    assert (contents(first), first.tracking_number) == ({mug: 1}, "PART-1")
    destination.ship(order.reference, Parcel(tracking_number="PART-2"))
    shipments = destination.shipments_of(order.reference)
    assert len({one.external_id for one in shipments}) == 2
    assert contents(*shipments) == {mug: 3, bowl: 1}
    assert {one.tracking_number for one in shipments} == {"PART-1", "PART-2"}


@pytest.mark.needs(Capability.SEVERAL_PARCELS)
def test_parcels_that_leave_together_are_told_each(destination: Destination) -> None:
    mug, bowl = destination.article(stock=10), destination.article(stock=10)
    order = sent(destination, (mug, 2), (bowl, 1))
    destination.ship(
        order.reference, Parcel({mug: 2}, tracking_number="BOX-1"), Parcel({bowl: 1}, tracking_number="BOX-2")
    )
    found = {one.tracking_number: one for one in destination.shipments_of(order.reference)}
    assert {number: contents(one) for number, one in found.items()} == {"BOX-1": {mug: 2}, "BOX-2": {bowl: 1}}
    assert len({one.external_id for one in found.values()}) == 2


def test_what_was_told_keeps_its_id_and_the_cursor_leads_on(destination: Destination) -> None:
    mug = destination.article(stock=10)
    first, second = sent(destination, (mug, 1)), sent(destination, (mug, 1))
    destination.ship(first.reference, Parcel(tracking_number="A"))
    cursor = last_cursor(destination.ports.read_shipments(""))
    [told] = destination.shipments_of(first.reference)
    destination.ship(second.reference, Parcel(tracking_number="B"))
    [new] = destination.shipments_of(second.reference, cursor)
    assert new.tracking_number == "B"
    # A reader may overlap; then the shipment is the same one.
    assert {one.external_id for one in destination.shipments_of(first.reference, cursor)} <= {told.external_id}
