"""Plain rows arrive in the database exactly as models would have put them there; look-ups of a page cost a page."""

from __future__ import annotations

import zlib
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

import pytest
from django.db import IntegrityError, connection, transaction
from django.test.utils import CaptureQueriesContext

from carts.models import Cart, Order, OrderEvent, OrderLine, OrderPayload
from carts.models.packing import pack, unpack
from connectors.records import OrderRecord, RemoteOrderState
from syncjobs.bulk_insert import insert_values, reserve_ids
from syncjobs.intake_orders import known_orders
from tests.factories import make_cart

pytestmark = pytest.mark.django_db

NOON = datetime(2026, 3, 1, 12, 0, 0, 250, tzinfo=timezone(timedelta(hours=13)))


@pytest.fixture
def cart() -> Cart:
    return make_cart()


def row(cart: Cart, external_id: str, **more: Any) -> dict[str, Any]:
    return {
        "merchant_id": cart.merchant_id,
        "cart_id": cart.pk,
        "external_id": external_id,
        "number": external_id,
        "reference": external_id,
        "placed_at": NOON,
        **more,
    }


def test_values_arrive_as_models_would_have_put_them(cart: Cart) -> None:
    odd = {"name": 'Zoë \N{SNOWMAN} "q" \\ \t\n', "none": None, "list": [1, True]}
    values = {
        "status": Order.Status.HELD.value,
        "total": Decimal("12.3456789"),
        "subtotal": Decimal("-1E-7"),
        "tax_total": Decimal("9999999.999999"),
        "note": 'tab\t, newline\n, backslash \\N, quote "',
        "ship_to": odd,
        "payments": [],
        "shipped_at": None,
    }
    insert_values(Order, [row(cart, "plain", **values)])
    Order.objects.create(**row(cart, "model", **{**values, "total": Decimal("12.345679"), "subtotal": Decimal(0)}))
    plain, model = (Order.objects.filter(external_id=name).values().get() for name in ("plain", "model"))
    own = ("id", "external_id", "number", "reference", "stored_at", "updated_at")
    assert {name: plain[name] for name in plain if name not in own} == {
        name: model[name] for name in model if name not in own
    }
    assert plain["placed_at"] == NOON and plain["ship_to"] == odd
    assert abs(plain["stored_at"] - datetime.now(UTC)) < timedelta(minutes=1)
    # And they are found by the same questions.
    assert Order.objects.filter(placed_at=NOON, total=Decimal("12.345679")).count() == 2


def test_reserved_ids_are_nobody_elses(cart: Cart) -> None:
    before = Order.objects.create(**row(cart, "before"))
    with transaction.atomic():
        ids = reserve_ids(Order, 3)
        insert_values(Order, [row(cart, f"new-{number}", id=number) for number in ids])
    after = Order.objects.create(**row(cart, "after"))
    assert len({before.pk, *ids, after.pk}) == 5
    assert before.pk < min(ids) and max(ids) < after.pk
    assert Order.objects.get(pk=ids[1]).external_id == f"new-{ids[1]}"


def test_ids_of_rows_that_were_rolled_back_or_deleted_are_not_given_to_rows_that_exist(cart: Cart) -> None:
    with pytest.raises(IntegrityError), transaction.atomic():
        first = reserve_ids(Order, 2)
        insert_values(Order, [row(cart, "twin", id=number) for number in first])
    with transaction.atomic():
        ids = reserve_ids(Order, 2)
        insert_values(Order, [row(cart, f"good-{number}", id=number) for number in ids])
    Order.objects.get(pk=ids[1]).delete()
    assert Order.objects.create(**row(cart, "later")).pk not in ids


def test_nothing_is_inserted_from_nothing(cart: Cart) -> None:
    insert_values(Order, [])
    with transaction.atomic():
        assert not list(reserve_ids(Order, 0))
    assert not Order.objects.exists()


def test_binary_and_boolean_columns(cart: Cart) -> None:
    order = Order.objects.create(**row(cart, "one"))
    insert_values(OrderPayload, [{"order_id": order.pk, "version": 2**40, "body": OrderPayload.pack(b'{"a": 1}')}])
    insert_values(OrderEvent, [{"order_id": order.pk, "kind": "imported", "message": "\N{CHECK MARK}"}])
    line = {"order_id": order.pk, "quantity": Decimal("1.5"), "external_id": "1"}
    insert_values(OrderLine, [line, {**line, "external_id": "2"}])
    assert order.payloads.get().text == '{"a": 1}'
    assert order.events.get().actor == "hub"
    assert [(one.ships, one.shipped, one.quantity) for one in order.lines.all()] == [(True, 0, Decimal("1.5"))] * 2
    insert_values(OrderLine, [{**line, "external_id": "3", "ships": False}])
    assert order.lines.filter(ships=False).count() == 1


def test_bodies_are_read_whoever_packed_them() -> None:
    body = b'{"id": "x"}' * 500
    assert unpack(zlib.compress(body, 9)) == unpack(pack(body)) == zlib.decompress(pack(body)) == body
    assert unpack(memoryview(pack(body))) == body
    assert (pack(b""), unpack(b"")) == (b"", b"")


@pytest.mark.parametrize("known", [[], ["a"], ["a", "b'\"\\", "c\u2603"]])
def test_any_of_finds_what_in_finds(cart: Cart, known: list[str]) -> None:
    for external_id in ("a", "b'\"\\", "c\u2603", "d"):
        Order.objects.create(**row(cart, external_id))
    found = Order.objects.filter(cart_id=cart.pk, external_id__any_of=known)
    assert sorted(found.values_list("external_id", flat=True)) == sorted(known)
    numbers = Order.objects.filter(version__any_of={0, 1}).count()
    assert numbers == 4
    assert Order.objects.exclude(external_id__any_of=known).count() == 4 - len(known)


def test_what_is_known_of_a_page_is_not_looked_for_in_the_whole_history(cart: Cart) -> None:
    """Asked for in the order of a list, SQLite would walk through the list, that is through every order of the cart."""
    records = [
        OrderRecord(
            external_id=external_id,
            number=external_id,
            version=1,
            state=RemoteOrderState.COMPLETE,
            remote_status="CLOSED",
            placed_at=NOON,
        )
        for external_id in ("a", "b")
    ]
    order = Order.objects.create(**row(cart, "a", version=7))
    with CaptureQueriesContext(connection) as queries:
        assert known_orders(cart, records) == {"a": (order.pk, 7)}
    (query,) = queries.captured_queries
    assert "ORDER BY" not in query["sql"]
    if connection.vendor == "sqlite":
        plan = Order.objects.filter(cart_id=cart.pk, external_id__any_of=["a", "b"]).order_by().explain()
        assert "(cart_id=? AND external_id=?)" in plan
