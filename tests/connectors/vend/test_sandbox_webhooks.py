"""Webhooks: managing them, what they carry, how they are signed, retried, repeated, lost and shuffled. Source: vend.md 7."""

from __future__ import annotations

import hashlib
import hmac
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any
from urllib.parse import parse_qs

import pytest

from connectors.vend.sandbox import VendSandbox
from connectors.vend.sandbox_store import VendStore
from tests.connectors.vend.calling import Caller, calling, decode


class Receiver:
    """A web server that takes webhooks. ``statuses``: what it answers first; then 200."""

    def __init__(self) -> None:
        receiver = self
        self.received: list[tuple[str, dict[str, str], bytes]] = []
        self.statuses: list[int] = []

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                receiver.received.append((self.path, dict(self.headers), body))
                self.send_response(receiver.statuses.pop(0) if receiver.statuses else 200)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *args: Any) -> None:
                """Tests need no access log."""

        self.server = HTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, args=(0.01,), daemon=True).start()

    def payloads(self) -> list[Any]:
        return [decode(parse_qs(body.decode())["payload"][0]) for _, _, body in self.received]


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    receiver = Receiver()
    yield receiver
    receiver.server.shutdown()
    receiver.server.server_close()


@pytest.fixture
def caller() -> Iterator[Caller]:
    with calling(products=3) as caller:
        caller.sandbox.webhook_retry_seconds = 0.001
        yield caller


@pytest.fixture
def sandbox(caller: Caller) -> VendSandbox:
    return caller.sandbox


@pytest.fixture
def store(caller: Caller) -> VendStore:
    return caller.sandbox.store


# Managing


@pytest.mark.parametrize("family", ["2.0", "2026-07"])
def test_a_webhook_is_made_changed_and_deleted(caller: Caller, store: VendStore, family: str) -> None:
    caller.family = family
    body = {"type": "sale.update", "url": "https://hub.example/hook", "active": True}
    hook = caller.data("POST", "webhooks", body, 201)
    assert hook == body | {"id": hook["id"], "retailer_id": store.retailer.id}
    assert "error" in caller.json("POST", "webhooks", body, status=409)
    assert caller.data("GET", f"webhooks/{hook['id']}") == hook
    assert caller.get("webhooks")["data"] == [hook]
    changed = caller.data("PUT", f"webhooks/{hook['id']}", body | {"active": False})
    assert changed["active"] is False
    caller.json("DELETE", f"webhooks/{hook['id']}")
    caller.json("GET", f"webhooks/{hook['id']}", status=404)
    assert store.webhooks == []


def test_the_0_9_way_has_a_form_and_bare_answers(caller: Caller) -> None:
    form = {"data": '{"type":"sale.update","url":"https://hub.example/hook","active":true}'}
    hook = caller.json("POST", "/api/webhooks", data=form)
    assert caller.json("GET", "/api/webhooks") == [hook]
    form = {"data": '{"type":"product.update","url":"https://hub.example/hook","active":true}'}
    assert caller.json("PUT", f"/api/webhooks/{hook['id']}", data=form)["type"] == "product.update"
    assert caller.json("DELETE", f"/api/webhooks/{hook['id']}") == {"status": "success"}
    caller.json("POST", "/api/webhooks", data={"data": "nonsense"}, status=400)


@pytest.mark.parametrize("change", [{"type": "consignment.sent"}, {"url": "hub.example"}, {"url": None}])
def test_what_is_no_webhook_is_refused(caller: Caller, change: dict[str, Any]) -> None:
    body = {"type": "sale.update", "url": "https://hub.example/hook", "active": True}
    caller.json("POST", "webhooks", body | change, status=400)


# Sending


