"""Order Sending and Order Cancellation Sending (sections B.3.1 and B.3.3)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from connectors.errors import ConnectorError, ContractBroken, OutcomeUnknown, RecordRefused
from connectors.integration_manager.client import CartRoverClient
from connectors.integration_manager.references import MARK, cust_ref_of
from connectors.integration_manager.shapes import BatchRow, Order, Unreadable, flag, rows, table, text
from connectors.records import OutboundCancellation, WriteResult

ORDERS_PER_BATCH = 25
CANCELLED = "canceled"
NEW = "new"

DUPLICATE_WORDS = ("duplicate", "already exist")
ORDER_FIX = (
    "Correct what Integration Manager complains about (in the cart, or in Integration Manager's own set-up), then resend "
    "the order."
)
CANCEL_FIX = "Stop the order at the warehouse by hand, or tell the customer that it was shipped."


def send(client: CartRoverClient, bodies: Mapping[str, dict[str, Any]]) -> list[WriteResult]:
    """Sends orders; ``bodies`` are by reference. An order whose fate the answer does not tell has no result."""
    if len(bodies) == 1:
        [(reference, body)] = bodies.items()
        return [send_one(client, reference, body)]
    return send_many(client, bodies) if bodies else []


def send_one(client: CartRoverClient, reference: str, body: dict[str, Any]) -> WriteResult:
    try:
        cust_ref = client.create(body)
    except RecordRefused as error:
        if is_duplicate(error.message):
            return settle_duplicate(client, reference)
        return WriteResult.rejected(reference, error.message, ORDER_FIX)
    return WriteResult.done(reference, cust_ref or cust_ref_of(reference))


def send_many(client: CartRoverClient, bodies: Mapping[str, dict[str, Any]]) -> list[WriteResult]:
    answer = client.create_many(list(bodies.values()))
    references = list(bodies)
    by_cust_ref = {cust_ref_of(reference): reference for reference in references}
    try:
        good, bad = rows(answer.success, BatchRow), rows(answer.failed, BatchRow)
    except Unreadable as error:
        raise OutcomeUnknown(f"The answer to a batch cannot be read: {error}") from error
    results: list[WriteResult] = []
    for row in good:
        cust_ref = text(row.cust_ref)
        reference = by_cust_ref.get(cust_ref)
        if reference is not None:
            results.append(WriteResult.done(reference, cust_ref))
    for row in bad:
        reference = by_cust_ref.get(text(row.cust_ref)) or at_position(references, text(row.index_pos))
        if reference is None:
            continue
        reason = text(row.message) or "no reason given"
        if not is_duplicate(reason):
            results.append(WriteResult.rejected(reference, f"Integration Manager refused it: {reason}", ORDER_FIX))
            continue
        try:
            results.append(settle_duplicate(client, reference))
        except ConnectorError:
            continue  # no result: it is looked for again before anything is sent
    return results


def at_position(references: Sequence[str], position: str) -> str | None:
    return references[int(position)] if position.isdigit() and int(position) < len(references) else None


def is_duplicate(reason: str) -> bool:
    return any(word in reason.casefold() for word in DUPLICATE_WORDS)


def settle_duplicate(client: CartRoverClient, reference: str) -> WriteResult:
    """Integration Manager has an order with this ``cust_ref``: ours, sent before, unless it says otherwise."""
    cust_ref = cust_ref_of(reference)
    try:
        known = client.order(cust_ref)
    except RecordRefused:
        return WriteResult.done(reference, cust_ref)
    if is_anothers(known, reference):
        return WriteResult.rejected(
            reference,
            f"Integration Manager has another order with the number {cust_ref}.",
            "Look for the order in Integration Manager. If it is not this one, cancel this one and enter it anew in the cart.",
        )
    return WriteResult.done(reference, text(known.cust_ref) or cust_ref)


def find_sent(client: CartRoverClient, reference: str) -> str | None:
    """The order's ``cust_ref`` if it arrived. A refusal means that there is no such order; should it ever mean something
    else, a second sending is refused as a duplicate and settled then, so nothing is ever sent twice."""
    cust_ref = cust_ref_of(reference)
    try:
        known = client.order(cust_ref)
    except RecordRefused:
        return None
    if is_anothers(known, reference):
        return None
    return text(known.cust_ref) or cust_ref


def is_anothers(order: Order, reference: str) -> bool:
    """Does the order carry the mark of another reference? One without a mark is taken for ours: extra fields may get
    lost on the way, and the ``cust_ref`` fits."""
    mark = mark_of(order)
    return bool(mark) and mark != reference


def mark_of(order: Order) -> str:
    """The hub's reference that travelled with the order; "" when there is none."""
    fields = table(order.extra_fields)
    return text(fields[MARK]) if MARK in fields else ""


def cancel(client: CartRoverClient, cancellation: OutboundCancellation) -> WriteResult:
    """Asks the WMS; an order that has not reached it yet is cancelled at Integration Manager itself. Cancelled already
    is done."""
    reference = cancellation.reference
    cust_ref = cancellation.remote_id or cust_ref_of(reference)
    reason = cancel_at_wms(client, cust_ref)
    if not reason:
        return WriteResult.done(reference, cust_ref)
    try:
        status = text(client.status(cust_ref).order_status).lower()
    except (RecordRefused, ContractBroken):
        status = ""
    if status == CANCELLED:
        return WriteResult.done(reference, cust_ref)
    if status == NEW:
        try:
            client.cancel_unsent(cust_ref)
            return WriteResult.done(reference, cust_ref)
        except RecordRefused as error:
            reason = f"{reason} {error.message}"
    where = f" The order is “{status}” there." if status else ""
    return WriteResult.rejected(reference, f"{reason}{where}", CANCEL_FIX)


def cancel_at_wms(client: CartRoverClient, cust_ref: str) -> str:
    """Why the WMS did not cancel, "" if it did. A refusal stands inside an answer that is itself a success."""
    try:
        answer = client.cancel(cust_ref)
    except RecordRefused as error:
        return error.message
    if flag(answer.success):
        return ""
    return text(answer.message) or "Integration Manager did not cancel it and gave no reason."
