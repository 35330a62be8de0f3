"""One run of chaos, and its report. Used by ``make chaos`` (long) and by tests/engine/test_chaos.py (short).

The world: a Vend store whose webhooks come twice, shuffled, or not at all, and a warehouse; both answer some calls with
5xx or 429 and lose some answers after they carried the call out. Workers are killed at random moments, database and
broker are restarted. Then calm: the faults end, and the clock of healing runs.
"""

from __future__ import annotations

import random
import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from connectors.vend.sandbox import VendSandbox
from tests.chaos.processes import HubProcesses
from tests.engine.http_warehouse import KEY, WarehouseServer

HEALS_WITHIN_SECONDS = 300.0
SERVER_ERRORS, LOST_ANSWERS, RATE_LIMITS, LOST_WEBHOOKS = 0.10, 0.05, 0.05, 0.10


class CountingWarehouse(WarehouseServer):
    """Finds ten thousand orders as quickly as one."""

    def __init__(self) -> None:
        super().__init__()
        self.times: Counter[str] = Counter()

    def take(self, request: Any) -> Any:
        answer = super().take(request)
        self.times[request.json()["reference"]] += 1
        return answer

    def find(self, request: Any) -> Any:
        from connectors.sandbox.wire import Response

        reference = request.path.rpartition("/")[2]
        if self.times[reference]:
            return Response.json({"id": f"wh-{reference}"})
        return Response.json({"error": "Not Found"}, 404)


@dataclass
class Report:
    """What came out. ``healed_after`` is the calm it took until everything was there, None if it never was."""

    sold: int = 0
    orders: int = 0
    at_warehouse: int = 0
    doubled: list[str] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)
    kills: int = 0
    faults: dict[str, int] = field(default_factory=dict)
    failed_attempts: int = 0
    settled_doubts: int = 0
    webhooks: int = 0
    stormy_seconds: float = 0.0
    healed_after: float | None = None
    restarts: list[str] = field(default_factory=list)

    @property
    def is_good(self) -> bool:
        everything = self.sold == self.orders == self.at_warehouse
        return everything and not self.doubled and not self.missing and self.healed_after is not None

    def lines(self) -> list[str]:
        healed = "never" if self.healed_after is None else f"{self.healed_after:.1f} s"
        return [
            f"sold {self.sold}, orders {self.orders}, at the warehouse {self.at_warehouse}",
            f"twice at the warehouse: {len(self.doubled)}; missing: {len(self.missing)}",
            f"storm: {self.stormy_seconds:.0f} s, {self.kills} kills, restarts: {', '.join(self.restarts) or 'none'}",
            f"faults given: {', '.join(f'{name} {number}' for name, number in sorted(self.faults.items()))}",
            f"attempts that failed and are in the log: {self.failed_attempts}; doubts settled by asking: {self.settled_doubts}",
            f"webhooks received: {self.webhooks}; healed after {healed} of calm",
            "GOOD" if self.is_good else "BAD",
        ]


class World:
    """The store, the warehouse, and the hub's set-up between them. Needs Django set up on the hub's own database."""

    def __init__(self, public_url: str, seed: int) -> None:
        self.shop = VendSandbox(outlets=2, sales=0, products=20, customers=5, seed=seed, rate_limit=1_000_000).start()
        self.warehouse = CountingWarehouse().start()
        self.public_url = public_url
        self.dice = random.Random(seed)
        self.references: set[str] = set()

    @property
    def extra_hosts(self) -> str:
        return f"{self.shop.host},{self.warehouse.host}"

    def set_up_hub(self) -> None:
        from carts.connection_test import run_test
        from carts.models import Cart, Location, Warehouse
        from carts.setup import check_settings, finish_new_connection
        from connectors.registry import connector_class
        from tests.factories import make_merchant

        merchant = make_merchant("Chaos")
        warehouse = Warehouse.objects.create(
            merchant=merchant, name="Remote", connector=KEY, is_active=True, options={"url": self.warehouse.url}
        )
        Location.objects.create(warehouse=warehouse, name="Here", external_id="here", is_default=True)
        finish_new_connection(warehouse)
        for outlet in self.shop.store.outlets:
            values = {"vend_url": self.shop.url, "outlet_name": outlet["name"]}
            options, credentials = check_settings(
                connector_class("vend"), values, {"access_token": self.shop.token}, {}
            )
            cart = Cart.objects.create(
                merchant=merchant,
                name=outlet["name"],
                connector="vend",
                options=options,
                credentials=credentials,
                warehouse=warehouse,
                is_active=True,
            )
            finish_new_connection(cart)
            report = run_test(cart)
            assert report.ok, report

    def storm(self) -> None:
        for server in (self.shop, self.warehouse):
            server.fail_at_random(SERVER_ERRORS, 503)
            server.fail_at_random(LOST_ANSWERS, fault="answer_lost")
            server.fail_at_random(RATE_LIMITS, 429)
        self.shop.webhook_mode = {"repeat": 2, "lose": LOST_WEBHOOKS, "shuffle": True}

    def calm(self) -> None:
        self.shop.clear_faults()
        self.warehouse.clear_faults()
        self.shop.webhook_mode = {}

    def sell(self, number: int, per_second: float, ended: threading.Event) -> None:
        """Sells at this rate, in both outlets. Runs in a thread of its own."""
        store = self.shop.store
        for count in range(number):
            if ended.wait(1.0 / per_second):
                return
            product = self.dice.choice(store.products)
            store.add_sale(outlet=self.dice.choice(store.outlets)["id"], lines=[(product, 1)])
            self.sold = count + 1

    sold = 0

    def stop(self) -> None:
        self.shop.stop()
        self.warehouse.stop()


