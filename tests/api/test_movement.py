"""Movement over REST: syncing on request, runs, failed records, webhooks, the API log, alerts."""

from __future__ import annotations

from typing import Any

import pytest
from rest_framework.test import APIClient

from carts.models import Alert, Cart, Warehouse
from syncjobs.models import ApiCall, ApiCallBody, Delivery, FailedRecord, Run, Schedule, WebhookEvent
from tests.api.worlds import World

API = "/api/v1/"


def sync(client: APIClient, cart: Cart, **body: Any) -> Any:
    return client.post(f"{API}carts/{cart.pk}/sync/", body)


def test_syncing_named_functions(client: APIClient, world: World) -> None:
    answer = sync(client, world[Cart], functions=["order_download"], full=True, dry_run=True)

    assert answer.status_code == 202, answer.json()
    (run,) = Run.objects.filter(pk__in=answer.json()["runs"])
    assert (run.function, run.full, run.dry_run) == ("order_download", True, True)
    assert (run.trigger, run.requested_by, run.state) == ("api", "REST client REST client", "queued")
    assert client.get(f"{API}runs/{run.pk}/").json()["preview"] == []


def test_syncing_everything_includes_the_warehouse(client: APIClient, world: World) -> None:
    runs = Run.objects.filter(pk__in=sync(client, world[Cart]).json()["runs"])

    done = {(run.connection_id, run.function) for run in runs}
    assert (world[Cart].pk, "order_download") in done
    assert (world[Warehouse].pk, "order_sending") in done
    assert len(done) == len(runs)


def test_asking_twice_queues_once(client: APIClient, world: World) -> None:
    first, second = (sync(client, world[Cart], functions=["order_download"]).json() for _ in range(2))

    assert first == second


def test_people_are_remembered_as_people(member: APIClient, world: World) -> None:
    (pk,) = sync(member, world[Cart], functions=["order_download"]).json()["runs"]

    run = Run.objects.get(pk=pk)
    assert (run.trigger, run.requested_by) == ("person", "ada")


def test_pausing_and_continuing(client: APIClient, member: APIClient, world: World) -> None:
    (pk,) = sync(client, world[Cart], functions=["order_download"]).json()["runs"]
    Run.objects.filter(pk=pk).update(state="queued")

    paused = client.post(f"{API}runs/{pk}/pause/")
    assert paused.status_code == 200, paused.json()
    assert (paused.json()["state"], paused.json()["paused_by"]) == ("paused", "REST client REST client")
    assert paused.json()["paused_at"]
    assert member.post(f"{API}runs/{pk}/pause/").json()["paused_by"] == "REST client REST client"
    assert sync(client, world[Cart], functions=["order_download"]).json()["runs"] == [pk]
    shown = client.get(f"{API}carts/{world[Cart].pk}/").json()["schedules"]
    assert [one["function"] for one in shown if one["paused_at"]] == ["order_download"]

    for _ in range(2):
        answer = member.post(f"{API}runs/{pk}/continue/")
        assert (answer.status_code, answer.json()["state"], answer.json()["paused_by"]) == (200, "queued", "")


def test_pausing_what_is_over_or_continuing_what_is_switched_off(client: APIClient, world: World) -> None:
    (pk,) = sync(client, world[Cart], functions=["order_download"]).json()["runs"]
    assert client.post(f"{API}runs/{pk}/pause/").status_code == 200
    Cart.objects.filter(pk=world[Cart].pk).update(is_active=False)
    refused = client.post(f"{API}runs/{pk}/continue/")
    assert (refused.status_code, "Switch it on" in refused.json()["detail"]) == (409, True)

    Schedule.objects.update(paused_at=None)
    Run.objects.filter(pk=pk).update(state="done")
    assert client.post(f"{API}runs/{pk}/pause/").status_code == 409


def test_syncing_a_warehouse(client: APIClient, world: World) -> None:
    url = f"{API}warehouses/{world[Warehouse].pk}/sync/"

    (pk,) = client.post(url, {"functions": ["shipment_pickup"]}).json()["runs"]
    assert Run.objects.get(pk=pk).connection_id == world[Warehouse].pk
    assert client.post(url, {"functions": ["order_download"]}).status_code == 400


@pytest.mark.parametrize(
    "body", [{"functions": ["fly"]}, {"functions": "order_download"}, {"functions": [["x"]]}, {"functions": [None]}]
)
def test_unknown_functions_are_refused(client: APIClient, world: World, body: dict[str, Any]) -> None:
    Run.objects.all().delete()

    answer = sync(client, world[Cart], **body)

    assert (answer.status_code, set(answer.json())) == (400, {"functions"})
    assert not Run.objects.exists()


