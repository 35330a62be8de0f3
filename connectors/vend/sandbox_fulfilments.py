"""Fulfilments of delivery, pickup and service sales. Source: vend.md 3.8; stock moves when goods are handed over (3.6)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any

from connectors.vend.sandbox_core import Record, bad_request, conflict, decimal_of, not_found, unprocessable
from connectors.vend.sandbox_sale import ZERO, Sale, SaleLine
from connectors.vend.sandbox_sales import SalesBook

# sale attribute -> (fulfilment type, 2.0 status)
KINDS = {
    "delivery": ("DISPATCH", "SHIPPED"),
    "pickup": ("PICKUP", "PICKED_UP"),
    "service": ("SERVICE", "PICKED_UP"),
}
HALF_CENT = Decimal("0.005")


class FulfilmentBook(SalesBook):
    """One fulfilment per waiting sale, with its own version for optimistic locking."""

    def __init__(self, seed: int, now: Callable[[], datetime], tax_exclusive: bool) -> None:
        self._fulfilments: dict[str, Record] = {}
        self._of_sale: dict[str, Record] = {}
        super().__init__(seed, now, tax_exclusive)

    @property
    def fulfilments(self) -> list[Record]:
        with self.lock:
            return list(self._fulfilments.values())

    def fulfilment(self, fulfilment_id: str) -> Record:
        try:
            return self._fulfilments[fulfilment_id]
        except KeyError:
            raise not_found("The fulfillment") from None

    def fulfilments_of(self, sale: Sale) -> list[Record]:
        record = self._of_sale.get(sale.id)
        return [record] if record else []

    def fulfilment_changed(self, sale: Sale) -> None:
        """Keeps the fulfilment of a changed sale in step with it."""
        known = self.fulfilments_of(sale)
        if sale.state == "voided":
            for record in known:
                del self._fulfilments[record["id"]], self._of_sale[sale.id]
        elif not known and sale.state == "pending" and sale.awaits_fulfilment:
            self._add_fulfilment(sale)
        elif sale.state == "closed":
            for record in known:
                if record["state"] != "FULFILLED":
                    for line in goods_lines(self, sale):
                        line.fulfilled = line.quantity
                    self._advance(record, "FULFILLED")

    def _add_fulfilment(self, sale: Sale) -> None:
        kind = next(KINDS[name] for name in KINDS if name in sale.attributes)
        record = Record(
            id=str(self.new_number()),
            uuid=self.new_id(),
            outlet_id=sale.outlet_id,
            sale_id=sale.id,
            type=kind[0],
            legacy_status=kind[1],
            state="OPEN",
            user_ids=[],
            note=sale.fulfilment_note,
            shipping_address_id=str(sale.ship_to_address_id) if sale.ship_to_address_id else None,
            created_at=self.now(),
            updated_at=self.now(),
            version=1,
            last_request=None,
        )
        self._fulfilments[record["id"]] = self._of_sale[sale.id] = record

    def _advance(self, record: Record, state: str) -> None:
        record["state"] = state
        record["version"] += 1
        record["updated_at"] = self.now()

    def fulfil_sale(self, sale: Any) -> list[Record]:
        """Hands over everything that is left. Raises ``Refusal`` 404 when there is nothing to fulfil, 409 when the
        sale is voided. Repeating it changes nothing."""
        with self.lock:
            record = self.sale(sale)
            if record.state == "voided":
                raise conflict("The sale is voided.")
            found = self.fulfilments_of(record)
            if not found:
                raise not_found("A fulfillment of this sale")
            for fulfilment in found:
                if fulfilment["state"] != "FULFILLED":
                    for line in goods_lines(self, record):
                        line.fulfilled = line.quantity
                    self._handed_over(fulfilment, record)
            return found

    def work_on_fulfilment(self, fulfilment_id: str, action: str, body: Mapping[str, Any]) -> Record:
        """``fulfill``, ``pick`` or ``pack`` lines. Raises ``Refusal``: 404, 409 for a version that is not the current
        one, 400 for unknown lines and too large quantities. The same request again gives the same answer."""
        with self.lock:
            record = self.fulfilment(fulfilment_id)
            if record["last_request"] == (action, body):
                return record
            version, rows = body.get("version"), body.get("line_items")
            if not isinstance(version, int) or not isinstance(rows, list):
                raise bad_request("version and line_items are required.")
            if version != record["version"]:
                raise conflict(f"The fulfillment is at version {record['version']}, not {version}.")
            sale = self.sale(record["sale_id"])
            lines = {line.id: line for line in goods_lines(self, sale)}
            wanted = [(lines.get(row.get("sale_line_item_id")), decimal_of(row.get("quantity", 0))) for row in rows]
            for line, quantity in wanted:
                if line is None or quantity <= 0 or quantity > left_to(action, line):
                    raise bad_request("A line is unknown, or its quantity is more than what is left.")
            for line, quantity in wanted:
                if line is not None:
                    advance_line(action, line, quantity)
            if action == "fulfill":
                self._handed_over(record, sale)
            else:
                self._advance(record, state_of(list(lines.values())))
            record["last_request"] = (action, body)
            return record

    def _handed_over(self, record: Record, sale: Sale) -> None:
        """Stock follows the lines; the sale closes once everything is handed over and paid."""
        lines = goods_lines(self, sale)
        self._advance(record, state_of(lines))
        finished = all(line.fulfilled >= line.quantity for line in lines)
        paid = sale.total_paid >= sale.total_price_incl - HALF_CENT
        if finished and paid and sale.state == "pending":
            sale.state = "closed"
        self.sale_changed(sale)

    def fulfil_legacy(self, sale: Any, kind: str) -> Record:
        """2.0 ``POST sales/{id}/fulfill``. Raises ``Refusal`` 422 for a kind that does not fit the sale."""
        with self.lock:
            record = self.sale(sale)
            found = self.fulfilments_of(record)
            if not found:
                raise not_found("A fulfillment of this sale")
            if kind != found[0]["legacy_status"]:
                raise unprocessable(f"The sale cannot be fulfilled as {kind}.")
            return self.fulfil_sale(record)[0]


def goods_lines(store: SalesBook, sale: Sale) -> list[SaleLine]:
    """The lines of a sale that are handed over: not void, no discount, no return."""
    discount_id = store.discount_product["id"]
    return [line for line in sale.line_items if line.counts and line.quantity > 0 and line.product_id != discount_id]


def left_to(action: str, line: SaleLine) -> Decimal:
    if action == "pick":
        return line.quantity - line.picked - line.fulfilled
    if action == "pack":
        return line.quantity - line.packed - line.fulfilled
    return line.quantity - line.fulfilled


def advance_line(action: str, line: SaleLine, quantity: Decimal) -> None:
    if action == "pick":
        line.picked += quantity
    elif action == "pack":
        line.packed += quantity
        line.picked = max(ZERO, line.picked - quantity)
    else:
        line.fulfilled += quantity
        line.packed = max(ZERO, line.packed - quantity)


def state_of(lines: list[SaleLine]) -> str:
    if all(line.fulfilled >= line.quantity for line in lines):
        return "FULFILLED"
    if all(line.fulfilled + line.packed >= line.quantity for line in lines):
        return "PACKED"
    if all(line.fulfilled + line.packed + line.picked >= line.quantity for line in lines):
        return "PICKED"
    return "STARTED" if any(line.fulfilled or line.packed or line.picked for line in lines) else "OPEN"
