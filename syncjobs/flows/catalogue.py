"""Product Pickup and Customer Sync: a remote's catalogue and customers, kept in step by their change feeds."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

from django.utils import timezone

from carts import stock_keys
from carts.models import Cart, Connection, Customer, Product, Warehouse
from carts.models.catalogue import sku_key
from carts.models.fields import plain_decimal
from connectors.functions import Function, Role
from connectors.ports import CustomerReader, ProductReader
from connectors.records import CustomerRecord, Page, ProductRecord
from syncjobs.context import MustWait, RunContext
from syncjobs.failures import failures_of_rejects, record_failures
from syncjobs.merged_customers import follow_merges
from syncjobs.models import Run, Schedule
from syncjobs.nested import next_look
from syncjobs.pausing import words_of_pause
from syncjobs.schedule import request_run, schedule_of

PRODUCT_COLUMNS = [
    "version",
    "sku",
    "sku_key",
    "plain_key",
    "name",
    "handle",
    "family_id",
    "barcode",
    "description",
    "brand",
    "product_type",
    "supplier",
    "supplier_code",
    "tags",
    "attributes",
    "prices",
    "currency",
    "kind",
    "is_active",
    "is_stock_tracked",
    "deleted",
    "updated_at",
]
CUSTOMER_COLUMNS = [
    "version",
    "code",
    "first_name",
    "last_name",
    "company",
    "email",
    "phone",
    "ship_to",
    "bill_to",
    "is_walk_in",
    "deleted",
    "merged_into",
    "updated_at",
]


def pull_products(context: RunContext) -> None:
    """Stores the products and, when any changed, lets the other side have them at once where it wants them."""
    reader = cast(ProductReader, context.connector)
    changed = 0
    for page in context.pages(reader.read_products(context.start_cursor())):
        if context.run.dry_run:
            preview_products(context, page)
            if context.preview_is_long_enough():
                return
            continue
        with context.page(page.cursor):
            context.note_read(page)
            if not context.connector.stores_in_hub:
                store_products(context.connection, page.records)
            rejected = record_failures(context.connection, Function.PRODUCT_PICKUP, failures_of_rejects(page.rejects))
            context.run.count(products=len(page.records), rejected=rejected)
        changed += len(page.records)
        context.check_slice()
    if not changed or context.run.dry_run:
        return
    if context.connection.role == Role.WAREHOUSE:
        tell_carts(context.warehouse)
    else:
        tell_warehouse(context.cart)


def tell_carts(warehouse: Warehouse) -> None:
    """Queues a Product Detail Sync for every cart that takes this warehouse's products."""
    carts = Cart.objects.filter(
        warehouse=warehouse,
        is_active=True,
        function_settings__function=Function.PRODUCT_DETAIL_SYNC,
        function_settings__is_on=True,
    )
    for cart in carts:
        request_run(cart, Function.PRODUCT_DETAIL_SYNC, Run.Trigger.HUB)


def tell_warehouse(cart: Cart) -> None:
    """Queues a Product Detail Sync for the cart's warehouse if it takes the cart's products."""
    warehouse = cart.warehouse
    if warehouse is None or not warehouse.is_active or cart.function_is_on(Function.PRODUCT_DETAIL_SYNC):
        return
    if warehouse.function_is_on(Function.PRODUCT_DETAIL_SYNC):
        request_run(warehouse, Function.PRODUCT_DETAIL_SYNC, Run.Trigger.HUB)


def pull_customers(context: RunContext) -> None:
    reader = cast(CustomerReader, context.connector)
    for page in context.pages(reader.read_customers(context.start_cursor())):
        if context.run.dry_run:
            context.run.count(customers=len(page.records))
            context.run.pages += 1
            if context.preview_is_long_enough():
                return
            continue
        with context.page(page.cursor):
            context.note_read(page)
            store_customers(context.connection, page.records)
            rejected = record_failures(context.connection, Function.CUSTOMER_SYNC, failures_of_rejects(page.rejects))
            context.run.count(customers=len(page.records), rejected=rejected)
        context.check_slice()


def preview_products(context: RunContext, page: Page[ProductRecord]) -> None:
    context.run.pages += 1
    context.run.count(products=len(page.records), rejected=len(page.rejects))
    for record in page.records:
        context.preview(sku=record.sku, name=record.name, what="delete" if record.deleted else "take in")


