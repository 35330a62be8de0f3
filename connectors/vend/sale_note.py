"""Carrier and tracking number in a sale's note: Vend has no field of its own for them (vend.md sections 1 and 3.8).

The note is changed with ``PUT sales/{id}`` of the dated family. Whether Vend keeps lines and payments that such a request
leaves out is not documented (in 0.9 it removed them), so they are sent again exactly as they were read, and a sale that
holds anything the request cannot carry keeps its note. Only a sale that still waits can be changed (section 8).
"""

from __future__ import annotations

import json
from typing import Any

import msgspec

from connectors.errors import RecordRefused
from connectors.records import OutboundShipment
from connectors.vend.client import VendClient

# What a line or a sale may hold that ``PUT sales/{id}`` has no place for.
LINE_EXTRAS = ("promotions", "surcharges", "customizations", "gift_card_number")
SALE_EXTRAS = ("adjustments", "ecom_custom_charges", "external_applications")

NOT_ADDED = "The tracking number was not added to the sale's note"


def add_tracking(client: VendClient, raw: bytes, shipment: OutboundShipment) -> str:
    """Adds the shipment's tracking line to the note of the sale ``raw``, once. Returns what stood in the way, "" when
    nothing did. ``OutcomeUnknown``: doing it again is safe, a note that has the line is left alone."""
    entry = tracking_line(shipment)
    sale = json.loads(raw, parse_float=as_sent, parse_int=as_sent)
    note = str(sale.get("note") or "")
    if not entry or holds(note, entry):
        return ""
    if not client.is_dated:
        return f"{NOT_ADDED}: API 2.0 cannot change a sale."
    if sale.get("state") != "pending":
        return f"{NOT_ADDED}: Vend does not change a finished sale any more."
    body = request_body(sale)
    if body is None:
        return f"{NOT_ADDED}: the sale holds something that would be lost."
    try:
        client.change_sale(str(sale["id"]), body | {"note": f"{note}\n{entry}" if note else entry})
    except RecordRefused as error:
        return f"{NOT_ADDED}: {error.message}"
    return ""


def tracking_line(shipment: OutboundShipment) -> str:
    """``Shipped with NZ Post: AB123 https://...``; "" when neither carrier nor tracking number is known."""
    if not (shipment.tracking_number or shipment.carrier):
        return ""
    carrier = f"Shipped with {shipment.carrier}" if shipment.carrier else "Shipped"
    rest = " ".join(part.strip() for part in (shipment.tracking_number, shipment.tracking_url) if part.strip())
    return f"{carrier}: {rest}" if rest else carrier


def holds(note: str, entry: str) -> bool:
    """Does the note have this line? Vend masks what looks like a card number with "*" (section 3.12), and a tracking
    number may look like one."""
    return any(
        len(line) == len(entry) and all(ours in (theirs, "*") for theirs, ours in zip(entry, line, strict=True))
        for line in (row.strip() for row in note.splitlines())
    )


def request_body(sale: dict[str, Any]) -> dict[str, Any] | None:
    """The sale as ``PUT sales/{id}`` takes it, None when something of it cannot be said there."""
    source = sale.get("source") or {}
    author_id = (source.get("author") or {}).get("id")
    lines, payments = sale.get("line_items") or [], sale.get("payments") or []
    if not author_id or any(sale.get(name) for name in SALE_EXTRAS):
        return None
    if any(line.get(name) for line in lines for name in LINE_EXTRAS) or any(row.get("surcharge") for row in payments):
        return None
    return known(
        {
            "state": sale.get("state"),
            "attributes": sale.get("attributes") or [],
            "customer_id": sale.get("customer_id"),
            "date": sale.get("date"),
            "source": {"author_id": author_id} | part(source, "register_id", "type", "id"),
            "line_items": [line_body(line) for line in lines],
            "payments": [payment_body(row) for row in payments if not row.get("deleted_at")],
        }
    )


def line_body(line: dict[str, Any]) -> dict[str, Any]:
    note = line.get("note")
    return known(
        {
            "id": line.get("id"),
            "product": part(line.get("product"), "id"),
            "quantity": line.get("quantity"),
            "status": line.get("status"),
            "pricing": part(line.get("pricing"), "price", "cost", "discount", "loyalty_amount"),
            "tax": part(line.get("tax"), "id", "amount"),
            "source": part(line.get("source"), "register_id"),
            "_metadata": part(line.get("_metadata"), "sequence", "is_price_override"),
            "attributes": [{"name": "line_note", "value": note}] if note else None,
        }
    )


def payment_body(payment: dict[str, Any]) -> dict[str, Any]:
    return known(
        {
            "id": payment.get("id"),
            "amount": payment.get("amount"),
            "date": payment.get("date"),
            "type": part(payment.get("type"), "config_id"),
            "source": part(payment.get("source"), "register_id"),
        }
    )


def part(record: dict[str, Any] | None, *names: str) -> dict[str, Any]:
    return known({name: (record or {}).get(name) for name in names})


def known(record: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in record.items() if value is not None}


def as_sent(number: str) -> msgspec.Raw:
    """A number exactly as it was written, ready to be sent again."""
    return msgspec.Raw(number.encode())
