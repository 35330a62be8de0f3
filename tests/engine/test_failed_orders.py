"""An order that the warehouse refused: corrected where it failed, and sent again."""

from __future__ import annotations

import json
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from carts.models import ApiToken, Order
from connectors.functions import Function
from syncjobs.connector_cache import OpenConnectors
from syncjobs.delivering import deliver_next
from syncjobs.failures import Failure, record_failures, reprocess_all
from syncjobs.models import FailedRecord
from syncjobs.reprocessing import REPROCESS
from tests.admin.worlds import make_user
from tests.engine.processes import Hub, hub_fixture  # noqa: F401


def deliver() -> None:
    connectors = OpenConnectors()
    try:
        while deliver_next("test", connectors):
            pass
    finally:
        connectors.close()


@pytest.fixture
def refused(hub: Hub) -> FailedRecord:
    """The warehouse does not know the SKU."""
    hub.sell()
    hub.server.fail(times=1, match="POST /orders", status=422)
    deliver()
    return FailedRecord.objects.get()


@pytest.fixture
def person(hub: Hub, client: Client) -> Client:
    client.force_login(make_user("pat", hub.merchant))
    return client


def form_of(order: Order, **changed: str) -> dict[str, str]:
    """The form as it is shown, with these fields changed."""
    skus = {f"sku_{line.pk}": line.sku for line in order.lines.all()}
    return {**order.ship_to, **skus, "ship_method": order.ship_method, "reprocess": "on", **changed}


class TestOnThePage:
    def test_what_was_sent_is_shown(self, hub: Hub, refused: FailedRecord, person: Client) -> None:
        text = person.get(reverse("admin:syncjobs_failedrecord_change", args=[refused.pk])).content.decode()
        assert "SKU-1" in text and "1 Queen Street" in text and "What was sent" in text
        assert json.loads(refused.payload)["ship_to"]["city"] == "Auckland"

    def test_correct_and_reprocess(self, hub: Hub, refused: FailedRecord, person: Client) -> None:
        order = Order.objects.get()
        line = order.lines.get()
        page = reverse("admin:syncjobs_failedrecord_change", args=[refused.pk])
        address = reverse("admin:syncjobs_failedrecord_correct", args=[refused.pk])
        assert address in person.get(page).content.decode()
        shown = person.get(address).content.decode()
        assert "was refused with status 422" in shown and 'value="SKU-1"' in shown and 'value="1 Queen Street"' in shown
        person.post(address, form_of(order, **{f"sku_{line.pk}": "SKU-2", "city": "Oslo", "ship_method": "EXPRESS"}))
        deliver()
        order.refresh_from_db()
        refused.refresh_from_db()
        assert order.status == Order.Status.AT_WAREHOUSE
        assert (refused.status, refused.settled_by) == (FailedRecord.Status.REPROCESSED, "pat")
        assert set(hub.server.contents[order.reference]) == {"SKU-2"}
        told = {event.message for event in order.events.all() if event.kind == "changed" and event.actor == "pat"}
        assert told == {
            "Article SKU-1: SKU changed from SKU-1 to SKU-2.",
            "Ship-to address changed: city from “Auckland” to “Oslo”.",
            "Ship method changed from nothing to “EXPRESS”.",
        }
        assert order.by_hand == ["ship_method", "ship_to", "skus"]
        assert address not in person.get(page).content.decode()

    def test_only_saved(self, refused: FailedRecord, person: Client) -> None:
        order = Order.objects.get()
        given = form_of(order, city="Oslo")
        del given["reprocess"]
        person.post(reverse("admin:syncjobs_failedrecord_correct", args=[refused.pk]), given)
        order.refresh_from_db()
        refused.refresh_from_db()
        assert (order.ship_to["city"], order.status) == ("Oslo", Order.Status.ERROR)
        assert refused.status == FailedRecord.Status.OPEN

    def test_what_is_missing_is_said_at_its_field(self, refused: FailedRecord, person: Client) -> None:
        order = Order.objects.get()
        address = reverse("admin:syncjobs_failedrecord_correct", args=[refused.pk])
        answer = person.post(address, form_of(order, city="")).content.decode()
        assert "This field is required." in answer
        order.refresh_from_db()
        assert (order.ship_to["city"], order.status) == ("Auckland", Order.Status.ERROR)

    def test_what_was_sent_meanwhile_is_not_corrected(self, refused: FailedRecord, person: Client) -> None:
        order = Order.objects.get()
        Order.objects.update(status=Order.Status.AT_WAREHOUSE)
        address = reverse("admin:syncjobs_failedrecord_correct", args=[refused.pk])
        answer = person.post(address, form_of(order, city="Oslo"), follow=True)
        assert "cannot be corrected here" in answer.content.decode()
        order.refresh_from_db()
        assert order.ship_to["city"] == "Auckland"

    def test_other_records_offer_no_correction(self, hub: Hub, person: Client) -> None:
        record_failures(hub.cart, Function.ORDER_DOWNLOAD, [Failure("sale-1", "unreadable", "It is cut.")])
        record = FailedRecord.objects.get()
        page = person.get(reverse("admin:syncjobs_failedrecord_change", args=[record.pk])).content.decode()
        assert reverse("admin:syncjobs_failedrecord_correct", args=[record.pk]) not in page


