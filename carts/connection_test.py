"""The *Test* button: every step of a set-up checked against the remote system, with what to do when one fails."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from django.utils import timezone

from carts import stock_requirements
from carts.access_alerts import access_works
from carts.alerting import clear_connection_alerts
from carts.encryption import CredentialsUnreadable
from carts.location_list import take_in_list
from carts.models import Cart, Connection, StockFrom, Warehouse
from carts.outlets import keep_outlets
from carts.remote import open_connector, webhook_url
from carts.signals import connection_tested
from carts.stock_places import NoStockPlaces, places_of
from carts.store_facts import save_store_facts
from carts.webhook_care import keep_webhook_report
from carts.webhook_registrations import note_registration, remove_stale
from connectors.base import Connector
from connectors.errors import ConnectorError
from connectors.ports import LocationReader, OutletReader, WebhookSource
from connectors.records import TestStep

# So many locations are named in a step.
NAMED = 8
# Kinds of alerts whose cause is gone once a Test went well.
MENDED_BY_TEST = (
    "permission",
    "configuration",
    "outlet_address",
    "unavailable",
    "contract",
    "outcome_unknown",
)


@dataclass(frozen=True)
class TestReport:
    __test__ = False

    ok: bool
    steps: tuple[TestStep, ...]

    def as_json(self) -> dict[str, Any]:
        return {"ok": self.ok, "steps": [asdict(step) for step in self.steps]}


def run_test(connection: Connection) -> TestReport:
    """Tests a connection, keeps the outcome on it, and takes in the outlets or locations that were found."""
    steps: list[TestStep] = []
    try:
        connector = open_connector(connection)
    except (ConnectorError, CredentialsUnreadable) as error:
        steps.append(TestStep(name="Settings", ok=False, message=str(error), help=getattr(error, "fix", "")))
    else:
        try:
            steps.extend(connector.test())
            if all(step.ok for step in steps):
                steps.extend(take_in_places(connection, connector))
                if isinstance(connector, WebhookSource):
                    note_registration(connection)
                    webhook_steps = list(connector.register_webhooks(webhook_url(connection)))
                    if all(step.ok for step in webhook_steps):
                        webhook_steps += remove_stale(connection, connector)
                    keep_webhook_report(connection, webhook_steps)
                    steps.extend(webhook_steps)
        except ConnectorError as error:
            steps.append(TestStep(name="Connection", ok=False, message=error.message, help=error.fix))
        finally:
            connector.close()
            save_store_facts(connection, connector)
    if isinstance(connection, Cart):
        steps.append(warehouse_step(connection))
        steps.extend(stock_requirements.steps(connection))
    report = TestReport(ok=all(step.ok for step in steps), steps=tuple(steps))
    keep(connection, report)
    return report


def take_in_places(connection: Connection, connector: Connector) -> list[TestStep]:
    """Outlets of a cart, locations of a warehouse: stored so that they can be chosen."""
    if isinstance(connection, Cart) and isinstance(connector, OutletReader):
        keep_outlets(connection, connector.read_outlets())
    if isinstance(connection, Warehouse) and isinstance(connector, LocationReader):
        places = connector.read_locations()
        if not connector.stores_in_hub:
            take_in_list(connection, places, is_complete=connector.lists_all_locations)
        count = connection.locations.filter(is_active=True).count()
        if not count:
            return [
                TestStep(
                    name="Locations",
                    ok=False,
                    message="The warehouse has no active location.",
                    help="Add a location to the warehouse, or switch one on.",
                )
            ]
        return [TestStep(name="Locations", ok=True, message=f"{count} active.")]
    return []


def warehouse_step(cart: Cart) -> TestStep:
    if cart.warehouse is None:
        return TestStep(
            name="Warehouse",
            ok=False,
            message="The cart has no warehouse.",
            help="Choose the warehouse that ships this cart's orders. The built-in warehouse needs nothing else.",
        )
    location = cart.stock_location()
    if location is None or not location.is_active:
        return TestStep(
            name="Warehouse",
            ok=False,
            message=f"{cart.warehouse} has no active location for this cart.",
            help="Choose a location under Sync Inventory With Warehouse, or add one to the warehouse.",
        )
    if cart.stock_from == StockFrom.LOCATION:
        return TestStep(name="Warehouse", ok=True, message=f"{cart.warehouse}, location {location}.")
    try:
        places = places_of(cart)
    except NoStockPlaces as error:
        return TestStep(name="Warehouse", ok=False, message=str(error), help=error.fix)
    names = ", ".join(place.name for place in places[:NAMED]) + (", ..." if len(places) > NAMED else "")
    sum_of = f"all {len(places)}" if cart.stock_from == StockFrom.ALL else f"{len(places)}"
    message = f"{cart.warehouse}: orders go to {location}; the stock of {sum_of} locations is added up: {names}."
    return TestStep(name="Warehouse", ok=True, message=message)


def keep(connection: Connection, report: TestReport) -> None:
    """Stores the outcome; a good one ends every pause and closes the alerts that asked for a better set-up."""
    values: dict[str, Any] = {
        "tested_at": timezone.now(),
        "test_ok": report.ok,
        "test_steps": report.as_json()["steps"],
    }
    if report.ok:
        values |= {"resting_until": None, "failures_in_a_row": 0}
        access_works(connection)
        clear_connection_alerts(connection, *MENDED_BY_TEST)
    Connection.objects.filter(pk=connection.pk).update(**values)
    for name, value in values.items():
        setattr(connection, name, value)
    connection_tested.send(Connection, connection=connection, ok=report.ok)
