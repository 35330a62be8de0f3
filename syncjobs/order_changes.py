"""Newer versions of orders that are stored already: brought up to date, cancelled, or passed on as a change."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from django.db import connection as database
from django.db import transaction
from django.utils import timezone

from carts import change_flow, order_content, order_flow
from carts.alerting import raise_alert
from carts.line_skus import set_sku
from carts.models import Alert, Cart, Order, OrderLine, OrderPayload, Product
from carts.order_content import OrderContent, content_of, differences
from carts.signals import order_ready
from connectors.records import Address, OrderRecord, ProductKind, RemoteOrderState
from syncjobs.intake_orders import fill_order, first_status, lines_of
from syncjobs.order_references import References

HEAL_AT_ONCE = 200
Status = Order.Status


def take_in_change(cart: Cart, order_id: int, record: OrderRecord, references: References, *, cancels: bool) -> str:
    """Takes in one newer version. Returns what it was: "cancelled", "updated", "differs" or "unchanged"."""
    with transaction.atomic():
        order = order_flow.locked(order_id)
        if record.version <= order.version:
            return "unchanged"
        keep_payload(order, record)
        if record.state is RemoteOrderState.CANCELLED:
            return cancelled(cart, order, record, cancels)
        is_paid_anew = take_in_facts(order, record)
        if order.status == Status.CANCELLED:
            return "unchanged"
        outcome = update_unsent(order, record, references) if may_be_unsent(order) else None
        if outcome is None:
            outcome = change_flow.take_in(order, record.version, content_if_sent(order, record, references))
        return "updated" if outcome == "unchanged" and is_paid_anew else outcome


def may_be_unsent(order: Order) -> bool:
    """An order without goods counts as shipped without having been anywhere."""
    if order.status == Status.SHIPPED:
        return not order.is_sent and not order.deliveries.exists()
    return order.status in order_flow.NOT_SENT


def take_in_facts(order: Order, record: OrderRecord) -> bool:
    """What is simply true of a newer version, wherever its order stands. True when the payments changed."""
    fresh = Order()
    fill_order(fresh, record, References())
    before, after = in_words(order.payments), in_words(fresh.payments)
    if order.remote_status != fresh.remote_status:
        order_flow.note(order, "remote_status", f"Is {record.remote_status} in the cart now.")
    if before != after:
        order_flow.note(order, "payments", f"Payments in the cart: {before or 'none'} -> {after or 'none'}.")
    for name in ("version", "remote_status", "remote_updated_at", "payments"):
        setattr(order, name, getattr(fresh, name))
    order.save(update_fields=["version", "remote_status", "remote_updated_at", "payments", "updated_at"])
    return before != after


def in_words(payments: Sequence[dict[str, str]]) -> str:
    return ", ".join(sorted(f"{payment['name']} {payment['amount']}" for payment in payments))


def keep_payload(order: Order, record: OrderRecord) -> None:
    if record.raw:
        OrderPayload.objects.create(order=order, version=record.version, body=OrderPayload.pack(record.raw))


def cancelled(cart: Cart, order: Order, record: OrderRecord, cancels: bool) -> str:
    """The cart cancelled it. Not sent: never sent. Sent: the warehouse is told when the cart's option says so."""
    Order.objects.filter(pk=order.pk).update(version=record.version, remote_status=record.remote_status[:60])
    if order.status == Status.CANCELLED:
        return "unchanged"
    if not cancels:
        order_flow.note(order, "remote_status", f"Is {record.remote_status} in the cart; Order Cancel Download is off.")
        return "unchanged"
    reason = f"{record.remote_status} in {cart}"
    tell = bool(cart.options.get("send_cancellations", True))
    try:
        order_flow.cancel(order.pk, reason, tell_warehouse=tell)
    except order_flow.TransitionRefused as refusal:
        order_flow.note(order, "cancel_refused", str(refusal))
        raise_alert(
            order.merchant,
            "cancelled_after_shipping",
            f"{order.pk}",
            f"Order {order} was cancelled in {cart}, but it was shipped already.",
            fix="Ask the customer to send the goods back, or refund by hand.",
            link=f"/admin/carts/order/{order.pk}/change/",
            connection=cart,
        )
        return "unchanged"
    if not tell and order.deliveries.exclude(state="cancelled").exists():
        raise_alert(
            order.merchant,
            "warehouse_not_told",
            f"{order.pk}",
            f"Order {order} was cancelled in {cart} after it had been sent; the warehouse was not told.",
            fix="Cancel it at the warehouse by hand, or switch Send Cancellation/Return To WMS on for the next time.",
            link=f"/admin/carts/order/{order.pk}/change/",
            connection=cart,
            severity=Alert.Severity.WARNING,
        )
    return "cancelled"


