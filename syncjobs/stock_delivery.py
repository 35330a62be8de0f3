"""Stock adjustments and steps of transfers on their way to the warehouse: their deliveries, and what is sent."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any, cast

from django.utils import timezone

from carts import stock_flow
from carts.models import Cart, Consignment, Location, StockAdjustment, StockTransferStep
from carts.stock_documents import AnyDocument
from carts.stock_stores import function_of
from connectors.base import Connector
from connectors.errors import RecordRefused
from connectors.functions import Function
from connectors.ports import StockAdjustmentWriter, StockTransferWriter
from connectors.records import (
    ConsignmentKind,
    OutboundStockAdjustment,
    OutboundStockLine,
    OutboundStockTransfer,
    TransferStep,
    WriteResult,
)
from syncjobs.consignment_hints import want
from syncjobs.models import Delivery
from syncjobs.outbox import Kind, revive, withdraw

NOTHING_EXPECTED: Mapping[str, Decimal | None] = {}


def document_is_ready(sender: type, document: AnyDocument, **kwargs: object) -> None:
    """Makes a document's delivery, or revives it."""
    now = timezone.now()
    delivery, created = Delivery.objects.get_or_create(
        connection_id=document.warehouse_id,
        kind=kind_of(document),
        reference=document.reference,
        defaults={**subject_of(document), "run_at": now},
    )
    if not created:
        revive(delivery, now)


def document_is_withdrawn(sender: type, document: AnyDocument, **kwargs: object) -> bool:
    """Takes a document's delivery back. False when it is on its way, or may have arrived already."""
    return withdraw(Delivery.objects.filter(kind=kind_of(document), **subject_of(document)))


def consignment_is_wanted(sender: type, consignment: Consignment, cart: Cart, **kwargs: object) -> None:
    """Has a consignment read again from the shop."""
    functions = (function_of(consignment.kind), Function.STOCK_ADJUSTMENT_SYNC, Function.STOCK_TRANSFER_SYNC)
    function = next((one for one in functions if cart.function_is_on(one)), functions[0])
    want(cart, [consignment.external_id], function)


def kind_of(document: AnyDocument) -> Kind:
    return Kind.ADJUSTMENT if isinstance(document, StockAdjustment) else Kind.TRANSFER


def subject_of(document: AnyDocument) -> dict[str, Any]:
    if isinstance(document, StockAdjustment):
        return {"adjustment": document}
    return {"transfer_step": document}


# --- sending ---------------------------------------------------------------------------------------------------------


def send_adjustment(connector: Connector, delivery: Delivery) -> WriteResult:
    """One adjustment; a doubt about an earlier try is settled first."""
    writer = cast(StockAdjustmentWriter, connector)
    if delivery.in_doubt:
        remote_id = writer.find_adjustment(delivery.reference)
        if remote_id:
            return WriteResult.done(delivery.reference, remote_id)
    try:
        return writer.send_adjustment(outbound_adjustment(cast(StockAdjustment, delivery.adjustment)))
    except RecordRefused as error:
        return WriteResult.rejected(delivery.reference, error.message, error.fix)


def send_transfer(connector: Connector, delivery: Delivery) -> WriteResult:
    """One step of a transfer; a doubt about an earlier try is settled first."""
    writer = cast(StockTransferWriter, connector)
    transfer = outbound_transfer(cast(StockTransferStep, delivery.transfer_step))
    if delivery.in_doubt:
        remote_id = writer.find_transfer(transfer)
        if remote_id:
            return WriteResult.done(delivery.reference, remote_id)
    try:
        return writer.send_transfer(transfer)
    except RecordRefused as error:
        return WriteResult.rejected(delivery.reference, error.message, error.fix)


def outbound_adjustment(adjustment: StockAdjustment) -> OutboundStockAdjustment:
    consignment = adjustment.consignment
    return OutboundStockAdjustment(
        reference=adjustment.reference,
        number=consignment.number,
        location_id=location_id(adjustment.location),
        kind=ConsignmentKind(consignment.kind),
        happened_at=adjustment.happened_at,
        cart_name=cart_name(consignment),
        note=consignment.name if consignment.name != consignment.number else "",
        lines=outbound_lines(adjustment, expected_by(adjustment)),
    )


def outbound_transfer(step: StockTransferStep) -> OutboundStockTransfer:
    transfer = step.transfer
    consignment = transfer.consignment
    return OutboundStockTransfer(
        reference=step.reference,
        transfer_reference=transfer.reference,
        number=consignment.number,
        step=TransferStep(step.step),
        from_location_id=location_id(transfer.from_location),
        to_location_id=location_id(transfer.to_location),
        happened_at=step.happened_at,
        remote_id=transfer.remote_id,
        cart_name=cart_name(consignment),
        note=consignment.name if consignment.name != consignment.number else "",
        lines=outbound_lines(step),
    )


def outbound_lines(
    document: AnyDocument, expected: Mapping[str, Decimal | None] = NOTHING_EXPECTED
) -> tuple[OutboundStockLine, ...]:
    return tuple(
        OutboundStockLine(
            reference=line.product_id_at_cart,
            sku=line.sku,
            name=line.name,
            quantity=line.quantity,
            cost=line.cost,
            expected=expected.get(line.product_id_at_cart),
        )
        for line in document.lines.all()
    )


def expected_by(adjustment: StockAdjustment) -> Mapping[str, Decimal | None]:
    """Product id -> what the shop's books said of it before the count."""
    consignment = adjustment.consignment
    if consignment.kind != Consignment.Kind.COUNT:
        return NOTHING_EXPECTED
    return dict(consignment.lines.values_list("product_id_at_cart", "count"))


def location_id(location: Location | None) -> str:
    assert location is not None, "no document is made before its places are known"
    return location.external_id or f"loc-{location.pk}"


def cart_name(consignment: Consignment) -> str:
    cart = consignment.source_cart or consignment.cart
    return cart.name if cart is not None else ""


# --- what became of it -----------------------------------------------------------------------------------------------


def lock_first(deliveries: Iterable[Delivery]) -> None:
    """The consignments' rows before the deliveries': in the order in which everybody locks them."""
    for delivery in deliveries:
        if delivery.stock_document is not None:
            stock_flow.consignment_of(delivery.stock_document)


def arrived(delivery: Delivery, result: WriteResult, now: datetime) -> None:
    if delivery.stock_document is not None:
        stock_flow.booked(delivery.stock_document, result.remote_id, result.reason, now)
