"""Stock adjustments and transfers of the shops: booked once, by the difference they make."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from itertools import count

import pytest

from connectors.errors import OutcomeUnknown
from connectors.records import (
    ConsignmentKind,
    OutboundStockAdjustment,
    OutboundStockLine,
    OutboundStockTransfer,
    TransferStep,
)
from tests.connectors.destinations.capabilities import Capability
from tests.connectors.destinations.destination import Destination

NUMBERS = count(1)
NOW = datetime.now(UTC)


def stock_lines(*lines: tuple[str, int]) -> tuple[OutboundStockLine, ...]:
    return tuple(
        OutboundStockLine(reference=f"line-{number}", sku=sku, name=f"Article {sku}", quantity=Decimal(quantity))
        for number, (sku, quantity) in enumerate(lines, 1)
    )


def adjustment_of(destination: Destination, *lines: tuple[str, int]) -> OutboundStockAdjustment:
    number = next(NUMBERS)
    return OutboundStockAdjustment(
        reference=f"adjustment-{destination.key}-{NOW.timestamp()}-{number}",
        number=f"C-{number}",
        location_id=destination.location_ids[0],
        kind=ConsignmentKind.COUNT,
        happened_at=NOW,
        cart_name="Queen Street",
        lines=stock_lines(*lines),
    )


def transfer_of(destination: Destination, step: TransferStep, *lines: tuple[str, int]) -> OutboundStockTransfer:
    number = next(NUMBERS)
    reference = f"transfer-{destination.key}-{NOW.timestamp()}-{number}"
    here, there = destination.location_ids[:2]
    return OutboundStockTransfer(
        reference=f"{reference}-{step}",
        transfer_reference=reference,
        number=f"T-{number}",
        step=step,
        from_location_id=here,
        to_location_id=there,
        happened_at=NOW,
        cart_name="Queen Street",
        lines=stock_lines(*lines),
    )


@pytest.mark.needs(Capability.ADJUSTMENTS, Capability.INVENTORY)
class TestAdjustments:
    def test_more_and_less_are_booked(self, destination: Destination) -> None:
        more, less, new = destination.article(stock=20), destination.article(stock=20), destination.article()
        adjustment = adjustment_of(destination, (more, 5), (less, -3), (new, 8))
        assert destination.ports.find_adjustment(adjustment.reference) is None
        result = destination.ports.send_adjustment(adjustment)
        assert (result.reference, result.ok, result.reason) == (adjustment.reference, True, "")
        assert [destination.level(sku).available for sku in (more, less, new)] == [25, 17, 8]
        assert destination.another_connector().find_adjustment(adjustment.reference) == result.remote_id

    @pytest.mark.needs(Capability.UNKNOWN_SKUS)
    def test_an_unknown_sku_is_named_and_the_rest_is_booked(self, destination: Destination) -> None:
        mug = destination.article(stock=20)
        result = destination.ports.send_adjustment(adjustment_of(destination, ("NOSUCHSKU", 5), (mug, 5)))
        assert result.ok
        assert "NOSUCHSKU" in result.reason
        assert destination.level(mug).available == 25

    @pytest.mark.needs(Capability.UNKNOWN_SKUS)
    def test_one_without_any_known_sku_is_refused(self, destination: Destination) -> None:
        adjustment = adjustment_of(destination, ("NOSUCHSKU", 5))
        result = destination.ports.send_adjustment(adjustment)
        assert not result.ok
        assert "NOSUCHSKU" in result.reason
        assert destination.ports.find_adjustment(adjustment.reference) is None

    def test_an_unknown_location_is_refused(self, destination: Destination) -> None:
        mug = destination.article(stock=20)
        result = destination.ports.send_adjustment(
            replace(adjustment_of(destination, (mug, 5)), location_id="no-such-place")
        )
        assert not result.ok
        assert destination.level(mug).available == 20

    @pytest.mark.needs(Capability.LOST_ANSWERS)
    def test_a_lost_answer_is_settled_and_nothing_is_booked_twice(self, destination: Destination) -> None:
        mug = destination.article(stock=20)
        adjustment = adjustment_of(destination, (mug, 5))
        destination.lose_answer(Capability.ADJUSTMENTS)
        with pytest.raises(OutcomeUnknown):
            destination.ports.send_adjustment(adjustment)
        connector = destination.another_connector()
        if connector.find_adjustment(adjustment.reference) is None:
            assert connector.send_adjustment(adjustment).ok
        assert destination.level(mug).available == 25


def steps_of(destination: Destination, *lines: tuple[str, int]) -> list[OutboundStockTransfer]:
    """One transfer in the steps in which this destination gets it."""
    moved = transfer_of(destination, TransferStep.MOVED, *lines)
    if not destination.ports.knows_transit():
        return [moved]
    return [
        replace(moved, step=step, reference=f"{moved.transfer_reference}-{step}")
        for step in (TransferStep.SENT, TransferStep.RECEIVED)
    ]


@pytest.mark.needs(Capability.TRANSFERS, Capability.INVENTORY, Capability.SEVERAL_LOCATIONS)
class TestTransfers:
    def test_goods_go_from_one_location_to_the_other(self, destination: Destination) -> None:
        here, there = destination.location_ids[:2]
        mug = destination.article(stock=60)
        destination.put_stock(mug, 3, there)
        remote_id = ""
        for step in steps_of(destination, (mug, 15)):
            assert destination.ports.find_transfer(step) is None
            result = destination.ports.send_transfer(replace(step, remote_id=remote_id))
            assert (result.reference, result.ok) == (step.reference, True), result
            remote_id = result.remote_id
            assert destination.another_connector().find_transfer(step) == remote_id
            assert destination.level(mug, here).available == 45
            if step.step is TransferStep.SENT:
                assert destination.level(mug, there).available == 3
        assert destination.level(mug, there).available == 18

    def test_an_unknown_location_is_refused(self, destination: Destination) -> None:
        mug = destination.article(stock=60)
        step = replace(steps_of(destination, (mug, 15))[0], to_location_id="no-such-place")
        assert not destination.ports.send_transfer(step).ok
        assert destination.level(mug).available == 60

    @pytest.mark.needs(Capability.LOST_ANSWERS)
    def test_a_lost_answer_is_settled_and_nothing_moves_twice(self, destination: Destination) -> None:
        here, there = destination.location_ids[:2]
        mug = destination.article(stock=60)
        destination.put_stock(mug, 3, there)
        first, *rest = steps_of(destination, (mug, 15))
        destination.lose_answer(Capability.TRANSFERS)
        with pytest.raises(OutcomeUnknown):
            destination.ports.send_transfer(first)
        connector = destination.another_connector()
        for step in (first, *rest):
            if connector.find_transfer(step) is None:
                assert connector.send_transfer(step).ok
        assert (destination.level(mug, here).available, destination.level(mug, there).available) == (45, 18)
