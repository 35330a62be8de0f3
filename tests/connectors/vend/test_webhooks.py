"""Registering webhooks, reading what they say and telling genuine ones (vend.md section 7)."""

import base64
import hashlib
import hmac
import json
from typing import Any
from urllib.parse import urlencode

import pytest

from connectors.errors import ContractBroken
from connectors.functions import Function
from connectors.ports import WebhookChecker
from connectors.records import Hint
from connectors.store_facts import StoreFacts
from connectors.vend import webhooks
from connectors.vend.connector import VendConnector
from connectors.vend.sandbox import VendSandbox
from tests.connectors.vend.conftest import Connect

CONNECTION = "11111111-2222-3333-4444-555555555555"
URL = f"https://hub.example/webhooks/{CONNECTION}/secret/"
TOPICS = {
    "sale.update",
    "inventory.update",
    "product.update",
    "customer.update",
    "consignment.send",
    "consignment.receive",
}


def registered(sandbox: VendSandbox) -> set[tuple[str, str, bool]]:
    return {(hook["type"], hook["url"], hook["active"]) for hook in sandbox.store.webhooks}


def wanted(url: str = URL) -> set[tuple[str, str, bool]]:
    return {(topic, f"{url}?topic={topic}", True) for topic in TOPICS}


# --- registering -----------------------------------------------------------------------------------------------------


def test_registers_every_topic_once(sandbox: VendSandbox, connect: Connect) -> None:
    (step,) = connect().register_webhooks(URL)
    assert (step.name, step.ok) == ("Webhooks", True)
    assert step.message == "6 webhooks are registered (6 added or switched on)."
    assert registered(sandbox) == wanted()


def test_registering_again_changes_nothing(sandbox: VendSandbox, connect: Connect) -> None:
    kept = StoreFacts()
    connect(store_facts=kept).register_webhooks(URL)
    sandbox.reset_calls()
    (step,) = connect(store_facts=kept).register_webhooks(URL)
    assert step.message == "6 webhooks are registered."
    assert sandbox.counts == {"GET /webhooks": 1}


def test_one_that_was_switched_off_or_deleted_is_mended(sandbox: VendSandbox, connect: Connect) -> None:
    connect().register_webhooks(URL)
    first, second = sandbox.store.webhooks[:2]
    first["active"] = False
    sandbox.store.delete_webhook(second["id"])
    (step,) = connect().register_webhooks(URL)
    assert "2 added or switched on" in step.message
    assert registered(sandbox) == wanted()


def test_our_stale_ones_go_and_those_of_others_stay(sandbox: VendSandbox, connect: Connect) -> None:
    store = sandbox.store
    others = {
        ("sale.update", "https://hub.example/webhooks/another-connection/secret/?topic=sale.update"),
        ("sale.update", f"https://elsewhere.example/webhooks/{CONNECTION}/secret/?topic=sale.update"),
        ("sale.update", "https://other-app.example/hook"),
    }
    for topic, url in others:
        store.add_webhook(topic, url)
    store.add_webhook("sale.update", f"https://hub.example/webhooks/{CONNECTION}/old-secret/?topic=sale.update")
    store.add_webhook("product.update", URL)
    store.add_webhook("register_closure.create", f"{URL}?topic=register_closure.create")
    (step,) = connect().register_webhooks(URL)
    assert "3 removed" in step.message
    assert registered(sandbox) == wanted() | {(topic, url, True) for topic, url in others}


def test_a_duplicate_is_as_good_as_registered(sandbox: VendSandbox, connect: Connect) -> None:
    sandbox.fail(match="POST /webhooks", status=409)
    (step,) = connect().register_webhooks(URL)
    assert step.ok
    assert sandbox.count("POST /webhooks") == 6


@pytest.mark.parametrize("fault", [{"status": 403}, {"status": 500}, {"fault": "html"}, {"status": 429}])
def test_trouble_becomes_a_failed_step(sandbox: VendSandbox, connect: Connect, fault: dict[str, Any]) -> None:
    sandbox.fail(match="GET /webhooks", times=None, **fault)
    (step,) = connect().register_webhooks(URL)
    assert not step.ok
    assert "could not be registered" in step.message
    assert "interval" in step.help


def test_a_forbidden_address_becomes_a_failed_step(connect: Connect) -> None:
    (step,) = connect(vend_url="https://evil.example").register_webhooks(URL)
    assert not step.ok


@pytest.mark.parametrize(
    ("address", "ours"),
    [
        (f"https://hub.example/webhooks/{CONNECTION}/x/", True),
        (f"https://HUB.example/webhooks/{CONNECTION}/x/?topic=y", True),
        (f"https://hub.example:8443/webhooks/{CONNECTION}/x/", False),
        (f"https://hub.example/webhooks/{CONNECTION}0/x/", False),
        ("https://hub.example/", False),
        ("", False),
    ],
)
def test_whose_webhook_it_is(address: str, ours: bool) -> None:
    assert webhooks.is_of_connection(address, URL) is ours


