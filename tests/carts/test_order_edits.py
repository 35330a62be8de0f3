"""Changes by hand to an order that was not sent: from the admin and over REST, with the same rules."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from carts.models import ApiToken, Order
from carts.order_edits import EditInvalid, change_unsent
from carts.order_flow import TransitionRefused
from syncjobs.models import Delivery
from tests.admin.worlds import make_user
from tests.engine.conftest import World
from tests.engine.conftest import world as world  # the fixture
from tests.factories import make_order


@pytest.fixture
def held(db: None) -> Order:
    """One of its lines has no SKU."""
    return make_order(lines=(("", "1"), ("SKU-2", "2")), status="held", problem="A line has no SKU.")


def line_of(order: Order, position: int = 0) -> Any:
    return list(order.lines.all())[position]


def test_a_missing_sku_is_entered_and_the_order_released(held: Order, client: Client) -> None:
    client.force_login(make_user("pat", held.merchant))
    address = reverse("admin:carts_order_items", args=[held.pk])
    assert "As the warehouse knows it." in client.get(address).content.decode()
    skus = {f"sku_{line_of(held).pk}": "NEW-1", f"sku_{line_of(held, 1).pk}": "SKU-2", "release": "on"}
    client.post(address, skus)
    held.refresh_from_db()
    assert held.status == Order.Status.NEW
    assert [line.sku for line in held.lines.all()] == ["NEW-1", "SKU-2"]
    assert next(event.message for event in held.events.all()).endswith("SKU changed from no SKU to NEW-1.")


def test_an_empty_sku_is_refused_on_the_form(held: Order, client: Client) -> None:
    client.force_login(make_user("pat", held.merchant))
    answer = client.post(reverse("admin:carts_order_items", args=[held.pk]), {"release": "on"})
    assert "This field is required." in answer.content.decode()
    held.refresh_from_db()
    assert held.status == Order.Status.HELD


def test_over_rest(held: Order, client: Client) -> None:
    _, secret = ApiToken.issue(held.merchant)

    def patch(data: dict[str, Any]) -> Any:
        return client.patch(
            f"/api/v1/orders/{held.pk}/",
            data,
            content_type="application/json",
            headers={"Authorization": f"Bearer {secret}"},
        )

    pk = line_of(held).pk
    assert patch({"lines": [{"id": pk, "sku": "NEW-1"}]}).json()["lines"][0]["sku"] == "NEW-1"
    assert patch({"lines": [{"id": 0, "sku": "X"}]}).json() == {"lines": {"0": ["This order has no such line."]}}
    assert patch({"lines": [{"id": pk, "sku": ""}]}).status_code == 400
    assert patch({"ship_to": {"city": " "}}).json() == {"ship_to": {"city": ["Enter the city."]}}


def test_a_waiting_order_leaves_with_the_change(world: World) -> None:
    sale = world.sell()
    world.download()
    order = world.order(sale)
    change_unsent(order.pk, "pat", skus={line_of(order).pk: "OTHER"})
    world.deliver()
    order.refresh_from_db()
    assert order.status == Order.Status.AT_WAREHOUSE
    assert [line.sku for line in world.warehouse.pick_orders.get().lines.all()] == ["OTHER"]


def test_a_sent_order_is_left_alone(world: World) -> None:
    sale = world.sell()
    world.download()
    world.deliver()
    order = world.order(sale)
    with pytest.raises(TransitionRefused, match="only an unsent order"):
        change_unsent(order.pk, "pat", note="too late")


def test_an_order_on_its_way_cannot_leave_with_half_of_the_change(world: World) -> None:
    sale = world.sell()
    world.download()
    Delivery.objects.update(state=Delivery.State.SENDING)
    order = world.order(sale)
    with pytest.raises(TransitionRefused, match="being sent"):
        change_unsent(order.pk, "pat", skus={line_of(order).pk: "OTHER"})
    assert line_of(order).sku != "OTHER"


def test_nothing_is_changed_when_a_part_is_wrong(held: Order) -> None:
    with pytest.raises(EditInvalid):
        change_unsent(held.pk, "pat", note="new", skus={line_of(held).pk: " "})
    held.refresh_from_db()
    assert held.note == ""
    assert not held.events.exists()
