"""Every admin address x every kind of person, read off the URL resolver: nothing can be added without being tested."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.contrib import admin
from django.contrib.auth.models import Group
from django.test import Client
from django.urls import URLPattern, URLResolver, reverse

from tests.admin.worlds import SECRET, Shop, make_user

# Addresses that belong to no model: open to everybody who may be in the admin, or even to log in.
PUBLIC = {"login", "logout", "jsi18n"}
COMMON = {"index", "password_change", "password_change_done", "search", "carts_preference_changelist"}
# Django's own machinery without a page of its own.
LEFT_OUT = {"app_list", "autocomplete", "view_on_site"}
ACCOUNTS = ("auth_user_", "auth_group_", "carts_merchant_")
POST_ONLY = (
    "carts_alertsubscription_try",
    "carts_cart_test",
    "carts_warehouse_test",
    "syncjobs_run_sync",
    "syncjobs_run_preview",
    "syncjobs_run_continue_function",
)

Names = list[tuple[str, tuple[str, ...]]]


def names(patterns: list[URLPattern | URLResolver]) -> Iterator[tuple[str, tuple[str, ...]]]:
    for pattern in patterns:
        if isinstance(pattern, URLResolver):
            yield from names(pattern.url_patterns)
        elif pattern.name:
            yield pattern.name, tuple(pattern.pattern.converters)


def all_names() -> Names:
    found = dict.fromkeys(name for name in names(admin.site.get_urls()) if name[0] not in LEFT_OUT)
    return sorted(found)


def address(name: str, arguments: tuple[str, ...], shop: Shop) -> str:
    """The address of this page about the shop's things."""
    values: dict[str, Any] = {}
    for argument in arguments:
        if argument == "connection_id":
            values[argument] = shop.cart.pk
        elif argument in ("object_id", "id"):
            values[argument] = subject(name, shop).pk
    url = reverse(f"admin:{name}", kwargs=values)
    if name in ("syncjobs_run_progress", "syncjobs_run_progress_json"):
        url += f"?runs={shop.objects['run'].pk}"
    return url


def subject(name: str, shop: Shop) -> Any:
    if name.startswith("auth_user_"):
        return shop.merchant.members.first()
    if name.startswith("auth_group_"):
        return Group.objects.get_or_create(name="support")[0]
    return shop.objects[name.split("_")[1]]


def text_of(response: Any) -> str:
    content = b"".join(response.streaming_content) if response.streaming else response.content
    return content.decode("utf-8", "replace")


