"""The readers against a store over HTTP: sales, products, customers, outlets, stock."""

import json
from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from connectors.base import Environment
from connectors.budget import BudgetBook
from connectors.errors import AuthenticationFailed, ConfigurationInvalid, ConnectorError, RateLimited, RecordRefused
from connectors.records import OrderRecord, Page, ProductKind, RemoteOrderState
from connectors.store_facts import StoreFacts
from connectors.vend import client as client_module
from connectors.vend.connector import OutletAddressMissing, VendConnector
from connectors.vend.options import VendCredentials, VendOptions
from connectors.vend.sandbox import VendSandbox
from tests.connectors.vend.conftest import Connect

ALERT = (
    "Could not pull order data because the outlet in Vend is missing an address. Please add the outlet address in Vend."
)


def orders(connector: VendConnector, cursor: str = "") -> list[OrderRecord]:
    return [record for page in connector.read_orders(cursor) for record in page.records]


def one_order(connector: VendConnector, cursor: str = "") -> OrderRecord:
    (found,) = orders(connector, cursor)
    return found


def last_cursor(pages: list[Page[Any]], cursor: str = "") -> str:
    return pages[-1].cursor if pages else cursor


# --- orders ----------------------------------------------------------------------------------------------------------


def test_a_sale_arrives_as_an_order(sandbox: VendSandbox, connect: Connect) -> None:
    store = sandbox.store
    customer = store.customers[0]
    product = store.products[0]
    sale = store.add_sale(lines=[(product, 2)], customer=customer, note="ring twice", date="2026-09-18T01:37:56Z")
    found = one_order(connect())
    assert (found.external_id, found.number) == (sale.id, sale.invoice_number)
    assert (found.state, found.importable) == (RemoteOrderState.COMPLETE, True)
    assert found.placed_at == datetime(2026, 9, 18, 1, 37, 56, tzinfo=UTC)
    assert (found.customer_id, found.note, found.currency) == (customer["id"], "ring twice", "NZD")
    assert [(line.product_id, line.quantity) for line in found.lines] == [(product["id"], 2)]
    assert (found.subtotal, found.tax_total, found.total) == (sale.total_price, sale.total_tax, sale.total_price_incl)
    assert found.payments[0].name == "Cash"
    assert [(charge.kind, charge.name) for charge in found.charges] == [("tax", "GST")]
    outlet = store.outlets[0]
    assert found.fallback_ship_to is not None
    assert (found.fallback_ship_to.name, found.fallback_ship_to.street1) == (
        outlet["name"],
        outlet["physical_address_1"],
    )
    assert json.loads(found.raw)["id"] == sale.id


def test_sales_of_other_outlets_are_counted_and_left_alone(sandbox: VendSandbox, connect: Connect) -> None:
    store = sandbox.store
    here, there = store.outlets
    for outlet in (here, there, there):
        store.add_sale(outlet=outlet, lines=[(store.products[0], 1)])
    (page,) = connect().read_orders("")
    assert (len(page.records), page.skipped, len(page.rejects)) == (1, 2, 0)
    (page,) = connect(outlet_name=there["name"]).read_orders("")
    assert (len(page.records), page.skipped) == (2, 1)


def test_pages_follow_the_cursor_until_an_empty_one(
    sandbox: VendSandbox, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client_module, "SALES_PER_PAGE", 4)
    sales = [sandbox.store.add_sale(lines=[(sandbox.store.products[0], 1)]) for _ in range(8)]
    pages = list(connect().read_orders(""))
    assert [len(page.records) for page in pages] == [4, 4]
    assert [record.external_id for page in pages for record in page.records] == [sale.id for sale in sales]
    assert pages[0].cursor == str(sales[3].version)
    assert sandbox.count("GET /sales") == 3
    assert [record.external_id for record in orders(connect(), pages[0].cursor)] == [sale.id for sale in sales[4:]]
    assert orders(connect(), pages[-1].cursor) == []


