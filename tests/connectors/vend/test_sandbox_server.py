"""The base of all sandboxes: connections, records of calls, and misbehaviour that can be programmed."""

from __future__ import annotations

import http.client
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Any

import pytest
import requests

from connectors.sandbox.faults import BIG_BODY_BYTES
from connectors.vend.sandbox import VendSandbox
from tests.connectors.vend.calling import Caller, calling

ADA = {"first_name": "Ada", "last_name": "Lovelace"}


@pytest.fixture
def caller() -> Iterator[Caller]:
    with calling() as caller:
        yield caller


@pytest.fixture
def sandbox(caller: Caller) -> VendSandbox:
    return caller.sandbox


def test_one_connection_serves_many_calls(sandbox: VendSandbox) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", sandbox.port, timeout=10)
    connection.connect()
    first_socket = connection.sock
    for _ in range(5):
        connection.request("GET", "/api/2026-07/retailer", headers={"Authorization": f"Bearer {sandbox.token}"})
        assert b"kauriandco" in connection.getresponse().read()
    assert connection.sock is first_socket
    connection.close()
    assert sandbox.count("GET /retailer") == 5


def test_a_client_that_closes_is_answered_and_let_go(sandbox: VendSandbox, caller: Caller) -> None:
    answer = caller.send("GET", "retailer", headers={"Connection": "close"})
    assert answer.headers["Connection"] == "close"
    assert answer.status_code == 200


def test_a_chunked_body_is_read(sandbox: VendSandbox, caller: Caller) -> None:
    pieces = iter([b'{"first_name":"Ada",', b'"last_name":"L"}'])
    answer = caller.session.post(
        f"{sandbox.url}/api/2.0/customers", data=pieces, headers={"Content-Type": "application/json"}, timeout=10
    )
    assert answer.json()["data"]["first_name"] == "Ada"


def test_what_is_not_http_gets_400(sandbox: VendSandbox) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", sandbox.port, timeout=10)
    connection.connect()
    connection.sock.sendall(b"hello\r\n\r\n")
    answer = http.client.HTTPResponse(connection.sock)
    answer.begin()
    assert answer.status == 400
    connection.close()


def test_it_restarts_on_its_port_with_its_state() -> None:
    sandbox = VendSandbox(products=1)
    sandbox.start()
    url, sale = sandbox.url, sandbox.store.add_sale(lines=[(sandbox.store.products[0], 1)])
    caller = Caller(sandbox)
    caller.get("retailer")
    sandbox.stop()
    assert not sandbox.running
    with pytest.raises(requests.ConnectionError):
        caller.get("retailer")
    with sandbox:
        assert sandbox.url == url
        assert caller.data("GET", f"sales/{sale.id}")["id"] == sale.id
    caller.close()


def test_calls_are_recorded_as_they_happened(sandbox: VendSandbox, caller: Caller) -> None:
    caller.get("sales", page_size=7)
    caller.json("POST", "customers", ADA, status=201)
    listed, created = sandbox.calls
    assert (listed.method, listed.path, listed.template) == ("GET", "/api/2026-07/sales", "/sales")
    assert listed.query == {"page_size": ["7"]}
    assert listed.family == "2026-07"
    assert listed.headers["Authorization"] == listed.headers["authorization"] == "Bearer sandbox-token"
    assert listed.status == 200
    assert listed.response_json()["data"] == []
    assert created.request_json() == ADA
    assert created.status == 201
    assert sandbox.counts == {"GET /sales": 1, "POST /customers": 1}
    sandbox.reset_calls()
    assert sandbox.calls == []
    assert sandbox.count("GET /sales") == 0


def test_bodies_need_not_be_kept(sandbox: VendSandbox, caller: Caller) -> None:
    sandbox.record_bodies = False
    caller.get("products")
    assert sandbox.calls[0].response_body == b""
    assert sandbox.count("GET /products") == 1
    sandbox.reset_calls()


def test_latency_is_added_to_every_call(sandbox: VendSandbox, caller: Caller) -> None:
    sandbox.latency = 0.05
    before = time.perf_counter()
    caller.get("retailer")
    assert time.perf_counter() - before >= 0.05


def test_a_skewed_clock_shows_in_dates_and_records(sandbox: VendSandbox, caller: Caller) -> None:
    sandbox.clock_skew = timedelta(hours=-3)
    answer = caller.send("GET", "retailer")
    told = parsedate_to_datetime(answer.headers["Date"])
    assert abs(datetime.now(UTC) - timedelta(hours=3) - told) < timedelta(seconds=5)
    assert sandbox.store.add_sale(lines=[]).sale_date < datetime.now(UTC) - timedelta(hours=2)


# Misbehaviour


@pytest.mark.parametrize("status", [401, 403, 429, 500, 502, 503, 504])
def test_a_status_replaces_the_answer_and_nothing_happens(sandbox: VendSandbox, caller: Caller, status: int) -> None:
    sandbox.fail(match="POST /customers", status=status)
    before = len(sandbox.store.customers)
    answer = caller.send("POST", "customers", ADA)
    assert answer.status_code == status
    assert "error" in answer.json()
    assert len(sandbox.store.customers) == before
    assert caller.send("POST", "customers", ADA).status_code == 201


