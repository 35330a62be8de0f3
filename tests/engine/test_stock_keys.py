"""One resolved key: which article of the warehouse a product of the shop is, for stock, orders and stock documents."""

from __future__ import annotations

from decimal import Decimal
from importlib import import_module
from typing import Any

import pytest
from django.apps import apps
from django.db import connection
from django.test.utils import CaptureQueriesContext

from carts import order_edits, order_flow, stock_keys
from carts.models import (
    Cart,
    Order,
    OrderLine,
    PickOrder,
    Product,
    ProductLink,
    ProductMatch,
    StockLevel,
    StockMatch,
    StockOnItsWay,
)
from carts.product_csv import import_products
from carts.warehouse_book import WarehouseBook
from connectors.functions import Function
from connectors.records import ProductRecord, ShipmentLineRecord, ShipmentRecord
from syncjobs.flows.catalogue import store_products
from syncjobs.models import Run
from tests.engine.conftest import World
from tests.engine.stockroom import Stockroom
from tests.factories import PLACED_AT, make_builtin_warehouse, make_cart, make_order


def make_product(connection: Any, sku: str, external_id: str = "", **fields: Any) -> Product:
    values = {"external_id": external_id or f"id-{sku}-{connection.pk}", "name": f"Article {sku}", **fields}
    return Product.objects.create(connection_id=connection.pk, sku=sku, **values)


def found(product: Product) -> tuple[str, str, str]:
    product.refresh_from_db()
    return product.stock_match, product.stock_key, product.stock_sku


NOT_FOUND = StockMatch.NONE.value
AMBIGUOUS = StockMatch.AMBIGUOUS.value


@pytest.fixture
def cart(db: None) -> Cart:
    return make_cart(make_builtin_warehouse())


def link(cart: Cart, article: Product, product: Product, match: str = ProductMatch.HANDLE) -> ProductLink:
    made = ProductLink.objects.create(cart=cart, product=article, remote_id=product.external_id, matched_by=match)
    stock_keys.links_changed(cart, [product.external_id], [article.pk])
    return made


