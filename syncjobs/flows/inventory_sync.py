"""Inventory Sync: the warehouse's available stock to a cart's outlet - only differences, in the largest batches.

A level read before a sale must never overwrite what the sale left. So the outlet's levels are read, then the orders and
the stock documents (every cause that the levels already show is now known here), then the levels again; a product that
moved in between is left for the next round. What the shop sold or moved but the warehouse does not know yet is taken into
account (``ExpectedStock``); goods that customers brought back are expected at the warehouse until it has received them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from itertools import islice
from typing import Any, TypeVar, cast

from django.db import connection as database
from django.db import transaction
from django.db.models import Exists, F, OuterRef, Q, Subquery, Sum
from django.utils import timezone

from carts.models import Cart, Location, OutletLevel, Product, StockLevel
from carts.models.catalogue import sku_key
from carts.models.fields import plain_decimal
from carts.stock_places import NoStockPlaces, places_of
from connectors.errors import ConfigurationInvalid, OutcomeUnknown
from connectors.functions import Function
from connectors.ports import ConsignmentReader, InventoryReader, InventoryWriter, OrderReader, ProductReader
from connectors.records import LevelChange, LevelRecord, ProductKind, WriteResult
from syncjobs.context import PREVIEW_PAGES, RunContext
from syncjobs.expected_stock import ExpectedStock
from syncjobs.failures import Failure, failures_of_rejects, record_failures, settle_external
from syncjobs.flows.catalogue import refresh_products
from syncjobs.flows.consignments import ASKED_FOR, search_first, search_soon
from syncjobs.nested import run_first, wait_for_loads

STEP = Decimal("0.00001")
# How long after a write without an answer the remote may still be carrying it out.
DOUBT_LASTS = timedelta(minutes=2)
ROUNDS_TO_AGREE = 3
# What changes a shop's stock and must be known before it is written.
CAUSES = (Function.ORDER_DOWNLOAD, Function.STOCK_ADJUSTMENT_SYNC, Function.STOCK_TRANSFER_SYNC)
LOOKUP_CHUNK = 500

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Difference:
    """A product whose level at the outlet is not what the warehouse says. ``row`` is the ``OutletLevel``, ``stock_key`` what
    stock knows it by."""

    row: int
    product_id: str
    sku: str
    stock_key: str
    current: Decimal
    desired: Decimal


def push_levels(context: RunContext) -> None:
    cart = context.cart
    try:
        places = places_of(cart)
    except NoStockPlaces as error:
        raise ConfigurationInvalid(str(error), fix=error.fix) from error
    if context.run.dry_run:
        preview(context, places)
        return
    if isinstance(context.connector, OrderReader | ConsignmentReader):
        wait_for_loads(cart, CAUSES)
    read_outlet_levels(context)
    differences = find_differences(context, places)
    if not differences:
        if context.run.trigger in ASKED_FOR:
            search_soon(cart, context.functions)
    elif isinstance(context.connector, OrderReader | ConsignmentReader):
        read_causes_first(context)
        moved = read_until_quiet(context)
        differences = [
            difference for difference in find_differences(context, places) if difference.product_id not in moved
        ]
    report(context, places)
    write(context, differences)


def preview(context: RunContext, places: Sequence[Location]) -> None:
    """What would be written, judged by the levels the hub knows; for a cart that never ran, by the first pages of its
    products and levels. Nothing is stored."""
    if OutletLevel.objects.filter(cart=context.cart).exists():
        report(context, places)
        differences = find_differences(context, places)
    else:
        differences = differences_at_remote(context, places)
    for one in differences:
        context.preview(sku=one.sku, now=plain_decimal(one.current), then=plain_decimal(one.desired))
    context.run.count(different=len(differences))


def differences_at_remote(context: RunContext, places: Sequence[Location]) -> list[Difference]:
    """The first pages of the outlet's products and levels, compared with the warehouse's stock."""
    reader = cast(InventoryReader, context.connector)
    skus: dict[str, str] = {}
    if isinstance(reader, ProductReader):
        for page in islice(reader.read_products(""), PREVIEW_PAGES):
            skus.update({record.external_id: record.sku for record in page.records if not record.deleted})
    levels_there = StockLevel.objects.filter(location__in=places, sku_key__in={sku_key(sku) for sku in skus.values()})
    sums = levels_there.order_by().values_list("sku_key").annotate(Sum("available"))
    stock = {key: Decimal(available).quantize(STEP) for key, available in sums}
    expected = ExpectedStock.load(context.cart, places)
    found = []
    for levels in islice(reader.read_levels(""), PREVIEW_PAGES):
        for record in levels.records:
            key = sku_key(skus.get(record.product_id, ""))
            if key not in stock:
                context.run.count(unmatched=1)
                continue
            desired = expected.desired(key, stock[key], record.available)
            if desired != record.available:
                found.append(Difference(0, record.product_id, skus[record.product_id], key, record.available, desired))
    return found


def read_outlet_levels(context: RunContext) -> set[str]:
    """Takes in what changed at the outlet since the last look. Returns the products that changed."""
    reader = cast(InventoryReader, context.connector)
    changed: set[str] = set()
    for page in context.pages(reader.read_levels(context.start_cursor())):
        products = products_of(context, page.records)
        with context.page(page.cursor):
            store_outlet_levels(context.cart, page.records, products, context.started_at)
            rejected = record_failures(context.connection, Function.INVENTORY_SYNC, failures_of_rejects(page.rejects))
            context.run.count(read=len(page.records), rejected=rejected)
        changed.update(record.product_id for record in page.records)
        context.check_slice()
    return changed


def products_of(context: RunContext, records: Sequence[LevelRecord]) -> dict[str, int]:
    """product id at the cart -> our id; the product feed is read on when one is missing."""
    ids = {record.product_id for record in records}
    found = known_products(context.cart, ids)
    if len(found) < len(ids):
        refresh_products(context)
        found = known_products(context.cart, ids)
    return found


def known_products(cart: Cart, ids: set[str]) -> dict[str, int]:
    rows = Product.objects.filter(connection_id=cart.pk, external_id__in=ids)
    return dict(rows.values_list("external_id", "pk"))


def store_outlet_levels(
    cart: Cart, records: Sequence[LevelRecord], products: dict[str, int], read_at: datetime
) -> None:
    """One statement for a page. What is read clears doubts about earlier writes and old problems."""
    newest: dict[int, LevelRecord] = {}
    for record in records:
        product = products.get(record.product_id)
        if product is not None and (product not in newest or record.version >= newest[product].version):
            newest[product] = record
    OutletLevel.objects.bulk_create(
        [
            OutletLevel(
                cart=cart,
                product_id=product,
                level=record.available.quantize(STEP),
                version=record.version,
                read_at=timezone.now(),
            )
            for product, record in newest.items()
        ],
        update_conflicts=True,
        unique_fields=["cart", "product"],
        update_fields=["level", "version", "read_at", "in_doubt_since", "problem"],
    )


def read_causes_first(context: RunContext) -> None:
    """Every sale and every stock document that the levels show must be known here before anything is written. Raises
    ``MustWait`` or ``CauseFailed`` when they cannot be read now: then no stock is written either."""
    search_first(context)
    run_first(
        context,
        Function.ORDER_DOWNLOAD,
        without_it="Stock was not written, because the orders could not be read first",
    )


def read_until_quiet(context: RunContext) -> set[str]:
    """Reads the levels again until nothing moves; returns what still moved in the last look."""
    moved: set[str] = set()
    for _ in range(ROUNDS_TO_AGREE):
        moved = read_outlet_levels(context)
        if not moved:
            return set()
        read_causes_first(context)
    return moved


def find_differences(context: RunContext, places: Sequence[Location]) -> list[Difference]:
    """Products whose level is not what it should be. A handful of queries, and one more per 500 SKUs of which something
    is on its way. What moved on at the warehouse while this was computed is left for the next round."""
    expected = ExpectedStock.load(context.cart, places)
    if not expected.keys and not any_differs(context.cart, places):
        return []
    rows = candidates(context.cart, places)
    found: dict[int, Difference] = {}
    for row in rows.exclude(level=F("available")).iterator(chunk_size=2000):
        add_difference(found, row, expected)
    for keys in chunks(sorted(expected.keys), LOOKUP_CHUNK):
        for row in rows.filter(product__stock_key__in=keys):
            add_difference(found, row, expected)
    if not found or not expected.keys:
        return list(found.values())
    again = ExpectedStock.load(context.cart, places)
    still = {key for key in {*expected.keys, *again.keys} if expected.of(key) != again.of(key)}
    return [one for one in found.values() if one.stock_key not in still]


# Wider than ``candidates``: SKUs that several products have, and levels in doubt, are left out only there. Nothing is
# remembered from an earlier look, so nothing that changed on either side can be missed.
ANY_DIFFERS = f"""
    SELECT EXISTS (
        SELECT 1 FROM {OutletLevel._meta.db_table} shown
        JOIN {Product._meta.db_table} product ON product.id = shown.product_id
        WHERE shown.cart_id = %s AND NOT product.deleted AND product.is_stock_tracked AND product.kind = 'goods'
            AND product.stock_key <> '' AND shown.level <> (
                SELECT SUM(stock.available) FROM {StockLevel._meta.db_table} stock
                WHERE stock.location_id IN (PLACES) AND stock.sku_key = product.stock_key
            )
    )
