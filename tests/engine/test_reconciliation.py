"""Reconciliation: whatever cart, hub and warehouse say differently is found, kept with its age, mended and closed."""

from __future__ import annotations

import io
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from carts import order_flow
from carts.models import Alert, ApiToken, FunctionSetting, Order, OrderChange, OrderLine, PickOrder, StockLevel
from carts.remote import open_connector
from connectors.functions import Function
from syncjobs.models import ApiCall, Delivery, Mismatch, Reconciliation, Run
from syncjobs.reconciliation import accept, request_reconciliation
from syncjobs.reconciliation_fixes import NotFixed, fix
from syncjobs.schedule import schedule_of
from tests.admin.worlds import make_user
from tests.engine.conftest import World

HOUR = timedelta(hours=1)


@pytest.fixture
def store(world: World) -> World:
    """Sales of two hours ago, taken in and at the warehouse."""
    for _ in range(3):
        world.sell(sale_date=timezone.now() - 2 * HOUR)
    world.download()
    world.deliver()
    world.sync_stock()
    let_time_pass()
    return world


def let_time_pass() -> None:
    """As if nothing had happened for an hour: what was sent has arrived, what is synced is synced."""
    Order.objects.update(updated_at=timezone.now() - HOUR)
    StockLevel.objects.update(changed_at=timezone.now() - HOUR)


FEEDS: dict[Function, Any] = {
    Function.ORDER_DOWNLOAD: lambda connector, cursor: connector.read_orders(cursor),
    Function.INVENTORY_SYNC: lambda connector, cursor: connector.read_levels(cursor),
}


def miss(world: World, function: Function) -> None:
    """As if the feed had been read to its end, and what it told had got lost: nothing is on its way any more."""
    schedule = schedule_of(world.cart, function)
    connector = open_connector(world.cart)
    for page in FEEDS[function](connector, schedule.cursor):
        schedule.cursor = page.cursor
    connector.close()
    schedule.last_success_at = timezone.now()
    schedule.save()


def compare(world: World) -> list[Mismatch]:
    """Runs a comparison; what is open afterwards."""
    run = world.run(Function.RECONCILIATION)
    assert run.state == Run.State.DONE, run.error
    return list(Mismatch.objects.filter(cart=world.cart, state=Mismatch.State.OPEN))


def causes(world: World) -> list[tuple[str, str]]:
    return [(row.cause, row.label) for row in compare(world)]


def some_order(position: int = 0) -> Order:
    return Order.objects.order_by("pk")[position]


def test_where_all_agree_nothing_is_found_and_nothing_written(store: World) -> None:
    before = list(Order.objects.values())
    assert causes(store) == []
    report = Reconciliation.objects.get()
    assert report.counts == {"orders_at_cart": 3, "orders_here": 3, "orders_at_warehouse": 3, "skus": 12}
    assert list(Order.objects.values()) == before


def test_an_order_that_never_came_is_found_and_pulled(store: World) -> None:
    lost = some_order()
    number = lost.number
    PickOrder.objects.filter(reference=lost.reference).delete()
    lost.delete()
    (row,) = compare(store)
    assert (row.cause, row.label, row.here) == ("missing_here", number, "not found")
    assert "read again" in fix(row, "pat")
    assert Order.objects.filter(number=number).exists()
    store.deliver()
    assert causes(store) == []
    row.refresh_from_db()
    assert row.state == Mismatch.State.GONE


def test_a_cancellation_that_was_missed_is_found_and_taken_in(store: World) -> None:
    order = some_order()
    store.store.void_sale(order.external_id)
    assert causes(store) == [], "the feed will tell it: it is on its way"
    miss(store, Function.ORDER_DOWNLOAD)
    (row,) = compare(store)
    assert (row.cause, row.label) == ("cancelled_at_cart", order.number)
    fix(row, "pat")
    store.deliver()
    order.refresh_from_db()
    assert order.status == Order.Status.CANCELLED
    assert causes(store) == []


def test_a_total_that_differs_shows_both_values(store: World) -> None:
    order = some_order()
    Order.objects.filter(pk=order.pk).update(total=order.total + 1, version=0)
    (row,) = compare(store)
    assert row.cause == "total_differs"
    assert Decimal(row.here) == Decimal(row.there) + 1


