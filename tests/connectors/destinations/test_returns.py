"""Returns: announced once, tied to their order where the destination has it."""

from __future__ import annotations

from decimal import Decimal

import pytest

from connectors.errors import OutcomeUnknown
from connectors.records import OutboundRefund, OutboundRefundLine
from tests.connectors.destinations.capabilities import Capability
from tests.connectors.destinations.destination import Destination, Parcel
from tests.connectors.destinations.test_shipments import sent
from tests.factories import PLACED_AT

pytestmark = pytest.mark.needs(Capability.RETURNS)


def return_of(destination: Destination, sku: str, quantity: int, order_reference: str = "") -> OutboundRefund:
    reference = f"return-{order_reference or sku}"
    return OutboundRefund(
        reference=reference,
        number=f"R-{sku}",
        order_reference=order_reference,
        order_number="1042",
        location_id=destination.location_ids[0],
        cart_name="Queen Street",
        placed_at=PLACED_AT,
        currency="NZD",
        amount=Decimal(10) * quantity,
        tax=Decimal(0),
        customer_name="Ada Lovelace",
        reason="Too small",
        restock=True,
        lines=(
            OutboundRefundLine(
                reference="line-1",
                sku=sku,
                name=f"Article {sku}",
                quantity=Decimal(quantity),
                amount=Decimal(10) * quantity,
            ),
        ),
    )


def test_a_return_arrives_once_and_is_found(destination: Destination) -> None:
    mug = destination.article(stock=10)
    order = sent(destination, (mug, 3))
    destination.ship(order.reference, Parcel(tracking_number="T"))
    refund = return_of(destination, mug, 2, order.reference)
    assert destination.ports.find_refund(refund.reference) is None
    result = destination.ports.send_refund(refund)
    assert (result.reference, result.ok, result.reason) == (refund.reference, True, "")
    assert destination.returns_under(refund.reference) == [{mug: Decimal(2)}]
    assert destination.another_connector().find_refund(refund.reference) == result.remote_id
    again = destination.another_connector().send_refund(refund)
    assert (again.ok, again.remote_id) == (True, result.remote_id)
    assert len(destination.returns_under(refund.reference)) == 1


def test_a_return_of_an_order_that_was_never_here_arrives_too(destination: Destination) -> None:
    mug = destination.article(stock=10)
    assert destination.ports.send_refund(return_of(destination, mug, 1)).ok
    assert destination.returns_under(f"return-{mug}") == [{mug: Decimal(1)}]


@pytest.mark.needs(Capability.UNKNOWN_SKUS)
def test_an_unknown_sku_is_refused_by_name(destination: Destination) -> None:
    result = destination.ports.send_refund(return_of(destination, "NOSUCHSKU", 1))
    assert not result.ok
    assert "NOSUCHSKU" in result.reason
    assert destination.ports.find_refund("return-NOSUCHSKU") is None


@pytest.mark.needs(Capability.LOST_ANSWERS)
def test_a_lost_answer_is_settled(destination: Destination) -> None:
    mug = destination.article(stock=10)
    order = sent(destination, (mug, 3))
    destination.ship(order.reference, Parcel(tracking_number="T"))
    refund = return_of(destination, mug, 2, order.reference)
    destination.lose_answer(Capability.RETURNS)
    with pytest.raises(OutcomeUnknown):
        destination.ports.send_refund(refund)
    assert destination.another_connector().find_refund(refund.reference)
    assert destination.returns_under(refund.reference) == [{mug: Decimal(2)}]