def test_a_sale_is_told_as_a_form_with_json(sandbox: VendSandbox, store: VendStore, receiver: Receiver) -> None:
    store.add_webhook("sale.update", f"{receiver.url}/in/?topic=sale.update")
    customer = store.add_customer(first_name="Ада", last_name="Лавлейс")
    sale = store.add_sale(lines=[(store.products[0], 2)], customer=customer, note="leave at desk")
    assert sandbox.flush_webhooks()
    ((path, headers, body),) = receiver.received
    assert path == "/in/?topic=sale.update"
    assert headers["Content-Type"] == "application/x-www-form-urlencoded"
    assert "X-Signature" not in headers
    assert set(parse_qs(body.decode())) == {"payload", "domain_prefix", "environment"}
    (payload,) = receiver.payloads()
    assert (payload["id"], payload["status"], payload["note"]) == (sale.id, "CLOSED", "leave at desk")
    assert payload["totals"]["total_to_pay"] == 0
    assert payload["customer"]["customer_code"] == customer.customer_code
    assert payload["register_sale_products"][0]["product_id"] == store.products[0].id
    assert "outlet_id" not in payload
    assert payload["sale_date"] == f"{sale.sale_date:%Y-%m-%d %H:%M:%S}"


def test_a_signature_is_the_hmac_of_the_raw_body(sandbox: VendSandbox, store: VendStore, receiver: Receiver) -> None:
    sandbox.webhook_secret = "client-secret"
    store.add_webhook("sale.update", receiver.url)
    store.add_sale(lines=[])
    assert sandbox.flush_webhooks()
    ((_, headers, body),) = receiver.received
    digest = hmac.new(b"client-secret", body, hashlib.sha256).hexdigest()
    assert headers["X-Signature"] == f"signature={digest},algorithm=HMAC-SHA256"


def test_each_topic_tells_its_own(sandbox: VendSandbox, store: VendStore, receiver: Receiver) -> None:
    for kind in ("inventory.update", "product.update", "customer.update"):
        store.add_webhook(kind, f"{receiver.url}/{kind}")
    product, outlet = store.products[0], store.outlets[1]
    store.set_level(product, outlet, 7)
    store.update_product(product, price=12)
    store.update_customer(store.customers[0], email="new@example.com")
    assert sandbox.flush_webhooks()
    level, changed, customer = receiver.payloads()
    assert (level["product_id"], level["outlet_id"], level["count"]) == (product.id, outlet.id, 7)
    assert (changed["id"], changed["base_name"], changed["supply_price"]) == (product.id, product.name, "14.20")
    assert [row["count"] for row in changed["inventory"] if row["outlet_id"] == outlet.id] == [7]
    assert (customer["email"], customer["contact"]["email"]) == ("new@example.com", "new@example.com")
    assert "physical_address1" in customer["contact"]


def test_a_sale_moves_stock_and_tells_of_both(sandbox: VendSandbox, store: VendStore, receiver: Receiver) -> None:
    for kind in ("sale.update", "inventory.update"):
        store.add_webhook(kind, f"{receiver.url}/{kind}")
    store.add_sale(lines=[(store.products[0], 1), (store.products[1], 1)])
    assert sandbox.flush_webhooks()
    assert [path for path, _, _ in receiver.received] == ["/inventory.update"] * 2 + ["/sale.update"]


def test_stock_pushed_in_is_told_again(caller: Caller, store: VendStore, receiver: Receiver) -> None:
    for kind in ("product.update", "inventory.update"):
        store.add_webhook(kind, f"{receiver.url}/{kind}")
    rows = [{"outlet_id": store.outlets[0].id, "current_amount": 1}]
    caller.data("PUT", f"products/{store.products[0].id}", {"details": {"inventory": rows}})
    assert caller.sandbox.flush_webhooks()
    assert sorted(path for path, _, _ in receiver.received) == ["/inventory.update", "/product.update"]


def test_consignments_tell_one_item_at_a_time(sandbox: VendSandbox, store: VendStore, receiver: Receiver) -> None:
    for kind in ("consignment.send", "consignment.receive"):
        store.add_webhook(kind, f"{receiver.url}/{kind}")
    first, second = store.products[:2]
    order = store.order_stock(store.outlets[0], [(first, 60), (second, 50)], name="CAR-25")
    store.count_stock(store.outlets[0], [(first, 1)])
    store.return_stock(store.outlets[0], [(first, 1)])
    assert sandbox.flush_webhooks()
    paths = [path.removeprefix("/consignment.") for path, _, _ in receiver.received]
    assert paths == ["send", "send", "receive", "receive", "receive", "send"]
    payload = receiver.payloads()[3]
    assert payload["consignment_id"] == payload["consignment"]["id"] == order.id
    assert (payload["product_id"], payload["received"]) == (second.id, "50")