def test_the_topic_is_added_to_whatever_url_there_is() -> None:
    assert webhooks.url_of("sale.update", URL) == f"{URL}?topic=sale.update"
    assert webhooks.url_of("sale.update", f"{URL}?a=b") == f"{URL}?a=b&topic=sale.update"


# --- reading ---------------------------------------------------------------------------------------------------------


def form(payload: Any, **fields: str) -> bytes:
    return urlencode({"payload": json.dumps(payload), **fields}).encode()


def read(connect: Connect, body: bytes, topic: str = "") -> list[Hint]:
    return list(connect().read_webhook({"X-Hub-Topic": topic} if topic else {}, body))


@pytest.mark.parametrize(
    ("topic", "payload", "external_id", "function"),
    [
        ("sale.update", {"id": "s1", "status": "CLOSED"}, "s1", Function.ORDER_DOWNLOAD),
        ("inventory.update", {"id": "row", "product_id": "p1", "outlet_id": "o"}, "p1", Function.INVENTORY_SYNC),
        ("inventory.update", {"id": "row", "product": {"id": "p1"}}, "p1", Function.INVENTORY_SYNC),
        ("product.update", {"id": "p1", "handle": "h"}, "p1", Function.PRODUCT_PICKUP),
        ("customer.update", {"id": "c1"}, "c1", Function.CUSTOMER_SYNC),
        ("consignment.send", {"consignment_id": "k1"}, "k1", Function.STOCK_ADJUSTMENT_SYNC),
        ("consignment.receive", {"consignment": {"id": "k1"}}, "k1", Function.STOCK_ADJUSTMENT_SYNC),
        ("consignment.receive", {"id": 5}, "5", Function.STOCK_ADJUSTMENT_SYNC),
    ],
)
def test_the_topic_of_the_url_decides(
    connect: Connect, topic: str, payload: dict[str, Any], external_id: str, function: Function
) -> None:
    functions = (function, Function.STOCK_TRANSFER_SYNC) if "consignment" in topic else (function,)
    expected = [Hint(topic=topic, external_id=external_id, functions=functions)]
    assert read(connect, form(payload, domain_prefix="demo"), topic) == expected
    assert read(connect, json.dumps(payload).encode(), topic) == expected
    assert read(connect, form(payload, type=topic)) == expected
    assert read(connect, form(payload, topic=topic)) == expected


@pytest.mark.parametrize(
    ("payload", "topic"),
    [
        ({"id": "s", "sale_date": "2026-09-18 01:37:56", "register_sale_products": []}, "sale.update"),
        ({"id": "p", "handle": "h", "sku": "s", "inventory": []}, "product.update"),
        ({"id": "c", "customer_code": "C-1"}, "customer.update"),
        ({"id": "i", "product_id": "p", "outlet_id": "o", "count": 5}, "inventory.update"),
        ({"consignment_id": "k", "product_id": "p", "outlet_id": "o"}, "consignment.receive"),
        ({"type": "consignment.send", "id": "k"}, "consignment.send"),
    ],
)
def test_without_a_topic_the_shape_decides(connect: Connect, payload: dict[str, Any], topic: str) -> None:
    (hint,) = read(connect, form(payload))
    assert hint.topic == topic
    assert hint.functions


def test_something_new_is_a_hint_without_functions(connect: Connect) -> None:
    assert read(connect, form({"colour": "red"})) == [Hint(topic="", external_id="", functions=())]
    assert read(connect, form({"id": "x"}), "register_closure.create") == [
        Hint(topic="register_closure.create", external_id="x", functions=())
    ]


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"payload=%7Bnot+json",
        b"payload=",
        b"a=b",
        b"\xff\xfe",
        b"payload=5",
        b"[5]",
        pytest.param(b"[" * 100_000, id="deep"),
    ],
)
def test_what_cannot_be_read(connect: Connect, body: bytes) -> None:
    with pytest.raises(ContractBroken):
        read(connect, body)


def test_what_the_store_sends_can_be_read(sandbox: VendSandbox, connect: Connect) -> None:
    connector = connect()
    connector.register_webhooks("http://127.0.0.1:9/webhooks/c/s/")
    sandbox.webhook_mode = {"lose": 1.0}
    store = sandbox.store
    product = store.products[0]
    sale = store.add_sale(lines=[(product, 1)])
    customer = store.add_customer(first_name="Ana")
    found = {
        (hint.topic, hint.external_id)
        for delivery in sandbox.webhook_deliveries
        for hint in connector.read_webhook({"x-hub-topic": delivery.type}, delivery.body)
    }
    assert {
        ("sale.update", sale.id),
        ("inventory.update", product["id"]),
        ("customer.update", customer["id"]),
    } <= found


# --- genuine or not --------------------------------------------------------------------------------------------------

