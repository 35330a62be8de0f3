"""Tryton as a warehouse: orders become sales, Tryton's shipments, stock and prices come back, and the shops' returns,
counts and transfers are booked there."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from functools import cached_property

from connectors.base import Connector, Environment
from connectors.functions import Role
from connectors.ports import (
    CancellationWriter,
    InventoryReader,
    LocationReader,
    OrderChangeWriter,
    OrderWriter,
    ProductReader,
    RefundWriter,
    SentOrderCounter,
    SentOrderSearcher,
    ShipmentReader,
    StockAdjustmentWriter,
    StockTransferWriter,
)
from connectors.records import (
    LevelRecord,
    LocationRecord,
    OutboundCancellation,
    OutboundOrder,
    OutboundOrderChange,
    OutboundRefund,
    OutboundStockAdjustment,
    OutboundStockTransfer,
    Page,
    ProductRecord,
    SentOrderRecord,
    SentOrderState,
    ShipmentRecord,
    TestStep,
    WriteResult,
)
from connectors.tryton import selftest
from connectors.tryton.catalogue import Articles, Catalogue
from connectors.tryton.client import TrytonClient, TrytonSession
from connectors.tryton.company import Company
from connectors.tryton.levels import Levels
from connectors.tryton.options import TrytonCredentials, TrytonOptions
from connectors.tryton.parties import Parties
from connectors.tryton.sale_values import SaleValues
from connectors.tryton.sales import Sales
from connectors.tryton.sent_sales import SentSales
from connectors.tryton.shipments import Shipments
from connectors.tryton.stocktakes import Stocktakes
from connectors.tryton.transfers import Transfers

ORDERS_PER_CALL = 20


class TrytonConnector(
    Connector,
    OrderWriter,
    CancellationWriter,
    OrderChangeWriter,
    RefundWriter,
    SentOrderSearcher,
    SentOrderCounter,
    ShipmentReader,
    InventoryReader,
    ProductReader,
    LocationReader,
    StockAdjustmentWriter,
    StockTransferWriter,
):
    """One company in one Tryton database. A location is a Tryton warehouse."""

    key = "tryton"
    label = "Tryton"
    summary = (
        "Orders become sales in your own Tryton; shipments, stock and price lists come back, and returns, counts and "
        "transfers of the shops are booked there."
    )
    roles = frozenset({Role.WAREHOUSE})
    Options = TrytonOptions
    Credentials = TrytonCredentials

    def __init__(self, options: TrytonOptions, credentials: TrytonCredentials, environment: Environment) -> None:
        super().__init__(options, credentials, environment)
        self.options = options
        self.credentials = credentials

    @cached_property
    def client(self) -> TrytonClient:
        url = self.options.tryton_url
        session = TrytonSession(
            url,
            hosts=self.host_policy(self.environment),
            budget=self.environment.budgets.get(f"tryton:{url}"),
            call_log=self.environment.call_log,
        )
        return TrytonClient(session, self.options.database, self.credentials.user_name, self.credentials.password)

    def close(self) -> None:
        if "client" in self.__dict__:
            self.client.close()

    def test(self) -> Iterator[TestStep]:
        return selftest.steps(self)

    # What the parts share

    @cached_property
    def company(self) -> Company:
        company = Company(self.client, self.options.company, self.options.warehouse)
        company.row  # noqa: B018 - every call is made for this company
        return company

    @cached_property
    def articles(self) -> Articles:
        return Articles(self.client)

    @cached_property
    def catalogue(self) -> Catalogue:
        return Catalogue(self.client, self.company)

    @cached_property
    def sales(self) -> Sales:
        parties = Parties(self.client, self.company, self.options.customer_matching)
        values = SaleValues(self.client, self.company, self.articles, parties, self.options)
        return Sales(self.client, self.company, values, self.options)

    @cached_property
    def stocktakes(self) -> Stocktakes:
        return Stocktakes(self.client, self.company, self.articles, self.options.mark)

    @cached_property
    def transfers(self) -> Transfers:
        return Transfers(self.client, self.company, self.articles, self.options.mark)

    # Orders

    def order_batch_size(self) -> int:
        return ORDERS_PER_CALL

    def send_orders(self, orders: Sequence[OutboundOrder]) -> Sequence[WriteResult]:
        self.articles.forget()
        return self.sales.send(orders)

    def find_sent(self, reference: str) -> str | None:
        return self.sales.find_sent(reference)

    def search_sent(self, since: datetime, until: datetime) -> Iterator[Page[SentOrderRecord]]:
        return SentSales(self.client, self.company, self.options.mark).pages(since, until)

    def count_sent(self, since: datetime, until: datetime) -> Mapping[SentOrderState, int]:
        """Open ones only: whether all shipments of a sale have left, or were cancelled, cannot be asked for in one count."""
        sent = SentSales(self.client, self.company, self.options.mark)
        return {SentOrderState.OPEN: sent.count_open(since, until)}

    def cancel_order(self, cancellation: OutboundCancellation) -> WriteResult:
        return self.sales.cancel(cancellation)

    def change_order(self, change: OutboundOrderChange) -> WriteResult:
        self.articles.forget()
        return self.sales.change(change)

    def send_refund(self, refund: OutboundRefund) -> WriteResult:
        self.articles.forget()
        return self.sales.send_refund(refund)

    def find_refund(self, reference: str) -> str | None:
        return self.sales.find_refund(reference)

    # What comes back

    def read_shipments(self, cursor: str) -> Iterator[Page[ShipmentRecord]]:
        return Shipments(self.client, self.company, self.options.mark).pages(cursor)

    def read_levels(self, cursor: str) -> Iterator[Page[LevelRecord]]:
        return Levels(self.client, self.company, self.options.mark).pages(cursor)

    def read_products(self, cursor: str) -> Iterator[Page[ProductRecord]]:
        return self.catalogue.pages(cursor)

    def read_locations(self) -> Sequence[LocationRecord]:
        return [
            LocationRecord(external_id=place.key, name=place.name, is_active=place.is_active)
            for place in self.company.places
        ]

    # Stock of the shops

    def send_adjustment(self, adjustment: OutboundStockAdjustment) -> WriteResult:
        self.articles.forget()
        return self.stocktakes.send(adjustment)

    def find_adjustment(self, reference: str) -> str | None:
        return self.stocktakes.find(reference)

    def knows_transit(self) -> bool:
        return True

    def send_transfer(self, transfer: OutboundStockTransfer) -> WriteResult:
        self.articles.forget()
        return self.transfers.send(transfer)

    def find_transfer(self, transfer: OutboundStockTransfer) -> str | None:
        return self.transfers.find(transfer)
