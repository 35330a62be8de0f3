"""Product Detail Sync: the warehouse's products at the outlet - created once, then only what differs."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.utils import timezone

from carts.models import Alert, Product, ProductLink
from connectors.functions import Function
from connectors.vend.sandbox import VendSandbox
from syncjobs.failures import reprocess
from syncjobs.models import FailedRecord, Run
from tests.engine.conftest import World
from tests.engine.query_counts import counted_queries

CREATE, UPDATE = "POST /products", "PUT /products/{id}"
SYNC = Function.PRODUCT_DETAIL_SYNC


class Shop:
    """A world whose cart wants the warehouse's products."""

    def __init__(self, world: World, **options: Any) -> None:
        self.world, self.store, self.sandbox = world, world.store, world.sandbox
        world.set_options(**{"push_product_details": True, "supply_price_list": "Buy", **options})
        self.cart = world.cart
        self.number = 0

    def add(self, sku: str, **fields: Any) -> Product:
        self.number += 1
        values = {"external_id": f"wms-{self.number}", "name": f"Article {self.number}", **fields}
        return Product.objects.create(connection_id=self.world.warehouse.pk, sku=sku, **values)

    def change(self, product: Product, **fields: Any) -> None:
        for name, value in fields.items():
            setattr(product, name, value)
        product.save()

    def sync(self, **flags: Any) -> Run:
        self.sandbox.reset_calls()
        return self.world.run(SYNC, self.cart, **flags)

    def link(self, product: Product) -> ProductLink:
        return ProductLink.objects.get(cart=self.cart, product=product)

    def remote(self, product: Product) -> Any:
        return self.store.product(self.link(product).remote_id)

    def writes(self) -> int:
        return self.sandbox.count(CREATE) + self.sandbox.count(UPDATE)

    def bodies(self, name: str = UPDATE) -> list[Any]:
        return [call.request_json() for call in self.sandbox.calls if call.name == name]

    def failure(self) -> FailedRecord:
        return FailedRecord.objects.get(function=SYNC, status=FailedRecord.Status.OPEN)


@pytest.fixture
def shop(world: World) -> Shop:
    return Shop(world)


FULL = {
    "description": "Soft & warm",
    "brand": "Kea Knitwear",
    "product_type": "Shirts",
    "supplier": "Wool Mill",
    "supplier_code": "S-1",
    "tags": ["New"],
    "barcode": "9400000000017",
    "prices": {"retail": "20.00", "wholesale": "11.50", "buy": "7.25", "Factory gate": "6.10"},
}


# --- creating and changing -------------------------------------------------------------------------------------------


def test_a_new_product_is_created_with_the_warehouses_id_as_handle(shop: Shop) -> None:
    tee = shop.add("TEE-1", **FULL)
    run = shop.sync()
    assert (run.state, run.counts) == (Run.State.DONE, {"created": 1}), run.error
    remote = shop.remote(tee)
    assert (remote["handle"], remote["sku"], remote["name"]) == ("wms-1", "TEE1", "Article 1")
    assert (remote["price_excluding_tax"], remote["supply_price"]) == (20, Decimal("7.25"))
    link = shop.link(tee)
    assert link.in_doubt_since is None and link.written_at and not link.problem


def test_unchanged_is_no_call_at_all(shop: Shop) -> None:
    shop.add("TEE-1", **FULL)
    shop.sync()
    run = shop.sync()
    assert run.counts == {}
    assert shop.sandbox.counts == {}


def test_saved_without_a_difference_is_no_write(shop: Shop) -> None:
    tee = shop.add("TEE-1", **FULL)
    shop.sync()
    tee.save()
    run = shop.sync()
    assert run.counts == {"unchanged": 1}
    assert shop.writes() == 0


