"""What a thousand carts cost in which nothing happens: processor time of worker and database, as a share of one core.

The carts are set up with the functions and intervals that a new cart has; their schedules are spread as they are in a hub
that has been running. A worker works for some minutes as it always does, and nothing is hurried. The stores are sandboxes
in a process of their own, whose time does not count.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from datetime import timedelta
from pathlib import Path
from typing import Any

from benchmarks.databases import REDIS_URL, Databases
from benchmarks.processes import hub_environment, measure, running, serving
from benchmarks.report import Row
from benchmarks.worker import redis_answers, wait_for_worker

CARTS, OUTLETS_OF_A_STORE = 1_000, 10
MOST_OF_A_CORE = 0.05
WARMS_UP_SECONDS = 20
LONGEST_SECONDS = 1200


def run(databases: Databases, quick: bool) -> list[Row]:
    carts, seconds = (200, 60) if quick else (CARTS, 180)
    rows = []
    for kind in databases.kinds:
        label, more = kind, {}
        if kind == "PostgreSQL" and redis_answers():
            label, more = "PostgreSQL + Redis", {"REDIS_URL": REDIS_URL}
        with (
            serving("benchmarks.idle", "stores", carts // OUTLETS_OF_A_STORE) as stores,
            databases.fresh(kind) as url,
        ):
            hosts = ",".join(store["host"] for store in stores.facts["stores"])
            env = hub_environment(url, **more, INTEGRATION_MANAGER_EXTRA_HOSTS=hosts)
            answer = measure(
                "benchmarks.idle", "hub", seconds, json.dumps(stores.facts["stores"]), env=env, seconds=LONGEST_SECONDS
            )
        share = answer["worker"] + answer["database"]
        rows += [
            Row(
                f"{carts:,} idle carts, {label}: share of one core",
                f"{share * 100:.1f} %",
                f"a worker without carts {answer['floor'] * 100:.1f} %",
                share,
                MOST_OF_A_CORE,
                at_most=True,
            ),
            Row(
                f"  worker / database, {label}",
                f"{answer['worker'] * 100:.1f} % / {answer['database'] * 100:.1f} %",
                f"{answer['runs'] / answer['seconds']:.1f} runs/s, {share * answer['seconds'] / answer['runs'] * 1000:.1f} ms each",
            ),
        ]
    return rows


# --- the stores, in a process of their own ---------------------------------------------------------------------------


def serve_stores(number: int) -> None:
    from connectors.vend.sandbox import VendSandbox

    stores = []
    for seed in range(number):
        store = VendSandbox(
            outlets=OUTLETS_OF_A_STORE, sales=5, products=20, customers=5, seed=seed, rate_limit=10_000_000
        )
        store.record_bodies = False
        store.start()
        outlets = [outlet["name"] for outlet in store.store.outlets]
        stores.append({"url": store.url, "host": store.host, "token": store.token, "outlets": outlets})
    print(json.dumps({"stores": stores}), flush=True)
    sys.stdin.read()


# --- the measured process --------------------------------------------------------------------------------------------


def measure_hub(seconds: float, stores: list[dict[str, Any]]) -> None:
    from benchmarks.hub import open_hub

    open_hub()
    from syncjobs.models import Run

    with running([sys.executable, "manage.py", "worker"], env=dict(os.environ), stdout=subprocess.DEVNULL) as worker:
        wait_for_worker()
        time.sleep(3)
        floor = sum(shares(worker.pid, 15))
    open_carts(stores)
    spread_schedules()
    with running([sys.executable, "manage.py", "worker"], env=dict(os.environ), stdout=subprocess.DEVNULL) as worker:
        wait_for_worker()
        time.sleep(WARMS_UP_SECONDS)
        known = Run.objects.exclude(state__in=["queued", "running"]).count()
        worker_share, database_share = shares(worker.pid, seconds)
        runs = Run.objects.exclude(state__in=["queued", "running"]).count() - known
    failed = Run.objects.filter(state="failed").first()
    if failed is not None:
        raise RuntimeError(f"{failed} failed: {failed.error}")
    print(
        json.dumps(
            {"floor": floor, "worker": worker_share, "database": database_share, "runs": runs, "seconds": seconds}
        )
    )


def open_carts(stores: list[dict[str, Any]]) -> None:
    """A merchant with a warehouse for each store, a cart for each outlet. The first cart of a store is tested and reads
    everything, as in real life; the others get what it found and read, as if they had done it themselves."""
    from benchmarks.hub import make_cart, make_warehouse
    from carts.models import Merchant

    first_carts = []
    for number, store in enumerate(stores):
        warehouse = make_warehouse(Merchant.create_named(f"Merchant {number}"))
        first_carts.append(make_cart(warehouse, {**store, "outlet": store["outlets"][0]}))
    read_everything()
    for first, store in zip(first_carts, stores, strict=True):
        first.refresh_from_db()
        for name in store["outlets"][1:]:
            copy_state(first, make_cart(first.warehouse, {**store, "outlet": name}, tested=False), name)


def copy_state(first: Any, cart: Any, outlet_name: str) -> None:
    """What a Test finds, and what the first loads leave behind: products, levels, and where each feed stands."""
    from carts.models import Outlet, OutletLevel, Product
    from syncjobs.models import Schedule

    outlets = Outlet.objects.bulk_create(copies(first.outlets.all(), connection_id=cart.pk))
    cart.outlet = next(one for one in outlets if one.name == outlet_name)
    for field in ("tested_at", "test_ok", "test_steps", "webhooks_checked_at", "webhook_steps"):
        setattr(cart, field, getattr(first, field))
    cart.save()
    products = list(Product.objects.filter(connection_id=first.pk))
    ids = [product.pk for product in products]
    levels = list(OutletLevel.objects.filter(cart_id=first.pk))
    new_ids = dict(
        zip(ids, (one.pk for one in Product.objects.bulk_create(copies(products, connection_id=cart.pk))), strict=True)
    )
    for level in levels:
        level.product_id = new_ids[level.product_id]
    OutletLevel.objects.bulk_create(copies(levels, cart_id=cart.pk))
    for schedule in Schedule.objects.filter(connection_id=first.pk):
        same = Schedule.objects.filter(connection_id=cart.pk, function=schedule.function)
        same.update(cursor=schedule.cursor, last_success_at=schedule.last_success_at)


def copies(rows: Any, **other: Any) -> list[Any]:
    """The same rows, to be inserted for another connection."""
    rows = list(rows)
    for row in rows:
        row.pk = None
        for name, value in other.items():
            setattr(row, name, value)
    return rows


def read_everything() -> None:
    """Every function that is on runs, one after the other, and then once more, so that what follows is idle.
    Reconciliation, once a day, keeps its day."""
    from django.utils import timezone

    from carts.models import StockLevel
    from connectors.functions import Function
    from syncjobs.models import Schedule
    from syncjobs.schedule import SEQUENCE, dispatch_due

    order = list(dict.fromkeys(function for _, function in SEQUENCE if function is not Function.INVENTORY_SYNC))
    run_queue()
    for function in [*order, None, Function.INVENTORY_SYNC, *order, Function.INVENTORY_SYNC]:
        if function is None:
            fill_warehouses()
        else:
            Schedule.objects.filter(function=function, setting__minutes__gt=0).update(next_run_at=timezone.now())
            dispatch_due()
        run_queue()
    # A pickup reads what changed a moment ago once more, for safety.
    long_ago = timezone.now() - timedelta(hours=1)
    StockLevel.objects.update(changed_at=long_ago)
    Schedule.objects.filter(function=Function.INVENTORY_PICKUP).update(cursor=timezone.now().isoformat())


def fill_warehouses() -> None:
    """With what the first cart's outlet sells, so that each round has levels to compare."""
    from decimal import Decimal

    from carts.models import Product, Warehouse
    from carts.warehouse_book import WarehouseBook

    for warehouse in Warehouse.objects.all():
        location, cart = warehouse.default_location(), warehouse.carts.order_by("pk").first()
        assert location is not None and cart is not None
        goods = Product.objects.filter(connection_id=cart.pk, kind="goods", deleted=False).exclude(sku="")
        skus = set(goods.values_list("sku", flat=True))
        WarehouseBook(warehouse.pk).set_available((location, sku, Decimal(10)) for sku in sorted(skus))


