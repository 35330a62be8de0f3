"""Shipments of the hub's own orders: parcels, parts, and what people do in other ways than expected."""

from __future__ import annotations

from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import pytest

from connectors.errors import OutcomeUnknown
from connectors.records import OutboundCancellation, ShipmentRecord
from connectors.tryton.local_people import SHIPMENT, Box
from connectors.tryton.local_server import ADMIN, ADMIN_PASSWORD
from tests.connectors.destinations.destination import last_cursor, records
from tests.connectors.tryton.conftest import Desk, Sale
from tests.local_tryton import TrytonWorld


def told(tryton: TrytonWorld, sale: Sale, cursor: str = "") -> list[ShipmentRecord]:
    ours = (sale.reference or "").removeprefix("IM/")
    return [one for one in records(tryton.connect().read_shipments(cursor)) if one.order_reference == ours]


def contents(shipment: ShipmentRecord) -> dict[str, Decimal]:
    return {line.sku: line.quantity for line in shipment.lines}


def test_without_packages_the_shipment_s_own_number_counts(tryton: TrytonWorld, desk: Desk) -> None:
    sku = desk.article()
    sale = desk.sent((sku, "2"))
    [shipment] = [one["id"] for one in sale.shipments]
    tryton.admin.write(SHIPMENT, [shipment], {"shipping_reference": "WHOLE-1"})
    tryton.people.ship(shipment, [])
    [record] = told(tryton, sale)
    assert (record.external_id, record.tracking_number) == (str(shipment), "WHOLE-1")
    assert contents(record) == {sku: 2}


def test_a_shipment_is_told_when_it_leaves_and_is_the_same_when_it_is_done(tryton: TrytonWorld, desk: Desk) -> None:
    sale = desk.sent()
    [shipment] = [one["id"] for one in sale.shipments]
    tryton.people.pick(shipment)
    tryton.admin.press(SHIPMENT, "pack", [shipment], yes_to=(".no_carrier",))
    assert told(tryton, sale) == []
    tryton.admin.press(SHIPMENT, "ship", [shipment])
    [left] = told(tryton, sale)
    tryton.admin.press(SHIPMENT, "do", [shipment])
    [done] = told(tryton, sale)
    assert (left.external_id, left.lines) == (done.external_id, done.lines)


def test_a_package_inside_another_is_one_parcel(tryton: TrytonWorld, desk: Desk) -> None:
    one, other = desk.article(), desk.article()
    sale = desk.sent((one, "1"), (other, "1"))
    [shipment] = [found["id"] for found in sale.shipments]
    people, admin = tryton.people, tryton.admin
    people.pick(shipment)
    moves = people.row(shipment).outgoing_moves
    base = {"type": people.package_type, "shipment": f"{SHIPMENT},{shipment}"}
    [pallet] = admin.create("stock.package", [{**base, "shipping_reference": "PALLET"}])
    admin.create("stock.package", [{**base, "parent": pallet, "moves": [["add", [move]]]} for move in moves])
    for button in ("pack", "ship"):
        admin.press(SHIPMENT, button, [shipment], yes_to=(".no_carrier",))
    [record] = told(tryton, sale)
    assert (record.tracking_number, contents(record)) == ("PALLET", {one: 1, other: 1})


def test_a_shipment_dated_earlier_by_hand_keeps_its_date(tryton: TrytonWorld, desk: Desk) -> None:
    sale = desk.sent()
    [shipment] = [one["id"] for one in sale.shipments]
    day = tryton.connect().client.now().date() - timedelta(days=3)
    tryton.admin.write(SHIPMENT, [shipment], {"effective_date": day})
    tryton.people.ship(shipment, [Box({}, "T")])
    assert told(tryton, sale)[0].shipped_at.date() == day


def test_others_sales_and_returns_are_not_told(tryton: TrytonWorld, desk: Desk) -> None:
    sale = desk.sent()
    tryton.admin.write("sale.sale", [sale.id], {"reference": f"by hand {sale.id}"})
    tryton.people.ship(sale.shipments[0]["id"], [Box({}, "T")])
    ids = {one.external_id for one in records(tryton.connect().read_shipments(""))}
    assert not {one for one in ids if one.partition("-")[0] == str(sale.shipments[0]["id"])}


