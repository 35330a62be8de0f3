"""Trouble on the way: every kind becomes its typed error, and nothing is lost."""

import time
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from connectors.errors import (
    AuthenticationFailed,
    ConnectorError,
    ContractBroken,
    PermissionMissing,
    RateLimited,
    RemoteUnavailable,
)
from connectors.http import CallRecord
from connectors.redaction import MASK, mask_headers
from connectors.vend import client as client_module
from connectors.vend.sandbox import VendSandbox
from tests.connectors.vend.conftest import Connect


def read_ids(connector: Any, cursor: str = "") -> list[str]:
    return [record.external_id for page in connector.read_orders(cursor) for record in page.records]


@pytest.fixture
def sale_ids(sandbox: VendSandbox) -> list[str]:
    return [sandbox.store.add_sale(lines=[(sandbox.store.products[0], 1)]).id for _ in range(3)]


@pytest.mark.parametrize(
    ("fault", "kind"),
    [
        ({"status": 401}, AuthenticationFailed),
        ({"status": 403}, PermissionMissing),
        ({"status": 429}, RateLimited),
        ({"status": 500}, RemoteUnavailable),
        ({"status": 503}, RemoteUnavailable),
        ({"status": 302}, ContractBroken),
        ({"fault": "html"}, ContractBroken),
        ({"fault": "big_body"}, ContractBroken),
        ({"fault": "cut_body"}, RemoteUnavailable),
        ({"fault": "never_received"}, RemoteUnavailable),
    ],
)
def test_trouble_has_its_type_and_the_next_run_takes_everything(
    sandbox: VendSandbox, connect: Connect, sale_ids: list[str], fault: dict[str, Any], kind: type[ConnectorError]
) -> None:
    sandbox.fail(match="GET /sales", times=None, **fault)
    connector = connect()
    with pytest.raises(kind) as caught:
        read_ids(connector)
    assert type(caught.value) is kind
    assert caught.value.fix
    sandbox.clear_faults()
    assert read_ids(connect()) == sale_ids


def test_one_hiccup_is_tried_again_at_once(sandbox: VendSandbox, connect: Connect, sale_ids: list[str]) -> None:
    sandbox.fail(match="GET /sales", status=502)
    assert read_ids(connect()) == sale_ids


def test_trouble_on_the_second_page_keeps_the_first(
    sandbox: VendSandbox, connect: Connect, sale_ids: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client_module, "SALES_PER_PAGE", 2)
    sandbox.fail(match="GET /sales", status=500, times=None, after=1)
    pages = connect().read_orders("")
    first = next(pages)
    with pytest.raises(RemoteUnavailable):
        next(pages)
    sandbox.clear_faults()
    assert [record.external_id for record in first.records] + read_ids(connect(), first.cursor) == sale_ids


@pytest.mark.parametrize("form", ["date", "integer", "body"])
def test_a_429_names_its_time_and_pauses_the_whole_store(
    sandbox: VendSandbox, connect: Connect, sale_ids: list[str], form: str
) -> None:
    sandbox.fail(match="GET /sales", status=429, retry_after=form, retry_after_seconds=90)
    connector = connect()
    with pytest.raises(RateLimited) as caught:
        read_ids(connector)
    wait = caught.value.retry_at - datetime.now(UTC)
    assert timedelta(seconds=80) < wait <= timedelta(seconds=91)
    sandbox.reset_calls()
    with pytest.raises(RateLimited):
        read_ids(connector)
    assert sandbox.counts == {}


@pytest.mark.parametrize("skew", [timedelta(hours=3), timedelta(hours=-3)])
def test_a_wrong_clock_does_not_change_the_pause(
    sandbox: VendSandbox, connect: Connect, sale_ids: list[str], skew: timedelta
) -> None:
    sandbox.clock_skew = skew
    sandbox.fail(match="GET /sales", status=429, retry_after="date", retry_after_seconds=90)
    with pytest.raises(RateLimited) as caught:
        read_ids(connect())
    assert timedelta(seconds=80) < caught.value.retry_at - datetime.now(UTC) <= timedelta(seconds=91)


def test_the_real_limit_of_the_store(connect: Connect, sandbox: VendSandbox, sale_ids: list[str]) -> None:
    sandbox.rate_limit = 3
    connector = connect()
    with pytest.raises(RateLimited):
        for _ in range(3):
            read_ids(connector)
    budget = connector.client.session.budget
    assert (budget.limit, budget.remaining) == (3, 0)


def test_a_slow_answer_is_given_up(sandbox: VendSandbox, connect: Connect, sale_ids: list[str]) -> None:
    sandbox.fail(match="GET /sales", delay=5.0, times=None)
    connector = connect()
    connector.client.session.timeouts = (1.0, 0.2)
    started = time.monotonic()
    with pytest.raises(RemoteUnavailable, match="did not answer"):
        read_ids(connector)
    assert time.monotonic() - started < 4


@pytest.mark.parametrize("skew", [timedelta(hours=3), timedelta(hours=-3)])
def test_a_store_whose_clock_is_wrong(sandbox: VendSandbox, connect: Connect, skew: timedelta) -> None:
    sandbox.clock_skew = skew
    ids = [sandbox.store.add_sale(lines=[(sandbox.store.products[0], 1)]).id for _ in range(2)]
    (page,) = connect().read_orders("")
    assert [record.external_id for record in page.records] == ids
    later = sandbox.store.add_sale(lines=[(sandbox.store.products[0], 1)]).id
    assert read_ids(connect(), page.cursor) == [later]


def test_a_feed_that_does_not_move_is_not_read_for_ever(
    sandbox: VendSandbox, connect: Connect, sale_ids: list[str]
) -> None:
    answer = sandbox.store.sale_feed.since
    sandbox.store.sale_feed.since = lambda after=0, before=None: answer(0, before)  # type: ignore[method-assign]
    pages = connect().read_orders("")
    assert len(next(pages).records) == 3
    with pytest.raises(ContractBroken, match="does not move on"):
        next(pages)


def test_every_call_is_logged_and_the_token_can_be_masked(
    sandbox: VendSandbox, connect: Connect, calls: list[CallRecord], sale_ids: list[str]
) -> None:
    read_ids(connect())
    assert [call.method for call in calls] == ["GET"] * len(sandbox.calls)
    for call in calls:
        assert call.status == 200
        assert call.request_headers["User-Agent"].startswith("IntegrationManager/")
        assert mask_headers(call.request_headers)["Authorization"] == MASK
        assert sandbox.token not in call.url