def test_a_changed_sale_comes_again_with_a_higher_version(sandbox: VendSandbox, connect: Connect) -> None:
    first = sandbox.store.add_sale(lines=[(sandbox.store.products[0], 1)])
    sandbox.store.add_sale(lines=[(sandbox.store.products[1], 1)])
    pages = list(connect().read_orders(""))
    before = pages[0].records[0].version
    sandbox.store.void_sale(first)
    voided = one_order(connect(), last_cursor(pages))
    assert (voided.external_id, voided.state, voided.importable) == (first.id, RemoteOrderState.CANCELLED, False)
    assert voided.version > before
    assert connect().cancellations_come_with_orders()


def test_an_idle_run_costs_one_call(sandbox: VendSandbox, connect: Connect) -> None:
    sandbox.store.add_sale(lines=[(sandbox.store.products[0], 1)])
    kept = StoreFacts()
    cursor = last_cursor(list(connect(store_facts=kept).read_orders("")))
    sandbox.reset_calls()
    assert orders(connect(store_facts=kept), cursor) == []
    assert sandbox.counts == {"GET /sales": 1}


def test_discount_gift_card_and_fractional_lines(sandbox: VendSandbox, connect: Connect) -> None:
    store = sandbox.store
    card = {"product": store.products[1], "quantity": 1, "price": "50", "gift_card_number": "GC-77"}
    store.add_sale(lines=[(store.products[0], "0.375"), card], discount="5")
    found = one_order(connect())
    assert [(line.quantity, line.ships) for line in found.lines] == [(Decimal("0.375"), True), (1, False)]
    assert found.discount_total == 5
    assert store.retailer["discount_product_id"] not in {line.product_id for line in found.lines}


@pytest.mark.parametrize("word", ["LAYBY", "LAYBY_CLOSED", "ONACCOUNT", "ONACCOUNT_CLOSED", "SAVED", "VOIDED"])
def test_order_status_chooses_what_is_imported(sandbox: VendSandbox, connect: Connect, word: str) -> None:
    for status in ("CLOSED", word):
        sandbox.store.add_sale(lines=[(sandbox.store.products[0], 1)], status=status)
    wanted = [record.remote_status for record in orders(connect(order_status=word)) if record.importable]
    assert wanted == [word]
    assert [record.importable for record in orders(connect())] == [True, False]


def test_all_except_voided_and_saved(sandbox: VendSandbox, connect: Connect) -> None:
    for status in ("CLOSED", "AWAITING_PICKUP", "ONACCOUNT", "LAYBY", "SAVED", "VOIDED"):
        sandbox.store.add_sale(lines=[(sandbox.store.products[0], 1)], status=status)
    found = orders(connect(order_status="All, Except VOIDED & SAVED"))
    assert [record.importable for record in found] == [True, True, True, True, False, False]


def test_earliest_order_date_counts_in_the_outlets_own_day(sandbox: VendSandbox, connect: Connect) -> None:
    store = sandbox.store
    store.update_outlet(store.outlets[0], time_zone="Pacific/Auckland")
    for moment in ("2026-08-31T11:59:59Z", "2026-08-31T12:00:00Z"):  # midnight in Auckland is 12:00 UTC
        store.add_sale(lines=[(store.products[0], 1)], date=moment)
    found = orders(connect(earliest_order_date="2026-09-01"))
    assert [record.importable for record in found] == [False, True]


def test_an_unknown_time_zone_counts_as_utc(sandbox: VendSandbox, connect: Connect) -> None:
    store = sandbox.store
    store.update_outlet(store.outlets[0], time_zone="../nowhere")
    for moment in ("2026-08-31T23:59:59Z", "2026-09-01T00:00:00Z"):
        store.add_sale(lines=[(store.products[0], 1)], date=moment)
    assert [record.importable for record in orders(connect(earliest_order_date="2026-09-01"))] == [False, True]


