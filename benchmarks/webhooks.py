"""Webhooks accepted and stored per second: the hub's own view against a bare one, in the same gunicorn."""

from __future__ import annotations

import base64
import hashlib
import hmac
import http.client
import json
import socket
import sys
import time
from typing import Any

from benchmarks.databases import Databases
from benchmarks.load import Load
from benchmarks.processes import hub_environment, measure, running
from benchmarks.report import Row, per_second

SHARE = 0.6
SECRET = "bench-client-secret"
PAYLOAD_BYTES = 2_800
STARTS_WITHIN_SECONDS = 30


def run(databases: Databases, quick: bool) -> list[Row]:
    seconds, rounds = (2.0, 2) if quick else (4.0, 3)
    rows = []
    for kind in databases.kinds:
        with databases.fresh(kind) as url:
            best = rates(url, seconds, rounds)
        rows.append(
            Row(
                f"Webhook accepted and stored, {kind}",
                per_second(best["ours"]),
                per_second(best["floor"], "bare view"),
                best["ours"] / best["floor"],
                SHARE,
            )
        )
    return rows


def rates(url: str, seconds: float, rounds: int) -> dict[str, float]:
    """The best of a few rounds, taken in turns, so that a noisy moment hits both."""
    cart = measure("benchmarks.webhooks", env=hub_environment(url))
    env = hub_environment(url, BENCH_HOOK_SECRET=SECRET, BENCH_HOOK_CONNECTION=str(cart["connection"]))
    body = json.dumps({"id": "x" * 36, "payload": "y" * PAYLOAD_BYTES}).encode()
    headers = {
        "Content-Type": "application/json",
        "Host": "localhost",
        "X-Signature": f"signature={signature(body)},algorithm=HMAC-SHA256",
    }
    port = free_port()
    command = [
        sys.executable, "-m", "gunicorn", "--workers", "2", "--bind", f"127.0.0.1:{port}", "--log-level", "error",
        "benchmarks.bare_hook:application",
    ]  # fmt: skip
    with running(command, env=env):
        wait_for_port(port)
        loads = {
            "ours": Load(port, f"{cart['path']}?topic=sale.update", headers, body),
            "floor": Load(port, "/bare/", headers, body),
        }
        for load in loads.values():
            load.rate(0.5)
        best = dict.fromkeys(loads, 0.0)
        for _ in range(rounds):
            for name, load in loads.items():
                best[name] = max(best[name], load.rate(seconds))
        return best


def signature(body: bytes) -> str:
    return base64.b64encode(hmac.new(SECRET.encode(), body, hashlib.sha256).digest()).decode()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def wait_for_port(port: int) -> None:
    end = time.monotonic() + STARTS_WITHIN_SECONDS
    while True:
        client = http.client.HTTPConnection("127.0.0.1", port, timeout=STARTS_WITHIN_SECONDS)
        try:
            client.request("GET", "/", headers={"Host": "localhost"})
            client.getresponse().read()
            return
        except (http.client.HTTPException, OSError):
            if time.monotonic() > end:
                raise
            time.sleep(0.1)
        finally:
            client.close()


# --- the process that sets the cart up -------------------------------------------------------------------------------


def main() -> None:
    from benchmarks.hub import make_merchant, make_warehouse, open_hub

    open_hub()
    from carts.models import Cart
    from carts.remote import webhook_url

    warehouse: Any = make_warehouse(make_merchant())
    cart = Cart.objects.create(
        merchant=warehouse.merchant,
        name="Cart",
        connector="vend",
        options={"vend_url": "https://bench.retail.lightspeed.app"},
        credentials={"access_token": "bench-token", "client_secret": SECRET},
        warehouse=warehouse,
        is_active=True,
    )
    path = "/" + webhook_url(cart).split("/", 3)[3]
    print(json.dumps({"connection": cart.pk, "path": path}))


if __name__ == "__main__":
    main()
