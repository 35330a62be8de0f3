"""Levels, counts and transfers, where Tryton has ways of its own."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal

import pytest

from connectors.errors import OutcomeUnknown
from connectors.records import LevelRecord, OutboundStockAdjustment, TransferStep
from connectors.tryton.feed import OVERLAP
from connectors.tryton.local_people import SHIPMENT, Box
from connectors.tryton.wire import quantity
from tests.connectors.destinations.destination import last_cursor, records
from tests.connectors.destinations.test_movements import adjustment_of as suite_adjustment
from tests.connectors.destinations.test_movements import stock_lines, transfer_of
from tests.connectors.destinations.tryton import TrytonDestination
from tests.connectors.tryton.conftest import Desk
from tests.local_tryton import TrytonWorld


@pytest.fixture
def there(tryton: TrytonWorld) -> TrytonDestination:
    return TrytonDestination(tryton)


def level(tryton: TrytonWorld, sku: str, place: int) -> LevelRecord:
    [found] = [
        one for one in records(tryton.connect().read_levels("")) if (one.sku, one.location_id) == (sku, str(place))
    ]
    return found


class TestLevels:
    @pytest.mark.parametrize("status", ["draft", "quotation", "confirmed"])
    def test_an_order_counts_from_the_moment_it_arrives(self, tryton: TrytonWorld, desk: Desk, status: str) -> None:
        sku = desk.article(stock=20)
        connector = tryton.connect(order_status=status)
        cursor = last_cursor(connector.read_levels(""))
        sale = desk.sent((sku, "3"), connector=connector)
        changed = [one for one in records(connector.read_levels(cursor)) if one.sku == sku]
        assert {one.location_id: (one.available, one.on_hand) for one in changed} == {
            str(desk.place("AKL")): (17, 20),
            str(desk.place("WLG")): (0, 0),
        }
        if status == "draft":
            tryton.admin.press("sale.sale", "cancel", [sale.id])
            assert level(tryton, sku, desk.place()).available == 20

    def test_each_step_of_a_shipment_takes_the_goods_off_once(self, tryton: TrytonWorld, desk: Desk) -> None:
        sku = desk.article(stock=20)
        shipment = desk.sent((sku, "3")).shipments[0]["id"]
        assert level(tryton, sku, desk.place()).available == 17
        tryton.people.pick(shipment)
        assert level(tryton, sku, desk.place()).available == 17
        tryton.admin.press(SHIPMENT, "pack", [shipment], yes_to=(".no_carrier",))
        tryton.admin.press(SHIPMENT, "ship", [shipment])
        assert level(tryton, sku, desk.place()).available == 17
        tryton.admin.press(SHIPMENT, "do", [shipment])
        now = level(tryton, sku, desk.place())
        assert (now.available, now.on_hand) == (17, 17)

    def test_shelves_inside_the_storage_count_and_the_input_zone_does_not(
        self, tryton: TrytonWorld, desk: Desk
    ) -> None:
        sku = desk.article(stock=20)
        product, storage = tryton.people.product(sku), tryton.people.storages[desk.place()]
        values = {"type": "storage", "name": "Shelf", "parent": storage}
        [shelf] = tryton.admin.create("stock.location", [values])
        input_zone = tryton.admin.read("stock.location", [desk.place()], ("input_location",), dict)[0]["input_location"]
        for place, count in ((shelf, "7"), (input_zone, "100")):
            line = {"product": product, "quantity": quantity(Decimal(count))}
            made = tryton.admin.create("stock.inventory", [{"location": place, "lines": [["create", [line]]]}])
            tryton.admin.press("stock.inventory", "confirm", made)
        assert level(tryton, sku, desk.place()).available == 27

    def test_a_quiet_cycle_reads_no_level(self, tryton: TrytonWorld, desk: Desk) -> None:
        desk.article(stock=20)
        connector = tryton.connect()
        cursor = last_cursor(connector.read_levels(""))
        since, _, _, whole = cursor.split("|")
        later = (connector.client.now() + timedelta(hours=1)).isoformat()
        tryton.door.reset_calls()
        assert records(connector.read_levels(f"{later}|||{whole}")) == []
        assert sum(tryton.door.counts.values()) <= 4
        assert since < whole

    def test_everything_is_read_again_once_a_day(self, tryton: TrytonWorld, desk: Desk) -> None:
        sku = desk.article(stock=20)
        connector = tryton.connect()
        now = connector.client.now()
        fresh = f"{(now + timedelta(hours=1)).isoformat()}|||{(now - timedelta(hours=23)).isoformat()}"
        stale = f"{(now + timedelta(hours=1)).isoformat()}|||{(now - timedelta(hours=25)).isoformat()}"
        assert sku not in {one.sku for one in records(connector.read_levels(fresh))}
        assert sku in {one.sku for one in records(connector.read_levels(stale))}

    def test_a_cursor_that_nobody_can_read_begins_anew(self, tryton: TrytonWorld, desk: Desk) -> None:
        sku = desk.article(stock=20)
        assert sku in {one.sku for one in records(tryton.connect().read_levels("nonsense|x|y"))}

    def test_pages_lead_on_in_the_middle_of_a_reading(
        self, tryton: TrytonWorld, desk: Desk, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        desk.article(stock=1), desk.article(stock=1)
        whole = records(tryton.connect().read_levels(""))
        products = {one.product_id for one in whole}
        monkeypatch.setattr("connectors.tryton.levels.PRODUCTS_PER_PAGE", len(products) // 2 + 1)
        first = next(tryton.connect().read_levels(""))
        rest = records(tryton.connect().read_levels(first.cursor))
        assert len({one.product_id for one in first.records}) == len(products) // 2 + 1
        assert sorted(one.product_id for one in (*first.records, *rest)) == sorted(one.product_id for one in whole)

    def test_the_next_reading_overlaps(self, tryton: TrytonWorld, desk: Desk) -> None:
        """A change that was long under way when it was made shows up late."""
        connector = tryton.connect()
        since = last_cursor(connector.read_levels("")).split("|")[0]
        assert (
            connector.client.now() - timedelta(minutes=1) - OVERLAP
            < datetime.fromisoformat(since)
            <= connector.client.now() - OVERLAP
        )


def adjustment_of(there: TrytonDestination, *lines: tuple[str, int]) -> OutboundStockAdjustment:
    return suite_adjustment(there, *lines)


class TestCounts:
    def test_what_moves_in_between_keeps_its_effect(
        self, tryton: TrytonWorld, desk: Desk, there: TrytonDestination
    ) -> None:
        """A parcel leaves while the hub is counting."""
        sku = desk.article(stock=20)
        shipment = desk.sent((sku, "3")).shipments[0]["id"]
        tryton.door.fail(match="POST model.stock.inventory.confirm", fault="never_received")
        adjustment = adjustment_of(there, (sku, 5))
        connector = tryton.connect()
        with pytest.raises(OutcomeUnknown):
            connector.send_adjustment(adjustment)
        tryton.people.ship(shipment, [Box({}, "T")])
        assert connector.find_adjustment(adjustment.reference) is None
        assert connector.send_adjustment(adjustment).ok
        assert level(tryton, sku, desk.place()).on_hand == 22

    def test_a_draft_left_half_way_is_taken_out(
        self, tryton: TrytonWorld, desk: Desk, there: TrytonDestination
    ) -> None:
        adjustment = adjustment_of(there, (desk.article(stock=20), 5))
        tryton.door.fail(match="POST model.stock.inventory.confirm", fault="never_received")
        connector = tryton.connect()
        with pytest.raises(OutcomeUnknown):
            connector.send_adjustment(adjustment)
        assert connector.stocktakes.noted(adjustment.reference, "draft")
        assert connector.find_adjustment(adjustment.reference) is None
        assert not connector.stocktakes.noted(adjustment.reference, "draft")

    def test_no_level_is_counted_below_nothing(self, tryton: TrytonWorld, desk: Desk, there: TrytonDestination) -> None:
        little, none, much = desk.article(stock=3), desk.article(stock=0), desk.article(stock=20)
        result = tryton.connect().send_adjustment(adjustment_of(there, (little, -5), (none, -1), (much, -5)))
        assert result.ok
        assert f"Tryton has 3 of {little} there, so -5 cannot be booked in full." in result.reason
        assert f"Tryton has 0 of {none} there" in result.reason
        assert [level(tryton, sku, desk.place()).on_hand for sku in (little, none, much)] == [0, 0, 15]
        result = tryton.connect().send_adjustment(adjustment_of(there, (none, -1)))
        assert (result.ok, bool(result.fix)) == (False, True)

    def test_lines_of_one_product_are_one_count(
        self, tryton: TrytonWorld, desk: Desk, there: TrytonDestination
    ) -> None:
        sku = desk.article(stock=20)
        assert tryton.connect().send_adjustment(adjustment_of(there, (sku, 5), (sku, -2))).ok
        assert level(tryton, sku, desk.place()).on_hand == 23

    def test_parts_of_a_piece_are_named(self, tryton: TrytonWorld, desk: Desk, there: TrytonDestination) -> None:
        sku, other = desk.article(stock=20), desk.article(stock=20)
        adjustment = adjustment_of(there, (sku, 5), (other, 1))
        broken = replace(adjustment.lines[0], quantity=Decimal("0.5"))
        result = tryton.connect().send_adjustment(replace(adjustment, lines=(broken, adjustment.lines[1])))
        assert (result.ok, result.reason) == (True, f"Tryton counts {sku} in whole units, not 0.5.")


class TestTransfers:
    def test_another_quantity_arrives(self, tryton: TrytonWorld, desk: Desk, there: TrytonDestination) -> None:
        sku, extra = desk.article(stock=60), desk.article(stock=60)
        sent = transfer_of(there, TransferStep.SENT, (sku, 15))
        connector = tryton.connect()
        assert connector.send_transfer(sent).ok
        received = replace(sent, step=TransferStep.RECEIVED, reference="r", lines=stock_lines((sku, 14), (extra, 1)))
        result = connector.send_transfer(received)
        assert result.ok
        assert f"14 of {sku} arrived, 15 were sent." in result.reason
        assert f"1 of {extra} arrived that were not sent" in result.reason
        assert [level(tryton, sku, desk.place(code)).on_hand for code in ("AKL", "WLG")] == [45, 14]

    def test_more_than_tryton_thinks_there_is_moves_too(
        self, tryton: TrytonWorld, desk: Desk, there: TrytonDestination
    ) -> None:
        sku = desk.article(stock=2)
        assert tryton.connect().send_transfer(transfer_of(there, TransferStep.MOVED, (sku, 5))).ok
        assert [level(tryton, sku, desk.place(code)).on_hand for code in ("AKL", "WLG")] == [-3, 5]

    def test_both_ends_at_one_warehouse_are_refused(
        self, tryton: TrytonWorld, desk: Desk, there: TrytonDestination
    ) -> None:
        transfer = transfer_of(there, TransferStep.MOVED, (desk.article(stock=5), 1))
        result = tryton.connect().send_transfer(replace(transfer, to_location_id=transfer.from_location_id))
        assert "Both ends of the transfer are the Tryton warehouse Auckland store room." in result.reason
        assert "location of its own" in result.fix

    @pytest.mark.parametrize("step", ["create", "wait", "assign_force", "pack", "ship", "do"])
    def test_a_try_that_breaks_off_anywhere_is_taken_up_there(
        self, tryton: TrytonWorld, desk: Desk, there: TrytonDestination, step: str
    ) -> None:
        sku = desk.article(stock=60)
        transfer = transfer_of(there, TransferStep.MOVED, (sku, 15))
        tryton.door.fail(match=f"POST model.stock.shipment.internal.{step}", fault="answer_lost")
        connector = tryton.connect()
        with pytest.raises(OutcomeUnknown):
            connector.send_transfer(transfer)
        if connector.find_transfer(transfer) is None:
            assert connector.send_transfer(transfer).ok
        assert [level(tryton, sku, desk.place(code)).on_hand for code in ("AKL", "WLG")] == [45, 15]
