"""Returns: from the shop to the order they belong to, to the warehouse, and back on the shelf."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from django.utils import timezone

from carts import refund_flow
from carts.models import Alert, Order, OutletLevel, PickReturn, Refund
from carts.order_flow import TransitionRefused
from carts.setup import offered_functions
from carts.warehouse_book import BookError, WarehouseBook
from connectors.base import Connector
from connectors.errors import OutcomeUnknown, RemoteUnavailable
from connectors.functions import Function
from connectors.records import OutboundRefund, WriteResult
from syncjobs import failures
from syncjobs.expected_returns import EXPECTED_FOR, ExpectedBack
from syncjobs.expected_stock import ExpectedStock
from syncjobs.models import Delivery, FailedRecord, Run
from syncjobs.outbox import MOST_DEATHS, claim_batch, owners_died
from syncjobs.stock_on_its_way import OnItsWay
from tests.engine.conftest import World
from tests.factories import make_builtin_warehouse

Status = Refund.Status


def sold(world: World, quantity: Any = 2, **fields: Any) -> Any:
    """A sale of the first product that is at the warehouse already."""
    sale = world.sell((world.product(), quantity), **fields)
    world.download()
    world.deliver()
    return sale


def history(world: World, sale: Any) -> str:
    return "\n".join(event.message for event in world.order(sale).events.all())


class TestFromTheShop:
    def test_a_full_return_becomes_a_refund_of_its_order(self, world: World) -> None:
        sale = sold(world)
        back = world.store.return_sale(sale["id"])
        run = world.download()
        assert run.counts["refunds"] == 1 and "skipped" not in run.counts
        refund = Refund.objects.get()
        order = world.order(sale)
        assert (refund.order, refund.external_id, refund.return_for) == (order, back["id"], sale["id"])
        assert (refund.amount, refund.currency) == (order.total, order.currency)
        assert refund.payments == [{**order.payments[0], "paid_at": refund.payments[0]["paid_at"]}]
        line = refund.lines.get()
        assert (line.order_line, line.quantity, line.sku) == (order.lines.get(), 2, world.product()["sku"])
        assert (line.amount, line.tax) == (order.lines.get().total, order.lines.get().tax)
        assert "2 x " in history(world, sale) and "given back" in history(world, sale)
        assert Order.objects.count() == 1

    def test_partial_and_several_of_one_order(self, world: World) -> None:
        sale = world.sell((world.product(0), 3), (world.product(1), 1), (world.product(0), 2))
        world.download()
        for quantity in (3, 2):
            world.store.return_sale(sale["id"], [(world.product(0), quantity)])
        world.download()
        first, second = Refund.objects.order_by("pk")
        assert first.order == second.order == world.order(sale)
        lines = list(world.order(sale).lines.all())
        assert [part.order_line for part in first.lines.all()] == [lines[0]]
        assert [part.order_line for part in second.lines.all()] == [lines[2]]
        assert first.amount > second.amount > 0

    def test_an_exchange_is_a_refund_and_an_order(self, world: World) -> None:
        sale = sold(world)
        swap = world.sell((world.product(0), -1), (world.product(1), 1), return_for=sale["id"])
        run = world.download()
        assert (run.counts["imported"], run.counts["refunds"]) == (1, 1)
        refund = Refund.objects.get()
        assert refund.external_id == swap["id"] and refund.order == world.order(sale)
        assert [line.sku for line in refund.lines.all()] == [world.product(0)["sku"]]
        assert [line.sku for line in world.order(swap).lines.all()] == [world.product(1)["sku"]]
        line = refund.lines.get()
        assert refund.amount == line.amount + line.tax and refund.payments == []
        assert "set off" in refund.reason

    def test_a_return_of_an_unknown_order_waits_for_a_person(self, world: World) -> None:
        sale = world.sell((world.product(), 2))
        world.store.return_sale(sale["id"])
        world.cart.function_settings.filter(function=Function.ORDER_DOWNLOAD).update(is_on=False)
        world.run(Function.REFUND_DOWNLOAD)
        refund = Refund.objects.get()
        assert (refund.order, refund.status) == (None, Status.HELD)
        assert "never downloaded" in refund.problem
        assert not Delivery.objects.filter(kind="refund").exists()
        alert = Alert.objects.get(kind="refund_without_order", status=Alert.Status.OPEN)
        assert "1 return belongs to no order" in alert.message
        refund_flow.release(refund.pk, "ann")
        world.deliver()
        assert PickReturn.objects.get().order_number == ""
        refund.refresh_from_db()
        assert refund.status == Status.AT_WAREHOUSE
        assert not Alert.objects.filter(status=Alert.Status.OPEN).exists()

    def test_a_return_that_came_before_its_order_finds_it(self, world: World) -> None:
        world.set_options(order_status="LAYBY_CLOSED")
        sale = world.sell((world.product(), 2))
        world.store.return_sale(sale["id"], [(world.product(), 1)])
        world.download()
        assert Refund.objects.get().status == Status.HELD
        world.set_options(order_status="CLOSED")
        world.store.update_sale(sale["id"], note="again")
        run = world.download()
        assert (run.counts["imported"], run.counts["refunds_linked"]) == (1, 1)
        refund = Refund.objects.get()
        assert (refund.order, refund.status) == (world.order(sale), Status.NEW)
        assert refund.lines.get().order_line == world.order(sale).lines.get()
        assert Delivery.objects.get(kind="refund").order == world.order(sale)
        assert not Alert.objects.filter(kind="refund_without_order", status=Alert.Status.OPEN).exists()

    def test_parked_is_none_yet_closed_is(self, world: World) -> None:
        sale = sold(world)
        back = world.store.start_return(sale["id"])
        world.download()
        assert not Refund.objects.exists()
        world.store.update_sale(back["id"], state="closed")
        world.download()
        assert Refund.objects.get().external_id == back["id"]

    def test_a_newer_version_changes_an_unsent_one(self, world: World) -> None:
        sale = sold(world, 3)
        back = world.store.return_sale(sale["id"], [(world.product(), 1)])
        world.download()
        world.store.update_sale(
            back["id"], lines=[{"product": world.product()["id"], "quantity": -2, "is_return": True}]
        )
        assert world.download().counts["refunds_changed"] == 1
        assert Refund.objects.get().lines.get().quantity == 2
        world.deliver()
        assert PickReturn.objects.get().lines.get().quantity == 2

    def test_a_newer_version_of_a_sent_one_is_told(self, world: World) -> None:
        sale = sold(world, 3)
        back = world.store.return_sale(sale["id"], [(world.product(), 1)])
        world.download()
        world.deliver()
        world.store.update_sale(
            back["id"], lines=[{"product": world.product()["id"], "quantity": -2, "is_return": True}]
        )
        assert world.download().counts["differs"] == 1
        assert Refund.objects.get().lines.get().quantity == 1
        assert Alert.objects.get().kind == "refund_differs"

    def test_an_unchanged_one_is_left_alone(self, world: World) -> None:
        sale = sold(world)
        back = world.store.return_sale(sale["id"])
        world.download()
        world.store.update_sale(back["id"], note="receipt printed")
        assert "refunds_changed" not in world.download().counts
        assert world.download(full=True).counts.get("refunds", 0) == 0
        assert Refund.objects.count() == 1

    def test_voided_before_it_was_sent(self, world: World) -> None:
        sale = sold(world)
        back = world.store.return_sale(sale["id"])
        world.download()
        world.store.void_sale(back["id"])
        assert world.download().counts["refunds_cancelled"] == 1
        assert world.deliver() == 0
        assert Refund.objects.get().status == Status.CANCELLED
        assert "voided" in history(world, sale) and not PickReturn.objects.exists()
        assert not Alert.objects.exists()

    def test_voided_after_it_was_sent_is_told(self, world: World) -> None:
        sale = sold(world)
        back = world.store.return_sale(sale["id"])
        world.download()
        world.deliver()
        world.store.void_sale(back["id"])
        world.download()
        assert Refund.objects.get().status == Status.CANCELLED
        alert = Alert.objects.get()
        assert alert.kind == "refund_voided" and "after it had been sent" in alert.message

    def test_voided_after_it_was_received_is_told(self, world: World) -> None:
        sale = sold(world)
        back = world.store.return_sale(sale["id"])
        world.download()
        world.deliver()
        world.book.receive_return(PickReturn.objects.get())
        world.store.void_sale(back["id"])
        world.download()
        assert Refund.objects.get().status == Status.RECEIVED
        assert "received" in Alert.objects.get().message

    def test_an_order_that_was_not_sent_yet_is_told(self, world: World) -> None:
        sale = world.sell((world.product(), 2))
        world.download()
        world.store.return_sale(sale["id"])
        world.download()
        assert "was not sent yet" in history(world, sale)
        assert world.order(sale).status == Order.Status.NEW

    def test_goods_without_sku_wait_and_gift_cards_stay(self, world: World) -> None:
        card = world.store.add_product(sku="GIFT", name="Gift card", price=50, kind="gift_card", tracked=False)
        sale = world.sell({"product": card["id"], "quantity": 1, "gift_card_number": "GC-1"})
        nameless = world.store.add_product(sku="", name="No number", price=3)
        world.store.update_product(nameless["id"], sku="")
        other = world.sell((nameless, 1))
        world.download()
        world.store.return_sale(sale["id"])
        world.store.return_sale(other["id"])
        world.download()
        gift, held = Refund.objects.order_by("pk")
        assert gift.status == Status.NOT_SENT and "no goods" in gift.problem
        assert held.status == Status.HELD and "no SKU" in held.problem
        with pytest.raises(TransitionRefused, match="no SKU"):
            refund_flow.release(held.pk)
        world.store.update_product(nameless["id"], sku="NAMED")
        world.run(Function.PRODUCT_PICKUP, world.cart)
        refund_flow.release(held.pk, "ann")
        world.deliver()
        assert PickReturn.objects.get().lines.get().sku == "NAMED"

    def test_with_the_function_off_nothing_is_taken_in(self, world: World) -> None:
        assert Function.REFUND_DOWNLOAD in world.cart.switched_on_functions()
        assert Function.REFUND_DOWNLOAD in offered_functions(world.cart)
        world.cart.function_settings.filter(function=Function.REFUND_DOWNLOAD).update(is_on=False)
        sale = sold(world)
        world.store.return_sale(sale["id"])
        world.download()
        assert not Refund.objects.exists()

    def test_returns_older_than_the_carts_first_day_are_left_out(self, world: World) -> None:
        sale = world.sell((world.product(), 1), date="2020-01-05T10:00:00Z")
        world.store.return_sale(sale["id"], sale_date=datetime(2020, 1, 6, tzinfo=UTC))
        world.set_options(earliest_order_date="2021-01-01")
        world.download()
        assert not Refund.objects.exists()

    def test_one_that_could_not_be_read_is_taken_in_again(self, world: World) -> None:
        sale = sold(world)
        back = world.store.return_sale(sale["id"])
        record = FailedRecord.objects.create(
            connection=world.cart,
            function=Function.ORDER_DOWNLOAD,
            external_id=back["id"],
            cause="unreadable",
            reason="?",
        )
        failures.reprocess(record, "ann")
        assert Refund.objects.get().order == world.order(sale)

    def test_the_preview_names_returns_and_stores_nothing(self, world: World) -> None:
        sale = sold(world)
        world.store.return_sale(sale["id"])
        run = world.download(dry_run=True)
        assert "return" in [row["what"] for row in run.preview]
        assert not Refund.objects.exists()


class TestToTheWarehouse:
    def test_it_waits_there_to_be_received(self, world: World) -> None:
        sale = sold(world)
        back = world.store.return_sale(sale["id"])
        world.download()
        world.deliver()
        refund = Refund.objects.get()
        assert refund.status == Status.AT_WAREHOUSE and refund.at_warehouse_at
        waiting = PickReturn.objects.get()
        assert (waiting.reference, waiting.number) == (refund.reference, back["invoice_number"])
        assert waiting.order_number == world.order(sale).number
        assert "is known at" in history(world, sale)

    def test_with_the_option_off_it_says_why_it_stays(self, world: World) -> None:
        world.set_options(send_cancellations=False)
        sale = sold(world)
        world.store.return_sale(sale["id"])
        world.download()
        refund = Refund.objects.get()
        assert refund.status == Status.NOT_SENT and "Send Cancellation/Return To WMS" in refund.problem
        assert "was not sent" in history(world, sale)
        with pytest.raises(TransitionRefused, match="Send Cancellation"):
            refund_flow.release(refund.pk)
        world.set_options(send_cancellations=True)
        refund_flow.release(refund.pk, "ann")
        world.deliver()
        assert PickReturn.objects.count() == 1

    def test_a_warehouse_that_cannot_or_does_not_take_returns(self, world: World, monkeypatch: Any) -> None:
        world.warehouse.function_settings.filter(function=Function.REFUND_SENDING).update(is_on=False)
        sale = sold(world, 2)
        world.store.return_sale(sale["id"], [(world.product(), 1)])
        world.download()
        assert "Refund Sending" in Refund.objects.get().problem
        plain = type("Plain", (Connector,), {"label": "Plain warehouse"})
        monkeypatch.setattr("syncjobs.refund_delivery.connector_class", lambda key: plain)
        world.store.return_sale(sale["id"], [(world.product(), 1)])
        world.download()
        assert "takes no returns" in Refund.objects.order_by("pk").last().problem  # type: ignore[union-attr]

    def test_a_refusal_is_filed_told_and_sent_again(self, world: World) -> None:
        sale = sold(world)
        world.store.return_sale(sale["id"])
        world.download()
        world.location.is_active = False
        world.location.save()
        world.deliver()
        refund = Refund.objects.get()
        assert refund.status == Status.ERROR and "switched off" in refund.problem
        record = FailedRecord.objects.get()
        assert (record.function, record.order) == (Function.REFUND_SENDING, world.order(sale))
        assert Alert.objects.get(kind="failed_records").fix
        world.location.is_active = True
        world.location.save()
        failures.reprocess(record, "ann")
        world.deliver()
        refund.refresh_from_db()
        record.refresh_from_db()
        assert refund.status == Status.AT_WAREHOUSE and record.status == FailedRecord.Status.REPROCESSED
        assert not Alert.objects.filter(status=Alert.Status.OPEN).exists()

    def test_trouble_that_passes_is_tried_again(self, world: World, monkeypatch: Any) -> None:
        sale = sold(world)
        world.store.return_sale(sale["id"])
        world.download()
        with monkeypatch.context() as patch:
            patch.setattr(WarehouseBook, "announce_return", raiser(RemoteUnavailable("The database is busy.")))
            world.deliver()
        delivery = Delivery.objects.get(kind="refund")
        assert (delivery.state, delivery.in_doubt) == ("retry", False)
        run = world.run(Function.REFUND_SENDING, world.warehouse)
        assert run.state == Run.State.DONE and run.counts["sent"] == 1
        assert Refund.objects.get().status == Status.AT_WAREHOUSE

    def test_twice_is_once(self, world: World, monkeypatch: Any) -> None:
        sale = sold(world)
        world.store.return_sale(sale["id"])
        world.download()
        announce = WarehouseBook.announce_return

        def arrives_without_answer(book: WarehouseBook, refund: OutboundRefund) -> WriteResult:
            announce(book, refund)
            raise OutcomeUnknown("No answer.")

        with monkeypatch.context() as patch:
            patch.setattr(WarehouseBook, "announce_return", arrives_without_answer)
            world.deliver()
        assert Delivery.objects.get(kind="refund").in_doubt
        asked: list[str] = []
        with monkeypatch.context() as patch:
            patch.setattr(WarehouseBook, "announce_return", lambda book, refund: asked.append(refund.reference))
            world.run(Function.REFUND_SENDING, world.warehouse)
        assert asked == [] and PickReturn.objects.count() == 1
        assert Refund.objects.get().status == Status.AT_WAREHOUSE
        refund_flow.resend(Refund.objects.get().pk, "ann")
        world.deliver()
        assert PickReturn.objects.count() == 1

    def test_one_that_kills_workers_is_taken_aside(self, world: World) -> None:
        sale = sold(world)
        world.store.return_sale(sale["id"])
        world.download()
        for _ in range(MOST_DEATHS):
            Delivery.objects.filter(kind="refund").update(run_at=timezone.now())
            assert claim_batch("dead", world.warehouse.pk, "refund", 1)
            owners_died("dead")
        assert Refund.objects.get().status == Status.ERROR
        assert FailedRecord.objects.get().delivery == Delivery.objects.get(kind="refund")

    def test_cancelled_by_a_person(self, world: World) -> None:
        sale = sold(world)
        world.store.return_sale(sale["id"])
        world.download()
        refund = refund_flow.cancel(Refund.objects.get().pk, "A mistake.", "ann")
        assert refund_flow.cancel(refund.pk, "again").status == Status.CANCELLED
        assert world.deliver() == 0
        assert "A mistake." in history(world, sale)
        with pytest.raises(TransitionRefused):
            refund_flow.release(refund.pk)
        with pytest.raises(TransitionRefused):
            refund_flow.resend(refund.pk)


def raiser(error: Exception) -> Any:
    def fail(*args: Any) -> None:
        raise error

    return fail


class TestReceiving:
    @pytest.fixture
    def returned(self, world: World) -> Iterator[PickReturn]:
        """Two of five are sold, shipped nowhere yet, brought back, and announced to the warehouse."""
        world.stock(world.product()["sku"], 5)
        sale = sold(world)
        world.store.return_sale(sale["id"])
        world.download()
        world.deliver()
        yield PickReturn.objects.get()

    def test_restock_raises_both_numbers(self, world: World, returned: PickReturn) -> None:
        assert world.available(world.product()["sku"]) == 3
        world.book.receive_return(returned, received_by="bob")
        assert world.available(world.product()["sku"]) == 5
        refund = Refund.objects.get()
        assert refund.status == Status.RECEIVED and refund.received_at
        event = refund.order.events.last()  # type: ignore[union-attr]
        assert event is not None and event.actor == "bob" and "received" in event.message
        assert Run.objects.filter(function=Function.INVENTORY_PICKUP, state="queued").exists()
        with pytest.raises(BookError, match="dealt with before"):
            world.book.receive_return(returned)

    def test_broken_goods_raise_nothing(self, world: World, returned: PickReturn) -> None:
        world.book.receive_return(returned, [])
        assert world.available(world.product()["sku"]) == 3
        assert returned.lines.get().restocked is False
        assert Refund.objects.get().status == Status.RECEIVED

    def test_unknown_lines_are_refused(self, world: World, returned: PickReturn) -> None:
        with pytest.raises(BookError, match="no line"):
            world.book.receive_return(returned, ["what"])
        assert PickReturn.objects.get().status == PickReturn.Status.OPEN

    def test_goods_that_do_not_come(self, world: World, returned: PickReturn) -> None:
        world.book.give_up_return(returned, actor="bob")
        assert Refund.objects.get().status == Status.CANCELLED
        assert world.available(world.product()["sku"]) == 3

    def test_of_another_warehouse_is_refused(self, world: World, returned: PickReturn) -> None:
        with pytest.raises(BookError, match="not in this warehouse"):
            WarehouseBook(make_builtin_warehouse(world.merchant).pk).receive_return(returned)


class TestInventorySync:
    """Vend's own level rose with the return; the warehouse's rises when it receives the goods."""

    @pytest.fixture
    def level(self, world: World) -> Iterator[Any]:
        """The product has 10 in both places; two were sold, shipped and brought back."""
        bean = world.product()
        world.stock(bean["sku"], 10)
        world.sync_stock()
        assert world.level(bean) == 10
        sale = sold(world)
        world.sync_stock()
        assert world.level(bean) == world.available(bean["sku"]) == 8
        world.store.return_sale(sale["id"])
        assert world.level(bean) == 10
        yield lambda: world.level(bean)

    def test_the_outlet_is_not_pushed_down_before_the_goods_are_received(self, world: World, level: Any) -> None:
        assert "written" not in world.sync_stock().counts
        assert level() == 10
        world.deliver()
        assert "written" not in world.sync_stock().counts
        assert level() == 10

    def test_received_goods_are_not_added_twice(self, world: World, level: Any) -> None:
        world.sync_stock()
        world.deliver()
        world.book.receive_return(PickReturn.objects.get())
        assert "written" not in world.sync_stock().counts
        assert level() == world.available(world.product()["sku"]) == 10

    def test_goods_that_are_not_restocked_leave_the_outlet_again(self, world: World, level: Any) -> None:
        world.sync_stock()
        world.deliver()
        world.book.receive_return(PickReturn.objects.get(), [])
        assert world.sync_stock().counts["written"] == 1
        assert level() == 8

    def test_what_is_known_to_be_back_is_added(self, world: World, level: Any) -> None:
        world.sync_stock()
        Refund.objects.update(restock=True)
        world.stock(world.product()["sku"], 20)
        world.sync_stock()
        assert level() == 22

    def test_what_is_known_to_be_gone_is_not(self, world: World, level: Any) -> None:
        world.sync_stock()
        Refund.objects.update(restock=False)
        world.sync_stock()
        assert level() == 8

    @pytest.mark.parametrize("how", ["option off", "cancelled", "too long ago"])
    def test_what_does_not_come_is_not_expected(self, world: World, level: Any, how: str) -> None:
        if how == "option off":
            world.set_options(send_cancellations=False)
        world.sync_stock()
        if how == "cancelled":
            refund_flow.cancel(Refund.objects.get().pk, "A mistake.")
        if how == "too long ago":
            Refund.objects.update(stored_at=timezone.now() - EXPECTED_FOR)
        world.sync_stock()
        assert level() == 8

    def test_another_outlet_of_the_same_location_is_not_concerned(self, world: World, level: Any) -> None:
        other = world.add_cart(world.store.outlets[1]["name"])
        world.sync_stock()
        world.sync_stock(connection=other)
        assert OutletLevel.objects.get(cart=other, product__sku=world.product()["sku"]).level == 8


def test_a_level_in_between_is_explained() -> None:
    back = ExpectedBack(sure={"a": Decimal(1)}, perhaps={"a": Decimal(2)})
    expected = ExpectedStock({}, back, OnItsWay())
    assert [expected.desired("a", Decimal(5), Decimal(now)) for now in (4, 6, 7, 8, 9)] == [6, 6, 7, 8, 8]
    assert expected.desired("b", Decimal(5), Decimal(9)) == 5
