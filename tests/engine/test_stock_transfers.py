"""Stock transfers between outlets: in two steps, once, and only when both places are known."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from carts import stock_flow
from carts.models import (
    Alert,
    Consignment,
    Location,
    OutletLevel,
    StockAdjustment,
    StockMovement,
    StockTransfer,
    StockTransferStep,
)
from connectors.builtin.connector import BuiltinWarehouse
from connectors.functions import Function
from syncjobs.models import Delivery, Run
from tests.engine.conftest import World
from tests.engine.stockroom import TRANSFERS, Stockroom, consignment, transfer
from tests.factories import make_builtin_warehouse

Status = StockTransfer.Status


@pytest.fixture
def room(world: World) -> Stockroom:
    return Stockroom(world)


@pytest.fixture
def two(room: Stockroom) -> Stockroom:
    """Both outlets are carts, each with its location."""
    room.other, room.back = room.add_outlet()
    return room


def steps(record: Any) -> list[tuple[str, str, list[tuple[str, Decimal]]]]:
    found = StockTransferStep.objects.filter(transfer__consignment__external_id=record["id"]).order_by("pk")
    return [(step.step, step.status, [(line.sku, line.quantity) for line in step.lines.all()]) for step in found]


def places(two: Stockroom) -> tuple[tuple[Location, Any], tuple[Location, Any]]:
    return (two.world.location, two.here), (two.back, two.there)


class TestTwoSteps:
    def test_sent_then_received(self, two: Stockroom) -> None:
        sent = two.store.transfer_stock(two.here, two.there, [(two.products[0], 5)], receive=False)
        two.search()
        assert two.deliver() == 1
        assert transfer(sent).status == Status.IN_TRANSIT
        assert (two.on_hand(0), two.on_hand(0, two.back)) == (35, 40)
        two.store.move_consignment(sent, "RECEIVED")
        two.search()
        assert two.deliver() == 1
        assert steps(sent) == [
            ("sent", "booked", [(two.sku(0), 5)]),
            ("received", "booked", [(two.sku(0), 5)]),
        ]
        assert transfer(sent).status == Status.RECEIVED
        two.in_step(*places(two))
        assert not StockAdjustment.objects.exists()
        assert [m.note for m in StockMovement.objects.filter(cause="transfer").order_by("pk")] == [
            "sent, Main location to Back room",
            "received, Main location to Back room",
        ]

    def test_found_when_it_is_received_already(self, two: Stockroom) -> None:
        done = two.store.transfer_stock(two.here, two.there, [(two.products[0], 5), (two.products[1], "1.5")])
        two.search(two.other)
        two.search()
        assert two.deliver() == 2
        assert [step[0] for step in steps(done)] == ["sent", "received"]
        two.in_step(*places(two))

    def test_the_second_step_waits_for_the_first(self, two: Stockroom) -> None:
        two.world.location.is_active = True
        done = two.store.transfer_stock(two.here, two.there, [(two.products[0], 5)])
        two.search()
        assert [status for _, status, _ in steps(done)] == ["new", "waiting"]
        assert Delivery.objects.count() == 1
        two.deliver()
        assert [status for _, status, _ in steps(done)] == ["booked", "booked"]

    def test_by_webhook_at_once(self, two: Stockroom) -> None:
        sent = two.store.transfer_stock(two.here, two.there, [(p, 1) for p in two.products], receive=False)
        two.real_time(sent)
        two.real_time(sent, cart=two.other)
        two.search()
        assert len(steps(sent)) == 1 and len(steps(sent)[0][2]) == 4
        assert StockTransferStep.objects.get().source == "webhook"

    def test_through_two_carts_it_is_sent_once(self, two: Stockroom) -> None:
        sent = two.store.transfer_stock(two.here, two.there, [(two.products[0], 5)], receive=False)
        for cart in (two.cart, two.other, two.cart, two.other):
            two.search(cart, full=True)
        assert two.deliver() == 1 and len(steps(sent)) == 1
        two.store.move_consignment(sent, "RECEIVED")
        for cart in (two.other, two.cart):
            two.search(cart)
            two.search(cart, full=True)
        assert two.deliver() == 1
        two.in_step(*places(two))

    def test_less_arrived_than_left(self, two: Stockroom) -> None:
        sent = two.store.transfer_stock(two.here, two.there, [(two.products[0], 5)], receive=False)
        two.search()
        two.store.write_line(sent, two.products[0], received=4)
        two.store.move_consignment(sent, "RECEIVED")
        two.search()
        two.deliver()
        assert [lines for _, _, lines in steps(sent)] == [[(two.sku(0), 5)], [(two.sku(0), 4)]]
        two.in_step(*places(two))

    def test_corrected_after_it_was_sent(self, two: Stockroom) -> None:
        sent = two.store.transfer_stock(two.here, two.there, [(two.products[0], 5)], receive=False)
        two.search()
        two.store.correct_line(sent, two.products[0], count=3)
        two.search()
        two.store.move_consignment(sent, "RECEIVED")
        two.search()
        two.deliver()
        assert [lines[0][1] for _, _, lines in steps(sent)] == [5, -2, 3]
        two.in_step(*places(two))


class TestOneStep:
    @pytest.fixture(autouse=True)
    def no_transit(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(BuiltinWarehouse, "knows_transit", lambda self: False)

    def test_told_once_when_received(self, two: Stockroom) -> None:
        sent = two.store.transfer_stock(two.here, two.there, [(two.products[0], 5)], receive=False)
        two.search()
        assert two.deliver() == 0 and steps(sent) == []
        found = transfer(sent)
        assert found.status == Status.IN_TRANSIT and "one step" in found.problem
        two.store.move_consignment(sent, "RECEIVED")
        two.search()
        assert two.deliver() == 1
        assert steps(sent) == [("moved", "booked", [(two.sku(0), 5)])]
        two.in_step(*places(two))

    def test_what_was_lost_on_the_way_is_an_adjustment_at_the_source(self, two: Stockroom) -> None:
        sent = two.store.transfer_stock(
            two.here, two.there, [(two.products[0], 5), (two.products[1], 2)], receive=False
        )
        two.store.write_line(sent, two.products[0], received=4)
        two.store.write_line(sent, two.products[1], received=3)
        two.store.move_consignment(sent, "RECEIVED")
        two.search()
        two.search(two.other)
        assert two.deliver() == 3
        assert [lines for _, _, lines in steps(sent)] == [[(two.sku(0), 4), (two.sku(1), 2)]]
        found = {
            (doc.location_id, doc.lines.get().sku): doc.lines.get().quantity for doc in StockAdjustment.objects.all()
        }
        assert found == {(two.world.location.pk, two.sku(0)): -1, (two.back.pk, two.sku(1)): 1}
        two.in_step(*places(two))

    def test_goods_in_transit_are_not_pushed_back_to_the_shop(self, two: Stockroom) -> None:
        two.store.transfer_stock(two.here, two.there, [(two.products[0], 5)], receive=False)
        two.world.sync_stock()
        two.world.sync_stock(connection=two.other)
        assert (two.in_shop(0), two.in_shop(0, two.there)) == (35, 40)
        assert two.world.sandbox.count("POST /stock_adjustments") == 0


class TestWaiting:
    def test_the_missing_cart_is_named_and_the_transfer_goes_by_itself_later(self, room: Stockroom) -> None:
        sent = room.store.transfer_stock(room.here, room.there, [(room.products[0], 5)])
        room.search()
        found = transfer(sent)
        assert found.status == Status.WAITING and room.there["name"] in found.problem
        assert consignment(sent).status == Consignment.Status.WAITING
        alert = Alert.objects.get(kind="transfer_waits", status="open")
        assert room.there["name"] in alert.message and "Add a cart" in alert.fix
        assert not Delivery.objects.exists()
        room.world.sync_stock()
        assert room.in_shop(0) == 35, "the shop is not pushed back while the transfer waits"
        location = Location.objects.create(warehouse=room.world.warehouse, name="Back room", external_id="back")
        room.world.book.set_on_hand([(location, p["sku"], room.store.level(p, room.there)) for p in room.products])
        room.world.book.set_on_hand([(location, room.sku(0), room.store.level(room.products[0], room.there) - 5)])
        room.add_cart(room.there, location)
        room.search()
        assert room.deliver() == 2
        room.in_step((room.world.location, room.here), (location, room.there))
        assert not Alert.objects.filter(kind="transfer_waits", status="open").exists()
        assert transfer(sent).status == Status.RECEIVED

    def test_a_new_cart_asks_for_the_search_itself(self, room: Stockroom) -> None:
        room.store.transfer_stock(room.here, room.there, [(room.products[0], 5)])
        room.search()
        Run.objects.filter(state=Run.State.QUEUED).delete()
        location = Location.objects.create(warehouse=room.world.warehouse, name="Back room", external_id="back")
        room.add_cart(room.there, location)
        queued = Run.objects.filter(connection=room.cart, state=Run.State.QUEUED)
        assert [run.function for run in queued] == [Function.STOCK_ADJUSTMENT_SYNC]

    def test_one_location_for_both_outlets(self, room: Stockroom) -> None:
        other = room.add_cart(room.there, room.world.location)
        sent = room.store.transfer_stock(room.here, room.there, [(room.products[0], 5)])
        room.search()
        room.search(other)
        assert transfer(sent).status == Status.NOTHING and "nothing has to move" in transfer(sent).problem
        assert consignment(sent).status == Consignment.Status.NOTHING
        assert not Delivery.objects.exists()

    def test_two_warehouses_get_an_adjustment_each(self, room: Stockroom) -> None:
        far = make_builtin_warehouse(room.world.merchant)
        far_place = far.locations.get()
        room.add_cart(room.there, far_place, far)
        from carts.warehouse_book import WarehouseBook

        WarehouseBook(far.pk).set_on_hand(
            [(far_place, p["sku"], room.store.level(p, room.there)) for p in room.products]
        )
        sent = room.store.transfer_stock(room.here, room.there, [(room.products[0], 5)], receive=False)
        room.search()
        room.store.move_consignment(sent, "RECEIVED")
        room.search()
        assert room.deliver() == 2
        room.in_step((room.world.location, room.here), (far_place, room.there))
        assert "different warehouses" in transfer(sent).problem

    def test_switched_off_at_the_warehouse_it_waits(self, two: Stockroom) -> None:
        two.world.warehouse.function_settings.filter(function=TRANSFERS).update(is_on=False)
        sent = two.store.transfer_stock(two.here, two.there, [(two.products[0], 5)])
        two.search()
        assert transfer(sent).status == Status.WAITING
        assert [status for _, status, _ in steps(sent)] == ["waiting", "waiting"]
        two.world.sync_stock()
        assert two.in_shop(0) == 35
        two.world.warehouse.function_settings.filter(function=TRANSFERS).update(is_on=True)
        two.search()
        two.deliver()
        two.in_step(*places(two))


class TestCancelled:
    def test_before_it_was_booked_it_never_goes(self, two: Stockroom) -> None:
        sent = two.store.transfer_stock(two.here, two.there, [(two.products[0], 5)], receive=False)
        two.search()
        two.store.move_consignment(sent, "CANCELLED")
        two.search()
        assert two.deliver() == 0
        assert [status for _, status, _ in steps(sent)] == ["withdrawn"]
        two.in_step(*places(two))
        assert not Alert.objects.filter(status="open").exists()

    def test_after_it_was_booked_a_person_is_told_and_can_take_it_back(self, two: Stockroom) -> None:
        sent = two.store.transfer_stock(two.here, two.there, [(two.products[0], 5)], receive=False)
        two.search()
        two.deliver()
        two.store.move_consignment(sent, "CANCELLED")
        two.search()
        assert two.deliver() == 0
        assert "was cancelled in the shop after" in Alert.objects.get(kind="consignment_cancelled").message
        assert (two.in_shop(0), two.on_hand(0)) == (40, 35)
        stock_flow.take_back(consignment(sent).pk, "ann")
        assert two.deliver() == 1
        two.in_step(*places(two))
        assert not Alert.objects.filter(status="open").exists()
        with pytest.raises(stock_flow.TransitionRefused):
            stock_flow.take_back(consignment(sent).pk, "ann")

    def test_deleted_in_the_shop(self, two: Stockroom) -> None:
        sent = two.store.transfer_stock(two.here, two.there, [(two.products[0], 5)], receive=False)
        two.search()
        two.store.delete_consignment(sent)
        stock_flow.check_again(consignment(sent).pk, "ann")
        two.search(two.other)
        assert consignment(sent).status == Consignment.Status.CANCELLED
        assert two.deliver() == 0


class TestHalfway:
    def test_sent_before_the_start_only_the_arrival_is_booked(self, world: World) -> None:
        from datetime import timedelta

        world.sandbox.clock_skew = timedelta(hours=-1)
        sent = world.store.transfer_stock(*world.store.outlets[:2], [(world.product(), 5)], receive=False)
        world.sandbox.clock_skew = timedelta()
        room = Stockroom(world)
        other, back = room.add_outlet()
        room.search()
        assert room.documents() == [] and steps(sent) == []
        world.store.move_consignment(sent, "RECEIVED")
        room.search()
        room.search(other)
        assert room.deliver() == 1
        assert room.documents() == [[(world.product()["sku"], 5)]]
        room.in_step((world.location, room.here), (back, room.there))


class TestNoEcho:
    def test_levels_in_between_are_not_pushed_anywhere(self, two: Stockroom) -> None:
        """Whatever moment Inventory Sync runs at, the shops keep what they show and no write call is made."""
        world = two.world

        def sync() -> None:
            for cart in (two.cart, two.other):
                run = world.sync_stock(connection=cart)
                assert run.state == Run.State.DONE, run.error
            assert world.sandbox.count("POST /stock_adjustments") == 0
            two_levels = [two.in_shop(0), two.in_shop(0, two.there)]
            shown = OutletLevel.objects.filter(product__sku=two.sku(0)).order_by("cart_id")
            assert [level.level for level in shown] == two_levels

        sync()
        two.store.order_stock(two.here, [(two.products[0], 60)])
        sync()
        sent = two.store.transfer_stock(two.here, two.there, [(two.products[0], 7)], receive=False)
        sync()
        two.deliver()
        sync()
        two.store.move_consignment(sent, "RECEIVED")
        two.store.count_stock(two.there, [(two.products[0], 45)])
        sync()
        two.deliver()
        sync()
        two.in_step(*places(two))

    def test_what_the_hub_wrote_comes_back_as_nothing(self, two: Stockroom) -> None:
        two.world.book.set_on_hand([(two.world.location, two.sku(0), Decimal(77))])
        two.world.sync_stock()
        assert two.in_shop(0) == 77
        two.search()
        assert two.documents() == [] and not Consignment.objects.exists()

    def test_in_doubt_either_level_is_right(self, room: Stockroom) -> None:
        from datetime import timedelta

        from django.utils import timezone

        from syncjobs.outbox import claim_batch, recover_abandoned
        from syncjobs.stock_delivery import outbound_adjustment

        room.store.order_stock(room.here, [(room.products[0], 60)])
        room.search()
        claimed = claim_batch("dead", room.world.warehouse.pk, "adjustment", 1)
        room.world.sync_stock()
        assert room.in_shop(0) == 100
        adjustment = claimed[0].adjustment
        assert adjustment is not None
        room.world.book.adjust(outbound_adjustment(adjustment))
        room.world.sync_stock()
        assert room.in_shop(0) == 100
        recover_abandoned(timezone.now() + timedelta(hours=1))
        room.world.sync_stock()
        assert room.in_shop(0) == 100
        Delivery.objects.update(run_at=timezone.now())
        assert room.deliver() == 1
        room.in_step()
        room.world.sync_stock()
        assert room.in_shop(0) == 100 and room.world.sandbox.count("POST /stock_adjustments") == 0
