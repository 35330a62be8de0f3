"""The only way out: one session per connection with time-outs, bounded bodies, typed errors, rate limit and call log."""

from __future__ import annotations

import json as jsonlib
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from functools import cache
from ssl import SSLContext, create_default_context
from typing import Any, TypeVar
from urllib.parse import urlencode, urlsplit

import msgspec
import requests
from requests.adapters import DEFAULT_CA_BUNDLE_PATH, HTTPAdapter
from urllib3.exceptions import HTTPError as Urllib3Error
from urllib3.exceptions import ReadTimeoutError

from connectors.budget import Budget, utc_now
from connectors.errors import (
    AuthenticationFailed,
    ConnectorError,
    ContractBroken,
    OutcomeUnknown,
    PermissionMissing,
    RateLimited,
    RecordRefused,
    RemoteUnavailable,
)
from connectors.hosts import HostPolicy

USER_AGENT = "IntegrationManager/1.0"
CONNECT_TIMEOUT_SECONDS = 5.0
READ_TIMEOUT_SECONDS = 30.0
LARGEST_BODY_BYTES = 32 * 1024 * 1024
DEFAULT_RATE_LIMIT_WAIT = timedelta(seconds=30)
LONGEST_RATE_LIMIT_WAIT = timedelta(hours=6)
READ_ATTEMPTS = 2
PAUSE_BEFORE_SECOND_READ_SECONDS = 0.3

# Statuses after which a write may or may not have been carried out.
UNCERTAIN_STATUSES = {500, 502, 504, 520, 522, 524}

T = TypeVar("T")


@dataclass(slots=True)
class CallRecord:
    """One HTTP call as it happened. Headers and bodies are raw: whoever stores them masks them first
    (``connectors.redaction``)."""

    method: str
    url: str
    started_at: datetime
    attempt: int = 1
    request_headers: Mapping[str, str] = field(default_factory=dict)
    request_body: bytes = b""
    status: int | None = None
    response_headers: Mapping[str, str] = field(default_factory=dict)
    response_body: bytes = b""
    duration_ms: int = 0
    error: str = ""


CallLog = Callable[[CallRecord], None]


@dataclass(slots=True)
class HttpResponse:
    status: int
    headers: Mapping[str, str]
    body: bytes
    url: str

    def decode(self, kind: type[T]) -> T:
        """The JSON body as ``kind`` (a msgspec struct or plain type). Money comes out as ``Decimal`` where the struct
        says so. Raises ``ContractBroken``."""
        try:
            return msgspec.json.decode(self.body, type=kind, strict=False)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
            raise ContractBroken(
                f"{urlsplit(self.url).path} gave an answer that cannot be read: {describe_body(self.body, error)}",
                status=self.status,
                body=self.text(500),
            ) from error

    def text(self, limit: int = 2000) -> str:
        return self.body[:limit].decode("utf-8", "replace")


