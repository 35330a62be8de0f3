"""Warehouses at fake remotes, set up for a world's merchant as a person does it: added, tested, switched on."""

from __future__ import annotations

from typing import Any

from carts.connection_test import run_test
from carts.models import Warehouse
from carts.setup import check_settings, finish_new_connection
from connectors.integration_manager.sandbox import IntegrationManagerSandbox
from connectors.registry import connector_class
from connectors.threepl.sandbox import ThreePLSandbox
from tests.engine.conftest import World


def add_threepl(world: World, remote: ThreePLSandbox, settings: Any, stock: int = 50) -> Warehouse:
    """It has so much of each of the shop's products at its first facility."""
    for product in world.store.products:
        remote.store.add_item(85, product["sku"], product["name"])
        remote.store.set_stock(product["sku"], stock)
    return add(
        world,
        "threepl",
        remote.host,
        settings,
        {"url": remote.url, "user_login": "hub", "customer_id": 85, "facility_id": 1},
        {"client_id": remote.client_id, "client_secret": remote.client_secret},
    )


def add_integration_manager(
    world: World, remote: IntegrationManagerSandbox, settings: Any, stock: int = 50
) -> Warehouse:
    """It has so much of each of the shop's products at EAST."""
    for product in world.store.products:
        remote.store.add_product(product["sku"], product["name"], available=stock)
    return add(
        world,
        "integration_manager",
        remote.host,
        settings,
        {"api_url": remote.url, "default_ship_method": "GROUND"},
        {"api_user": remote.user, "api_key": remote.token},
    )


def add(world: World, key: str, host: str, settings: Any, options: Any, credentials: Any) -> Warehouse:
    settings.EXTRA_HOSTS = frozenset({*settings.EXTRA_HOSTS, host})
    clean, secret = check_settings(connector_class(key), options, credentials, {})
    warehouse = Warehouse.objects.create(
        merchant=world.merchant, name=key, connector=key, options=clean, credentials=secret, is_active=True
    )
    finish_new_connection(warehouse)
    report = run_test(warehouse)
    assert report.ok, report
    return warehouse
