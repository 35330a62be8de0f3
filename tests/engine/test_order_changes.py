"""Sales that are changed after they were downloaded: taken over before sending, passed on after it, or decided by a person."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.utils import timezone

from carts import change_flow, order_flow
from carts.models import Alert, Customer, Location, Order, OrderChange, PickOrder, StockLevel, Warehouse
from carts.order_edits import change_unsent
from carts.order_flow import TransitionRefused
from carts.setup import finish_new_connection
from connectors.builtin.connector import BuiltinWarehouse
from connectors.functions import Function
from connectors.records import WriteResult
from connectors.registry import CONNECTORS
from syncjobs.delivering import Outcome, store_outcomes
from syncjobs.models import Delivery, FailedRecord
from syncjobs.outbound import outbound_orders
from syncjobs.outbox import MOST_DEATHS, claim_batch, owners_died, recover_abandoned
from syncjobs.pending_changes import added_by_changes
from tests.engine.conftest import World
from tests.engine.http_warehouse import CHANGING_KEY, KEY, ChangingWarehouse, WarehouseServer
from tests.engine.test_delivery_states import killed_while, lease_runs_out

Status = OrderChange.Status
OPEN_ALERTS = {"status": Alert.Status.OPEN}


def sold(world: World, quantity: Any = 2, **fields: Any) -> Any:
    """A sale of the first product that is at the warehouse already."""
    sale = world.sell((world.product(), quantity), **fields)
    world.download()
    world.deliver()
    assert world.order(sale).is_sent
    return sale


def edit(world: World, sale: Any, *lines: tuple[Any, Any], **fields: Any) -> Any:
    """Changes a sale in the shop; a product that is on it keeps its line's id. Then the hub looks."""
    if lines:
        ids = {line.product_id: line.id for line in world.store.sale(sale["id"]).line_items}
        fields["lines"] = [
            {
                "product": product["id"],
                "quantity": quantity,
                **({"id": ids[product["id"]]} if product["id"] in ids else {}),
            }
            for product, quantity in lines
        ]
    world.store.update_sale(sale["id"], **fields)
    return world.download()


def history(world: World, sale: Any) -> list[str]:
    return [event.message for event in world.order(sale).events.all()]


def picked(world: World, sale: Any) -> dict[str, Decimal]:
    pick_order = PickOrder.objects.get(reference=world.order(sale).reference)
    return {line.sku: line.quantity for line in pick_order.lines.all()}


