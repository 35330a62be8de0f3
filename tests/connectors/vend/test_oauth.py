"""Access through an app: the way to the tokens, renewing them, and what happens when Vend ends the access."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest
import requests

from connectors.base import Environment
from connectors.budget import Budget, BudgetBook, utc_now
from connectors.errors import (
    AuthenticationFailed,
    ConfigurationInvalid,
    ContractBroken,
    PermissionMissing,
    RateLimited,
    RemoteUnavailable,
)
from connectors.hosts import HostPolicy
from connectors.http import CallRecord, HttpResponse
from connectors.oauth import OAuthSource, TokenSet, life_of
from connectors.redaction import mask_text, mask_url
from connectors.settings_fields import SettingErrors
from connectors.vend import oauth
from connectors.vend.connector import VendConnector
from connectors.vend.options import VendCredentials, VendOptions
from connectors.vend.sandbox import VendSandbox

APP = {"client_id": "hub", "client_secret": "s3cret-of-the-app"}
REDIRECT = "https://hub.example/oauth/callback/"
STATE = "a-state-of-ours"
TOKEN_CALL = "POST /token"


class Memory:
    """A store in memory, as the hub lends one."""

    def __init__(self, tokens: TokenSet | None = None) -> None:
        self.tokens = tokens

    def read(self) -> TokenSet | None:
        return self.tokens

    def renewed(self, stale: TokenSet, renew: Callable[[TokenSet], TokenSet]) -> TokenSet:
        assert self.tokens is not None
        if self.tokens.access_token == stale.access_token:
            self.tokens = renew(self.tokens)
        return self.tokens


Open = Callable[..., VendConnector]


@pytest.fixture
def store() -> Memory:
    return Memory()


@pytest.fixture
def open_app(sandbox: VendSandbox, store: Memory, calls: list[CallRecord]) -> Iterator[Open]:
    made = []
    sandbox.oauth.applications = {APP["client_id"]: APP["client_secret"]}

    def open_app(url: str = "", **credentials: str) -> VendConnector:
        options = {"vend_url": url or sandbox.url, "outlet_name": sandbox.store.outlets[0]["name"]}
        environment = Environment(
            budgets=BudgetBook(),
            extra_hosts=frozenset({sandbox.host}),
            call_log=calls.append,
            credential_store=store,
        )
        made.append(
            VendConnector(VendOptions.parse(options), VendCredentials.parse({**APP, **credentials}), environment)
        )
        return made[-1]

    yield open_app
    for connector in made:
        connector.close()


def consent(connector: VendConnector, **changes: str) -> dict[str, str]:
    """What Vend sends back after the person has agreed."""
    url = connector.authorize_url(STATE, REDIRECT)
    answer = requests.get(url + ("&" + urlencode(changes) if changes else ""), allow_redirects=False, timeout=5)
    assert answer.status_code == 302, answer.text
    return {name: values[0] for name, values in parse_qs(urlsplit(answer.headers["Location"]).query).items()}


@pytest.fixture
def authorised(open_app: Open, store: Memory) -> VendConnector:
    connector = open_app()
    store.tokens = connector.exchange_code(consent(connector), REDIRECT)
    return open_app()


# --- the way to the tokens -------------------------------------------------------------------------------------------


def test_vend_is_a_source_of_authorisations() -> None:
    assert issubclass(VendConnector, OAuthSource)


def test_the_address_of_the_consent_page(open_app: Open) -> None:
    url = open_app(url="https://kauri.retail.lightspeed.app").authorize_url(STATE, REDIRECT)
    parts, query = urlsplit(url), parse_qs(urlsplit(url).query)
    assert (parts.scheme, parts.netloc, parts.path) == ("https", "secure.retail.lightspeed.app", "/connect")
    assert query["response_type"] == ["code"] and query["state"] == [STATE] and query["redirect_uri"] == [REDIRECT]
    assert query["client_id"] == ["hub"] and APP["client_secret"] not in url
    assert query["scope"][0].split() == [name for name, _ in open_app().permissions()]


def test_every_scope_of_the_stores_paths_is_asked_for(sandbox: VendSandbox) -> None:
    asked = {scope.name for scope in oauth.SCOPES}
    needed = {route.scope for table in sandbox.route_tables().values() for route in table.routes if route.scope}
    assert len(needed) > 15
    assert [scope for scope in needed if not asked & set(scope.split("|"))] == []


def test_a_code_becomes_tokens(open_app: Open, sandbox: VendSandbox) -> None:
    connector = open_app()
    tokens = connector.exchange_code(consent(connector), REDIRECT)
    assert tokens.access_token and tokens.refresh_token
    assert tokens.account == sandbox.store.retailer["domain_prefix"]
    assert set(tokens.scope.split()) == {name for name, _ in connector.permissions()}
    assert tokens.expires_at is not None and tokens.renew_at is not None
    assert abs(tokens.expires_at - utc_now() - timedelta(days=1)) < timedelta(seconds=5)
    assert tokens.renew_at == tokens.expires_at - timedelta(minutes=5)
    assert TokenSet.from_json(tokens.as_json()) == tokens
    assert tokens.access_token not in repr(tokens) and tokens.refresh_token not in repr(tokens)


def test_a_code_that_vend_does_not_take(open_app: Open) -> None:
    connector = open_app()
    params = consent(connector)
    connector.exchange_code(params, REDIRECT)
    for again in (params, {**params, "code": "guessed"}, {}):
        with pytest.raises(AuthenticationFailed) as caught:
            connector.exchange_code(again, REDIRECT)
        assert "Authorise" in caught.value.fix


def test_a_wrong_secret_of_the_app(open_app: Open) -> None:
    connector = open_app(client_secret="mistyped")
    with pytest.raises(AuthenticationFailed) as caught:
        connector.exchange_code(consent(connector), REDIRECT)
    assert "Client Secret" in caught.value.fix


def test_another_store_than_the_carts(open_app: Open) -> None:
    connector = open_app(url="https://kauri.retail.lightspeed.app")
    with pytest.raises(ConfigurationInvalid, match=r"“rimu”.*“kauri”"):
        connector.exchange_code({"code": "x", "domain_prefix": "rimu"}, REDIRECT)
    oauth.check_store(connector, "Kauri")
    oauth.check_store(connector, "")


@pytest.mark.parametrize(
    ("given", "field"),
    [
        ({}, "access_token"),
        ({"client_id": "hub"}, "client_secret"),
        ({"client_secret": "x"}, "client_id"),
        ({"client_id": "two words", "client_secret": "x"}, "client_id"),
    ],
)
def test_a_token_or_a_whole_app(given: dict[str, str], field: str) -> None:
    with pytest.raises(SettingErrors) as caught:
        VendCredentials.parse(given)
    assert list(caught.value.errors) == [field]


def test_without_an_app_there_is_nothing_to_authorise(sandbox: VendSandbox) -> None:
    options = VendOptions.parse({"vend_url": sandbox.url})
    connector = VendConnector(options, VendCredentials.parse({"access_token": "t"}), Environment(budgets=BudgetBook()))
    with pytest.raises(ConfigurationInvalid, match="No app"):
        connector.authorize_url(STATE, REDIRECT)


def test_a_personal_token_comes_first(open_app: Open, sandbox: VendSandbox) -> None:
    assert open_app(access_token=sandbox.token).client.retailer()
    assert sandbox.count(TOKEN_CALL) == 0


# --- renewing --------------------------------------------------------------------------------------------------------


def sent_tokens(sandbox: VendSandbox, name: str = "GET /retailer") -> list[str]:
    return [call.headers["authorization"] for call in sandbox.calls if call.name == name]


def test_tokens_are_used_as_long_as_they_live(authorised: VendConnector, sandbox: VendSandbox) -> None:
    for _ in range(3):
        authorised.client.retailer()
    assert sandbox.count(TOKEN_CALL) == 1, "the code's own exchange"


def test_they_are_renewed_shortly_before_their_end(
    open_app: Open, authorised: VendConnector, store: Memory, sandbox: VendSandbox
) -> None:
    assert store.tokens is not None
    old = store.tokens
    store.tokens = TokenSet(old.access_token, old.refresh_token, utc_now() + timedelta(minutes=4), utc_now(), old.scope)
    open_app().client.retailer()
    assert store.tokens.access_token != old.access_token
    assert store.tokens.refresh_token != old.refresh_token
    assert sent_tokens(sandbox) == [f"Bearer {store.tokens.access_token}"], "the first call used the new token"


@pytest.mark.parametrize("skew", [timedelta(days=1, minutes=1), timedelta(days=400)])
def test_a_refused_token_is_renewed_once_and_the_call_made_again(
    authorised: VendConnector, sandbox: VendSandbox, store: Memory, skew: timedelta
) -> None:
    """Vend's clock is far ahead of ours: the tokens end before we expect it."""
    sandbox.clock_skew = skew
    assert authorised.client.add_webhook("sale.update", "https://hub.example/w/")
    assert sandbox.count("POST /webhooks") == 2 and len(sandbox.store.webhooks) == 1
    assert sandbox.count(TOKEN_CALL) == 2


