"""Writing levels to the cart's outlet, as differences and exactly (vend.md section 3.9)."""

import json
from collections.abc import Sequence
from decimal import Decimal
from typing import Any

import pytest
import responses

from connectors.base import Environment
from connectors.budget import BudgetBook
from connectors.errors import ContractBroken, OutcomeUnknown, RateLimited, RecordRefused, RemoteUnavailable
from connectors.records import LevelChange, WriteResult
from connectors.vend import stock
from connectors.vend.connector import VendConnector
from connectors.vend.options import VendCredentials, VendOptions
from connectors.vend.sandbox import VendSandbox
from tests.connectors.vend.conftest import Connect


def change(sandbox: VendSandbox, product: Any, desired: Any, current: Any = None) -> LevelChange:
    outlet_id = sandbox.store.outlets[0]["id"]
    return LevelChange(
        product_id=product["id"],
        sku=product["sku"],
        location_id=outlet_id,
        current=sandbox.store.level(product, outlet_id) if current is None else Decimal(current),
        desired=Decimal(desired),
    )


def levels(sandbox: VendSandbox, products: Sequence[Any]) -> list[Decimal]:
    return [sandbox.store.level(product, sandbox.store.outlets[0]) for product in products]


def refused(results: Sequence[WriteResult]) -> set[str]:
    return {result.reference for result in results if not result.ok}


# --- differences -----------------------------------------------------------------------------------------------------


def test_differences_go_in_one_call_with_reasons_that_fit_their_signs(sandbox: VendSandbox, connect: Connect) -> None:
    up, down, fraction, same = sandbox.store.products[:4]
    before = sandbox.store.level(down, sandbox.store.outlets[1])
    changes = [
        change(sandbox, up, 100),
        change(sandbox, down, -3),
        change(sandbox, fraction, "0.250"),
        change(sandbox, same, sandbox.store.level(same, sandbox.store.outlets[0])),
    ]
    results = connect().write_levels(changes)
    assert {(result.reference, result.ok) for result in results} == {(item.product_id, True) for item in changes}
    assert levels(sandbox, (up, down, fraction)) == [100, -3, Decimal("0.25")]
    assert sandbox.store.level(down, sandbox.store.outlets[1]) == before
    assert sandbox.count("POST /stock_adjustments") == 1
    rows = sandbox.calls[-1].request_json()["stock_adjustments"]
    assert len(rows) == 3
    assert {(Decimal(row["quantity"]) > 0, row["reason"]) for row in rows} == {
        (True, "STOCK_FOUND"),
        (False, "INTERNAL_USE"),
    }
    assert [row["quantity"] for row in rows] == [stock.plain_number(item.difference) for item in changes[:3]]


def test_results_carry_the_id_of_the_adjustment(sandbox: VendSandbox, connect: Connect) -> None:
    (result,) = connect().write_levels([change(sandbox, sandbox.store.products[0], 1000)])
    assert result.remote_id == sandbox.calls[-1].response_json()["data"][0]["id"]


def test_a_sale_in_between_keeps_its_effect(sandbox: VendSandbox, connect: Connect) -> None:
    product = sandbox.store.products[0]
    sandbox.store.set_level(product, sandbox.store.outlets[0], 10)
    planned = change(sandbox, product, 15)
    sandbox.store.add_sale(lines=[(product, 2)])
    connect().write_levels([planned])
    assert levels(sandbox, [product]) == [13]


def test_ten_thousand_changes_take_ten_calls(sandbox: VendSandbox, connect: Connect) -> None:
    store = sandbox.store
    products = [store.add_product(sku=f"BULK{number}", name=f"Bulk {number}") for number in range(1, 10_001)]
    connector = connect()
    changes = [change(sandbox, product, 5, current=0) for product in products]
    size = connector.level_batch_size()
    assert size == 1000
    sandbox.reset_calls()
    done = [
        result.ok
        for start in range(0, len(changes), size)
        for result in connector.write_levels(changes[start : start + size])
    ]
    assert done == [True] * 10_000
    assert sandbox.count("POST /stock_adjustments") == 10
    assert sum(sandbox.counts.values()) <= 12
    assert set(levels(sandbox, products)) == {Decimal(5)}


def test_more_than_a_batch_is_split(sandbox: VendSandbox, connect: Connect) -> None:
    products = [sandbox.store.add_product(sku=f"BULK{number}", name=f"Bulk {number}") for number in range(1001)]
    results = connect().write_levels([change(sandbox, product, 1, current=0) for product in products])
    assert len(results) == 1001
    assert sandbox.count("POST /stock_adjustments") == 2


