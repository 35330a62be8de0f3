"""Alerts by e-mail, to a real mail server: at once, by digest, one mail per cause."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.utils import timezone

from carts.alert_mail import send_alert_mails
from carts.alerting import clear_alert, raise_alert
from carts.models import Alert, AlertMail, AlertSubscription, Membership, Merchant, Preference
from tests.carts.mail_server import MailServer
from tests.factories import make_merchant

NOW = datetime(2026, 11, 20, 10, 30, tzinfo=UTC)


@pytest.fixture
def server(settings: Any) -> Iterator[MailServer]:
    with MailServer() as server:
        settings.EMAIL_URL = f"smtp://127.0.0.1:{server.port}"
        settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
        settings.EMAIL_HOST, settings.EMAIL_PORT = "127.0.0.1", server.port
        yield server
        server.shutdown()


@pytest.fixture
def merchant(db: None) -> Merchant:
    return make_merchant()


def subscribe(merchant: Merchant, name: str = "pat", **values: Any) -> AlertSubscription:
    user = get_user_model().objects.create(username=name, email=f"{name}@shop.example", is_staff=True)
    Membership.objects.create(user=user, merchant=merchant)
    return AlertSubscription.objects.create(
        user=user, merchant=merchant, **{"at_once": [], "digest_hours": [], "last_digest_at": NOW, **values}
    )


def alert(
    merchant: Merchant, kind: str = "authentication", key: str = "1", text: str = "The token is refused."
) -> None:
    raise_alert(merchant, kind, key, text, fix="Enter a new token.", link="/admin/carts/cart/1/change/")


def test_a_chosen_kind_is_told_at_once_and_once(server: MailServer, merchant: Merchant) -> None:
    subscribe(merchant, at_once=["access"])
    for _ in range(1000):
        alert(merchant)
    assert [send_alert_mails(NOW), send_alert_mails(NOW), send_alert_mails(NOW + timedelta(days=1))] == [1, 0, 0]
    (mail,) = server.mails
    assert mail["To"] == "pat@shop.example"
    assert mail["Subject"] == f"{merchant}: The token is refused."
    body = mail.get_content()
    assert "Enter a new token." in body
    assert "Seen 1000 times" in body
    assert "http://testserver/admin/carts/cart/1/change/" in body


def test_what_was_not_chosen_waits_for_the_digest(server: MailServer, merchant: Merchant) -> None:
    subscribe(merchant, at_once=["access"], digest_hours=[12, 18])
    alert(merchant, "failed_records", "1", "Three records failed.")
    alert(merchant, "changed_after_sending", "7", "Order 7 was changed.")
    assert send_alert_mails(NOW) == 0
    assert send_alert_mails(NOW.replace(hour=12, minute=3)) == 1
    (mail,) = server.mails
    assert mail["Subject"] == f"{merchant}: 2 open alerts"
    assert "Three records failed." in mail.get_content()
    assert "Order 7 was changed." in mail.get_content()
    assert send_alert_mails(NOW.replace(hour=18, minute=1)) == 0, "nothing new, no mail"


def test_a_missed_digest_hour_is_made_good(server: MailServer, merchant: Merchant) -> None:
    subscribe(merchant, digest_hours=[12])
    alert(merchant)
    assert send_alert_mails(NOW.replace(hour=17)) == 1


def test_digest_hours_are_the_readers_own(server: MailServer, merchant: Merchant) -> None:
    subscription = subscribe(merchant, digest_hours=[7])
    Preference.objects.create(user=subscription.user, time_zone="Pacific/Auckland")  # UTC+13 then
    alert(merchant)
    assert send_alert_mails(NOW.replace(hour=17, minute=59)) == 0
    assert send_alert_mails(NOW.replace(hour=18, minute=0)) == 1


def test_a_cause_that_comes_and_goes_is_no_flood(server: MailServer, merchant: Merchant) -> None:
    subscribe(merchant, at_once=["unreachable"], digest_hours=[12])
    now = timezone.now()
    AlertSubscription.objects.update(last_digest_at=now)
    for minute in range(10):
        alert(merchant, "unavailable", "shop", "The shop does not answer.")
        send_alert_mails(now + timedelta(seconds=minute))
        clear_alert(merchant, "unavailable", "shop")
    assert Alert.objects.count() == 10
    assert len(server.mails) == 1


def test_what_closes_before_the_digest_is_not_told(server: MailServer, merchant: Merchant) -> None:
    subscribe(merchant, digest_hours=[12])
    alert(merchant)
    clear_alert(merchant, "authentication", "1")
    assert send_alert_mails(NOW.replace(hour=12)) == 0


def test_a_mail_server_that_refuses_is_tried_again(server: MailServer, merchant: Merchant) -> None:
    subscribe(merchant, at_once=["access"])
    alert(merchant)
    server.refusing = True
    assert send_alert_mails(NOW) == 0
    assert "mailbox busy" in AlertMail.objects.get().error
    server.refusing = False
    assert send_alert_mails(NOW + timedelta(seconds=30)) == 0, "not before its time"
    assert send_alert_mails(NOW + timedelta(minutes=2)) == 1
    sent = AlertMail.objects.get()
    assert (sent.error, sent.attempts, len(server.mails)) == ("", 2, 1)


def test_rights_that_were_taken_away_end_the_mails(server: MailServer, merchant: Merchant) -> None:
    subscribe(merchant, at_once=["access"])
    alert(merchant)
    Membership.objects.all().delete()
    assert send_alert_mails(NOW) == 0
    assert server.mails == []
    assert not AlertMail.objects.exists()


def test_everybody_hears_of_the_own_merchant_only(server: MailServer, merchant: Merchant) -> None:
    other = make_merchant("Omega")
    subscribe(merchant, "pat", at_once=["access"])
    subscribe(other, "olga", at_once=["access"])
    alert(merchant)
    send_alert_mails(NOW)
    assert [mail["To"] for mail in server.mails] == ["pat@shop.example"]


def test_switched_off_is_off(server: MailServer, merchant: Merchant) -> None:
    subscribe(merchant, at_once=["access"], is_on=False)
    alert(merchant)
    assert send_alert_mails(NOW) == 0


def test_an_alert_longer_than_a_line_makes_a_sound_subject(server: MailServer, merchant: Merchant) -> None:
    subscribe(merchant, at_once=["access"])
    alert(merchant, text="First line\nBcc: everybody@example.com " + "x" * 300)
    assert send_alert_mails(NOW) == 1
    (mail,) = server.mails
    assert mail["Bcc"] is None
    assert len(mail["Subject"]) <= 150


def test_without_a_mail_server_nothing_is_queued(merchant: Merchant, settings: Any) -> None:
    settings.EMAIL_URL = ""
    subscribe(merchant, at_once=["access"])
    alert(merchant)
    assert send_alert_mails(NOW) == 0
    assert not AlertMail.objects.exists()
