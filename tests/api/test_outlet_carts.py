"""Carts for the other outlets of a store over REST."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from rest_framework.test import APIClient

from carts.models import Cart, Connection
from connectors.vend.sandbox import VendSandbox
from tests.api.worlds import World
from tests.factories import make_location


@pytest.fixture
def sandbox(db: None, settings: Any) -> Iterator[VendSandbox]:
    with VendSandbox(outlets=3, sales=0, products=1, customers=1, rate_limit=100_000) as sandbox:
        settings.EXTRA_HOSTS = frozenset({sandbox.host})
        yield sandbox


@pytest.fixture
def path(sandbox: VendSandbox, world: World) -> str:
    cart = world[Cart]
    options = {"vend_url": sandbox.url, "outlet_name": sandbox.store.outlets[0]["name"]}
    Connection.objects.filter(pk=cart.pk).update(options=options, credentials={"access_token": sandbox.token})
    cart.outlets.all().delete()
    return f"/api/v1/carts/{cart.pk}/outlets/"


def test_look_choose_and_add(client: APIClient, path: str, sandbox: VendSandbox, world: World) -> None:
    assert client.get(path).json() == {"outlets": []}, "nobody has looked yet"
    assert client.post(path, {"outlets": []}).json() == {"carts": []}
    outlets = client.get(path).json()["outlets"]
    assert [bool(outlet["carts"]) for outlet in outlets].count(True) == 1
    free = [outlet for outlet in outlets if not outlet["carts"]]
    assert [outlet["suggested_name"] for outlet in free] == [outlet["name"] for outlet in free]
    location = make_location(world[Cart].warehouse)
    chosen = {"external_id": free[0]["external_id"], "name": "Mine", "location": location.pk}
    answer = client.post(path, {"outlets": [chosen], "test": True})
    assert answer.status_code == 201, answer.json()
    [made] = answer.json()["carts"]
    assert made["name"] == "Mine" and made["test_ok"] is True and made["test_steps"]
    shown = client.get(f"/api/v1/carts/{made['id']}/").json()
    assert (shown["is_active"], shown["location"], shown["options"]["outlet_name"]) == (
        False,
        location.pk,
        free[0]["name"],
    )


def test_left_out_all_that_have_none_and_again_nobody(client: APIClient, path: str) -> None:
    answer = client.post(path, {})
    assert [cart["test_ok"] for cart in answer.json()["carts"]] == [None, None]
    assert client.post(path, {}).json() == {"carts": []}


def test_a_token_of_its_own(client: APIClient, path: str, sandbox: VendSandbox) -> None:
    outlet = sandbox.store.outlets[1]["id"]
    row = {"external_id": outlet, "credentials": {"access_token": "own"}}
    answer = client.post(path, {"outlets": [row], "test": True})
    [made] = answer.json()["carts"]
    assert made["test_ok"] is False
    assert Cart.objects.get(pk=made["id"]).read_credentials()["access_token"] == "own"
    assert "own" not in [value for step in made["test_steps"] for value in step.values()]


@pytest.mark.parametrize(
    ("row", "field", "text"),
    [
        ({"external_id": "nowhere"}, "outlet", "no such outlet"),
        ({"external_id": "{first}"}, "outlet", "has a cart already"),
        ({"external_id": "{second}", "name": "{cart}"}, "name", "another cart named"),
        ({"external_id": "{second}", "credentials": {"client_id": "x"}}, "credentials", "access_token"),
    ],
)
def test_refused(
    client: APIClient, path: str, sandbox: VendSandbox, world: World, row: dict[str, Any], field: str, text: str
) -> None:
    first, second = (outlet["id"] for outlet in sandbox.store.outlets[:2])
    names = {"first": first, "second": second, "cart": world[Cart].name}
    row = {name: value.format(**names) if isinstance(value, str) else value for name, value in row.items()}
    before = Cart.objects.count()
    answer = client.post(path, {"outlets": [row]})
    assert answer.status_code == 400
    assert text in answer.json()["outlets"][row["external_id"]][field][0]
    assert Cart.objects.count() == before


def test_named_twice(client: APIClient, path: str, sandbox: VendSandbox) -> None:
    row = {"external_id": sandbox.store.outlets[1]["id"]}
    assert "named twice" in str(client.post(path, {"outlets": [row, row]}).json())


def test_a_location_of_another_merchant_does_not_exist(
    client: APIClient, path: str, sandbox: VendSandbox, foreign_world: World
) -> None:
    location = make_location(foreign_world[Cart].warehouse)
    row = {"external_id": sandbox.store.outlets[1]["id"], "location": location.pk}
    assert "does not exist" in str(client.post(path, {"outlets": [row]}).json())


def test_the_shop_is_away(client: APIClient, path: str, sandbox: VendSandbox) -> None:
    sandbox.stop()
    answer = client.post(path, {})
    assert answer.status_code == 409
    assert "Nothing was added" in answer.json()["detail"]


def test_who(reader: APIClient, foreigner: APIClient, path: str) -> None:
    assert reader.get(path).status_code == 200
    assert reader.post(path, {}).status_code == 403
    assert foreigner.get(path).status_code == 404
    assert foreigner.post(path, {}).status_code == 404