class TestBeforeSending:
    def test_lines_and_quantities_are_told_in_words(self, world: World) -> None:
        sale = world.sell((world.product(0), 2), (world.product(1), 1))
        world.download()
        assert edit(world, sale, (world.product(0), 3), (world.product(2), 1)).counts == {"updated": 1}
        first, second, third = (world.product(number)["sku"] for number in range(3))
        told = history(world, sale)[-1]
        assert f"{first}: quantity 2 -> 3" in told
        assert f"1 x {second} removed" in told and f"1 x {third} added" in told and "total " in told
        world.deliver()
        assert picked(world, sale) == {first: 3, third: 1}
        assert not OrderChange.objects.exists()

    def test_what_a_person_set_here_stays(self, world: World) -> None:
        sale = world.sell()
        world.download()
        change_unsent(world.order(sale).pk, "ann", ship_to={"city": "Oslo"})
        edit(world, sale, note="gift wrap")
        assert world.order(sale).ship_to["city"] == "Oslo" and world.order(sale).note == "gift wrap"

    def test_a_sku_that_a_person_entered_stays(self, world: World) -> None:
        nameless = world.store.add_product(sku="", name="No number", price=3)
        world.store.update_product(nameless["id"], sku="")
        sale = world.sell((nameless, 1))
        world.download()
        order = world.order(sale)
        assert order.status == Order.Status.ERROR
        change_unsent(order.pk, "ann", skus={order.lines.get().pk: "BY-HAND"})
        edit(world, sale, (nameless, 2), note="gift wrap")
        order = world.order(sale)
        assert (order.status, order.lines.get().sku, order.lines.get().quantity) == (Order.Status.NEW, "BY-HAND", 2)

    def test_a_held_order_stays_held(self, world: World) -> None:
        sale = world.sell()
        world.download()
        order_flow.hold(world.order(sale).pk, "Wait for the boss.", "ann")
        edit(world, sale, note="gift wrap")
        assert (world.order(sale).status, world.order(sale).note) == ("held", "gift wrap")

    def test_an_order_without_goods_gets_some(self, world: World) -> None:
        card = world.store.add_product(sku="GIFT", name="Gift card", price=50, kind="gift_card", tracked=False)
        sale = world.sell({"product": card["id"], "quantity": 1, "gift_card_number": "GC-1"})
        world.download()
        assert world.order(sale).status == Order.Status.SHIPPED
        edit(world, sale, (world.product(), 1))
        order = world.order(sale)
        assert (order.status, order.shipped_at) == (Order.Status.NEW, None)
        world.deliver()
        assert picked(world, sale) == {world.product()["sku"]: 1}

    def test_a_refused_order_is_not_touched_by_a_version_without_news(self, world: World) -> None:
        sale = world.sell()
        world.download()
        world.location.is_active = False
        world.location.save()
        world.deliver()
        world.store.update_sale(sale["id"])
        assert world.download().counts == {"unchanged": 1}
        assert Delivery.objects.get().state == "failed"
        edit(world, sale, note="now with a note")
        assert Delivery.objects.get().state == "pending"

    def test_an_article_and_a_customer_that_are_new_themselves(self, world: World) -> None:
        sale = world.sell()
        world.download()
        fresh = world.store.add_product(sku="FRESH", name="Fresh", price=3)
        ada = world.store.add_customer(
            first_name="Ada", physical_address_1="1 Lane", physical_city="Paris", physical_country_id="FR"
        )
        edit(world, sale, (fresh, 1), customer=ada["id"])
        order = world.order(sale)
        assert [line.sku for line in order.lines.all()] == ["FRESH"]
        assert (order.customer_name, order.ship_to["city"], order.status) == ("Ada", "Paris", "new")