def test_only_the_difference_is_written(shop: Shop) -> None:
    tee = shop.add("TEE-1", **FULL)
    shop.sync()
    shop.change(tee, prices={**tee.prices, "retail": "22.00", "wholesale": "12", "buy": "8"})
    run = shop.sync()
    assert run.counts == {"updated": 1}
    (body,) = shop.bodies()
    assert body["details"]["price_excluding_tax"] == 22
    assert body["details"]["product_suppliers"][0]["price"] == 8
    assert set(body) == {"details"} and set(body["details"]) == {"price_excluding_tax", "product_suppliers"}
    shop.change(tee, description="Softer")
    shop.sync()
    assert shop.bodies() == [{"common": {"description": "Softer"}}]


def test_fields_the_warehouse_does_not_deliver_are_left_alone(shop: Shop) -> None:
    theirs = shop.store.products[0]
    shop.store.update_product(theirs, description="Kept", brand_id=shop.store.named(shop.store.brand_feed, "B")["id"])
    price = theirs["price_excluding_tax"]
    shop.add(theirs["sku"], name="Renamed")
    run = shop.sync()
    assert run.counts == {"updated": 1}
    assert shop.bodies() == [{"common": {"name": "Renamed"}}]
    assert (theirs["description"], theirs["price_excluding_tax"]) == ("Kept", price)


def test_a_change_made_in_vend_is_overwritten_only_when_the_warehouse_changes_too(shop: Shop) -> None:
    tee = shop.add("TEE-1", **FULL)
    shop.sync()
    shop.store.update_product(shop.remote(tee), description="Edited in Vend", price=99)
    assert shop.sync().counts == {}
    shop.change(tee, description="From the warehouse")
    shop.sync()
    assert (shop.remote(tee)["description"], shop.remote(tee)["price_excluding_tax"]) == ("From the warehouse", 99)
    shop.sync(full=True)
    assert shop.remote(tee)["price_excluding_tax"] == 20


@pytest.mark.parametrize(
    ("options", "retail", "supply"),
    [
        ({"supply_price_list": "Retail"}, 20, 20),
        ({"retail_price_list": "Wholesale", "supply_price_list": "Buy"}, "11.50", "7.25"),
        (
            {
                "retail_price_list": "Custom",
                "retail_price_list_name": "factory GATE",
                "supply_price_list": "Custom",
                "supply_price_list_name": "buy",
            },
            "6.10",
            "7.25",
        ),
    ],
)
def test_prices_come_from_the_chosen_lists(shop: Shop, options: dict[str, str], retail: Any, supply: Any) -> None:
    shop.world.set_options(**options)
    tee = shop.add("TEE1", **FULL)
    shop.sync()
    remote = shop.remote(tee)
    assert (remote["price_excluding_tax"], remote["supply_price"]) == (Decimal(retail), Decimal(supply))


def test_another_price_list_is_noticed_without_any_change_of_a_product(shop: Shop) -> None:
    tee = shop.add("TEE1", **FULL)
    shop.sync()
    shop.world.set_options(retail_price_list="Wholesale")
    assert shop.sync().counts == {"updated": 1}
    assert str(shop.remote(tee)["price_excluding_tax"]) in ("11.5", "11.50")


@pytest.fixture
def inclusive(db: None, settings: Any) -> Iterator[Shop]:
    with VendSandbox(outlets=1, products=2, customers=1, seed=1, tax_exclusive=False, rate_limit=100_000) as sandbox:
        yield Shop(World(sandbox, settings))


def test_a_tax_inclusive_store(inclusive: Shop) -> None:
    tee = inclusive.add("TEE1", prices={"retail": "23.00"})
    inclusive.sync()
    assert inclusive.remote(tee)["price_including_tax"] == 23
    assert inclusive.sync().counts == {}
    inclusive.change(tee, prices={"retail": "34.50"})
    inclusive.sync()
    assert inclusive.bodies() == [{"details": {"price_including_tax": 34.5}}]


def test_a_supply_price_without_a_supplier_is_left_alone_and_told(shop: Shop) -> None:
    shop.store.add_product(sku="TEE1", name="Article 1", price=5)
    tee = shop.add("TEE-1", prices={"retail": "5", "buy": "3"})
    assert shop.sync().counts == {"unchanged": 1, "left_alone": 1}
    assert shop.sandbox.count("GET /products/{id}") == 0
    shop.change(tee, supplier="Wool Mill")
    assert shop.sync().counts == {"updated": 1}
    assert shop.remote(tee)["supply_price"] == 3
    assert shop.sync().counts == {}


