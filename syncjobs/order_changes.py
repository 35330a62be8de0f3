"""Newer versions of orders that are stored already: brought up to date, cancelled, or shown as a difference."""

from __future__ import annotations

from decimal import Decimal

from django.db import transaction

from carts import order_flow
from carts.alerting import raise_alert
from carts.models import Alert, Cart, Order, OrderLine, OrderPayload, Product
from carts.models.catalogue import sku_key
from carts.models.fields import plain_decimal
from carts.signals import order_ready
from connectors.records import Address, OrderRecord, ProductKind, RemoteOrderState
from syncjobs.intake_orders import fill_order, first_status, lines_of, ship_to_of
from syncjobs.order_references import References, load_references

HEAL_AT_ONCE = 200
Status = Order.Status


def take_in_change(cart: Cart, order_id: int, record: OrderRecord, *, cancels: bool) -> str:
    """Takes in one newer version. Returns what it was: "cancelled", "updated", "differs" or "unchanged"."""
    with transaction.atomic():
        order = order_flow.locked(order_id)
        if record.version <= order.version:
            return "unchanged"
        keep_payload(order, record)
        if record.state is RemoteOrderState.CANCELLED:
            return cancelled(cart, order, record, cancels)
        references = load_references(cart, [record])
        differences = differences_of(order, record, references)
        if not differences:
            Order.objects.filter(pk=order.pk).update(version=record.version, remote_status=record.remote_status[:60])
            if order.remote_status != record.remote_status:
                order_flow.note(order, "remote_status", f"Is {record.remote_status} in the cart now.")
            return "unchanged"
        if order.status in order_flow.NOT_SENT and order_flow.withdrawn(order):
            update_unsent(order, record, references, differences)
            return "updated"
        Order.objects.filter(pk=order.pk).update(version=record.version, remote_status=record.remote_status[:60])
        if order.status == Status.CANCELLED:
            return "unchanged"
        text = "Changed in the cart after it was sent: " + "; ".join(differences) + "."
        order_flow.note(order, "changed_after_sending", text)
        raise_alert(
            order.merchant,
            "changed_after_sending",
            f"{order.pk}",
            f"Order {order}: {text}",
            fix="Tell the warehouse if it matters, then resolve this alert.",
            link=f"/admin/carts/order/{order.pk}/change/",
            connection=cart,
            severity=Alert.Severity.WARNING,
        )
        return "differs"


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


def update_unsent(order: Order, record: OrderRecord, references: References, differences: list[str]) -> None:
    """An order that did not leave yet simply becomes the newer version."""
    held_by_person = order.status == Status.HELD and not record.hold_reason
    fill_order(order, record, references)
    if held_by_person:
        status, problem = Status.HELD.value, order.problem
    else:
        status, problem = first_status(order.warehouse_id, ship_to_of(record, references), record, references)
    order.status, order.problem = status, problem
    order.save()
    order.lines.all().delete()
    OrderLine.objects.bulk_create(lines_of(order, record.lines, references))
    order_flow.note(order, "updated", "Changed in the cart: " + "; ".join(differences) + ".")
    if order.status == Status.NEW:
        order_ready.send(Order, order=order)


def differences_of(order: Order, record: OrderRecord, references: References) -> list[str]:
    """What the newer version changes that matters to a warehouse or to the money, in words."""
    fresh = Order(cart_id=order.cart_id, merchant_id=order.merchant_id, warehouse_id=order.warehouse_id)
    fill_order(fresh, record, references)
    words = []
    for name, label in (("total", "total"), ("tax_total", "tax"), ("shipping_total", "shipping")):
        before, after = getattr(order, name), getattr(fresh, name)
        if money(before) != money(after):
            words.append(f"{label} {plain_decimal(before, 2)} -> {plain_decimal(after, 2)}")
    if Address.from_dict(order.ship_to) != Address.from_dict(fresh.ship_to) and record.ship_to is not None:
        words.append("ship-to address")
    if order.note != fresh.note:
        words.append("note")
    if order.ship_method != fresh.ship_method:
        words.append(f"ship method {order.ship_method or 'none'} -> {fresh.ship_method or 'none'}")
    before_lines = {line.external_id: line for line in order.lines.all()}
    after_lines = {line.external_id: line for line in lines_of(fresh, record.lines, references)}
    for key in before_lines.keys() - after_lines.keys():
        words.append(f"line {before_lines[key]} removed")
    for key in after_lines.keys() - before_lines.keys():
        words.append(f"line {after_lines[key]} added")
    for key in before_lines.keys() & after_lines.keys():
        before, after = before_lines[key], after_lines[key]
        if before.quantity != after.quantity:
            words.append(
                f"{after.sku or after.name}: quantity {plain_decimal(before.quantity)} -> {plain_decimal(after.quantity)}"
            )
        elif after.sku and before.sku_key != after.sku_key:
            words.append(f"SKU {before.sku or 'none'} -> {after.sku}")
    if record.hold_reason and order.status != Status.HELD:
        words.append(f"status {record.remote_status}")
    return sorted(words)


def money(value: Decimal) -> Decimal:
    return value.quantize(Decimal("0.000001"))


def heal_orders(cart: Cart) -> int:
    """Orders that waited for data (SKU, address, warehouse) go out once the data are there. Cheap when none waits."""
    waiting = list(
        Order.objects.filter(
            cart_id=cart.pk, status=Status.ERROR, at_warehouse_at__isnull=True, deliveries__isnull=True
        )
        .order_by("pk")
        .prefetch_related("lines")
        .select_related("cart", "warehouse", "customer")[:HEAL_AT_ONCE]
    )
    return sum(heal(cart, order) for order in waiting)


def heal(cart: Cart, order: Order) -> bool:
    with transaction.atomic():
        changed = fill_missing_skus(order)
        if order.warehouse_id is None and cart.warehouse_id is not None:
            order.warehouse, order.location = cart.warehouse, cart.stock_location()
            order.save(update_fields=["warehouse", "location"])
            changed = True
        if not Address.from_dict(order.ship_to).is_usable and order.customer is not None:
            address = Address.from_dict(order.customer.ship_to)
            if address.is_usable:
                order.ship_to = address.as_dict()
                order.save(update_fields=["ship_to"])
                changed = True
        if not changed or order_flow.problem_of(order):
            return False
        order_flow.release(order.pk)
        return True


def fill_missing_skus(order: Order) -> bool:
    """Looks the SKUs of an order's lines up again. True when one was found."""
    missing = [line for line in order.lines.all() if line.ships and not line.sku and line.product_id_at_cart]
    if not missing:
        return False
    ids = [line.product_id_at_cart for line in missing]
    products = {
        product.external_id: product
        for product in Product.objects.filter(connection_id=order.cart_id, external_id__in=ids)
    }
    found = False
    for line in missing:
        product = products.get(line.product_id_at_cart)
        if product is not None and product.sku:
            line.sku, line.sku_key = product.sku, sku_key(product.sku)
            line.name = line.name or product.name
            line.ships = product.kind != ProductKind.GIFT_CARD
            line.save(update_fields=["sku", "sku_key", "name", "ships"])
            found = True
    return found
