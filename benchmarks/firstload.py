"""A first load as an operator sees it: ``manage.py sync`` on a shop with a long history, paused once, killed once with
``kill -9``, continued, and counted afterwards.

Memory is the most that any of the loading processes ever held, at ten times the history against the small one.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks.databases import Databases
from benchmarks.orders import environment
from benchmarks.processes import ROOT, measure, serving
from benchmarks.report import Row, per_second

MEMORY_GROWTH = 1.2
LONGEST_LOAD_SECONDS = 1_500
LOOK_EVERY_SECONDS = 0.05
# At which share of the sales somebody pauses, and at which the process dies.
PAUSED_AT, KILLED_AT = 0.25, 0.6
FUNCTIONS = ("order_download", "product_pickup")


def run(databases: Databases, quick: bool) -> list[Row]:
    """(sales, products) of the small and of the large shop."""
    small, large = ((2_000, 500), (10_000, 2_500)) if quick else ((20_000, 5_000), (200_000, 50_000))
    answers = {size: load(databases, *size) for size in (small, large)}
    rows = []
    for kind in databases.kinds:
        little, much = answers[small][kind], answers[large][kind]
        sales, products = large
        rows += [
            Row(
                f"First load, {sales:,} sales and {products:,} products, {kind}",
                f"{much['seconds']:.0f} s, {per_second(sales / much['seconds'], 'sales')}",
                f"{per_second(small[0] / little['seconds'], 'sales')} at {small[0]:,}",
            ),
            Row(
                f"First load, peak memory at {sales:,} against {small[0]:,} sales, {kind}",
                f"{much['peak_mb']:.0f} MB",
                f"{little['peak_mb']:.0f} MB",
                much["peak_mb"] / little["peak_mb"],
                MEMORY_GROWTH,
                at_most=True,
            ),
            Row(
                f"First load, orders after a pause and a kill -9, {kind}",
                f"{much['orders']:,} orders, {much['products']:,} products",
                f"{sales:,} sales, {products:,} products",
            ),
        ]
    return rows


def load(databases: Databases, sales: int, products: int) -> dict[str, dict[str, Any]]:
    """One shop, loaded into each kind of database."""
    answers = {}
    with serving("benchmarks.page_server", "--sales", sales, "--products", products) as server:
        for kind in databases.kinds:
            with environment(databases, server, kind) as env:
                found = measure("benchmarks.firstload", sales, env=env, seconds=LONGEST_LOAD_SECONDS)
            expected = {"orders": sales, "different": sales, "deliveries": sales, "products": products}
            if any(found[name] != number for name, number in expected.items()):
                raise RuntimeError(f"{kind}: {found} is there instead of {expected}.")
            print(f"  {kind}, {sales:,} sales: {found['seconds']:.0f} s, {found['peak_mb']:.0f} MB", flush=True)
            answers[kind] = found
    return answers


# --- the measured process: it watches the loading ones -----------------------------------------------------------------


def main() -> None:
    from benchmarks.hub import make_cart, make_merchant, make_warehouse, open_hub, server_from_environment

    sales = int(sys.argv[1])
    open_hub()
    from carts.models import Order, Product
    from connectors.records import ProductKind
    from syncjobs.models import Delivery

    cart = make_cart(make_warehouse(make_merchant()), server_from_environment())
    load = Load(cart)
    load.begin()
    load.wait_for(int(PAUSED_AT * sales))
    load.pause()
    load.go_on()
    load.wait_for(int(KILLED_AT * sales))
    load.kill()
    load.begin()
    load.finish()
    mine = Order.objects.filter(cart=cart)
    answer = {
        "seconds": load.seconds,
        "peak_mb": load.peak_mb,
        "orders": mine.count(),
        "different": mine.values("external_id").distinct().count(),
        "deliveries": Delivery.objects.filter(kind=Delivery.Kind.ORDER, order__cart=cart).count(),
        # Vend's own product for discounts is none that the shop sells.
        "products": Product.objects.filter(connection_id=cart.pk, deleted=False, kind=ProductKind.GOODS).count(),
    }
    print(json.dumps(answer))


class Load:
    """The first load of a cart by ``manage.py sync``, one process after the other."""

    def __init__(self, cart: Any) -> None:
        self.cart = cart
        self.seconds = 0.0
        self.peak_mb = 0.0
        self.process: subprocess.Popen[bytes] | None = None
        self.began = 0.0

    def begin(self) -> None:
        command = [sys.executable, "manage.py", "sync", str(self.cart.pk), *FUNCTIONS]
        self.process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self.began = time.perf_counter()

    def records(self) -> int:
        from django.db.models import Sum

        from syncjobs.models import Run

        runs = Run.objects.filter(connection_id=self.cart.pk, function="order_download")
        return runs.aggregate(all=Sum("records"))["all"] or 0

    def wait_for(self, records: int) -> None:
        self.watch_until(lambda: self.records() >= records)

    def watch_until(self, reached: Callable[[], bool]) -> None:
        """Looks now and then, also at the loading process's memory. Raises ``RuntimeError`` when it ended before."""
        while not reached():
            self.note_memory()
            if self.process is not None and self.process.poll() is not None and not reached():
                raise RuntimeError(f"The load ended too early, with status {self.process.returncode}.")
            time.sleep(LOOK_EVERY_SECONDS)

    def note_memory(self) -> None:
        assert self.process is not None
        try:
            lines = Path(f"/proc/{self.process.pid}/status").read_text().splitlines()
        except OSError:
            return
        for line in lines:
            if line.startswith("VmHWM:"):
                self.peak_mb = max(self.peak_mb, int(line.split()[1]) / 1024)

    def ended(self) -> None:
        assert self.process is not None
        while self.process.poll() is None:
            self.note_memory()
            time.sleep(LOOK_EVERY_SECONDS)
        self.seconds += time.perf_counter() - self.began

    def pause(self) -> None:
        """As the Pause button does; the process stores its page and ends."""
        from syncjobs.models import Run
        from syncjobs.pausing import pause

        running = Run.objects.select_related("connection").get(
            connection_id=self.cart.pk, function="order_download", state=Run.State.RUNNING
        )
        pause(running, "bench")
        self.ended()
        running.refresh_from_db()
        if running.state != Run.State.PAUSED:
            raise RuntimeError(f"The load was to pause and is {running.state}: {running.error}")

    def go_on(self) -> None:
        from connectors.functions import Function
        from syncjobs.pausing import go_on

        go_on(self.cart, Function.ORDER_DOWNLOAD, "bench")
        self.begin()

    def kill(self) -> None:
        """As a power cut; its leases end at once, as a supervisor sees to, so that nobody waits for them here."""
        from syncjobs import runner

        assert self.process is not None
        os.kill(self.process.pid, signal.SIGKILL)
        self.ended()
        runner.end_leases(f"sync-{socket.gethostname()[:20]}-{self.process.pid}")
        if not runner.recover_abandoned():
            raise RuntimeError("The killed load left nothing to go on with.")

    def finish(self) -> None:
        self.ended()
        assert self.process is not None
        if self.process.returncode:
            raise RuntimeError(f"The load ended with status {self.process.returncode}.")


if __name__ == "__main__":
    main()
