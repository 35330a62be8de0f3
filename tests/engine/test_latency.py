"""Latencies: every step of every order counted once, into rows that do not grow with the orders."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from carts import order_flow
from carts.models import Cart, Order, OrderEvent
from connectors.records import ShipmentRecord
from syncjobs.latency import SETTLED_AFTER, Step, count_latencies, latencies, prune_latencies
from syncjobs.models import LatencyCount
from tests.admin.worlds import make_user
from tests.engine.conftest import World
from tests.factories import make_builtin_warehouse, make_cart, make_order

SOON = SETTLED_AFTER + timedelta(seconds=1)


@pytest.fixture
def cart(db: None) -> Cart:
    return make_cart(make_builtin_warehouse())


def passed(cart: Cart, *, sold: int, stored: int, sent: int, shipped: int, now: datetime) -> Order:
    """An order with its history, all in seconds before ``now``."""

    def at(seconds: int) -> datetime:
        return now - timedelta(seconds=seconds)

    order = make_order(cart, placed_at=at(sold))
    Order.objects.filter(pk=order.pk).update(
        stored_at=at(stored), at_warehouse_at=at(sent), shipped_at=at(shipped), remote_updated_at=at(sold)
    )
    for kind, seconds in (("imported", stored), ("sent", sent), ("shipped", shipped)):
        event = OrderEvent.objects.create(order=order, kind=kind, message=kind)
        OrderEvent.objects.filter(pk=event.pk).update(at=at(seconds))
    return order


def half(cart: Cart, step: str, span: str = "24h") -> float | None:
    return latencies([cart.pk], span, timezone.now())[cart.pk, step].percentile(0.5)


def test_the_circle_is_counted_step_by_step(world: World) -> None:
    sale = world.sell()
    world.download()
    world.deliver()
    Cart.objects.update(created_at=timezone.now() + timedelta(hours=1))
    order = world.order(sale)
    order_flow.add_shipment(
        order.pk, ShipmentRecord(external_id="S1", order_reference=order.reference, shipped_at=timezone.now())
    )
    count_latencies(timezone.now() + SOON)
    found = latencies([world.cart.pk], "24h", timezone.now())
    assert {step: tally.total for (_, step), tally in found.items()} == {"sent": 1, "shipped": 1}, (
        "a sale that is older than the cart says nothing about how quick we are"
    )


def test_durations_are_those_of_the_steps(cart: Cart) -> None:
    now = timezone.now()
    Cart.objects.update(created_at=now - timedelta(days=1))
    passed(cart, sold=1000, stored=940, sent=937, shipped=337, now=now)
    assert count_latencies(now) == 3
    assert 45 <= (half(cart, Step.STORED) or 0) <= 60
    assert 2 <= (half(cart, Step.SENT) or 0) <= 3
    assert 420 <= (half(cart, Step.SHIPPED) or 0) <= 600
    assert latencies([cart.pk], "30d", now)[cart.pk, Step.SHIPPED].slowest == pytest.approx(600, abs=0.1)


def test_nothing_is_counted_twice(cart: Cart) -> None:
    now = timezone.now()
    order = passed(cart, sold=1000, stored=900, sent=890, shipped=400, now=now)
    assert [count_latencies(now), count_latencies(now)] == [3, 0]
    OrderEvent.objects.create(order=order, kind="sent", message="again, after a resend")
    assert count_latencies(now + SOON) == 1
    assert latencies([cart.pk], "24h", now)[cart.pk, Step.SENT].total == 1


def test_a_line_waits_until_no_earlier_one_can_come(cart: Cart) -> None:
    order = make_order(cart)
    OrderEvent.objects.create(order=order, kind="sent", message="just now")
    assert count_latencies(timezone.now()) == 0
    assert count_latencies(timezone.now() + SOON) == 1


def test_sales_from_before_the_cart_do_not_count(cart: Cart) -> None:
    now = timezone.now()
    passed(cart, sold=90 * 86400, stored=900, sent=890, shipped=400, now=now)
    count_latencies(now)
    assert (cart.pk, Step.STORED) not in latencies([cart.pk], "24h", now)
    assert latencies([cart.pk], "24h", now)[cart.pk, Step.SENT].total == 1


def test_rows_do_not_grow_with_orders(cart: Cart, django_assert_max_num_queries: Any) -> None:
    now = timezone.now().replace(minute=59)
    for _ in range(40):
        passed(cart, sold=90 * 86400, stored=900, sent=890, shipped=880, now=now)
    with django_assert_max_num_queries(14):
        assert count_latencies(now) == 120
    assert LatencyCount.objects.count() == 6, "two steps, three periods"
    assert set(LatencyCount.objects.values_list("total", flat=True)) == {40}


def test_old_rows_go_but_the_sum_stays(cart: Cart) -> None:
    now = timezone.now()
    passed(cart, sold=1000, stored=900, sent=890, shipped=400, now=now)
    count_latencies(now)
    prune_latencies(now + timedelta(days=4))
    assert set(LatencyCount.objects.values_list("period", flat=True)) == {"day", "ever"}
    prune_latencies(now + timedelta(days=60))
    assert set(LatencyCount.objects.values_list("period", flat=True)) == {"ever"}


def test_they_are_shown_per_cart_and_in_the_metrics(cart: Cart, client: Client) -> None:
    now = timezone.now()
    passed(cart, sold=1000, stored=900, sent=892, shipped=400, now=now)
    count_latencies(now)
    client.force_login(make_user("pat", cart.merchant))
    (row,) = client.get(reverse("admin:index")).context["latencies"]
    shown = {step["label"]: step["values"] for step in row["steps"]}
    assert shown["Hub to warehouse"] == {"half": "8 s", "most": "8 s", "slowest": "8 s"}
    assert shown["Shipped to confirmed"] is None
    text = client.get("/metrics").content.decode()
    assert f'hub_order_latency_seconds_bucket{{cart="{cart.pk}",le="10.0",name="{cart.name}",step="sent"}} 1.0' in text
    assert f'hub_order_latency_seconds_bucket{{cart="{cart.pk}",le="5.0",name="{cart.name}",step="sent"}} 0.0' in text
    assert 'quantile="0.95",step="sent",window="30d"} ' in text