# --- linking ---------------------------------------------------------------------------------------------------------


def test_linked_by_handle_before_sku(shop: Shop) -> None:
    by_handle = shop.store.add_product(sku="OLDSKU", name="By handle", handle="wms-1")
    shop.store.add_product(sku="TEE1", name="By SKU")
    tee = shop.add("TEE-1", name="By handle", prices={"retail": "5"})
    shop.sync()
    assert shop.remote(tee)["id"] == by_handle["id"]
    assert by_handle["sku"] == "OLDSKU"


@pytest.mark.parametrize("sku", ["tee-1", "TEE.1", "T_E/E1"])
def test_linked_by_sku_without_special_characters(shop: Shop, sku: str) -> None:
    theirs = shop.store.add_product(sku="TEE1", name="Article 1", price=5)
    tee = shop.add(sku, prices={"retail": "6"})
    assert shop.sync().counts == {"updated": 1}
    assert shop.link(tee).remote_id == theirs["id"]
    assert shop.sandbox.count(CREATE) == 0


def test_a_changed_sku_keeps_the_link(shop: Shop) -> None:
    tee = shop.add("TEE-1", **FULL)
    shop.sync()
    remote = shop.link(tee).remote_id
    shop.change(tee, sku="SHIRT-9", description="Other words")
    assert shop.sync().counts == {"updated": 1}
    assert shop.link(tee).remote_id == remote


def test_a_product_deleted_in_vend_is_created_again_when_it_changes(shop: Shop) -> None:
    tee = shop.add("TEE-1")
    shop.sync()
    shop.store.delete_product(shop.remote(tee))
    assert shop.sync().counts == {}
    shop.change(tee, description="Back again")
    assert shop.sync().counts == {"created": 1}
    assert shop.remote(tee)["deleted_at"] is None


def test_composites_and_what_is_not_goods_are_left_out(shop: Shop) -> None:
    part = shop.store.products[0]
    shop.store.add_product(sku="SET1", name="Set", kind="composite", components={part["id"]: 2})
    shop.add("SET1", name="Other name")
    shop.add("BUNDLE", kind="composite")
    shop.add("GONE", deleted=True)
    shop.add("OFF", is_active=False)
    assert shop.sync().counts == {"skipped": 1}
    assert shop.writes() == 0
    assert shop.sync().counts == {}


# --- families --------------------------------------------------------------------------------------------------------


def hoodies(shop: Shop, *sizes: str, **fields: Any) -> list[Product]:
    return [
        shop.add(f"HOOD-{size}", name="Hoodie", family_id="fam-1", attributes={"Size": size, "Colour": "Red"}, **fields)
        for size in sizes
    ]


def test_a_family_is_created_in_one_call_and_changed_in_parts(shop: Shop) -> None:
    small, medium, large = hoodies(shop, "S", "M", "L", prices={"retail": "40"})
    assert shop.sync().counts == {"created": 3}
    assert shop.sandbox.count(CREATE) == 1
    assert {shop.remote(p)["handle"] for p in (small, medium, large)} == {"fam-1"}
    assert shop.sync().counts == {}
    assert shop.sandbox.counts == {}
    shop.change(medium, prices={"retail": "42"})
    assert shop.sync().counts == {"updated": 1}
    assert (shop.sandbox.count(UPDATE), shop.remote(medium)["price_excluding_tax"]) == (1, 42)
    for product in (small, medium, large):
        shop.change(product, name="Warm Hoodie")
    shop.sync()
    assert shop.bodies() == [{"common": {"name": "Warm Hoodie"}}]
    assert {shop.remote(p)["name"] for p in (small, medium, large)} == {"Warm Hoodie"}
    assert shop.sync().counts == {}


