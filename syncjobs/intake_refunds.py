"""Intake of returns: what a sale takes back becomes a refund, tied to the order it was sold on (law 2)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from decimal import Decimal

from django.db import transaction
from django.db.models import Sum
from msgspec import structs

from carts import order_flow, refund_flow
from carts.line_skus import key_of, set_sku, warehouse_sku
from carts.models import Cart, Order, OrderLine, Refund, RefundLine
from carts.models.catalogue import sku_key
from carts.models.fields import plain_decimal
from connectors.records import OrderRecord, RefundRecord, RemoteOrderState
from syncjobs.intake_orders import reference_of
from syncjobs.order_references import References

Status = Refund.Status
Known = dict[str, tuple[int, int]]


def refunds_among(records: Iterable[OrderRecord]) -> list[OrderRecord]:
    return [record for record in records if record.refund is not None]


def as_lookups(records: Iterable[OrderRecord]) -> list[OrderRecord]:
    """Returns as ``load_references`` takes them: the products of what came back, and no customer."""
    return [
        structs.replace(record, lines=record.refund.lines, customer_id="")
        for record in records
        if record.refund is not None
    ]


def known_refunds(cart: Cart, records: Sequence[OrderRecord]) -> Known:
    """external id -> (our id, version stored). No query for a page without returns."""
    if not records:
        return {}
    ids = [record.external_id for record in records]
    rows = Refund.objects.filter(cart_id=cart.pk, external_id__any_of=ids).order_by()
    return {external_id: (pk, version) for external_id, pk, version in rows.values_list("external_id", "pk", "version")}


def newer(records: Iterable[OrderRecord], known: Known) -> list[OrderRecord]:
    """What has to be looked at: finished returns that are new, and newer versions of those that are stored."""
    return [
        record
        for record in records
        if (
            record.version > known[record.external_id][1]
            if record.external_id in known
            else record.state is RemoteOrderState.COMPLETE
        )
    ]


def take_in_refunds(cart: Cart, records: Sequence[OrderRecord], known: Known, references: References) -> dict[str, int]:
    """Stores returns and brings stored ones up to date. Returns counts."""
    counts: dict[str, int] = {}
    if not records:
        return counts
    orders = orders_of(cart, records)
    for record in records:
        refunded = record.refund
        assert refunded is not None, "refunds_among lets no other record through"
        if record.external_id in known:
            what = take_in_newer(cart, known[record.external_id][0], record, refunded, orders, references)
        else:
            refund = store_refund(cart, record, refunded, orders.get(refunded.return_for), references)
            what = "refunds"
            if refund.status == Status.HELD and refund.order_id is None:
                counts["refunds_held"] = counts.get("refunds_held", 0) + 1
        counts[what] = counts.get(what, 0) + 1
    return counts


def orders_of(cart: Cart, records: Iterable[OrderRecord]) -> dict[str, Order]:
    """The orders that these returns name, by the cart's id. Two queries."""
    ids = {record.refund.return_for for record in records if record.refund is not None} - {""}
    if not ids:
        return {}
    rows = Order.objects.filter(cart_id=cart.pk, external_id__in=ids).order_by().prefetch_related("lines")
    return {order.external_id: order for order in rows.select_related("warehouse", "location")}


def store_refund(
    cart: Cart, record: OrderRecord, refunded: RefundRecord, order: Order | None, references: References
) -> Refund:
    with transaction.atomic():
        refund = Refund(
            merchant_id=cart.merchant_id,
            cart=cart,
            external_id=record.external_id,
            reference=f"R-{reference_of(cart, record)}",
        )
        fill(refund, record, refunded, order)
        refund.save(force_insert=True)
        lines = write_lines(refund, refunded, order, references)
        tell_order(refund, lines)
        refund_flow.start(refund, lines)
        return refund


def fill(refund: Refund, record: OrderRecord, refunded: RefundRecord, order: Order | None) -> None:
    """Copies a record's values into a refund (not its status)."""
    refund.number = record.number[:120]
    refund.version = record.version
    refund.return_for = refunded.return_for
    refund.currency = record.currency[:3]
    refund.amount = refunded.amount
    refund.tax_total = refunded.tax
    refund.reason = refunded.reason
    refund.restock = refunded.restock
    refund.placed_at = record.placed_at
    refund.payments = [
        {
            "name": payment.name,
            "amount": plain_decimal(payment.amount, 2),
            "paid_at": payment.paid_at.isoformat() if payment.paid_at else None,
            "kind": payment.kind,
        }
        for payment in refunded.payments
    ]
    tie(refund, order)


def tie(refund: Refund, order: Order | None) -> None:
    """To the order, and to the place that gets the goods: the warehouse that sent them, at the location of the outlet
    that took them back."""
    refund.order = order
    refund.warehouse = (order.warehouse if order else None) or refund.cart.warehouse
    place = refund.cart.stock_location()
    if refund.warehouse is None or place is None or place.warehouse_id != refund.warehouse.pk:
        place = order.location if order else None
    refund.location = place


def write_lines(
    refund: Refund, refunded: RefundRecord, order: Order | None, references: References
) -> list[RefundLine]:
    lines = []
    for position, record in enumerate(refunded.lines, start=1):
        product = references.products.get(record.product_id)
        sku = record.sku or (product.sku if product else "")
        sku_there = warehouse_sku(sku, product.sku, product.stock_sku) if product else ""
        lines.append(
            RefundLine(
                refund=refund,
                position=position,
                external_id=record.external_id or str(position),
                product_id_at_cart=record.product_id,
                sku=sku[:200],
                warehouse_sku=sku_there,
                sku_key=key_of(sku, sku_there),
                name=(record.name or (product.name if product else ""))[:500],
                quantity=record.quantity,
                amount=record.total,
                tax=record.tax,
                ships=record.ships and (product.ships if product else True),
            )
        )
    match_lines(refund, lines, order)
    RefundLine.objects.bulk_create(lines)
    return lines


