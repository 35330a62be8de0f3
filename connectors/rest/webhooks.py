"""Webhooks to the WMS: signed, so that it can tell who sent them, and numbered, so that it can drop duplicates."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from urllib.parse import urlsplit

import msgspec

from connectors.budget import utc_now
from connectors.http import CallLog, HttpResponse
from connectors.public_http import public_session

SIGNATURE_HEADER = "Hub-Signature"
ID_HEADER, TOPIC_HEADER, ATTEMPT_HEADER = "Hub-Event-Id", "Hub-Topic", "Hub-Attempt"
TEST_TOPIC = "test"


@dataclass(frozen=True, slots=True, kw_only=True)
class OutgoingWebhook:
    """``body``: the JSON text exactly as it is sent, every time the same."""

    event_id: str
    topic: str
    body: str
    attempt: int = 1


def signature(secrets: Sequence[str], at: datetime, body: bytes) -> str:
    """``t=1764550000,v1=...``: HMAC-SHA256 over the time, a dot and the body. During a change of secrets there is a ``v1``
    for each of them."""
    time = str(int(at.timestamp()))
    signed = time.encode() + b"." + body
    return ",".join(
        [f"t={time}", *(f"v1={hmac.new(one.encode(), signed, hashlib.sha256).hexdigest()}" for one in secrets)]
    )


class WebhookSender:
    """Sends to one address. Not thread-safe. Raises ``ConfigurationInvalid`` for an address that the hub does not talk to."""

    def __init__(
        self, url: str, secrets: Sequence[str], *, extra_hosts: frozenset[str], call_log: CallLog | None = None
    ) -> None:
        self.url = url
        self.secrets = secrets
        self.session = public_session(url, extra_hosts=extra_hosts, call_log=call_log)

    def send(self, webhook: OutgoingWebhook) -> HttpResponse:
        """Raises the types of ``connectors.errors`` for every answer but a 2xx."""
        body = webhook.body.encode()
        headers = {
            SIGNATURE_HEADER: signature(self.secrets, utc_now(), body),
            ID_HEADER: webhook.event_id,
            TOPIC_HEADER: webhook.topic,
            ATTEMPT_HEADER: str(webhook.attempt),
        }
        return self.session.request("POST", self.url, json=msgspec.Raw(body), headers=headers)

    def close(self) -> None:
        self.session.close()


def problem_of_address(url: str) -> str:
    """What is wrong with an address as a person entered it; "" when it can be one."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        return "This is no web address."
    if parts.scheme not in ("https", "http") or not parts.hostname:
        return "Enter the whole address, beginning with https://."
    if parts.username or parts.password:
        return "Leave user and password out: webhooks are signed instead."
    if parts.fragment or any(sign.isspace() for sign in url):
        return "Leave out spaces and everything from # on."
    if parts.scheme == "http" and port is None:
        return "Enter an address that begins with https://."
    return ""