class TestAtTheBuiltInWarehouse:
    def test_the_pick_list_changes_and_the_stock_with_it(self, world: World) -> None:
        bean, cup, pack = (world.product(number) for number in range(3))
        for product in (bean, cup, pack):
            world.stock(product["sku"], 10)
        sale = world.sell((bean, 2), (cup, 1))
        world.download()
        world.deliver()
        run = edit(world, sale, (bean, 5), (pack, 1), note="ring twice")
        assert run.counts == {"differs": 1}
        assert world.order(sale).note == ""  # as it was sent, until the warehouse agreed
        assert picked(world, sale) == {bean["sku"]: 2, cup["sku"]: 1}
        world.deliver()
        assert picked(world, sale) == {bean["sku"]: 5, pack["sku"]: 1}
        assert [world.available(product["sku"]) for product in (bean, cup, pack)] == [5, 10, 9]
        pick_order = PickOrder.objects.get()
        assert pick_order.note == "ring twice" and pick_order.changed_at
        assert f"{bean['sku']}: quantity 2 -> 5" in pick_order.changed_how
        order = world.order(sale)
        assert {line.sku: line.quantity for line in order.lines.all()} == picked(world, sale)
        assert order.total == world.store.sale(sale["id"]).total_price_incl
        change, delivery = OrderChange.objects.get(), Delivery.objects.get(kind="change")
        assert (change.status, delivery.state, delivery.reference) == (Status.DONE, "done", change.reference)
        assert "changed the order" in history(world, sale)[-1]
        assert not Alert.objects.exists() and not FailedRecord.objects.exists()

    def test_prices_and_address(self, world: World) -> None:
        sale = sold(world)
        line = world.store.sale(sale["id"]).line_items[0]
        ada = world.store.add_customer(
            first_name="Ada", physical_address_1="1 Lane", physical_city="Paris", physical_country_id="FR"
        )
        changed = {"id": line.id, "product": line.product_id, "quantity": 2, "price": "9.50"}
        edit(world, sale, lines=[changed], customer=ada["id"])
        told = history(world, sale)[-1]
        assert "price" in told and "-> 9.50" in told and "customer none -> Ada" in told
        assert "ship-to address" in told and "1 Lane, Paris, FR" in told
        world.deliver()
        assert PickOrder.objects.get().ship_to["city"] == "Paris"
        assert world.order(sale).lines.get().unit_price == Decimal("9.50")

    def test_a_payment_is_no_matter_of_the_warehouse(self, world: World) -> None:
        sale = sold(world)
        total = world.order(sale).total
        run = edit(world, sale, payments=[{"amount": total - 1, "name": "Cash"}, {"amount": 1, "name": "Credit Card"}])
        assert run.counts == {"updated": 1}
        assert [payment["name"] for payment in world.order(sale).payments] == ["Cash", "Credit Card"]
        assert "Payments in the cart" in history(world, sale)[-1]
        assert world.deliver() == 0
        assert not OrderChange.objects.exists() and not Alert.objects.exists()

    def test_the_same_again_is_nothing(self, world: World) -> None:
        sale = sold(world)
        edit(world, sale, (world.product(), 3))
        world.deliver()
        world.store.update_sale(sale["id"])
        assert world.download().counts == {"unchanged": 1}
        assert world.deliver() == 0

    def test_new_ids_of_lines_are_no_news(self, world: World) -> None:
        sale = sold(world)
        edit(world, sale, lines=[{"product": world.product()["id"], "quantity": 2}])
        assert world.deliver() == 0 and not OrderChange.objects.exists()
        world.book.ship(PickOrder.objects.get())
        world.run(Function.SHIPMENT_PICKUP)
        assert world.order(sale).status == Order.Status.SHIPPED

    def test_what_else_changes_in_the_world_stays_as_it_was_sent(self, world: World) -> None:
        ada = world.store.add_customer(
            first_name="Ada", physical_address_1="1 Lane", physical_city="Paris", physical_country_id="FR"
        )
        sale = sold(world, customer=ada["id"])
        world.store.update_customer(ada["id"], first_name="Eve", physical_city="Lyon")
        world.store.update_product(world.product()["id"], sku="RENAMED", name="New name")
        world.store.update_sale(sale["id"])
        assert world.download().counts == {"unchanged": 1}
        assert world.order(sale).ship_to["city"] == "Paris"

    def test_two_edits_at_once_are_one_change(self, world: World) -> None:
        sale = sold(world)
        edit(world, sale, (world.product(), 3))
        edit(world, sale, (world.product(), 4))
        later, earlier = OrderChange.objects.all()
        assert (earlier.status, later.status) == (Status.SUPERSEDED, Status.SENDING)
        world.deliver()
        assert picked(world, sale) == {world.product()["sku"]: 4}
        assert list(Delivery.objects.filter(kind="change").values_list("state", flat=True)) == ["done", "cancelled"]
        assert "quantity 3 -> 4" in "".join(history(world, sale))

    def test_changed_back_before_it_left(self, world: World) -> None:
        sale = sold(world)
        edit(world, sale, (world.product(), 3))
        assert edit(world, sale, (world.product(), 2)).counts == {"updated": 1}
        assert world.deliver() == 0
        assert OrderChange.objects.get().status == Status.SUPERSEDED

    def test_shipped_before_the_change_arrives(self, world: World) -> None:
        """The edit and the parcel cross: the warehouse refuses, a person hears of it in words and decides."""
        sale = sold(world)
        edit(world, sale, (world.product(), 3))
        world.book.ship(PickOrder.objects.get())
        world.deliver()
        change = OrderChange.objects.get()
        assert change.status == Status.HELD and "was shipped and cannot be changed" in change.problem
        alert = Alert.objects.get(**OPEN_ALERTS)
        assert alert.kind == "changed_after_sending" and "quantity 2 -> 3" in alert.message
        assert alert.fix and alert.link.endswith(f"/order/{world.order(sale).pk}/change/")
        world.run(Function.SHIPMENT_PICKUP)
        order = world.order(sale)
        assert (order.status, order.lines.get().quantity) == (Order.Status.SHIPPED, 2)
        with pytest.raises(TransitionRefused, match="shipped before"):
            change_flow.resend(order.pk, "ann")
        change_flow.keep_as_sent(order.pk, "ann")
        assert not Alert.objects.filter(**OPEN_ALERTS).exists()
        assert order.events.last().actor == "ann"
        with pytest.raises(TransitionRefused, match="no change"):
            change_flow.keep_as_sent(order.pk, "ann")
        assert not FailedRecord.objects.exists()

    def test_partly_shipped(self, world: World) -> None:
        sale = sold(world)
        pick_order = PickOrder.objects.get()
        world.book.ship(pick_order, {pick_order.lines.get().reference: Decimal(1)})
        world.run(Function.SHIPMENT_PICKUP)
        edit(world, sale, (world.product(), 3))
        world.deliver()
        assert "was partly shipped" in OrderChange.objects.get().problem
        assert world.order(sale).status == Order.Status.AT_WAREHOUSE

    def test_after_shipping_only_goods_and_address_matter(self, world: World) -> None:
        sale = sold(world)
        world.book.ship(PickOrder.objects.get())
        world.run(Function.SHIPMENT_PICKUP)
        assert edit(world, sale, note="thank you").counts == {"updated": 1}
        assert world.order(sale).note == "thank you" and not Alert.objects.exists()
        assert edit(world, sale, (world.product(), 1)).counts == {"differs": 1}
        assert OrderChange.objects.get().problem == change_flow.SHIPPED_ALREADY
        assert "parcel or a return" in Alert.objects.get().fix

    def test_nothing_left_to_ship_is_decided_by_a_person(self, world: World) -> None:
        card = world.store.add_product(sku="GIFT", name="Gift card", price=50, kind="gift_card", tracked=False)
        sale = sold(world)
        edit(world, sale, lines=[{"product": card["id"], "quantity": 1, "gift_card_number": "GC-1"}])
        assert "Nothing is left to ship" in OrderChange.objects.get().problem
        order_flow.cancel(world.order(sale).pk, "It became a gift card.", "ann")
        world.deliver()
        assert world.order(sale).status == Order.Status.CANCELLED
        assert OrderChange.objects.get().status == Status.CANCELLED
        assert not Alert.objects.filter(**OPEN_ALERTS).exists()

    def test_an_article_without_sku_waits_until_it_has_one(self, world: World) -> None:
        sale = sold(world)
        nameless = world.store.add_product(sku="", name="No number", price=3)
        world.store.update_product(nameless["id"], sku="")
        edit(world, sale, (world.product(), 2), (nameless, 1))
        assert "has no SKU" in OrderChange.objects.get().problem
        with pytest.raises(TransitionRefused, match="no SKU"):
            change_flow.resend(world.order(sale).pk, "ann")
        world.store.update_product(nameless["id"], sku="NAMED")
        world.run(Function.PRODUCT_PICKUP, world.cart)
        change_flow.resend(world.order(sale).pk, "ann")
        assert not Alert.objects.filter(**OPEN_ALERTS).exists()
        world.deliver()
        assert picked(world, sale)["NAMED"] == 1

    def test_voided_after_an_edit(self, world: World) -> None:
        sale = sold(world)
        edit(world, sale, (world.product(), 3))
        world.store.void_sale(sale["id"])
        world.download()
        world.deliver()
        assert world.order(sale).status == Order.Status.CANCELLED
        assert PickOrder.objects.get().status == PickOrder.Status.CANCELLED
        assert OrderChange.objects.get().status == Status.CANCELLED
        assert Delivery.objects.get(kind="change").state == "cancelled"

    def test_edited_and_voided_between_two_looks(self, world: World) -> None:
        sale = sold(world)
        world.store.update_sale(sale["id"], note="one more")
        world.store.void_sale(sale["id"])
        assert world.download().counts == {"cancelled": 1}
        assert not OrderChange.objects.exists()

    def test_a_cancellation_that_is_refused_lets_the_change_go_on(self, world: World) -> None:
        sale = sold(world)
        edit(world, sale, (world.product(), 3))
        world.warehouse.function_settings.filter(function=Function.ORDER_CANCELLATION_SENDING).update(is_on=False)
        order_flow.cancel(world.order(sale).pk, "No more wanted.", "ann")
        assert OrderChange.objects.get().status == Status.SENDING
        world.deliver()
        assert picked(world, sale) == {world.product()["sku"]: 3}

    def test_what_the_shop_sold_more_is_not_offered_again(self, world: World) -> None:
        bean = world.product()
        world.stock(bean["sku"], 10)
        world.sync_stock()
        sale = sold(world)
        world.sync_stock()
        assert world.level(bean) == 8
        world.warehouse.function_settings.filter(function=Function.ORDER_SENDING).update(is_on=False)
        edit(world, sale, (bean, 5))
        assert world.level(bean) == 5 and world.available(bean["sku"]) == 8
        assert "written" not in world.sync_stock().counts
        assert world.level(bean) == 5
        world.warehouse.function_settings.filter(function=Function.ORDER_SENDING).update(is_on=True)
        world.deliver()
        assert "written" not in world.sync_stock().counts
        assert world.level(bean) == world.available(bean["sku"]) == 5

    def test_figures_read_before_a_change_lack_it(self, world: World, monkeypatch: pytest.MonkeyPatch) -> None:
        """A warehouse that does not show its stock live: what it shows may be older than the change."""
        bean = world.product()
        monkeypatch.setattr(BuiltinWarehouse, "levels_are_live", False)
        world.stock(bean["sku"], 10)
        sale = sold(world)
        StockLevel.objects.update(available=8, read_at=timezone.now())
        edit(world, sale, (bean, 5))
        world.deliver()
        assert OrderChange.objects.get().status == Status.DONE
        StockLevel.objects.update(available=8, read_at=timezone.now() - timedelta(seconds=30))
        Order.objects.update(at_warehouse_at=timezone.now() - timedelta(hours=1))
        assert added_by_changes([world.location]) == {bean["sku"].lower(): 3}
        StockLevel.objects.update(read_at=timezone.now() + timedelta(seconds=30))
        assert added_by_changes([world.location]) == {}

    def test_a_word_that_the_hub_does_not_know_is_shown_to_a_person(self, world: World) -> None:
        sale = sold(world)
        edit(world, sale, state="mislaid")
        change = OrderChange.objects.get()
        assert change.status == Status.HELD and "mislaid" in change.problem
        change_flow.keep_as_sent(world.order(sale).pk, "ann")
        world.store.update_sale(sale["id"])
        assert world.download().counts == {"unchanged": 1}

    def test_our_own_tracking_number_is_no_news(self, world: World) -> None:
        sale = sold(world)
        pick_order = PickOrder.objects.get()
        part = {pick_order.lines.get().reference: Decimal(1)}
        world.book.ship(pick_order, part, carrier="NZ Post", tracking_number="NZ1")
        world.run(Function.SHIPMENT_PICKUP)
        edit(world, sale, note="Shipped with NZ Post: NZ1")
        assert not OrderChange.objects.exists() and not Alert.objects.exists()


