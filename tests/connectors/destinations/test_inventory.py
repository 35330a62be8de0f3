"""Stock and products: what is there, page by page, and what changed since."""

from __future__ import annotations

from decimal import Decimal

import pytest

from tests.connectors.destinations.capabilities import Capability
from tests.connectors.destinations.destination import Destination, last_cursor, records
from tests.connectors.destinations.test_orders import order_of


@pytest.mark.needs(Capability.INVENTORY)
class TestInventory:
    def test_a_level_is_what_lies_there(self, destination: Destination) -> None:
        level = destination.level(destination.article(stock=25))
        assert (level.available, level.on_hand) in ((Decimal(25), Decimal(25)), (Decimal(25), None))

    def test_every_article_is_told_once_however_many_pages_there_are(self, destination: Destination) -> None:
        skus = {destination.article(stock=number) for number in range(1, 13)}
        levels = records(destination.ports.read_levels(""))
        here = [one.sku for one in levels if one.location_id == destination.location_ids[0]]
        assert skus <= set(here)
        assert len(here) == len(set(here))

    def test_a_change_is_told_after_the_cursor(self, destination: Destination) -> None:
        mug = destination.article(stock=25)
        cursor = last_cursor(destination.ports.read_levels(""))
        destination.put_stock(mug, 31)
        changed = [one for one in records(destination.ports.read_levels(cursor)) if one.sku == mug]
        assert [one.available for one in changed if one.location_id == destination.location_ids[0]] == [Decimal(31)]

    @pytest.mark.needs(Capability.COMMITTED_STOCK)
    def test_an_open_order_is_taken_off(self, destination: Destination) -> None:
        mug = destination.article(stock=25)
        cursor = last_cursor(destination.ports.read_levels(""))
        assert destination.ports.send_orders([order_of(destination, (mug, 4))])[0].ok
        level = destination.level(mug)
        assert (level.available, level.on_hand) == (21, 25)
        changed = [one for one in records(destination.ports.read_levels(cursor)) if one.sku == mug]
        assert [one.available for one in changed if one.location_id == destination.location_ids[0]] == [Decimal(21)]

    @pytest.mark.needs(Capability.SEVERAL_LOCATIONS)
    def test_each_location_has_its_own(self, destination: Destination) -> None:
        here, there = destination.location_ids[:2]
        mug = destination.article(stock=25)
        destination.put_stock(mug, 7, there)
        assert destination.level(mug, here).available == 25
        assert destination.level(mug, there).available == 7


@pytest.mark.needs(Capability.LOCATIONS)
def test_locations_have_names(destination: Destination) -> None:
    known = {place.external_id: place for place in destination.ports.read_locations()}
    assert set(destination.location_ids) <= set(known)
    assert all(place.name for place in known.values())


@pytest.mark.needs(Capability.PRODUCTS)
class TestProducts:
    def test_a_product_is_told(self, destination: Destination) -> None:
        sku = destination.article()
        [product] = [one for one in records(destination.ports.read_products("")) if one.sku == sku]
        assert product.external_id and product.name
        assert product.is_active and not product.deleted

    @pytest.mark.needs(Capability.PRICES)
    def test_with_its_prices(self, destination: Destination) -> None:
        sku = destination.article()
        [product] = [one for one in records(destination.ports.read_products("")) if one.sku == sku]
        prices = {name.casefold(): amount for name, amount in product.prices.items()}
        assert prices["retail"] == Decimal("12.50")

    def test_a_new_one_is_told_after_the_cursor(self, destination: Destination) -> None:
        destination.article()
        cursor = last_cursor(destination.ports.read_products(""))
        sku = destination.article()
        assert sku in {one.sku for one in records(destination.ports.read_products(cursor))}