def run(
    world: World,
    hub: HubProcesses,
    *,
    orders: int,
    kills: int,
    per_second: float,
    restarts: tuple[Any, ...] = (),
    seed: int = 1,
) -> Report:
    """The storm lasts as long as the selling; kills and restarts are spread over it."""
    from django.db import connection as our_own

    report = Report()
    dice = random.Random(seed)
    ended = threading.Event()
    length = orders / per_second
    deeds = sorted(
        [*((dice.uniform(0, length), hub.kill_one, "") for _ in range(kills))]
        + [
            (length * (place + 1) / (len(restarts) + 1), server.restart, type(server).__name__)
            for place, server in enumerate(restarts)
        ],
        key=lambda deed: deed[0],
    )
    wait_for_workers(hub)
    seller = threading.Thread(target=world.sell, args=(orders, per_second, ended), daemon=True)
    world.storm()
    began = time.monotonic()
    seller.start()
    try:
        for at, deed, name in deeds:
            while time.monotonic() - began < at:
                hub.tend()
                time.sleep(0.05)
            deed()
            if name:
                report.restarts.append(name)
                our_own.close()  # it died with the server
        while seller.is_alive():
            hub.tend()
            time.sleep(0.1)
    finally:
        ended.set()
    report.stormy_seconds = time.monotonic() - began
    world.calm()
    report.healed_after = wait_until_healed(world, hub, orders)
    count(report, world, hub)
    return report


def wait_for_workers(hub: HubProcesses, seconds: float = 120.0) -> None:
    """A storm over workers that still start would prove little."""
    from syncjobs.models import DrainSlot

    end = time.monotonic() + seconds
    while time.monotonic() < end:
        beating = DrainSlot.objects.filter(beat_at__isnull=False).values("worker").distinct().count()
        if beating >= len(hub.workers):
            return
        time.sleep(0.2)
    raise RuntimeError("The workers did not start.")


def wait_until_healed(world: World, hub: HubProcesses, orders: int) -> float | None:
    """How long it took until every order is at the warehouse and nothing is on its way any more."""
    began = time.monotonic()
    while time.monotonic() - began < HEALS_WITHIN_SECONDS:
        hub.tend()
        if len(world.warehouse.times) >= orders and nothing_is_on_its_way(orders):
            return time.monotonic() - began
        time.sleep(0.5)
    return None


def nothing_is_on_its_way(orders: int) -> bool:
    from syncjobs.models import Delivery

    done = Delivery.objects.filter(kind="order", state=Delivery.State.DONE).count()
    return done >= orders and not Delivery.objects.exclude(state=Delivery.State.DONE).exists()


def count(report: Report, world: World, hub: HubProcesses) -> None:
    from carts.models import Order
    from syncjobs.models import DeliveryAttempt, WebhookEvent

    references = set(Order.objects.values_list("reference", flat=True))
    report.sold = world.sold
    report.orders = len(references)
    report.at_warehouse = len(references & set(world.warehouse.times))
    report.doubled = [reference for reference, times in world.warehouse.times.items() if times > 1]
    report.missing = sorted(references - set(world.warehouse.times))
    report.kills = len(hub.kills)
    faults: Counter[str] = Counter()
    for server in (world.shop, world.warehouse):
        faults.update(call.fault for call in server.calls if call.fault)
    report.faults = dict(faults)
    report.failed_attempts = DeliveryAttempt.objects.exclude(outcome="done").count()
    report.settled_doubts = sum(1 for call in world.warehouse.calls if call.method == "GET" and call.status == 200)
    report.webhooks = WebhookEvent.objects.count()
