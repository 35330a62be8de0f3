"""The checker itself: it must find what does not fit, or the other tests prove nothing."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from re import fullmatch
from typing import Any

import msgspec
import pytest

from connectors.sandbox import Headers, RecordedCall
from tests.connectors.vend.calling import Caller, calling
from tests.connectors.vend.openapi import EXEMPTIONS, SpecChecker, SpecViolation, operations


@pytest.fixture
def caller() -> Iterator[Caller]:
    with calling(sales=1, products=1) as caller:
        yield caller


def changed(call: RecordedCall, old: bytes, new: bytes) -> RecordedCall:
    assert old in call.response_body
    return replace(call, response_body=call.response_body.replace(old, new))


def call(method: str, path: str, body: Any = None, **query: str) -> RecordedCall:
    """A call that got no answer."""
    return RecordedCall(
        method=method,
        path=f"/api/2026-07/{path}",
        query={name: [value] for name, value in query.items()},
        template="",
        family="2026-07",
        headers=Headers({"content-type": "application/json"}),
        request_body=b"" if body is None else msgspec.json.encode(body),
        at=datetime.now(UTC),
    )


def test_a_true_answer_fits_and_a_bent_one_does_not(caller: Caller) -> None:
    caller.get("sales")
    (sales,) = caller.sandbox.calls
    checker = SpecChecker()
    assert checker.check_calls([sales]) == 1
    for old, new in (
        (b'"state":"closed"', b'"state":"shiny"'),
        (b'"quantity":', b'"quantity":"many","was":'),
        (b'"version":{"min"', b'"version":{"least"'),
        (b'"customer_id":"', b'"customer_id":"not-a-uuid-'),
    ):
        with pytest.raises(SpecViolation, match="response"):
            checker.check_call(changed(sales, old, new))
    assert checker.problems(replace(sales, status=299))


def test_null_counts_as_left_out_unless_it_is_required(caller: Caller) -> None:
    caller.get("sales")
    (sales,) = caller.sandbox.calls
    assert SpecChecker().problems(changed(sales, b'"note":""', b'"note":null')) == []
    assert SpecChecker().problems(replace(sales, response_body=b'{"version":{"min":1,"max":2}}'))


@pytest.mark.parametrize(
    ("made", "problem"),
    [
        (call("GET", "orders"), "no document"),
        (call("PATCH", "sales"), "no document"),
        (call("GET", "sales", None, since="4"), "no parameter since"),
        (call("GET", "sales", None, after="x"), "whole number"),
        (call("GET", "consignments", None, type="GIFT"), "one of"),
        (call("POST", "sales"), "body is required"),
        (call("GET", "sales", {}), "no body"),
        (call("POST", "sales", {"state": "closed"}), "'source' is a required property"),
        (call("POST", "sales", {"state": "closed", "source": {"author_id": "1"}}), "is not a 'uuid'"),
        (call("POST", "webhooks", {"type": "sale.update", "url": "x", "active": True, "secret": 1}), "secret"),
        (call("POST", "stock_adjustments", {"stock_adjustments": []}), "too short|non-empty"),
        (call("POST", "inventory", {"size": 5001}), "5001"),
    ],
)
def test_wrong_requests_are_found(made: RecordedCall, problem: str) -> None:
    with pytest.raises(SpecViolation, match=problem):
        SpecChecker().check_call(made)


def test_requests_that_were_refused_are_not_held_against_the_sandbox() -> None:
    refused = replace(call("POST", "sales", {}), status=400, response_body=b'{"error":"no"}')
    assert SpecChecker().problems(refused) == []
    assert SpecChecker().problems(replace(refused, response_body=b"[]"))


def test_families_without_a_document_are_passed_over() -> None:
    assert SpecChecker().problems(replace(call("GET", "nowhere"), family="0.9")) == []


def test_every_exemption_names_an_operation_that_exists() -> None:
    for exemption in EXEMPTIONS:
        assert exemption.reason
        found = [
            operation
            for name in ("2.0", "dated")
            for operation in operations(name)
            if fullmatch(exemption.document, name)
            and fullmatch(exemption.method, operation.method)
            and (exemption.path == operation.path or fullmatch(exemption.path, operation.path))
        ]
        assert found, exemption


def test_what_the_sandbox_serves_is_in_a_document(caller: Caller) -> None:
    """The other way round: no dated or 2.0 route but the ones listed here is our own invention."""
    undocumented = set()
    for family, table in caller.sandbox.route_tables().items():
        for route in table.routes:
            if family in ("dated", "2.0", "2.1"):
                path = route.template.replace("{", "").replace("}", "").lstrip("/")
                made = replace(call(route.method, path), path=f"/api/{family}/{path}", family=family)
                problems = SpecChecker().problems(replace(made, family="2026-07" if family == "dated" else family))
                if problems and problems[0].startswith("no document"):
                    undocumented.add(route.template.split("/")[1])
    assert undocumented == {"gift_cards", "store_credits"}
