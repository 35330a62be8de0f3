"""Misbehaviour on request: what a sandbox does wrong with the next matching calls."""

from __future__ import annotations

import random
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from email.utils import format_datetime
from fnmatch import fnmatchcase
from typing import Final

from connectors.sandbox.wire import CHUNK_BYTES, Response

BIG_BODY_BYTES = 50 * 1024 * 1024

# What a fault may be besides an error status:
# answer_lost: the call is carried out, then the connection is closed without an answer.
# never_received: the connection is closed and nothing is carried out.
# cut_body: the call is carried out, half of the answer's body is sent, then the connection is closed.
# html: a sign-in page with status 200 instead of data; nothing is carried out.
# big_body: an endless-looking JSON answer of ``BIG_BODY_BYTES``, sent in chunks; nothing is carried out.
# delay: nothing but the delay.
FAULTS: Final = frozenset({"answer_lost", "never_received", "cut_body", "html", "big_body", "delay"})
RETRY_AFTER_FORMS: Final = frozenset({"date", "integer", "body"})

SIGN_IN_PAGE = """<!DOCTYPE html>
<html lang="en"><head><title>Sign in</title></head>
<body><h1>Sign in</h1><form method="post"><input name="username"><input name="password" type="password"></form></body>
</html>
"""


@dataclass(slots=True)
class Fault:
    """What happens to the next ``times`` calls that match, after the first ``after`` of them.

    ``match`` is ``METHOD /template``, or a pattern such as ``GET *``, or a bare template for any method; "" matches
    every call. ``times`` None means until the faults are cleared. ``accepted``: with a status, carry the call out first.
    """

    match: str
    times: int | None
    after: int
    status: int | None
    kind: str
    delay: float
    retry_after: str
    retry_after_seconds: int
    accepted: bool

    def matches(self, method: str, template: str) -> bool:
        if not self.match:
            return True
        called = f"{method} {template}" if " " in self.match else template
        return called == self.match or fnmatchcase(called, self.match)

    @property
    def carried_out(self) -> bool:
        """Does the call have its effect in spite of the fault?"""
        if self.status is not None:
            return self.accepted
        return self.kind not in ("never_received", "html", "big_body")

    def replacement(self, now: datetime) -> Response | None:
        """The answer given instead of the true one; None when the true one is given (or cut, or withheld)."""
        if self.status is not None:
            return self._error(now)
        if self.kind == "html":
            return Response.html(SIGN_IN_PAGE)
        if self.kind == "big_body":
            return Response(stream=big_body(BIG_BODY_BYTES))
        return None

    def _error(self, now: datetime) -> Response:
        status = self.status or 500
        body: dict[str, object] = dict(
            ERROR_BODIES.get(status, {"error": "Server Error", "message": "Try again later"})
        )
        headers: dict[str, str] = {}
        form = self.retry_after or ("date" if status == 429 else "")
        until = format_datetime(now + timedelta(seconds=self.retry_after_seconds), usegmt=True)
        if form == "date":
            headers["Retry-After"] = until
        elif form == "integer":
            headers["Retry-After"] = str(self.retry_after_seconds)
        elif form == "body":
            body["retry-after"] = until
        response = Response.json(body, status)
        response.headers.update(headers)
        return response


ERROR_BODIES: dict[int, dict[str, object]] = {
    400: {"errors": {"global": ["The request could not be understood."]}, "reference": "sandbox-fault"},
    401: {"error": "Unauthorized", "message": "The access token is not valid."},
    403: {"error": "Forbidden", "message": "The access token lacks a scope for this call."},
    404: {"error": "Not Found"},
    409: {"error": "Conflict"},
    422: {"errors": {"global": ["The record cannot be processed."]}, "reference": "sandbox-fault"},
    429: {"error": "Too Many Requests", "message": "Rate limiting enforced"},
}


def big_body(size: int) -> Iterator[bytes]:
    yield b'{"data":["'
    piece = b"x" * CHUNK_BYTES
    for _ in range(size // CHUNK_BYTES):
        yield piece
    yield b'"],"version":{"min":1,"max":2}}'


class FaultPlan:
    """The faults waiting for their calls, first come first served."""

    def __init__(self) -> None:
        self._faults: list[Fault] = []
        self._at_random: list[tuple[float, Fault]] = []
        self._dice = random.Random()
        self._lock = threading.Lock()

    def add(self, fault: Fault) -> None:
        if fault.kind and fault.kind not in FAULTS:
            raise ValueError(f"There is no fault {fault.kind!r}. Known: {', '.join(sorted(FAULTS))}.")
        if fault.retry_after and fault.retry_after not in RETRY_AFTER_FORMS:
            raise ValueError(
                f"retry_after is one of {', '.join(sorted(RETRY_AFTER_FORMS))}, not {fault.retry_after!r}."
            )
        with self._lock:
            self._faults.append(fault)

    def add_at_random(self, share: float, fault: Fault, seed: int | None = None) -> None:
        """This happens to ``share`` (0 to 1) of the calls that match and have no fault of their own."""
        with self._lock:
            if seed is not None:
                self._dice.seed(seed)
            self._at_random.append((share, fault))

    def clear(self) -> None:
        with self._lock:
            self._faults.clear()
            self._at_random.clear()

    def take(self, method: str, template: str) -> Fault | None:
        """The fault for this call, if any; uses up one of its times."""
        with self._lock:
            for fault in self._faults:
                if not fault.matches(method, template):
                    continue
                if fault.after > 0:
                    fault.after -= 1
                    continue
                if fault.times is not None:
                    fault.times -= 1
                    if fault.times <= 0:
                        self._faults.remove(fault)
                return fault
            throw = self._dice.random() if self._at_random else 0.0
            for share, fault in self._at_random:
                if not fault.matches(method, template):
                    continue
                if throw < share:
                    return fault
                throw -= share
        return None
