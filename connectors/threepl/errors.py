"""What 3PL Warehouse Manager refuses, in its own codes, and what only this connector can run into."""

from __future__ import annotations

from typing import Any

from connectors.errors import ConnectorError, PermissionMissing, RecordRefused
from connectors.http import HttpResponse
from connectors.threepl.wire import decoded, folded, rows_of

# Error codes that speak of the user's roles, not of the record, come with the same status as those that do.
PERMISSION_WORDS = ("permission", "access", "role", "authoriz", "forbidden")

GRANT = (
    "Ask the warehouse to give the client the roles it lacks (orders, items, inventory, customers), then click Test."
)


class Unreadable(ValueError):
    """One record cannot be read or mapped; ``str(error)`` says why, for a person. It becomes a reject of its page."""


class Refusal(RecordRefused):
    """A request refused with an error code. ``values``: what the answer names, (property, value)."""

    def __init__(self, message: str, *, code: str, values: list[tuple[str, str]], status: int, body: str) -> None:
        super().__init__(message, status=status, body=body)
        self.code = code
        self.values = values


class Stale(RecordRefused):
    """The record changed after it was read: read it again, then decide anew."""


def refusal_in(response: HttpResponse) -> ConnectorError | None:
    """The error that an answer's own words make, None when it has none that are known."""
    try:
        data = folded(decoded(response))
    except ConnectorError:
        return None
    # Several models at fault come as a list; the first one is told.
    first = next(iter(rows_of(data)), data) if isinstance(data, list) else data
    code = first.get("errorcode") if isinstance(first, dict) else None
    if not isinstance(first, dict) or not isinstance(code, str):
        return None
    values = values_in(first)
    named = ", ".join(f"{name} {value}".strip() for name, value in values)
    words = " ".join(part for part in (code, f"({named})" if named else "") if part)
    message = f"{words}: {first['hint']}" if first.get("hint") else f"{words}."
    if response.status == 403 and any(word in code.lower() for word in PERMISSION_WORDS):
        return PermissionMissing(f"3PL Warehouse Manager does not allow it: {message}", fix=GRANT, status=403)
    return Refusal(message, code=code, values=values, status=response.status, body=response.text())


def values_in(data: dict[str, Any]) -> list[tuple[str, str]]:
    found = []
    for row in data.get("properties") or ():
        if isinstance(row, dict):
            found.append((str(row.get("name") or ""), str(row.get("value") or "")))
    return found
