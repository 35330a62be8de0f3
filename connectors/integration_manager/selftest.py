"""The steps of an Integration Manager warehouse's *Test*: each says what was found, or what to do."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from connectors.errors import (
    AuthenticationFailed,
    ConfigurationInvalid,
    ConnectorError,
    ContractBroken,
    RateLimited,
    RecordRefused,
)
from connectors.integration_manager.options import API_URL
from connectors.integration_manager.session import ACCESS_FIX
from connectors.integration_manager.shapes import ShipMethod, text
from connectors.records import TestStep

if TYPE_CHECKING:
    from connectors.integration_manager.connector import IntegrationManagerWarehouse

ADDRESS_HELP = f"Set the API address (under Advanced) to {API_URL}, then click Test again."
CART_KEY_HELP = (
    "Use the key of a cart: in Integration Manager open Carts > New Setup > API Access. A merchant's or a warehouse's key "
    "cannot send orders."
)
STOCK_HELP = (
    "In Integration Manager open Merchants > API Keys > New Setup and enter that user and key as Merchant API user and "
    "Merchant API key (under Advanced)."
)
METHODS_NAMED = 8


def steps(connector: IntegrationManagerWarehouse) -> Iterator[TestStep]:
    """The steps in their order. What depends on a failed step is left out; trouble becomes a failed step, never an
    exception."""
    arrival, methods = reach(connector)
    yield from arrival
    if not all(step.ok for step in arrival):
        return
    yield guarded("Orders", lambda: orders_step(connector), CART_KEY_HELP)
    yield method_step(connector.options.default_ship_method, methods)
    yield guarded("Stock", lambda: stock_step(connector), STOCK_HELP)


def reach(connector: IntegrationManagerWarehouse) -> tuple[list[TestStep], list[ShipMethod]]:
    """ "API address" and "API key" from one call that every kind of key may make."""
    url = connector.options.api_url
    answers = passed("API address", f"{url} answers.")
    try:
        methods = connector.client.ship_methods()
    except AuthenticationFailed as error:
        return [answers, failed("API key", error, ACCESS_FIX)], []
    except RateLimited as error:
        return [answers, failed("API key", error)], []
    except ConfigurationInvalid as error:
        return [failed("API address", error)], []
    except (ContractBroken, RecordRefused) as error:
        message = f"{url} answers, but not as Integration Manager: {error.message}"
        return [TestStep(name="API address", ok=False, message=message, help=ADDRESS_HELP)], []
    except ConnectorError as error:
        return [failed("API address", error, f"{ADDRESS_HELP} If it is right, try again in a few minutes.")], []
    return [answers, passed("API key", "Accepted.")], methods


def orders_step(connector: IntegrationManagerWarehouse) -> TestStep:
    waiting = connector.client.list_page("new", 1).total
    return passed(
        "Orders", "The key belongs to a cart." if waiting is None else f"{waiting} orders wait to be sent on."
    )


def method_step(wanted: str, methods: list[ShipMethod]) -> TestStep:
    """Without a list (not every WMS has one) any code may be right."""
    codes = [text(method.code) for method in methods if text(method.code)]
    named = ", ".join(codes[:METHODS_NAMED]) + (", …" if len(codes) > METHODS_NAMED else "")
    if not codes:
        return passed("Ship methods", "Integration Manager lists none; codes are passed on as they are.")
    if wanted and wanted.casefold() not in {code.casefold() for code in codes}:
        return TestStep(
            name="Ship methods",
            ok=True,
            message=f"“{wanted}” is none of the warehouse's own codes ({named}). That is right if Integration Manager's "
            "Ship Method Mapping translates it; otherwise orders are held there.",
        )
    return passed("Ship methods", f"{len(codes)} known: {named}.")


def stock_step(connector: IntegrationManagerWarehouse) -> TestStep:
    page = connector.client.stock_page(1)
    if not page.rows:
        return passed("Stock", "No stock yet: orders can be sent, but there is nothing to write to the carts.")
    return passed("Stock", f"{page.total if page.total is not None else len(page.rows)} SKUs have stock.")


def guarded(name: str, step: Callable[[], TestStep], access_help: str) -> TestStep:
    try:
        return step()
    except (AuthenticationFailed, RecordRefused) as error:
        return failed(name, error, access_help)
    except ConnectorError as error:
        return failed(name, error)


def passed(name: str, message: str) -> TestStep:
    return TestStep(name=name, ok=True, message=message)


def failed(name: str, error: ConnectorError, help: str = "") -> TestStep:
    return TestStep(name=name, ok=False, message=error.message, help=help or error.fix)