def test_a_return_and_its_sale(sandbox: VendSandbox, connect: Connect) -> None:
    sale = sandbox.store.add_sale(lines=[(sandbox.store.products[0], 2)])
    back = sandbox.store.start_return(sale)
    # The return is closed after the sale it returns was changed, whichever of the two comes first in the feed.
    found = {record.external_id: record for record in orders(connect())}
    assert found[sale.id].importable
    assert (found[back.id].importable, found[back.id].return_for) == (False, sale.id)
    assert [line.quantity for line in found[back.id].lines] == [2]


def test_an_exchange_imports_its_new_lines(sandbox: VendSandbox, connect: Connect) -> None:
    store = sandbox.store
    store.add_sale(lines=[(store.products[0], -1), (store.products[1], 1)])
    found = one_order(connect())
    assert found.importable
    assert [line.product_id for line in found.lines] == [store.products[1]["id"]]
    assert "Exchange" in found.note


def test_a_sale_without_outlet_belongs_to_that_of_its_register(sandbox: VendSandbox, connect: Connect) -> None:
    here, there = sandbox.store.outlets
    for outlet in (here, there):
        register = next(r for r in sandbox.store.registers if r["outlet_id"] == outlet["id"])
        record = {
            "id": f"raw-{outlet['name']}",
            "state": "closed",
            "date": "2026-09-18T01:37:56Z",
            "source": {"register_id": register["id"]},
            "line_items": [{"id": "l", "product": {"id": "p"}, "quantity": 1}],
        }
        sandbox.store.add_raw_sale(json.dumps(record))
    (page,) = connect().read_orders("")
    assert [record.external_id for record in page.records] == [f"raw-{here['name']}"]
    assert page.skipped == 1
    assert sandbox.count("GET /registers") == 2  # one page of registers and the empty one, for both sales together


# --- records that cannot be mapped -----------------------------------------------------------------------------------


def test_a_bad_record_in_the_middle_of_a_page_becomes_a_reject(sandbox: VendSandbox, connect: Connect) -> None:
    store = sandbox.store
    outlet_id = store.outlets[0]["id"]
    good = store.add_sale(lines=[(store.products[0], 1)])
    bad = json.dumps({"id": "bad-1", "state": "closed", "source": {"outlet_id": outlet_id}, "totals": {"price": "ten"}})
    store.add_raw_sale(bad)
    also_good = store.add_sale(lines=[(store.products[0], 1)])
    (page,) = connect().read_orders("")
    assert [record.external_id for record in page.records] == [good.id, also_good.id]
    (reject,) = page.rejects
    assert reject.external_id == "bad-1"
    assert "totals.price" in reject.reason
    assert json.loads(reject.payload)["id"] == "bad-1"
    assert page.cursor == str(also_good.version)


@pytest.mark.parametrize(
    ("record", "reason"),
    [
        ('{"id":"x","state":"closed","source":{"outlet_id":"OUTLET"}}', "has no date"),
        ('{"state":"closed","date":"2026-09-18T01:37:56Z","source":{"outlet_id":"OUTLET"}}', "has no id"),
        ('{"id":"x","state":"closed","date":"2026-09-18T01:37:56Z"}', "neither an outlet nor a known register"),
        ('"just text"', "cannot be read"),
        ("null", "cannot be read"),
        ('{"id":"x","line_items":{"a":1},"source":{"outlet_id":"OUTLET"}}', "line_items"),
    ],
)
def test_every_kind_of_bad_record_says_why(sandbox: VendSandbox, connect: Connect, record: str, reason: str) -> None:
    sandbox.store.add_raw_sale(record.replace("OUTLET", sandbox.store.outlets[0]["id"]))
    (page,) = connect().read_orders("")
    (reject,) = page.rejects
    assert reason in reject.reason
    assert page.records == ()


def test_a_bad_record_of_another_outlet_is_not_ours_to_report(sandbox: VendSandbox, connect: Connect) -> None:
    other = sandbox.store.outlets[1]["id"]
    sandbox.store.add_raw_sale(json.dumps({"id": "x", "source": {"outlet_id": other}, "totals": "none"}))
    (page,) = connect().read_orders("")
    assert (page.skipped, page.rejects) == (1, [])


