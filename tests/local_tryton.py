"""A real Tryton for the tests: one server per test process, started when the first test asks for it, and a door in front
of it through which the hub's connectors go, so that answers can get lost."""

from __future__ import annotations

import json
from collections.abc import Iterator
from itertools import count
from pathlib import Path
from typing import Any

import pytest
import requests

from connectors.base import Environment
from connectors.budget import BudgetBook
from connectors.http import CallLog
from connectors.sandbox import Request, Response, SandboxServer
from connectors.sandbox.server import Handler
from connectors.tryton.connector import TrytonConnector
from connectors.tryton.local_company import HUB_PASSWORD, HUB_USER
from connectors.tryton.local_people import People
from connectors.tryton.local_server import LocalTryton
from syncjobs.supervisor import die_with_parent

CACHE = Path(__file__).parents[1] / "var" / "tryton"
NUMBERS = count(1)


class Door(SandboxServer):
    """Passes every call on to the server. A call's template is the method that it calls: ``model.sale.sale.create``.
    ``answers``: what is said instead of the server's own answer, by method; the call is carried out all the same."""

    def __init__(self, server: LocalTryton) -> None:
        super().__init__()
        self.server = server
        self.answers: dict[str, dict[str, Any]] = {}

    def resolve(self, request: Request) -> Handler:
        try:
            request.template = str(json.loads(request.body)["method"])
        except (ValueError, KeyError, TypeError):
            request.template = request.path
        return self.pass_on

    def pass_on(self, request: Request) -> Response:
        kept = ("authorization", "content-type", "accept")
        headers = {name: request.headers[name] for name in kept if name in request.headers}
        url = f"{self.server.url}{request.path}"
        answer = requests.request(request.method, url, data=request.body, headers=headers, timeout=60)
        if request.template in self.answers:
            return Response.json({"id": 1, **self.answers[request.template]})
        return Response(answer.status_code, answer.content, answer.headers.get("Content-Type", "text/plain"))


class TrytonWorld:
    """The server, its people, and connectors that go through the door."""

    def __init__(self, server: LocalTryton, door: Door) -> None:
        self.server = server
        self.door = door
        self.admin = server.client()
        self.people = People(self.admin)
        self.opened: list[TrytonConnector] = []
        self.session = self.server.client(HUB_USER, HUB_PASSWORD)

    @property
    def settings(self) -> dict[str, Any]:
        return {**self.server.settings, "tryton_url": self.door.url}

    @property
    def credentials(self) -> dict[str, str]:
        return {"user_name": HUB_USER, "password": HUB_PASSWORD}

    def connect(
        self, *, call_log: CallLog | None = None, password: str = HUB_PASSWORD, **options: Any
    ) -> TrytonConnector:
        user_name = options.pop("user_name", HUB_USER)
        connector = TrytonConnector(
            TrytonConnector.Options.parse({**self.settings, **options}),
            TrytonConnector.Credentials.parse({"user_name": user_name, "password": password}),
            Environment(budgets=BudgetBook(), extra_hosts=frozenset({self.door.host}), call_log=call_log),
        )
        if (user_name, password) == (HUB_USER, HUB_PASSWORD) and not {"tryton_url", "database"} & options.keys():
            # Checking a password is made slow on purpose; a session that Tryton has forgotten is renewed anyway.
            connector.client.user_id, connector.client.token = self.session.user_id, self.session.token
        self.opened.append(connector)
        return connector

    def tidy(self) -> None:
        self.door.clear_faults()
        self.door.answers.clear()
        self.door.reset_calls()
        for connector in self.opened:
            connector.close()
        self.opened.clear()


@pytest.fixture(scope="session")
def tryton_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TrytonWorld]:
    server = LocalTryton(tmp_path_factory.mktemp("tryton"), CACHE, guard=die_with_parent)
    with server, Door(server) as door:
        world = TrytonWorld(server, door)
        yield world
        world.admin.close()
        world.session.close()


@pytest.fixture
def tryton(tryton_server: TrytonWorld) -> Iterator[TrytonWorld]:
    """The process's Tryton. Its past stays: a test makes the products that it needs and looks at nothing else."""
    yield tryton_server
    tryton_server.tidy()
