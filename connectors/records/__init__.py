"""Canonical records: what travels between the remote world and the database.

Money and quantities are ``Decimal`` made from text, times are aware UTC, ids are opaque strings. Records are frozen:
whoever needs another value makes another record (``dataclasses.replace``; ``msgspec.structs.replace`` for orders, their
parts and addresses). Import them from here; the modules only keep them apart by subject.
"""

from connectors.records.amounts import ZERO
from connectors.records.catalogue import CustomerRecord, PriceBookRecord, PriceRecord, ProductKind, ProductRecord
from connectors.records.comparison import SentOrderRecord, SentOrderState
from connectors.records.exchange import Hint, Page, Reject, TestStep, WriteResult
from connectors.records.movements import (
    ConsignmentKind,
    ConsignmentLineRecord,
    ConsignmentRecord,
    ConsignmentState,
    OutboundStockAdjustment,
    OutboundStockLine,
    OutboundStockTransfer,
    TransferStep,
)
from connectors.records.orders import (
    CancellationRecord,
    ChargeRecord,
    OrderAnswer,
    OrderAnswerRecord,
    OrderLineRecord,
    OrderRecord,
    PaymentRecord,
    RefundRecord,
    RemoteOrderState,
    ShipmentLineRecord,
    ShipmentRecord,
)
from connectors.records.outbound import (
    OutboundCancellation,
    OutboundLine,
    OutboundOrder,
    OutboundOrderChange,
    OutboundRefund,
    OutboundRefundLine,
    OutboundShipment,
)
from connectors.records.places import ADDRESS_FIELDS, Address, LocationRecord, OutletRecord
from connectors.records.product_changes import ProductFamilyChange, ProductRules, VariantChange
from connectors.records.stock import LevelChange, LevelRecord

__all__ = [
    "ADDRESS_FIELDS",
    "ZERO",
    "Address",
    "CancellationRecord",
    "ChargeRecord",
    "ConsignmentKind",
    "ConsignmentLineRecord",
    "ConsignmentRecord",
    "ConsignmentState",
    "CustomerRecord",
    "Hint",
    "LevelChange",
    "LevelRecord",
    "LocationRecord",
    "OrderAnswer",
    "OrderAnswerRecord",
    "OrderLineRecord",
    "OrderRecord",
    "OutboundCancellation",
    "OutboundLine",
    "OutboundOrder",
    "OutboundOrderChange",
    "OutboundRefund",
    "OutboundRefundLine",
    "OutboundShipment",
    "OutboundStockAdjustment",
    "OutboundStockLine",
    "OutboundStockTransfer",
    "OutletRecord",
    "Page",
    "PaymentRecord",
    "PriceBookRecord",
    "PriceRecord",
    "ProductFamilyChange",
    "ProductKind",
    "ProductRecord",
    "ProductRules",
    "RefundRecord",
    "Reject",
    "RemoteOrderState",
    "SentOrderRecord",
    "SentOrderState",
    "ShipmentLineRecord",
    "ShipmentRecord",
    "TestStep",
    "TransferStep",
    "VariantChange",
    "WriteResult",
]
