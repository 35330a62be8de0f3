"""Calls to the sandbox as any HTTP client makes them, for the tests of the sandbox itself."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from decimal import Decimal
from typing import Any

import msgspec
import requests

from connectors.vend.sandbox import VendSandbox
from tests.connectors.vend.openapi import SpecChecker

decode = msgspec.json.Decoder(float_hook=Decimal).decode


class Caller:
    """A client with a token. Paths without ``/api`` go to ``family``. Answers come with exact decimals."""

    def __init__(self, sandbox: VendSandbox, family: str = "2026-07", token: str | None = None) -> None:
        self.sandbox = sandbox
        self.family = family
        self.session = requests.Session()
        self.session.trust_env = False
        self.session.headers["Authorization"] = f"Bearer {sandbox.token if token is None else token}"

    def send(self, method: str, path: str, body: Any = None, **options: Any) -> requests.Response:
        url = self.sandbox.url + (path if path.startswith("/") else f"/api/{self.family}/{path}")
        if body is not None:
            options["data"] = msgspec.json.encode(body, enc_hook=str)
            options["headers"] = {"Content-Type": "application/json"} | options.get("headers", {})
        return self.session.request(method, url, allow_redirects=False, timeout=10, **options)

    def json(self, method: str, path: str, body: Any = None, status: int = 200, **options: Any) -> Any:
        """The decoded answer, after its status was checked."""
        answer = self.send(method, path, body, **options)
        assert answer.status_code == status, answer.text
        return decode(answer.content) if answer.content else None

    def get(self, path: str, status: int = 200, **params: Any) -> Any:
        return self.json("GET", path, status=status, params=params)

    def data(self, method: str, path: str, body: Any = None, status: int = 200) -> Any:
        return self.json(method, path, body, status)["data"]

    def pages(self, resource: str, page_size: int = 100, **params: Any) -> Iterator[list[Any]]:
        """Every page of a version feed until the empty one."""
        after = 0
        while True:
            page = self.get(resource, after=after, page_size=page_size, **params)
            if not page["data"]:
                assert page["version"] == {"min": None, "max": None}
                return
            assert page["version"]["max"] > after
            after = page["version"]["max"]
            yield page["data"]

    def feed(self, resource: str, page_size: int = 100, **params: Any) -> list[Any]:
        return [record for page in self.pages(resource, page_size, **params) for record in page]

    def close(self) -> None:
        self.session.close()


@contextmanager
def calling(**settings: Any) -> Iterator[Caller]:
    """A running sandbox with a caller. In the end every call is checked, request and answer, against the vendor's
    OpenAPI documents."""
    checker = SpecChecker()
    with VendSandbox(**settings) as sandbox:
        caller = Caller(sandbox)
        try:
            yield caller
        finally:
            caller.close()
        problems = sorted(
            {f"{call.name} ({call.family}): {problem}" for call in sandbox.calls for problem in checker.problems(call)}
        )
        assert not problems, "\n".join(problems)
