"""Authorising a connection: the way to the remote's consent page and back (OAuth 2.0, authorization code)."""

from __future__ import annotations

import secrets
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from django.conf import settings
from django.db import transaction
from django.utils import timezone

from carts.access_alerts import access_works
from carts.connection_test import TestReport, run_test
from carts.credential_store import authorised_users, authorization_key
from carts.credentials import credentials_of
from carts.models import Authorization, Connection
from carts.remote import open_connector
from carts.signals import access_renewed
from connectors.oauth import OAuthSource, TokenSet

# The session's part: state -> [connection, time]. A state is good once and for ten minutes.
SESSION_KEY = "authorisations"
STATE_SECONDS = 600
MOST_PENDING = 5
LONGEST_REASON = 200


class NotAuthorised(Exception):
    """Nothing came of it; ``str(error)`` says why and what to do. ``connection_id`` is None when it is not known."""

    def __init__(self, message: str, connection_id: int | None = None) -> None:
        super().__init__(message)
        self.connection_id = connection_id


@dataclass(frozen=True)
class Status:
    """What the connection's page shows. ``authorised`` is None as long as it uses an access token instead. ``others``
    use the same authorisation."""

    label: str
    authorised: Authorization | None
    others: tuple[str, ...] = ()

    @property
    def text(self) -> str:
        if self.authorised is None:
            return "not given yet"
        by = f" by {self.authorised.authorised_by}" if self.authorised.authorised_by else ""
        shared = f"; also used by {', '.join(self.others)}" if self.others else ""
        return f"given{by} on {self.authorised.authorised_at:%d %b %Y}{shared}"


def redirect_uri() -> str:
    return f"{settings.PUBLIC_URL}/oauth/callback/"


def status_of(connection: Connection) -> Status | None:
    """None for a connection that cannot be authorised: another kind of system, or no app is set up. May raise
    ``CredentialsUnreadable``."""
    if not issubclass(connection.connector_class, OAuthSource):
        return None
    credentials = credentials_of(connection)
    if not credentials.get("client_id"):
        return None
    if credentials.get("access_token"):
        return Status("Authorise", None)
    key = authorization_key(connection)
    authorised = Authorization.objects.filter(merchant_id=connection.merchant_id, key=key).first()
    if authorised is None:
        return Status("Authorise", None)
    return Status("Authorise again", authorised, tuple(str(other) for other in others_with(connection, key)))


def others_with(connection: Connection, key: str) -> list[Connection]:
    """Who else uses the tokens with this key."""
    return [other for other in authorised_users(connection.merchant_id, key) if other.pk != connection.pk]


def begin(session: Any, connection: Connection) -> tuple[str, list[tuple[str, str]]]:
    """(where to send the person, what the remote will be asked to allow). Raises ``ConnectorError`` or
    ``CredentialsUnreadable`` when the set-up does not allow it."""
    state = secrets.token_urlsafe(24)
    connector = open_connector(connection)
    try:
        if not isinstance(connector, OAuthSource):
            raise NotAuthorised(f"{connector.label} has no such thing as an authorisation.", connection.pk)
        url, permissions = connector.authorize_url(state, redirect_uri()), list(connector.permissions())
    finally:
        connector.close()
    pending = list(live_states(session).items())[-(MOST_PENDING - 1) :]
    session[SESSION_KEY] = dict([*pending, (state, [connection.pk, time.time()])])
    return url, permissions


def live_states(session: Any) -> dict[str, list[Any]]:
    oldest = time.time() - STATE_SECONDS
    return {state: entry for state, entry in session.get(SESSION_KEY, {}).items() if entry[1] >= oldest}


def claim_state(session: Any, params: Mapping[str, str]) -> int:
    """The connection for which this session asked. Uses the state up. Raises ``NotAuthorised``."""
    pending = live_states(session)
    entry = pending.pop(params.get("state", ""), None)
    if "error" in params:
        # A refusal may come without the state: then it is about what was asked for last.
        connection_id = entry[0] if entry else next((row[0] for row in reversed(pending.values())), None)
        session[SESSION_KEY] = pending
        raise NotAuthorised(refusal_in_words(params), connection_id)
    session[SESSION_KEY] = pending
    if entry is None:
        raise NotAuthorised(
            "This answer does not belong to an authorisation that you began here in the last ten minutes. Open the cart "
            "and click Authorise again."
        )
    return int(entry[0])


def refusal_in_words(params: Mapping[str, str]) -> str:
    if params["error"] == "access_denied":
        return "The access was not granted: someone clicked Cancel or may not allow it. Nothing has changed here."
    reason = (params.get("error_description") or params["error"])[:LONGEST_REASON]
    return f"The remote system refused the authorisation: {reason}. Nothing has changed here."


def finish(connection: Connection, params: Mapping[str, str], by: str) -> TestReport:
    """Exchanges the code, keeps the tokens and tests the connection with them. Raises ``ConnectorError`` or
    ``CredentialsUnreadable``; then everything is as before."""
    if not params.get("code"):
        raise NotAuthorised("The remote system sent no code. Click Authorise again.", connection.pk)
    connector = open_connector(connection)
    try:
        if not isinstance(connector, OAuthSource):
            raise NotAuthorised(f"{connector.label} has no such thing as an authorisation.", connection.pk)
        tokens = connector.exchange_code(params, redirect_uri())
    finally:
        connector.close()
    keep_authorization(connection, tokens, by)
    access_works(connection)
    report = run_test(connection)
    for one in (connection, *others_with(connection, authorization_key(connection))):
        access_renewed.send(Connection, connection=one)
    return report


def keep_authorization(connection: Connection, tokens: TokenSet, by: str) -> None:
    """From now on the connection works with these tokens, and so does every other one of the merchant with the same
    store and app; an access token entered earlier is forgotten."""
    now = timezone.now()
    with transaction.atomic(durable=True):
        stored = Connection.objects.select_for_update().get(pk=connection.pk)
        Authorization.objects.update_or_create(
            merchant_id=connection.merchant_id,
            key=authorization_key(connection),
            defaults={
                "tokens": tokens.as_json(),
                "holder": "",
                "held_until": None,
                "authorised_at": now,
                "authorised_by": by[:150],
                "renewed_at": now,
            },
        )
        credentials = {**stored.read_credentials(), "access_token": ""}
        Connection.objects.filter(pk=connection.pk).update(credentials=credentials, updated_at=now)
    connection.credentials = credentials
