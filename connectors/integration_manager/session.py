"""HTTP as the API speaks it: Basic access, and errors that arrive with status 200 (sections B.2, B.5 and B.6)."""

from __future__ import annotations

import base64
import re
from datetime import timedelta
from urllib.parse import urlsplit

from connectors.budget import Budget, utc_now
from connectors.errors import (
    AuthenticationFailed,
    ConnectorError,
    ContractBroken,
    OutcomeUnknown,
    RateLimited,
    RecordRefused,
    RemoteUnavailable,
)
from connectors.http import HttpResponse, HttpSession
from connectors.integration_manager.shapes import NOTHING, Envelope, Unreadable, flag, read, text, value_of

# The leaky bucket: so many calls at once, and one more after each refill time.
BUCKET = 100
REFILL_SECONDS = 0.6
REMAINING_HEADER = "X-CartRover-Api-Minute-Hits-Remaining"
PROCESS_HEADER = "X-CartRover-Process-ID"
# An empty bucket names no time. Half of it is there again after this long.
WAIT_FOR_BUCKET = timedelta(seconds=30)

# What a refusal with status 200 may say when it is not the request that is wrong. The codes are too coarse to tell.
ACCESS_WORDS = re.compile(
    r"api[ _]?(key|user)|credential|authenticat|authori[sz]|not allowed|permission|access denied|log ?in", re.IGNORECASE
)
PASSING_WORDS = re.compile(
    r"try again|temporar|time[d ]?-? ?out|unavailable|maintenance|internal (server )?error|deadlock", re.IGNORECASE
)

ACCESS_FIX = (
    "Copy API user and API key again from Integration Manager (Carts > the API Access cart) into the warehouse's settings, "
    "then click Test. A key that was generated anew makes the old one invalid at once."
)


def bucket(budget: Budget) -> Budget:
    """The budget, told what the remote's headers leave out: how much the bucket holds, and how soon it is full."""
    budget.limit = BUCKET
    budget.window = timedelta(seconds=BUCKET * REFILL_SECONDS)
    return budget


def basic(user: str, key: str) -> dict[str, str]:
    return {"Authorization": "Basic " + base64.b64encode(f"{user}:{key}".encode()).decode()}


class CartRoverSession(HttpSession):
    """Every answer is looked at for ``success_code`` before it is handed on."""

    def error_for(self, response: HttpResponse, reads: bool) -> ConnectorError | None:
        error = super().error_for(response, reads)
        if isinstance(error, AuthenticationFailed):
            error.fix = ACCESS_FIX
        if error is not None and not isinstance(error, RecordRefused):
            return error
        if error is None:
            return application_error(response, reads)
        # An error status that brings the usual envelope is judged by it.
        try:
            told = read(response.body, Envelope)
        except Unreadable:
            return error
        return refusal(response, told) if reason_of(told) else error


def application_error(response: HttpResponse, reads: bool) -> ConnectorError | None:
    """The typed error in an answer with a good status, None when it is a success."""
    path = urlsplit(response.url).path
    try:
        told = response.decode(Envelope)
    except ContractBroken as error:
        return error if reads else OutcomeUnknown(error.message, status=error.status, body=error.body)
    if told.success_code == NOTHING:
        message = f"{path} answered neither success nor failure."
        kind = ContractBroken if reads else OutcomeUnknown
        return kind(message, status=response.status, body=response.text(500))
    if flag(told.success_code) or reports_each(told):
        return None
    return refusal(response, told)


def reports_each(told: Envelope) -> bool:
    """Does a failed batch say what became of each order? Then it is for the caller to read."""
    try:
        answer = value_of(told.response)
    except Unreadable:
        return False
    return isinstance(answer, dict) and ("failed" in answer or "success" in answer)


def refusal(response: HttpResponse, told: Envelope) -> ConnectorError:
    """What ``success_code: false`` means."""
    path = urlsplit(response.url).path
    code, reason = text(told.error_code), reason_of(told) or "no reason given"
    words = f"Integration Manager refused {path}: {reason}{process_of(response)}"
    if code.casefold() == "ratelimit" or "over api limit" in reason.casefold():
        until = utc_now() + WAIT_FOR_BUCKET
        return RateLimited(
            f"Too many requests; the hub waits until {until:%H:%M:%S} UTC.", retry_at=until, status=response.status
        )
    if ACCESS_WORDS.search(reason):
        return AuthenticationFailed(words, fix=ACCESS_FIX, status=response.status)
    if PASSING_WORDS.search(reason):
        return RemoteUnavailable(words, status=response.status)
    return RecordRefused(words, status=response.status, body=response.text())


def reason_of(told: Envelope) -> str:
    """The remote's own words, from whichever of the three forms it used."""
    reason = text(told.message) or text(told.status_message)
    if reason:
        return reason
    details = value_of(told.error_response)
    if isinstance(details, list):
        return "; ".join(str(detail) for detail in details)
    return str(details) if details else text(told.error_code)


def process_of(response: HttpResponse) -> str:
    """The number under which the remote's support finds the call."""
    number = response.headers.get(PROCESS_HEADER, "")
    return f" (process {number})" if number else ""
