"""The story of an order, from the run that brought it to the parcel that left."""

from __future__ import annotations

from typing import Any

import pytest
from django.urls import reverse

from carts import order_flow
from carts.models import ApiToken
from carts.order_timeline import timeline_of
from connectors.functions import Function
from syncjobs.failures import Failure, ignore, record_failures
from syncjobs.models import ApiCall, FailedRecord, WebhookEvent
from tests.admin.worlds import make_user
from tests.engine.conftest import World


def test_everything_that_happened_is_in_it_in_order(world: World) -> None:
    sale = world.sell()
    world.download()
    order = world.order(sale)
    WebhookEvent.objects.create(
        connection=world.cart, topic="sale.update", external_id=order.external_id, body=b"{}", state="done"
    )
    world.deliver()
    order_flow.note(order, "note", "Called the customer.", "pat")
    told = [(entry.kind, entry.actor) for entry in timeline_of(order)]
    assert told == [
        ("run", "hub"),
        ("history", "hub"),
        ("webhook", "hub"),
        ("attempt", "hub"),
        ("history", "hub"),
        ("history", "pat"),
    ]
    texts = [entry.text for entry in timeline_of(order)]
    assert texts[0].startswith("Order Download of")
    assert texts[3].endswith("attempt 1: accepted")


def test_failed_records_and_their_end_are_told(world: World) -> None:
    sale = world.sell()
    world.download()
    order = world.order(sale)
    record_failures(
        world.cart, Function.ORDER_DOWNLOAD, [Failure(order.external_id, "unreadable", "No date.", order=order)]
    )
    ignore(FailedRecord.objects.get(), "A test sale.", "pat")
    told = [(entry.text, entry.actor) for entry in timeline_of(order) if entry.kind == "failed_record"]
    assert told == [
        ("Order Download failed: No date.", "hub"),
        ("The failed record was ignored: A test sale.", "pat"),
    ]


def test_it_costs_the_same_however_long_it_is(world: World, django_assert_max_num_queries: Any) -> None:
    sale = world.sell()
    world.download()
    world.deliver()
    order = world.order(sale)
    for number in range(400):
        order_flow.note(order, "note", f"Note {number}")
    with django_assert_max_num_queries(6):
        entries = timeline_of(order)
    assert len(entries) == 300
    assert entries[-1].text == "Note 399"


def test_it_is_on_the_page_and_in_the_api(world: World, client: Any) -> None:
    sale = world.sell()
    world.download()
    world.deliver()
    order = world.order(sale)
    _, secret = ApiToken.issue(world.merchant)
    answer = client.get(f"/api/v1/orders/{order.pk}/timeline/", headers={"Authorization": f"Bearer {secret}"})
    assert [entry["kind"] for entry in answer.json()] == ["run", "history", "attempt", "history"]
    client.force_login(make_user("pat", world.merchant))
    page = client.get(reverse("admin:carts_order_change", args=[order.pk])).content.decode()
    assert "attempt 1: accepted" in page
    assert "Run and calls" in page


@pytest.mark.parametrize("field", ["number", "external_id", "reference"])
def test_the_api_log_is_searched_by_order(world: World, client: Any, field: str) -> None:
    other = world.sell()
    world.download()
    sale = world.sell()
    world.download()
    order = world.order(sale)
    client.force_login(make_user("pat", world.merchant))
    page = client.get(reverse("admin:syncjobs_apicall_changelist"), {"q": getattr(order, field)})
    shown = set(page.context["cl"].queryset.values_list("run_id", flat=True))
    assert shown, "the calls of the run that brought it"
    assert not shown & set(
        ApiCall.objects.filter(run__started_at__lte=world.order(other).stored_at).values_list("run_id", flat=True)
    )
    _, secret = ApiToken.issue(world.merchant)
    head = {"Authorization": f"Bearer {secret}"}
    assert client.get("/api/v1/api-calls/", {"order": getattr(order, field)}, headers=head).json()["count"] == len(
        page.context["cl"].queryset
    )
    assert client.get("/api/v1/api-calls/", {"order": "nothing"}, headers=head).json()["count"] == 0