def store_products(connection: Connection, records: Sequence[ProductRecord]) -> None:
    """One look and one statement for a page, whatever of it is new; a few more when SKUs are new or other ones."""
    newest = {record.external_id: record for record in sorted(records, key=lambda record: record.version)}
    if not newest:
        return
    rows = [product_of(connection, record) for record in newest.values()]
    before = stock_keys.state_before(connection.pk, newest)
    Product.objects.bulk_create(
        rows,
        update_conflicts=True,
        unique_fields=["connection", "external_id"],
        update_fields=PRODUCT_COLUMNS,
    )
    stock_keys.products_written(connection.pk, before, rows)


def product_of(connection: Connection, record: ProductRecord) -> Product:
    return Product(
        connection_id=connection.pk,
        external_id=record.external_id,
        version=record.version,
        sku=record.sku[:200],
        sku_key=sku_key(record.sku)[:200],
        name=record.name[:500],
        handle=record.handle[:300],
        family_id=record.family_id,
        barcode=record.barcode[:80],
        description=record.description,
        brand=record.brand[:200],
        product_type=record.product_type[:200],
        supplier=record.supplier[:200],
        supplier_code=record.supplier_code[:200],
        tags=list(record.tags),
        attributes=dict(record.attributes),
        prices={name: plain_decimal(price, 2) for name, price in record.prices.items()},
        currency=record.currency,
        kind=record.kind,
        is_active=record.is_active,
        is_stock_tracked=record.is_stock_tracked,
        deleted=record.deleted,
        updated_at=timezone.now(),
    )


def store_customers(connection: Connection, records: Sequence[CustomerRecord]) -> None:
    newest = {record.external_id: record for record in sorted(records, key=lambda record: record.version)}
    Customer.objects.bulk_create(
        [customer_of(connection, record) for record in newest.values()],
        update_conflicts=True,
        unique_fields=["connection", "external_id"],
        update_fields=CUSTOMER_COLUMNS,
    )
    follow_merges(connection, list(newest))


def customer_of(connection: Connection, record: CustomerRecord) -> Customer:
    return Customer(
        connection_id=connection.pk,
        external_id=record.external_id,
        version=record.version,
        code=record.code[:120],
        first_name=record.first_name[:200],
        last_name=record.last_name[:200],
        company=record.company[:200],
        email=record.email[:254],
        phone=record.phone[:60],
        ship_to=record.ship_to.as_dict() if record.ship_to else {},
        bill_to=record.bill_to.as_dict() if record.bill_to else {},
        is_walk_in=record.is_walk_in,
        deleted=record.deleted,
        merged_into=record.merged_into[:120],
        updated_at=timezone.now(),
    )


def refresh_products(context: RunContext) -> None:
    """Reads the product feed on from its cursor, in the middle of another flow. Runs on its own session. The
    first page is always stored, so that every slice gets on; a first load gives way between the others. Raises
    ``MustWait`` while a person holds Product Pickup."""
    if context.connection.connector_class.stores_in_hub:
        return
    reader = context.second_connector
    if not isinstance(reader, ProductReader):
        return
    schedule = free_schedule(context, Function.PRODUCT_PICKUP)
    for number, page in enumerate(reader.read_products(schedule.cursor)):
        with context.page(None):
            store_products(context.connection, page.records)
            record_failures(context.connection, Function.PRODUCT_PICKUP, failures_of_rejects(page.rejects))
            keep_cursor(schedule, page.cursor)
        if number:
            context.check_slice()


def refresh_customers(context: RunContext) -> None:
    """The same for the customer feed."""
    reader = context.second_connector
    if not isinstance(reader, CustomerReader):
        return
    schedule = free_schedule(context, Function.CUSTOMER_SYNC)
    for number, page in enumerate(reader.read_customers(schedule.cursor)):
        with context.page(None):
            store_customers(context.connection, page.records)
            record_failures(context.connection, Function.CUSTOMER_SYNC, failures_of_rejects(page.rejects))
            keep_cursor(schedule, page.cursor)
        if number:
            context.check_slice()


def free_schedule(context: RunContext, function: Function) -> Schedule:
    """The schedule of a feed that is about to be read on. Raises ``MustWait`` while a person holds it: what is asked for
    may lie behind the point where the feed stands."""
    schedule = schedule_of(context.connection, function)
    if schedule.paused_at is not None:
        raise MustWait(f"Needs what {function.label} has not read yet. {words_of_pause(schedule)}.", next_look())
    return schedule


def keep_cursor(schedule: Schedule, cursor: str) -> None:
    """Another worker may read the same feed at the same time: both store the same rows, and either cursor is right to
    go on from, because a page is stored before its cursor."""
    Schedule.objects.filter(pk=schedule.pk).update(cursor=cursor)
    schedule.cursor = cursor
