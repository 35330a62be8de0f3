"""A WMS that listens for webhooks, on the loopback interface."""

from __future__ import annotations

import hashlib
import hmac
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


class WmsListener:
    """Keeps what it was sent. ``answers`` are the statuses of the next answers (then 204); ``location`` goes with them."""

    def __init__(self) -> None:
        self.received: list[dict[str, Any]] = []
        self.headers: list[dict[str, str]] = []
        self.bodies: list[bytes] = []
        self.answers: list[int] = []
        self.location = ""
        listener = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                listener.bodies.append(body)
                listener.received.append(json.loads(body))
                listener.headers.append(dict(self.headers))
                self.send_response(listener.answers.pop(0) if listener.answers else 204)
                if listener.location:
                    self.send_header("Location", listener.location)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *args: Any) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.thread = threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)

    @property
    def host(self) -> str:
        return f"127.0.0.1:{self.server.server_port}"

    @property
    def url(self) -> str:
        return f"http://{self.host}/hooks"

    @property
    def topics(self) -> list[str]:
        return [one["topic"] for one in self.received]

    def __enter__(self) -> WmsListener:
        self.thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self.server.shutdown()
        self.server.server_close()


def is_signed_with(secret: str, headers: dict[str, str], body: bytes) -> bool:
    parts = [part.split("=", 1) for part in headers["Hub-Signature"].split(",")]
    time = dict(parts)["t"]
    right = hmac.new(secret.encode(), f"{time}.".encode() + body, hashlib.sha256).hexdigest()
    return right in [value for name, value in parts if name == "v1"]