def run_queue() -> None:
    """Runs and deliveries, until nothing waits any more."""
    from django.utils import timezone

    from connectors.functions import Lane
    from syncjobs.connector_cache import OpenConnectors
    from syncjobs.delivering import deliver_next
    from syncjobs.models import Run
    from syncjobs.outcomes import IdleRuns
    from syncjobs.runner import claim_runs, execute

    connectors = OpenConnectors()
    waiting = Run.objects.filter(state=Run.State.QUEUED)
    while waiting.exists():
        waiting.update(run_at=timezone.now())
        while runs := claim_runs("bench", list(Lane), 50):
            idle = IdleRuns("bench")
            for one in runs:
                execute(one, "bench", idle=idle)
            idle.mark()
        while deliver_next("bench", connectors):
            pass
    connectors.close()
    failed = Run.objects.filter(state=Run.State.FAILED).first()
    if failed is not None:
        raise RuntimeError(f"{failed} ended as {failed.state}: {failed.error}")


def place_in_turn(number: int) -> float:
    """Spreads numbers evenly over 0 to 1, whatever their order means."""
    return number * 0.6180339887 % 1


def spread_schedules() -> None:
    """Each next run at some moment of its interval, as if the carts had been set up over the years."""
    from django.utils import timezone

    from carts.models import Cart, Connection
    from syncjobs.models import Run, Schedule

    Run.objects.filter(state=Run.State.QUEUED).delete()
    now = timezone.now()
    schedules = list(Schedule.objects.select_related("setting"))
    for number, schedule in enumerate(schedules):
        schedule.next_run_at = now + timedelta(minutes=(schedule.setting.minutes or 1) * place_in_turn(number))
    Schedule.objects.bulk_update(schedules, ["next_run_at"], batch_size=500)
    carts = list(Cart.objects.order_by("pk"))
    for number, cart in enumerate(carts):
        # The daily look at what is registered as webhooks.
        Connection.objects.filter(pk=cart.pk).update(webhooks_due_at=now + timedelta(days=1) * place_in_turn(number))


def shares(worker: int, seconds: float) -> tuple[float, float]:
    """(worker, database): processor seconds per second, while everything goes on."""
    from benchmarks.processor_time import of_tree

    server = postmaster()
    started = time.monotonic()
    before = of_tree(worker), of_tree(server) if server else 0.0
    time.sleep(seconds)
    after = of_tree(worker), of_tree(server) if server else 0.0
    length = time.monotonic() - started
    return (after[0] - before[0]) / length, (after[1] - before[1]) / length


def postmaster() -> int | None:
    """The process of the PostgreSQL server on this machine; None on SQLite, whose work the worker does itself."""
    from django.db import connection as database

    if database.vendor != "postgresql":
        return None
    with database.cursor() as cursor:
        cursor.execute("SELECT pg_backend_pid()")
        backend: int = cursor.fetchone()[0]
    fields = (Path("/proc") / str(backend) / "stat").read_text().rpartition(")")[2].split()
    return int(fields[1])


if __name__ == "__main__":
    if sys.argv[1] == "stores":
        serve_stores(int(sys.argv[2]))
    else:
        measure_hub(float(sys.argv[2]), json.loads(sys.argv[3]))
