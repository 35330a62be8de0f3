"""The locations of a warehouse with a system of its own appear, are renamed and vanish here as they do there."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from carts.connection_test import run_test
from carts.location_list import switched_by_a_person
from carts.models import Alert, Cart, Location, StockFrom, StockLevel, Warehouse
from carts.setup import keep_stock_locations
from connectors.functions import Function
from connectors.integration_manager.sandbox import IntegrationManagerSandbox
from connectors.threepl.sandbox import ThreePLSandbox
from connectors.tryton.local_company import WAREHOUSES, one
from syncjobs.expected_stock import ExpectedStock
from syncjobs.models import Run
from syncjobs.runner import claim_run, execute
from syncjobs.schedule import request_run
from tests.engine.conftest import World
from tests.engine.remote_warehouses import add, add_integration_manager, add_threepl
from tests.local_tryton import TrytonWorld

FACILITIES = "GET /properties/facilities"


def pick_up(warehouse: Warehouse, trigger: str = Run.Trigger.SCHEDULE) -> Run:
    """An Inventory Pickup as it comes due."""
    claimed = claim_run(request_run(warehouse, Function.INVENTORY_PICKUP, trigger).pk, "test")
    assert claimed is not None
    run = execute(claimed, "test")
    assert run.state == Run.State.DONE, run.error
    return run


def an_hour_later(warehouse: Warehouse) -> None:
    Warehouse.objects.filter(pk=warehouse.pk).update(locations_read_at=timezone.now() - timedelta(hours=1, seconds=1))


def state(warehouse: Warehouse, external_id: Any) -> tuple[str, bool, bool]:
    """(name, in use, gone)"""
    place = warehouse.locations.get(external_id=str(external_id))
    return place.name, place.is_active, place.gone_since is not None


class TestListed:
    """3PL Warehouse Manager tells all its facilities in one call."""

    @pytest.fixture
    def remote(self) -> Iterator[ThreePLSandbox]:
        with ThreePLSandbox(products=0) as remote:
            yield remote

    @pytest.fixture
    def warehouse(self, world: World, remote: ThreePLSandbox, settings: Any) -> Warehouse:
        warehouse = add_threepl(world, remote, settings)
        pick_up(warehouse)
        remote.reset_calls()
        return warehouse

    def test_the_list_is_not_read_with_every_run(self, warehouse: Warehouse, remote: ThreePLSandbox) -> None:
        for _ in range(3):
            pick_up(warehouse)
        assert remote.count(FACILITIES) == 0
        an_hour_later(warehouse)
        for _ in range(3):
            pick_up(warehouse)
        assert remote.count(FACILITIES) == 1

    def test_a_persons_own_run_reads_it(self, warehouse: Warehouse, remote: ThreePLSandbox) -> None:
        remote.store.add_facility(7, "Harbour")
        run = pick_up(warehouse, Run.Trigger.PERSON)
        assert state(warehouse, 7) == ("Harbour", True, False)
        assert run.counts["locations_new"] == 1

    def test_one_that_is_new_appears_and_counts(
        self, world: World, warehouse: Warehouse, remote: ThreePLSandbox
    ) -> None:
        """With its stock, before the list is due; by its name, because a new one makes the hub look at once."""
        own = warehouse.locations.get(external_id="1")
        Cart.objects.filter(pk=world.cart.pk).update(warehouse=warehouse, location=own, stock_from=StockFrom.ALL)
        remote.store.add_facility(7, "Harbour")
        remote.store.set_stock(world.product()["sku"], 4, 7)
        pick_up(warehouse)
        assert state(warehouse, 7) == ("Harbour", True, False)
        assert remote.count(FACILITIES) == 1
        assert Run.objects.filter(connection=world.cart, state=Run.State.QUEUED).exists()
        world.sync_stock()
        assert world.level(world.product()) == 54

    def test_one_without_stock_appears_within_the_hour(self, warehouse: Warehouse, remote: ThreePLSandbox) -> None:
        remote.store.add_facility(7, "Harbour")
        an_hour_later(warehouse)
        pick_up(warehouse)
        assert state(warehouse, 7) == ("Harbour", True, False)

    def test_one_that_is_not_in_use_there_does_not_appear(self, warehouse: Warehouse, remote: ThreePLSandbox) -> None:
        remote.store.add_facility(7, "Harbour")
        remote.store.facilities[7]["readOnly"]["deactivated"] = True
        pick_up(warehouse, Run.Trigger.PERSON)
        assert run_test(warehouse).ok
        assert not warehouse.locations.filter(external_id="7").exists()

    def test_renamed_there_is_renamed_here(self, warehouse: Warehouse, remote: ThreePLSandbox) -> None:
        remote.store.facilities[2]["facilityIdentifier"]["name"] = "Kauri Shed"
        run = pick_up(warehouse, Run.Trigger.PERSON)
        assert state(warehouse, 2) == ("Kauri Shed", True, False)
        assert run.counts["locations_renamed"] == 1

    def test_a_name_that_a_person_gave_stays(self, warehouse: Warehouse, remote: ThreePLSandbox) -> None:
        warehouse.locations.filter(external_id="2").update(name="Our shed")
        remote.store.facilities[2]["facilityIdentifier"]["name"] = "Kauri Shed"
        pick_up(warehouse, Run.Trigger.PERSON)
        assert state(warehouse, 2)[0] == "Our shed"

    def test_equal_names_are_numbered(self, warehouse: Warehouse, remote: ThreePLSandbox) -> None:
        name = remote.store.facility_name(1)
        remote.store.add_facility(7, name)
        pick_up(warehouse, Run.Trigger.PERSON)
        assert state(warehouse, 7)[0] == f"{name} (2)"
        remote.store.facilities[7]["facilityIdentifier"]["name"] = "Harbour"
        pick_up(warehouse, Run.Trigger.PERSON)
        assert state(warehouse, 7)[0] == "Harbour"

    def test_vanished_is_switched_off_with_an_alert_and_back_by_itself(
        self, world: World, warehouse: Warehouse, remote: ThreePLSandbox
    ) -> None:
        place = warehouse.locations.get(external_id="2")
        Cart.objects.filter(pk=world.cart.pk).update(warehouse=warehouse, location=place)
        kept = remote.store.facilities.pop(2)
        run = pick_up(warehouse, Run.Trigger.PERSON)
        assert state(warehouse, 2)[1:] == (False, True)
        assert run.counts["locations_gone"] == 1
        alert = Alert.objects.get(kind="location_gone")
        assert alert.status == Alert.Status.OPEN
        assert f"does not list the location {place} any more" in alert.message
        assert world.cart.name in alert.message and "Choose another location" in alert.fix
        remote.store.facilities[2] = kept
        pick_up(warehouse, Run.Trigger.PERSON)
        assert state(warehouse, 2)[1:] == (True, False)
        alert.refresh_from_db()
        assert alert.status == Alert.Status.RESOLVED

    @pytest.mark.parametrize("use", ["nobody", "set", "default"])
    def test_who_uses_it(self, world: World, warehouse: Warehouse, remote: ThreePLSandbox, use: str) -> None:
        first, second = warehouse.locations.order_by("pk")
        gone = first if use == "default" else second
        Cart.objects.filter(pk=world.cart.pk).update(
            warehouse=warehouse, location=None, stock_from=StockFrom.SET if use == "set" else StockFrom.LOCATION
        )
        world.cart.refresh_from_db()
        keep_stock_locations(world.cart, [first, second])
        del remote.store.facilities[int(gone.external_id)]
        if use == "default":
            # Its stock is there no more either.
            remote.store.on_hand.clear()
        pick_up(warehouse, Run.Trigger.PERSON)
        assert state(warehouse, gone.external_id)[1:] == (False, True)
        assert Alert.objects.filter(kind="location_gone").exists() is (use != "nobody")

    def test_an_alert_closes_when_the_carts_have_another_one(
        self, world: World, warehouse: Warehouse, remote: ThreePLSandbox
    ) -> None:
        first, second = warehouse.locations.order_by("pk")
        Cart.objects.filter(pk=world.cart.pk).update(warehouse=warehouse, location=second)
        del remote.store.facilities[2]
        pick_up(warehouse, Run.Trigger.PERSON)
        Cart.objects.filter(pk=world.cart.pk).update(location=first)
        pick_up(warehouse, Run.Trigger.PERSON)
        assert Alert.objects.get(kind="location_gone").status == Alert.Status.RESOLVED

    def test_what_a_person_switched_off_stays_off(self, warehouse: Warehouse, remote: ThreePLSandbox) -> None:
        warehouse.locations.filter(external_id="2").update(is_active=False)
        pick_up(warehouse, Run.Trigger.PERSON)
        kept = remote.store.facilities.pop(2)
        pick_up(warehouse, Run.Trigger.PERSON)
        remote.store.facilities[2] = kept
        pick_up(warehouse, Run.Trigger.PERSON)
        assert state(warehouse, 2)[1:] == (False, False)

    def test_what_a_person_switches_on_again_stays_on(self, warehouse: Warehouse, remote: ThreePLSandbox) -> None:
        kept = remote.store.facilities.pop(2)
        pick_up(warehouse, Run.Trigger.PERSON)
        warehouse.locations.filter(external_id="2").update(is_active=True)
        pick_up(warehouse, Run.Trigger.PERSON)
        assert state(warehouse, 2)[1:] == (True, True)
        # Off again by hand: then it stays off, even when it is back.
        place = warehouse.locations.get(external_id="2")
        place.is_active = False
        place.save()
        switched_by_a_person(place)
        remote.store.facilities[2] = kept
        pick_up(warehouse, Run.Trigger.PERSON)
        assert state(warehouse, 2)[1:] == (False, False)

    def test_one_that_a_person_made_is_not_gone(self, warehouse: Warehouse, remote: ThreePLSandbox) -> None:
        Location.objects.create(warehouse=warehouse, name="By hand", external_id="99")
        pick_up(warehouse, Run.Trigger.PERSON)
        assert state(warehouse, 99) == ("By hand", True, False)

    def test_an_empty_list_takes_nothing_away(self, warehouse: Warehouse, remote: ThreePLSandbox) -> None:
        remote.store.facilities.clear()
        pick_up(warehouse, Run.Trigger.PERSON)
        assert warehouse.locations.filter(is_active=True).count() == 2

    def test_a_list_that_cannot_be_read_keeps_no_stock_back(
        self, world: World, warehouse: Warehouse, remote: ThreePLSandbox
    ) -> None:
        remote.store.set_stock(world.product()["sku"], 41)
        remote.fail(times=10, match=FACILITIES, status=503)
        an_hour_later(warehouse)
        claimed = claim_run(request_run(warehouse, Function.INVENTORY_PICKUP, Run.Trigger.SCHEDULE).pk, "test")
        assert claimed is not None and execute(claimed, "test").state == Run.State.FAILED
        assert StockLevel.objects.get(location__warehouse=warehouse, sku=world.product()["sku"]).available == 41


class TestSeenInTheStock:
    """Integration Manager has no list: its warehouses show in its stock."""

    @pytest.fixture
    def remote(self) -> Iterator[IntegrationManagerSandbox]:
        with IntegrationManagerSandbox(products=0, bucket=10_000) as remote:
            yield remote

    @pytest.fixture
    def warehouse(self, world: World, remote: IntegrationManagerSandbox, settings: Any) -> Warehouse:
        warehouse = add_integration_manager(world, remote, settings)
        remote.store.set_stock(world.product()["sku"], 4, "2353")
        pick_up(warehouse)
        own = warehouse.locations.get(name="EAST")
        Cart.objects.filter(pk=world.cart.pk).update(warehouse=warehouse, location=own, stock_from=StockFrom.ALL)
        world.cart.refresh_from_db()
        world.warehouse = warehouse
        return warehouse

    def test_a_new_one_appears_without_a_call_more(
        self, world: World, warehouse: Warehouse, remote: IntegrationManagerSandbox
    ) -> None:
        remote.store.warehouses["2354"] = "NORTH"
        remote.store.set_stock(world.product()["sku"], 6, "2354")
        remote.reset_calls()
        pick_up(warehouse)
        calls = sum(remote.counts.values())
        assert state(warehouse, "2354") == ("NORTH", True, False)
        pick_up(warehouse)
        assert sum(remote.counts.values()) == 2 * calls
        world.sync_stock()
        assert world.level(world.product()) == 60

    def test_renamed(self, warehouse: Warehouse, remote: IntegrationManagerSandbox) -> None:
        remote.store.warehouses["2353"] = "WESTPORT"
        pick_up(warehouse)
        assert state(warehouse, "2353") == ("WESTPORT", True, False)

    def test_gone_after_two_whole_passes(
        self, world: World, warehouse: Warehouse, remote: IntegrationManagerSandbox
    ) -> None:
        pick_up(warehouse)
        for stock in remote.store.stock.values():
            stock.pop("2353", None)
        pick_up(warehouse)
        assert state(warehouse, "2353")[1:] == (True, False), "a row may be missed while the list is read"
        pick_up(warehouse)
        assert state(warehouse, "2353")[1:] == (False, True)
        world.sync_stock()
        assert world.level(world.product()) == 50
        remote.store.set_stock(world.product()["sku"], 3, "2353")
        pick_up(warehouse)
        assert state(warehouse, "2353")[1:] == (True, False)
        world.sync_stock()
        assert world.level(world.product()) == 53

    def test_what_an_sku_shows_at_no_other_location_any_more_is_not_added(
        self, world: World, warehouse: Warehouse, remote: IntegrationManagerSandbox
    ) -> None:
        """The SKU is sold out at WEST: its row names EAST only from then on."""
        remote.store.set_stock(world.product(1)["sku"], 9, "2353")
        pick_up(warehouse)
        del remote.store.stock[world.product()["sku"]]["2353"]
        pick_up(warehouse)
        level = StockLevel.objects.get(location__external_id="2353", sku=world.product()["sku"])
        assert (level.available, level.on_hand) == (0, 0)
        world.sync_stock()
        assert (world.level(world.product()), world.level(world.product(1))) == (50, 59)

    def test_an_order_is_waited_for_by_the_figure_of_its_own_location(
        self, world: World, warehouse: Warehouse, remote: IntegrationManagerSandbox
    ) -> None:
        """WEST's figure is newer than the order, EAST's is not: EAST ships it."""
        world.sync_stock()
        world.sell((world.product(), 2))
        world.download()
        world.deliver()
        sku = world.product()["sku"]
        remote.store.stock[sku]["2353"]["as_of"] = timezone.now() + timedelta(seconds=5)
        pick_up(warehouse)
        StockLevel.objects.filter(sku=sku, location__name="EAST").update(read_at=timezone.now() - timedelta(hours=1))
        world.sync_stock()
        assert world.level(world.product()) == 52
        StockLevel.objects.filter(sku=sku, location__name="EAST").update(read_at=timezone.now(), available=48)
        world.sync_stock()
        assert world.level(world.product()) == 52

    def test_an_order_for_what_its_location_never_had_is_deducted_until_it_ships(
        self, world: World, warehouse: Warehouse, remote: IntegrationManagerSandbox
    ) -> None:
        """EAST, where the order goes, has no figure of it at all; WEST has four."""
        sku = world.product()["sku"]
        del remote.store.stock[sku]["2352"]
        StockLevel.objects.filter(sku=sku, location__name="EAST").delete()
        pick_up(warehouse)
        world.sync_stock()
        assert world.level(world.product()) == 4
        world.sell((world.product(), 1))
        world.download()
        world.deliver()
        pick_up(warehouse)
        places = list(warehouse.locations.all())
        assert ExpectedStock.load(world.cart, places).waiting == {sku.casefold(): 1}
        world.sync_stock()
        assert world.level(world.product()) == 3


def test_tryton(world: World, tryton: TrytonWorld, settings: Any) -> None:
    """A Tryton warehouse is renamed and switched off there, and switched on again."""
    warehouse = add(world, "tryton", tryton.door.host, settings, tryton.settings, tryton.credentials)
    place = one(tryton.admin, "stock.location", [["code", "=", WAREHOUSES[1][1]]])
    name = warehouse.locations.get(external_id=str(place)).name
    try:
        tryton.admin.write("stock.location", [place], {"name": "Renamed there", "active": False})
        pick_up(warehouse, Run.Trigger.PERSON)
        assert state(warehouse, place) == (name, False, True)
    finally:
        tryton.admin.write("stock.location", [place], {"active": True})
    pick_up(warehouse, Run.Trigger.PERSON)
    try:
        assert state(warehouse, place) == ("Renamed there", True, False)
    finally:
        tryton.admin.write("stock.location", [place], {"name": name})
