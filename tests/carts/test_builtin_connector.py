from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import timedelta
from decimal import Decimal
from typing import Any, TypeVar

import pytest
from django.db import OperationalError, connection

from carts.connection_test import run_test
from carts.models import PickOrder, PickShipment, Product, Warehouse
from carts.remote import open_connector
from carts.warehouse_book import WarehouseBook
from connectors.base import Environment
from connectors.budget import BudgetBook
from connectors.builtin.connector import BuiltinWarehouse
from connectors.errors import ConfigurationInvalid, OutcomeUnknown, RemoteUnavailable
from connectors.functions import Role
from connectors.records import OutboundCancellation, Page, ProductKind
from connectors.settings_fields import SettingErrors, Settings
from tests.factories import make_builtin_warehouse, make_location, make_outbound

pytestmark = pytest.mark.django_db

RecordT = TypeVar("RecordT")


@pytest.fixture
def warehouse() -> Warehouse:
    return make_builtin_warehouse()


@pytest.fixture
def connector(warehouse: Warehouse) -> BuiltinWarehouse:
    opened = open_connector(warehouse)
    assert isinstance(opened, BuiltinWarehouse)
    return opened


def records(pages: Sequence[Page[RecordT]]) -> list[RecordT]:
    return [record for page in pages for record in page.records]


def product(warehouse: Warehouse, sku: str, **fields: Any) -> Product:
    return Product.objects.create(connection_id=warehouse.pk, external_id=f"id-{sku}", sku=sku, **fields)


def test_is_a_warehouse_that_does_all_of_the_main_road() -> None:
    assert [function.value for function in BuiltinWarehouse.functions(Role.WAREHOUSE)] == [
        "order_sending",
        "order_cancellation_sending",
        "shipment_pickup",
        "inventory_pickup",
        "product_pickup",
        "product_detail_sync",
        "refund_sending",
        "stock_adjustment_sync",
        "stock_transfer_sync",
    ]
    assert BuiltinWarehouse.functions(Role.CART) == ()
    assert BuiltinWarehouse.levels_are_live
    assert BuiltinWarehouse.stores_in_hub
    assert BuiltinWarehouse.Credentials.fields() == ()
    assert all(field.advanced for field in BuiltinWarehouse.Options.fields())


def test_the_shops_two_prices_need_two_lists() -> None:
    with pytest.raises(SettingErrors, match="another list"):
        BuiltinWarehouse.Options.parse({"retail_price_list": "Buy"})


def test_a_new_warehouse_is_ready_to_use(warehouse: Warehouse) -> None:
    assert warehouse.locations.get().is_default
    assert len(warehouse.switched_on_functions()) == 8
    report = run_test(warehouse)
    assert report.ok
    assert {step.name: step.message for step in report.steps} == {
        "Default location": "Orders that name no location go to Main location.",
        "Stock": "No stock is entered yet: orders are received all the same, but no stock goes to the carts.",
        "Pick list": "0 orders wait to be shipped.",
        "Locations": "1 active.",
    }


def test_needs_its_book() -> None:
    with pytest.raises(ConfigurationInvalid, match="without its book"):
        BuiltinWarehouse(Settings(), Settings(), Environment(budgets=BudgetBook()))


class TestTest:
    def test_counts_what_is_there(self, connector: BuiltinWarehouse, warehouse: Warehouse) -> None:
        book = WarehouseBook(warehouse.pk)
        book.set_available([(book.find_location(), sku, Decimal(1)) for sku in "ABC"])
        connector.send_orders([make_outbound(), make_outbound()])
        book.ship(PickOrder.objects.earliest("pk"))
        messages = [step.message for step in connector.test()]
        assert messages[1:] == ["3 stock levels are kept.", "1 orders wait to be shipped."]

    def test_without_an_active_location_it_stops_and_says_what_to_do(self, warehouse: Warehouse) -> None:
        warehouse.locations.update(is_active=False)
        report = run_test(warehouse)
        assert not report.ok
        assert [(step.name, step.ok, step.help) for step in report.steps] == [
            ("Default location", False, "Add a location to the warehouse, or switch one on.")
        ]

    def test_a_location_made_without_an_id_gets_one_and_is_not_doubled(self, warehouse: Warehouse) -> None:
        shed = make_location(warehouse, name="Shed", external_id="")
        assert run_test(warehouse).ok
        assert warehouse.locations.count() == 2
        shed.refresh_from_db()
        assert shed.external_id == f"loc-{shed.pk}"


