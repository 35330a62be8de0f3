"""An order of the hub as the API takes it (sections B.3.1, B.8 and B.10). Pure: no HTTP, no clock."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

from msgspec import Raw

from connectors.countries import three_letters
from connectors.integration_manager.references import MARK, cust_ref_of
from connectors.records import ZERO, Address, OutboundLine, OutboundOrder

CENTS = Decimal("0.01")
PRICE_STEP = Decimal("0.0001")
COUNTRIES_WITH_STATES = {"US", "CA", "AU"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Totals:
    """The totals of an order as the price rules of the API want them; all at or above zero but for a negative order."""

    sub_total: Decimal
    order_discount: Decimal
    sales_tax: Decimal
    shipping_handling: Decimal
    grand_total: Decimal
    lines_carry_tax: bool


def totals_of(order: OutboundOrder) -> Totals:
    """``grand_total = sub_total + sales_tax + shipping_handling - order_discount`` is what the customer paid.

    What the hub's order holds beside goods, tax and shipping has no field of its own: reductions become
    ``order_discount``, charges (tips, surcharges, services, gift cards) are added to ``shipping_handling``. Lines carry
    their tax only where it adds up to ``sales_tax``, as the rules demand.
    """
    sub_total = sum((extended_amount(line) for line in order.lines), ZERO)
    sales_tax, shipping, grand_total = cents(order.tax_total), cents(order.shipping_total), cents(order.total)
    rest = grand_total - sub_total - sales_tax - shipping
    return Totals(
        sub_total=sub_total,
        order_discount=max(-rest, ZERO),
        sales_tax=sales_tax,
        shipping_handling=shipping + max(rest, ZERO),
        grand_total=grand_total,
        lines_carry_tax=sum((cents(line.tax) for line in order.lines), ZERO) == sales_tax,
    )


def extended_amount(line: OutboundLine) -> Decimal:
    """``(price - discount) x quantity``. The hub's unit price is what one unit is charged, discounts taken off."""
    return cents(unit_price(line) * line.quantity)


def unit_price(line: OutboundLine) -> Decimal:
    return line.unit_price.quantize(PRICE_STEP, ROUND_HALF_UP)


def order_body(order: OutboundOrder, *, location: str = "", default_ship_method: str = "") -> dict[str, Any]:
    """``location`` is the name of the warehouse that is to ship it, "" to leave that open."""
    totals = totals_of(order)
    bill_to = order.bill_to or order.ship_to
    return {
        "cust_ref": cust_ref_of(order.reference),
        "cust_po_no": order.number,
        "order_date": order.placed_at.astimezone(UTC).date().isoformat(),
        "order_source": order.cart_name,
        "currency_code": order.currency or None,
        **address("ship", order.ship_to, order),
        "ship_is_billing": order.bill_to is None or order.bill_to == order.ship_to,
        **address("cust", bill_to, order),
        "ship_code": order.ship_method or default_ship_method or None,
        "shipping_instructions": order.note or None,
        "location": location or None,
        "sub_total": amount(totals.sub_total),
        "order_discount": amount(totals.order_discount),
        "sales_tax": amount(totals.sales_tax),
        "shipping_handling": amount(totals.shipping_handling),
        "grand_total": amount(totals.grand_total),
        "balance": 0,
        "extra_fields": {MARK: order.reference},
        "items": [item(number, line, totals.lines_carry_tax) for number, line in enumerate(order.lines, start=1)],
    }


def item(number: int, line: OutboundLine, carries_tax: bool) -> dict[str, Any]:
    return {
        "line_no": number,
        "item": line.sku,
        "description": line.name,
        "quantity": amount(line.quantity),
        "price": amount(unit_price(line)),
        "discount": 0,
        "addl_discount": 0,
        "tax": amount(cents(line.tax)) if carries_tax else 0,
        "extended_amount": amount(extended_amount(line)),
        "line_item_id": line.reference,
        "line_comment": line.note or None,
    }


def address(prefix: str, place: Address, order: OutboundOrder) -> dict[str, Any]:
    """``ship_...`` or ``cust_...``. Somebody must be named, or the remote refuses the order: a person, else a company,
    else the customer of the order."""
    name = place.name.strip() or ("" if place.company.strip() else order.customer_name.strip())
    first, last = split_name(name)
    streets: Sequence[str] = [street for street in (place.street1, place.street2, place.suburb) if street.strip()]
    fields = {
        "company": place.company.strip() or (order.number if not name else None),
        "first_name": first or None,
        "last_name": last or None,
        **{f"address_{line}": street.strip() for line, street in enumerate(streets, start=1)},
        "city": place.city.strip(),
        "state": state_of(place),
        "zip": place.postcode.strip(),
        "country": three_letters(place.country),
        "phone": place.phone.strip() or None,
        "e_mail": place.email.strip() or order.customer_email.strip() or None,
    }
    return {f"{prefix}_{name}": value for name, value in fields.items()}


def state_of(place: Address) -> str:
    """The state. The remote demands one, and most countries have none in their addresses: there the city stands for it.
    Where addresses do have one it stays empty, so that the remote says what is missing."""
    state = place.state.strip()
    return state or ("" if place.country.strip().upper() in COUNTRIES_WITH_STATES else place.city.strip())


def split_name(name: str) -> tuple[str, str]:
    """First and last name: the last word is the last name."""
    first, _, last = name.strip().rpartition(" ")
    return first.strip(), last


def cents(value: Decimal) -> Decimal:
    return value.quantize(CENTS, ROUND_HALF_UP)


def amount(value: Decimal) -> Raw:
    """A number of the JSON with exactly these digits."""
    digits = format(value, "f")
    return Raw(digits.encode())