"""  # noqa: S608 - table names of ours, nothing from outside


def any_differs(cart: Cart, places: Sequence[Location]) -> bool:
    """May a level of the outlet be another one than the warehouse's? One query, which builds no rows."""
    ids = [place.pk for place in places]
    with database.cursor() as cursor:
        cursor.execute(for_places(ANY_DIFFERS, ids), [cart.pk, *ids])
        return bool(cursor.fetchone()[0])


def differences_of(cart: Cart, places: Sequence[Location], levels: dict[str, Decimal]) -> list[Difference]:
    """The same for levels that were just read (by the cart's product id) and are not stored: for Reconciliation."""
    expected = ExpectedStock.load(cart, places)
    found: dict[int, Difference] = {}
    for row in candidates(cart, places).filter(product__external_id__any_of=list(levels)):
        row.level = levels[row.product.external_id]
        add_difference(found, row, expected)
    return list(found.values())


def candidates(cart: Cart, places: Sequence[Location]) -> Any:
    """Outlet levels that may be written, each with what is ``available`` at the locations together: goods that exist, are
    tracked, have an unambiguous SKU, and are not in doubt. None is available of an SKU that no location knows; that is left
    to the caller, because the databases would look each SKU up once more to say so."""
    twins = Product.objects.filter(
        connection_id=cart.pk, stock_key=OuterRef("product__stock_key"), deleted=False
    ).exclude(pk=OuterRef("product"))
    doubtful = Q(in_doubt_since__gt=timezone.now() - DOUBT_LASTS)
    return (
        OutletLevel.objects.filter(
            cart=cart, product__deleted=False, product__is_stock_tracked=True, product__kind=ProductKind.GOODS
        )
        .exclude(product__stock_key="")
        .exclude(doubtful)
        .annotate(available=available_at(places, "product__stock_key"))
        .exclude(Exists(twins))
        .select_related("product")
    )


