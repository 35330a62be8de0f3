"""The admin of the merchant's world. Importing the package registers every page."""

from carts.admin import (
    accounts,
    alert_mail,
    alerts,
    catalogue,
    connections,
    orders,
    pick_list,
    pick_returns,
    refunds,
    stock,
)

__all__ = [
    "accounts",
    "alert_mail",
    "alerts",
    "catalogue",
    "connections",
    "orders",
    "pick_list",
    "pick_returns",
    "refunds",
    "stock",
]
