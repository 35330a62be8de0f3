"""A small load generator for the loopback interface: a few threads with kept-alive connections, for a fixed time."""

from __future__ import annotations

import http.client
import threading
import time


class Load:
    """Posts one body to one path, from ``clients`` connections at once."""

    def __init__(self, port: int, path: str, headers: dict[str, str], body: bytes, clients: int = 8) -> None:
        self.port = port
        self.path = path
        self.headers = headers
        self.body = body
        self.clients = clients
        self.answered = 0
        self.failed = 0
        self._lock = threading.Lock()

    def rate(self, seconds: float) -> float:
        """Answers with status 200 per second."""
        end = time.monotonic() + seconds
        threads = [threading.Thread(target=self._post_until, args=(end,)) for _ in range(self.clients)]
        started = time.monotonic()
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        if self.failed:
            raise RuntimeError(f"{self.failed} of {self.failed + self.answered} requests failed.")
        return self.answered / (time.monotonic() - started)

    def _post_until(self, end: float) -> None:
        answered = failed = 0
        client = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
        while time.monotonic() < end and failed < 10:
            try:
                client.request("POST", self.path, self.body, self.headers)
                answer = client.getresponse()
                answer.read()
                ok = answer.status == 200
            except (http.client.HTTPException, OSError):
                client.close()
                ok = False
            answered += ok
            failed += not ok
        client.close()
        with self._lock:
            self.answered += answered
            self.failed += failed
