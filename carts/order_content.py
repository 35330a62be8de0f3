"""What an order says, apart from where it stands: the part of it that the shop may change and the warehouse must know.

Two contents can be compared, and the difference told in words; a content can be stored and written into an order.
"""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

import msgspec

from carts.line_skus import key_of
from carts.models import Customer, Order, OrderLine
from carts.models.catalogue import sku_key
from carts.models.fields import plain_decimal
from connectors.records import Address

ZERO = Decimal(0)

# Columns that an order and its content have alike.
COLUMNS = (
    "number",
    "placed_at",
    "currency",
    "subtotal",
    "discount_total",
    "shipping_total",
    "tax_total",
    "total",
    "unexplained",
    "customer_name",
    "customer_email",
    "ship_to",
    "bill_to",
    "charges",
    "ship_method",
    "note",
)
LINE_COLUMNS = (
    "external_id",
    "sku",
    "warehouse_sku",
    "name",
    "quantity",
    "unit_price",
    "discount",
    "tax",
    "total",
    "note",
    "ships",
)
MONEY_LABELS = (
    ("total", "total"),
    ("tax_total", "tax"),
    ("shipping_total", "shipping"),
    ("discount_total", "discount"),
)
# What the columns keep.
MONEY_STEP = Decimal("0.000001")
QUANTITY_STEP = Decimal("0.00001")


@dataclass(frozen=True, slots=True, kw_only=True)
class LineContent:
    external_id: str
    product_id: str
    sku: str
    warehouse_sku: str = ""
    name: str
    quantity: Decimal
    unit_price: Decimal
    discount: Decimal
    tax: Decimal
    total: Decimal
    note: str
    ships: bool

    def __str__(self) -> str:
        return f"{plain_decimal(self.quantity)} x {self.label}"

    @property
    def label(self) -> str:
        return self.sku or self.name or "item without name"

    @property
    def article(self) -> str:
        """What is on the line, whatever the cart calls the line itself."""
        return self.product_id or sku_key(self.sku)

    @property
    def stock_key(self) -> str:
        """By which the warehouse's stock knows it."""
        return key_of(self.sku, self.warehouse_sku)


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderContent:
    """``customer_id`` is our own. ``hold_reason``: why a person must look at the order, "" if nobody must."""

    number: str
    placed_at: datetime
    currency: str
    subtotal: Decimal
    discount_total: Decimal
    shipping_total: Decimal
    tax_total: Decimal
    total: Decimal
    unexplained: Decimal
    customer_id: int | None
    customer_name: str
    customer_email: str
    ship_to: dict[str, str]
    bill_to: dict[str, str]
    charges: list[dict[str, str]]
    ship_method: str
    note: str
    hold_reason: str = ""
    lines: tuple[LineContent, ...] = ()

    def as_json(self) -> Any:
        return msgspec.to_builtins(self)

    @classmethod
    def from_json(cls, stored: Any) -> OrderContent:
        return msgspec.convert(stored, cls)

    @property
    def goods(self) -> tuple[LineContent, ...]:
        return tuple(line for line in self.lines if line.ships)


def content_of(order: Order, lines: Iterable[OrderLine] | None = None, hold_reason: str = "") -> OrderContent:
    """What an order says now; ``lines`` when they are at hand."""
    values: dict[str, Any] = {name: getattr(order, name) for name in COLUMNS}
    return OrderContent(
        **values,
        customer_id=order.customer_id,
        hold_reason=hold_reason,
        lines=tuple(line_content(line) for line in (order.lines.all() if lines is None else lines)),
    )


def line_content(line: OrderLine) -> LineContent:
    values: dict[str, Any] = {name: getattr(line, name) for name in LINE_COLUMNS}
    values["quantity"] = line.quantity.quantize(QUANTITY_STEP)
    return LineContent(**values, product_id=line.product_id_at_cart)


# Comparing -----------------------------------------------------------------------------------------------------------


Pair = tuple[int | None, int | None]