def test_a_family_found_in_vend_is_linked_by_its_skus(shop: Shop) -> None:
    theirs = shop.store.add_family("Hoodie", {"Size": ["S", "M"], "Colour": ["Red"]}, price=40)
    for product, sku in zip(theirs, ("HOODS", "HOODM"), strict=True):
        shop.store.update_product(product, sku=sku)
    small, medium = hoodies(shop, "S", "M", prices={"retail": "40"})
    assert shop.sync().counts == {"unchanged": 2}
    assert shop.writes() == 0
    assert [shop.remote(p)["id"] for p in (small, medium)] == [p["id"] for p in theirs]


def test_a_variant_that_comes_later_and_that_vend_refuses(shop: Shop) -> None:
    small, _ = hoodies(shop, "S", "M")
    shop.sync()
    (large,) = hoodies(shop, "L")
    shop.change(small, prices={"retail": "9"})
    run = shop.sync()
    assert run.counts == {"updated": 1, "rejected": 1}
    assert "HOOD-L" in shop.failure().reason and "by hand" in shop.failure().fix
    assert shop.remote(small)["price_excluding_tax"] == 9
    shop.sync()
    assert shop.writes() == 0
    by_hand = shop.store.add_product(
        sku="HOODL", name="Hoodie", handle="fam-1", family_id=shop.remote(small)["family_id"]
    )
    shop.world.run(Function.PRODUCT_PICKUP, shop.cart)
    shop.sync()
    assert shop.link(large).remote_id == by_hand["id"]
    assert not FailedRecord.objects.filter(status=FailedRecord.Status.OPEN).exists()


def test_more_than_200_variants_are_refused(shop: Shop) -> None:
    hoodies(shop, *(str(n) for n in range(201)))
    good = shop.add("TEE1")
    run = shop.sync()
    assert run.counts == {"created": 1, "rejected": 1}
    assert "201 variants" in shop.failure().reason
    assert shop.remote(good)


def test_more_than_three_attributes_are_refused(shop: Shop) -> None:
    shop.add("TEE1", attributes={"Size": "S", "Colour": "Red", "Fit": "Slim", "Neck": "V"})
    assert shop.sync().counts == {"rejected": 1}
    assert "4 attributes" in shop.failure().reason and shop.writes() == 0


# --- refusals --------------------------------------------------------------------------------------------------------


def test_white_space_in_a_sku_is_refused_with_a_message(shop: Shop) -> None:
    bad, good = shop.add("TEE 1"), shop.add("TEE2")
    run = shop.sync()
    assert run.state == Run.State.DONE and run.counts == {"created": 1, "rejected": 1}
    assert "white space" in shop.failure().reason and "white space" in shop.link(bad).problem
    assert Alert.objects.get(status=Alert.Status.OPEN).kind == "failed_records"
    assert shop.remote(good)
    shop.sync()
    assert shop.failure().count == 1 and shop.writes() == 0
    assert shop.sync().counts == {} and shop.sandbox.counts == {}
    shop.change(bad, sku="TEE-1")
    assert shop.sync().counts == {"created": 1}
    assert not FailedRecord.objects.filter(status=FailedRecord.Status.OPEN).exists()
    assert not Alert.objects.filter(status=Alert.Status.OPEN).exists()


def test_an_ambiguous_match_is_refused_until_vend_is_tidied_up(shop: Shop) -> None:
    shop.store.add_product(sku="TEE1", name="One")
    second = shop.store.add_product(sku="TEE-1", name="Two")
    tee = shop.add("TEE-1", name="One")
    assert shop.sync().counts == {"rejected": 1}
    assert "several products" in shop.failure().reason
    shop.store.delete_product(second)
    shop.world.run(Function.PRODUCT_PICKUP, shop.cart)
    assert shop.sync().counts == {"unchanged": 1}
    assert shop.remote(tee)["name"] == "One"
    assert not FailedRecord.objects.filter(status=FailedRecord.Status.OPEN).exists()


def test_a_name_that_another_family_has(shop: Shop) -> None:
    shop.store.add_family("Hoodie", {"Size": ["S", "M"]})
    shop.add("TEE1", name="hoodie")
    shop.add("TEE2", name="Tee")
    shop.add("TEE3", name="Tee")
    run = shop.sync()
    assert run.counts == {"created": 1, "rejected": 2}
    reasons = {f.external_id: f.reason for f in FailedRecord.objects.filter(function=SYNC)}
    assert "at the cart" in reasons["wms-1"] and "in the warehouse" in reasons["wms-3"]