def test_bad_rows_do_not_stop_the_good_ones(sandbox: VendSandbox, connect: Connect) -> None:
    store = sandbox.store
    untracked = store.add_product(sku="NOTRACK", name="Service", tracked=False)
    gone = store.add_product(sku="GONE", name="Gone")
    store.delete_product(gone)
    good = store.products[:18]
    batch = [*good[:5], untracked, *good[5:12], gone, *good[12:]]
    good = [product for product in good if product["id"] not in (untracked["id"], gone["id"])]
    changes = [change(sandbox, product, 200, current=0) for product in batch]
    before = levels(sandbox, good)
    results = connect().write_levels(changes)
    assert refused(results) == {untracked["id"], gone["id"]}
    assert len(results) == len(changes)
    assert levels(sandbox, good) == [level + 200 for level in before]
    (rejected,) = [result for result in results if result.reference == untracked["id"]]
    assert "NOTRACK" in rejected.reason
    assert "does not track inventory" in rejected.reason
    assert "inventory tracking" in rejected.fix
    assert sandbox.count("POST /stock_adjustments") <= 20


STORE = "https://demo.retail.lightspeed.app"


def strict_store(bad: set[str]) -> list[list[str]]:
    """A store that refuses a batch with a bad row and does not say which. Returns the batches it took, as they come."""
    taken: list[list[str]] = []

    def answer(request: Any) -> tuple[int, dict[str, str], str]:
        ids = [row["product_id"] for row in json.loads(request.body)["stock_adjustments"]]
        if bad & set(ids):
            return 422, {}, '{"errors": {"global": ["Invalid row"]}}'
        taken.append(ids)
        return 201, {}, '{"data": []}'

    responses.add_callback(responses.POST, f"{STORE}/api/2026-07/stock_adjustments", answer)
    return taken


def store_connector() -> VendConnector:
    options = VendOptions.parse({"vend_url": STORE})
    connector = VendConnector(options, VendCredentials.parse({"access_token": "t"}), Environment(budgets=BudgetBook()))
    connector.outlet_id = "outlet-1"
    return connector


def changes_of(count: int) -> list[LevelChange]:
    return [
        LevelChange(
            product_id=f"product-{number:04}", sku=f"S{number}", location_id="", current=Decimal(0), desired=Decimal(1)
        )
        for number in range(count)
    ]


@responses.activate
def test_a_batch_is_halved_until_the_bad_rows_stand_alone() -> None:
    bad = {"product-0007", "product-0900"}
    taken = strict_store(bad)
    results = store_connector().write_levels(changes_of(1000))
    assert refused(results) == bad
    assert sorted(product_id for batch in taken for product_id in batch) == sorted(
        item.product_id for item in changes_of(1000) if item.product_id not in bad
    )
    assert len(responses.calls) <= 40


@responses.activate
def test_looking_for_bad_rows_is_bounded() -> None:
    strict_store({item.product_id for item in changes_of(1000)})
    results = store_connector().write_levels(changes_of(1000))
    assert len(refused(results)) == 1000
    assert len(responses.calls) <= stock.MOST_CALLS_PER_WRITE
    assert any("a group of" in result.reason for result in results)


def test_an_answer_that_never_came_is_an_unknown_outcome(sandbox: VendSandbox, connect: Connect) -> None:
    product = sandbox.store.products[0]
    planned = change(sandbox, product, 500)
    sandbox.fail(match="POST /stock_adjustments", fault="answer_lost")
    with pytest.raises(OutcomeUnknown):
        connect().write_levels([planned])
    assert levels(sandbox, [product]) == [500]
    assert sandbox.count("POST /stock_adjustments") == 1


@pytest.mark.parametrize("status", [500, 502, 504])
def test_a_server_error_may_hide_a_success(sandbox: VendSandbox, connect: Connect, status: int) -> None:
    sandbox.fail(match="POST /stock_adjustments", status=status, accepted=True)
    with pytest.raises(OutcomeUnknown):
        connect().write_levels([change(sandbox, sandbox.store.products[0], 500)])


@pytest.mark.parametrize("fault", ["cut_body", "html", "big_body"])
def test_an_answer_that_proves_nothing_is_an_unknown_outcome(
    sandbox: VendSandbox, connect: Connect, fault: str
) -> None:
    sandbox.fail(match="POST /stock_adjustments", fault=fault)
    with pytest.raises(OutcomeUnknown):
        connect().write_levels([change(sandbox, sandbox.store.products[0], 500)])


