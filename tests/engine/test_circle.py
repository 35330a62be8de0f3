"""The main road: a sale becomes an order, reaches the warehouse, is shipped; stock goes back to the outlet."""

from decimal import Decimal

from carts.models import Order, PickOrder
from connectors.functions import Function
from syncjobs.models import Delivery, Run
from tests.engine.conftest import World


def test_a_sale_goes_all_the_way_round(world: World) -> None:
    bean = world.product()
    world.stock(bean["sku"], 50)
    world.store.set_level(bean["id"], world.outlet["id"], 50)
    sale = world.sell((bean, 2))
    assert world.level(bean) == 48

    run = world.download()
    assert (run.state, run.counts) == (Run.State.DONE, {"imported": 1})
    order = world.order(sale)
    assert order.status == Order.Status.NEW
    assert order.total == sum(payment["amount"] for payment in sale["payments"])

    assert world.deliver() == 1
    order.refresh_from_db()
    assert order.status == Order.Status.AT_WAREHOUSE
    pick = PickOrder.objects.get(reference=order.reference)
    assert [(line.sku, line.quantity) for line in pick.lines.all()] == [(bean["sku"], Decimal(2))]
    assert world.available(bean["sku"]) == 48

    world.book.ship(pick, carrier="DHL", tracking_number="JD014")
    run = world.run(Function.SHIPMENT_PICKUP)
    order.refresh_from_db()
    assert order.status == Order.Status.SHIPPED
    shipment = order.shipments.get()
    assert (shipment.carrier, shipment.tracking_number) == ("DHL", "JD014")
    assert [event.kind for event in order.events.all()] == ["imported", "sent", "shipped"]

    run = world.sync_stock()
    assert run.state == Run.State.DONE, run.error
    assert world.level(bean) == 48
    assert world.sandbox.count("POST /stock_adjustments") == 0


def test_more_stock_at_the_warehouse_reaches_the_outlet(world: World) -> None:
    bean = world.product()
    world.stock(bean["sku"], "75.5")
    world.store.set_level(bean["id"], world.outlet["id"], 48)
    run = world.sync_stock()
    assert run.counts["written"] == 1
    assert world.level(bean) == Decimal("75.5")
    assert world.sandbox.count("POST /stock_adjustments") == 1


def test_the_same_page_twice_changes_nothing(world: World) -> None:
    world.sell()
    world.sell()
    world.download()
    run = world.download(full=True)
    assert run.counts == {"unchanged": 2}
    assert Order.objects.count() == Delivery.objects.count() == 2


def test_an_order_is_sent_once_however_often_it_is_asked_for(world: World) -> None:
    sale = world.sell()
    world.download()
    for _ in range(3):
        world.deliver()
    assert PickOrder.objects.filter(reference=world.order(sale).reference).count() == 1
    assert Delivery.objects.get().attempts == 1