def test_two_skus_that_are_one_in_vend(shop: Shop) -> None:
    first = shop.add("TEE-1")
    shop.add("TEE1")
    assert shop.sync().counts == {"created": 1, "rejected": 1}
    assert shop.remote(first)
    assert shop.writes() == 1


def test_a_refusal_of_vend_is_not_repeated_until_the_product_changes(shop: Shop) -> None:
    bad, good = shop.add("TEE1", description="bad"), shop.add("TEE2")
    shop.sandbox.fail(match=CREATE, status=422)
    assert shop.sync().counts == {"created": 1, "rejected": 1}
    assert shop.remote(good)
    for _ in range(2):
        shop.sync()
        assert shop.writes() == 0
    assert shop.failure().count == 1
    bad.save()
    assert shop.sync().counts == {"refused_before": 1}
    shop.change(bad, description="good")
    assert shop.sync().counts == {"created": 1}
    assert not FailedRecord.objects.filter(status=FailedRecord.Status.OPEN).exists()


def test_a_refused_product_can_be_reprocessed(shop: Shop) -> None:
    tee = shop.add("TEE1")
    shop.sandbox.fail(match=CREATE, status=422)
    shop.sync()
    reprocess(shop.failure(), "ada")
    assert Run.objects.filter(function=SYNC, state=Run.State.QUEUED).exists()
    assert shop.sync().counts == {"created": 1}
    assert shop.remote(tee)


# --- trouble ---------------------------------------------------------------------------------------------------------


def later(shop: Shop) -> None:
    ProductLink.objects.filter(in_doubt_since__isnull=False).update(in_doubt_since=timezone.now() - timedelta(hours=1))


@pytest.mark.parametrize("fault", ["answer_lost", "cut_body"])
def test_a_lost_answer_makes_no_duplicate(shop: Shop, fault: str) -> None:
    tee, other = shop.add("TEE-1", **FULL), shop.add("TEE-2")
    shop.sandbox.fail(match=CREATE, fault=fault)
    run = shop.sync()
    assert (run.state, run.error_kind) == (Run.State.FAILED, "outcome_unknown")
    assert shop.remote(other), "the others went all the same"
    assert shop.link(tee).in_doubt_since is not None
    run = shop.sync()
    assert run.state == Run.State.DONE, run.error
    assert shop.sandbox.count(CREATE) == 0
    assert len(shop.store.products_with("name", "Article 1")) == 1
    assert shop.remote(tee)["handle"] == "wms-1" and shop.link(tee).in_doubt_since is None


def test_a_creation_that_never_arrived_waits_then_looks_then_creates(shop: Shop) -> None:
    tee = shop.add("TEE-1")
    shop.sandbox.fail(match=CREATE, fault="never_received")
    shop.sync()
    assert shop.sync().counts == {"waiting": 1}
    assert shop.writes() == 0
    later(shop)
    shop.sync()
    assert shop.sandbox.count(CREATE) == 1
    shop.sync()
    assert shop.remote(tee)["name"] == "Article 1"
    assert shop.sync().counts == {}


