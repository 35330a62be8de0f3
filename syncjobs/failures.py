"""Failed records: kept whole, with reason and fix, until reprocessed or ignored. They never stop a page or a queue."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from django.db import transaction
from django.db.models import F, QuerySet
from django.utils import timezone

from carts.alerting import clear_alert, raise_alert
from carts.models import Connection, Order
from carts.order_edits import can_be_changed, change_unsent
from carts.order_flow import TransitionRefused
from connectors.functions import Function
from connectors.records import Reject
from connectors.redaction import mask_text
from syncjobs.models import Delivery, FailedRecord

logger = logging.getLogger(__name__)

LONGEST_PAYLOAD = 1_000_000
MOST_AT_ONCE = 1000


@dataclass(frozen=True)
class Failure:
    external_id: str
    cause: str
    reason: str
    fix: str = ""
    payload: str = ""
    order: Order | None = None
    delivery: Delivery | None = None


class NotReprocessed(Exception):
    """The record still fails; the text says why."""


def record_failures(connection: Connection, function: Function, failures: Iterable[Failure]) -> int:
    """Files each failure once: a record that fails again is counted, not doubled."""
    now = timezone.now()
    number = 0
    for failure in failures:
        number += 1
        facts = {
            "cause": failure.cause,
            "reason": failure.reason,
            "fix": failure.fix,
            "payload": mask_text(failure.payload[:LONGEST_PAYLOAD]),
            "last_seen_at": now,
        }
        known = FailedRecord.objects.filter(
            connection=connection,
            function=function,
            external_id=failure.external_id[:200],
            status=FailedRecord.Status.OPEN,
        )
        if known.update(count=F("count") + 1, **facts):
            continue
        FailedRecord.objects.create(
            connection=connection,
            function=function,
            external_id=failure.external_id[:200],
            order=failure.order,
            delivery=failure.delivery,
            **facts,
        )
    if number:
        raise_alert(
            connection.merchant,
            "failed_records",
            f"{connection.pk}:{function}",
            f"{connection}: records of {function.label} could not be processed.",
            fix="Open the failed records, read the reasons, mend the cause and reprocess them.",
            link=f"/admin/syncjobs/failedrecord/?connection={connection.pk}&status__exact=open",
            connection=connection,
            times=number,
        )
    return number


def failures_of_rejects(rejects: Iterable[Reject]) -> list[Failure]:
    return [
        Failure(
            external_id=reject.external_id,
            cause="unreadable",
            reason=reject.reason,
            fix="Correct the record in the remote system, then reprocess it.",
            payload=reject.payload.decode("utf-8", "replace"),
        )
        for reject in rejects
    ]


def settle(record_ids: Iterable[int], status: str, actor: str, note: str = "") -> int:
    settled = FailedRecord.objects.filter(pk__in=list(record_ids), status=FailedRecord.Status.OPEN)
    touched = list(settled.values_list("connection_id", "connection__merchant_id", "function").distinct())
    count = settled.update(status=status, settled_at=timezone.now(), settled_by=actor, note=note[:300])
    close_alerts_without_failures(touched)
    return count


def settle_external(connection: Connection, function: Function, external_ids: Iterable[str]) -> int:
    """Records that went through after all close their failures by themselves."""
    still_open = FailedRecord.objects.filter(connection=connection, function=function, status=FailedRecord.Status.OPEN)
    if not still_open.exists():
        return 0
    ids = list(still_open.filter(external_id__in=list(external_ids)).values_list("pk", flat=True))
    return settle(ids, FailedRecord.Status.REPROCESSED, "hub") if ids else 0


def close_alerts_without_failures(touched: Iterable[tuple[int, int, str]]) -> None:
    for connection_id, merchant_id, function in touched:
        still_open = FailedRecord.objects.filter(
            connection_id=connection_id, function=function, status=FailedRecord.Status.OPEN
        ).exists()
        if not still_open:
            clear_alert(merchant_id, "failed_records", f"{connection_id}:{function}")


def correctable(record: FailedRecord) -> bool:
    """Is what failed an order that was not sent, so that it is ours to correct?"""
    return (
        record.status == FailedRecord.Status.OPEN
        and record.function == Function.ORDER_SENDING
        and record.order is not None
        and can_be_changed(record.order)
    )


def correct(record: FailedRecord, actor: str, changes: Mapping[str, Any]) -> None:
    """Changes the order of a failed record, as ``carts.order_edits.change_unsent`` takes it; the record stays open until
    it is reprocessed. Raises ``NotReprocessed``, and ``EditInvalid`` with what is wrong per field."""
    if record.order is None or not correctable(record):
        raise NotReprocessed("Only an order that was refused and not sent since then can be corrected here.")
    try:
        change_unsent(record.order.pk, actor, **changes)
    except TransitionRefused as refusal:
        raise NotReprocessed(str(refusal)) from refusal


def ignore(record: FailedRecord, reason: str, actor: str) -> None:
    """Leaves a record alone for good, with a reason."""
    settle([record.pk], FailedRecord.Status.IGNORED, actor, reason)


def reprocess(record: FailedRecord, actor: str) -> None:
    """Tries a failed record again, now. Raises ``NotReprocessed`` when it still fails."""
    if record.status != FailedRecord.Status.OPEN:
        raise NotReprocessed("This record was settled before.")
    from syncjobs.reprocessing import REPROCESS

    handler = REPROCESS.get(Function(record.function))
    if handler is None:
        raise NotReprocessed("Records of this function are taken in again by its next run.")
    try:
        handler(record, actor)
    except NotReprocessed:
        raise
    except Exception as error:
        logger.exception("failed record %s met a fault of the hub", record.pk)
        raise NotReprocessed(
            f"A fault in the hub itself: {type(error).__name__}. Report this with the web server's log."
        ) from error
    with transaction.atomic():
        settle([record.pk], FailedRecord.Status.REPROCESSED, actor)


@dataclass(frozen=True)
class Reprocessed:
    """What became of many: how many went through, why the others did not, and how many were not tried yet."""

    done: int
    refused: list[str]
    left: int


def reprocess_all(records: QuerySet[FailedRecord], actor: str) -> Reprocessed:
    """Tries up to ``MOST_AT_ONCE`` of these records again, those first that failed longest ago. What still fails counts
    as seen once more, so that the next call begins with the others."""
    done, refused = 0, []
    total = records.count()
    for record in list(records.order_by("last_seen_at", "pk")[:MOST_AT_ONCE]):
        try:
            reprocess(record, actor)
            done += 1
        except NotReprocessed as error:
            refused.append(f"{record.external_id or 'The record'}: {error}")
            still_open = FailedRecord.objects.filter(pk=record.pk, status=FailedRecord.Status.OPEN)
            still_open.update(last_seen_at=timezone.now(), count=F("count") + 1)
    return Reprocessed(done, refused, max(total - MOST_AT_ONCE, 0))
