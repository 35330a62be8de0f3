"""Settings of worker processes under test: the product's own, with a warehouse of the tests and faster clocks."""

from connectors.registry import CONNECTORS
from integration_manager.settings import *  # noqa: F403

CONNECTORS["http_warehouse"] = "tests.engine.http_warehouse.HttpWarehouse"
CONNECTORS["changing_warehouse"] = "tests.engine.http_warehouse.ChangingWarehouse"
WORKER_TIMING = {
    "lease": 2.0,
    "beat": 0.2,
    "slot_free_after": 1.5,
    "drain": 4.0,
    "sweep": 0.5,
    "dispatch": 0.5,
    "look": 0.1,
    "supervisor_beat": 0.5,
    "call_again_after": 1.0,
    "deaf_after": 3.0,
    "start_grace": 8.0,
}
