"""The whole way at once: 200 webhooks a second for five minutes, and every sale at the warehouse within seconds.

Real processes: gunicorn, two ``manage.py worker``, PostgreSQL, Redis, and four Vend stores with two carts each, which send
their webhooks by themselves. Measured is each sale's way from the shop to the built-in warehouse; counted are the sales
that are missing there, and those that are there twice.
"""

from __future__ import annotations

import contextlib
import json
import statistics
import subprocess
import sys
import threading
import time
from typing import Any

from benchmarks.databases import REDIS_URL, Databases
from benchmarks.processes import Server, hub_environment, measure, running, serving
from benchmarks.report import Row, per_second
from benchmarks.webhooks import free_port, wait_for_port
from benchmarks.worker import quiet_schedules, redis_answers, wait_until

EVENTS_PER_SECOND = 200
SECONDS, QUICK_SECONDS = 300, 30
WORKERS = 2
STORES, OUTLETS = 4, 2
P95_SECONDS = 10.0


def run(databases: Databases, quick: bool) -> list[Row]:
    if "PostgreSQL" not in databases.kinds:
        print("The storm is measured on PostgreSQL only: left out.")
        return []
    seconds = QUICK_SECONDS if quick else SECONDS
    more = {"REDIS_URL": REDIS_URL} if redis_answers() else {}
    port = free_port()
    with databases.fresh("PostgreSQL") as url, serving("benchmarks.storm", "stores") as stores:
        env = hub_environment(
            url,
            **more,
            PUBLIC_URL=f"http://127.0.0.1:{port}",
            INTEGRATION_MANAGER_EXTRA_HOSTS=",".join(store["host"] for store in stores.facts["stores"]),
        )
        measure("benchmarks.storm", "open", json.dumps(stores.facts["stores"]), env=env)
        answer = weather(stores, env, port, seconds)
        found = measure("benchmarks.storm", "count", env=env)
    sold, there = set(answer["sold"]), found["at_warehouse"]
    missing, double = sold - set(there), len(there) - len(set(there))
    waits = sorted(found["waits"])
    p95 = statistics.quantiles(waits, n=20, method="inclusive")[18]
    return [
        Row(
            f"Webhooks received for {seconds} s, {len(sold):,} sales in {STORES * OUTLETS} carts",
            per_second(found["events"] / answer["seconds"], "webhooks"),
            per_second(EVENTS_PER_SECOND, "wanted"),
            found["events"] / answer["seconds"] / EVENTS_PER_SECOND,
            0.95,
        ),
        Row("  sale to warehouse, p95", f"{p95:.1f} s", f"p50 {statistics.median(waits):.1f} s, slowest {waits[-1]:.1f} s",
            p95, P95_SECONDS, at_most=True),
        Row("  sales that are missing at the warehouse, or there twice", f"{len(missing)} and {double}",
            f"{len(sold):,} sold", len(missing) + double, 0, at_most=True),
    ]  # fmt: skip


def weather(stores: Server, env: dict[str, str], port: int, seconds: int) -> dict[str, Any]:
    """The storm, and the calm until nothing is on its way any more."""
    gunicorn = [
        sys.executable, "-m", "gunicorn", "integration_manager.wsgi", f"--bind=127.0.0.1:{port}", "--workers=2",
        "--worker-class=gthread", "--threads=4", "--log-level=error",
    ]  # fmt: skip
    with contextlib.ExitStack() as stack:
        stack.enter_context(running(gunicorn, env=env))
        for _ in range(WORKERS):
            stack.enter_context(running([sys.executable, "manage.py", "worker"], env=env, stdout=subprocess.DEVNULL))
        wait_for_port(port)
        measure("benchmarks.storm", "wait-for-workers", env=env)
        began = time.monotonic()
        stores.ask("sell", EVENTS_PER_SECOND, seconds)
        while stores.ask("state")["selling"]:
            time.sleep(0.5)
        length = time.monotonic() - began
        wait_until(lambda: not stores.ask("state")["waiting"], "the webhooks to be sent", 0.5)
        with contextlib.suppress(RuntimeError):  # what is not there by then is counted as missing
            measure("benchmarks.storm", "calm", env=env)
        return {"seconds": length, "sold": stores.ask("sold")["sold"]}


# --- the stores, in a process of their own ---------------------------------------------------------------------------


