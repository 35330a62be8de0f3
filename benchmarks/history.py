"""A hub with years behind it: many orders, and the history that belongs to them, as rows and without any remote system.

``python -m benchmarks.history ORDERS`` fills the (migrated, empty) database of the environment and prints what was made.
"""

from __future__ import annotations

import json
import random
import sys
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

AT_ONCE = 5_000
YEARS = timedelta(days=730)
SKUS = 5_000
# Carts of the first, second and third merchant.
SHARES = (10, 7, 3)
RECENT = timedelta(days=2)
FIRST_NAMES = [
    "Ana",
    "Ben",
    "Chloe",
    "David",
    "Emma",
    "Finn",
    "Grace",
    "Henry",
    "Isla",
    "Jack",
    "Kiri",
    "Liam",
    "Maia",
    "Noah",
    "Olivia",
    "Paul",
    "Quinn",
    "Ruby",
    "Sofia",
    "Tane",
    "Uma",
    "Viktor",
    "Wiremu",
    "Xavier",
    "Yara",
    "Zoe",
    "Aroha",
    "Bruno",
    "Clara",
    "Dmitri",
    "Elena",
    "Felix",
    "Greta",
    "Hugo",
    "Ingrid",
    "Jonas",
    "Katja",
    "Lukas",
]
ENDINGS = ("son", "berg", "ley", "man", "ton", "field", "ova", "ez", "stein", "wood", "ford", "ini")
SYLLABLES = ("ba", "ka", "lo", "mi", "ne", "ra", "sta", "tor", "vel", "wil", "hart", "gran")
DOMAINS = ("gmail.com", "gmail.com", "gmail.com", "outlook.com", "icloud.com", "xtra.co.nz", "example.org")
CITY = {"street1": "1 Queen Street", "city": "Auckland", "postcode": "1010", "country": "NZ", "phone": "+64 9 123 4567"}


@dataclass(frozen=True, slots=True)
class Shop:
    """A cart and where its orders go."""

    merchant_id: int
    cart_id: int
    prefix: str
    warehouse_id: int
    location_id: int


def main() -> None:
    from benchmarks.hub import open_hub

    number = int(sys.argv[1])
    open_hub()
    from django.db import connection as database

    started = time.perf_counter()
    if database.vendor == "sqlite":
        with database.cursor() as cursor:
            cursor.execute("PRAGMA cache_size = -500000")
    shops = open_shops()
    facts = fill_orders(shops, number)
    fill_movement(shops, number)
    with database.cursor() as cursor:
        # What autovacuum and ``PRAGMA optimize`` do by themselves in a hub that lives.
        cursor.execute("ANALYZE" if database.vendor == "sqlite" else "VACUUM ANALYZE")
    print(json.dumps({**facts, "seconds": time.perf_counter() - started}))


def open_shops() -> list[Shop]:
    from benchmarks.hub import make_warehouse
    from carts.models import Cart, Merchant
    from carts.setup import finish_new_connection

    shops = []
    for position, carts in enumerate(SHARES):
        merchant = Merchant.create_named(f"Merchant {position + 1}")
        warehouse = make_warehouse(merchant)
        location = warehouse.locations.get()
        for number in range(carts):
            cart = Cart.objects.create(
                merchant=merchant,
                name=f"Shop {position + 1}.{number + 1}",
                connector="vend",
                options={"vend_url": "https://bench.retail.lightspeed.app"},
                credentials={"access_token": "bench-token"},
                warehouse=warehouse,
                is_active=True,
            )
            finish_new_connection(cart)
            prefix = f"S{position + 1}{number:02d}"
            shops.append(Shop(merchant.pk, cart.pk, prefix, warehouse.pk, location.pk))
    return shops


# Orders --------------------------------------------------------------------------------------------------------------


