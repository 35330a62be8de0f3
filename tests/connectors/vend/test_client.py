"""Addresses, paging and the two API families, where the sandbox cannot show them."""

from collections.abc import Iterator
from typing import Any

import msgspec
import pytest
import responses

from connectors.base import Environment
from connectors.budget import BudgetBook
from connectors.errors import ContractBroken, OutcomeUnknown, RecordRefused
from connectors.http import USER_AGENT
from connectors.vend.client import VendClient, plain, quoted, version_of
from connectors.vend.connector import VendConnector
from connectors.vend.options import VendCredentials, VendOptions
from tests.connectors.vend import payloads

STORE = "https://demo.retail.lightspeed.app"
DATED, LEGACY = f"{STORE}/api/2026-07", f"{STORE}/api/2.0"


@pytest.fixture
def http() -> Iterator[responses.RequestsMock]:
    with responses.RequestsMock() as mock:
        yield mock


@pytest.fixture
def connector() -> VendConnector:
    options = VendOptions.parse({"vend_url": STORE})
    return VendConnector(options, VendCredentials.parse({"access_token": "secret"}), Environment(budgets=BudgetBook()))


@pytest.fixture
def client(connector: VendConnector) -> VendClient:
    return connector.client


def page(*records: Any, **version: Any) -> dict[str, Any]:
    return {"data": list(records), "version": version or {"min": None, "max": None}}


def test_every_call_says_who_we_are(http: responses.RequestsMock, client: VendClient) -> None:
    http.get(f"{DATED}/retailer", json={"data": {"id": "r"}})
    assert client.retailer() == b'{"id": "r"}'
    sent = http.calls[0].request.headers
    assert (sent["Authorization"], sent["Accept"], sent["User-Agent"]) == (
        "Bearer secret",
        "application/json",
        USER_AGENT,
    )


def test_a_feed_asks_with_after_until_a_page_is_empty(http: responses.RequestsMock, client: VendClient) -> None:
    match = responses.matchers.query_param_matcher
    http.get(f"{DATED}/sales", json=page({"id": "a"}, min=5, max=4284638488), match=[match({"page_size": 500})])
    http.get(f"{DATED}/sales", json=page(), match=[match({"page_size": 500, "after": "4284638488"})])
    pages = list(client.sales(""))
    assert [(found.records, found.cursor) for found in pages] == [([b'{"id": "a"}'], "4284638488")]


@pytest.mark.parametrize(
    "envelope",
    [
        {"data": [{"id": "a", "_metadata": {"version": 7}}, {"id": "b", "_metadata": {"version": 9}}]},
        {"data": [{"id": "a", "version": 9}, {"id": "b", "version": "7"}], "version": None},
        {"data": [{"id": "a", "version": 9}, "no record"], "version": {"max": None}},
    ],
)
def test_without_a_version_of_the_page_its_records_tell(
    http: responses.RequestsMock, client: VendClient, envelope: dict[str, Any]
) -> None:
    http.get(f"{DATED}/sales", json=envelope)
    assert next(client.sales("")).cursor == "9"


def test_a_page_without_any_version_cannot_be_followed(http: responses.RequestsMock, client: VendClient) -> None:
    http.get(f"{DATED}/sales", json={"data": [{"id": "a"}]})
    with pytest.raises(ContractBroken, match="does not move on"):
        next(client.sales(""))


@pytest.mark.parametrize(
    "body",
    ["{}", "[]", '{"data": null}', '{"data": {"id": "a"}}', '"text"', "", pytest.param("[" * 100_000, id="deep")],
)
def test_an_answer_that_is_no_list_is_no_empty_list(
    http: responses.RequestsMock, client: VendClient, body: str
) -> None:
    http.get(f"{DATED}/sales", body=body)
    with pytest.raises(ContractBroken):
        list(client.sales(""))


@pytest.mark.parametrize(
    "dead", [{"status": 404}, {"status": 410}, {"status": 302, "headers": {"Location": "/signin"}}]
)
def test_a_resource_that_only_2_0_has_is_read_there(
    http: responses.RequestsMock, client: VendClient, dead: dict[str, Any]
) -> None:
    http.get(f"{DATED}/customers", **dead)
    http.get(f"{LEGACY}/customers", json=page({"id": "c"}, min=1, max=2))
    http.get(f"{LEGACY}/customers", json=page())
    http.get(f"{LEGACY}/customers/c", json={"data": {"id": "c"}})
    assert [found.cursor for found in client.customers("")] == ["2"]
    client.customer("c")
    assert [call.request.url.split("?")[0] for call in http.calls] == [
        f"{DATED}/customers",
        f"{LEGACY}/customers",
        f"{LEGACY}/customers",
        f"{LEGACY}/customers/c",
    ]