@pytest.mark.parametrize(("fault", "kind"), [({"status": 429}, RateLimited), ({"status": 503}, RemoteUnavailable)])
def test_trouble_before_anything_was_done_is_raised(
    sandbox: VendSandbox, connect: Connect, fault: dict[str, Any], kind: type[Exception]
) -> None:
    same = sandbox.store.products[1]
    unchanged = change(sandbox, same, sandbox.store.level(same, sandbox.store.outlets[0]))
    sandbox.fail(match="POST /stock_adjustments", **fault)
    with pytest.raises(kind):
        connect().write_levels([unchanged, change(sandbox, sandbox.store.products[0], 500)])


def test_trouble_in_the_middle_keeps_what_was_done(
    sandbox: VendSandbox, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stock, "LARGEST_BATCH", 2)
    products = sandbox.store.products[:5]
    sandbox.fail(match="POST /stock_adjustments", status=429, after=1)
    results = connect().write_levels([change(sandbox, product, 500) for product in products])
    assert [result.reference for result in results] == [product["id"] for product in products[:2]]
    assert levels(sandbox, products)[:2] == [500, 500]
    assert 500 not in levels(sandbox, products)[2:]


def test_an_unknown_outcome_in_the_middle_is_raised_all_the_same(
    sandbox: VendSandbox, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stock, "LARGEST_BATCH", 2)
    sandbox.fail(match="POST /stock_adjustments", fault="answer_lost", after=1)
    with pytest.raises(OutcomeUnknown):
        connect().write_levels([change(sandbox, product, 500) for product in sandbox.store.products[:5]])


@pytest.mark.parametrize(("status", "kind"), [(404, RecordRefused), (410, RecordRefused), (302, ContractBroken)])
def test_a_dead_path_is_no_fault_of_the_rows(
    sandbox: VendSandbox, connect: Connect, status: int, kind: type[Exception]
) -> None:
    sandbox.fail(match="POST /stock_adjustments", status=status, times=None)
    with pytest.raises(kind):
        connect().write_levels([change(sandbox, product, 500) for product in sandbox.store.products[:5]])
    assert sandbox.count("POST /stock_adjustments") == 1


def test_nothing_to_write_is_no_call(sandbox: VendSandbox, connect: Connect) -> None:
    assert list(connect().write_levels([])) == []
    assert sandbox.counts == {}


# --- exact levels ----------------------------------------------------------------------------------------------------


def test_exact_levels_one_call_per_product(sandbox: VendSandbox, connect: Connect) -> None:
    store = sandbox.store
    first, second, untracked = (
        store.products[0],
        store.products[1],
        store.add_product(sku="NO", name="N", tracked=False),
    )
    connector = connect(inventory_mode="absolute")
    assert connector.level_batch_size() == 100
    store.set_level(first, store.outlets[0], 3)
    planned = change(sandbox, first, "12.5")
    store.add_sale(lines=[(first, 1)])
    results = connector.write_levels([planned, change(sandbox, untracked, 5), change(sandbox, second, -4)])
    assert levels(sandbox, (first, second)) == [Decimal("12.5"), -4]
    assert refused(results) == {untracked["id"]}
    assert [call.name for call in sandbox.calls].count("PUT /products/{id}") == 3
    body = next(call for call in sandbox.calls if call.method == "PUT").request_body
    outlet_id = store.outlets[0]["id"]
    assert body == f'{{"details":{{"inventory":[{{"outlet_id":"{outlet_id}","current_amount":12.5}}]}}}}'.encode()


def test_exact_levels_stop_where_the_limit_stops_them(sandbox: VendSandbox, connect: Connect) -> None:
    products = sandbox.store.products[:4]
    connector = connect(inventory_mode="absolute")
    changes = [change(sandbox, product, 900) for product in products]
    sandbox.fail(match="PUT /products/{id}", status=429, after=2)
    assert [result.reference for result in connector.write_levels(changes)] == [p["id"] for p in products[:2]]
    with pytest.raises(RateLimited):
        connector.write_levels(changes[2:])


def test_an_exact_level_without_answer_is_an_unknown_outcome(sandbox: VendSandbox, connect: Connect) -> None:
    sandbox.fail(match="PUT /products/{id}", fault="answer_lost", after=1)
    with pytest.raises(OutcomeUnknown):
        connect(inventory_mode="absolute").write_levels(
            [change(sandbox, product, 900) for product in sandbox.store.products[:3]]
        )


@pytest.mark.parametrize(
    ("value", "text"),
    [("3", "3"), ("-3.0", "-3"), ("0.250", "0.25"), ("1E+2", "100"), ("100", "100"), ("-0.5", "-0.5")],
)
def test_numbers_as_vend_wants_them(value: str, text: str) -> None:
    assert stock.plain_number(Decimal(value)) == text