def match_lines(refund: Refund, lines: Iterable[RefundLine], order: Order | None) -> None:
    """Finds the order's line for what came back: the same product, with that much not returned yet; else the first."""
    if order is None:
        return
    others = RefundLine.objects.filter(order_line__order=order).exclude(refund=refund)
    sums = others.exclude(refund__status=Status.CANCELLED).order_by().values_list("order_line")
    back: dict[int, Decimal] = dict(sums.annotate(Sum("quantity")))
    for line in lines:
        if line.order_line_id is not None:
            continue
        candidates = [one for one in order.lines.all() if is_same_article(one, line)]
        roomy = [one for one in candidates if one.quantity - back.get(one.pk, Decimal(0)) >= line.quantity]
        for found in (roomy or candidates)[:1]:
            line.order_line = found
            back[found.pk] = back.get(found.pk, Decimal(0)) + line.quantity
            is_same = sku_key(line.sku) == sku_key(found.sku) and order.is_sent
            if not line.sku or is_same:  # it comes back as what it left as
                set_sku(line, line.sku or found.sku, found.warehouse_sku)
            line.name = line.name or found.name
            line.ships = line.ships and found.ships


def is_same_article(sold: OrderLine, line: RefundLine) -> bool:
    if line.product_id_at_cart:
        return sold.product_id_at_cart == line.product_id_at_cart
    return bool(line.sku_key) and sold.sku_key == line.sku_key


def tell_order(refund: Refund, lines: Sequence[RefundLine]) -> None:
    """The return in the history of its order."""
    if refund.order is None:
        return
    goods = ", ".join(f"{plain_decimal(line.quantity)} x {line.sku or line.name or 'item'}" for line in lines)
    money = f"{plain_decimal(refund.amount, 2)} {refund.currency}".strip()
    words = f"Return {refund}: {goods or 'no goods'}; {money} given back."
    if refund.order.status in order_flow.NOT_SENT:
        words += " The order was not sent yet: cancel it here if it shall not go out any more."
    order_flow.note(refund.order, "refund", words)


def take_in_newer(
    cart: Cart,
    refund_id: int,
    record: OrderRecord,
    refunded: RefundRecord,
    orders: dict[str, Order],
    references: References,
) -> str:
    """A later version of a stored return. Returns what it was, for the run's counts."""
    with transaction.atomic():
        refund = refund_flow.locked(refund_id)
        if record.version <= refund.version:
            return "unchanged"
        before = facts_of(refund)
        refund.version = record.version
        refund.save(update_fields=["version", "updated_at"])
        if record.state is RemoteOrderState.CANCELLED:
            refund_flow.voided(refund, str(cart))
            return "refunds_cancelled"
        if record.state is not RemoteOrderState.COMPLETE or refund.status == Status.CANCELLED:
            return "unchanged"
        now = {(line.product_id, line.quantity) for line in refunded.lines}, refunded.amount
        if before == now:
            return "unchanged"
        if refund.status not in refund_flow.UNSENT or not refund_flow.withdrawn(refund):
            words = f"Return {refund} was changed in the cart after it had been sent."
            refund_flow.note(refund, "refund_differs", words)
            refund_flow.tell(
                refund, "refund_differs", words, "Compare it with the cart, and tell the warehouse if it matters."
            )
            return "differs"
        refund.lines.all().delete()
        order = orders.get(refunded.return_for)
        fill(refund, record, refunded, order)
        refund.save()
        lines = write_lines(refund, refunded, order, references)
        refund_flow.note(refund, "refund_updated", f"Return {refund} was brought up to date from the cart.")
        refund_flow.start(refund, lines)
        return "refunds_changed"


def facts_of(refund: Refund) -> tuple[set[tuple[str, Decimal]], Decimal]:
    return {(line.product_id_at_cart, line.quantity) for line in refund.lines.all()}, refund.amount


def link_refunds(cart: Cart, order_ids: Sequence[str]) -> int:
    """Returns that came before their orders find them now, and go out. One query when there are none."""
    if not order_ids:
        return 0
    waiting = Refund.objects.filter(cart_id=cart.pk, order__isnull=True, return_for__any_of=order_ids)
    ids = list(waiting.order_by("pk").values_list("pk", flat=True))
    for refund_id in ids:
        with transaction.atomic():
            link(refund_flow.locked(refund_id))
    if ids:
        refund_flow.tell_of_held(cart)
    return len(ids)


def link(refund: Refund) -> None:
    order = (
        Order.objects.prefetch_related("lines")
        .select_related("warehouse", "location")
        .get(cart_id=refund.cart_id, external_id=refund.return_for)
    )
    waits = refund.status == Status.HELD
    if waits:
        tie(refund, order)
    else:
        refund.order = order
    refund.save(update_fields=["order", "warehouse", "location", "updated_at"])
    lines = list(refund.lines.all())
    match_lines(refund, lines, order)
    RefundLine.objects.bulk_update(lines, ["order_line", "sku", "warehouse_sku", "sku_key", "name", "ships"])
    tell_order(refund, lines)
    if waits:
        refund_flow.start(refund, lines)
