"""Both API families over HTTP: every dated version and 2.0, and a server that mixes them (vend.md sections 3.3 to 3.5, 3.9)."""

from decimal import Decimal
from typing import Any

import pytest
from msgspec import structs

from connectors.errors import ConnectorError
from connectors.records import LevelChange, OrderRecord, RemoteOrderState
from connectors.vend import shapes
from connectors.vend.catalogue import outlet_record
from connectors.vend.families import SaleReader, is_flat
from connectors.vend.mapping import SaleContext, order_from_sale
from connectors.vend.sandbox import VendSandbox
from connectors.vend.status import MEANINGS, legacy_word, read_status, state_of
from tests.connectors.vend import payloads
from tests.connectors.vend.conftest import Connect
from tests.connectors.vend.payloads import as_json

VERSIONS = ["2026-01", "2026-04", "2026-07", "2026-10", "2.0"]


def orders(connector: Any, cursor: str = "") -> list[OrderRecord]:
    """The orders without what differs by family: the record itself, and the outlet's phone, which 2.0 does not give."""
    records = [record for page in connector.read_orders(cursor) for record in page.records]
    return [structs.replace(record, raw=b"", fallback_ship_to=None) for record in records]


@pytest.fixture
def shop(sandbox: VendSandbox) -> VendSandbox:
    """Sales of every kind: several statuses, a sale discount, fees, charges, a gift card, a return, an exchange."""
    store = sandbox.store
    first, second = store.products[:2]
    for status in ("CLOSED", "LAYBY", "ONACCOUNT", "AWAITING_PICKUP", "VOIDED", "SAVED"):
        store.add_sale(lines=[(first, 2), (second, "0.5")], status=status, customer=store.customers[0])
    fee = {"name": "Card fee", "adjustment_type": "NON_CASH_FEE", "value": Decimal("1.5"), "tax_components": []}
    post = {"name": "Post", "total": Decimal(6), "total_tax": Decimal("0.9"), "total_incl": Decimal("6.9")}
    card = {"product": second, "quantity": 1, "price": "50", "gift_card_number": "GC-1"}
    store.add_sale(lines=[(first, 1), card], discount="3.5", adjustments=[fee], ecom_custom_charges=[post])
    original = store.add_sale(lines=[(first, 2)])
    store.return_sale(original, [(first, 1)])
    store.add_sale(lines=[(first, -1), (second, 2)])
    return sandbox


@pytest.mark.parametrize("version", VERSIONS)
def test_every_version_gives_the_same_orders(shop: VendSandbox, connect: Connect, version: str) -> None:
    expected = orders(connect())
    shop.reset_calls()
    assert orders(connect(api_version=version)) == expected
    assert len(expected) == 10
    assert {call.family for call in shop.calls} == {version}


def test_a_version_past_its_end_is_read_in_the_older_form(shop: VendSandbox, connect: Connect) -> None:
    expected = orders(connect())
    shop.retired_versions["2026-01"] = "2.0"
    connector = connect(api_version="2026-01")
    assert orders(connector) == expected
    sale = shop.store.sales[0]
    assert connector.read_order(sale.id).number == sale.invoice_number
    levels = [level for page in connector.read_levels("") for level in page.records]
    assert len(levels) == len(shop.store.products)


def test_one_page_may_hold_both_forms(sandbox: VendSandbox, connect: Connect) -> None:
    outlet_id = sandbox.store.outlets[0]["id"]
    dated, flat = payloads.sale(id="one"), payloads.flat_sale(id="two", outlet_id=outlet_id)
    dated["source"]["outlet_id"] = outlet_id
    for record in (dated, flat):
        sandbox.store.add_raw_sale(as_json(record).decode())
    for version in ("2026-07", "2.0"):
        first, second = orders(connect(api_version=version))
        assert (first.external_id, second.external_id) == ("one", "two")
        assert structs.replace(first, external_id="") == structs.replace(second, external_id="")


def test_what_makes_a_record_flat() -> None:
    assert is_flat(as_json(payloads.flat_sale()))
    assert is_flat(as_json({"id": "5e", "outlet_id": "0a", "source": None}))
    for other in (as_json(payloads.sale()), b"{}", b"[]", b"not json", as_json({"id": "5e", "source": {}})):
        assert not is_flat(other)


