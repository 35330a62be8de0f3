"""Sale to warehouse while a sweep reads a whole catalogue in another slot, against the same sales without one."""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import time
from typing import Any

from benchmarks.databases import Databases
from benchmarks.processes import Server, hub_environment, measure, running, serving
from benchmarks.report import Row
from benchmarks.worker import redis_environment, wait_for_worker, wait_until

MOST_DELAY_SECONDS = 2.0


def run(databases: Databases, quick: bool) -> list[Row]:
    products, sales = (5_000, 10) if quick else (50_000, 40)
    rows = []
    for kind in databases.kinds:
        label, more = redis_environment(kind)
        with databases.fresh(kind) as url:
            answer = measure("benchmarks.lanes", products, sales, env=hub_environment(url, **more))
        swept, idle = answer["swept"], answer["idle"]
        rows += [
            Row(
                f"Sale to warehouse in a sweep of {products:,} products, {label}: slowest",
                f"{max(swept):.2f} s",
                f"{max(idle):.2f} s without a sweep",
                max(swept) - max(idle),
                MOST_DELAY_SECONDS,
                at_most=True,
            ),
            Row(
                f"  the usual one (p50), {label}",
                f"{statistics.median(swept):.2f} s",
                f"{statistics.median(idle):.2f} s without a sweep",
            ),
            Row(f"  products read meanwhile, {label}", f"{answer['products']:,}"),
        ]
    return rows


# --- the measured process --------------------------------------------------------------------------------------------


def main() -> None:
    products, sales = map(int, sys.argv[1:3])
    with serving("benchmarks.page_server", "--products", products, "--live") as server:
        os.environ["INTEGRATION_MANAGER_EXTRA_HOSTS"] = server.facts["host"]
        print(json.dumps(figures(server, sales)))


def figures(server: Server, sales: int) -> dict[str, Any]:
    from benchmarks.hub import make_cart, make_merchant, make_warehouse, open_hub
    from benchmarks.worker import quiet_schedules

    open_hub()
    cart = make_cart(make_warehouse(make_merchant()), server.facts)
    quiet_schedules()
    with running([sys.executable, "manage.py", "worker"], env=dict(os.environ), stdout=subprocess.DEVNULL):
        wait_for_worker()
        time_of_a_sale(server, cart)  # the first one reads what a cart reads once
        time_of_a_sale(server, cart)
        idle = [time_of_a_sale(server, cart) for _ in range(sales)]
        sweep = Sweep(cart)
        swept = []
        for _ in range(sales):
            sweep.keep_going()
            swept.append(time_of_a_sale(server, cart))
        return {"idle": idle, "swept": swept, "products": sweep.products()}


class Sweep:
    """Product Pickup from the beginning, again and again."""

    def __init__(self, cart: Any) -> None:
        self.cart = cart
        self.keep_going()
        wait_until(lambda: self.products() > 0, "the sweep to begin")

    def keep_going(self) -> None:
        from connectors.functions import Function
        from syncjobs.models import Run
        from syncjobs.schedule import request_run

        request_run(self.cart, Function.PRODUCT_PICKUP, Run.Trigger.SCHEDULE, full=True)

    def products(self) -> int:
        from connectors.functions import Function
        from syncjobs.models import Run

        runs = Run.objects.filter(function=Function.PRODUCT_PICKUP, full=True)
        return sum(counts.get("products", 0) for counts in runs.values_list("counts", flat=True))


def time_of_a_sale(server: Server, cart: Any) -> float:
    """From the webhook that tells of it to the moment at which the order is at the warehouse, in seconds."""
    from carts.models import Order
    from connectors.functions import Function
    from syncjobs.models import Run
    from syncjobs.schedule import request_run

    sale = server.ask("sell")["id"]
    started = time.perf_counter()
    # What a webhook about a sale comes to (``syncjobs.inbox``).
    request_run(cart, Function.ORDER_DOWNLOAD, Run.Trigger.WEBHOOK)
    arrived = Order.objects.filter(external_id=sale, status=Order.Status.AT_WAREHOUSE)
    wait_until(arrived.exists, "a sale to arrive", 0.01)
    return time.perf_counter() - started


if __name__ == "__main__":
    main()
