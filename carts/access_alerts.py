"""One alert for each access that is gone, however many functions and carts it stops; closed once it works again."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

from django.db.models import Q

from carts.alerting import close, raise_alert
from carts.credential_store import authorised_users, authorization_key, uses_authorisation
from carts.credentials import credentials_of
from carts.encryption import CredentialsUnreadable
from carts.models import Alert, Connection
from carts.shared_tokens import others_with_token, token_key
from connectors.oauth import OAuthSource

REFUSED, UNREADABLE = "authentication", "credentials"
KINDS = (REFUSED, UNREADABLE)
MOST_NAMES = 8


def access_is_gone(connection: Connection, kind: str, message: str, fix: str, times: int = 1) -> None:
    """The remote refused the access (``REFUSED``), or no key opens it here (``UNREADABLE``)."""
    concerned = [connection] if kind == UNREADABLE else sharers_of(connection)
    raise_alert(
        connection.merchant,
        kind,
        access_key(connection),
        f"{in_words(concerned)}: {message}",
        fix=fix,
        link=access_link(connection),
        connection=connection,
        times=times,
    )


def access_works(connection: Connection) -> int:
    """It has just been used, or given anew. Closes the alert of whoever shares it. Returns how many were closed."""
    own = Q(connection_id=connection.pk) | Q(key=access_key(connection))
    return close(Alert.objects.filter(own, merchant_id=connection.merchant_id, kind__in=KINDS))


def access_is_known_to_be_gone(connection: Connection) -> bool:
    """Does an alert say so already?"""
    own = Q(connection_id=connection.pk) | Q(key=access_key(connection))
    alerts = Alert.objects.filter(own, merchant_id=connection.merchant_id, kind__in=KINDS)
    return alerts.exclude(status=Alert.Status.RESOLVED).exists()


def access_key(connection: Connection) -> str:
    """The same for all connections with one authorisation or one token, and no longer than an alert's key may be."""
    shared = shared_key(connection)
    if not shared:
        return f"connection {connection.pk}"
    return shared if len(shared) <= 200 else hashlib.sha256(shared.encode()).hexdigest()


def shared_key(connection: Connection) -> str:
    """The key of the authorisation or the token that the connection works with; "" for other kinds of access."""
    try:
        return authorization_key(connection) if uses_authorisation(connection) else token_key(connection)
    except CredentialsUnreadable:
        return ""


def sharers_of(connection: Connection) -> list[Connection]:
    """Who is switched on and gets in by the same access, this connection included."""
    try:
        if uses_authorisation(connection):
            users = authorised_users(connection.merchant_id, authorization_key(connection))
        else:
            users = sorted([connection, *others_with_token(connection)], key=str)
    except CredentialsUnreadable:
        return [connection]
    return [user for user in users if user.is_active or user.pk == connection.pk] or [connection]


def in_words(connections: Sequence[Connection]) -> str:
    """``A``, ``A and B``, ``A, B and 7 more``."""
    names = [str(connection) for connection in connections]
    if len(names) > MOST_NAMES + 1:
        names = [*names[:MOST_NAMES], f"{len(names) - MOST_NAMES} more"]
    *first, last = names
    return f"{', '.join(first)} and {last}" if first else last


def access_link(connection: Connection) -> str:
    """Where a person gives the hub access again: the way to the consent page, or the place where the token is entered."""
    page = f"/admin/carts/{connection.role}/{connection.pk}"
    return f"{page}/authorise/" if is_authorised_by_people(connection) else f"{page}/settings/#credentials"


def is_authorised_by_people(connection: Connection) -> bool:
    try:
        return (
            issubclass(connection.connector_class, OAuthSource)
            and uses_authorisation(connection)
            and bool(credentials_of(connection).get("client_id"))
        )
    except CredentialsUnreadable:
        return False