class TestOrders:
    def test_what_was_sent_is_found(self, connector: BuiltinWarehouse) -> None:
        assert connector.order_batch_size() == 100
        assert connector.find_sent("o-1") is None
        [result] = connector.send_orders([make_outbound("o-1")])
        assert (result.reference, result.ok) == ("o-1", True)
        assert connector.find_sent("o-1") == result.remote_id

    def test_cancelling(self, connector: BuiltinWarehouse, warehouse: Warehouse) -> None:
        sent = connector.send_orders([make_outbound("o-1"), make_outbound("o-2")])
        wish = OutboundCancellation(reference="o-1", remote_id=sent[0].remote_id, reason="Voided")
        assert connector.cancel_order(wish).ok
        assert connector.cancel_order(wish).ok
        WarehouseBook(warehouse.pk).ship(PickOrder.objects.get(reference="o-2"))
        refused = connector.cancel_order(OutboundCancellation(reference="o-2", remote_id=sent[1].remote_id))
        assert not refused.ok
        assert "already shipped" in refused.reason
        assert refused.fix


class TestShipments:
    def test_tell_the_hub_what_left(self, connector: BuiltinWarehouse, warehouse: Warehouse) -> None:
        connector.send_orders([make_outbound("o-1", (("A", "3"), ("B", "0.5")))])
        book, order = WarehouseBook(warehouse.pk), PickOrder.objects.get()
        first = book.ship(
            order,
            {"line-1": Decimal(1)},
            carrier="NZ Post",
            method="Overnight",
            tracking_number="NZ1",
            tracking_url="https://example.com/NZ1",
        )
        rest = book.ship(order)
        [one, two] = records(list(connector.read_shipments("")))
        assert (one.external_id, two.external_id) == (f"pick-{first.pk}", f"pick-{rest.pk}")
        assert one.order_reference == two.order_reference == "o-1"
        assert one.shipped_at == first.shipped_at
        assert (one.carrier, one.method, one.tracking_number, one.tracking_url) == (
            "NZ Post",
            "Overnight",
            "NZ1",
            "https://example.com/NZ1",
        )
        assert [(line.line_reference, line.sku, line.quantity) for line in one.lines] == [("line-1", "A", 1)]
        assert [(line.line_reference, line.sku, line.quantity) for line in two.lines] == [
            ("line-1", "A", 2),
            ("line-2", "B", Decimal("0.5")),
        ]

    def test_come_in_pages_with_few_queries_and_again_within_the_overlap(
        self, connector: BuiltinWarehouse, warehouse: Warehouse, django_assert_max_num_queries: Callable[[int], Any]
    ) -> None:
        connector.send_orders([make_outbound() for _ in range(205)])
        PickShipment.objects.bulk_create(
            PickShipment(pick_order=order, shipped_at=order.received_at) for order in PickOrder.objects.all()
        )
        with django_assert_max_num_queries(6):
            pages = list(connector.read_shipments(""))
        assert [len(page.records) for page in pages] == [200, 5]
        cursor = pages[-1].cursor
        again = list(connector.read_shipments(cursor))
        assert {one.external_id for one in records(again)} == {one.external_id for one in records(pages)}
        PickShipment.objects.update(
            booked_at=PickShipment.objects.latest("booked_at").booked_at - timedelta(minutes=11)
        )
        with django_assert_max_num_queries(1):
            assert records(list(connector.read_shipments(cursor))) == []


