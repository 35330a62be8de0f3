"""Tokens in the database, renewed by one process at a time.

A lease in the row says who renews. No lock or transaction is open while the remote is asked, so nothing else waits for
it, on SQLite as on PostgreSQL. What the remote gives is stored before the lease ends. A process that dies in the middle
loses its lease after ``LEASE``; if it died after the remote had already exchanged the tokens, the old ones are refused,
and a person has to authorise again.
"""

from __future__ import annotations

import logging
import secrets
import threading
import time
from collections.abc import Callable
from datetime import timedelta
from functools import cached_property
from typing import Any

from django.db import InterfaceError, OperationalError, connection, transaction
from django.db.models import Q, QuerySet
from django.utils import timezone

from carts.credentials import credentials_of
from carts.encryption import CredentialsUnreadable, decrypt
from carts.models import Authorization, Connection
from connectors.errors import AuthenticationFailed, RemoteUnavailable
from connectors.oauth import AUTHORISE, NOT_AUTHORISED, OAuthSource, TokenSet
from connectors.registry import all_connectors
from connectors.settings_fields import SettingErrors

logger = logging.getLogger(__name__)

# Longer than one HTTP call can take.
LEASE = timedelta(seconds=60)
PATIENCE = timedelta(seconds=90)
LOOK_AGAIN_SECONDS = 0.05
TRIES_TO_KEEP = 5
PAUSE_BETWEEN_TRIES_SECONDS = 1.0


class StoredTokens:
    """The ``connectors.oauth.CredentialStore`` of all connections with the same key."""

    def __init__(self, merchant_id: int, key: str) -> None:
        self.place = {"merchant_id": merchant_id, "key": key}

    @cached_property
    def rows(self) -> QuerySet[Authorization]:
        return Authorization.objects.filter(**self.place)

    def read(self) -> TokenSet | None:
        sealed = self._sealed()
        return opened(sealed) if sealed else None

    def renewed(self, stale: TokenSet, renew: Callable[[TokenSet], TokenSet]) -> TokenSet:
        try:
            return self._renewed(stale, renew)
        finally:
            if threading.current_thread() is not threading.main_thread() and not connection.in_atomic_block:
                # A thread that fetches pages has no end of request at which Django would give the connection back.
                connection.close()

    def _renewed(self, stale: TokenSet, renew: Callable[[TokenSet], TokenSet]) -> TokenSet:
        me = secrets.token_hex(16)
        last_look = time.monotonic() + PATIENCE.total_seconds()
        while True:
            current = self._present()[1]
            if current.access_token != stale.access_token:
                return current
            if self._take_lease(me):
                break
            if time.monotonic() > last_look:
                raise RemoteUnavailable("Another process has been renewing the hub's access for too long.")
            time.sleep(LOOK_AGAIN_SECONDS)
        try:
            return self._renew(stale, renew)
        finally:
            self._update(self.rows.filter(holder=me), holder="", held_until=None)

    def _renew(self, stale: TokenSet, renew: Callable[[TokenSet], TokenSet]) -> TokenSet:
        """With the lease in our hands."""
        sealed, current = self._present()
        if current.access_token != stale.access_token:
            return current
        try:
            fresh = renew(current)
        except AuthenticationFailed:
            # Someone who lost the lease may have been at it still, or a person authorised anew.
            newest = self._present()[1]
            if newest.access_token == current.access_token:
                raise
            return newest
        return fresh if self._keep(sealed, fresh) else self._present()[1]

    def _keep(self, sealed: str, fresh: TokenSet) -> bool:
        """Stores the tokens in place of those that were renewed. False when these are not there any more. The remote
        has forgotten the old ones, so a database in trouble is tried again."""
        for attempt in range(1, TRIES_TO_KEEP + 1):
            try:
                return self._update(
                    self.rows.filter(tokens=sealed),
                    tokens=fresh.as_json(),
                    holder="",
                    held_until=None,
                    renewed_at=timezone.now(),
                )
            except (OperationalError, InterfaceError):
                if attempt == TRIES_TO_KEEP:
                    raise
                logger.warning("renewed tokens could not be stored, trying again")
                connection.close()
                time.sleep(PAUSE_BETWEEN_TRIES_SECONDS)
        raise AssertionError("unreachable")

    def _take_lease(self, me: str) -> bool:
        now = timezone.now()
        free = self.rows.filter(Q(holder="") | Q(held_until__lt=now))
        return self._update(free, holder=me, held_until=now + LEASE)

    @staticmethod
    def _update(rows: Any, **values: Any) -> bool:
        # Durable: it must hold whatever happens to the caller's work, so it must not be a part of a transaction.
        with transaction.atomic(durable=True):
            return bool(rows.update(**values))

    def _sealed(self) -> str:
        return self.rows.values_list("tokens", flat=True).first() or ""

    def _present(self) -> tuple[str, TokenSet]:
        """(the tokens as they lie in the database, the same opened)."""
        sealed = self._sealed()
        if not sealed:
            raise AuthenticationFailed(NOT_AUTHORISED, fix=AUTHORISE)
        return sealed, opened(sealed)