def pairs(before: Sequence[LineContent], after: Sequence[LineContent]) -> list[Pair]:
    """Which line became which, as positions; None: there is none. A cart may give a line a new id, so the article counts
    first, and an id alone last."""
    rules: tuple[Callable[[LineContent], Any], ...] = (
        lambda line: (line.external_id, line.article),
        lambda line: (line.article, line.quantity) if line.article else None,
        lambda line: line.article or None,
        lambda line: line.external_id or None,
    )
    found: dict[int, int] = {}
    free = dict.fromkeys(range(len(after)))
    for rule in rules:
        candidates: defaultdict[Any, deque[int]] = defaultdict(deque)
        for position in free:
            candidates[rule(after[position])].append(position)
        for position, line in enumerate(before):
            key = None if position in found else rule(line)
            if key is not None and candidates[key]:
                found[position] = candidates[key].popleft()
                del free[found[position]]
    kept: list[Pair] = [(position, found.get(position)) for position in range(len(before))]
    return [*kept, *((None, position) for position in free)]


def differences(before: OrderContent, after: OrderContent) -> list[str]:
    """What a later version changes that matters to a warehouse or to the money, in words."""
    words = line_differences(before.lines, after.lines)
    if before.customer_name != after.customer_name:
        words.append(f"customer {before.customer_name or 'none'} -> {after.customer_name or 'none'}")
    if before.customer_email != after.customer_email:
        words.append(f"e-mail {before.customer_email or 'none'} -> {after.customer_email or 'none'}")
    ship_to, bill_to = (addresses(before.ship_to, after.ship_to), addresses(before.bill_to, after.bill_to))
    if ship_to:
        words.append(f"ship-to address {ship_to}")
    if bill_to and bill_to != ship_to:
        words.append(f"billing address {bill_to}")
    if before.ship_method != after.ship_method:
        words.append(f"ship method {before.ship_method or 'none'} -> {after.ship_method or 'none'}")
    if before.note != after.note:
        words.append(f"note {quoted(before.note)} -> {quoted(after.note)}")
    if before.number != after.number:
        words.append(f"number {before.number} -> {after.number}")
    for name, label in MONEY_LABELS:
        words.extend(money(label, getattr(before, name), getattr(after, name)))
    if after.hold_reason and before.hold_reason != after.hold_reason:
        words.append(after.hold_reason.rstrip("."))
    return words


def line_differences(before: Sequence[LineContent], after: Sequence[LineContent]) -> list[str]:
    words: list[str] = []
    for first, second in pairs(before, after):
        if first is None and second is not None:
            words.append(f"{after[second]} added")
        elif second is None and first is not None:
            words.append(f"{before[first]} removed")
        elif first is not None and second is not None:
            words.extend(changes_of_line(before[first], after[second]))
    return words


def changes_of_line(before: LineContent, after: LineContent) -> list[str]:
    words = []
    if before.article != after.article or sku_key(before.sku) != sku_key(after.sku):
        words.append(f"{before.label} -> {after.label}")
    if before.quantity != after.quantity:
        words.append(f"{after.label}: quantity {plain_decimal(before.quantity)} -> {plain_decimal(after.quantity)}")
    words.extend(money(f"{after.label}: price", before.unit_price, after.unit_price))
    words.extend(money(f"{after.label}: discount", before.discount, after.discount))
    if before.note != after.note:
        words.append(f"{after.label}: note {quoted(before.note)} -> {quoted(after.note)}")
    return words


def money(label: str, before: Decimal, after: Decimal) -> list[str]:
    if before.quantize(MONEY_STEP) == after.quantize(MONEY_STEP):
        return []
    return [f"{label} {plain_decimal(before, 2)} -> {plain_decimal(after, 2)}"]


def quoted(text: str) -> str:
    return f"“{text}”" if text else "none"


def addresses(before: dict[str, str], after: dict[str, str]) -> str:
    """``1 Lane, Paris -> 2 Lane, Lyon``, or "" when both are the same."""
    if Address.from_dict(before) == Address.from_dict(after):
        return ""
    return f"{in_one_line(before)} -> {in_one_line(after)}"