@pytest.fixture
def server() -> Iterator[WarehouseServer]:
    with WarehouseServer() as running:
        yield running


@pytest.fixture
def remote(world: World, server: WarehouseServer, monkeypatch: pytest.MonkeyPatch, settings: Any) -> WarehouseServer:
    """The shop's warehouse is a remote one that can change orders."""
    monkeypatch.setitem(CONNECTORS, KEY, "tests.engine.http_warehouse.HttpWarehouse")
    monkeypatch.setitem(CONNECTORS, CHANGING_KEY, "tests.engine.http_warehouse.ChangingWarehouse")
    settings.EXTRA_HOSTS = settings.EXTRA_HOSTS | {server.host}
    world.warehouse = Warehouse.objects.create(
        merchant=world.merchant, name="Remote", connector=CHANGING_KEY, is_active=True, options={"url": server.url}
    )
    world.location = Location.objects.create(
        warehouse=world.warehouse, name="Here", external_id="here", is_default=True
    )
    finish_new_connection(world.warehouse)
    world.cart.warehouse = world.warehouse
    world.cart.location = world.location
    world.cart.save()
    return server


def soon(kind: str = "change") -> None:
    """What waits for a later try is tried now."""
    Delivery.objects.filter(kind=kind, state="retry").update(run_at=timezone.now() - timedelta(seconds=1))


