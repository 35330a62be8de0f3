"""Order Download with the kinds of sales that real shops make."""

from __future__ import annotations

import json
from decimal import Decimal

import pytest
from django.db import connection as database
from django.test.utils import CaptureQueriesContext

from carts.models import Alert, Customer, Order, OrderPayload, PickOrder
from connectors.functions import Function
from connectors.vend.connector import OutletAddressMissing
from syncjobs import order_changes
from syncjobs.failures import NotReprocessed, reprocess
from syncjobs.models import Delivery, FailedRecord, Run
from tests.engine.conftest import World

Status = Order.Status
ADDRESS_ALERT = (
    "Could not pull order data because the outlet in Vend is missing an address. Please add the outlet address in Vend."
)


def test_only_the_outlet_and_status_of_the_cart(world: World) -> None:
    mine = world.sell()
    world.sell(outlet=world.store.outlets[1]["id"])
    world.sell(status="SAVED")
    world.sell(status="LAYBY")
    run = world.download()
    assert [order.external_id for order in Order.objects.all()] == [mine["id"]]
    assert run.counts == {"imported": 1, "skipped": 3}


def test_all_except_voided_and_saved(world: World) -> None:
    world.set_options(order_status="ALL_EXCEPT_VOIDED_SAVED")
    for status in ("CLOSED", "ONACCOUNT", "LAYBY", "AWAITING_DISPATCH", "SAVED", "VOIDED"):
        world.sell(status=status)
    world.download()
    assert Order.objects.count() == 4


def test_a_sale_that_becomes_downloadable_later_is_taken_then(world: World) -> None:
    sale = world.sell(status="LAYBY")
    world.download()
    assert not Order.objects.exists()
    world.store.update_sale(sale["id"], status="CLOSED")
    world.download()
    assert world.order(sale).status == Status.NEW


def test_sales_before_the_earliest_order_date_are_left(world: World) -> None:
    world.set_options(earliest_order_date="2026-03-01")
    world.sell(date="2026-02-27T10:00:00Z")
    taken = world.sell(date="2026-03-02T10:00:00Z")
    world.download()
    assert [order.external_id for order in Order.objects.all()] == [taken["id"]]


def test_sale_level_discount_is_folded_into_the_order(world: World) -> None:
    sale = world.sell((world.product(), 2), discount=Decimal("7.50"))
    world.download()
    order = world.order(sale)
    assert order.discount_total == Decimal("7.50")
    assert [line.sku for line in order.lines.all()] == [world.product()["sku"]]


def test_fractional_quantities_and_five_decimal_prices(world: World) -> None:
    sale = world.sell({"product": world.product()["id"], "quantity": "1.375", "price": "2.63158"})
    world.download()
    line = world.order(sale).lines.get()
    assert (line.quantity, line.unit_price) == (Decimal("1.375"), Decimal("2.63158"))


def test_gift_cards_are_never_sent_as_goods(world: World) -> None:
    card = world.store.add_product(sku="GIFT", name="Gift card", price=50, kind="gift_card", tracked=False)
    both = world.sell((world.product(), 1), {"product": card["id"], "quantity": 1, "gift_card_number": "GC-1"})
    only = world.sell({"product": card["id"], "quantity": 1, "gift_card_number": "GC-2"})
    world.download()
    world.deliver()
    assert [line.sku for line in PickOrder.objects.get().lines.all()] == [world.product()["sku"]]
    assert world.order(both).lines.count() == 2
    assert world.order(only).status == Status.SHIPPED
    assert "nothing to ship" in world.order(only).events.last().message.lower()


def test_customer_without_names_walk_in_and_non_latin(world: World) -> None:
    address = {
        "physical_address_1": "1 Lane",
        "physical_city": "Wellington",
        "physical_country_id": "NZ",
    }
    nameless = world.store.add_customer(first_name=None, last_name=None, email="x@example.com", **address)
    greek = world.store.add_customer(first_name="Ελένη", last_name="Παπαδοπούλου", **address)
    first, second, third = world.sell(customer=nameless["id"]), world.sell(customer=greek["id"]), world.sell()
    world.download()
    assert world.order(first).customer_email == "x@example.com"
    assert world.order(first).ship_to["city"] == "Wellington"
    assert world.order(second).customer_name == "Ελένη Παπαδοπούλου"
    assert world.order(third).ship_to["city"] == world.outlet["physical_city"]


