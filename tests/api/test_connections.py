"""Setting up carts and warehouses over REST."""

from __future__ import annotations

from typing import Any

import pytest
from rest_framework.test import APIClient

from carts.models import Cart, Connection, FunctionSetting, Merchant, StockLevel, Warehouse
from carts.setup import default_functions
from tests.api.worlds import VEND_OPTIONS, World
from tests.factories import make_builtin_warehouse, make_location, make_merchant

CARTS = "/api/v1/carts/"
WAREHOUSES = "/api/v1/warehouses/"
VEND = {
    "name": "Queen Street",
    "connector": "vend",
    "credentials": {"access_token": "lsxs_pt_secret"},
    "options": {"vend_url": "https://queen.retail.lightspeed.app", "outlet_name": "Queen Street"},
}


def test_the_connectors_say_what_must_be_entered(client: APIClient) -> None:
    by_key = {row["key"]: row for row in client.get("/api/v1/connectors/").json()["results"]}
    vend = by_key["vend"]

    assert vend["roles"] == ["cart"]
    assert {"order_download", "inventory_sync"} <= {function["key"] for function in vend["functions"]["cart"]}
    assert all(function["label"] and function["help"] for function in vend["functions"]["cart"])
    token = next(field for field in vend["credentials"] if field["name"] == "access_token")
    assert token["secret"] and token["label"] == "Access Token"
    status = next(field for field in vend["options"] if field["name"] == "order_status")
    assert status["default"] == "CLOSED"
    assert {"value": "LAYBY", "label": "LAYBY"} in status["choices"]
    assert list(by_key["builtin"]["functions"]) == ["warehouse"]
    assert client.get("/api/v1/connectors/vend/").json() == vend
    assert client.get("/api/v1/connectors/nothing/").status_code == 404


def test_from_nothing_to_a_cart_that_syncs(client: APIClient, merchant: Merchant) -> None:
    warehouse = client.post(WAREHOUSES, {"name": "Main", "connector": "builtin"})
    assert warehouse.status_code == 201, warehouse.json()
    answer = client.post(CARTS, {**VEND, "warehouse": warehouse.json()["id"]})
    assert answer.status_code == 201, answer.json()
    shown = answer.json()
    cart = Cart.objects.get(pk=shown["id"])

    assert cart.merchant == merchant
    assert shown["merchant"] == merchant.slug
    assert shown["is_active"] is True
    assert shown["uuid"] == str(cart.uuid)
    assert shown["functions"] == [function.value for function in default_functions(cart)] != []
    assert shown["options"]["order_status"] == "CLOSED"
    assert shown["webhook_url"].startswith(f"http://testserver/webhooks/{cart.uuid}/")
    assert shown["next_run_at"] is not None
    assert {row["function"] for row in shown["schedules"]} == set(shown["functions"])
    assert cart.read_credentials()["access_token"] == "lsxs_pt_secret"
    assert Warehouse.objects.get().default_location() is not None


def test_credentials_are_never_shown(client: APIClient, world: World) -> None:
    created = client.post(CARTS, VEND)
    for answer in (created, client.get(CARTS), client.get(f"{CARTS}{created.json()['id']}/")):
        assert b"lsxs_pt_secret" not in answer.content
        assert b"credentials" not in answer.content


def test_the_webhook_url_is_for_those_who_may_write(reader: APIClient, client: APIClient, world: World) -> None:
    url = f"{CARTS}{world[Cart].pk}/"

    assert reader.get(url).json()["webhook_url"] is None
    assert world[Cart].webhook_secret in client.get(url).json()["webhook_url"]