def test_unknown_words_are_held_not_lost(sandbox: VendSandbox, connect: Connect) -> None:
    store = sandbox.store
    store.add_sale(lines=[(store.products[0], 1)], state="teleported", attributes=[])
    found = one_order(connect())
    assert (found.state, found.importable) == (RemoteOrderState.UNKNOWN, True)
    assert "teleported" in found.hold_reason


def test_nul_characters_are_taken_out(sandbox: VendSandbox, connect: Connect) -> None:
    store = sandbox.store
    store.add_sale(lines=[(store.products[0], 1)], note="a\x00b\x00\x00 \\u0000")
    found = one_order(connect())
    assert found.note == "ab \\u0000"
    assert b"\x00" not in found.raw


# --- delivery addresses ----------------------------------------------------------------------------------------------


@pytest.fixture
def delivery(sandbox: VendSandbox) -> Callable[..., Any]:
    """Makes a paid sale that waits to be delivered to an address of its own."""

    def make(city: str = "Wellington") -> Any:
        store = sandbox.store
        customer = store.add_customer(first_name="Ana", last_name="Ito", phone="021 555", email="ana@example.com")
        address = store.add_address(
            customer, type="SHIPPING", address_line_1="9 Cuba St", city=city, postcode="6011", country_code="NZ"
        )
        return store.add_sale(
            lines=[(store.products[0], 1)],
            status="AWAITING_DISPATCH",
            customer=customer,
            ship_to_address_id=address["id"],
        )

    return make


def test_a_delivery_goes_to_the_address_chosen_for_it(
    sandbox: VendSandbox, connect: Connect, delivery: Callable[..., Any]
) -> None:
    delivery()
    found = one_order(connect(order_status="ALL_EXCEPT_VOIDED_SAVED"))
    assert found.ship_method == "delivery"
    assert found.ship_to is not None
    assert (found.ship_to.name, found.ship_to.street1, found.ship_to.city, found.ship_to.postcode) == (
        "Ana Ito",
        "9 Cuba St",
        "Wellington",
        "6011",
    )
    assert (found.ship_to.country, found.ship_to.phone, found.ship_to.email) == ("NZ", "021 555", "ana@example.com")
    assert found.hold_reason == ""


def test_only_deliveries_that_are_imported_are_looked_up(
    sandbox: VendSandbox, connect: Connect, delivery: Callable[..., Any]
) -> None:
    delivery()
    sandbox.store.add_sale(lines=[(sandbox.store.products[0], 1)])
    sandbox.store.add_sale(lines=[(sandbox.store.products[0], 1)], status="AWAITING_PICKUP")
    assert [record.ship_to for record in orders(connect())] == [None, None, None]
    assert sandbox.count("GET /fulfillments") == 0
    orders(connect(order_status="ALL_EXCEPT_VOIDED_SAVED"))
    assert sandbox.count("GET /fulfillments") == 1


def test_a_delivery_without_an_address_of_its_own_uses_the_customers(sandbox: VendSandbox, connect: Connect) -> None:
    store = sandbox.store
    store.add_sale(lines=[(store.products[0], 1)], status="AWAITING_DISPATCH", customer=store.customers[0])
    found = one_order(connect(order_status="ALL_EXCEPT_VOIDED_SAVED"))
    assert (found.ship_to, found.hold_reason, found.note) == (None, "", "")


