"""Tokens that a connector asks for by itself: one for all workers, also the very first one."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection as database
from django.utils import timezone

from carts.authorization import status_of
from carts.credential_store import StoredTokens, store_of
from carts.models import Authorization, Warehouse
from carts.remote import open_connector
from carts.setup import check_settings, finish_new_connection
from connectors.errors import AuthenticationFailed
from connectors.oauth import TokenSet
from connectors.registry import connector_class
from connectors.threepl.sandbox import ThreePLSandbox
from tests.factories import make_builtin_warehouse, make_cart, make_merchant

TOKEN_CALL = "POST /AuthServer/api/Token"


@pytest.fixture
def sandbox(transactional_db: None, settings: Any) -> Iterator[ThreePLSandbox]:
    with ThreePLSandbox() as sandbox:
        settings.EXTRA_HOSTS = frozenset({sandbox.host})
        yield sandbox


@pytest.fixture
def warehouse(sandbox: ThreePLSandbox) -> Warehouse:
    options, credentials = check_settings(
        connector_class("threepl"),
        {"url": sandbox.url, "user_login": sandbox.user_login, "customer_id": 85, "facility_id": 1},
        {"client_id": sandbox.client_id, "client_secret": sandbox.client_secret},
        {},
    )
    warehouse = Warehouse.objects.create(
        merchant=make_merchant(),
        name="3PL",
        connector="threepl",
        options=options,
        credentials=credentials,
        is_active=True,
    )
    finish_new_connection(warehouse)
    return warehouse


def look(warehouse: Warehouse) -> None:
    connector: Any = open_connector(warehouse)
    try:
        assert connector.find_sent("A") is None
    finally:
        connector.close()


def test_workers_share_one_token(sandbox: ThreePLSandbox, warehouse: Warehouse) -> None:
    for _ in range(3):
        look(warehouse)
    assert sandbox.count(TOKEN_CALL) == 1
    row = Authorization.objects.get(merchant=warehouse.merchant)
    assert next(iter(sandbox.tokens)) not in row.tokens  # encrypted
    assert status_of(warehouse) is None  # nothing for a person to authorise


@pytest.mark.parametrize("begun", [False, True])
def test_workers_that_start_together_ask_once(sandbox: ThreePLSandbox, warehouse: Warehouse, begun: bool) -> None:
    if begun:
        look(warehouse)
        sandbox.revoke_tokens()
        sandbox.reset_calls()
    together = threading.Barrier(6)
    trouble: list[BaseException] = []

    def work() -> None:
        try:
            together.wait(10)
            look(warehouse)
        except BaseException as error:
            trouble.append(error)
        finally:
            database.close()

    threads = [threading.Thread(target=work) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert trouble == []
    assert sandbox.count(TOKEN_CALL) == 1


def test_new_credentials_get_a_new_token(sandbox: ThreePLSandbox, warehouse: Warehouse) -> None:
    look(warehouse)
    sandbox.client_secret = "another"
    warehouse.credentials = {**warehouse.read_credentials(), "client_secret": "another"}
    warehouse.save()
    look(warehouse)
    assert sandbox.count(TOKEN_CALL) == 2


def test_a_token_from_long_ago_is_not_tried(sandbox: ThreePLSandbox, warehouse: Warehouse) -> None:
    look(warehouse)
    store = store_of(warehouse)
    assert store is not None
    tokens = store.read()
    assert tokens is not None
    old = TokenSet(access_token="old", account=tokens.account, expires_at=timezone.now() - timedelta(days=1))
    Authorization.objects.filter(merchant=warehouse.merchant).update(tokens=old.as_json())
    sandbox.reset_calls()
    look(warehouse)
    assert [call.status for call in sandbox.calls] == [200, 200]


def test_a_refusal_leaves_nobody_waiting(sandbox: ThreePLSandbox, warehouse: Warehouse) -> None:
    sandbox.client_secret = "another"
    for _ in range(2):
        with pytest.raises(AuthenticationFailed, match="refused to give"):
            look(warehouse)
    row = Authorization.objects.get(merchant=warehouse.merchant)
    assert (row.holder, row.held_until) == ("", None)


def test_only_connectors_with_tokens_have_a_store(transactional_db: None) -> None:
    assert store_of(make_builtin_warehouse()) is None
    assert type(store_of(make_cart())) is StoredTokens
