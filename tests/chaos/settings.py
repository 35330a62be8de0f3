"""Settings of the hub's processes under chaos: the product's own, with a warehouse that takes whatever it is sent, twice if
it is sent twice."""

from connectors.registry import CONNECTORS
from integration_manager.settings import *  # noqa: F403

CONNECTORS["http_warehouse"] = "tests.engine.http_warehouse.HttpWarehouse"