@pytest.mark.parametrize(
    ("path", "fault"),
    [
        ("/fulfillments", {"status": 403}),
        ("/fulfillments", {"status": 503}),
        ("/fulfillments", {"fault": "html"}),
        ("/customers/{id}/addresses/{address_id}", {"status": 404}),
        ("/customers/{id}/addresses/{address_id}", {"fault": "cut_body"}),
        ("/customers/{id}", {"status": 500}),
    ],
)
def test_a_delivery_address_that_cannot_be_read_holds_the_order(
    sandbox: VendSandbox, connect: Connect, delivery: Callable[..., Any], path: str, fault: dict[str, Any]
) -> None:
    delivery()
    sandbox.fail(match=f"GET {path}", times=None, **fault)
    found = one_order(connect(order_status="ALL_EXCEPT_VOIDED_SAVED"))
    assert found.ship_to is None
    assert "delivery address of this sale could not be read" in found.hold_reason
    assert found.hold_reason in found.note


def test_a_delivery_to_a_customer_who_is_gone_keeps_its_address(
    sandbox: VendSandbox, connect: Connect, delivery: Callable[..., Any]
) -> None:
    delivery()
    sandbox.fail(match="GET /customers/{id}", status=404)
    found = one_order(connect(order_status="ALL_EXCEPT_VOIDED_SAVED"))
    assert found.ship_to is not None
    assert (found.ship_to.name, found.ship_to.street1) == ("", "9 Cuba St")


def test_a_limit_reached_between_deliveries_loses_no_progress(
    sandbox: VendSandbox, connect: Connect, delivery: Callable[..., Any]
) -> None:
    sales = [delivery(city) for city in ("Wellington", "Nelson", "Napier")]
    sandbox.fail(match="GET /fulfillments", status=429, after=2)
    pages = connect(order_status="ALL_EXCEPT_VOIDED_SAVED").read_orders("")
    first = next(pages)
    with pytest.raises(RateLimited):
        next(pages)
    assert [record.ship_to.city for record in first.records if record.ship_to] == ["Wellington", "Nelson"]
    rest = orders(connect(order_status="ALL_EXCEPT_VOIDED_SAVED"), first.cursor)
    assert [record.external_id for record in rest] == [sales[2].id]


def test_a_limit_before_the_first_delivery_yields_nothing(
    sandbox: VendSandbox, connect: Connect, delivery: Callable[..., Any]
) -> None:
    delivery()
    sandbox.fail(match="GET /fulfillments", status=429)
    with pytest.raises(RateLimited):
        next(connect(order_status="ALL_EXCEPT_VOIDED_SAVED").read_orders(""))


def test_a_token_that_ends_between_deliveries_is_an_error_of_the_token(
    sandbox: VendSandbox, connect: Connect, delivery: Callable[..., Any]
) -> None:
    delivery()
    sandbox.fail(match="GET /fulfillments", status=401)
    with pytest.raises(AuthenticationFailed):
        next(connect(order_status="ALL_EXCEPT_VOIDED_SAVED").read_orders(""))


# --- one order -------------------------------------------------------------------------------------------------------


def test_read_one_order(sandbox: VendSandbox, connect: Connect) -> None:
    store = sandbox.store
    sale = store.add_sale(lines=[(store.products[0], 1)])
    elsewhere = store.add_sale(outlet=store.outlets[1], lines=[(store.products[0], 1)])
    store.add_raw_sale(json.dumps({"id": "undated", "source": {"outlet_id": store.outlets[0]["id"]}}))
    connector = connect()
    (page,) = connect().read_orders("")
    assert [connector.read_order(sale.id)] == list(page.records)
    for sale_id, words in ((elsewhere.id, "another outlet"), ("unknown", "404"), ("undated", "no date")):
        with pytest.raises(RecordRefused, match=words):
            connector.read_order(sale_id)


# --- the outlet ------------------------------------------------------------------------------------------------------


def test_a_missing_outlet_names_those_that_exist(sandbox: VendSandbox, connect: Connect) -> None:
    with pytest.raises(ConfigurationInvalid) as caught:
        next(connect(outlet_name="Moon Shop").read_orders(""))
    assert "“Moon Shop”" in caught.value.message
    for outlet in sandbox.store.outlets:
        assert f"“{outlet['name']}”" in caught.value.message
    assert "Outlets and Registers" in caught.value.fix
    assert sandbox.count("GET /sales") == 0