class TestLevels:
    def test_of_active_locations(self, connector: BuiltinWarehouse, warehouse: Warehouse) -> None:
        book = WarehouseBook(warehouse.pk)
        shed = make_location(warehouse, name="Shed", external_id="")
        closed = make_location(warehouse, name="Closed", is_active=False)
        book.set_available([(place, "A", Decimal("1.25")) for place in (book.find_location(), shed, closed)])
        connector.send_orders([make_outbound("", (("A", "1"),), location_id="main")])
        levels = records(list(connector.read_levels("")))
        assert {(one.location_id, one.sku, one.available, one.on_hand) for one in levels} == {
            ("main", "A", Decimal("0.25"), Decimal("1.25")),
            (f"loc-{shed.pk}", "A", Decimal("1.25"), Decimal("1.25")),
        }
        assert [place.external_id for place in connector.read_locations()] == [
            "main",
            f"loc-{shed.pk}",
            closed.external_id,
        ]
        assert [place.is_active for place in connector.read_locations()] == [True, True, False]


class TestProducts:
    def test_with_price_lists(self, connector: BuiltinWarehouse, warehouse: Warehouse) -> None:
        product(
            warehouse,
            "Shirt-M",
            name="Shirt",
            barcode="9400001",
            description="Blue",
            brand="Acme",
            tags=["summer"],
            attributes={"size": "M"},
            prices={"retail": "20.00", "wholesale": "11.123456"},
            currency="NZD",
            version=4,
        )
        product(warehouse, "Gone", deleted=True, kind=ProductKind.SERVICE.value, is_stock_tracked=False)
        product(make_builtin_warehouse(), "Theirs")
        [shirt, gone] = records(list(connector.read_products("")))
        assert (shirt.external_id, shirt.sku, shirt.name, shirt.barcode) == (
            "id-Shirt-M",
            "Shirt-M",
            "Shirt",
            "9400001",
        )
        assert (shirt.description, shirt.brand, shirt.tags, shirt.attributes) == (
            "Blue",
            "Acme",
            ("summer",),
            {"size": "M"},
        )
        assert shirt.prices == {"retail": Decimal("20.00"), "wholesale": Decimal("11.123456")}
        assert (shirt.currency, shirt.version, shirt.kind) == ("NZD", 4, ProductKind.GOODS)
        assert (gone.deleted, gone.kind, gone.is_stock_tracked) == (True, ProductKind.SERVICE, False)

    @pytest.mark.parametrize(
        ("prices", "reason"),
        [
            ({"retail": "cheap"}, "The retail price of B is not a number: cheap."),
            ({"retail": "NaN"}, "The retail price of B is not a number: NaN."),
            (["1.00"], "The prices of B are not a list of names and amounts."),
        ],
    )
    def test_one_with_broken_prices_is_set_aside(
        self, connector: BuiltinWarehouse, warehouse: Warehouse, prices: object, reason: str
    ) -> None:
        product(warehouse, "A", prices={"retail": "1"})
        product(warehouse, "B", prices=prices)
        product(warehouse, "C")
        [page] = connector.read_products("")
        assert [record.sku for record in page.records] == ["A", "C"]
        assert [(reject.external_id, reject.reason) for reject in page.rejects] == [("id-B", reason)]
        assert b'"sku": "B"' in page.rejects[0].payload


class TestTroubleWithTheDatabase:
    """The engine knows what to do with typed errors only."""

    @staticmethod
    def refuse(execute: object, sql: str, *rest: object) -> None:
        raise OperationalError("database is locked")

    def test_a_write_may_have_happened(self, connector: BuiltinWarehouse) -> None:
        with connection.execute_wrapper(self.refuse):
            with pytest.raises(OutcomeUnknown, match="database is locked"):
                connector.send_orders([make_outbound("o-1")])
            with pytest.raises(OutcomeUnknown):
                connector.cancel_order(OutboundCancellation(reference="o-1", remote_id=""))
        assert connector.find_sent("o-1") is None

    def test_a_reading_is_repeated(self, connector: BuiltinWarehouse) -> None:
        with connection.execute_wrapper(self.refuse):
            for reading in (
                lambda: list(connector.read_shipments("")),
                lambda: list(connector.read_levels("")),
                lambda: list(connector.read_products("")),
                connector.read_locations,
                lambda: connector.find_sent("o-1"),
                lambda: list(connector.test()),
            ):
                with pytest.raises(RemoteUnavailable, match="database is locked"):
                    reading()