def test_a_flat_sale_without_lines_and_source_is_still_flat() -> None:
    raw = as_json({"id": "5e", "outlet_id": "0a", "sale_date": "2026-09-18 01:37:56", "status": "CLOSED", "version": 7})
    outlet = outlet_record(shapes.Reader(shapes.Outlet).read(as_json(payloads.outlet())))
    context = SaleContext(outlet=outlet)
    found = order_from_sale(SaleReader().read(raw), raw, context)
    assert (found.version, found.state, found.placed_at.hour) == (7, RemoteOrderState.COMPLETE, 1)


# --- status words ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("word", sorted(MEANINGS))
def test_status_words_translate_both_ways(word: str) -> None:
    state, attributes = state_of(word)
    assert legacy_word(state, attributes) == word
    assert read_status("", state, attributes).state is read_status(word, "", ()).state


def test_words_that_nobody_knows_do_not_translate() -> None:
    assert state_of("TELEPORTED") == ("", ())
    assert legacy_word("frozen", ()) == ""
    assert legacy_word("closed", ("drone",)) == ""
    assert state_of(" awaiting_dispatch ") == ("pending", ("delivery",))


# --- stock -----------------------------------------------------------------------------------------------------------


def test_levels_of_2_0(sandbox: VendSandbox, connect: Connect) -> None:
    store = sandbox.store
    store.set_level(store.products[0], store.outlets[0], "-2.5")
    expected = [page.records for page in connect().read_levels("")]
    connector = connect(api_version="2.0")
    pages = list(connector.read_levels(""))
    assert [page.records for page in pages] == expected
    store.set_level(store.products[1], store.outlets[0], 77)
    (page,) = connector.read_levels(pages[-1].cursor)
    assert [(level.product_id, level.available) for level in page.records] == [(store.products[1]["id"], 77)]
    assert sandbox.count("POST /inventory") == 2, "one page and the empty one, both of the dated connector"


@pytest.mark.parametrize("mode", ["adjustments", "absolute"])
def test_2_0_always_sets_exact_levels(sandbox: VendSandbox, connect: Connect, mode: str) -> None:
    store = sandbox.store
    product, outlet = store.products[0], store.outlets[0]
    connector = connect(api_version="2.0", inventory_mode=mode)
    change = LevelChange(
        product_id=product["id"],
        sku=product["sku"],
        location_id=outlet["id"],
        current=Decimal(0),
        desired=Decimal("12.5"),
    )
    (result,) = connector.write_levels([change])
    assert result.ok
    assert store.level(product, outlet) == Decimal("12.5")
    assert sandbox.count("POST /stock_adjustments") == 0
    (call,) = [call for call in sandbox.calls if call.method == "PUT"]
    assert call.family == "2.1"
    assert connector.level_batch_size() == 100


# --- the rest of 2.0 -------------------------------------------------------------------------------------------------


def test_2_0_delivers_to_the_customers_own_address(sandbox: VendSandbox, connect: Connect) -> None:
    store = sandbox.store
    store.add_sale(lines=[(store.products[0], 1)], status="AWAITING_DISPATCH", customer=store.customers[0])
    (found,) = orders(connect(api_version="2.0", order_status="ALL_EXCEPT_VOIDED_SAVED"))
    assert (found.ship_method, found.ship_to, found.hold_reason) == ("delivery", None, "")
    assert sandbox.counts.keys() == {"GET /outlets", "GET /sales", "GET /retailer", "GET /taxes"}


@pytest.mark.parametrize("version", VERSIONS)
def test_products_customers_and_webhooks_in_every_version(sandbox: VendSandbox, connect: Connect, version: str) -> None:
    connector = connect(api_version=version)
    assert sum(len(page.records) for page in connector.read_products("")) >= len(sandbox.store.products)
    assert sum(len(page.records) for page in connector.read_customers("")) == len(sandbox.store.customers) + 1
    (step,) = connector.register_webhooks("https://hub.example/webhooks/c1/secret/")
    assert step.ok, step
    assert len(sandbox.store.webhooks) == 6


@pytest.mark.parametrize("fault", [{"status": 500}, {"fault": "html"}, {"status": 403}])
def test_trouble_with_stock_is_no_reason_to_change_the_family(
    sandbox: VendSandbox, connect: Connect, fault: dict[str, Any]
) -> None:
    sandbox.fail(match="POST /inventory", times=None, **fault)
    with pytest.raises(ConnectorError):
        list(connect().read_levels(""))
    assert sandbox.count("GET /inventory") == 0
