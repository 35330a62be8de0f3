"""Callers of the API: a merchant's tokens, its people, another merchant's token, and support."""

from __future__ import annotations

import pytest
from django.contrib.auth.models import User
from rest_framework.test import APIClient

from carts.models import ApiToken, Membership, Merchant
from tests.api.worlds import World, make_world
from tests.factories import make_merchant


def client_of(merchant: Merchant, **token: object) -> APIClient:
    """A REST client with a fresh token of this merchant."""
    _, secret = ApiToken.issue(merchant, **token)  # type: ignore[arg-type]
    client = APIClient()
    client.credentials(HTTP_AUTHORIZATION=f"Bearer {secret}")
    return client


@pytest.fixture
def merchant(db: None) -> Merchant:
    return make_merchant()


@pytest.fixture
def world(merchant: Merchant) -> World:
    return make_world(merchant)


@pytest.fixture
def foreign_world(db: None) -> World:
    return make_world(make_merchant())


@pytest.fixture
def anonymous(db: None) -> APIClient:
    return APIClient()


@pytest.fixture
def client(merchant: Merchant) -> APIClient:
    """The merchant's token."""
    return client_of(merchant)


@pytest.fixture
def reader(merchant: Merchant) -> APIClient:
    """The merchant's read-only token."""
    return client_of(merchant, read_only=True)


@pytest.fixture
def foreigner(foreign_world: World) -> APIClient:
    """Another merchant's token."""
    return client_of(foreign_world.merchant)


@pytest.fixture
def member(merchant: Merchant) -> APIClient:
    """A person who works for the merchant, logged in to the admin."""
    user = User.objects.create_user("ada", is_staff=True)
    Membership.objects.create(user=user, merchant=merchant)
    return logged_in(user)


@pytest.fixture
def support(db: None) -> APIClient:
    """Somebody who sees every merchant."""
    return logged_in(User.objects.create_superuser("grace"))


def logged_in(user: User) -> APIClient:
    client = APIClient()
    client.force_login(user)
    return client
