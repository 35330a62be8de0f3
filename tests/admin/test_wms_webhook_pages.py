"""Webhooks to the WMS on screen: the list, one with its attempts, sending again, and the signing secret."""

from __future__ import annotations

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from carts.models import Warehouse, WmsEndpoint
from carts.rest_book import RestBook
from carts.wms_secrets import endpoint_of, valid_secrets
from syncjobs.models import WmsWebhook
from tests.admin.worlds import Shop
from tests.factories import make_outbound, make_rest_warehouse

ADDRESS = "https://wms.example.com/hooks"


@pytest.fixture
def warehouse(shop: Shop) -> Warehouse:
    warehouse = make_rest_warehouse(shop.merchant, options={"webhook_url": ADDRESS})
    RestBook(warehouse.pk).receive([make_outbound("A")])
    return warehouse


def page_of(warehouse: Warehouse, client: Client) -> str:
    return client.get(reverse("admin:carts_warehouse_change", args=[warehouse.pk])).content.decode()


def test_the_list_and_one_with_its_attempts(warehouse: Warehouse, member: Client) -> None:
    webhook = WmsWebhook.objects.get(warehouse=warehouse)
    webhook.attempt_log.create(
        number=1, started_at=timezone.now(), status=500, outcome="unavailable", message="Down", response="<b>No</b>"
    )
    listed = member.get(reverse("admin:syncjobs_wmswebhook_changelist")).content.decode()
    assert ("order.ready" in listed, "#A" in listed) == (True, True)
    shown = member.get(reverse("admin:syncjobs_wmswebhook_change", args=[webhook.pk])).content.decode()
    assert all(words in shown for words in (ADDRESS, str(webhook.event_id), "Down", "&lt;b&gt;No&lt;/b&gt;"))


def test_one_is_sent_again(warehouse: Warehouse, member: Client) -> None:
    webhook = WmsWebhook.objects.get(warehouse=warehouse)
    WmsWebhook.objects.update(state="failed", attempts=9)
    answer = member.post(reverse("admin:syncjobs_wmswebhook_replay", args=[webhook.pk]), follow=True)
    webhook.refresh_from_db()
    assert (webhook.state, webhook.attempts, "goes out again" in answer.content.decode()) == ("pending", 0, True)


def test_a_new_secret_is_made_by_post_and_shown_once(warehouse: Warehouse, member: Client) -> None:
    url = reverse("admin:carts_warehouse_webhook_secret", args=[warehouse.pk])
    assert "Make a new secret" in member.get(url).content.decode()
    assert not WmsEndpoint.objects.exists()
    shown = member.post(url).content.decode()
    [secret, _] = valid_secrets(endpoint_of(warehouse.pk), timezone.now())
    assert secret in shown
    assert secret not in member.get(url).content.decode() + page_of(warehouse, member)


def test_the_warehouse_s_page_says_how_its_wms_does(warehouse: Warehouse, shop: Shop, member: Client) -> None:
    assert ADDRESS in page_of(warehouse, member)
    endpoint_of(warehouse.pk)
    WmsEndpoint.objects.update(failing_since=timezone.now(), last_error="It is down.")
    assert "It is down." in page_of(warehouse, member)
    quiet = make_rest_warehouse(shop.merchant)
    assert "The WMS asks by itself" in page_of(quiet, member)
    assert "Webhooks to the WMS</h3>" not in page_of(shop.warehouse, member)
