"""What a stock document did to the shop's levels, line by line, and how much of it documents carry already.

Law 4 for documents: the difference between the two is what has to go out, whatever happened in which order.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from decimal import Decimal

from django.db.models import Sum

from carts.line_skus import key_of, warehouse_sku
from carts.models import (
    Consignment,
    ConsignmentLine,
    Location,
    Product,
    StockAdjustment,
    StockAdjustmentLine,
    StockDocument,
    StockTransferLine,
)
from connectors.records import ConsignmentKind, ConsignmentState, ProductKind

Kind, State, Effect = ConsignmentKind, ConsignmentState, StockAdjustment.Effect
ZERO = Decimal(0)
STEP = Decimal("0.00001")

# The states in which a document of a kind has moved stock in the shop.
MOVED: dict[str, tuple[str, ...]] = {
    Kind.PURCHASE: (State.RECEIVED,),
    Kind.SUPPLIER_RETURN: (State.SENT, State.RECEIVED),
    Kind.COUNT: (State.COUNTED,),
    Kind.MANUAL: (State.COUNTED,),
    Kind.TRANSFER: (State.SENT, State.RECEIVED),
}
# Documents in these states still have to be booked.
UNBOOKED = (StockDocument.Status.WAITING, StockDocument.Status.NEW, StockDocument.Status.ERROR)

NO_CHANGE = "Nothing changed, so nothing is passed on."
NO_SKU = "The product has no SKU. Give it one in the shop."
BUNDLE = "A bundle has no stock of its own; count its parts."
NO_GOODS = "Not an article that a warehouse keeps."
NOT_TRACKED = "The shop does not track the stock of this product."
NO_QUANTITY = "The shop does not say how many."

Quantities = dict[str, Decimal]  # product id at the cart -> quantity
Placed = dict[tuple[int, str], Decimal]  # (location, SKU key) -> quantity


def has_moved(kind: str, state: str) -> bool:
    return state in MOVED.get(kind, ())


def effects_of(kind: str, state: str, line: ConsignmentLine) -> dict[str, Decimal | None]:
    """What a line did, by effect; None: the shop does not say. Of a transfer the quantities that left and arrived."""
    if kind == Kind.PURCHASE or kind == Kind.MANUAL:
        return {Effect.RECEIVED if kind == Kind.PURCHASE else Effect.COUNTED: line.received}
    if kind == Kind.SUPPLIER_RETURN:
        return {Effect.SENT: None if line.count is None else -line.count}
    if kind == Kind.COUNT:
        known = line.received is not None and line.count is not None
        return {Effect.COUNTED: line.received - line.count if known else None}  # type: ignore[operator]
    left: dict[str, Decimal | None] = {Effect.SENT: line.count}
    if state == State.RECEIVED:
        left[Effect.RECEIVED] = line.count if line.received is None else line.received
    return left


def products_of(consignment: Consignment, lines: Iterable[ConsignmentLine]) -> dict[str, Product]:
    """The articles as the carts of the two outlets list them, by the shop's ids; of both that one whose article at the
    warehouse has another SKU. One query."""
    owners = [pk for pk in (consignment.cart_id, consignment.source_cart_id) if pk is not None]
    rows = Product.objects.filter(connection_id__in=owners, external_id__in={line.product_id_at_cart for line in lines})
    return {product.external_id: product for product in sorted(rows.order_by("connection_id"), key=has_other_sku)}


def has_other_sku(product: Product) -> bool:
    return bool(product.stock_sku)


def examine(consignment: Consignment, lines: list[ConsignmentLine]) -> None:
    """Completes the lines from the catalogue and marks those of which nothing can be passed on, with the reason. Writes
    the lines that changed."""
    products = products_of(consignment, lines)
    changed = []
    for line in lines:
        before = (line.sku, line.warehouse_sku, line.sku_key, line.name, line.remark, line.left_out)
        product = products.get(line.product_id_at_cart)
        if product is not None:
            line.sku = line.sku or product.sku
            line.name = line.name or product.name
            line.warehouse_sku = warehouse_sku(line.sku, product.sku, product.stock_sku)
        line.sku_key = key_of(line.sku, line.warehouse_sku)
        line.remark = line.problem_at_cart or reason_to_leave_out(consignment, line, product)
        line.left_out = bool(line.remark) and line.remark not in (line.problem_at_cart, NO_CHANGE)
        if before != (line.sku, line.warehouse_sku, line.sku_key, line.name, line.remark, line.left_out):
            changed.append(line)
    ConsignmentLine.objects.bulk_update(changed, ["sku", "warehouse_sku", "sku_key", "name", "remark", "left_out"])


def reason_to_leave_out(consignment: Consignment, line: ConsignmentLine, product: Product | None) -> str:
    quantities = list(effects_of(consignment.kind, consignment.state, line).values())
    if all(quantity is None for quantity in quantities):
        return NO_QUANTITY
    if not any(quantities):
        return NO_CHANGE
    if product is not None and product.kind == ProductKind.COMPOSITE:
        return BUNDLE
    if product is not None and product.kind != ProductKind.GOODS:
        return NO_GOODS
    if product is not None and not product.is_stock_tracked:
        return NOT_TRACKED
    return "" if line.sku_key else NO_SKU


def wanted(consignment: Consignment, lines: Iterable[ConsignmentLine], effect: str, carried: Quantities) -> Quantities:
    """What should be carried of one effect. Lines that are left out keep what was carried before; lines that are gone
    from the document go back to nothing."""
    quantities: Quantities = {}
    for line in lines:
        if line.left_out or line.problem_at_cart:
            quantities[line.product_id_at_cart] = carried.get(line.product_id_at_cart, ZERO)
        else:
            quantity = effects_of(consignment.kind, consignment.state, line).get(effect)
            quantities[line.product_id_at_cart] = (quantity or ZERO).quantize(STEP)
    return quantities


def differences(want: Quantities, carried: Quantities) -> Quantities:
    found = {
        product_id: want.get(product_id, ZERO) - carried.get(product_id, ZERO) for product_id in {**want, **carried}
    }
    return {product_id: quantity for product_id, quantity in found.items() if quantity}


def carried_by_adjustments(consignment: Consignment, effect: str) -> Quantities:
    rows = StockAdjustmentLine.objects.filter(adjustment__consignment=consignment, adjustment__effect=effect).exclude(
        adjustment__status=StockDocument.Status.WITHDRAWN
    )
    return summed(rows)


def carried_by_steps(consignment: Consignment, step: str) -> Quantities:
    rows = StockTransferLine.objects.filter(step__transfer__consignment=consignment, step__step=step)
    return summed(rows.exclude(step__status=StockDocument.Status.WITHDRAWN))


def summed(rows: object) -> Quantities:
    sums = rows.order_by().values_list("product_id_at_cart").annotate(Sum("quantity"))  # type: ignore[attr-defined]
    return {product_id: Decimal(total).quantize(STEP) for product_id, total in sums}


def add(placed: Placed, location: Location | None, quantities: Iterable[tuple[str, Decimal]], sign: int) -> None:
    """Adds quantities by SKU key at a location, where it is known."""
    if location is None:
        return
    for key, quantity in quantities:
        if key:
            place = location.pk, key
            placed[place] = placed.get(place, ZERO) + sign * quantity


def by_sku(lines: Iterable[ConsignmentLine], quantities: Mapping[str, Decimal]) -> list[tuple[str, Decimal]]:
    return [(line.sku_key, quantities.get(line.product_id_at_cart, ZERO)) for line in lines]