class HttpSession:
    """Requests to one remote system under one set of credentials.

    ``headers`` go with every call. ``budget`` is consulted before each call and corrected from ``limit_headers``
    (limit, remaining) after it. Not thread-safe: one session per thread.
    """

    def __init__(
        self,
        base_url: str,
        *,
        hosts: HostPolicy,
        budget: Budget,
        call_log: CallLog | None = None,
        headers: Mapping[str, str] | None = None,
        limit_headers: tuple[str, str] = ("X-RateLimit-Limit", "X-RateLimit-Remaining"),
        read_timeout: float = READ_TIMEOUT_SECONDS,
        connect_timeout: float = CONNECT_TIMEOUT_SECONDS,
        largest_body: int = LARGEST_BODY_BYTES,
    ) -> None:
        hosts.check(base_url)
        self.base_url = base_url.rstrip("/")
        self.hosts = hosts
        self.budget = budget
        self.call_log = call_log
        self.headers = {"User-Agent": USER_AGENT, "Accept": "application/json", **(headers or {})}
        self.limit_headers = limit_headers
        self.timeouts = (connect_timeout, read_timeout)
        self.largest_body = largest_body
        self.session = requests.Session()
        self.session.trust_env = False
        adapter = OneRemote()
        self.session.mount("https://", adapter)
        self.session.mount("http://", adapter)

    def close(self) -> None:
        self.session.close()

    def get(self, path: str, params: Mapping[str, Any] | None = None) -> HttpResponse:
        return self.request("GET", path, params=params)

    def request(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, Any] | None = None,
        json: Any = None,
        form: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        reads_only: bool | None = None,
        accept: tuple[int, ...] = (),
    ) -> HttpResponse:
        """One call. ``reads_only`` (default: the method is GET) allows a second try and makes every failure a plain
        ``RemoteUnavailable``; other calls raise ``OutcomeUnknown`` when they may have been carried out. ``accept``
        lists error statuses that are handed back instead of raised. Raises the types of ``connectors.errors``."""
        reads = method in ("GET", "HEAD") if reads_only is None else reads_only
        url = path if path.startswith(("http://", "https://")) else f"{self.base_url}/{path.lstrip('/')}"
        if params:
            url = f"{url}?{urlencode({k: v for k, v in params.items() if v is not None}, doseq=True)}"
        self.hosts.check(url)
        body, content_type = encode_body(json, form)
        sent_headers = {**self.headers, **({"Content-Type": content_type} if content_type else {}), **(headers or {})}
        attempts = READ_ATTEMPTS if reads else 1
        for attempt in range(1, attempts + 1):
            try:
                return self._call(method, url, sent_headers, body, reads, attempt, accept)
            except RemoteUnavailable:
                if attempt == attempts:
                    raise
                time.sleep(PAUSE_BEFORE_SECOND_READ_SECONDS)
        raise AssertionError("unreachable")

    def _call(
        self,
        method: str,
        url: str,
        headers: Mapping[str, str],
        body: bytes,
        reads: bool,
        attempt: int,
        accept: tuple[int, ...],
    ) -> HttpResponse:
        pause = self.budget.check(utc_now())
        if pause:
            time.sleep(pause)
        record = CallRecord(method, url, utc_now(), attempt, request_headers=headers, request_body=body)
        clock = time.perf_counter()
        try:
            response = self._send(method, url, headers, body, reads, record)
            self.budget.observe(*self._limits(response.headers), utc_now())
            error = None if response.status in accept else self.error_for(response, reads)
            if error is not None:
                raise error
            return response
        except ConnectorError as error:
            record.error = error.message
            if isinstance(error, RateLimited):
                self.budget.pause(error.retry_at)
            raise
        finally:
            record.duration_ms = round((time.perf_counter() - clock) * 1000)
            if self.call_log:
                self.call_log(record)

    def _send(
        self, method: str, url: str, headers: Mapping[str, str], body: bytes, reads: bool, record: CallRecord
    ) -> HttpResponse:
        host = urlsplit(url).netloc
        try:
            with self.session.request(
                method,
                url,
                data=body or None,
                headers=dict(headers),
                timeout=self.timeouts,
                allow_redirects=False,
                stream=True,
            ) as answer:
                record.status = answer.status_code
                record.response_headers = dict(answer.headers)
                record.response_body = self._read_body(answer, host)
                return HttpResponse(answer.status_code, answer.headers, record.response_body, url)
        except ContractBroken as error:
            if reads:
                raise
            raise OutcomeUnknown(error.message) from error
        except requests.exceptions.SSLError as error:
            raise RemoteUnavailable(f"{host}: the TLS certificate cannot be verified ({error}).") from error
        except requests.exceptions.ConnectTimeout as error:
            raise RemoteUnavailable(f"{host} did not accept a connection within {self.timeouts[0]:g} s.") from error
        except (requests.exceptions.ReadTimeout, ReadTimeoutError) as error:
            raise self._lost(reads, f"{host} did not answer within {self.timeouts[1]:g} s.") from error
        except requests.exceptions.ConnectionError as error:
            if never_sent(error):
                raise RemoteUnavailable(f"{host} cannot be reached: {plain_reason(error)}.") from error
            raise self._lost(reads, f"{host} closed the connection before it answered.") from error
        except (requests.exceptions.RequestException, Urllib3Error, OSError) as error:
            raise self._lost(reads, f"The answer of {host} was cut off: {plain_reason(error)}.") from error

    def _read_body(self, answer: requests.Response, host: str) -> bytes:
        limit = self.largest_body
        declared = answer.headers.get("Content-Length", "")
        if declared.isdigit() and int(declared) > limit:
            raise ContractBroken(f"{host} wants to send {int(declared):,} bytes; the hub takes {limit:,} at most.")
        body: bytes = answer.raw.read(limit + 1, decode_content=True)
        if len(body) > limit:
            raise ContractBroken(f"{host} sent more than {limit:,} bytes; the hub stopped reading.")
        return body

    @staticmethod
    def _lost(reads: bool, message: str) -> ConnectorError:
        return RemoteUnavailable(message) if reads else OutcomeUnknown(message)

    def _limits(self, headers: Mapping[str, str]) -> tuple[int | None, int | None]:
        limit, remaining = (headers.get(name, "").strip() for name in self.limit_headers)
        return (int(limit) if limit.isdigit() else None, int(remaining) if remaining.isdigit() else None)

    def error_for(self, response: HttpResponse, reads: bool) -> ConnectorError | None:
        """The typed error for an answer, None when it is a good one. Sub-classes may override single statuses."""
        status = response.status
        if 200 <= status < 300:
            return None
        path = urlsplit(response.url).path
        reason = remote_reason(response)
        if status == 429:
            until = retry_time(response, utc_now())
            return RateLimited(
                f"Too many requests; the remote asks to wait until {until:%H:%M:%S} UTC.", retry_at=until
            )
        if 300 <= status < 400:
            return ContractBroken(f"{path} redirects elsewhere ({status}): the URL or domain is wrong.", status=status)
        if status == 401:
            return AuthenticationFailed(f"The remote does not accept the access token{reason}.", status=status)
        if status == 403:
            return PermissionMissing(f"The access token may not use {path}{reason}.", status=status)
        if status >= 500 or status == 408:
            if not reads and status in UNCERTAIN_STATUSES:
                return OutcomeUnknown(f"{path} failed with status {status}{reason}.", status=status)
            return RemoteUnavailable(f"{path} failed with status {status}{reason}.", status=status)
        return RecordRefused(f"{path} was refused with status {status}{reason}.", status=status, body=response.text())


