"""The steps of Test: what each says when it fails, and what to do."""

from datetime import date
from typing import Any

import pytest

from connectors.base import Environment
from connectors.budget import BudgetBook
from connectors.records import TestStep
from connectors.vend.connector import VendConnector
from connectors.vend.options import VendCredentials, VendOptions
from connectors.vend.sandbox import VendSandbox
from connectors.vend.selftest import lifetime
from tests.connectors.vend.conftest import Connect

ALL_STEPS = [
    "Vend URL",
    "Access token",
    "Outlet",
    "Outlet address",
    "Register",
    "Taxes",
    "Payment types",
    "API version",
]


def run(connector: VendConnector) -> dict[str, TestStep]:
    steps = list(connector.test())
    for step in steps:
        assert step.message
        assert step.ok or step.help, step
    return {step.name: step for step in steps}


def outcome(steps: dict[str, TestStep]) -> list[tuple[str, bool]]:
    return [(name, step.ok) for name, step in steps.items()]


def test_everything_in_order(sandbox: VendSandbox, connect: Connect) -> None:
    steps = run(connect())
    assert outcome(steps) == [(name, True) for name in ALL_STEPS]
    assert sandbox.store.retailer["name"] in steps["Access token"].message
    assert sandbox.store.outlets[0]["name"] in steps["Outlet"].message
    assert sandbox.store.outlets[0]["physical_address_1"] in steps["Outlet address"].message
    assert "Main Register" in steps["Register"].message
    assert steps["Payment types"].message == f"{len(sandbox.store.payment_type_feed)} found."


def test_wrong_token(sandbox: VendSandbox, connect: Connect) -> None:
    steps = run(connect(token="wrong"))
    assert outcome(steps) == [("Vend URL", True), ("Access token", False)]
    assert "Personal Tokens" in steps["Access token"].help


def test_token_without_permission(sandbox: VendSandbox, connect: Connect) -> None:
    sandbox.fail(match="GET /retailer", status=403)
    steps = run(connect())
    assert outcome(steps) == [("Vend URL", True), ("Access token", False)]
    assert "permission" in steps["Access token"].help


@pytest.mark.parametrize(
    "fault",
    [{"fault": "html"}, {"status": 302}, {"status": 404}, {"fault": "big_body"}, {"fault": "cut_body"}],
)
def test_url_of_something_else(sandbox: VendSandbox, connect: Connect, fault: dict[str, Any]) -> None:
    sandbox.fail(match="GET /retailer", times=None, **fault)
    steps = run(connect())
    assert outcome(steps) == [("Vend URL", False)]
    assert sandbox.url in steps["Vend URL"].message or sandbox.host in steps["Vend URL"].message
    assert "retail.lightspeed.app" in steps["Vend URL"].help


def test_a_web_page_is_named_as_such(sandbox: VendSandbox, connect: Connect) -> None:
    sandbox.fail(match="GET /retailer", times=None, fault="html")
    assert "web page" in run(connect())["Vend URL"].message


def test_data_of_another_system(sandbox: VendSandbox, connect: Connect) -> None:
    for name in ("id", "name", "domain_prefix"):
        sandbox.store.retailer[name] = None
    assert outcome(run(connect())) == [("Vend URL", False)]


def test_nobody_at_the_address(sandbox: VendSandbox, connect: Connect) -> None:
    connector = connect()
    sandbox.stop()
    steps = run(connector)
    assert outcome(steps) == [("Vend URL", False)]
    assert "cannot be reached" in steps["Vend URL"].message


def test_a_host_that_does_not_exist() -> None:
    environment = Environment(budgets=BudgetBook(), extra_hosts=frozenset({"nowhere.invalid:443"}))
    options = VendOptions.parse({"vend_url": "https://nowhere.invalid"})
    connector = VendConnector(options, VendCredentials.parse({"access_token": "t"}), environment)
    assert outcome(run(connector)) == [("Vend URL", False)]


def test_too_many_requests(sandbox: VendSandbox, connect: Connect) -> None:
    sandbox.fail(match="GET /retailer", status=429)
    steps = run(connect())
    assert outcome(steps) == [("Vend URL", True), ("Access token", False)]
    assert "wait" in steps["Access token"].message


