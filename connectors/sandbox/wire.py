"""HTTP/1.1 as the sandboxes speak it: one request read, one answer written, over a kept-alive socket.

Only what a well-behaved client sends: a request line, headers, and a body of known length or in chunks.
"""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from email.utils import format_datetime
from http import HTTPStatus
from io import BufferedIOBase
from typing import Any
from urllib.parse import parse_qs, parse_qsl, unquote, urlsplit

import msgspec

LONGEST_LINE = 65_536
LARGEST_REQUEST_BODY = 64 * 1024 * 1024
CHUNK_BYTES = 65_536

JSON_TYPE = "application/json; charset=utf-8"
HTML_TYPE = "text/html; charset=UTF-8"

# Numbers with a fraction become Decimal, and Decimal becomes a number again: 2.63158 stays 2.63158.
encode_json = msgspec.json.Encoder(decimal_format="number").encode
_decoder = msgspec.json.Decoder(float_hook=Decimal)


class BadMessage(ValueError):
    """The bytes received are not the HTTP or JSON that was expected."""


class Headers(dict[str, str]):
    """Header values by name; names are kept in lower case and looked up in any case."""

    def __getitem__(self, name: str) -> str:
        return super().__getitem__(name.lower())

    def __setitem__(self, name: str, value: str) -> None:
        super().__setitem__(name.lower(), value)

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and super().__contains__(name.lower())

    def get(self, name: str, default: Any = None) -> Any:
        return super().get(name.lower(), default)


@dataclass(slots=True)
class Request:
    """One request as received. ``template``, ``family``, ``scope`` and ``params`` are filled in when its route is found:
    ``/sales/{id}``, ``2026-07``, ``sales:read`` and ``{"id": ...}`` for ``/api/2026-07/sales/...``."""

    method: str
    path: str
    query: dict[str, list[str]]
    headers: Headers
    body: bytes
    at: datetime
    template: str = ""
    family: str = ""
    scope: str = ""
    params: dict[str, str] = field(default_factory=dict)

    def first(self, name: str, default: str = "") -> str:
        """The first value of a query parameter."""
        values = self.query.get(name)
        return values[0] if values else default

    def json(self) -> Any:
        """The JSON body with exact decimals. Raises ``BadMessage``."""
        try:
            return _decoder.decode(self.body)
        except (msgspec.MsgspecError, UnicodeDecodeError) as error:
            raise BadMessage(f"The body is not JSON: {error}") from error

    def form(self) -> dict[str, str]:
        """The fields of a form-encoded body."""
        return dict(parse_qsl(self.body.decode("utf-8", "replace"), keep_blank_values=True))


@dataclass(slots=True)
class Response:
    """One answer. ``stream`` replaces ``body`` by pieces sent in chunks, for answers too large to hold."""

    status: int = 200
    body: bytes = b""
    content_type: str = JSON_TYPE
    headers: dict[str, str] = field(default_factory=dict)
    stream: Iterator[bytes] | None = None

    @classmethod
    def json(cls, data: Any, status: int = 200, **headers: str) -> Response:
        return cls(status, encode_json(data), headers={name.replace("_", "-"): text for name, text in headers.items()})

    @classmethod
    def html(cls, text: str, status: int = 200, **headers: str) -> Response:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return cls(status, text.encode(), HTML_TYPE, named)


def read_request(source: BufferedIOBase, sink: socket.socket, now: Callable[[], datetime]) -> Request | None:
    """The next request of a connection, however long it takes to come; None when the client closed it. ``now`` is asked
    when it is there. Raises ``BadMessage``."""
    line = source.readline(LONGEST_LINE)
    while line in (b"\r\n", b"\n"):
        line = source.readline(LONGEST_LINE)
    if not line:
        return None
    at = now()
    words = line.decode("latin-1").split()
    if len(words) != 3 or not words[2].startswith("HTTP/1."):
        raise BadMessage("The request line is not HTTP/1.")
    headers = read_headers(source)
    if words[2] == "HTTP/1.0":
        headers.setdefault("connection", "close")
    if headers.get("expect", "").lower() == "100-continue":
        sink.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
    target = urlsplit(words[1])
    return Request(
        method=words[0].upper(),
        path=unquote(target.path),
        query=parse_qs(target.query, keep_blank_values=True),
        headers=headers,
        body=read_body(source, headers),
        at=at,
    )


def read_headers(source: BufferedIOBase) -> Headers:
    headers = Headers()
    while True:
        line = source.readline(LONGEST_LINE)
        if line in (b"\r\n", b"\n", b""):
            return headers
        name, colon, value = line.decode("latin-1").partition(":")
        if not colon:
            raise BadMessage("A header line has no colon.")
        headers[name.strip()] = value.strip()


def read_body(source: BufferedIOBase, headers: Headers) -> bytes:
    if headers.get("transfer-encoding", "").lower() == "chunked":
        pieces: list[bytes] = []
        while size := int(source.readline(LONGEST_LINE).split(b";")[0] or b"0", 16):
            pieces.append(source.read(size))
            source.readline(LONGEST_LINE)
        read_headers(source)
        return b"".join(pieces)
    length = headers.get("content-length", "0")
    if not length.isdigit() or int(length) > LARGEST_REQUEST_BODY:
        raise BadMessage("The length of the body is not acceptable.")
    return source.read(int(length)) if int(length) else b""


def head_of(response: Response, now: datetime, *, close: bool = False) -> bytes:
    """Status line and headers of an answer, up to and including the empty line."""
    lines = [f"HTTP/1.1 {response.status} {reason_of(response.status)}"]
    has_body = response.status not in (204, 304)
    if has_body:
        lines.append(f"Content-Type: {response.content_type}")
        framing = "Transfer-Encoding: chunked" if response.stream else f"Content-Length: {len(response.body)}"
        lines.append(framing)
    lines.append(f"Date: {format_datetime(now, usegmt=True)}")
    lines.extend(f"{name}: {value}" for name, value in response.headers.items())
    lines.append("Connection: close" if close else "Connection: keep-alive")
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")


def reason_of(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return "Unknown"


def write_response(sink: socket.socket, response: Response, now: datetime, *, close: bool = False) -> None:
    """The whole answer in one write, or in chunks when it is streamed."""
    head = head_of(response, now, close=close)
    if response.stream is None:
        sink.sendall(head if response.status in (204, 304) else head + response.body)
        return
    sink.sendall(head)
    for piece in response.stream:
        sink.sendall(f"{len(piece):x}\r\n".encode() + piece + b"\r\n")
    sink.sendall(b"0\r\n\r\n")
