"""The screens and the REST lists of a hub with a million orders: how long people wait for them.

Every page is asked for through the whole of Django. What counts is its slowest query, next to a bare ``SELECT 1``: the
rest of a page costs the same whether there are ten orders or ten million.
"""

from __future__ import annotations

import json
import statistics
import sys
import time
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import urlencode

from benchmarks.databases import Databases
from benchmarks.processes import hub_environment, measure
from benchmarks.report import Row

ORDERS, QUICK_ORDERS = 1_000_000, 50_000
INTERACTIVE_SECONDS = 0.3
ROUNDS = 3
LONGEST_SECONDS = 1800


@dataclass(frozen=True, slots=True)
class Page:
    """``group`` is the row it is printed in; ``who`` opens it."""

    group: str
    who: str
    path: str


@dataclass(frozen=True, slots=True)
class Seen:
    """Seconds of the page, of its slowest query, and how many queries it made."""

    page: Page
    seconds: float
    slowest: float
    queries: int
    statement: str


def run(databases: Databases, quick: bool) -> list[Row]:
    number = QUICK_ORDERS if quick else ORDERS
    rows = []
    for kind in databases.kinds:
        with databases.fresh(kind) as url:
            env = hub_environment(url, ALLOWED_HOSTS="testserver")
            facts = measure("benchmarks.history", number, env=env, seconds=LONGEST_SECONDS)
            answer = measure("benchmarks.orderlist", json.dumps(facts), env=env, seconds=LONGEST_SECONDS)
        rows += rows_of(kind, number, answer)
    return rows


def rows_of(kind: str, number: int, answer: dict[str, Any]) -> list[Row]:
    """A row per group: its page with the slowest query."""
    rows = []
    for group in dict.fromkeys(seen["page"]["group"] for seen in answer["pages"]):
        worst = max(
            (seen for seen in answer["pages"] if seen["page"]["group"] == group), key=lambda seen: seen["slowest"]
        )
        rows.append(
            Row(
                f"{group}, {number:,} orders, {kind}: slowest query",
                f"{worst['slowest'] * 1000:.0f} ms",
                f"SELECT 1: {answer['floor'] * 1000:.2f} ms",
                worst["slowest"],
                INTERACTIVE_SECONDS,
                at_most=True,
            )
        )
        rows.append(
            Row(f"  {worst['page']['who']}: {worst['page']['path']}", f"{worst['seconds'] * 1000:.0f} ms in all")
        )
    return rows


# --- the measured process --------------------------------------------------------------------------------------------


def main() -> None:
    from benchmarks.hub import open_hub

    facts = json.loads(sys.argv[1])
    only = sys.argv[2] if len(sys.argv) > 2 else ""
    open_hub()
    doors = open_doors()
    seen = []
    for page in pages(facts):
        if only in page.path:
            seen.append(look(page, doors[page.who]))
            print(line_of(seen[-1]), file=sys.stderr, flush=True)
    print(json.dumps({"floor": floor(), "pages": [asdict(one) for one in seen]}))


def line_of(seen: Seen) -> str:
    times = f"{seen.slowest * 1000:7.1f} ms  {seen.seconds * 1000:7.1f} ms  {seen.queries:3d} queries"
    return f"{times}  {seen.page.who:9}  {seen.page.path[:110]}"


def pages(facts: dict[str, Any]) -> list[Page]:
    from django.utils import timezone

    from carts.models import Cart, Warehouse

    now = timezone.now()
    cart, warehouse = Cart.objects.order_by("pk")[0].pk, Warehouse.objects.order_by("pk")[0].pk
    rare = facts["customer_name"].split()[1]
    searches = (
        facts["number"], facts["number"].split("-")[1], facts["external_id"], facts["customer_name"], rare, "ana",
        facts["customer_email"], "gmail", facts["sku"], facts["sku"][:6], "nothing-like-that",
    )  # fmt: skip
    orders, found = "/admin/carts/order/", []
    filters: list[dict[str, Any]] = [
        {},
        {"status": "at_warehouse"}, {"status": "shipped"}, {"status": "error"}, {"status": "attention"},
        {"status": "unshipped"}, {"arrived": "today"}, {"cart": cart}, {"warehouse": warehouse},
        {"cart": cart, "status": "shipped"}, {"warehouse": warehouse, "status": "error"},
        {"placed_at_from": day(now, 400), "placed_at_to": day(now, 380)},
        {"cart": cart, "placed_at_from": day(now, 400), "placed_at_to": day(now, 380), "status": "cancelled"},
        {"o": "7"}, {"o": "-7"},
    ]  # fmt: skip
    for who in ("superuser", "merchant"):
        found += [Page("Orders list and filters", who, with_query(orders, one)) for one in filters]
        found += [Page("Orders list, search", who, with_query(orders, {"q": text})) for text in searches]
        found += [
            Page("Orders list, deep page", who, with_query(orders, one))
            for one in ({"p": 200}, {"p": 15_000}, {"p": 5_000, "status": "shipped"}, {"p": 1_500, "cart": cart})
        ]
        found += [
            Page("Dashboard", who, "/admin/"),
            Page("Dashboard", who, "/admin/?span=30d"),
        ]
        for name in (
            "syncjobs/run",
            "syncjobs/delivery",
            "syncjobs/apicall",
            "syncjobs/webhookevent",
            "syncjobs/failedrecord",
        ):
            query: list[dict[str, Any]] = [
                {}, {"connection": cart}, {"connection": warehouse}, {"p": 10_000}, {"q": "shop 1.1"}, {"q": facts["number"]},
            ]  # fmt: skip
            if name not in ("syncjobs/apicall", "syncjobs/failedrecord"):
                query += [{"state": "failed"}, {"state": "done"}]
            query += {
                "syncjobs/apicall": [{"answer": "broken"}, {"answer": "none"}, {"answer": "fine"}],
                "syncjobs/failedrecord": [{"status": "open"}, {"status": "ignored"}],
                "syncjobs/run": [{"function": "inventory_sync"}, {"function": "inventory_sync", "state": "failed"}],
            }.get(name, [])
            found += [Page("History lists", who, with_query(f"/admin/{name}/", one)) for one in query]
    found += rest_pages(facts, now, cart, warehouse)
    found.append(Page("Metrics", "superuser", "/metrics"))
    return found


