"""What a merchant may enter, and where the hub may go with it."""

from datetime import date
from pathlib import Path
from typing import Any

import pytest

from connectors.base import Environment
from connectors.budget import BudgetBook
from connectors.errors import ConfigurationInvalid
from connectors.functions import Function, Role
from connectors.registry import connector_class
from connectors.settings_fields import SettingErrors
from connectors.vend.connector import VendConnector
from connectors.vend.options import API_VERSIONS, ORDER_STATUSES, VendCredentials, VendOptions

GUIDE = Path(__file__).parents[3] / "docs" / "vend.md"
STORE = "https://demo.retail.lightspeed.app"


def options(**values: Any) -> VendOptions:
    return VendOptions.parse({"vend_url": STORE, **values})


def errors(**values: Any) -> dict[str, str]:
    with pytest.raises(SettingErrors) as caught:
        options(**values)
    return caught.value.errors


def test_the_names_that_others_build_on() -> None:
    assert [field.name for field in VendOptions.fields()] == [
        "vend_url",
        "outlet_name",
        "order_status",
        "earliest_order_date",
        "send_cancellations",
        "default_to_outlet_address",
        "tracking_in_note",
        "send_stock_adjustments",
        "group_stock_adjustments",
        "manual_stock_adjustments",
        "push_product_details",
        "retail_price_list",
        "retail_price_list_name",
        "supply_price_list",
        "supply_price_list_name",
        "api_version",
        "inventory_mode",
    ]
    assert [(field.name, field.secret, field.required) for field in VendCredentials.fields()] == [
        ("access_token", True, False),
        ("client_id", False, False),
        ("client_secret", True, False),
    ]
    assert connector_class("vend") is VendConnector


def test_defaults() -> None:
    assert options().as_json() == {
        "vend_url": STORE,
        "outlet_name": "Main Outlet",
        "order_status": "CLOSED",
        "earliest_order_date": None,
        "send_cancellations": False,
        "default_to_outlet_address": True,
        "tracking_in_note": False,
        "send_stock_adjustments": False,
        "group_stock_adjustments": False,
        "manual_stock_adjustments": False,
        "push_product_details": False,
        "retail_price_list": "Retail",
        "retail_price_list_name": "",
        "supply_price_list": "Retail",
        "supply_price_list_name": "",
        "api_version": "2026-07",
        "inventory_mode": "adjustments",
    }
    assert VendOptions.parse(options().as_json()) == options()
    assert options(outlet_name="   ").outlet_name == "Main Outlet"


def test_every_field_has_a_label_and_help() -> None:
    for field in (*VendOptions.fields(), *VendCredentials.fields()):
        assert field.label, field.name
        assert field.help.endswith("."), field.name


def test_the_guide_names_every_field_choice_and_step() -> None:
    guide = GUIDE.read_text(encoding="utf-8")
    for field in (*VendOptions.fields(), *VendCredentials.fields()):
        assert field.label in guide, field.label
    for _, label in ORDER_STATUSES:
        assert label in guide, label
    for version, _ in API_VERSIONS:
        assert f"`{version}`" in guide, version
    for step in (
        "Vend URL",
        "Access token",
        "Outlet",
        "Outlet address",
        "Register",
        "Taxes",
        "Payment types",
        "API version",
        "Webhooks",
    ):
        assert step in guide, step


def test_order_status_by_key_by_words_and_in_any_case() -> None:
    assert options(order_status="ALL_EXCEPT_VOIDED_SAVED").order_status == "ALL_EXCEPT_VOIDED_SAVED"
    assert options(order_status="All, Except VOIDED & SAVED").order_status == "ALL_EXCEPT_VOIDED_SAVED"
    assert options(order_status="onaccount").order_status == "ONACCOUNT"
    assert "ONACCOUNT_CLOSED" in errors(order_status="SOLD")["order_status"]


def test_values_from_forms_are_typed() -> None:
    found = options(earliest_order_date="2026-09-01", send_cancellations="Yes", default_to_outlet_address="no")
    assert (found.earliest_order_date, found.send_cancellations, found.default_to_outlet_address) == (
        date(2026, 9, 1),
        True,
        False,
    )


