"""The outlet's levels as they are now against what the warehouse's stock says they should be. Only read: what the hub
knows of the levels stays Inventory Sync's own.

The warehouse's own figures need no comparison: Inventory Pickup reads them whole, most of them at every run, Tryton's once
a day."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import cast

from django.utils import timezone

from carts.models import Location, OutletLevel, StockLevel
from carts.models.fields import plain_decimal
from carts.stock_places import NoStockPlaces, places_of
from connectors.functions import Function
from connectors.ports import InventoryReader
from syncjobs.flows.inventory_sync import STEP, Difference, differences_of
from syncjobs.flows.reconciliation.feeds import Feeds
from syncjobs.flows.reconciliation.look import AT_ONCE, Look, last_start, was_done
from syncjobs.reconciliation import Cause, Finding


@dataclass(frozen=True, slots=True)
class Level:
    """A level as the cart told it: which version, and when it was read."""

    available: Decimal
    version: int
    read_at: datetime


class StockSide:
    def __init__(self, look: Look, feeds: Feeds) -> None:
        self.look = look
        self.feeds = feeds
        self.cart = look.cart

    @property
    def places(self) -> Sequence[Location] | None:
        """Where the cart's stock comes from; None: it is not synced, so there is nothing to compare."""
        if not self.cart.function_is_on(Function.INVENTORY_SYNC):
            return None
        try:
            return places_of(self.cart)
        except NoStockPlaces:
            return None  # Inventory Sync says what is missing

    def may_compare(self) -> bool:
        if was_done(self.cart, Function.INVENTORY_SYNC):
            return True
        self.look.leave_out("Stock was not compared: Inventory Sync has not been through yet.")
        return False

    def findings(self, places: Sequence[Location]) -> Iterator[Finding]:
        reader = cast(InventoryReader, self.look.context.connector)
        differing: dict[str, Level] = {}
        for page in self.look.pages(reader.read_levels("")):
            read_at = timezone.now()
            levels = {
                record.product_id: Level(record.available.quantize(STEP), record.version, read_at)
                for record in page.records
            }
            self.look.count("skus", len(levels))
            differing |= {one.product_id: levels[one.product_id] for one in self.compare(places, levels)}
            if len(differing) >= AT_ONCE:
                yield from self.settled(places, differing)
                differing = {}
        yield from self.settled(places, differing)

    def compare(self, places: Sequence[Location], levels: dict[str, Level]) -> list[Difference]:
        figures = {product_id: level.available for product_id, level in levels.items()}
        return differences_of(self.cart, places, figures) if figures else []

    def settled(self, places: Sequence[Location], differing: dict[str, Level]) -> Iterator[Finding]:
        """Which of these are mismatches: not those that moved in the shop since Inventory Sync looked, nor those whose
        figure changed at the warehouse since it began, nor those that it wrote in the meantime."""
        if not differing:
            return
        told = self.feeds.levels()
        began = last_start(self.cart, Function.INVENTORY_SYNC)
        found = self.compare(places, differing)
        rows = OutletLevel.objects.in_bulk([one.row for one in found])
        keys = {one.stock_key for one in found}
        changed: dict[str, datetime] = {}
        figures = StockLevel.objects.filter(location__in=places, sku_key__any_of=keys)
        for key, at in figures.values_list("sku_key", "changed_at"):
            changed[key] = max(at, changed.get(key, at))
        for one in found:
            level, row = differing[one.product_id], rows.get(one.row)
            is_on_its_way = (
                told is None
                or one.product_id in told
                or began is None
                or changed.get(one.stock_key, began) >= began
                or row is None
                or row.version > level.version
                or (row.written_at is not None and row.written_at >= level.read_at)
            )
            if is_on_its_way:
                self.look.undecide(Cause.STOCK_DIFFERS, one.sku)
                continue
            place = f"{self.cart}, stock of {', '.join(str(one) for one in places)}"
            desired, current = plain_decimal(one.desired), plain_decimal(one.current)
            yield Finding(Cause.STOCK_DIFFERS, one.sku, one.sku, desired, current, place)