def rest_pages(facts: dict[str, Any], now: datetime, cart: int, warehouse: int) -> list[Page]:
    orders = "/api/v1/orders/"
    queries: list[dict[str, Any]] = [
        {}, {"page_size": 1000}, {"cart": cart}, {"warehouse": warehouse}, {"status": "shipped"}, {"status": "error"},
        {"number": facts["number"]}, {"external_id": facts["external_id"]}, {"reference": facts["number"]},
        {"updated_since": (now - timedelta(hours=1)).isoformat()}, {"updated_since": (now - timedelta(days=90)).isoformat()},
        {"placed_after": (now - timedelta(days=400)).isoformat(), "placed_before": (now - timedelta(days=380)).isoformat()},
        {"search": facts["number"]}, {"search": facts["customer_email"]}, {"search": "ana"}, {"search": "nothing-like-that"},
        {"pending_change": "held"}, {"ordering": "updated_at"}, {"ordering": "-stored_at"}, {"ordering": "placed_at"},
        {"page": 5_000}, {"page": 400, "page_size": 1000}, {"page": 4_000, "status": "shipped"},
        {"page": 100, "ordering": "updated_at", "updated_since": (now - timedelta(days=90)).isoformat(), "page_size": 500},
    ]  # fmt: skip
    found = [Page("REST orders", who, with_query(orders, one)) for who in ("superuser", "token") for one in queries]
    for name in ("runs", "deliveries", "api-calls", "webhook-events", "failed-records"):
        found += [
            Page("REST history", who, with_query(f"/api/v1/{name}/", one))
            for who in ("superuser", "token")
            for one in ({}, {"page": 5_000}, {"connection": cart})
        ]
    return found


def day(now: datetime, back: int) -> str:
    return (now - timedelta(days=back)).date().isoformat()


def with_query(path: str, query: dict[str, Any]) -> str:
    return f"{path}?{urlencode(query)}" if query else path


def open_doors() -> dict[str, Any]:
    """Who looks: a superuser, a person of the largest merchant, and a REST client of it."""
    from django.contrib.auth.models import User
    from django.test import Client
    from django.test.utils import setup_test_environment

    from carts.models import ApiToken, Membership, Merchant

    setup_test_environment()
    merchant = Merchant.objects.order_by("pk")[0]
    boss = User.objects.filter(username="boss").first() or User.objects.create_superuser("boss")
    member, _ = User.objects.get_or_create(username="member", defaults={"is_staff": True})
    Membership.objects.get_or_create(user=member, merchant=merchant)
    _, secret = ApiToken.issue(merchant, name="bench")
    superuser, person = Client(), Client()
    superuser.force_login(boss)
    person.force_login(member)
    return {
        "superuser": superuser,
        "merchant": person,
        "token": Client(headers={"Authorization": f"Bearer {secret}"}),
    }


def look(page: Page, door: Any) -> Seen:
    """The middle of a few looks; then each of its statements by itself, because SQLite finds most rows only when they are
    fetched. What the hub sets for a statement is set for it here, too."""
    from django.db import connection as database
    from django.db import transaction
    from django.test.utils import CaptureQueriesContext

    times = []
    for _ in range(ROUNDS):
        started = time.perf_counter()
        with CaptureQueriesContext(database) as queries:
            answer = door.get(page.path, secure=True)
        times.append(time.perf_counter() - started)
        if answer.status_code not in (200, 404):
            raise RuntimeError(f"{page.path} answered {answer.status_code} to {page.who}.")
    slowest, statement = 0.0, ""
    with transaction.atomic():
        for sql in (query["sql"].lstrip("( ") for query in queries.captured_queries):
            if sql.startswith("SET LOCAL"):
                with database.cursor() as cursor:
                    cursor.execute(sql)
            elif sql.startswith("SELECT"):
                slowest, statement = max((slowest, statement), (seconds_of(sql), sql))
    return Seen(page, statistics.median(times), slowest, len(queries), statement[:3000])


def seconds_of(statement: str) -> float:
    from django.db import connection as database

    times = []
    with database.cursor() as cursor:
        for _ in range(ROUNDS):
            started = time.perf_counter()
            cursor.execute(statement)
            cursor.fetchall()
            times.append(time.perf_counter() - started)
    return statistics.median(times)


def floor() -> float:
    return min(seconds_of("SELECT 1") for _ in range(50))


if __name__ == "__main__":
    main()
