"""Inventory Sync: only differences, in large batches, and never over a sale that the hub does not know yet."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest

from carts.models import Alert, OutletLevel, Product
from connectors.functions import Function
from connectors.vend.connector import VendConnector
from syncjobs.models import FailedRecord, Run
from tests.engine.conftest import World
from tests.engine.query_counts import counted_queries


@pytest.fixture
def stocked(world: World) -> World:
    """Ten of everything, at the warehouse and at the outlet."""
    for product in world.store.products:
        world.stock(product["sku"], 10)
        world.store.set_level(product["id"], world.outlet["id"], 10)
    world.sync_stock()
    world.sandbox.reset_calls()
    return world


def test_nothing_changed_costs_no_write_and_one_stock_call(stocked: World) -> None:
    run = stocked.sync_stock()
    assert run.state == Run.State.DONE
    assert stocked.sandbox.count("POST /stock_adjustments") == 0
    assert stocked.sandbox.count("GET /sales") == 0
    assert stocked.sandbox.count("POST /inventory") == 1


def test_the_number_of_queries_does_not_depend_on_the_catalogue(stocked: World) -> None:
    def queries() -> int:
        with counted_queries() as captured:
            stocked.sync_stock()
        return len(captured)

    few = queries()
    for number in range(60):
        product = stocked.store.add_product(
            sku=f"MORE{number}", name=f"More {number}", price=5, levels={stocked.outlet["id"]: 10}
        )
        stocked.stock(product["sku"], 10)
    stocked.sync_stock()
    assert queries() == few


def test_only_the_difference_goes_out_and_fits_the_sale_in_between(stocked: World) -> None:
    bean = stocked.product()
    stocked.stock(bean["sku"], 14)
    stocked.sync_stock()
    assert stocked.level(bean) == 14
    (call,) = [call for call in stocked.sandbox.calls if call.name == "POST /stock_adjustments"]
    assert b'"4"' in call.request_body


def test_a_sale_the_hub_does_not_know_yet_is_not_overwritten(stocked: World) -> None:
    """The outlet sold 3 of 10; the warehouse still says 10. Writing 10 back would sell the three again."""
    bean = stocked.product()
    stocked.sell((bean, 3))
    assert stocked.level(bean) == 7
    run = stocked.sync_stock()
    assert run.state == Run.State.DONE, run.error
    assert stocked.level(bean) == 7
    assert stocked.sandbox.count("POST /stock_adjustments") == 0
    stocked.deliver()
    stocked.sync_stock()
    assert stocked.level(bean) == 7
    assert stocked.available(bean["sku"]) == 7


def test_an_order_that_waits_is_deducted_from_what_is_written(stocked: World) -> None:
    bean = stocked.product()
    stocked.sell((bean, 3))
    stocked.download()
    stocked.stock(bean["sku"], 20)
    stocked.sync_stock()
    assert stocked.level(bean) == 17


def test_a_sale_during_the_write_keeps_its_effect(stocked: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Relative writing: a sale between the last look and the write is not lost."""
    bean = stocked.product()
    stocked.stock(bean["sku"], 12)
    write = VendConnector.write_levels

    def write_late(self: VendConnector, changes: Any) -> Any:
        stocked.sell((bean, 1))
        return write(self, changes)

    monkeypatch.setattr(VendConnector, "write_levels", write_late)
    stocked.sync_stock()
    assert stocked.level(bean) == 11
    monkeypatch.undo()
    stocked.deliver()
    stocked.sync_stock()
    assert stocked.level(bean) == 11