class TestAtARemoteWarehouse:
    def test_it_is_told_what_the_order_is_now(self, world: World, remote: WarehouseServer) -> None:
        sale = sold(world)
        reference = world.order(sale).reference
        edit(world, sale, (world.product(), 3))
        world.deliver()
        assert remote.contents[reference] == {world.product()["sku"]: "3.00000"}
        assert remote.told == [("change", OrderChange.objects.get().reference)]

    def test_an_answer_that_is_lost_is_asked_for_again(self, world: World, remote: WarehouseServer) -> None:
        sale = sold(world)
        edit(world, sale, (world.product(), 3))
        remote.fail(match="PUT *", fault="answer_lost")
        world.deliver()
        delivery = Delivery.objects.get(kind="change")
        assert (delivery.state, delivery.in_doubt) == ("retry", True)
        assert world.order(sale).lines.get().quantity == 2
        soon()
        world.deliver()
        change = OrderChange.objects.get()
        assert remote.told == [("change", change.reference)] * 2  # the same, under the same reference
        assert (change.status, world.order(sale).lines.get().quantity) == (Status.DONE, 3)

    def test_a_worker_dies_while_it_sends(
        self, world: World, remote: WarehouseServer, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        from tests.engine.test_delivery_states import die

        sale = sold(world)
        edit(world, sale, (world.product(), 3))
        killed_while(monkeypatch, ChangingWarehouse, "change_order", die)
        assert recover_abandoned() == 0 and world.deliver() == 0
        lease_runs_out()
        world.deliver()
        assert OrderChange.objects.get().status == Status.DONE
        assert len(remote.told) == 1

    def test_one_that_kills_workers_is_given_to_a_person(self, world: World, remote: WarehouseServer) -> None:
        sale = sold(world)
        edit(world, sale, (world.product(), 3))
        for _ in range(MOST_DEATHS):
            Delivery.objects.filter(kind="change").update(run_at=timezone.now())
            assert claim_batch("dead", world.warehouse.pk, "change", 1)
            owners_died("dead")
        assert "worker died" in OrderChange.objects.get().problem
        assert Alert.objects.get(**OPEN_ALERTS).kind == "changed_after_sending"
        assert not FailedRecord.objects.exists()

    def test_a_second_edit_waits_for_the_first_that_is_on_its_way(self, world: World, remote: WarehouseServer) -> None:
        sale = sold(world)
        edit(world, sale, (world.product(), 3))
        [held_by_another] = claim_batch("other", world.warehouse.pk, "change", 1)
        edit(world, sale, (world.product(), 4))
        edit(world, sale, (world.product(), 5))
        assert sorted(OrderChange.objects.values_list("status", flat=True)) == ["sending", "superseded", "waiting"]
        assert world.deliver() == 0
        store_outcomes(world.warehouse, "change", [Outcome(held_by_another, WriteResult.done("x"))], timezone.now())
        assert world.order(sale).lines.get().quantity == 3
        world.deliver()
        assert world.order(sale).lines.get().quantity == 5
        assert remote.contents[world.order(sale).reference] == {world.product()["sku"]: "5.00000"}

    def test_a_second_edit_when_the_first_is_in_doubt(self, world: World, remote: WarehouseServer) -> None:
        sale = sold(world)
        edit(world, sale, (world.product(), 3))
        remote.fail(match="PUT *", fault="answer_lost")
        world.deliver()
        edit(world, sale, (world.product(), 2))  # as it was sent - but the first change may have arrived
        assert world.deliver() == 0
        soon()
        world.deliver()
        assert remote.contents[world.order(sale).reference] == {world.product()["sku"]: "2.00000"}
        assert world.order(sale).lines.get().quantity == 2
        assert [change.status for change in OrderChange.objects.all()] == [Status.DONE, Status.DONE]

    def test_the_first_is_refused_while_a_second_waits(self, world: World, remote: WarehouseServer) -> None:
        sale = sold(world)
        edit(world, sale, (world.product(), 3))
        [held_by_another] = claim_batch("other", world.warehouse.pk, "change", 1)
        edit(world, sale, (world.product(), 4))
        refused = WriteResult.rejected("x", "Not now.")
        store_outcomes(world.warehouse, "change", [Outcome(held_by_another, refused)], timezone.now())
        assert not Alert.objects.exists()
        world.deliver()
        assert world.order(sale).lines.get().quantity == 4

    def test_a_success_that_is_told_late_is_believed(self, world: World, remote: WarehouseServer) -> None:
        sale = sold(world)
        edit(world, sale, (world.product(), 3))
        [late] = claim_batch("old", world.warehouse.pk, "change", 1)
        lease_runs_out()
        remote.packed.add(world.order(sale).reference)
        world.deliver()
        assert OrderChange.objects.get().status == Status.HELD
        store_outcomes(world.warehouse, "change", [Outcome(late, WriteResult.done("x"))], timezone.now())
        assert world.order(sale).lines.get().quantity == 3
        assert not Alert.objects.filter(**OPEN_ALERTS).exists()

    def test_an_edit_while_the_order_itself_is_in_doubt_and_arrived(
        self, world: World, remote: WarehouseServer
    ) -> None:
        sale = world.sell((world.product(), 2))
        world.download()
        remote.fail(match="POST /orders", fault="answer_lost")
        world.deliver()
        assert Delivery.objects.get().in_doubt
        assert edit(world, sale, (world.product(), 3)).counts == {"differs": 1}
        assert OrderChange.objects.get().status == Status.WAITING
        soon("order")
        world.deliver()
        reference = world.order(sale).reference
        assert remote.accepted == [reference] and remote.contents[reference] == {world.product()["sku"]: "3.00000"}
        assert OrderChange.objects.get().status == Status.DONE

    def test_an_edit_while_the_order_itself_is_in_doubt_and_never_arrived(
        self, world: World, remote: WarehouseServer
    ) -> None:
        """It goes out as it is now; there is nothing to change at the warehouse."""
        sale = world.sell((world.product(), 2))
        world.download()
        remote.fail(match="POST /orders", fault="never_received")
        world.deliver()
        assert Delivery.objects.get().in_doubt
        edit(world, sale, (world.product(), 3))
        soon("order")
        world.deliver()
        reference = world.order(sale).reference
        assert remote.accepted == [reference] and remote.contents[reference] == {world.product()["sku"]: "3.00000"}
        assert remote.told == [] and not Delivery.objects.filter(kind="change").exists()
        assert world.order(sale).lines.get().quantity == 3

    def test_an_edit_while_the_order_is_being_sent_and_refused(self, world: World, remote: WarehouseServer) -> None:
        sale = world.sell((world.product(), 2))
        world.download()
        [on_its_way] = claim_batch("other", world.warehouse.pk, "order", 1)
        edit(world, sale, (world.product(), 3))
        refused = WriteResult.rejected(on_its_way.reference, "Too small an order.")
        store_outcomes(world.warehouse, "order", [Outcome(on_its_way, refused)], timezone.now())
        order = world.order(sale)
        assert (order.status, order.lines.get().quantity) == (Order.Status.ERROR, 3)
        order_flow.release(order.pk, "ann")
        world.deliver()
        assert remote.contents[order.reference] == {world.product()["sku"]: "3.00000"}
        assert remote.told == []

    def test_voided_while_a_change_is_on_its_way(self, world: World, remote: WarehouseServer) -> None:
        """The cancellation must not be overtaken by the change."""
        sale = sold(world)
        edit(world, sale, (world.product(), 3))
        [on_its_way] = claim_batch("other", world.warehouse.pk, "change", 1)
        world.store.void_sale(sale["id"])
        world.download()
        assert not Delivery.objects.filter(kind="cancellation").exists()
        store_outcomes(world.warehouse, "change", [Outcome(on_its_way, WriteResult.done("x"))], timezone.now())
        world.deliver()
        assert remote.told == [("cancel", world.order(sale).reference)]
        assert world.order(sale).status == Order.Status.CANCELLED

    def test_cancelled_here_only_while_a_change_is_on_its_way(self, world: World, remote: WarehouseServer) -> None:
        sale = sold(world)
        edit(world, sale, (world.product(), 3))
        [on_its_way] = claim_batch("other", world.warehouse.pk, "change", 1)
        order_flow.cancel(world.order(sale).pk, "By phone.", "ann", tell_warehouse=False)
        store_outcomes(world.warehouse, "change", [Outcome(on_its_way, WriteResult.done("x"))], timezone.now())
        assert (world.order(sale).status, OrderChange.objects.get().status) == ("cancelled", Status.CANCELLED)
        assert world.order(sale).lines.get().quantity == 2

    def test_a_refused_cancellation_tells_of_a_held_change_again(self, world: World, remote: WarehouseServer) -> None:
        sale = sold(world)
        reference = world.order(sale).reference
        remote.packed.add(reference)
        edit(world, sale, (world.product(), 3))
        world.deliver()
        order_flow.cancel(world.order(sale).pk, "Better not.", "ann")
        assert not Alert.objects.filter(kind="changed_after_sending", **OPEN_ALERTS).exists()
        world.deliver()
        assert Alert.objects.filter(kind="cancellation_refused", **OPEN_ALERTS).exists()
        assert Alert.objects.filter(kind="changed_after_sending", **OPEN_ALERTS).exists()
        remote.packed.discard(reference)
        change_flow.resend(world.order(sale).pk, "ann")
        world.deliver()
        assert remote.contents[reference] == {world.product()["sku"]: "3.00000"}
        assert not Alert.objects.filter(kind="changed_after_sending", **OPEN_ALERTS).exists()

    def test_sending_on_request_sends_changes_too(self, world: World, remote: WarehouseServer) -> None:
        sale = sold(world)
        edit(world, sale, (world.product(), 3))
        run = world.run(Function.ORDER_SENDING, world.warehouse)
        assert run.counts["sent"] == 1
        assert world.order(sale).lines.get().quantity == 3

    def test_less_than_was_open_ends_a_partly_shipped_order(self, world: World, remote: WarehouseServer) -> None:
        sale = sold(world)
        order = world.order(sale)
        line = order.lines.get()
        order_flow.add_shipment(order.pk, shipment_of(order, line.external_id, 1))
        edit(world, sale, (world.product(), 1))
        world.deliver()
        assert world.order(sale).status == Order.Status.SHIPPED


def shipment_of(order: Order, line: str, quantity: int) -> Any:
    from connectors.records import ShipmentLineRecord, ShipmentRecord

    return ShipmentRecord(
        external_id="P1",
        order_reference=order.reference,
        shipped_at=timezone.now(),
        lines=(ShipmentLineRecord(sku="", quantity=Decimal(quantity), line_reference=line),),
    )


class TestAtAWarehouseThatCannotChange:
    @pytest.fixture(autouse=True)
    def plain(self, world: World, remote: WarehouseServer) -> None:
        Warehouse.objects.filter(pk=world.warehouse.pk).update(connector=KEY)

    def test_a_person_decides_and_is_not_asked_twice(self, world: World, remote: WarehouseServer) -> None:
        sale = sold(world)
        assert edit(world, sale, (world.product(), 3)).counts == {"differs": 1}
        order = world.order(sale)
        assert order.status == Order.Status.AT_WAREHOUSE
        change = OrderChange.objects.get()
        assert change.status == Status.HELD and "cannot change orders" in change.problem
        alert = Alert.objects.get()
        assert "quantity 2 -> 3" in alert.message and "cannot change orders" in alert.message
        with pytest.raises(TransitionRefused, match="cannot change"):
            change_flow.resend(order.pk, "ann")
        change_flow.keep_as_sent(order.pk, "ann")
        world.store.update_sale(sale["id"])
        assert world.download().counts == {"unchanged": 1}
        assert not Alert.objects.filter(**OPEN_ALERTS).exists()
        assert world.order(sale).lines.get().quantity == 2

    def test_a_later_edit_says_everything_that_differs(self, world: World, remote: WarehouseServer) -> None:
        sale = sold(world)
        edit(world, sale, (world.product(), 3))
        change_flow.keep_as_sent(world.order(sale).pk, "ann")
        edit(world, sale, note="and a card")
        [alert] = Alert.objects.filter(**OPEN_ALERTS)
        assert "quantity 2 -> 3" in alert.message and "and a card" in alert.message
        assert "and a card" in history(world, sale)[-2] and "quantity" not in history(world, sale)[-2]

    def test_changed_back_closes_the_alert(self, world: World, remote: WarehouseServer) -> None:
        sale = sold(world)
        edit(world, sale, (world.product(), 3))
        edit(world, sale, (world.product(), 2))
        assert not Alert.objects.filter(**OPEN_ALERTS).exists()
        assert not OrderChange.objects.filter(status__in=change_flow.OPEN).exists()


def test_customers_who_are_known_only_now(world: World) -> None:
    """A customer that the hub could not find is no change when it turns up by the same id."""
    sale = sold(world, customer=world.store.add_customer(first_name="Ada", physical_city="")["id"])
    assert Customer.objects.filter(first_name="Ada").exists()
    assert outbound_orders([Delivery.objects.get()])[0].customer_name == "Ada"
    world.store.update_sale(sale["id"])
    assert world.download().counts == {"unchanged": 1}
