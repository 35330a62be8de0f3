"""Each test that asks for ``destination`` is made once for every destination that can do what the test needs."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.connectors.destinations.destination import Destination
from tests.connectors.destinations.registry import destination_class, destinations_that


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "destination" in metafunc.fixturenames:
        needs = {need for marker in metafunc.definition.iter_markers("needs") for need in marker.args}
        able = [pytest.param(key, marks=destination_class(key).marks) for key in destinations_that(*needs)]
        metafunc.parametrize("destination", able, indirect=True)


@pytest.fixture
def destination(request: pytest.FixtureRequest) -> Iterator[Destination]:
    with destination_class(request.param).opened(request) as opened:
        yield opened
