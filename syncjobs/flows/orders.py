"""Order Download, with Order Cancel Download and Refund Download riding on the same feed where it shows cancellations and
returns."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

from carts.models import Order
from carts.refund_flow import tell_of_held
from connectors.functions import Function
from connectors.ports import OrderReader
from connectors.records import OrderRecord, Page, RemoteOrderState
from syncjobs.context import RunContext
from syncjobs.failures import failures_of_rejects, record_failures, settle_external
from syncjobs.flows.catalogue import refresh_customers, refresh_products
from syncjobs.flows.consignments import ASKED_FOR, search_soon
from syncjobs.flows.shared_stock import tell_others
from syncjobs.intake_orders import known_orders, newest_of_each, store_new_orders, with_bodies
from syncjobs.intake_refunds import (
    as_lookups,
    known_refunds,
    link_refunds,
    newer,
    refunds_among,
    take_in_refunds,
)
from syncjobs.order_changes import heal_orders, take_in_change
from syncjobs.order_references import References, load_references

# What of a run's counts says that the stock which can be sold has changed.
MOVES_STOCK = ("imported", "updated", "cancelled")


def pull_orders(context: RunContext) -> None:
    """Every order changed since the cursor: new ones are stored, known ones brought up to date or cancelled."""
    on = context.functions
    imports = Function.ORDER_DOWNLOAD in on or context.run.function == Function.ORDER_DOWNLOAD
    cancels = Function.ORDER_CANCEL_DOWNLOAD in on or context.run.function == Function.ORDER_CANCEL_DOWNLOAD
    refunds = Function.REFUND_DOWNLOAD in on or context.run.function == Function.REFUND_DOWNLOAD
    reader = cast(OrderReader, context.connector)
    catalogue = CatalogueRefresh(context)
    pages = context.pages(with_bodies(reader.read_orders(context.start_cursor())))
    if imports and not context.run.dry_run:
        catalogue.read_for_the_first_time()
    for page in pages:
        if context.run.dry_run:
            preview_page(context, page, refunds)
            if context.preview_is_long_enough():
                return
            continue
        records = newest_of_each(page.records)
        wanted, known = sort_out(context, records, imports)
        returns = refunds_among(records) if refunds else []
        back = known_refunds(context.cart, returns)
        returns = newer(returns, back)
        references = catalogue.references_for([*wanted, *newer_versions(records, known), *as_lookups(returns)])
        with context.page(page.cursor):
            context.note_read(page)
            stored = store_new_orders(context.cart, context.cart.stock_location(), wanted, references, page.bodies)
            changed = change_known(context, records, known, references, cancels)
            linked = link_refunds(context.cart, [order.external_id for order in stored]) if refunds else 0
            taken = take_in_refunds(context.cart, returns, back, references)
            held_refunds = taken.pop("refunds_held", 0)
            if held_refunds:
                tell_of_held(context.cart, held_refunds)
            rejected = record_failures(context.connection, Function.ORDER_DOWNLOAD, failures_of_rejects(page.rejects))
            context.run.count(
                imported=len(stored),
                held=sum(order.status in (Order.Status.HELD, Order.Status.ERROR) for order in stored),
                skipped=page.skipped + len(records) - len(wanted) - len(known) - only_returns(returns, known),
                rejected=rejected,
                refunds_linked=linked,
                **{name: changed.get(name, 0) + taken.get(name, 0) for name in {**changed, **taken}},
            )
        context.check_slice()
    if not context.run.dry_run:
        healed = heal_orders(context.cart)
        if healed:
            context.run.count(healed=healed)
        if any(context.run.counts.get(name) for name in MOVES_STOCK):
            tell_others(context.cart)
        if context.run.trigger in ASKED_FOR:
            search_soon(context.cart, on)


def sort_out(
    context: RunContext, records: Sequence[OrderRecord], imports: bool
) -> tuple[list[OrderRecord], dict[str, tuple[int, int]]]:
    """(records to store as new orders, what is known of the others)."""
    known = known_orders(context.cart, records)
    wanted = [
        record
        for record in records
        if imports and record.importable and record.external_id not in known and not record.return_for
    ]
    return wanted, known


def newer_versions(records: Sequence[OrderRecord], known: dict[str, tuple[int, int]]) -> list[OrderRecord]:
    """What changed of stored orders, without those that are cancelled: nothing of them is looked up."""
    return [
        record
        for record in records
        if record.external_id in known
        and record.version > known[record.external_id][1]
        and record.state is not RemoteOrderState.CANCELLED
    ]


def only_returns(returns: Sequence[OrderRecord], known: dict[str, tuple[int, int]]) -> int:
    """How many of these sales are a return and nothing else (an exchange is counted as an order)."""
    return sum(record.external_id not in known and not record.importable for record in returns)


FEEDS = ((Function.CUSTOMER_SYNC, refresh_customers), (Function.PRODUCT_PICKUP, refresh_products))


class CatalogueRefresh:
    """Keeps products and customers as fresh as the orders that name them, with as few calls as possible: the feeds are
    read once before a run's first orders, and again only for an id that nobody knows."""

    def __init__(self, context: RunContext) -> None:
        self.context = context
        self.customers_are_fresh = False

    def read_for_the_first_time(self) -> None:
        """A cart that never read its products and customers reads them while its first orders are being fetched."""
        unread = [(function, refresh) for function, refresh in FEEDS if not self.context.schedule_of(function).cursor]
        if unread:
            self.context.fetch_now()
        for function, refresh in unread:
            refresh(self.context)
            self.customers_are_fresh = self.customers_are_fresh or function is Function.CUSTOMER_SYNC

    def references_for(self, records: Sequence[OrderRecord]) -> References:
        if not records:
            return References()
        cart = self.context.cart
        if not self.customers_are_fresh and any(record.customer_id and not record.customer for record in records):
            refresh_customers(self.context)
            self.customers_are_fresh = True
        references = load_references(cart, records)
        if references.missing_products:
            refresh_products(self.context)
        if references.missing_customers:
            refresh_customers(self.context)
        if references.missing_products or references.missing_customers:
            references = load_references(cart, records)
        return references