def test_an_accepted_call_may_still_get_an_error(sandbox: VendSandbox, caller: Caller) -> None:
    sandbox.fail(match="POST /customers", status=500, accepted=True)
    assert caller.send("POST", "customers", ADA).status_code == 500
    assert sandbox.store.customers[-1]["first_name"] == "Ada"


def test_faults_take_the_calls_they_match_in_turn(sandbox: VendSandbox, caller: Caller) -> None:
    sandbox.fail(times=2, match="GET /outlets/{id}", status=503, after=1)
    outlet = sandbox.store.outlets[0]["id"]
    seen = [caller.send("GET", f"outlets/{outlet}").status_code for _ in range(4)]
    assert seen == [200, 503, 503, 200]
    assert caller.send("GET", "outlets").status_code == 200


@pytest.mark.parametrize("match", ["", "GET *", "/retailer", "GET /retailer"])
def test_a_match_names_one_call_or_many(sandbox: VendSandbox, caller: Caller, match: str) -> None:
    sandbox.fail(times=None, match=match, status=503)
    assert [caller.send("GET", "retailer").status_code for _ in range(3)] == [503] * 3
    sandbox.clear_faults()
    assert caller.send("GET", "retailer").status_code == 200


@pytest.mark.parametrize("form", ["date", "integer", "body"])
def test_retry_after_comes_in_each_form(sandbox: VendSandbox, caller: Caller, form: str) -> None:
    sandbox.fail(status=429, retry_after=form, retry_after_seconds=7)
    answer = caller.send("GET", "retailer")
    header, body = answer.headers.get("Retry-After"), answer.json()
    assert body["error"] == "Too Many Requests"
    if form == "integer":
        assert header == "7"
        return
    told = header if form == "date" else body["retry-after"]
    assert (form == "body") == (header is None)
    wait = parsedate_to_datetime(told) - datetime.now(UTC)
    assert timedelta(seconds=4) < wait <= timedelta(seconds=7)


def test_a_lost_answer_was_carried_out(sandbox: VendSandbox, caller: Caller) -> None:
    sandbox.fail(match="POST /customers", fault="answer_lost")
    with pytest.raises(requests.ConnectionError):
        caller.send("POST", "customers", ADA)
    assert sandbox.store.customers[-1]["first_name"] == "Ada"
    assert (sandbox.calls[-1].status, sandbox.calls[-1].fault) == (0, "answer_lost")


def test_a_call_that_was_never_received_was_not_carried_out(sandbox: VendSandbox, caller: Caller) -> None:
    before = len(sandbox.store.customers)
    sandbox.fail(match="POST /customers", fault="never_received")
    with pytest.raises(requests.ConnectionError):
        caller.send("POST", "customers", ADA)
    assert len(sandbox.store.customers) == before


def test_a_cut_body_is_shorter_than_announced(sandbox: VendSandbox) -> None:
    sandbox.fail(fault="cut_body")
    connection = http.client.HTTPConnection("127.0.0.1", sandbox.port, timeout=10)
    connection.request("GET", "/api/2026-07/products", headers={"Authorization": f"Bearer {sandbox.token}"})
    answer = connection.getresponse()
    announced = int(answer.headers["Content-Length"])
    with pytest.raises(http.client.IncompleteRead) as cut:
        answer.read()
    assert len(cut.value.partial) == announced // 2
    connection.close()


def test_html_instead_of_json(sandbox: VendSandbox, caller: Caller) -> None:
    sandbox.fail(fault="html")
    answer = caller.send("GET", "retailer")
    assert answer.status_code == 200
    assert answer.headers["Content-Type"].startswith("text/html")
    assert answer.text.startswith("<!DOCTYPE html>")


def test_a_big_body_is_streamed(sandbox: VendSandbox, caller: Caller) -> None:
    sandbox.fail(fault="big_body")
    with caller.send("GET", "retailer", stream=True) as answer:
        assert "Content-Length" not in answer.headers
        size = sum(len(piece) for piece in answer.iter_content(1 << 20))
    assert size >= BIG_BODY_BYTES


def test_a_delay_delays_and_nothing_else(sandbox: VendSandbox, caller: Caller) -> None:
    sandbox.fail(delay=0.05)
    before = time.perf_counter()
    assert caller.get("retailer")["data"]["name"] == "Kauri & Co"
    assert time.perf_counter() - before >= 0.05


def test_stopping_does_not_wait_for_a_delayed_call(sandbox: VendSandbox, caller: Caller) -> None:
    sandbox.fail(delay=60.0)
    connection = http.client.HTTPConnection("127.0.0.1", sandbox.port, timeout=10)
    connection.request("GET", "/api/2026-07/retailer")
    before = time.perf_counter()
    sandbox.stop()
    with pytest.raises((http.client.HTTPException, OSError)):
        connection.getresponse()
    assert time.perf_counter() - before < 5
    connection.close()


@pytest.mark.parametrize("mistake", [{}, {"fault": "no such thing"}, {"status": 429, "retry_after": "soon"}])
def test_a_fault_that_makes_no_sense_is_refused(sandbox: VendSandbox, mistake: dict[str, Any]) -> None:
    with pytest.raises(ValueError):
        sandbox.fail(**mistake)
