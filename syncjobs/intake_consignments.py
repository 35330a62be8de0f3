"""Intake of stock documents: what a cart reads of its store becomes consignments, and these become documents (law 2).

In two halves. ``ConsignmentIntake.prepare`` asks the remote for what is missing and makes the rows, outside any
transaction; ``store`` locks the rows, in one order for everybody, and takes in what is newer than what they hold.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from decimal import Decimal
from typing import TypeVar

from django.db.models import QuerySet

from carts import stock_flow
from carts.models import Consignment, ConsignmentLine, Product
from carts.models.catalogue import sku_key
from carts.stock_effects import STEP, has_moved
from carts.stock_stores import Store
from connectors.errors import RecordRefused
from connectors.records import ConsignmentKind, ConsignmentLineRecord, ConsignmentRecord, ConsignmentState, Reject

History = Consignment.History
ROWS_AT_ONCE = 500

T = TypeVar("T")


class ConsignmentIntake:
    """Takes in what one look found. ``complete`` reads one document with its lines; ``refresh_products`` brings the
    cart's catalogue up to date; ``source`` is the road on which the look came (``StockDocument.Source``)."""

    def __init__(
        self,
        store: Store,
        source: str,
        complete: Callable[[str], ConsignmentRecord],
        refresh_products: Callable[[], None],
    ) -> None:
        self.stock_store = store
        self.source = source
        self.complete = complete
        self.refresh_products = refresh_products
        self.rejects: list[Reject] = []

    # Before the transaction

    def prepare(self, records: Iterable[ConsignmentRecord]) -> list[ConsignmentRecord]:
        """The records that concern a cart of the store, complete and newest of each, with a row for each."""
        concerned = [record for record in newest_of_each(records) if self.stock_store.since(record) is not None]
        rows = self.rows_of(concerned)
        found = []
        for record in concerned:
            known = rows.get(record.external_id)
            if known is not None and record.version <= known.version:
                continue
            if not record.has_lines and self.needs_lines(record, known):
                completed = self.completed(record)
                if completed is None:
                    continue
                record = completed
            found.append(record)
        self.make_rows(found)
        self.look_up_products(found)
        return found

    def completed(self, record: ConsignmentRecord) -> ConsignmentRecord | None:
        """The document with its lines; None, and a reject, when the remote does not give them."""
        try:
            return self.complete(record.external_id)
        except RecordRefused as error:
            if error.status == 404:
                return replace(record, state=ConsignmentState.CANCELLED)
            self.rejects.append(Reject(external_id=record.external_id, reason=error.message, payload=record.payload))
            return None

    def taken_rejects(self) -> list[Reject]:
        """What ``prepare`` could not complete since this was asked last."""
        rejects, self.rejects = self.rejects, []
        return rejects

    def rows_of(self, records: Sequence[ConsignmentRecord]) -> dict[str, Consignment]:
        if not records:
            return {}
        return {row.external_id: row for row in self.consignments().filter(external_id__in=ids_of(records))}

    def consignments(self) -> QuerySet[Consignment]:
        store = self.stock_store
        return Consignment.objects.filter(merchant_id=store.merchant_id, connector=store.connector, store=store.key)

    def needs_lines(self, record: ConsignmentRecord, known: Consignment | None) -> bool:
        if not has_moved(record.kind, record.state):
            return False
        return self.history_of(record, known) != History.ALL

    def history_of(self, record: ConsignmentRecord, known: Consignment | None) -> str:
        """What of a document happened before anybody asked for it. Decided when it is seen first."""
        if known is not None and (known.version or known.released_at is not None):
            return known.history
        since = self.stock_store.since(record)
        moved_at = record.received_at or record.updated_at
        if not has_moved(record.kind, record.state) or since is None or moved_at is None or moved_at >= since:
            return History.NOTHING
        is_halfway = record.kind is ConsignmentKind.TRANSFER and record.received_at is None
        return History.SENT if is_halfway and record.state is ConsignmentState.SENT else History.ALL

    def make_rows(self, records: Iterable[ConsignmentRecord]) -> None:
        """Bare rows for what is new, so that the transaction finds everything there to lock. They hold nothing yet: if
        the transaction fails, the next look fills them."""
        store = self.stock_store
        Consignment.objects.bulk_create(
            [
                Consignment(
                    merchant_id=store.merchant_id,
                    connector=store.connector,
                    store=store.key,
                    external_id=record.external_id,
                    kind=record.kind.value,
                    number=record.number[:120],
                    changed_at=record.updated_at,
                )
                for record in sorted(records, key=lambda record: record.external_id)
            ],
            ignore_conflicts=True,
        )

    def look_up_products(self, records: Iterable[ConsignmentRecord]) -> None:
        """A product that nobody knows may be new in the shop: then the catalogue is read on."""
        ids = {line.product_id for record in records for line in record.lines}
        owners = [cart.pk for cart in self.stock_store.carts]
        known: set[str] = set()
        for part in parts_of(sorted(ids), ROWS_AT_ONCE):
            rows = Product.objects.filter(connection_id__in=owners, external_id__in=part)
            known.update(rows.values_list("external_id", flat=True))
        if ids - known:
            self.refresh_products()

    # Inside the transaction

    def store(self, records: Sequence[ConsignmentRecord]) -> dict[str, int]:
        """Called inside a transaction with what ``prepare`` gave. Returns counts."""
        counts: dict[str, int] = {}
        by_id = {record.external_id: record for record in records}
        rows = self.consignments().filter(external_id__in=list(by_id)).select_for_update(of=("self",))
        for row in rows.select_related("merchant").order_by("pk") if by_id else ():
            for name, number in self.take_in(row, by_id[row.external_id]).items():
                counts[name] = counts.get(name, 0) + number
        return counts

    def take_in(self, row: Consignment, record: ConsignmentRecord) -> dict[str, int]:
        """One locked row and what was read of it. Older and equal versions change nothing."""
        if record.version <= row.version:
            return {"unchanged": 1}
        row.history = self.history_of(record, row)
        if not record.has_lines and has_moved(record.kind, record.state) and row.history != History.ALL:
            return {"skipped": 1}  # another look has brought the rest of it meanwhile, or will
        fill(row, record)
        row.save()
        if record.has_lines:
            write_lines(row, record.lines)
        made = stock_flow.reconcile(row, self.stock_store, self.source)
        return {"consignments": 1, "documents": made}

    def take_in_gone(self, external_id: str) -> None:
        """The store does not know a document any more. Called inside a transaction."""
        row = self.consignments().filter(external_id=external_id).select_for_update(of=("self",)).first()
        if row is not None and row.state != Consignment.State.CANCELLED:
            row.state, row.remote_status = Consignment.State.CANCELLED, "DELETED"
            row.save(update_fields=["state", "remote_status", "updated_at"])
            stock_flow.reconcile(row, self.stock_store, self.source)