def fill_orders(shops: list[Shop], number: int) -> dict[str, Any]:
    """Orders with two lines each, oldest first. Returns one order in the middle, to search for."""
    from django.utils import timezone

    from carts.models import Order, OrderLine

    dice = random.Random(11)
    now = timezone.now()
    people = [f"{dice.choice(FIRST_NAMES)} {surname(dice)}" for _ in range(max(number // 4, 100))]
    middle: dict[str, Any] = {}

    def order(index: int) -> dict[str, Any]:
        row = order_row(dice, dice.choice(shops), index, now - YEARS * (1 - index / number), now, dice.choice(people))
        if index == number // 2 or (index > number // 2 and not middle.get("customer_name")):
            middle.update({name: row[name] for name in ("number", "external_id", "customer_name", "customer_email")})
        return row

    def line(index: int) -> dict[str, Any]:
        sku = f"SKU-{int(dice.random() ** 2 * SKUS):05d}"
        return {
            "order_id": index // 2 + 1,
            "position": index % 2,
            "external_id": str(index),
            "sku": sku,
            "sku_key": sku.casefold(),
            "name": f"Article {sku}",
            "quantity": Decimal(1),
            "shipped": Decimal(1),
            "unit_price": Decimal("9.50"),
            "total": Decimal("9.50"),
        }

    store(Order, number, order)
    store(OrderLine, number * 2, line)
    return {**middle, "sku": f"SKU-{SKUS // 2:05d}"}


def surname(dice: random.Random) -> str:
    return f"{dice.choice(SYLLABLES)}{dice.choice(SYLLABLES)}{dice.choice(ENDINGS)}".title()


def order_row(
    dice: random.Random, shop: Shop, index: int, placed_at: datetime, now: datetime, person: str
) -> dict[str, Any]:
    stored_at = placed_at + timedelta(seconds=20)
    status, at_warehouse_at, shipped_at, updated_at = fate(dice, stored_at, now)
    total = Decimal(dice.randrange(500, 30_000)) / 100
    known = dice.random() < 0.7
    email = f"{person.replace(' ', '.').lower()}{index % 97}@{dice.choice(DOMAINS)}" if known else ""
    return {
        "id": index + 1,
        "merchant_id": shop.merchant_id,
        "cart_id": shop.cart_id,
        "warehouse_id": shop.warehouse_id,
        "location_id": shop.location_id,
        "external_id": str(uuid.UUID(int=dice.getrandbits(128))),
        "number": f"{shop.prefix}-{100_000 + index}",
        "reference": f"{shop.prefix}-{100_000 + index}",
        "status": status,
        "problem": "The ship-to address has no postcode." if status in ("held", "error") else "",
        "remote_status": "CLOSED",
        "version": index,
        "placed_at": placed_at,
        "remote_updated_at": placed_at,
        "currency": "NZD",
        "subtotal": total,
        "total": total,
        "customer_name": person if known else "",
        "customer_email": email,
        "ship_to": {"name": person, **CITY} if known else {},
        "bill_to": {"name": person, **CITY} if known else {},
        "payments": [{"name": "Card", "amount": str(total), "currency": "NZD"}],
        "stored_at": stored_at,
        "updated_at": updated_at,
        "at_warehouse_at": at_warehouse_at,
        "shipped_at": shipped_at,
        "confirmed_at": shipped_at if status == "confirmed" else None,
    }


def fate(
    dice: random.Random, stored_at: datetime, now: datetime
) -> tuple[str, datetime | None, datetime | None, datetime]:
    """(status, at warehouse, shipped, updated): what is recent may still be open, little of the rest is."""
    throw = dice.random()
    sent_at = stored_at + timedelta(seconds=dice.randrange(2, 30))
    shipped_at = sent_at + timedelta(hours=dice.randrange(2, 40))
    if throw < 0.0005:
        return dice.choice(("held", "error")), None, None, stored_at
    if throw < 0.03:
        return "cancelled", None, None, stored_at
    if now - stored_at < RECENT and shipped_at > now:
        return ("new", None, None, stored_at) if throw < 0.1 else ("at_warehouse", sent_at, None, sent_at)
    return ("confirmed" if throw < 0.6 else "shipped"), sent_at, shipped_at, shipped_at


# What moved ----------------------------------------------------------------------------------------------------------


def fill_movement(shops: list[Shop], number: int) -> None:
    """As many deliveries, runs, calls, webhooks and failed records as orders."""
    from django.utils import timezone

    from connectors.functions import Function
    from syncjobs.models import ApiCall, Delivery, FailedRecord, Run, WebhookEvent

    dice = random.Random(12)
    now = timezone.now()
    functions = (Function.ORDER_DOWNLOAD, Function.INVENTORY_SYNC, Function.PRODUCT_PICKUP, Function.CUSTOMER_SYNC)

    def at(index: int) -> datetime:
        return now - timedelta(days=90) * (1 - index / number)

    def delivery(index: int) -> dict[str, Any]:
        shop = dice.choice(shops)
        failed = dice.random() < 0.0003
        return {
            "connection_id": shop.warehouse_id,
            "kind": "order",
            "order_id": index + 1,
            "reference": f"D-{100_000 + index}",
            "state": "failed" if failed else "done",
            "run_at": at(index),
            "attempts": 1,
            "remote_id": str(index),
            "created_at": at(index),
            "done_at": None if failed else at(index),
        }

    def run(index: int) -> dict[str, Any]:
        failed = dice.random() < 0.01
        return {
            "connection_id": dice.choice(shops).cart_id,
            "function": (function := functions[index % len(functions)]),
            "feed": function,
            "lane": "orders",
            "trigger": "schedule",
            "state": "failed" if failed else "done",
            "run_at": at(index),
            "attempts": 1,
            "queued_at": at(index),
            "started_at": at(index),
            "finished_at": at(index),
            "pages": 1,
            "counts": {"read": 1},
            "error": "The remote did not answer." if failed else "",
        }

    def call(index: int) -> dict[str, Any]:
        throw = dice.random()
        return {
            "connection_id": dice.choice(shops).cart_id,
            "run_id": index + 1,
            "method": "GET",
            "url": f"https://bench.retail.lightspeed.app/api/2026-04/sales?after={index}&page_size=500",
            "status": None if throw < 0.001 else 429 if throw < 0.004 else 502 if throw < 0.006 else 200,
            "duration_ms": dice.randrange(80, 900),
            "started_at": at(index),
        }

    def webhook(index: int) -> dict[str, Any]:
        return {
            "connection_id": dice.choice(shops).cart_id,
            "state": "ignored" if dice.random() < 0.1 else "done",
            "topic": "sale.update",
            "external_id": str(uuid.UUID(int=dice.getrandbits(128))),
            "body": b"{}",
            "received_at": at(index),
            "processed_at": at(index),
        }

    def failure(index: int) -> dict[str, Any]:
        return {
            "connection_id": dice.choice(shops).cart_id,
            "function": functions[index % len(functions)],
            "external_id": str(index),
            "cause": dice.choice(("refused", "no_sku", "unreadable")),
            "reason": f"Line {index} has no SKU.",
            "payload": "{}",
            "status": "open" if dice.random() < 0.02 else "reprocessed",
            "first_seen_at": at(index),
            "last_seen_at": at(index),
        }

    store(Delivery, number, delivery)
    store(Run, number, run)
    store(ApiCall, number, call)
    store(WebhookEvent, number, webhook)
    store(FailedRecord, number, failure)


# Rows ----------------------------------------------------------------------------------------------------------------


def store(model: Any, number: int, row: Callable[[int], dict[str, Any]]) -> None:
    from django.db import transaction

    from syncjobs.bulk_insert import insert_values

    for first in range(0, number, AT_ONCE):
        with transaction.atomic():
            insert_values(model, [row(index) for index in range(first, min(first + AT_ONCE, number))])
    reset_sequence(model)


def reset_sequence(model: Any) -> None:
    """PostgreSQL: rows that came with their ids leave the sequence behind."""
    from django.core.management.color import no_style
    from django.db import connection as database

    with database.cursor() as cursor:
        for statement in database.ops.sequence_reset_sql(no_style(), [model]):
            cursor.execute(statement)


if __name__ == "__main__":
    main()
