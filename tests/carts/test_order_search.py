"""Orders are found by words, ids and SKUs, through indexes, and the same on both databases."""

from __future__ import annotations

from typing import Any

import pytest
from django.apps import apps
from django.db import connection as database
from django.db.models.signals import post_migrate
from django.test.utils import CaptureQueriesContext

from carts.models import Cart, Order, OrderLine, Product
from carts.order_search import find_orders
from carts.order_words import TRIGGERS
from tests.factories import make_builtin_warehouse, make_cart, make_order

pytestmark = pytest.mark.django_db


@pytest.fixture
def cart() -> Cart:
    return make_cart(make_builtin_warehouse())


def found(text: str) -> set[str]:
    return set(find_orders(Order.objects.all(), text).values_list("number", flat=True))


@pytest.fixture
def order(cart: Cart) -> Order:
    make_order(cart, number="OTHER-9", customer_name="Bob Ray", customer_email="bob@example.org")
    return make_order(
        cart,
        number="QS-10234",
        external_id="0af7-77aa",
        customer_name="Zoë O'Hara-Smith",
        customer_email="zoe.ohara+shop@example.com",
    )


@pytest.mark.parametrize(
    "text",
    ["QS-10234", "qs-10234", "10234", "102", "QS-1", "0af7-77aa", "Zoë", "zoë smith", "smith", "Smi", "O'Hara", "hara zoë",
     "zoe.ohara+shop@example.com", "ohara shop", " smith ", "example.com"],
)  # fmt: skip
def test_what_a_person_may_type(order: Order, text: str) -> None:
    assert found(text) == {"QS-10234"}


@pytest.mark.parametrize(
    "text",
    ["0234", "smith bob", "mith", "0af7", "%", "_", "'", '"', "a*", "& |", "sm(", "zz OR smith", "--", "\0", "🙂"],
)
def test_what_finds_nothing(order: Order, text: str) -> None:
    assert found(text) == (set() if text != "\0" else {"QS-10234", "OTHER-9"})


def test_by_the_shops_sku_where_the_warehouse_writes_another(order: Order, cart: Cart) -> None:
    OrderLine.objects.filter(order=order).update(sku="AB12", warehouse_sku="AB-12", sku_key="ab-12")
    product = Product.objects.create(connection=cart, external_id="p", sku="AB12", sku_key="ab12")
    Product.objects.filter(pk=product.pk).update(stock_sku="AB-12", stock_key="ab-12")
    for text in ("AB-12", "ab12", "AB1"):
        assert found(text) == {"QS-10234"}
    assert found("AB13") == set()


def test_by_the_beginning_of_a_sku(order: Order) -> None:
    OrderLine.objects.filter(order=order).update(sku="Bean_Bag/1", sku_key="bean_bag/1")
    assert found("bean_bag/1") == found("BEAN_B") == {"QS-10234"}
    assert found("beanXb") == found("bag") == set()


def test_an_article_of_many_orders_and_words_at_once(order: Order, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("carts.order_search.MOST_NAMED", 1)
    OrderLine.objects.update(sku="smith", sku_key="smith")
    assert found("smith") == {"QS-10234", "OTHER-9"}
    assert set(find_orders(Order.objects.filter(number="OTHER-9"), "smith")) == set(
        Order.objects.filter(number="OTHER-9")
    )


def test_words_follow_the_order(order: Order) -> None:
    order.customer_name = "Ada King"
    order.save()
    assert found("smith") == set()
    assert found("ada king") == {"QS-10234"}
    Order.objects.filter(pk=order.pk).update(customer_email="new@mail.example")
    assert found("ohara shop") == set()
    assert found("new mail") == {"QS-10234"}
    order.delete()
    assert found("ada king") == set()


def test_the_databases_use_the_index(order: Order) -> None:
    with database.cursor() as cursor:
        if database.vendor == "postgresql":
            cursor.execute("SET LOCAL enable_seqscan = off")
            cursor.execute("SET LOCAL enable_indexscan = off")
    assert "carts_order_words" in find_orders(Order.objects.all(), "smith").order_by().explain()
    with CaptureQueriesContext(database) as queries:
        found("smith")
    assert len(queries) == 5


def test_a_table_made_anew_by_a_migration_keeps_its_words(order: Order) -> None:
    """SQLite drops the triggers with the old table."""
    if database.vendor == "sqlite":
        with database.cursor() as cursor:
            for name in TRIGGERS:
                cursor.execute(f"DROP TRIGGER {name}")
    Order.objects.filter(pk=order.pk).update(customer_name="Grace Hopper")
    told: dict[str, Any] = {"using": "default", "app_config": apps.get_app_config("carts")}
    post_migrate.send(sender=told["app_config"], verbosity=0, interactive=False, plan=[], **told)
    assert found("hopper") == {"QS-10234"}
    Order.objects.filter(pk=order.pk).update(customer_name="Ada King")
    assert found("hopper") == set()
    assert found("king") == {"QS-10234"}
