"""Inventory Pickup: levels at each warehouse, whatever form they come in."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from connectors.errors import ContractBroken
from connectors.integration_manager.connector import IntegrationManagerWarehouse
from connectors.integration_manager.sandbox import IntegrationManagerSandbox
from connectors.integration_manager.stock import read_levels
from connectors.records import LevelRecord
from connectors.sandbox import Request, Response
from tests.connectors.integration_manager.conftest import Connect

LIST = "GET /v1/merchant/inventory"


def levels(warehouse: IntegrationManagerWarehouse) -> dict[tuple[str, str], LevelRecord]:
    records = [record for page in warehouse.read_levels("") for record in page.records]
    found = {(record.sku, record.location_id): record for record in records}
    assert len(found) == len(records), "no level comes twice"
    return found


@pytest.mark.parametrize("wobbles", [False, True])
def test_levels_of_each_warehouse_with_the_time_they_are_of(
    sandbox: IntegrationManagerSandbox, warehouse: IntegrationManagerWarehouse, wobbles: bool
) -> None:
    sandbox.wobbles = wobbles
    sandbox.store.set_stock("SKU-0001", "10.5", "2352", on_hand=15)
    sandbox.store.set_stock("SKU-0001", 3, "2353")
    found = levels(warehouse)
    east, west = found["SKU-0001", "2352"], found["SKU-0001", "2353"]
    assert (east.available, east.on_hand, east.location_name) == (Decimal("10.5"), 15, "EAST")
    assert (west.available, west.location_name) == (3, "WEST")
    assert east.as_of == sandbox.store.stock["SKU-0001"]["2352"]["as_of"].replace(microsecond=0)


def test_a_sku_without_stock_is_zero_everywhere(
    sandbox: IntegrationManagerSandbox, warehouse: IntegrationManagerWarehouse
) -> None:
    """It shows an empty list where its warehouses would be."""
    sandbox.store.set_stock("SKU-0002", 4, "2353")
    sandbox.store.set_stock("SKU-0003", 0)
    found = levels(warehouse)
    assert [found["SKU-0003", place].available for place in ("2352", "2353")] == [0, 0]


def test_an_account_that_does_not_split_its_stock_has_one_place(
    sandbox: IntegrationManagerSandbox, warehouse: IntegrationManagerWarehouse
) -> None:
    sandbox.store.set_stock("SKU-0003", 0)
    sandbox.store.warehouses.clear()
    found = levels(warehouse)
    assert {place for _, place in found} == {"all"}
    assert [record.available for record in found.values()] == [11, 12, 0]
    [place] = warehouse.read_locations()
    assert (place.external_id, place.name) == ("all", "All warehouses")


def test_what_lies_nowhere_in_particular_is_not_lost(
    sandbox: IntegrationManagerSandbox, warehouse: IntegrationManagerWarehouse
) -> None:
    sandbox.store.stock["SKU-0002"]["9999"] = sandbox.store.stock["SKU-0002"].pop("2352")
    assert levels(warehouse)["SKU-0002", "all"].available == 12


@pytest.mark.parametrize("tells_total", [True, False])
@pytest.mark.parametrize("most_rows", [1, 3, 7, 250])
def test_pages_of_any_size(
    sandbox: IntegrationManagerSandbox, warehouse: IntegrationManagerWarehouse, tells_total: bool, most_rows: int
) -> None:
    """A remote may give fewer rows than it was asked for."""
    for number in range(4, 8):
        sandbox.store.add_product(f"SKU-{number:04d}", available=1)
    sandbox.tells_total, sandbox.most_rows = tells_total, most_rows
    assert len(levels(warehouse)) == 7


def test_one_page_costs_one_call(sandbox: IntegrationManagerSandbox, warehouse: IntegrationManagerWarehouse) -> None:
    levels(warehouse)
    assert sandbox.count(LIST) == 1


def test_a_pass_that_was_cut_goes_on_where_it_was(
    sandbox: IntegrationManagerSandbox, warehouse: IntegrationManagerWarehouse
) -> None:
    sandbox.most_rows = 1
    first, second, *_ = warehouse.read_levels("")
    assert [record.sku for record in [*first.records, *second.records]] == ["SKU-0001", "SKU-0002"]
    rest = [record.sku for page in warehouse.read_levels(second.cursor) for record in page.records]
    assert rest == ["SKU-0003"]


def test_what_two_passes_did_not_show_is_gone(
    sandbox: IntegrationManagerSandbox, warehouse: IntegrationManagerWarehouse
) -> None:
    """The last page says since when everything was told: since the pass before."""
    start = datetime(2026, 7, 1, 9, 30, tzinfo=UTC)
    cursor, told = "", []
    for hour in range(3):
        *_, last = read_levels(warehouse.client, cursor, now=lambda hour=hour: start + timedelta(hours=hour))
        cursor = last.cursor
        told.append(last.complete_since)
    assert told == [None, start, start + timedelta(hours=1)]
    assert [page.complete_since for page in warehouse.read_levels("")] == [None, None]


def test_nothing_at_all(sandbox: IntegrationManagerSandbox, warehouse: IntegrationManagerWarehouse) -> None:
    sandbox.store.stock.clear()
    assert levels(warehouse) == {}


def test_a_list_that_repeats_its_first_page_for_ever_is_an_error(
    sandbox: IntegrationManagerSandbox, warehouse: IntegrationManagerWarehouse
) -> None:
    sandbox.tells_total = False
    stock = sandbox.list_stock

    def always_the_first(request: Request) -> Response:
        request.query["page"] = ["1"]
        return stock(request)

    route = sandbox.table.find("GET", "/v1/merchant/inventory")
    assert route is not None
    object.__setattr__(route[0], "handler", always_the_first)
    with pytest.raises(ContractBroken, match="same as the one before"):
        levels(warehouse)


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ({"sku": None}, "no SKU"),
        ({"qty_available": "many"}, "qty_available is no number"),
        ({"wms_datetime": "yesterday"}, "wms_datetime is no time"),
    ],
)
def test_a_row_that_cannot_be_read_does_not_stop_the_page(
    sandbox: IntegrationManagerSandbox, warehouse: IntegrationManagerWarehouse, row: dict[str, Any], reason: str
) -> None:
    sandbox.store.warehouses.clear()
    sandbox.spoilt = {"SKU-0002": row}
    page, _ = warehouse.read_levels("")
    assert [record.sku for record in page.records] == ["SKU-0001", "SKU-0003"]
    [reject] = page.rejects
    assert reason in reject.reason and reject.payload


def test_a_key_of_its_own_for_stock(sandbox: IntegrationManagerSandbox, connect: Connect) -> None:
    sandbox.merchant_key = "merchant-key"
    assert len(levels(connect(merchant_key="merchant-key"))) == 3


def test_the_warehouses_are_those_that_stock_shows(
    sandbox: IntegrationManagerSandbox, warehouse: IntegrationManagerWarehouse
) -> None:
    assert [place.name for place in warehouse.read_locations()] == ["EAST"]
    sandbox.store.set_stock("SKU-0003", 1, "2353")
    assert {(place.external_id, place.name) for place in warehouse.read_locations()} == {
        ("2352", "EAST"),
        ("2353", "WEST"),
    }
