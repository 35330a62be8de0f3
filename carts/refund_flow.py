"""The life of a refund: the one place where its status changes, with checks and history.

``new -> at_warehouse -> received``, with ``held``, ``error``, ``not_sent`` and ``cancelled`` beside. Every function opens
its own transaction, locks the refund, and writes who did what and why into the history of the order that was returned.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from django.db import transaction
from django.utils import timezone

from carts.alerting import clear_alert, raise_alert
from carts.line_skus import set_sku
from carts.models import Alert, Cart, OrderEvent, Product, Refund, RefundLine
from carts.order_flow import HUB, TransitionRefused
from carts.signals import refund_ready, refund_withdrawn
from connectors.records import ProductKind

Status = Refund.Status

UNSENT = (Status.NEW, Status.HELD, Status.ERROR, Status.NOT_SENT)
NO_ORDER = (
    "The order was never downloaded, so the warehouse may not know these goods. Release it to send it all the same."
)
NAMES_NO_ORDER = "The return names no order. Release it to send it all the same."
NO_GOODS = "There is nothing to send: it holds no goods."


def locked(refund_id: int) -> Refund:
    """The refund as it is now, locked until the transaction ends."""
    return (
        Refund.objects.select_for_update(of=("self",))
        .select_related("merchant", "cart", "warehouse", "order")
        .get(pk=refund_id)
    )


def note(refund: Refund, kind: str, message: str, actor: str = HUB) -> None:
    """Adds a line to the history of the order, where there is one."""
    if refund.order_id is not None:
        OrderEvent.objects.create(order_id=refund.order_id, kind=kind, message=message, actor=actor)


def start(refund: Refund, lines: Iterable[RefundLine]) -> None:
    """Decides where a refund goes that was just filled (again): to the warehouse, or to a person. Called with it locked
    or just made, inside a transaction."""
    goods = [line for line in lines if line.ships]
    problem = problem_of(refund, goods)
    if not goods:
        not_sent(refund, NO_GOODS)
    elif problem:
        change(refund, Status.HELD, problem=problem)
        note(refund, "refund_held", f"Return {refund} is held: {problem}")
    else:
        go_out(refund)


def go_out(refund: Refund) -> None:
    change(refund, Status.NEW, problem="")
    refund_ready.send(Refund, refund=refund)


def release(refund_id: int, actor: str = HUB) -> Refund:
    """Lets a refund go to the warehouse that waited for a person. Raises ``TransitionRefused``."""
    with transaction.atomic():
        refund = locked(refund_id)
        if refund.status not in (Status.HELD, Status.ERROR, Status.NOT_SENT):
            raise TransitionRefused(
                f"Return {refund} is {refund.get_status_display().lower()}; there is nothing to release."
            )
        fill_in(refund)
        goods = [line for line in fill_missing_skus(refund) if line.ships]
        problem = problem_of(refund, goods) if goods else NO_GOODS
        if problem:
            raise TransitionRefused(f"Return {refund} cannot be sent. {problem}")
        go_out(refund)
        if refund.status == Status.NOT_SENT:
            raise TransitionRefused(f"Return {refund} cannot be sent. {refund.problem}")
        note(refund, "refund_released", f"Return {refund} was released: it goes to the warehouse next.", actor)
    tell_of_held(refund.cart)
    return refund


def resend(refund_id: int, actor: str = HUB) -> Refund:
    """Sends a refund (again). One that the warehouse may already have is looked up there first, never doubled."""
    with transaction.atomic():
        refund = locked(refund_id)
        if refund.status in (Status.HELD, Status.ERROR, Status.NOT_SENT):
            return release(refund_id, actor)
        if refund.status not in (Status.NEW, Status.AT_WAREHOUSE):
            raise TransitionRefused(f"Return {refund} is {refund.get_status_display().lower()}; it is not sent again.")
        refund_ready.send(Refund, refund=refund)
        if refund.status == Status.NOT_SENT:
            raise TransitionRefused(f"Return {refund} cannot be sent. {refund.problem}")
        note(
            refund,
            "refund_resend",
            f"Sending return {refund} was asked for again; the warehouse is asked first whether it has it.",
            actor,
        )
        return refund


def cancel(refund_id: int, reason: str, actor: str = HUB) -> Refund:
    """Cancels a refund here. One that the warehouse has must be stopped there by hand. Raises ``TransitionRefused``."""
    with transaction.atomic():
        refund = locked(refund_id)
        if refund.status == Status.CANCELLED:
            return refund
        if refund.status == Status.RECEIVED:
            raise TransitionRefused(f"The goods of return {refund} were received already; it cannot be cancelled.")
        left = not withdrawn(refund)
        change(refund, Status.CANCELLED, problem="", cancelled_at=timezone.now())
        words = f"Return {refund} is cancelled"
        words += " here only; the warehouse was not told" if left else ""
        note(refund, "refund_cancelled", f"{words}: {reason}" if reason else f"{words}.", actor)
    tell_of_held(refund.cart)
    return refund


def voided(refund: Refund, where: str) -> None:
    """The cart took the return itself back. Called with the refund locked."""
    if refund.status == Status.CANCELLED:
        return
    reason = f"voided in {where}"
    if refund.status == Status.RECEIVED:
        note(refund, "refund_voided", f"Return {refund} was {reason}, but its goods had been received.")
        tell(
            refund,
            "refund_voided",
            f"Return {refund} was {reason} after its goods had been received.",
            "Correct the stock at the warehouse by hand if the goods went back to the customer.",
        )
        return
    left = not withdrawn(refund)
    cancel(refund.pk, reason)
    if left:
        tell(
            refund,
            "refund_voided",
            f"Return {refund} was {reason} after it had been sent to {refund.warehouse}.",
            "Tell the warehouse that these goods do not come.",
        )


def sent(refund: Refund, at: datetime) -> None:
    """The warehouse has it. Called with the refund locked."""
    refund.at_warehouse_at = refund.at_warehouse_at or at
    if refund.status in UNSENT:
        change(refund, Status.AT_WAREHOUSE, problem="", at_warehouse_at=refund.at_warehouse_at)
        note(refund, "refund_sent", f"Return {refund} is known at {refund.warehouse}.")
        return
    refund.save(update_fields=["at_warehouse_at", "updated_at"])


def failed(refund: Refund, problem: str) -> None:
    """It could not be delivered and will not be tried again by itself. Called with the refund locked."""
    if refund.status in UNSENT:
        change(refund, Status.ERROR, problem=problem)
        note(refund, "refund_error", f"Return {refund}: {problem}")


def not_sent(refund: Refund, why: str) -> None:
    """The settings keep it here. Called with the refund locked."""
    change(refund, Status.NOT_SENT, problem=why)
    note(refund, "refund_not_sent", f"Return {refund} was not sent to the warehouse: {why}")


def received(refund_id: int, actor: str = HUB) -> Refund:
    """The warehouse has the goods."""
    with transaction.atomic():
        refund = locked(refund_id)
        if refund.status in (*UNSENT, Status.AT_WAREHOUSE):
            change(refund, Status.RECEIVED, problem="", received_at=timezone.now())
            note(refund, "refund_received", f"The goods of return {refund} were received at {refund.warehouse}.", actor)
        return refund


def problem_of(refund: Refund, goods: Iterable[RefundLine]) -> str:
    """What keeps the refund from being sent, in words; "" if nothing does."""
    if refund.order_id is None and refund.released_at is None:
        return NO_ORDER if refund.return_for else NAMES_NO_ORDER
    for line in goods:
        if not line.sku:
            return f"Line {line.name or line.external_id} has no SKU. Give the product one in the cart."
    return ""


def fill_in(refund: Refund) -> None:
    """What a person's release adds: consent to go without the order, and the cart's warehouse where there was none."""
    if refund.order_id is None:
        refund.released_at = timezone.now()
    if refund.warehouse is None:
        refund.warehouse, refund.location = refund.cart.warehouse, refund.cart.stock_location()
    refund.save(update_fields=["released_at", "warehouse", "location", "updated_at"])


def fill_missing_skus(refund: Refund) -> list[RefundLine]:
    """Looks up what was missing among the cart's products. Returns all lines."""
    lines = list(refund.lines.all())
    missing = [line for line in lines if line.ships and not line.sku and line.product_id_at_cart]
    if missing:
        ids = [line.product_id_at_cart for line in missing]
        rows = Product.objects.filter(connection_id=refund.cart_id, external_id__in=ids)
        products = {product.external_id: product for product in rows}
        for line in missing:
            product = products.get(line.product_id_at_cart)
            if product is not None and product.sku:
                set_sku(line, product.sku, product.stock_sku)
                line.name = line.name or product.name
                line.ships = product.kind != ProductKind.GIFT_CARD
                line.save(update_fields=["sku", "warehouse_sku", "sku_key", "name", "ships"])
    return lines


