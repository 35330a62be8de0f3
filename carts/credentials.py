"""What a connector is given to get in with."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.conf import settings

from carts.encryption import SealedCredentials
from carts.models import Connection


def credentials_of(connection: Connection) -> SealedCredentials:
    """The stored credentials, with the operator's app where there is none of their own. May raise
    ``CredentialsUnreadable``."""
    return SealedCredentials(with_operators_app(connection.connector, connection.read_credentials()))


def with_operators_app(connector: str, credentials: Mapping[str, Any]) -> dict[str, Any]:
    app = settings.OPERATORS_APPS.get(connector, {})
    return {**credentials, **({} if credentials.get("client_id") else app)}
