"""Vend's sales as the hub's orders (vend.md sections 3.3 to 3.5, 8 and 10). Pure: no HTTP, no clock.

Money is as sent, never recomputed. ``unit_price`` and a line's ``total`` are before tax and already reduced by the line's
discount. A reduction in ``OrderRecord.charges`` is negative; ``discount_total`` is the same money as a positive number
and holds the sale's own discounts only, not those of the lines. The goods that an exchange brings back are one charge of
kind "return". What the parts do not explain of the total is in ``OrderRecord.unexplained``.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal

from msgspec import structs

from connectors.records import (
    ZERO,
    Address,
    ChargeRecord,
    OrderLineRecord,
    OrderRecord,
    OutletRecord,
    PaymentRecord,
    RefundRecord,
    RemoteOrderState,
)
from connectors.vend import shapes
from connectors.vend.errors import Unreadable
from connectors.vend.shapes import flag, text
from connectors.vend.status import SaleStatus, read_status

ALL_EXCEPT = "ALL_EXCEPT_VOIDED_SAVED"

# The names under which web shops book what the buyer pays for transport.
SHIPPING_WORDS = re.compile(
    r"ship|deliver|freight|postage|courier|carriage|\bpost\b|parcel|versand|livraison|env[ií]o|spedizione",
    re.IGNORECASE,
)

CHARGE_KINDS = {
    "NON_CASH_FEE": "fee",
    "DISCOUNT": "discount",
    "TIP": "tip",
    "SURCHARGE": "surcharge",
    "ECOM_CUSTOM_CHARGE": "charge",
}

# What rounding may leave between a total and its parts: total and tax may each be rounded to the cent, every part to the
# fifth decimal (section 9).
ROUNDING_OF_TOTALS = Decimal("0.01")
ROUNDING_OF_PART = Decimal("0.00001")

# Beyond this size a number is a mistake, and no database column would take it.
LARGEST_DIGITS = 13


@dataclass(frozen=True, slots=True, kw_only=True)
class SaleContext:
    """What must be known besides the sale itself.

    ``order_status`` is the cart's option; ``earliest`` the aware time before which sales are left out;
    ``discount_product_id`` the retailer's product for sale-level discounts; ``tax_names`` maps a tax rate's id to its
    name; ``fallback_ship_to`` is the outlet's address where the cart wants it used.
    """

    outlet: OutletRecord
    currency: str = ""
    discount_product_id: str = ""
    order_status: str = "CLOSED"
    earliest: datetime | None = None
    tax_names: Mapping[str, str] = field(default_factory=dict)
    fallback_ship_to: Address | None = None


def order_from_sale(sale: shapes.Sale, raw: bytes, context: SaleContext) -> OrderRecord:
    """One sale as an order. Raises ``Unreadable`` with a reason in words."""
    external_id = text(sale.id)
    if not external_id:
        raise Unreadable("The sale has no id.")
    placed_at = sale_time(sale)
    attributes = [text(word) for word in sale.attributes or ()]
    status = read_status(text(sale.status), text(sale.state), attributes)
    state = RemoteOrderState.CANCELLED if sale.deleted_at else status.state

    sorted_lines = sort_lines(sale, context.discount_product_id)
    is_return, is_exchange, original = judge_return(sale, sorted_lines)
    goods = (sorted_lines.returned or sorted_lines.sold) if is_return else sorted_lines.sold
    lines = tuple([line_record(line, abs_quantity=is_return) for line in goods])
    beside, shipping = other_charges(sale)
    beside = [*(discount_charge(line, is_return) for line in sorted_lines.discounts), *beside]
    totals = sale.totals or shapes.SaleTotals()
    subtotal, tax = amount(totals.price), amount(totals.tax)
    total = subtotal + tax if totals.price_incl_tax is None else amount(totals.price_incl_tax)
    note = text(sale.note)
    if is_exchange:
        beside.append(returned_goods(sorted_lines.returned))
        note = joined(note, exchange_note(len(sorted_lines.returned)))

    parts = [line_total(line) for line in goods] if is_return else [line.total for line in lines]
    if beside:
        parts += [charge.amount for charge in beside]

    skip_reason = "" if state is RemoteOrderState.UNKNOWN else leave_out(status, placed_at, context)
    if is_return:
        skip_reason = "This sale is a return, not an order."
    elif not goods:
        skip_reason = "The sale holds no goods."
    elif sale.deleted_at:
        skip_reason = "The sale was deleted in Vend."
    return OrderRecord(
        external_id=external_id,
        number=text(sale.invoice_number) or text(sale.receipt_number) or text(sale.short_code) or external_id,
        version=(sale.metadata.version or 0) if sale.metadata else 0,
        state=state,
        remote_status=status.label,
        importable=not skip_reason,
        skip_reason=skip_reason,
        hold_reason=f"Vend sent the {status.unknown}, which the hub does not know." if status.unknown else "",
        placed_at=placed_at,
        updated_at=parse_time(sale.updated_at),
        currency=context.currency,
        subtotal=subtotal,
        discount_total=-sum((charge.amount for charge in beside if charge.kind == "discount"), ZERO),
        shipping_total=shipping,
        tax_total=tax,
        total=total,
        unexplained=unexplained(total - tax, parts),
        lines=lines,
        payments=tuple(payment_record(payment) for payment in sale.payments or () if not payment.deleted_at),
        charges=(*tax_charges(sale, context.tax_names), *beside),
        customer_id=text(sale.customer_id),
        fallback_ship_to=context.fallback_ship_to,
        ship_method=ship_method(status),
        note=note,
        return_for=original if is_return else "",
        refund=(
            refund_of(sale, goods if is_return else sorted_lines.returned, original, total if is_return else None)
            if (is_return or is_exchange) and (context.earliest is None or placed_at >= context.earliest)
            else None
        ),
        raw=raw,
    )


# --- is it ours to import? -------------------------------------------------------------------------------------------


def leave_out(status: SaleStatus, placed_at: datetime, context: SaleContext) -> str:
    """Why the cart's options leave this sale out; "" when they do not."""
    wanted = context.order_status
    if wanted == ALL_EXCEPT:
        if status.state in (RemoteOrderState.CANCELLED, RemoteOrderState.DRAFT):
            return f"The sale's status is {status.label}; this cart takes all sales except VOIDED and SAVED ones."
    elif wanted not in status.words:
        return f"The sale's status is {status.label}; this cart takes {wanted} sales."
    if context.earliest is not None and placed_at < context.earliest:
        return f"The sale is older than the cart's earliest order date ({context.earliest:%Y-%m-%d})."
    return ""


