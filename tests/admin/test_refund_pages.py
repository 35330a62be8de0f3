"""Refunds and the returns of the built-in warehouse, as people work with them."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from carts.models import PickReturn, Refund, StockLevel
from tests.admin.worlds import Shop, make_user


@pytest.fixture
def client_of(shop: Shop, log_in: Callable[[Any], Client]) -> Client:
    return log_in(make_user("mia", shop.merchant))


def receive(shop: Shop, client: Client, data: dict[str, str]) -> PickReturn:
    pick_return: PickReturn = shop.objects["pickreturn"]
    pick_return.lines.update(sku="Alpha-SKU", sku_key="alpha-sku")
    address = reverse("admin:carts_pickreturn_receive", args=[pick_return.pk])
    assert "Back on the shelf" in client.get(address).content.decode()
    names = {f"line_{line.pk}": "on" for line in pick_return.lines.all()} if data else {}
    assert client.post(address, names).status_code == 302
    pick_return.refresh_from_db()
    return pick_return


@pytest.mark.parametrize("restocked", [True, False])
def test_mark_received(shop: Shop, client_of: Client, restocked: bool) -> None:
    before = StockLevel.objects.get(sku_key="alpha-sku")
    closed = receive(shop, client_of, {"all": "on"} if restocked else {})
    assert (closed.status, closed.closed_by) == ("received", "mia")
    after = StockLevel.objects.get(sku_key="alpha-sku")
    assert after.available - before.available == (Decimal(1) if restocked else Decimal(0))
    assert closed.lines.get().restocked is restocked
    shop.objects["refund"].refresh_from_db()
    assert shop.objects["refund"].status == "received"
    again = client_of.get(reverse("admin:carts_pickreturn_receive", args=[closed.pk]), follow=True)
    assert "dealt with before" in again.content.decode()


def test_a_refund_is_seen_on_its_order_and_cancelled(shop: Shop, client_of: Client) -> None:
    refund = shop.objects["refund"]
    page = client_of.get(reverse("admin:carts_order_change", args=[shop.order.pk])).content.decode()
    assert refund.number in page and "Refunds" in page
    address = reverse("admin:carts_refund_cancel", args=[refund.pk])
    assert client_of.post(address, {"reason": "A mistake."}).status_code == 302
    assert Refund.objects.get(pk=refund.pk).status == "cancelled"
    assert "A mistake." in shop.order.events.last().message


def test_the_list_filters_by_status(shop: Shop, client_of: Client) -> None:
    refund = shop.objects["refund"]
    address = reverse("admin:carts_refund_changelist")
    assert refund.number in client_of.get(address, {"status": "new"}).content.decode()
    assert refund.number not in client_of.get(address, {"status": "held"}).content.decode()