def test_an_order_that_is_gone_at_the_cart_is_for_a_person(store: World) -> None:
    order = some_order()
    Order.objects.filter(pk=order.pk).update(external_id="gone")
    found = {row.cause: row for row in compare(store)}
    assert set(found) == {"missing_at_cart", "missing_here"}
    with pytest.raises(NotFixed, match="only a person"):
        fix(found["missing_at_cart"], "pat")


def test_an_order_that_the_warehouse_lost_goes_there_again_once(store: World) -> None:
    order = some_order()
    PickOrder.objects.filter(reference=order.reference).delete()
    (row,) = compare(store)
    assert (row.cause, row.there) == ("missing_at_warehouse", "not found")
    fix(row, "pat")
    store.deliver()
    assert PickOrder.objects.filter(reference=order.reference).count() == 1
    assert causes(store) == []


def test_an_order_that_waits_too_long_is_found(world: World) -> None:
    FunctionSetting.objects.filter(connection=world.warehouse, function=Function.ORDER_SENDING).update(is_on=False)
    world.sell(sale_date=timezone.now() - 2 * HOUR)
    world.download()
    assert causes(world) == [], "it came a moment ago"
    Order.objects.update(stored_at=timezone.now() - HOUR)
    assert causes(world) == [], "something happened to it a moment ago"
    let_time_pass()
    assert [cause for cause, _ in causes(world)] == ["not_sent"]


def test_alive_at_the_warehouse_though_cancelled_here(store: World) -> None:
    order = some_order()
    order_flow.cancel(order.pk, "Customer called", "pat", tell_warehouse=False)
    found = {row.cause: row for row in compare(store)}
    assert set(found) == {"alive_at_warehouse", "cancelled_here"}
    fix(found["alive_at_warehouse"], "pat")
    store.deliver()
    assert PickOrder.objects.get(reference=order.reference).status == PickOrder.Status.CANCELLED


def test_shipped_at_the_warehouse_but_not_known_here(store: World) -> None:
    order = some_order()
    pick = PickOrder.objects.get(reference=order.reference)
    store.book.ship(pick)
    assert causes(store) == [], "Shipment Pickup will fetch it"
    pickup = FunctionSetting.objects.filter(connection=store.warehouse, function=Function.SHIPMENT_PICKUP)
    pickup.update(is_on=False)  # then nobody fetches it
    (row,) = compare(store)
    assert row.cause == "shipped_at_warehouse"
    fix(row, "pat")
    store.run(Function.SHIPMENT_PICKUP, full=True)
    assert causes(store) == []


def test_stock_that_differs_shows_what_should_be_there(store: World) -> None:
    product = store.product(3)
    store.stock(product["sku"], 40)
    assert causes(store) == [], "the warehouse's figure is new: Inventory Sync writes it next"
    store.sync_stock()
    assert causes(store) == []
    store.store.set_level(product["id"], store.outlet["id"], Decimal(7))
    assert causes(store) == [], "Inventory Sync will see it"
    let_time_pass()
    miss(store, Function.INVENTORY_SYNC)
    (row,) = compare(store)
    assert (row.cause, row.label, row.here, row.there) == ("stock_differs", product["sku"], "40", "7")
    assert "Inventory Sync" in fix(row, "pat")
    assert Run.objects.filter(function=Function.INVENTORY_SYNC, state=Run.State.QUEUED).exists()


def test_seen_again_it_keeps_its_age_and_raises_one_alert(store: World) -> None:
    Order.objects.filter(pk=some_order().pk).update(total=1, version=0)
    (first,) = compare(store)
    (again,) = compare(store)
    assert (again.pk, again.first_seen_at) == (first.pk, first.first_seen_at)
    assert again.last_seen_at > first.last_seen_at
    alert = Alert.objects.get(kind="reconciliation")
    assert "1 thing does not agree" in alert.message
    fix(again, "pat")
    alert.refresh_from_db()
    assert alert.status == Alert.Status.RESOLVED


