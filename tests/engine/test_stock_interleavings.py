"""Any interleaving of webhooks, searches, edits and two workers: in the end the warehouse has what the shops have."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import pytest
from django.db import connections, transaction
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from carts import stock_flow
from carts.models import Cart, Consignment, Location, StockAdjustment, StockDocument
from carts.remote import open_connector
from carts.stock_stores import Store
from connectors.vend.connector import VendConnector
from syncjobs.intake_consignments import ConsignmentIntake
from syncjobs.models import Run
from tests.engine.conftest import World
from tests.engine.stockroom import ADJUSTMENTS, Stockroom

Source = StockDocument.Source

# What can happen, each with two numbers that choose among what there is.
DEEDS = (
    "order",
    "order",
    "give_back",
    "count",
    "send",
    "receive",
    "correct",
    "cancel",
    "webhook",
    "webhook",
    "twice",
    "search",
    "begin_look",
    "end_look",
    "deliver",
    "sync_stock",
)
STEPS = st.lists(st.tuples(st.sampled_from(DEEDS), st.integers(0, 7), st.integers(1, 9)), min_size=4, max_size=18)


class Shops:
    """Two shops and the people, webhooks and workers around them."""

    def __init__(self, room: Stockroom) -> None:
        self.room = room
        self.store = room.store
        other, back = room.add_outlet()
        self.carts: list[Cart] = [room.cart, other]
        self.places: list[tuple[Location, Any]] = [(room.world.location, room.here), (back, room.there)]
        self.documents: list[Any] = []
        # Webhooks that are on their way, in no order: (document, product). Some never arrive.
        self.webhooks: list[tuple[Any, Any]] = []
        self.looks: list[tuple[ConsignmentIntake, Any]] = []

    def do(self, deed: str, which: int, number: int) -> None:
        getattr(self, deed)(which, number)

    def product(self, which: int) -> Any:
        return self.room.products[which % len(self.room.products)]

    def outlet(self, which: int) -> Any:
        return self.places[which % 2][1]

    def happened(self, document: Any) -> None:
        if document not in self.documents:
            self.documents.append(document)
        self.webhooks += [(document, line["product_id"]) for line in self.store.lines_of(document)]

    # The shops

    def order(self, which: int, number: int) -> None:
        lines = [(self.product(which), number * 10), (self.product(which + 1), number)]
        self.happened(self.store.order_stock(self.outlet(which), lines))

    def give_back(self, which: int, number: int) -> None:
        self.happened(self.store.return_stock(self.outlet(which), [(self.product(which), number)]))

    def count(self, which: int, number: int) -> None:
        counted = [(self.product(which), 30 + number), (self.product(which + 1), 40)]
        self.happened(self.store.count_stock(self.outlet(which), counted))

    def send(self, which: int, number: int) -> None:
        start, end = self.outlet(which), self.outlet(which + 1)
        lines = [(self.product(which), number), (self.product(which + 2), 1)]
        self.happened(self.store.transfer_stock(start, end, lines, receive=False))

    def receive(self, which: int, number: int) -> None:
        """The oldest transfer that is under way, perhaps not all of it."""
        for document in self.of_kind("OUTLET", "SENT"):
            for place, line in enumerate(self.store.lines_of(document)):
                self.store.write_line(
                    document, line["product_id"], received=max(line["count"] - place * (which % 2), 0)
                )
            self.store.move_consignment(document, "RECEIVED")
            self.happened(document)
            return

    def correct(self, which: int, number: int) -> None:
        done = [document for document in self.documents if document["status"] not in ("CANCELLED", "OPEN")]
        if not done:
            return
        document = done[which % len(done)]
        field = "count" if document["status"] == "SENT" else "received"
        line = self.store.lines_of(document)[0]
        self.store.correct_line(document, line["product_id"], **{field: number})
        self.webhooks.append((document, line["product_id"]))

    def cancel(self, which: int, number: int) -> None:
        for document in self.of_kind("OUTLET", "SENT")[which % 3 :]:
            self.store.move_consignment(document, "CANCELLED")
            return

    def of_kind(self, kind: str, status: str) -> list[Any]:
        return [found for found in self.documents if (found["type"], found["status"]) == (kind, status)]

    # What the hub hears and does

    def webhook(self, which: int, number: int) -> None:
        """One of those under way, whichever; the others come later or never."""
        if self.webhooks:
            document, product = self.webhooks.pop(which % len(self.webhooks))
            self.hear(document, product, self.carts[number % 2])

    def twice(self, which: int, number: int) -> None:
        if self.webhooks:
            document, product = self.webhooks[which % len(self.webhooks)]
            for cart in self.carts:
                self.hear(document, product, cart)

    def hear(self, document: Any, product: Any, cart: Cart) -> None:
        self.room.hear(document, {"id": product}, cart=cart)
        self.room.work_on_webhooks(cart)

    def search(self, which: int, number: int) -> None:
        run = self.room.search(self.carts[which % 2], full=number > 7)
        assert run.state == Run.State.DONE, run.error

    def begin_look(self, which: int, number: int) -> None:
        """Another worker reads the shop now and stores what it read later."""
        cart = self.carts[which % 2]
        connector = open_connector(cart)
        assert isinstance(connector, VendConnector)
        source = Source.WEBHOOK if number % 2 else Source.SEARCH
        intake = ConsignmentIntake(Store.of_cart(cart), source, connector.read_consignment, lambda: None)
        records = [record for page in connector.read_consignments("") for record in page.records]
        self.looks.append((intake, intake.prepare(records)))
        connector.close()

    def end_look(self, which: int, number: int) -> None:
        if self.looks:
            intake, found = self.looks.pop(which % len(self.looks))
            with transaction.atomic():
                intake.store(found)

    def deliver(self, which: int, number: int) -> None:
        self.room.deliver()

    def sync_stock(self, which: int, number: int) -> None:
        """Whenever it runs, the shops keep what they show: every difference is explained by what is on its way."""
        if self.of_kind("OUTLET", "CANCELLED"):
            return  # what is to happen with these a person decides
        run = self.room.world.sync_stock(connection=self.carts[which % 2])
        assert run.state == Run.State.DONE, run.error
        assert self.room.world.sandbox.count("POST /stock_adjustments") == 0

    # The end

    def settle(self) -> None:
        """Everything that polling brings, and a person who takes back what was cancelled too late."""
        while self.looks:
            self.end_look(0, 0)
        self.room.deliver()
        for cart in self.carts:
            self.room.search(cart)
        for found in Consignment.objects.filter(state="cancelled", taken_back_at=None):
            if stock_flow.is_carried(found):
                stock_flow.take_back(found.pk, "ann")
        self.room.deliver()
        self.room.in_step(*self.places)
        # What is settled plays no part in what comes next.
        self.documents.clear()
        self.webhooks.clear()


@pytest.fixture
def shops(world: World) -> Shops:
    return Shops(Stockroom(world))


@settings(
    max_examples=12,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow, HealthCheck.data_too_large],
)
@given(steps=STEPS)
def test_the_warehouse_ends_with_what_the_shops_have(shops: Shops, steps: list[tuple[str, int, int]]) -> None:
    for deed, which, number in steps:
        shops.do(deed, which, number)
    shops.settle()


def test_the_same_with_all_that_can_happen_at_least_once(shops: Shops) -> None:
    for number in range(2):
        for which, deed in enumerate(DEEDS):
            shops.do(deed, which + number, which % 9 + 1)
    shops.settle()


@pytest.mark.django_db(transaction=True)
def test_two_workers_on_two_roads_at_the_same_moment(world: World) -> None:
    """Real threads with connections of their own: one hears webhooks, the other searches, through two carts."""
    shops = Shops(Stockroom(world))
    room, other = shops.room, shops.carts[1]
    for number in range(4):
        document = room.store.order_stock(room.here, [(product, number + 1) for product in room.products])
        room.hear(document)
        shops.send(number, 2)
        shops.receive(0, 0)
    room.world.process_inbox()
    start = threading.Barrier(2)
    failures: list[BaseException] = []

    def at_once(work: Callable[[], Any]) -> None:
        try:
            start.wait(10)
            run = work()
            assert run.state == Run.State.DONE, run.error
        except BaseException as error:
            failures.append(error)
        finally:
            connections.close_all()

    threads = [
        threading.Thread(target=at_once, args=(lambda: room.world.run(ADJUSTMENTS, room.cart),)),
        threading.Thread(target=at_once, args=(lambda: room.world.run(ADJUSTMENTS, other),)),
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert not failures
    shops.settle()
    carried: dict[tuple[int, str], Any] = {}
    for adjustment in StockAdjustment.objects.prefetch_related("lines"):
        for line in adjustment.lines.all():
            key = adjustment.consignment_id, line.sku
            carried[key] = carried.get(key, 0) + line.quantity
    assert len(carried) == 16 and all(quantity > 0 for quantity in carried.values())
