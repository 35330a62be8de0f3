"""Errors: inside status 200, by status, and by no answer at all."""

from collections.abc import Callable
from typing import Any

import pytest

from connectors.errors import (
    AuthenticationFailed,
    ConfigurationInvalid,
    ConnectorError,
    ContractBroken,
    PermissionMissing,
    RateLimited,
    RecordRefused,
    RemoteUnavailable,
)
from connectors.http import CallRecord
from connectors.integration_manager.connector import IntegrationManagerWarehouse
from connectors.integration_manager.sandbox import IntegrationManagerSandbox
from connectors.integration_manager.session import REMAINING_HEADER
from connectors.redaction import mask_headers
from connectors.sandbox import Refusal
from tests.connectors.integration_manager.conftest import Connect
from tests.connectors.integration_manager.making import web_order

STOCK = "GET /v1/merchant/inventory"


def read_stock(warehouse: IntegrationManagerWarehouse) -> list[Any]:
    return [page for page in warehouse.read_levels("") if page.records]


def answering(sandbox: IntegrationManagerSandbox, body: Any, status: int = 200) -> Callable[..., Any]:
    """Lets the sandbox answer every call with this."""

    def answer(*args: Any) -> Any:
        raise Refusal(status, body)

    sandbox.authorize = answer  # type: ignore[method-assign]
    return answer


@pytest.mark.parametrize(
    ("body", "kind", "words"),
    [
        (
            {"error_code": "RateLimit", "message": "Over API Limit. Please slow down requests."},
            RateLimited,
            "waits until",
        ),
        ({"error_code": "Failure", "message": "Over API Limit"}, RateLimited, "waits until"),
        ({"error_code": "Invalid", "message": "Bad limit"}, RecordRefused, "Bad limit"),
        ({"error_code": "Failure", "status_message": "An older form"}, RecordRefused, "An older form"),
        (
            {"error_code": "Failure", "error_response": ["One thing", "and another"]},
            RecordRefused,
            "One thing; and another",
        ),
        ({"error_code": "Failure", "message": ""}, RecordRefused, "Failure"),
        ({}, RecordRefused, "no reason given"),
        ({"error_code": "Failure", "message": "Invalid API key"}, AuthenticationFailed, "Invalid API key"),
        ({"error_code": "Failure", "message": "Not authorized for this call"}, AuthenticationFailed, "Not authorized"),
        ({"error_code": "Failure", "message": "Temporary failure, try again"}, RemoteUnavailable, "try again"),
    ],
)
@pytest.mark.parametrize("no", [False, "false", 0, "0", "N"])
def test_a_failure_with_status_200(
    sandbox: IntegrationManagerSandbox,
    warehouse: IntegrationManagerWarehouse,
    body: dict[str, Any],
    kind: type[ConnectorError],
    words: str,
    no: Any,
) -> None:
    answering(sandbox, {"success_code": no, **body})
    with pytest.raises(kind, match=words) as caught:
        read_stock(warehouse)
    assert caught.value.fix


@pytest.mark.parametrize("yes", [True, "true", 1, "1", "Y"])
def test_every_form_of_success(
    sandbox: IntegrationManagerSandbox, warehouse: IntegrationManagerWarehouse, yes: Any
) -> None:
    answering(sandbox, {"success_code": yes, "response": ""})
    assert read_stock(warehouse) == []


@pytest.mark.parametrize("body", [{}, {"response": []}, [], "no", None])
def test_neither_success_nor_failure(
    sandbox: IntegrationManagerSandbox, warehouse: IntegrationManagerWarehouse, body: Any
) -> None:
    answering(sandbox, body)
    with pytest.raises(ContractBroken):
        read_stock(warehouse)


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (401, AuthenticationFailed),
        (403, PermissionMissing),
        (429, RateLimited),
        (404, RecordRefused),
        (302, ContractBroken),
    ],
)
def test_a_status_that_says_it(
    sandbox: IntegrationManagerSandbox, warehouse: IntegrationManagerWarehouse, status: int, kind: type[ConnectorError]
) -> None:
    sandbox.fail(match=STOCK, status=status)
    with pytest.raises(kind):
        read_stock(warehouse)


