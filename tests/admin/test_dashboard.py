"""The dashboard: numbers, health, charts, workers, and the first steps of a fresh installation."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from carts.models import Connection, Order
from integration_manager.throughput import SPANS, charts
from syncjobs.latency import percentile
from syncjobs.models import WorkerProcess
from syncjobs.models.latency import CLASS_ENDS
from tests.admin.worlds import Shop, make_user
from tests.factories import make_builtin_warehouse, make_merchant

INDEX = "admin:index"


class TestFirstSteps:
    def test_three_steps_one_after_the_other(self, log_in: Callable[[Any], Client]) -> None:
        client = log_in(make_user("root", is_superuser=True))
        links = [reverse(f"admin:carts_{name}_add") for name in ("merchant", "warehouse", "cart")]
        for number in range(3):
            text = client.get(reverse(INDEX)).content.decode()
            assert [link in text for link in links] == [step == number for step in range(3)]
            if number == 0:
                merchant = make_merchant()
            elif number == 1:
                make_builtin_warehouse(merchant)


class TestNumbers:
    def test_tiles_count_the_own_orders(self, shop: Shop, other_shop: Shop, member: Client) -> None:
        shop.add_order(status="held")
        shop.add_order(status="error")
        shop.add_order(status="at_warehouse")
        old = shop.add_order(status="confirmed")
        Order.objects.filter(pk=old.pk).update(stored_at=timezone.now() - timedelta(days=3))
        tiles = member.get(reverse(INDEX)).context["tiles"]
        assert tiles == {"today": 4, "waiting": 1, "at_warehouse": 1, "attention": 2, "alerts": 1}

    def test_health_shows_the_error_with_a_link(self, shop: Shop, member: Client) -> None:
        Connection.objects.filter(pk=shop.cart.pk).update(last_error="Vend is down.", last_error_at=timezone.now())
        text = member.get(reverse(INDEX)).content.decode()
        assert "Failing" in text
        assert f"connection={shop.cart.pk}&amp;state=failed" in text

    @pytest.mark.parametrize(("age", "is_running"), [(10, True), (120, False)])
    def test_silent_workers_are_told(self, shop: Shop, member: Client, age: int, is_running: bool) -> None:
        WorkerProcess.objects.create(name="w", host="h", pid=1, beat_at=timezone.now() - timedelta(seconds=age))
        text = member.get(reverse(INDEX)).content.decode()
        assert ("Workers: not running." in text) is not is_running
        assert ("manage.py worker" in text) is not is_running

    def test_queues_are_counted_per_lane(self, shop: Shop, member: Client) -> None:
        shop.add_run("queued")
        shop.add_run("running", function="inventory_sync", feed="inventory_sync", lane="stock")
        lanes = {lane["label"]: (lane["due"], lane["running"]) for lane in member.get(reverse(INDEX)).context["lanes"]}
        assert lanes["Orders"] == (1, 0)
        assert lanes["Stock"] == (0, 1)
        assert lanes["Deliveries to warehouses"] == (1, 0)

    @pytest.mark.parametrize("span", ["24h", "30d", "nonsense"])
    def test_charts_are_readable_data(self, shop: Shop, member: Client, span: str) -> None:
        context = member.get(reverse(INDEX), {"span": span}).context
        chart = json.loads(context["stored_chart"])
        assert len(chart["labels"]) == len(chart["datasets"][0]["data"]) == (30 if span == "30d" else 24)
        assert sum(chart["datasets"][0]["data"]) == 1


class TestThroughput:
    @pytest.mark.parametrize("zone", ["UTC", "Pacific/Auckland", "Asia/Kolkata"])
    @pytest.mark.parametrize("key", ["24h", "30d"])
    def test_every_order_is_in_its_step(self, shop: Shop, zone: str, key: str) -> None:
        now = timezone.now()
        for hours, seconds in ((0, 8), (0, 10), (5, 200)):
            order = shop.add_order(status="at_warehouse")
            stored = now - timedelta(hours=hours, seconds=400)
            Order.objects.filter(pk=order.pk).update(
                stored_at=stored, at_warehouse_at=stored + timedelta(seconds=seconds)
            )
        with timezone.override(ZoneInfo(zone)):
            series = charts(Order.objects.exclude(pk=shop.order.pk), SPANS[key], now)
        assert sum(series["stored"]) == series["total"] == 3
        assert any(value is not None for value in series["p50"])
        assert series["typical"].endswith(" s")
        assert series["slow"] == "4 min"

    def test_a_percentile_lies_in_the_class_of_its_order(self) -> None:
        counts = [0] * (len(CLASS_ENDS) + 1)
        assert percentile(counts, 0.5) is None
        counts[CLASS_ENDS.index(10)] = 98
        counts[CLASS_ENDS.index(3600)] = 2
        assert 7 <= (percentile(counts, 0.5) or 0) <= 10
        assert 2700 <= (percentile(counts, 0.99) or 0) <= 3600
        counts[-1] = 1000
        assert percentile(counts, 0.5) == CLASS_ENDS[-1]

    def test_days_begin_at_midnight_where_the_user_is(self) -> None:
        now = datetime(2026, 7, 1, 20, 0, tzinfo=ZoneInfo("UTC"))
        with timezone.override(ZoneInfo("Pacific/Auckland")):
            last = SPANS["30d"].times(now)[-1]
        assert last.isoformat() == "2026-07-02T00:00:00+12:00"