def test_a_resource_that_neither_family_has_keeps_its_first_error(
    http: responses.RequestsMock, client: VendClient
) -> None:
    http.get(f"{DATED}/retailer", status=410)
    http.get(f"{LEGACY}/retailer", status=404)
    with pytest.raises(RecordRefused) as caught:
        client.retailer()
    assert caught.value.status == 410


def test_an_unknown_record_is_not_looked_for_elsewhere(http: responses.RequestsMock, client: VendClient) -> None:
    http.get(f"{DATED}/customers/nobody", status=404)
    with pytest.raises(RecordRefused):
        client.customer("nobody")
    assert len(http.calls) == 1


@pytest.mark.parametrize("wrapped", [False, True])
def test_stock_rows_as_a_bare_list_or_in_an_envelope(
    http: responses.RequestsMock, client: VendClient, wrapped: bool
) -> None:
    rows = [{"product_id": "p", "outlet_id": "o", "current_inventory_level": 1, "version": 12}]
    match = responses.matchers.json_params_matcher
    first = {"after": 4, "size": 5000, "sort_direction": "asc"}
    http.post(f"{DATED}/inventory", json=page(*rows) if wrapped else rows, match=[match(first)])
    http.post(f"{DATED}/inventory", json=page() if wrapped else [], match=[match(first | {"after": 12})])
    assert [found.cursor for found in client.inventory("4")] == ["12"]


def test_stock_rows_that_do_not_move_on(http: responses.RequestsMock, client: VendClient) -> None:
    http.post(f"{DATED}/inventory", json=[{"product_id": "p", "version": 3}])
    with pytest.raises(ContractBroken, match="does not move on"):
        next(client.inventory("3"))


def test_reading_stock_is_tried_again_although_it_is_a_post(http: responses.RequestsMock, client: VendClient) -> None:
    http.post(f"{DATED}/inventory", status=502)
    http.post(f"{DATED}/inventory", json=[])
    assert list(client.inventory("")) == []


def test_a_write_with_an_empty_answer_was_made(http: responses.RequestsMock, client: VendClient) -> None:
    http.post(f"{DATED}/stock_adjustments", status=201, body="")
    http.put(f"{DATED}/products/p", status=200, body="")
    assert client.adjust_stock([{"product_id": "p"}]) == []
    client.set_level("p", "o", "5")


@pytest.mark.parametrize("body", ["<html>Maintenance</html>", '{"data": [', '"ok"'])
def test_a_write_answered_by_something_else_proves_nothing(
    http: responses.RequestsMock, client: VendClient, body: str
) -> None:
    http.post(f"{DATED}/stock_adjustments", status=201, body=body)
    http.put(f"{DATED}/products/p", status=200, body=body)
    with pytest.raises(OutcomeUnknown):
        client.adjust_stock([{"product_id": "p"}])
    with pytest.raises(OutcomeUnknown):
        client.set_level("p", "o", "5")


def test_tax_names_are_only_for_the_eye(http: responses.RequestsMock, connector: VendConnector) -> None:
    http.get(f"{DATED}/outlets", json=page(payloads.outlet(), min=1, max=2))
    http.get(f"{DATED}/outlets", json=page())
    http.get(f"{DATED}/sales", json=page(payloads.sale(), min=1, max=413))
    http.get(f"{DATED}/sales", json=page())
    http.get(f"{DATED}/retailer", json={"data": {"id": "r", "currency": {"code": "NZD"}}})
    http.get(f"{DATED}/taxes", status=403)
    (found,) = connector.read_orders("")
    assert [charge.name for charge in found.records[0].charges] == ["Tax"]
    assert found.records[0].currency == "USD"


def test_ids_cannot_change_the_path() -> None:
    assert quoted("../retailer?x=1") == "..%2Fretailer%3Fx%3D1"


@pytest.mark.parametrize(
    ("record", "version"),
    [
        (b'{"version": 5}', 5),
        (b'{"version": "5"}', 5),
        (b'{"_metadata": {"version": 6}, "version": 5}', 6),
        (b'{"_metadata": []}', 0),
        (b'{"version": -1}', 0),
        (b"5", 0),
        (b"{", 0),
    ],
)
def test_the_version_of_any_record(record: bytes, version: int) -> None:
    assert version_of(record) == version


@pytest.mark.parametrize(
    ("sent", "kept"),
    [
        (rb'{"a":"x\u0000y"}', rb'{"a":"xy"}'),
        (rb'{"a":"\u0000\u0000"}', rb'{"a":""}'),
        (rb'{"a":"\\u0000"}', rb'{"a":"\\u0000"}'),
        (rb'{"a":"\\\u0000"}', rb'{"a":"\\"}'),
    ],
)
def test_nul_characters_go_and_lookalikes_stay(sent: bytes, kept: bytes) -> None:
    assert plain(msgspec.Raw(sent)) == kept