def available_at(places: Sequence[Location], key: str) -> Subquery:
    """The stock of an SKU at all of the locations together, NULL where none of them knows it. ``key``: the look-up of its
    SKU key from the outer query."""
    levels = StockLevel.objects.filter(location__in=places, sku_key=OuterRef(key)).order_by()
    if len(places) == 1:
        return Subquery(levels.values("available")[:1])
    return Subquery(levels.values("sku_key").annotate(total=Sum("available")).values("total"))


def add_difference(found: dict[int, Difference], row: Any, expected: ExpectedStock) -> None:
    if row.available is None:
        return
    product = row.product
    current = row.level.quantize(STEP)
    desired = expected.desired(product.stock_key, Decimal(row.available).quantize(STEP), current)
    if desired == current or (row.problem and row.written == desired):
        found.pop(row.pk, None)
        return
    found[row.pk] = Difference(row.pk, product.external_id, product.sku, product.stock_key, current, desired)


def write(context: RunContext, differences: Sequence[Difference]) -> None:
    """Writes in batches. Rows are marked in doubt before each call and settled by its answer: a run that is killed in
    between leaves the doubt behind, and the next run reads the levels before it writes again."""
    writer = cast(InventoryWriter, context.connector)
    outlet_id = context.cart.outlet.external_id if context.cart.outlet else ""
    for batch in chunks(differences, writer.level_batch_size()):
        with context.page(None):
            OutletLevel.objects.filter(pk__in=[one.row for one in batch]).update(in_doubt_since=timezone.now())
        changes = [
            LevelChange(
                product_id=one.product_id,
                sku=one.sku,
                location_id=outlet_id,
                current=one.current,
                desired=one.desired,
            )
            for one in batch
        ]
        try:
            results = writer.write_levels(changes)
        except OutcomeUnknown:
            raise
        except Exception:
            # Nothing was accepted: there is nothing to doubt.
            OutletLevel.objects.filter(pk__in=[one.row for one in batch]).update(in_doubt_since=None)
            raise
        with context.page(None):
            settle_batch(context, batch, results)
        context.check_slice()


