"""What a system cannot do is said in words, and the words are true."""

from __future__ import annotations

import pytest

from connectors.functions import Role
from connectors.registry import all_connectors, connector_class
from tests.connectors.destinations.capabilities import PORTS, Capability
from tests.connectors.destinations.registry import DESTINATIONS, destination_class


def test_every_warehouse_connector_is_under_test() -> None:
    warehouses = {
        kind.key for kind in all_connectors() if Role.WAREHOUSE in kind.roles and kind.functions(Role.WAREHOUSE)
    }
    assert set(DESTINATIONS) == warehouses, "add a destination to tests/connectors/destinations/registry.py"


@pytest.mark.parametrize("key", DESTINATIONS)
def test_a_port_is_there_or_its_lack_is_explained(key: str) -> None:
    kind, lacks = connector_class(key), destination_class(key).lacks
    for capability, port in PORTS.items():
        if issubclass(kind, port):
            assert capability not in lacks, f"{kind.label} {capability.value}: take it out of lacks"
        else:
            assert lacks.get(capability), f"{kind.label} does not say why it never {capability.value}"


@pytest.mark.parametrize("key", DESTINATIONS)
def test_every_lack_is_explained_in_a_sentence(key: str) -> None:
    for capability, reason in destination_class(key).lacks.items():
        assert isinstance(capability, Capability)
        assert len(reason) > 10 and reason.endswith("."), f"{key}: {capability.name}"
