"""What a merchant enters for a 3PL Warehouse Manager warehouse."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any
from zoneinfo import ZoneInfo

from connectors.settings_fields import FieldKind, Settings, setting

DOMAIN = "secure-wms.com"
DEFAULT_URL = f"https://{DOMAIN}"

BILLING_CODES = (
    ("Prepaid", "Prepaid"),
    ("FreightCollect", "Freight collect"),
    ("BillThirdParty", "Bill third party"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class ThreePLCredentials(Settings):
    client_id: str = setting(
        "Client ID",
        help="The warehouse makes it for you in 3PL Warehouse Manager, under Home > REST API. It must be for your customer "
        "account and may read and write orders, and read items, inventory and customers.",
        required=True,
    )
    client_secret: str = setting("Client Secret", help="Comes with the Client ID.", required=True, secret=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class ThreePLOptions(Settings):
    user_login: str = setting(
        "User Login",
        help="The user in whose name the hub works in 3PL Warehouse Manager: its login, or its number.",
        required=True,
    )
    customer_id: int = setting(
        "Customer ID",
        help="Your number at the warehouse. It stands beside your name under Customers.",
        kind=FieldKind.INTEGER,
        required=True,
    )
    facility_id: int = setting(
        "Facility ID",
        help="The facility that gets orders whose cart names no location. Test lists all of them.",
        kind=FieldKind.INTEGER,
        required=True,
    )
    time_zone: str = setting(
        "Time Zone",
        help="In which zone the warehouse's times are meant, like America/Chicago. 3PL Warehouse Manager does not say.",
        default="UTC",
    )
    subtract_unallocated: bool = setting(
        "Subtract Ordered, Not Allocated",
        help="Stock that orders at the warehouse ask for, but that is not allocated to them yet, cannot be sold again.",
        kind=FieldKind.BOOLEAN,
        default=True,
    )
    carrier: str = setting("Carrier", help="For orders whose ship method names no carrier.")
    mode: str = setting("Ship Service", help="For orders without a ship method.")
    scac_code: str = setting("SCAC", help="Goes with Carrier and Ship Service.", advanced=True)
    billing_code: str = setting("Freight Billing", default="Prepaid", choices=BILLING_CODES, advanced=True)
    shipments_from: date | None = setting(  # noqa: RUF009
        "Read Shipments From",
        help="Orders that the warehouse closed before this day are not looked at. Empty: from the beginning.",
        kind=FieldKind.DATE,
        default=None,
        advanced=True,
    )
    tpl: str = setting(
        "3PL GUID", help="Only if the warehouse says that your credentials need it (“tpl”).", advanced=True
    )
    url: str = setting(
        "Address",
        help="Leave it as it is, unless the warehouse gave you another one.",
        kind=FieldKind.URL,
        default=DEFAULT_URL,
        advanced=True,
    )

    @classmethod
    def check(cls, values: dict[str, Any]) -> Mapping[str, str]:
        errors = {}
        values["url"] = values["url"].rstrip("/")
        if not values["url"].startswith(("https://", "http://")):
            errors["url"] = f"Enter the whole address, like {DEFAULT_URL}"
        for name in ("customer_id", "facility_id"):
            if values[name] <= 0:
                errors[name] = "Enter the number as the warehouse shows it; it is above 0."
        try:
            ZoneInfo(values["time_zone"])
        except (ValueError, OSError, LookupError):
            errors["time_zone"] = "Enter a time zone like America/Chicago or UTC."
        return errors

    @property
    def zone(self) -> ZoneInfo:
        return ZoneInfo(self.time_zone)
