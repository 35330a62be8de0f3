"""The steps of a Tryton warehouse's *Test*: each says what was found, or what to do."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import msgspec

from connectors.errors import (
    AuthenticationFailed,
    ConfigurationInvalid,
    ConnectorError,
    ContractBroken,
    PermissionMissing,
    RateLimited,
)
from connectors.records import TestStep
from connectors.tryton.company import LocationUnknown
from connectors.tryton.errors import MODULES, RIGHTS_FIX

if TYPE_CHECKING:
    from connectors.tryton.connector import TrytonConnector

URL_HELP = "Enter the address under which the Tryton server answers, like https://erp.example.com."
NEEDED = ("party", "product", "sale", "stock")
# What the hub makes, in the words of Tryton's own screens.
WRITTEN = {
    "sale.sale": "sales",
    "party.party": "parties",
    "stock.shipment.out": "customer shipments",
    "stock.shipment.internal": "internal shipments",
    "stock.inventory": "inventories",
}
MODULES_HELP = "In Tryton open Administration > Modules, activate {}, and click Test again."


class CountRow(msgspec.Struct):
    id: int


def steps(connector: TrytonConnector) -> Iterator[TestStep]:
    """The steps in their order. What depends on a failed step is left out; trouble becomes a failed step, never an
    exception."""
    for needed in (server_step, log_in_step, company_step, modules_step, rights_step):
        step = guarded(needed, connector)
        yield step
        if not step.ok:
            return
    for look in (locations_step, currency_step, countries_step, products_step, shipments_step):
        yield guarded(look, connector)
    if connector.options.create_invoice:
        yield guarded(fiscal_year_step, connector)


NAMES: dict[str, str] = {
    "server_step": "Tryton URL",
    "log_in_step": "Database and log-in",
    "company_step": "Company",
    "modules_step": "Modules",
    "rights_step": "Rights",
    "locations_step": "Warehouses",
    "currency_step": "Currency",
    "countries_step": "Countries",
    "products_step": "Products",
    "shipments_step": "Tracking numbers",
    "fiscal_year_step": "Fiscal year",
}


def guarded(step: Callable[[TrytonConnector], TestStep], connector: TrytonConnector) -> TestStep:
    name = NAMES[step.__name__]
    try:
        return step(connector)
    except ConnectorError as error:
        return TestStep(name=name, ok=False, message=error.message, help=error.fix)


def passed(name: str, message: str) -> TestStep:
    return TestStep(name=name, ok=True, message=message)


def failed(name: str, message: str, help: str) -> TestStep:
    return TestStep(name=name, ok=False, message=message, help=help)


def server_step(connector: TrytonConnector) -> TestStep:
    url = connector.options.tryton_url
    try:
        version = connector.client.server_version()
    except (RateLimited, PermissionMissing):
        raise
    except (AuthenticationFailed, ContractBroken) as error:
        return failed("Tryton URL", f"{url} answers, but not as a Tryton server: {error.message}", URL_HELP)
    except ConfigurationInvalid as error:
        if error.status is None:
            raise
        return failed("Tryton URL", f"{url} answers, but not as a Tryton server.", URL_HELP)
    return passed("Tryton URL", f"Tryton {version} answers at {url}.")


def log_in_step(connector: TrytonConnector) -> TestStep:
    connector.client.log_in()
    return passed(
        "Database and log-in", f"Logged in to {connector.options.database} as {connector.credentials.user_name}."
    )


def company_step(connector: TrytonConnector) -> TestStep:
    return passed("Company", f"Working for {connector.company.row.rec_name}.")


def modules_step(connector: TrytonConnector) -> TestStep:
    missing = [name for name in NEEDED if not all(connector.client.has_model(model) for model in MODULES[name])]
    if missing:
        return failed(
            "Modules", f"Tryton lacks the modules {', '.join(missing)}.", MODULES_HELP.format(", ".join(missing))
        )
    return passed("Modules", "Sales and stock are there.")


def rights_step(connector: TrytonConnector) -> TestStep:
    """What the hub writes must be open to its user."""
    needed = dict(WRITTEN)
    if connector.options.create_invoice:
        needed["account.invoice"] = "invoices (group Accounting)"
    told = connector.client.ask("ir.model.access", "get_access", list(needed), kind=dict[str, dict[str, Any]])
    lacking = [
        words
        for model, words in needed.items()
        if not all(told.get(model, {}).get(right) for right in ("read", "write", "create"))
    ]
    if lacking:
        return failed("Rights", f"The hub's user may not make and change {', '.join(lacking)}.", RIGHTS_FIX)
    return passed("Rights", "The hub's user may make and change sales, shipments and inventories.")


def locations_step(connector: TrytonConnector) -> TestStep:
    active = [place for place in connector.company.places if place.is_active]
    try:
        default = connector.company.place("")
    except LocationUnknown as problem:
        return failed("Warehouses", str(problem), problem.fix)
    names = ", ".join(place.name for place in active[:5]) + (", ..." if len(active) > 5 else "")
    return passed("Warehouses", f"Found {names}. Orders that name no location go to {default.name}.")


def currency_step(connector: TrytonConnector) -> TestStep:
    own = connector.company.row.currency
    if connector.options.currency:
        connector.company.currency(connector.options.currency)
        return passed("Currency", f"All orders are in {connector.options.currency}.")
    return passed("Currency", f"The company's currency is {own.code if own else 'not set'}.")


def countries_step(connector: TrytonConnector) -> TestStep:
    count = len(connector.company.countries)
    if not count:
        return failed(
            "Countries",
            "Tryton has no countries, so no address can be written.",
            "On the Tryton server run trytond_import_countries, or add the countries you ship to.",
        )
    return passed("Countries", f"{count} found.")


def products_step(connector: TrytonConnector) -> TestStep:
    goods = [["type", "=", "goods"], ["code", "!=", None]]
    count = connector.client.ask("product.product", "search_count", goods, kind=int)
    lists = len(connector.catalogue.price_lists)
    if not count:
        return passed("Products", "No goods with a code yet: orders are refused until their SKUs are codes in Tryton.")
    return passed("Products", f"{count} goods with a code, {lists} price lists besides list price and cost price.")


def shipments_step(connector: TrytonConnector) -> TestStep:
    if connector.client.has("stock.shipment.out", "shipping_reference"):
        return passed("Tracking numbers", "Taken from the packages and shipments (Shipping Reference).")
    return passed(
        "Tracking numbers",
        "Taken from the shipment's Reference. With Tryton's module stock_package_shipping every package has its own.",
    )


def fiscal_year_step(connector: TrytonConnector) -> TestStep:
    today = connector.company.day_of(connector.client.now())
    domain = [
        ["company", "=", connector.company.id],
        ["start_date", "<=", today],
        ["end_date", ">=", today],
        ["state", "=", "open"],
    ]
    if connector.client.find("account.fiscalyear", domain, ("id",), CountRow, limit=1):
        return passed("Fiscal year", "An open fiscal year covers today.")
    return failed(
        "Fiscal year",
        "No open fiscal year covers today, so no invoice can be posted.",
        "In Tryton open Financial > Configuration > Fiscal Years and make one, or switch Create invoice off.",
    )
