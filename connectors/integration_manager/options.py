"""What a merchant enters for an Integration Manager warehouse."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from connectors.settings_fields import FieldKind, Settings, setting

DOMAIN = "cartrover.com"
API_URL = f"https://api.{DOMAIN}"


@dataclass(frozen=True, slots=True, kw_only=True)
class IntegrationManagerCredentials(Settings):
    api_user: str = setting(
        "API user",
        help="In Integration Manager: Carts > New Setup > API Access. Give the hub a cart of its own there.",
        required=True,
        secret=True,
    )
    api_key: str = setting(
        "API key",
        help="The key beside the API user. Generating a new one there makes this one invalid at once.",
        required=True,
        secret=True,
    )
    merchant_api_user: str = setting(
        "Merchant API user",
        help="Only if Test says that the key above may not read stock: Merchants > API Keys > New Setup.",
        secret=True,
        advanced=True,
    )
    merchant_api_key: str = setting("Merchant API key", help="The key beside it.", secret=True, advanced=True)

    @classmethod
    def check(cls, values: dict[str, Any]) -> Mapping[str, str]:
        for name, value in values.items():
            if not re.fullmatch(r"[!-~]*", value):
                return {name: "It holds no spaces or accented letters. Copy it again from Integration Manager."}
        if values["merchant_api_user"] and not values["merchant_api_key"]:
            return {"merchant_api_key": "Enter the key that belongs to the Merchant API user."}
        if values["merchant_api_key"] and not values["merchant_api_user"]:
            return {"merchant_api_user": "Enter the Merchant API user that belongs to the key."}
        return {}


@dataclass(frozen=True, slots=True, kw_only=True)
class IntegrationManagerOptions(Settings):
    default_ship_method: str = setting(
        "Ship method where an order names none",
        help="A code that Integration Manager maps to one of the warehouse's ship methods (Ship Method Mapping). Empty: "
        "such orders go without one.",
    )
    name_warehouse: bool = setting(
        "Name the warehouse on each order",
        help="Yes: an order says which of the warehouses of Integration Manager is to ship it, the one of the cart's "
        "location. No: Integration Manager decides.",
        kind=FieldKind.BOOLEAN,
        default=True,
    )
    api_url: str = setting(
        "API address",
        help=f"Leave it as it is: {API_URL}",
        kind=FieldKind.URL,
        default=API_URL,
        advanced=True,
    )

    @classmethod
    def check(cls, values: dict[str, Any]) -> Mapping[str, str]:
        address = str(values["api_url"]).strip()
        if "://" not in address:
            address = f"https://{address}"
        parts = urlsplit(address)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            return {"api_url": f"This is not a web address. The API's is {API_URL}"}
        if parts.hostname in (DOMAIN, f"www.{DOMAIN}", f"app.{DOMAIN}"):
            return {"api_url": f"This is where people sign in. The API's address is {API_URL}"}
        values["api_url"] = f"{parts.scheme}://{parts.netloc}"
        return {}
