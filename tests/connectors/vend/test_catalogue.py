"""Outlets, customers, products and stock rows as the hub's records (vend.md sections 3.2, 3.9, 3.11, 3.12)."""

from decimal import Decimal
from typing import Any

import pytest

from connectors.records import CustomerRecord, OutletRecord, ProductKind, ProductRecord
from connectors.vend import catalogue, shapes
from connectors.vend.catalogue import StoreFacts
from connectors.vend.errors import Unreadable
from tests.connectors.vend import payloads
from tests.connectors.vend.payloads import as_json

FACTS = StoreFacts(currency="NZD", discount_product_id=payloads.DISCOUNT_PRODUCT_ID)


def outlet(**changes: Any) -> OutletRecord:
    return catalogue.outlet_record(shapes.Reader(shapes.Outlet).read(as_json(payloads.outlet(**changes))))


def customer(**changes: Any) -> CustomerRecord:
    return catalogue.customer_record(shapes.Reader(shapes.Customer).read(as_json(payloads.customer(**changes))))


def product(facts: StoreFacts = FACTS, **changes: Any) -> ProductRecord:
    return catalogue.product_record(shapes.Reader(shapes.Product).read(as_json(payloads.product(**changes))), facts)


NO_POSTAL = {name: None for name in payloads.customer() if name.startswith("postal_")}
NO_PHYSICAL = {name: "" for name in payloads.customer() if name.startswith("physical_")}


# --- outlets and the store -------------------------------------------------------------------------------------------


def test_outlet_with_its_address() -> None:
    found = outlet(phone="555", email="shop@example.com")
    assert (found.name, found.currency, found.time_zone, found.deleted) == (
        "Main Outlet",
        "USD",
        "America/New_York",
        False,
    )
    assert found.address is not None
    assert found.address.is_usable
    assert (found.address.name, found.address.street1, found.address.city) == ("Main Outlet", "12 Dock Rd", "Newark")
    assert (found.address.postcode, found.address.country, found.address.phone) == ("07105", "US", "555")


@pytest.mark.parametrize("field", ["physical_address_1", "physical_city", "physical_country_id"])
@pytest.mark.parametrize("value", [None, "", "  "])
def test_an_outlet_lacks_an_address_without_street_city_or_country(field: str, value: str | None) -> None:
    found = outlet(**{field: value})
    assert found.address is not None
    assert not found.address.is_usable


def test_store_facts() -> None:
    raw = as_json({"currency": {"code": "NZD"}, "tax_exclusive": False, "discount_product_id": "d"})
    facts = catalogue.store_facts(shapes.Reader(shapes.Retailer).read(raw))
    assert facts == StoreFacts(currency="NZD", discount_product_id="d", is_tax_exclusive=False)
    assert catalogue.store_facts(shapes.Retailer()) == StoreFacts()


# --- customers -------------------------------------------------------------------------------------------------------


def test_customer_ships_to_the_postal_and_is_billed_at_the_physical_address() -> None:
    found = customer()
    assert (found.external_id, found.version, found.code) == (payloads.CUSTOMER_ID, 2691964626, "Tony-N4ZJ")
    assert found.display_name == "Anthony Stark"
    assert (found.company, found.email, found.phone) == (
        "Stark Industries Inc",
        "tony@stark.example",
        "+001 555 12345678",
    )
    assert found.ship_to is not None
    assert found.bill_to is not None
    assert (found.ship_to.street1, found.ship_to.city) == ("PO Box 7", "Pasadena")
    assert (found.bill_to.street1, found.bill_to.street2, found.bill_to.suburb) == ("1 Works Road", "Gate 4", "Harbour")
    assert (found.ship_to.name, found.ship_to.company) == ("Anthony Stark", "Stark Industries Inc")


def test_each_address_stands_in_for_the_other() -> None:
    assert customer(**NO_POSTAL).ship_to == customer().bill_to
    assert customer(**NO_PHYSICAL).bill_to == customer().ship_to


def test_an_address_that_no_parcel_can_go_to_gives_way() -> None:
    assert customer(postal_city="").ship_to == customer().bill_to
    incomplete = customer(**{**NO_PHYSICAL, "postal_city": ""}).ship_to
    assert incomplete is not None
    assert (incomplete.street1, incomplete.is_usable) == ("PO Box 7", False)


def test_customer_without_address_name_or_phone() -> None:
    found = customer(
        **NO_POSTAL,
        **NO_PHYSICAL,
        first_name=None,
        last_name=None,
        name=None,
        company_name=None,
        phone="",
        mobile="021",
    )
    assert (found.ship_to, found.bill_to, found.display_name, found.phone) == (None, None, "", "021")


def test_a_country_alone_is_no_address() -> None:
    found = customer(**NO_POSTAL, **{**NO_PHYSICAL, "physical_country_id": "NZ"})
    assert found.ship_to is None


def test_walk_in_and_deleted_customers() -> None:
    assert customer(customer_code="WALKIN").is_walk_in
    assert not customer().is_walk_in
    assert customer(deleted_at="2026-09-01T00:00:00Z").deleted


def test_non_latin_customer_and_a_post_code_that_is_a_number() -> None:
    found = customer(first_name="Юлия", last_name="山田", postal_postcode=1010)
    assert found.ship_to is not None
    assert (found.ship_to.name, found.ship_to.postcode) == ("Юлия 山田", "1010")


