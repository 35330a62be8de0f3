"""The REST warehouse: the built-in warehouse's book, and a WMS that works on it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Self

import pytest

from carts.models import ApiToken
from tests.connectors.destinations.builtin import BuiltinDestination
from tests.factories import make_rest_warehouse


class RestDestination(BuiltinDestination):
    key = "rest"

    @classmethod
    @contextmanager
    def opened(cls, request: pytest.FixtureRequest) -> Iterator[Self]:
        warehouse = make_rest_warehouse()
        ApiToken.issue(warehouse.merchant, name="WMS")
        destination = cls(warehouse)
        with destination.trouble:
            yield destination
