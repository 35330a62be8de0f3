"""The systems the hub knows: a literal table, imported on first use."""

from __future__ import annotations

from functools import cache
from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from connectors.base import Connector

CONNECTORS: dict[str, str] = {
    "vend": "connectors.vend.connector.VendConnector",
    "builtin": "connectors.builtin.connector.BuiltinWarehouse",
    "rest": "connectors.rest.connector.RestWarehouse",
    "threepl": "connectors.threepl.connector.ThreePLConnector",
    "integration_manager": "connectors.integration_manager.connector.IntegrationManagerWarehouse",
    "tryton": "connectors.tryton.connector.TrytonConnector",
}

SANDBOXES: dict[str, str] = {
    "vend": "connectors.vend.sandbox.VendSandbox",
    "threepl": "connectors.threepl.sandbox.ThreePLSandbox",
    "integration_manager": "connectors.integration_manager.sandbox.IntegrationManagerSandbox",
}


class UnknownConnector(LookupError):
    """No system has this key."""


@cache
def connector_class(key: str) -> type[Connector]:
    """The connector registered under ``key``. Raises ``UnknownConnector`` naming those that exist."""
    try:
        path = CONNECTORS[key]
    except KeyError:
        raise UnknownConnector(f"There is no connector {key!r}. Known: {', '.join(sorted(CONNECTORS))}.") from None
    return load(path)  # type: ignore[no-any-return]


def all_connectors() -> list[type[Connector]]:
    return [connector_class(key) for key in CONNECTORS]


def sandbox_class(key: str) -> type:
    try:
        path = SANDBOXES[key]
    except KeyError:
        raise UnknownConnector(f"There is no sandbox for {key!r}. Known: {', '.join(sorted(SANDBOXES))}.") from None
    return load(path)  # type: ignore[no-any-return]


def load(path: str) -> Any:
    module, _, name = path.rpartition(".")
    return getattr(import_module(module), name)
