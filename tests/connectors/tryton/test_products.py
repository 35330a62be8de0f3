"""Products as they are told to the shops: prices by list, variants, barcodes, and only what changed."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from connectors.records import ProductKind, ProductRecord
from connectors.tryton.local_company import PRICE_LIST, one
from tests.connectors.destinations.destination import last_cursor, records
from tests.connectors.tryton.conftest import Desk
from tests.local_tryton import NUMBERS, TrytonWorld


def told(tryton: TrytonWorld, sku: str, cursor: str = "") -> ProductRecord | None:
    found = [one for one in records(tryton.connect().read_products(cursor)) if one.sku == sku]
    assert len(found) <= 1
    return found[0] if found else None


@pytest.fixture
def cursor(tryton: TrytonWorld) -> str:
    """Where a reading that ended some time ago goes on: nothing but what a test does from now on is new."""
    now = tryton.connect().client.now()
    return f"{now.isoformat()}|||{now.isoformat()}"


def template_of(tryton: TrytonWorld, sku: str) -> int:
    rows: list[dict[str, Any]] = tryton.admin.read("product.product", [tryton.people.product(sku)], ("template",), dict)
    return int(rows[0]["template"])


def test_prices_by_their_lists(tryton: TrytonWorld, desk: Desk) -> None:
    product = told(tryton, desk.article(stock=0))
    assert product is not None
    assert product.prices == {"Retail": Decimal("12.50"), "Buy": Decimal("5.20"), PRICE_LIST: Decimal("8.7500")}
    assert (product.currency, product.kind, product.is_active, product.is_stock_tracked) == (
        "NZD",
        ProductKind.GOODS,
        True,
        True,
    )


def test_variants_of_a_family(tryton: TrytonWorld) -> None:
    number = next(NUMBERS)
    choices = {"type_": "selection", "selection": "s:Small\nl:Large"}
    tryton.admin.create("product.attribute", [{"name": f"size{number}", "string": "Size", **choices}])
    [attribute] = [one(tryton.admin, "product.attribute", [["name", "=", f"size{number}"]])]
    [family] = tryton.admin.create("product.attribute.set", [{"name": "Sizes", "attributes": [["add", [attribute]]]}])
    skus = [f"SHIRT{number}{size}" for size in ("S", "L")]
    variants = [
        {
            "suffix_code": sku,
            "attributes": {f"size{number}": sku[-1].lower()},
            "identifiers": [["create", [{"type": "ean", "code": "4006381333931"}]]],
        }
        for sku in skus
    ]
    unit = tryton.people.unit
    values = {"name": "Shirt", "type": "goods", "default_uom": unit, "sale_uom": unit, "salable": True}
    tryton.admin.create(
        "product.template",
        [{**values, "list_price": Decimal(20), "attribute_set": family, "products": [["create", variants]]}],
    )
    small, large = (told(tryton, sku) for sku in skus)
    assert small is not None and large is not None
    assert (small.attributes, large.attributes) == ({"Size": "Small"}, {"Size": "Large"})
    assert small.family_id == large.family_id == small.handle
    assert (small.name, small.barcode) == ("Shirt", "4006381333931")


@pytest.mark.parametrize(
    ("changes", "active", "deleted"), [({"salable": False}, False, False), ({"active": False}, False, True)]
)
def test_what_is_not_sold_any_more(
    tryton: TrytonWorld, desk: Desk, changes: dict[str, Any], active: bool, deleted: bool
) -> None:
    product = told(tryton, desk.article(stock=0, **changes))
    assert product is not None
    assert (product.is_active, product.deleted) == (active, deleted)


class TestChanges:
    def test_nothing_changed(self, tryton: TrytonWorld, desk: Desk) -> None:
        sku = desk.article(stock=0)
        connector = tryton.connect()
        later = connector.client.now().replace(year=connector.client.now().year + 1)
        assert records(connector.read_products(f"{later.isoformat()}|||{later.isoformat()}")) == []
        assert told(tryton, sku) is not None

    def test_a_name_is_the_template_s(self, tryton: TrytonWorld, desk: Desk, cursor: str) -> None:
        sku = desk.article(stock=0)
        tryton.admin.write("product.template", [template_of(tryton, sku)], {"name": "Another name"})
        product = told(tryton, sku, cursor)
        assert product is not None and product.name == "Another name"

    def test_a_price_is_a_record_of_its_own(self, tryton: TrytonWorld, desk: Desk) -> None:
        sku = desk.article(stock=0)
        since = tryton.connect().client.now().isoformat()
        tryton.admin.write("product.template", [template_of(tryton, sku)], {"list_price": Decimal("14.00")})
        product = told(tryton, sku, f"{since}|||{since}")
        assert product is not None and product.prices["Retail"] == Decimal("14.00")

    def test_a_price_list_concerns_every_product(self, tryton: TrytonWorld, desk: Desk) -> None:
        sku = desk.article(stock=0)
        since = tryton.connect().client.now().isoformat()
        line = one(tryton.admin, "product.price_list.line", [["price_list.name", "=", PRICE_LIST]])
        tryton.admin.write("product.price_list.line", [line], {"formula": "unit_price * 0.5"})
        try:
            product = told(tryton, sku, f"{since}|||{since}")
        finally:
            tryton.admin.write("product.price_list.line", [line], {"formula": "unit_price * 0.7"})
        assert product is not None and product.prices[PRICE_LIST] == Decimal("6.25")

    def test_the_cursor_leads_on(self, tryton: TrytonWorld, desk: Desk) -> None:
        before = last_cursor(tryton.connect().read_products(""))
        sku = desk.article(stock=0)
        assert told(tryton, sku, before) is not None
