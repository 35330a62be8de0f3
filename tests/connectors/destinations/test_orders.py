"""Orders: each arrives once, whatever happens on the way."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest

from connectors.errors import ConnectorError, OutcomeUnknown
from connectors.records import Address, OutboundOrder
from tests.connectors.destinations.capabilities import Capability
from tests.connectors.destinations.destination import Destination
from tests.factories import make_outbound


def order_of(destination: Destination, *lines: tuple[str, int]) -> OutboundOrder:
    return make_outbound(
        lines=tuple((sku, str(quantity)) for sku, quantity in lines),
        location_id=destination.location_ids[0],
        customer_email="ada@example.com",
    )


def test_an_order_arrives_and_is_found(destination: Destination) -> None:
    mug, bowl = destination.article(stock=10), destination.article(stock=10)
    order = order_of(destination, (mug, 2), (bowl, 1))
    assert destination.ports.find_sent(order.reference) is None
    [result] = destination.ports.send_orders([order])
    assert (result.reference, result.ok, result.reason) == (order.reference, True, "")
    assert result.remote_id
    assert destination.orders_under(order.reference) == [{mug: Decimal(2), bowl: Decimal(1)}]
    assert destination.another_connector().find_sent(order.reference) == result.remote_id


@pytest.mark.needs(Capability.REPEATED_ORDERS)
def test_an_order_that_is_sent_twice_is_one_order(destination: Destination) -> None:
    order = order_of(destination, (destination.article(stock=10), 2))
    [first] = destination.ports.send_orders([order])
    [second] = destination.another_connector().send_orders([order])
    assert (second.ok, second.remote_id) == (True, first.remote_id)
    assert len(destination.orders_under(order.reference)) == 1


def test_orders_with_other_references_are_other_orders(destination: Destination) -> None:
    first = order_of(destination, (destination.article(stock=10), 2))
    second = replace(first, reference=f"{first.reference}-2")
    for order in (first, second):
        assert destination.ports.send_orders([order])[0].ok
    assert destination.ports.find_sent(first.reference) != destination.ports.find_sent(second.reference)
    assert destination.ports.find_sent(f"{first.reference}-3") is None


def test_as_many_orders_as_a_call_may_hold_get_an_answer_each(destination: Destination) -> None:
    mug = destination.article(stock=1000)
    count = min(destination.ports.order_batch_size(), 12)
    orders = [order_of(destination, (mug, 1)) for _ in range(count)]
    results = {result.reference: result for result in destination.ports.send_orders(orders)}
    assert set(results) == {order.reference for order in orders}
    assert all(result.ok for result in results.values()), results
    assert len({result.remote_id for result in results.values()}) == count


@pytest.mark.needs(Capability.UNKNOWN_SKUS)
def test_an_unknown_sku_is_refused_by_name_and_nothing_arrives(destination: Destination) -> None:
    order = order_of(destination, (destination.article(stock=10), 1), ("NOSUCHSKU", 1))
    [result] = destination.ports.send_orders([order])
    assert not result.ok
    assert "NOSUCHSKU" in result.reason
    assert result.fix
    assert destination.ports.find_sent(order.reference) is None
    assert destination.orders_under(order.reference) == []


@pytest.mark.needs(Capability.UNKNOWN_SKUS, Capability.BATCHES)
def test_a_refused_order_holds_no_other_up(destination: Destination) -> None:
    mug = destination.article(stock=10)
    good, bad, last = (order_of(destination, (sku, 1)) for sku in (mug, "NOSUCHSKU", mug))
    results = {result.reference: result.ok for result in destination.ports.send_orders([good, bad, last])}
    assert results == {good.reference: True, bad.reference: False, last.reference: True}


@pytest.mark.needs(Capability.UNKNOWN_SKUS)
def test_a_refused_order_goes_out_once_it_is_corrected(destination: Destination) -> None:
    mug = destination.article(stock=10)
    bad = order_of(destination, ("NOSUCHSKU", 1))
    assert not destination.ports.send_orders([bad])[0].ok
    good = replace(bad, lines=order_of(destination, (mug, 1)).lines)
    assert destination.ports.send_orders([good])[0].ok
    assert destination.orders_under(bad.reference) == [{mug: Decimal(1)}]


@pytest.mark.needs(Capability.UNKNOWN_LOCATIONS)
def test_an_unknown_location_is_refused(destination: Destination) -> None:
    order = replace(order_of(destination, (destination.article(stock=10), 1)), location_id="no-such-place")
    [result] = destination.ports.send_orders([order])
    assert not result.ok
    assert result.fix
    assert destination.orders_under(order.reference) == []


def test_names_and_notes_arrive_in_any_script(destination: Destination) -> None:
    order = replace(
        order_of(destination, (destination.article(stock=10), 1)),
        customer_name="Ōtautahi Ärzte 株式会社",
        note='He said "now" – 100 % \\ <b>&amp;</b>\nsecond line 🚲',
        ship_to=Address(
            name="Ōtautahi Ärzte", street1="1 Rue de l’Été", city="Ōtautahi", postcode="8011", country="NZ"
        ),
    )
    assert destination.ports.send_orders([order])[0].ok
    assert len(destination.orders_under(order.reference)) == 1


@pytest.mark.needs(Capability.LOST_ANSWERS)
def test_an_order_accepted_without_an_answer_is_found_and_not_sent_again(destination: Destination) -> None:
    mug = destination.article(stock=10)
    order = order_of(destination, (mug, 2))
    destination.lose_answer(Capability.ORDERS)
    with pytest.raises(OutcomeUnknown):
        destination.ports.send_orders([order])
    remote_id = destination.another_connector().find_sent(order.reference)
    assert remote_id
    assert destination.orders_under(order.reference) == [{mug: Decimal(2)}]


@pytest.mark.needs(Capability.OUTAGES)
def test_an_order_sent_during_an_outage_goes_out_once_afterwards(destination: Destination) -> None:
    mug = destination.article(stock=10)
    order = order_of(destination, (mug, 2))
    destination.break_down()
    with pytest.raises(ConnectorError) as caught:
        destination.ports.send_orders([order])
    assert caught.value.kind in ("unavailable", "outcome_unknown")
    destination.recover()
    assert destination.ports.find_sent(order.reference) is None
    assert destination.ports.send_orders([order])[0].ok
    assert destination.orders_under(order.reference) == [{mug: Decimal(2)}]
