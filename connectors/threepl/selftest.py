"""The steps of Test: each says what was found, or what to do."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import islice
from typing import TYPE_CHECKING, Any

from connectors.errors import ConfigurationInvalid, ConnectorError, PermissionMissing, RecordRefused
from connectors.records import TestStep
from connectors.threepl.errors import GRANT

if TYPE_CHECKING:
    from connectors.threepl.connector import ThreePLConnector

CUSTOMER_HELP = (
    "Enter the Customer ID that the warehouse gave you (it stands beside your name under Customers), or ask for a client "
    "that belongs to this customer."
)
FACILITY_HELP = "Enter the number of the facility that ships your orders as Facility ID."


def steps(connector: ThreePLConnector) -> Iterator[TestStep]:
    """The steps in their order. Without access nothing else is tried; trouble becomes a failed step, never an
    exception."""
    access = guarded("Access", lambda: access_step(connector))
    yield access
    if not access.ok:
        return
    yield guarded("Customer", lambda: customer_step(connector))
    yield guarded("Facility", lambda: facility_step(connector))
    yield guarded("Orders", lambda: orders_step(connector))
    yield guarded("Stock", lambda: stock_step(connector))
    yield guarded("Items", lambda: items_step(connector))


def access_step(connector: ThreePLConnector) -> TestStep:
    connector.client.session.keeper.current()
    return passed("Access", f"{connector.options.url} gave the hub a token.")


def customer_step(connector: ThreePLConnector) -> TestStep:
    try:
        customer = connector.client.customer()
    except RecordRefused as error:
        if error.status == 404:
            message = f"3PL Warehouse Manager has no customer {connector.options.customer_id} that this client may see."
            return TestStep(name="Customer", ok=False, message=message, help=CUSTOMER_HELP)
        raise
    return passed("Customer", f"Found {name_in(customer) or connector.options.customer_id}.")


def name_in(customer: dict[str, Any]) -> str:
    company = customer.get("companyinfo")
    inner = company.get("companyname") if isinstance(company, dict) else ""
    return str(inner or customer.get("companyname") or customer.get("name") or "")


def facility_step(connector: ThreePLConnector) -> TestStep:
    """A list that cannot be read is no reason to stop: orders name the facility by its number."""
    places = connector.read_locations()
    wanted = str(connector.options.facility_id)
    named = ", ".join(f"{place.external_id} ({place.name})" for place in places)
    if not places:
        return passed("Facility", f"The list of facilities is empty or has another form; facility {wanted} is used.")
    found = next((place for place in places if place.external_id == wanted), None)
    if found is None:
        message = f"There is no facility {wanted}. The facilities are: {named}."
        return TestStep(name="Facility", ok=False, message=message, help=FACILITY_HELP)
    if not found.is_active:
        message = f"Facility {wanted} ({found.name}) is switched off at the warehouse. The facilities are: {named}."
        return TestStep(name="Facility", ok=False, message=message, help=FACILITY_HELP)
    return passed("Facility", f"Orders that name no location go to {found.name}. The facilities are: {named}.")


def orders_step(connector: ThreePLConnector) -> TestStep:
    count = connector.client.count_orders()
    return passed("Orders", "Orders can be read." if count is None else f"{count} orders are there.")


def stock_step(connector: ThreePLConnector) -> TestStep:
    return passed("Stock", counted(connector.client.stock(), "stock levels"))


def items_step(connector: ThreePLConnector) -> TestStep:
    return passed("Items", counted(connector.client.items(""), "items"))


def counted(pages: Iterator[Any], what: str) -> str:
    """Judged by the first page."""
    first = next(islice(pages, 1), None)
    rows = len(first.rows) if first is not None else 0
    return f"{rows} {what} found." if first is None or first.is_last else f"More than {rows} {what} found."


def guarded(name: str, step: Callable[[], TestStep]) -> TestStep:
    try:
        return step()
    except PermissionMissing as error:
        return TestStep(name=name, ok=False, message=error.message, help=GRANT)
    except (ConfigurationInvalid, ConnectorError) as error:
        return TestStep(name=name, ok=False, message=error.message, help=error.fix)


def passed(name: str, message: str) -> TestStep:
    return TestStep(name=name, ok=True, message=message)