class OneRemote(HTTPAdapter):
    """One connection at a time to one remote, which trusts the same roots as requests does. They are read once per process:
    requests reads them for every connection, which takes longer than a whole call."""

    def __init__(self) -> None:
        super().__init__(pool_connections=1, pool_maxsize=1, max_retries=0)

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        super().init_poolmanager(*args, ssl_context=trusted_roots(), **kwargs)

    def cert_verify(self, conn: Any, url: str, verify: Any, cert: Any) -> None:
        """Nothing to prepare: the context of the pool verifies."""
        conn.cert_reqs = "CERT_REQUIRED"


@cache
def trusted_roots() -> SSLContext:
    return create_default_context(cafile=DEFAULT_CA_BUNDLE_PATH)


def encode_body(json: Any, form: Mapping[str, str] | None) -> tuple[bytes, str]:
    if json is not None:
        return msgspec.json.encode(json), "application/json"
    if form is not None:
        return urlencode(form).encode(), "application/x-www-form-urlencoded"
    return b"", ""


def retry_time(response: HttpResponse, now: datetime) -> datetime:
    """When to go on after a 429: header date (RFC 1123), header seconds, ``retry-after`` in the body, else 30 s. A date
    counts from the answer's own ``Date``, so that clocks need not agree."""
    told = response.headers.get("Retry-After", "") or body_value(response.body, ("retry-after", "retry_after"))
    wait = parse_retry_after(told, remote_time(response) or now) or DEFAULT_RATE_LIMIT_WAIT
    return now + min(max(wait, timedelta(seconds=1)), LONGEST_RATE_LIMIT_WAIT)


def remote_time(response: HttpResponse) -> datetime | None:
    """The time at which the remote says it answered."""
    try:
        moment = parsedate_to_datetime(response.headers.get("Date", ""))
    except (ValueError, TypeError):
        return None
    return moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)


def parse_retry_after(told: str, now: datetime) -> timedelta | None:
    told = told.strip()
    if not told:
        return None
    try:
        return timedelta(seconds=float(told))
    except (ValueError, OverflowError):
        pass
    for parse in (parsedate_to_datetime, datetime.fromisoformat):
        try:
            until = parse(told)
        except (ValueError, TypeError):
            continue
        if until.tzinfo is None:
            until = until.replace(tzinfo=UTC)
        return until - now
    return None


def body_value(body: bytes, names: tuple[str, ...]) -> str:
    """The first of the named top-level values of a JSON object body, as text; "" if there is none."""
    try:
        data = jsonlib.loads(body)
    except (ValueError, RecursionError):
        return ""
    if isinstance(data, dict):
        for name in names:
            if data.get(name) not in (None, ""):
                return str(data[name])
    return ""


def remote_reason(response: HttpResponse) -> str:
    """The remote's own words about an error, as an addition to our sentence ("": it gave none)."""
    told = body_value(response.body, ("message", "error_description", "errors", "error", "details"))
    return f": {told[:300].rstrip('. ')}" if told else ""


def describe_body(body: bytes, error: Exception) -> str:
    start = body[:200].lstrip().lower()
    if start.startswith((b"<!doctype", b"<html", b"<")):
        return "it is a web page, not data. The URL or domain is probably wrong."
    if not body:
        return "it is empty."
    return f"{error} (the first bytes are {body[:80]!r})"


def never_sent(error: requests.exceptions.ConnectionError) -> bool:
    """True when the connection could not even be opened, so that nothing was sent."""
    text = repr(error)
    return "NewConnectionError" in text or "NameResolutionError" in text or "ConnectTimeout" in text


def plain_reason(error: Exception) -> str:
    text = str(error)
    for needle, words in (
        ("Connection refused", "connection refused"),
        ("Name or service not known", "the host name is not known"),
        ("Temporary failure in name resolution", "the host name cannot be looked up"),
        ("No address associated", "the host name has no address"),
        ("timed out", "it timed out"),
        ("is no address on the public internet", "its name leads to no address on the public internet"),
        ("IncompleteRead", "fewer bytes than announced"),
        ("Connection broken", "the connection broke"),
    ):
        if needle in text:
            return words
    return text[:200]
