"""The admin's navigation."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest
from django.urls import reverse

from carts.admin.scoping import is_superuser, scoped, sees_everything, works_here
from carts.models import Alert


def link(request: HttpRequest, title: str, icon: str, name: str, **more: Any) -> dict[str, Any]:
    url = reverse(f"admin:{name}")
    is_home = name == "index"
    active = request.path == url if is_home else request.path.startswith(url)
    return {"title": title, "icon": icon, "link": url, "active": active, **more}


def alert_badge(request: HttpRequest) -> dict[str, Any]:
    """The number of open alerts, "" when there is none."""
    count = scoped(Alert.objects.filter(status=Alert.Status.OPEN), request.user, "merchant").count()
    return {"badge": f"{count:,}" if count else "", "badge_variant": "danger", "badge_style": "solid"}


def sidebar(request: HttpRequest) -> dict[str, Any]:
    return {"show_search": False, "show_all_applications": False, "navigation": navigation(request)}


def navigation(request: HttpRequest) -> list[dict[str, Any]]:
    if not request.user.is_authenticated:
        return []
    groups: list[tuple[str, list[dict[str, Any]]]] = [("", [link(request, "Dashboard", "space_dashboard", "index")])]
    if works_here(request.user):
        groups += [
            (
                "Orders",
                [
                    link(request, "Orders", "receipt_long", "carts_order_changelist"),
                    link(request, "Refunds", "currency_exchange", "carts_refund_changelist"),
                    link(request, "Pick list", "inventory", "carts_pickorder_changelist"),
                    link(request, "Returns", "assignment_return", "carts_pickreturn_changelist"),
                ],
            ),
            (
                "Connections",
                [
                    link(request, "Carts", "storefront", "carts_cart_changelist"),
                    link(request, "Warehouses", "warehouse", "carts_warehouse_changelist"),
                ],
            ),
            (
                "Stock and products",
                [
                    link(request, "Stock", "stacks", "carts_stocklevel_changelist"),
                    link(request, "Stock movements", "receipt", "carts_stockmovement_changelist"),
                    link(request, "Consignments", "move_to_inbox", "carts_consignment_changelist"),
                    link(request, "Stock adjustments", "exposure", "carts_stockadjustment_changelist"),
                    link(request, "Stock transfers", "swap_horiz", "carts_stocktransfer_changelist"),
                    link(request, "Products", "sell", "carts_product_changelist"),
                    link(request, "Product links", "link", "carts_shopproduct_changelist"),
                    link(request, "Shop stock", "shelves", "carts_outletlevel_changelist"),
                    link(request, "Customers", "group", "carts_customer_changelist"),
                ],
            ),
            (
                "Support",
                [
                    link(request, "Alerts", "notifications", "carts_alert_changelist", **alert_badge(request)),
                    link(request, "Failed records", "report", "syncjobs_failedrecord_changelist"),
                    link(request, "Reconciliation", "balance", "syncjobs_mismatch_changelist"),
                    link(request, "Sync history", "history", "syncjobs_run_changelist"),
                    link(request, "Deliveries", "outbox", "syncjobs_delivery_changelist"),
                    link(request, "Webhooks", "webhook", "syncjobs_webhookevent_changelist"),
                    link(request, "Webhooks to the WMS", "send", "syncjobs_wmswebhook_changelist"),
                    link(request, "API log", "terminal", "syncjobs_apicall_changelist"),
                ],
            ),
        ]
    settings = []
    if sees_everything(request.user):
        settings.append(link(request, "Merchants", "domain", "carts_merchant_changelist"))
    if is_superuser(request.user):
        settings.append(link(request, "Users", "manage_accounts", "auth_user_changelist"))
        settings.append(link(request, "Groups", "groups", "auth_group_changelist"))
    if works_here(request.user):
        settings.append(link(request, "API tokens", "key", "carts_apitoken_changelist"))
        settings.append(link(request, "Alerts by e-mail", "forward_to_inbox", "carts_alertsubscription_changelist"))
    settings.append(link(request, "My preferences", "tune", "carts_preference_changelist"))
    groups.append(("Settings", settings))
    return [{"title": title, "items": items, "separator": False} for title, items in groups]
