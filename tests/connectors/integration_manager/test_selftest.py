"""*Test*, step by step, and what the set-up form takes."""

from typing import Any

import pytest

from connectors.functions import Function, Role
from connectors.integration_manager.connector import IntegrationManagerWarehouse
from connectors.integration_manager.options import API_URL
from connectors.integration_manager.sandbox import IntegrationManagerSandbox
from connectors.records import TestStep
from connectors.settings_fields import SettingErrors
from tests.connectors.integration_manager.conftest import Connect
from tests.connectors.integration_manager.making import web_order


def steps(warehouse: IntegrationManagerWarehouse) -> dict[str, TestStep]:
    return {step.name: step for step in warehouse.test()}


def test_a_good_set_up(sandbox: IntegrationManagerSandbox, warehouse: IntegrationManagerWarehouse) -> None:
    warehouse.send_orders([web_order()])
    found = steps(warehouse)
    assert {name: step.message for name, step in found.items()} == {
        "API address": f"{sandbox.url} answers.",
        "API key": "Accepted.",
        "Orders": "1 orders wait to be sent on.",
        "Ship methods": "2 known: 28, GROUND.",
        "Stock": "3 SKUs have stock.",
    }
    assert all(step.ok for step in found.values())


def test_it_changes_nothing(sandbox: IntegrationManagerSandbox, warehouse: IntegrationManagerWarehouse) -> None:
    steps(warehouse)
    assert {call.method for call in sandbox.calls} == {"GET"}


def test_a_wrong_key(connect: Connect) -> None:
    found = steps(connect(key="another"))
    assert [(name, step.ok) for name, step in found.items()] == [("API address", True), ("API key", False)]
    assert "Carts > the API Access cart" in found["API key"].help


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        ({"fault": "html"}, "not as Integration Manager"),
        ({"status": 404}, "not as Integration Manager"),
        ({"status": 503, "times": 2}, "503"),
    ],
)
def test_an_address_that_leads_elsewhere(
    sandbox: IntegrationManagerSandbox, warehouse: IntegrationManagerWarehouse, fault: dict[str, Any], words: str
) -> None:
    sandbox.fail(**fault)
    [step] = warehouse.test()
    assert (step.name, step.ok) == ("API address", False)
    assert words in step.message and API_URL in step.help


def test_an_address_the_hub_may_not_talk_to(connect: Connect) -> None:
    [step] = connect(api_url="https://example.org").test()
    assert not step.ok and "may not talk to" in step.message


def test_a_key_that_sends_no_orders(sandbox: IntegrationManagerSandbox, warehouse: IntegrationManagerWarehouse) -> None:
    sandbox.fail(match="GET /v1/cart/orders/list/{status}", status=403)
    found = steps(warehouse)
    assert not found["Orders"].ok and "key of a cart" in found["Orders"].help
    assert found["Stock"].ok


def test_a_key_that_reads_no_stock(sandbox: IntegrationManagerSandbox, connect: Connect) -> None:
    sandbox.merchant_key = "merchant-key"
    found = steps(connect())
    assert not found["Stock"].ok and "Merchant API user" in found["Stock"].help
    assert all(step.ok for step in connect(merchant_key="merchant-key").test())


def test_a_ship_method_that_needs_a_mapping_is_named(connect: Connect) -> None:
    assert "Ship Method Mapping" in steps(connect(default_ship_method="Courier"))["Ship methods"].message
    assert "known" in steps(connect(default_ship_method="ground"))["Ship methods"].message


def test_a_wms_without_a_list_of_methods(
    sandbox: IntegrationManagerSandbox, warehouse: IntegrationManagerWarehouse
) -> None:
    sandbox.store.ship_methods.clear()
    assert "passed on as they are" in steps(warehouse)["Ship methods"].message


def test_an_empty_stock_list_is_said(
    sandbox: IntegrationManagerSandbox, warehouse: IntegrationManagerWarehouse
) -> None:
    sandbox.store.stock.clear()
    assert "No stock yet" in steps(warehouse)["Stock"].message


@pytest.mark.parametrize("wobbles", [False, True])
def test_every_habit_of_the_api(
    sandbox: IntegrationManagerSandbox, warehouse: IntegrationManagerWarehouse, wobbles: bool
) -> None:
    sandbox.wobbles = wobbles
    sandbox.store.ship_methods.pop()
    assert all(step.ok for step in warehouse.test())


class TestSettings:
    kind = IntegrationManagerWarehouse

    @pytest.mark.parametrize(
        ("given", "kept"),
        [
            ({}, API_URL),
            ({"api_url": ""}, API_URL),
            ({"api_url": "api.cartrover.com"}, API_URL),
            ({"api_url": "https://api.cartrover.com/v1/"}, API_URL),
            ({"api_url": "http://127.0.0.1:8102/"}, "http://127.0.0.1:8102"),
        ],
    )
    def test_the_address(self, given: dict[str, str], kept: str) -> None:
        assert self.kind.Options.parse(given).as_json()["api_url"] == kept

    @pytest.mark.parametrize("wrong", ["ftp://api.cartrover.com", "https://", "https://app.cartrover.com/login"])
    def test_what_is_no_address(self, wrong: str) -> None:
        with pytest.raises(SettingErrors) as caught:
            self.kind.Options.parse({"api_url": wrong})
        assert API_URL in caught.value.errors["api_url"]

    @pytest.mark.parametrize(
        ("given", "field"),
        [
            ({"api_key": "k"}, "api_user"),
            ({"api_user": "u"}, "api_key"),
            ({"api_user": "u u", "api_key": "k"}, "api_user"),
            ({"api_user": "u", "api_key": "k", "merchant_api_user": "m"}, "merchant_api_key"),
            ({"api_user": "u", "api_key": "k", "merchant_api_key": "m"}, "merchant_api_user"),
        ],
    )
    def test_what_is_missing(self, given: dict[str, str], field: str) -> None:
        with pytest.raises(SettingErrors) as caught:
            self.kind.Credentials.parse(given)
        assert list(caught.value.errors) == [field]

    def test_what_it_can_do(self) -> None:
        assert set(self.kind.functions(Role.WAREHOUSE)) == {
            Function.ORDER_SENDING,
            Function.ORDER_CANCELLATION_SENDING,
            Function.SHIPMENT_PICKUP,
            Function.INVENTORY_PICKUP,
            Function.PRODUCT_PICKUP,
        }
        assert self.kind.functions(Role.CART) == ()