def test_what_somebody_else_renewed_is_taken(authorised: VendConnector, store: Memory, sandbox: VendSandbox) -> None:
    assert store.tokens is not None
    store.tokens = oauth.renew(authorised, store.tokens)
    before = sandbox.count(TOKEN_CALL)
    assert authorised.client.retailer()
    assert sandbox.count(TOKEN_CALL) == before


def test_an_answer_may_leave_fields_out(authorised: VendConnector, store: Memory, sandbox: VendSandbox) -> None:
    sandbox.oauth.lean_refresh = True
    assert store.tokens is not None
    fresh = oauth.renew(authorised, store.tokens)
    assert fresh.access_token != store.tokens.access_token
    assert (fresh.refresh_token, fresh.account) == (store.tokens.refresh_token, store.tokens.account)


def reply(body: bytes, headers: Mapping[str, str] | None = None, status: int = 200) -> HttpResponse:
    return HttpResponse(status, headers or {}, body, "https://kauri.retail.lightspeed.app/api/1.0/token")


def test_the_moment_of_expiry_counts_by_vends_clock() -> None:
    """Vend's clock runs an hour ahead and only the moment is told."""
    theirs = datetime.now(UTC) + timedelta(hours=1)
    body = b'{"access_token":"a","expires":%d}' % (theirs.timestamp() + 600)
    tokens = oauth.tokens_in(
        reply(body, {"Date": f"{theirs:%a, %d %b %Y %H:%M:%S} GMT"}), TokenSet("", "old", scope="s")
    )
    assert tokens.expires_at is not None
    assert abs(tokens.expires_at - utc_now() - timedelta(minutes=10)) < timedelta(seconds=5)
    assert (tokens.refresh_token, tokens.scope) == ("old", "s")


