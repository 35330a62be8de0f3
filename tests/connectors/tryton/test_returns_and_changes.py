"""Returns under each setting, and orders that change after they were sent."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest
from msgspec import structs

from connectors.errors import OutcomeUnknown
from connectors.records import OutboundOrderChange
from connectors.tryton.local_people import Box
from tests.connectors.destinations.test_returns import return_of
from tests.connectors.destinations.tryton import TrytonDestination
from tests.connectors.tryton.conftest import Desk
from tests.connectors.tryton.test_stock import level
from tests.factories import ADDRESS, make_outbound
from tests.local_tryton import TrytonWorld


@pytest.fixture
def there(tryton: TrytonWorld) -> TrytonDestination:
    return TrytonDestination(tryton)


class TestReturns:
    @pytest.mark.parametrize(("status", "state", "on_hand"), [("returning", "draft", 17), ("received", "done", 19)])
    def test_status(
        self, tryton: TrytonWorld, desk: Desk, there: TrytonDestination, status: str, state: str, on_hand: int
    ) -> None:
        sku = desk.article(stock=20)
        sale = desk.sent((sku, "3"))
        tryton.people.ship(sale.shipments[0]["id"], [Box({}, "T")])
        refund = return_of(there, sku, 2, (sale.reference or "")[3:])
        assert tryton.connect(return_status=status).send_refund(refund).ok
        back = desk.sale(refund.reference, mark="IM/R/")
        assert (back.origin, back.party, [one["state"] for one in back.returns]) == (
            f"sale.sale,{sale.id}",
            sale.party,
            [state],
        )
        assert level(tryton, sku, desk.place()).on_hand == on_hand

    def test_goods_that_may_not_be_sold_again_are_left_to_a_person(
        self, tryton: TrytonWorld, desk: Desk, there: TrytonDestination
    ) -> None:
        refund = replace(return_of(there, desk.article(), 1), restock=False)
        assert tryton.connect(return_status="received").send_refund(refund).ok
        assert [one["state"] for one in desk.sale(refund.reference, mark="IM/R/").returns] == ["draft"]

    def test_its_money(self, tryton: TrytonWorld, desk: Desk, there: TrytonDestination) -> None:
        for options, total in (
            ({}, "-23.00"),
            ({"tax_treatment": "inclusive"}, "-23.00"),
            ({"tax_treatment": "exclusive"}, "-23.00"),
        ):
            refund = return_of(there, desk.article(), 2)
            taxed = replace(refund, tax=Decimal(3), lines=(replace(refund.lines[0], tax=Decimal(3)),))
            assert tryton.connect(**options).send_refund(taxed).ok
            assert desk.sale(refund.reference, mark="IM/R/").total_amount == Decimal(total), options

    def test_one_that_got_stuck_is_brought_on(self, tryton: TrytonWorld, desk: Desk, there: TrytonDestination) -> None:
        refund = return_of(there, desk.article(), 1)
        tryton.door.fail(match="POST model.sale.sale.confirm", fault="never_received")
        with pytest.raises(OutcomeUnknown):
            tryton.connect().send_refund(refund)
        assert tryton.connect().find_refund(refund.reference)
        assert len(desk.sale(refund.reference, mark="IM/R/").returns) == 1


class TestChanges:
    def change(self, desk: Desk, sku: str, *, connector: object = None) -> tuple[OutboundOrderChange, str]:
        """An order of three that was sent, and becomes five to another address."""
        order = make_outbound(lines=((sku, "3"),), customer_email="ada@example.com")
        [result] = (connector or desk.connector).send_orders([order])  # type: ignore[attr-defined]
        changed = replace(
            make_outbound(order.reference, lines=((sku, "5"),), customer_email="ada@example.com"),
            ship_to=structs.replace(ADDRESS, street1="99 New Road"),
        )
        wish = OutboundOrderChange(reference=f"{order.reference}/2", remote_id=result.remote_id, order=changed)
        return wish, order.reference

    @pytest.mark.parametrize("status", ["draft", "quotation", "confirmed"])
    def test_the_changed_order_is_the_only_one_that_counts(self, tryton: TrytonWorld, desk: Desk, status: str) -> None:
        sku = desk.article(stock=20)
        connector = tryton.connect(order_status=status)
        wish, reference = self.change(desk, sku, connector=connector)
        result = connector.change_order(wish)
        assert (result.reference, result.ok) == (wish.reference, True)
        again = tryton.connect(order_status=status).change_order(wish)
        assert (again.ok, again.remote_id) == (True, result.remote_id)
        old, new = desk.sales(reference)
        assert (old.state, new.lines[0]["quantity"]) == ("cancelled" if status != "confirmed" else old.state, 5.0)
        assert {one["state"] for one in old.shipments} <= {"cancelled"}
        assert old.shipment_address != new.shipment_address
        assert connector.find_sent(reference) == result.remote_id == str(new.id)
        assert level(tryton, sku, desk.place()).available == 15

    def test_a_lost_answer_makes_no_second_one(self, tryton: TrytonWorld, desk: Desk) -> None:
        wish, reference = self.change(desk, desk.article(stock=20))
        tryton.door.fail(match="POST model.sale.sale.create", fault="answer_lost")
        with pytest.raises(OutcomeUnknown):
            tryton.connect().change_order(wish)
        assert tryton.connect().change_order(wish).ok
        assert len(desk.sales(reference)) == 2

    def test_what_is_packed_stays_as_it_is(self, tryton: TrytonWorld, desk: Desk) -> None:
        connector = tryton.connect(pack_orders=True)
        wish, reference = self.change(desk, desk.article(stock=20), connector=connector)
        result = connector.change_order(wish)
        assert (result.ok, "is packed" in result.reason) == (False, True)
        assert len(desk.sales(reference)) == 1

    def test_one_that_tryton_cannot_take_leaves_the_old_one(self, tryton: TrytonWorld, desk: Desk) -> None:
        wish, reference = self.change(desk, desk.article(stock=20))
        bad = replace(wish, order=replace(wish.order, lines=make_outbound(lines=(("NOSUCHSKU", "1"),)).lines))
        result = tryton.connect().change_order(bad)
        assert "NOSUCHSKU" in result.reason
        assert desk.sale(reference).state == "processing"

    def test_an_order_that_is_not_there(self, tryton: TrytonWorld, desk: Desk) -> None:
        order = make_outbound(lines=((desk.article(), "1"),))
        result = tryton.connect().change_order(OutboundOrderChange(reference="x/2", remote_id="", order=order))
        assert "no open sale" in result.reason
