"""A fake Vend store over real HTTP, and connectors that talk to it."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from connectors.base import Environment
from connectors.budget import BudgetBook
from connectors.http import CallRecord
from connectors.store_facts import StoreFacts
from connectors.vend.connector import VendConnector
from connectors.vend.options import VendCredentials, VendOptions
from connectors.vend.sandbox import VendSandbox
from tests.connectors.vend.openapi import SpecChecker

Connect = Callable[..., VendConnector]


LARGEST_CHECKED_BODY = 20_000


@pytest.fixture
def sandbox() -> Iterator[VendSandbox]:
    """Two outlets, 20 products, 10 customers. Every request that a test caused must fit the vendor's documents."""
    with VendSandbox(outlets=2, sales=0, products=20, customers=10, seed=1) as sandbox:
        yield sandbox
        assert request_problems(sandbox) == []


def request_problems(sandbox: VendSandbox) -> list[str]:
    checker = SpecChecker()
    return [
        f"{call.name}: {problem}"
        for call in sandbox.calls
        if len(call.request_body) < LARGEST_CHECKED_BODY
        for problem in checker.problems(call)
        if not problem.startswith("response")
    ]


@pytest.fixture
def calls() -> list[CallRecord]:
    """The HTTP calls of the connectors made by ``connect``, as their call log was told."""
    return []


@pytest.fixture
def connect(sandbox: VendSandbox, calls: list[CallRecord]) -> Iterator[Connect]:
    """Makes a connector for the sandbox's first outlet; arguments are options, ``token`` and what was kept before."""
    made = []

    def connect(
        token: str = sandbox.token, store_facts: StoreFacts | None = None, outlet_id: str = "", **options: Any
    ) -> VendConnector:
        environment = Environment(
            budgets=BudgetBook(),
            extra_hosts=frozenset({sandbox.host}),
            call_log=calls.append,
            connection_id="cart-1",
            store_facts=store_facts or StoreFacts(),
            outlet_id=outlet_id,
        )
        values = {"vend_url": sandbox.url, "outlet_name": sandbox.store.outlets[0]["name"], **options}
        connector = VendConnector(
            VendOptions.parse(values), VendCredentials.parse({"access_token": token}), environment
        )
        made.append(connector)
        return connector

    yield connect
    for connector in made:
        connector.close()
