"""Customers that a shop merges or deletes: orders lead to the one that is left, and nothing is asked per sale."""

from __future__ import annotations

from typing import Any

from carts.models import Customer
from connectors.functions import Function
from connectors.records import CustomerRecord
from syncjobs.flows.catalogue import store_customers
from syncjobs.models import ApiCall
from tests.engine.conftest import World
from tests.factories import make_builtin_warehouse, make_cart

ADDRESS = {"physical_address_1": "1 Lane", "physical_city": "Paris", "physical_country_id": "FR"}


def customer(world: World, record: Any) -> Customer:
    return Customer.objects.get(connection=world.cart, external_id=record["id"])


def sync(world: World) -> None:
    world.run(Function.CUSTOMER_SYNC, world.cart)


class TestFromTheShop:
    def test_orders_of_the_merged_one_lead_to_the_one_that_is_left(self, world: World) -> None:
        ada = world.store.add_customer(first_name="Ada", **ADDRESS)
        twin = world.store.add_customer(first_name="Ada", last_name="Twin", **ADDRESS)
        sale = world.sell(customer=twin["id"])
        world.download()
        world.store.merge_customers(twin, ada)
        sync(world)
        gone = customer(world, twin)
        assert (gone.survivor, gone.deleted) == (customer(world, ada), True)
        order = world.order(sale)
        assert order.customer is not None and order.customer.current == customer(world, ada)
        assert order.customer_name == "Ada Twin"  # what was sold is history

    def test_a_new_sale_that_names_the_merged_one_is_the_survivors(self, world: World) -> None:
        ada = world.store.add_customer(first_name="Ada", email="ada@example.com", **ADDRESS)
        twin = world.store.add_customer(first_name="Twin")
        world.store.merge_customers(twin, ada)
        sales = [world.sell(customer=twin["id"]) for _ in range(20)]
        world.download()
        for sale in sales:
            order = world.order(sale)
            assert order.customer == customer(world, ada)
            assert (order.customer_name, order.ship_to["city"]) == ("Ada", "Paris")
        calls = ApiCall.objects.filter(url__contains="customers")
        assert calls.count() == 2  # a page, and the empty one: no call per sale

    def test_a_sale_that_is_given_to_the_survivor_is_no_change(self, world: World) -> None:
        ada = world.store.add_customer(first_name="Ada", **ADDRESS)
        twin = world.store.add_customer(first_name="Twin", **ADDRESS)
        sale = world.sell(customer=twin["id"])
        world.download()
        world.deliver()
        world.store.merge_customers(twin, ada)
        world.store.update_sale(sale["id"], customer=ada["id"])
        assert world.download().counts == {"unchanged": 1}
        assert world.order(sale).customer_name == "Twin"

    def test_one_that_is_deleted_keeps_what_was_known(self, world: World) -> None:
        ada = world.store.add_customer(first_name="Ada", **ADDRESS)
        world.store.delete_customer(ada)
        sale = world.sell(customer=ada["id"])
        world.download()
        order = world.order(sale)
        assert order.customer is not None and order.customer.deleted
        assert (order.customer_name, order.ship_to["city"], order.status) == ("Ada", "Paris", "new")


class TestChains:
    """In whatever order and page they come."""

    def take(self, *records: tuple[str, str]) -> dict[str, str]:
        """Stores (id, merged into) one page each; returns who lives on in whom."""
        cart = make_cart(make_builtin_warehouse())
        for version, (external_id, merged_into) in enumerate(records, 1):
            record = CustomerRecord(
                external_id=external_id, version=version, first_name=external_id, merged_into=merged_into
            )
            store_customers(cart, [record])
        rows = Customer.objects.filter(connection=cart, survivor__isnull=False).select_related("survivor")
        return {row.external_id: row.current.external_id for row in rows}

    def test_the_survivor_comes_first_or_last(self, db: None) -> None:
        assert self.take(("b", ""), ("a", "b")) == {"a": "b"}
        assert self.take(("a", "b"), ("b", "")) == {"a": "b"}
        assert self.take(("a", "b")) == {}

    def test_a_merge_of_merges(self, db: None) -> None:
        everyone = {"a": "d", "b": "d", "c": "d"}
        assert self.take(("d", ""), ("c", "d"), ("b", "c"), ("a", "b")) == everyone
        assert self.take(("a", "b"), ("b", "c"), ("c", "d"), ("d", "")) == everyone
        assert self.take(("a", ""), ("b", ""), ("c", ""), ("d", ""), ("a", "b"), ("b", "c"), ("c", "d")) == everyone
        assert self.take(("b", "c"), ("d", ""), ("a", "b"), ("c", "d")) == everyone

    def test_taken_back(self, db: None) -> None:
        assert self.take(("b", ""), ("a", "b"), ("a", "")) == {}

    def test_a_circle_ends(self, db: None) -> None:
        assert self.take(("a", "b"), ("b", "a"))["a"] == "b"

    def test_a_page_without_merges_costs_one_query_more(self, db: None, django_assert_num_queries: Any) -> None:
        cart = make_cart(make_builtin_warehouse())
        records = [CustomerRecord(external_id=str(number), version=number) for number in range(5)]
        with django_assert_num_queries(2):
            store_customers(cart, records)
