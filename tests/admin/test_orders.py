"""The orders list, an order's page and what people do there."""

from __future__ import annotations

import csv
import io
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from carts.models import Order, OrderChange, PickOrder
from carts.order_content import content_of
from tests.admin.worlds import SECRET, Shop

Status = Order.Status
LIST = "admin:carts_order_changelist"


def page(client: Client, order: Order) -> str:
    response = client.get(reverse("admin:carts_order_change", args=[order.pk]))
    assert response.status_code == 200
    return response.content.decode()


def act(client: Client, order: Order, key: str, **data: Any) -> str:
    """Does something to one order; returns the page afterwards with its messages."""
    url = reverse(f"admin:carts_order_{key}", args=[order.pk])
    response = client.post(url, data, follow=True)
    order.refresh_from_db()
    return response.content.decode()


def act_on_many(client: Client, orders: list[Order], key: str, confirmed: bool = True, **data: Any) -> str:
    form = {"action": key, "_selected_action": [str(order.pk) for order in orders], "index": "0", **data}
    if confirmed:
        form["confirmed"] = "yes"
    text = client.post(reverse(LIST), form, follow=True).content.decode()
    for order in orders:
        order.refresh_from_db()
    return text


class TestList:
    @pytest.mark.parametrize("term", ["number", "external_id", "customer_name", "reference", "customer_email"])
    def test_it_finds_orders_by_what_people_know(self, shop: Shop, member: Client, term: str) -> None:
        wanted = shop.add_order(customer_email="ada@example.com")
        noise = shop.add_order(customer_email="bob@example.com")
        wanted.customer_name = "Wanted Person"
        wanted.save()
        text = member.get(reverse(LIST), {"q": getattr(wanted, term)}).content.decode()
        assert wanted.number in text
        assert noise.number not in text

    def test_it_finds_orders_by_sku(self, shop: Shop, member: Client) -> None:
        line = shop.order.lines.get()
        line.sku, line.sku_key = "Rare-77", "rare-77"
        line.save()
        noise = shop.add_order()
        text = member.get(reverse(LIST), {"q": "rare-77"}).content.decode()
        assert shop.order.number in text
        assert noise.number not in text

    def test_of_many_it_says_that_there_are_more(
        self, shop: Shop, member: Client, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("carts.deep_pages.MOST_COUNTED", 3)
        monkeypatch.setattr("carts.admin.orders.OrderAdmin.list_per_page", 2)
        orders = [shop.add_order(customer_email="ann@smith.example") for _ in range(5)]
        pages = [member.get(reverse(LIST), {"q": "smith", "p": number}).content.decode() for number in (1, 2, 3)]
        for text in pages:
            assert "More than 3 orders" in text
            assert "Select all 3+ orders" in text
        shown = [[order for order in orders if f">{order.number}<" in text] for text in pages]
        assert [len(orders) for orders in shown] == [2, 2, 1]
        assert {order.pk for orders in shown for order in orders} == {order.pk for order in orders}
        assert "p=3" in pages[1]
        asked = {"action": "hold", "_selected_action": [str(orders[0].pk)], "index": "0"}
        search = f"{reverse(LIST)}?q=smith"
        assert f"Hold: order {orders[0].number}?" in member.post(search, asked).content.decode()
        everything = member.post(search, {**asked, "select_across": "1"}).content.decode()
        assert "Hold: 3+ orders?" in everything

    def test_it_is_sorted_as_an_index_has_it(self, shop: Shop, member: Client) -> None:
        Order.objects.all().delete()
        days = [timezone.now() - timedelta(days=days) for days in (3, 1, 2)]
        oldest, newest, middle = (shop.add_order(placed_at=day, total=number) for number, day in enumerate(days))

        def order_of(**query: str) -> list[int]:
            return [order.pk for order in member.get(reverse(LIST), query).context["cl"].result_list]

        newest_first = [newest.pk, middle.pk, oldest.pk]
        assert order_of() == order_of(o="-7") == newest_first
        assert order_of(o="7") == newest_first[::-1]
        assert order_of(o="5") == order_of(o="1") == newest_first
        headers = member.get(reverse(LIST)).context["cl"].model_admin
        sortable = [name for name in headers.list_display if getattr(getattr(headers, name), "admin_order_field", None)]
        assert sortable == ["placed"]

    def test_a_row_says_what_is_wrong(self, shop: Shop, member: Client) -> None:
        shop.add_order(status="held", problem="No street in the address.")
        text = member.get(reverse(LIST), {"status": "attention"}).content.decode()
        assert "No street in the address." in text
        assert shop.order.number not in text

    def test_totals_carry_their_currency(self, shop: Shop, member: Client) -> None:
        shop.add_order(total=Decimal("1234.5"), currency="EUR")
        assert "1,234.50 EUR" in member.get(reverse(LIST)).content.decode()

    def test_days_are_days_of_the_user(self, shop: Shop, member: Client) -> None:
        found = {"placed_at_from": "2026-07-01", "placed_at_to": "2026-07-01"}
        assert shop.order.number in member.get(reverse(LIST), found).content.decode()
        missed = {"placed_at_from": "2026-07-02", "placed_at_to": "2026-07-03"}
        assert shop.order.number not in member.get(reverse(LIST), missed).content.decode()

    @pytest.mark.parametrize("query", ["placed_at_from=nonsense", "cart=nonsense", "status=nonsense", "q=%00", "p=abc"])
    def test_a_mangled_address_is_no_error(self, shop: Shop, member: Client, query: str) -> None:
        assert member.get(f"{reverse(LIST)}?{query}").status_code in (200, 302)

    def test_an_empty_list_says_what_to_do(self, shop: Shop, member: Client) -> None:
        Order.objects.all().delete()
        text = member.get(reverse(LIST)).content.decode()
        assert "No orders yet" in text
        assert "Go to the carts" in text


class TestCsv:
    def rows(self, response: Any) -> list[dict[str, str]]:
        text = b"".join(response.streaming_content).decode("utf-8-sig")
        return list(csv.DictReader(io.StringIO(text)))

    def test_the_whole_list_as_it_is_filtered(self, shop: Shop, member: Client) -> None:
        held = shop.add_order(status="held", problem="=cmd|' /C calc'!A0")
        response = member.get(reverse("admin:carts_order_export"), {"status": "held"})
        rows = self.rows(response)
        assert [row["Number"] for row in rows] == [held.number]
        assert rows[0]["Problem"] == "'=cmd|' /C calc'!A0", "a spreadsheet must not take a text for a formula"
        assert rows[0]["Total"] == "20.00"

    def test_the_selected_rows(self, shop: Shop, member: Client) -> None:
        shop.add_order()
        form = {"action": "export_csv", "_selected_action": [str(shop.order.pk)], "index": "0"}
        rows = self.rows(member.post(reverse(LIST), form))
        assert [row["Number"] for row in rows] == [shop.order.number]


class TestPage:
    def test_it_tells_the_whole_story(self, shop: Shop, member: Client) -> None:
        text = page(member, shop.order)
        for part in ("Alpha event", "Article SKU-1", "1 Queen Street", "20.00 NZD", "Alpha warehouse", "Deliveries"):
            assert part in text, part

    def test_the_raw_payload_is_masked(self, shop: Shop, member: Client) -> None:
        text = page(member, shop.order)
        assert "[masked]" in text
        assert SECRET not in text

    def test_money_that_nothing_explains_is_shown(self, shop: Shop, member: Client) -> None:
        assert "Not explained" not in page(member, shop.order)
        Order.objects.update(unexplained=Decimal("-2.5"))
        text = page(member, shop.order)
        assert "Not explained" in text and "2.50" in text

    def test_it_is_read_only(self, shop: Shop, member: Client) -> None:
        url = reverse("admin:carts_order_change", args=[shop.order.pk])
        assert member.post(url, {"status": "confirmed"}).status_code == 405

    def test_the_address_can_change_while_unsent(self, shop: Shop, member: Client) -> None:
        order = shop.add_order(status="held", problem="No address", ship_to={})
        url = reverse("admin:carts_order_address", args=[order.pk])
        missing = member.post(url, {"city": "Wellington"}).content.decode()
        assert "This field is required." in missing
        member.post(url, {"street1": "9 Lambton Quay", "city": "Wellington", "country": "NZ", "release": "on"})
        order.refresh_from_db()
        assert order.ship_to["street1"] == "9 Lambton Quay"
        assert order.status == Order.Status.NEW
        assert order.events.filter(kind="changed", actor="member").exists()

    def test_the_address_of_a_sent_order_stays(self, shop: Shop, member: Client) -> None:
        order = shop.add_order(status="at_warehouse")
        url = reverse("admin:carts_order_address", args=[order.pk])
        text = member.post(url, {"street1": "X", "city": "Y", "country": "NZ"}, follow=True).content.decode()
        assert "cannot be changed any more" in text
        order.refresh_from_db()
        assert order.ship_to["street1"] == "1 Queen Street"


class TestActions:
    @pytest.mark.parametrize("key", ["hold", "release", "send_now", "resend", "cancel", "mark_shipped"])
    def test_looking_at_the_question_changes_nothing(self, shop: Shop, member: Client, key: str) -> None:
        before = Order.objects.filter(pk=shop.order.pk).values().get()
        response = member.get(reverse(f"admin:carts_order_{key}", args=[shop.order.pk]))
        assert response.status_code == 200
        assert "<form" in response.content.decode()
        assert Order.objects.filter(pk=shop.order.pk).values().get() == before

    def test_hold_and_release(self, shop: Shop, member: Client) -> None:
        order = shop.add_order()
        text = act(member, order, "hold", reason="Customer called")
        assert order.status == Order.Status.HELD
        assert order.problem == "Customer called"
        assert "is held" in text
        act(member, order, "release")
        assert order.status == Order.Status.NEW
        assert order.events.filter(actor="member").count() == 2

    def test_cancel_needs_a_reason(self, shop: Shop, member: Client) -> None:
        order = shop.add_order()
        assert "This field is required." in act(member, order, "cancel")
        assert order.status == Order.Status.NEW
        act(member, order, "cancel", reason="Ordered twice")
        assert order.status == Order.Status.CANCELLED

    def test_a_refusal_is_told_in_words(self, shop: Shop, member: Client) -> None:
        order = shop.add_order(status="confirmed")
        assert "already shipped and cannot be cancelled" in act(member, order, "cancel", reason="late")
        assert "there is nothing to release" in act(member, order, "release")
        assert "it was sent already" in act(member, order, "send_now")

    def test_mark_shipped_goes_through_the_pick_list(self, shop: Shop, member: Client) -> None:
        Order.objects.filter(pk=shop.order.pk).update(status="at_warehouse")
        act(member, shop.order, "mark_shipped", carrier="NZ Post", tracking_number="T1")
        pick_order = PickOrder.objects.get(reference=shop.order.reference)
        assert pick_order.status == PickOrder.Status.SHIPPED
        assert pick_order.shipments.get().shipped_by == "member"

    def test_an_order_that_is_not_at_the_warehouse_is_not_shipped(self, shop: Shop, member: Client) -> None:
        order = shop.add_order()
        assert "only an order at the warehouse can be shipped" in act(member, order, "mark_shipped")


class TestManyAtOnce:
    def test_they_are_asked_about_first(self, shop: Shop, member: Client) -> None:
        orders = [shop.add_order(), shop.add_order()]
        text = act_on_many(member, orders, "hold", confirmed=False)
        assert "2 orders" in text
        assert all(order.number in text for order in orders)
        assert {order.status for order in orders} == {"new"}

    def test_each_is_done_or_refused_for_itself(self, shop: Shop, member: Client) -> None:
        orders = [shop.add_order(), shop.add_order(), shop.add_order(status="shipped")]
        text = act_on_many(member, orders, "hold", reason="Stocktake")
        assert [order.status for order in orders] == ["held", "held", "shipped"]
        assert "2 orders held." in text
        assert "only an unsent order can wait" in text

    def test_wrong_input_asks_again(self, shop: Shop, member: Client) -> None:
        orders = [shop.add_order(), shop.add_order()]
        assert "This field is required." in act_on_many(member, orders, "cancel")
        assert {order.status for order in orders} == {"new"}


class TestChangedInTheCart:
    """The shop changed an order that the warehouse has; the warehouse did not take it."""

    @pytest.fixture
    def order(self, shop: Shop) -> Order:
        order = shop.add_order(status=Status.AT_WAREHOUSE, at_warehouse_at=timezone.now())
        OrderChange.objects.create(
            order=order,
            version=2,
            reference=f"{order.reference}/2",
            status="held",
            content=replace(content_of(order), note="ring twice").as_json(),
            differences=["note “” -> “ring twice”"],
            problem="The order is packed.",
        )
        return order

    def test_the_page_says_what_differs_and_what_to_do(self, order: Order, member: Client) -> None:
        text = page(member, order)
        assert "ring twice" in text and "The order is packed." in text
        assert "Keep as sent" in text and "Send change again" in text and "What to do" in text

    def test_it_needs_attention(self, shop: Shop, order: Order, member: Client) -> None:
        noise = shop.add_order()
        text = member.get(reverse(LIST), {"status": "attention"}).content.decode()
        assert order.number in text and "Changed in the cart: note" in text
        assert noise.number not in text

    def test_keep_as_sent(self, order: Order, member: Client) -> None:
        text = act(member, order, "keep_as_sent")
        assert "stays as it was sent" in text and "kept as it was sent by member" in text
        assert order.changes.get().status == "kept"
        assert "no change that waits" in act(member, order, "keep_as_sent")

    def test_send_change_again(self, order: Order, member: Client) -> None:
        text = act(member, order, "resend_change")
        assert "on its way to the warehouse" in text
        assert order.changes.get().deliveries.get().state == "pending"

    def test_looking_changes_nothing(self, order: Order, member: Client) -> None:
        for key in ("keep_as_sent", "resend_change"):
            assert member.get(reverse(f"admin:carts_order_{key}", args=[order.pk])).status_code == 200
        assert order.changes.get().status == "held"