def test_a_wrong_outlet_leaves_out_what_depends_on_it(sandbox: VendSandbox, connect: Connect) -> None:
    steps = run(connect(outlet_name="Moon Shop"))
    assert outcome(steps) == [
        ("Vend URL", True),
        ("Access token", True),
        ("Outlet", False),
        ("Taxes", True),
        ("Payment types", True),
        ("API version", True),
    ]
    assert sandbox.store.outlets[0]["name"] in steps["Outlet"].message
    assert "Outlet Name" in steps["Outlet"].help


def test_an_outlet_without_address(sandbox: VendSandbox, connect: Connect) -> None:
    sandbox.store.add_outlet("Bare Outlet", address=False)
    steps = run(connect(outlet_name="Bare Outlet"))
    assert outcome(steps) == [(name, name != "Outlet address") for name in ALL_STEPS]
    assert "missing an address" in steps["Outlet address"].message
    assert "Setup > Outlets and Registers" in steps["Outlet address"].help
    assert outcome(run(connect(outlet_name="Bare Outlet", default_to_outlet_address=False))) == [
        (name, True) for name in ALL_STEPS
    ]


def test_an_outlet_without_register(sandbox: VendSandbox, connect: Connect) -> None:
    sandbox.store.remove_registers(sandbox.store.outlets[0])
    steps = run(connect())
    assert outcome(steps) == [(name, name != "Register") for name in ALL_STEPS]
    assert "no register" in steps["Register"].message
    assert "add a register" in steps["Register"].help


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("/outlets", "Outlet"),
        ("/registers", "Register"),
        ("/taxes", "Taxes"),
        ("/payment_types", "Payment types"),
        ("/sales", "API version"),
    ],
)
@pytest.mark.parametrize("fault", [{"status": 500}, {"status": 403}, {"fault": "html"}, {"fault": "never_received"}])
def test_trouble_at_any_step_fails_that_step(
    sandbox: VendSandbox, connect: Connect, path: str, name: str, fault: dict[str, Any]
) -> None:
    sandbox.fail(match=f"GET {path}", times=None, **fault)
    steps = run(connect())
    assert [step for step, ok in outcome(steps) if not ok] == [name]


# --- the API version -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("version", ["2026-01", "2026-04", "2026-07", "2026-10"])
def test_a_dated_version_that_is_answered_as_asked(sandbox: VendSandbox, connect: Connect, version: str) -> None:
    sandbox.store.add_sale(lines=[(sandbox.store.products[0], 1)])
    step = run(connect(api_version=version))["API version"]
    assert step.ok
    assert version in step.message


def test_a_store_without_sales_has_no_version_to_complain_about(sandbox: VendSandbox, connect: Connect) -> None:
    sandbox.retired_versions["2026-01"] = "2.0"
    assert run(connect(api_version="2026-01"))["API version"].ok


def test_a_version_past_its_end_is_reported(sandbox: VendSandbox, connect: Connect) -> None:
    sandbox.store.add_sale(lines=[(sandbox.store.products[0], 1)])
    sandbox.retired_versions["2026-01"] = "2.0"
    steps = run(connect(api_version="2026-01"))
    assert outcome(steps) == [(name, name != "API version") for name in ALL_STEPS]
    assert "2026-01" in steps["API version"].message
    assert "older form" in steps["API version"].message
    assert "2026-07" in steps["API version"].help


def test_api_2_0_says_how_stock_is_written(sandbox: VendSandbox, connect: Connect) -> None:
    sandbox.store.add_sale(lines=[(sandbox.store.products[0], 1)])
    steps = run(connect(api_version="2.0"))
    assert outcome(steps) == [(name, True) for name in ALL_STEPS]
    assert "exact levels" in steps["API version"].message
    assert {call.family for call in sandbox.calls} == {"2.0"}


def test_how_long_a_version_lives() -> None:
    assert lifetime("2026-07", date(2027, 6, 30)) == "Vend keeps it until July 2027 at least."
    assert "choose a newer one" in lifetime("2026-07", date(2027, 7, 1))
