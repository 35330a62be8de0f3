"""What every test gets: no network but loopback, and the hub's process-wide state fresh."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from typing import Any

import pytest

from carts import remote
from tests.local_tryton import tryton as tryton
from tests.local_tryton import tryton_server as tryton_server

LOOPBACK = ("127.", "::1", "localhost")


@pytest.fixture(autouse=True, scope="session")
def loopback_only() -> Iterator[None]:
    """Any connection that would leave this machine fails the test that tried."""
    connect = socket.socket.connect

    def guarded(self: socket.socket, address: Any) -> None:
        if self.family in (socket.AF_INET, socket.AF_INET6) and not str(address[0]).startswith(LOOPBACK):
            raise AssertionError(f"A test tried to reach {address}.")
        connect(self, address)

    socket.socket.connect = guarded  # type: ignore[assignment,method-assign]
    yield
    socket.socket.connect = connect  # type: ignore[method-assign]


@pytest.fixture(autouse=True)
def fresh_budgets() -> Iterator[None]:
    """Rate limits that one test used up must not slow the next."""
    remote.BUDGETS.clear()
    yield
    remote.BUDGETS.clear()
