"""A small hub to measure: a merchant, built-in warehouses, a Vend cart. Import after the environment is set."""

from __future__ import annotations

import os
import uuid
from typing import TYPE_CHECKING, Any

import django

if TYPE_CHECKING:
    from carts.models import Cart, Merchant, Warehouse


def open_hub() -> None:
    django.setup()


def make_merchant() -> Merchant:
    from carts.models import Merchant

    return Merchant.create_named("Bench")


def make_warehouse(merchant: Merchant, name: str = "Warehouse") -> Warehouse:
    from carts.models import Warehouse
    from carts.setup import finish_new_connection

    warehouse = Warehouse.objects.create(merchant=merchant, name=name, connector="builtin", is_active=True)
    finish_new_connection(warehouse)
    return warehouse


def make_cart(warehouse: Warehouse, server: dict[str, Any], *, tested: bool = True) -> Cart:
    """A cart of the page server's outlet, set up as a person would."""
    from carts.connection_test import run_test
    from carts.models import Cart
    from carts.setup import check_settings, finish_new_connection
    from connectors.registry import connector_class

    values = {"vend_url": server["url"], "outlet_name": server["outlet"]}
    options, credentials = check_settings(connector_class("vend"), values, {"access_token": server["token"]}, {})
    cart = Cart.objects.create(
        merchant=warehouse.merchant,
        name=f"Cart {uuid.uuid4().hex[:8]}",
        connector="vend",
        options=options,
        credentials=credentials,
        warehouse=warehouse,
        is_active=True,
    )
    finish_new_connection(cart)
    if tested:
        report = run_test(cart)
        if not report.ok:
            raise RuntimeError(f"The cart's test failed: {report}")
    return cart


def server_from_environment() -> dict[str, Any]:
    """The page server as ``orders.environment_of`` describes it to a measured process."""
    return {name: os.environ[f"BENCH_{name.upper()}"] for name in ("url", "token", "outlet")}