def test_answers_without_a_date_or_a_token() -> None:
    tokens = oauth.tokens_in(reply(b'{"access_token":"a","expires_in":null}'), TokenSet("", "old"))
    assert (tokens.expires_at, tokens.is_due(utc_now()), tokens.is_over(utc_now())) == (None, False, False)
    assert oauth.tokens_in(reply(b'{"access_token":"a","expires_in":"86400"}'), tokens).expires_at
    for body in (b"{}", b"[]", b"<html>", b'{"access_token":""}'):
        with pytest.raises(ContractBroken):
            oauth.tokens_in(reply(body), tokens)


def test_short_lives_are_used_for_nine_tenths() -> None:
    now = utc_now()
    assert life_of(now, timedelta(seconds=10)) == (now + timedelta(seconds=10), now + timedelta(seconds=9))
    assert life_of(now, timedelta(days=1))[1] == now + timedelta(days=1) - timedelta(minutes=5)


# --- trouble ---------------------------------------------------------------------------------------------------------


def test_access_that_is_gone(authorised: VendConnector, sandbox: VendSandbox) -> None:
    sandbox.oauth.revoke_all()
    with pytest.raises(AuthenticationFailed) as caught:
        authorised.client.retailer()
    assert "Authorise" in caught.value.fix and "access token in the connection" not in caught.value.fix


