"""Orders over REST: found, read, changed while unsent, moved through their life."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.utils import timezone
from rest_framework.test import APIClient

from carts.models import Cart, Customer, Order, OrderChange, OrderEvent
from carts.order_content import content_of
from syncjobs.models import Delivery
from tests.api.worlds import World, at_warehouse
from tests.factories import ADDRESS, make_order

ORDERS = "/api/v1/orders/"


@pytest.fixture
def order(world: World) -> Order:
    """A new order that waits to be sent."""
    return make_order(world[Cart])


def found(client: APIClient, **query: Any) -> set[int]:
    answer = client.get(ORDERS, query)
    assert answer.status_code == 200, answer.content
    return {row["id"] for row in answer.json()["results"]}


def test_an_order_with_everything_that_belongs_to_it(client: APIClient, world: World) -> None:
    order = world[Order]
    Order.objects.filter(pk=order.pk).update(
        total=Decimal("45.5"),
        tax_total=Decimal("0.00125"),
        payments=[{"name": "Cash", "amount": "45.50", "paid_at": None, "kind": "cash"}],
        charges=[{"kind": "shipping", "name": "Courier", "amount": "5.00", "tax": "0.65"}],
    )

    shown = client.get(f"{ORDERS}{order.pk}/").json()

    assert shown["external_id"] == order.external_id
    assert (shown["total"], shown["tax_total"], shown["discount_total"]) == ("45.50", "0.00125", "0.00")
    assert shown["unexplained"] == "0.00"
    assert shown["placed_at"] == "2026-07-01T09:30:00Z"
    assert shown["ship_to"]["street1"] == ADDRESS.street1
    assert [(line["sku"], line["quantity"], line["shipped"]) for line in shown["lines"]] == [
        ("SKU-1", "3", "1"),
        ("SKU-2", "1.5", "0"),
    ]
    assert [line["quantity"] for shipment in shown["shipments"] for line in shipment["lines"]] == ["1"]
    assert [delivery["state"] for delivery in shown["deliveries"]] == ["done"]
    assert [event["kind"] for event in shown["history"]] == ["partly_shipped"]
    assert shown["payments"][0]["amount"] == "45.50"
    assert shown["charges"][0]["tax"] == "0.65"


def test_orders_are_found_by_what_they_carry(client: APIClient, world: World) -> None:
    known = world[Order]
    other = make_order(world[Cart], number="R-77", customer_name="Bob Ömer", placed_at=datetime(2026, 8, 1, tzinfo=UTC))
    Order.objects.filter(pk=other.pk).update(updated_at=datetime(2026, 1, 1, tzinfo=UTC), status="held")
    both = {known.pk, other.pk}

    assert found(client) == both
    assert found(client, number="R-77") == {other.pk}
    assert found(client, external_id=known.external_id) == {known.pk}
    assert found(client, cart=world[Cart].pk) == both
    assert found(client, cart=10**9) == set()
    assert found(client, warehouse=known.warehouse_id) == both
    assert found(client, status="held") == {other.pk}
    assert found(client, status=["held", "at_warehouse"]) == both
    assert found(client, updated_since="2026-06-01T00:00:00Z") == {known.pk}
    assert found(client, placed_after="2026-08-01T00:00:00Z") == {other.pk}
    assert found(client, placed_after="2026-08-01T19:17:00+19:17") == {other.pk}
    assert found(client, placed_before="2026-08-01T00:00:00Z") == {known.pk}
    assert found(client, search="bob") == {other.pk}
    assert found(client, search="r-7") == {other.pk}
    assert found(client, search="%") == set()
    ordered = client.get(ORDERS, {"ordering": "placed_at"}).json()["results"]
    assert [row["id"] for row in ordered] == [known.pk, other.pk]


@pytest.mark.parametrize(
    "query",
    [
        {"status": "lost"},
        {"updated_since": "yesterday"},
        {"updated_since": "0001-01-01T00:00:00+14:00"},
        {"cart": "x"},
        {"cart": 10**30},
        {"ordering": "password"},
        {"ordering": "total"},
        {"ordering": "number"},
        {"number": "a\x00"},
    ],
)
def test_filters_that_cannot_be_meant_are_refused(client: APIClient, query: dict[str, Any]) -> None:
    answer = client.get(ORDERS, query)

    assert (answer.status_code, set(answer.json())) == (400, set(query))


def test_orders_are_sorted_by_what_an_index_answers(client: APIClient, world: World) -> None:
    first = world[Order]
    second = make_order(world[Cart], placed_at=first.placed_at - timedelta(days=1))
    Order.objects.filter(pk=first.pk).update(updated_at=timezone.now() + timedelta(hours=1))

    def sorted_by(ordering: str) -> list[int]:
        return [row["id"] for row in client.get(ORDERS, {"ordering": ordering}).json()["results"]]

    assert sorted_by("placed_at") == sorted_by("updated_at") == sorted_by("-stored_at") == [second.pk, first.pk]
    assert sorted_by("-placed_at") == sorted_by("-updated_at") == sorted_by("stored_at") == [first.pk, second.pk]


def test_a_search_that_many_fit_is_not_counted_but_read_to_its_end(
    client: APIClient, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("carts.deep_pages.MOST_COUNTED", 3)
    orders = {make_order(world[Cart], customer_name="Ann Smith").pk for _ in range(5)}
    url: str | None = f"{ORDERS}?search=smith&page_size=2"
    ids: list[int] = []
    while url:
        page = client.get(url).json()
        assert (page["count"], page["count_is_exact"]) == (3, False)
        ids += [row["id"] for row in page["results"]]
        url = page["next"]
    assert sorted(ids) == sorted(orders)
    assert client.get(ORDERS, {"search": "smith", "page_size": 2, "page": 4}).status_code == 404
    assert "count_is_exact" not in client.get(ORDERS).json()


def test_hold_and_release(client: APIClient, order: Order) -> None:
    url = f"{ORDERS}{order.pk}/"

    held = client.post(f"{url}hold/", {"reason": "Call the customer"}).json()
    assert (held["status"], held["problem"]) == ("held", "Call the customer")
    released = client.post(f"{url}release/").json()
    assert (released["status"], released["problem"]) == ("new", "")
    assert {event["actor"] for event in released["history"]} == {"REST client REST client"}
    assert [delivery["state"] for delivery in released["deliveries"]] == ["pending"]


def test_what_the_state_does_not_allow_is_answered_with_the_reason(client: APIClient, order: Order) -> None:
    answer = client.post(f"{ORDERS}{order.pk}/release/")

    assert answer.status_code == 409
    assert "nothing to release" in answer.json()["detail"]


def test_an_unsent_order_is_cancelled_at_once(client: APIClient, order: Order) -> None:
    answer = client.post(f"{ORDERS}{order.pk}/cancel/", {"reason": "Ordered twice"}).json()

    assert (answer["status"], answer["cancel_reason"]) == ("cancelled", "Ordered twice")


def test_a_sent_order_is_cancelled_by_its_warehouse(client: APIClient, order: Order) -> None:
    at_warehouse(order)

    answer = client.post(f"{ORDERS}{order.pk}/cancel/", {}).json()

    assert (answer["status"], answer["cancel_requested_at"] is not None) == ("at_warehouse", True)
    assert [delivery["kind"] for delivery in answer["deliveries"]] == ["cancellation"]


def test_resend_asks_for_the_delivery_again(client: APIClient, order: Order) -> None:
    answer = client.post(f"{ORDERS}{order.pk}/resend/")

    assert answer.status_code == 200
    assert Delivery.objects.get(order=order).state == "pending"


@pytest.mark.parametrize("deed", ["hold", "cancel"])
@pytest.mark.parametrize("reason", ["x" * 301, ["list"], "a\x00"])
def test_reasons_are_checked(client: APIClient, order: Order, deed: str, reason: Any) -> None:
    answer = client.post(f"{ORDERS}{order.pk}/{deed}/", {"reason": reason})

    assert (answer.status_code, set(answer.json())) == (400, {"reason"})
    order.refresh_from_db()
    assert order.status == "new"


def test_the_address_of_an_unsent_order_can_be_changed(client: APIClient, order: Order) -> None:
    url = f"{ORDERS}{order.pk}/"

    answer = client.patch(url, {"ship_to": {"street1": "2 King Street"}, "note": "Ring twice"})

    assert answer.status_code == 200, answer.json()
    shown = answer.json()
    assert (shown["ship_to"]["street1"], shown["ship_to"]["city"]) == ("2 King Street", ADDRESS.city)
    assert shown["note"] == "Ring twice"
    assert [event["message"] for event in shown["history"]] == [
        "Ship-to address changed: street1 from “1 Queen Street” to “2 King Street”.",
        "Note changed from nothing to “Ring twice”.",
    ]
    assert [delivery["state"] for delivery in shown["deliveries"]] == ["pending"]


def test_a_held_order_stays_held_when_its_address_is_mended(client: APIClient, order: Order) -> None:
    Order.objects.filter(pk=order.pk).update(status="held", ship_to={})
    url = f"{ORDERS}{order.pk}/"

    incomplete = client.patch(url, {"ship_to": {"street1": "2 King Street"}})
    assert incomplete.status_code == 400
    assert incomplete.json() == {"ship_to": {"city": ["Enter the city."], "country": ["Enter the country."]}}

    whole = client.patch(url, {"ship_to": {"street1": "2 King Street", "city": "Auckland", "country": "NZ"}})
    assert (whole.status_code, whole.json()["status"]) == (200, "held")
    assert client.post(f"{url}release/").json()["status"] == "new"


def test_an_order_that_was_sent_is_not_changed_any_more(client: APIClient, order: Order) -> None:
    at_warehouse(order)

    answer = client.patch(f"{ORDERS}{order.pk}/", {"note": "too late"})

    assert answer.status_code == 409
    order.refresh_from_db()
    assert order.note == ""


def test_an_order_that_is_on_its_way_is_not_changed(client: APIClient, order: Order) -> None:
    client.post(f"{ORDERS}{order.pk}/resend/")
    Delivery.objects.filter(order=order).update(state="sending")

    answer = client.patch(f"{ORDERS}{order.pk}/", {"note": "too late"})

    assert answer.status_code == 409
    assert "at this moment" in answer.json()["detail"]


def test_only_address_and_note_can_be_changed(client: APIClient, order: Order) -> None:
    client.patch(f"{ORDERS}{order.pk}/", {"status": "shipped", "total": "0", "number": "1"})

    order.refresh_from_db()
    assert (order.status, order.total) == ("new", Decimal(20))
    assert not OrderEvent.objects.filter(order=order).exists()


def test_orders_of_a_merged_customer_are_found_by_the_one_that_is_left(
    client: APIClient, world: World, order: Order
) -> None:
    ada = Customer.objects.create(connection=world[Cart], external_id="ada")
    twin = Customer.objects.create(connection=world[Cart], external_id="twin", merged_into="ada", survivor=ada)
    Order.objects.filter(pk=order.pk).update(customer=twin)
    assert found(client, customer=ada.pk) == found(client, customer=twin.pk) == {order.pk}
    assert client.get(f"/api/v1/customers/{twin.pk}/").json()["survivor"] == ada.pk


def test_a_change_of_the_shop_is_shown_and_decided(client: APIClient, world: World, order: Order) -> None:
    Order.objects.filter(pk=order.pk).update(status="at_warehouse", at_warehouse_at=timezone.now())
    assert client.get(f"{ORDERS}{order.pk}/").json()["pending_change"] is None
    change = OrderChange.objects.create(
        order=order,
        version=2,
        reference=f"{order.reference}/2",
        status="held",
        content=replace(content_of(order), note="ring twice").as_json(),
        differences=["note “” -> “ring twice”"],
        problem="The order is packed.",
    )
    shown = client.get(f"{ORDERS}{order.pk}/").json()["pending_change"]
    assert (shown["status"], shown["differences"], shown["problem"]) == ("held", change.differences, change.problem)
    assert found(client, pending_change="held") == {order.pk}
    assert found(client, pending_change="sending") == set()

    shown = client.post(f"{ORDERS}{order.pk}/resend-change/").json()["pending_change"]
    assert shown["status"] == "sending"
    again = client.post(f"{ORDERS}{order.pk}/keep-as-sent/")
    assert again.status_code == 409 and "no change that waits" in again.json()["detail"]
    OrderChange.objects.update(status="held")
    shown = client.post(f"{ORDERS}{order.pk}/keep-as-sent/").json()["pending_change"]
    assert (shown["status"], bool(shown["settled_by"])) == ("kept", True)