class TestOverRest:
    def post(self, record: FailedRecord, data: dict[str, Any], client: Client) -> Any:
        _, secret = ApiToken.issue(record.connection.merchant)
        return client.post(
            f"/api/v1/failed-records/{record.pk}/correct/",
            data,
            content_type="application/json",
            headers={"Authorization": f"Bearer {secret}"},
        )

    def test_correct_and_reprocess(self, hub: Hub, refused: FailedRecord, client: Client) -> None:
        line = Order.objects.get().lines.get()
        data = {"lines": [{"id": line.pk, "sku": "SKU-2"}], "ship_to": {"city": "Oslo"}, "ship_method": "EXPRESS"}
        assert self.post(refused, data, client).json()["status"] == "reprocessed"
        deliver()
        order = Order.objects.get()
        assert (order.status, order.ship_to["city"], order.ship_to["street1"], order.ship_method) == (
            Order.Status.AT_WAREHOUSE,
            "Oslo",
            "1 Queen Street",
            "EXPRESS",
        )
        answer = self.post(refused, {"ship_method": "SLOW"}, client)
        assert answer.status_code == 409

    def test_only_saved(self, refused: FailedRecord, client: Client) -> None:
        answer = self.post(refused, {"ship_method": "EXPRESS", "reprocess": False}, client)
        assert answer.json()["status"] == "open"
        assert Order.objects.get().ship_method == "EXPRESS"

    def test_wrong_input_names_its_field(self, refused: FailedRecord, client: Client) -> None:
        answer = self.post(refused, {"ship_to": {"city": " "}}, client)
        assert (answer.status_code, answer.json()) == (400, {"ship_to": {"city": ["Enter the city."]}})


class TestMany:
    """One that cannot be processed never stops the others."""

    @pytest.fixture
    def records(self, hub: Hub) -> list[FailedRecord]:
        failures = [Failure(f"sale-{number}", "unreadable", "It is cut.") for number in range(3)]
        record_failures(hub.cart, Function.ORDER_DOWNLOAD, failures)
        return list(FailedRecord.objects.order_by("pk"))

    def test_a_fault_of_the_hub_is_told_and_the_others_go_on(
        self, records: list[FailedRecord], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def choke(record: FailedRecord, actor: str) -> None:
            if record.pk == records[0].pk:
                raise KeyError("secret detail")

        monkeypatch.setitem(REPROCESS, Function.ORDER_DOWNLOAD, choke)
        outcome = reprocess_all(FailedRecord.objects.filter(status="open"), "pat")
        assert (outcome.done, len(outcome.refused)) == (2, 1)
        assert "KeyError" in outcome.refused[0] and "secret detail" not in outcome.refused[0]
        assert FailedRecord.objects.get(status="open").pk == records[0].pk

    def test_the_next_call_begins_with_those_that_were_not_tried(
        self, records: list[FailedRecord], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        tried: list[str] = []

        def refuse(record: FailedRecord, actor: str) -> None:
            tried.append(record.external_id)
            raise KeyError

        monkeypatch.setitem(REPROCESS, Function.ORDER_DOWNLOAD, refuse)
        monkeypatch.setattr("syncjobs.failures.MOST_AT_ONCE", 2)
        for _ in range(2):
            reprocess_all(FailedRecord.objects.filter(status="open"), "pat")
        assert tried == ["sale-0", "sale-1", "sale-2", "sale-0"]
        assert [record.count for record in FailedRecord.objects.order_by("pk")] == [3, 2, 2]
