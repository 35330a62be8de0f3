"""What shops sold more on orders that the warehouse has in an older version, as Inventory Sync sees it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from decimal import Decimal

from django.db.models import Min

from carts.change_flow import OPEN
from carts.models import Location, OrderChange, StockLevel
from syncjobs.stock_on_its_way import figures_are_live

Status = OrderChange.Status


def added_by_changes(places: Sequence[Location]) -> dict[str, Decimal]:
    """SKU key -> quantity that is sold, but not deducted in the warehouse's figures yet. One query where these are
    live."""
    changes = OrderChange.objects.filter(order__location__in=places).order_by("pk")
    # What waits for another change, or for a person, holds that other change as well.
    open_ones = dict(changes.filter(status__in=OPEN).values_list("order_id", "added"))
    sums: defaultdict[str, Decimal] = defaultdict(Decimal)
    for added in open_ones.values():
        for key, more in added.items():
            sums[key] += Decimal(more)
    if not figures_are_live(places):
        add_done_since_the_reading(sums, places)
    return sums


def add_done_since_the_reading(sums: defaultdict[str, Decimal], places: Sequence[Location]) -> None:
    """Changes that the warehouse took after its figures were read. All of an order that arrived after that is counted
    anyway."""
    levels = StockLevel.objects.filter(location__in=places)
    oldest = levels.aggregate(oldest=Min("read_at"))["oldest"]
    if oldest is None:
        return
    done = OrderChange.objects.filter(order__location__in=places, status=Status.DONE, settled_at__gte=oldest)
    rows = list(done.exclude(added={}).values_list("added", "settled_at", "order__at_warehouse_at", "order__location"))
    keys = {key for added, *_ in rows for key in added}
    figures = levels.filter(sku_key__in=keys).values_list("location", "sku_key", "read_at") if keys else ()
    read_at = {(place, key): moment for place, key, moment in figures}
    for added, settled_at, arrived_at, place in rows:
        for key, more in added.items():
            figure_of = read_at.get((place, key))
            if figure_of and settled_at and arrived_at and arrived_at < figure_of <= settled_at:
                sums[key] += Decimal(more)
