"""Stock orders, returns to suppliers and counts of a shop: by two roads to the warehouse, once."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.utils import timezone

from carts import stock_flow
from carts.models import Alert, Consignment, Location, StockAdjustment, StockLevel, StockMovement
from carts.order_flow import TransitionRefused
from connectors.functions import Function
from syncjobs.models import ConsignmentHint, Delivery, Run
from tests.engine.conftest import World
from tests.engine.stockroom import ADJUSTMENTS, Stockroom, consignment

Status = Consignment.Status


@pytest.fixture
def room(world: World) -> Stockroom:
    return Stockroom(world)


def car_25(room: Stockroom) -> Any:
    """The example of the rules: 60 of one item and 50 of another."""
    one, two = room.products[:2]
    return room.store.order_stock(room.here, [(one, 60), (two, 50)], name="", reference="CAR-25")


class TestTwoRoads:
    def test_by_webhook_one_adjustment_for_each_item(self, room: Stockroom) -> None:
        order = car_25(room)
        run = room.real_time(order)
        assert run is not None and run.state == Run.State.DONE
        assert room.documents() == [[(room.sku(0), 60)], [(room.sku(1), 50)]]
        assert {document.source for document in StockAdjustment.objects.all()} == {"webhook"}
        assert room.deliver() == 2
        room.in_step()
        assert consignment(order).status == Status.PASSED_ON
        room.search()
        room.search(full=True)
        assert len(room.documents()) == 2

    def test_by_search_one_adjustment_for_the_document(self, room: Stockroom) -> None:
        order = car_25(room)
        run = room.search()
        assert run.counts == {"consignments": 1, "documents": 1}
        assert room.documents() == [sorted([(room.sku(0), Decimal(60)), (room.sku(1), Decimal(50))])]
        room.deliver()
        room.in_step()
        room.real_time(order)
        assert len(room.documents()) == 1
        assert not ConsignmentHint.objects.exists()

    def test_every_order_download_and_every_inventory_sync_asks_for_a_search(self, room: Stockroom) -> None:
        queued = Run.objects.filter(function=ADJUSTMENTS, state=Run.State.QUEUED)
        room.world.download()
        assert queued.get().trigger == Run.Trigger.HUB
        queued.delete()
        room.world.sync_stock()
        assert queued.count() == 1

    def test_regrouped_on_request(self, room: Stockroom) -> None:
        room.world.set_options(room.cart, group_stock_adjustments=True)
        room.real_time(car_25(room))
        assert len(room.documents()) == 1

    def test_a_webhook_runs_no_search(self, room: Stockroom) -> None:
        room.hear(car_25(room))
        room.world.process_inbox()
        queued = Run.objects.get(function=ADJUSTMENTS, state=Run.State.QUEUED)
        before = room.world.sandbox.count("GET /consignments")
        from syncjobs.runner import claim_run, execute

        claimed = claim_run(queued.pk, "test")
        assert claimed is not None
        execute(claimed, "test")
        assert len(room.documents()) == 2
        assert room.world.sandbox.count("GET /consignments") == before


class TestWhatBecomesWhat:
    def test_a_return_to_the_supplier_takes_away(self, room: Stockroom) -> None:
        back = room.store.return_stock(room.here, [(room.products[0], "2.5")])
        room.search()
        room.deliver()
        assert room.documents() == [[(room.sku(0), Decimal("-2.5"))]]
        assert StockAdjustment.objects.get().consignment.kind == "supplier_return"
        room.in_step()
        assert consignment(back).status == Status.PASSED_ON

    def test_a_count_gives_the_difference_and_leaves_zeros_out(self, room: Stockroom) -> None:
        one, two, three = room.products[:3]
        count = room.store.count_stock(room.here, [(one, 37), (two, 40), (three, "41.25")])
        room.search()
        room.deliver()
        assert room.documents() == [sorted([(room.sku(0), Decimal(-3)), (room.sku(2), Decimal("1.25"))])]
        room.in_step()
        line = consignment(count).lines.get(product_id_at_cart=two["id"])
        assert "Nothing changed" in line.remark and not line.left_out
        assert consignment(count).status == Status.PASSED_ON

    def test_what_was_counted_lies_there_even_where_the_warehouse_kept_none(self, room: Stockroom) -> None:
        """A location's first entry of an SKU does not begin with nothing when the shop has just counted it: Inventory Sync
        would write the difference over the count."""
        one, two = room.products[:2]
        StockLevel.objects.create(
            location=Location.objects.create(warehouse=room.world.warehouse, name="Elsewhere", external_id="else"),
            sku=room.sku(0),
            available=Decimal(7),
            on_hand=Decimal(7),
            read_at=timezone.now(),
            changed_at=timezone.now(),
        )
        StockLevel.objects.filter(location=room.world.location, sku=room.sku(0)).delete()
        room.store.count_stock(room.here, [(one, 37), (two, 41)])
        room.search()
        room.deliver()
        room.in_step()
        assert room.on_hand(0) == 37

    def test_a_count_without_any_difference_is_nothing_to_pass_on(self, room: Stockroom) -> None:
        count = room.store.count_stock(room.here, [(room.products[0], 40)])
        room.search()
        assert room.documents() == []
        assert consignment(count).status == Status.NOTHING

    def test_an_open_order_moves_nothing(self, room: Stockroom) -> None:
        order = room.store.add_consignment("SUPPLIER", room.here, [(room.products[0], 5)])
        room.search()
        assert room.documents() == [] and consignment(order).status == Status.OPEN
        room.store.move_consignment(order, "SENT")
        room.store.write_line(order, room.products[0], received=4)
        room.store.move_consignment(order, "RECEIVED")
        room.search()
        room.deliver()
        assert room.documents() == [[(room.sku(0), Decimal(4))]]
        room.in_step()

    def test_another_outlet_is_not_ours(self, room: Stockroom) -> None:
        room.store.order_stock(room.there, [(room.products[0], 5)])
        run = room.search()
        assert run.counts == {"skipped": 1}
        assert not Consignment.objects.exists()

    def test_what_happened_before_the_start_is_in_the_books_already(self, world: World) -> None:
        world.sandbox.clock_skew = timedelta(hours=-1)
        old = world.store.order_stock(world.outlet, [(world.product(), 5)])
        world.sandbox.clock_skew = timedelta()
        room = Stockroom(world)
        room.search()
        assert room.documents() == [] and consignment(old).status == Status.HISTORY
        assert world.sandbox.count("GET /consignments/{id}/products") == 0
        stock_flow.pass_on(consignment(old).pk, "ann")
        room.search()
        assert room.documents() == [[(world.product()["sku"], Decimal(5))]]
        with pytest.raises(TransitionRefused):
            stock_flow.pass_on(consignment(old).pk, "ann")


class TestEdits:
    def test_more_received_sends_the_difference(self, room: Stockroom) -> None:
        order = car_25(room)
        room.real_time(order)
        room.store.correct_line(order, room.products[0], received=63)
        room.search()
        room.store.correct_line(order, room.products[1], received=48)
        room.real_time(order, room.products[1])
        room.search()
        assert room.documents() == [
            [(room.sku(0), 60)],
            [(room.sku(1), 50)],
            [(room.sku(0), 3)],
            [(room.sku(1), -2)],
        ]
        room.deliver()
        room.in_step()
        assert len(set(StockAdjustment.objects.values_list("reference", flat=True))) == 4

    def test_a_line_that_is_gone_goes_back_to_nothing(self, room: Stockroom) -> None:
        order = car_25(room)
        room.search()
        room.store.consignment_lines[order["id"]].drop(room.products[0]["id"])
        room.store.write_line(order, room.products[1], received=50)
        room.search()
        assert room.documents()[1] == [(room.sku(0), Decimal(-60))]

    def test_cancelled_before_anything_moved_sends_nothing(self, room: Stockroom) -> None:
        order = room.store.add_consignment("SUPPLIER", room.here, [(room.products[0], 5)])
        room.search()
        room.store.move_consignment(order, "CANCELLED")
        room.search()
        assert room.documents() == [] and consignment(order).status == Status.CANCELLED
        assert not Alert.objects.filter(status="open").exists()


class TestLeftOut:
    def test_unknown_skus_and_bundles_are_reported_and_the_rest_goes(self, room: Stockroom) -> None:
        one, two, three, four = room.products
        room.store.update_product(one, sku="")
        room.store.update_product(two, is_composite=True)
        room.store.update_product(three, has_inventory=False)
        count = room.store.add_consignment("RETURN", room.here, [(p, 2) for p in room.products])
        for line in room.store.lines_of(count):
            line["product_sku"] = "" if line["product_id"] == one["id"] else line["product_sku"]
        room.store.move_consignment(count, "SENT")
        room.world.run(Function.PRODUCT_PICKUP)
        room.search()
        assert room.documents() == [[(four["sku"], Decimal(-2))]]
        found = consignment(count)
        assert found.status == Status.PARTLY
        remarks = dict(found.lines.values_list("product_id_at_cart", "remark"))
        assert "no SKU" in remarks[one["id"]]
        assert "bundle" in remarks[two["id"]]
        assert "does not track" in remarks[three["id"]]
        alert = Alert.objects.get(kind="stock_left_out")
        assert "not everything" in alert.message
        room.store.update_product(one, sku="now-it-has-one")
        room.world.run(Function.PRODUCT_PICKUP)
        room.search()
        assert room.documents()[1] == [("now-it-has-one", Decimal(-2))]

    def test_what_the_warehouse_does_not_keep_is_named(self, room: Stockroom) -> None:
        stranger = room.store.products[7]
        order = room.store.order_stock(room.here, [(room.products[0], 5), (stranger, 6)])
        room.search()
        room.deliver()
        document = StockAdjustment.objects.get()
        assert document.status == "booked" and stranger["sku"] in document.problem
        assert room.on_hand(0) == 45
        assert "did not book all" in Alert.objects.get(kind="stock_not_booked").message
        assert consignment(order).status == Status.PASSED_ON


class TestRequirements:
    def test_each_missing_item_has_its_message_and_goes_out_by_itself_later(self, room: Stockroom) -> None:
        room.world.set_options(room.cart, send_stock_adjustments=False)
        room.world.warehouse.function_settings.filter(function=ADJUSTMENTS).update(is_on=False)
        car_25(room)
        run = room.search()
        assert run.state == Run.State.DONE and run.counts["missing"] == 2
        document = StockAdjustment.objects.get()
        assert document.status == "waiting" and "Send Stock Adjustment to WMS" in document.problem
        assert not Delivery.objects.exists()
        messages = set(Alert.objects.filter(kind="stock_requirements", status="open").values_list("message", flat=True))
        assert any("Send Stock Adjustment" in message for message in messages)
        assert any("Stock Adjustment Sync of Warehouse" in message for message in messages)
        assert len(messages) == 2
        room.world.set_options(room.cart, send_stock_adjustments=True)
        room.search()
        document.refresh_from_db()
        assert document.status == "waiting" and "Stock Adjustment Sync of Warehouse" in document.problem
        room.world.warehouse.function_settings.filter(function=ADJUSTMENTS).update(is_on=True)
        room.search()
        assert room.deliver() == 1
        room.in_step()
        assert not Alert.objects.filter(kind="stock_requirements", status="open").exists()

    def test_a_location_that_was_switched_off(self, room: Stockroom) -> None:
        room.world.location.is_active = False
        room.world.location.save()
        order = car_25(room)
        room.search()
        assert "no active location" in consignment(order).problem
        assert consignment(order).status == Status.WAITING
        room.world.location.is_active = True
        room.world.location.save()
        room.search()
        room.deliver()
        room.in_step()


class TestPeople:
    def test_a_refused_document_waits_for_a_person(self, room: Stockroom) -> None:
        car_25(room)
        room.search()
        room.world.location.is_active = False
        room.world.location.save()
        room.deliver()
        document = StockAdjustment.objects.get()
        assert document.status == "error" and "switched off" in document.problem
        room.world.location.is_active = True
        room.world.location.save()
        stock_flow.resend(document, "ann")
        assert room.deliver() == 1
        room.in_step()
        document.refresh_from_db()
        assert document.status == "booked" and document.problem == ""

    def test_cancelled_by_a_person_it_is_not_made_again(self, room: Stockroom) -> None:
        car_25(room)
        room.search()
        stock_flow.cancel(StockAdjustment.objects.get(), "counted there already", "ann")
        room.search(full=True)
        assert room.deliver() == 0
        document = StockAdjustment.objects.get()
        assert document.status == "cancelled" and "ann" in document.problem
        with pytest.raises(TransitionRefused):
            stock_flow.cancel(document, "", "ann")

    def test_sending_again_what_was_booked_books_nothing(self, room: Stockroom) -> None:
        car_25(room)
        room.search()
        room.deliver()
        stock_flow.resend(StockAdjustment.objects.get(), "ann")
        assert room.deliver() == 1
        room.in_step()
        assert StockMovement.objects.filter(cause="adjustment").count() == 2

    def test_a_look_at_nothing_costs_one_call(self, room: Stockroom) -> None:
        car_25(room)
        room.search()
        calls = len(room.world.sandbox.calls)
        run = room.search()
        assert run.counts == {}
        assert len(room.world.sandbox.calls) == calls + 1

    def test_a_preview_writes_nothing(self, room: Stockroom) -> None:
        car_25(room)
        run = room.search(dry_run=True)
        assert run.preview[0]["number"] == "CAR-25" and "60 x" in run.preview[0]["lines"]
        assert not Consignment.objects.exists()


class TestByHand:
    """Manual stock adjustments as a further source, off by default."""

    def by_hand(self, room: Stockroom, quantity: str, reason: str) -> None:
        row = {
            "product_id": room.products[0]["id"],
            "outlet_id": room.here["id"],
            "quantity": quantity,
            "reason": reason,
        }
        room.store.adjust_stock([row])

    def test_off_by_default(self, room: Stockroom) -> None:
        self.by_hand(room, "-3", "DAMAGE")
        assert room.search().counts == {}

    def test_passed_on_and_what_the_hub_wrote_does_not_come_back(self, room: Stockroom) -> None:
        self.by_hand(room, "-1", "THEFT")
        room.store.set_level(room.products[0], room.here, 40)
        room.cart.refresh_from_db()
        room.world.set_options(room.cart, manual_stock_adjustments=True)
        room.search()
        assert room.documents() == [], "what was adjusted before is in the books"
        self.by_hand(room, "-3", "DAMAGE")
        self.by_hand(room, "1.5", "STOCK_FOUND")
        room.search()
        assert room.documents() == [[(room.sku(0), Decimal(-3))], [(room.sku(0), Decimal("1.5"))]]
        room.deliver()
        room.in_step()
        room.world.book.set_on_hand([(room.world.location, room.sku(1), Decimal(77))])
        room.world.sync_stock()
        assert room.in_shop(1) == 77
        room.search()
        assert len(room.documents()) == 2
        made = [row["reason"] for row in room.store.adjustment_feed]
        assert made == ["THEFT", "DAMAGE", "STOCK_FOUND", "CUSTOM"]
        stock_flow.check_again(Consignment.objects.first().pk, "ann")  # type: ignore[union-attr]
        assert room.search().counts == {}