def test_accepted_stays_accepted_until_a_value_changes(store: World) -> None:
    order = some_order()
    Order.objects.filter(pk=order.pk).update(total=1, version=0)
    (row,) = compare(store)
    accept(row, "Known rounding.", "pat")
    assert causes(store) == []
    Order.objects.filter(pk=order.pk).update(total=2)
    assert causes(store) == [("total_differs", order.number)]


def test_the_period_can_be_chosen_and_others_are_left_open(store: World) -> None:
    order = some_order()
    Order.objects.filter(pk=order.pk).update(total=1, version=0)
    compare(store)
    now = timezone.now()
    request_reconciliation(store.cart, Run.Trigger.PERSON, now - 48 * HOUR, now - 24 * HOUR)
    assert causes(store) == [("total_differs", order.number)], "it was not looked at, so it is not gone"
    assert Reconciliation.objects.order_by("-pk")[0].counts["orders_here"] == 0


def test_calls_do_not_grow_with_orders(world: World) -> None:
    for _ in range(30):
        world.sell(sale_date=timezone.now() - 2 * HOUR)
    world.download()
    world.deliver()
    before = ApiCall.objects.count()
    assert causes(world) == []
    searches = ApiCall.objects.filter(pk__gt=0, url__contains="/search").count()
    assert searches == 2, "one page, and the empty one that ends the list"
    assert ApiCall.objects.count() - before < 10


def test_it_runs_daily_and_can_be_switched_off(world: World) -> None:
    setting = FunctionSetting.objects.get(connection=world.cart, function=Function.RECONCILIATION)
    assert (setting.is_on, setting.minutes) == (True, 1440)


def test_the_command(store: World) -> None:
    out = io.StringIO()
    call_command("reconcile", store.cart.pk, stdout=out)
    assert "Everything agrees." in out.getvalue()
    Order.objects.filter(pk=some_order().pk).update(total=1, version=0)
    out = io.StringIO()
    with pytest.raises(SystemExit) as end:
        call_command("reconcile", store.cart.pk, stdout=out)
    assert end.value.code == 1
    assert "Totals differ (hub: 1.00; there:" in out.getvalue()
    with pytest.raises(CommandError, match="must begin before it ends"):
        call_command("reconcile", store.cart.pk, "--since", "2999-01-01")


def test_the_screen_and_rest(store: World, client: Client) -> None:
    order = some_order()
    Order.objects.filter(pk=order.pk).update(total=1, version=0)
    compare(store)
    client.force_login(make_user("pat", store.merchant))
    page = client.get(reverse("admin:syncjobs_mismatch_changelist"), {"state": "open"}).content.decode()
    assert order.number in page
    assert "Totals differ: 1" in page
    csv = b"".join(client.get(reverse("admin:syncjobs_mismatch_export")).streaming_content).decode()
    assert f"Totals differ,{order.number},1.00" in csv
    row = Mismatch.objects.get()
    client.post(reverse("admin:syncjobs_mismatch_fix", args=[row.pk]))
    row.refresh_from_db()
    assert (row.state, row.settled_by) == ("fixing", "pat")

    _, secret = ApiToken.issue(store.merchant)
    headers: Any = {"Authorization": f"Bearer {secret}"}
    asked = client.post(
        "/api/v1/reconciliations/", {"cart": store.cart.pk}, content_type="application/json", headers=headers
    )
    assert (asked.status_code, asked.json()["state"]) == (202, "queued")
    bad = {"cart": store.cart.pk, "since": "2999-01-01T00:00:00Z"}
    refused = client.post("/api/v1/reconciliations/", bad, content_type="application/json", headers=headers)
    assert refused.status_code == 400
    listed = client.get("/api/v1/mismatches/", {"state": "fixing"}, headers=headers).json()
    assert [row["label"] for row in listed["results"]] == [order.number]
    accepted = client.post(
        f"/api/v1/mismatches/{row.pk}/accept/", {"reason": "ok"}, content_type="application/json", headers=headers
    )
    assert accepted.json()["state"] == "accepted"
    again = client.post(
        f"/api/v1/mismatches/{row.pk}/accept/", {"reason": "ok"}, content_type="application/json", headers=headers
    )
    assert again.status_code == 409


