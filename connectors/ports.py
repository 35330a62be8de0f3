"""Reader and writer ports: small protocols, one per thing read or written.

A connector's functions follow from the ports it implements (``connectors.base.Connector.functions``); nothing is listed
by hand. Readers yield pages in feed order and never write anywhere. Writers return one ``WriteResult`` per item, in any
order, or raise a typed error of ``connectors.errors``.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Protocol, runtime_checkable

from connectors.records import (
    CancellationRecord,
    ConsignmentRecord,
    CustomerRecord,
    Hint,
    LevelChange,
    LevelRecord,
    LocationRecord,
    OrderAnswerRecord,
    OrderRecord,
    OutboundCancellation,
    OutboundOrder,
    OutboundOrderChange,
    OutboundRefund,
    OutboundShipment,
    OutboundStockAdjustment,
    OutboundStockTransfer,
    OutletRecord,
    Page,
    PriceRecord,
    ProductFamilyChange,
    ProductRecord,
    ProductRules,
    SentOrderRecord,
    SentOrderState,
    ShipmentRecord,
    TestStep,
    WriteResult,
)


@runtime_checkable
class OrderReader(Protocol):
    def read_orders(self, cursor: str) -> Iterator[Page[OrderRecord]]:
        """Every order changed since ``cursor`` ("" = from the beginning), oldest change first."""
        ...

    def read_order(self, external_id: str) -> OrderRecord:
        """One order as it is now. Raises ``RecordRefused`` when it does not exist."""
        ...


@runtime_checkable
class OrderSearcher(Protocol):
    def search_orders(self, since: datetime, until: datetime) -> Iterator[Page[OrderRecord]]:
        """Every order placed from ``since`` until before ``until`` as it is now, whatever its status: to compare, not to
        store. Some from before and after may be among them. ``Page.cursor`` means nothing."""
        ...


@runtime_checkable
class SentOrderSearcher(Protocol):
    def search_sent(self, since: datetime, until: datetime) -> Iterator[Page[SentOrderRecord]]:
        """Every order the warehouse took in from ``since`` until before ``until``, as it is now. Some from before and
        after may be among them. ``Page.cursor`` means nothing."""
        ...


@runtime_checkable
class SentOrderCounter(Protocol):
    """A warehouse that can count the hub's orders for less than it takes to list them. Goes with ``SentOrderSearcher``."""

    def count_sent(self, since: datetime, until: datetime) -> Mapping[SentOrderState, int]:
        """How many of the orders that it took in from ``since`` until before ``until`` are in these states now: only
        those states that it can count, none where it cannot."""
        ...


@runtime_checkable
class OrderFeedCancellations(Protocol):
    """The order feed itself shows cancellations (``OrderRecord.state``), so Order Cancel Download rides on it."""

    def cancellations_come_with_orders(self) -> bool: ...


@runtime_checkable
class OrderFeedRefunds(Protocol):
    """The order feed itself shows returns (``OrderRecord.refund``), so Refund Download rides on it."""

    def refunds_come_with_orders(self) -> bool: ...


@runtime_checkable
class CancellationReader(Protocol):
    def read_cancellations(self, cursor: str) -> Iterator[Page[CancellationRecord]]: ...


@runtime_checkable
class ProductReader(Protocol):
    def read_products(self, cursor: str) -> Iterator[Page[ProductRecord]]:
        """Every product changed since ``cursor``, deleted ones included (``deleted=True``)."""
        ...


@runtime_checkable
class CustomerReader(Protocol):
    def read_customers(self, cursor: str) -> Iterator[Page[CustomerRecord]]: ...


@runtime_checkable
class OutletReader(Protocol):
    def read_outlets(self) -> Sequence[OutletRecord]: ...


@runtime_checkable
class LocationReader(Protocol):
    def read_locations(self) -> Sequence[LocationRecord]:
        """Every location, those that are not in use there too (``is_active``). One that cannot tell all of them says so
        (``Connector.lists_all_locations``)."""
        ...


@runtime_checkable
class InventoryReader(Protocol):
    def read_levels(self, cursor: str) -> Iterator[Page[LevelRecord]]:
        """Stock levels changed since ``cursor``. A reader without a change feed yields everything each time."""
        ...


@runtime_checkable
class PriceBookReader(Protocol):
    def read_prices(self, outlet_id: str) -> Iterator[Page[PriceRecord]]:
        """Every price that may hold at an outlet ("" = at any), of all its books and the base book. Always everything:
        prices that are gone are not among them. ``PriceBookRecord.valid_from`` and ``valid_to`` are the reader's to
        judge."""
        ...


@runtime_checkable
class ShipmentReader(Protocol):
    def read_shipments(self, cursor: str) -> Iterator[Page[ShipmentRecord]]: ...


@runtime_checkable
class ShipmentAcknowledger(Protocol):
    """A warehouse that goes on offering a shipment until it is told that it was taken."""

    def acknowledge_shipments(self, shipments: Sequence[ShipmentRecord]) -> Sequence[WriteResult]:
        """Tells the warehouse that these shipments, each with an ``acknowledgement``, are stored here. The hub calls it
        after they are committed, never before, so that none is lost; what is not acknowledged is offered again.
        ``WriteResult.reference`` is the shipment's ``external_id``; one without a result comes again. Idempotent."""
        ...


@runtime_checkable
class OrderAnswerReader(Protocol):
    def read_answers(self, cursor: str) -> Iterator[Page[OrderAnswerRecord]]:
        """What the warehouse decided, since ``cursor``, about orders that it was given. An answer that does not hold any
        more is not among them."""
        ...