class OwnTokens(StoredTokens):
    """The store of a connector that asks for its tokens by itself: there need not be any yet."""

    def _renewed(self, stale: TokenSet, renew: Callable[[TokenSet], TokenSet]) -> TokenSet:
        if not self._sealed():
            now = timezone.now()
            nothing = {"tokens": {"access_token": ""}, "authorised_at": now, "renewed_at": now}
            # As durable as ``_update``: the lease is taken on this row.
            with transaction.atomic(durable=True):
                Authorization.objects.get_or_create(**self.place, defaults=nothing)
        return super()._renewed(stale, renew)


def store_of(connection: Connection) -> StoredTokens | None:
    """Where this connection's tokens are kept; None when its connector has none."""
    kind = connection.connector_class
    if kind.keeps_tokens:
        return OwnTokens(connection.merchant_id, authorization_key(connection))
    if issubclass(kind, OAuthSource):
        return StoredTokens(connection.merchant_id, authorization_key(connection))
    return None


def authorization_key(connection: Connection) -> str:
    """Which tokens a connection uses: those for its store and its app, or its own where stores cannot be told apart. Other
    settings lead to other tokens, so none are ever shown to a store they are not for."""
    kind = connection.connector_class
    try:
        store = kind.store_key(kind.Options.parse(connection.options))
        app = credentials_of(connection).get("client_id") or ""
    except (SettingErrors, CredentialsUnreadable):
        store = ""
    return f"{store} {app}" if store else f"connection {connection.pk}"


def users_of(merchant_id: int, key: str) -> list[Connection]:
    """The connections that use these tokens, or would if they had no access token of their own."""
    able = [kind.key for kind in all_connectors() if kind.keeps_tokens or issubclass(kind, OAuthSource)]
    candidates = Connection.objects.filter(merchant_id=merchant_id, connector__in=able).order_by("name")
    return [connection for connection in candidates if authorization_key(connection) == key]


def uses_authorisation(connection: Connection) -> bool:
    """Does it work with stored tokens, or with an access token of its own? May raise ``CredentialsUnreadable``."""
    kind = connection.connector_class
    if not (kind.keeps_tokens or issubclass(kind, OAuthSource)):
        return False
    return not connection.read_credentials().get("access_token")


def authorised_users(merchant_id: int, key: str) -> list[Connection]:
    """The connections that use these tokens now, by name."""
    return [connection for connection in users_of(merchant_id, key) if uses_authorisation(connection)]


def forget_unused(sender: type, instance: Connection, **kwargs: object) -> None:
    """When a connection was deleted: tokens that nobody uses any more go with it."""
    key = authorization_key(instance)
    if not users_of(instance.merchant_id, key):
        Authorization.objects.filter(merchant_id=instance.merchant_id, key=key).delete()


def opened(sealed: str) -> TokenSet:
    """Raises ``CredentialsUnreadable`` when no key opens them."""
    return TokenSet.from_json(decrypt(sealed))
