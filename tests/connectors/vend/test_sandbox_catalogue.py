"""Products over the API: families, rules of names and SKUs, updates; and what products are sorted by. Source: vend.md 3.11."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pytest

from connectors.vend.sandbox_store import VendStore
from tests.connectors.vend.calling import Caller, calling

NOBODY = "11111111-2222-1333-8444-555555555555"


@pytest.fixture
def caller() -> Iterator[Caller]:
    with calling(products=3) as caller:
        yield caller


@pytest.fixture
def store(caller: Caller) -> VendStore:
    return caller.sandbox.store


def hoodie(caller: Caller, **fields: Any) -> dict[str, Any]:
    """A family of four, its attributes made first."""
    made = {
        record["name"]: record["id"] for record in caller.get("variant_attributes")["data"]
    }  # fmt: skip
    for name in ("Colour", "Size"):
        if name not in made:
            made[name] = caller.data("POST", "variant_attributes", {"name": name}, 201)["id"]
    variants = [
        {
            "sku": f"HOOD{colour[0]}{size}",
            "price_excluding_tax": 40,
            "variant_definitions": [
                {"attribute_id": made["Colour"], "value": colour},
                {"attribute_id": made["Size"], "value": size},
            ],
            "inventory": [{"outlet_id": caller.sandbox.store.outlets[0].id, "current_amount": 5}],
        }
        for colour in ("Red", "Blue")
        for size in ("S", "M")
    ]
    return {"name": "Hoodie", "handle": "wms-7781", "variants": variants} | fields


@pytest.mark.parametrize("family", ["2.0", "2026-07"])
def test_a_family_is_created_in_one_call(caller: Caller, store: VendStore, family: str) -> None:
    caller.family = family
    ids = caller.data("POST", "products", hoodie(caller))
    products = [caller.data("GET", f"products/{product_id}") for product_id in ids]
    assert [product["sku"] for product in products] == ["HOODRS", "HOODRM", "HOODBS", "HOODBM"]
    assert {product["handle"] for product in products} == {"wms-7781"}
    assert [product["variant_parent_id"] for product in products] == [None, ids[0], ids[0], ids[0]]
    assert [product["has_variants"] for product in products] == [True, False, False, False]
    assert products[1]["variant_name"] == "Hoodie / Red / M"
    assert [(option["name"], option["value"]) for option in products[3]["variant_options"]] == [
        ("Colour", "Blue"),
        ("Size", "M"),
    ]
    assert products[0]["price_including_tax"] == 46
    assert [store.level(product_id, store.outlets[0]) for product_id in ids] == [5] * 4
    assert store.level(ids[0], store.outlets[1]) == 0


def test_a_plain_product_gets_what_it_does_not_bring(caller: Caller) -> None:
    (first,) = caller.data("POST", "products", {"name": "Plain"})
    product = caller.data("GET", f"products/{first}")
    assert product["sku"].isdigit()
    assert (product["handle"], product["has_inventory"], product["active"]) == ("plain", True, True)


def test_a_product_with_everything(caller: Caller, store: VendStore) -> None:
    brand = caller.data("POST", "brands", {"name": "Peak"})
    tag = caller.data("POST", "tags", {"name": "Summer"})
    supplier = caller.data("POST", "suppliers", {"name": "Acme", "contact": {"physical_address1": "1 Road"}})
    category = caller.data("POST", "product_categories/bulk", {"categories": [{"name": "Hats"}]})[0]["id"]
    (made,) = caller.data(
        "POST",
        "products",
        {
            "name": "Cap",
            "description": "<p>Soft</p>",
            "brand_id": brand,
            "tag_ids": [tag],
            "product_category_id": category,
            "product_suppliers": [{"supplier_id": supplier, "price": 7.25, "code": "S-1"}],
            "product_codes": [{"type": "EAN", "code": "9400000000017"}, {"type": "CUSTOM", "code": "CAP1"}],
            "price_including_tax": 23,
            "is_active": False,
        },
    )
    product = caller.data("GET", f"products/{made}")
    assert (product["brand"]["name"], product["type"]["name"], product["supplier"]["name"]) == ("Peak", "Hats", "Acme")
    assert [category["name"] for category in product["categories"]] == ["Summer"]
    assert (product["sku"], product["supply_price"], product["active"]) == ("CAP1", Decimal("7.25"), False)
    assert (product["price_excluding_tax"], product["price_including_tax"]) == (20, 23)
    for code in ("9400000000017", "cap1"):
        assert [found["id"] for found in caller.get("products", sku=code, page_size=1)["data"]] == [made]
    assert [found["id"] for found in caller.get("products", name="Cap")["data"]] == [made]


@pytest.mark.parametrize(
    ("change", "status"),
    [
        ({"name": ""}, 400),
        ({"variants": [{"sku": "A B"}]}, 422),
        ({"variants": [{"sku": "MBEAN"}]}, 422),
        ({"variants": [{"sku": "X1"}, {"sku": "X1"}]}, 422),
        ({"variants": [{}] * 201}, 422),
        ({"variants": 5}, 400),
        ({"name": "Merino Beanie"}, 409),
        ({"price_including_tax": 1, "price_excluding_tax": 1}, 400),
        ({"brand_id": NOBODY}, 422),
        ({"tag_ids": [NOBODY]}, 422),
        ({"product_codes": [{"type": "QR", "code": "1"}]}, 422),
        ({"variants": [{"variant_definitions": [{"attribute_id": NOBODY, "value": "x"}]}]}, 422),
    ],
)
def test_what_breaks_a_rule_creates_nothing(
    caller: Caller, store: VendStore, change: dict[str, Any], status: int
) -> None:
    caller.json("POST", "products", {"name": "New"} | change, status=status)
    assert len(store.products) == 3


def test_common_goes_to_the_family_and_details_to_one(caller: Caller) -> None:
    ids = caller.data("POST", "products", hoodie(caller))
    caller.family = "2.1"
    body = {
        "common": {"name": "Warm Hoodie", "description": "Wool"},
        "details": {
            "price_excluding_tax": 44.5,
            "is_active": False,
            "product_codes": [{"type": "CUSTOM", "code": "NEW1"}],
        },
    }
    caller.data("PUT", f"products/{ids[1]}", body)
    caller.family = "2.0"
    products = [caller.data("GET", f"products/{product_id}") for product_id in ids]
    assert {product["name"] for product in products} == {"Warm Hoodie"}
    assert products[2]["variant_name"] == "Warm Hoodie / Blue / S"
    assert [product["price_excluding_tax"] for product in products] == [40, Decimal("44.5"), 40, 40]
    assert [product["sku"] for product in products] == ["HOODRS", "NEW1", "HOODBS", "HOODBM"]
    assert [product["active"] for product in products] == [True, False, True, True]


def test_an_update_keeps_what_it_does_not_name(caller: Caller, store: VendStore) -> None:
    product = store.products[0]
    before = caller.data("GET", f"products/{product.id}")
    caller.data("PUT", f"products/{product.id}", {"details": {"weight": 1.5, "weight_unit": "KG"}})
    after = caller.data("GET", f"products/{product.id}")
    changed = {name for name in after if after[name] != before[name]}
    assert changed == {"weight", "weight_unit", "updated_at", "version"} - (
        {"updated_at"} if after["updated_at"] == before["updated_at"] else set()
    )


def test_suppliers_brand_and_tracking_are_updated(caller: Caller, store: VendStore) -> None:
    product = store.products[0]
    supplier = caller.data("POST", "suppliers", {"name": "Acme"})
    common = {"brand_id": "", "track_inventory": False, "product_suppliers": [{"supplier_id": supplier, "price": 3}]}
    caller.data("PUT", f"products/{product.id}", {"common": common})
    assert (product["brand_id"], product["has_inventory"], product["supplier_id"]) == (None, False, supplier)
    details = {"product_suppliers": [{"supplier_id": supplier, "price": 4.5}]}
    caller.data("PUT", f"products/{product.id}", {"details": details})
    assert product["supply_price"] == Decimal("4.5")
    details = {"product_suppliers": [{"supplier_id": supplier, "price": -1}]}
    caller.data("PUT", f"products/{product.id}", {"details": details})
    assert product["product_suppliers"] == []


def test_variant_values_change_and_updates_obey_the_rules(caller: Caller, store: VendStore) -> None:
    ids = caller.data("POST", "products", hoodie(caller))
    colour = store.product(ids[0])["variant_options"][0]["id"]
    values = [{"attribute_id": colour, "attribute_value": "Crimson"}]
    caller.data("PUT", f"products/{ids[0]}", {"details": {"variant_attribute_values": values}})
    assert store.product(ids[0])["variant_name"] == "Hoodie / Crimson / S"
    for body in (
        {"common": {"name": "Merino Beanie"}},
        {"details": {"product_codes": [{"code": "MBEAN"}]}},
        {"common": {"brand_id": NOBODY}},
        {"common": {"variant_attributes": [{}, {}, {}, {}]}},
    ):
        caller.json("PUT", f"products/{ids[0]}", body, status=422)


def test_one_product_or_the_family_is_deleted(caller: Caller, store: VendStore) -> None:
    ids = caller.data("POST", "products", hoodie(caller))
    caller.send("DELETE", f"products/{ids[3]}")
    assert [store.product(product_id)["deleted_at"] is None for product_id in ids] == [True, True, True, False]
    caller.send("DELETE", f"products/{ids[1]}/all")
    assert all(store.product(product_id)["deleted_at"] for product_id in ids)
    caller.json("PUT", f"products/{ids[0]}", {"details": {}}, status=422)


def test_a_composite_is_made_of_parts(caller: Caller, store: VendStore) -> None:
    parts = [{"product_id": store.products[0].id, "quantity": 2}]
    (made,) = caller.data("POST", "products", {"name": "Gift Box", "composite": parts})
    product = caller.data("GET", f"products/{made}")
    assert (product["is_composite"], product["has_inventory"]) == (True, False)
    caller.json(
        "POST", "products", {"name": "Bad Box", "composite": [{"product_id": NOBODY, "quantity": 1}]}, status=422
    )


@pytest.mark.parametrize("resource", ["brands", "tags", "suppliers"])
def test_names_are_taken_once(caller: Caller, resource: str) -> None:
    made = caller.data("POST", resource, {"name": "Acme"})
    assert caller.data("GET", f"{resource}/{made}")["name"] == "Acme"
    assert made in [record["id"] for record in caller.feed(resource)]
    caller.json("POST", resource, {"name": "Acme"}, status=409)
    caller.json("POST", resource, {"name": " "}, status=400)


def test_categories_form_a_tree(caller: Caller) -> None:
    rows = [
        {"payload_id": "root", "name": "Pet"},
        {"payload_parent_category_id": "root", "payload_id": "cat", "name": "Cat"},
        {"payload_parent_category_id": "cat", "name": "Cat Food"},
    ]
    pet, cat, food = caller.data("POST", "product_categories/bulk", {"categories": rows})
    found = {row["name"]: row for row in caller.get("product_categories")["data"]["categories"]}
    assert [step["name"] for step in found["Cat Food"]["category_path"]] == ["Pet", "Cat", "Cat Food"]
    assert (found["Cat Food"]["root_category_id"], found["Cat Food"]["parent_category_id"]) == (pet["id"], cat["id"])
    assert (found["Cat"]["leaf_category"], found["Cat Food"]["leaf_category"]) == (False, True)
    caller.data("POST", "product_categories/bulk", {"categories": [{"id": food["id"], "name": "Cat Meals"}]})
    assert caller.data("GET", f"product_types/{food['id']}")["name"] == "Cat Meals"


def test_price_books_hold_prices_per_product(caller: Caller, store: VendStore) -> None:
    book = store.add_price_book("Wholesale", outlet_id=store.outlets[0].id)
    store.add_price_book_product(book, store.products[0], "19.50", min_units=10)
    (shown,) = caller.get(f"price_books/{book.id}/products")["data"]
    assert (shown["price"], shown["min_units"]) == (Decimal("19.50"), 10)
    assert [found["type"] for found in caller.feed("price_books")] == ["BASE", "GENERAL"]
    new_style = caller.json("GET", f"/api/3.0/price_books/{book.id}")["data"]
    assert (new_style["outlet_ids"], new_style["restrict_to_platform"]) == ([store.outlets[0].id], "0")


def test_customers_are_written_over_the_api(caller: Caller, store: VendStore) -> None:
    made = caller.data(
        "POST", "customers", {"first_name": "Юлия", "last_name": "Соколова", "postal_city": "Auckland"}, 201
    )
    assert made["name"] == "Юлия Соколова"
    assert made["customer_code"].startswith("Юлия-")
    changed = caller.data("PUT", f"customers/{made['id']}", {"first_name": "Юля", "last_name": None})
    assert (changed["name"], changed["postal_city"]) == ("Юля", "Auckland")
    assert changed["version"] > made["version"]
    assert caller.send("DELETE", f"customers/{made['id']}").status_code == 204
    assert made["id"] not in [customer["id"] for customer in caller.feed("customers")]


@pytest.mark.parametrize(
    ("note", "kept"),
    [
        ("card 4111 1111 1111 1111 ok", "card **** **** **** **** ok"),
        ("4111-1111-1111-1111", "****-****-****-****"),
        ("order 4111111111111112", "order 4111111111111112"),
        ("call +64 21 555 1234", "call +64 21 555 1234"),
    ],
)
def test_card_numbers_are_masked_without_a_word(caller: Caller, note: str, kept: str) -> None:
    body = {"first_name": "Ada", "last_name": "Lovelace", "note": note}
    assert caller.data("POST", "customers", body, 201)["note"] == kept


def test_customer_addresses_of_the_dated_versions(caller: Caller, store: VendStore) -> None:
    customer = store.customers[0]
    path = f"customers/{customer.id}/addresses"
    body = {
        "type": "SHIPPING",
        "address_line_1": "7 Quay St",
        "city": "Auckland",
        "postcode": "1010",
        "country_code": "NZ",
    }
    made = caller.data("POST", path, body, 201)
    assert made["id_token"]
    (listed,) = caller.data("GET", path)
    assert listed["id"] == made["id"]
    assert "id_token" not in listed
    assert caller.data("PUT", f"{path}/{made['id']}", body | {"city": "Napier"})["city"] == "Napier"
    for wrong in ({"postcode": "SW1A"}, {"city": ""}, {"address_line_1": "x" * 51}):
        caller.json("POST", path, body | wrong, status=400)
    assert caller.send("DELETE", f"{path}/{made['id']}").status_code == 204
    caller.json("GET", f"{path}/{made['id']}", status=404)
