"""Vend's stock documents: stock orders, returns to suppliers, counts and transfers (vend.md section 3.10).

A list of documents has no lines: they cost a call for each document, so only those that moved stock are asked for theirs.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from datetime import datetime
from decimal import Decimal

from connectors.errors import RateLimited, RecordRefused
from connectors.records import (
    ConsignmentKind,
    ConsignmentLineRecord,
    ConsignmentRecord,
    ConsignmentState,
    Page,
    Reject,
)
from connectors.vend import shapes
from connectors.vend.client import VendClient, version_of
from connectors.vend.errors import Unreadable
from connectors.vend.mapping import amount, parse_time
from connectors.vend.shapes import text

KINDS = {
    "SUPPLIER": ConsignmentKind.PURCHASE,
    "RETURN": ConsignmentKind.SUPPLIER_RETURN,
    "STOCKTAKE": ConsignmentKind.COUNT,
    "OUTLET": ConsignmentKind.TRANSFER,
}
# DISPATCHED_SUCCESS and COMPLETED are seen in clients and on screens, not in the documents; the list is open-ended.
STATES = {
    "OPEN": ConsignmentState.OPEN,
    "SENT": ConsignmentState.SENT,
    "DISPATCHED": ConsignmentState.SENT,
    "DISPATCHED_SUCCESS": ConsignmentState.SENT,
    "RECEIVED": ConsignmentState.RECEIVED,
    "STOCKTAKE": ConsignmentState.OPEN,
    "STOCKTAKE_SCHEDULED": ConsignmentState.OPEN,
    "STOCKTAKE_IN_PROGRESS": ConsignmentState.OPEN,
    "STOCKTAKE_IN_PROGRESS_PROCESSED": ConsignmentState.OPEN,
    "STOCKTAKE_COMPLETE": ConsignmentState.COUNTED,
    "COMPLETED": ConsignmentState.COUNTED,
    "CANCELLED": ConsignmentState.CANCELLED,
}
# The states in which a document of a kind has moved stock: only then are its lines of interest.
MOVED = {
    ConsignmentKind.PURCHASE: (ConsignmentState.RECEIVED,),
    ConsignmentKind.SUPPLIER_RETURN: (ConsignmentState.SENT, ConsignmentState.RECEIVED),
    ConsignmentKind.COUNT: (ConsignmentState.COUNTED,),
    ConsignmentKind.TRANSFER: (ConsignmentState.SENT, ConsignmentState.RECEIVED),
}
NOT_COUNTED = "The line was left out of the count in Vend."
FAILED_IN_VEND = "Vend could not book this line ({status})."

CONSIGNMENTS = shapes.Reader(shapes.Consignment)
LINES = shapes.Reader(shapes.ConsignmentLine)


def read(client: VendClient, cursor: str, since: datetime | None) -> Iterator[Page[ConsignmentRecord]]:
    """Documents of all outlets in the order of their changes. When the rate limit interrupts the look-ups of lines, what
    is complete is yielded first, so that the next run goes on from there."""
    for page in client.consignments(cursor):
        records: list[ConsignmentRecord] = []
        rejects: list[Reject] = []
        done_until = ""
        for raw in page.records:
            try:
                records.append(with_lines(client, record_of(raw), since))
            except Unreadable as error:
                rejects.append(Reject(external_id=id_of(raw), reason=str(error), payload=raw))
            except RateLimited:
                if done_until:
                    yield Page(records=records, cursor=done_until, rejects=rejects)
                raise
            version = version_of(raw)
            done_until = str(version) if version > int(done_until or 0) else done_until
        yield Page(records=records, cursor=page.cursor, rejects=rejects)


def read_one(client: VendClient, consignment_id: str) -> ConsignmentRecord:
    """One document as it is now. Raises ``RecordRefused``."""
    try:
        return with_lines(client, record_of(client.consignment(consignment_id)), None)
    except Unreadable as error:
        raise RecordRefused(str(error)) from error


def with_lines(client: VendClient, record: ConsignmentRecord, since: datetime | None) -> ConsignmentRecord:
    """The document with its lines, if it moved stock since then. The lines are read after the document, so they are never
    older than what it says; the version of the newest of all counts. Raises ``Unreadable``."""
    if record.state not in MOVED[record.kind] or is_history(record, since):
        return record
    try:
        lines, version = client.consignment_lines(record.external_id, product_count(record.payload))
    except RecordRefused as error:
        if error.status != 404:
            raise
        # Deleted since the list was read.
        return replace(record, state=ConsignmentState.CANCELLED)
    return replace(record, lines=lines_of(lines), has_lines=True, version=max(version, record.version))


def is_history(record: ConsignmentRecord, since: datetime | None) -> bool:
    return since is not None and record.updated_at is not None and record.updated_at < since


# --- one document ----------------------------------------------------------------------------------------------------


def record_of(raw: bytes) -> ConsignmentRecord:
    """Without lines. Raises ``Unreadable``."""
    found = CONSIGNMENTS.read(raw)
    external_id, outlet_id = text(found.id), text(found.outlet_id)
    kind = KINDS.get(text(found.type).upper())
    if not external_id:
        raise Unreadable("The stock document has no id.")
    if kind is None:
        raise Unreadable(f"“{text(found.type)}” is no kind of stock document that the hub knows.")
    if not outlet_id:
        raise Unreadable("The stock document names no outlet.")
    reference, name = text(found.reference).strip(), text(found.name).strip()
    return ConsignmentRecord(
        external_id=external_id,
        kind=kind,
        state=state_of(found),
        outlet_id=outlet_id,
        source_outlet_id=text(found.source_outlet_id),
        version=found.version or 0,
        number=reference or name or external_id[:8],
        name=name,
        remote_status=text(found.status),
        created_at=parse_time(found.consignment_date) or parse_time(found.created_at),
        received_at=parse_time(found.received_at),
        updated_at=parse_time(found.updated_at),
        has_lines=False,
        payload=raw,
    )


def state_of(found: shapes.Consignment) -> ConsignmentState:
    """A count that was closed had its effect only if it was completed before, which its totals tell."""
    if found.deleted_at:
        return ConsignmentState.CANCELLED
    status = text(found.status).upper()
    if status == "CLOSED":
        counted = found.total_count_gain is not None or found.total_count_loss is not None
        return ConsignmentState.COUNTED if counted else ConsignmentState.CANCELLED
    return STATES.get(status, ConsignmentState.UNKNOWN)


def product_count(raw: bytes) -> int:
    return CONSIGNMENTS.read(raw).product_count or 0


def id_of(raw: bytes) -> str:
    try:
        return text(CONSIGNMENTS.read(raw).id)
    except Unreadable:
        return ""


# --- lines -----------------------------------------------------------------------------------------------------------


def lines_of(raw_lines: Iterable[bytes]) -> tuple[ConsignmentLineRecord, ...]:
    """Raises ``Unreadable``: a document of which one line cannot be read is looked at by a person as a whole."""
    found = [LINES.read(raw) for raw in raw_lines]
    return tuple(line_record(line) for line in found if not line.deleted_at)


def line_record(line: shapes.ConsignmentLine) -> ConsignmentLineRecord:
    product_id = text(line.product_id)
    if not product_id:
        raise Unreadable("A line of the stock document names no product.")
    return ConsignmentLineRecord(
        product_id=product_id,
        sku=text(line.product_sku),
        count=quantity(line.count),
        received=quantity(line.received),
        cost=quantity(line.cost),
        problem=problem_of(line),
    )


def quantity(value: Decimal | None) -> Decimal | None:
    return None if value is None else amount(value)


def problem_of(line: shapes.ConsignmentLine) -> str:
    """``is_included`` may be absent, which means that the line counts."""
    status = text(line.status)
    if status.upper().endswith("_FAIL"):
        return FAILED_IN_VEND.format(status=status)
    left_out = line.is_included is not None and not shapes.flag(line.is_included)
    return NOT_COUNTED if left_out else ""
