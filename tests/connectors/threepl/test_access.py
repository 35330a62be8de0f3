"""Token, Test and settings."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from connectors import budget
from connectors.base import Environment
from connectors.budget import BudgetBook
from connectors.errors import AuthenticationFailed, ConfigurationInvalid, RateLimited, RemoteUnavailable
from connectors.functions import Function, Role
from connectors.oauth import TokenSet
from connectors.redaction import mask_headers, mask_text
from connectors.settings_fields import SettingErrors
from connectors.threepl.connector import ThreePLConnector
from connectors.threepl.options import ThreePLOptions
from connectors.threepl.sandbox import ThreePLSandbox
from tests.connectors.threepl.conftest import Connect
from tests.factories import make_outbound

TOKEN_CALL = "POST /AuthServer/api/Token"


class SharedTokens:
    """A store in memory, as several workers see it."""

    def __init__(self) -> None:
        self.tokens: TokenSet | None = None
        self.lock = threading.Lock()

    def read(self) -> TokenSet | None:
        return self.tokens

    def renewed(self, stale: TokenSet, renew: Callable[[TokenSet], TokenSet]) -> TokenSet:
        with self.lock:
            current = self.tokens or TokenSet(access_token="")
            if current.access_token == stale.access_token:
                self.tokens = renew(current)
            assert self.tokens is not None
            return self.tokens


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch, sandbox: ThreePLSandbox) -> Callable[[timedelta], None]:
    """Moves the time, here and at the remote."""
    now = budget.utc_now

    def move(by: timedelta) -> None:
        for module in ("connectors.oauth", "connectors.threepl.tokens"):
            monkeypatch.setattr(f"{module}.utc_now", lambda: now() + by)
        sandbox.clock_skew = by

    return move


# Token


def test_one_token_serves_many_calls_and_connectors(sandbox: ThreePLSandbox, connect: Connect) -> None:
    store = SharedTokens()
    for _ in range(3):
        warehouse = connect(store)
        warehouse.read_locations()
        assert warehouse.find_sent("A") is None
    assert sandbox.count(TOKEN_CALL) == 1


def test_without_a_store_each_connector_has_its_own_token(sandbox: ThreePLSandbox, connect: Connect) -> None:
    connect().read_locations()
    connect().read_locations()
    assert sandbox.count(TOKEN_CALL) == 2


def test_the_token_is_renewed_in_time(
    sandbox: ThreePLSandbox, connect: Connect, clock: Callable[[timedelta], None]
) -> None:
    warehouse = connect(SharedTokens())
    warehouse.read_locations()
    clock(timedelta(minutes=29))
    warehouse.read_locations()
    assert sandbox.count(TOKEN_CALL) == 1
    clock(timedelta(minutes=31))  # it would live for an hour
    warehouse.read_locations()
    assert sandbox.count(TOKEN_CALL) == 2


def test_a_short_life_is_heeded(sandbox: ThreePLSandbox, connect: Connect, clock: Callable[[timedelta], None]) -> None:
    sandbox.token_seconds = 600
    warehouse = connect(SharedTokens())
    warehouse.read_locations()
    clock(timedelta(minutes=9, seconds=30))
    warehouse.read_locations()
    assert sandbox.count(TOKEN_CALL) == 2
    assert all(call.status == 200 for call in sandbox.calls)


def test_a_refused_token_is_replaced_once(sandbox: ThreePLSandbox, connect: Connect) -> None:
    warehouse = connect(SharedTokens())
    warehouse.read_locations()
    sandbox.revoke_tokens()
    [result] = warehouse.send_orders([make_outbound("A", (("ITEM-001", "1"),))])
    assert result.ok
    assert sandbox.count(TOKEN_CALL) == 2
    sandbox.fail(match="GET *", status=401, times=None)
    with pytest.raises(AuthenticationFailed) as told:
        warehouse.read_locations()
    assert "Client" in told.value.fix or "client" in told.value.fix
    assert sandbox.count(TOKEN_CALL) == 3


def test_tokens_of_other_credentials_are_not_used(sandbox: ThreePLSandbox, connect: Connect) -> None:
    store = SharedTokens()
    connect(store).read_locations()
    sandbox.client_secret = "new-secret"
    connect(store, secret="new-secret").read_locations()
    assert sandbox.count(TOKEN_CALL) == 2
    with pytest.raises(AuthenticationFailed, match="refused to give"):
        connect(store, secret="old-secret").read_locations()


def test_a_renewal_that_can_wait_does_not_stop_the_work(
    sandbox: ThreePLSandbox, connect: Connect, clock: Callable[[timedelta], None]
) -> None:
    warehouse = connect(SharedTokens())
    warehouse.read_locations()
    sandbox.fail(match=TOKEN_CALL, status=503, times=None)
    clock(timedelta(minutes=45))
    for _ in range(3):
        warehouse.read_locations()
    assert sandbox.count(TOKEN_CALL) == 2
    clock(timedelta(minutes=61))
    with pytest.raises(RemoteUnavailable):
        warehouse.read_locations()


@pytest.mark.parametrize("fault", ["answer_lost", "never_received", "cut_body"])
def test_a_lost_token_is_an_outage(sandbox: ThreePLSandbox, warehouse: ThreePLConnector, fault: str) -> None:
    sandbox.fail(match=TOKEN_CALL, fault=fault)
    with pytest.raises(RemoteUnavailable):
        warehouse.send_orders([make_outbound("A", (("ITEM-001", "1"),))])
    assert sandbox.count("POST /orders") == 0


@pytest.mark.parametrize("form", ["date", "integer", "body"])
def test_a_limit_is_obeyed(sandbox: ThreePLSandbox, warehouse: ThreePLConnector, form: str) -> None:
    sandbox.fail(match="GET /orders", status=429, retry_after=form, retry_after_seconds=60)
    with pytest.raises(RateLimited) as told:
        warehouse.find_sent("A")
    assert told.value.retry_at > budget.utc_now() + timedelta(seconds=50)
    with pytest.raises(RateLimited):
        warehouse.find_sent("A")
    assert sandbox.count("GET /orders") == 1


def test_users_are_named_by_login_or_number(sandbox: ThreePLSandbox, connect: Connect) -> None:
    sandbox.user_login, sandbox.tpl = "42", "{guid}"
    connect(tpl="{guid}").read_locations()
    body = next(call for call in sandbox.calls if call.template == "/AuthServer/api/Token").request_json()
    assert body == {"grant_type": "client_credentials", "user_login_id": "42", "tpl": "{guid}"}


def test_the_call_log_can_mask_every_secret(sandbox: ThreePLSandbox, connect: Connect, calls: list[Any]) -> None:
    connect().read_locations()
    [token] = sandbox.tokens
    shown = "".join(
        f"{mask_headers(call.request_headers)}{mask_text(call.request_body.decode())}{mask_text(call.response_body.decode())}"
        for call in calls
    )
    assert token not in shown
    assert "c2FuZGJveC1jbGllbnQ6" not in shown  # the begin of the Basic value


# Test


def test_a_good_set_up_passes(warehouse: ThreePLConnector) -> None:
    steps = {step.name: step for step in warehouse.test()}
    assert all(step.ok for step in steps.values()), steps
    assert list(steps) == ["Access", "Customer", "Facility", "Orders", "Stock", "Items"]
    assert "Acme" in steps["Customer"].message
    assert "2 (West)" in steps["Facility"].message
    assert "6 items" in steps["Items"].message


def test_wrong_credentials_stop_the_test(connect: Connect) -> None:
    [step] = connect(secret="wrong").test()
    assert (step.name, step.ok) == ("Access", False)
    assert "Client Secret" in step.help


@pytest.mark.parametrize(
    ("options", "name", "words"),
    [({"customer_id": 86}, "Customer", "no customer 86"), ({"facility_id": 3}, "Facility", "1 (East), 2 (West)")],
)
def test_a_wrong_number_fails_its_step(connect: Connect, options: dict[str, Any], name: str, words: str) -> None:
    steps = {step.name: step for step in connect(**options).test()}
    assert not steps[name].ok
    assert words in steps[name].message
    assert steps[name].help


def test_a_missing_role_fails_its_step(sandbox: ThreePLSandbox, warehouse: ThreePLConnector) -> None:
    sandbox.roles = sandbox.roles - {"InventoryRead"}
    steps = {step.name: step for step in warehouse.test()}
    assert [name for name, step in steps.items() if not step.ok] == ["Stock"]
    assert "inventory" in steps["Stock"].help


def test_a_facility_that_is_switched_off_is_told(sandbox: ThreePLSandbox, warehouse: ThreePLConnector) -> None:
    sandbox.store.facilities[1]["readOnly"]["deactivated"] = True
    assert [step.name for step in warehouse.test() if not step.ok] == ["Facility"]


@pytest.mark.parametrize("trouble", [{"fault": "html"}, {"status": 500}, {"status": 429}, {"fault": "cut_body"}])
def test_trouble_becomes_failed_steps(
    sandbox: ThreePLSandbox, warehouse: ThreePLConnector, trouble: dict[str, Any]
) -> None:
    sandbox.fail(match="GET *", times=None, **trouble)
    steps = list(warehouse.test())
    assert [step.ok for step in steps] == [True] + [False] * 5
    assert all(step.help for step in steps[1:])


def test_a_remote_that_is_away_fails_the_first_step(sandbox: ThreePLSandbox, warehouse: ThreePLConnector) -> None:
    sandbox.stop()
    [step] = warehouse.test()
    assert "cannot be reached" in step.message


# Settings


def test_what_it_can_do() -> None:
    assert ThreePLConnector.functions(Role.WAREHOUSE) == (
        Function.ORDER_SENDING,
        Function.ORDER_CANCELLATION_SENDING,
        Function.ORDER_CANCEL_PICKUP,
        Function.SHIPMENT_PICKUP,
        Function.INVENTORY_PICKUP,
        Function.PRODUCT_PICKUP,
        Function.REFUND_SENDING,
        Function.STOCK_ADJUSTMENT_SYNC,
    )
    assert ThreePLConnector.functions(Role.CART) == ()


@pytest.mark.parametrize(
    ("values", "field"),
    [
        ({"customer_id": "0"}, "customer_id"),
        ({"facility_id": "-1"}, "facility_id"),
        ({"facility_id": "East"}, "facility_id"),
        ({"customer_id": ""}, "customer_id"),
        ({"time_zone": "Chicago"}, "time_zone"),
        ({"time_zone": "../etc/passwd"}, "time_zone"),
        ({"url": "secure-wms.com"}, "url"),
        ({"billing_code": "later"}, "billing_code"),
        ({"user_login": " "}, "user_login"),
    ],
)
def test_wrong_settings_name_their_field(values: dict[str, str], field: str) -> None:
    good = {"user_login": "hub", "customer_id": "85", "facility_id": "1"}
    with pytest.raises(SettingErrors) as told:
        ThreePLOptions.parse({**good, **values})
    assert list(told.value.errors) == [field]


def test_the_hub_talks_to_the_vendor_only(sandbox: ThreePLSandbox) -> None:
    options = {"user_login": "hub", "customer_id": 85, "facility_id": 1}
    credentials = ThreePLConnector.Credentials.parse({"client_id": "a", "client_secret": "b"})
    for url in ("https://internal.example", "https://secure-wms.com.evil.example", sandbox.url):
        connector = ThreePLConnector(
            ThreePLOptions.parse({**options, "url": url}), credentials, Environment(budgets=BudgetBook())
        )
        with pytest.raises(ConfigurationInvalid):
            connector.read_locations()
    assert sandbox.calls == []
