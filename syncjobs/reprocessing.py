"""Trying a failed record again: how, per function."""

from __future__ import annotations

from collections.abc import Callable
from typing import cast

from django.db import transaction
from django.utils import timezone

from carts import order_flow, refund_flow, stock_flow
from carts.encryption import CredentialsUnreadable
from carts.models import Cart
from carts.remote import open_connector
from connectors.errors import ConnectorError
from connectors.functions import Function, Role
from connectors.ports import OrderReader
from connectors.records import OrderRecord
from syncjobs.call_log import CallBuffer
from syncjobs.consignment_hints import want
from syncjobs.failures import NotReprocessed
from syncjobs.flows.product_sync import push_again
from syncjobs.intake_orders import known_orders, store_new_orders
from syncjobs.intake_refunds import as_lookups, known_refunds, link_refunds, newer, refunds_among, take_in_refunds
from syncjobs.models import Delivery, FailedRecord, Run
from syncjobs.order_changes import take_in_change
from syncjobs.order_references import load_references
from syncjobs.schedule import request_run


def reprocess_order(record: FailedRecord, actor: str) -> None:
    take_in_again(record.connection_id, record.external_id)


def take_in_again(cart_id: int, external_id: str) -> None:
    """Reads an order from the cart again, as it is now, and takes it in. Raises ``NotReprocessed``."""
    cart = Cart.objects.select_related("warehouse", "location", "merchant").get(pk=cart_id)
    calls = CallBuffer(cart.pk)
    try:
        connector = open_connector(cart, calls)
        try:
            fresh = cast(OrderReader, connector).read_order(external_id)
        finally:
            connector.close()
    except (ConnectorError, CredentialsUnreadable) as error:
        raise NotReprocessed(str(error)) from error
    finally:
        calls.flush()
    is_taken_in = take_in_return(cart, fresh)
    known = known_orders(cart, [fresh])
    if fresh.external_id in known:
        take_in_change(cart, known[fresh.external_id][0], fresh, load_references(cart, [fresh]), cancels=True)
    elif fresh.importable:
        with transaction.atomic():
            store_new_orders(cart, cart.stock_location(), [fresh], load_references(cart, [fresh]))
            link_refunds(cart, [fresh.external_id])
    elif not is_taken_in:
        raise NotReprocessed(fresh.skip_reason or "The cart's own options leave this order out.")


def take_in_return(cart: Cart, fresh: OrderRecord) -> bool:
    """What a sale takes back becomes a refund, as in a run. True when it is stored."""
    returns = refunds_among([fresh]) if cart.function_is_on(Function.REFUND_DOWNLOAD) else []
    known = known_refunds(cart, returns)
    new = newer(returns, known)
    take_in_refunds(cart, new, known, load_references(cart, as_lookups(new)))
    return bool(new or known)


def reprocess_delivery(record: FailedRecord, actor: str) -> None:
    """Sends it again; the outbox settles any doubt first."""
    if record.delivery is None or record.order is None:
        raise NotReprocessed("The delivery does not exist any more.")
    if record.delivery.state == Delivery.State.DONE:
        return
    try:
        order_flow.resend(record.order.pk, actor)
    except order_flow.TransitionRefused as refusal:
        raise NotReprocessed(str(refusal)) from refusal


def confirm_again(record: FailedRecord, actor: str) -> None:
    """Tells the cart about the shipment once more."""
    if record.delivery is None:
        raise NotReprocessed("The delivery does not exist any more.")
    now = timezone.now()
    Delivery.objects.filter(pk=record.delivery.pk, state=Delivery.State.FAILED).update(
        state=Delivery.State.PENDING, run_at=now, attempts=0, first_failed_at=None, error="", error_kind="", fix=""
    )


def send_refund_again(record: FailedRecord, actor: str) -> None:
    """Sends the return again; the outbox settles any doubt first."""
    if record.delivery is None or record.delivery.refund is None:
        raise NotReprocessed("The delivery does not exist any more.")
    if record.delivery.state == Delivery.State.DONE:
        return
    try:
        refund_flow.resend(record.delivery.refund.pk, actor)
    except order_flow.TransitionRefused as refusal:
        raise NotReprocessed(str(refusal)) from refusal


def send_document_again(record: FailedRecord, actor: str) -> None:
    """Sends a stock document again; the outbox settles any doubt first. A document of the shop that could not be read is
    read again."""
    if record.delivery is None and record.connection.role == Role.CART:
        want(record.connection, [record.external_id], Function.STOCK_ADJUSTMENT_SYNC)
        return
    if record.delivery is None or record.delivery.stock_document is None:
        raise NotReprocessed("The delivery does not exist any more.")
    if record.delivery.state == Delivery.State.DONE:
        return
    try:
        stock_flow.resend(record.delivery.stock_document, actor)
    except order_flow.TransitionRefused as refusal:
        raise NotReprocessed(str(refusal)) from refusal


def run_again(record: FailedRecord, actor: str) -> None:
    """A full pass of the function meets the record again; if it still fails, it is filed anew."""
    function = Function(record.function)
    full = function is not Function.INVENTORY_SYNC
    request_run(record.connection, function, Run.Trigger.PERSON, full=full, requested_by=actor, run_at=timezone.now())


def level_again(record: FailedRecord, actor: str) -> None:
    """Lets the next Inventory Sync write this product once more."""
    from carts.models import OutletLevel

    OutletLevel.objects.filter(cart_id=record.connection_id, product__external_id=record.external_id).update(
        problem="", written=None
    )
    run_again(record, actor)


REPROCESS: dict[Function, Callable[[FailedRecord, str], None]] = {
    Function.ORDER_DOWNLOAD: reprocess_order,
    Function.ORDER_SENDING: reprocess_delivery,
    Function.ORDER_CANCELLATION_SENDING: reprocess_delivery,
    Function.SHIPMENT_CONFIRMATION: confirm_again,
    Function.REFUND_SENDING: send_refund_again,
    Function.STOCK_ADJUSTMENT_SYNC: send_document_again,
    Function.STOCK_TRANSFER_SYNC: send_document_again,
    Function.INVENTORY_SYNC: level_again,
    Function.INVENTORY_PICKUP: run_again,
    Function.ORDER_CANCEL_PICKUP: run_again,
    Function.SHIPMENT_PICKUP: run_again,
    Function.PRODUCT_PICKUP: run_again,
    Function.PRODUCT_DETAIL_SYNC: push_again,
    Function.CUSTOMER_SYNC: run_again,
}
