"""Stock Adjustment Sync and Stock Transfer Sync: stock documents of a shop, by two roads.

In real time a webhook names a document, which is read by its id; the search reads every document that changed since the
cursor. Both end in the same intake, which passes on only what was not passed on before.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import cast

from django.db.models import Q

from carts import stock_flow
from carts.models import Cart, Connection, Consignment, StockDocument
from carts.models.fields import plain_decimal
from carts.stock_effects import has_moved
from carts.stock_requirements import check
from carts.stock_stores import ADJUSTMENTS, TRANSFERS, Store, earliest
from connectors.errors import RecordRefused
from connectors.functions import Function
from connectors.ports import ConsignmentReader
from connectors.records import ConsignmentLineRecord, ConsignmentRecord, Page
from syncjobs.context import RunContext
from syncjobs.failures import Failure, failures_of_rejects, record_failures, settle_external
from syncjobs.flows.catalogue import refresh_products
from syncjobs.intake_consignments import ConsignmentIntake
from syncjobs.models import ConsignmentHint, Run
from syncjobs.nested import run_first
from syncjobs.schedule import request_run

Source = StockDocument.Source
RETRIED_AT_ONCE = 200
# Runs of other functions that ask for a search: not those that a webhook or another run asked for.
ASKED_FOR = (Run.Trigger.SCHEDULE, Run.Trigger.PERSON, Run.Trigger.API)


def pull_consignments(context: RunContext) -> None:
    """What was pointed at, then the search, then another look at what waits."""
    cart = context.cart
    store = Store.of_cart(cart)
    if context.run.dry_run:
        search(context, store)
        return
    context.run.count(missing=len(check(cart, store)))
    read_hinted(context, store)
    if context.run.trigger != Run.Trigger.WEBHOOK:
        search(context, store)
    look_again(context, store)


def search(context: RunContext, store: Store) -> None:
    """Every document changed since the cursor, of all kinds: what is found here becomes one document per consignment."""
    reader = cast(ConsignmentReader, context.connector)
    since = earliest(store.first_on(context.cart, function) for function in (ADJUSTMENTS, TRANSFERS))
    intake = intake_of(context, store, Source.SEARCH)
    for page in context.pages(reader.read_consignments(context.start_cursor(), since)):
        if context.run.dry_run:
            preview(context, store, page)
            if context.preview_is_long_enough():
                return
            continue
        found = intake.prepare(page.records)
        rejects = [*page.rejects, *intake.taken_rejects()]
        with context.page(page.cursor):
            counts = intake.store(found)
            rejected = record_failures(context.connection, ADJUSTMENTS, failures_of_rejects(rejects))
            settle_external(context.connection, ADJUSTMENTS, [record.external_id for record in page.records])
            context.run.count(**counts, skipped=len(page.records) - len(found), rejected=rejected)
        context.check_slice()


def intake_of(context: RunContext, store: Store, source: str) -> ConsignmentIntake:
    return ConsignmentIntake(store, source, complete_by(context), lambda: refresh_products(context))


def complete_by(context: RunContext) -> Callable[[str], ConsignmentRecord]:
    """Reads one document, by a session of its own: the other one may be fetching the next page."""

    def complete(external_id: str) -> ConsignmentRecord:
        return cast(ConsignmentReader, context.second_connector).read_consignment(external_id)

    return complete


# --- real time -------------------------------------------------------------------------------------------------------


def read_hinted(context: RunContext, store: Store) -> None:
    """Every document that was pointed at, as it is now. A hint is gone once its document is stored, unless it came again
    meanwhile."""
    reader = cast(ConsignmentReader, context.connector)
    for hint in list(ConsignmentHint.objects.filter(connection_id=context.connection.pk).order_by("pk")):
        source = Source.WEBHOOK if hint.from_webhook else Source.PERSON
        intake = intake_of(context, store, source)
        try:
            found = intake.prepare([reader.read_consignment(hint.external_id)])
            gone = False
        except RecordRefused as error:
            if error.status != 404:
                failure = Failure(hint.external_id, error.kind, error.message, error.fix)
                record_failures(context.connection, ADJUSTMENTS, [failure])
            found, gone = [], error.status == 404
        with context.page(None):
            if gone:
                intake.take_in_gone(hint.external_id)
            context.run.count(**intake.store(found), hinted=1)
            ConsignmentHint.objects.filter(pk=hint.pk, hinted_at=hint.hinted_at).delete()
        context.check_slice()


# --- another look ----------------------------------------------------------------------------------------------------


def look_again(context: RunContext, store: Store) -> None:
    """What waited for a cart, a location or a switch, or was passed on in part, goes out once that is mended."""
    waiting = Consignment.objects.filter(
        Q(cart=context.cart) | Q(source_cart=context.cart) | Q(cart=None),
        merchant_id=store.merchant_id,
        connector=store.connector,
        store=store.key,
        status__in=[Consignment.Status.WAITING, Consignment.Status.PARTLY],
    )
    for pk in list(waiting.order_by("updated_at").values_list("pk", flat=True)[:RETRIED_AT_ONCE]):
        with context.page(None):
            made = stock_flow.reconcile(stock_flow.locked(pk), store, Source.SEARCH)
            context.run.count(documents=made)
        context.check_slice()


def wake_waiting(connection: Connection) -> None:
    """A cart was tested: documents of its store that wait may have waited for it."""
    cart = Cart.objects.filter(pk=connection.pk).first()
    if cart is None or ADJUSTMENTS not in cart.possible_functions:
        return
    store = Store.of_cart(cart)
    waiting = Consignment.objects.filter(
        merchant_id=store.merchant_id, connector=store.connector, store=store.key, status=Consignment.Status.WAITING
    )
    carts = {pk for pair in waiting.values_list("cart_id", "source_cart_id") for pk in pair if pk is not None}
    for one in store.carts:
        if one.pk in carts:
            search_soon(one)


# --- for other flows -------------------------------------------------------------------------------------------------


def searched_by(on: Collection[Function]) -> Function | None:
    """The function by which a cart's stock documents are searched, of those that are on; None: by none."""
    return next((function for function in (ADJUSTMENTS, TRANSFERS) if function in on), None)


