"""Product Detail Sync of a warehouse: the shop's products there - created once, then only what differs."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.db import OperationalError
from django.utils import timezone

from carts import book_products
from carts.models import Alert, Cart, Product, ProductLink, SentProduct
from connectors.functions import Function
from connectors.records import ProductFamilyChange, VariantChange
from syncjobs.failures import reprocess
from syncjobs.models import FailedRecord, Run
from syncjobs.words import counts_in_words
from tests.engine.conftest import World
from tests.engine.query_counts import counted_queries

SYNC = Function.PRODUCT_DETAIL_SYNC
BOUGHT = {"supplier": "Wool Mill", "supply_price": Decimal("7.25"), "supplier_code": "S-1"}


class Depot:
    """A world whose warehouse takes the products of its shops. The shop has none but its discount."""

    def __init__(self, world: World) -> None:
        self.world, self.store, self.sandbox = world, world.store, world.sandbox
        self.warehouse, self.cart = world.warehouse, world.cart
        for product in list(self.store.products):
            self.store.delete_product(product)

    def read(self, cart: Cart | None = None) -> None:
        run = self.world.run(Function.PRODUCT_PICKUP, cart or self.cart)
        assert run.state == Run.State.DONE, run.error

    def take(self, **flags: Any) -> Run:
        """Changes, after the shop was read."""
        self.read()
        return self.run(**flags)

    def run(self, **flags: Any) -> Run:
        return self.world.run(SYNC, self.warehouse, **flags)

    def product(self, sku: str) -> Product:
        return Product.objects.get(connection_id=self.warehouse.pk, sku=sku)

    def products(self) -> int:
        return Product.objects.filter(connection_id=self.warehouse.pk).count()

    def add(self, sku: str, **fields: Any) -> Product:
        """A product that the warehouse has already."""
        values = {"external_id": f"own-{sku}", "name": f"Own {sku}", **fields}
        return Product.objects.create(connection_id=self.warehouse.pk, sku=sku, **values)

    def sent(self, sku: str) -> SentProduct:
        return SentProduct.objects.get(warehouse=self.warehouse, product__sku=sku, product__connection_id=self.cart.pk)

    def failure(self) -> FailedRecord:
        return FailedRecord.objects.get(function=SYNC, status=FailedRecord.Status.OPEN)


@pytest.fixture
def depot(world: World) -> Depot:
    return Depot(world)


# --- creating and changing -------------------------------------------------------------------------------------------


def test_a_product_of_the_shop_appears_at_the_warehouse_with_everything_it_has(depot: Depot) -> None:
    brand = depot.store.named(depot.store.brand_feed, "Kea Knitwear")["id"]
    theirs = depot.store.add_product(
        sku="MUG1", name="Mug", price=20, description="<p>White</p>", supply_price=7.25, brand_id=brand
    )
    run = depot.take()
    assert (run.state, run.counts) == (Run.State.DONE, {"created": 1}), run.error
    mug = depot.product("MUG1")
    assert (mug.name, mug.description, mug.brand) == ("Mug", "<p>White</p>", "Kea Knitwear")
    assert {name: Decimal(price) for name, price in mug.prices.items()} == {"retail": 20, "buy": Decimal("7.25")}
    link = ProductLink.objects.get(cart=depot.cart)
    assert (link.product, link.remote_id, link.matched_by) == (mug, theirs["id"], "created")


def test_unchanged_is_nothing_to_do(depot: Depot) -> None:
    depot.store.add_product(sku="MUG1", name="Mug", price=20)
    depot.take()
    before = depot.product("MUG1").updated_at
    assert depot.take().counts == {}
    assert depot.product("MUG1").updated_at == before


def test_only_the_difference_is_written_and_what_people_edit_stays(depot: Depot) -> None:
    theirs = depot.store.add_product(sku="MUG1", name="Mug", price=20, description="White")
    depot.take()
    mug = depot.product("MUG1")
    mug.description, mug.prices = "Ours", {**mug.prices, "wholesale": "9.00"}
    mug.save()
    assert depot.take().counts == {}
    depot.store.update_product(theirs, price=22)
    assert depot.take().counts == {"updated": 1}
    mug.refresh_from_db()
    assert (mug.description, Decimal(mug.prices["retail"]), mug.prices["wholesale"]) == ("Ours", 22, "9.00")
    assert depot.run(full=True).counts["updated"] == 1, "a full run brings the shop's words again"
    assert depot.product("MUG1").description == "White"


def test_prices_go_into_the_lists_that_the_warehouse_names(depot: Depot) -> None:
    depot.warehouse.options = {"retail_price_list": "Shop", "supply_price_list": "cost"}
    depot.warehouse.save()
    depot.add("MUG1", prices={"SHOP": "1.00", "retail": "5.00"})
    depot.store.add_product(sku="MUG1", name="Own MUG1", price=20, supply_price=3)
    depot.take()
    assert depot.product("MUG1").prices == {"SHOP": "20.00", "retail": "5.00", "cost": "3.00"}


def test_a_product_that_is_there_is_found_by_its_sku_and_not_doubled(depot: Depot) -> None:
    own = depot.add("mug1", name="Mug", prices={"retail": "20"})
    theirs = depot.store.add_product(sku="MUG1", name="Mug", price=20)
    assert depot.take().counts == {"unchanged": 1}
    assert depot.products() == 1
    link = ProductLink.objects.get()
    assert (link.product, link.remote_id, link.matched_by) == (own, theirs["id"], "sku")


def test_a_link_made_by_hand_counts_more_than_the_sku(depot: Depot) -> None:
    right, wrong = depot.add("CUP"), depot.add("MUG1")
    theirs = depot.store.add_product(sku="MUG1", name="Mug", price=20)
    depot.read()
    ProductLink.objects.create(cart=depot.cart, product=right, remote_id=theirs["id"], matched_by="hand")
    assert depot.run().counts == {"updated": 1}
    right.refresh_from_db()
    wrong.refresh_from_db()
    assert (right.name, right.sku, wrong.name) == ("Mug", "CUP", "Own MUG1")


def test_a_changed_sku_keeps_its_product(depot: Depot) -> None:
    theirs = depot.store.add_product(sku="MUG1", name="Mug", price=20)
    depot.take()
    depot.store.update_product(theirs, sku="MUG2", description="New words")
    assert depot.take().counts == {"updated": 1}
    assert (depot.products(), depot.product("MUG1").description) == (1, "New words")


# --- families --------------------------------------------------------------------------------------------------------


def test_a_family_arrives_as_one_and_later_variants_join_it(depot: Depot) -> None:
    small, _ = depot.store.add_family("Hoodie", {"Size": ["S", "M"]}, price=40)
    assert depot.take().counts == {"created": 2}
    rows = list(Product.objects.filter(connection_id=depot.warehouse.pk).order_by("pk"))
    assert {row.name for row in rows} == {"Hoodie"}
    assert sorted(row.attributes["Size"] for row in rows) == ["M", "S"]
    assert {row.family_key for row in rows} == {rows[0].external_id}
    depot.store.add_product(
        sku="HOODL",
        name="Hoodie",
        handle=small["handle"],
        family_id=small["family_id"],
        variant_parent_id=small["id"],
        price=40,
    )
    assert depot.take().counts["created"] == 1
    assert depot.product("HOODL").family_key == rows[0].family_key


def test_what_a_family_shares_is_written_to_all_of_it(depot: Depot) -> None:
    family = depot.store.add_family("Hoodie", {"Size": ["S", "M", "L"]}, price=40)
    depot.take()
    for product in family:
        depot.store.update_product(product, description="Warm")
    assert depot.take().counts == {"updated": 3}
    assert set(Product.objects.filter(connection_id=depot.warehouse.pk).values_list("description", flat=True)) == {
        "Warm"
    }


def test_a_family_of_the_shop_may_be_separate_products_of_the_warehouse(depot: Depot) -> None:
    family = depot.store.add_family("Hoodie", {"Size": ["S", "M"]}, price=40)
    for product in family:
        depot.add(product["sku"], prices={"retail": "40"})
    assert depot.take().counts == {"updated": 2}
    assert depot.products() == 2
    rows = Product.objects.filter(connection_id=depot.warehouse.pk)
    assert {(row.name, row.family_id) for row in rows} == {("Hoodie", "")}
    assert depot.take().counts == {}


# --- left out and refused --------------------------------------------------------------------------------------------


def test_gift_cards_composites_and_what_is_not_sold_are_left_out_with_a_reason(depot: Depot) -> None:
    part = depot.store.add_product(sku="MUG1", name="Mug", price=20)
    depot.store.add_product(sku="SET1", name="Set", kind="composite", components={part["id"]: 2})
    depot.store.add_product(sku="OLD1", name="Old", active=False)
    depot.read()
    Product.objects.create(connection_id=depot.cart.pk, external_id="gift", sku="GIFT", kind="gift_card")
    run = depot.run(dry_run=True, full=True)
    assert (run.counts["create"], run.counts["not_goods"], run.counts["not_sold"]) == (1, 3, 1)
    reasons = {row["sku"]: row["then"] for row in run.preview if row["what"] == "leave out"}
    assert "gift card" in reasons["GIFT"] and "composite" in reasons["SET1"] and "not sell" in reasons["OLD1"]
    assert depot.products() == 0
    run = depot.run(full=True)
    assert run.counts["created"] == 1
    assert "3 gift cards, services and composites left out" in counts_in_words(run.counts)
    assert depot.products() == 1


def test_two_products_with_one_sku_and_one_without(depot: Depot) -> None:
    depot.store.add_product(sku="MUG1", name="Mug", price=20)
    depot.store.add_product(sku="MUG1", name="Another mug", price=21)
    nameless = depot.store.add_product(sku="NONE", name="No SKU", price=21)
    depot.read()
    Product.objects.filter(external_id=nameless["id"]).update(sku="", sku_key="")
    run = depot.run()
    assert run.counts == {"created": 1, "rejected": 2}
    reasons = " ".join(FailedRecord.objects.values_list("reason", flat=True))
    assert "stands for more than one product of the shop" in reasons and "has no SKU" in reasons
    assert "in the shop" in FailedRecord.objects.get(external_id=nameless["id"]).fix
    assert Alert.objects.filter(status=Alert.Status.OPEN, kind="failed_records").exists()
    assert depot.run().counts == {} or depot.run().counts == {}
    assert depot.products() == 1


def test_a_product_deleted_in_the_shop_stays_at_the_warehouse_and_is_reported_once(depot: Depot) -> None:
    theirs = depot.store.add_product(sku="MUG1", name="Mug", price=20)
    depot.take()
    depot.store.delete_product(theirs)
    assert depot.take().counts == {"gone": 1}
    assert depot.take().counts == {}
    assert not depot.product("MUG1").deleted
    assert depot.sent("MUG1").problem.startswith("Deleted in the shop")


def test_a_sku_that_was_added_at_the_warehouse_meanwhile_is_refused_then_found(
    depot: Depot, monkeypatch: pytest.MonkeyPatch
) -> None:
    depot.store.add_product(sku="MUG1", name="Mug", price=20)
    depot.read()
    write = book_products.write_family

    def late(*args: Any) -> Any:
        depot.add("MUG1")
        return write(*args)

    with monkeypatch.context() as patch:
        patch.setattr(book_products, "write_family", late)
        assert depot.run().counts == {"rejected": 1}
    assert "another product with the SKU" in depot.failure().reason
    reprocess(depot.failure(), "ada")
    assert depot.run().counts == {"updated": 1}
    assert depot.products() == 1
    assert not FailedRecord.objects.filter(status=FailedRecord.Status.OPEN).exists()


# --- who leads -------------------------------------------------------------------------------------------------------


def test_a_cart_that_takes_its_details_from_the_warehouse_is_never_taken_from(depot: Depot) -> None:
    depot.store.add_product(sku="MUG1", name="Mug", price=20)
    depot.read()
    depot.cart.function_settings.filter(function=SYNC).update(is_on=True)
    run = depot.run(full=True)
    assert run.counts == {"led_by_warehouse": 1}
    assert depot.products() == 0
    (row,) = depot.run(dry_run=True).preview
    assert "takes its product details from" in row["then"]


def test_a_second_cart_with_the_same_article_only_links_it(depot: Depot) -> None:
    theirs = depot.store.add_product(sku="MUG1", name="Mug", price=20)
    second = depot.world.add_cart(depot.store.outlets[1]["name"])
    depot.read()
    depot.read(second)
    assert depot.run(dry_run=True).counts["create"] == 1
    assert depot.run().counts == {"created": 1, "kept_by_other": 1}
    assert set(ProductLink.objects.values_list("cart_id", "remote_id")) == {
        (depot.cart.pk, theirs["id"]),
        (second.pk, theirs["id"]),
    }
    Product.objects.filter(connection_id=second.pk).update(name="Other words", updated_at=timezone.now())
    assert depot.run().counts == {"kept_by_other": 1}
    assert depot.product("MUG1").name == "Mug"
    Cart.objects.filter(pk=depot.cart.pk).update(is_active=False)
    Product.objects.filter(connection_id=second.pk).update(updated_at=timezone.now())
    assert depot.run().counts == {"updated": 1}, "the first one is gone, so the second keeps it"
    assert depot.product("MUG1").name == "Other words"


def test_a_pickup_of_the_shop_lets_the_warehouse_have_the_changes(depot: Depot) -> None:
    depot.store.add_product(sku="MUG1", name="Mug", price=20)
    depot.read()
    waiting = Run.objects.filter(function=SYNC, connection_id=depot.warehouse.pk, state=Run.State.QUEUED)
    assert not waiting.exists(), "the function is off"
    depot.warehouse.function_settings.filter(function=SYNC).update(is_on=True)
    depot.store.add_product(sku="MUG2", name="Mug 2", price=20)
    depot.read()
    assert waiting.count() == 1
    depot.cart.function_settings.filter(function=SYNC).update(is_on=True)
    waiting.delete()
    depot.store.add_product(sku="MUG3", name="Mug 3", price=20)
    depot.read()
    assert not waiting.exists()


def test_the_function_is_offered_and_off(depot: Depot) -> None:
    assert SYNC in depot.warehouse.possible_functions
    assert not depot.warehouse.function_is_on(SYNC)


# --- importing everything --------------------------------------------------------------------------------------------


def test_sending_everything_reads_the_shop_first_and_counts_how_far_it_is(depot: Depot) -> None:
    for number in range(450):
        depot.store.add_product(sku=f"MUG{number}", name=f"Mug {number}", price=20)
    run = depot.run(full=True)
    assert run.state == Run.State.DONE, run.error
    assert run.counts == {"of": 450, "seen": 450, "created": 450, "not_goods": 1}
    assert depot.products() == 450 == ProductLink.objects.count()
    assert depot.run(full=True).counts == {"of": 450, "seen": 450, "unchanged": 450, "not_goods": 1}


def test_the_preview_of_a_shop_that_was_never_read(depot: Depot) -> None:
    depot.store.add_product(sku="MUG1", name="Mug", price=20)
    depot.add("CUP1", name="Cup", prices={"retail": "5"})
    depot.store.add_product(sku="CUP1", name="Cup", price=6)
    run = depot.run(dry_run=True, full=True)
    assert (run.state, run.counts) == (Run.State.DONE, {"create": 1, "update": 1}), run.error
    assert {row["sku"] for row in run.preview} == {"MUG1", "CUP1"}
    assert not Product.objects.filter(connection_id=depot.cart.pk).exists()
    assert depot.products() == 1


def test_a_shop_that_cannot_be_read_fails_the_run_in_words(depot: Depot) -> None:
    depot.sandbox.fail(match="GET /products", status=503, times=None)
    run = depot.run(full=True)
    assert run.state == Run.State.FAILED
    assert f"The products of {depot.cart} could not be read" in run.error


def test_an_idle_round_costs_the_same_for_few_and_many(depot: Depot) -> None:
    def queries() -> int:
        with counted_queries() as captured:
            assert depot.run().counts == {}
        return len(captured)

    depot.store.add_product(sku="MUG0", name="Mug", price=20)
    depot.take()
    few = queries()
    for number in range(1, 300):
        depot.store.add_product(sku=f"MUG{number}", name=f"Mug {number}", price=20)
    depot.take()
    assert queries() == few


# --- trouble ---------------------------------------------------------------------------------------------------------


def test_a_lost_answer_makes_no_duplicate(depot: Depot, monkeypatch: pytest.MonkeyPatch) -> None:
    depot.store.add_product(sku="MUG1", name="Mug", price=20)
    depot.read()

    def trouble(*args: Any) -> Any:
        raise OperationalError("the database went away")

    with monkeypatch.context() as patch:
        patch.setattr(book_products, "write_family", trouble)
        run = depot.run()
    assert (run.state, run.error_kind) == (Run.State.FAILED, "outcome_unknown")
    assert depot.sent("MUG1").in_doubt_since is not None
    assert depot.run().counts == {"waiting": 1}
    SentProduct.objects.update(in_doubt_since=timezone.now() - timedelta(hours=1))
    assert depot.run().counts == {"created": 1}
    depot.run()
    assert depot.products() == 1
    assert depot.sent("MUG1").in_doubt_since is None


def test_the_book_finds_what_an_earlier_try_made(depot: Depot) -> None:
    made = depot.add("MUG1", name="Mug")
    variant = VariantChange(reference="p1", sku="mug1", retail_price=Decimal(20))
    rules = depot.world.book_rules()
    change = ProductFamilyChange(handle="p1", name="Mug", variants=(variant,), in_doubt=True)
    (result,) = depot.world.book.take_products(change, rules)
    assert (result.ok, result.remote_id) == (True, made.external_id)
    assert depot.products() == 1


@pytest.mark.parametrize("sku", ["M" * 201, "MU\0G"])
def test_the_book_refuses_what_it_cannot_keep(depot: Depot, sku: str) -> None:
    change = ProductFamilyChange(handle="p1", name="Mug", variants=(VariantChange(reference="p1", sku=sku),))
    (result,) = depot.world.book.take_products(change, depot.world.book_rules())
    assert not result.ok and result.reason
    assert depot.products() == 0
