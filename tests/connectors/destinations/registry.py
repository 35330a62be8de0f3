"""The destinations under test: key of the connector -> the class that opens it."""

from __future__ import annotations

from connectors.registry import load
from tests.connectors.destinations.capabilities import Capability
from tests.connectors.destinations.destination import Destination

DESTINATIONS: dict[str, str] = {
    "builtin": "tests.connectors.destinations.builtin.BuiltinDestination",
    "rest": "tests.connectors.destinations.rest.RestDestination",
    "threepl": "tests.connectors.destinations.threepl.ThreePLDestination",
    "integration_manager": "tests.connectors.destinations.integration_manager.IntegrationManagerDestination",
    "tryton": "tests.connectors.destinations.tryton.TrytonDestination",
}


def destination_class(key: str) -> type[Destination]:
    return load(DESTINATIONS[key])  # type: ignore[no-any-return]


def destinations_that(*needs: Capability) -> list[str]:
    """The keys of those that can do all of this."""
    return [key for key in DESTINATIONS if all(destination_class(key).can(need) for need in needs)]