def change_known(
    context: RunContext,
    records: Sequence[OrderRecord],
    known: dict[str, tuple[int, int]],
    references: References,
    cancels: bool,
) -> dict[str, int]:
    """Takes in newer versions of stored orders. Returns counts."""
    counts: dict[str, int] = {}
    for record in records:
        if record.external_id not in known:
            continue
        order_id, version = known[record.external_id]
        if record.version <= version:
            outcome = "unchanged"
        else:
            outcome = take_in_change(context.cart, order_id, record, references, cancels=cancels)
        counts[outcome] = counts.get(outcome, 0) + 1
    settle_external(context.connection, Function.ORDER_DOWNLOAD, [record.external_id for record in records])
    return counts


def preview_page(context: RunContext, page: Page[OrderRecord], refunds: bool) -> None:
    """What a real run would do with this page; nothing is written."""
    context.run.pages += 1
    returns = refunds_among(page.records) if refunds else []
    taken_in = {record.external_id for record in newer(returns, known_refunds(context.cart, returns))}
    known = known_orders(context.cart, page.records)
    counts = {"skipped": page.skipped, "rejected": len(page.rejects)}
    for record in page.records:
        is_taken_in = record.external_id in taken_in and not record.importable
        what = "return" if is_taken_in else forecast(record, known.get(record.external_id))
        counts[what] = counts.get(what, 0) + 1
        if what != "unchanged":
            context.preview(
                number=record.number,
                placed_at=record.placed_at.isoformat(),
                total=f"{record.total} {record.currency}".strip(),
                what=what,
                why=record.hold_reason or record.skip_reason,
            )
    for reject in page.rejects:
        context.preview(number=reject.external_id, what="rejected", why=reject.reason)
    context.run.count(**counts)


def forecast(record: OrderRecord, known: tuple[int, int] | None) -> str:
    if known is not None:
        if record.version <= known[1]:
            return "unchanged"
        return "cancel" if record.state is RemoteOrderState.CANCELLED else "update"
    if not record.importable or record.return_for:
        return "skipped"
    return "hold" if record.hold_reason else "import"
