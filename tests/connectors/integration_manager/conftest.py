"""A fake Integration Manager over real HTTP, and connectors that talk to it."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from connectors.base import Environment
from connectors.budget import BudgetBook
from connectors.http import CallRecord
from connectors.integration_manager.connector import IntegrationManagerWarehouse
from connectors.integration_manager.sandbox import IntegrationManagerSandbox

Connect = Callable[..., IntegrationManagerWarehouse]


@pytest.fixture
def sandbox() -> Iterator[IntegrationManagerSandbox]:
    """Two warehouses, three products, more calls than a test makes."""
    with IntegrationManagerSandbox(products=3, bucket=1000) as sandbox:
        yield sandbox


@pytest.fixture
def calls() -> list[CallRecord]:
    """The HTTP calls of the connectors made by ``connect``, as their call log was told."""
    return []


@pytest.fixture
def connect(sandbox: IntegrationManagerSandbox, calls: list[CallRecord]) -> Iterator[Connect]:
    """Makes a connector; arguments are options, and ``key`` and ``merchant_key``."""
    made = []

    def connect(key: str = sandbox.token, merchant_key: str = "", **options: Any) -> IntegrationManagerWarehouse:
        kind = IntegrationManagerWarehouse
        credentials = {"api_user": sandbox.user, "api_key": key}
        if merchant_key:
            credentials |= {"merchant_api_user": sandbox.user, "merchant_api_key": merchant_key}
        connector = kind(
            kind.Options.parse({"api_url": sandbox.url, **options}),
            kind.Credentials.parse(credentials),
            Environment(budgets=BudgetBook(), extra_hosts=frozenset({sandbox.host}), call_log=calls.append),
        )
        made.append(connector)
        return connector

    yield connect
    for connector in made:
        connector.close()


@pytest.fixture
def warehouse(connect: Connect) -> IntegrationManagerWarehouse:
    return connect()
