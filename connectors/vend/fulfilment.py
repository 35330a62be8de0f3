"""Shipment Confirmation: tells Vend what of a delivery or pickup sale left the warehouse (vend.md section 3.8).

A sale that was handed over at the till has nothing to confirm. In the dated family lines are confirmed one by one, each
call naming the fulfilment's version; API 2.0 can only confirm a whole sale.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from decimal import Decimal

from connectors.errors import ConnectorError, ContractBroken, OutcomeUnknown, RecordRefused, RemoteUnavailable
from connectors.records import ZERO, OutboundShipment, RemoteOrderState, WriteResult
from connectors.vend import sale_note, shapes
from connectors.vend.client import VendClient
from connectors.vend.errors import Unreadable
from connectors.vend.mapping import amount
from connectors.vend.shapes import Text, text
from connectors.vend.status import read_status
from connectors.vend.stock import plain_number

# How often a fulfilment that someone else keeps changing is read again before the hub gives way.
MOST_CONFLICTS = 4

METHODS = ("delivery", "pickup")
LEGACY_KINDS = {"delivery": "SHIPPED", "pickup": "PICKED_UP"}

FIX_SALE = "Open the sale in Vend and look at its delivery. If it is as it should be, ignore this; else reprocess."


class SaleLineId(shapes.Loose):
    id: Text = None


class ShippedSale(shapes.Loose):
    """What of a sale of either family matters here."""

    id: Text = None
    state: Text = None
    status: Text = None
    attributes: list[Text] | None = None
    line_items: list[SaleLineId] | None = None


class FulfilmentLine(shapes.Loose):
    """Quantities are decimal texts."""

    sale_line_item_id: Text = None
    quantity: Decimal | None = None
    fulfilled_quantity: Decimal | None = None


class Fulfilment(shapes.Loose):
    id: Text = None
    sale_id: Text = None
    type: Text = None
    state: Text = None
    version: int | None = None
    line_items: list[FulfilmentLine] | None = None


SALES = shapes.Reader(ShippedSale)
FULFILMENTS = shapes.Reader(Fulfilment)


def confirm(client: VendClient, shipment: OutboundShipment, *, tracking_in_note: bool = False) -> WriteResult:
    """Confirms one shipment. A done result may carry a ``reason``: what of it could not be told to Vend.

    ``OutcomeUnknown`` is only raised when asking again is safe; a part shipment whose fate stays open comes back
    rejected instead, for a person to look at.
    """
    try:
        raw = client.sale(shipment.order_id)
        sale = SALES.read(raw)
    except Unreadable as error:
        raise ContractBroken(f"The sale cannot be read: {error}") from error
    except RecordRefused as error:
        if client.is_dated:
            return refused(shipment, f"Vend does not give the sale: {error.message}")
        # API 2.0 may not give sales that are still open (section 3.3).
        return whole_sale(client, shipment, LEGACY_KINDS["delivery"])
    status = read_status(text(sale.status), text(sale.state), [text(word) for word in sale.attributes or ()])
    method = next((name for name in METHODS if name in status.attributes), "")
    if status.state is RemoteOrderState.CANCELLED:
        return refused(shipment, "The sale was voided in Vend, so its shipment cannot be confirmed.")
    if not method:
        return WriteResult.done(shipment.reference)
    if status.state is RemoteOrderState.DRAFT:
        return refused(shipment, "The sale is parked in Vend, so there is nothing to confirm yet.")
    # First the note: a sale that is wholly confirmed is finished, and a finished sale cannot be changed.
    remark = sale_note.add_tracking(client, raw, shipment) if tracking_in_note else ""
    if status.state is RemoteOrderState.COMPLETE:
        result = WriteResult.done(shipment.reference)
    elif client.is_dated:
        result = LineConfirmation(client, shipment, sale).run()
    else:
        result = whole_sale(client, shipment, LEGACY_KINDS[method])
    return replace(result, reason="\n".join(filter(None, (result.reason, remark)))) if remark else result


# --- API 2.0 ---------------------------------------------------------------------------------------------------------


def whole_sale(client: VendClient, shipment: OutboundShipment, kind: str) -> WriteResult:
    """Confirms all of a sale, once the shipment completes it. What Vend has confirmed already is left alone."""
    if not shipment.completes:
        return replace(
            WriteResult.done(shipment.reference),
            reason="API 2.0 can only confirm a whole sale: Vend is told when the last of this order has left.",
        )
    try:
        if not client.handed_over(shipment.order_id):
            client.fulfil_sale(shipment.order_id, kind)
    except RecordRefused as error:
        return refused(shipment, f"Vend refuses the confirmation: {error.message}")
    return WriteResult.done(shipment.reference)


# --- dated family ----------------------------------------------------------------------------------------------------


class LineConfirmation:
    """Confirms the lines of one shipment, one call for each fulfilment that holds some of them.

    ``left``: quantity by line id that Vend has still to be told. ``is_repeatable``: once this shipment is confirmed nothing
    is open on its lines, so that confirming it again would change nothing.
    """

    def __init__(self, client: VendClient, shipment: OutboundShipment, sale: ShippedSale) -> None:
        self.client = client
        self.shipment = shipment
        self.sale_lines = {text(line.id) for line in sale.line_items or ()}
        self.left: dict[str, Decimal] = {}
        self.is_repeatable = True
        self.may_have_written = False

    def run(self) -> WriteResult:
        fulfilments = self.read()
        if not fulfilments:
            return refused(self.shipment, "Vend has no delivery for this sale, so there is nothing to confirm.")
        open_lines = open_quantities(fulfilments)
        strange = [
            row.line_reference for row in self.shipment.lines if row.line_reference not in self.known(open_lines)
        ]
        if strange:
            return refused(self.shipment, f"The sale has no line “{strange[0]}”.")
        self.left = wanted(self.shipment, open_lines)
        self.is_repeatable = all(quantity >= open_lines.get(line, ZERO) for line, quantity in self.left.items())
        try:
            self.confirm_all(fulfilments)
        except RecordRefused as error:
            return refused(self.shipment, f"Vend refuses the confirmation: {error.message}")
        except ConnectorError as error:
            is_open = self.may_have_written or isinstance(error, OutcomeUnknown)
            if self.is_repeatable or not is_open:
                raise
            return refused(
                self.shipment, f"It is not known whether Vend took this part shipment in full: {error.message}"
            )
        return WriteResult.done(self.shipment.reference)

    def known(self, open_lines: Mapping[str, Decimal]) -> set[str]:
        return self.sale_lines | set(open_lines)

    def read(self) -> list[Fulfilment]:
        """The sale's deliveries and pickups as they are now."""
        try:
            rows = [FULFILMENTS.read(raw) for raw in self.client.fulfilments(self.shipment.order_id)]
        except Unreadable as error:
            raise ContractBroken(f"The sale's fulfilments cannot be read: {error}") from error
        return [
            row for row in rows if text(row.sale_id) in ("", self.shipment.order_id) and text(row.type) != "SERVICE"
        ]

    def confirm_all(self, fulfilments: Sequence[Fulfilment]) -> None:
        """Goes through the fulfilments, again on fresh ones after each conflict."""
        for _ in range(MOST_CONFLICTS):
            try:
                for fulfilment in fulfilments:
                    self.confirm_one(fulfilment)
            except RecordRefused as error:
                if error.status != 409:
                    raise
                fulfilments = self.read()
            else:
                return
        raise RemoteUnavailable("The delivery of this sale is being changed in Vend again and again.")

    def confirm_one(self, fulfilment: Fulfilment) -> None:
        """As much of what is left as this fulfilment has open."""
        rows = {}
        for line, quantity in open_quantities([fulfilment]).items():
            share = min(quantity, self.left.get(line, ZERO))
            if share > ZERO:
                rows[line] = share
        if not rows:
            return
        self.send(fulfilment, rows)
        self.may_have_written = True
        for line, quantity in rows.items():
            self.left[line] -= quantity

    def send(self, fulfilment: Fulfilment, rows: Mapping[str, Decimal]) -> None:
        """A request that got no answer is sent again as it was: with the same version Vend takes it once only. If it has
        become a conflict meanwhile, what Vend shows tells whether the first one arrived."""
        request = text(fulfilment.id), fulfilment.version or 0, rows
        try:
            self.fulfil(*request)
        except OutcomeUnknown:
            self.may_have_written = True
            try:
                self.fulfil(*request)
            except RecordRefused as error:
                if error.status != 409 or not self.has_arrived(fulfilment, rows):
                    raise

    def fulfil(self, fulfilment_id: str, version: int, rows: Mapping[str, Decimal]) -> None:
        self.client.fulfil(fulfilment_id, version, {line: plain_number(quantity) for line, quantity in rows.items()})

    def has_arrived(self, before: Fulfilment, rows: Mapping[str, Decimal]) -> bool:
        now = [fulfilment for fulfilment in self.read() if text(fulfilment.id) == text(before.id)]
        earlier, later = fulfilled_quantities([before]), fulfilled_quantities(now)
        return all(later.get(line, ZERO) >= earlier.get(line, ZERO) + quantity for line, quantity in rows.items())


