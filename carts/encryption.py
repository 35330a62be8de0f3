"""Credentials at rest: JSON, encrypted with Fernet. The first key of CREDENTIALS_KEYS encrypts, all of them decrypt."""

from __future__ import annotations

import json
from functools import lru_cache
from typing import Any

from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.db import models


class CredentialsUnreadable(Exception):
    """No key in CREDENTIALS_KEYS opens the stored credentials."""


@lru_cache(maxsize=4)
def fernet(keys: tuple[str, ...]) -> MultiFernet:
    try:
        return MultiFernet([Fernet(key) for key in keys])
    except ValueError as error:
        raise ImproperlyConfigured(
            "CREDENTIALS_KEYS must hold one or more Fernet keys, separated by commas. "
            "`manage.py doctor` prints how to make one."
        ) from error


def encrypt(data: dict[str, Any]) -> str:
    return fernet(tuple(settings.CREDENTIALS_KEYS)).encrypt(json.dumps(data).encode()).decode()


def decrypt(token: str) -> dict[str, Any]:
    try:
        return dict(json.loads(fernet(tuple(settings.CREDENTIALS_KEYS)).decrypt(token.encode())))
    except InvalidToken:
        raise CredentialsUnreadable(
            "The stored credentials cannot be read with the keys in CREDENTIALS_KEYS. Put the old key back (after the "
            "new one), or enter the credentials again."
        ) from None


class SealedCredentials(dict[str, Any]):
    """Credentials as a dict that never shows its values."""

    def __repr__(self) -> str:
        return f"<credentials: {', '.join(sorted(self)) or 'none'}>"

    __str__ = __repr__


class EncryptedJSONField(models.TextField):
    """A dict kept encrypted. Opened only when a connector is built."""

    description = "Encrypted JSON object"

    def get_prep_value(self, value: Any) -> Any:
        if value is None or isinstance(value, str):
            return value
        return encrypt(dict(value)) if value else ""

    def from_db_value(self, value: Any, expression: Any, connection: Any) -> Any:
        return value

    def to_python(self, value: Any) -> Any:
        return value
