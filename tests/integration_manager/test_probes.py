"""/healthz, /readyz and /metrics, as a load balancer and Prometheus call them."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone
from prometheus_client.parser import text_string_to_metric_families
from pytest_django import DjangoAssertNumQueries

from carts.alerting import raise_alert
from carts.models import Order
from syncjobs.models import Delivery, Run, WorkerProcess
from tests.engine.conftest import World
from tests.engine.conftest import world as world  # the fixture


def beat(seconds_ago: int = 0, **values: Any) -> WorkerProcess:
    now = timezone.now()
    return WorkerProcess.objects.create(
        name=f"w{WorkerProcess.objects.count()}",
        host="h",
        pid=1,
        beat_at=now - timedelta(seconds=seconds_ago),
        **values,
    )


def checks_of(answer: Any) -> dict[str, bool]:
    return {check["name"]: check["ok"] for check in answer.json()["checks"]}


def test_healthz_asks_the_database_nothing(client: Client) -> None:
    answer = client.get("/healthz", headers={"host": "10.0.0.7"})
    assert (answer.status_code, answer.json()) == (200, {"ok": True})


def test_probes_only_answer_to_reading(client: Client) -> None:
    assert client.post("/healthz").status_code == 405


def test_readyz_is_well_with_a_worker(db: None, client: Client) -> None:
    beat()
    answer = client.get("/readyz", headers={"host": "10.0.0.7"})
    assert answer.status_code == 200, answer.json()
    assert checks_of(answer) == {"database": True, "migrations": True, "broker": True, "workers": True}


@pytest.mark.parametrize(("seconds", "values"), [(61, {}), (0, {"stopping": True})])
def test_readyz_misses_a_worker_that_is_silent_or_stops(
    db: None, client: Client, seconds: int, values: dict[str, Any]
) -> None:
    beat(seconds, **values)
    answer = client.get("/readyz")
    assert answer.status_code == 503
    assert checks_of(answer)["workers"] is False
    assert "manage.py worker" in answer.json()["checks"][-1]["help"]


def test_readyz_sees_a_silent_broker(db: None, client: Client, settings: Any) -> None:
    beat()
    settings.REDIS_URL = "redis://127.0.0.1:1/0"
    answer = client.get("/readyz")
    assert answer.status_code == 503
    assert checks_of(answer)["broker"] is False
    assert "127.0.0.1" not in answer.content.decode(), "the insides are nobody's business"


def figures(client: Client, **headers: str) -> dict[tuple[str, ...], float]:
    answer = client.get("/metrics", headers=headers)
    assert answer.status_code == 200, answer.content
    return {
        (sample.name, *(value for _, value in sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(answer.content.decode())
        for sample in family.samples
    }


def test_metrics_count_what_waits_and_what_is_wrong(world: World, client: Client) -> None:
    beat()
    world.sell()
    world.sell()
    world.download()
    raise_alert(world.merchant, "outlet_address", "1", "Could not pull order data")
    now = timezone.now()
    Delivery.objects.update(run_at=now - timedelta(seconds=100))
    Run.objects.create(
        connection=world.cart,
        function="inventory_sync",
        feed="inventory_sync",
        lane="stock",
        trigger="person",
        run_at=now,
    )
    found = figures(client)
    assert found["hub_queue_depth", "delivery_order"] == 2
    assert found["hub_queue_oldest_seconds", "delivery_order"] == pytest.approx(100, abs=5)
    assert found["hub_queue_depth", "run_stock"] == 1
    assert found["hub_queue_depth", "webhook"] == 0
    assert found["hub_orders_open", Order.Status.NEW.value] == 2
    assert found["hub_deliveries", "order", "pending"] == 2
    assert found["hub_alerts_open", "outlet_address", "error"] == 1
    assert found["hub_api_calls_5m", "200"] > 0
    assert found["hub_runs_5m", "order_download", "done"] == 1
    assert found["hub_workers",] == 1


def test_metrics_need_as_many_queries_for_many_as_for_one(
    world: World, client: Client, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    for _ in range(3):
        world.sell()
    world.download()
    with django_assert_num_queries(18):
        figures(client)


@pytest.mark.parametrize("headers", [{}, {"Authorization": "Bearer wrong"}, {"Authorization": "secret-for-metrics"}])
def test_metrics_want_their_token(db: None, client: Client, settings: Any, headers: dict[str, str]) -> None:
    settings.METRICS_TOKEN = "secret-for-metrics"
    assert client.get("/metrics", headers=headers).status_code == 403
    assert figures(client, Authorization="Bearer secret-for-metrics")


def test_metrics_without_a_token_are_for_this_machine_only(db: None, client: Client) -> None:
    assert client.get("/metrics", REMOTE_ADDR="10.1.2.3").status_code == 403
    assert client.get("/metrics", headers={"X-Forwarded-For": "10.1.2.3"}).status_code == 403
