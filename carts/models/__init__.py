import carts.models.lookups  # noqa: F401 - registers any_of
from carts.models.alerts import Alert, AlertMail, AlertSubscription
from carts.models.authorizations import Authorization
from carts.models.builtin import (
    BookedDocument,
    PickLine,
    PickOrder,
    PickReturn,
    PickReturnLine,
    PickShipment,
    PickShipmentLine,
    StockMovement,
    StockPosting,
)
from carts.models.catalogue import (
    Customer,
    Product,
    ProductLink,
    ProductMatch,
    PushedProduct,
    SentProduct,
    ShopProduct,
    StockMatch,
)
from carts.models.connections import (
    Cart,
    CartStockLocation,
    Connection,
    FunctionSetting,
    Location,
    Outlet,
    StockFrom,
    Warehouse,
)
from carts.models.consignments import (
    Consignment,
    ConsignmentLine,
    StockAdjustment,
    StockAdjustmentLine,
    StockDocument,
    StockOnItsWay,
    StockTransfer,
    StockTransferLine,
    StockTransferStep,
)
from carts.models.log_ins import LogInFailures
from carts.models.merchants import ApiToken, Membership, Merchant, Preference
from carts.models.order_changes import OrderChange
from carts.models.orders import Order, OrderEvent, OrderLine, OrderPayload, Shipment, ShipmentLine
from carts.models.refunds import Refund, RefundLine
from carts.models.stock import OutletLevel, StockLevel
from carts.models.store_facts import StoreFact
from carts.models.webhook_registrations import WebhookRegistration
from carts.models.wms_endpoint import WmsEndpoint

__all__ = [
    "Alert",
    "AlertMail",
    "AlertSubscription",
    "ApiToken",
    "Authorization",
    "BookedDocument",
    "Cart",
    "CartStockLocation",
    "Connection",
    "Consignment",
    "ConsignmentLine",
    "Customer",
    "FunctionSetting",
    "Location",
    "LogInFailures",
    "Membership",
    "Merchant",
    "Order",
    "OrderChange",
    "OrderEvent",
    "OrderLine",
    "OrderPayload",
    "Outlet",
    "OutletLevel",
    "PickLine",
    "PickOrder",
    "PickReturn",
    "PickReturnLine",
    "PickShipment",
    "PickShipmentLine",
    "Preference",
    "Product",
    "ProductLink",
    "ProductMatch",
    "PushedProduct",
    "Refund",
    "RefundLine",
    "SentProduct",
    "Shipment",
    "ShipmentLine",
    "ShopProduct",
    "StockAdjustment",
    "StockAdjustmentLine",
    "StockDocument",
    "StockFrom",
    "StockLevel",
    "StockMatch",
    "StockMovement",
    "StockOnItsWay",
    "StockPosting",
    "StockTransfer",
    "StockTransferLine",
    "StockTransferStep",
    "StoreFact",
    "Warehouse",
    "WebhookRegistration",
    "WmsEndpoint",
]
