"""Stock documents on the screens and over REST: what they tell, and what a person can do."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.test import Client
from rest_framework.test import APIClient

from carts.models import ApiToken, Consignment, StockAdjustment, StockLevel, StockTransfer
from tests.engine.conftest import World
from tests.engine.stockroom import Stockroom, consignment


@pytest.fixture
def room(world: World) -> Stockroom:
    return Stockroom(world)


@pytest.fixture
def admin(room: Stockroom) -> Client:
    client = Client()
    client.force_login(get_user_model().objects.create_superuser("ann", "ann@example.com", "x"))
    return client


@pytest.fixture
def api(room: Stockroom) -> APIClient:
    client = APIClient()
    client.credentials(HTTP_AUTHORIZATION=f"Bearer {ApiToken.issue(room.world.merchant, name='test')[1]}")
    return client


def page(client: Client, model: str, obj: Any, more: str = "change") -> str:
    answer = client.get(f"/admin/carts/{model}/{obj.pk}/{more}/")
    assert answer.status_code == 200
    return answer.content.decode()


def test_the_ledger_shows_why_a_level_is_what_it_is(room: Stockroom, admin: Client, api: APIClient) -> None:
    room.store.order_stock(room.here, [(room.products[0], 60)], reference="CAR-25")
    room.store.return_stock(room.here, [(room.products[0], 3)], name="BACK-1")
    room.search()
    level = StockLevel.objects.get(location=room.world.location, sku=room.sku(0))
    assert "+57" in page(admin, "stocklevel", level, "ledger"), "what is on its way is named"
    room.deliver()
    text = page(admin, "stocklevel", level, "ledger")
    for words in ("CAR-25", "+60", "stock order", "BACK-1", "−3", "return to supplier", "Entered by hand", "+40"):
        assert words in text, words
    rows = api.get("/api/v1/stock-movements/", {"sku": room.sku(0).upper()}).json()["results"]
    assert [(row["cause"], row["quantity"], row["on_hand"]) for row in rows] == [
        ("adjustment", "-3", "97"),
        ("adjustment", "60", "100"),
        ("person", "40", "40"),
    ]


def test_the_list_says_what_became_of_a_consignment(room: Stockroom, admin: Client) -> None:
    """Not only what the shop says of it: a model's own field must not stand in for the column."""
    room.store.order_stock(room.here, [(room.products[0], 60)], reference="CAR-25")
    room.search()
    room.deliver()
    text = admin.get("/admin/carts/consignment/").content.decode()
    assert "To the warehouse" in text and "Passed on" in text and "Received" in text


def test_a_consignment_and_its_documents(room: Stockroom, admin: Client, api: APIClient) -> None:
    order = room.store.order_stock(room.here, [(room.products[0], 60), (room.products[1], 50)], reference="CAR-25")
    room.real_time(order)
    room.deliver()
    found = consignment(order)
    text = page(admin, "consignment", found)
    assert "Stock order CAR-25" in text and "Passed on" in text and "+60" in text
    told = api.get(f"/api/v1/consignments/{found.pk}/").json()
    assert (told["kind"], told["state"], told["status"]) == ("purchase", "received", "passed_on")
    assert [(line["sku"], line["received"]) for line in told["lines"]] == [(room.sku(0), "60"), (room.sku(1), "50")]
    assert [one["deliveries"][0]["state"] for one in told["adjustments"]] == ["done", "done"]
    assert told["transfer"] is None
    adjustment = StockAdjustment.objects.order_by("pk").first()
    assert adjustment is not None
    assert "Real time" in page(admin, "stockadjustment", adjustment) or "real time" in page(
        admin, "stockadjustment", adjustment
    )
    assert api.post(f"/api/v1/stock-adjustments/{adjustment.pk}/cancel/", {"reason": "no"}).status_code == 409


def test_a_waiting_transfer_says_what_to_do(room: Stockroom, admin: Client, api: APIClient) -> None:
    room.store.transfer_stock(room.here, room.there, [(room.products[0], 5)], name="T-1", receive=False)
    room.search()
    transfer = StockTransfer.objects.get()
    assert f"no cart for the outlet “{room.there['name']}”" in page(admin, "stocktransfer", transfer)
    assert "no cart" in page(admin, "consignment", transfer.consignment)
    told = api.get(f"/api/v1/stock-transfers/{transfer.pk}/").json()
    assert told["status"] == "waiting" and told["lines"][0]["count"] == "5" and told["steps"] == []
    assert api.post(f"/api/v1/stock-transfers/{transfer.pk}/resend/").status_code == 409


def test_a_refused_adjustment_is_cancelled_with_a_reason(room: Stockroom, admin: Client, api: APIClient) -> None:
    room.store.order_stock(room.here, [(room.products[0], 60)])
    room.search()
    adjustment = StockAdjustment.objects.get()
    answer = admin.post(f"/admin/carts/stockadjustment/{adjustment.pk}/cancel/", {"reason": "counted by hand"})
    assert answer.status_code == 302
    adjustment.refresh_from_db()
    assert adjustment.status == "cancelled" and "counted by hand" in adjustment.problem
    assert room.deliver() == 0
    found = api.post(f"/api/v1/consignments/{adjustment.consignment_id}/check/")
    assert found.status_code == 200
    room.search()
    assert StockAdjustment.objects.count() == 1
    assert Consignment.objects.get().status == "passed_on"