def test_pages_lead_on_in_the_middle_of_a_reading(
    tryton: TrytonWorld, desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    sku = desk.article()
    for _ in range(2):
        tryton.people.ship(desk.sent((sku, "1")).shipments[0]["id"], [Box({}, "T")])
    whole = [one.external_id for one in records(tryton.connect().read_shipments(""))]
    monkeypatch.setattr("connectors.tryton.shipments.SHIPMENTS_PER_PAGE", len({one.split("-")[0] for one in whole}) - 1)
    first = next(tryton.connect().read_shipments(""))
    rest = records(tryton.connect().read_shipments(first.cursor))
    assert [one.external_id for one in (*first.records, *rest)] == whole
    assert rest


def test_a_quiet_cycle_is_one_call(tryton: TrytonWorld, desk: Desk) -> None:
    tryton.people.ship(desk.sent().shipments[0]["id"], [Box({}, "T")])
    connector = tryton.connect()
    cursor = last_cursor(connector.read_shipments(""))
    quiet = cursor.replace(str(date.today().year), str(date.today().year + 1))  # noqa: DTZ011
    tryton.door.reset_calls()
    assert records(connector.read_shipments(quiet)) == []
    assert tryton.door.count("POST model.stock.shipment.out.search_read") == 1
    assert sum(tryton.door.counts.values()) <= 2


class TestCancelling:
    def cancel(self, tryton: TrytonWorld, sale: Sale, **user: str) -> Any:
        wish = OutboundCancellation(reference=(sale.reference or "")[3:], remote_id=str(sale.id), reason="Voided")
        return tryton.connect(**user).cancel_order(wish)

    @pytest.mark.parametrize("status", ["draft", "quotation"])
    def test_before_it_is_confirmed_the_sale_is_cancelled(self, tryton: TrytonWorld, desk: Desk, status: str) -> None:
        sale = desk.sent(connector=tryton.connect(order_status=status))
        assert self.cancel(tryton, sale).ok
        assert desk.sale(sale.reference or "", mark="").state == "cancelled"

    def test_afterwards_its_shipments_and_invoices_are(self, tryton: TrytonWorld, desk: Desk) -> None:
        accountant = {"user_name": ADMIN, "password": ADMIN_PASSWORD}
        sale = desk.sent(connector=tryton.connect(create_invoice=True))
        for _ in range(2):
            assert self.cancel(tryton, sale, **accountant).reason == ""
        now = desk.sale(sale.reference or "", mark="")
        assert {one["state"] for one in (*now.shipments, *now.invoices)} == {"cancelled"}
        assert (now.shipment_state, len(now.shipments), len(now.invoices)) == ("none", 1, 1)

    def test_invoices_that_the_hub_may_not_touch_are_named(self, tryton: TrytonWorld, desk: Desk) -> None:
        sale = desk.sent(connector=tryton.connect(create_invoice=True))
        result = self.cancel(tryton, sale)
        assert (result.ok, "invoice stays" in result.reason) == (True, True)
        assert {one["state"] for one in desk.sale(sale.reference or "", mark="").shipments} == {"cancelled"}

    def test_what_is_packed_is_not(self, tryton: TrytonWorld, desk: Desk) -> None:
        sale = desk.sent(connector=tryton.connect(pack_orders=True))
        result = self.cancel(tryton, sale)
        assert (result.ok, "is packed" in result.reason) == (False, True)

    def test_a_lost_answer_half_way_is_taken_up_again(self, tryton: TrytonWorld, desk: Desk) -> None:
        sale = desk.sent()
        tryton.door.fail(match="POST model.stock.shipment.out.cancel", fault="answer_lost")
        with pytest.raises(OutcomeUnknown):
            self.cancel(tryton, sale)
        assert desk.sale(sale.reference or "", mark="").shipment_state == "exception"
        assert self.cancel(tryton, sale).ok
        assert desk.sale(sale.reference or "", mark="").shipment_state == "none"
