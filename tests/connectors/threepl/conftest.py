"""A fake 3PL Warehouse Manager over real HTTP, and connectors that talk to it."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from connectors.base import Environment
from connectors.budget import BudgetBook
from connectors.http import CallRecord
from connectors.threepl.connector import ThreePLConnector
from connectors.threepl.sandbox import ThreePLSandbox

Connect = Callable[..., ThreePLConnector]


@pytest.fixture(params=["camel", "pascal"])
def sandbox(request: pytest.FixtureRequest) -> Iterator[ThreePLSandbox]:
    """Every test runs with both casings of the answers."""
    with ThreePLSandbox() as sandbox:
        sandbox.pascal = request.param == "pascal"
        yield sandbox


@pytest.fixture
def calls() -> list[CallRecord]:
    """The HTTP calls of the connectors made by ``connect``, as their call log was told."""
    return []


@pytest.fixture
def connect(sandbox: ThreePLSandbox, calls: list[CallRecord]) -> Iterator[Connect]:
    """Makes a connector for the sandbox; arguments are options, ``store`` and ``secret``."""
    made = []

    def connect(store: Any = None, secret: str = "", **options: Any) -> ThreePLConnector:
        environment = Environment(
            budgets=BudgetBook(),
            extra_hosts=frozenset({sandbox.host}),
            call_log=calls.append,
            connection_id="warehouse-1",
            credential_store=store,
        )
        values = {"url": sandbox.url, "user_login": sandbox.user_login, "customer_id": 85, "facility_id": 1, **options}
        credentials = {"client_id": sandbox.client_id, "client_secret": secret or sandbox.client_secret}
        connector = ThreePLConnector(
            ThreePLConnector.Options.parse(values), ThreePLConnector.Credentials.parse(credentials), environment
        )
        made.append(connector)
        return connector

    yield connect
    for connector in made:
        connector.close()


@pytest.fixture
def warehouse(connect: Connect) -> ThreePLConnector:
    return connect()