# --- products --------------------------------------------------------------------------------------------------------


def test_product_variant() -> None:
    found = product()
    assert (found.external_id, found.version, found.sku, found.name) == (
        payloads.PRODUCT_ID,
        59780745,
        "HOODRS",
        "Hoodie / Red / S",
    )
    assert (found.handle, found.family_id, found.barcode) == (
        "wms-7781",
        "7b1b2c3d-0000-11ef-8000-0000000000aa",
        "9400000000017",
    )
    assert found.attributes == {"Colour": "Red", "Size": "S"}
    assert found.prices == {"retail": Decimal("40.0"), "supply": Decimal("18.5")}
    assert (found.brand, found.product_type, found.supplier, found.supplier_code, found.tags) == (
        "Kauri",
        "Clothing",
        "Weavers",
        "S-1",
        ("winter",),
    )
    assert (found.kind, found.is_active, found.is_stock_tracked, found.deleted, found.currency) == (
        ProductKind.GOODS,
        True,
        True,
        False,
        "NZD",
    )


def test_tax_inclusive_store_sells_at_the_price_with_tax() -> None:
    inclusive = StoreFacts(is_tax_exclusive=False)
    assert product(inclusive).prices["retail"] == 46
    assert product(inclusive, price_including_tax=None).prices["retail"] == 40
    assert product(price_excluding_tax=None).prices["retail"] == 46


@pytest.mark.parametrize(
    ("codes", "sku"),
    [
        ([{"type": "EAN", "code": "111"}, {"type": "CUSTOM", "code": "ABC"}], "ABC"),
        ([{"type": "custom", "code": "abc"}], "abc"),
        ([{"type": "EAN", "code": "111"}], "111"),
        ([], ""),
        (None, ""),
    ],
)
def test_sku_from_the_codes_when_the_field_is_empty(codes: Any, sku: str) -> None:
    assert product(sku="", product_codes=codes).sku == sku


def test_barcode_is_the_first_ean_or_upc() -> None:
    codes = [{"type": "ITF", "code": "1"}, {"type": "UPC", "code": "2"}, {"type": "EAN", "code": "3"}]
    assert product(product_codes=codes).barcode == "2"


@pytest.mark.parametrize(
    ("changes", "tracked"),
    [
        ({"has_inventory": True}, True),
        ({"has_inventory": False}, False),
        ({"has_inventory": 0}, False),
        ({"has_inventory": "1"}, True),
        ({"has_inventory": None, "track_inventory": False}, False),
        ({"has_inventory": None, "common": {"track_inventory": False}}, False),
        ({"has_inventory": None}, True),
        ({"has_inventory": True, "is_composite": True}, False),
    ],
)
def test_stock_tracking(changes: dict[str, Any], tracked: bool) -> None:
    assert product(**changes).is_stock_tracked is tracked


def test_kinds_of_product() -> None:
    assert product(is_composite=True).kind is ProductKind.COMPOSITE
    assert product(sku="vend-internal-gift-card").kind is ProductKind.GIFT_CARD
    discount = product(id=payloads.DISCOUNT_PRODUCT_ID)
    assert (discount.kind, discount.is_stock_tracked) == (ProductKind.DISCOUNT, False)


def test_deleted_and_inactive_products() -> None:
    assert product(deleted_at="2026-09-01T00:00:00+00:00").deleted
    assert not product(active=False).is_active
    assert not product(active=None, is_active=False).is_active
    assert product(active=None, is_active=None).is_active


def test_the_documented_empty_objects_and_suppliers_in_a_list() -> None:
    suppliers = [{"id": "1", "supplier_id": "2", "supplier_name": "supplier_1", "code": "code", "price": 19}]
    found = product(
        brand={},
        type={},
        supplier={},
        supplier_code=None,
        product_suppliers=suppliers,
        supply_price=None,
        variant_name="",
    )
    assert (found.brand, found.product_type, found.supplier, found.supplier_code) == ("", "", "supplier_1", "code")
    assert (found.prices["supply"], found.name) == (19, "Hoodie")


# --- stock -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "level",
    [
        {"current_inventory_level": -2.5},
        {"inventory_level": -2.5, "current_amount": -2.5},
        {"current_amount": "-2.5"},
    ],
)
def test_stock_row_of_either_family(level: dict[str, Any]) -> None:
    row = {"product_id": "p", "outlet_id": "o", "version": 4284638488, **level}
    found = catalogue.level_record(shapes.Reader(shapes.InventoryRow).read(as_json(row)))
    assert (found.product_id, found.location_id, found.version) == ("p", "o", 4284638488)
    assert found.available == Decimal("-2.5")


@pytest.mark.parametrize(
    "row", [{"product_id": "p", "outlet_id": "o"}, {"product_id": "p", "current_amount": 1}, {"current_amount": 1}]
)
def test_stock_row_that_says_too_little(row: dict[str, Any]) -> None:
    with pytest.raises(Unreadable):
        catalogue.level_record(shapes.Reader(shapes.InventoryRow).read(as_json(row)))


def test_records_without_id_are_unreadable() -> None:
    for make in (outlet, customer, product):
        with pytest.raises(Unreadable, match="has no id"):
            make(id=None)
