"""An order as a Tryton sale, under every setting."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest
from msgspec import structs

from connectors.errors import OutcomeUnknown
from connectors.records import Address, OutboundLine, OutboundOrder
from tests.connectors.tryton.conftest import Desk
from tests.factories import ADDRESS, make_outbound
from tests.local_tryton import TrytonWorld


def priced(sku: str, quantity: str = "2", price: str = "10", tax: str = "3") -> OutboundLine:
    total = Decimal(price) * Decimal(quantity)
    return OutboundLine(
        reference="line-1",
        sku=sku,
        name=f"Thing {sku}",
        quantity=Decimal(quantity),
        unit_price=Decimal(price),
        total=total,
        tax=Decimal(tax),
        note="gift wrap",
    )


def shop_order(sku: str, **fields: Any) -> OutboundOrder:
    """Two things at 10.00, shipping 5.00, a discount of 2.00, and 15 % tax on all of it."""
    values = {
        "lines": (priced(sku),),
        "shipping_total": Decimal(5),
        "discount_total": Decimal(2),
        "tax_total": Decimal("3.45"),
        "total": Decimal("26.45"),
        "number": "1042",
        "note": "leave at the door",
        "customer_email": "ada@example.com",
        **fields,
    }
    return replace(make_outbound(), **values)


class TestStatus:
    @pytest.mark.parametrize(
        ("status", "state", "shipments"),
        [("draft", "draft", 0), ("quotation", "quotation", 0), ("confirmed", "processing", 1)],
    )
    def test_on_arrival(self, tryton: TrytonWorld, desk: Desk, status: str, state: str, shipments: int) -> None:
        connector = tryton.connect(order_status=status)
        result, reference = desk.send(connector=connector)
        sale = desk.sale(reference)
        assert (sale.state, len(sale.shipments), str(sale.id)) == (state, shipments, result.remote_id)
        assert connector.find_sent(reference) == result.remote_id
        assert desk.sale(reference).state == state

    def test_one_that_got_stuck_on_the_way_is_brought_on_when_it_is_found(
        self, tryton: TrytonWorld, desk: Desk
    ) -> None:
        order = make_outbound(lines=((desk.article(), "2"),))
        tryton.door.fail(match="POST model.sale.sale.confirm", fault="never_received")
        with pytest.raises(OutcomeUnknown):
            tryton.connect().send_orders([order])
        assert desk.sale(order.reference).state == "quotation"
        assert tryton.connect().find_sent(order.reference)
        assert desk.sale(order.reference).state == "processing"

    def test_create_invoice(self, tryton: TrytonWorld, desk: Desk) -> None:
        sale = desk.sent(connector=tryton.connect(create_invoice=True))
        assert (sale.invoice_method, [one["state"] for one in sale.invoices]) == ("order", ["draft"])

    def test_pack_orders_as_far_as_there_is_stock(self, tryton: TrytonWorld, desk: Desk) -> None:
        connector = tryton.connect(pack_orders=True)
        assert [one["state"] for one in desk.sent(connector=connector).shipments] == ["packed"]
        short = desk.sent((desk.article(stock=1), "2"), connector=connector)
        assert [one["state"] for one in short.shipments] == ["waiting"]


class TestContents:
    def test_what_a_person_sees(self, tryton: TrytonWorld, desk: Desk) -> None:
        order = shop_order(desk.article(), ship_method="Overnight")
        assert tryton.connect().send_orders([order])[0].ok
        sale = desk.sale(order.reference)
        assert sale.description == "Queen Street 1042"
        assert sale.comment == "leave at the door\nShip by: Overnight\nTotal in the shop: 26.45 NZD"
        line = sale.line(order.lines[0].name)
        assert (line["quantity"], line["note"]) == (2.0, "gift wrap")

    def test_a_location_by_id_code_or_name(self, tryton: TrytonWorld, desk: Desk) -> None:
        wellington = desk.place("WLG")
        for name in (str(wellington), "wlg", "Wellington store room"):
            assert desk.sent(location_id=name).warehouse == wellington
        assert desk.sent(connector=tryton.connect(warehouse="WLG")).warehouse == wellington
        assert desk.sent().warehouse == desk.place("AKL")

    def test_a_price_that_does_not_divide_keeps_the_line_s_amount(self, tryton: TrytonWorld, desk: Desk) -> None:
        sku = desk.article()
        line = replace(priced(sku, "3"), total=Decimal("10.00"), tax=Decimal(0), unit_price=Decimal("3.3333333"))
        order = shop_order(sku, lines=(line,), shipping_total=Decimal(0), discount_total=Decimal(0))
        assert tryton.connect(tax_treatment="exclusive").send_orders([replace(order, tax_total=Decimal(0))])[0].ok
        assert desk.sale(order.reference).total_amount == Decimal("10.00")


class TestMoney:
    def send(self, tryton: TrytonWorld, desk: Desk, order: OutboundOrder | None = None, **options: Any) -> Any:
        order = order or shop_order(desk.article())
        [result] = tryton.connect(**options).send_orders([order])
        assert result.ok, result
        return desk.sale(order.reference)

    def test_tryton_s_own_taxes(self, tryton: TrytonWorld, desk: Desk) -> None:
        sale = self.send(tryton, desk)
        assert sale.plain_lines == {"Shipping Cost": 5, "Discount": -2}
        assert sale.total_amount == Decimal("26.00")  # 20.00 and its tax of 3.00, 5.00, -2.00

    def test_exclusive(self, tryton: TrytonWorld, desk: Desk) -> None:
        sale = self.send(tryton, desk, tax_treatment="exclusive")
        assert sale.plain_lines == {"Shipping Cost": 5, "Discount": -2, "Tax": Decimal("3.45")}
        assert sale.total_amount == Decimal("26.45")

    def test_inclusive(self, tryton: TrytonWorld, desk: Desk) -> None:
        sale = self.send(tryton, desk, tax_treatment="Inclusive")
        assert sale.plain_lines == {"Shipping Cost": Decimal("5.45"), "Discount": -2}
        assert sale.total_amount == Decimal("26.45")

    def test_dynamic_item_tax_rate(self, tryton: TrytonWorld, desk: Desk) -> None:
        sku = desk.article(account_category=None)
        assert self.send(tryton, desk, shop_order(sku)).line(f"Thing {sku}")["taxes"] == []
        assert len(self.send(tryton, desk, shop_order(sku), dynamic_tax=True).line(f"Thing {sku}")["taxes"]) == 1
        odd = shop_order(sku, lines=(priced(sku, tax="1.80"),))
        [result] = tryton.connect(dynamic_tax=True).send_orders([odd])
        assert (result.ok, result.reason) == (False, f"Tryton has no tax of 9.00 % for {sku}.")

    def test_labels_and_switches(self, tryton: TrytonWorld, desk: Desk) -> None:
        assert self.send(tryton, desk, shipping_label="Freight").plain_lines == {"Freight": 5, "Discount": -2}
        assert self.send(tryton, desk, shipping_label="-", send_discount=False).plain_lines == {}
        free = {"shipping_total": Decimal(0), "discount_total": Decimal(0)}
        assert self.send(tryton, desk, shop_order(desk.article(), **free)).plain_lines == {}
        sale = self.send(tryton, desk, shop_order(desk.article(), **free), send_free_shipping=True)
        assert sale.plain_lines == {"Shipping Cost": 0}

    def test_currency(self, tryton: TrytonWorld, desk: Desk) -> None:
        assert self.send(tryton, desk, shop_order(desk.article(), currency="XXX"), currency="nzd").total_amount
        connector = tryton.connect()
        [result] = connector.send_orders([shop_order(desk.article(), currency="XXX")])
        assert (result.ok, result.reason) == (False, "Tryton has no currency XXX.")


class TestRefused:
    @pytest.mark.parametrize(
        ("changes", "quantity", "words"),
        [
            ({"salable": False}, "1", "is not for sale in Tryton"),
            ({"type": "service"}, "1", "of the type service, so nothing would ever be shipped"),
            ({}, "1.5", "in steps of 1, not 1.5"),
        ],
    )
    def test_what_cannot_be_sold(
        self, tryton: TrytonWorld, desk: Desk, changes: dict[str, Any], quantity: str, words: str
    ) -> None:
        result, reference = desk.send((desk.article(stock=0, **changes), quantity))
        assert not result.ok
        assert words in result.reason
        assert result.fix
        assert desk.sales(reference) == []

    def test_a_country_that_tryton_does_not_have(self, desk: Desk) -> None:
        result, _ = desk.send(ship_to=structs.replace(ADDRESS, country="FR"))
        assert "no country with the code FR" in result.reason
        assert "trytond_import_countries" in result.fix

    def test_an_inactive_location(self, tryton: TrytonWorld, desk: Desk) -> None:
        zone = {"type": "storage", "name": "Shed zone"}
        zones = tryton.admin.create("stock.location", [zone, zone, zone])
        names = ("storage_location", "input_location", "output_location")
        values = {"type": "warehouse", "name": "Shed", **dict(zip(names, zones, strict=True))}
        [shed] = tryton.admin.create("stock.location", [values])
        tryton.admin.write("stock.location", [shed], {"active": False})
        result, _ = desk.send(location_id=str(shed))
        assert "The Tryton warehouse Shed is not active" in result.reason
        result, _ = desk.send(location_id="Shed")
        assert "Tryton has no warehouse Shed" in result.reason

    def test_one_that_tryton_itself_refuses_is_taken_out_again(self, tryton: TrytonWorld, desk: Desk) -> None:
        """The draft was made, and the quotation is refused: nothing is left to be found later."""
        order = make_outbound(lines=((desk.article(), "2"),))
        connector = tryton.connect()
        tryton.door.fail(match="POST model.sale.sale.confirm", fault="never_received")
        with pytest.raises(OutcomeUnknown):
            connector.send_orders([order])
        sale = desk.sale(order.reference)
        tryton.admin.press("sale.sale", "draft", [sale.id])
        tryton.admin.write("sale.sale", [sale.id], {"invoice_address": None})
        [result] = connector.send_orders([order])
        assert "you must enter an invoice address" in result.reason
        assert connector.find_sent(order.reference) is None
        assert connector.send_orders([order])[0].ok

    def test_one_that_tryton_confirmed_but_cannot_process_is_told_and_stays(
        self, tryton: TrytonWorld, desk: Desk
    ) -> None:
        """Tryton processes a sale after it has confirmed it for good."""
        order = make_outbound(lines=((desk.article(), "2"),))
        tryton.door.answers["model.sale.sale.confirm"] = {"error": ["UserError", ["No account is set.", "", None]]}
        connector = tryton.connect()
        [result] = connector.send_orders([order])
        assert not result.ok
        assert "is in Tryton, but cannot be processed. Tryton says: No account is set." in result.reason
        assert "not made a second time" in result.fix
        tryton.door.answers.clear()
        assert connector.send_orders([order])[0].ok
        assert len(desk.sales(order.reference)) == 1


class TestSkus:
    def test_are_found_as_a_shop_writes_them(self, tryton: TrytonWorld, desk: Desk) -> None:
        plain = desk.article()
        [product] = [tryton.people.product(plain)]
        tryton.admin.write("product.product", [product], {"suffix_code": f"{plain}-red/L"})
        for sku in (f"{plain}-red/L", f"{plain}-RED/L", f"{plain}redL"):
            result, _ = desk.send((sku, "1"))
            assert result.ok, result

    def test_that_could_be_two_products_are_refused(self, tryton: TrytonWorld, desk: Desk) -> None:
        one, other = desk.article(), desk.article()
        for sku, suffix in ((one, f"{one}-X"), (other, f"{one}.X")):
            tryton.admin.write("product.product", [tryton.people.product(sku)], {"suffix_code": suffix})
        result, _ = desk.send((f"{one}X", "1"))
        assert (result.ok, result.reason) == (False, f"Tryton has no product with the code {one}X.")

    def test_a_product_that_was_added_since_is_found(self, tryton: TrytonWorld, desk: Desk) -> None:
        connector = tryton.connect()
        assert not desk.send(("LATER1", "1"), connector=connector)[0].ok
        tryton.people.add_products([("LATER1", "Later", Decimal(1), Decimal(1))])
        assert desk.send(("LATER1", "1"), connector=connector)[0].ok


def test_a_batch_costs_few_calls(tryton: TrytonWorld, desk: Desk) -> None:
    """Eight orders of one customer: made, quoted and confirmed in one call each."""
    sku = desk.article()
    orders = [make_outbound(lines=((sku, "1"),), customer_email="ada@example.com") for _ in range(8)]
    connector = tryton.connect()
    desk.send((sku, "1"), connector=connector)
    tryton.door.reset_calls()
    assert all(result.ok for result in connector.send_orders(orders))
    calls = tryton.door.counts
    assert [calls[f"POST model.sale.sale.{name}"] for name in ("create", "quote", "confirm")] == [1, 1, 1]


def test_an_address_without_a_street_line_goes_as_it_is(desk: Desk) -> None:
    assert desk.sent(ship_to=Address(name="Ada", city="Auckland")).shipment_address
