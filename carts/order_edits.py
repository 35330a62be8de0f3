"""Changes by hand to an order that the warehouse does not have yet: address, ship method, note, SKUs of its lines. The
history says who changed what, from what to what."""

from __future__ import annotations

from collections.abc import Mapping

from django.db import transaction
from django.utils.text import Truncator

from carts import order_flow
from carts.line_skus import set_sku
from carts.models import Order
from carts.order_flow import NOT_SENT, TransitionRefused
from connectors.records import Address

NEEDED = {
    "street1": "Enter the street.",
    "city": "Enter the city.",
    "country": "Enter the country.",
}


class EditInvalid(Exception):
    """What is wrong, per field: ``{"ship_to": {"city": ["Enter the city."]}}``."""

    def __init__(self, errors: dict[str, dict[str, list[str]]]) -> None:
        super().__init__("; ".join(text for fields in errors.values() for texts in fields.values() for text in texts))
        self.errors = errors


def can_be_changed(order: Order) -> bool:
    return order.status in NOT_SENT


def change_unsent(
    order_id: int,
    actor: str,
    *,
    ship_to: Mapping[str, str] | None = None,
    ship_method: str | None = None,
    note: str | None = None,
    skus: Mapping[int, str] | None = None,
) -> None:
    """Parts of the address that are not given stay as they are; ``skus`` are new SKUs by line id. An order that waits to
    be sent is taken out of the queue first, so that it cannot leave with half of the change. Raises
    ``TransitionRefused`` and ``EditInvalid``."""
    with transaction.atomic():
        order = order_flow.locked(order_id)
        if not can_be_changed(order):
            raise TransitionRefused(
                f"Order {order} is {order.get_status_display().lower()}; only an unsent order can be changed."
            )
        waits = order.status == Order.Status.NEW
        if waits:
            order_flow.withdraw(order)
        if ship_to is not None:
            change_address(order, ship_to, actor)
        if ship_method is not None:
            change_text(order, "ship_method", ship_method.strip(), "Ship method", actor)
        if note is not None:
            change_text(order, "note", note, "Note", actor)
        if skus:
            change_skus(order, skus, actor)
        if waits:
            order_flow.order_ready.send(Order, order=order)


def change_address(order: Order, given: Mapping[str, str], actor: str) -> None:
    address = {**order.ship_to, **given}
    missing = {name: [text] for name, text in NEEDED.items() if not str(address.get(name) or "").strip()}
    if missing:
        raise EditInvalid({"ship_to": missing})
    changed = Address.from_dict(address).as_dict()
    words = [
        f"{name} from {quoted(order.ship_to.get(name))} to {quoted(value)}"
        for name, value in changed.items()
        if value != (order.ship_to.get(name) or "")
    ]
    if words:
        order.ship_to = changed
        order.save(update_fields=["ship_to", "updated_at"])
        set_by_hand(order, "ship_to")
        order_flow.note(order, "changed", f"Ship-to address changed: {'; '.join(words)}.", actor)


def change_text(order: Order, name: str, value: str, label: str, actor: str) -> None:
    before = getattr(order, name)
    if value == before:
        return
    setattr(order, name, value)
    order.save(update_fields=[name, "updated_at"])
    set_by_hand(order, name)
    order_flow.note(order, "changed", f"{label} changed from {quoted(before)} to {quoted(value)}.", actor)


def quoted(value: object) -> str:
    """A value in the history: in quotation marks, cut where it is long; nothing is said to be nothing."""
    text = str(value or "").strip()
    return f"“{Truncator(text).chars(80)}”" if text else "nothing"


def change_skus(order: Order, skus: Mapping[int, str], actor: str) -> None:
    lines = {line.pk: line for line in order.lines.all()}
    strangers = {str(pk): ["This order has no such line."] for pk in skus if pk not in lines}
    empty = {str(pk): ["Enter the SKU that the warehouse knows."] for pk, sku in skus.items() if not sku.strip()}
    if strangers or empty:
        raise EditInvalid({"lines": {**strangers, **empty}})
    for pk, given in skus.items():
        line, sku = lines[pk], given.strip()
        if sku == line.sku:
            continue
        before = line.sku or "no SKU"
        set_sku(line, sku)
        line.save(update_fields=["sku", "warehouse_sku", "sku_key"])
        order_flow.note(order, "changed", f"{line.name or 'Item'}: SKU changed from {before} to {sku}.", actor)
        set_by_hand(order, "skus")


def set_by_hand(order: Order, what: str) -> None:
    """Later versions from the cart leave it alone."""
    order.by_hand = sorted({*order.by_hand, what})
    order.save(update_fields=["by_hand", "updated_at"])
