"""The functions of the product: what is synced, under the names the field uses.

A function's *key* is the snake case of its name; both are the same on screen, in code, in REST and in the docs.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Role(StrEnum):
    """The side of the hub a connection stands on."""

    CART = "cart"
    WAREHOUSE = "warehouse"


class Lane(StrEnum):
    """Work that must not wait for each other runs in separate lanes."""

    ORDERS = "orders"
    STOCK = "stock"
    CATALOGUE = "catalogue"


class Function(StrEnum):
    ORDER_DOWNLOAD = "order_download"
    ORDER_SENDING = "order_sending"
    ORDER_CANCEL_DOWNLOAD = "order_cancel_download"
    ORDER_CANCELLATION_SENDING = "order_cancellation_sending"
    ORDER_CANCEL_PICKUP = "order_cancel_pickup"
    SHIPMENT_PICKUP = "shipment_pickup"
    SHIPMENT_CONFIRMATION = "shipment_confirmation"
    INVENTORY_PICKUP = "inventory_pickup"
    INVENTORY_SYNC = "inventory_sync"
    PRODUCT_PICKUP = "product_pickup"
    PRODUCT_DETAIL_SYNC = "product_detail_sync"
    CUSTOMER_SYNC = "customer_sync"
    REFUND_DOWNLOAD = "refund_download"
    REFUND_SENDING = "refund_sending"
    STOCK_ADJUSTMENT_SYNC = "stock_adjustment_sync"
    STOCK_TRANSFER_SYNC = "stock_transfer_sync"
    ORDER_ACKNOWLEDGEMENT = "order_acknowledgement"
    INVOICE = "invoice"
    RECONCILIATION = "reconciliation"

    @property
    def label(self) -> str:
        return self.value.replace("_", " ").title()


@dataclass(frozen=True, slots=True)
class FunctionFacts:
    """What the engine and the screens must know about a function on one side of the hub.

    ``counterpart`` is the function that the other side must be able to do for this one to make sense.
    ``minutes`` is the default interval; 0 means *automatic*: done as soon as there is something to do.
    ``default_on`` is False for beta and push options, which a person switches on.
    """

    lane: Lane
    minutes: int
    counterpart: Function | None
    help: str
    default_on: bool = True


CART_FUNCTIONS: dict[Function, FunctionFacts] = {
    Function.ORDER_DOWNLOAD: FunctionFacts(
        Lane.ORDERS, 5, Function.ORDER_SENDING, "Takes new orders from the cart and hands them to the warehouse."
    ),
    Function.ORDER_CANCEL_DOWNLOAD: FunctionFacts(
        Lane.ORDERS,
        5,
        None,
        "Cancels an order here, and at the warehouse if it was already sent, when it is cancelled in the cart.",
    ),
    Function.SHIPMENT_CONFIRMATION: FunctionFacts(
        Lane.ORDERS, 0, Function.SHIPMENT_PICKUP, "Tells the cart what was shipped, with carrier and tracking.", False
    ),
    Function.INVENTORY_SYNC: FunctionFacts(
        Lane.STOCK, 15, Function.INVENTORY_PICKUP, "Writes the warehouse's available stock to the cart."
    ),
    Function.PRODUCT_DETAIL_SYNC: FunctionFacts(
        Lane.CATALOGUE, 15, Function.PRODUCT_PICKUP, "Writes names, descriptions and prices to the cart.", False
    ),
    Function.PRODUCT_PICKUP: FunctionFacts(
        Lane.CATALOGUE, 60, None, "Keeps the hub's list of the cart's products fresh; orders refresh it when needed."
    ),
    Function.CUSTOMER_SYNC: FunctionFacts(
        Lane.CATALOGUE, 60, None, "Keeps the cart's customers fresh; orders refresh them when needed."
    ),
    Function.REFUND_DOWNLOAD: FunctionFacts(
        Lane.ORDERS, 15, Function.REFUND_SENDING, "Takes returns and refunds from the cart."
    ),
    Function.STOCK_ADJUSTMENT_SYNC: FunctionFacts(
        Lane.STOCK, 15, Function.STOCK_ADJUSTMENT_SYNC, "Passes stock adjustments of the shop on (beta).", False
    ),
    Function.STOCK_TRANSFER_SYNC: FunctionFacts(
        Lane.STOCK, 15, Function.STOCK_TRANSFER_SYNC, "Passes stock transfers between shops on (beta).", False
    ),
    Function.ORDER_ACKNOWLEDGEMENT: FunctionFacts(Lane.ORDERS, 0, None, "Tells the cart that an order was taken."),
    Function.INVOICE: FunctionFacts(Lane.ORDERS, 0, None, "Sends invoices for shipped orders to the cart.", False),
    Function.RECONCILIATION: FunctionFacts(
        Lane.CATALOGUE, 24 * 60, None, "Compares cart, hub and warehouse once a day, and lists what does not agree."
    ),
}

WAREHOUSE_FUNCTIONS: dict[Function, FunctionFacts] = {
    Function.ORDER_SENDING: FunctionFacts(Lane.ORDERS, 0, None, "Sends new orders to the warehouse."),
    Function.ORDER_CANCELLATION_SENDING: FunctionFacts(
        Lane.ORDERS, 0, None, "Asks the warehouse to cancel an order that it already has."
    ),
    Function.ORDER_CANCEL_PICKUP: FunctionFacts(
        Lane.ORDERS,
        5,
        None,
        "Takes from the warehouse which orders it refused or gave up, and what it says to cancellations.",
    ),
    Function.SHIPMENT_PICKUP: FunctionFacts(
        Lane.ORDERS, 5, None, "Takes shipments and tracking numbers from the warehouse."
    ),
    Function.INVENTORY_PICKUP: FunctionFacts(Lane.STOCK, 15, None, "Takes available stock from the warehouse."),
    Function.PRODUCT_PICKUP: FunctionFacts(
        Lane.CATALOGUE, 60, None, "Takes products and price lists from the warehouse."
    ),
    Function.PRODUCT_DETAIL_SYNC: FunctionFacts(
        Lane.CATALOGUE,
        15,
        None,
        "Creates and changes the products of the shops at the warehouse, except those of a shop whose own Product Detail "
        "Sync is on.",
        False,
    ),
    Function.REFUND_SENDING: FunctionFacts(Lane.ORDERS, 0, None, "Sends returns to the warehouse."),
    Function.STOCK_ADJUSTMENT_SYNC: FunctionFacts(
        Lane.STOCK, 0, None, "Books stock adjustments of the shops at the warehouse (beta)."
    ),
    Function.STOCK_TRANSFER_SYNC: FunctionFacts(
        Lane.STOCK, 0, None, "Books stock transfers between shops at the warehouse (beta)."
    ),
}

FUNCTIONS_BY_ROLE: dict[Role, dict[Function, FunctionFacts]] = {
    Role.CART: CART_FUNCTIONS,
    Role.WAREHOUSE: WAREHOUSE_FUNCTIONS,
}