def test_a_call_that_is_refused_again_asks_no_third_time(authorised: VendConnector, sandbox: VendSandbox) -> None:
    sandbox.fail(match="GET /retailer", status=401, times=None)
    with pytest.raises(AuthenticationFailed) as caught:
        authorised.client.retailer()
    assert "Authorise" in caught.value.fix
    assert (sandbox.count("GET /retailer"), sandbox.count(TOKEN_CALL)) == (2, 2)


def test_a_missing_permission_renews_nothing(authorised: VendConnector, sandbox: VendSandbox) -> None:
    sandbox.fail(match="GET /retailer", status=403)
    with pytest.raises(PermissionMissing) as caught:
        authorised.client.retailer()
    assert "Authorise" in caught.value.fix
    assert sandbox.count(TOKEN_CALL) == 1


def test_before_the_first_authorisation(open_app: Open, sandbox: VendSandbox) -> None:
    with pytest.raises(AuthenticationFailed, match="not authorised yet") as caught:
        open_app().client.retailer()
    assert "Authorise" in caught.value.fix
    assert sandbox.calls == []


def test_tokens_that_cannot_be_renewed(authorised: VendConnector, store: Memory) -> None:
    with pytest.raises(AuthenticationFailed, match="no way to renew"):
        oauth.renew(authorised, TokenSet("a"))


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        ({"status": 400}, AuthenticationFailed),
        ({"status": 401}, AuthenticationFailed),
        ({"status": 404}, ContractBroken),
        ({"status": 422}, ContractBroken),
        ({"status": 302}, ContractBroken),
        ({"status": 429}, RateLimited),
        ({"status": 500}, RemoteUnavailable),
        ({"status": 503}, RemoteUnavailable),
        ({"fault": "answer_lost"}, RemoteUnavailable),
        ({"fault": "html"}, ContractBroken),
    ],
)
def test_trouble_at_the_token_endpoint(
    authorised: VendConnector, sandbox: VendSandbox, fault: dict[str, Any], error: type[Exception]
) -> None:
    """None of it looks like trouble with the call that needed the token: that one was never made."""
    sandbox.clock_skew = timedelta(days=2)
    sandbox.fail(match=TOKEN_CALL, **fault)
    with pytest.raises(error):
        authorised.client.add_webhook("sale.update", "https://hub.example/w/")
    assert not sandbox.store.webhooks


def test_an_outage_of_the_token_endpoint_is_no_trouble_while_the_token_lives(
    open_app: Open, authorised: VendConnector, sandbox: VendSandbox, store: Memory
) -> None:
    assert store.tokens is not None
    old = store.tokens
    store.tokens = TokenSet(old.access_token, old.refresh_token, utc_now() + timedelta(minutes=4), utc_now(), old.scope)
    sandbox.fail(match=TOKEN_CALL, status=503, times=None)
    connector, before = open_app(), sandbox.count(TOKEN_CALL)
    for _ in range(3):
        assert connector.client.retailer()
    assert sandbox.count(TOKEN_CALL) == before + 1, "not at every call"


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [({"X-RateLimit-Reset": "120"}, 120), ({"X-RateLimit-Reset": "soon"}, 30), ({}, 30), ({"Retry-After": "7"}, 7)],
)
def test_when_the_token_endpoint_asks_to_wait(headers: dict[str, str], seconds: int) -> None:
    assert abs(wait_told(headers) - seconds) < 3


def test_when_the_token_endpoint_names_a_moment() -> None:
    moment = int(datetime.now(UTC).timestamp()) + 90
    assert abs(wait_told({"X-RateLimit-Reset": str(moment)}) - 90) < 3


def wait_told(headers: dict[str, str]) -> float:
    session = oauth.TokenSession(
        "https://a.retail.lightspeed.app", hosts=HostPolicy(("retail.lightspeed.app",)), budget=Budget("t")
    )
    error = session.error_for(reply(b"{}", headers, 429), reads=False)
    assert isinstance(error, RateLimited)
    return (error.retry_at - utc_now()).total_seconds()


# --- Test ------------------------------------------------------------------------------------------------------------


def steps_of(connector: VendConnector) -> dict[str, Any]:
    return {step.name: step for step in connector.test()}


