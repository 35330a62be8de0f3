"""The book of a REST warehouse: the built-in warehouse's, worked on by a WMS that has no connector.

It differs in who decides: an order that the WMS has fetched is its own, so a cancellation asks, and a change comes too
late. (How the WMS fetches and answers: ``carts.book_leases``.)
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from django.db import transaction
from django.db.models import Max
from django.utils import timezone

from carts.book_leases import to_fetch
from carts.book_stock import lock_book
from carts.change_feed import database_trouble, read_changes
from carts.models import ApiToken, PickOrder, Warehouse
from carts.signals import wms_told
from carts.warehouse_book import WarehouseBook
from carts.wms_secrets import endpoint_of, valid_secrets
from connectors.errors import OutcomeUnknown, RemoteUnavailable
from connectors.records import (
    OrderAnswer,
    OrderAnswerRecord,
    OutboundOrder,
    OutboundOrderChange,
    OutboundRefund,
    OutboundStockAdjustment,
    OutboundStockTransfer,
    Page,
    WriteResult,
)
from connectors.rest.book import WmsOverview

Status = PickOrder.Status

ANSWERS_PER_PAGE = 500


class RestBook(WarehouseBook):
    """Implements ``connectors.rest.book.RestBook``."""

    def wms(self) -> WmsOverview:
        with database_trouble(RemoteUnavailable):
            warehouse = Warehouse.objects.get(pk=self.warehouse_pk)
            tokens = ApiToken.objects.filter(merchant_id=warehouse.merchant_id, is_active=True, read_only=False)
            oldest = to_fetch(self.warehouse_pk).exclude(lease_until__gt=timezone.now()).first()
            return WmsOverview(
                tokens=tokens.count(),
                last_fetched_at=self._pick_orders().aggregate(last=Max("fetched_at"))["last"],
                waiting_since=oldest.received_at if oldest else None,
            )

    def webhook_secrets(self) -> list[str]:
        with database_trouble(RemoteUnavailable):
            return valid_secrets(endpoint_of(self.warehouse_pk), timezone.now())

    # Orders

    def receive(self, orders: Sequence[OutboundOrder]) -> list[WriteResult]:
        """An order that the WMS refused is taken in anew, as it is now."""
        with database_trouble(OutcomeUnknown), transaction.atomic():
            warehouse = lock_book(self.warehouse_pk)
            references = [order.reference for order in orders]
            self._pick_orders().filter(reference__in=references, status=Status.REFUSED).delete()
            known = self._received(references)
            results = super().receive(orders)
            for order, result in zip(orders, results, strict=True):
                if result.ok and order.reference not in known:
                    self.tell(warehouse, "order.ready", result.remote_id, order.reference, order.number)
            return results

    def change(self, change: OutboundOrderChange) -> WriteResult:
        """Only as long as the WMS has not fetched the order. Raises ``OutcomeUnknown``."""
        reference = change.order.reference
        with database_trouble(OutcomeUnknown), transaction.atomic():
            warehouse = lock_book(self.warehouse_pk)
            pick_order = self._pick_orders().filter(reference=reference).first()
            if pick_order is not None and pick_order.is_with_wms(timezone.now()):
                told = f"The warehouse is working on order {pick_order}."
                return WriteResult.rejected(change.reference, told, "Tell the warehouse what is to be changed.")
            if pick_order is not None and pick_order.status == Status.REFUSED:
                return WriteResult.rejected(
                    change.reference, f"The warehouse refused order {pick_order}.", "Release it."
                )
            result = super().change(change)
            if result.ok:
                self.tell(warehouse, "order.changed", result.remote_id, reference, change.order.number)
            return result

    def announce_return(self, refund: OutboundRefund) -> WriteResult:
        with database_trouble(OutcomeUnknown), transaction.atomic():
            warehouse = lock_book(self.warehouse_pk)
            is_new = self.find_return(refund.reference) is None
            result = super().announce_return(refund)
            if result.ok and is_new:
                self.tell(warehouse, "return.announced", result.remote_id, refund.reference, refund.number)
            return result

    # Stock documents of the shops

    def adjust(self, adjustment: OutboundStockAdjustment) -> WriteResult:
        with database_trouble(OutcomeUnknown), transaction.atomic():
            warehouse = lock_book(self.warehouse_pk)
            is_new = self.find_document("adjustment", adjustment.reference) is None
            result = super().adjust(adjustment)
            if result.ok and is_new:
                self.tell(warehouse, "stock.adjusted", result.remote_id, adjustment.reference, adjustment.number)
            return result

    def move_transfer(self, transfer: OutboundStockTransfer) -> WriteResult:
        with database_trouble(OutcomeUnknown), transaction.atomic():
            warehouse = lock_book(self.warehouse_pk)
            is_new = self.find_document("transfer", transfer.reference) is None
            result = super().move_transfer(transfer)
            if result.ok and is_new:
                facts = (result.remote_id, transfer.transfer_reference, transfer.number)
                self.tell(warehouse, "stock.transferred", *facts, step=transfer.step.value)
            return result

    # Feeds

    def answers(self, cursor: str) -> Iterator[Page[OrderAnswerRecord]]:
        """What the WMS decided, as far as it still holds."""
        rows = self._pick_orders().exclude(answer="")
        for page, after in read_changes(rows, "answered_at", cursor, ANSWERS_PER_PAGE):
            yield Page(records=[answer_record(one) for one in page], cursor=after)

    # Inside

    def tell(self, warehouse: Warehouse, topic: str, pk: str, reference: str, number: str, **more: str) -> None:
        subject = {"id": int(pk), "reference": reference, "number": number, **more}
        wms_told.send(Warehouse, warehouse=warehouse, topic=topic, subject=subject)

    def _cancel(self, pick_order: PickOrder, reason: str) -> WriteResult:
        """What the WMS has fetched it must agree to cancel."""
        warehouse = Warehouse.objects.get(pk=self.warehouse_pk)
        facts = (str(pick_order.pk), pick_order.reference, pick_order.number)
        if pick_order.status != Status.OPEN or not pick_order.is_with_wms(timezone.now()):
            was_open = pick_order.status == Status.OPEN
            result = super()._cancel(pick_order, reason)
            if was_open:
                self.tell(warehouse, "order.cancelled", *facts)
            return result
        if pick_order.cancel_requested_at is None:
            pick_order.cancel_requested_at = timezone.now()
            pick_order.cancel_reason = reason[:300]
            pick_order.answer, pick_order.answer_reason, pick_order.answered_at = "", "", None
            pick_order.save(
                update_fields=[
                    "cancel_requested_at",
                    "cancel_reason",
                    "answer",
                    "answer_reason",
                    "answered_at",
                    "updated_at",
                ]
            )
            self.tell(warehouse, "order.cancellation_requested", *facts)
        return WriteResult.asked(pick_order.reference, str(pick_order.pk))

    def _received(self, references: Iterable[str]) -> dict[str, int]:
        """A refused order is not there any more."""
        found = super()._received(references)
        refused = set(
            self._pick_orders().filter(pk__in=found.values(), status=Status.REFUSED).values_list("pk", flat=True)
        )
        return {reference: pk for reference, pk in found.items() if pk not in refused}


def answer_record(pick_order: PickOrder) -> OrderAnswerRecord:
    assert pick_order.answered_at is not None
    return OrderAnswerRecord(
        order_reference=pick_order.reference,
        answer=OrderAnswer(pick_order.answer),
        answered_at=pick_order.answered_at,
        reason=pick_order.answer_reason,
    )
