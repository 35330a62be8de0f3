"""The book of a REST warehouse: leases, acknowledgements, refusals, cancellations and changes."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.db import connection as database
from django.utils import timezone

from carts import book_leases
from carts.book_checks import BookError
from carts.models import ApiToken, PickOrder, StockLevel, Warehouse
from carts.rest_book import RestBook
from carts.signals import wms_told
from connectors.functions import Function, Role
from connectors.records import OrderAnswer, OrderAnswerRecord, OutboundOrderChange
from connectors.registry import connector_class
from connectors.rest.connector import RestWarehouse
from tests.factories import make_location, make_outbound, make_rest_warehouse

pytestmark = pytest.mark.django_db

TEN_MINUTES = timedelta(minutes=10)


@pytest.fixture
def warehouse() -> Warehouse:
    return make_rest_warehouse()


@pytest.fixture
def book(warehouse: Warehouse) -> RestBook:
    return RestBook(warehouse.pk)


@pytest.fixture
def told() -> Iterator[list[tuple[str, str]]]:
    """What the WMS was told: (topic, reference)."""
    seen: list[tuple[str, str]] = []

    def listen(sender: type, topic: str, subject: dict[str, Any], **kwargs: object) -> None:
        seen.append((topic, subject["reference"]))

    wms_told.connect(listen)
    yield seen
    wms_told.disconnect(listen)


def receive(book: RestBook, *references: str, **fields: Any) -> list[PickOrder]:
    results = book.receive([make_outbound(reference, **fields) for reference in references])
    assert all(result.ok for result in results), results
    return [the(book, reference) for reference in references]


def the(book: RestBook, reference: str) -> PickOrder:
    return PickOrder.objects.get(warehouse_id=book.warehouse_pk, reference=reference)


def lease(book: RestBook, holder: str = "ann", limit: int = 10, **facts: Any) -> list[str]:
    return [order.reference for order in book_leases.lease(book.warehouse_pk, holder, limit, **facts)]


def answers(book: RestBook) -> list[OrderAnswerRecord]:
    return [record for page in book.answers("") for record in page.records]


def available(book: RestBook, sku: str = "SKU-1") -> Decimal:
    return StockLevel.objects.get(location__warehouse_id=book.warehouse_pk, sku=sku).available


def put(book: RestBook, sku: str = "SKU-1", quantity: int = 10) -> None:
    book.set_on_hand([(book.find_location(), sku, Decimal(quantity))])


# Leases


def test_two_pickers_never_hold_the_same_order(book: RestBook) -> None:
    receive(book, "A", "B", "C")
    assert lease(book, "ann", 2) == ["A", "B"]
    assert lease(book, "bob", 2) == ["C"]
    assert lease(book, "cat", 2) == []


def test_what_a_picker_holds_comes_again(book: RestBook) -> None:
    """As after a lost answer."""
    receive(book, "A", "B", "C")
    assert lease(book, "ann", 2) == ["A", "B"]
    assert lease(book, "ann", 2) == ["A", "B"]
    assert lease(book, "ann", 3) == ["A", "B", "C"]


def test_a_lease_that_ended_is_offered_to_others(book: RestBook) -> None:
    receive(book, "A")
    assert lease(book, "ann") == ["A"]
    PickOrder.objects.update(lease_until=timezone.now())
    assert lease(book, "bob") == ["A"]
    with pytest.raises(BookError, match="held by bob"):
        book_leases.renew(the(book, "A"), "ann", TEN_MINUTES)


def test_a_lease_is_renewed_by_its_holder_only(book: RestBook) -> None:
    [order] = receive(book, "A")
    with pytest.raises(BookError, match="does not hold"):
        book_leases.renew(order, "ann", TEN_MINUTES)
    lease(book, "ann", duration=timedelta(seconds=60))
    before = the(book, "A").lease_until
    book_leases.renew(order, "ann", TEN_MINUTES)
    after = the(book, "A").lease_until
    assert before and after and after > before + timedelta(minutes=8)


@pytest.mark.parametrize("acknowledged", [False, True])
def test_what_is_given_back_is_offered_again(book: RestBook, acknowledged: bool) -> None:
    [order] = receive(book, "A")
    lease(book, "ann")
    if acknowledged:
        book_leases.acknowledge(book.warehouse_pk, {order.pk: "W-1"}, "ann")
    else:
        with pytest.raises(BookError, match="held by ann"):
            book_leases.release(order, "bob")
    book_leases.release(order, "ann")
    assert lease(book, "bob") == ["A"]
    assert the(book, "A").wms_id == ""


def test_orders_of_one_location_are_fetched(book: RestBook, warehouse: Warehouse) -> None:
    other = make_location(warehouse)
    receive(book, "A")
    receive(book, "B", location_id=other.external_id)
    assert lease(book, location_pk=other.pk) == ["B"]


def test_nothing_to_ship_is_nothing_to_fetch(book: RestBook) -> None:
    shipped, refused, cancelled, taken, _ = receive(book, "shipped", "refused", "cancelled", "taken", "open")
    book.ship(shipped)
    book_leases.refuse(refused, "", "Out of stock")
    book.cancel(cancelled.reference, "")
    book_leases.acknowledge(book.warehouse_pk, {taken.pk: ""}, "")
    assert lease(book) == ["open"]


def test_a_part_that_is_left_is_fetched_again(book: RestBook) -> None:
    [order] = receive(book, "A")
    book.ship(order, {"line-1": Decimal(1)})
    assert lease(book) == ["A"]


@pytest.mark.django_db(transaction=True)
def test_pickers_that_ask_at_once_share_the_orders(book: RestBook) -> None:
    receive(book, *(f"order-{number}" for number in range(12)))
    together = threading.Barrier(4)
    got: dict[str, list[str]] = {}

    def work(holder: str) -> None:
        try:
            together.wait(10)
            got[holder] = lease(book, holder, 4)
        finally:
            database.close()

    threads = [threading.Thread(target=work, args=(f"picker-{number}",)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    everything = [reference for references in got.values() for reference in references]
    assert (len(got), len(everything), len(set(everything))) == (4, 12, 12)


# Acknowledgement and shipping


def test_an_acknowledged_order_is_the_wms_s_own(book: RestBook) -> None:
    a, b = receive(book, "A", "B")
    lease(book, "ann")
    book_leases.acknowledge(book.warehouse_pk, {a.pk: "W-1", b.pk: ""}, "ann")
    first = the(book, "A").acknowledged_at
    book_leases.acknowledge(book.warehouse_pk, {a.pk: ""}, "ann")
    assert (the(book, "A").acknowledged_at, the(book, "A").wms_id) == (first, "W-1")
    assert lease(book, "bob") == []


def test_acknowledging_is_for_all_or_none(book: RestBook) -> None:
    a, b = receive(book, "A", "B")
    book.cancel("B", "")
    with pytest.raises(BookError, match="B is cancelled"):
        book_leases.acknowledge(book.warehouse_pk, {a.pk: "", b.pk: ""}, "")
    with pytest.raises(BookError, match="no order with the id 0"):
        book_leases.acknowledge(book.warehouse_pk, {a.pk: "", 0: ""}, "")
    assert the(book, "A").acknowledged_at is None
    lease(book, "bob")
    with pytest.raises(BookError, match="held by bob"):
        book_leases.acknowledge(book.warehouse_pk, {a.pk: ""}, "ann")


# Refusals


@pytest.mark.parametrize(("hold", "answer"), [(False, OrderAnswer.REFUSED), (True, OrderAnswer.HELD)])
def test_a_refusal_gives_the_goods_back_and_tells_why(book: RestBook, hold: bool, answer: OrderAnswer) -> None:
    put(book)
    [order] = receive(book, "A")
    assert available(book) == 8
    book_leases.refuse(order, "", "Hazardous goods", hold=hold)
    assert available(book) == 10
    [told] = answers(book)
    assert (told.order_reference, told.answer, told.reason) == ("A", answer, "Hazardous goods")
    assert book.find("A") is None
    with pytest.raises(BookError, match="refused"):
        book.ship(order)


def test_a_refused_order_comes_again_as_it_is_then(book: RestBook) -> None:
    put(book)
    [order] = receive(book, "A")
    book_leases.refuse(order, "", "No such SKU")
    receive(book, "A", lines=(("SKU-1", "3"),))
    assert answers(book) == []
    assert available(book) == 7
    assert book.find("A") == str(the(book, "A").pk)
    assert lease(book) == ["A"]


def test_what_was_shipped_in_part_is_not_refused(book: RestBook) -> None:
    [order] = receive(book, "A")
    book.ship(order, {"line-1": Decimal(1)})
    with pytest.raises(BookError, match="A part"):
        book_leases.refuse(order, "", "Lost")


# Cancellations


def test_what_nobody_fetched_is_cancelled_at_once(book: RestBook, told: list[tuple[str, str]]) -> None:
    put(book)
    receive(book, "A")
    result = book.cancel("A", "Voided")
    assert (result.ok, result.answer_later) == (True, False)
    assert (the(book, "A").status, available(book)) == (PickOrder.Status.CANCELLED, 10)
    assert told == [("order.ready", "A"), ("order.cancelled", "A")]


@pytest.mark.parametrize("how", ["leased", "acknowledged"])
def test_what_the_wms_has_it_is_asked_to_cancel(book: RestBook, told: list[tuple[str, str]], how: str) -> None:
    put(book)
    [order] = receive(book, "A")
    lease(book, "ann")
    if how == "acknowledged":
        book_leases.acknowledge(book.warehouse_pk, {order.pk: ""}, "ann")
    for _ in range(2):
        result = book.cancel("A", "Voided")
        assert (result.ok, result.answer_later) == (True, True)
    assert told == [("order.ready", "A"), ("order.cancellation_requested", "A")]
    current = the(book, "A")
    assert (current.status, current.cancel_reason, available(book)) == (PickOrder.Status.OPEN, "Voided", 8)
    assert lease(book, "bob") == []
    for _ in range(2):
        book_leases.answer_cancellation(order, True, "")
    assert [told.answer for told in answers(book)] == [OrderAnswer.CANCELLED]
    assert (the(book, "A").status, available(book)) == (PickOrder.Status.CANCELLED, 10)
    assert not book.cancel("A", "Voided").answer_later


def test_the_wms_may_refuse_to_cancel_and_be_asked_again(book: RestBook) -> None:
    [order] = receive(book, "A")
    book_leases.acknowledge(book.warehouse_pk, {order.pk: ""}, "")
    book.cancel("A", "Voided")
    book_leases.answer_cancellation(order, False, "It is packed")
    [told] = answers(book)
    assert (told.answer, told.reason) == (OrderAnswer.CANCELLATION_REFUSED, "It is packed")
    assert book.cancel("A", "Really").answer_later
    assert answers(book) == []
    book_leases.answer_cancellation(order, True, "")
    assert the(book, "A").status == PickOrder.Status.CANCELLED


def test_nobody_answers_what_nobody_asked(book: RestBook) -> None:
    [order] = receive(book, "A")
    with pytest.raises(BookError, match="Nobody asked"):
        book_leases.answer_cancellation(order, True, "")


def test_shipping_in_spite_refuses_the_cancellation(book: RestBook) -> None:
    [order] = receive(book, "A")
    lease(book, "ann")
    book.cancel("A", "Voided")
    book.ship(order)
    assert [told.answer for told in answers(book)] == [OrderAnswer.CANCELLATION_REFUSED]
    assert the(book, "A").cancel_requested_at is None


@pytest.mark.parametrize("how", ["released", "ended"])
def test_what_comes_back_is_cancelled_without_asking(book: RestBook, how: str) -> None:
    put(book)
    [order] = receive(book, "A")
    lease(book, "ann")
    book.cancel("A", "Voided")
    assert book_leases.cancel_all_given_back(timezone.now()) == 0
    if how == "released":
        book_leases.release(order, "ann")
    else:
        assert book_leases.cancel_all_given_back(timezone.now() + timedelta(hours=1)) == 1
    assert (the(book, "A").status, available(book)) == (PickOrder.Status.CANCELLED, 10)
    assert [told.answer for told in answers(book)] == [OrderAnswer.CANCELLED]


# Changes


def change_of(reference: str, lines: tuple[tuple[str, str], ...], **fields: Any) -> OutboundOrderChange:
    order = make_outbound(reference, lines, **fields)
    return OutboundOrderChange(reference=f"{reference}/1", remote_id="", order=order)


def test_what_nobody_fetched_is_rewritten(book: RestBook, told: list[tuple[str, str]]) -> None:
    put(book, "SKU-1")
    put(book, "SKU-2")
    [before] = receive(book, "A")
    result = book.change(change_of("A", (("SKU-2", "5"),), note="Ring", ship_method="Express"))
    after = the(book, "A")
    assert (result.ok, result.remote_id, after.pk) == (True, str(before.pk), before.pk)
    assert [(line.sku, line.quantity) for line in after.lines.all()] == [("SKU-2", 5)]
    assert (after.note, after.ship_method, after.received_at) == ("Ring", "Express", before.received_at)
    assert (available(book, "SKU-1"), available(book, "SKU-2")) == (10, 5)
    assert told[-1] == ("order.changed", "A")


@pytest.mark.parametrize("state", ["leased", "acknowledged", "shipped", "cancelled"])
def test_what_the_wms_works_on_is_not_rewritten(book: RestBook, state: str) -> None:
    [order] = receive(book, "A")
    if state == "leased":
        lease(book)
    elif state == "acknowledged":
        book_leases.acknowledge(book.warehouse_pk, {order.pk: ""}, "")
    elif state == "shipped":
        book.ship(order)
    else:
        book.cancel("A", "")
    result = book.change(change_of("A", (("SKU-2", "5"),)))
    assert (result.ok, bool(result.reason), bool(result.fix)) == (False, True, True)
    assert [line.sku for line in the(book, "A").lines.all()] == ["SKU-1"]


def test_what_is_not_there_is_not_changed(book: RestBook) -> None:
    [order] = receive(book, "A")
    assert not book.change(change_of("B", (("SKU-2", "5"),))).ok
    book_leases.refuse(order, "", "Lost")
    assert "refused" in book.change(change_of("A", (("SKU-2", "5"),))).reason


# The connector


def test_what_it_can_do() -> None:
    able = set(RestWarehouse.functions(Role.WAREHOUSE))
    builtin = set(connector_class("builtin").functions(Role.WAREHOUSE))
    assert able - builtin >= {Function.ORDER_CANCEL_PICKUP}
    assert builtin <= able


def test_test_looks_for_a_token_and_tells_when_the_wms_came_last(warehouse: Warehouse, book: RestBook) -> None:
    def steps() -> dict[str, tuple[bool, str]]:
        from carts.remote import open_connector

        return {step.name: (step.ok, step.message) for step in open_connector(warehouse).test()}

    assert steps()["API token"][0] is False
    ApiToken.issue(warehouse.merchant, name="WMS")
    ApiToken.issue(warehouse.merchant, name="Report", read_only=True)
    assert steps()["API token"] == (True, "1 tokens may be used by the WMS.")
    receive(book, "A")
    assert "has not fetched any order yet. Orders wait" in steps()["WMS"][1]
    lease(book)
    assert steps()["WMS"][1].startswith("The WMS fetched orders last at")
    assert "wait" not in steps()["WMS"][1]