@pytest.mark.parametrize(
    "change, errors",
    [
        ({"options": {}}, {"options": {"vend_url": ["Enter the Vend URL."]}}),
        ({"credentials": {}}, {"credentials": {"access_token": ["Enter the Access Token."]}}),
        (
            {"options": {**VEND["options"], "color": "red"}},
            {"options": {"color": ["This system has no such setting."]}},
        ),
        ({"options": ["vend_url"]}, {"options": ["Give an object with one value for each setting."]}),
        (
            {"options": {"vend_url": ["https://queen.retail.lightspeed.app"]}},
            {"options": {"vend_url": ["Give a text, a number, true or false."]}},
        ),
        (
            {"options": {"vend_url": "a\x00b"}},
            {"options": {"vend_url": ["This text holds characters that cannot be stored."]}},
        ),
        ({"name": ""}, {"name": ["This field may not be blank."]}),
        ({"connector": "builtin"}, {"connector": ["Choose one of: vend."]}),
        ({"connector": "shopify"}, {"connector": ["Choose one of: vend."]}),
        ({"warehouse": 0}, {"warehouse": ['Invalid pk "0" - object does not exist.']}),
        ({"warehouse": 1e400}, None),
    ],
)
def test_errors_name_their_field(client: APIClient, change: dict[str, Any], errors: dict[str, Any] | None) -> None:
    if errors is None:
        raw = '{"name": "x", "connector": "vend", "warehouse": 1e400}'
        answer = client.generic("POST", CARTS, raw, content_type="application/json")
        assert set(answer.json()) == {"warehouse"}
    else:
        answer = client.post(CARTS, {**VEND, **change})
        assert answer.json() == errors
    assert answer.status_code == 400
    assert not Connection.objects.exists()


def test_a_wrong_url_is_answered_with_what_to_do(client: APIClient) -> None:
    answer = client.post(CARTS, {**VEND, "options": {"vend_url": "https://queen.vendhq.com"}})

    assert answer.status_code == 400
    (message,) = answer.json()["options"]["vend_url"]
    assert "https://queen.retail.lightspeed.app" in message


def test_functions_and_intervals_can_be_chosen(client: APIClient, world: World) -> None:
    answer = client.post(
        CARTS,
        {
            **VEND,
            "warehouse": world[Warehouse].pk,
            "functions": ["inventory_sync", "order_download"],
            "intervals": {"order_download": 2},
        },
    )

    assert answer.status_code == 201, answer.json()
    assert answer.json()["functions"] == ["order_download", "inventory_sync"]
    assert answer.json()["intervals"]["order_download"] == 2
    assert answer.json()["intervals"]["inventory_sync"] == 15


@pytest.mark.parametrize(
    "change, field",
    [
        ({"functions": ["order_sending"]}, "functions"),
        ({"functions": ["fly"]}, "functions"),
        ({"functions": "order_download"}, "functions"),
        ({"intervals": {"fly": 5}}, "intervals"),
        ({"intervals": {"order_download": 0}}, "intervals"),
        ({"intervals": {"order_download": -1}}, "intervals"),
        ({"intervals": {"order_download": 10**12}}, "intervals"),
        ({"intervals": {"order_download": "often"}}, "intervals"),
    ],
)
def test_wrong_functions_and_intervals_are_refused(client: APIClient, change: dict[str, Any], field: str) -> None:
    answer = client.post(CARTS, {**VEND, **change})

    assert answer.status_code == 400
    assert set(answer.json()) == {field}
    assert not Connection.objects.exists()


def test_a_change_keeps_what_is_not_given(client: APIClient, world: World) -> None:
    cart = world[Cart]
    before = client.get(f"{CARTS}{cart.pk}/").json()

    answer = client.patch(f"{CARTS}{cart.pk}/", {"options": {"outlet_name": "Second"}})

    assert answer.status_code == 200, answer.json()
    cart.refresh_from_db()
    assert cart.options["outlet_name"] == "Second"
    assert cart.options["vend_url"] == VEND_OPTIONS["vend_url"]
    assert cart.read_credentials()["access_token"] == "lsxs_pt_secret"
    assert answer.json()["functions"] == before["functions"]


