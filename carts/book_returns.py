"""Returns in the built-in warehouse's book: announced by the hub, received by a person, put back on the shelf or not."""

from __future__ import annotations

from collections.abc import Collection

from django.utils import timezone

from carts.book_checks import FIVE_PLACES, BookError
from carts.book_ledger import Cause, Why
from carts.book_stock import lock_book, move, total
from carts.models import Location, PickReturn, PickReturnLine, Warehouse
from carts.models.catalogue import sku_key
from carts.signals import book_changed, return_closed
from connectors.records import OutboundRefund

Status = PickReturn.Status


def announce(warehouse_pk: int, refund: OutboundRefund, place: Location) -> PickReturn:
    """Writes a new return into the book. Called with the book locked."""
    pick_return = PickReturn.objects.create(
        warehouse_id=warehouse_pk,
        location=place,
        reference=refund.reference,
        number=refund.number,
        order_number=refund.order_number,
        cart_name=refund.cart_name,
        customer_name=refund.customer_name,
        reason=refund.reason,
        restock=refund.restock,
        placed_at=refund.placed_at,
    )
    PickReturnLine.objects.bulk_create(
        PickReturnLine(
            pick_return=pick_return,
            reference=line.reference,
            sku=line.sku,
            sku_key=sku_key(line.sku),
            name=line.name,
            quantity=line.quantity.quantize(FIVE_PLACES),
        )
        for line in refund.lines
    )
    return pick_return


def receive(warehouse_pk: int, pk: int, restock: Collection[str] | None, actor: str) -> PickReturn:
    """Marks a return as received; the lines named (None: all) go back on the shelf. Called inside a transaction. Raises
    ``BookError``."""
    warehouse, pick_return = open_return(warehouse_pk, pk)
    lines = list(pick_return.lines.all())
    unknown = set(restock or ()) - {line.reference for line in lines}
    if unknown:
        raise BookError(f"Return {pick_return} has no line {min(unknown)}.")
    for line in lines:
        line.restocked = restock is None or line.reference in restock
    PickReturnLine.objects.bulk_update(lines, ["restocked"])
    back = total((pick_return.location_id, line.sku_key, line.quantity) for line in lines if line.restocked)
    move(back, Why(cause=Cause.RETURN, document=pick_return.number, actor=actor))
    close(pick_return, Status.RECEIVED, actor)
    if back:
        book_changed.send(Warehouse, warehouse=warehouse, what="stock")
    return_closed.send(Warehouse, warehouse=warehouse, reference=pick_return.reference, came=True, actor=actor)
    return pick_return


def give_up(warehouse_pk: int, pk: int, actor: str) -> PickReturn:
    """The goods do not come. Called inside a transaction. Raises ``BookError``."""
    warehouse, pick_return = open_return(warehouse_pk, pk)
    close(pick_return, Status.CANCELLED, actor)
    return_closed.send(Warehouse, warehouse=warehouse, reference=pick_return.reference, came=False, actor=actor)
    return pick_return


def open_return(warehouse_pk: int, pk: int) -> tuple[Warehouse, PickReturn]:
    """Locks the book. Raises ``BookError`` for a return that is not there or was dealt with before."""
    warehouse = lock_book(warehouse_pk)
    pick_return = PickReturn.objects.filter(warehouse_id=warehouse_pk, pk=pk).first()
    if pick_return is None:
        raise BookError("This return is not in this warehouse.")
    if pick_return.status != Status.OPEN:
        raise BookError(f"Return {pick_return} was dealt with before: {pick_return.get_status_display().lower()}.")
    return warehouse, pick_return


def close(pick_return: PickReturn, status: str, actor: str) -> None:
    pick_return.status, pick_return.closed_at, pick_return.closed_by = status, timezone.now(), actor[:150]
    pick_return.save(update_fields=["status", "closed_at", "closed_by"])