def change(refund: Refund, status: str, **values: object) -> None:
    refund.status = status
    for name, value in values.items():
        setattr(refund, name, value)
    refund.save(update_fields=["status", "updated_at", *values])


def withdrawn(refund: Refund) -> bool:
    """Takes the refund's delivery back; False when the warehouse has it or may have it."""
    return all(answer is not False for _, answer in refund_withdrawn.send(Refund, refund=refund))


def tell(refund: Refund, kind: str, message: str, fix: str) -> None:
    raise_alert(
        refund.merchant,
        kind,
        f"{refund.pk}",
        message,
        fix=fix,
        link=f"/admin/carts/refund/{refund.pk}/change/",
        connection=refund.cart,
        severity=Alert.Severity.WARNING,
    )


def tell_of_held(cart: Cart, new: int = 0) -> None:
    """One alert per cart while returns without an order wait for a person; it closes itself. ``new`` of them came just
    now."""
    waiting = Refund.objects.filter(cart_id=cart.pk, order__isnull=True, status=Status.HELD).count()
    if not waiting:
        clear_alert(cart.merchant_id, "refund_without_order", f"{cart.pk}")
    elif new:
        which = "1 return belongs" if waiting == 1 else f"{waiting} returns belong"
        raise_alert(
            cart.merchant,
            "refund_without_order",
            f"{cart.pk}",
            f"{which} to no order that was downloaded from {cart}.",
            fix="Release what the warehouse shall receive, and cancel the others.",
            link=f"/admin/carts/refund/?status=held&cart={cart.pk}",
            connection=cart,
            severity=Alert.Severity.WARNING,
            times=new,
        )