class TestDeciding:
    def test_an_equal_sku_is_the_article(self, cart: Cart) -> None:
        make_product(cart.warehouse, "Tee-1")
        assert found(make_product(cart, "TEE-1")) == ("sku", "tee-1", "")

    def test_special_characters_are_left_out(self, cart: Cart) -> None:
        make_product(cart.warehouse, "AB-12")
        assert found(make_product(cart, "AB12")) == ("plain_sku", "ab-12", "AB-12")

    def test_it_does_not_matter_which_side_comes_first(self, cart: Cart) -> None:
        product = make_product(cart, "AB12")
        assert found(product) == (NOT_FOUND, "ab12", "")
        make_product(cart.warehouse, "AB-12")
        assert found(product) == ("plain_sku", "ab-12", "AB-12")

    def test_an_equal_sku_always_wins(self, cart: Cart) -> None:
        make_product(cart.warehouse, "AB-12")
        product = make_product(cart, "AB12")
        make_product(cart.warehouse, "AB12")
        assert found(product) == ("sku", "ab12", "")

    def test_an_equal_sku_that_is_only_in_stock_wins_too(self, cart: Cart) -> None:
        make_product(cart.warehouse, "AB-12")
        product = make_product(cart, "AB12")
        put(cart, "AB12", 3)
        assert found(product) == ("sku", "ab12", "")

    def test_two_articles_are_none(self, cart: Cart) -> None:
        product = make_product(cart, "AB12")
        make_product(cart.warehouse, "AB-12")
        other = make_product(cart.warehouse, "AB/12")
        assert found(product) == (AMBIGUOUS, "ab12", "")
        other.deleted = True
        other.save()
        assert found(product) == ("plain_sku", "ab-12", "AB-12")

    def test_two_products_of_the_shop_share_no_article(self, cart: Cart) -> None:
        make_product(cart.warehouse, "AB-12")
        first, second = make_product(cart, "AB12"), make_product(cart, "A.B.12")
        assert found(first) == (AMBIGUOUS, "ab12", "")
        assert found(second) == (AMBIGUOUS, "a.b.12", "")
        second.deleted = True
        second.save(update_fields=["deleted"])
        assert found(first) == ("plain_sku", "ab-12", "AB-12")

    def test_an_article_with_its_own_product_is_not_given_to_another(self, cart: Cart) -> None:
        make_product(cart.warehouse, "AB-12")
        exact, like = make_product(cart, "AB-12"), make_product(cart, "AB12")
        assert found(exact) == ("sku", "ab-12", "")
        assert found(like) == (AMBIGUOUS, "ab12", "")

    def test_an_article_that_is_linked_is_taken(self, cart: Cart) -> None:
        article = make_product(cart.warehouse, "AB-12")
        like, other = make_product(cart, "AB12"), make_product(cart, "OTHER")
        made = link(cart, article, other)
        assert found(other) == ("handle", "ab-12", "AB-12")
        assert found(like) == (AMBIGUOUS, "ab12", "")
        made.delete()
        stock_keys.links_changed(cart, [other.external_id], [article.pk])
        assert found(other) == (NOT_FOUND, "other", "")
        assert found(like) == ("plain_sku", "ab-12", "AB-12")

    def test_an_article_is_free_again_when_its_product_is_gone(self, cart: Cart) -> None:
        article = make_product(cart.warehouse, "AB-12")
        like, other = make_product(cart, "AB12"), make_product(cart, "OTHER")
        link(cart, article, other)
        other.deleted = True
        other.save()
        assert found(like) == ("plain_sku", "ab-12", "AB-12")

    def test_a_link_counts_more_than_the_sku_and_follows_the_article(self, cart: Cart) -> None:
        article = make_product(cart.warehouse, "NEW-1")
        make_product(cart.warehouse, "TEE1")
        product = make_product(cart, "TEE1")
        link(cart, article, product, ProductMatch.HAND)
        assert found(product) == ("hand", "new-1", "NEW-1")
        article.sku = "NEW-2"
        article.save()
        assert found(product) == ("hand", "new-2", "NEW-2")
        article.deleted = True
        article.save()
        assert found(product) == ("sku", "tee1", "")

    def test_several_links_are_none_unless_a_person_made_one(self, cart: Cart) -> None:
        one, two = make_product(cart.warehouse, "X-1"), make_product(cart.warehouse, "X-2")
        product = make_product(cart, "TEE1")
        link(cart, one, product)
        link(cart, two, product)
        assert found(product) == (AMBIGUOUS, "tee1", "")
        ProductLink.objects.filter(product=two).update(matched_by=ProductMatch.HAND)
        stock_keys.links_changed(cart, [product.external_id], [two.pk])
        assert found(product) == ("hand", "x-2", "X-2")

    def test_two_products_with_one_sku_are_ambiguous(self, cart: Cart) -> None:
        make_product(cart.warehouse, "TEE")
        first, second = make_product(cart, "TEE", "1"), make_product(cart, "tee", "2")
        assert found(first) == found(second) == (AMBIGUOUS, "tee", "")

    def test_a_product_without_sku_is_found_by_its_link_only(self, cart: Cart) -> None:
        article = make_product(cart.warehouse, "TEE-1")
        make_product(cart.warehouse, "--")
        bare, dashes = make_product(cart, ""), make_product(cart, "--")
        assert found(bare) == (NOT_FOUND, "", "")
        assert found(dashes) == ("sku", "--", "")
        link(cart, article, bare)
        assert found(bare) == ("handle", "tee-1", "TEE-1")

    def test_stock_alone_makes_an_article_where_no_list_has_one(self, cart: Cart) -> None:
        product = make_product(cart, "AB12")
        put(cart, "AB-12", 3)
        assert found(product) == ("plain_sku", "ab-12", "AB-12")
        make_product(cart.warehouse, "A-B12")
        assert found(product) == ("plain_sku", "a-b12", "A-B12")

    def test_another_warehouse_has_other_articles(self, cart: Cart) -> None:
        make_product(cart.warehouse, "AB-12")
        product = make_product(cart, "AB12")
        elsewhere = make_builtin_warehouse(cart.merchant)
        make_product(elsewhere, "A-B-12")
        cart.warehouse = elsewhere
        cart.save()
        assert found(product) == ("plain_sku", "a-b-12", "A-B-12")
        cart.warehouse = None
        cart.save(update_fields=["warehouse"])
        assert found(product) == (NOT_FOUND, "ab12", "")

    def test_an_imported_article_counts(self, cart: Cart) -> None:
        product = make_product(cart, "AB12")
        assert import_products(cart.warehouse, b"sku,name\nAB-12,Bean\n").created == 1  # type: ignore[arg-type]
        assert found(product) == ("plain_sku", "ab-12", "AB-12")

    def test_carts_of_other_warehouses_are_left_alone(self, cart: Cart) -> None:
        stranger = make_product(make_cart(make_builtin_warehouse()), "AB12")
        make_product(cart.warehouse, "AB-12")
        assert found(stranger) == (NOT_FOUND, "ab12", "")


