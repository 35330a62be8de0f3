"""Prices under reconciliation: what the shop shows against what Product Detail Sync keeps there."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from carts.models import FunctionSetting
from carts.remote import open_connector
from connectors.functions import Function
from syncjobs.models import Mismatch, Reconciliation, Run, Schedule
from syncjobs.reconciliation_fixes import fix, fix_all
from syncjobs.schedule import schedule_of
from tests.engine.conftest import World
from tests.engine.test_product_sync import FULL, Shop
from tests.engine.test_reconciliation import compare


@pytest.fixture
def shop(world: World) -> Shop:
    """Product Detail Sync of its cart is on."""
    shop = Shop(world)
    FunctionSetting.objects.filter(connection=shop.cart, function=Function.PRODUCT_DETAIL_SYNC).update(is_on=True)
    return shop


def prices(world: World) -> list[Mismatch]:
    return [row for row in compare(world) if "price" in row.cause]


def change_in_shop(shop: Shop, product: Any, **fields: Any) -> None:
    """A person changes the shop's product by hand."""
    shop.store.update_product(shop.remote(product), **fields)


@pytest.fixture
def tee(shop: Shop) -> Any:
    product = shop.add("TEE-1", **FULL)
    assert shop.sync().state == Run.State.DONE
    return product


def test_where_prices_agree_nothing_is_found(shop: Shop, tee: Any) -> None:
    assert prices(shop.world) == []
    assert Reconciliation.objects.get().counts["prices"] == 1


def test_a_retail_price_that_was_changed_in_the_shop_is_found_and_pushed(shop: Shop, tee: Any) -> None:
    change_in_shop(shop, tee, price=Decimal("17.90"))
    (row,) = prices(shop.world)
    assert (row.cause, row.label, row.here, row.there) == ("retail_price", "TEE-1", "20.00", "17.90")
    assert row.place == f"{shop.cart}, Retail price of {shop.world.warehouse}"
    assert shop.sync().counts == {}, "what was acknowledged once is not written again by itself"
    assert "Product Detail Sync" in fix(row, "pat")
    assert shop.sync().counts == {"updated": 1}
    assert shop.remote(tee)["price_excluding_tax"] == 20
    assert shop.bodies() == [{"details": {"price_excluding_tax": 20}}]
    assert prices(shop.world) == []
    row.refresh_from_db()
    assert row.state == Mismatch.State.GONE


def test_a_change_that_the_hub_never_heard_of_is_pushed_too(shop: Shop, tee: Any) -> None:
    """The hub's own copy of the shop's product is wrong: it says that all is well."""
    assert shop.world.run(Function.PRODUCT_PICKUP, shop.cart).state == Run.State.DONE
    change_in_shop(shop, tee, price=Decimal("17.90"))
    schedule = schedule_of(shop.cart, Function.PRODUCT_PICKUP)
    connector = open_connector(shop.cart)
    for page in connector.read_products(schedule.cursor):  # type: ignore[attr-defined]
        Schedule.objects.filter(pk=schedule.pk).update(cursor=page.cursor)
    connector.close()
    (row,) = prices(shop.world)
    fix(row, "pat")
    assert shop.sync().counts == {"updated": 1}
    assert shop.remote(tee)["price_excluding_tax"] == 20


def test_a_supply_price_is_found_and_pushed(shop: Shop, tee: Any) -> None:
    change_in_shop(shop, tee, supply_price=Decimal("9.00"))
    (row,) = prices(shop.world)
    assert (row.cause, row.here, row.there) == ("supply_price", "7.25", "9.00")
    fix(row, "pat")
    shop.sync()
    assert shop.remote(tee)["supply_price"] == Decimal("7.25")
    assert prices(shop.world) == []


def test_many_are_mended_by_cause(shop: Shop) -> None:
    tees = [shop.add(f"TEE-{number}", **{**FULL, "barcode": ""}) for number in range(3)]
    shop.sync()
    for product in tees:
        change_in_shop(shop, product, price=Decimal(5), supply_price=Decimal(1))
    assert len(prices(shop.world)) == 6
    outcome = fix_all(Mismatch.objects.filter(cause="retail_price"), "pat")
    assert (outcome.done, outcome.refused, outcome.left) == (3, [], 0)
    assert Mismatch.objects.filter(cause="supply_price", state=Mismatch.State.OPEN).count() == 3
    shop.sync()
    assert [row.cause for row in prices(shop.world)] == ["supply_price"] * 3


def test_rounding_is_no_difference(shop: Shop) -> None:
    """A shop that keeps prices with tax shows those without it rounded."""
    tee = shop.add("TEE-1", **{**FULL, "prices": {"retail": "19.999", "buy": "7.2525"}})
    shop.sync()
    change_in_shop(shop, tee, price=Decimal("20.00"), supply_price=Decimal("7.25"))
    assert prices(shop.world) == []
    change_in_shop(shop, tee, price=Decimal("20.01"))
    assert [row.there for row in prices(shop.world)] == ["20.01"]


def test_a_shop_whose_prices_hold_the_tax_is_compared_with_tax(shop: Shop, tee: Any) -> None:
    shop.store.retailer["tax_exclusive"] = False
    shop.world.let_store_facts_age()
    tea = shop.add("TEA-1", **{**FULL, "barcode": "", "prices": {"retail": "23.00"}})
    shop.sync(full=True)
    assert shop.remote(tea)["price_including_tax"] == 23
    assert prices(shop.world) == []
    change_in_shop(shop, tea, price=Decimal("24.00"))
    assert [(row.label, row.here, row.there) for row in prices(shop.world)] == [("TEA-1", "23.00", "24.00")]


def test_a_price_that_is_pushed_next_is_on_its_way(shop: Shop, tee: Any) -> None:
    shop.change(tee, prices={**FULL["prices"], "retail": "25.00"})  # type: ignore[dict-item]
    assert prices(shop.world) == []
    shop.sync()
    assert prices(shop.world) == []


def test_before_the_first_push_nothing_is_compared(shop: Shop) -> None:
    shop.add("TEE-1", **FULL)
    assert prices(shop.world) == []
    assert "Prices were not compared: Product Detail Sync has not been through yet." in (
        Reconciliation.objects.get().left_out
    )


def test_what_the_push_leaves_alone_is_left_alone(shop: Shop) -> None:
    """Without a supplier the shop keeps no supply price."""
    tee = shop.add("TEE-1", **{**FULL, "supplier": "", "supplier_code": ""})
    shop.sync()
    shop.change(tee, prices={**FULL["prices"], "buy": "9.99"})  # type: ignore[dict-item]
    shop.sync()
    assert shop.link(tee).note
    assert prices(shop.world) == []


def test_without_product_push_no_call_is_made(shop: Shop, tee: Any) -> None:
    change_in_shop(shop, tee, price=Decimal("17.90"))
    (row,) = prices(shop.world)
    shop.world.set_options(push_product_details=False)
    shop.sandbox.reset_calls()
    assert prices(shop.world) == []
    assert shop.sandbox.count("GET /products") == 0
    row.refresh_from_db()
    assert row.state == Mismatch.State.GONE
