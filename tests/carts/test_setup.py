"""Functions that came into being after a connection was set up."""

from __future__ import annotations

import pytest
from pytest_django.fixtures import DjangoAssertNumQueries

from carts.models import FunctionSetting
from carts.setup import complete_functions, default_functions, finish_new_connection, set_functions
from connectors.functions import Function
from syncjobs.models import Schedule
from tests.factories import make_builtin_warehouse, make_cart

pytestmark = pytest.mark.django_db


def forget(connection: object, *functions: Function) -> None:
    """The connection is as it was before these functions existed."""
    FunctionSetting.objects.filter(connection=connection, function__in=functions).delete()


def test_new_functions_appear_on_or_off_by_their_default_and_get_their_schedule() -> None:
    warehouse = make_builtin_warehouse()
    forget(warehouse, Function.PRODUCT_DETAIL_SYNC, Function.REFUND_SENDING)
    added = {setting.function: setting for setting in complete_functions()}
    assert {name: setting.is_on for name, setting in added.items()} == {
        Function.PRODUCT_DETAIL_SYNC: False,
        Function.REFUND_SENDING: True,
    }
    assert added[Function.PRODUCT_DETAIL_SYNC].minutes == 15
    assert Schedule.objects.filter(connection=warehouse, function=Function.PRODUCT_DETAIL_SYNC).exists()
    assert warehouse.switched_on_functions() == default_functions(warehouse)


def test_what_people_chose_stays() -> None:
    warehouse = make_builtin_warehouse()
    set_functions(warehouse, [Function.ORDER_SENDING], {Function.ORDER_SENDING: 7})
    forget(warehouse, Function.PRODUCT_DETAIL_SYNC)
    complete_functions()
    assert warehouse.switched_on_functions() == [Function.ORDER_SENDING]
    assert warehouse.function_settings.get(function=Function.ORDER_SENDING).minutes == 7


def test_a_function_that_the_other_side_cannot_do_comes_switched_off() -> None:
    cart = make_cart(make_builtin_warehouse())
    finish_new_connection(cart)
    forget(cart, Function.STOCK_ADJUSTMENT_SYNC, Function.REFUND_DOWNLOAD)
    added = {setting.function: setting.is_on for setting in complete_functions()}
    assert added[Function.REFUND_DOWNLOAD]
    assert not added.get(Function.STOCK_ADJUSTMENT_SYNC, False)


def test_a_connection_that_does_nothing_at_all_goes_on_doing_nothing() -> None:
    cart = make_cart(make_builtin_warehouse())
    complete_functions()
    assert cart.function_settings.exists()
    assert cart.switched_on_functions() == []


def test_nothing_missing_costs_the_same_for_one_and_for_many(
    django_assert_num_queries: DjangoAssertNumQueries,
) -> None:
    for _ in range(3):
        warehouse = make_builtin_warehouse()
        finish_new_connection(make_cart(warehouse))
    complete_functions()
    with django_assert_num_queries(3):
        assert complete_functions() == []


def test_a_system_that_an_upgrade_took_away_holds_nobody_up() -> None:
    warehouse = make_builtin_warehouse()
    gone = make_cart(warehouse)
    type(gone).objects.filter(pk=gone.pk).update(connector="gone")
    forget(warehouse, Function.PRODUCT_DETAIL_SYNC)
    assert [setting.connection_id for setting in complete_functions()] == [warehouse.pk]