def wanted(shipment: OutboundShipment, open_lines: Mapping[str, Decimal]) -> dict[str, Decimal]:
    """Quantity by line id; a shipment without lines holds everything that was open."""
    if not shipment.lines:
        return dict(open_lines)
    quantities: dict[str, Decimal] = {}
    for row in shipment.lines:
        quantities[row.line_reference] = quantities.get(row.line_reference, ZERO) + row.quantity
    return quantities


def open_quantities(fulfilments: Sequence[Fulfilment]) -> dict[str, Decimal]:
    """Line id -> what is not handed over yet. A finished fulfilment has nothing open."""
    quantities: dict[str, Decimal] = {}
    for fulfilment in fulfilments:
        is_done = text(fulfilment.state) == "FULFILLED"
        for line in fulfilment.line_items or ():
            rest = ZERO if is_done else amount(line.quantity) - amount(line.fulfilled_quantity)
            line_id = text(line.sale_line_item_id)
            quantities[line_id] = quantities.get(line_id, ZERO) + max(rest, ZERO)
    return quantities


def fulfilled_quantities(fulfilments: Sequence[Fulfilment]) -> dict[str, Decimal]:
    return {
        text(line.sale_line_item_id): amount(line.fulfilled_quantity)
        for fulfilment in fulfilments
        for line in fulfilment.line_items or ()
    }


def refused(shipment: OutboundShipment, reason: str) -> WriteResult:
    return WriteResult.rejected(shipment.reference, reason, FIX_SALE)