def test_a_renamed_outlet_is_recognised(sandbox: VendSandbox, connect: Connect) -> None:
    connector = connect()
    old = sandbox.store.outlets[0]["name"]
    assert orders(connector) == []
    sandbox.store.update_outlet(sandbox.store.outlets[0], name="New Name")
    connector.store.forget()
    with pytest.raises(ConfigurationInvalid, match=f"“{old}” is now named “New Name”"):
        orders(connector)


def test_a_deleted_outlet_is_missing(sandbox: VendSandbox, connect: Connect) -> None:
    connector = connect()
    sandbox.store.delete_outlet(sandbox.store.outlets[0])
    connector.store.forget()
    with pytest.raises(ConfigurationInvalid, match="no outlet named"):
        orders(connector)


def test_an_outlet_on_a_later_page_is_found(
    sandbox: VendSandbox, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client_module, "REFERENCES_PER_PAGE", 1)
    last = sandbox.store.add_outlet("Third Outlet")
    assert connect(outlet_name="Third Outlet").find_outlet().external_id == last["id"]


def test_missing_outlet_address_stops_the_pull_until_it_is_there(sandbox: VendSandbox, connect: Connect) -> None:
    store = sandbox.store
    outlet = store.add_outlet("Bare Outlet", address=False)
    sale = store.add_sale(outlet=outlet, lines=[(store.products[0], 1)])
    connector = connect(outlet_name="Bare Outlet")
    with pytest.raises(OutletAddressMissing) as caught:
        next(connector.read_orders(""))
    assert str(caught.value) == ALERT
    assert isinstance(caught.value, ConfigurationInvalid)
    assert caught.value.kind == "outlet_address"
    for word in ("Setup > Outlets and Registers", "street", "city", "postcode", "state", "country", "save"):
        assert word in caught.value.fix
    assert sandbox.count("GET /sales") == 0
    store.update_outlet(outlet, physical_address_1="1 Quay St", physical_city="Auckland", physical_country_id="NZ")
    assert one_order(connector).external_id == sale.id


@pytest.mark.parametrize("field", ["physical_address_1", "physical_city", "physical_country_id"])
def test_street_city_and_country_are_the_least(sandbox: VendSandbox, connect: Connect, field: str) -> None:
    sandbox.store.update_outlet(sandbox.store.outlets[0], **{field: None})
    with pytest.raises(OutletAddressMissing):
        next(connect().read_orders(""))


def test_without_default_to_outlet_address_the_outlet_needs_none(sandbox: VendSandbox, connect: Connect) -> None:
    outlet = sandbox.store.add_outlet("Bare Outlet", address=False)
    sandbox.store.add_sale(outlet=outlet, lines=[(sandbox.store.products[0], 1)])
    found = one_order(connect(outlet_name="Bare Outlet", default_to_outlet_address=False))
    assert found.fallback_ship_to is None
    assert found.importable


def test_read_outlets(sandbox: VendSandbox, connect: Connect) -> None:
    sandbox.store.delete_outlet(sandbox.store.outlets[1])
    found = connect().read_outlets()
    assert [outlet.deleted for outlet in found] == [False, True]
    assert found[0].name == sandbox.store.outlets[0]["name"]
    assert found[0].address is not None
    assert found[0].address.is_usable


# --- products and customers ------------------------------------------------------------------------------------------


def test_products_with_changes_and_deletions(sandbox: VendSandbox, connect: Connect) -> None:
    store = sandbox.store
    connector = connect()
    pages = list(connector.read_products(""))
    found = {product.external_id: product for page in pages for product in page.records}
    assert {product["id"] for product in store.products} <= set(found)
    first = found[store.products[0]["id"]]
    assert (first.sku, first.name, first.kind) == (
        store.products[0]["sku"],
        store.products[0]["name"],
        ProductKind.GOODS,
    )
    assert first.prices["retail"] == store.products[0]["price_excluding_tax"]
    assert found[store.retailer["discount_product_id"]].kind is ProductKind.DISCOUNT
    gone = store.products[3]
    store.delete_product(gone)
    (page,) = connector.read_products(last_cursor(pages))
    assert [(product.external_id, product.deleted) for product in page.records] == [(gone["id"], True)]
    assert sandbox.count("GET /products/{id}") == 0