def test_an_error_status_with_the_usual_envelope_is_judged_by_it(
    sandbox: IntegrationManagerSandbox, warehouse: IntegrationManagerWarehouse
) -> None:
    answering(sandbox, {"success_code": False, "error_code": "Invalid", "message": "Order 7 not found"}, 404)
    with pytest.raises(RecordRefused, match="Order 7 not found"):
        warehouse.client.order("7")
    assert warehouse.find_sent("7") is None


def test_a_wrong_key_says_what_to_do(connect: Connect) -> None:
    with pytest.raises(AuthenticationFailed) as caught:
        read_stock(connect(key="another"))
    assert "API Access" in caught.value.fix


def test_reading_tries_once_more(sandbox: IntegrationManagerSandbox, warehouse: IntegrationManagerWarehouse) -> None:
    for fault in ({"status": 503}, {"status": 500}, {"fault": "answer_lost"}, {"fault": "cut_body"}):
        sandbox.fail(match=STOCK, **fault)
        assert len(read_stock(warehouse)) == 1
    sandbox.fail(match=STOCK, times=2, status=503)
    with pytest.raises(RemoteUnavailable):
        read_stock(warehouse)


@pytest.mark.parametrize("fault", ["html", "big_body"])
def test_something_else_than_data(
    sandbox: IntegrationManagerSandbox, warehouse: IntegrationManagerWarehouse, fault: str
) -> None:
    sandbox.fail(match=STOCK, fault=fault)
    with pytest.raises(ContractBroken):
        read_stock(warehouse)


def test_an_empty_bucket_stops_every_limited_call_until_it_fills(
    sandbox: IntegrationManagerSandbox, warehouse: IntegrationManagerWarehouse
) -> None:
    sandbox.bucket, sandbox.refill_seconds = 1, 0.0
    read_stock(warehouse)
    with pytest.raises(RateLimited) as caught:
        read_stock(warehouse)
    calls = len(sandbox.calls)
    with pytest.raises(RateLimited):
        list(warehouse.read_shipments(""))
    assert len(sandbox.calls) == calls, "nobody calls before the time has come"
    assert caught.value.retry_at == warehouse.client.session.budget.paused_until


def test_what_is_left_is_read_from_the_header(
    sandbox: IntegrationManagerSandbox, warehouse: IntegrationManagerWarehouse
) -> None:
    sandbox.bucket, sandbox.refill_seconds = 100, 0.0
    read_stock(warehouse)
    budget = warehouse.client.session.budget
    assert (budget.limit, budget.remaining) == (100, 99)
    warehouse.send_orders([web_order()])
    assert REMAINING_HEADER not in sandbox.calls[-1].response_headers
    assert budget.remaining == 99


def test_slow_answers_are_only_slow(sandbox: IntegrationManagerSandbox, warehouse: IntegrationManagerWarehouse) -> None:
    sandbox.fail(match=STOCK, delay=0.05)
    assert len(read_stock(warehouse)) == 1


def test_the_hub_talks_to_integration_manager_only(connect: Connect) -> None:
    with pytest.raises(ConfigurationInvalid):
        read_stock(connect(api_url="https://api.cartrover.com.example.org"))
    with pytest.raises(ConfigurationInvalid):
        read_stock(connect(api_url="http://127.0.0.1:1"))


def test_the_log_shows_no_key(warehouse: IntegrationManagerWarehouse, calls: list[CallRecord]) -> None:
    read_stock(warehouse)
    [call] = calls
    assert "sandbox" not in call.url
    assert "sandbox" not in str(mask_headers(call.request_headers))
    assert call.response_headers["X-CartRover-Process-ID"].startswith("sb")