def test_a_worker_that_died_between_call_and_answer_makes_no_duplicate(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    from syncjobs.flows.product_sync import ProductPush

    tee = shop.add("TEE-1")

    def die(*args: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(ProductPush, "settle", die)
        with pytest.raises(KeyboardInterrupt):
            shop.sync()
    Run.objects.filter(function=SYNC).update(state=Run.State.FAILED)
    later(shop)
    shop.sync()
    assert shop.sandbox.count(CREATE) == 0
    assert shop.remote(tee)["sku"] == "TEE1"


def test_nothing_is_in_doubt_when_vend_took_no_call(shop: Shop) -> None:
    tee = shop.add("TEE-1")
    shop.sandbox.fail(match=CREATE, status=429, retry_after_seconds=1)
    run = shop.sync()
    assert run.state == Run.State.QUEUED
    assert shop.link(tee).in_doubt_since is None


def test_a_remote_whose_answers_keep_getting_lost_is_left_in_peace(shop: Shop) -> None:
    for number in range(6):
        shop.add(f"TEE{number}")
    shop.sandbox.fail(match=CREATE, fault="answer_lost", times=None)
    assert shop.sync().state == Run.State.FAILED
    assert shop.sandbox.count(CREATE) == 3


# --- switches, preview, size -----------------------------------------------------------------------------------------


def test_the_option_says_no(shop: Shop) -> None:
    shop.add("TEE-1")
    shop.world.set_options(push_product_details=False)
    run = shop.sync()
    assert (run.state, run.counts) == (Run.State.DONE, {"option_is_no": 1})
    assert shop.sandbox.counts == {}


def test_the_function_is_offered_and_off(shop: Shop) -> None:
    assert SYNC in shop.cart.possible_functions
    assert not shop.cart.function_is_on(SYNC)


def test_a_pickup_at_the_warehouse_lets_its_carts_have_the_changes(shop: Shop) -> None:
    shop.add("TEE-1")
    shop.world.run(Function.PRODUCT_PICKUP, shop.world.warehouse)
    assert not Run.objects.filter(function=SYNC).exists()
    shop.cart.function_settings.filter(function=SYNC).update(is_on=True)
    shop.add("TEE-2")
    shop.world.run(Function.PRODUCT_PICKUP, shop.world.warehouse)
    assert Run.objects.filter(function=SYNC, connection_id=shop.cart.pk, state=Run.State.QUEUED).count() == 1


def test_the_preview_shows_field_by_field_and_writes_nothing(shop: Shop) -> None:
    theirs = shop.store.products[0]
    shop.add("TEE-1", prices={"retail": "20"})
    shop.add(theirs["sku"], name=theirs["name"], prices={"retail": "1.50"})
    shop.add("BAD SKU")
    run = shop.sync(dry_run=True)
    assert run.counts == {"create": 1, "update": 1, "rejected": 1}
    assert {"sku": "TEE-1", "what": "create", "field": "name", "now": "", "then": "Article 1"} in run.preview
    (price,) = [row for row in run.preview if row["sku"] == theirs["sku"]]
    assert (price["what"], price["field"], price["then"]) == ("change", "retail_price", "1.5")
    assert any(row["what"] == "refuse" and "white space" in row["then"] for row in run.preview)
    assert shop.writes() == 0 and not ProductLink.objects.exists()
    assert json.dumps(run.preview)


def test_two_thousand_products(shop: Shop) -> None:
    """Only what differs costs a call, and an idle round costs the same for 12 products as for 2,000."""
    few_product = shop.add(shop.store.products[0]["sku"], name=shop.store.products[0]["name"])
    shop.sync()

    def idle_queries() -> int:
        with counted_queries() as captured:
            assert shop.sync().counts == {}
        assert shop.sandbox.counts == {}
        return len(captured)

    few = idle_queries()
    for number in range(2000):
        shop.store.add_product(sku=f"BULK{number}", name=f"Bulk {number}", price=10)
    rows = [
        Product(
            connection_id=shop.world.warehouse.pk,
            external_id=f"bulk-{number}",
            sku=f"BULK-{number}",
            sku_key=f"bulk-{number}",
            name=f"Bulk {number}",
            prices={"retail": "10.00" if number % 100 else "12.00"},
        )
        for number in range(2000)
    ]
    Product.objects.bulk_create(rows)
    run = shop.sync()
    assert run.counts == {"unchanged": 1980, "updated": 20}
    assert (shop.sandbox.count(UPDATE), shop.sandbox.count(CREATE)) == (20, 0)
    assert sum(shop.sandbox.counts.values()) <= 20 + 10
    shop.sync()
    assert idle_queries() == few
    shop.change(few_product, description="One change")
    assert shop.sync().counts == {"updated": 1}
    assert sum(shop.sandbox.counts.values()) <= 4
