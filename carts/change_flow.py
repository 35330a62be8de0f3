"""The life of a change of an order that had left: the one place where its status changes, with checks and history.

``waiting -> sending -> done``, with ``held``, ``kept``, ``superseded`` and ``cancelled`` beside. Until a change is done
the order stays as it was sent. Of one order at most one change is on its way, and at most one waits behind it or for a
person: a newer version overtakes what waits. So changes can neither overtake each other nor the order itself, whatever
becomes of an answer on its way.
"""

from __future__ import annotations

from datetime import datetime

from django.db import transaction
from django.utils import timezone

from carts import order_content
from carts.alerting import clear_alert, raise_alert
from carts.models import Alert, Order, OrderChange, Product
from carts.order_content import OrderContent, content_of, differences
from carts.order_history import HUB, TransitionRefused, locked, note
from carts.signals import cancellation_wanted, change_ready, change_withdrawn
from connectors.records import Address, ProductKind

Status = OrderChange.Status

OPEN = (Status.WAITING, Status.SENDING, Status.HELD)
ALERT = "changed_after_sending"
SHIPPED_ALREADY = "The order was shipped before."
FIX = "Open the order: send the change again, keep the order as it was sent, or cancel it."
FIX_SHIPPED = "Open the order and keep it as it was sent, or agree with the customer on a parcel or a return."


def take_in(order: Order, version: int, content: OrderContent) -> str:
    """A newer version of an order that the warehouse has, or may have. Called with the order locked. Returns "differs"
    when there is something to tell the warehouse or a person, else "unchanged" or "updated"."""
    last = last_word(order)
    known = OrderContent.from_json(last.content) if last else content_of(order)
    news = differences(known, content)
    if not news:
        if last is None and content != known:
            order_content.write(order, content)  # what nobody sees, such as the cart's ids of lines
        return "unchanged"
    note(order, "changed_after_sending", f"Changed in the cart after it was sent: {'; '.join(news)}.")
    overtake(order)
    if order.status in (Order.Status.SHIPPED, Order.Status.CONFIRMED):
        return take_in_after_shipping(order, version, content)
    is_on_its_way = order.changes.filter(status=Status.SENDING).exists()
    if not is_on_its_way and not differences(content_of(order), content):
        note(order, "change_undone", "It is in the cart again what the warehouse has.")
        return "updated"
    change = new_change(order, version, content)
    if not is_on_its_way and order.is_sent and not order.cancel_requested_at:
        start(change)
    return "differs"


def take_in_after_shipping(order: Order, version: int, content: OrderContent) -> str:
    """Nothing can be changed at the warehouse any more. A person hears of other goods and of another address; the rest
    is simply true now."""
    before = content_of(order)
    goods_differ = order_content.quantities(before.lines) != order_content.quantities(content.lines)
    if goods_differ or order_content.addresses(before.ship_to, content.ship_to) or content.hold_reason:
        hold(new_change(order, version, content), SHIPPED_ALREADY)
        return "differs"
    order_content.write(order, content)
    return "updated"


def last_word(order: Order) -> OrderChange | None:
    """The change that says what the cart said last; None when the order itself does."""
    last = order.changes.first()
    return last if last is not None and last.status in (*OPEN, Status.KEPT) else None


def new_change(order: Order, version: int, content: OrderContent) -> OrderChange:
    before = content_of(order)
    return OrderChange.objects.create(
        order=order,
        version=version,
        reference=f"{order.reference}/{version}",
        content=content.as_json(),
        differences=differences(before, content),
        added=order_content.needs_more(before, content),
    )


def overtake(order: Order) -> None:
    """A newer version makes everything superfluous that is not on its way."""
    for change in order.changes.filter(status__in=OPEN):
        if change.status != Status.SENDING or withdrawn(change):
            settle(change, Status.SUPERSEDED)
    clear_alert(order.merchant_id, ALERT, f"{order.pk}")


def start(change: OrderChange) -> None:
    """Lets a change go to the warehouse, or to a person when it cannot go. Called with the order locked."""
    problem = problem_of(change)
    if problem:
        hold(change, problem)
        return
    change.status, change.problem = Status.SENDING, ""
    change.save(update_fields=["status", "problem"])
    change_ready.send(OrderChange, change=change)


