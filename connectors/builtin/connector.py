"""The built-in warehouse: orders wait for a person or a REST client, and nothing leaves the hub.

It is the reference implementation of the warehouse ports: no HTTP, the same promises.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from connectors.base import Connector, Environment
from connectors.builtin.book import Book
from connectors.errors import ConfigurationInvalid
from connectors.functions import Role
from connectors.ports import (
    CancellationWriter,
    InventoryReader,
    LocationReader,
    OrderChangeWriter,
    OrderWriter,
    ProductReader,
    ProductWriter,
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
    ProductFamilyChange,
    ProductRecord,
    ProductRules,
    SentOrderRecord,
    SentOrderState,
    ShipmentRecord,
    TestStep,
    WriteResult,
)
from connectors.settings_fields import Settings, setting

ORDERS_PER_CALL = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class BuiltinOptions(Settings):
    retail_price_list: str = setting(
        "Price list for the shops' retail prices",
        help="With Product Detail Sync: where the retail prices of the shops' products go.",
        default="retail",
        advanced=True,
    )
    supply_price_list: str = setting(
        "Price list for the shops' supply prices",
        help="With Product Detail Sync: where the supply prices of the shops' products go.",
        default="buy",
        advanced=True,
    )

    @classmethod
    def check(cls, values: dict[str, Any]) -> Mapping[str, str]:
        if values["retail_price_list"].casefold() == values["supply_price_list"].casefold():
            return {"supply_price_list": "Choose another list than that of the retail prices."}
        return {}


class BuiltinWarehouse(
    Connector,
    OrderWriter,
    CancellationWriter,
    OrderChangeWriter,
    RefundWriter,
    SentOrderSearcher,
    SentOrderCounter,
    StockAdjustmentWriter,
    StockTransferWriter,
    ShipmentReader,
    InventoryReader,
    ProductReader,
    ProductWriter,
    LocationReader,
):
    """The warehouse that comes with the hub. Needs ``environment.resources["book"]``; raises ``ConfigurationInvalid``
    when opened without it."""

    key = "builtin"
    label = "Built-in warehouse"
    summary = (
        "Orders wait on a pick list for a person or a REST client; stock, products and price lists are kept right here."
    )
    roles = frozenset({Role.WAREHOUSE})
    levels_are_live = True
    stores_in_hub = True
    Options = BuiltinOptions

    def __init__(self, options: BuiltinOptions, credentials: Settings, environment: Environment) -> None:
        super().__init__(options, credentials, environment)
        self.options = options
        book = environment.resources.get("book")
        if book is None:
            raise ConfigurationInvalid(
                "The built-in warehouse was opened without its book.", fix="Set it up as a warehouse, not as a cart."
            )
        self.book: Book = book

    def order_batch_size(self) -> int:
        return ORDERS_PER_CALL

    def send_orders(self, orders: Sequence[OutboundOrder]) -> Sequence[WriteResult]:
        return self.book.receive(orders)

    def find_sent(self, reference: str) -> str | None:
        return self.book.find(reference)

    def search_sent(self, since: datetime, until: datetime) -> Iterator[Page[SentOrderRecord]]:
        return self.book.search(since, until)

    def count_sent(self, since: datetime, until: datetime) -> Mapping[SentOrderState, int]:
        return self.book.count(since, until)

    def cancel_order(self, cancellation: OutboundCancellation) -> WriteResult:
        return self.book.cancel(cancellation.reference, cancellation.reason)

    def change_order(self, change: OutboundOrderChange) -> WriteResult:
        return self.book.change(change)

    def send_refund(self, refund: OutboundRefund) -> WriteResult:
        return self.book.announce_return(refund)

    def find_refund(self, reference: str) -> str | None:
        return self.book.find_return(reference)

    def send_adjustment(self, adjustment: OutboundStockAdjustment) -> WriteResult:
        return self.book.adjust(adjustment)

    def find_adjustment(self, reference: str) -> str | None:
        return self.book.find_document("adjustment", reference)

    def knows_transit(self) -> bool:
        return True

    def send_transfer(self, transfer: OutboundStockTransfer) -> WriteResult:
        return self.book.move_transfer(transfer)

    def find_transfer(self, transfer: OutboundStockTransfer) -> str | None:
        return self.book.find_document("transfer", transfer.reference)

    def read_shipments(self, cursor: str) -> Iterator[Page[ShipmentRecord]]:
        return self.book.shipments(cursor)

    def read_levels(self, cursor: str) -> Iterator[Page[LevelRecord]]:
        return self.book.levels(cursor)

    def read_products(self, cursor: str) -> Iterator[Page[ProductRecord]]:
        return self.book.products(cursor)

    def product_rules(self) -> ProductRules:
        return ProductRules(
            retail_price_list="retail",
            retail_price_name=self.options.retail_price_list,
            supply_price_list="supply",
            supply_price_name=self.options.supply_price_list,
        )

    def write_products(self, family: ProductFamilyChange) -> Sequence[WriteResult]:
        return self.book.take_products(family, self.product_rules())

    def read_locations(self) -> Sequence[LocationRecord]:
        return self.book.locations()

    def test(self) -> Iterator[TestStep]:
        overview = self.book.overview()
        if not overview.active_locations:
            yield TestStep(
                name="Default location",
                ok=False,
                message="The warehouse has no active location, so no order can be received.",
                help="Add a location to the warehouse, or switch one on.",
            )
            return
        yield TestStep(
            name="Default location",
            ok=True,
            message=f"Orders that name no location go to {overview.default_location}.",
        )
        yield TestStep(
            name="Stock",
            ok=True,
            message=f"{overview.stocked_skus} stock levels are kept."
            if overview.stocked_skus
            else "No stock is entered yet: orders are received all the same, but no stock goes to the carts.",
        )
        yield TestStep(name="Pick list", ok=True, message=f"{overview.open_orders} orders wait to be shipped.")
