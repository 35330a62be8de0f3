"""Inventory Sync: what a changed and an unchanged catalogue cost. Calls and queries are counted, not timed."""

from __future__ import annotations

import json
import sys
import time
from decimal import Decimal
from typing import Any

from benchmarks.databases import Databases
from benchmarks.processes import hub_environment, measure, serving
from benchmarks.report import Row

MOST_WRITE_CALLS = 11
WRITES = ("POST /stock_adjustments", "PUT /products/{id}")


def run(databases: Databases, quick: bool) -> list[Row]:
    small, large = (200, 2_000) if quick else (1_000, 10_000)
    rows = []
    for kind in databases.kinds:
        few, many = figures(databases, kind, small), figures(databases, kind, large)
        changed, unchanged = many["changed"], many["unchanged"]
        rows += [
            Row(
                f"Inventory Sync, {large:,} changed SKUs, {kind}: write calls",
                f"{changed['write_calls']}",
                f"{changed['written']:,} levels written",
                changed["write_calls"],
                MOST_WRITE_CALLS,
                at_most=True,
            ),
            Row(
                f"  time and queries for them, {kind}",
                f"{changed['seconds']:.1f} s, {changed['queries']} queries",
                f"{large / changed['seconds']:,.0f} SKUs/s",
            ),
            Row(
                f"Inventory Sync, nothing changed, {kind}: write calls",
                f"{unchanged['write_calls']}",
                f"{unchanged['seconds'] * 1000:.0f} ms",
                unchanged["write_calls"],
                0,
                at_most=True,
            ),
            Row(
                f"  queries with {large:,} SKUs against {small:,}, {kind}",
                f"{unchanged['queries']} queries",
                f"{few['unchanged']['queries']} queries",
                unchanged["queries"] / few["unchanged"]["queries"],
                1,
                at_most=True,
            ),
        ]
    return rows


def figures(databases: Databases, kind: str, products: int) -> dict[str, Any]:
    with serving("benchmarks.page_server", "--products", products) as server, databases.fresh(kind) as url:
        env = hub_environment(
            url,
            BENCH_URL=server.facts["url"],
            BENCH_TOKEN=server.facts["token"],
            BENCH_OUTLET=server.facts["outlet"],
            INTEGRATION_MANAGER_EXTRA_HOSTS=server.facts["host"],
        )
        server.ask("reset")
        answer = measure("benchmarks.stock", "changed", env=env)
        answer["changed"]["write_calls"] = write_calls(server.ask("counts"))
        server.ask("reset")
        answer |= measure("benchmarks.stock", "unchanged", env=env)
        answer["unchanged"]["write_calls"] = write_calls(server.ask("counts"))
        return answer


def write_calls(counts: dict[str, int]) -> int:
    return sum(counts.get(name, 0) for name in WRITES)


# --- the measured process --------------------------------------------------------------------------------------------


def main() -> None:
    from benchmarks.hub import make_cart, make_merchant, make_warehouse, open_hub, server_from_environment

    open_hub()
    from carts.models import Cart, Product
    from carts.warehouse_book import WarehouseBook
    from connectors.functions import Function

    if sys.argv[1] == "unchanged":
        cart = Cart.objects.get()
        sync(cart, Function.INVENTORY_SYNC)  # takes in what the last run wrote itself
        print(json.dumps({"unchanged": sync(cart, Function.INVENTORY_SYNC)}))
        return
    warehouse = make_warehouse(make_merchant())
    cart = make_cart(warehouse, server_from_environment())
    sync(cart, Function.PRODUCT_PICKUP)
    location = warehouse.locations.get()
    skus = Product.objects.filter(connection_id=cart.pk).exclude(sku="").values_list("sku", flat=True)
    WarehouseBook(warehouse.pk).set_available([(location, sku, Decimal("123456")) for sku in skus])
    print(json.dumps({"changed": sync(cart, Function.INVENTORY_SYNC)}))


def sync(cart: Any, function: Any) -> dict[str, Any]:
    """One run of a function, as a worker does it: seconds, queries and levels written."""
    from django.db import connection as database
    from django.test.utils import CaptureQueriesContext

    from syncjobs.models import Run
    from syncjobs.runner import claim_run, execute
    from syncjobs.schedule import request_run

    run = claim_run(request_run(cart, function, Run.Trigger.PERSON).pk, "bench")
    assert run is not None
    started = time.perf_counter()
    with CaptureQueriesContext(database) as queries:
        execute(run, "bench")
    seconds = time.perf_counter() - started
    if run.state != Run.State.DONE:
        raise RuntimeError(f"{run} ended as {run.state}: {run.error}")
    return {"seconds": seconds, "queries": len(queries), "written": run.counts.get("written", 0)}


if __name__ == "__main__":
    main()
