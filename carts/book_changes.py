"""Orders in the built-in warehouse's book that the shop changed after they had come: picked as they are now."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from django.utils import timezone

from carts.book_checks import FIVE_PLACES, BookError
from carts.book_stock import ZERO, StockKey, needs_of, reserve
from carts.models import PickLine, PickOrder
from carts.models.catalogue import sku_key
from connectors.records import OutboundLine, OutboundOrder, OutboundOrderChange, WriteResult

Status = PickOrder.Status
LINE_COLUMNS = ("reference", "sku", "sku_key", "name", "quantity", "note")
ORDER_COLUMNS = ("number", "customer_name", "ship_to", "ship_method", "note")


def change(pick_order: PickOrder | None, wanted: OutboundOrderChange) -> WriteResult:
    """Called with the book locked. Raises ``BookError`` when it is too late."""
    if pick_order is None:
        raise BookError(f"The warehouse has no order with the reference {wanted.order.reference}.")
    if pick_order.status != Status.OPEN:
        state = {Status.CANCELLED: "cancelled", Status.PARTLY_SHIPPED: "partly shipped"}.get(
            Status(pick_order.status), "shipped"
        )
        raise BookError(
            f"Order {pick_order} was {state} and cannot be changed any more.",
            "Keep the order as it was sent, or agree with the customer on a second parcel or a return.",
        )
    before = list(pick_order.lines.select_related("pick_order"))
    after = [pick_line(pick_order, line) for line in wanted.order.lines]
    facts = order_values(wanted.order)
    if facts == {name: getattr(pick_order, name) for name in ORDER_COLUMNS} and all_of(before) == all_of(after):
        return WriteResult.done(wanted.reference, str(pick_order.pk))
    rewrite(before, after)
    for name, value in facts.items():
        setattr(pick_order, name, value)
    pick_order.changed_at, pick_order.changed_how = timezone.now(), wanted.summary
    pick_order.save(update_fields=[*facts, "changed_at", "changed_how", "updated_at"])
    return WriteResult.done(wanted.reference, str(pick_order.pk))


def rewrite(before: list[PickLine], after: list[PickLine]) -> None:
    """The new lines in place of the old ones, and the stock that they take with them."""
    needs: dict[StockKey, Any] = {key: -quantity for key, quantity in needs_of(before).items()}
    for key, quantity in needs_of(after).items():
        needs[key] = needs.get(key, ZERO) + quantity
    PickLine.objects.filter(pk__in=[line.pk for line in before]).delete()
    PickLine.objects.bulk_create(after)
    reserve(needs, -1)


def all_of(lines: Iterable[PickLine]) -> set[tuple[Any, ...]]:
    return {tuple(getattr(line, name) for name in LINE_COLUMNS) for line in lines}


def order_values(order: OutboundOrder) -> dict[str, Any]:
    """What the book keeps of an order beside its lines."""
    return {
        "number": order.number,
        "customer_name": order.customer_name,
        "ship_to": order.ship_to.as_dict(),
        "ship_method": order.ship_method,
        "note": order.note,
    }


def pick_line(pick_order: PickOrder, line: OutboundLine) -> PickLine:
    return PickLine(
        pick_order=pick_order,
        reference=line.reference,
        sku=line.sku,
        sku_key=sku_key(line.sku),
        name=line.name,
        quantity=line.quantity.quantize(FIVE_PLACES),
        note=line.note,
    )