@runtime_checkable
class OrderWriter(Protocol):
    def order_batch_size(self) -> int:
        """How many orders one ``send_orders`` call may hold."""
        ...

    def send_orders(self, orders: Sequence[OutboundOrder]) -> Sequence[WriteResult]: ...

    def find_sent(self, reference: str) -> str | None:
        """The remote id of the order sent under ``reference``, or None if it certainly never arrived."""
        ...


@runtime_checkable
class CancellationWriter(Protocol):
    def cancel_order(self, cancellation: OutboundCancellation) -> WriteResult:
        """Idempotent: cancelling what is already cancelled is done. A refusal is a rejected result. ``WriteResult.asked``:
        the warehouse decides later, and ``OrderAnswerReader`` tells."""
        ...


@runtime_checkable
class RefundWriter(Protocol):
    def send_refund(self, refund: OutboundRefund) -> WriteResult:
        """Announces a return. A refusal is a rejected result."""
        ...

    def find_refund(self, reference: str) -> str | None:
        """The remote id of the return sent under ``reference``, or None if it certainly never arrived."""
        ...


@runtime_checkable
class ShipmentWriter(Protocol):
    def confirm_shipment(self, shipment: OutboundShipment) -> WriteResult:
        """Idempotent: confirming what the cart knows already is done. Raises ``OutcomeUnknown`` only when asking again
        is safe."""
        ...


@runtime_checkable
class InventoryWriter(Protocol):
    def level_batch_size(self) -> int: ...

    def write_levels(self, changes: Sequence[LevelChange]) -> Sequence[WriteResult]:
        """Brings levels from ``current`` to ``desired``. ``WriteResult.reference`` is the change's ``product_id``.
        ``OutcomeUnknown`` is settled by reading the levels again, never by repeating the call."""
        ...


@runtime_checkable
class WebhookChecker(Protocol):
    def check_webhooks(self, url: str) -> Sequence[TestStep]:
        """What the remote knows of our webhooks for ``url``, one step each, without changing anything. A failed step is
        put right by ``WebhookSource.register_webhooks``."""
        ...


@runtime_checkable
class WebhookRemover(Protocol):
    def remove_webhooks(self, addresses: Collection[str]) -> int:
        """Takes off every webhook registered at one of these addresses (each was given to
        ``WebhookSource.register_webhooks`` once) and no other. Returns how many there were. Raises ``ConnectorError``."""
        ...


@runtime_checkable
class WebhookSource(Protocol):
    def register_webhooks(self, url: str) -> Sequence[TestStep]:
        """Makes the remote call ``url`` for every topic the hub uses. Idempotent; removes our own stale ones."""
        ...

    def read_webhook(self, headers: Mapping[str, str], body: bytes) -> Sequence[Hint]:
        """What to look at. Raises ``ContractBroken`` when the body cannot be read at all."""
        ...


@runtime_checkable
class ConsignmentReader(Protocol):
    def read_consignments(self, cursor: str, since: datetime | None = None) -> Iterator[Page[ConsignmentRecord]]:
        """Every stock document changed since ``cursor``, whatever its outlet, oldest change first. Lines come with those
        that moved stock, save for documents last changed before ``since``: those are history."""
        ...

    def read_consignment(self, external_id: str) -> ConsignmentRecord:
        """One stock document as it is now, with its lines if it moved stock. Raises ``RecordRefused`` when it does not
        exist."""
        ...


@runtime_checkable
class StockAdjustmentWriter(Protocol):
    def send_adjustment(self, adjustment: OutboundStockAdjustment) -> WriteResult:
        """Books changes of levels at one location. A refusal is a rejected result; lines that the warehouse does not know
        are named in ``WriteResult.reason`` of a done result, and the rest is booked."""
        ...

    def find_adjustment(self, reference: str) -> str | None:
        """The remote id of the adjustment sent under ``reference``, or None if it certainly never arrived."""
        ...


@runtime_checkable
class StockTransferWriter(Protocol):
    def knows_transit(self) -> bool:
        """Does the warehouse book a transfer in two steps, sent and received? Else it gets one, when it is received."""
        ...

    def send_transfer(self, transfer: OutboundStockTransfer) -> WriteResult:
        """Books one step of a transfer. A refusal is a rejected result."""
        ...

    def find_transfer(self, transfer: OutboundStockTransfer) -> str | None:
        """The remote id of the transfer if this step of it has arrived, or None if it certainly never did."""
        ...


@runtime_checkable
class OrderChangeWriter(Protocol):
    def change_order(self, change: OutboundOrderChange) -> WriteResult:
        """Idempotent: changes an order that was sent before into what it is now. A refusal (already picked, for example)
        is a rejected result."""
        ...


@runtime_checkable
class ProductWriter(Protocol):
    """Takes the products of the other side: a cart those of its warehouse, a warehouse those of its shops. Goes with
    ``ProductReader``: the hub compares with what the reader lists, and finds products that exist by their SKU."""

    def product_rules(self) -> ProductRules:
        """How products must be for this system. Asks the remote nothing."""
        ...

    def write_products(self, family: ProductFamilyChange) -> Sequence[WriteResult]:
        """Creates or changes one family; never deletes. One result per variant, ``WriteResult.reference`` being the
        variant's; a done one may carry a ``reason``: what of it was left alone. A variant without a result was not
        written. ``OutcomeUnknown``: it is written again with ``in_doubt``; then what the first call created must be found
        by its SKU and not be created twice."""
        ...