def update_unsent(order: Order, record: OrderRecord, references: References) -> str | None:
    """An order that did not leave yet simply becomes the newer version. None: it may have left, or is leaving now."""
    before = content_of(order)
    fresh = filled(order, record, references)
    lines = lines_of(fresh, record.lines, references)
    if "skus" in order.by_hand:
        keep_skus(order, lines)
    after = content_of(fresh, lines, hold_reason=record.hold_reason)
    news = differences(before, after)
    if not news:
        if after != before:
            order_content.write(order, after)
        return "unchanged"
    if not order_flow.withdrawn(order):
        return None
    change_flow.overtake(order)
    order_content.write(order, after)
    if order.status != Status.HELD or record.hold_reason:
        status, problem = first_status(order.warehouse_id, Address.from_dict(order.ship_to), record, references)
        if status == Status.ERROR and not order_flow.problem_of(order):
            status, problem = Status.NEW, ""  # a person entered what the cart lacks
        shipped_at = timezone.now() if status == Status.SHIPPED else None
        order_flow.change(order, status, problem=problem, shipped_at=shipped_at)
    order_flow.note(order, "updated", f"Changed in the cart: {'; '.join(news)}.")
    if order.status == Status.NEW:
        order_ready.send(Order, order=order)
    return "updated"


def filled(order: Order, record: OrderRecord, references: References) -> Order:
    """What the order would be as the newer version, without what a person set here. Not stored."""
    fresh = Order(cart_id=order.cart_id, merchant_id=order.merchant_id, warehouse_id=order.warehouse_id)
    fill_order(fresh, record, references)
    for name in {"ship_to", "ship_method", "note"} & set(order.by_hand):
        setattr(fresh, name, getattr(order, name))
    return fresh


def content_if_sent(order: Order, record: OrderRecord, references: References) -> OrderContent:
    """The newer version of an order that left. Customers move and products are renamed: what the sale itself does not
    say anew stays as it was sent."""
    fresh = filled(order, record, references)
    if record.customer is None and not is_other_customer(order, record, references):
        for name in ("customer_id", "customer_name", "customer_email"):
            setattr(fresh, name, getattr(order, name))
        if record.ship_to is None:
            fresh.ship_to = order.ship_to
        if record.bill_to is None:
            fresh.bill_to = order.bill_to
    fresh.note = without_tracking(order, fresh.note)
    lines = lines_of(fresh, record.lines, references)
    keep_skus(order, lines)
    return content_of(fresh, lines, hold_reason=record.hold_reason)


def keep_skus(order: Order, lines: Sequence[OrderLine]) -> None:
    """The same article keeps the SKU and name that it has on the order, whatever it is called by now."""
    known = {line.product_id_at_cart or line.external_id: line for line in order.lines.all() if line.sku}
    for line in lines:
        same = known.get(line.product_id_at_cart or line.external_id)
        if same is not None:
            set_sku(line, same.sku, same.warehouse_sku)
            line.name, line.ships = same.name, same.ships


def is_other_customer(order: Order, record: OrderRecord, references: References) -> bool:
    """Does the sale name another customer than before? One that nobody knows counts as the same."""
    customer = references.customers.get(record.customer_id)
    if customer is None:
        return bool(order.customer_id and not record.customer_id)
    return customer.id != (order.customer.current.pk if order.customer else None)


