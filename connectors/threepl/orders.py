"""Orders to 3PL Warehouse Manager: sent once, cancelled, and changed as long as nobody picks them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from decimal import Decimal
from typing import Any

from connectors.errors import RecordRefused, RemoteUnavailable
from connectors.records import (
    Address,
    OutboundCancellation,
    OutboundLine,
    OutboundOrder,
    OutboundOrderChange,
    WriteResult,
)
from connectors.threepl import shapes
from connectors.threepl.client import Current, ThreePLClient
from connectors.threepl.errors import Refusal, Stale
from connectors.threepl.options import ThreePLOptions
from connectors.threepl.shapes import text
from connectors.threepl.wire import fold, member, number

DUPLICATE, UNKNOWN = "Duplicate", "DoesNotExist"
CANCELLED_BEFORE = "OrderCanceled"
# How often a change starts over because somebody at the warehouse changed the order meanwhile.
TRIES = 4
# What the API adds to a record and does not want back.
NOT_WRITTEN = {"readonly", "embedded", "links", "$type", "orderitems"}

FIX_ORDER = "Correct the order, then send it again."
FIX_ITEM = "Add the item for this customer in 3PL Warehouse Manager (or correct the SKU), then send the order again."
FIX_CANCELLED = "Ask the warehouse to enter it by hand, or cancel it here."
FIX_SHIPPED = "Tell the customer, and take the goods back as a return."
FIX_PICKED = "Tell the warehouse by phone or mail what is to be changed."


class NoFacility(ValueError):
    """A location that is no facility of the warehouse; the text says which."""


# --- sending ---------------------------------------------------------------------------------------------------------


def send(client: ThreePLClient, options: ThreePLOptions, order: OutboundOrder) -> WriteResult:
    """A reference that is there already belongs to this very order: it was sent before."""
    try:
        body = order_body(order, options)
    except NoFacility as error:
        return WriteResult.rejected(order.reference, str(error), "Choose another location in the cart's settings.")
    try:
        return WriteResult.done(order.reference, client.create_order(body))
    except Refusal as error:
        if error.code == DUPLICATE:
            known = client.find_order(order.reference)
            if known is not None and known.is_cancelled:
                told = f"Order {order.number} was cancelled at the warehouse, and a reference cannot be used again."
                return WriteResult.rejected(order.reference, told, FIX_CANCELLED)
            if known is not None:
                return WriteResult.done(order.reference, known.id)
        return refused(order.reference, error)
    except RecordRefused as error:
        return WriteResult.rejected(order.reference, error.message, FIX_ORDER)


def refused(reference: str, error: Refusal) -> WriteResult:
    about_items = error.code == UNKNOWN and any(
        "sku" in name.lower() or "item" in name.lower() for name, _ in error.values
    )
    told = f"3PL Warehouse Manager refuses the order: {error.message}"
    return WriteResult.rejected(reference, told, FIX_ITEM if about_items else FIX_ORDER)


def order_body(order: OutboundOrder, options: ThreePLOptions) -> dict[str, Any]:
    """Raises ``NoFacility``."""
    body = {
        "customerIdentifier": {"id": options.customer_id},
        "facilityIdentifier": {"id": facility_of(order.location_id, options)},
        "referenceNum": order.reference,
        "poNum": order.number,
        "externalId": order.reference,
        "notes": order.note,
        "billingCode": options.billing_code,
        "routingInfo": routing(order.ship_method, options),
        "shipTo": contact(order.ship_to, order.customer_name, order.customer_email),
        "orderItems": [item_body(line) for line in order.lines],
        "savedElements": [{"name": "CartName", "value": order.cart_name}],
    }
    if order.bill_to is not None and order.bill_to.is_usable:
        body["soldTo"] = contact(order.bill_to, order.customer_name, order.customer_email)
    return body


def facility_of(location_id: str, options: ThreePLOptions) -> int:
    """Locations are the warehouse's facilities, by their id; none = the one in the settings. Raises ``NoFacility``."""
    if not location_id:
        return options.facility_id
    if not location_id.isdigit():
        raise NoFacility(f"The location {location_id} is not a facility of 3PL Warehouse Manager.")
    return int(location_id)


