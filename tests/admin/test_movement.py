"""Sync now, Preview, live progress, deliveries, failed records, webhooks and the API log."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from carts.models import Connection
from syncjobs.models import Delivery, FailedRecord, Run, Schedule, WebhookEvent, WorkerProcess
from syncjobs.reprocessing import REPROCESS
from tests.admin.worlds import SECRET, Shop


def ask(client: Client, name: str, connection: Connection, **data: Any) -> Any:
    return client.post(reverse(f"admin:syncjobs_run_{name}", args=[connection.pk]), data)


class TestAskingForRuns:
    def test_sync_now_queues_what_is_on_both_sides_included(self, shop: Shop, member: Client) -> None:
        response = ask(member, "sync", shop.cart)
        queued = Run.objects.filter(state="queued", trigger="person")
        assert {run.requested_by for run in queued} == {"member"}
        assert {"order_download", "order_sending", "inventory_sync"} <= {run.function for run in queued}
        text = member.get(response["Location"]).content.decode()
        assert "Order Download" in text
        assert "No worker is running" in text

    def test_one_function(self, shop: Shop, member: Client) -> None:
        ask(member, "sync", shop.cart, function="inventory_sync")
        assert [run.function for run in Run.objects.filter(state="queued")] == ["inventory_sync"]

    def test_a_function_that_the_system_lacks(self, shop: Shop, member: Client) -> None:
        assert ask(member, "sync", shop.cart, function="order_sending").status_code == 404

    def test_what_is_switched_off_is_not_synced(self, shop: Shop, member: Client) -> None:
        Connection.objects.filter(pk=shop.cart.pk).update(is_active=False)
        response = ask(member, "sync", shop.cart)
        assert not Run.objects.filter(state="queued").exists()
        assert "Switch it on first" in member.get(response["Location"]).content.decode()

    def test_a_preview_works_at_any_time_and_writes_nothing(self, shop: Shop, member: Client) -> None:
        Connection.objects.filter(pk=shop.cart.pk).update(is_active=False)
        response = ask(member, "preview", shop.cart)
        runs = Run.objects.filter(state="queued")
        assert {run.function for run in runs} >= {"order_download", "inventory_sync"}
        assert all(run.dry_run for run in runs)
        assert "Nothing is written" in member.get(response["Location"]).content.decode()

    def test_what_a_preview_found_is_a_table_of_words(self, shop: Shop, member: Client) -> None:
        rows = [{"number": "S-1", "placed_at": "2026-07-01T09:30:00+00:00", "what": "import", "why": ""}]
        run = shop.add_run(dry_run=True, preview=rows, counts={"import": 1})
        text = member.get(reverse("admin:syncjobs_run_change", args=[run.pk])).content.decode()
        assert "S-1" in text
        assert "1 to import" in text
        assert "2026-07-01T09:30:00+00:00</td>" not in text, "times are shown as people write them"

    def test_progress_tells_the_script_everything(self, shop: Shop, member: Client) -> None:
        run = shop.add_run("running", pages=2, counts={"imported": 400})
        url = f"{reverse('admin:syncjobs_run_progress_json')}?runs={run.pk}"
        answer = json.loads(member.get(url).content)
        assert answer["done"] is False
        assert answer["workers"] == 0
        assert answer["runs"][0]["result"] == "400 imported"
        Run.objects.filter(pk=run.pk).update(state="failed", error="Vend is down.", fix="Wait.")
        WorkerProcess.objects.create(name="w", host="h", pid=1, beat_at=timezone.now())
        answer = json.loads(member.get(url).content)
        assert answer["done"] is True
        assert answer["workers"] == 1
        assert answer["runs"][0]["error"] == "Vend is down."

    @pytest.mark.parametrize("runs", ["", "nonsense", "999999", "1;2", "9" * 40])
    def test_progress_of_nothing(self, shop: Shop, member: Client, runs: str) -> None:
        assert member.get(reverse("admin:syncjobs_run_progress"), {"runs": runs}).status_code == 404
        assert json.loads(member.get(reverse("admin:syncjobs_run_progress_json"), {"runs": runs}).content)["done"]

    def test_only_a_waiting_run_can_be_cancelled(self, shop: Shop, member: Client) -> None:
        waiting, running = shop.add_run("queued"), shop.add_run("running")
        for run, expected in ((waiting, "cancelled"), (running, "running")):
            member.post(reverse("admin:syncjobs_run_cancel", args=[run.pk]))
            run.refresh_from_db()
            assert run.state == expected


class TestPausing:
    def held(self, shop: Shop) -> Schedule:
        return Schedule.objects.get(connection_id=shop.cart.pk, function="order_download")

    def page(self, client: Client, name: str, *arguments: Any) -> str:
        return client.get(reverse(f"admin:{name}", args=arguments)).content.decode()

    def test_pause_is_shown_everywhere_and_continue_ends_it(self, shop: Shop, member: Client) -> None:
        run = shop.add_run("running", pages=2, counts={"imported": 400}, records=400, worked_seconds=20.0)
        assert "is at work" in self.page(member, "carts_cart_change", shop.cart.pk)
        member.post(reverse("admin:syncjobs_run_pause", args=[run.pk]))
        assert self.held(shop).paused_by == "member"
        assert "stops as soon as the page at hand is stored" in self.page(member, "syncjobs_run_change", run.pk)
        Run.objects.filter(pk=run.pk).update(state="paused")
        card = self.page(member, "syncjobs_run_change", run.pk)
        assert "Order Download paused by member since" in card
        assert reverse("admin:syncjobs_run_continue", args=[run.pk]) in card
        for text in (self.page(member, "carts_cart_change", shop.cart.pk), self.page(member, "index")):
            assert "Order Download paused by member since" in text
            assert reverse("admin:syncjobs_run_continue_function", args=[shop.cart.pk]) in text
        response = ask(member, "continue_function", shop.cart, function="order_download")
        assert "goes on from where it stopped" in member.get(response["Location"]).content.decode()
        run.refresh_from_db()
        assert (run.state, self.held(shop).paused_at) == ("queued", None)
        assert "paused by" not in self.page(member, "index")

    def test_continue_twice_and_pausing_what_is_over(self, shop: Shop, member: Client) -> None:
        run = shop.add_run("done")
        page = member.post(reverse("admin:syncjobs_run_pause", args=[run.pk]), follow=True).content.decode()
        assert "This run is over" in page
        response = ask(member, "continue_function", shop.cart, function="order_download")
        assert "is not paused" in member.get(response["Location"]).content.decode()
        assert ask(member, "continue_function", shop.cart, function="nonsense").status_code == 404

    def test_a_run_that_waits_is_not_in_trouble(self, shop: Shop, member: Client) -> None:
        shop.add_run("queued", error_kind="waiting", error="Waits until the first Order Download is through.")
        text = self.page(member, "carts_cart_change", shop.cart.pk)
        assert "Waits until the first Order Download is through." in text
        assert '<span class="im-bad-text">Waits until' not in text

    def test_progress_tells_an_estimate(self, shop: Shop, member: Client) -> None:
        now = timezone.now()
        run = shop.add_run(
            "running",
            records=5_000,
            worked_seconds=10.0,
            changes_from=now - timedelta(days=40),
            changes_until=now - timedelta(days=29.8),
        )
        answer = json.loads(member.get(f"{reverse('admin:syncjobs_run_progress_json')}?runs={run.pk}").content)
        shown = answer["runs"][0]
        assert (shown["percent"], shown["percent_words"]) == (25, "about 25 %")
        assert shown["progress"].startswith("5,000 read · 500 per second · changes up to ")


class TestDeliveries:
    def retry(self, client: Client, delivery: Delivery) -> str:
        url = reverse("admin:syncjobs_delivery_retry", args=[delivery.pk])
        text = client.post(url, follow=True).content.decode()
        delivery.refresh_from_db()
        return text

    def test_a_waiting_one_is_tried_next(self, shop: Shop, member: Client) -> None:
        delivery = shop.objects["delivery"]
        later = timezone.now() + timezone.timedelta(hours=6)
        Delivery.objects.filter(pk=delivery.pk).update(state="retry", run_at=later)
        assert "is tried next" in self.retry(member, delivery)
        assert delivery.run_at < later

    def test_a_failed_one_is_revived_through_its_order(self, shop: Shop, member: Client) -> None:
        delivery = shop.objects["delivery"]
        Delivery.objects.filter(pk=delivery.pk).update(state="failed", attempts=5, error="refused")
        shop.order.status = "error"
        shop.order.save()
        self.retry(member, delivery)
        assert delivery.state == "pending"
        shop.order.refresh_from_db()
        assert shop.order.status == "new"

    def test_a_done_one_is_left_alone(self, shop: Shop, member: Client) -> None:
        delivery = shop.objects["delivery"]
        Delivery.objects.filter(pk=delivery.pk).update(state="done")
        assert "there is nothing to retry" in self.retry(member, delivery)
        assert delivery.state == "done"


class TestFailedRecords:
    @pytest.fixture
    def record(self, shop: Shop) -> FailedRecord:
        found: FailedRecord = shop.objects["failedrecord"]
        return found

    @pytest.fixture(autouse=True)
    def reprocessed(self, monkeypatch: pytest.MonkeyPatch) -> list[str]:
        seen: list[str] = []
        monkeypatch.setitem(REPROCESS, "order_download", lambda record, actor: seen.append(record.external_id))
        return seen

    def test_reprocess_one(self, record: FailedRecord, member: Client, reprocessed: list[str]) -> None:
        url = reverse("admin:syncjobs_failedrecord_reprocess", args=[record.pk])
        assert member.get(url).status_code == 200
        assert reprocessed == []
        member.post(url)
        record.refresh_from_db()
        assert reprocessed == ["Alpha"]
        assert (record.status, record.settled_by) == ("reprocessed", "member")

    def test_reprocess_all_of_a_cause(
        self, shop: Shop, other_shop: Shop, record: FailedRecord, member: Client, reprocessed: list[str]
    ) -> None:
        for number, cause in enumerate(("unreadable", "unreadable", "other")):
            FailedRecord.objects.create(
                connection=shop.cart, function="order_download", external_id=f"r{number}", cause=cause, reason="x"
            )
        url = reverse("admin:syncjobs_failedrecord_same_cause", args=[record.pk])
        assert "3 records" in member.get(url).content.decode()
        assert reprocessed == []
        member.post(url)
        assert sorted(reprocessed) == ["Alpha", "r0", "r1"]
        assert FailedRecord.objects.filter(status="open").count() == 2

    def test_ignoring_needs_a_reason(self, record: FailedRecord, member: Client) -> None:
        url = reverse("admin:syncjobs_failedrecord_ignore", args=[record.pk])
        assert "This field is required." in member.post(url).content.decode()
        member.post(url, {"reason": "A test sale"})
        record.refresh_from_db()
        assert (record.status, record.note) == ("ignored", "A test sale")

    def test_the_link_of_its_alert_leads_to_it(self, shop: Shop, record: FailedRecord, member: Client) -> None:
        url = f"/admin/syncjobs/failedrecord/?connection={shop.cart.pk}&status__exact=open"
        text = member.get(url).content.decode()
        assert f"/admin/syncjobs/failedrecord/{record.pk}/change/" in text
        FailedRecord.objects.filter(pk=record.pk).update(status="ignored")
        assert f"/admin/syncjobs/failedrecord/{record.pk}/change/" not in member.get(url).content.decode()


class TestLogs:
    def test_a_webhook_is_replayed(self, shop: Shop, member: Client) -> None:
        event = shop.objects["webhookevent"]
        WebhookEvent.objects.filter(pk=event.pk).update(state="failed", error="x")
        member.post(reverse("admin:syncjobs_webhookevent_replay", args=[event.pk]))
        event.refresh_from_db()
        assert event.state == "received"

    def test_a_wrapped_webhook_body_is_readable_and_masked(self, shop: Shop, member: Client) -> None:
        event = WebhookEvent.objects.create(
            connection=shop.cart,
            body=b"payload=%7B%22sale%22%3A%22S1%22%2C%22access_token%22%3A%22" + SECRET.encode() + b"%22%7D",
        )
        text = member.get(reverse("admin:syncjobs_webhookevent_change", args=[event.pk])).content.decode()
        assert "&quot;sale&quot;: &quot;S1&quot;" in text
        assert SECRET not in text

    def test_headers_and_bodies_of_calls_are_masked(self, shop: Shop, member: Client) -> None:
        call = shop.objects["apicall"]
        text = member.get(reverse("admin:syncjobs_apicall_change", args=[call.pk])).content.decode()
        assert "Authorization: [masked]" in text

    def test_the_log_narrows_to_an_order(self, shop: Shop, member: Client) -> None:
        call, delivery = shop.objects["apicall"], shop.objects["delivery"]
        url = f"{reverse('admin:syncjobs_apicall_changelist')}?order={shop.order.pk}"
        link = f"/admin/syncjobs/apicall/{call.pk}/change/"
        assert link not in member.get(url).content.decode()
        call.delivery = delivery
        call.save()
        assert link in member.get(url).content.decode()