def settle_batch(context: RunContext, batch: Sequence[Difference], results: Sequence[WriteResult]) -> None:
    answers = {result.reference: result for result in results}
    now = timezone.now()
    rows: list[OutletLevel] = []
    refused: list[OutletLevel] = []
    failures = []
    done = []
    for one in batch:
        result = answers.get(one.product_id)
        if result is None:
            continue  # the remote did not say: stays in doubt until the level is read again
        if result.ok:
            done.append(one.product_id)
            rows.append(OutletLevel(pk=one.row, level=one.desired, written=one.desired))
        else:
            refused.append(OutletLevel(pk=one.row, written=one.desired, problem=result.reason[:300]))
            failures.append(
                Failure(one.product_id, "level_refused", f"{one.sku}: {result.reason}", result.fix, payload=str(one))
            )
    with transaction.atomic():
        OutletLevel.objects.bulk_update(rows, ["level", "written"], batch_size=500)
        OutletLevel.objects.filter(pk__in=[row.pk for row in rows]).update(
            written_at=now, in_doubt_since=None, problem=""
        )
        OutletLevel.objects.bulk_update(refused, ["written", "problem"], batch_size=500)
        OutletLevel.objects.filter(pk__in=[row.pk for row in refused]).update(written_at=now, in_doubt_since=None)
        rejected = record_failures(context.connection, Function.INVENTORY_SYNC, failures)
        settle_external(context.connection, Function.INVENTORY_SYNC, done)
    context.run.count(written=len(done), rejected=rejected)


# In plain SQL, like ``ANY_DIFFERS``: every round asks it, and building the query took longer than its answer.
LEFT_OUT = f"""
    SELECT
        (SELECT COUNT(*) FROM {Product._meta.db_table}
            WHERE connection_id = %s AND NOT deleted AND kind = 'goods' AND NOT is_stock_tracked),
        (SELECT COUNT(*) FROM {Product._meta.db_table} product
            WHERE connection_id = %s AND NOT deleted AND kind = 'goods' AND is_stock_tracked AND NOT EXISTS (
                SELECT 1 FROM {StockLevel._meta.db_table} stock
                WHERE stock.location_id IN (PLACES) AND stock.sku_key = product.stock_key
            )),
        (SELECT COUNT(*) FROM (
            SELECT stock_key FROM {Product._meta.db_table}
            WHERE connection_id = %s AND NOT deleted AND stock_key <> '' GROUP BY stock_key HAVING COUNT(*) > 1
        ) twins)
"""  # noqa: S608 - table names of ours, nothing from outside


def report(context: RunContext, places: Sequence[Location]) -> None:
    """What is left out, and why, in numbers. One query, whatever the size of the catalogue."""
    cart = context.connection.pk
    ids = [place.pk for place in places]
    with database.cursor() as cursor:
        cursor.execute(for_places(LEFT_OUT, ids), [cart, cart, *ids, cart])
        untracked, unmatched, duplicates = cursor.fetchone()
    context.run.count(not_tracked=untracked, unmatched=unmatched, duplicate_sku=duplicates)


def for_places(statement: str, ids: Sequence[int]) -> str:
    """With a parameter for each of the locations."""
    return statement.replace("PLACES", ", ".join(["%s"] * len(ids)))


def chunks(items: Sequence[T], size: int) -> Iterator[list[T]]:
    iterator = iter(items)
    while chunk := list(islice(iterator, size)):
        yield chunk
