"""OAuth 2.0 for any system: rotating tokens after a person's consent, or tokens that the connector asks for by itself
(client credentials); the store that keeps them, and a session that renews them.

A refresh token works once. Whoever renews must therefore be alone, and must keep the answer before anybody else tries:
that is the store's part (``CredentialStore``), which the hub lends through ``connectors.base.Environment``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from datetime import datetime, timedelta
from typing import Any, Protocol, runtime_checkable

from connectors.budget import utc_now
from connectors.errors import AuthenticationFailed, ConnectorError, PermissionMissing, RateLimited, RemoteUnavailable
from connectors.http import HttpResponse, HttpSession

# Tokens are renewed this long before they end, but never before nine tenths of their life are over.
LONGEST_MARGIN = timedelta(minutes=5)
SHARE_OF_LIFE = 10
# After a renewal that could have waited did not work out, the next one is tried so much later.
PAUSE_AFTER_FAILED_RENEWAL = timedelta(seconds=30)

NOT_AUTHORISED = "The hub is not authorised yet."
AUTHORISE = "Open the connection's page and click Authorise, then sign in at the remote system and agree."
CHECK_CLIENT = "Compare client ID and secret with those at the remote system, correct them here, then click Test."


@dataclass(frozen=True, slots=True, repr=False)
class TokenSet:
    """What one authorisation gave. ``renew_at``: from then on it is renewed before use. ``scope``: what it may do, "" =
    not told. ``account``: which store or company it is for, in the remote's words."""

    access_token: str
    refresh_token: str = ""
    expires_at: datetime | None = None
    renew_at: datetime | None = None
    scope: str = ""
    account: str = ""

    def __repr__(self) -> str:
        return f"<tokens for {self.account or 'an account'}, until {self.expires_at}>"

    def is_due(self, now: datetime) -> bool:
        return bool(self.refresh_token and self.renew_at and now >= self.renew_at)

    def is_over(self, now: datetime) -> bool:
        return bool(self.expires_at and now >= self.expires_at)

    def as_json(self) -> dict[str, str]:
        values = ((field.name, getattr(self, field.name)) for field in fields(self))
        return {name: value.isoformat() if isinstance(value, datetime) else value for name, value in values if value}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> TokenSet:
        values = {field.name: data[field.name] for field in fields(cls) if data.get(field.name)}
        for name in ("expires_at", "renew_at"):
            if name in values:
                values[name] = datetime.fromisoformat(values[name])
        return cls(**{"access_token": "", **values})


def life_of(now: datetime, lifetime: timedelta) -> tuple[datetime, datetime]:
    """(when it ends, when to renew it) of a token that lives so long from ``now``, both by our own clock."""
    expires_at = now + lifetime
    return expires_at, expires_at - min(LONGEST_MARGIN, lifetime / SHARE_OF_LIFE)


class CredentialStore(Protocol):
    """Where the tokens of one connection are kept. Safe to use from many processes at once."""

    def read(self) -> TokenSet | None:
        """The tokens as stored now, None before the first authorisation."""
        ...

    def renewed(self, stale: TokenSet, renew: Callable[[TokenSet], TokenSet]) -> TokenSet:
        """Tokens other than ``stale``. If somebody renewed them already, those; else ``renew`` is called, by one caller
        at a time, and what it gives is stored before anybody else may go on."""
        ...


@runtime_checkable
class OAuthSource(Protocol):
    """A connector with access by authorisation code. Works before there are any tokens."""

    def permissions(self) -> Sequence[tuple[str, str]]:
        """(scope, what it is for): what the remote is asked to allow."""
        ...

    def authorize_url(self, state: str, redirect_uri: str) -> str:
        """Where to send the person. Raises ``ConfigurationInvalid`` when no app is set up."""
        ...

    def exchange_code(self, params: Mapping[str, str], redirect_uri: str) -> TokenSet:
        """The tokens for the code that the remote sent back. ``params`` is everything it sent."""
        ...


