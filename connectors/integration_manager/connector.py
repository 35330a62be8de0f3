"""Extensiv Integration Manager as a warehouse: one connection is one API Access cart there."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from datetime import datetime
from functools import cached_property
from urllib.parse import urlsplit

from connectors.base import Connector, Environment
from connectors.budget import Budget
from connectors.functions import Role
from connectors.integration_manager import orders, products, selftest, sent_orders, shipments, stock
from connectors.integration_manager.client import CartRoverClient
from connectors.integration_manager.mapping import order_body
from connectors.integration_manager.options import (
    DOMAIN,
    IntegrationManagerCredentials,
    IntegrationManagerOptions,
)
from connectors.integration_manager.session import REMAINING_HEADER, CartRoverSession, basic, bucket
from connectors.ports import (
    CancellationWriter,
    InventoryReader,
    LocationReader,
    OrderWriter,
    ProductReader,
    SentOrderSearcher,
    ShipmentAcknowledger,
    ShipmentReader,
)
from connectors.records import (
    LevelRecord,
    LocationRecord,
    OutboundCancellation,
    OutboundOrder,
    Page,
    ProductRecord,
    SentOrderRecord,
    ShipmentRecord,
    TestStep,
    WriteResult,
)


class IntegrationManagerWarehouse(
    Connector,
    OrderWriter,
    CancellationWriter,
    SentOrderSearcher,
    ShipmentReader,
    ShipmentAcknowledger,
    InventoryReader,
    ProductReader,
    LocationReader,
):
    key = "integration_manager"
    label = "Extensiv Integration Manager (CartRover)"
    summary = (
        "Orders go to Integration Manager, which passes them on to its WMS; shipments, stock and products come back."
    )
    roles = frozenset({Role.WAREHOUSE})
    domains = (DOMAIN,)
    lists_all_locations = False
    tells_whole_skus = True
    Options = IntegrationManagerOptions
    Credentials = IntegrationManagerCredentials

    def __init__(
        self,
        options: IntegrationManagerOptions,
        credentials: IntegrationManagerCredentials,
        environment: Environment,
    ) -> None:
        super().__init__(options, credentials, environment)
        self.options = options
        self.credentials = credentials
        self.warehouse_names: dict[str, str] = {}

    @cached_property
    def client(self) -> CartRoverClient:
        """Raises ``ConfigurationInvalid`` when the address is not one the hub may talk to."""
        own = self.credentials
        session = self.session(own.api_user, own.api_key)
        merchant = session
        if own.merchant_api_user:
            merchant = self.session(own.merchant_api_user, own.merchant_api_key)
        return CartRoverClient(session, self.session(own.api_user, own.api_key, limited=False), merchant)

    def session(self, user: str, key: str, *, limited: bool = True) -> CartRoverSession:
        """``limited``: its calls come out of the bucket of this key."""
        return CartRoverSession(
            self.options.api_url,
            hosts=self.host_policy(self.environment),
            budget=bucket(self.budget_of(user)) if limited else self.budget_of(user, "orders"),
            call_log=self.environment.call_log,
            headers=basic(user, key),
            limit_headers=("", REMAINING_HEADER),
        )

    def budget_of(self, user: str, what: str = "") -> Budget:
        """One for each key, whichever of its connections calls. The name holds no part of the key."""
        account = hashlib.blake2b(user.encode(), digest_size=6).hexdigest()
        return self.environment.budgets.get(f"{self.key}:{urlsplit(self.options.api_url).netloc}:{account}{what}")

    def close(self) -> None:
        if "client" in self.__dict__:
            self.client.close()

    # --- orders ------------------------------------------------------------------------------------------------------

    def order_batch_size(self) -> int:
        return orders.ORDERS_PER_BATCH

    def send_orders(self, orders_: Sequence[OutboundOrder]) -> Sequence[WriteResult]:
        bodies = {
            order.reference: order_body(
                order,
                location=self.warehouse_name(order.location_id),
                default_ship_method=self.options.default_ship_method,
            )
            for order in orders_
        }
        return orders.send(self.client, bodies)

    def find_sent(self, reference: str) -> str | None:
        return orders.find_sent(self.client, reference)

    def search_sent(self, since: datetime, until: datetime) -> Iterator[Page[SentOrderRecord]]:
        return sent_orders.search_sent(self.client, since, until)

    def cancel_order(self, cancellation: OutboundCancellation) -> WriteResult:
        return orders.cancel(self.client, cancellation)

    def warehouse_name(self, location_id: str) -> str:
        """What Integration Manager calls the location; an order names it by name, stock by id. "" where it is not to
        be named."""
        if not self.options.name_warehouse or location_id in ("", stock.EVERYWHERE):
            return ""
        if location_id not in self.warehouse_names:
            found = {place.external_id: place.name for place in stock.read_locations(self.client, location_id)}
            self.warehouse_names |= {location_id: location_id, **found}
        return self.warehouse_names[location_id]

    # --- shipments ---------------------------------------------------------------------------------------------------

    def read_shipments(self, cursor: str) -> Iterator[Page[ShipmentRecord]]:
        return shipments.read_shipments(self.client, cursor)

    def acknowledge_shipments(self, shipments_: Sequence[ShipmentRecord]) -> Sequence[WriteResult]:
        return shipments.acknowledge(self.client, shipments_)

    # --- stock and products ------------------------------------------------------------------------------------------

    def read_levels(self, cursor: str) -> Iterator[Page[LevelRecord]]:
        return stock.read_levels(self.client, cursor)

    def read_locations(self) -> Sequence[LocationRecord]:
        return stock.read_locations(self.client)

    def read_products(self, cursor: str) -> Iterator[Page[ProductRecord]]:
        return products.read_products(self.client, cursor)

    def test(self) -> Iterator[TestStep]:
        return selftest.steps(self)
