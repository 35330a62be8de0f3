"""Webhooks as they are sent: form-encoded, signed when the application has a secret, retried. Source: vend.md 7.

One background thread sends them in order. It can be made to repeat, lose and shuffle them.
"""

from __future__ import annotations

import hashlib
import hmac
import http.client
import random
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from urllib.parse import urlencode, urlsplit

from connectors.sandbox.wire import encode_json
from connectors.vend.sandbox_core import Record

ANSWER_WITHIN_SECONDS = 5.0
MOST_ATTEMPTS = 20
LONGEST_BACK_OFF = 64
KEPT_DELIVERIES = 20_000


@dataclass(slots=True)
class Attempt:
    """One try; ``status`` is 0 when there was no answer and ``error`` says why."""

    at: datetime
    status: int
    error: str = ""


@dataclass(slots=True)
class WebhookDelivery:
    """One webhook on its way. ``outcome``: waiting, delivered, given_up, lost."""

    type: str
    url: str
    payload: dict[str, Any]
    body: bytes
    headers: dict[str, str]
    attempts: list[Attempt] = field(default_factory=list)
    outcome: str = "waiting"
    due: float = 0.0

    @property
    def delivered(self) -> bool:
        return self.outcome == "delivered"


class WebhookSender:
    """Queue and thread. ``mode``: ``repeat`` copies of each, ``lose`` a share of them, ``shuffle`` their order.

    ``retry_seconds`` scales the back-off: the n-th repetition comes after ``retry_seconds * 2 ** n``, at most 64 times
    the scale.
    """

    def __init__(self, domain_prefix: str, now: Callable[[], datetime], seed: int) -> None:
        self.domain_prefix = domain_prefix
        self.now = now
        self.secret: str | None = None
        self.mode: dict[str, Any] = {"repeat": 1, "lose": 0.0, "shuffle": False}
        self.retry_seconds = 0.2
        self.deliveries: list[WebhookDelivery] = []
        self._random = random.Random(seed)
        self._waiting: list[WebhookDelivery] = []
        self._changed = threading.Condition()
        self._busy = 0
        self._thread: threading.Thread | None = None
        self._running = False

    def start(self) -> None:
        with self._changed:
            if self._running:
                return
            self._running = True
        self._thread = threading.Thread(target=self._run, name="sandbox-webhooks", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        with self._changed:
            self._running = False
            self._changed.notify_all()
        if self._thread:
            self._thread.join(ANSWER_WITHIN_SECONDS + 1)
            self._thread = None

    def enqueue(self, hook: Record, payload: dict[str, Any]) -> None:
        body = urlencode(
            {
                "payload": encode_json(payload).decode(),
                "domain_prefix": self.domain_prefix,
                "environment": "prod",
            }
        ).encode()
        headers = {"Content-Type": "application/x-www-form-urlencoded", "User-Agent": "Vend-Webhooks/1.0"}
        if self.secret is not None:
            digest = hmac.new(self.secret.encode(), body, hashlib.sha256).hexdigest()
            headers["X-Signature"] = f"signature={digest},algorithm=HMAC-SHA256"
        with self._changed:
            for _ in range(int(self.mode.get("repeat", 1))):
                delivery = WebhookDelivery(hook["type"], hook["url"], payload, body, headers, due=time.monotonic())
                self.deliveries.append(delivery)
                if self._random.random() < self.mode.get("lose", 0.0):
                    delivery.outcome = "lost"
                else:
                    self._waiting.append(delivery)
            if len(self.deliveries) > KEPT_DELIVERIES:
                del self.deliveries[: KEPT_DELIVERIES // 2]
            self._changed.notify_all()

    def flush(self, timeout: float = 10.0) -> bool:
        """Waits until nothing is waiting or under way. Returns False when that did not come about in time."""
        with self._changed:
            return self._changed.wait_for(lambda: not self._waiting and not self._busy, timeout)

    def forget(self) -> None:
        """Drops what is waiting, and the record of what was sent."""
        with self._changed:
            self._waiting.clear()
            self.deliveries.clear()
            self._changed.notify_all()

    def _next(self) -> WebhookDelivery | None:
        """The next delivery that is due; None when the thread shall end."""
        with self._changed:
            while self._running:
                clock = time.monotonic()
                due = [delivery for delivery in self._waiting if delivery.due <= clock]
                if due:
                    chosen = self._random.choice(due) if self.mode.get("shuffle") else due[0]
                    self._waiting.remove(chosen)
                    self._busy += 1
                    return chosen
                soonest = min((delivery.due for delivery in self._waiting), default=None)
                self._changed.wait(None if soonest is None else max(soonest - clock, 0.001))
            return None

    def _run(self) -> None:
        while (delivery := self._next()) is not None:
            status, error = post(delivery)
            with self._changed:
                self._busy -= 1
                delivery.attempts.append(Attempt(self.now(), status, error))
                if 200 <= status < 300:
                    delivery.outcome = "delivered"
                elif len(delivery.attempts) >= MOST_ATTEMPTS:
                    delivery.outcome = "given_up"
                else:
                    wait = self.retry_seconds * min(2 ** (len(delivery.attempts) - 1), LONGEST_BACK_OFF)
                    delivery.due = time.monotonic() + wait
                    self._waiting.append(delivery)
                self._changed.notify_all()


def post(delivery: WebhookDelivery) -> tuple[int, str]:
    """Sends once. Returns the status, or 0 and the reason."""
    target = urlsplit(delivery.url)
    kind = http.client.HTTPSConnection if target.scheme == "https" else http.client.HTTPConnection
    path = target.path or "/"
    if target.query:
        path = f"{path}?{target.query}"
    try:
        connection = kind(target.hostname or "", target.port, timeout=ANSWER_WITHIN_SECONDS)
        try:
            connection.request("POST", path, delivery.body, delivery.headers)
            answer = connection.getresponse()
            answer.read()
            return answer.status, ""
        finally:
            connection.close()
    except (OSError, http.client.HTTPException, ValueError) as error:
        return 0, f"{type(error).__name__}: {error}"