def test_a_new_token_replaces_the_old_one_and_asks_for_a_new_test(client: APIClient, world: World) -> None:
    cart = world[Cart]
    Cart.objects.update(test_ok=True, tested_at=cart.created_at)

    answer = client.patch(f"{CARTS}{cart.pk}/", {"credentials": {"access_token": "lsxs_pt_new"}})

    cart.refresh_from_db()
    assert cart.read_credentials()["access_token"] == "lsxs_pt_new"
    assert answer.json()["test_ok"] is None


def test_functions_of_a_cart_can_be_changed(client: APIClient, world: World) -> None:
    url = f"{CARTS}{world[Cart].pk}/"

    assert client.patch(url, {"functions": ["order_download"]}).json()["functions"] == ["order_download"]
    answer = client.patch(url, {"intervals": {"order_download": 7}}).json()
    assert (answer["functions"], answer["intervals"]["order_download"]) == (["order_download"], 7)
    assert client.patch(url, {"functions": []}).json()["functions"] == []


def test_a_cart_can_be_switched_off_whatever_its_stored_settings_are(client: APIClient, world: World) -> None:
    Connection.objects.filter(pk=world[Cart].pk).update(credentials="unreadable", options={})

    answer = client.patch(f"{CARTS}{world[Cart].pk}/", {"is_active": False})

    assert answer.status_code == 200
    assert (answer.json()["is_active"], answer.json()["health"]) == (False, "off")


def test_unreadable_credentials_must_be_entered_again(client: APIClient, world: World) -> None:
    Connection.objects.filter(pk=world[Cart].pk).update(credentials="unreadable")

    answer = client.patch(f"{CARTS}{world[Cart].pk}/", {"options": {"outlet_name": "Second"}})

    assert (answer.status_code, answer.json()) == (400, {"credentials": {"access_token": ["Enter the Access Token."]}})


def test_a_connection_stays_with_its_system_and_merchant(support: APIClient, world: World) -> None:
    other = make_merchant()
    url = f"{CARTS}{world[Cart].pk}/"

    assert set(support.patch(url, {"connector": "builtin"}).json()) == {"connector"}
    assert set(support.patch(url, {"merchant": other.slug}).json()) == {"merchant"}


def test_names_are_unique_per_merchant(client: APIClient, foreigner: APIClient, world: World) -> None:
    named = {**VEND, "name": world[Cart].name}

    assert client.post(CARTS, named).json() == {"name": ["There is another cart with this name."]}
    assert foreigner.post(CARTS, named).status_code == 201
    assert client.patch(f"{CARTS}{world[Cart].pk}/", {"name": world[Cart].name}).status_code == 200


def test_what_belongs_to_others_does_not_exist(client: APIClient, world: World, foreign_world: World) -> None:
    theirs = foreign_world[Warehouse]

    warehouse = client.post(CARTS, {**VEND, "warehouse": theirs.pk})
    assert (warehouse.status_code, warehouse.json()) == (
        400,
        {"warehouse": [f'Invalid pk "{theirs.pk}" - object does not exist.']},
    )
    location = client.patch(f"{CARTS}{world[Cart].pk}/", {"location": theirs.locations.get().pk})
    assert set(location.json()) == {"location"}
    assert "does not exist" in location.json()["location"][0]
    merchant = client.post(CARTS, {**VEND, "merchant": foreign_world.merchant.slug})
    assert (merchant.status_code, set(merchant.json())) == (400, {"merchant"})


def test_a_location_must_be_in_the_carts_warehouse(client: APIClient, merchant: Merchant, world: World) -> None:
    elsewhere = make_location(make_builtin_warehouse(merchant))
    url = f"{CARTS}{world[Cart].pk}/"

    assert set(client.patch(url, {"location": elsewhere.pk}).json()) == {"location"}
    assert client.patch(url, {"warehouse": elsewhere.warehouse_id, "location": elsewhere.pk}).status_code == 200


def test_support_says_which_merchant_is_meant(support: APIClient, world: World, foreign_world: World) -> None:
    assert set(support.post(CARTS, VEND).json()) == {"merchant"}
    answer = support.post(CARTS, {**VEND, "merchant": world.merchant.slug})
    assert answer.status_code == 201
    assert Cart.objects.get(pk=answer.json()["id"]).merchant == world.merchant


