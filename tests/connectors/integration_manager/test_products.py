"""Product Pickup: one call a product, so not more often than need be."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from connectors.integration_manager import products
from connectors.integration_manager.connector import IntegrationManagerWarehouse
from connectors.integration_manager.sandbox import IntegrationManagerSandbox
from connectors.integration_manager.session import BUCKET, REFILL_SECONDS
from connectors.records import Page, ProductRecord

LIST, ONE = "GET /v1/merchant/inventory", "GET /v1/merchant/product/{sku}"


def pages(warehouse: IntegrationManagerWarehouse, cursor: str = "") -> list[Page[ProductRecord]]:
    return list(warehouse.read_products(cursor))


@pytest.mark.parametrize("wobbles", [False, True])
def test_name_prices_and_barcode(
    sandbox: IntegrationManagerSandbox, warehouse: IntegrationManagerWarehouse, wobbles: bool
) -> None:
    sandbox.wobbles = wobbles
    sandbox.store.products["SKU-0002"]["wholesale_price"] = Decimal("6.40")
    first, second, _ = [record for page in pages(warehouse) for record in page.records]
    assert (first.external_id, first.sku, first.name) == ("SKU-0001", "SKU-0001", "Article 1")
    assert (first.prices, first.barcode) == ({"retail": Decimal("10.00")}, "000000000001")
    assert second.prices == {"retail": Decimal("10.00"), "wholesale": Decimal("6.40")}
    assert first.version > 0


def test_an_alias_by_type_is_read_as_well(
    sandbox: IntegrationManagerSandbox, warehouse: IntegrationManagerWarehouse
) -> None:
    sandbox.store.products["SKU-0001"]["aliases"] = {"ASIN": "B000", "EAN": "4006381333931"}
    sandbox.store.products["SKU-0002"]["aliases"] = []
    barcodes = [record.barcode for page in pages(warehouse) for record in page.records]
    assert barcodes[:2] == ["4006381333931", ""]


def test_a_quiet_look_costs_one_call(
    sandbox: IntegrationManagerSandbox, warehouse: IntegrationManagerWarehouse
) -> None:
    cursor = pages(warehouse)[-1].cursor
    sandbox.reset_calls()
    assert pages(warehouse, cursor) == []
    assert sandbox.counts == {LIST: 1}


def test_a_new_sku_begins_a_pass(sandbox: IntegrationManagerSandbox, warehouse: IntegrationManagerWarehouse) -> None:
    cursor = pages(warehouse)[-1].cursor
    sandbox.store.add_product("SKU-0009")
    assert [record.sku for page in pages(warehouse, cursor) for record in page.records][-1] == "SKU-0009"


def test_so_does_the_next_day(sandbox: IntegrationManagerSandbox, warehouse: IntegrationManagerWarehouse) -> None:
    cursor = pages(warehouse)[-1].cursor
    tomorrow = datetime.now(UTC) + timedelta(hours=25)
    assert len(list(products.read_products(warehouse.client, cursor, now=lambda: tomorrow))) == 2


def test_a_pass_goes_on_where_it_was_cut(
    sandbox: IntegrationManagerSandbox, warehouse: IntegrationManagerWarehouse
) -> None:
    for number in range(4, 46):
        sandbox.store.add_product(f"SKU-{number:04d}")
    first, *_ = pages(warehouse)
    sandbox.reset_calls()
    rest = [record.sku for page in pages(warehouse, first.cursor) for record in page.records]
    assert rest == [f"SKU-{number:04d}" for number in range(21, 46)]
    assert sandbox.count(ONE) == 25


def test_a_sku_without_a_product_is_told(
    sandbox: IntegrationManagerSandbox, warehouse: IntegrationManagerWarehouse
) -> None:
    del sandbox.store.products["SKU-0002"]
    page = pages(warehouse)[0]
    assert [record.sku for record in page.records] == ["SKU-0001", "SKU-0003"]
    [reject] = page.rejects
    assert reject.external_id == "SKU-0002" and "not found" in reject.reason


def test_a_sku_may_hold_anything(sandbox: IntegrationManagerSandbox, warehouse: IntegrationManagerWarehouse) -> None:
    sandbox.store.add_product("A/B c?%é")
    assert "A/B c?%é" in [record.sku for page in pages(warehouse) for record in page.records]


@pytest.mark.parametrize(
    ("remaining", "waits"), [(None, 0), (BUCKET, 0), (BUCKET // 2, 0), (BUCKET // 2 - 1, 1), (0, 1)]
)
def test_half_of_the_bucket_is_left_to_orders(
    warehouse: IntegrationManagerWarehouse, remaining: Any, waits: int
) -> None:
    waited: list[float] = []
    warehouse.client.merchant.budget.remaining = remaining
    products.leave_room(warehouse.client.merchant, waited.append)
    assert waited == [REFILL_SECONDS] * waits
