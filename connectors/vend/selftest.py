"""The steps of a Vend cart's *Test* (vend-product-rules.md section 2): each says what was found, or what to do."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import date
from typing import TYPE_CHECKING

from connectors.budget import utc_now
from connectors.errors import (
    AuthenticationFailed,
    ConfigurationInvalid,
    ConnectorError,
    ContractBroken,
    PermissionMissing,
    RateLimited,
    RecordRefused,
)
from connectors.oauth import TokenKeeper
from connectors.records import OutletRecord, TestStep
from connectors.vend import shapes
from connectors.vend.errors import OutletAddressMissing, Unreadable
from connectors.vend.families import is_flat
from connectors.vend.oauth import missing_scopes
from connectors.vend.options import DEFAULT_VERSION, URL_FORM
from connectors.vend.shapes import text
from connectors.vend.store import REGISTERS

if TYPE_CHECKING:
    from connectors.vend.connector import VendConnector

URL_HELP = f"Enter the address with which you open Vend in the browser, like {URL_FORM}."
TOKEN_HELP = (
    "In Vend open Setup > Personal Tokens, add a token and copy it into Access Token. A token that was deleted or has "
    "expired cannot be used again."
)
SCOPES_HELP = (
    "Allow these scopes for the app in Lightspeed's developer portal, then click Authorise on this page and agree to all "
    "of them."
)
REGISTER_HELP = "In Vend open Setup > Outlets and Registers and add a register to this outlet."

VERSION_STEP = "API version"
VERSION_HELP = (
    f"Choose {DEFAULT_VERSION} as the API version in the cart's settings and click Test again. Until then orders are "
    "still read, because the hub knows both forms; writing stock, delivery addresses and shipment confirmation may fail."
)
LEGACY_NOTE = (
    "API 2.0 is in use. It has no stock adjustments, so stock is written as exact levels, one call per product, whatever "
    "“How stock is written” says."
)

RETAILERS = shapes.Reader(shapes.Retailer)


def steps(connector: VendConnector) -> Iterator[TestStep]:
    """The steps in their order. What depends on a failed step is left out; trouble becomes a failed step, never an
    exception."""
    connector.store.forget()
    arrival = reach_store(connector)
    yield from arrival
    if connector.keeper is not None and arrival[0].ok:
        yield from scopes_step(connector.keeper)
    if not all(step.ok for step in arrival):
        return
    outlet: OutletRecord | None = None
    try:
        outlet = connector.find_outlet()
    except ConnectorError as error:
        yield failed("Outlet", error)
    if outlet is not None:
        yield passed("Outlet", f"Found the outlet “{outlet.name}”.")
        yield address_step(connector, outlet)
        yield guarded("Register", lambda: register_step(connector, outlet.external_id))
    yield guarded("Taxes", lambda: count_step(connector, "Taxes", "taxes"))
    yield guarded("Payment types", lambda: count_step(connector, "Payment types", "payment_types"))
    yield guarded(VERSION_STEP, lambda: version_step(connector))


def reach_store(connector: VendConnector) -> list[TestStep]:
    """ "Vend URL" and "Access token" from one call: what is wrong tells which of the two is to blame."""
    url = connector.options.vend_url
    answers = passed("Vend URL", f"{url} answers.")
    try:
        retailer = RETAILERS.read(connector.client.retailer())
    except (PermissionMissing, RateLimited) as error:
        return [answers, failed("Access token", error)]
    except AuthenticationFailed as error:
        return [answers, failed("Access token", error, TOKEN_HELP if connector.keeper is None else "")]
    except ConfigurationInvalid as error:
        return [failed("Vend URL", error)]
    except (ContractBroken, RecordRefused, Unreadable) as error:
        return [not_vend(url, str(error))]
    except ConnectorError as error:
        return [failed("Vend URL", error, f"{URL_HELP} If it is right, try again in a few minutes.")]
    name = text(retailer.name) or text(retailer.domain_prefix)
    if not name and not retailer.id:
        return [not_vend(url, "it sends something else than a store.")]
    return [answers, passed("Access token", f"Connected to the store “{name}”.")]


def scopes_step(keeper: TokenKeeper) -> Iterator[TestStep]:
    """What the app may do, and what for it lacks permission. Left out without access."""
    try:
        granted = keeper.current().scope
    except ConnectorError:
        return
    missing = missing_scopes(granted)
    needed, extra = (
        ", ".join(f"{scope.name} (for {scope.purpose})" for scope in missing if scope.needed is wanted)
        for wanted in (True, False)
    )
    if needed:
        yield TestStep(name="Scopes", ok=False, message=f"Vend did not grant: {needed}.", help=SCOPES_HELP)
    elif extra:
        yield passed("Scopes", f"Everything that a cart needs is granted. Not granted: {extra}.")
    else:
        yield passed("Scopes", "Everything is granted." if granted else "Vend did not say what it granted.")


def address_step(connector: VendConnector, outlet: OutletRecord) -> TestStep:
    if outlet.address is not None and outlet.address.is_usable:
        return passed("Outlet address", f"{outlet.address.street1}, {outlet.address.city}.")
    if connector.options.default_to_outlet_address:
        return failed("Outlet address", OutletAddressMissing())
    return passed("Outlet address", "The outlet has no address, and Default to Outlet Address is off.")


def register_step(connector: VendConnector, outlet_id: str) -> TestStep:
    registers = connector.store.answer(REGISTERS)
    names = [
        text(register.name) for register in registers if register.outlet_id == outlet_id and not register.deleted_at
    ]
    if not names:
        return TestStep(name="Register", ok=False, message="The outlet has no register.", help=REGISTER_HELP)
    return passed("Register", f"Found {', '.join(names)}.")


def count_step(connector: VendConnector, name: str, resource: str) -> TestStep:
    count = sum(len(page.records) for page in connector.client.references(resource))
    return passed(name, f"{count} found.")


def version_step(connector: VendConnector) -> TestStep:
    """Does Vend answer in the version that was asked for? A dated version past its end is served by an older one without
    a word (vend.md section 1), so one sale is looked at."""
    version = connector.options.api_version
    page = next(connector.client.feed("sales", page_size=1), None)
    if not connector.is_dated:
        return passed(VERSION_STEP, LEGACY_NOTE)
    if page is not None and is_flat(page.records[0]):
        message = f"Vend was asked for version {version} and answers in the older form of API 2.0. The version is past its end."
        return TestStep(name=VERSION_STEP, ok=False, message=message, help=VERSION_HELP)
    return passed(VERSION_STEP, f"Vend answers in version {version}. {lifetime(version, utc_now().date())}")


def lifetime(version: str, today: date) -> str:
    """Vend keeps a dated version for twelve months at least."""
    year, month = map(int, version.split("-"))
    end = date(year + 1, month, 1)
    if today < end:
        return f"Vend keeps it until {end:%B %Y} at least."
    return f"Vend promised it until {end:%B %Y} only; choose a newer one if the list offers one."


def guarded(name: str, step: Callable[[], TestStep]) -> TestStep:
    try:
        return step()
    except ConnectorError as error:
        return failed(name, error)


def passed(name: str, message: str) -> TestStep:
    return TestStep(name=name, ok=True, message=message)


def failed(name: str, error: ConnectorError, help: str = "") -> TestStep:
    return TestStep(name=name, ok=False, message=error.message, help=help or error.fix)


def not_vend(url: str, reason: str) -> TestStep:
    return TestStep(
        name="Vend URL", ok=False, message=f"{url} answers, but not as a Vend store: {reason}", help=URL_HELP
    )
