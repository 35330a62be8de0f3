"""The sandbox's own manners, where no connector shows them, and ``manage.py sandbox integration_manager``."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

from connectors.integration_manager.sandbox import IntegrationManagerSandbox

ROOT = Path(__file__).parents[3]
ORDER: dict[str, Any] = {
    "cust_ref": "A",
    "cust_last_name": "Byron",
    "ship_last_name": "Byron",
    "ship_address_1": "1 Main St",
    "ship_city": "Reno",
    "ship_state": "NV",
    "ship_zip": "89501",
    "ship_country": "USA",
    "sub_total": 20,
    "grand_total": 20,
    "items": [{"item": "SKU-0001", "quantity": "2", "price": 10, "extended_amount": "20.00"}],
}


def call(sandbox: IntegrationManagerSandbox, method: str, path: str, **more: Any) -> Any:
    more = {"auth": (sandbox.user, sandbox.token), **more}
    answer = requests.request(method, f"{sandbox.url}{path}", timeout=10, **more)
    assert answer.headers["X-CartRover-Process-ID"]
    return answer.json()


def test_access_in_the_address_is_the_older_form(sandbox: IntegrationManagerSandbox) -> None:
    path = f"/v1/wms/shipmethod/list?api_user={sandbox.user}&api_key={sandbox.token}"
    assert call(sandbox, "GET", path, auth=None)["success_code"] is True
    assert call(sandbox, "GET", "/v1/wms/shipmethod/list", auth=None)["success_code"] is False
    assert call(sandbox, "GET", "/v1/wms/shipmethod/list", auth=("a", "b"))["error_code"] == "Failure"


def test_one_order_may_come_in_a_list(sandbox: IntegrationManagerSandbox) -> None:
    answer = call(sandbox, "POST", "/v1/cart/orders/cartrover", json=[ORDER])
    assert answer == {"success_code": True, "cust_ref": "A", "order_number": "A"}
    again = call(sandbox, "POST", "/v1/cart/orders/cartrover", json=ORDER)
    assert again == {"success_code": False, "error_code": "Failure", "message": "OrderDuplicate"}


def test_a_batch_tells_each_one_apart(sandbox: IntegrationManagerSandbox) -> None:
    bodies = [ORDER, ORDER, {**ORDER, "cust_ref": None}, 7]
    answer = call(sandbox, "POST", "/v1/cart/orders/batch", json=bodies)
    assert answer["success_code"] is True
    assert answer["response"]["success"] == [{"cust_ref": "A", "cust_po_no": "A"}]
    assert answer["response"]["failed"] == [
        {"cust_ref": "A", "cust_po_no": None, "message": "OrderDuplicate"},
        {"cust_ref": None, "cust_po_no": None, "index_pos": 2, "message": "Order missing required field(s): cust_ref"},
        {"cust_ref": None, "cust_po_no": None, "index_pos": 3, "message": "Order is not an object"},
    ]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"sub_total": 19}, "sub_total"),
        ({"grand_total": 19}, "grand_total"),
        ({"sales_tax": 1}, "grand_total"),
        ({"items": [{**ORDER["items"][0], "extended_amount": 15}]}, "extended_amount"),
        ({"items": [{**ORDER["items"][0], "tax": 1}]}, "sales_tax"),
        ({"items": [{"item": "", "quantity": 1}]}, "item, quantity"),
        ({"items": []}, "items"),
        ({"ship_zip": ""}, "ship_zip"),
        ({"ship_last_name": None}, "ship_company"),
        ({"cust_last_name": None}, "cust_company"),
    ],
)
def test_the_price_rules_and_the_required_fields(
    sandbox: IntegrationManagerSandbox, change: dict[str, Any], words: str
) -> None:
    answer = call(sandbox, "POST", "/v1/cart/orders/cartrover", json={**ORDER, **change})
    assert answer["error_code"] == "Invalid" and words in answer["message"]


def test_a_number_that_a_wms_may_not_take_is_shortened(sandbox: IntegrationManagerSandbox) -> None:
    long = "Order 1/2 " + "x" * 50
    answer = call(sandbox, "POST", "/v1/cart/orders/cartrover", json={**ORDER, "cust_ref": long})
    assert answer["cust_ref"] == ("Order12" + "x" * 50)[:40]
    stored = call(sandbox, "GET", f"/v1/cart/orders/{answer['cust_ref']}")["response"]
    assert (stored["cust_ref_original"], stored["cust_po_no"]) == (long, long)


def test_money_comes_back_as_text(sandbox: IntegrationManagerSandbox) -> None:
    call(sandbox, "POST", "/v1/cart/orders/cartrover", json=ORDER)
    order = call(sandbox, "GET", "/v1/cart/orders/A")["response"]
    assert (order["grand_total"], order["items"][0]["price"], order["items"][0]["quantity"]) == (
        "20.00",
        "10.0000",
        "2",
    )
    assert "extra_fields" not in order


def test_numbers_of_one_sku_come_as_text(sandbox: IntegrationManagerSandbox) -> None:
    listed = call(sandbox, "GET", "/v1/merchant/inventory?limit=1")["response"][0]
    alone = call(sandbox, "GET", "/v1/merchant/inventory/SKU-0001")["response"]
    assert (listed["qty_available"], alone["qty_available"]) == (11, "11")


def test_lists_have_pages_of_twenty_unless_told_and_a_total(sandbox: IntegrationManagerSandbox) -> None:
    for number in range(25):
        sandbox.store.create({**ORDER, "cust_ref": f"R{number}"})
    url = f"{sandbox.url}/v1/cart/orders/list/new"
    answers = [requests.get(f"{url}?page={page}", auth=(sandbox.user, sandbox.token), timeout=10) for page in (1, 2, 3)]
    assert [len(answer.json()["response"]) for answer in answers] == [20, 5, 0]
    assert {answer.headers["total-records"] for answer in answers} == {"25"}


def test_an_unescaped_plus_in_a_time_is_refused(sandbox: IntegrationManagerSandbox) -> None:
    answer = call(sandbox, "GET", "/v1/cart/orders/list/shipped?from_date=2026-03-01T10:00:00+00:00")
    assert answer["error_code"] == "Invalid"


def test_the_bucket_empties_and_fills(sandbox: IntegrationManagerSandbox) -> None:
    sandbox.bucket, sandbox.refill_seconds = 2, 0.0
    for _ in range(2):
        assert call(sandbox, "GET", "/v1/wms/shipmethod/list")["success_code"] is True
    assert call(sandbox, "GET", "/v1/wms/shipmethod/list")["error_code"] == "RateLimit"
    assert call(sandbox, "POST", "/v1/cart/orders/cartrover", json=ORDER)["success_code"] is True
    sandbox.fill_bucket()
    assert call(sandbox, "GET", "/v1/wms/shipmethod/list")["success_code"] is True


def test_the_wms_at_work(sandbox: IntegrationManagerSandbox) -> None:
    assert sandbox.happen() == "Nothing waits."
    call(sandbox, "POST", "/v1/cart/orders/cartrover", json=ORDER)
    assert sandbox.happen() == "Order A leaves with 1Z000000001"
    level = sandbox.store.stock["SKU-0001"]["2352"]
    assert (level["available"], level["on_hand"]) == (9, 9)
    status = call(sandbox, "GET", "/v1/cart/orders/status/A")["response"]
    assert (status["order_status"], status["shipments"][0]["items"][0]["quantity"]) == ("shipped", "2")


def test_what_nobody_serves(sandbox: IntegrationManagerSandbox) -> None:
    assert requests.get(f"{sandbox.url}/v2/orders", timeout=10).status_code == 404


@pytest.fixture
def process() -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "manage.py", "sandbox", "integration_manager", "--products=2", "--token=secret"]
    process = subprocess.Popen(
        command,
        cwd=ROOT,
        env={**os.environ, "DJANGO_SETTINGS_MODULE": "tests.settings"},
        stdout=subprocess.PIPE,
        text=True,
    )
    yield process
    process.kill()
    process.communicate()


def test_it_introduces_itself_and_stops(process: subprocess.Popen[str]) -> None:
    assert process.stdout is not None
    lines = [process.stdout.readline().strip() for _ in range(6)]
    url = lines[0].removeprefix("URL: ")
    assert lines[1:5] == [
        "API user: sandbox-user",
        "API key: secret",
        "Warehouse: EAST (2352)",
        "Warehouse: WEST (2353)",
    ]
    assert lines[5] == f"Let the hub reach it with INTEGRATION_MANAGER_EXTRA_HOSTS={url.removeprefix('http://')}"
    answer = requests.get(f"{url}/v1/merchant/inventory", auth=("sandbox-user", "secret"), timeout=10)
    assert len(answer.json()["response"]) == 2
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=10)
    assert process.returncode == 0
