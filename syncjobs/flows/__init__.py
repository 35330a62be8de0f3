"""One flow per function: a reader's pages into the database, or the database's differences to a writer."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import TYPE_CHECKING

from connectors.errors import Unsupported
from connectors.functions import Function, Role

if TYPE_CHECKING:
    from syncjobs.context import RunContext

Flow = Callable[["RunContext"], None]

FLOWS: dict[tuple[Role, Function], str] = {
    (Role.CART, Function.ORDER_DOWNLOAD): "syncjobs.flows.orders.pull_orders",
    (Role.CART, Function.ORDER_CANCEL_DOWNLOAD): "syncjobs.flows.orders.pull_orders",
    (Role.CART, Function.REFUND_DOWNLOAD): "syncjobs.flows.orders.pull_orders",
    (Role.CART, Function.PRODUCT_PICKUP): "syncjobs.flows.catalogue.pull_products",
    (Role.CART, Function.CUSTOMER_SYNC): "syncjobs.flows.catalogue.pull_customers",
    (Role.CART, Function.SHIPMENT_CONFIRMATION): "syncjobs.flows.sending.deliver_shipments",
    (Role.CART, Function.INVENTORY_SYNC): "syncjobs.flows.inventory_sync.push_levels",
    (Role.CART, Function.PRODUCT_DETAIL_SYNC): "syncjobs.flows.product_sync.push_products",
    (Role.CART, Function.STOCK_ADJUSTMENT_SYNC): "syncjobs.flows.consignments.pull_consignments",
    (Role.CART, Function.STOCK_TRANSFER_SYNC): "syncjobs.flows.consignments.pull_consignments",
    (Role.CART, Function.RECONCILIATION): "syncjobs.flows.reconciliation.comparison.reconcile",
    (Role.WAREHOUSE, Function.ORDER_SENDING): "syncjobs.flows.sending.deliver_orders",
    (Role.WAREHOUSE, Function.ORDER_CANCELLATION_SENDING): "syncjobs.flows.sending.deliver_cancellations",
    (Role.WAREHOUSE, Function.REFUND_SENDING): "syncjobs.flows.sending.deliver_refunds",
    (Role.WAREHOUSE, Function.STOCK_ADJUSTMENT_SYNC): "syncjobs.flows.sending.deliver_adjustments",
    (Role.WAREHOUSE, Function.STOCK_TRANSFER_SYNC): "syncjobs.flows.sending.deliver_transfers",
    (Role.WAREHOUSE, Function.ORDER_CANCEL_PICKUP): "syncjobs.flows.order_answers.pull_answers",
    (Role.WAREHOUSE, Function.SHIPMENT_PICKUP): "syncjobs.flows.shipments.pull_shipments",
    (Role.WAREHOUSE, Function.INVENTORY_PICKUP): "syncjobs.flows.inventory_pickup.pull_levels",
    (Role.WAREHOUSE, Function.PRODUCT_PICKUP): "syncjobs.flows.catalogue.pull_products",
    (Role.WAREHOUSE, Function.PRODUCT_DETAIL_SYNC): "syncjobs.flows.product_sync.take_products",
}


def flow_of(role: Role, function: Function) -> Flow:
    """The flow of a function on one side of the hub. Raises ``Unsupported`` when nobody wrote one."""
    path = FLOWS.get((role, function))
    if path is None:
        raise Unsupported(f"{function.label} cannot be run for a {role}.", fix="Switch the function off.")
    module, _, name = path.rpartition(".")
    flow: Flow = getattr(import_module(module), name)
    return flow
