"""Guessing passwords is slow: per account, per address, for all processes."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest
from django.test import Client, RequestFactory
from django.utils import timezone

from carts import log_in_limits
from carts.log_in_limits import address_of, wait_after
from carts.models import LogInFailures

PASSWORD = "a-long-enough-password"
PAGE = "/admin/login/"


@pytest.fixture
def user(django_user_model: Any) -> Any:
    return django_user_model.objects.create_user("ada", password=PASSWORD, is_staff=True)


@pytest.fixture
def hours_pass(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Moves the clock on."""
    clock = {"now": timezone.now()}
    monkeypatch.setattr(timezone, "now", lambda: clock["now"])

    def move(step: timedelta) -> datetime:
        clock["now"] += step
        return clock["now"]

    return move


def log_in(username: str = "ada", password: str = "wrong", address: str = "198.51.100.7") -> str:
    """The page's answer; "" when it let us in. A browser of its own each time."""
    answer = Client(REMOTE_ADDR=address).post(PAGE, {"username": username, "password": password})
    return "" if answer.status_code == 302 else answer.content.decode()


def test_wrong_passwords_for_one_account_have_to_wait(user: Any, hours_pass: Any) -> None:
    for number in range(5):
        assert "Too many wrong passwords" not in log_in(address=f"198.51.100.{number}")
    blocked = log_in(password=PASSWORD, address="203.0.113.9")
    assert "Too many wrong passwords" in blocked and "Try again in a minute." in blocked
    hours_pass(timedelta(seconds=31))
    assert log_in(password=PASSWORD) == ""
    assert "Too many" not in log_in(), "the account begins anew"


def test_each_further_one_waits_longer(user: Any, hours_pass: Any) -> None:
    for _ in range(5):
        log_in()
    for wait in (30, 60, 120, 240, 480, 900, 900):
        hours_pass(timedelta(seconds=wait - 1))
        assert "Too many" in log_in()
        hours_pass(timedelta(seconds=2))
        assert "Too many" not in log_in()
    assert "Try again in 15 minutes." in log_in()
    hours_pass(timedelta(hours=2))
    for _ in range(5):
        assert "Too many" not in log_in()


def test_a_name_that_does_not_exist_is_answered_alike(user: Any) -> None:
    answers = {name: [log_in(name, address=f"198.51.100.{i}") for i in range(7)] for name in ("ada", "nobody")}
    for known, unknown in zip(answers["ada"], answers["nobody"], strict=True):
        assert ("Too many" in known) == ("Too many" in unknown)


def test_wrong_passwords_from_one_address_for_many_accounts(user: Any) -> None:
    for number in range(25):
        log_in(f"guess-{number}")
    assert "Too many" in log_in(password=PASSWORD)
    assert log_in(password=PASSWORD, address="203.0.113.9") == ""


def test_nothing_entered_is_no_try_and_clears_nothing(user: Any) -> None:
    for _ in range(4):
        log_in()
    for _ in range(3):
        assert "This field is required." in log_in(password="")
    log_in()
    assert "Too many" in log_in()


def test_capital_letters_and_blanks_are_no_way_round(user: Any) -> None:
    for name in ("ada", "Ada", "ADA", " ada", "ada "):
        log_in(name)
    assert "Too many" in log_in()


def test_who_is_logged_in_stays_so(user: Any) -> None:
    client = Client()
    client.force_login(user)
    for _ in range(6):
        log_in()
    assert client.get("/admin/").status_code == 200


def test_names_and_addresses_are_not_kept_readable(user: Any) -> None:
    log_in()
    kept = " ".join(str(row) for row in LogInFailures.objects.values())
    assert LogInFailures.objects.count() == 2
    assert "ada" not in kept.replace("datetime", "") and "198.51.100.7" not in kept


def test_forgotten_ones_are_pruned(user: Any, hours_pass: Any) -> None:
    log_in()
    assert log_in_limits.prune(timezone.now()) == 0
    hours_pass(timedelta(hours=3))
    assert log_in_limits.prune(timezone.now()) == 2


def test_the_wait_doubles_up_to_a_quarter_of_an_hour() -> None:
    assert [wait_after(number).total_seconds() for number in (0, 1, 2, 4, 5, 6, 1000)] == [
        30, 60, 120, 480, 900, 900, 900
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("caller", "told", "address"),
    [
        ("198.51.100.7", "", "198.51.100.7"),
        ("198.51.100.7", "203.0.113.9", "198.51.100.7"),  # a stranger says who he is: not believed
        ("127.0.0.1", "203.0.113.9", "203.0.113.9"),
        ("10.0.0.2", "1.2.3.4, 203.0.113.9", "203.0.113.9"),
        ("", "203.0.113.9", "203.0.113.9"),
        ("2001:db8:1:2:3::4", "", "2001:db8:1:2::/64"),
    ],
)
def test_who_calls(caller: str, told: str, address: str) -> None:
    headers = {"HTTP_X_FORWARDED_FOR": told} if told else {}
    assert address_of(RequestFactory().get("/", REMOTE_ADDR=caller, **headers)) == address