def search_soon(cart: Cart, on: Collection[Function] | None = None) -> None:
    """Queues a search: every Order Download and every Inventory Sync of the schedule or a person asks for one."""
    function = searched_by(cart.switched_on_functions() if on is None else on)
    if function is not None:
        request_run(cart, function, Run.Trigger.HUB)


def search_first(context: RunContext) -> None:
    """Searches now, before stock is written. Raises ``MustWait`` or ``CauseFailed`` when that cannot be done: then no
    stock is written either, because the shop's levels may show what the warehouse does not know yet."""
    function = searched_by(context.cart.switched_on_functions())
    if function is not None:
        without_it = "Stock was not written, because the shop's stock documents could not be read first"
        run_first(context, function, without_it=without_it)


# --- preview ---------------------------------------------------------------------------------------------------------


def preview(context: RunContext, store: Store, page: Page[ConsignmentRecord]) -> None:
    """What a real run would do with this page; nothing is written."""
    context.run.pages += 1
    context.run.count(rejected=len(page.rejects))
    rows = Consignment.objects.filter(
        merchant_id=store.merchant_id,
        connector=store.connector,
        store=store.key,
        external_id__in=[record.external_id for record in page.records],
    )
    versions = dict(rows.values_list("external_id", "version"))
    for record in page.records:
        what = forecast(record, store, versions.get(record.external_id))
        context.run.count(**{what.replace(" ", "_"): 1})
        if what == "pass on":
            context.preview(
                number=record.number,
                kind=Consignment.Kind(record.kind.value).label,
                what=what,
                lines=", ".join(words_of(line) for line in record.lines),
            )


def words_of(line: ConsignmentLineRecord) -> str:
    quantity = line.count if line.received is None else line.received
    return f"{plain_decimal(quantity) if quantity is not None else '?'} x {line.sku or line.product_id}"


def forecast(record: ConsignmentRecord, store: Store, version: int | None) -> str:
    since = store.since(record)
    if since is None or not has_moved(record.kind, record.state):
        return "skipped"
    if version is not None and record.version <= version:
        return "unchanged"
    return "pass on" if record.has_lines else "history"