def test_runs_are_found(client: APIClient, world: World) -> None:
    sync(client, world[Cart], functions=["order_download"])

    def states(**query: Any) -> list[str]:
        return [row["state"] for row in client.get(f"{API}runs/", query).json()["results"]]

    assert states(connection=world[Cart].pk) == ["queued", "done"]
    assert states(state="done", function="order_download", trigger="schedule") == ["done"]
    assert client.get(f"{API}runs/", {"state": "lost"}).status_code == 400


def test_a_delivery_with_every_try(client: APIClient, world: World) -> None:
    shown = client.get(f"{API}deliveries/{world[Delivery].pk}/").json()

    assert [attempt["number"] for attempt in shown["attempt_log"]] == [1]


def test_a_failed_record_is_read_and_ignored(client: APIClient, world: World) -> None:
    record = world[FailedRecord]
    url = f"{API}failed-records/{record.pk}/"

    assert "payload" not in client.get(f"{API}failed-records/").json()["results"][0]
    assert client.get(url).json()["payload"] == '{"id": "sale"}'
    assert set(client.post(f"{url}ignore/", {}).json()) == {"reason"}
    ignored = client.post(f"{url}ignore/", {"reason": "Test sale"}).json()
    assert (ignored["status"], ignored["note"]) == ("ignored", "Test sale")
    assert ignored["settled_by"] == "REST client REST client"
    assert client.post(f"{url}ignore/", {"reason": "again"}).status_code == 409
    assert client.post(f"{url}reprocess/").status_code == 409


def test_a_record_that_still_fails_says_why(client: APIClient, world: World) -> None:
    answer = client.post(f"{API}failed-records/{world[FailedRecord].pk}/reprocess/")

    assert answer.status_code == 409
    assert "127.0.0.1:1" in answer.json()["detail"]
    assert FailedRecord.objects.get(pk=world[FailedRecord].pk).status == "open"


def test_a_failed_delivery_is_sent_again(client: APIClient, world: World) -> None:
    order = world[Delivery].order
    type(order).objects.filter(pk=order.pk).update(status="error")
    Delivery.objects.filter(pk=world[Delivery].pk).update(state="failed")
    record = FailedRecord.objects.create(
        connection=world[Warehouse],
        function="order_sending",
        external_id=order.external_id,
        cause="refused",
        reason="Unknown SKU",
        order=order,
        delivery=world[Delivery],
    )

    answer = client.post(f"{API}failed-records/{record.pk}/reprocess/")

    assert (answer.status_code, answer.json()["status"]) == (200, "reprocessed")
    assert Delivery.objects.get(pk=world[Delivery].pk).state == "pending"


def test_a_webhook_is_read_and_worked_on_again(client: APIClient, world: World) -> None:
    url = f"{API}webhook-events/{world[WebhookEvent].pk}/"

    assert client.get(url).json()["body"] == "{}"
    assert client.post(f"{url}replay/").json()["state"] == "received"


def test_a_call_with_its_bodies_as_long_as_they_are_kept(client: APIClient, world: World) -> None:
    url = f"{API}api-calls/{world[ApiCall].pk}/"

    assert client.get(url).json()["bodies"]["response"] == '{"data": []}'
    ApiCallBody.objects.all().delete()
    assert client.get(url).json()["bodies"] is None


def test_failed_calls_are_found(client: APIClient, world: World) -> None:
    lost = ApiCall.objects.create(
        connection=world[Cart], method="POST", url="https://shop.example", started_at=world[ApiCall].started_at
    )

    def ids(**query: Any) -> list[int]:
        return [row["id"] for row in client.get(f"{API}api-calls/", query).json()["results"]]

    assert ids(failed=True) == ids(method="post") == [lost.pk]
    assert ids(failed=False) == ids(status=200) == ids(run=world[Run].pk) == [world[ApiCall].pk]


def test_alerts_are_muted_and_resolved(client: APIClient, world: World) -> None:
    url = f"{API}alerts/{world[Alert].pk}/"

    assert client.post(f"{url}mute/").json()["status"] == "muted"
    assert client.get(f"{API}alerts/", {"status": "open"}).json()["count"] == 0
    resolved = client.post(f"{url}resolve/").json()
    assert (resolved["status"], resolved["resolved_by"]) == ("resolved", "REST client REST client")
    assert client.post(f"{url}mute/").status_code == 409
    assert client.get(f"{API}alerts/", {"status": "resolved"}).json()["count"] == 1
