"""Documents that were booked at a warehouse whose figures are read from time to time, by the figure of each location."""

from __future__ import annotations

from datetime import datetime, timedelta
from decimal import Decimal

import pytest
from django.utils import timezone

from carts.models import (
    Consignment,
    Location,
    StockAdjustment,
    StockAdjustmentLine,
    StockLevel,
    StockTransfer,
    StockTransferLine,
    StockTransferStep,
)
from syncjobs.stock_on_its_way import on_its_way
from tests.factories import make_builtin_warehouse, make_cart, make_location

SKU = "CUP-1"
KEY = SKU.casefold()


class Booked:
    """A Tryton warehouse with two locations of which the figures of one SKU are an hour old, and one cart."""

    def __init__(self) -> None:
        self.now = timezone.now()
        self.warehouse = make_builtin_warehouse(connector="tryton")
        self.here, self.there = make_location(self.warehouse), make_location(self.warehouse)
        self.cart = make_cart(self.warehouse)
        for place in (self.here, self.there):
            self.read(place, self.ago(60))

    def ago(self, minutes: int) -> datetime:
        return self.now - timedelta(minutes=minutes)

    def read(self, place: Location, moment: datetime) -> None:
        StockLevel.objects.update_or_create(
            location=place,
            sku_key=KEY,
            defaults={"sku": SKU, "available": Decimal(10), "read_at": moment, "changed_at": moment},
        )

    def consignment(self) -> Consignment:
        return Consignment.objects.create(
            merchant=self.cart.merchant, connector="vend", store="s", external_id=f"c-{Consignment.objects.count()}"
        )

    def adjusted(self, place: Location, quantity: int, booked_at: datetime) -> None:
        adjustment = StockAdjustment.objects.create(
            **self.document(booked_at), consignment=self.consignment(), location=place, effect="received"
        )
        StockAdjustmentLine.objects.create(adjustment=adjustment, **self.line(quantity))

    def moved(self, step: str, quantity: int, booked_at: datetime) -> None:
        """From here to there."""
        transfer = StockTransfer.objects.create(
            merchant=self.cart.merchant,
            consignment=self.consignment(),
            warehouse=self.warehouse,
            from_location=self.here,
            to_location=self.there,
            reference=f"t-{StockTransfer.objects.count()}",
        )
        told = StockTransferStep.objects.create(**self.document(booked_at), transfer=transfer, step=step)
        StockTransferLine.objects.create(step=told, **self.line(quantity))

    def document(self, booked_at: datetime) -> dict[str, object]:
        number = StockAdjustment.objects.count() + StockTransferStep.objects.count()
        return {
            "merchant": self.cart.merchant,
            "warehouse": self.warehouse,
            "reference": f"d-{number}",
            "source": "search",
            "status": "booked",
            "happened_at": booked_at,
            "booked_at": booked_at,
        }

    def line(self, quantity: int) -> dict[str, object]:
        return {"product_id_at_cart": "p", "sku": SKU, "sku_key": KEY, "quantity": Decimal(quantity)}

    def missing(self, *places: Location) -> Decimal:
        """What is to be added to the figures of these locations."""
        least, most = on_its_way(places).bounds(KEY)
        assert least == most
        return least


@pytest.fixture
def booked(db: None) -> Booked:
    return Booked()


def test_an_adjustment_counts_until_its_locations_figure_is_newer(booked: Booked) -> None:
    booked.adjusted(booked.here, 7, booked.ago(30))
    booked.adjusted(booked.there, 2, booked.ago(90))
    assert booked.missing(booked.here, booked.there) == 7
    booked.read(booked.there, booked.now)
    assert booked.missing(booked.here, booked.there) == 7
    booked.read(booked.here, booked.now)
    assert booked.missing(booked.here, booked.there) == 0


@pytest.mark.parametrize(
    ("step", "here", "there"),
    [("moved", -4, 4), ("sent", -4, 0), ("received", 0, 4)],
    ids=("moved", "sent", "received"),
)
def test_a_transfer_between_two_of_the_locations(booked: Booked, step: str, here: int, there: int) -> None:
    booked.moved(step, 4, booked.ago(30))
    assert booked.missing(booked.here) == here
    assert booked.missing(booked.there) == there
    assert booked.missing(booked.here, booked.there) == here + there
    # One figure is newer than the booking, the other one is not yet: only the other one lacks it.
    booked.read(booked.here, booked.now)
    assert booked.missing(booked.here, booked.there) == there
    booked.read(booked.there, booked.now)
    assert booked.missing(booked.here, booked.there) == 0


def test_other_locations_do_not_count(booked: Booked) -> None:
    third = make_location(booked.warehouse)
    booked.read(third, booked.ago(60))
    booked.moved("moved", 4, booked.ago(30))
    booked.adjusted(third, 3, booked.ago(30))
    assert booked.missing(booked.here, third) == -1
    assert booked.missing(third) == 3