def newest_of_each(records: Iterable[ConsignmentRecord]) -> list[ConsignmentRecord]:
    newest: dict[str, ConsignmentRecord] = {}
    for record in records:
        known = newest.get(record.external_id)
        if known is None or record.version >= known.version:
            newest[record.external_id] = record
    return list(newest.values())


def ids_of(records: Iterable[ConsignmentRecord]) -> list[str]:
    return [record.external_id for record in records]


def fill(row: Consignment, record: ConsignmentRecord) -> None:
    """Copies a record's values into its row (not its status, which is the hub's)."""
    row.kind = record.kind.value
    row.state = record.state.value
    row.remote_status = record.remote_status[:60]
    row.number = record.number[:120]
    row.name = record.name[:300]
    row.version = record.version
    row.outlet_id_at_cart = record.outlet_id
    row.source_outlet_id_at_cart = record.source_outlet_id
    row.opened_at = record.created_at
    row.received_at = record.received_at
    row.changed_at = record.updated_at or row.changed_at


def write_lines(row: Consignment, records: Iterable[ConsignmentLineRecord]) -> None:
    """The lines as they are now. A product that stands on two lines is one line here: what it did adds up."""
    lines: dict[str, ConsignmentLine] = {}
    for position, record in enumerate(records, start=1):
        line = ConsignmentLine(
            consignment=row,
            position=position,
            product_id_at_cart=record.product_id,
            sku=record.sku[:200],
            sku_key=sku_key(record.sku)[:200],
            name=record.name[:500],
            count=exact(record.count),
            received=exact(record.received),
            cost=record.cost,
            problem_at_cart=record.problem[:200],
        )
        twin = lines.setdefault(record.product_id, line)
        if twin is not line and not line.problem_at_cart:
            twin.count = added(twin.count, line.count)
            twin.received = added(twin.received, line.received)
    ConsignmentLine.objects.bulk_create(
        lines.values(),
        update_conflicts=True,
        unique_fields=["consignment", "product_id_at_cart"],
        update_fields=["position", "sku", "sku_key", "name", "count", "received", "cost", "problem_at_cart"],
    )
    row.lines.exclude(product_id_at_cart__in=list(lines)).delete()


def exact(quantity: Decimal | None) -> Decimal | None:
    return None if quantity is None else quantity.quantize(STEP)


def added(one: Decimal | None, other: Decimal | None) -> Decimal | None:
    return other if one is None else one if other is None else one + other


def parts_of(items: Sequence[T], size: int) -> Iterable[Sequence[T]]:
    return (items[start : start + size] for start in range(0, len(items), size))