def outlet_id_of(sale: shapes.Sale) -> str:
    """The outlet of a sale, by itself or else by its payments; "" when neither names one."""
    if sale.source is not None and sale.source.outlet_id:
        return text(sale.source.outlet_id)
    for payment in sale.payments or ():
        if payment.source is not None and payment.source.outlet_id:
            return text(payment.source.outlet_id)
    return ""


# --- lines -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class SortedLines:
    """A sale's lines by what they are. Voided lines and lines of nothing are gone."""

    sold: list[shapes.SaleLine]
    returned: list[shapes.SaleLine]
    discounts: list[shapes.SaleLine]


def sort_lines(sale: shapes.Sale, discount_product_id: str) -> SortedLines:
    sold: list[shapes.SaleLine] = []
    returned: list[shapes.SaleLine] = []
    discounts: list[shapes.SaleLine] = []
    for line in sale.line_items or ():
        if line.status is not None and text(line.status).upper() == "VOIDED":
            continue
        quantity = amount(line.quantity)
        if discount_product_id and line.product is not None and line.product.id == discount_product_id:
            discounts.append(line)
        elif quantity < ZERO or (line.returned is not None and flag(line.returned.is_return)):
            returned.append(line)
        elif quantity:
            sold.append(line)
    return SortedLines(sold, returned, discounts)


def judge_return(sale: shapes.Sale, lines: SortedLines) -> tuple[bool, bool, str]:
    """(is a return, is an exchange, id of the sale that it returns). A sale that brings goods back *and* sells others is
    an exchange: its new lines are an order."""
    mark = sale.returned
    original = text(mark.original_sale_id) if mark is not None else ""
    marked = bool(original) or (mark is not None and flag(mark.is_return))
    if lines.sold and lines.returned:
        return False, True, original
    return bool(marked or lines.returned), False, original