def test_a_product_that_moves_while_the_levels_are_read_waits_for_the_next_round(
    stocked: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    bean, other = stocked.product(0), stocked.product(1)
    stocked.stock(bean["sku"], 12)
    stocked.stock(other["sku"], 12)
    from syncjobs.flows import inventory_sync

    read: Callable[..., Any] = inventory_sync.read_causes_first

    def busy_shop(context: Any) -> None:
        stocked.sell((bean, 1))
        read(context)

    monkeypatch.setattr(inventory_sync, "read_causes_first", busy_shop)
    run = stocked.sync_stock()
    assert run.state == Run.State.DONE
    assert stocked.level(other) == 12
    monkeypatch.undo()
    sold = 10 - stocked.level(bean)
    stocked.deliver()
    stocked.sync_stock()
    assert stocked.level(bean) == 12 - sold == stocked.available(bean["sku"])


def test_when_orders_cannot_be_read_no_stock_is_written(stocked: World) -> None:
    stocked.stock(stocked.product()["sku"], 12)
    stocked.sandbox.fail(times=10, match="GET /sales", status=503)
    run = stocked.sync_stock()
    assert run.state == Run.State.FAILED
    assert run.error.startswith("Stock was not written, because the orders could not be read first")
    assert stocked.sandbox.count("POST /stock_adjustments") == 0
    stocked.sandbox.clear_faults()
    assert stocked.sync_stock().state == Run.State.DONE
    assert stocked.level(stocked.product()) == 12


def test_an_answer_lost_after_the_write_does_not_write_twice(stocked: World) -> None:
    bean = stocked.product()
    stocked.stock(bean["sku"], 15)
    stocked.sandbox.fail(times=1, match="POST /stock_adjustments", fault="answer_lost")
    run = stocked.sync_stock()
    assert run.state == Run.State.FAILED
    assert run.error_kind == "outcome_unknown"
    assert OutletLevel.objects.get(product__sku=bean["sku"]).in_doubt_since is not None
    assert stocked.level(bean) == 15
    assert stocked.sync_stock().state == Run.State.DONE
    assert stocked.level(bean) == 15
    assert OutletLevel.objects.get(product__sku=bean["sku"]).in_doubt_since is None


def test_a_write_that_never_arrived_is_repeated_after_the_doubt(
    stocked: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    from datetime import timedelta

    from syncjobs.flows import inventory_sync

    bean = stocked.product()
    stocked.stock(bean["sku"], 15)
    stocked.sandbox.fail(times=1, match="POST /stock_adjustments", status=502)
    assert stocked.sync_stock().error_kind == "outcome_unknown"
    assert stocked.level(bean) == 10
    assert stocked.sync_stock().state == Run.State.DONE
    assert stocked.level(bean) == 10, "it may still be on its way"
    monkeypatch.setattr(inventory_sync, "DOUBT_LASTS", timedelta(0))
    stocked.sync_stock()
    assert stocked.level(bean) == 15


def test_refused_rows_are_filed_and_the_rest_goes(stocked: World) -> None:
    """The sandbox refuses stock of a product that was deleted behind the hub's back; the others are written."""
    gone, kept = stocked.product(0), stocked.product(1)
    stocked.stock(gone["sku"], 12)
    stocked.stock(kept["sku"], 13)
    stocked.store.delete_product(gone["id"])
    run = stocked.sync_stock()
    assert stocked.level(kept) == 13
    assert run.counts["written"] == 1
    if run.counts.get("rejected"):
        record = FailedRecord.objects.get(function=Function.INVENTORY_SYNC)
        assert record.external_id == gone["id"]
        assert Alert.objects.get(kind="failed_records").status == Alert.Status.OPEN
        stocked.sandbox.reset_calls()
        stocked.sync_stock()
        assert stocked.sandbox.count("POST /stock_adjustments") == 0, "a refused row is not sent again and again"


def test_untracked_unknown_and_ambiguous_products_are_counted_not_sent(world: World) -> None:
    outlet = world.outlet["id"]
    world.store.add_product(sku="FREE", name="Not counted", price=1, tracked=False, levels={outlet: 1})
    world.store.add_product(sku="TWIN", name="Twin one", price=1, levels={outlet: 1})
    world.store.add_product(sku="twin", name="Twin two", price=1, levels={outlet: 1})
    for sku in ("FREE", "TWIN"):
        world.stock(sku, 5)
    run = world.sync_stock()
    assert run.state == Run.State.DONE
    assert world.sandbox.count("POST /stock_adjustments") == 0
    assert run.counts["not_tracked"] == 1
    assert run.counts["unmatched"] == 12
    assert run.counts["duplicate_sku"] == 1


def test_many_changes_go_in_large_batches(world: World) -> None:
    for number in range(1500):
        world.store.add_product(sku=f"N{number}", name=f"Number {number}", price=1, levels={world.outlet["id"]: 1})
    rows = [(world.location, f"N{number}", Decimal(number % 7)) for number in range(1500)]
    world.book.set_available(rows)
    run = world.sync_stock()
    different = sum(number % 7 != 1 for number in range(1500))
    assert run.counts["written"] == different
    assert world.sandbox.count("POST /stock_adjustments") == 2
    assert world.sync_stock().counts.get("written") is None


def test_absolute_mode_writes_product_by_product(stocked: World) -> None:
    stocked.set_options(inventory_mode="absolute")
    bean = stocked.product()
    stocked.stock(bean["sku"], 3)
    assert stocked.sync_stock().counts["written"] == 1
    assert stocked.level(bean) == 3
    assert stocked.sandbox.count("POST /stock_adjustments") == 0


def test_without_a_location_the_cart_says_what_to_do(stocked: World) -> None:
    stocked.location.is_active = False
    stocked.location.save()
    run = stocked.sync_stock()
    assert run.state == Run.State.FAILED
    assert "no active warehouse location" in run.error
    assert "Sync Inventory With Warehouse" in run.fix
    stocked.location.is_active = True
    stocked.location.save()
    stocked.sync_stock()
    assert not Alert.objects.filter(status=Alert.Status.OPEN).exists()


def test_preview_writes_nothing(world: World) -> None:
    bean = world.product()
    world.stock(bean["sku"], 33)
    world.store.set_level(bean["id"], world.outlet["id"], 30)
    run = world.sync_stock(dry_run=True)
    assert run.preview == [{"sku": bean["sku"], "now": "30", "then": "33"}]
    assert not OutletLevel.objects.exists() and not Product.objects.filter(connection_id=world.cart.pk).exists()
    assert world.level(bean) == 30


def test_stock_of_another_location_does_not_leak_in(stocked: World) -> None:
    from carts.models import Location

    second = Location.objects.create(warehouse=stocked.warehouse, name="Second", external_id="second")
    stocked.book.set_available([(second, stocked.product()["sku"], Decimal(99))])
    stocked.sync_stock()
    assert stocked.level(stocked.product()) == 10


def test_a_change_in_the_book_reaches_the_outlet_without_waiting(stocked: World) -> None:
    """book_changed -> Inventory Pickup -> Inventory Sync of every cart there."""
    stocked.stock(stocked.product()["sku"], 21)
    queued = Run.objects.filter(state=Run.State.QUEUED)
    assert {run.function for run in queued} == {Function.INVENTORY_PICKUP}
    stocked.run(Function.INVENTORY_PICKUP)
    assert {run.function for run in queued.all()} == {Function.INVENTORY_SYNC}
    stocked.sync_stock()
    assert stocked.level(stocked.product()) == 21
