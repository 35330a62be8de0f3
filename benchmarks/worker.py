"""``manage.py worker``: how many of our jobs it claims, runs and marks per second, and how soon it starts one.

The floor is a bare claim loop on the same table: claim 20, do nothing, mark.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

from benchmarks.databases import REDIS_URL, Databases
from benchmarks.processes import hub_environment, measure, running
from benchmarks.report import Row, per_second

JOBS_PER_SECOND = 500
LATENCY_SECONDS = 0.5
WAREHOUSES = 250
FLOOR_BATCH = 20
LONGEST_WAIT_SECONDS = 90


def run(databases: Databases, quick: bool) -> list[Row]:
    jobs, orders, probes = (500, 1_000, 20) if quick else (2_000, 3_000, 60)
    rows = []
    for kind in databases.kinds:
        label, more = redis_environment(kind)
        with databases.fresh(kind) as url:
            env = hub_environment(url, **more)
            answer = measure("benchmarks.worker", jobs, orders, probes, env=env)
        rows += rows_of(label, answer)
    return rows


def rows_of(label: str, answer: dict[str, Any]) -> list[Row]:
    runs, deliveries, floor = answer["runs"], answer["deliveries"], answer["floor"]
    return [
        Row(
            f"Worker, runs of a real function, {label}", per_second(runs, "jobs"), per_second(floor, "bare claims"),
            runs, JOBS_PER_SECOND,
        ),
        Row(
            f"Worker, orders to the built-in warehouse, {label}", per_second(deliveries, "jobs"),
            per_second(floor, "bare claims"), deliveries, JOBS_PER_SECOND,
        ),
        Row(
            f"Worker, queued to started, p95, {label}", f"{answer['p95'] * 1000:.0f} ms",
            f"p50 {answer['p50'] * 1000:.0f} ms", answer["p95"], LATENCY_SECONDS, at_most=True,
        ),
    ]  # fmt: skip


def redis_environment(kind: str) -> tuple[str, dict[str, str]]:
    """(what the rows call this database, what the worker's environment needs): Redis goes with PostgreSQL."""
    if kind == "PostgreSQL" and redis_answers():
        return "PostgreSQL + Redis", {"REDIS_URL": REDIS_URL}
    return kind, {}


def redis_answers() -> bool:
    import redis

    try:
        redis.Redis.from_url(REDIS_URL, socket_connect_timeout=2).ping()
    except redis.RedisError:
        print(f"Redis does not answer at {REDIS_URL}: the worker is measured without it (set BENCH_REDIS_URL).")
        return False
    return True


# --- the measured process --------------------------------------------------------------------------------------------


def main() -> None:
    import os

    from benchmarks.hub import make_merchant, make_warehouse, open_hub

    jobs, orders, probes = map(int, sys.argv[1:4])
    open_hub()
    merchant = make_merchant()
    warehouses = [make_warehouse(merchant, f"Warehouse {number}") for number in range(WAREHOUSES)]
    quiet_schedules()
    answer: dict[str, Any] = {"floor": bare_claims(warehouses, jobs)}
    make_orders(warehouses[0], orders)
    with running([sys.executable, "manage.py", "worker"], env=dict(os.environ), stdout=subprocess.DEVNULL):
        wait_for_worker()
        answer["deliveries"] = rate_of_deliveries(orders)
        answer["runs"] = rate_of_runs(warehouses, jobs)
        answer["p50"], answer["p95"] = start_latency(warehouses, probes)
    print(json.dumps(answer))


def quiet_schedules() -> None:
    """Nothing falls due by itself while we measure."""
    from datetime import timedelta

    from django.utils import timezone

    from syncjobs.models import Schedule

    Schedule.objects.update(next_run_at=timezone.now() + timedelta(days=1))


def queue_runs(warehouses: list[Any], number: int, *, held: bool) -> None:
    """Queued runs of Shipment Pickup, one per warehouse at a time: that is all the database allows. The others are
    queued behind them as full and as trial runs."""
    from datetime import timedelta

    from django.utils import timezone

    from connectors.functions import Function
    from syncjobs.models import Run
    from syncjobs.schedule import new_run

    run_at = timezone.now() + timedelta(hours=1 if held else 0)
    runs = [
        new_run(warehouse, Function.SHIPMENT_PICKUP, Run.Trigger.HUB, full=full, run_at=run_at)
        for full in (False, True)
        for warehouse in warehouses
    ]
    Run.objects.bulk_create(runs[:number])


def bare_claims(warehouses: list[Any], number: int) -> float:
    """The floor: claim 20, do nothing, mark them done. One process, no other work."""
    from django.db import transaction
    from django.utils import timezone

    from syncjobs.models import Run

    done, seconds = 0, 0.0
    while done < number:
        queue_runs(warehouses, number, held=False)
        started = time.perf_counter()
        while True:
            with transaction.atomic():
                ids = list(
                    Run.objects.select_for_update(skip_locked=True)
                    .filter(state=Run.State.QUEUED, run_at__lte=timezone.now())
                    .order_by("run_at", "pk")
                    .values_list("pk", flat=True)[:FLOOR_BATCH]
                )
                # Two runs of one feed may not be marked as running at once, so the floor marks them as paused.
                Run.objects.filter(pk__in=ids).update(state=Run.State.PAUSED, lease_owner="bench")
            if not ids:
                break
            Run.objects.filter(pk__in=ids, lease_owner="bench").update(
                state=Run.State.DONE, finished_at=timezone.now(), lease_owner=""
            )
            done += len(ids)
        seconds += time.perf_counter() - started
    Run.objects.all().delete()
    return done / seconds


def make_orders(warehouse: Any, number: int) -> None:
    """Orders ready to be sent, held back until ``rate_of_deliveries`` lets them go."""
    from datetime import timedelta
    from decimal import Decimal

    from django.utils import timezone

    from carts.models import Cart, Order, OrderLine
    from syncjobs.models import Delivery

    cart = Cart.objects.create(merchant=warehouse.merchant, name="Cart", connector="vend", warehouse=warehouse)
    now = timezone.now()
    address = {"name": "Ada", "street1": "1 Queen Street", "city": "Auckland", "country": "NZ"}
    orders = Order.objects.bulk_create(
        Order(
            merchant=warehouse.merchant, cart=cart, warehouse=warehouse, location=cart.stock_location(),
            external_id=f"sale-{one}", number=f"#{one}", reference=f"sale-{one}", placed_at=now, ship_to=address,
        )
        for one in range(number)
    )  # fmt: skip
    OrderLine.objects.bulk_create(
        OrderLine(
            order=order, position=position, external_id=str(position), sku=f"SKU-{position}",
            sku_key=f"sku-{position}", name="Article", quantity=Decimal(1),
        )
        for order in orders
        for position in range(3)
    )  # fmt: skip
    Delivery.objects.bulk_create(
        Delivery(
            connection_id=warehouse.pk, kind=Delivery.Kind.ORDER, order=order, reference=order.reference,
            run_at=now + timedelta(hours=1),
        )
        for order in orders
    )  # fmt: skip


def wait_for_worker() -> None:
    from syncjobs.models import DrainSlot

    wait_until(lambda: DrainSlot.objects.exclude(beat_at=None).count() >= 2, "the worker to start")


def rate_of_deliveries(number: int) -> float:
    from django.utils import timezone

    from syncjobs.models import Delivery

    Delivery.objects.update(run_at=timezone.now())
    started = time.perf_counter()
    wait_until(lambda: Delivery.objects.filter(state=Delivery.State.DONE).count() >= number, "deliveries")
    return number / (time.perf_counter() - started)


def rate_of_runs(warehouses: list[Any], number: int) -> float:
    """Rounds of two runs per warehouse, as many as the database lets wait at once."""
    from django.utils import timezone

    from syncjobs.models import Run

    done, seconds = 0, 0.0
    while done < number:
        queue_runs(warehouses, number - done, held=True)
        queued = Run.objects.filter(state=Run.State.QUEUED).count()
        started = time.perf_counter()
        Run.objects.filter(state=Run.State.QUEUED).update(run_at=timezone.now())
        before = done
        wait_until(
            lambda before=before, queued=queued: Run.objects.filter(state=Run.State.DONE).count() >= before + queued,
            "runs",
        )
        seconds += time.perf_counter() - started
        done += queued
    if Run.objects.exclude(state=Run.State.DONE).exists():
        raise RuntimeError("Some runs did not end as done.")
    return done / seconds


def start_latency(warehouses: list[Any], number: int) -> tuple[float, float]:
    """(p50, p95) from queued to started, one job at a time, at uneven moments."""
    from connectors.functions import Function
    from syncjobs.models import Run
    from syncjobs.schedule import request_run

    waits = []
    for one in range(number):
        time.sleep(0.05 + one * 0.037 % 0.3)
        run = request_run(warehouses[one % len(warehouses)], Function.SHIPMENT_PICKUP, Run.Trigger.PERSON)
        wait_until(lambda pk=run.pk: Run.objects.filter(pk=pk, state=Run.State.DONE).exists(), "one run", 0.02)
        run.refresh_from_db()
        waits.append((run.started_at - run.queued_at).total_seconds())
    cuts = statistics.quantiles(waits, n=20, method="inclusive")
    return statistics.median(waits), cuts[18]


def wait_until(reached: Callable[[], bool], what: str, pause: float = 0.05) -> None:
    end = time.monotonic() + LONGEST_WAIT_SECONDS
    while not reached():
        if time.monotonic() > end:
            raise RuntimeError(f"Waited too long for {what}.")
        time.sleep(pause)


if __name__ == "__main__":
    main()