def line_record(line: shapes.SaleLine, abs_quantity: bool = False) -> OrderLineRecord:
    pricing = line.pricing or EMPTY_PRICING
    tax = line.tax or EMPTY_TAX
    quantity = amount(line.quantity)
    unit_price = amount(pricing.price)
    total = line_total(line)
    discount = amount(pricing.discount) * quantity if pricing.discount_total is None else amount(pricing.discount_total)
    tax_total = amount(tax.amount) * quantity if tax.total is None else amount(tax.total)
    if abs_quantity:
        quantity, total, discount, tax_total = abs(quantity), abs(total), abs(discount), abs(tax_total)
    return OrderLineRecord(
        external_id=text(line.id),
        product_id=text(line.product.id) if line.product is not None else "",
        quantity=quantity,
        unit_price=unit_price,
        discount=discount,
        tax=tax_total,
        total=total,
        note=text(line.note),
        ships=not line.gift_card_number,
    )


def line_total(line: shapes.SaleLine) -> Decimal:
    """The whole line before tax, as sent: negative for what comes back."""
    pricing = line.pricing or EMPTY_PRICING
    return amount(pricing.price) * amount(line.quantity) if pricing.total is None else amount(pricing.total)


EMPTY_PRICING = shapes.LinePricing()
EMPTY_TAX = shapes.LineTax()


def exchange_note(returned: int) -> str:
    goods = "1 returned line is" if returned == 1 else f"{returned} returned lines are"
    return f"Exchange: {goods} not part of this order."


# --- money beside the lines ------------------------------------------------------------------------------------------


def tax_charges(sale: shapes.Sale, names: Mapping[str, str]) -> list[ChargeRecord]:
    charges = []
    for row in sale.taxes or ():
        rate_id = text(row.id)
        charges.append(
            ChargeRecord(
                kind="tax",
                name=text(row.name) or names.get(rate_id, "Tax"),
                amount=amount(row.amount if row.tax is None else row.tax),
                external_id=rate_id,
            )
        )
    return charges


def unexplained(before_tax: Decimal, parts: Sequence[Decimal]) -> Decimal:
    """What of a total before tax its parts leave open, zero when rounding accounts for it."""
    difference = before_tax - sum(parts, ZERO)
    if not difference or abs(difference) <= ROUNDING_OF_TOTALS + ROUNDING_OF_PART * len(parts):
        return ZERO
    return amount(difference)


def discount_charge(line: shapes.SaleLine, is_return: bool = False) -> ChargeRecord:
    """The sale-level discount, which Vend writes as a line of quantity -1 (section 3.6). In a return it is taken back, so
    there its sign is kept."""
    record = line_record(line)
    return ChargeRecord(
        kind="discount",
        name="Discount",
        amount=record.total if is_return else -abs(record.total),
        tax=record.tax if is_return else -abs(record.tax),
        external_id=record.external_id,
    )


def returned_goods(lines: Sequence[shapes.SaleLine]) -> ChargeRecord:
    """What the goods that an exchange brings back take off its total."""
    records = [line_record(line) for line in lines]
    return ChargeRecord(
        kind="return",
        name="Returned goods",
        amount=sum((record.total for record in records), ZERO),
        tax=sum((record.tax for record in records), ZERO),
    )


def refund_of(
    sale: shapes.Sale, returned: Sequence[shapes.SaleLine], original: str, total: Decimal | None
) -> RefundRecord:
    """What a sale takes back. A return gives back what was paid (section 10), else its own ``total``. The goods of an
    exchange (``total`` None) are set off against the new ones: their value counts, and no payment is theirs alone."""
    lines = tuple(line_record(line, abs_quantity=True) for line in returned)
    taken = [payment_record(payment) for payment in sale.payments or () if not payment.deleted_at]
    payments = () if total is None else tuple(structs.replace(payment, amount=-payment.amount) for payment in taken)
    worth = sum((line.total + line.tax for line in lines), ZERO) if total is None else abs(total)
    reasons = dict.fromkeys(text(line.returned.reason) for line in returned if line.returned is not None)
    said = joined(*reasons) or ("Exchange: set off against new goods." if total is None else text(sale.note))
    return RefundRecord(
        return_for=original,
        lines=lines,
        amount=abs(sum((payment.amount for payment in payments), ZERO)) or worth,
        tax=sum((line.tax for line in lines), ZERO),
        payments=payments,
        reason=said,
    )