def test_a_family_of_variants(sandbox: VendSandbox, connect: Connect) -> None:
    cursor = last_cursor(list(connect().read_products("")))
    family = sandbox.store.add_family("Hoodie", {"Colour": ["Red", "Blue"], "Size": ["S"]})
    (page,) = connect().read_products(cursor)
    ids = {product["id"] for product in family}
    variants = [product for product in page.records if product.external_id in ids]
    assert {tuple(variant.attributes.items()) for variant in variants} == {
        (("Colour", "Red"), ("Size", "S")),
        (("Colour", "Blue"), ("Size", "S")),
    }
    assert len({variant.family_id for variant in variants}) == 1
    assert all(variant.family_id for variant in variants)


def test_tax_inclusive_store() -> None:
    with VendSandbox(outlets=1, products=3, customers=0, tax_exclusive=False) as sandbox:
        store = sandbox.store
        environment = Environment(budgets=BudgetBook(), extra_hosts=frozenset({sandbox.host}))
        options = VendOptions.parse({"vend_url": sandbox.url, "outlet_name": store.outlets[0]["name"]})
        connector = VendConnector(options, VendCredentials.parse({"access_token": sandbox.token}), environment)
        found = {product.external_id: product for page in connector.read_products("") for product in page.records}
        product = store.products[0]
        assert found[product["id"]].prices["retail"] == product["price_including_tax"]
        sale = store.add_sale(lines=[(product, 3)])
        order = one_order(connector)
        assert (order.total, order.lines[0].unit_price) == (sale.total_price_incl, product["price_excluding_tax"])
        connector.close()


def test_customers_with_walk_in_and_deleted_ones(sandbox: VendSandbox, connect: Connect) -> None:
    store = sandbox.store
    ana = store.add_customer(
        first_name="Ana", physical_address_1="1 Quay St", physical_city="Auckland", physical_country_id="NZ"
    )
    connector = connect()
    pages = list(connector.read_customers(""))
    found = {customer.external_id: customer for page in pages for customer in page.records}
    assert found[store.walk_in["id"]].is_walk_in
    assert found[ana["id"]].ship_to is not None
    assert found[ana["id"]].ship_to == found[ana["id"]].bill_to
    store.delete_customer(ana)
    (page,) = connector.read_customers(last_cursor(pages))
    assert [(customer.external_id, customer.deleted) for customer in page.records] == [(ana["id"], True)]


# --- stock -----------------------------------------------------------------------------------------------------------


def test_levels_of_the_carts_outlet_only(
    sandbox: VendSandbox, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client_module, "STOCK_ROWS_PER_PAGE", 7)
    store = sandbox.store
    here, there = store.outlets
    store.set_level(store.products[0], here, "-2.5")
    connector = connect()
    pages = list(connector.read_levels(""))
    levels = {level.product_id: level for page in pages for level in page.records}
    assert {level.location_id for level in levels.values()} == {here["id"]}
    assert len(levels) == len(store.products)
    assert levels[store.products[0]["id"]].available == Decimal("-2.5")
    assert sum(page.skipped for page in pages) == len(store.products)
    store.set_level(store.products[1], here, 77)
    store.set_level(store.products[1], there, 78)
    (page,) = connector.read_levels(last_cursor(pages))
    assert [(level.product_id, level.available) for level in page.records] == [(store.products[1]["id"], 77)]
    assert page.skipped == 1


def test_errors_have_kinds_the_engine_knows(connect: Connect) -> None:
    with pytest.raises(ConnectorError) as caught:
        next(connect(outlet_name="Moon Shop").read_levels(""))
    assert caught.value.kind == "configuration"
