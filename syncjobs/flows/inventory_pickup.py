"""Inventory Pickup: the warehouse's available stock, per location and SKU."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from decimal import Decimal
from itertools import chain, count
from typing import cast

from django.utils import timezone

from carts.models import Cart, Location, StockLevel, Warehouse
from carts.models.catalogue import sku_key
from carts.models.fields import plain_decimal
from connectors.functions import Function
from connectors.ports import InventoryReader
from connectors.records import LevelRecord
from syncjobs.context import RunContext
from syncjobs.failures import failures_of_rejects, record_failures
from syncjobs.models import Run
from syncjobs.schedule import request_run

STEP = Decimal("0.00001")


def pull_levels(context: RunContext) -> None:
    """Stores the levels and, when any changed, lets the carts of this warehouse have them at once."""
    reader = cast(InventoryReader, context.connector)
    changed_in_run = 0
    for page in context.pages(reader.read_levels(context.start_cursor())):
        if context.run.dry_run:
            preview(context, page.records)
            if context.preview_is_long_enough():
                return
            continue
        with context.page(page.cursor):
            changed = len(page.records) if context.connector.stores_in_hub else store_levels(context, page.records)
            rejected = record_failures(context.connection, Function.INVENTORY_PICKUP, failures_of_rejects(page.rejects))
            context.run.count(levels=len(page.records), changed=changed, rejected=rejected)
        changed_in_run += changed
        context.check_slice()
    if changed_in_run and not context.run.dry_run:
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


def location_of(context: RunContext, locations: dict[str, Location], record: LevelRecord) -> Location:
    """The location a level belongs to; one that is new at the warehouse appears here by itself."""
    external_id = record.location_id
    if external_id not in locations:
        locations[external_id], _ = Location.objects.get_or_create(
            warehouse=context.warehouse,
            external_id=external_id,
            defaults={"name": free_name(locations.values(), record.location_name or external_id or "Main location")},
        )
    return locations[external_id]


def free_name(locations: Iterable[Location], name: str) -> str:
    """The name, numbered if another location of the warehouse has it."""
    taken = {location.name for location in locations}
    numbered = (f"{name[:110]} ({number})" for number in count(2))
    return next(one for one in chain([name[:120]], numbered) if one not in taken)


def store_levels(context: RunContext, records: Sequence[LevelRecord]) -> int:
    """One look and one statement for a page. Returns how many levels changed."""
    locations = {location.external_id: location for location in context.warehouse.locations.all()}
    rows: dict[tuple[int, str], StockLevel] = {}
    now = timezone.now()
    for record in records:
        location = location_of(context, locations, record)
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
    return changed


def preview(context: RunContext, records: Sequence[LevelRecord]) -> None:
    context.run.pages += 1
    context.run.count(levels=len(records))
    for record in records:
        context.preview(sku=record.sku, location=record.location_id, available=plain_decimal(record.available))