def put(cart: Cart, sku: str, available: int) -> None:
    WarehouseBook(cart.warehouse_id).set_available([(cart.stock_location(), sku, Decimal(available))])


# --- what follows from it --------------------------------------------------------------------------------------------


@pytest.fixture
def bean(world: World) -> Any:
    """A product of the shop, AB12, of which the warehouse has ten as AB-12."""
    make_product(world.warehouse, "AB-12")
    product = world.store.add_product(sku="AB12", name="Bean", price=5, levels={world.outlet["id"]: 10})
    world.stock("AB-12", 10)
    world.run(Function.PRODUCT_PICKUP)
    world.sync_stock()
    return product


def line_of(world: World, sale: Any) -> Any:
    return world.order(sale).lines.get()


class TestStock:
    def test_the_level_of_the_article_is_written(self, world: World, bean: Any) -> None:
        world.stock("AB-12", 7)
        run = world.sync_stock()
        assert run.state == Run.State.DONE, run.error
        assert world.level(bean) == 7

    def test_what_waits_is_deducted(self, world: World, bean: Any) -> None:
        sale = world.sell((bean, 3))
        world.sync_stock()
        assert line_of(world, sale).sku_key == "ab-12"
        assert world.level(bean) == 7, "the sale is not at the warehouse yet, and counts all the same"
        world.deliver()
        assert world.available("AB-12") == 7
        world.sync_stock()
        assert world.level(bean) == 7

    def test_two_products_that_are_one_article_are_left_alone(self, world: World, bean: Any) -> None:
        twin = world.store.add_product(sku="AB-12", name="Twin", price=5, levels={world.outlet["id"]: 10})
        world.run(Function.PRODUCT_PICKUP)
        product = Product.objects.get(connection=world.cart, external_id=twin["id"])
        assert found(product)[0] == "sku", "an equal SKU wins"
        world.stock("AB-12", 4)
        world.sync_stock()
        assert (world.level(bean), world.level(twin)) == (10, 4)

    def test_a_preview_says_the_same(self, world: World, bean: Any) -> None:
        world.stock("AB-12", 7)
        run = world.sync_stock(dry_run=True)
        assert run.counts["different"] == 1

    def test_product_detail_sync_makes_the_link(self, world: World) -> None:
        world.set_options(push_product_details=True)
        article = make_product(world.warehouse, "C/3", "wms-1")
        world.run(Function.PRODUCT_DETAIL_SYNC, world.cart)
        made = ProductLink.objects.get(product=article)
        world.run(Function.PRODUCT_PICKUP)
        product = Product.objects.get(connection=world.cart, external_id=made.remote_id)
        assert (product.sku, *found(product)) == ("C3", "created", "c/3", "C/3")

    def test_nothing_is_created_beside_the_article_when_the_warehouse_takes_products(
        self, world: World, bean: Any
    ) -> None:
        world.run(Function.PRODUCT_DETAIL_SYNC, world.warehouse, full=True)
        there = Product.objects.filter(connection=world.warehouse, plain_key="ab12")
        assert [product.sku for product in there] == ["AB-12"]
        made = ProductLink.objects.get(product=there.get())
        assert made.remote_id == bean["id"]
        product = Product.objects.get(connection=world.cart, external_id=bean["id"])
        assert found(product) == ("plain_sku", "ab-12", "AB-12")


