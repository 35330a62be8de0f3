from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client

from tests.admin.worlds import Shop, make_user


@pytest.fixture
def shop(db: None) -> Shop:
    return Shop("Alpha")


@pytest.fixture
def other_shop(db: None) -> Shop:
    return Shop("Omega")


@pytest.fixture
def log_in(db: None) -> Callable[[Any], Client]:
    def log_in(user: Any) -> Client:
        client = Client()
        client.force_login(user)
        return client

    return log_in


@pytest.fixture
def member(shop: Shop, log_in: Callable[[Any], Client]) -> Client:
    """A person of the first shop, without any permission assigned by hand."""
    return log_in(make_user("member", shop.merchant))
