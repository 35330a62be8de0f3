"""The API's JSON, whose types wobble: numbers come as text, nothing as null, "" or [], one row without its list.

So every field is kept as it came (``Loose``) and read by the functions below. Money goes from the digits of the JSON
straight into ``Decimal``. Sources: sections B.3, B.9 and B.11.
"""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from typing import Any, TypeAlias, TypeVar

import msgspec
from msgspec import Raw, Struct

Loose: TypeAlias = Raw
NOTHING = Raw(b"null")

TRUE_WORDS = {"true", "1", "y", "yes"}

NUL = "\x00"
# No stock and no price has more digits than this.
TOO_LARGE = Decimal(10) ** 9

T = TypeVar("T")


class Unreadable(ValueError):
    """One record cannot be read; ``str(error)`` says why, for a person. It becomes a reject of its page."""


def value_of(raw: Loose) -> Any:
    """The JSON value, numbers with a fraction as ``Decimal``, texts without what no database takes (NUL characters and
    halves of characters)."""
    try:
        return without_bad_characters(json.loads(bytes(raw), parse_float=Decimal))
    except (ValueError, RecursionError) as error:
        raise Unreadable(f"It holds something that cannot be read: {error}.") from error


def without_bad_characters(value: Any) -> Any:
    if isinstance(value, str):
        return value.replace(NUL, "").encode("utf-8", "replace").decode()
    if isinstance(value, dict):
        return {without_bad_characters(name): without_bad_characters(member) for name, member in value.items()}
    if isinstance(value, list):
        return [without_bad_characters(member) for member in value]
    return value


def text(raw: Loose) -> str:
    """A field's text, "" when it is missing. A number's text is its digits."""
    value = value_of(raw)
    return str(value).strip() if isinstance(value, (str, int, Decimal)) and not isinstance(value, bool) else ""


def number(raw: Loose, name: str = "number") -> Decimal | None:
    """A number, in quotes or not; None when it is missing. Raises ``Unreadable``."""
    told = text(raw)
    if not told:
        return None
    try:
        found = Decimal(told.replace(",", ""))
    except InvalidOperation:
        found = Decimal("nan")
    if not found.is_finite() or not -TOO_LARGE < found < TOO_LARGE:
        raise Unreadable(f"Its {name} is no number: {told[:60]!r}.")
    return found


def flag(raw: Loose) -> bool:
    """A switch: true, 1, "true" and "Y" alike; a missing one is false."""
    value = value_of(raw)
    return value.strip().lower() in TRUE_WORDS if isinstance(value, str) else bool(value)


def moment(raw: Loose, name: str = "time") -> datetime | None:
    """A time; one without a zone is UTC (section B.9). None when it is missing. Raises ``Unreadable``."""
    told = text(raw)
    if not told or told.startswith("0000-00-00"):
        return None
    try:
        found = datetime.fromisoformat(re.sub(r"\s*Z$", "+00:00", told))
    except ValueError:
        raise Unreadable(f"Its {name} is no time: {told[:60]!r}.") from None
    return found.replace(tzinfo=UTC) if found.tzinfo is None else found.astimezone(UTC)


def table(raw: Loose) -> dict[str, Loose]:
    """The members of an object; none for null, "" and the empty list that PHP makes of an empty map."""
    try:
        return msgspec.json.decode(raw, type=dict[str, Raw])
    except msgspec.MsgspecError:
        return {}


def rows(raw: Loose, kind: type[T]) -> list[T]:
    """The rows of a list, of a map of rows (PHP again), or the one row that stands without its list. Raises
    ``Unreadable``."""
    data = bytes(raw).strip()
    if data in (b"null", b'""', b"[]", b"{}", b"false"):
        return []
    try:
        if data.startswith(b"["):
            return msgspec.json.decode(data, type=list[kind], strict=False)  # type: ignore[valid-type]
        members = table(raw)
        if members and all(name.isdigit() for name in members):
            return [msgspec.json.decode(member, type=kind, strict=False) for member in members.values()]
        return [msgspec.json.decode(data, type=kind, strict=False)]
    except msgspec.MsgspecError as error:
        raise Unreadable(f"It cannot be read: {error}.") from error


def read(raw: Loose | bytes, kind: type[T]) -> T:
    """One record. Raises ``Unreadable``."""
    try:
        return msgspec.json.decode(raw, type=kind, strict=False)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise Unreadable(f"The record cannot be read: {error}.") from error


class Record(Struct, gc=False, kw_only=True):
    """Base of all shapes: every field may be missing, unknown ones are ignored."""


class Envelope(Record):
    """Around every answer. ``status_message`` and ``error_response`` are older forms of ``message``; the answer to one
    new order has ``cust_ref`` and ``order_number`` beside ``success_code``."""

    success_code: Loose = NOTHING
    error_code: Loose = NOTHING
    message: Loose = NOTHING
    status_message: Loose = NOTHING
    error_response: Loose = NOTHING
    response: Loose = NOTHING
    cust_ref: Loose = NOTHING
    order_number: Loose = NOTHING


class BatchAnswer(Record):
    success: Loose = NOTHING
    failed: Loose = NOTHING


class BatchRow(Record):
    """``index_pos`` (from 0) is there only when the order had no ``cust_ref``."""

    cust_ref: Loose = NOTHING
    cust_po_no: Loose = NOTHING
    index_pos: Loose = NOTHING
    message: Loose = NOTHING


class CancelAnswer(Record):
    success: Loose = NOTHING
    message: Loose = NOTHING


class Order(Record):
    """What the hub looks at of an order, or of the shorter answer to a question for its status."""

    cust_ref: Loose = NOTHING
    cust_ref_original: Loose = NOTHING
    cust_po_no: Loose = NOTHING
    order_status: Loose = NOTHING
    sending_canceled: Loose = NOTHING
    grand_total: Loose = NOTHING
    created_date_time: Loose = NOTHING
    updated_date_time: Loose = NOTHING
    error_msg: Loose = NOTHING
    extra_fields: Loose = NOTHING
    items: Loose = NOTHING
    shipments: Loose = NOTHING


class OrderItem(Record):
    item: Loose = NOTHING
    line_item_id: Loose = NOTHING
    filtered_sku: Loose = NOTHING


class Shipment(Record):
    carrier: Loose = NOTHING
    method: Loose = NOTHING
    tracking_no: Loose = NOTHING
    tracking_url: Loose = NOTHING
    date: Loose = NOTHING
    sscc_barcode: Loose = NOTHING
    bill_of_lading: Loose = NOTHING
    items: Loose = NOTHING


class ShipmentItem(Record):
    item: Loose = NOTHING
    quantity: Loose = NOTHING


class Stock(Record):
    sku: Loose = NOTHING
    qty_available: Loose = NOTHING
    qty_on_hand: Loose = NOTHING
    wms_datetime: Loose = NOTHING
    warehouses: Loose = NOTHING


class StockAtWarehouse(Record):
    warehouse: Loose = NOTHING
    qty_available: Loose = NOTHING
    qty_on_hand: Loose = NOTHING
    wms_datetime: Loose = NOTHING


class Product(Record):
    sku: Loose = NOTHING
    name: Loose = NOTHING
    description: Loose = NOTHING
    retail_price: Loose = NOTHING
    wholesale_price: Loose = NOTHING
    last_updated_datetime: Loose = NOTHING
    aliases: Loose = NOTHING


class Alias(Record):
    code_type: Loose = NOTHING
    code: Loose = NOTHING


class ShipMethod(Record):
    carrier: Loose = NOTHING
    code: Loose = NOTHING
    description: Loose = NOTHING