def problem_of(change: OrderChange) -> str:
    """What keeps a change from being sent, in words; "" if nothing does."""
    content = OrderContent.from_json(change.content)
    if change.order.status in (Order.Status.SHIPPED, Order.Status.CONFIRMED):
        return SHIPPED_ALREADY
    if content.hold_reason:
        return content.hold_reason
    if not content.goods:
        return "Nothing is left to ship. Cancel the order if the warehouse shall not ship it."
    for line in content.goods:
        if not line.sku:
            return f"Line {line.name or line.external_id} has no SKU. Give the product one in the cart."
    if not Address.from_dict(content.ship_to).is_usable:
        return "The ship-to address is not complete: street, city and country are needed."
    return ""


def hold(change: OrderChange, why: str) -> None:
    """It waits for a person, who is told. Called with the order locked."""
    change.status, change.problem = Status.HELD, why
    change.save(update_fields=["status", "problem"])
    note(change.order, "change_held", f"The change was not passed on: {why}")
    tell(change)


def tell(change: OrderChange) -> None:
    order = change.order
    is_shipped = order.status in (Order.Status.SHIPPED, Order.Status.CONFIRMED)
    raise_alert(
        order.merchant,
        ALERT,
        f"{order.pk}",
        f"Order {order} was changed in {order.cart} after it had been sent to {order.warehouse}: {change.summary}. "
        f"{change.problem}",
        fix=FIX_SHIPPED if is_shipped else FIX,
        link=f"/admin/carts/order/{order.pk}/change/",
        connection=order.cart,
        severity=Alert.Severity.WARNING,
    )


# What became of it ---------------------------------------------------------------------------------------------------


def done(change_id: int, at: datetime) -> None:
    """The warehouse has it: the order becomes what it says. Called inside the outbox's transaction."""
    change = locked_change(change_id)
    if change.status in (Status.SENDING, Status.HELD):
        order = change.order
        order_content.write(order, OrderContent.from_json(change.content))
        settle(change, Status.DONE, at=at)
        clear_alert(order.merchant_id, ALERT, f"{order.pk}")
        note(order, "change_sent", f"{order.warehouse} changed the order: {change.summary or 'nothing else'}.")
        finish_if_all_is_shipped(order, at)
    go_on(change.order)


def refused(change_id: int, why: str) -> None:
    """The warehouse does not take it, or could not be told. Called inside the outbox's transaction."""
    change = locked_change(change_id)
    order = change.order
    if change.status == Status.SENDING and order.changes.filter(status__in=(Status.WAITING, Status.HELD)).exists():
        settle(change, Status.SUPERSEDED)
        note(order, "change_refused", f"{order.warehouse} did not take the change: {why}")
    elif change.status == Status.SENDING:
        hold(change, f"{order.warehouse} did not take the change: {why}")
    go_on(order)


def go_on(order: Order) -> None:
    """Something of the order is settled: what waited for it goes on. Called with the order locked."""
    if order.changes.filter(status=Status.SENDING).exists():
        return
    if order.cancel_requested_at:
        if order.is_sent:
            cancellation_wanted.send(Order, order=order, reason=order.cancel_reason)
        return
    waiting = order.changes.filter(status__in=(Status.WAITING, Status.HELD)).first()
    if waiting is None or not order.is_sent:
        return
    waiting.order = order
    before, content = content_of(order), OrderContent.from_json(waiting.content)
    waiting.differences = differences(before, content)
    waiting.added = order_content.needs_more(before, content)
    waiting.save(update_fields=["differences", "added"])
    if not waiting.differences:
        settle(waiting, Status.DONE)
    elif waiting.status == Status.HELD:
        tell(waiting)
    else:
        start(waiting)


def catch_up(order: Order) -> bool:
    """The order certainly never reached the warehouse: a change that waited for it is part of it from now on. Called with
    the order locked."""
    waiting = order.changes.filter(status=Status.WAITING).first()
    if waiting is None:
        return False
    order_content.write(order, OrderContent.from_json(waiting.content))
    OrderChange.objects.filter(pk=waiting.pk).update(added={})
    settle(waiting, Status.DONE)
    note(order, "updated", f"Changed before it was sent again: {waiting.summary}.")
    return True


def finish_if_all_is_shipped(order: Order, at: datetime) -> None:
    """A change may have taken away what was still open."""
    lines = list(order.lines.all())
    is_shipped = any(line.shipped for line in lines) and not any(line.open_quantity for line in lines)
    if order.status == Order.Status.AT_WAREHOUSE and is_shipped:
        order.status, order.shipped_at = Order.Status.SHIPPED, at
        order.save(update_fields=["status", "shipped_at", "updated_at"])
        note(order, "shipped", "Shipped: nothing is open any more.")