def without_tracking(order: Order, note: str) -> str:
    """The note without what the hub itself added to it when it confirmed a shipment."""
    if note == order.note or not order.shipments.exists():
        return note
    marks = [
        mark
        for shipment in order.shipments.all()
        for mark in (shipment.tracking_number, shipment.carrier and f"Shipped with {shipment.carrier}")
        if mark
    ]
    return "\n".join(line for line in note.split("\n") if not any(mark in line for mark in marks))


def heal_orders(cart: Cart) -> int:
    """Orders that waited for data (SKU, address, warehouse) go out once the data are there. One plain question when none
    waits; three queries per ``HEAL_AT_ONCE`` orders that wait in vain."""
    if not any_waits(cart):
        return 0
    healed, after = 0, 0
    waiting = (
        Order.objects.filter(
            cart_id=cart.pk, status=Status.ERROR, at_warehouse_at__isnull=True, deliveries__isnull=True
        )
        .order_by("pk")
        .prefetch_related("lines")
        .select_related("cart", "warehouse", "customer")
    )
    while batch := list(waiting.filter(pk__gt=after)[:HEAL_AT_ONCE]):
        products = products_for(cart, batch)
        healed += sum(heal(cart, order, products) for order in batch if has_news(cart, order, products))
        after = batch[-1].pk
    return healed


# In plain SQL: asked by every Order Download, and nearly always answered by no.
ANY_WAITS = f"""
    SELECT EXISTS (
        SELECT 1 FROM {Order._meta.db_table} WHERE cart_id = %s AND status = 'error' AND at_warehouse_at IS NULL
    )
"""  # noqa: S608 - table names of ours, nothing from outside


def any_waits(cart: Cart) -> bool:
    with database.cursor() as cursor:
        cursor.execute(ANY_WAITS, [cart.pk])
        return bool(cursor.fetchone()[0])


def products_for(cart: Cart, orders: Sequence[Order]) -> dict[str, Product]:
    """The products with a SKU, by the cart's id, that stand behind lines without one. One query."""
    ids = {line.product_id_at_cart for order in orders for line in lines_without_sku(order)}
    if not ids:
        return {}
    rows = Product.objects.filter(connection_id=cart.pk, external_id__any_of=ids).exclude(sku="").order_by()
    return {product.external_id: product for product in rows}


def lines_without_sku(order: Order) -> list[OrderLine]:
    return [line for line in order.lines.all() if line.ships and not line.sku and line.product_id_at_cart]


def has_news(cart: Cart, order: Order, products: Mapping[str, Product]) -> bool:
    """Is there anything now that the order lacked?"""
    return (
        any(line.product_id_at_cart in products for line in lines_without_sku(order))
        or (order.warehouse_id is None and cart.warehouse_id is not None)
        or address_of_customer(order) is not None
    )


def address_of_customer(order: Order) -> Address | None:
    """Where an order without a usable address could go."""
    if order.customer is None or Address.from_dict(order.ship_to).is_usable:
        return None
    address = Address.from_dict(order.customer.ship_to)
    return address if address.is_usable else None


def heal(cart: Cart, order: Order, products: Mapping[str, Product]) -> bool:
    with transaction.atomic():
        fill_missing_skus(order, products)
        if order.warehouse_id is None and cart.warehouse_id is not None:
            order.warehouse, order.location = cart.warehouse, cart.stock_location()
            order.save(update_fields=["warehouse", "location"])
        address = address_of_customer(order)
        if address is not None:
            order.ship_to = address.as_dict()
            order.save(update_fields=["ship_to"])
        if order_flow.problem_of(order):
            return False
        order_flow.release(order.pk)
        return True


def fill_missing_skus(order: Order, products: Mapping[str, Product]) -> None:
    for line in lines_without_sku(order):
        product = products.get(line.product_id_at_cart)
        if product is not None:
            set_sku(line, product.sku, product.stock_sku)
            line.name = line.name or product.name
            line.ships = product.kind != ProductKind.GIFT_CARD
            line.save(update_fields=["sku", "warehouse_sku", "sku_key", "name", "ships"])
