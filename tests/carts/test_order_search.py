"""Orders are found by words, ids and SKUs, through indexes, and the same on both databases."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from django.apps import apps
from django.core.paginator import EmptyPage, PageNotAnInteger
from django.db import connection as database
from django.db.models.signals import post_migrate
from django.test.utils import CaptureQueriesContext

from carts.deep_pages import DeepPaginator
from carts.models import Cart, Order, OrderLine, Product
from carts.order_search import find_orders
from carts.order_words import TRIGGERS, has_words, has_words_itself, through_the_index
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


@pytest.fixture
def smiths(cart: Cart, monkeypatch: pytest.MonkeyPatch) -> list[Order]:
    """Five orders of Smiths with a book, newest first, where no more than three are counted; and two others."""
    monkeypatch.setattr("carts.deep_pages.MOST_COUNTED", 3)
    make_order(cart, number="OTHER-1", customer_name="Bob Ray", placed_at=moment(9))
    make_order(cart, number="OTHER-2", customer_name="Bob Ray", placed_at=moment(3))
    return [
        make_order(cart, (("BOOK-1", "1"),), number=f"S-{day}", customer_name="Ann Smith", placed_at=moment(day))
        for day in (8, 6, 4, 2, 1)
    ]


def moment(day: int) -> datetime:
    return datetime(2026, 7, day, tzinfo=UTC)


@pytest.mark.parametrize("text", ["smith", "book", "ann smith", "BOOK-1"])
def test_of_many_it_is_said_that_there_are_more(smiths: list[Order], text: str) -> None:
    many = find_orders(Order.objects.all(), text)
    assert list(many) == smiths
    assert (str(many.count()), many.count() > 3) == ("3+", True)
    assert many.filter(pk__in=[smiths[0].pk, smiths[4].pk]).count() == 2
    assert list(many.order_by("placed_at", "pk")) == smiths[::-1]


def test_of_many_a_part_is_counted_and_what_belongs_to_each_is_fetched_at_once(
    smiths: list[Order], django_assert_num_queries: Any
) -> None:
    many = find_orders(Order.objects.select_related("cart").prefetch_related("lines"), "smith")
    assert (str(many.count()), many.exclude(pk=smiths[0].pk).count()) == ("3+", 4)
    for page in (many, many.filter(pk__in=[order.pk for order in smiths])):
        with django_assert_num_queries(2):
            assert {(order.cart.name, len(order.lines.all())) for order in page} == {(smiths[0].cart.name, 1)}


@pytest.mark.parametrize("text", ["smith", "book"])
def test_what_is_many_in_all_may_be_few_within_a_filter(smiths: list[Order], text: str) -> None:
    few = find_orders(Order.objects.filter(placed_at__gte=moment(3)), text)
    assert list(few) == smiths[:3]
    assert (few.count(), str(few.count())) == (3, "3")


def test_many_by_one_reason_and_few_by_another(smiths: list[Order], cart: Cart) -> None:
    told = make_order(cart, (("SMITH-7", "1"),), number="T-1", customer_name="Bob Ray", placed_at=moment(7))
    many = find_orders(Order.objects.all(), "smith")
    assert list(many) == [smiths[0], told, *smiths[1:]]
    assert str(many.count()) == "3+"


def test_an_article_of_many_lines_and_few_orders(cart: Cart, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("carts.deep_pages.MOST_COUNTED", 3)
    order = make_order(cart, tuple((f"PEN-{number}", "1") for number in range(5)))
    assert find_orders(Order.objects.all(), "pen").get() == order


def test_pages_beyond_what_was_counted(smiths: list[Order]) -> None:
    def paginator() -> DeepPaginator:
        return DeepPaginator(find_orders(Order.objects.all(), "smith"), 2)

    pages = [paginator().page(number) for number in (1, 2, "3")]
    assert [list(page) for page in pages] == [smiths[:2], smiths[2:4], smiths[4:]]
    assert [page.has_next() for page in pages] == [True, True, False]
    last = paginator()
    last.page(3)
    assert list(last.get_elided_page_range(3)) == [1, 2, 3]
    for number in (0, 4, 10**30):
        with pytest.raises(EmptyPage):
            paginator().page(number)
    with pytest.raises(PageNotAnInteger):
        paginator().page("x")


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
    by_words = Order.objects.filter(has_words(["smith"], database.vendor)).order_by()
    with through_the_index("default"):
        assert "carts_order_words" in by_words.explain()
    with CaptureQueriesContext(database) as queries:
        found("smith")
    assert sum(query["sql"].startswith("SELECT") for query in queries) == 6


def test_a_walk_along_the_list_leaves_the_index_of_words_alone(order: Order) -> None:
    by_themselves = Order.objects.filter(has_words_itself(["smith"], database.vendor))
    assert by_themselves.get() == order
    with database.cursor() as cursor:
        if database.vendor == "postgresql":
            cursor.execute("SET LOCAL enable_seqscan = off")
    plan = by_themselves.explain()
    assert "order_list_of_all" in plan
    assert "carts_order_words" not in plan or database.vendor == "sqlite"


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