# What happens to its order -------------------------------------------------------------------------------------------


def step_back(order: Order) -> bool:
    """The order shall be cancelled: what is not on its way waits until that is decided. False when a change is on its way
    and must be settled first. Called with the order locked."""
    clear_alert(order.merchant_id, ALERT, f"{order.pk}")
    change = order.changes.filter(status=Status.SENDING).first()
    if change is None:
        return True
    if not withdrawn(change):
        return False
    if order.changes.filter(status__in=(Status.WAITING, Status.HELD)).exists():
        settle(change, Status.SUPERSEDED)
    else:
        OrderChange.objects.filter(pk=change.pk).update(status=Status.WAITING)
    return True


def drop(order: Order) -> None:
    """The order is cancelled, and its changes with it. Called with the order locked."""
    for change in order.changes.filter(status__in=OPEN):
        withdrawn(change)
        settle(change, Status.CANCELLED)
    clear_alert(order.merchant_id, ALERT, f"{order.pk}")


# What people decide --------------------------------------------------------------------------------------------------


def keep_as_sent(order_id: int, actor: str = HUB) -> OrderChange:
    """The order stays as the warehouse has it, whatever the cart says. Raises ``TransitionRefused``."""
    with transaction.atomic():
        order = locked(order_id)
        change = held_change(order)
        settle(change, Status.KEPT, actor=actor)
        note(order, "kept_as_sent", f"Kept as it was sent, without: {change.summary}.", actor)
        clear_alert(order.merchant_id, ALERT, f"{order.pk}")
        return change


def resend(order_id: int, actor: str = HUB) -> OrderChange:
    """Sends a change (again) that waits for a decision. Raises ``TransitionRefused`` when it still cannot go."""
    with transaction.atomic():
        order = locked(order_id)
        change = held_change(order)
        if order.cancel_requested_at:
            raise TransitionRefused(f"Order {order} is being cancelled; its change is not sent.")
        fill_missing_skus(change)
        start(change)
        if change.status == Status.HELD:
            raise TransitionRefused(f"The change of order {order} cannot be sent. {change.problem}")
        note(order, "change_resend", "The change is sent to the warehouse again.", actor)
        clear_alert(order.merchant_id, ALERT, f"{order.pk}")
        return change


def held_change(order: Order) -> OrderChange:
    change = order.changes.filter(status=Status.HELD).first()
    if change is None:
        raise TransitionRefused(f"Order {order} has no change that waits for a decision.")
    change.order = order
    return change


def fill_missing_skus(change: OrderChange) -> None:
    """Looks up among the cart's products what had no SKU when the change came."""
    content = OrderContent.from_json(change.content)
    ids = [line.product_id for line in content.goods if not line.sku and line.product_id]
    if not ids:
        return
    rows = Product.objects.filter(connection_id=change.order.cart_id, external_id__in=ids).exclude(sku="")
    products = {product.external_id: product for product in rows}
    stored = content.as_json()
    for line in stored["lines"]:
        product = None if line["sku"] else products.get(line["product_id"])
        if product is not None:
            line["sku"], line["warehouse_sku"] = product.sku, product.stock_sku
            line["name"] = line["name"] or product.name
            line["ships"] = line["ships"] and product.kind != ProductKind.GIFT_CARD
    change.content = stored
    change.added = order_content.needs_more(content_of(change.order), OrderContent.from_json(stored))
    change.save(update_fields=["content", "added"])


# Small things --------------------------------------------------------------------------------------------------------


def locked_change(change_id: int) -> OrderChange:
    """A change as it is now, with its order locked."""
    order_id = OrderChange.objects.values_list("order_id", flat=True).get(pk=change_id)
    order = locked(order_id)
    change = OrderChange.objects.get(pk=change_id)
    change.order = order
    return change


def settle(change: OrderChange, status: str, *, actor: str = HUB, at: datetime | None = None) -> None:
    change.status, change.settled_at, change.settled_by = status, at or timezone.now(), actor[:150]
    change.save(update_fields=["status", "settled_at", "settled_by"])


def withdrawn(change: OrderChange) -> bool:
    """Takes a change's delivery back; False when it is on its way, or may have arrived."""
    return all(answer is not False for _, answer in change_withdrawn.send(OrderChange, change=change))