def test_inactive_webhooks_and_other_topics_are_silent(
    sandbox: VendSandbox, store: VendStore, receiver: Receiver
) -> None:
    store.add_webhook("sale.update", receiver.url, active=False)
    store.add_webhook("consignment.send", receiver.url)
    store.add_sale(lines=[])
    assert sandbox.flush_webhooks()
    assert sandbox.webhook_deliveries == receiver.received == []


# Trouble


def test_anything_but_2xx_is_tried_again(sandbox: VendSandbox, store: VendStore, receiver: Receiver) -> None:
    receiver.statuses = [500, 404, 302]
    store.add_webhook("sale.update", receiver.url)
    store.add_sale(lines=[])
    assert sandbox.flush_webhooks()
    (delivery,) = sandbox.webhook_deliveries
    assert [attempt.status for attempt in delivery.attempts] == [500, 404, 302, 200]
    assert delivery.delivered
    assert len({body for _, _, body in receiver.received}) == 1


def test_after_twenty_attempts_it_gives_up(sandbox: VendSandbox, store: VendStore, receiver: Receiver) -> None:
    sandbox.webhook_retry_seconds = 0.0
    receiver.statuses = [503] * 30
    store.add_webhook("sale.update", receiver.url)
    store.add_sale(lines=[])
    assert sandbox.flush_webhooks()
    (delivery,) = sandbox.webhook_deliveries
    assert (delivery.outcome, len(delivery.attempts)) == ("given_up", 20)


def test_nobody_there_is_tried_again(sandbox: VendSandbox, store: VendStore, receiver: Receiver) -> None:
    sandbox.webhook_retry_seconds = 0.0
    receiver.server.shutdown()
    receiver.server.server_close()
    store.add_webhook("sale.update", receiver.url)
    store.add_sale(lines=[])
    assert sandbox.flush_webhooks()
    assert {attempt.status for attempt in sandbox.webhook_deliveries[0].attempts} == {0}
    assert "Refused" in sandbox.webhook_deliveries[0].attempts[0].error


def test_webhooks_can_be_repeated(sandbox: VendSandbox, store: VendStore, receiver: Receiver) -> None:
    sandbox.webhook_mode = {"repeat": 3}
    store.add_webhook("sale.update", receiver.url)
    sale = store.add_sale(lines=[])
    assert sandbox.flush_webhooks()
    assert [payload["id"] for payload in receiver.payloads()] == [sale.id] * 3


def test_webhooks_can_be_lost(sandbox: VendSandbox, store: VendStore, receiver: Receiver) -> None:
    sandbox.webhook_mode = {"lose": 1.0}
    store.add_webhook("sale.update", receiver.url)
    store.add_sale(lines=[])
    assert sandbox.flush_webhooks()
    assert receiver.received == []
    assert [delivery.outcome for delivery in sandbox.webhook_deliveries] == ["lost"]


def test_webhooks_can_be_shuffled(sandbox: VendSandbox, store: VendStore, receiver: Receiver) -> None:
    sandbox.webhook_mode = {"shuffle": True}
    store.add_webhook("sale.update", receiver.url)
    sandbox.webhook_sender.stop()
    sales = [store.add_sale(lines=[]).id for _ in range(12)]
    sandbox.webhook_sender.start()
    assert sandbox.flush_webhooks()
    told = [payload["id"] for payload in receiver.payloads()]
    assert told != sales
    assert sorted(told) == sorted(sales)


def test_waiting_ends_when_time_is_up(sandbox: VendSandbox, store: VendStore, receiver: Receiver) -> None:
    sandbox.webhook_retry_seconds = 60
    receiver.statuses = [500]
    store.add_webhook("sale.update", receiver.url)
    store.add_sale(lines=[])
    assert not sandbox.flush_webhooks(timeout=0.05)
    sandbox.webhook_sender.forget()
    assert sandbox.flush_webhooks()
