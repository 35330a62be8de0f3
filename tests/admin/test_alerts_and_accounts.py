"""Alerts, API tokens, preferences, merchants and users."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.test import Client
from django.urls import reverse

from carts.models import Alert, ApiToken, Merchant, Preference
from tests.admin.worlds import Shop, make_user


@pytest.fixture
def superuser(log_in: Callable[[Any], Client]) -> Client:
    return log_in(make_user("root", is_superuser=True))


class TestAlerts:
    def act(self, client: Client, alert: Alert, key: str, **data: Any) -> str:
        url = reverse(f"admin:carts_alert_{key}", args=[alert.pk])
        assert client.get(url).status_code == 200
        text = client.post(url, data, follow=True).content.decode()
        alert.refresh_from_db()
        return text

    def test_open_ones_come_first(self, shop: Shop, member: Client) -> None:
        Alert.objects.update(status="resolved")
        Alert.objects.create(merchant=shop.merchant, kind="k", key="old", message="OPEN-ONE")
        Alert.objects.create(merchant=shop.merchant, kind="k", key="new", message="MUTED-ONE", status="muted")
        text = member.get(reverse("admin:carts_alert_changelist")).content.decode()
        assert text.index("OPEN-ONE") < text.index("MUTED-ONE") < text.index("Alpha</span>")

    def test_resolve_mute_and_assign(self, shop: Shop, member: Client) -> None:
        alert = shop.objects["alert"]
        self.act(member, alert, "mute")
        assert alert.status == "muted"
        self.act(member, alert, "unmute")
        assert alert.status == "open"
        person = get_user_model().objects.get(username="member")
        self.act(member, alert, "assign", person=person.pk)
        assert alert.assigned_to == person
        self.act(member, alert, "resolve")
        assert (alert.status, alert.resolved_by) == ("resolved", "member")
        assert "was resolved before" in self.act(member, alert, "resolve")

    def test_only_people_who_see_it_can_be_assigned(self, shop: Shop, other_shop: Shop, member: Client) -> None:
        stranger = make_user("stranger", other_shop.merchant)
        text = self.act(member, shop.objects["alert"], "assign", person=stranger.pk)
        assert "Select a valid choice" in text
        assert "stranger" not in text

    def test_the_way_to_mend_it_is_a_button(self, shop: Shop, member: Client) -> None:
        alert = shop.objects["alert"]
        link = reverse("admin:carts_cart_change", args=[shop.cart.pk])
        Alert.objects.filter(pk=alert.pk).update(fix="Fill in the address.", link=link)
        text = member.get(reverse("admin:carts_alert_change", args=[alert.pk])).content.decode()
        assert f'href="{link}">Mend it</a>' in text

    def test_the_navigation_counts_open_ones(self, shop: Shop, other_shop: Shop, member: Client) -> None:
        Alert.objects.create(merchant=shop.merchant, kind="k", key="2", message="second")
        response = member.get(reverse("admin:carts_order_changelist"))
        items = [item for group in response.context["sidebar_navigation"] for item in group["items"]]
        assert next(item for item in items if item["title"] == "Alerts")["badge"] == "2"


class TestTokens:
    def test_a_token_is_shown_once(self, shop: Shop, member: Client) -> None:
        form = {"merchant": shop.merchant.pk, "name": "Export", "read_only": "on"}
        text = member.post(reverse("admin:carts_apitoken_add"), form).content.decode()
        token = ApiToken.objects.get(name="Export")
        secret = text.split('value="im_')[1].split('"')[0]
        assert ApiToken.find(f"im_{secret}") == token
        assert token.read_only
        for name in ("changelist", "change"):
            url = reverse(f"admin:carts_apitoken_{name}", args=[token.pk] if name == "change" else [])
            assert secret not in member.get(url).content.decode()

    def test_not_for_another_merchant(self, shop: Shop, other_shop: Shop, member: Client) -> None:
        member.post(reverse("admin:carts_apitoken_add"), {"merchant": other_shop.merchant.pk, "name": "Theirs"})
        assert not ApiToken.objects.filter(name="Theirs").exists()

    def test_switched_off_for_good(self, shop: Shop, member: Client) -> None:
        token = shop.objects["apitoken"]
        member.post(reverse("admin:carts_apitoken_switch_off", args=[token.pk]))
        token.refresh_from_db()
        assert not token.is_active


class TestPreferences:
    def test_the_zone_changes_what_is_shown(self, shop: Shop, member: Client) -> None:
        url = reverse("admin:carts_preference_changelist")
        page = reverse("admin:carts_order_change", args=[shop.order.pk])
        assert "09:30" in member.get(page).content.decode()
        member.post(url, {"time_zone": "Pacific/Auckland"})
        assert Preference.objects.get(user__username="member").time_zone == "Pacific/Auckland"
        assert "21:30" in member.get(page).content.decode()

    def test_no_such_zone(self, shop: Shop, member: Client) -> None:
        text = member.post(reverse("admin:carts_preference_changelist"), {"time_zone": "Mars/Base"}).content.decode()
        assert "Select a valid choice" in text
        assert not Preference.objects.exists()


class TestAccounts:
    def test_a_merchant_with_a_member(self, superuser: Client) -> None:
        user = make_user("maria")
        form = {
            "name": "Kauri Outdoor",
            "time_zone": "Pacific/Auckland",
            "is_active": "on",
            "memberships-TOTAL_FORMS": 1,
            "memberships-INITIAL_FORMS": 0,
            "memberships-0-user": user.pk,
        }
        assert superuser.post(reverse("admin:carts_merchant_add"), form).status_code == 302
        merchant = Merchant.objects.get(name="Kauri Outdoor")
        assert merchant.slug == "kauri-outdoor"
        assert list(merchant.members.all()) == [user]

    def test_a_user_who_can_log_in(self, shop: Shop, superuser: Client) -> None:
        form = {
            "username": "newcomer",
            "usable_password": "true",
            "password1": "a-long-password-4711",
            "password2": "a-long-password-4711",
            "is_staff": "on",
            "memberships-TOTAL_FORMS": 1,
            "memberships-INITIAL_FORMS": 0,
            "memberships-0-merchant": shop.merchant.pk,
        }
        response = superuser.post(reverse("admin:auth_user_add"), form)
        assert response.status_code == 302, response.context["errors"]
        client = Client()
        login = {"username": "newcomer", "password": "a-long-password-4711", "next": "/admin/"}
        assert client.post(reverse("admin:login"), login)["Location"] == "/admin/"
        assert "Alpha" in client.get(reverse("admin:carts_order_changelist")).content.decode()

    def test_logging_in_without_a_target_leads_to_the_dashboard(self, db: None) -> None:
        assert 'name="next"' in Client().get(reverse("admin:login")).content.decode()