class TestOrders:
    def test_it_goes_out_under_the_warehouses_sku_and_comes_back(self, world: World, bean: Any) -> None:
        sale = world.sell((bean, 2))
        world.download()
        world.deliver()
        pick_order = PickOrder.objects.get(reference=world.order(sale).reference)
        assert [line.sku for line in pick_order.lines.all()] == ["AB-12"]
        line = line_of(world, sale)
        assert (line.sku, line.warehouse_sku, line.sku_at_warehouse) == ("AB12", "AB-12", "AB-12")
        shipment = order_flow.add_shipment(line.order_id, shipped(line.order.reference, "AB-12", 1))
        assert shipment is not None and shipment.lines.get().quantity == 1
        order_flow.add_shipment(line.order_id, shipped(line.order.reference, "ab12", 1))
        assert world.order(sale).status == Order.Status.SHIPPED

    def test_a_link_that_is_made_later_counts_for_what_waits(self, world: World) -> None:
        article = make_product(world.warehouse, "X-9")
        sale = world.sell((world.product(), 1))
        world.download()
        product = Product.objects.get(connection=world.cart, external_id=world.product()["id"])
        assert line_of(world, sale).warehouse_sku == ""
        link(world.cart, article, product, ProductMatch.HAND)
        assert (line_of(world, sale).warehouse_sku, line_of(world, sale).sku_key) == ("X-9", "x-9")
        world.deliver()
        assert PickOrder.objects.get().lines.get().sku == "X-9"
        ProductLink.objects.all().delete()
        stock_keys.links_changed(world.cart, [product.external_id], [article.pk])
        assert line_of(world, sale).warehouse_sku == "X-9", "what was sent stays as it was sent"

    def test_it_is_decided_when_it_leaves(self, world: World, bean: Any) -> None:
        sale = world.sell((bean, 1))
        world.download()
        Order.objects.get().lines.update(warehouse_sku="", sku_key="ab12")
        world.deliver()
        assert PickOrder.objects.get().lines.get().sku == "AB-12"
        assert line_of(world, sale).sku_key == "ab-12"

    def test_a_sku_that_a_person_wrote_stays(self, world: World, bean: Any) -> None:
        sale = world.sell((bean, 1))
        world.download()
        line = line_of(world, sale)
        order_edits.change_unsent(line.order_id, "sam", skus={line.pk: "OTHER"})
        line.refresh_from_db()
        assert (line.sku, line.warehouse_sku, line.sku_key) == ("OTHER", "", "other")
        stock_keys.refresh_cart(world.cart)
        world.deliver()
        assert PickOrder.objects.get().lines.get().sku == "OTHER"

    def test_a_change_and_a_cancellation_speak_the_warehouses_language(self, world: World, bean: Any) -> None:
        sale = world.sell((bean, 2))
        world.download()
        world.deliver()
        ids = {line.product_id: line.id for line in world.store.sale(sale["id"]).line_items}
        world.store.update_sale(sale["id"], lines=[{"product": bean["id"], "quantity": 5, "id": ids[bean["id"]]}])
        world.download()
        world.deliver()
        picked = PickOrder.objects.get().lines.get()
        assert (picked.sku, picked.quantity) == ("AB-12", 5)
        assert (line_of(world, sale).quantity, line_of(world, sale).warehouse_sku) == (5, "AB-12")
        order_flow.cancel(world.order(sale).pk, "no")
        world.deliver()
        assert world.order(sale).status == Order.Status.CANCELLED
        assert world.available("AB-12") == 10

    def test_a_return_comes_back_as_what_left(self, world: World, bean: Any) -> None:
        sale = world.sell((bean, 2))
        world.download()
        world.deliver()
        world.sell((bean, -1), return_for=sale["id"])
        world.download()
        world.deliver()
        order = world.order(sale)
        line = order.refunds.get().lines.get()
        assert (line.sku, line.warehouse_sku, line.sku_key) == ("AB12", "AB-12", "ab-12")


def shipped(reference: str, sku: str, quantity: int) -> ShipmentRecord:
    return ShipmentRecord(
        external_id=f"parcel {sku}",
        order_reference=reference,
        shipped_at=PLACED_AT,
        lines=(ShipmentLineRecord(sku=sku, quantity=Decimal(quantity)),),
    )


class TestStockDocuments:
    def test_they_go_out_under_the_warehouses_sku(self, world: World, bean: Any) -> None:
        room = Stockroom(world)
        room.store.order_stock(room.here, [(bean, 6)], name="", reference="CAR-1")
        room.search()
        assert room.documents() == [[("AB-12", Decimal(6))]]
        room.deliver()
        assert world.available("AB-12") == 16

    def test_what_waits_follows_a_new_link(self, world: World) -> None:
        room = Stockroom(world)
        room.store.order_stock(room.here, [(room.products[0], 6)], name="", reference="CAR-1")
        room.search()
        article = make_product(world.warehouse, "X-9")
        product = Product.objects.get(connection=world.cart, external_id=room.products[0]["id"])
        link(world.cart, article, product, ProductMatch.HAND)
        assert room.documents() == [[("X-9", Decimal(6))]]
        assert [(row.sku_key, row.quantity) for row in StockOnItsWay.objects.all()] == [("x-9", 6)]


