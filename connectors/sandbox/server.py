"""Base of all sandboxes: a remote system faked over real HTTP on the loopback interface.

A sandbox declares routes and answers requests; this base serves them on threads with kept-alive connections, records
and counts the calls, and misbehaves on request (``connectors.sandbox.faults``).
"""

from __future__ import annotations

import contextlib
import socket
import socketserver
import threading
import traceback
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Self

import msgspec

from connectors.sandbox.faults import Fault, FaultPlan
from connectors.sandbox.wire import (
    BadMessage,
    Headers,
    Request,
    Response,
    head_of,
    read_request,
    write_response,
)

KEPT_CALLS = 50_000
KEPT_BODY_BYTES = 128 * 1024 * 1024

Handler = Callable[[Request], Response]


class Refusal(Exception):
    """A request that is answered with an error status. ``body`` is sent as JSON."""

    def __init__(self, status: int, body: Any, headers: dict[str, str] | None = None) -> None:
        super().__init__(f"{status}: {body}")
        self.status = status
        self.body = body
        self.headers = headers or {}

    def response(self) -> Response:
        answer = Response.json(self.body, self.status)
        answer.headers.update(self.headers)
        return answer


@dataclass(frozen=True, slots=True)
class Route:
    """``template`` has named parts in braces: ``/sales/{id}``. ``scope`` is what a token must be allowed to do."""

    method: str
    template: str
    handler: Handler
    scope: str = ""


@dataclass(slots=True)
class RecordedCall:
    """One call as it happened. ``template`` is without method and version prefix; "" when no route matched.
    ``status`` is 0 and the answer empty when none was sent. ``fault`` names the misbehaviour."""

    method: str
    path: str
    query: dict[str, list[str]]
    template: str
    family: str
    headers: Headers
    request_body: bytes
    at: datetime
    status: int = 0
    response_headers: dict[str, str] = field(default_factory=dict)
    response_body: bytes = b""
    fault: str = ""

    @property
    def name(self) -> str:
        return f"{self.method} {self.template or self.path}"

    def request_json(self) -> Any:
        return msgspec.json.decode(self.request_body)

    def response_json(self) -> Any:
        return msgspec.json.decode(self.response_body)


class RouteTable:
    """Finds the route of a path; fixed paths before those with named parts."""

    def __init__(self, routes: Iterable[Route]) -> None:
        self.routes = tuple(routes)
        self._fixed: dict[tuple[str, str], Route] = {}
        self._patterns: dict[tuple[str, int], list[tuple[list[str], Route]]] = {}
        for route in self.routes:
            if "{" in route.template:
                parts = route.template.split("/")
                self._patterns.setdefault((route.method, len(parts)), []).append((parts, route))
            else:
                self._fixed[(route.method, route.template)] = route

    def find(self, method: str, path: str) -> tuple[Route, dict[str, str]] | None:
        route = self._fixed.get((method, path))
        if route:
            return route, {}
        parts = path.split("/")
        for pattern, candidate in self._patterns.get((method, len(parts)), ()):
            params: dict[str, str] = {}
            for expected, found in zip(pattern, parts, strict=True):
                if expected.startswith("{") and found:
                    params[expected[1:-1]] = found
                elif expected != found:
                    break
            else:
                return candidate, params
        return None


