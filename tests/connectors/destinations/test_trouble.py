"""Trouble comes as the types that the engine knows, and Test says what to do."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest

from connectors.errors import (
    AuthenticationFailed,
    ConnectorError,
    ContractBroken,
    OutcomeUnknown,
    RateLimited,
    RemoteUnavailable,
)
from tests.connectors.destinations.capabilities import Capability
from tests.connectors.destinations.destination import Destination, records
from tests.connectors.destinations.test_orders import order_of


def readings(destination: Destination) -> list[Callable[[], Any]]:
    """Everything that only looks."""
    connector = destination.ports
    found: list[Callable[[], Any]] = [lambda: connector.find_sent("never-sent")]
    for capability, read in (
        (Capability.SHIPMENTS, lambda: records(connector.read_shipments(""))),
        (Capability.INVENTORY, lambda: records(connector.read_levels(""))),
        (Capability.PRODUCTS, lambda: records(connector.read_products(""))),
        (Capability.LOCATIONS, lambda: connector.read_locations()),
        (Capability.RETURNS, lambda: connector.find_refund("never-sent")),
        (Capability.ADJUSTMENTS, lambda: connector.find_adjustment("never-sent")),
    ):
        if destination.can(capability):
            found.append(read)
    return found


def test_a_good_setup_passes_the_test(destination: Destination) -> None:
    steps = list(destination.connector.test())
    assert steps
    assert [step for step in steps if not step.ok] == []


@pytest.mark.needs(Capability.OUTAGES)
def test_an_outage_makes_readings_wait_and_passes(destination: Destination) -> None:
    destination.break_down()
    for reading in readings(destination):
        with pytest.raises(RemoteUnavailable):
            reading()
    destination.recover()
    for reading in readings(destination):
        reading()


@pytest.mark.needs(Capability.REFUSED_ACCESS)
def test_refused_credentials_stop_everything_and_the_test_says_what_to_do(destination: Destination) -> None:
    order = order_of(destination, (destination.article(stock=10), 1))
    destination.refuse_access()
    for call in (*readings(destination), lambda: destination.ports.send_orders([order])):
        with pytest.raises(AuthenticationFailed) as caught:
            call()
        assert caught.value.fix
    failed = [step for step in destination.connector.test() if not step.ok]
    assert failed
    assert all(step.message and step.help for step in failed)


@pytest.mark.needs(Capability.RATE_LIMITS)
def test_too_many_calls_name_the_time_to_go_on(destination: Destination) -> None:
    before = datetime.now(UTC)
    destination.limit_rate()
    with pytest.raises(RateLimited) as caught:
        destination.ports.find_sent("never-sent")
    assert caught.value.retry_at > before


@pytest.mark.needs(Capability.WEB_PAGES)
def test_a_web_page_is_no_answer(destination: Destination) -> None:
    destination.ports.find_sent("never-sent")
    destination.answer_with_web_page()
    with pytest.raises((ContractBroken, RemoteUnavailable)):
        destination.ports.find_sent("never-sent")


@pytest.mark.needs(Capability.WEB_PAGES)
def test_a_web_page_after_sending_proves_nothing(destination: Destination) -> None:
    order = order_of(destination, (destination.article(stock=10), 1))
    destination.ports.find_sent(order.reference)
    destination.answer_with_web_page()
    with pytest.raises(ConnectorError) as caught:
        destination.ports.send_orders([order])
    assert isinstance(caught.value, OutcomeUnknown | ContractBroken | RemoteUnavailable)
    assert destination.another_connector().find_sent(order.reference) is None
