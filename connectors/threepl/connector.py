"""Extensiv 3PL Warehouse Manager as a warehouse: one connection serves one customer of one warehouse."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from functools import cached_property
from urllib.parse import urlsplit

from connectors.base import Connector, Environment
from connectors.functions import Role
from connectors.ports import (
    CancellationWriter,
    InventoryReader,
    LocationReader,
    OrderAnswerReader,
    OrderChangeWriter,
    OrderWriter,
    ProductReader,
    RefundWriter,
    SentOrderCounter,
    SentOrderSearcher,
    ShipmentReader,
    StockAdjustmentWriter,
)
from connectors.records import (
    LevelRecord,
    LocationRecord,
    OrderAnswerRecord,
    OutboundCancellation,
    OutboundOrder,
    OutboundOrderChange,
    OutboundRefund,
    OutboundStockAdjustment,
    Page,
    ProductRecord,
    SentOrderRecord,
    SentOrderState,
    ShipmentRecord,
    TestStep,
    WriteResult,
)
from connectors.threepl import catalogue, orders, receivers, selftest, sent_orders, shipments, stock
from connectors.threepl.client import ThreePLClient, ThreePLSession
from connectors.threepl.options import DOMAIN, ThreePLCredentials, ThreePLOptions
from connectors.threepl.tokens import keeper_for


class ThreePLConnector(
    Connector,
    OrderWriter,
    OrderChangeWriter,
    CancellationWriter,
    RefundWriter,
    StockAdjustmentWriter,
    SentOrderSearcher,
    SentOrderCounter,
    ShipmentReader,
    OrderAnswerReader,
    InventoryReader,
    ProductReader,
    LocationReader,
):
    """It cannot take stock transfers: the API books receipts and adjustments, but no move between facilities."""

    key = "threepl"
    label = "Extensiv 3PL Warehouse Manager"
    summary = "Orders go to a third-party warehouse; packages with tracking, stock per facility and items come back."
    roles = frozenset({Role.WAREHOUSE})
    domains = (DOMAIN,)
    Options = ThreePLOptions
    Credentials = ThreePLCredentials
    keeps_tokens = True

    def __init__(self, options: ThreePLOptions, credentials: ThreePLCredentials, environment: Environment) -> None:
        super().__init__(options, credentials, environment)
        self.options = options
        self.credentials = credentials

    @cached_property
    def client(self) -> ThreePLClient:
        """Raises ``ConfigurationInvalid`` when the address is not one the hub may talk to."""
        hosts = self.host_policy(self.environment)
        hosts.check(self.options.url)
        session = ThreePLSession(
            self.options.url,
            keeper=keeper_for(self.options, self.credentials, self.environment, hosts),
            hosts=hosts,
            budget=self.environment.budgets.get(
                f"threepl:{urlsplit(self.options.url).netloc}:{self.credentials.client_id}"
            ),
            call_log=self.environment.call_log,
            # Decides about the casing of names; the other one is understood as well.
            headers={"Accept": "application/hal+json"},
        )
        return ThreePLClient(session, self.options.customer_id)

    def close(self) -> None:
        if "client" in self.__dict__:
            self.client.close()

    def test(self) -> Iterator[TestStep]:
        return selftest.steps(self)

    # --- to the warehouse --------------------------------------------------------------------------------------------

    def order_batch_size(self) -> int:
        return 1

    def send_orders(self, orders_: Sequence[OutboundOrder]) -> Sequence[WriteResult]:
        return [orders.send(self.client, self.options, order) for order in orders_]

    def find_sent(self, reference: str) -> str | None:
        return orders.order_id_of(self.client, reference) or None

    def search_sent(self, since: datetime, until: datetime) -> Iterator[Page[SentOrderRecord]]:
        return sent_orders.search_sent(self.client, self.options, since, until)

    def count_sent(self, since: datetime, until: datetime) -> Mapping[SentOrderState, int]:
        return sent_orders.count_sent(self.client, self.options, since, until)

    def change_order(self, change: OutboundOrderChange) -> WriteResult:
        return orders.change(self.client, self.options, change)

    def cancel_order(self, cancellation: OutboundCancellation) -> WriteResult:
        return orders.cancel(self.client, cancellation)

    def send_refund(self, refund: OutboundRefund) -> WriteResult:
        return receivers.announce(self.client, self.options, refund)

    def find_refund(self, reference: str) -> str | None:
        return self.find_document(receivers.RECEIVERS, reference)

    def send_adjustment(self, adjustment: OutboundStockAdjustment) -> WriteResult:
        return stock.adjust(self.client, self.options, adjustment)

    def find_adjustment(self, reference: str) -> str | None:
        return self.find_document(stock.ADJUSTMENTS, reference)

    def find_document(self, kind: str, reference: str) -> str | None:
        known = self.client.find_document(kind, reference)
        return known.any_id if known is not None else None

    # --- from the warehouse ------------------------------------------------------------------------------------------

    def read_shipments(self, cursor: str) -> Iterator[Page[ShipmentRecord]]:
        return shipments.read_shipments(self.client, self.options, cursor)

    def read_answers(self, cursor: str) -> Iterator[Page[OrderAnswerRecord]]:
        return shipments.read_answers(self.client, self.options, cursor)

    def read_levels(self, cursor: str) -> Iterator[Page[LevelRecord]]:
        return stock.read_levels(self.client, self.options)

    def read_products(self, cursor: str) -> Iterator[Page[ProductRecord]]:
        return catalogue.read_products(self.client, cursor)

    def read_locations(self) -> Sequence[LocationRecord]:
        return [
            LocationRecord(
                external_id=facility.any_id,
                name=facility.any_name or f"Facility {facility.any_id}",
                is_active=not (facility.deactivated or facility.read_only.deactivated),
            )
            for facility in self.client.facilities()
        ]
