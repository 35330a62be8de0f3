"""What a destination can do, and what its test remote can be made to do."""

from __future__ import annotations

from enum import StrEnum

from connectors import ports


class Capability(StrEnum):
    ORDERS = "takes orders"
    CANCELLATIONS = "cancels orders"
    CHANGES = "changes orders that were sent"
    SENT_ORDERS = "lists the orders that it was sent"
    COUNTED_ORDERS = "counts the orders that it was sent"
    SHIPMENTS = "tells shipments"
    INVENTORY = "tells stock"
    LOCATIONS = "tells its locations"
    PRODUCTS = "tells products"
    PRODUCT_DETAILS = "takes products"
    ADJUSTMENTS = "takes stock adjustments"
    TRANSFERS = "takes stock transfers"
    RETURNS = "takes returns"
    # Finer than ports.
    BATCHES = "takes several orders in one call"
    UNKNOWN_SKUS = "refuses a SKU that it does not know"
    UNKNOWN_LOCATIONS = "refuses a location that it does not know"
    REFUSED_CANCELLATIONS = "refuses to cancel what was shipped"
    PARTIAL_SHIPMENTS = "ships an order in parts"
    SEVERAL_PARCELS = "ships an order in several parcels at once"
    COMMITTED_STOCK = "takes what open orders need off the stock it tells"
    SEVERAL_LOCATIONS = "has several locations"
    PRICES = "tells prices"
    REPEATED_ORDERS = "knows an order that is sent twice by its reference"
    # Trouble that its test remote can make.
    LOST_ANSWERS = "may accept something without an answer"
    OUTAGES = "may be down"
    REFUSED_ACCESS = "may refuse the credentials"
    RATE_LIMITS = "may ask to wait"
    WEB_PAGES = "may answer with a web page"


PORTS: dict[Capability, type] = {
    Capability.ORDERS: ports.OrderWriter,
    Capability.CANCELLATIONS: ports.CancellationWriter,
    Capability.CHANGES: ports.OrderChangeWriter,
    Capability.SENT_ORDERS: ports.SentOrderSearcher,
    Capability.COUNTED_ORDERS: ports.SentOrderCounter,
    Capability.SHIPMENTS: ports.ShipmentReader,
    Capability.INVENTORY: ports.InventoryReader,
    Capability.LOCATIONS: ports.LocationReader,
    Capability.PRODUCTS: ports.ProductReader,
    Capability.PRODUCT_DETAILS: ports.ProductWriter,
    Capability.ADJUSTMENTS: ports.StockAdjustmentWriter,
    Capability.TRANSFERS: ports.StockTransferWriter,
    Capability.RETURNS: ports.RefundWriter,
}