def other_charges(sale: shapes.Sale) -> tuple[list[ChargeRecord], Decimal]:
    """Adjustments and e-commerce charges, and how much of them is shipping.

    Where a sale gives both, its adjustments of type ECOM_CUSTOM_CHARGE are taken to be the same money as
    ``ecom_custom_charges`` and are not counted twice.
    """
    charges = [ecom_charge(charge) for charge in ecom_charges(sale)]
    has_ecom = bool(charges)
    for adjustment in sale.adjustments or ():
        word = (text(adjustment.adjustment_type) or text(adjustment.type)).upper()
        if not (has_ecom and word == "ECOM_CUSTOM_CHARGE"):
            charges.append(adjustment_charge(adjustment, word))
    surcharge = amount(sale.totals.surcharge) if sale.totals is not None else ZERO
    if surcharge and not any(charge.kind == "surcharge" for charge in charges):
        charges.append(ChargeRecord(kind="surcharge", name="Surcharge", amount=surcharge))
    return charges, sum((charge.amount for charge in charges if charge.kind == "shipping"), ZERO)


def ecom_charges(sale: shapes.Sale) -> list[shapes.EcomCharge]:
    found = sale.ecom_custom_charges
    if isinstance(found, shapes.EcomCharges):
        return found.charges or []
    return found or []


def ecom_charge(charge: shapes.EcomCharge) -> ChargeRecord:
    name = text(charge.name)
    return ChargeRecord(
        kind="shipping" if SHIPPING_WORDS.search(name) else "charge",
        name=name or "Charge",
        amount=amount(charge.total),
        tax=amount(charge.total_tax),
        external_id=text(charge.source_id),
    )


def adjustment_charge(adjustment: shapes.Adjustment, word: str) -> ChargeRecord:
    kind = CHARGE_KINDS.get(word, word.lower() or "charge")
    name = text(adjustment.name)
    if kind == "charge" and SHIPPING_WORDS.search(name):
        kind = "shipping"
    value = amount(adjustment.value if adjustment.total is None else adjustment.total)
    tax = sum((amount(part.total_tax) for part in adjustment.tax_components or ()), ZERO)
    if kind == "discount":
        value, tax = -abs(value), -abs(tax)
    return ChargeRecord(kind=kind, name=name or kind.replace("_", " ").title(), amount=value, tax=tax)


def payment_record(payment: shapes.SalePayment) -> PaymentRecord:
    kind = payment.type or shapes.PaymentType()
    return PaymentRecord(
        external_id=text(payment.id),
        name=text(kind.name) or "Payment",
        amount=amount(payment.amount),
        paid_at=parse_time(payment.date),
        kind=text(kind.id),
    )


def ship_method(status: SaleStatus) -> str:
    for method in ("delivery", "pickup"):
        if method in status.attributes:
            return method
    return ""


# --- values ----------------------------------------------------------------------------------------------------------


def amount(value: Decimal | None) -> Decimal:
    """A number of Vend's, zero when missing. Raises ``Unreadable`` for one that cannot be money or a quantity."""
    if value is None:
        return ZERO
    if value.adjusted() > LARGEST_DIGITS or not value.is_finite():
        raise Unreadable(f"The record holds the impossible number {value}.")
    return value


def sale_time(sale: shapes.Sale) -> datetime:
    """When the sale was made: its date, else when it was written."""
    moment = parse_time(sale.date) or parse_time(sale.created_at) or parse_time(sale.updated_at)
    if moment is None:
        given = text(sale.date) or text(sale.created_at)
        raise Unreadable(f"The sale's date “{given}” cannot be read." if given else "The sale has no date.")
    return moment


def span_of(times: Sequence[shapes.Text]) -> tuple[datetime, datetime] | None:
    """From when until when the records of a page were changed, by its first and its last one: a feed comes in the order
    of changes. None where they do not say."""
    ends = [found for value in (*times[:1], *times[-1:]) if (found := parse_time(value)) is not None]
    return (min(ends), max(ends)) if ends else None


def parse_time(value: shapes.Text) -> datetime | None:
    """Vend's times: RFC 3339, ISO with offset, or ``YYYY-MM-DD HH:MM:SS`` without a zone, which means UTC (section 9)."""
    if not isinstance(value, str) or not value:
        return None
    try:
        moment = datetime.fromisoformat(value)
        return moment.astimezone(UTC) if moment.tzinfo is not None else moment.replace(tzinfo=UTC)
    except (ValueError, OverflowError):
        return None


def joined(*parts: str) -> str:
    return "\n".join(part for part in parts if part)


def first(*values: Decimal | None) -> Decimal | None:
    """The first number that was sent."""
    return next((value for value in values if value is not None), None)
