"""Carts of one store that get in by the same token: refused together, replaced together."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

from django.utils.crypto import salted_hmac

from carts.encryption import CredentialsUnreadable
from carts.models import Cart, Connection
from carts.outlets import carts_of_store
from carts.remote import store_key_of
from carts.signals import access_renewed


def token_key(connection: Connection) -> str:
    """The same for carts of one store with the same token, and nothing by which the token could be told. "" for systems
    whose carts have no token of their own. May raise ``CredentialsUnreadable``."""
    stored = connection.read_credentials()
    values = [str(stored.get(name) or "") for name in connection.connector_class.own_access]
    store = store_key_of(connection)
    if not store or not any(values):
        return ""
    told = json.dumps([store, *values])
    return f"token {salted_hmac('carts.shared_tokens', told, algorithm='sha256').hexdigest()}"


def others_with_token(connection: Connection) -> list[Cart]:
    """The merchant's other carts with the same token, by name."""
    key = key_or_none(connection) if connection.role == Connection.RoleChoices.CART else ""
    if not key:
        return []
    cart = connection if isinstance(connection, Cart) else Cart.objects.get(pk=connection.pk)
    return [other for other in carts_of_store(cart) if other.pk != cart.pk and key_or_none(other) == key]


def key_or_none(connection: Connection) -> str:
    try:
        return token_key(connection)
    except CredentialsUnreadable:
        return ""


def replace_token(carts: Iterable[Cart], credentials: Mapping[str, Any]) -> None:
    """Gives these carts the token of ``credentials`` too. They are to be tested again, and try at once."""
    for cart in carts:
        new = {name: credentials[name] for name in cart.connector_class.own_access}
        cart.credentials = {**cart.read_credentials(), **new}
        cart.tested_at, cart.test_ok, cart.test_steps = None, None, []
        cart.save(update_fields=["credentials", "tested_at", "test_ok", "test_steps", "updated_at"])
        access_renewed.send(Connection, connection=cart)
