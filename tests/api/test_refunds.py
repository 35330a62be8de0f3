"""Refunds over REST: read, released, sent again, cancelled."""

from __future__ import annotations

from rest_framework.test import APIClient

from carts.models import Refund
from connectors.functions import Function
from syncjobs.models import Delivery
from tests.api.test_permissions import PREFIX
from tests.api.worlds import World


def test_a_refund_shows_its_lines_and_deliveries(client: APIClient, world: World) -> None:
    refund = world[Refund]
    shown = client.get(f"{PREFIX}refunds/{refund.pk}/").json()
    assert (shown["amount"], shown["order"], shown["restock"]) == ("11.50", refund.order_id, None)
    assert [(line["sku"], line["quantity"]) for line in shown["lines"]] == [("SKU-1", "1")]
    assert shown["deliveries"] == []
    assert [row["id"] for row in client.get(f"{PREFIX}refunds/?status=new&order={refund.order_id}").json()["results"]]
    assert client.get(f"{PREFIX}refunds/?status=held").json()["results"] == []


def test_a_held_one_is_released_and_goes_out(client: APIClient, world: World) -> None:
    refund = world[Refund]
    Refund.objects.filter(pk=refund.pk).update(status="held", problem="?")
    shown = client.post(f"{PREFIX}refunds/{refund.pk}/release/").json()
    assert (shown["status"], shown["problem"]) == ("new", "")
    assert [delivery["kind"] for delivery in shown["deliveries"]] == ["refund"]
    assert client.post(f"{PREFIX}refunds/{refund.pk}/resend/").status_code == 200
    assert Delivery.objects.filter(refund=refund).count() == 1
    assert client.post(f"{PREFIX}refunds/{refund.pk}/release/").status_code == 409


def test_what_the_settings_keep_here_says_so(client: APIClient, world: World) -> None:
    refund = world[Refund]
    refund.warehouse.function_settings.filter(function=Function.REFUND_SENDING).update(is_on=False)
    answer = client.post(f"{PREFIX}refunds/{refund.pk}/resend/")
    assert answer.status_code == 409 and "cannot be sent" in answer.json()["detail"]


def test_a_cancelled_one_stays_cancelled(client: APIClient, world: World) -> None:
    refund = world[Refund]
    for _ in range(2):
        shown = client.post(f"{PREFIX}refunds/{refund.pk}/cancel/", {"reason": "A mistake."}, format="json").json()
        assert shown["status"] == "cancelled"
    assert "A mistake." in refund.order.events.last().message
    assert client.post(f"{PREFIX}refunds/{refund.pk}/resend/").status_code == 409