class SandboxServer:
    """A fake remote system. ``port`` 0 takes a free port at the first start and keeps it over a restart."""

    bind_address = "127.0.0.1"

    def __init__(self, port: int = 0) -> None:
        self.port = port
        self.latency = 0.0
        self.clock_skew = timedelta(0)
        self.record_bodies = True
        self.calls: list[RecordedCall] = []
        self._counts: Counter[str] = Counter()
        self._body_bytes = 0
        self._calls_lock = threading.Lock()
        self._faults = FaultPlan()
        self._tcp: _TcpServer | None = None
        self._thread: threading.Thread | None = None
        self._stopping = threading.Event()

    # What a sandbox fills in

    def resolve(self, request: Request) -> Handler | None:
        """Finds the handler of a request and fills in its ``template``, ``family`` and ``params``."""
        raise NotImplementedError

    def answer(self, request: Request, handler: Handler | None) -> Response:
        """Checks access and limits, then lets the handler answer. ``handler`` is None for a path nobody serves."""
        if handler is None:
            return Response.json({"error": "Not Found"}, 404)
        return handler(request)

    def introduction(self) -> list[str]:
        """What a person needs to know to use it, a line each."""
        return [f"URL: {self.url}"]

    def happen(self) -> str:
        """Lets something believable happen, for a demo that lives; says what in one line."""
        raise NotImplementedError

    # Life

    @property
    def host(self) -> str:
        return f"{self.bind_address}:{self.port}"

    @property
    def url(self) -> str:
        return f"http://{self.host}"

    @property
    def running(self) -> bool:
        return self._tcp is not None

    def start(self) -> Self:
        if self._tcp is None:
            self._stopping.clear()
            self._tcp = _TcpServer((self.bind_address, self.port), self)
            self.port = self._tcp.server_address[1]
            self._thread = threading.Thread(target=self._tcp.serve, name=f"sandbox-{self.port}", daemon=True)
            self._thread.start()
        return self

    def stop(self) -> None:
        """Stops listening and closes the open connections. The state stays; ``start`` serves it again."""
        tcp, self._tcp = self._tcp, None
        if tcp is None:
            return
        self._stopping.set()
        tcp.halt()
        if self._thread:
            self._thread.join(5)
        tcp.server_close()
        tcp.close_connections()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *exc_info: object) -> None:
        self.stop()

    def now(self) -> datetime:
        """The time as this remote system sees it."""
        return datetime.now(UTC) + self.clock_skew

    # Misbehaviour

    def fail(
        self,
        times: int | None = 1,
        match: str = "",
        status: int | None = None,
        fault: str = "",
        delay: float = 0.0,
        retry_after: str = "",
        retry_after_seconds: int = 2,
        after: int = 0,
        accepted: bool = False,
    ) -> None:
        """Makes the next ``times`` calls that match go wrong; see ``Fault`` for the meaning of each argument."""
        if status is None and not fault and not delay:
            raise ValueError("A fault needs a status, a kind or a delay.")
        kind = fault or ("delay" if status is None else "")
        self._faults.add(Fault(match, times, after, status, kind, delay, retry_after, retry_after_seconds, accepted))

    def fail_at_random(
        self, share: float, status: int | None = None, fault: str = "", *, match: str = "", retry_after_seconds: int = 1
    ) -> None:
        """Like ``fail``, but for a ``share`` (0 to 1) of the calls, until the faults are cleared."""
        self._faults.add_at_random(share, Fault(match, None, 0, status, fault, 0.0, "", retry_after_seconds, False))

    def clear_faults(self) -> None:
        self._faults.clear()

    # Calls

    def count(self, name: str) -> int:
        """How many calls came in for ``METHOD /template`` since the last reset, failed ones included."""
        with self._calls_lock:
            return self._counts[name]

    @property
    def counts(self) -> dict[str, int]:
        with self._calls_lock:
            return dict(self._counts)

    def reset_calls(self) -> None:
        with self._calls_lock:
            self.calls.clear()
            self._counts.clear()
            self._body_bytes = 0

    def _record(self, call: RecordedCall) -> None:
        with self._calls_lock:
            self._counts[call.name] += 1
            self.calls.append(call)
            self._body_bytes += len(call.request_body) + len(call.response_body)
            if len(self.calls) > KEPT_CALLS or self._body_bytes > KEPT_BODY_BYTES:
                self._forget_oldest()

    def _forget_oldest(self) -> None:
        """Drops the older half of the record, so that a sandbox may run for days."""
        half = max(1, len(self.calls) // 2)
        for call in self.calls[:half]:
            self._body_bytes -= len(call.request_body) + len(call.response_body)
        del self.calls[:half]

    # Serving

    def _serve(self, request: Request, sink: socket.socket) -> bool:
        """Answers one request. Returns whether the connection stays open."""
        handler = self.resolve(request)
        fault = self._faults.take(request.method, request.template)
        pause = self.latency + (fault.delay if fault else 0.0)
        if pause > 0 and self._stopping.wait(pause):
            return False
        response = self._respond(request, handler, fault)
        close = request.headers.get("connection", "").lower() == "close"
        kind = fault.kind if fault else ""
        sent = None if kind in ("answer_lost", "never_received") else response
        self._record(self._call_record(request, sent, fault))
        if sent is None:
            return False
        if kind == "cut_body":
            head = head_of(response, self.now(), close=close)
            sink.sendall(head + response.body[: max(1, len(response.body) // 2)])
            return False
        write_response(sink, response, self.now(), close=close)
        return not close

    def _respond(self, request: Request, handler: Handler | None, fault: Fault | None) -> Response:
        replacement = fault.replacement(self.now()) if fault else None
        if fault and not fault.carried_out:
            return replacement or Response()
        try:
            true_answer = self.answer(request, handler)
        except Refusal as refusal:
            true_answer = refusal.response()
        except BadMessage as error:
            true_answer = Response.json({"error": "Bad Request", "message": str(error)}, 400)
        except Exception as error:
            # A mistake of the sandbox itself: say it where the developer looks, and answer as a broken server does.
            traceback.print_exc()
            true_answer = Response.json({"error": "Sandbox Error", "message": repr(error)}, 500)
        return replacement or true_answer

    def _call_record(self, request: Request, response: Response | None, fault: Fault | None) -> RecordedCall:
        call = RecordedCall(
            method=request.method,
            path=request.path,
            query=request.query,
            template=request.template,
            family=request.family,
            headers=request.headers,
            request_body=request.body if self.record_bodies else b"",
            at=request.at,
            fault=(fault.kind or str(fault.status)) if fault else "",
        )
        if response is not None:
            call.status = response.status
            call.response_headers = response.headers
            call.response_body = response.body if self.record_bodies else b""
        return call


class _TcpServer(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True
    block_on_close = False
    request_queue_size = 128

    def __init__(self, address: tuple[str, int], sandbox: SandboxServer) -> None:
        self.sandbox = sandbox
        self._open: set[socket.socket] = set()
        self._open_lock = threading.Lock()
        self._halted = False
        super().__init__(address, _Connection)

    def serve(self) -> None:
        """Accepts connections until ``halt``."""
        while not self._halted:
            self.handle_request()

    def halt(self) -> None:
        """Ends ``serve``; a connection of our own wakes it up."""
        self._halted = True
        with contextlib.suppress(OSError):
            socket.create_connection((str(self.server_address[0]), int(self.server_address[1])), 1).close()

    def opened(self, connection: socket.socket) -> None:
        with self._open_lock:
            self._open.add(connection)

    def closed(self, connection: socket.socket) -> None:
        with self._open_lock:
            self._open.discard(connection)

    def close_connections(self) -> None:
        with self._open_lock:
            connections = list(self._open)
        for connection in connections:
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)


class _Connection(socketserver.StreamRequestHandler):
    """One client connection, on its own thread, for as many requests as the client sends over it."""

    server: _TcpServer
    disable_nagle_algorithm = True
    rbufsize = 65_536

    def setup(self) -> None:
        super().setup()
        self.server.opened(self.request)

    def handle(self) -> None:
        sandbox = self.server.sandbox
        with contextlib.suppress(ConnectionError, TimeoutError, OSError):
            try:
                while True:
                    request = read_request(self.rfile, self.request, sandbox.now)
                    if request is None or not sandbox._serve(request, self.request):
                        return
            except BadMessage as error:
                answer = Response.json({"error": "Bad Request", "message": str(error)}, 400)
                write_response(self.request, answer, sandbox.now(), close=True)

    def finish(self) -> None:
        self.server.closed(self.request)
        with contextlib.suppress(OSError):
            super().finish()