def test_the_test_lists_the_scopes(authorised: VendConnector) -> None:
    steps = steps_of(authorised)
    assert all(step.ok for step in steps.values()), steps
    assert list(steps)[:3] == ["Vend URL", "Access token", "Scopes"]
    assert steps["Scopes"].message == "Everything is granted."


def granted(open_app: Open, store: Memory, names: set[str]) -> VendConnector:
    connector = open_app()
    url = connector.authorize_url(STATE, REDIRECT)
    head, query = url.split("?")
    fields = {name: values[0] for name, values in parse_qs(query).items()} | {"scope": " ".join(sorted(names))}
    answer = requests.get(f"{head}?{urlencode(fields)}", allow_redirects=False, timeout=5)
    back = parse_qs(urlsplit(answer.headers["Location"]).query)
    store.tokens = connector.exchange_code({name: values[0] for name, values in back.items()}, REDIRECT)
    return open_app()


def test_missing_scopes_are_named_with_what_they_are_for(open_app: Open, store: Memory) -> None:
    everything = {scope.name for scope in oauth.SCOPES}
    step = steps_of(granted(open_app, store, everything - {"sales:read", "gift_cards:read"}))["Scopes"]
    assert not step.ok and "sales:read (for downloading orders)" in step.message
    assert "gift_cards" not in step.message, "no cart needs them"
    assert "Authorise" in step.help


def test_scopes_that_no_cart_needs_do_not_fail_it(open_app: Open, store: Memory) -> None:
    step = steps_of(granted(open_app, store, {scope.name for scope in oauth.SCOPES if scope.needed}))["Scopes"]
    assert step.ok and "gift_cards:read (for reading gift cards)" in step.message


def test_without_the_first_scope_the_scopes_are_still_told(open_app: Open, store: Memory) -> None:
    steps = steps_of(granted(open_app, store, {"sales:read"}))
    assert [name for name, step in steps.items() if not step.ok] == ["Access token", "Scopes"]


def test_scopes_that_vend_does_not_tell(open_app: Open, authorised: VendConnector, store: Memory) -> None:
    assert store.tokens is not None
    store.tokens = TokenSet(store.tokens.access_token, store.tokens.refresh_token)
    assert steps_of(open_app())["Scopes"].ok


def test_the_test_of_access_that_is_gone(authorised: VendConnector, sandbox: VendSandbox) -> None:
    sandbox.oauth.revoke_all()
    steps = steps_of(authorised)
    assert not steps["Access token"].ok and "Authorise" in steps["Access token"].help
    assert "Personal Tokens" not in steps["Access token"].help


def test_a_personal_token_has_no_step_for_scopes(connect: Callable[..., VendConnector]) -> None:
    assert "Scopes" not in steps_of(connect())


# --- secrets ---------------------------------------------------------------------------------------------------------


def test_the_api_log_can_mask_every_secret(
    authorised: VendConnector, calls: list[CallRecord], store: Memory, sandbox: VendSandbox
) -> None:
    assert store.tokens is not None
    first = store.tokens
    sandbox.clock_skew = timedelta(days=2)
    authorised.client.retailer()
    codes = [parse_qs(call.request_body.decode())["code"][0] for call in calls if b"&code=" in call.request_body]
    secrets = [
        APP["client_secret"],
        *codes,
        *(t for s in (first, store.tokens) for t in (s.access_token, s.refresh_token)),
    ]
    assert len(secrets) == 6
    kept = "".join(
        mask_url(call.url) + mask_text(call.request_body.decode()) + mask_text(call.response_body.decode())
        for call in calls
    )
    assert "grant_type=refresh_token" in kept
    assert [secret for secret in secrets if secret in kept] == []


def test_a_code_is_masked_in_addresses_but_not_in_products() -> None:
    assert mask_text("GET /oauth/callback/?code=abc123&state=x HTTP/1.1") == (
        "GET /oauth/callback/?code=[masked]&state=x HTTP/1.1"
    )
    assert mask_text('{"code": "SKU-1"}') == '{"code": "SKU-1"}'


def test_signatures_count_once_the_app_is_authorised() -> None:
    assert VendConnector.verify_webhook({"access_token": "t", **APP}, {}, b"payload=1")
    assert not VendConnector.verify_webhook({"access_token": "", **APP}, {}, b"payload=1")
