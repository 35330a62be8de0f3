"""*Alerts by e-mail*: a person's own choices."""

from __future__ import annotations

from typing import Any

import pytest
from django.core import mail
from django.test import Client
from django.urls import reverse

from carts.models import AlertSubscription
from tests.admin.worlds import Shop

ON = {"is_on": "on", "address": "pat@shop.example"}
PAGE = "admin:carts_alertsubscription_changelist"


def test_choices_are_kept(shop: Shop, member: Client) -> None:
    for hours in (["8", "17"], ["20"]):
        answer = member.post(reverse(PAGE), {**ON, "at_once": ["orders"], "digest_hours": hours}, follow=True)
        assert answer.status_code == 200
        kept = AlertSubscription.objects.get()
        assert (kept.is_on, kept.at_once, kept.digest_hours) == (True, ["orders"], [int(hour) for hour in hours])
    assert answer.context["form"].initial == {
        "address": "pat@shop.example",
        "is_on": True,
        "at_once": ["orders"],
        "digest_hours": [20],
    }


def test_on_without_a_time_or_an_address_is_refused_in_words(shop: Shop, member: Client) -> None:
    for data, words in ((ON, "Choose at least one hour"), ({"is_on": "on"}, "Enter the address")):
        assert words in member.post(reverse(PAGE), data).content.decode()
    assert not AlertSubscription.objects.exists()


def test_a_foreign_merchant_cannot_be_chosen(shop: Shop, other_shop: Shop, member: Client) -> None:
    address = f"{reverse(PAGE)}?merchant={other_shop.merchant.pk}"
    assert member.get(address).status_code == 404
    assert member.post(address, {"is_on": "on", "digest_hours": ["8"]}).status_code == 404
    assert not AlertSubscription.objects.exists()


@pytest.mark.parametrize("url", ["", "smtp://127.0.0.1:2525"])
def test_a_trial_mail(shop: Shop, member: Client, settings: Any, url: str) -> None:
    settings.EMAIL_URL = url
    member.post(reverse(PAGE), {**ON, "digest_hours": ["8"]})
    address = reverse("admin:carts_alertsubscription_try")
    assert member.get(address).status_code == 405
    answer = member.post(address, follow=True)
    assert len(mail.outbox) == bool(url)
    assert ("is on its way" if url else "no mail server") in answer.content.decode()
