"""Writes stock levels to an outlet: as differences in batches, or exactly, one product at a time (vend.md section 3.9)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from decimal import Decimal

from connectors.errors import ConnectorError, OutcomeUnknown, RecordRefused
from connectors.records import LevelChange, WriteResult
from connectors.vend.client import VendClient, is_dead_path
from connectors.vend.shapes import text

LARGEST_BATCH = 1000
SINGLE_BATCH = 100
# A batch that Vend refuses is divided until the bad rows stand alone: about twenty calls for one bad row among 1,000.
MOST_CALLS_PER_WRITE = 100

REASON_MORE = "STOCK_FOUND"
REASON_LESS = "INTERNAL_USE"

FIX_REFUSED = "Open the product in Vend: it must exist and have inventory tracking on. Then run Inventory Sync again."


def reason_fields(is_more: bool) -> dict[str, str]:
    return {"reason": REASON_MORE if is_more else REASON_LESS}


def adjust_levels(
    client: VendClient,
    outlet_id: str,
    changes: Sequence[LevelChange],
    reasons: Callable[[bool], dict[str, str]] = reason_fields,
) -> list[WriteResult]:
    """Books every difference with ``POST stock_adjustments``, up to 1,000 rows per call.

    A batch that is refused (Vend is taken to book all rows or none) is divided, so that the good rows still go and the
    bad ones come back rejected with Vend's reason. When Vend takes no more calls, what was done by then is returned; the
    trouble is raised only if nothing was. ``OutcomeUnknown`` is always raised.
    """
    results: list[WriteResult] = []
    settled = [WriteResult.done(change.product_id) for change in changes if not change.difference]
    rows = [change for change in changes if change.difference]
    waiting = [rows[start : start + LARGEST_BATCH] for start in range(0, len(rows), LARGEST_BATCH)][::-1]
    calls = 0
    while waiting:
        batch = waiting.pop()
        calls += 1
        try:
            answered = client.adjust_stock([adjustment_row(change, outlet_id, reasons) for change in batch])
        except RecordRefused as error:
            if is_dead_path(error):
                return results_so_far(results, error)
            if len(batch) == 1 or calls + len(waiting) + 2 > MOST_CALLS_PER_WRITE:
                results += [refused(change, error, len(batch)) for change in batch]
            else:
                waiting += parts_of(batch, error)
        except ConnectorError as error:
            return results_so_far(results, error)
        else:
            ids = {text(row.product_id): text(row.id) for row in answered}
            results += [WriteResult.done(change.product_id, ids.get(change.product_id, "")) for change in batch]
    return [*settled, *results]


def parts_of(batch: list[LevelChange], error: RecordRefused) -> list[list[LevelChange]]:
    """A refused batch in two: the rows that Vend's answer names and the others; if it names none, its halves."""
    named = [change for change in batch if change.product_id in error.body]
    if named and len(named) < len(batch):
        return [named, [change for change in batch if change not in named]]
    middle = len(batch) // 2
    return [batch[middle:], batch[:middle]]


def adjustment_row(
    change: LevelChange, outlet_id: str, reasons: Callable[[bool], dict[str, str]] = reason_fields
) -> dict[str, str]:
    return {
        "product_id": change.product_id,
        "outlet_id": outlet_id,
        "quantity": plain_number(change.difference),
        **reasons(change.difference > 0),
    }


def set_levels(client: VendClient, outlet_id: str, changes: Sequence[LevelChange]) -> list[WriteResult]:
    """Sets every level with one ``PUT products/{id}``. Errors as in ``adjust_levels``."""
    results: list[WriteResult] = []
    for change in changes:
        try:
            client.set_level(change.product_id, outlet_id, plain_number(change.desired))
        except RecordRefused as error:
            results.append(refused(change, error))
        except ConnectorError as error:
            return results_so_far(results, error)
        else:
            results.append(WriteResult.done(change.product_id))
    return results


def results_so_far(results: list[WriteResult], error: ConnectorError) -> list[WriteResult]:
    """What was done before the trouble; raises the trouble when nothing was, or when it leaves an unknown outcome."""
    if results and not isinstance(error, OutcomeUnknown):
        return results
    raise error


def refused(change: LevelChange, error: RecordRefused, group: int = 1) -> WriteResult:
    """``group``: how many rows were refused together, so that any of them may be the reason."""
    what = f"the stock of {change.sku}" if group == 1 else f"a group of {group} products, {change.sku} among them"
    return WriteResult.rejected(change.product_id, f"Vend refuses {what}: {error.message}", FIX_REFUSED)


def plain_number(value: Decimal) -> str:
    """A decimal without exponent and without trailing zeros: "-3", "0.25"."""
    digits = format(value, "f")
    return digits.rstrip("0").rstrip(".") if "." in digits else digits