def test_a_deleted_product_keeps_its_name_and_sku(world: World) -> None:
    product = world.product(3)
    sale = world.sell((product, 1))
    world.store.delete_product(product["id"])
    world.download()
    line = world.order(sale).lines.get()
    assert line.sku == product["sku"]
    assert world.order(sale).status == Status.NEW


def test_a_product_without_sku_holds_only_its_order_and_heals(world: World) -> None:
    product = world.store.add_product(sku="", name="No number", price=3)
    world.store.update_product(product["id"], sku="")
    bad, good = world.sell((product, 1)), world.sell()
    world.download()
    assert world.order(good).status == Status.NEW
    order = world.order(bad)
    if order.status == Status.ERROR:
        assert "no SKU" in order.problem
        world.store.update_product(product["id"], sku="NOWNAMED")
        world.run(Function.PRODUCT_PICKUP, world.cart)
        run = world.download()
        assert run.counts["healed"] == 1
        assert world.order(bad).lines.get().sku == "NOWNAMED"
        assert Delivery.objects.filter(order=order, state="pending").exists()


def test_orders_that_wait_in_vain_hide_no_later_one(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """However many are stuck: each batch of them is passed over with three queries, and what lacks nothing goes out."""
    monkeypatch.setattr(order_changes, "HEAL_AT_ONCE", 2)
    product = world.store.add_product(sku="", name="No number", price=3)
    world.store.update_product(product["id"], sku="")
    stuck = [world.sell((product, 1)) for _ in range(5)]
    world.download()
    assert {world.order(sale).status for sale in stuck} == {Status.ERROR}
    last = world.order(stuck[-1])
    last.lines.update(sku="BYHAND", sku_key="byhand")
    Order.objects.filter(pk=last.pk).update(ship_to={})
    assert last.customer is None or not last.customer.ship_to
    with CaptureQueriesContext(database) as queries:
        assert order_changes.heal_orders(world.cart) == 0
    # One asks whether any waits; the last one has a SKU: no product is looked up for it.
    assert len(queries) == 1 + 2 * 3 + 2 + 1
    customer = Customer.objects.create(
        connection=world.cart,
        external_id="late",
        ship_to={"street1": "1 Queen Street", "city": "Auckland", "country": "NZ"},
    )
    Order.objects.filter(pk=last.pk).update(customer=customer)
    assert order_changes.heal_orders(world.cart) == 1
    assert world.order(stuck[-1]).status == Status.NEW
    assert {world.order(sale).status for sale in stuck[:-1]} == {Status.ERROR}


def test_a_sale_of_a_thousand_lines(world: World) -> None:
    sale = world.sell(*[(world.product(number % 12), 1) for number in range(1000)])
    world.download()
    world.deliver()
    assert world.order(sale).lines.count() == 1000
    assert PickOrder.objects.get().lines.count() == 1000


def test_unknown_status_word_is_imported_held_and_told(world: World) -> None:
    sale = world.sell()
    raw = raw_sale(world, sale)
    raw["id"], raw["state"], raw["attributes"] = "11111111-2222-1333-8444-555555555555", "teleported", []
    world.store.add_raw_sale(json.dumps(raw))
    world.download()
    order = Order.objects.get(external_id=raw["id"])
    assert order.status == Status.HELD
    assert "teleported" in order.problem


def raw_sale(world: World, sale: object) -> dict[str, object]:
    """The sale as the API gives it."""
    from carts.remote import open_connector

    connector = open_connector(world.cart)
    try:
        return json.loads(connector.read_order(sale["id"]).raw)  # type: ignore[index,attr-defined,no-any-return]
    finally:
        connector.close()


def test_a_record_that_cannot_be_read_does_not_stop_the_page(world: World) -> None:
    before = world.sell()
    world.store.add_raw_sale('{"id": "not-a-sale", "state": "closed", "line_items": "what?"}')
    after = world.sell()
    run = world.download()
    assert run.state == Run.State.DONE
    assert run.counts["imported"] == 2 and run.counts["rejected"] == 1
    assert {order.external_id for order in Order.objects.all()} == {before["id"], after["id"]}
    record = FailedRecord.objects.get()
    assert record.external_id == "not-a-sale" and "what?" in record.payload
    alert = Alert.objects.get(kind="failed_records")
    assert alert.fix and alert.link


def test_a_record_tried_again_is_stored_with_its_delivery_or_not_at_all(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    from syncjobs import intake_orders

    world.store.add_raw_sale('{"id": "not-a-sale", "state": "closed", "line_items": "what?"}')
    world.download()
    FailedRecord.objects.update(external_id=world.sell()["id"])
    record = FailedRecord.objects.get()
    insert = intake_orders.insert_values

    def full_disk(model: type, rows: object) -> None:
        if model is Delivery:
            raise OSError("no space left")
        insert(model, rows)  # type: ignore[arg-type]

    monkeypatch.setattr(intake_orders, "insert_values", full_disk)
    with pytest.raises(NotReprocessed, match="OSError"):
        reprocess(record, "ada")
    assert not Order.objects.exists()
    monkeypatch.undo()
    reprocess(record, "ada")
    assert Delivery.objects.get().order == Order.objects.get()


def test_missing_outlet_address_stops_the_pull_word_for_word_and_heals(world: World) -> None:
    world.store.update_outlet(world.outlet["id"], physical_address_1="", physical_city=None)
    world.let_store_facts_age()
    world.sell()
    world.sell()
    run = world.download()
    assert run.state == Run.State.FAILED
    assert run.error == ADDRESS_ALERT
    alert = Alert.objects.get(status=Alert.Status.OPEN)
    assert alert.message == ADDRESS_ALERT
    assert "Outlets and Registers" in alert.fix
    assert run.cursor_after == "" and not Order.objects.exists()
    world.download()
    assert Alert.objects.get(status=Alert.Status.OPEN).count == 2
    world.store.update_outlet(world.outlet["id"], physical_address_1="12 Quay Street", physical_city="Auckland")
    assert world.download().counts["imported"] == 2
    assert not Alert.objects.filter(status=Alert.Status.OPEN).exists()
    assert issubclass(OutletAddressMissing, Exception)


def test_without_the_option_only_orders_without_address_are_in_error(world: World) -> None:
    world.set_options(default_to_outlet_address=False)
    world.store.update_outlet(world.outlet["id"], physical_address_1="", physical_city="")
    customer = world.store.add_customer(
        first_name="Ada", physical_address_1="1 Lane", physical_city="Paris", physical_country_id="FR"
    )
    homeless = world.store.add_customer(first_name="Noa", physical_city="")
    with_address, without = world.sell(customer=customer["id"]), world.sell(customer=homeless["id"])
    world.download()
    assert world.order(with_address).status == Status.NEW
    order = world.order(without)
    assert order.status == Status.ERROR and "Default to Outlet Address" in order.problem
    assert not order.deliveries.exists()
    world.store.update_customer(
        homeless["id"], physical_address_1="2 Lane", physical_city="Lyon", physical_country_id="FR"
    )
    world.run(Function.CUSTOMER_SYNC, world.cart)
    world.download()
    assert world.order(without).status == Status.NEW


def test_tax_inclusive_store_keeps_the_totals_as_sent(db: None, settings: object) -> None:
    from connectors.vend.sandbox import VendSandbox

    with VendSandbox(outlets=1, products=5, tax_exclusive=False, rate_limit=100_000) as sandbox:
        world = World(sandbox, settings)
        sale = world.sell((world.product(), 3))
        world.download()
        raw = raw_sale(world, sale)
        order = world.order(sale)
        assert order.total == Decimal(str(raw["totals"]["price_incl_tax"]))  # type: ignore[index]
        assert order.tax_total == Decimal(str(raw["totals"]["tax"]))  # type: ignore[index]


def test_what_the_parts_do_not_explain_of_a_total_is_kept(world: World) -> None:
    odd = world.sell((world.product(), 1), total_price=Decimal(100), total_tax=Decimal(15))
    plain = world.sell((world.product(), 1))
    world.download()
    line = world.order(odd).lines.get()
    assert world.order(odd).total == 115
    assert world.order(odd).unexplained == 100 - line.total
    assert world.order(plain).unexplained == 0


def test_the_raw_payload_is_kept_per_version(world: World) -> None:
    sale = world.sell(note="first")
    world.download()
    world.store.update_sale(sale["id"], note="second")
    world.download()
    order = world.order(sale)
    assert OrderPayload.objects.filter(order=order).count() == 2
    assert "second" in order.payloads.first().text  # type: ignore[union-attr]


def test_an_unsent_order_follows_its_sale(world: World) -> None:
    sale = world.sell(note="first")
    world.download()
    world.store.update_sale(sale["id"], note="gift wrap")
    assert world.download().counts == {"updated": 1}
    order = world.order(sale)
    assert order.note == "gift wrap"
    assert "note" in order.events.last().message
    world.deliver()
    assert PickOrder.objects.get().note == "gift wrap"


class TestCancelling:
    def test_before_sending_it_is_never_sent(self, world: World) -> None:
        sale = world.sell()
        world.download()
        world.store.void_sale(sale["id"])
        assert world.download().counts == {"cancelled": 1}
        assert world.deliver() == 0
        assert world.order(sale).status == Status.CANCELLED
        assert not PickOrder.objects.exists()

    def test_after_sending_the_warehouse_is_told(self, world: World) -> None:
        bean = world.product()
        world.stock(bean["sku"], 5)
        sale = world.sell((bean, 2))
        world.download()
        world.deliver()
        world.store.void_sale(sale["id"])
        world.download()
        assert world.order(sale).cancel_requested_at is not None
        world.deliver()
        assert world.order(sale).status == Status.CANCELLED
        assert PickOrder.objects.get().status == PickOrder.Status.CANCELLED
        assert world.available(bean["sku"]) == 5

    def test_with_the_option_off_a_person_is_told(self, world: World) -> None:
        world.set_options(send_cancellations=False)
        sale = world.sell()
        world.download()
        world.deliver()
        world.store.void_sale(sale["id"])
        world.download()
        world.deliver()
        assert world.order(sale).status == Status.CANCELLED
        assert PickOrder.objects.get().status == PickOrder.Status.OPEN
        assert Alert.objects.get().kind == "warehouse_not_told"

    def test_a_shipped_order_raises_an_alert(self, world: World) -> None:
        sale = world.sell()
        world.download()
        world.deliver()
        world.book.ship(PickOrder.objects.get())
        world.run(Function.SHIPMENT_PICKUP)
        world.store.void_sale(sale["id"])
        world.download()
        assert world.order(sale).status == Status.SHIPPED
        assert Alert.objects.get().kind == "cancelled_after_shipping"

    def test_a_refusal_of_the_warehouse_raises_an_alert(self, world: World) -> None:
        sale = world.sell((world.product(), 2))
        world.download()
        world.deliver()
        pick = PickOrder.objects.get()
        world.book.ship(pick, {pick.lines.get().reference: Decimal(1)})
        world.store.void_sale(sale["id"])
        world.download()
        world.deliver()
        assert world.order(sale).status == Status.AT_WAREHOUSE
        alert = Alert.objects.get()
        assert alert.kind == "cancellation_refused" and "shipped" in alert.message

    def test_with_the_function_off_it_is_only_noted(self, world: World) -> None:
        world.cart.function_settings.filter(function=Function.ORDER_CANCEL_DOWNLOAD).update(is_on=False)
        sale = world.sell()
        world.download()
        world.store.void_sale(sale["id"])
        world.download()
        assert world.order(sale).status == Status.NEW
        assert "Order Cancel Download is off" in world.order(sale).events.last().message


def test_returns_are_not_orders(world: World) -> None:
    sale = world.sell((world.product(), 2))
    world.store.return_sale(sale["id"])
    world.download()
    assert [order.external_id for order in Order.objects.all()] == [sale["id"]]


def test_pickup_and_delivery_sales_carry_their_method(world: World) -> None:
    world.set_options(order_status="ALL_EXCEPT_VOIDED_SAVED")
    pickup, delivery = world.sell(status="AWAITING_PICKUP"), world.sell(status="AWAITING_DISPATCH")
    world.download()
    assert world.order(pickup).ship_method.lower() == "pickup"
    assert world.order(delivery).ship_method.lower() == "delivery"


@pytest.mark.parametrize("pages", [1, 3])
def test_pages_are_read_to_the_empty_one(world: World, pages: int) -> None:
    for _ in range(pages * 3):
        world.sell()
    world.download()
    assert Order.objects.count() == pages * 3


def test_preview_stores_nothing(world: World) -> None:
    world.sell()
    run = world.download(dry_run=True)
    assert run.state == Run.State.DONE
    assert [row["what"] for row in run.preview] == ["import"]
    assert not Order.objects.exists()
    assert world.cart.schedules.get(function=Function.ORDER_DOWNLOAD).cursor == ""
    assert world.download().counts["imported"] == 1
