"""The admin of the merchant's world. Importing the package registers every page."""

from carts.admin import (
    accounts,
    alert_mail,
    alerts,
    catalogue,
    connections,
    consignments,
    orders,
    pick_list,
    pick_returns,
    product_links,
    refunds,
    stock,
    stock_documents,
    stock_movements,
)

__all__ = [
    "accounts",
    "alert_mail",
    "alerts",
    "catalogue",
    "connections",
    "consignments",
    "orders",
    "pick_list",
    "pick_returns",
    "product_links",
    "refunds",
    "stock",
    "stock_documents",
    "stock_movements",
]
