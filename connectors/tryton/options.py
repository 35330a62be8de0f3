"""What a merchant enters for a Tryton warehouse."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from connectors.settings_fields import FieldKind, Settings, setting

DRAFT, QUOTATION, CONFIRMED = "draft", "quotation", "confirmed"
ORDER_STATUSES = ((DRAFT, "Draft"), (QUOTATION, "Quotation"), (CONFIRMED, "Confirmed"))

RETURNING, RECEIVED = "returning", "received"
RETURN_STATUSES = ((RETURNING, "Returning"), (RECEIVED, "Received"))

OWN_TAXES, EXCLUSIVE, INCLUSIVE = "own", "exclusive", "inclusive"
TAX_TREATMENTS = ((OWN_TAXES, "Tryton's own taxes"), (EXCLUSIVE, "Exclusive"), (INCLUSIVE, "Inclusive"))

NORMAL, STRICT = "normal", "strict"
MATCHINGS = ((NORMAL, "Normal"), (STRICT, "Strict"))

DEFAULT_MARK = "IM/"


@dataclass(frozen=True, slots=True, kw_only=True)
class TrytonCredentials(Settings):
    user_name: str = setting(
        "User name",
        help="A Tryton user of the hub's own, in the groups Sales, Stock, Stock Force Assignment and Party "
        "Administration. Make it under Administration > Users.",
        required=True,
    )
    password: str = setting("Password", help="That user's password.", required=True, secret=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class TrytonOptions(Settings):
    tryton_url: str = setting(
        "Tryton URL",
        help="The address of your Tryton server, like https://erp.example.com. The operator of the hub must have "
        "allowed it (INTEGRATION_MANAGER_EXTRA_HOSTS).",
        kind=FieldKind.URL,
        required=True,
    )
    database: str = setting(
        "Database", help="The name of the database, as you choose it when you log in to Tryton.", required=True
    )
    company: str = setting("Company", help="The company's name in Tryton. Empty: the one that the user works for.")
    warehouse: str = setting(
        "Location",
        help="Name or code of the Tryton warehouse for orders whose cart names no location. Empty: the first one.",
    )
    order_status: str = setting(
        "Order status",
        help="How far an order goes in Tryton by itself. Draft: a person makes the quotation. Quotation: a person "
        "confirms it. Confirmed: Tryton makes the shipment at once.",
        default=CONFIRMED,
        choices=ORDER_STATUSES,
    )
    create_invoice: bool = setting(
        "Create invoice",
        help="Yes: Tryton makes a draft invoice of a confirmed order. Needs the order status Confirmed and a fiscal year.",
        kind=FieldKind.BOOLEAN,
        default=False,
    )
    pack_orders: bool = setting(
        "Pack orders",
        help="Yes: the shipment of a confirmed order is picked and packed at once, if there is enough stock. Needs the "
        "order status Confirmed.",
        kind=FieldKind.BOOLEAN,
        default=False,
    )
    return_status: str = setting(
        "Order return status",
        help="Returning: the return waits in Tryton until somebody receives the goods. Received: they are back in stock "
        "at once.",
        default=RETURNING,
        choices=RETURN_STATUSES,
    )
    tax_treatment: str = setting(
        "Order tax treatment",
        help="Tryton's own taxes: lines have prices before tax, and Tryton adds the taxes of product and customer. "
        "Exclusive: prices before tax, and the shop's tax as a line of its own. Inclusive: prices with tax, and Tryton "
        "adds none.",
        default=OWN_TAXES,
        choices=TAX_TREATMENTS,
    )
    dynamic_tax: bool = setting(
        "Dynamic item tax rate",
        help="Yes: with Tryton's own taxes, each line gets the Tryton tax that has the shop's rate, whatever the product "
        "says.",
        kind=FieldKind.BOOLEAN,
        default=False,
    )
    currency: str = setting(
        "Currency", help="The code of the currency for all orders, like NZD. Empty: the currency of the order."
    )
    send_discount: bool = setting(
        "Send order discount",
        help="Yes: a discount on the whole order becomes a line of its own with a negative price.",
        kind=FieldKind.BOOLEAN,
        default=True,
    )
    shipping_label: str = setting(
        "Shipment cost line label",
        help="What the line with the shipping cost is called. “-”: no such line.",
        default="Shipping Cost",
    )
    send_free_shipping: bool = setting(
        "Send $0 ship code",
        help="Yes: the line with the shipping cost is there for orders that ship free, too.",
        kind=FieldKind.BOOLEAN,
        default=False,
    )
    customer_matching: str = setting(
        "Customer matching",
        help="How a customer is recognised. Normal: by name with e-mail or phone, then by e-mail, then by phone. "
        "Strict: by name with e-mail or phone, or by e-mail and phone together. Else a new party is made.",
        default=NORMAL,
        choices=MATCHINGS,
    )
    mark: str = setting(
        "Reference mark",
        help="The reference of everything that the hub makes in Tryton begins with this. Two hubs that share a Tryton "
        "need different ones. Never change it while orders are open.",
        default=DEFAULT_MARK,
        advanced=True,
    )

    @classmethod
    def check(cls, values: dict[str, Any]) -> Mapping[str, str]:
        try:
            values["tryton_url"] = tidy_url(values["tryton_url"])
        except ValueError as error:
            return {"tryton_url": str(error)}
        errors = {}
        for name, label in (("create_invoice", "Create invoice"), ("pack_orders", "Pack orders")):
            if values[name] and values["order_status"] != CONFIRMED:
                errors[name] = f"{label} needs the order status Confirmed."
        if values["dynamic_tax"] and values["tax_treatment"] != OWN_TAXES:
            errors["dynamic_tax"] = "Dynamic item tax rate needs the tax treatment “Tryton's own taxes”."
        values["currency"] = values["currency"].upper()
        return errors

    @property
    def shipping_line(self) -> str:
        """The label of the line with the shipping cost; "" = no such line."""
        return "" if self.shipping_label == "-" else self.shipping_label


def tidy_url(given: str) -> str:
    """The server's address without a slash at its end. Raises ``ValueError`` with a sentence for the merchant."""
    address = given.strip().rstrip("/")
    try:
        parts = urlsplit(address)
        fits = parts.scheme in ("http", "https") and bool(parts.hostname) and (parts.port is None or parts.port > 0)
    except ValueError:
        fits = False
    if not fits or parts.query or parts.fragment:
        raise ValueError("Enter the whole address of the server, like https://erp.example.com")
    if parts.username or parts.password:
        raise ValueError("Enter the address without a user name or password.")
    return address
