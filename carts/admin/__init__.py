"""The admin of the merchant's world. Importing the package registers every page."""

from carts.admin import accounts, alerts, catalogue, connections, orders, pick_list, pick_returns, refunds, stock

__all__ = ["accounts", "alerts", "catalogue", "connections", "orders", "pick_list", "pick_returns", "refunds", "stock"]