def serve_stores() -> None:
    from connectors.vend.sandbox import VendSandbox

    stores = []
    for seed in range(STORES):
        store = VendSandbox(
            outlets=OUTLETS, sales=0, products=50, customers=20, seed=seed + 1, rate_limit=10_000_000
        ).start()
        store.record_bodies = False
        stores.append(store)
    facts = [
        {
            "url": store.url,
            "host": store.host,
            "token": store.token,
            "outlets": [outlet["name"] for outlet in store.store.outlets],
        }
        for store in stores
    ]
    print(json.dumps({"stores": facts}), flush=True)
    seller = Seller(stores)
    for line in sys.stdin:
        word, *values = line.split()
        if word == "sell":
            seller.begin(float(values[0]), float(values[1]))
        state: dict[str, Any] = {"selling": seller.is_selling, "waiting": seller.waiting}
        if word == "sold":
            state["sold"] = seller.sold
        print(json.dumps(state), flush=True)


class Seller:
    """Sells at the rate that makes so many webhooks a second: as many as one sale made, counted."""

    def __init__(self, stores: list[Any]) -> None:
        self.stores = stores
        self.sold: list[str] = []
        self.thread: threading.Thread | None = None

    @property
    def is_selling(self) -> bool:
        return self.thread is not None and self.thread.is_alive()

    @property
    def waiting(self) -> int:
        return sum(len(store.webhook_sender._waiting) + store.webhook_sender._busy for store in self.stores)

    def begin(self, events_per_second: float, seconds: float) -> None:
        self.thread = threading.Thread(target=self.sell, args=(events_per_second, seconds), daemon=True)
        self.thread.start()

    def sell(self, events_per_second: float, seconds: float) -> None:
        began = time.monotonic()
        self.sell_one(0)
        pause = len(self.stores[0].webhook_sender.deliveries) / events_per_second
        number = 1
        while (due := number * pause) < seconds:
            time.sleep(max(began + due - time.monotonic(), 0))
            self.sell_one(number)
            number += 1

    def sell_one(self, number: int) -> None:
        sandbox = self.stores[number % STORES]
        store = sandbox.store
        outlet = store.outlets[number // STORES % OUTLETS]
        sale = store.add_sale(outlet=outlet["id"], lines=[(store.products[number % len(store.products)], 1)])
        self.sold.append(str(sale.id))


# --- the measured process --------------------------------------------------------------------------------------------


def open_carts(stores: list[dict[str, Any]]) -> None:
    from benchmarks.hub import make_cart, make_merchant, make_warehouse

    merchant = make_merchant()
    warehouse = make_warehouse(merchant)
    for store in stores:
        for outlet in store["outlets"]:
            make_cart(warehouse, {**store, "outlet": outlet})
    quiet_schedules()


def wait_for_calm() -> None:
    from carts.models import Order
    from syncjobs.models import Run, WebhookEvent

    def is_calm() -> bool:
        return not (
            WebhookEvent.objects.filter(state="received").exists()
            or Run.objects.filter(state__in=["queued", "running"], feed="order_download").exists()
            or Order.objects.filter(status=Order.Status.NEW).exists()
        )

    wait_until(is_calm, "calm", 0.5)


def count() -> dict[str, Any]:
    """What came of it. ``at_warehouse``: the sale of every order in the warehouse's book."""
    from carts.models import Order, PickOrder
    from syncjobs.models import WebhookEvent

    orders = list(Order.objects.values_list("reference", "external_id", "placed_at", "at_warehouse_at"))
    sale_of = {reference: sale for reference, sale, _, _ in orders}
    return {
        "at_warehouse": [sale_of.get(one, one) for one in PickOrder.objects.values_list("reference", flat=True)],
        "waits": [(there - placed).total_seconds() for _, _, placed, there in orders if there is not None],
        "events": WebhookEvent.objects.count(),
    }


def main() -> None:
    from benchmarks.hub import open_hub

    open_hub()
    answer: dict[str, Any] = {}
    if sys.argv[1] == "open":
        open_carts(json.loads(sys.argv[2]))
    elif sys.argv[1] == "wait-for-workers":
        from syncjobs.models import DrainSlot

        wait_until(lambda: DrainSlot.objects.exclude(beat_at=None).count() >= 2 * WORKERS, "the workers to start")
    elif sys.argv[1] == "calm":
        wait_for_calm()
    else:
        answer = count()
    print(json.dumps(answer))


if __name__ == "__main__":
    if sys.argv[1] == "stores":
        serve_stores()
    else:
        main()
