#!/usr/bin/env python3
"""A WMS at work with the hub's REST API: a whole round, with nothing but Python's standard library.

    HUB=https://hub.example.com/api/v1 TOKEN=... WAREHOUSE=3 python wms_client.py

Every step may be repeated after a lost answer: nothing is booked twice.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import os
import time
import urllib.error
import urllib.request
from datetime import UTC, datetime
from typing import Any

HOLDER = "station-1"  # a name of its own for every picker or process
PICKED_AT_ONCE = 20
WEBHOOK_MAY_BE_OLD_SECONDS = 300


class Refused(Exception):
    """The hub refuses the call. ``status`` 409: the thing is not in a state in which this can be done."""

    def __init__(self, status: int, answer: Any) -> None:
        super().__init__(f"{status}: {answer}")
        self.status = status


class Hub:
    def __init__(self, url: str, token: str, warehouse: int) -> None:
        self.url, self.token, self.warehouse = url.rstrip("/"), token, warehouse

    def call(self, method: str, path: str, body: Any = None) -> Any:
        data = None if body is None else json.dumps(body).encode()
        headers = {"Authorization": f"Bearer {self.token}", "Content-Type": "application/json"}
        request = urllib.request.Request(f"{self.url}/{path}", data, headers, method=method)
        try:
            with urllib.request.urlopen(request, timeout=30) as answer:
                return json.load(answer)
        except urllib.error.HTTPError as error:
            raise Refused(error.code, json.load(error)) from error

    # Orders

    def lease(self) -> list[dict[str, Any]]:
        """Orders ready to ship. Until the lease ends no other picker gets them."""
        wanted = {"warehouse": self.warehouse, "holder": HOLDER, "limit": PICKED_AT_ONCE, "seconds": 600}
        return self.call("POST", "pick-orders/lease/", wanted)

    def acknowledge(self, orders: list[dict[str, Any]]) -> None:
        """They are stored here, and reserved in our own stock: from now on they are ours."""
        stored = [{"id": order["id"], "wms_id": f"W-{order['id']}"} for order in orders]
        self.call("POST", "pick-orders/acknowledge/", {"warehouse": self.warehouse, "holder": HOLDER, "orders": stored})

    def ship(self, order: dict[str, Any], cartons: list[dict[str, Any]]) -> dict[str, Any]:
        return self.call("POST", f"pick-orders/{order['id']}/ship/", {"holder": HOLDER, "cartons": cartons})

    def refuse(self, order: dict[str, Any], reason: str) -> None:
        """First it is said, then the goods are freed in our own stock."""
        self.call("POST", f"pick-orders/{order['id']}/refuse/", {"holder": HOLDER, "reason": reason})

    def cancellations(self) -> list[dict[str, Any]]:
        return self.call("GET", f"pick-orders/?warehouse={self.warehouse}&cancellation=true")["results"]

    def answer_cancellation(self, order: dict[str, Any], accepted: bool, reason: str = "") -> None:
        answer = {"accepted": accepted, "reason": reason}
        self.call("POST", f"pick-orders/{order['id']}/cancellation/", answer)

    # Stock

    def count(self, on_hand: dict[str, str], counted_at: datetime) -> dict[str, Any]:
        """What lies on the shelves, as it was counted. The hub deducts what orders need."""
        rows = [{"sku": sku, "on_hand": quantity} for sku, quantity in on_hand.items()]
        counted = {"warehouse": self.warehouse, "counted_at": counted_at.isoformat(), "rows": rows}
        return self.call("POST", "inventory/counts/", counted)

    def change(self, key: str, changes: dict[str, str]) -> dict[str, Any]:
        """What came or went. The key makes the call count once."""
        rows = [{"sku": sku, "quantity": quantity} for sku, quantity in changes.items()]
        changed = {"warehouse": self.warehouse, "idempotency_key": key, "rows": rows}
        return self.call("POST", "inventory/changes/", changed)


def is_genuine(headers: dict[str, str], body: bytes, secret: str) -> bool:
    """Did the hub send this webhook, and just now?"""
    parts = [part.split("=", 1) for part in headers["Hub-Signature"].split(",")]
    sent_at = dict(parts)["t"]
    right = hmac.new(secret.encode(), sent_at.encode() + b"." + body, hashlib.sha256).hexdigest()
    signed = any(hmac.compare_digest(right, value) for name, value in parts if name == "v1")
    return signed and abs(time.time() - int(sent_at)) < WEBHOOK_MAY_BE_OLD_SECONDS


def cartons_of(order: dict[str, Any]) -> list[dict[str, Any]]:
    """One carton for each line; the last one holds what is left."""
    parts = [{"line": line["reference"], "quantity": line["open"]} for line in order["lines"]]
    cartons = [{"lines": [part]} for part in parts[:-1]] + [{}]
    for number, carton in enumerate(cartons, 1):
        carton |= {"idempotency_key": f"W-{order['id']}/{number}", "carrier": "NZ Post"}
        carton |= {"tracking_number": f"NZ{order['id']}-{number}"}
    return cartons


def work(hub: Hub, shelves: dict[str, str]) -> None:
    """One round. ``shelves``: what this WMS has, SKU -> quantity."""
    counted_at = datetime.now(UTC)
    told = hub.count(shelves, counted_at)
    print(f"counted {len(shelves)} SKUs, {len(told['outdated'])} of them outdated")
    orders = hub.lease()
    if orders:
        hub.acknowledge(orders)
    for order in orders:
        missing = [line["sku"] for line in order["lines"] if line["sku"] not in shelves]
        if missing:
            hub.refuse(order, f"{', '.join(missing)} is not known here")
            print(f"refused {order['number']}")
    for order in hub.cancellations():
        hub.answer_cancellation(order, accepted=True)
        print(f"cancelled {order['number']}")
    mine = hub.call("GET", f"pick-orders/?warehouse={hub.warehouse}&acknowledged=true&status=open")
    for order in mine["results"]:
        shipped = hub.ship(order, cartons_of(order))
        print(f"shipped {order['number']} in {len(shipped['cartons'])} cartons: {shipped['status']}")


if __name__ == "__main__":
    work(
        Hub(os.environ["HUB"], os.environ["TOKEN"], int(os.environ["WAREHOUSE"])),
        json.loads(os.environ.get("SHELVES", '{"SHIRT-M": "10", "HAT": "4"}')),
    )