@pytest.mark.parametrize(
    "given",
    [
        STORE,
        f"{STORE}/",
        "demo.retail.lightspeed.app",
        "DEMO.Retail.Lightspeed.App/",
        f"{STORE}/api/2.0/sales",
        f"{STORE}/setup/outlets_and_registers",
        "http://demo.retail.lightspeed.app",
        f"  {STORE}  ",
    ],
)
def test_the_url_is_tidied(given: str) -> None:
    assert options(vend_url=given).vend_url == STORE


def test_a_url_of_the_old_domain_names_the_new_one() -> None:
    message = errors(vend_url="https://Demo.vendhq.com/api")["vend_url"]
    assert "https://demo.retail.lightspeed.app" in message
    assert "vendhq.com" in message


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ("", "Enter the Vend URL"),
        ("hello world", "not a web address"),
        ("ftp://demo.retail.lightspeed.app", "not a web address"),
        ("http://", "not a web address"),
        ("http://[::1", "not a web address"),
        ("https://demo.example:999999", "not a web address"),
        ("demo", "https://demo.retail.lightspeed.app"),
        ("https://retail.lightspeed.app", "name of your store"),
        ("https://secure.retail.lightspeed.app", "name of your store"),
        ("https://user:secret@demo.retail.lightspeed.app", "without a user name"),
    ],
)
def test_a_wrong_url_gets_a_message_on_its_field(given: str, words: str) -> None:
    assert words in errors(vend_url=given)["vend_url"]


def test_other_hosts_are_left_to_the_operator() -> None:
    assert options(vend_url="http://127.0.0.1:8101/").vend_url == "http://127.0.0.1:8101"
    assert options(vend_url="https://Proxy.example/vend/api/2.0").vend_url == "https://proxy.example/vend"


@pytest.mark.parametrize("token", ["two words", "line\nbreak", "tökén"])
def test_a_token_that_can_be_none(token: str) -> None:
    with pytest.raises(SettingErrors) as caught:
        VendCredentials.parse({"access_token": token})
    assert "access_token" in caught.value.errors


# --- hosts -----------------------------------------------------------------------------------------------------------


def connector(url: str, *extra_hosts: str) -> VendConnector:
    environment = Environment(budgets=BudgetBook(), extra_hosts=frozenset(extra_hosts))
    return VendConnector(options(vend_url=url), VendCredentials.parse({"access_token": "t"}), environment)


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1:8101",
        "https://169.254.169.254",
        "https://evil.example",
        "https://retail.lightspeed.app.evil.example",
        "https://notretail.lightspeed.app",
    ],
)
def test_a_merchant_cannot_send_the_hub_elsewhere(url: str) -> None:
    with pytest.raises(ConfigurationInvalid, match="may not talk to"):
        next(connector(url).read_orders(""))
    (step,) = connector(url).test()
    assert (step.name, step.ok) == ("Vend URL", False)
    assert "INTEGRATION_MANAGER_EXTRA_HOSTS" in step.help


def test_own_domain_and_listed_hosts_are_open() -> None:
    assert connector(STORE).client.session.base_url == f"{STORE}/api/2026-07"
    assert connector("http://127.0.0.1:8101", "127.0.0.1:8101").client.session.base_url.startswith("http://127.0.0.1")


def test_all_carts_of_a_store_share_one_budget() -> None:
    environment = Environment(budgets=BudgetBook())
    credentials = VendCredentials.parse({"access_token": "t"})
    first = VendConnector(options(outlet_name="One"), credentials, environment)
    second = VendConnector(options(outlet_name="Two"), credentials, environment)
    other = VendConnector(options(vend_url="https://other.retail.lightspeed.app"), credentials, environment)
    assert first.client.session.budget is second.client.session.budget
    assert first.client.session.budget is not other.client.session.budget


def test_functions_follow_from_the_ports() -> None:
    assert VendConnector.functions(Role.CART) == (
        Function.ORDER_DOWNLOAD,
        Function.ORDER_CANCEL_DOWNLOAD,
        Function.SHIPMENT_CONFIRMATION,
        Function.INVENTORY_SYNC,
        Function.PRODUCT_DETAIL_SYNC,
        Function.PRODUCT_PICKUP,
        Function.CUSTOMER_SYNC,
        Function.REFUND_DOWNLOAD,
        Function.STOCK_ADJUSTMENT_SYNC,
        Function.STOCK_TRANSFER_SYNC,
        Function.RECONCILIATION,
    )
    assert VendConnector.feed_of(Function.STOCK_TRANSFER_SYNC) is Function.STOCK_ADJUSTMENT_SYNC
