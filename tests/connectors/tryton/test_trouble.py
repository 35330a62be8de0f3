"""What goes wrong at a Tryton server, in the types that the engine knows; and Test, step by step."""

from __future__ import annotations

from typing import Any

import pytest

from connectors.base import Environment
from connectors.budget import BudgetBook
from connectors.errors import (
    AuthenticationFailed,
    ConfigurationInvalid,
    ContractBroken,
    OutcomeUnknown,
    PermissionMissing,
    RateLimited,
    RecordRefused,
    RemoteUnavailable,
)
from connectors.http import CallRecord
from connectors.records import TestStep
from connectors.settings_fields import SettingErrors
from connectors.tryton.connector import TrytonConnector
from connectors.tryton.errors import QuestionAsked, error_of
from connectors.tryton.local_company import NAME, one
from tests.connectors.tryton.conftest import Desk
from tests.local_tryton import TrytonWorld


def user(tryton: TrytonWorld, login: str, *groups: str, **values: Any) -> dict[str, str]:
    """A Tryton user, as an administrator makes one; returns its credentials."""
    company = tryton.admin.context["company"]
    known = [one(tryton.admin, "res.group", [["name", "=", name]]) for name in groups]
    base = {"companies": [["add", [company]]], "company": company, "groups": [["add", known]]}
    tryton.admin.create(
        "res.user", [{"name": login, "login": login, "password": "a-long-password-1", **base, **values}]
    )
    return {"user_name": login, "password": "a-long-password-1"}


class TestLogIn:
    def test_a_wrong_database(self, tryton: TrytonWorld) -> None:
        with pytest.raises(ConfigurationInvalid, match="There is no database “nope”"):
            tryton.connect(database="nope").find_sent("x")

    def test_a_wrong_password_is_tried_once_only_by_each_connector(self, tryton: TrytonWorld) -> None:
        connector = tryton.connect(user_name="nobody", password="wrong")
        for _ in range(3):
            with pytest.raises(AuthenticationFailed, match="does not accept the user name or the password"):
                connector.find_sent("x")
        assert tryton.door.count("POST common.db.login") == 1

    def test_too_many_wrong_passwords_are_a_rate_limit(self, tryton: TrytonWorld) -> None:
        found = set()
        for _ in range(8):
            try:
                tryton.connect(user_name="forgetful", password="wrong").find_sent("x")
            except (AuthenticationFailed, RateLimited) as error:
                found.add(error.kind)
        assert found == {"authentication", "rate_limited"}

    def test_a_session_that_tryton_forgot_is_renewed(self, tryton: TrytonWorld) -> None:
        connector = tryton.connect()
        assert connector.find_sent("x") is None
        connector.client.token = "0" * 64
        assert connector.find_sent("x") is None

    def test_neither_password_nor_session_reach_the_call_log(self, tryton: TrytonWorld) -> None:
        calls: list[CallRecord] = []
        connector = tryton.connect(call_log=calls.append)
        connector.client.token = ""
        connector.find_sent("x")
        log_in, *rest = calls
        assert b"common.db.login" in log_in.request_body
        assert log_in.response_body == b'"[masked]"'
        assert connector.client.token.encode() not in b"".join(call.response_body for call in rest)

    def test_a_server_that_nobody_allowed_is_not_called(self) -> None:
        connector = TrytonConnector(
            TrytonConnector.Options.parse({"tryton_url": "https://erp.example.com", "database": "hub"}),
            TrytonConnector.Credentials.parse({"user_name": "a", "password": "b"}),
            Environment(budgets=BudgetBook()),
        )
        with pytest.raises(ConfigurationInvalid, match=r"The hub may not talk to erp\.example\.com"):
            connector.find_sent("x")


class TestCompany:
    def test_is_found_by_name(self, tryton: TrytonWorld) -> None:
        assert tryton.connect(company=NAME.upper()).company.row.rec_name == NAME
        with pytest.raises(ConfigurationInvalid, match=f"does not work for a company “Another”. It works for: {NAME}"):
            tryton.connect(company="Another").find_sent("x")

    def test_a_user_without_one(self, tryton: TrytonWorld) -> None:
        homeless = user(tryton, "homeless", "Sales", companies=[], company=None)
        with pytest.raises(ConfigurationInvalid, match="works for no company"):
            tryton.connect(**homeless).find_sent("x")