def test_many_at_once_on_the_screen_and_over_rest(store: World, client: Client) -> None:
    Order.objects.update(total=1, version=0)
    some = some_order()
    PickOrder.objects.filter(reference=some.reference).update(reference="gone")
    Order.objects.filter(pk=some.pk).update(external_id="gone", reference="gone")
    Delivery.objects.filter(order=some).update(reference="gone")
    assert {row.cause for row in compare(store)} == {"total_differs", "missing_at_cart", "missing_here"}
    client.force_login(make_user("pat", store.merchant))
    address = f"{reverse('admin:syncjobs_mismatch_fix_all')}?state=open&cause=total_differs"
    assert "2 mismatches" in client.get(address).content.decode()
    assert Mismatch.objects.filter(state="fixing").count() == 0, "a question changes nothing"
    client.post(address)
    assert list(Mismatch.objects.filter(state="fixing").values_list("cause", flat=True)) == ["total_differs"] * 2
    store.deliver()
    assert "total_differs" not in {row.cause for row in compare(store)}

    _, secret = ApiToken.issue(store.merchant)
    headers: Any = {"Authorization": f"Bearer {secret}", "Content-Type": "application/json"}

    def post(what: str, body: Any) -> Any:
        return client.post(f"/api/v1/mismatches/{what}/", body, content_type="application/json", headers=headers)

    assert post("fix-all", {"cause": "missing_here"}).json() == {"fixed": 1, "refused": [], "left": 0}
    assert post("fix-all", {}).json() == {"fixed": 0, "refused": [], "left": 0}, "the rest is for a person"
    assert post("accept-all", {"cause": "missing_at_cart"}).status_code == 400
    assert post("accept-all", {"cart": store.cart.pk, "reason": "Test sale."}).json() == {"accepted": 1}
    assert not Mismatch.objects.filter(state="open").exists()
    assert Alert.objects.get(kind="reconciliation").status == Alert.Status.RESOLVED


def test_an_order_whose_change_is_held_is_decided_on_its_own_page(store: World) -> None:
    order = some_order()
    Order.objects.filter(pk=order.pk).update(total=1, version=0)
    (row,) = compare(store)
    OrderChange.objects.create(order=order, version=9, reference="c", status="held", content={})
    with pytest.raises(NotFixed, match="order's page"):
        fix(row, "pat")
    assert causes(store) == [("total_differs", order.number)], "not decided: it stays"


def test_a_shipment_that_the_cart_was_not_told_of_is_told_again(store: World) -> None:
    order = some_order()
    Order.objects.filter(pk=order.pk).update(
        status=Order.Status.SHIPPED, shipped_at=timezone.now() - HOUR, updated_at=timezone.now() - HOUR
    )
    FunctionSetting.objects.update_or_create(
        connection=store.cart, function=Function.SHIPMENT_CONFIRMATION, defaults={"is_on": True, "minutes": 0}
    )
    (row,) = compare(store)
    assert (row.cause, row.there, row.place) == ("not_confirmed", "not told", str(store.cart))
    assert "told" in fix(row, "pat")
    Order.objects.filter(pk=order.pk).update(status=Order.Status.CONFIRMED)
    assert causes(store) == []


def test_asking_on_the_screen(store: World, client: Client) -> None:
    client.force_login(make_user("pat", store.merchant))
    address = reverse("admin:syncjobs_mismatch_compare")
    assert "Nothing is changed" in client.get(address).content.decode()
    today = timezone.localdate().isoformat()
    answer = client.post(address, {"cart": store.cart.pk, "since": "2026-01-01", "until": today})
    assert answer.status_code == 302
    assert Run.objects.filter(function=Function.RECONCILIATION, state=Run.State.QUEUED).count() == 1
    wrong = client.post(address, {"cart": store.cart.pk, "since": today, "until": "2026-01-01"})
    assert "must begin before it ends" in wrong.content.decode()


def test_lines_and_deliveries_are_not_touched_by_looking(store: World) -> None:
    before = (OrderLine.objects.count(), Delivery.objects.count())
    compare(store)
    assert (OrderLine.objects.count(), Delivery.objects.count()) == before
