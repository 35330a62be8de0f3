"""A merchant with a Vend outlet (the sandbox, over real HTTP) and the built-in warehouse, and a hand to turn the engine."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from datetime import timedelta
from decimal import Decimal
from typing import Any, cast

import pytest
from django.utils import timezone

from carts.connection_test import run_test
from carts.models import Cart, Location, Merchant, Order, StockLevel, StoreFact, Warehouse
from carts.remote import open_connector
from carts.setup import check_settings, finish_new_connection
from carts.warehouse_book import WarehouseBook
from connectors.functions import Function
from connectors.ports import ProductWriter
from connectors.registry import connector_class
from connectors.vend.sandbox import VendSandbox
from syncjobs.connector_cache import OpenConnectors
from syncjobs.delivering import deliver_next
from syncjobs.inbox import process_inbox
from syncjobs.models import Run
from syncjobs.runner import claim_run, execute
from syncjobs.schedule import request_run
from tests.factories import make_builtin_warehouse, make_merchant


class World:
    """Everything of one small hub. ``run`` executes one function as a worker would."""

    def __init__(self, sandbox: VendSandbox, settings: Any) -> None:
        self.sandbox = sandbox
        self.store = sandbox.store
        settings.EXTRA_HOSTS = frozenset({sandbox.host})
        self.merchant: Merchant = make_merchant()
        self.warehouse: Warehouse = make_builtin_warehouse(self.merchant)
        self.location: Location = self.warehouse.locations.get()
        self.outlet = self.store.outlets[0]
        self.cart = self.add_cart("Main Outlet")
        self.book = WarehouseBook(self.warehouse.pk)

    def add_cart(self, outlet_name: str, tested: bool = True, **options: Any) -> Cart:
        values = {"vend_url": self.sandbox.url, "outlet_name": outlet_name, "send_cancellations": True, **options}
        clean, credentials = check_settings(connector_class("vend"), values, {"access_token": self.sandbox.token}, {})
        cart = Cart.objects.create(
            merchant=self.merchant,
            name=f"{outlet_name} {uuid.uuid4().hex[:4]}",
            connector="vend",
            options=clean,
            credentials=credentials,
            warehouse=self.warehouse,
            is_active=True,
        )
        finish_new_connection(cart)
        if tested:
            report = run_test(cart)
            assert report.ok, report
            for webhook in list(self.store.webhooks):
                self.store.delete_webhook(webhook["id"])  # nobody listens, except in the tests of webhooks
        return cart

    def set_options(self, cart: Cart | None = None, **options: Any) -> None:
        cart = cart or self.cart
        cart.options = {**cart.options, **options}
        cart.save()

    def product(self, number: int = 0) -> Any:
        return self.store.products[number]

    def sell(self, *lines: tuple[Any, Any], **fields: Any) -> Any:
        return self.store.add_sale(
            **{"outlet": self.outlet["id"], "lines": list(lines) or [(self.product(), 1)], **fields}
        )

    def run(self, function: Function, connection: Any = None, **flags: Any) -> Run:
        """Queues and executes a run, as a worker would; returns it finished."""
        connection = connection or (self.warehouse if function in WAREHOUSE_SIDE else self.cart)
        queued = request_run(connection, function, Run.Trigger.PERSON, **flags)
        claimed = claim_run(queued.pk, "test")
        assert claimed is not None, f"{queued} could not be claimed"
        return execute(claimed, "test")

    def download(self, **flags: Any) -> Run:
        return self.run(Function.ORDER_DOWNLOAD, **flags)

    def sync_stock(self, **flags: Any) -> Run:
        return self.run(Function.INVENTORY_SYNC, **flags)

    def deliver(self, rounds: int = 50) -> int:
        """Drains the outbox until nothing is due."""
        connectors = OpenConnectors()
        done = 0
        try:
            for _ in range(rounds):
                step = deliver_next("test", connectors)
                if not step:
                    break
                done += step
        finally:
            connectors.close()
        return done

    def let_store_facts_age(self) -> None:
        """As if the store had been asked about itself an hour ago."""
        StoreFact.objects.update(read_at=timezone.now() - timedelta(hours=1))

    def process_inbox(self) -> int:
        return process_inbox()

    def order(self, sale: Any) -> Order:
        return Order.objects.get(external_id=sale["id"])

    def book_rules(self) -> Any:
        """How the built-in warehouse takes products."""
        return cast(ProductWriter, open_connector(self.warehouse)).product_rules()

    def stock(self, sku: str, available: int | str) -> None:
        """Puts stock of an SKU at the warehouse's location."""
        self.book.set_available([(self.location, sku, Decimal(available))])

    def available(self, sku: str) -> Any:
        return StockLevel.objects.get(location=self.location, sku=sku).available

    def level(self, product: Any) -> Any:
        return self.store.level(product["id"], self.outlet["id"])


WAREHOUSE_SIDE = {
    Function.ORDER_SENDING,
    Function.ORDER_CANCELLATION_SENDING,
    Function.SHIPMENT_PICKUP,
    Function.INVENTORY_PICKUP,
}


@pytest.fixture
def world(db: None, settings: Any) -> Iterator[World]:
    """Lives in one transaction that is rolled back. A test whose threads, processes or server must see it says so with
    ``live_server`` or ``pytest.mark.django_db(transaction=True)``."""
    with VendSandbox(outlets=2, sales=0, products=12, customers=6, seed=1, rate_limit=100_000) as sandbox:
        yield World(sandbox, settings)


@pytest.fixture
def now() -> Any:
    return timezone.now()
