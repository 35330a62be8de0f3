"""Writing the warehouse's products to Vend (vend.md section 3.11, vend-product-rules.md section 5)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from decimal import Decimal
from typing import Any

import pytest

from connectors.base import Environment
from connectors.budget import BudgetBook
from connectors.errors import AuthenticationFailed, OutcomeUnknown, RateLimited, RemoteUnavailable
from connectors.records import ProductFamilyChange, VariantChange, WriteResult
from connectors.settings_fields import SettingErrors
from connectors.vend import product_push
from connectors.vend.connector import VendConnector
from connectors.vend.options import VendCredentials, VendOptions
from connectors.vend.sandbox import VendSandbox
from tests.connectors.vend.conftest import Connect, request_problems

CREATE, UPDATE = "POST /products", "PUT /products/{id}"


def variant(reference: str = "wms-1", sku: str = "TEE1", **fields: Any) -> VariantChange:
    return VariantChange(reference=reference, sku=sku, **fields)


def family(*variants: VariantChange, **fields: Any) -> ProductFamilyChange:
    return ProductFamilyChange(
        **{"handle": "wms-1", "name": "Tee Shirt", "variants": variants or (variant(),), **fields}
    )


def full_family(**fields: Any) -> ProductFamilyChange:
    """Everything that a warehouse can deliver."""
    common = {
        "description": "Soft & warm",
        "brand": "Kea Knitwear",
        "product_type": "Shirts",
        "supplier": "Wool Mill",
        "tags": ("New", "Cotton"),
    }
    article = variant(
        barcode="9400000000017",
        supplier_code="S-1",
        retail_price=Decimal("19.95"),
        supply_price=Decimal("7.5"),
        attributes={},
    )
    return family(article, **{**common, **fields})


def stored(sandbox: VendSandbox, result: WriteResult) -> Any:
    return sandbox.store.product(result.remote_id)


def body(sandbox: VendSandbox, name: str, number: int = -1) -> Any:
    return [call for call in sandbox.calls if call.name == name][number].request_json()


def names(sandbox: VendSandbox, feed: str) -> list[str]:
    return [record["name"] for record in getattr(sandbox.store, feed)]


# --- creating --------------------------------------------------------------------------------------------------------


def test_a_product_with_all_its_fields(sandbox: VendSandbox, connect: Connect) -> None:
    (result,) = connect().write_products(full_family())
    assert (result.ok, result.reference) == (True, "wms-1")
    product = stored(sandbox, result)
    assert (product["name"], product["handle"], product["sku"]) == ("Tee Shirt", "wms-1", "TEE1")
    assert (product["description"], product["supplier_code"]) == ("Soft & warm", "S-1")
    assert (product["price_excluding_tax"], product["supply_price"]) == (Decimal("19.95"), Decimal("7.5"))
    assert [(code["type"], code["code"]) for code in product["product_codes"]] == [
        ("CUSTOM", "TEE1"),
        ("EAN", "9400000000017"),
    ]
    for feed, field, name in (
        ("brand_feed", "brand_id", "Kea Knitwear"),
        ("product_type_feed", "product_type_id", "Shirts"),
        ("supplier_feed", "supplier_id", "Wool Mill"),
    ):
        assert getattr(sandbox.store, feed).by_id[product[field]]["name"] == name
    assert {sandbox.store.tag_feed.by_id[tag]["name"] for tag in product["tag_ids"]} == {"New", "Cotton"}


def test_what_the_warehouse_does_not_deliver_is_not_sent(sandbox: VendSandbox, connect: Connect) -> None:
    connect().write_products(family())
    assert body(sandbox, CREATE) == {"name": "Tee Shirt", "handle": "wms-1", "sku": "TEE1"}


def test_special_characters_are_taken_out_of_the_sku(sandbox: VendSandbox, connect: Connect) -> None:
    (result,) = connect().write_products(family(variant(sku="tee-1/RED_é.x")))
    assert stored(sandbox, result)["sku"] == "tee1REDéx"


@pytest.mark.parametrize("sku", ["TEE 1", " TEE1", "TEE\t1", "TEE\u00a01"])
def test_white_space_in_a_sku_is_refused_with_a_message(sandbox: VendSandbox, connect: Connect, sku: str) -> None:
    (result,) = connect().write_products(family(variant(sku=sku)))
    assert not result.ok
    assert "white space" in result.reason and "warehouse" in result.fix
    assert sandbox.counts == {}


@pytest.mark.parametrize(("sku", "words"), [("", "no SKU"), ("  ", "no SKU"), ("-/-", "neither letters nor digits")])
def test_a_sku_that_is_none(sandbox: VendSandbox, connect: Connect, sku: str, words: str) -> None:
    (result,) = connect().write_products(family(variant(sku=sku)))
    assert not result.ok and words in result.reason


def test_a_family_is_created_once_with_all_its_variants(sandbox: VendSandbox, connect: Connect) -> None:
    variants = [
        variant(f"wms-{colour}{size}", f"TEE-{colour}{size}", attributes={"Colour": colour, "Size": size})
        for colour in ("Red", "Blue")
        for size in ("S", "M")
    ]
    results = connect().write_products(family(*variants))
    assert [result.reference for result in results] == [item.reference for item in variants]
    assert sandbox.count(CREATE) == 1
    assert sandbox.count("POST /variant_attributes") == 2
    products = [stored(sandbox, result) for result in results]
    assert [product["sku"] for product in products] == ["TEERedS", "TEERedM", "TEEBlueS", "TEEBlueM"]
    assert {product["handle"] for product in products} == {"wms-1"}
    assert len({product["family_id"] for product in products}) == 1
    assert [option["value"] for option in products[3]["variant_options"]] == ["Blue", "M"]


def many(count: int, **attributes: str) -> list[VariantChange]:
    return [variant(f"wms-{n}", f"TEE{n}", attributes={"Size": str(n), **attributes}) for n in range(count)]


def test_two_hundred_variants_go_in_one_call_and_one_more_is_refused(sandbox: VendSandbox, connect: Connect) -> None:
    connector = connect()
    results = connector.write_products(family(*many(201)))
    assert {result.ok for result in results} == {False}
    assert "201 variants" in results[0].reason and "200" in results[0].reason
    assert sandbox.counts == {}
    assert {result.ok for result in connector.write_products(family(*many(200)))} == {True}
    assert sandbox.count(CREATE) == 1


def test_more_than_three_attributes_are_refused(sandbox: VendSandbox, connect: Connect) -> None:
    three = many(2, Colour="Red", Fit="Slim")
    results = connect().write_products(family(*many(2, Colour="Red", Fit="Slim", Neck="V")))
    assert {result.ok for result in results} == {False}
    assert "4 attributes" in results[0].reason
    assert {result.ok for result in connect().write_products(family(*three))} == {True}


@pytest.mark.parametrize(
    ("attributes", "words"),
    [
        ([{}, {}], "no attribute"),
        ([{"Size": "S"}, {}], "lacks a value"),
        ([{"Size": "S"}, {"Size": " s "}], "same attributes"),
    ],
)
def test_variants_must_be_told_apart(
    sandbox: VendSandbox, connect: Connect, attributes: Sequence[dict[str, str]], words: str
) -> None:
    variants = [variant(f"wms-{n}", f"TEE{n}", attributes=given) for n, given in enumerate(attributes)]
    results = connect().write_products(family(*variants))
    assert all(not result.ok and words in result.reason for result in results)
    assert sandbox.counts == {}


def test_brands_types_tags_and_suppliers_are_created_once(sandbox: VendSandbox, connect: Connect) -> None:
    connector = connect()
    sandbox.store.named(sandbox.store.brand_feed, "Kea Knitwear")
    for number in range(3):
        change = full_family(handle=f"h{number}", name=f"Tee {number}", brand=" kea  KNITWEAR ")
        change = family(
            variant(f"wms-{number}", f"TEE{number}", supply_price=Decimal(1)),
            handle=change.handle,
            name=change.name,
            brand=change.brand,
            product_type=change.product_type,
            supplier=change.supplier,
            tags=change.tags,
        )
        assert connector.write_products(change)[0].ok
    assert sandbox.count("POST /brands") == 0
    assert sandbox.count("POST /suppliers") == 1
    assert sandbox.count("POST /tags") == 2
    assert sandbox.count("POST /product_categories/bulk") == 1
    assert names(sandbox, "supplier_feed").count("Wool Mill") == 1
    # Lists are read once, each to its empty page.
    assert max(number for name, number in sandbox.counts.items() if name.startswith("GET")) <= 2


def test_a_category_with_children_gives_way_to_a_leaf_of_the_same_name(sandbox: VendSandbox, connect: Connect) -> None:
    branch = sandbox.store.product_type("Shirts")
    branch["leaf_category"] = False
    leaf = sandbox.store.touch(
        sandbox.store.product_type_feed,
        type(branch)(branch | {"id": sandbox.store.new_id(), "leaf_category": True}),
    )
    (result,) = connect().write_products(full_family())
    assert stored(sandbox, result)["product_type_id"] == leaf["id"]


@pytest.mark.parametrize("fault", ["answer_lost", "cut_body"])
def test_a_brand_whose_answer_was_lost_is_looked_up_not_created_again(
    sandbox: VendSandbox, connect: Connect, fault: str
) -> None:
    sandbox.fail(match="POST /brands", fault=fault)
    (result,) = connect().write_products(family(brand="New Brand"))
    assert result.ok
    assert names(sandbox, "brand_feed").count("New Brand") == 1


def test_a_brand_that_did_not_arrive_waits_for_the_next_run(sandbox: VendSandbox, connect: Connect) -> None:
    sandbox.fail(match="POST /brands", fault="never_received")
    with pytest.raises(RemoteUnavailable):
        connect().write_products(family(brand="New Brand"))
    assert sandbox.count(CREATE) == 0


@pytest.fixture
def inclusive() -> Iterator[tuple[VendSandbox, VendConnector]]:
    with VendSandbox(outlets=1, sales=0, products=2, customers=1, seed=1, tax_exclusive=False) as sandbox:
        environment = Environment(budgets=BudgetBook(), extra_hosts=frozenset({sandbox.host}))
        options = VendOptions.parse({"vend_url": sandbox.url})
        connector = VendConnector(options, VendCredentials.parse({"access_token": sandbox.token}), environment)
        yield sandbox, connector
        connector.close()
        assert request_problems(sandbox) == []


def test_a_tax_inclusive_store_gets_prices_with_tax(inclusive: tuple[VendSandbox, VendConnector]) -> None:
    sandbox, connector = inclusive
    (result,) = connector.write_products(family(variant(retail_price=Decimal("23.00"))))
    assert stored(sandbox, result)["price_including_tax"] == Decimal(23)
    assert stored(sandbox, result)["price_excluding_tax"] == Decimal(20)
    change = variant(remote_id=result.remote_id, retail_price=Decimal("11.50"))
    connector.write_products(family(change, remote_id=result.remote_id))
    assert body(sandbox, UPDATE) == {"details": {"price_including_tax": 11.5}}
    assert "price_excluding_tax" not in body(sandbox, CREATE)


def test_a_tax_exclusive_store_gets_prices_without_tax(sandbox: VendSandbox, connect: Connect) -> None:
    connect().write_products(family(variant(retail_price=Decimal("20.00001"))))
    (call,) = [call for call in sandbox.calls if call.name == CREATE]
    assert b'"price_excluding_tax":20.00001' in call.request_body
    assert b"price_including_tax" not in call.request_body


# --- lost answers and trouble ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("fault", ["answer_lost", "cut_body"])
def test_a_creation_without_answer_is_looked_up_before_a_second_one(
    sandbox: VendSandbox, connect: Connect, fault: str
) -> None:
    connector = connect()
    sandbox.fail(match=CREATE, fault=fault)
    with pytest.raises(OutcomeUnknown):
        connector.write_products(family(variant(sku="TEE-1")))
    (result,) = connector.write_products(family(variant(sku="TEE-1"), in_doubt=True))
    assert result.ok and stored(sandbox, result)["sku"] == "TEE1"
    assert sandbox.count(CREATE) == 1
    assert len(sandbox.store.products_with("name", "Tee Shirt")) == 1


def test_a_creation_that_never_arrived_is_made_after_the_look(sandbox: VendSandbox, connect: Connect) -> None:
    connector = connect()
    sandbox.fail(match=CREATE, fault="never_received")
    with pytest.raises(OutcomeUnknown):
        connector.write_products(family())
    (result,) = connector.write_products(family(in_doubt=True))
    assert result.ok and len(sandbox.store.products_with("name", "Tee Shirt")) == 1


def test_a_doubt_that_finds_somebody_elses_name(sandbox: VendSandbox, connect: Connect) -> None:
    sandbox.store.add_product(sku="OTHER", name="Tee Shirt")
    (result,) = connect().write_products(family(in_doubt=True))
    assert not result.ok and "already named" in result.reason


@pytest.mark.parametrize(
    ("fault", "kind"),
    [
        ({"status": 429}, RateLimited),
        ({"status": 503}, RemoteUnavailable),
        ({"status": 500}, OutcomeUnknown),
        ({"status": 401}, AuthenticationFailed),
        ({"fault": "html"}, OutcomeUnknown),
    ],
)
def test_trouble_keeps_its_type(
    sandbox: VendSandbox, connect: Connect, fault: dict[str, Any], kind: type[Exception]
) -> None:
    sandbox.fail(match=CREATE, **fault)
    with pytest.raises(kind):
        connect().write_products(family())


def test_a_name_that_is_taken_is_refused_with_vends_reason(sandbox: VendSandbox, connect: Connect) -> None:
    sandbox.store.add_product(sku="OTHER", name="Tee Shirt")
    (result,) = connect().write_products(family())
    assert not result.ok and "exists already" in result.reason and result.fix


# --- changing --------------------------------------------------------------------------------------------------------


def test_only_the_named_fields_are_written(sandbox: VendSandbox, connect: Connect) -> None:
    product = sandbox.store.products[0]
    before = dict(product)
    change = variant(remote_id=product["id"], retail_price=Decimal("12.5"))
    (result,) = connect().write_products(family(change, remote_id=product["id"]))
    assert result.ok and result.remote_id == product["id"]
    assert body(sandbox, UPDATE) == {"details": {"price_excluding_tax": 12.5}}
    kept = set(before) - {"price_excluding_tax", "price_including_tax", "version", "updated_at"}
    assert {name: product[name] for name in kept} == {name: before[name] for name in kept}


def test_nothing_to_write_is_no_call(sandbox: VendSandbox, connect: Connect) -> None:
    product = sandbox.store.products[0]
    connector = connect()
    connector.product_push.names.known["brands"] = {}
    sandbox.reset_calls()
    (result,) = connector.write_products(family(variant(remote_id=product["id"]), remote_id=product["id"]))
    assert result.ok
    assert sandbox.counts == {}


def test_common_once_per_family_and_details_once_per_product(sandbox: VendSandbox, connect: Connect) -> None:
    products = sandbox.store.add_family("Hoodie", {"Size": ["S", "M", "L"]})
    changes = [
        variant(f"wms-{n}", product["sku"], remote_id=product["id"], retail_price=Decimal(30 + n))
        for n, product in enumerate(products[:2])
    ]
    changes.append(variant("wms-2", products[2]["sku"], remote_id=products[2]["id"]))
    change = family(
        *changes, name="Warm Hoodie", remote_id=products[0]["id"], renamed=True, description="Warm", tags=("New",)
    )
    results = connect().write_products(change)
    assert {result.ok for result in results} == {True} and len(results) == 3
    assert sandbox.count(UPDATE) == 3
    assert {product["name"] for product in products} == {"Warm Hoodie"}
    assert [product["price_excluding_tax"] for product in products[:2]] == [30, 31]


def test_one_call_for_a_product_with_both_parts(sandbox: VendSandbox, connect: Connect) -> None:
    product = sandbox.store.products[0]
    change = variant(remote_id=product["id"], retail_price=Decimal(3))
    connect().write_products(family(change, remote_id=product["id"], description="New words"))
    assert sandbox.count(UPDATE) == 1
    assert body(sandbox, UPDATE) == {
        "common": {"description": "New words"},
        "details": {"price_excluding_tax": 3},
    }


def test_a_new_barcode_takes_the_old_ones_place(sandbox: VendSandbox, connect: Connect) -> None:
    connector = connect()
    (made,) = connector.write_products(full_family())
    product = stored(sandbox, made)
    product["product_codes"].append({"id": "x", "type": "CUSTOM", "code": "SHELF7"})
    sandbox.store.update_product(product)
    change = variant(remote_id=made.remote_id, barcode="012345678905")
    connector.write_products(family(change, remote_id=made.remote_id))
    assert [(row["type"], row["code"]) for row in product["product_codes"]] == [
        ("CUSTOM", "TEE1"),
        ("UPC", "012345678905"),
        ("CUSTOM", "SHELF7"),
    ]
    assert product["sku"] == "TEE1"


def test_supply_price_and_code_go_to_the_products_supplier(sandbox: VendSandbox, connect: Connect) -> None:
    connector = connect()
    (made,) = connector.write_products(full_family())
    change = variant(remote_id=made.remote_id, supply_price=Decimal("8.25"), supplier_code="S-2")
    (result,) = connector.write_products(family(change, remote_id=made.remote_id))
    assert result.ok and not result.reason
    (row,) = stored(sandbox, result)["product_suppliers"]
    assert (row["supplier_name"], row["code"], row["price"]) == ("Wool Mill", "S-2", Decimal("8.25"))
    assert stored(sandbox, result)["supply_price"] == Decimal("8.25")


def test_a_supply_price_without_a_supplier_is_left_alone_and_told(sandbox: VendSandbox, connect: Connect) -> None:
    product = sandbox.store.add_product(sku="BARE", name="Bare")
    change = variant(remote_id=product["id"], supply_price=Decimal(4), retail_price=Decimal(9))
    (result,) = connect().write_products(family(change, remote_id=product["id"]))
    assert result.ok and "supplier" in result.reason
    assert body(sandbox, UPDATE) == {"details": {"price_excluding_tax": 9}}


def test_a_new_supplier_comes_first_and_the_others_stay(sandbox: VendSandbox, connect: Connect) -> None:
    connector = connect()
    (made,) = connector.write_products(full_family())
    connector.write_products(
        family(variant(remote_id=made.remote_id, supply_price=Decimal(6)), remote_id=made.remote_id)
    )
    change = variant(remote_id=made.remote_id, supply_price=Decimal(5))
    (result,) = connector.write_products(family(change, remote_id=made.remote_id, supplier="Silk Mill"))
    product = stored(sandbox, result)
    assert [(row["supplier_name"], row["price"]) for row in product["product_suppliers"]] == [
        ("Silk Mill", Decimal(5)),
        ("Wool Mill", Decimal(6)),
    ]


def test_one_refused_variant_does_not_stop_the_others(sandbox: VendSandbox, connect: Connect) -> None:
    products = sandbox.store.add_family("Hoodie", {"Size": ["S", "M"]})
    changes = [
        variant(f"wms-{n}", product["sku"], remote_id=product["id"], retail_price=Decimal(30))
        for n, product in enumerate(products)
    ]
    sandbox.fail(match=UPDATE, status=422)
    results = connect().write_products(family(*changes, remote_id=products[0]["id"]))
    assert [result.ok for result in results] == [False, True]
    assert products[1]["price_excluding_tax"] == 30


def test_a_variant_that_vend_does_not_add_is_told_with_what_to_do(sandbox: VendSandbox, connect: Connect) -> None:
    products = sandbox.store.add_family("Hoodie", {"Size": ["S", "M"]})
    known = variant("wms-0", products[0]["sku"], remote_id=products[0]["id"], retail_price=Decimal(30))
    new = variant("wms-9", "HOODIEXL", attributes={"Size": "XL"})
    results = connect().write_products(family(known, new, name="Hoodie", remote_id=products[0]["id"]))
    assert [result.ok for result in results] == [True, False]
    assert "HOODIEXL" in results[1].reason and "by hand" in results[1].fix


def test_a_variant_in_doubt_is_looked_up_before_it_is_added_again(sandbox: VendSandbox, connect: Connect) -> None:
    products = sandbox.store.add_family("Hoodie", {"Size": ["S", "M"]})
    new = variant("wms-1", products[1]["sku"], attributes={"Size": "M"})
    change = family(new, name="Hoodie", remote_id=products[0]["id"], in_doubt=True)
    (result,) = connect().write_products(change)
    assert (result.ok, result.remote_id) == (True, products[1]["id"])
    assert sandbox.count(CREATE) == 0


# --- options ---------------------------------------------------------------------------------------------------------


def rules(**given: Any) -> Any:
    return product_push.rules_of(VendOptions.parse({"vend_url": "https://demo.retail.lightspeed.app", **given}))


def test_price_lists_by_option() -> None:
    assert (rules().retail_price_list, rules().supply_price_list) == ("Retail", "Retail")
    chosen = rules(retail_price_list="Wholesale", supply_price_list="Custom", supply_price_list_name="Factory gate")
    assert (chosen.retail_price_list, chosen.supply_price_list) == ("Wholesale", "Factory gate")


def test_custom_needs_a_name() -> None:
    with pytest.raises(SettingErrors) as caught:
        rules(retail_price_list="Custom")
    assert list(caught.value.errors) == ["retail_price_list_name"]


def test_the_option_decides_whether_anything_is_written() -> None:
    assert "Push Product Details" in rules().off_reason
    assert rules(push_product_details=True).off_reason == ""
