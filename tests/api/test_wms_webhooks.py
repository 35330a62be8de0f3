"""Webhooks to the WMS over REST: listed, replayed, and their secret replaced."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone
from rest_framework.test import APIClient

from carts.models import Warehouse
from carts.rest_book import RestBook
from carts.wms_secrets import endpoint_of, valid_secrets
from syncjobs.models import WmsWebhook
from tests.api.worlds import World
from tests.factories import make_outbound, make_rest_warehouse

URL = "/api/v1/wms-webhooks/"


@pytest.fixture
def warehouse(world: World) -> Warehouse:
    warehouse: Warehouse = make_rest_warehouse(world.merchant, options={"webhook_url": "https://wms.example.com/hooks"})
    RestBook(warehouse.pk).receive([make_outbound("A"), make_outbound("B")])
    return warehouse


def test_they_are_found_by_what_they_are_about(client: APIClient, warehouse: Warehouse) -> None:
    def count(**query: Any) -> int:
        return client.get(URL, {"warehouse": warehouse.pk, **query}).json()["count"]

    assert count() == count(topic="order.ready") == count(state="pending") == 2
    assert (count(subject="A"), count(topic="order.changed"), count(state="done")) == (1, 0, 0)


def test_one_is_shown_with_its_attempts_and_replayed(client: APIClient, warehouse: Warehouse) -> None:
    webhook = WmsWebhook.objects.get(subject="A")
    webhook.attempt_log.create(number=1, started_at=timezone.now(), status=500, outcome="unavailable", message="Down")
    WmsWebhook.objects.filter(pk=webhook.pk).update(state="failed", attempts=9)
    shown = client.get(f"{URL}{webhook.pk}/").json()
    assert (shown["state"], shown["attempt_log"][0]["status"], "order.ready" in shown["body"]) == ("failed", 500, True)
    again = client.post(f"{URL}{webhook.pk}/replay/").json()
    assert (again["state"], again["attempts"], again["event_id"]) == ("pending", 0, shown["event_id"])


def test_all_since_a_time_are_replayed(client: APIClient, warehouse: Warehouse, foreign_world: World) -> None:
    WmsWebhook.objects.update(state="done")
    WmsWebhook.objects.filter(subject="A").update(created_at=timezone.now() - timedelta(days=2))
    since = (timezone.now() - timedelta(days=1)).isoformat()
    body = {"warehouse": warehouse.pk, "since": since}
    assert client.post(f"{URL}replay/", {**body, "topic": "order.changed"}).json() == {"replayed": 0}
    assert client.post(f"{URL}replay/", {**body, "state": ["failed"]}).json() == {"replayed": 0}
    assert client.post(f"{URL}replay/", body).json() == {"replayed": 1}
    assert WmsWebhook.objects.get(warehouse=warehouse, state="pending").subject == "B"
    elsewhere = client.post(f"{URL}replay/", {**body, "warehouse": foreign_world[Warehouse].pk})
    assert elsewhere.status_code == 400


def test_a_new_secret_is_shown_once(client: APIClient, warehouse: Warehouse, world: World) -> None:
    answer = client.post(f"/api/v1/warehouses/{warehouse.pk}/webhook-secret/", {"old_valid_hours": 1}).json()
    assert valid_secrets(endpoint_of(warehouse.pk), timezone.now())[0] == answer["secret"]
    assert answer["secret"] not in client.get(f"/api/v1/warehouses/{warehouse.pk}/").content.decode()
    other = client.post(f"/api/v1/warehouses/{world[Warehouse].pk}/webhook-secret/", {})
    assert (other.status_code, "no REST warehouse" in other.json()["detail"]) == (409, True)


def test_an_address_is_checked(client: APIClient, warehouse: Warehouse) -> None:
    answer = client.patch(f"/api/v1/warehouses/{warehouse.pk}/", {"options": {"webhook_url": "wms"}})
    assert (answer.status_code, "webhook_url" in answer.json()["options"]) == (400, True)