def routing(ship_method: str, options: ThreePLOptions) -> dict[str, str]:
    """``UPS: Ground`` names carrier and service, anything else the service of the carrier in the settings."""
    if not ship_method.strip():
        found = {"carrier": options.carrier, "mode": options.mode, "scacCode": options.scac_code}
    elif ":" in ship_method:
        carrier, _, mode = ship_method.partition(":")
        found = {"carrier": carrier.strip(), "mode": mode.strip()}
    else:
        found = {"carrier": options.carrier, "mode": ship_method.strip()}
    return {name: value for name, value in found.items() if value}


def contact(address: Address, name: str, email: str) -> dict[str, str]:
    return {
        "companyName": address.company,
        "name": address.name or name,
        "address1": address.street1,
        "address2": ", ".join(part for part in (address.street2, address.suburb) if part),
        "city": address.city,
        "state": address.state,
        "zip": address.postcode,
        "country": address.country,
        "phoneNumber": address.phone,
        "emailAddress": address.email or email,
    }


def item_body(line: OutboundLine) -> dict[str, Any]:
    """A plain SKU has an empty qualifier."""
    return {
        "itemIdentifier": {"sku": line.sku},
        "qualifier": "",
        "qty": number(line.quantity),
        "externalId": line.reference,
        "notes": line.note,
    }


# --- cancelling ------------------------------------------------------------------------------------------------------


def cancel(client: ThreePLClient, cancellation: OutboundCancellation) -> WriteResult:
    reference = cancellation.reference

    def act(current: Current) -> WriteResult:
        order = current.order
        if order.is_cancelled:
            return WriteResult.done(reference, order.id)
        if order.is_shipped:
            return WriteResult.rejected(
                reference, f"Order {reference} was shipped and cannot be cancelled.", FIX_SHIPPED
            )
        try:
            client.cancel_order(order.id, cancellation.reason or "Cancelled in the shop", current.etag)
        except Refusal as error:
            if error.code == CANCELLED_BEFORE:
                return WriteResult.done(reference, order.id)
            return WriteResult.rejected(
                reference, f"3PL Warehouse Manager does not cancel it: {error.message}", FIX_PICKED
            )
        return WriteResult.done(reference, order.id)

    return with_current(client, reference, cancellation.remote_id, act)


def with_current(
    client: ThreePLClient, reference: str, remote_id: str, act: Callable[[Current], WriteResult]
) -> WriteResult:
    """Does something with an order as it is now; starts over when it changed in between."""
    order_id = remote_id or order_id_of(client, reference)
    if not order_id:
        return not_there(reference)
    for _ in range(TRIES):
        try:
            return act(client.order(order_id))
        except Stale:
            continue
        except RecordRefused as error:
            if error.status == 404:
                return not_there(reference)
            raise
    raise RemoteUnavailable(f"Order {reference} keeps changing at the warehouse; the hub tries again later.")


def order_id_of(client: ThreePLClient, reference: str) -> str:
    known = client.find_order(reference)
    return known.id if known is not None else ""


def not_there(reference: str) -> WriteResult:
    return WriteResult.rejected(reference, f"3PL Warehouse Manager has no order with the reference {reference}.")


# --- changing --------------------------------------------------------------------------------------------------------


def change(client: ThreePLClient, options: ThreePLOptions, wanted: OutboundOrderChange) -> WriteResult:
    """Writes the order as it is wanted over the one that is there. Whether it took effect is read back, because the API
    does not describe what it does with lines that are left out."""
    order = wanted.order
    written = False

    def act(current: Current) -> WriteResult:
        nonlocal written
        now = current.order
        if now.is_cancelled or now.is_shipped:
            state = "cancelled" if now.is_cancelled else "shipped"
            return WriteResult.rejected(wanted.reference, f"Order {order.number} was {state} at the warehouse.", "")
        differs = difference(now, order, options)
        if not differs:
            return WriteResult.done(wanted.reference, now.id)
        if written:
            told = f"3PL Warehouse Manager took the change of order {order.number}, but kept the old {differs}."
            return WriteResult.rejected(wanted.reference, told, FIX_PICKED)
        if now.read_only.pick_done_date or now.read_only.pack_done_date:
            told = f"Order {order.number} is picked already."
            return WriteResult.rejected(wanted.reference, told, FIX_PICKED)
        try:
            client.replace_order(now.id, changed_body(current, order, options), current.etag)
        except Refusal as error:
            return WriteResult.rejected(
                wanted.reference, f"3PL Warehouse Manager refuses the change: {error.message}", FIX_PICKED
            )
        written = True
        raise Stale("The order was just written: read it again.")

    return with_current(client, order.reference, wanted.remote_id, act)


