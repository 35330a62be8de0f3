"""Vend's OAuth 2.0: scopes, the way to Vend's consent page, and the token endpoint (vend.md section 2)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode, urlsplit

import msgspec

from connectors.budget import utc_now
from connectors.errors import (
    AuthenticationFailed,
    ConfigurationInvalid,
    ConnectorError,
    ContractBroken,
    OutcomeUnknown,
    RateLimited,
    RecordRefused,
    RemoteUnavailable,
)
from connectors.http import LONGEST_RATE_LIMIT_WAIT, HttpResponse, HttpSession, remote_reason, remote_time
from connectors.oauth import AuthorizedSession, TokenKeeper, TokenSet, life_of
from connectors.vend.options import DOMAIN

if TYPE_CHECKING:
    from connectors.vend.connector import VendConnector

REFUSALS = (400, 401, 403)
RESET_HEADER = "X-RateLimit-Reset"
# Larger numbers in that header are moments (Unix time), smaller ones are seconds to wait.
FIRST_MOMENT = 10**9

AUTHORISE_AGAIN = (
    "Vend has ended the hub's access. Open the cart's page and click Authorise, then sign in to Vend and agree. Nothing "
    "is lost: the hub goes on where it stopped."
)
CHECK_APP = (
    "Compare Client ID and Client Secret with the app in Lightspeed's developer portal, correct them in the cart's "
    "settings (or ask the operator of the hub, if its own app is used), then click Authorise."
)


@dataclass(frozen=True, slots=True)
class Scope:
    """``needed``: without it a cart cannot do its work."""

    name: str
    purpose: str
    needed: bool = False


SCOPES = (
    Scope("retailer:read", "the store's currency and tax settings", needed=True),
    Scope("outlets:read", "finding the outlet and its address", needed=True),
    Scope("registers:read", "telling which outlet a sale belongs to", needed=True),
    Scope("users:read", "the user in whose name sales are written"),
    Scope("taxes:read", "the names of taxes", needed=True),
    Scope("payment_types:read", "the names of payments", needed=True),
    Scope("sales:read", "downloading orders", needed=True),
    Scope("sales:write", "writing sales and returns to Vend"),
    Scope("customers:read", "customers of orders", needed=True),
    Scope("customers:write", "writing customers to Vend"),
    Scope("products:read", "products of orders and stock", needed=True),
    Scope("products:write", "writing product details and exact stock levels"),
    Scope("products:read:price_books", "reading price books"),
    Scope("products:write:price_books", "writing prices"),
    Scope("inventory:read", "reading stock", needed=True),
    Scope("inventory:write", "writing stock", needed=True),
    Scope("consignments:read", "reading stock adjustments"),
    Scope("consignments:write:stock_order", "writing purchase orders"),
    Scope("consignments:write:stock_transfer", "writing stock transfers"),
    Scope("consignments:write:inventory_count", "writing stock counts"),
    Scope("suppliers:read", "suppliers of products"),
    Scope("suppliers:write", "adding suppliers"),
    Scope("fulfillments:read", "addresses of deliveries", needed=True),
    Scope("fulfillments:write", "confirming shipments"),
    Scope("gift_cards:read", "reading gift cards"),
    Scope("gift_cards:write:issue", "issuing gift cards"),
    Scope("gift_cards:write:redeem", "redeeming gift cards"),
    Scope("store_credits:read", "reading store credit"),
    Scope("store_credits:write:issue", "giving store credit"),
    Scope("webhooks", "being told of sales at once", needed=True),
)


class TokenReply(msgspec.Struct):
    access_token: str | None = None
    refresh_token: str | None = None
    expires: float | None = None
    expires_in: float | None = None
    domain_prefix: str | None = None
    scope: str | None = None


class TokenSession(HttpSession):
    """The token endpoint: limits of its own, and refusals that mean the access is gone."""

    def error_for(self, response: HttpResponse, reads: bool) -> ConnectorError | None:
        if response.status in REFUSALS:
            told = remote_reason(response)
            fix = CHECK_APP if "client" in told else AUTHORISE_AGAIN
            return AuthenticationFailed(f"Vend refused to give the hub a token{told}.", fix=fix, status=response.status)
        error = super().error_for(response, reads)
        if isinstance(error, RateLimited) and "Retry-After" not in response.headers:
            error.retry_at = reset_time(response) or error.retry_at
        if isinstance(error, RecordRefused):
            return ContractBroken(error.message, status=error.status, body=error.body)
        return error


def reset_time(response: HttpResponse) -> datetime | None:
    """When the limit begins anew, as told beside a 429."""
    told = response.headers.get(RESET_HEADER, "").strip()
    if not told.isdigit() or len(told) > len(str(FIRST_MOMENT)):
        return None
    now = utc_now()
    if int(told) >= FIRST_MOMENT:
        wait = datetime.fromtimestamp(int(told), UTC) - (remote_time(response) or now)
    else:
        wait = timedelta(seconds=int(told))
    return now + min(max(wait, timedelta(seconds=1)), LONGEST_RATE_LIMIT_WAIT)


def session_for(base_url: str, access: TokenKeeper | str, **facts: Any) -> HttpSession:
    """A session for the API proper, with a personal token or with tokens that are renewed."""
    if isinstance(access, TokenKeeper):
        return AuthorizedSession(base_url, keeper=access, **facts)
    return HttpSession(base_url, headers={"Authorization": f"Bearer {access}"}, **facts)


# --- the way to a code -----------------------------------------------------------------------------------------------


def authorize_url(connector: VendConnector, state: str, redirect_uri: str) -> str:
    check_app(connector)
    fields = {
        "response_type": "code",
        "client_id": connector.credentials.client_id,
        "redirect_uri": redirect_uri,
        "state": state,
        "scope": " ".join(scope.name for scope in SCOPES),
    }
    return f"{consent_page(connector.options.vend_url)}?{urlencode(fields)}"


def consent_page(store_url: str) -> str:
    """One for all stores of Vend; a sandbox has its own."""
    return f"https://secure.{DOMAIN}/connect" if prefix_of(store_url) else f"{store_url}/connect"


def prefix_of(store_url: str) -> str:
    """The store's name in its address, "" for an address that is not Vend's own."""
    host = urlsplit(store_url).hostname or ""
    return host.removesuffix(f".{DOMAIN}") if host.endswith(f".{DOMAIN}") else ""


def check_app(connector: VendConnector) -> None:
    if not (connector.credentials.client_id and connector.credentials.client_secret):
        raise ConfigurationInvalid(
            "No app is set up for this cart.",
            fix="Enter Client ID and Client Secret of your app under Advanced in the cart's settings.",
        )


def check_store(connector: VendConnector, prefix: str) -> None:
    """A person with several stores may have agreed for another one."""
    own = prefix_of(connector.options.vend_url)
    if own and prefix and prefix.lower() != own:
        raise ConfigurationInvalid(
            f"You authorised the store “{prefix}”, but this cart is for “{own}”.",
            fix="Click Authorise again and choose the cart's own store, or correct the Vend URL in its settings.",
        )


# --- the token endpoint ----------------------------------------------------------------------------------------------


def exchange(connector: VendConnector, params: Mapping[str, str], redirect_uri: str) -> TokenSet:
    """Raises ``AuthenticationFailed`` for a code that Vend does not take (it lives ten minutes and works once)."""
    check_app(connector)
    check_store(connector, params.get("domain_prefix", ""))
    form = {"grant_type": "authorization_code", "code": params.get("code", ""), "redirect_uri": redirect_uri}
    asked = TokenSet(access_token="", scope=params.get("scope", ""), account=params.get("domain_prefix", ""))
    tokens = ask_for_tokens(connector, form, asked)
    check_store(connector, tokens.account)
    return tokens


def renew(connector: VendConnector, tokens: TokenSet) -> TokenSet:
    check_app(connector)
    if not tokens.refresh_token:
        raise AuthenticationFailed("Vend gave the hub no way to renew its access.", fix=AUTHORISE_AGAIN)
    form = {"grant_type": "refresh_token", "refresh_token": tokens.refresh_token}
    return ask_for_tokens(connector, form, tokens)


def ask_for_tokens(connector: VendConnector, form: Mapping[str, str], before: TokenSet) -> TokenSet:
    """What the answer leaves out stays as it was ``before``. A lost answer is an outage to the caller: whatever call
    needed the token was not made."""
    url, environment = connector.options.vend_url, connector.environment
    session = TokenSession(
        f"{url}/api/1.0",
        hosts=connector.host_policy(environment),
        budget=environment.budgets.get(f"vend-tokens:{urlsplit(url).netloc}"),
        call_log=environment.call_log,
    )
    app = {"client_id": connector.credentials.client_id, "client_secret": connector.credentials.client_secret}
    try:
        return tokens_in(session.request("POST", "token", form={**form, **app}), before)
    except OutcomeUnknown as error:
        raise RemoteUnavailable(f"Vend gave no clear answer when the hub asked for a token: {error.message}") from error
    finally:
        session.close()


def tokens_in(answer: HttpResponse, before: TokenSet) -> TokenSet:
    told = answer.decode(TokenReply)
    if not told.access_token:
        raise ContractBroken("Vend's answer holds no access token.", status=answer.status)
    now = utc_now()
    seconds = told.expires_in
    if seconds is None and told.expires is not None:
        # A moment by Vend's clock: only the distance to Vend's own "now" says something about ours.
        seconds = told.expires - (remote_time(answer) or now).timestamp()
    expires_at = renew_at = None
    if seconds is not None:
        expires_at, renew_at = life_of(now, timedelta(seconds=min(max(seconds, 0), 10**9)))
    return replace(
        before,
        access_token=told.access_token,
        refresh_token=told.refresh_token or before.refresh_token,
        expires_at=expires_at,
        renew_at=renew_at,
        scope=told.scope or before.scope,
        account=told.domain_prefix or before.account,
    )


def missing_scopes(granted: str) -> list[Scope]:
    """Scopes of ours that were not granted; none when Vend did not say what it granted."""
    names = set(granted.split())
    return [scope for scope in SCOPES if scope.name not in names] if names else []
