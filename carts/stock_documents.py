"""Stock adjustments and steps of stock transfers: made from differences, started, withdrawn. Called with their
consignment locked."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from datetime import datetime
from decimal import Decimal

from django.utils import timezone

from carts.models import (
    Consignment,
    ConsignmentLine,
    Location,
    StockAdjustment,
    StockAdjustmentLine,
    StockDocument,
    StockTransfer,
    StockTransferLine,
    StockTransferStep,
)
from carts.signals import stock_document_ready, stock_document_withdrawn
from carts.stock_effects import Quantities

Status = StockDocument.Status
AnyDocument = StockAdjustment | StockTransferStep

BEFORE_IT = "The step before it must be booked first."


def reference_of(consignment: Consignment) -> str:
    """What all documents of a consignment begin with: its number, made unique for ever by a short mark of store and
    remote id."""
    whole = f"{consignment.merchant_id}/{consignment.connector}/{consignment.store}/{consignment.external_id}"
    mark = hashlib.blake2b(whole.encode(), digest_size=5).hexdigest()
    return f"{consignment.number[:100]}-{mark}"


def happened_at(consignment: Consignment) -> datetime:
    return consignment.received_at or consignment.changed_at or timezone.now()


def make_adjustments(
    consignment: Consignment,
    location: Location,
    effect: str,
    quantities: Quantities,
    lines: Iterable[ConsignmentLine],
    source: str,
    *,
    one_per_item: bool,
) -> list[StockAdjustment]:
    """Documents that carry these differences: one for each item, or one for all of them. None for no difference."""
    groups = [{product_id: quantity} for product_id, quantity in quantities.items()] if one_per_item else [quantities]
    first = consignment.adjustments.count() + 1
    articles = Articles(consignment, lines)
    made = []
    for number, group in enumerate((group for group in groups if group), start=first):
        adjustment = StockAdjustment.objects.create(
            merchant_id=consignment.merchant_id,
            consignment=consignment,
            warehouse_id=location.warehouse_id,
            location=location,
            effect=effect,
            reference=f"{reference_of(consignment)}-{number}",
            source=source,
            status=Status.WAITING,
            happened_at=happened_at(consignment),
        )
        StockAdjustmentLine.objects.bulk_create(
            StockAdjustmentLine(adjustment=adjustment, **articles.line(product_id, quantity))
            for product_id, quantity in group.items()
        )
        made.append(adjustment)
    return made


def make_step(
    transfer: StockTransfer, step: str, quantities: Quantities, lines: Iterable[ConsignmentLine], source: str
) -> StockTransferStep | None:
    """A step that carries these differences; None for no difference."""
    if not quantities:
        return None
    assert transfer.warehouse_id is not None, "a transfer has no steps before both places are known"
    number = transfer.steps.filter(step=step).count() + 1
    made = StockTransferStep.objects.create(
        merchant_id=transfer.merchant_id,
        transfer=transfer,
        warehouse_id=transfer.warehouse_id,
        step=step,
        reference=f"{transfer.reference}-{step}" + (f"-{number}" if number > 1 else ""),
        source=source,
        status=Status.WAITING,
        happened_at=happened_at(transfer.consignment),
    )
    articles = Articles(transfer.consignment, lines)
    StockTransferLine.objects.bulk_create(
        StockTransferLine(step=made, **articles.line(product_id, quantity))
        for product_id, quantity in quantities.items()
    )
    return made


class Articles:
    """What the articles of a consignment are called: by its lines, or, for one that is gone from it, by the documents
    that carried it."""

    def __init__(self, consignment: Consignment, lines: Iterable[ConsignmentLine]) -> None:
        self.consignment = consignment
        self.lines: Mapping[str, ConsignmentLine] = {line.product_id_at_cart: line for line in lines}

    def line(self, product_id: str, quantity: Decimal) -> dict[str, object]:
        found = self.lines.get(product_id) or self.carried(product_id)
        return {
            "product_id_at_cart": product_id,
            "sku": found.sku_at_warehouse if isinstance(found, ConsignmentLine) else found.sku,
            "sku_key": found.sku_key,
            "name": found.name,
            "cost": found.cost,
            "quantity": quantity,
        }

    def carried(self, product_id: str) -> StockAdjustmentLine | StockTransferLine:
        adjusted = StockAdjustmentLine.objects.filter(
            adjustment__consignment=self.consignment, product_id_at_cart=product_id
        ).last()
        if adjusted is not None:
            return adjusted
        return StockTransferLine.objects.filter(
            step__transfer__consignment=self.consignment, product_id_at_cart=product_id
        ).latest("pk")


def start(document: AnyDocument, problem: str) -> None:
    """Lets a document go out, or writes into it why it waits. One that went out before is left alone."""
    if document.status not in (Status.WAITING, Status.NEW):
        return
    if problem:
        if document.status == Status.NEW and not withdrawn(document):
            return
        change(document, Status.WAITING, problem)
    elif document.status == Status.WAITING:
        change(document, Status.NEW, "")
        stock_document_ready.send(type(document), document=document)


def change(document: AnyDocument, status: str, problem: str) -> None:
    if (document.status, document.problem) == (status, problem):
        return
    document.status, document.problem = status, problem
    document.save(update_fields=["status", "problem", "updated_at"])


def withdrawn(document: AnyDocument) -> bool:
    """Takes the document's delivery back; False when the warehouse has it or may have it."""
    return all(answer is not False for _, answer in stock_document_withdrawn.send(type(document), document=document))


def documents_of(consignment: Consignment, statuses: Iterable[str]) -> list[AnyDocument]:
    """The documents of a consignment in these states with their lines, oldest first: adjustments, then steps."""
    statuses = list(statuses)
    adjustments = consignment.adjustments.filter(status__in=statuses).select_related("location", "warehouse")
    steps = StockTransferStep.objects.filter(transfer__consignment=consignment, status__in=statuses)
    places = ("transfer__from_location", "transfer__to_location", "warehouse")
    return [
        *adjustments.prefetch_related("lines").order_by("pk"),
        *steps.select_related(*places).prefetch_related("lines").order_by("pk"),
    ]


def start_steps(transfer: StockTransfer, problem: str) -> None:
    """Steps go out one after the other: each once the one before is booked (or was given up by a person)."""
    before_it = ""
    for step in transfer.steps.order_by("pk"):
        start(step, problem or before_it)
        if step.status not in (Status.BOOKED, Status.CANCELLED, Status.WITHDRAWN):
            before_it = BEFORE_IT