def test_testing_a_cart_reports_every_step(client: APIClient, world: World) -> None:
    answer = client.post(f"{CARTS}{world[Cart].pk}/test/")

    assert answer.status_code == 200
    report = answer.json()
    assert report["ok"] is False
    assert all(set(step) == {"name", "ok", "message", "help"} for step in report["steps"])
    assert any("127.0.0.1:1" in step["message"] for step in report["steps"])
    shown = client.get(f"{CARTS}{world[Cart].pk}/").json()
    assert (shown["test_ok"], shown["test_steps"]) == (False, report["steps"])


def test_testing_the_builtin_warehouse(client: APIClient, world: World) -> None:
    assert client.post(f"{WAREHOUSES}{world[Warehouse].pk}/test/").json()["ok"] is True


def test_a_cart_with_orders_is_not_deleted(client: APIClient, world: World) -> None:
    answer = client.delete(f"{CARTS}{world[Cart].pk}/")

    assert answer.status_code == 409
    assert "Switch it off" in answer.json()["detail"]


def test_a_warehouse_in_use_is_not_deleted(client: APIClient, world: World) -> None:
    assert client.delete(f"{WAREHOUSES}{world[Warehouse].pk}/").status_code == 409
    assert StockLevel.objects.filter(location__warehouse=world[Warehouse].pk).exists()


def test_what_is_not_used_can_be_deleted(client: APIClient, merchant: Merchant) -> None:
    warehouse = make_builtin_warehouse(merchant)
    cart = client.post(CARTS, {**VEND, "warehouse": warehouse.pk}).json()

    assert client.delete(f"{CARTS}{cart['id']}/").status_code == 204
    assert client.delete(f"{WAREHOUSES}{warehouse.pk}/").status_code == 204
    assert not Connection.objects.exists()
    assert not FunctionSetting.objects.exists()


def test_carts_can_be_filtered(client: APIClient, world: World) -> None:
    second = client.post(CARTS, {**VEND, "is_active": False}).json()["id"]

    def ids(query: str) -> list[int]:
        return [row["id"] for row in client.get(f"{CARTS}?{query}").json()["results"]]

    assert ids("is_active=false") == [second]
    assert ids(f"warehouse={world[Warehouse].pk}") == [world[Cart].pk]
    assert ids("name=Queen Street") == [second]
    assert ids(f"warehouse={10**15}") == []
    assert client.get(f"{CARTS}?warehouse=main").status_code == 400


def test_locations(client: APIClient, world: World, foreign_world: World) -> None:
    places = "/api/v1/locations/"
    warehouse = world[Warehouse]
    old = warehouse.default_location()

    made = client.post(places, {"warehouse": warehouse.pk, "name": "Back room", "is_default": True})
    assert made.status_code == 201, made.json()
    assert warehouse.default_location().pk == made.json()["id"]
    assert client.get(f"{places}{old.pk}/").json()["is_default"] is False
    assert client.get(f"{places}?warehouse={warehouse.pk}&is_default=true").json()["count"] == 1

    assert client.post(places, {"warehouse": warehouse.pk, "name": "Back room"}).json() == {
        "name": ["The warehouse has another location with this name."]
    }
    theirs = client.post(places, {"warehouse": foreign_world[Warehouse].pk, "name": "Mine now"})
    assert "does not exist" in theirs.json()["warehouse"][0]

    back_room = f"{places}{made.json()['id']}/"
    assert client.delete(back_room).status_code == 409  # the default one
    assert client.patch(f"{places}{old.pk}/", {"is_default": True}).status_code == 200
    assert client.delete(back_room).status_code == 204
    spare = make_location(warehouse)
    assert client.delete(f"{places}{old.pk}/").status_code == 409  # the default one, with orders
    assert client.patch(f"{places}{spare.pk}/", {"is_default": True}).status_code == 200
    assert client.delete(f"{places}{old.pk}/").status_code == 409  # orders were sent from there
