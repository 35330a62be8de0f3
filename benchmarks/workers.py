"""What more workers are good for: orders delivered per second to a warehouse that takes 100 ms a call and one order a call.

One ``manage.py worker`` with its default slots against four of them, on the same database and the same warehouse (the
sandbox of 3PL Warehouse Manager, in a process of its own). That nothing arrived twice is counted at the warehouse.
"""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import time

from benchmarks.databases import REDIS_URL, Databases
from benchmarks.processes import Server, hub_environment, measure, running, serving
from benchmarks.report import Row, per_second
from benchmarks.worker import make_orders, quiet_schedules, redis_answers, wait_until

GAIN = 2.5
WORKERS = 4
CALL_SECONDS = 0.1


def run(databases: Databases, quick: bool) -> list[Row]:
    orders = 200 if quick else 1_200
    if "PostgreSQL" not in databases.kinds:
        print("Several workers are measured on PostgreSQL only: left out.")
        return []
    more = {"REDIS_URL": REDIS_URL} if redis_answers() else {}
    rates = {}
    for workers in (1, WORKERS):
        with databases.fresh("PostgreSQL") as url, serving("benchmarks.workers", "warehouse") as server:
            env = hub_environment(url, **more, INTEGRATION_MANAGER_EXTRA_HOSTS=server.facts["host"])
            number = orders * workers // 2 if workers > 1 else orders // 2
            rates[workers] = measure("benchmarks.workers", "hub", workers, number, json.dumps(server.facts), env=env)
            check_arrivals(server, number)
    one, many = rates[1]["rate"], rates[WORKERS]["rate"]
    return [
        Row(
            f"{WORKERS} workers against one, a warehouse that takes {CALL_SECONDS * 1000:.0f} ms a call",
            per_second(many, "orders"),
            per_second(one, "orders"),
            many / one,
            GAIN,
        ),
        Row(
            f"  processor time of an order, {WORKERS} workers / one",
            f"{rates[WORKERS]['cpu_ms']:.1f} ms",
            f"{rates[1]['cpu_ms']:.1f} ms",
        ),
    ]


def check_arrivals(server: Server, number: int) -> None:
    there = server.ask("count")
    if there != {"orders": number, "calls": number}:
        raise RuntimeError(f"{number} orders were sent, and the warehouse counted {there}.")


# --- the warehouse, in a process of its own --------------------------------------------------------------------------


def serve_warehouse() -> None:
    from connectors.threepl.sandbox import ThreePLSandbox

    with ThreePLSandbox(products=0) as server:
        for position in range(3):
            server.store.add_item(server.customer_id, f"SKU-{position}", "Article")
        facts = {"url": server.url, "host": server.host, "id": server.client_id, "secret": server.client_secret}
        server.latency = CALL_SECONDS
        print(json.dumps(facts), flush=True)
        for _ in sys.stdin:
            counts = {"orders": len(server.store.orders), "calls": server.count("POST /orders")}
            print(json.dumps(counts), flush=True)


# --- the measured process --------------------------------------------------------------------------------------------


def measure_hub(workers: int, orders: int, remote: dict[str, str]) -> None:
    from benchmarks.hub import make_merchant, open_hub

    open_hub()
    from carts.connection_test import run_test
    from carts.models import Warehouse
    from carts.setup import check_settings, finish_new_connection
    from connectors.registry import connector_class
    from syncjobs.models import DrainSlot

    values = {"url": remote["url"], "user_login": "hub", "customer_id": 85, "facility_id": 1}
    secrets = {"client_id": remote["id"], "client_secret": remote["secret"]}
    options, credentials = check_settings(connector_class("threepl"), values, secrets, {})
    warehouse = Warehouse.objects.create(
        merchant=make_merchant(),
        name="3PL",
        connector="threepl",
        options=options,
        credentials=credentials,
        is_active=True,
    )
    finish_new_connection(warehouse)
    report = run_test(warehouse)
    if not report.ok:
        raise RuntimeError(f"The warehouse's test failed: {report}")
    quiet_schedules()
    make_orders(warehouse, orders)
    command = [sys.executable, "manage.py", "worker"]
    with contextlib.ExitStack() as stack:
        for _ in range(workers):
            stack.enter_context(running(command, env=dict(os.environ), stdout=subprocess.DEVNULL))
        wait_until(lambda: DrainSlot.objects.exclude(beat_at=None).count() >= 2 * workers, "the workers to start")
        before = processor_seconds()
        rate = rate_of_deliveries(orders)
        spent = processor_seconds() - before
    print(json.dumps({"rate": rate, "cpu_ms": spent / orders * 1000}))


def rate_of_deliveries(number: int) -> float:
    """Deliveries per second, from letting them go to the last one's arrival."""
    from django.utils import timezone

    from syncjobs.models import Delivery

    Delivery.objects.update(run_at=timezone.now())
    started = time.perf_counter()
    wait_until(lambda: Delivery.objects.filter(state=Delivery.State.DONE).count() >= number, "deliveries")
    return number / (time.perf_counter() - started)


def processor_seconds() -> float:
    """Of all descendants of this process, alive or not."""
    from benchmarks.processor_time import of_descendants

    return of_descendants(os.getpid())


if __name__ == "__main__":
    if sys.argv[1] == "warehouse":
        serve_warehouse()
    else:
        measure_hub(int(sys.argv[2]), int(sys.argv[3]), json.loads(sys.argv[4]))