class TestCost:
    @staticmethod
    def looks(cart: Cart, records: list[ProductRecord]) -> int:
        """How many times the database is asked while a page is stored."""
        with CaptureQueriesContext(connection) as captured:
            store_products(cart, records)
        return sum(query["sql"].startswith("SELECT") for query in captured)

    def test_a_page_without_news_costs_one_look(self, cart: Cart) -> None:
        records = [product_record(f"p{number}", f"SKU{number}") for number in range(50)]
        store_products(cart, records)
        assert self.looks(cart, records) == 1

    def test_a_first_load_costs_the_same_for_every_page(self, cart: Cart) -> None:
        records = [product_record(f"p{number}", f"SKU{number}") for number in range(200)]
        store_products(cart.warehouse, [product_record(f"w{n}", f"SK-U{n}") for n in range(200)])  # type: ignore[arg-type]
        assert self.looks(cart, records[:20]) == self.looks(cart, records[20:])
        assert set(Product.objects.filter(connection=cart).values_list("stock_match", flat=True)) == {"plain_sku"}


def product_record(external_id: str, sku: str) -> ProductRecord:
    return ProductRecord(external_id=external_id, version=1, sku=sku, name=sku)


@pytest.mark.parametrize("sku", ["A\x00B", "A\x01B", "A\tB", "A\u2028B", "A😀B"])
def test_control_characters_in_a_sku_do_no_harm(world: World, sku: str) -> None:
    """PostgreSQL stores no NUL."""
    world.set_options(push_product_details=True)
    world.store.add_product(sku=sku, name="Odd", price=5, levels={world.outlet["id"]: 10})
    run = world.run(Function.PRODUCT_PICKUP)
    assert run.state == Run.State.DONE, run.error
    product = Product.objects.get(connection=world.cart, name="Odd")
    assert "\x00" not in product.sku
    make_product(world.warehouse, "AB", "wms-ab", name="Odd")
    run = world.run(Function.PRODUCT_DETAIL_SYNC, world.cart)
    assert run.state == Run.State.DONE, run.error
    run = world.run(Function.PRODUCT_DETAIL_SYNC, world.warehouse)
    assert run.state == Run.State.DONE, run.error


class TestFillingWhatIsStored:
    """The migration decides as ``carts.stock_keys`` does."""

    migration = import_module("carts.migrations.0024_fill_stock_keys")

    def rows(self) -> list[Any]:
        columns = ("pk", "plain_key", "stock_key", "stock_sku", "stock_match")
        return list(Product.objects.order_by("pk").values_list(*columns))

    def forget(self) -> None:
        Product.objects.update(plain_key="", stock_key="", stock_sku="", stock_match="none")
        StockLevel.objects.update(plain_key="")
        OrderLine.objects.update(warehouse_sku="", sku_key="ab12")

    def test_it_finds_the_same_articles(self, cart: Cart) -> None:
        for sku in ("AB-12", "TEE", "X-1", "X/1", "Y-1"):
            make_product(cart.warehouse, sku)
        hand = make_product(cart.warehouse, "BY-HAND")
        put(cart, "S-1", 3)
        product = make_product(cart, "AB12")
        for sku in ("TEE", "X1", "Y1", "y.1", "S1", "NONE", "", "--"):
            make_product(cart, sku)
        link(cart, hand, make_product(cart, "OTHER"), ProductMatch.HAND)
        make_product(make_cart(None, cart.merchant), "AB12")
        order = make_order(cart, (("AB12", "2"),))
        order.lines.update(product_id_at_cart=product.external_id)
        stock_keys.relabel(cart, [product.external_id])
        before, line = self.rows(), order.lines.get()
        assert line.warehouse_sku == "AB-12"
        assert len({match for *_, match in before}) == 5
        self.forget()
        self.migration.fill(apps, None)
        assert self.rows() == before
        assert set(StockLevel.objects.values_list("plain_key", flat=True)) == {"s1"}
        line.refresh_from_db()
        assert (line.warehouse_sku, line.sku_key) == ("AB-12", "ab-12")
        self.migration.give_back(apps, None)
        line.refresh_from_db()
        assert line.sku_key == "ab12"