def in_one_line(address: dict[str, str]) -> str:
    parts = ("name", "company", "street1", "street2", "suburb", "postcode", "city", "state", "country", "phone")
    return ", ".join(address[name] for name in parts if address.get(name)) or "none"


def quantities(lines: Iterable[LineContent]) -> dict[str, Decimal]:
    """How much of each article is to be shipped."""
    sums: dict[str, Decimal] = {}
    for line in lines:
        if line.ships and line.quantity:
            sums[line.article] = sums.get(line.article, ZERO) + line.quantity
    return sums


def needs_more(before: OrderContent, after: OrderContent) -> dict[str, str]:
    """SKU key -> how much more of it the later version takes from the warehouse."""
    sums: dict[str, Decimal] = {}
    for sign, lines in ((-1, before.goods), (1, after.goods)):
        for line in lines:
            if line.sku:
                sums[line.stock_key] = sums.get(line.stock_key, ZERO) + sign * line.quantity
    return {key: plain_decimal(more) for key, more in sums.items() if more > 0}


# Writing -------------------------------------------------------------------------------------------------------------


def fill(order: Order, content: OrderContent) -> None:
    """Copies a content into an order object, without saving."""
    for name in COLUMNS:
        setattr(order, name, getattr(content, name))


def line_values(content: LineContent, position: int) -> dict[str, Any]:
    values: dict[str, Any] = {name: getattr(content, name) for name in LINE_COLUMNS}
    more = {"position": position, "sku_key": content.stock_key, "product_id_at_cart": content.product_id}
    return {**values, **more}


def lines_for(order: Order, content: OrderContent) -> list[OrderLine]:
    """The lines that an order with this content has, not stored."""
    return [OrderLine(order=order, **line_values(line, place)) for place, line in enumerate(content.lines, start=1)]


def write(order: Order, content: OrderContent) -> None:
    """Makes a stored order what its content says. Called with the order locked. A line that stays keeps what was shipped
    of it; one that is gone, but of which something was shipped, stays with that much."""
    fill(order, content)
    if content.customer_id != order.customer_id:
        order.customer = Customer.objects.filter(connection_id=order.cart_id, pk=content.customer_id).first()
    order.save(update_fields=[*COLUMNS, "customer", "updated_at"])
    lines = list(order.lines.all())
    new: list[OrderLine] = []
    kept: list[OrderLine] = []
    gone: list[int] = []
    for first, second in pairs([line_content(line) for line in lines], content.lines):
        if first is None and second is not None:
            new.append(OrderLine(order=order, **line_values(content.lines[second], second + 1)))
        elif first is not None and second is not None:
            for name, value in line_values(content.lines[second], second + 1).items():
                setattr(lines[first], name, value)
            kept.append(lines[first])
        elif first is not None and lines[first].shipped:
            lines[first].quantity = lines[first].shipped
            kept.append(lines[first])
        elif first is not None:
            gone.append(lines[first].pk)
    OrderLine.objects.filter(pk__in=gone).delete()
    write_lines(order, kept)
    OrderLine.objects.bulk_create(new)
    order._prefetched_objects_cache = {}  # type: ignore[attr-defined]


def write_lines(order: Order, lines: Sequence[OrderLine]) -> None:
    """Lines may have swapped their ids, which are unique: new ones are out of the way until all are written."""
    wanted = {line.pk: line.external_id for line in lines}
    before = dict(OrderLine.objects.filter(order=order).values_list("pk", "external_id"))
    moved = [line for line in lines if before[line.pk] != line.external_id]
    for line in moved:
        line.external_id = f"~{line.pk}"
    if moved:
        OrderLine.objects.bulk_update(moved, ["external_id"])
        for line in moved:
            line.external_id = wanted[line.pk]
    columns = [*LINE_COLUMNS, "position", "sku_key", "product_id_at_cart"]
    OrderLine.objects.bulk_update(lines, columns, batch_size=200)
