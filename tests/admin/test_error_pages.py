"""What goes wrong is told in words, without a traceback."""

from __future__ import annotations

import pytest
from django.test import Client
from django.urls import reverse

from tests.admin.worlds import Shop


def test_a_page_that_does_not_exist(shop: Shop, member: Client) -> None:
    for address in ("/nowhere/", "/admin/carts/order/999999/change/", "/admin/carts/order/nonsense/change/"):
        response = member.get(address)
        assert response.status_code == 404, address
        assert "This page does not exist" in response.content.decode()


def test_a_page_that_is_not_for_this_person(shop: Shop, member: Client) -> None:
    response = member.get(reverse("admin:auth_user_changelist"))
    assert response.status_code == 403
    assert "You may not see this page" in response.content.decode()


def test_a_fault_of_the_hub(shop: Shop, member: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*args: object) -> None:
        raise ZeroDivisionError("a secret detail")

    monkeypatch.setattr("carts.admin.orders.track", broken)
    member.raise_request_exception = False
    response = member.get(reverse("admin:carts_order_change", args=[shop.order.pk]))
    assert response.status_code == 500
    text = response.content.decode()
    assert "Nothing was lost" in text
    assert "ZeroDivisionError" not in text
    assert "a secret detail" not in text


def test_a_form_without_its_token(shop: Shop, member: Client) -> None:
    strict = Client(enforce_csrf_checks=True)
    strict.cookies = member.cookies
    for name, found in (("carts_order_hold", shop.order), ("carts_cart_test", shop.cart)):
        response = strict.post(reverse(f"admin:{name}", args=[found.pk]), {"reason": "x"})
        assert response.status_code == 403
        assert "This form is too old" in response.content.decode()
