"""What can go wrong when talking to a remote system. The engine's behaviour depends on these types only.

Each class answers: retry or not, when, and who must act. ``str(error)`` is a sentence for people; ``fix`` says what to
do about it.
"""

from __future__ import annotations

from datetime import datetime


class ConnectorError(Exception):
    """Base of everything a connector raises on purpose."""

    kind = "error"
    default_fix = ""

    def __init__(self, message: str, *, fix: str = "", status: int | None = None, body: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.fix = fix or self.default_fix
        self.status = status
        self.body = body


class AuthenticationFailed(ConnectorError):
    """The remote refuses our credentials. Not retried until someone changes them; the merchant must act."""

    kind = "authentication"
    default_fix = "Enter a valid access token in the connection's settings, then click Test."


class PermissionMissing(AuthenticationFailed):
    """The credentials are valid but may not do this."""

    kind = "permission"
    default_fix = "Grant the missing permission to the access token at the remote system, then click Test."


class ConfigurationInvalid(ConnectorError):
    """A setting does not fit what the remote has (URL, outlet name, ...). The merchant must act; then it heals itself."""

    kind = "configuration"
    default_fix = "Correct the connection's settings, then click Test."


class RateLimited(ConnectorError):
    """Too many requests. The whole rate-limit group waits until ``retry_at`` (aware UTC). Never counts as an attempt."""

    kind = "rate_limited"
    default_fix = "Nothing to do: the hub waits as long as the remote asks and goes on by itself."

    def __init__(self, message: str, *, retry_at: datetime, fix: str = "", status: int | None = 429) -> None:
        super().__init__(message, fix=fix, status=status)
        self.retry_at = retry_at


class RemoteUnavailable(ConnectorError):
    """The remote cannot be reached or says it is in trouble, and has certainly **not** accepted anything. Retried."""

    kind = "unavailable"
    default_fix = (
        "Nothing to do now: the hub tries again by itself. If it lasts, check the remote system's status page."
    )


class OutcomeUnknown(ConnectorError):
    """A write was sent and no clear answer came back. Must be settled before it may be sent again."""

    kind = "outcome_unknown"
    default_fix = "Nothing to do: the hub asks the remote whether the request arrived before it sends again."


class ContractBroken(ConnectorError):
    """The answer cannot be read: HTML, cut JSON, too large, a missing field. Retried like an outage, and reported."""

    kind = "contract"
    default_fix = "Check the connection's URL. If it is right, report this to the makers of the connector."


class RecordRefused(ConnectorError):
    """The remote refuses this one request for good (400, 404, 409, 422). Not retried; a person must look."""

    kind = "refused"
    default_fix = "Correct the record, then reprocess it."


class Unsupported(ConnectorError):
    """The remote system has no such function."""

    kind = "unsupported"