SECRET = "client-secret"
BODY = form({"id": "s1"})


def digest(data: bytes) -> bytes:
    return hmac.new(SECRET.encode(), data, hashlib.sha256).digest()


@pytest.mark.parametrize("data", [BODY, b'{"id": "s1"}'], ids=["raw body", "decoded payload"])
@pytest.mark.parametrize("encode", [bytes.hex, lambda raw: base64.b64encode(raw).decode()], ids=["hex", "base64"])
@pytest.mark.parametrize("header", ["signature={},algorithm=HMAC-SHA256", "algorithm=HMAC-SHA256, signature={}", "{}"])
def test_every_reading_of_the_documented_signature(data: bytes, encode: Any, header: str) -> None:
    headers = {"x-SIGNATURE": header.format(encode(digest(data)))}
    assert VendConnector.verify_webhook({"client_secret": SECRET}, headers, BODY)
    assert not VendConnector.verify_webhook({"client_secret": "other"}, headers, BODY)
    assert not VendConnector.verify_webhook({"client_secret": SECRET}, headers, BODY + b"x")


@pytest.mark.parametrize(
    "headers", [{}, {"X-Signature": ""}, {"X-Signature": "signature=,algorithm=HMAC-SHA256"}, {"X-Signature": "a,b"}]
)
def test_without_a_signature_a_connected_app_is_not_believed(headers: dict[str, str]) -> None:
    assert not VendConnector.verify_webhook({"client_secret": SECRET}, headers, BODY)


def test_a_personal_token_has_no_signature() -> None:
    assert VendConnector.verify_webhook({"access_token": "t"}, {}, BODY)
    assert VendConnector.verify_webhook({"access_token": "t", "client_secret": None}, {}, BODY)


def test_the_stores_own_signature(sandbox: VendSandbox, connect: Connect) -> None:
    connect().register_webhooks("http://127.0.0.1:9/webhooks/c/s/")
    sandbox.webhook_secret = SECRET
    sandbox.webhook_mode = {"lose": 1.0}
    sandbox.store.add_customer(first_name="Ana")
    (delivery,) = sandbox.webhook_deliveries
    assert VendConnector.verify_webhook({"client_secret": SECRET}, delivery.headers, delivery.body)


# --- looking only ----------------------------------------------------------------------------------------------------

OURS = "https://hub.example/webhooks/cart-1/secret/"


def test_a_look_at_the_webhooks_changes_nothing_and_names_what_is_wrong(sandbox: VendSandbox, connect: Connect) -> None:
    connector = connect()
    assert isinstance(connector, WebhookChecker)
    assert [step.ok for step in connector.check_webhooks(OURS)] == [False] * 6
    connector.register_webhooks(OURS)
    assert [step.ok for step in connector.check_webhooks(OURS)] == [True] * 6
    missing, off = sandbox.store.webhooks[:2]
    sandbox.store.delete_webhook(missing["id"])
    off["active"] = False
    sandbox.store.add_webhook("sale.update", "https://hub.example/webhooks/cart-1/old-secret/?topic=sale.update")
    sandbox.store.add_webhook("sale.update", "https://hub.example/webhooks/cart-2/secret/?topic=sale.update")
    sandbox.reset_calls()
    failed = {step.name: step for step in connector.check_webhooks(OURS) if not step.ok}
    assert set(failed) == {f"Webhooks: {missing['type']}", f"Webhooks: {off['type']}", "Webhooks"}
    assert "missing" in failed[f"Webhooks: {missing['type']}"].message
    assert "switched off" in failed[f"Webhooks: {off['type']}"].message
    assert failed["Webhooks"].message.startswith("1 of an earlier address")
    assert all(step.help for step in failed.values())
    assert sandbox.counts == {"GET /webhooks": 1}
    connector.register_webhooks(OURS)
    assert all(step.ok for step in connector.check_webhooks(OURS))
    assert len(sandbox.store.webhooks) == 7


def test_a_look_that_fails_is_a_failed_step(sandbox: VendSandbox, connect: Connect) -> None:
    sandbox.fail(match="GET /webhooks", status=403)
    (step,) = connect().check_webhooks(OURS)
    assert (step.name, step.ok, bool(step.help)) == ("Webhooks", False, True)


def test_only_what_is_at_these_addresses_is_removed(sandbox: VendSandbox, connect: Connect) -> None:
    theirs = "https://someone-else.example/webhooks/c1/secret/?topic=sale.update"
    for address in (theirs, f"{OURS}?topic=sale.update", f"{OURS}more/?topic=sale.update"):
        sandbox.store.add_webhook("sale.update", address)
    assert connect().remove_webhooks([OURS, "https://nobody.example/"]) == 1
    assert {hook["url"] for hook in sandbox.store.webhooks} == {theirs, f"{OURS}more/?topic=sale.update"}
    assert connect().remove_webhooks([OURS]) == 0