@pytest.mark.django_db
class TestEveryAddress:
    @pytest.fixture(autouse=True)
    def people(self, shop: Shop, other_shop: Shop, log_in: Callable[[Any], Client]) -> None:
        self.shop = shop
        make_user("first", shop.merchant)
        self.member = log_in(make_user("member", shop.merchant))
        self.foreigner = log_in(make_user("foreigner", other_shop.merchant))
        self.nobody = log_in(make_user("nobody"))
        self.support = log_in(make_user("sam", group="support"))
        self.superuser = log_in(make_user("root", is_superuser=True))

    def get(self, client: Client, name: str, arguments: tuple[str, ...]) -> Any:
        return client.get(address(name, arguments, self.shop))

    def test_the_resolver_is_read(self) -> None:
        found = dict(all_names())
        assert len(found) > 80
        assert {"carts_order_hold", "syncjobs_run_sync", "carts_stocklevel_import", "carts_apitoken_add"} <= set(found)

    def test_strangers_are_sent_to_the_login(self) -> None:
        for name, arguments in all_names():
            if name in PUBLIC:
                continue
            response = self.get(Client(), name, arguments)
            assert response.status_code == 302, name
            assert "/admin/login/" in response["Location"], name

    def test_members_can_use_everything_of_their_merchant(self) -> None:
        for name, arguments in all_names():
            if name in PUBLIC or name.startswith(ACCOUNTS) or name.endswith(("_history", "_delete")):
                continue
            response = self.get(self.member, name, arguments)
            if name in POST_ONLY:
                assert response.status_code == 405, name
            else:
                assert response.status_code in (200, 302) or is_missing_add_page(name, response), (
                    name,
                    response.status_code,
                )
                assert "/admin/login/" not in response.get("Location", ""), name

    def test_members_see_no_accounts(self) -> None:
        for name, arguments in all_names():
            if name.startswith(ACCOUNTS):
                assert self.get(self.member, name, arguments).status_code in (403, 404), name

    def test_people_of_another_merchant_see_nothing_of_this_one(self) -> None:
        for name, arguments in all_names():
            response = self.get(self.foreigner, name, arguments)
            assert "Alpha" not in text_of(response), name
            if arguments and name not in PUBLIC:
                assert response.status_code in (403, 404), (name, response.status_code)

    def test_people_of_another_merchant_can_change_nothing_of_this_one(self) -> None:
        before = self.snapshot()
        for name, arguments in all_names():
            if not arguments:
                continue
            answer = self.foreigner.post(
                address(name, arguments, self.shop), {"reason": "mine now", "confirmed": "yes"}
            )
            assert answer.status_code in (403, 404), (name, answer.status_code)
        assert self.snapshot() == before

    def snapshot(self) -> list[dict[str, Any]]:
        return [type(obj).objects.filter(pk=obj.pk).values().get() for obj in self.shop.objects.values()]

    def test_a_person_without_a_merchant_sees_the_dashboard_only(self) -> None:
        for name, arguments in all_names():
            if name in PUBLIC | COMMON:
                continue
            assert self.get(self.nobody, name, arguments).status_code in (403, 404), name
        assert "do not belong to a merchant" in text_of(self.get(self.nobody, "index", ()))

    def test_support_sees_every_merchant_but_manages_no_accounts(self) -> None:
        for name, arguments in all_names():
            if name in PUBLIC or name.endswith(("_history", "_delete")):
                continue
            response = self.get(self.support, name, arguments)
            if name.startswith("auth_") or name == "carts_merchant_add":
                assert response.status_code in (403, 404), name
            elif name not in POST_ONLY:
                assert response.status_code in (200, 302) or is_missing_add_page(name, response), name

    def test_superusers_reach_everything(self) -> None:
        for name, arguments in all_names():
            response = self.get(self.superuser, name, arguments)
            allowed = (405,) if name in POST_ONLY or name == "logout" else (200, 302)
            is_left_out = name.endswith("_delete") and response.status_code == 403
            assert response.status_code in allowed or is_left_out or is_missing_add_page(name, response), (
                name,
                response.status_code,
            )

    def test_no_page_shows_a_secret(self) -> None:
        for client in (self.member, self.superuser):
            for name, arguments in all_names():
                assert SECRET not in text_of(self.get(client, name, arguments)), name


def is_missing_add_page(name: str, response: Any) -> bool:
    """Most things are made by the hub, not by people."""
    return name.endswith("_add") and response.status_code == 403


@pytest.mark.django_db
def test_lists_show_only_the_own_merchants_rows(shop: Shop, other_shop: Shop, member: Client) -> None:
    for name, arguments in all_names():
        if name.endswith("_changelist") and not name.startswith(ACCOUNTS) and not arguments:
            text = text_of(member.get(reverse(f"admin:{name}")))
            assert "Omega" not in text, name


@pytest.mark.django_db
def test_filters_offer_and_accept_only_own_things(shop: Shop, other_shop: Shop, member: Client) -> None:
    own = member.get(reverse("admin:carts_order_changelist"), {"cart": shop.cart.pk})
    assert shop.order.number in text_of(own)
    foreign = text_of(member.get(reverse("admin:carts_order_changelist"), {"cart": other_shop.cart.pk}))
    assert other_shop.order.number not in foreign
    through = text_of(member.get(reverse("admin:syncjobs_apicall_changelist"), {"order": other_shop.order.pk}))
    assert "Omega" not in through


@pytest.mark.django_db
def test_a_selection_of_foreign_rows_is_not_acted_upon(shop: Shop, other_shop: Shop, member: Client) -> None:
    answer = member.post(
        reverse("admin:carts_order_changelist"),
        {
            "action": "hold",
            "_selected_action": [str(other_shop.order.pk)],
            "confirmed": "yes",
            "reason": "no",
            "index": "0",
        },
    )
    other_shop.order.refresh_from_db()
    assert other_shop.order.status == "new"
    assert answer.status_code in (200, 302)
