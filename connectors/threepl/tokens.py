"""The token of 3PL Warehouse Manager: asked for with client id and secret, renewed before it ends, shared by all workers."""

from __future__ import annotations

import base64
import hashlib
from dataclasses import replace
from datetime import timedelta

import msgspec

from connectors.base import Environment
from connectors.budget import utc_now
from connectors.errors import (
    AuthenticationFailed,
    ConnectorError,
    ContractBroken,
    OutcomeUnknown,
    RecordRefused,
    RemoteUnavailable,
)
from connectors.hosts import HostPolicy
from connectors.http import HttpResponse, HttpSession, remote_reason
from connectors.oauth import ClientCredentials, TokenSet, life_of
from connectors.threepl.options import ThreePLCredentials, ThreePLOptions

PATH = "AuthServer/api/Token"
# Tokens live 30 to 60 minutes; the vendor asks for a new one every half hour.
LONGEST_USE = timedelta(minutes=30)
REFUSALS = (400, 401, 403)

CHECK = (
    "Compare Client ID, Client Secret and User Login with what the warehouse gave you, correct them, then click Test. "
    "Credentials that serve several warehouses need the 3PL GUID as well (under Advanced)."
)


class TokenReply(msgspec.Struct):
    access_token: str | None = None
    expires_in: float | None = None


class TokenSession(HttpSession):
    def error_for(self, response: HttpResponse, reads: bool) -> ConnectorError | None:
        if response.status in REFUSALS:
            told = remote_reason(response)
            return AuthenticationFailed(
                f"3PL Warehouse Manager refused to give the hub a token{told}.", fix=CHECK, status=response.status
            )
        error = super().error_for(response, reads)
        if isinstance(error, RecordRefused):
            return ContractBroken(error.message, status=error.status, body=error.body)
        return error


def keeper_for(
    options: ThreePLOptions, credentials: ThreePLCredentials, environment: Environment, hosts: HostPolicy
) -> ClientCredentials:
    parts = (options.url, options.user_login, options.tpl, credentials.client_id, credentials.client_secret)
    mark = hashlib.blake2b("\n".join(parts).encode(), digest_size=16).hexdigest()

    def ask() -> TokenSet:
        return ask_for_token(options, credentials, environment, hosts)

    return ClientCredentials(environment.credential_store, ask, mark)


def ask_for_token(
    options: ThreePLOptions, credentials: ThreePLCredentials, environment: Environment, hosts: HostPolicy
) -> TokenSet:
    """A lost answer is an outage to the caller: whatever call needed the token was not made."""
    basic = base64.b64encode(f"{credentials.client_id}:{credentials.client_secret}".encode()).decode()
    session = TokenSession(
        options.url,
        hosts=hosts,
        budget=environment.budgets.get(f"threepl-tokens:{options.url}"),
        call_log=environment.call_log,
        headers={"Authorization": f"Basic {basic}"},
    )
    try:
        answer = session.request("POST", PATH, json=token_request(options))
        return token_in(answer)
    except OutcomeUnknown as error:
        raise RemoteUnavailable(
            f"3PL Warehouse Manager gave no clear answer when the hub asked for a token: {error.message}"
        ) from error
    finally:
        session.close()


def token_request(options: ThreePLOptions) -> dict[str, str]:
    """Users are named by their login or, in older set-ups, by their number."""
    who = "user_login_id" if options.user_login.isdigit() else "user_login"
    body = {"grant_type": "client_credentials", who: options.user_login}
    return {**body, "tpl": options.tpl} if options.tpl else body


def token_in(answer: HttpResponse) -> TokenSet:
    told = answer.decode(TokenReply)
    if not told.access_token:
        raise ContractBroken("3PL Warehouse Manager's answer holds no access token.", status=answer.status)
    now = utc_now()
    tokens = TokenSet(access_token=told.access_token, renew_at=now + LONGEST_USE)
    if told.expires_in is None:
        return tokens
    expires_at, renew_at = life_of(now, timedelta(seconds=min(max(told.expires_in, 0), 10**9)))
    return replace(tokens, expires_at=expires_at, renew_at=min(renew_at, now + LONGEST_USE))
