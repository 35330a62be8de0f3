"""Lists, cursors and the shapes of the API families. Source: vend.md 3.1 and 4."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from typing import Any

import pytest

from connectors.vend.sandbox import VendSandbox
from tests.connectors.vend.calling import Caller, calling

LISTED = [
    "outlets", "registers", "users", "taxes", "outlet_taxes", "payment_types", "customer_groups", "customers", "sales",
    "products", "brands", "tags", "suppliers", "product_types", "price_books", "price_book_products", "consignments",
]  # fmt: skip


@pytest.fixture
def caller() -> Iterator[Caller]:
    with calling(sales=23, products=8) as caller:
        yield caller


@pytest.mark.parametrize("family", ["2.0", "2026-01", "2026-04", "2026-07", "2026-10"])
def test_every_list_of_every_family_fits_its_document(caller: Caller, family: str) -> None:
    caller.family = family
    store = caller.sandbox.store
    store.add_family("Hoodie", {"Colour": ["Red", "Blue"], "Size": ["S", "M"]})
    store.named(store.tag_feed, "Sale")
    store.named(store.supplier_feed, "Peak")
    store.add_price_book_product(store.base_price_book, store.products[0], "9.95")
    store.order_stock("Main Outlet", [(store.products[0], 5)])
    for omit_nulls in (False, True):
        caller.sandbox.omit_nulls = omit_nulls
        for resource in LISTED:
            assert caller.feed(resource), resource
    for single in ("retailer", "user", "webhooks", "variant_attributes", "product_categories"):
        caller.get(single)


@pytest.mark.parametrize("page_size", [1, 7, 23, 24, 500])
def test_pages_hold_every_sale_once_in_order_of_version(caller: Caller, page_size: int) -> None:
    pages = list(caller.pages("sales", page_size))
    sales = [sale for page in pages for sale in page]
    versions = [sale["_metadata"]["version"] for sale in sales]
    assert all(len(page) <= page_size for page in pages)
    assert versions == sorted(versions)
    assert [sale["id"] for sale in sales] == [sale.id for sale in caller.sandbox.store.sales]


def test_the_page_names_the_span_of_its_versions(caller: Caller) -> None:
    page = caller.get("sales", page_size=5)
    versions = [sale["_metadata"]["version"] for sale in page["data"]]
    assert page["version"] == {"min": versions[0], "max": versions[-1]}
    assert versions[0] > 2**31


def test_before_is_an_upper_bound(caller: Caller) -> None:
    versions = [sale.version for sale in caller.sandbox.store.sales]
    page = caller.get("sales", after=versions[2], before=versions[6])
    assert [sale["_metadata"]["version"] for sale in page["data"]] == versions[3:6]


def test_page_sizes_have_a_default_and_a_cap() -> None:
    with calling(sales=520, products=3, lines_per_sale=1) as caller:
        assert len(caller.get("sales")["data"]) == 100
        assert len(caller.get("sales", page_size=9999)["data"]) == 500
        caller.get("sales", status=400, page_size=0)


def test_a_changed_sale_moves_to_the_end_of_the_feed(caller: Caller) -> None:
    store = caller.sandbox.store
    first, newest = store.sales[0], max(sale.version for sale in store.sales)
    store.update_sale(first, note="changed")
    (again,) = caller.get("sales", after=newest)["data"]
    assert (again["id"], again["note"]) == (first.id, "changed")
    ids = [sale["id"] for sale in caller.feed("sales", 10)]
    assert len(ids) == len(set(ids)) == 23
    assert ids[-1] == first.id


def test_a_feed_survives_many_changes(caller: Caller) -> None:
    store = caller.sandbox.store
    product = store.products[0]
    for price in range(1, 2500):
        store.update_product(product, price=price)
    feed = caller.feed("products")
    assert [record["id"] for record in feed].count(product.id) == 1
    assert feed[-1]["price_excluding_tax"] == 2499


def test_versions_grow_with_gaps_over_all_resources(caller: Caller) -> None:
    store = caller.sandbox.store
    versions = [store.add_customer(first_name="Ada").version, store.add_product(sku="X1").version]
    versions.append(store.add_sale(lines=[]).version)
    assert versions == sorted(set(versions))
    assert versions[-1] - versions[0] > 1


@pytest.mark.parametrize("resource", ["products", "customers", "outlets"])
def test_deleted_records_show_only_when_asked_for(caller: Caller, resource: str) -> None:
    store = caller.sandbox.store
    records: dict[str, tuple[Any, Any]] = {
        "products": (store.products[0], store.delete_product),
        "customers": (store.customers[0], store.delete_customer),
        "outlets": (store.outlets[1], store.delete_outlet),
    }
    record, delete = records[resource]
    delete(record)
    assert record.id not in [row["id"] for row in caller.feed(resource)]
    if resource != "customers":
        (found,) = [row for row in caller.feed(resource, deleted="true") if row["id"] == record.id]
        assert found["deleted_at"] is not None


def test_raw_text_goes_into_the_feed_as_it_is(caller: Caller) -> None:
    store = caller.sandbox.store
    newest = store.version
    version = store.add_raw_sale('{"id":"00000000-0000-1000-8000-000000000001","state":"teleported","line_items":7}')
    page = caller.get("sales", after=newest)
    assert page == {
        "data": [{"id": "00000000-0000-1000-8000-000000000001", "state": "teleported", "line_items": 7}],
        "version": {"min": version, "max": version},
    }
    assert caller.data("GET", "sales/00000000-0000-1000-8000-000000000001")["state"] == "teleported"
    store.add_raw_sale("{not json")
    assert "{not json" in caller.send("GET", f"sales?after={version}").text
    caller.sandbox.reset_calls()


def test_the_two_shapes_say_the_same(caller: Caller) -> None:
    store = caller.sandbox.store
    product = store.add_product(sku="FIVE", price="2.63158")
    sale = store.add_sale(
        lines=[{"product": product, "quantity": "1.5", "discount": "0.5", "note": "gift"}], status="AWAITING_DISPATCH"
    )
    dated = caller.data("GET", f"sales/{sale.id}")
    caller.family = "2.0"
    flat = caller.data("GET", f"sales/{sale.id}")
    (new,), (old,) = dated["line_items"], flat["line_items"]
    assert (flat["status"], flat["state"], flat["attributes"]) == ("AWAITING_DISPATCH", "pending", ["delivery"])
    assert (dated["state"], dated["attributes"]) == ("pending", ["delivery"])
    assert "status" not in dated
    assert old["price"] == old["unit_price"] == new["pricing"]["price"] == Decimal("2.13158")
    assert old["price_total"] == old["total_price"] == new["pricing"]["total"] == Decimal("3.19737")
    assert old["discount_total"] == new["pricing"]["discount_total"] == Decimal("0.75")
    assert old["tax"] == new["tax"]["amount"] == Decimal("0.31974")
    assert flat["total_tax"] == dated["totals"]["tax"] == new["tax"]["total"]
    assert flat["sale_date"].endswith("+00:00")
    assert dated["date"].endswith("Z")
    assert flat["version"] == dated["_metadata"]["version"] == sale.version


def test_the_same_seed_makes_the_same_shop() -> None:
    def picture(seed: int) -> list[Any]:
        store = VendSandbox(sales=5, seed=seed).store
        return [[sale.id, sale.invoice_number, sale.total_price] for sale in store.sales] + [
            p.sku for p in store.products
        ]

    assert picture(3) == picture(3)
    assert picture(3) != picture(4)


def test_the_demo_shop_looks_like_one(caller: Caller) -> None:
    outlets = caller.feed("outlets")
    assert [outlet["name"] for outlet in outlets] == ["Main Outlet", "Lambton Quay"]
    assert all(outlet["physical_address_1"] and outlet["physical_city"] for outlet in outlets)
    assert caller.data("GET", "retailer")["tax_exclusive"] is True
    names = [customer["first_name"] or "" for customer in caller.feed("customers")]
    assert any(not name.isascii() for name in names)
    skus = [product["sku"] for product in caller.sandbox.store.products]
    assert len(set(skus)) == len(skus)
    assert all(sku.isalnum() for sku in skus)


def test_many_products_and_customers_stay_distinct() -> None:
    store = VendSandbox(outlets=1, products=3000, customers=40).store
    assert len({product.sku for product in store.products}) == 3000
    assert len({product.name for product in store.products}) == 3000
    assert len({customer.email for customer in store.customers}) == 40


def test_a_tax_inclusive_shop_names_round_shelf_prices() -> None:
    with calling(tax_exclusive=False, products=5) as caller:
        assert caller.data("GET", "retailer")["tax_exclusive"] is False
        product = caller.sandbox.store.add_product(sku="INC", price="24.95")
        shown = caller.data("GET", f"products/{product.id}")
        assert shown["price_including_tax"] == Decimal("24.95")
        assert shown["price_excluding_tax"] == Decimal("21.69565")


def test_fields_of_later_versions_are_left_out_of_2_0(caller: Caller) -> None:
    outlet = caller.sandbox.store.outlets[0]
    assert "phone" in caller.data("GET", f"outlets/{outlet.id}")
    caller.family = "2.0"
    assert "phone" not in caller.data("GET", f"outlets/{outlet.id}")
    assert "family_id" not in caller.feed("products")[0]


def test_search_filters_and_pages_by_offset(caller: Caller) -> None:
    store = caller.sandbox.store
    outlet, product = store.outlets[0], store.products[0]
    customer = store.add_customer(first_name="Ada", last_name="Lovelace", email="Ada@example.com")
    store.add_sale(outlet, [(product, 1)], status="LAYBY", customer=customer)

    def search(**params: Any) -> list[Any]:
        return list(caller.json("GET", "search", params=params)["data"])

    caller.family = "2.0"
    assert all(sale["outlet_id"] == outlet.id for sale in search(type="sales", outlet_id=outlet.id))
    assert [sale["status"] for sale in search(type="sales", customer_id=customer.id)] == ["LAYBY"]
    assert len(search(type="sales", status=["LAYBY", "CLOSED"])) == 24
    assert search(type="products", sku=product.sku) == []
    assert [found["id"] for found in search(type="products", sku=product.sku.lower())] == [product.id]
    assert [found["id"] for found in search(type="customers", email="ada@EXAMPLE.com")] == [customer.id]
    every = [sale["id"] for sale in search(type="sales")]
    halves = search(type="sales", page_size=12) + search(type="sales", page_size=12, offset=12)
    assert [sale["id"] for sale in halves] == every
    caller.get("search", status=400, type="brands")


def test_the_feed_can_be_encoded_ahead(caller: Caller) -> None:
    before = caller.feed("sales")
    caller.sandbox.encode_sales("2026-07")
    caller.sandbox.encode_sales("2.0")
    assert caller.feed("sales") == before


def test_many_threads_see_one_shop(caller: Caller) -> None:
    store = caller.sandbox.store
    product, outlet = store.products[0], store.outlets[0]
    store.set_level(product, outlet, 1000)

    def sell(_: int) -> None:
        own = Caller(caller.sandbox)
        for _ in range(25):
            store.add_sale(outlet, [(product, 1)])
            own.get("sales", page_size=10)
        own.close()

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(sell, range(4)))
    assert store.level(product, outlet) == 900
    feed = caller.feed("sales")
    assert len({sale["id"] for sale in feed}) == len(feed) == 123
    assert len({sale.invoice_number for sale in store.sales}) == 123