class TokenKeeper:
    """The tokens of one session. The store is read when this is made, and later only to renew them. ``fix`` says what to
    do when the remote does not accept them."""

    fix = AUTHORISE

    def __init__(self, store: CredentialStore | None, renew: Callable[[TokenSet], TokenSet]) -> None:
        self._store = store
        self._renew = renew
        self._tokens = store.read() if store is not None else None
        self._leave_until: datetime | None = None

    def current(self) -> TokenSet:
        """Tokens that should work. Raises ``AuthenticationFailed`` when there are none or they cannot be renewed."""
        tokens, now = self._tokens, utc_now()
        if tokens is None or self._store is None:
            raise AuthenticationFailed(NOT_AUTHORISED, fix=AUTHORISE)
        if not tokens.is_due(now) or (self._leave_until and now < self._leave_until and not tokens.is_over(now)):
            return tokens
        try:
            return self.after(tokens)
        except (RemoteUnavailable, RateLimited):
            if tokens.is_over(now):
                raise
            self._leave_until = now + PAUSE_AFTER_FAILED_RENEWAL
            return tokens

    def after(self, refused: TokenSet) -> TokenSet:
        """Other tokens than those that the remote refused."""
        if self._store is None:
            raise AuthenticationFailed(NOT_AUTHORISED, fix=AUTHORISE)
        self._tokens = self._store.renewed(refused, self._renew)
        return self._tokens


class ClientCredentials(TokenKeeper):
    """Tokens that a connector asks for by itself. All workers share those that are stored. ``mark`` stands for the
    credentials that they are asked for with: tokens with another one are not used."""

    fix = CHECK_CLIENT

    def __init__(self, store: CredentialStore | None, ask: Callable[[], TokenSet], mark: str) -> None:
        super().__init__(store, lambda stale: replace(ask(), account=mark))
        self._mark = mark

    def current(self) -> TokenSet:
        """Tokens that should work."""
        tokens, now = self._tokens, utc_now()
        if tokens is None or tokens.account != self._mark or tokens.is_over(now):
            return self.after(tokens or TokenSet(access_token=""))
        if not (tokens.renew_at and now >= tokens.renew_at) or (self._leave_until and now < self._leave_until):
            return tokens
        try:
            return self.after(tokens)
        except (RemoteUnavailable, RateLimited):
            self._leave_until = now + PAUSE_AFTER_FAILED_RENEWAL
            return tokens

    def after(self, refused: TokenSet) -> TokenSet:
        if self._store is None:
            self._tokens = self._renew(refused)
            return self._tokens
        tokens = self._store.renewed(refused, self._renew)
        if tokens.account != self._mark or tokens.is_over(utc_now()):
            # Somebody's leftovers: from before the credentials were changed, or from long ago.
            tokens = self._store.renewed(tokens, self._renew)
        self._tokens = tokens
        return tokens


class AuthorizedSession(HttpSession):
    """A session whose token is renewed shortly before it ends, and once when the remote refuses it (401): the refused
    call was not carried out, so it is made again with the new token."""

    def __init__(self, base_url: str, *, keeper: TokenKeeper, **facts: Any) -> None:
        super().__init__(base_url, **facts)
        self.keeper = keeper

    def request(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, Any] | None = None,
        json: Any = None,
        form: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        reads_only: bool | None = None,
        accept: tuple[int, ...] = (),
    ) -> HttpResponse:
        def send(tokens: TokenSet) -> HttpResponse:
            return super(AuthorizedSession, self).request(
                method,
                path,
                params=params,
                json=json,
                form=form,
                headers={**(headers or {}), "Authorization": f"Bearer {tokens.access_token}"},
                reads_only=reads_only,
                accept=accept,
            )

        tokens = self.keeper.current()
        try:
            return send(tokens)
        except AuthenticationFailed as error:
            if isinstance(error, PermissionMissing):
                raise self._to_authorise(error) from None
        try:
            return send(self.keeper.after(tokens))
        except AuthenticationFailed as error:
            raise self._to_authorise(error) from None

    def _to_authorise(self, error: ConnectorError) -> ConnectorError:
        """The same error with what to do here: nobody can enter a token."""
        if error.fix == type(error).default_fix:
            error.fix = self.keeper.fix
        return error
