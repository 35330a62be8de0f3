"""Who may call what and how often: tokens, scopes, OAuth, the rate limit, and paths that are not there. Source: vend.md 2, 5, 6."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest

from connectors.vend.sandbox import VendSandbox
from tests.connectors.vend.calling import Caller, calling

REDIRECT = "https://hub.example/oauth/vend/"


@pytest.fixture
def caller() -> Iterator[Caller]:
    with calling(products=2) as caller:
        yield caller


@pytest.fixture
def sandbox(caller: Caller) -> VendSandbox:
    return caller.sandbox


# Tokens and paths


@pytest.mark.parametrize("header", ["Bearer wrong", "Basic sandbox-token", "sandbox-token", ""])
@pytest.mark.parametrize("path", ["/api/2026-07/sales", "/api/2.0/outlets", "/api/webhooks"])
def test_a_wrong_token_gets_401(caller: Caller, path: str, header: str) -> None:
    answer = caller.send("GET", path, headers={"Authorization": header})
    assert (answer.status_code, answer.json()["error"]) == (401, "Unauthorized")


@pytest.mark.parametrize(
    "path",
    ["/", "/api/2026-07/orders", "/api/orders", "/api/2.0/sales/1/2/3/4", "/api/2031-01/sales", "/api/3.0/sales"],
)
def test_what_nobody_serves_leads_to_the_sign_in_page(caller: Caller, path: str) -> None:
    answer = caller.send("GET", path)
    assert (answer.status_code, answer.headers["Location"]) == (302, "/signin")
    page = caller.send("GET", answer.headers["Location"])
    assert page.headers["Content-Type"].startswith("text/html")
    assert "Sign in" in page.text


@pytest.mark.parametrize(
    ("method", "path"), [("GET", "/api/products"), ("POST", "/api/products"), ("GET", "/api/products/1")]
)
def test_products_of_0_9_are_gone(caller: Caller, method: str, path: str) -> None:
    assert caller.send(method, path).status_code == 410


@pytest.mark.parametrize(
    ("asked", "served"),
    [("2025-10", "2026-01"), ("2026-05", "2026-04"), ("2026-07", "2026-07"), ("2026-10", "2026-10")],
)
def test_old_versions_are_served_by_the_oldest_supported(caller: Caller, asked: str, served: str) -> None:
    caller.family = asked
    caller.get("sales")
    assert caller.sandbox.calls[-1].family == served


@pytest.mark.parametrize(
    "resource", ["sales", "products", "customers", "outlets", "registers", "webhooks", "consignments"]
)
def test_unknown_ids_get_404(caller: Caller, resource: str) -> None:
    assert "error" in caller.get(f"{resource}/11111111-2222-1333-8444-555555555555", status=404)


def test_a_body_that_is_no_json_gets_400(caller: Caller) -> None:
    for body in (b"{nonsense", b"[]", b"\xff"):
        answer = caller.send("POST", "customers", data=body, headers={"Content-Type": "application/json"})
        assert answer.status_code == 400
        assert answer.json()["errors"]["global"]


def test_a_token_may_lack_a_scope(caller: Caller, sandbox: VendSandbox) -> None:
    sandbox.token_scopes = frozenset({"sales:read", "consignments:write:stock_order"})
    caller.get("sales")
    assert "products:read" in caller.get("products", status=403)["message"]
    # Reading the list of adjustments is a write.
    sandbox.token_scopes = frozenset({"inventory:read"})
    caller.get("stock_adjustments", status=403)


# Rate limit


def test_every_answer_tells_what_is_left(caller: Caller, sandbox: VendSandbox) -> None:
    answers = [caller.send("GET", "retailer") for _ in range(3)]
    assert [answer.headers["X-RateLimit-Limit"] for answer in answers] == ["650"] * 3
    assert [answer.headers["X-RateLimit-Remaining"] for answer in answers] == ["649", "648", "647"]
    sandbox.store.remove_registers(sandbox.store.outlets[0])
    assert caller.send("GET", "sales/unknown").headers["X-RateLimit-Limit"] == "350"


def test_spending_it_all_gets_429_with_a_date(caller: Caller, sandbox: VendSandbox) -> None:
    sandbox.rate_limit = 2
    assert [caller.send("GET", "retailer").status_code for _ in range(3)] == [200, 200, 429]
    answer = caller.send("GET", "retailer")
    assert answer.json() == {"error": "Too Many Requests", "message": "Rate limiting enforced"}
    assert answer.headers["X-RateLimit-Remaining"] == "0"
    until = parsedate_to_datetime(answer.headers["Retry-After"])
    assert timedelta(seconds=290) < until - datetime.now(UTC) <= timedelta(seconds=300)
    sandbox.reset_rate_limit()
    assert caller.send("GET", "retailer").status_code == 200


# OAuth


def approve(caller: Caller, **changes: str) -> dict[str, str]:
    fields = {
        "response_type": "code",
        "client_id": "hub",
        "redirect_uri": REDIRECT,
        "state": "12345678",
        "scope": "sales:read",
    }
    answer = caller.send("GET", f"/connect?{urlencode(fields | changes)}")
    assert answer.status_code == 302, answer.text
    target = urlsplit(answer.headers["Location"])
    assert answer.headers["Location"].startswith(REDIRECT)
    return {name: values[0] for name, values in parse_qs(target.query).items()}


def redeem(caller: Caller, status: int = 200, **fields: str) -> Any:
    form = {"client_id": "hub", "client_secret": "s3cret"} | fields
    return caller.json("POST", "/api/1.0/token", status=status, data=form)


def first_tokens(caller: Caller, **changes: str) -> Any:
    code = approve(caller, **changes)["code"]
    return redeem(caller, grant_type="authorization_code", code=code, redirect_uri=REDIRECT)


def allowed(caller: Caller, token: str, path: str = "sales") -> int:
    return caller.send("GET", path, headers={"Authorization": f"Bearer {token}"}).status_code


def test_a_code_becomes_tokens_that_work(caller: Caller) -> None:
    back = approve(caller, state="anything-long")
    assert (back["state"], back["domain_prefix"], back["scope"]) == ("anything-long", "kauriandco", "sales:read")
    tokens = redeem(caller, grant_type="authorization_code", code=back["code"], redirect_uri=REDIRECT)
    assert (tokens["token_type"], tokens["domain_prefix"], tokens["expires_in"]) == ("Bearer", "kauriandco", 86400)
    assert abs(tokens["expires"] - datetime.now(UTC).timestamp() - 86400) < 5
    assert allowed(caller, tokens["access_token"]) == 200
    assert allowed(caller, tokens["access_token"], "products") == 403


def test_a_code_works_once_and_for_ten_minutes(caller: Caller, sandbox: VendSandbox) -> None:
    code = approve(caller)["code"]
    redeem(caller, grant_type="authorization_code", code=code, redirect_uri=REDIRECT)
    redeem(caller, 400, grant_type="authorization_code", code=code, redirect_uri=REDIRECT)
    late = approve(caller)["code"]
    sandbox.clock_skew = timedelta(minutes=11)
    redeem(caller, 400, grant_type="authorization_code", code=late, redirect_uri=REDIRECT)
    sandbox.clock_skew = timedelta(0)
    other = approve(caller)["code"]
    redeem(caller, 400, grant_type="authorization_code", code=other, redirect_uri="https://elsewhere.example/")


def test_a_refresh_replaces_both_tokens_at_once(caller: Caller) -> None:
    first = first_tokens(caller)
    second = redeem(caller, grant_type="refresh_token", refresh_token=first["refresh_token"])
    assert second["access_token"] != first["access_token"]
    assert second["refresh_token"] != first["refresh_token"]
    assert (allowed(caller, first["access_token"]), allowed(caller, second["access_token"])) == (401, 200)
    answer = redeem(caller, 400, grant_type="refresh_token", refresh_token=first["refresh_token"])
    assert answer == {"error": "invalid_grant"}


def test_some_refreshes_leave_fields_out(caller: Caller, sandbox: VendSandbox) -> None:
    first = first_tokens(caller)
    sandbox.oauth.lean_refresh = True
    second = redeem(caller, grant_type="refresh_token", refresh_token=first["refresh_token"])
    assert "refresh_token" not in second
    third = redeem(caller, grant_type="refresh_token", refresh_token=first["refresh_token"])
    assert (allowed(caller, second["access_token"]), allowed(caller, third["access_token"])) == (401, 200)


def test_tokens_expire_and_can_be_revoked(caller: Caller, sandbox: VendSandbox) -> None:
    tokens = first_tokens(caller)
    sandbox.clock_skew = timedelta(days=1, seconds=1)
    assert allowed(caller, tokens["access_token"]) == 401
    sandbox.clock_skew = timedelta(0)
    assert allowed(caller, tokens["access_token"]) == 200
    sandbox.oauth.revoke_all()
    assert allowed(caller, tokens["access_token"]) == 401
    redeem(caller, 400, grant_type="refresh_token", refresh_token=tokens["refresh_token"])


def test_applications_are_told_apart(caller: Caller, sandbox: VendSandbox) -> None:
    sandbox.oauth.applications = {"hub": "s3cret"}
    tokens = first_tokens(caller)
    assert allowed(caller, tokens["access_token"]) == 200
    for wrong in ({"client_secret": "guess"}, {"client_id": "other"}):
        redeem(caller, 401, grant_type="refresh_token", refresh_token=tokens["refresh_token"], **wrong)
    redeem(caller, 400, grant_type="password")


def test_consent_can_be_refused_and_requests_be_wrong(caller: Caller, sandbox: VendSandbox) -> None:
    sandbox.oauth.refuse_next = True
    assert approve(caller) == {"error": "access_denied"}
    for wrong in ({"state": "short"}, {"scope": ""}, {"response_type": "token"}):
        fields = {
            "response_type": "code",
            "client_id": "hub",
            "redirect_uri": REDIRECT,
            "state": "12345678",
            "scope": "x",
        }
        assert caller.send("GET", f"/connect?{urlencode(fields | wrong)}").status_code == 400


# Gift cards and store credit


def test_a_gift_card_lives_and_dies(caller: Caller) -> None:
    caller.data("POST", "gift_cards", {"number": "GC1", "amount": 50}, 201)
    caller.json("POST", "gift_cards", {"number": "GC1", "amount": 50}, status=422)
    redemption = {"amount": -20, "type": "REDEEMING", "client_id": "sale-1"}
    first = caller.data("POST", "gift_cards/GC1/transactions", redemption, 201)
    assert caller.data("POST", "gift_cards/GC1/transactions", redemption) == first
    caller.json("POST", "gift_cards/GC1/transactions", redemption | {"client_id": "2", "amount": -31}, status=422)
    caller.json("POST", "gift_cards/GC1/transactions", {"amount": 5, "type": "REDEEMING"}, status=400)
    caller.data("POST", "gift_cards/GC1/transactions", {"amount": 5, "type": "RELOADING"}, 201)
    card = caller.data("GET", "gift_cards/GC1")
    assert (card["balance"], card["total_redeemed"], card["status"]) == (35, 20, "ACTIVE")
    assert caller.data("DELETE", "gift_cards/GC1")["status"] == "VOIDED"
    assert [row["balance"] for row in caller.data("GET", "gift_cards")] == [0]
    caller.json("GET", "gift_cards/GC2", status=404)
    caller.sandbox.reset_calls()


def test_store_credit_is_issued_and_redeemed(caller: Caller, sandbox: VendSandbox) -> None:
    customer = sandbox.store.customers[0]
    path = f"store_credits/{customer.id}"
    issued = caller.data("POST", f"{path}/transactions", {"amount": 30, "client_id": "r-1"}, 201)
    assert caller.data("POST", f"{path}/transactions", {"amount": 30, "client_id": "r-1"}) == issued
    caller.data("POST", f"{path}/transactions", {"amount": -10, "type": "REDEMPTION"}, 201)
    caller.json("POST", f"{path}/transactions", {"amount": -21, "type": "REDEMPTION"}, status=422)
    credit = caller.data("GET", path)
    assert (credit["balance"], credit["total_credit_issued"], credit["total_credit_redeemed"]) == (20, 30, 10)
    assert [row["customer_id"] for row in caller.data("GET", "store_credits")] == [customer.id]
    caller.sandbox.reset_calls()