class TestAnswers:
    def test_rights(self, tryton: TrytonWorld, desk: Desk) -> None:
        reader = tryton.connect(**user(tryton, "reader"))
        with pytest.raises(PermissionMissing, match='not allowed to access "Sale"') as caught:
            reader.find_sent("x")
        assert "Stock Force Assignment" in caught.value.fix

    def test_a_model_that_is_not_there(self, tryton: TrytonWorld) -> None:
        with pytest.raises(ConfigurationInvalid, match=r"Tryton has no lots\.of\."):
            tryton.connect().client.find("lots.of", [], ("id",), dict)

    def test_a_fault_of_tryton_s_own(self, tryton: TrytonWorld) -> None:
        client = tryton.connect().client
        with pytest.raises(ContractBroken, match=r"Tryton failed at model\.sale\.sale\.search_read"):
            client.find("sale.sale", [["no_such_field", "=", 1]], ("number",), dict)
        with pytest.raises(OutcomeUnknown, match=r"Tryton failed at model\.sale\.sale\.create"):
            client.do("sale.sale", "create", [{"no_such_field": 1}])

    def test_a_method_that_nobody_may_call(self, tryton: TrytonWorld) -> None:
        with pytest.raises(PermissionMissing):
            tryton.connect().client.do("sale.sale", "proceed", [1])

    @pytest.mark.parametrize(
        ("error", "kind", "words"),
        [
            (["UserError", ["Too short.", "Make it longer.", None]], RecordRefused, "Too short. Make it longer."),
            (["UserWarning", ["ab.no_carrier", "No carrier is set.", ""]], QuestionAsked, "No carrier is set."),
            (["ConcurrencyException", "Somebody was faster"], RemoteUnavailable, "at the same moment"),
            (["LoginException", ["password", "x"]], AuthenticationFailed, "log-in"),
            (["RateLimitException", []], RateLimited, "no more log-ins"),
            (["MissingDependenciesException", ["sale"]], ConfigurationInvalid, "cannot start its modules: sale"),
            (["'sale.sale'", ""], ConfigurationInvalid, "its module sale is not activated"),
            (["database is locked", ""], ContractBroken, "database is locked"),
            (["", ""], ContractBroken, "it does not say why"),
            ("odd", ContractBroken, "odd"),
        ],
    )
    def test_words_become_types(self, error: Any, kind: type[Exception], words: str) -> None:
        found = error_of("model.sale.sale.read", error, reads=True)
        assert type(found) is kind
        assert words in found.message


def steps(connector: TrytonConnector) -> dict[str, TestStep]:
    return {step.name: step for step in connector.test()}


class TestTest:
    def test_all_is_well(self, tryton: TrytonWorld, desk: Desk) -> None:
        desk.article()
        found = steps(tryton.connect(create_invoice=False))
        assert [step for step in found.values() if not step.ok] == []
        assert list(found) == [
            *("Tryton URL", "Database and log-in", "Company", "Modules", "Rights", "Warehouses", "Currency"),
            *("Countries", "Products", "Tracking numbers"),
        ]
        assert "Orders that name no location go to Auckland store room." in found["Warehouses"].message

    @pytest.mark.parametrize(
        ("options", "last", "words"),
        [
            ({"tryton_url": "http://127.0.0.1:9"}, "Tryton URL", "may not talk to 127.0.0.1:9"),
            ({"database": "nope"}, "Database and log-in", "no database “nope”"),
            ({"password": "wrong"}, "Database and log-in", "does not accept"),
            ({"company": "Another"}, "Company", "does not work for a company"),
        ],
    )
    def test_it_ends_where_going_on_makes_no_sense(
        self, tryton: TrytonWorld, options: dict[str, str], last: str, words: str
    ) -> None:
        *before, failed = tryton.connect(
            **{"user_name": "hub-typo", **options} if "password" in options else options
        ).test()
        assert all(step.ok for step in before)
        assert (failed.name, failed.ok) == (last, False)
        assert words in failed.message
        assert failed.help

    def test_rights_that_are_missing_are_named(self, tryton: TrytonWorld) -> None:
        seller = user(tryton, "seller", "Sales", "Party Administration")
        failed = steps(tryton.connect(**seller))["Rights"]
        assert not failed.ok
        assert "inventories" in failed.message and "sales" not in failed.message.replace("inventories", "")
        accountant = steps(tryton.connect(create_invoice=True))["Rights"]
        assert (accountant.ok, "invoices (group Accounting)" in accountant.message) == (False, True)

    def test_a_warehouse_that_is_not_there(self, tryton: TrytonWorld) -> None:
        failed = steps(tryton.connect(warehouse="Moon"))["Warehouses"]
        assert (failed.ok, failed.message) == (False, "Tryton has no warehouse Moon.")
        assert not steps(tryton.connect(currency="XXX"))["Currency"].ok

    def test_something_else_answers(self, tryton: TrytonWorld) -> None:
        tryton.door.fail(fault="html")
        [step] = tryton.connect().test()
        assert (step.ok, "not as a Tryton server" in step.message) == (False, True)
        tryton.door.fail(status=404)
        [step] = tryton.connect().test()
        assert (step.ok, "not as a Tryton server" in step.message) == (False, True)


class TestOptions:
    def parse(self, **values: Any) -> Any:
        return TrytonConnector.Options.parse({"tryton_url": "https://erp.example.com/", "database": "hub", **values})

    def test_are_tidied(self) -> None:
        options = self.parse(currency="nzd", order_status="quotation")
        assert (options.tryton_url, options.currency, options.order_status) == (
            "https://erp.example.com",
            "NZD",
            "quotation",
        )
        assert self.parse(shipping_label="-").shipping_line == ""
        assert self.parse().shipping_line == "Shipping Cost"

    @pytest.mark.parametrize(
        ("values", "field", "words"),
        [
            ({"tryton_url": "erp.example.com"}, "tryton_url", "the whole address"),
            ({"tryton_url": "https://me:secret@erp.example.com"}, "tryton_url", "without a user name"),
            ({"tryton_url": "https://[erp"}, "tryton_url", "the whole address"),
            ({"create_invoice": True, "order_status": "draft"}, "create_invoice", "needs the order status Confirmed"),
            ({"pack_orders": True, "order_status": "quotation"}, "pack_orders", "needs the order status Confirmed"),
            ({"dynamic_tax": True, "tax_treatment": "exclusive"}, "dynamic_tax", "Tryton's own taxes"),
            ({"database": ""}, "database", "Enter the Database."),
        ],
    )
    def test_wrong_ones_are_explained(self, values: dict[str, Any], field: str, words: str) -> None:
        with pytest.raises(SettingErrors) as caught:
            self.parse(**values)
        assert words in caught.value.errors[field]
