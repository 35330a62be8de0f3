"""What a merchant enters for a Vend cart (vend-product-rules.md sections 2 and 3)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any
from urllib.parse import SplitResult, urlsplit

from connectors.settings_fields import FieldKind, Settings, setting
from connectors.vend.mapping import ALL_EXCEPT

DOMAIN = "retail.lightspeed.app"
OLD_DOMAIN = "vendhq.com"
URL_FORM = f"https://yourstore.{DOMAIN}"

DEFAULT_OUTLET = "Main Outlet"

ORDER_STATUSES = (
    ("CLOSED", "CLOSED"),
    ("LAYBY", "LAYBY"),
    ("LAYBY_CLOSED", "LAYBY_CLOSED"),
    ("ONACCOUNT", "ONACCOUNT"),
    ("ONACCOUNT_CLOSED", "ONACCOUNT_CLOSED"),
    ("SAVED", "SAVED"),
    ("VOIDED", "VOIDED"),
    (ALL_EXCEPT, "All, Except VOIDED & SAVED"),
)
PRICE_LISTS = (("Retail", "Retail"), ("Wholesale", "Wholesale"), ("Buy", "Buy"), ("Custom", "Custom"))
DEFAULT_VERSION, LEGACY_VERSION = "2026-07", "2.0"
API_VERSIONS = (
    (DEFAULT_VERSION, "2026-07 (recommended)"),
    ("2026-01", "2026-01"),
    ("2026-04", "2026-04"),
    ("2026-10", "2026-10"),
    (LEGACY_VERSION, "2.0 (the older family)"),
)
ADJUSTMENTS, ABSOLUTE = "adjustments", "absolute"
INVENTORY_MODES = (
    (ADJUSTMENTS, "Differences, up to 1,000 products per call"),
    (ABSOLUTE, "Exact levels, one call per product"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class VendCredentials(Settings):
    access_token: str = setting(
        "Access Token",
        help="In Vend open Setup > Personal Tokens, add a token and copy it here. Give each cart a token of its own. "
        "Leave it empty if you authorise an app instead.",
        secret=True,
    )
    client_id: str = setting(
        "Client ID",
        help="Only for access through an app (OAuth) instead of a personal token: copy it from the app in Lightspeed's "
        "developer portal, save, then click Authorise on the cart's page.",
        advanced=True,
    )
    client_secret: str = setting(
        "Client Secret",
        help="The secret of the same app.",
        secret=True,
        advanced=True,
    )

    @classmethod
    def check(cls, values: dict[str, Any]) -> Mapping[str, str]:
        """Either a personal token or an app. Where both are there, the token is used until the app is authorised."""
        for name, what in (("access_token", "A token"), ("client_id", "A client ID"), ("client_secret", "A secret")):
            if not re.fullmatch(r"[!-~]*", values[name]):
                return {name: f"{what} holds no spaces or accented letters. Copy it again from Vend."}
        if values["client_id"] and not values["client_secret"]:
            return {"client_secret": "Enter the Client Secret of the same app."}
        if values["client_secret"] and not values["client_id"]:
            return {"client_id": "Enter the Client ID of the same app."}
        return {} if values["access_token"] or values["client_id"] else {"access_token": "Enter the Access Token."}


@dataclass(frozen=True, slots=True, kw_only=True)
class VendOptions(Settings):
    vend_url: str = setting(
        "Vend URL",
        help=f"The address you use to open Vend in the browser, like {URL_FORM}.",
        kind=FieldKind.URL,
        required=True,
    )
    outlet_name: str = setting(
        "Outlet Name",
        help="Orders and stock of this outlet only. Copy the name exactly from Setup > Outlets and Registers in Vend. "
        "For more outlets add one cart for each.",
        default=DEFAULT_OUTLET,
    )
    order_status: str = setting(
        "Order Status",
        help="Only sales with this status become orders. CLOSED means paid and finished.",
        default="CLOSED",
        choices=ORDER_STATUSES,
    )
    earliest_order_date: date | None = setting(  # noqa: RUF009
        "Earliest order date",
        help="Sales made before this day are left out. Empty: every sale ever made here becomes an order and is sent to the "
        "warehouse, also what was handed over the counter years ago.",
        kind=FieldKind.DATE,
        default=None,
    )
    send_cancellations: bool = setting(
        "Send Cancellation/Return To WMS",
        help="Yes: when a sale that was already sent is voided or returned in Vend, the warehouse is told. "
        "Not every warehouse can take this.",
        kind=FieldKind.BOOLEAN,
        default=False,
    )
    default_to_outlet_address: bool = setting(
        "Default to Outlet Address",
        help="Yes: an order without an address is shipped to the outlet, so the outlet must have an address in Vend. "
        "No: such an order waits for you.",
        kind=FieldKind.BOOLEAN,
        default=True,
    )
    tracking_in_note: bool = setting(
        "Tracking number in the sale's note",
        help="Yes: when a delivery or pickup sale is confirmed as shipped, carrier and tracking number are added to the "
        "note of the sale in Vend, which has no field of its own for them. Needs a dated API version.",
        kind=FieldKind.BOOLEAN,
        default=False,
    )
    send_stock_adjustments: bool = setting(
        "Send Stock Adjustment to WMS (Beta)",
        help="Yes: stock counts, purchases, returns to suppliers and transfers made in Vend are passed on. "
        "Not every warehouse can take this.",
        kind=FieldKind.BOOLEAN,
        default=False,
    )
    group_stock_adjustments: bool = setting(
        "One stock adjustment per document, also in real time",
        help="No: what a webhook tells goes to the warehouse as one adjustment for each item, as it comes. Yes: all items "
        "of one stock document that are known by then go as one adjustment, as in the search.",
        kind=FieldKind.BOOLEAN,
        default=False,
        advanced=True,
    )
    manual_stock_adjustments: bool = setting(
        "Pass manual stock adjustments on",
        help="Yes: what people adjust in Vend by hand (damage, theft, found stock ...) goes to the warehouse too. The hub "
        "then writes stock under reasons of its own, “Integration Manager”, so that nothing of it comes back. Needs "
        "Stock Adjustment Sync and a dated API version. What was adjusted before is left out.",
        kind=FieldKind.BOOLEAN,
        default=False,
        advanced=True,
    )
    push_product_details: bool = setting(
        "Push Product Details",
        help="Yes: names, descriptions and prices of the warehouse are written to Vend and replace what was edited "
        "there. Switch on the function Product Detail Sync as well.",
        kind=FieldKind.BOOLEAN,
        default=False,
    )
    retail_price_list: str = setting(
        "Cart Products Retail Price",
        help="Which price of the warehouse becomes the retail price in Vend.",
        default="Retail",
        choices=PRICE_LISTS,
    )
    retail_price_list_name: str = setting(
        "Custom retail price list",
        help="With Custom above: the name of the warehouse's price list whose prices become retail prices.",
    )
    supply_price_list: str = setting(
        "Cart Products Supply Price",
        help="Which price of the warehouse becomes the supply price in Vend.",
        default="Retail",
        choices=PRICE_LISTS,
    )
    supply_price_list_name: str = setting(
        "Custom supply price list",
        help="With Custom above: the name of the warehouse's price list whose prices become supply prices.",
    )
    api_version: str = setting(
        "API version",
        help="The version of Vend's API that the hub speaks. Leave it as it is unless support asks you to change it. "
        "Vend keeps each dated version for a year at least. 2.0 can do less: it has no stock adjustments, so stock is "
        "always written as exact levels; a delivery goes to the customer's own address; and an order is confirmed as "
        "shipped only when all of it has left.",
        default=DEFAULT_VERSION,
        choices=API_VERSIONS,
        advanced=True,
    )
    inventory_mode: str = setting(
        "How stock is written",
        help="Differences: the hub books what changed as a stock adjustment. This is fast, and a sale made in Vend at "
        "the same moment keeps its effect; if someone changes stock in Vend by hand, that change stays until the hub "
        "reads the level again. Exact levels: the hub sets each product to the warehouse's number. This overrules "
        "whatever Vend had, also a sale made a moment ago, tells Vend's history little and needs one call per product "
        "(about 4,200 an hour in a store with one register). API version 2.0 has no differences: there the hub always "
        "sets exact levels.",
        default=ADJUSTMENTS,
        choices=INVENTORY_MODES,
        advanced=True,
    )

    @classmethod
    def check(cls, values: dict[str, Any]) -> Mapping[str, str]:
        try:
            values["vend_url"] = tidy_url(values["vend_url"])
        except ValueError as error:
            return {"vend_url": str(error)}
        values["outlet_name"] = values["outlet_name"] or DEFAULT_OUTLET
        return {
            f"{which}_price_list_name": "Enter the name of the price list, as the warehouse has it."
            for which in ("retail", "supply")
            if values[f"{which}_price_list"] == "Custom" and not values[f"{which}_price_list_name"]
        }


def tidy_url(given: str) -> str:
    """The store's base URL: ``https://{prefix}.retail.lightspeed.app``, without path, in lower case.

    Raises ``ValueError`` with a sentence for the merchant. Another host passes (a sandbox, for example): whether the hub
    may talk to it is for the operator to say (``connectors.hosts``).
    """
    address = given.strip()
    if not re.match(r"[a-z][a-z0-9+.-]*://", address, re.IGNORECASE):
        address = f"https://{address}"
    parts = split_url(address)
    host = (parts.hostname or "").rstrip(".") if parts else ""
    if parts is None or parts.scheme.lower() not in ("http", "https") or not is_host(host):
        raise ValueError(f"This is not a web address. Enter the address of your store, like {URL_FORM}.")
    if parts.username or parts.password:
        raise ValueError(f"Enter the address without a user name or password, like {URL_FORM}.")
    if "." not in host and host != "localhost" and ":" not in host:
        raise ValueError(f"Enter the whole address: https://{host}.{DOMAIN}")
    if host == OLD_DOMAIN or host.endswith("." + OLD_DOMAIN):
        prefix = host.removesuffix(OLD_DOMAIN).rstrip(".")
        new = URL_FORM if prefix in ("", "www", "secure") else f"https://{prefix}.{DOMAIN}"
        raise ValueError(f"Vend has left {OLD_DOMAIN}. Enter the new address of your store: {new}")
    if host == DOMAIN or host.endswith("." + DOMAIN):
        prefix = host.removesuffix(DOMAIN).rstrip(".")
        if prefix in ("", "www", "secure"):
            raise ValueError(f"The name of your store is missing. Enter the whole address, like {URL_FORM}.")
        return f"https://{host}"
    path = re.sub(r"/api(/.*)?$", "", parts.path, flags=re.IGNORECASE).rstrip("/")
    return f"{parts.scheme.lower()}://{parts.netloc.lower()}{path}"


def is_host(host: str) -> bool:
    """A host name, an IPv4 address or (with colons) an IPv6 address."""
    if ":" in host:
        return bool(re.fullmatch(r"[0-9a-f:.]+", host))
    return bool(re.fullmatch(r"[a-z0-9_]([a-z0-9_-]*[a-z0-9_])?(\.[a-z0-9_]([a-z0-9_-]*[a-z0-9_])?)*", host))


def split_url(address: str) -> SplitResult | None:
    """The parts of an address, None when it has none (brackets that do not match, a port that is no number)."""
    try:
        parts = urlsplit(address)
        return parts if parts.port is None or parts.port > 0 else None
    except ValueError:
        return None
