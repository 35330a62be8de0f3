"""Inventory Pickup: the warehouse's available stock, per location and SKU."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import cast

from django.utils import timezone

from carts.models import Cart, StockLevel, Warehouse
from carts.models.catalogue import sku_key
from carts.models.fields import plain_decimal, plain_key
from carts.stock_keys import articles_changed
from connectors.functions import Function
from connectors.ports import InventoryReader
from connectors.records import LevelRecord
from syncjobs.context import RunContext
from syncjobs.failures import failures_of_rejects, record_failures
from syncjobs.flows.locations import PlacesSeen
from syncjobs.models import Run
from syncjobs.schedule import request_run

STEP = Decimal("0.00001")
ZERO = Decimal(0)


def pull_levels(context: RunContext) -> None:
    """Stores the levels and, when any changed, lets the carts of this warehouse have them at once."""
    reader = cast(InventoryReader, context.connector)
    changed_in_run = 0
    places = PlacesSeen(context)
    for page in context.pages(reader.read_levels(context.start_cursor())):
        if context.run.dry_run:
            preview(context, page.records)
            if context.preview_is_long_enough():
                return
            continue
        with context.page(page.cursor):
            stored_here = context.connector.stores_in_hub
            changed = len(page.records) if stored_here else store_levels(context, page.records, places)
            rejected = record_failures(context.connection, Function.INVENTORY_PICKUP, failures_of_rejects(page.rejects))
            context.run.count(levels=len(page.records), changed=changed, rejected=rejected)
            if page.complete_since is not None:
                places.whole_pass_is_over(page.complete_since)
        changed_in_run += changed
        context.check_slice()
    if context.run.dry_run:
        return
    # What was read goes on at once, even if the list of the locations cannot be read now.
    if changed_in_run or places.changes.touch_stock:
        tell_carts(context.warehouse)
    if places.look_at_the_list().touch_stock:
        tell_carts(context.warehouse)


def tell_carts(warehouse: Warehouse) -> None:
    """Queues an Inventory Sync for every cart that shows this warehouse's stock."""
    carts = Cart.objects.filter(
        warehouse=warehouse,
        is_active=True,
        function_settings__function=Function.INVENTORY_SYNC,
        function_settings__is_on=True,
    )
    for cart in carts:
        request_run(cart, Function.INVENTORY_SYNC, Run.Trigger.HUB)


def store_levels(context: RunContext, records: Sequence[LevelRecord], places: PlacesSeen) -> int:
    """One look and one statement for a page. Returns how many levels changed."""
    locations = places.of(records)
    rows: dict[tuple[int, str], StockLevel] = {}
    now = timezone.now()
    for record in records:
        location = locations[record.location_id]
        if not record.sku:
            continue
        key = sku_key(record.sku)
        rows[location.pk, key] = StockLevel(
            location=location,
            sku=record.sku[:200],
            sku_key=key[:200],
            available=record.available.quantize(STEP),
            on_hand=record.on_hand.quantize(STEP) if record.on_hand is not None else None,
            read_at=min(record.as_of or context.started_at, context.started_at),
            changed_at=now,
        )
    stored = {
        (level.location_id, level.sku_key): level
        for level in StockLevel.objects.filter(
            location__in=list(locations.values()), sku_key__in={key for _, key in rows}
        )
    }
    if context.connector.tells_whole_skus:
        rows |= {place: emptied(level, context) for place, level in stored.items() if place not in rows}
    changed = 0
    for place, level in rows.items():
        before = stored.get(place)
        if before is not None and before.available == level.available and before.on_hand == level.on_hand:
            level.changed_at = before.changed_at
        else:
            changed += 1
    StockLevel.objects.bulk_create(
        rows.values(),
        update_conflicts=True,
        unique_fields=["location", "sku_key"],
        update_fields=["sku", "available", "on_hand", "read_at", "changed_at"],
    )
    articles_changed(
        context.warehouse.pk, {plain_key(level.sku) for place, level in rows.items() if place not in stored}
    )
    return changed


def emptied(level: StockLevel, context: RunContext) -> StockLevel:
    """A level that was not told with the others of its SKU: there is nothing left at that location."""
    return StockLevel(
        location_id=level.location_id,
        sku=level.sku,
        sku_key=level.sku_key,
        available=ZERO,
        on_hand=None if level.on_hand is None else ZERO,
        read_at=context.started_at,
        changed_at=timezone.now(),
    )


def preview(context: RunContext, records: Sequence[LevelRecord]) -> None:
    context.run.pages += 1
    context.run.count(levels=len(records))
    for record in records:
        context.preview(sku=record.sku, location=record.location_id, available=plain_decimal(record.available))