def difference(now: shapes.Order, order: OutboundOrder, options: ThreePLOptions) -> str:
    """What is not as it should be, in one word; "" when nothing."""
    there = quantities((item.sku, item.qty) for item in now.order_items)
    if there != quantities((line.sku, line.quantity) for line in order.lines):
        return "lines"
    wanted = contact(order.ship_to, order.customer_name, order.customer_email)
    if any(text(getattr(now.ship_to, name)) != wanted[key].strip() for name, key in CONTACT_FIELDS.items()):
        return "address"
    if text(now.notes) != order.note.strip():
        return "note"
    route = routing(order.ship_method, options)
    if any(text(getattr(now.routing_info, name)) != route[name] for name in ("carrier", "mode") if name in route):
        return "ship method"
    return ""


CONTACT_FIELDS = {
    "company_name": "companyName",
    "name": "name",
    "address1": "address1",
    "address2": "address2",
    "city": "city",
    "state": "state",
    "zip": "zip",
    "country": "country",
    "phone_number": "phoneNumber",
    "email_address": "emailAddress",
}


def quantities(rows: Iterable[tuple[str, Decimal]]) -> dict[str, Decimal]:
    """SKU -> quantity over all lines."""
    sums: dict[str, Decimal] = {}
    for sku, quantity in rows:
        key = sku.strip().casefold()
        sums[key] = sums.get(key, Decimal(0)) + quantity
    return sums


def changed_body(current: Current, order: OutboundOrder, options: ThreePLOptions) -> dict[str, Any]:
    """The order as it came, with our part of it replaced: what the warehouse added stays."""
    body = {name: value for name, value in current.raw.items() if fold(name) not in NOT_WRITTEN}
    own_routing, routed = member(body, "routingInfo")
    body[own_routing] = merged(routed, routing(order.ship_method, options))
    own_contact, ship_to = member(body, "shipTo")
    body[own_contact] = merged(ship_to, contact(order.ship_to, order.customer_name, order.customer_email))
    own_note, _ = member(body, "notes")
    body[own_note] = order.note
    body["orderItems"] = changed_items(current, order.lines)
    return jsonable(body)  # type: ignore[no-any-return]


def merged(raw: Any, values: Mapping[str, str]) -> dict[str, Any]:
    """``values`` over a raw record, under the names that it uses itself."""
    found = dict(raw) if isinstance(raw, dict) else {}
    for name, value in values.items():
        found[member(found, name)[0]] = value
    return found


def changed_items(current: Current, lines: Sequence[OutboundLine]) -> list[dict[str, Any]]:
    """Every line of the order, with the id of the item that stands for it at the warehouse where there is one."""
    left = list(current.order.order_items)
    bodies = []
    for line in lines:
        item = next((item for item in left if text(item.external_id) == line.reference), None)
        item = item or next((item for item in left if item.sku.casefold() == line.sku.strip().casefold()), None)
        body = item_body(line)
        if item is not None:
            left.remove(item)
            body["readOnly"] = {"orderItemId": int(item.id) if item.id.isdigit() else item.id}
        bodies.append(body)
    return bodies


def jsonable(value: Any) -> Any:
    """Numbers with a fraction back into JSON numbers."""
    if isinstance(value, Decimal):
        return number(value)
    if isinstance(value, dict):
        return {name: jsonable(member) for name, member in value.items()}
    if isinstance(value, list):
        return [jsonable(member) for member in value]
    return value
