"""Orders and returns as Tryton sales: made once, brought to their status, changed, cancelled.

A sale's ``reference`` is the mark from the settings and the hub's own reference; by it a lost answer is settled.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import msgspec

from connectors.errors import PermissionMissing, RecordRefused
from connectors.records import (
    OutboundCancellation,
    OutboundOrder,
    OutboundOrderChange,
    OutboundRefund,
    WriteResult,
)
from connectors.tryton.client import TrytonClient
from connectors.tryton.company import Company
from connectors.tryton.options import CONFIRMED, DRAFT, RECEIVED, TrytonOptions
from connectors.tryton.sale_values import OriginRow, Refusal, SaleValues

SALE_FIELDS = ("reference", "number", "state", "shipments", "shipment_returns", "invoices")
# Shipments of these states have left the shelf for good.
PACKED = ("packed", "shipped", "done")
NOT_PACKED = ("draft", "waiting", "assigned", "picked")
RETURN_MARK = "R/"
NO_CARRIER = (".no_carrier",)


class SaleRow(msgspec.Struct):
    id: int
    reference: str | None = None
    number: str | None = None
    state: str = ""
    shipments: list[int] = []
    shipment_returns: list[int] = []
    invoices: list[int] = []

    @property
    def name(self) -> str:
        return f"Sale {self.number or self.id}"


class DocumentRow(msgspec.Struct):
    id: int
    number: str | None = None
    state: str = ""


@dataclass(slots=True)
class Sales:
    client: TrytonClient
    company: Company
    values: SaleValues
    options: TrytonOptions

    def reference(self, ours: str) -> str:
        return f"{self.options.mark}{ours}"

    def return_reference(self, ours: str) -> str:
        return f"{self.options.mark}{RETURN_MARK}{ours}"

    # Orders

    def send(self, orders: Sequence[OutboundOrder]) -> list[WriteResult]:
        """Makes the sales in one call where all are well, and brings them to their status. One that Tryton has already
        is not made again."""
        known = self.known([self.reference(order.reference) for order in orders])
        results: dict[str, WriteResult] = {}
        fresh: dict[str, dict[str, Any]] = {}
        for order in orders:
            reference = self.reference(order.reference)
            if reference in known:
                results[order.reference] = self.arrived(order.reference, known[reference])
                continue
            try:
                fresh[order.reference] = self.values.of_order(order, reference)
            except Refusal as refusal:
                results[order.reference] = WriteResult.rejected(order.reference, str(refusal), refusal.fix)
            except PermissionMissing:
                raise
            except RecordRefused as error:
                results[order.reference] = WriteResult.rejected(order.reference, error.message, error.fix)
        for ours, made in self.make(fresh).items():
            results[ours] = made
        return [results[order.reference] for order in orders]

    def make(self, fresh: dict[str, dict[str, Any]]) -> dict[str, WriteResult]:
        """All in one call; if Tryton refuses one of them, each in a call of its own."""
        if not fresh:
            return {}
        try:
            ids = self.client.create("sale.sale", list(fresh.values()))
        except RecordRefused as error:
            if len(fresh) == 1:
                return {ours: WriteResult.rejected(ours, error.message, error.fix) for ours in fresh}
            return {ours: result for ours, values in fresh.items() for result in self.make({ours: values}).values()}
        made = dict(zip(fresh, ids, strict=True))
        if len(made) > 1:
            try:
                self.advance(ids)
            except RecordRefused:
                pass  # one of them is not accepted: each for itself shows which, and why
            else:
                return {ours: WriteResult.done(ours, str(key)) for ours, key in made.items()}
        rows = {row.id: row for row in self.client.read("sale.sale", ids, SALE_FIELDS, SaleRow)}
        return {ours: self.arrived(ours, rows[key]) for ours, key in made.items()}

    def advance(self, ids: Sequence[int]) -> None:
        """From draft to the status in the settings."""
        if self.options.order_status == DRAFT:
            return
        self.client.press("sale.sale", "quote", ids)
        if self.options.order_status == CONFIRMED:
            self.client.press("sale.sale", "confirm", ids)
            if self.options.pack_orders:
                self.pack(ids)

    def arrived(self, ours: str, sale: SaleRow) -> WriteResult:
        """A sale that Tryton has, brought to its status if it got stuck on the way. One that Tryton does not accept is
        taken out again, so that it can be corrected and sent anew."""
        try:
            self.bring_on(sale)
        except RecordRefused as error:
            return self.not_accepted(ours, sale, error)
        return WriteResult.done(ours, str(sale.id))

    def bring_on(self, sale: SaleRow) -> None:
        wanted = self.options.order_status
        if sale.state == "draft" and wanted != DRAFT:
            self.client.press("sale.sale", "quote", [sale.id])
            sale.state = "quotation"
        if sale.state == "quotation" and wanted == CONFIRMED:
            self.client.press("sale.sale", "confirm", [sale.id])
            sale.state = "confirmed"
            if self.options.pack_orders:
                self.pack([sale.id])
        elif sale.state == "confirmed":
            # Tryton processes it by itself, unless it failed at that.
            self.client.press("sale.sale", "process", [sale.id])

    def not_accepted(self, ours: str, sale: SaleRow, error: RecordRefused) -> WriteResult:
        [now] = self.client.read("sale.sale", [sale.id], SALE_FIELDS, SaleRow)
        if now.state not in ("draft", "quotation"):
            return WriteResult.rejected(
                ours,
                f"{now.name} is in Tryton, but cannot be processed. {error.message}",
                "Put right in Tryton what it says, then release the order here: it is not made a second time.",
            )
        if now.state == "quotation":
            self.client.press("sale.sale", "draft", [now.id])
        self.client.delete("sale.sale", [now.id])
        return WriteResult.rejected(ours, error.message, error.fix)

    def pack(self, ids: Sequence[int]) -> None:
        """Picks and packs what there is enough stock for. The rest waits for a person, as it would anyway."""
        for sale in self.client.read("sale.sale", ids, SALE_FIELDS, SaleRow):
            for state, button in (
                ("draft", "wait"),
                ("waiting", "assign_try"),
                ("assigned", "pick"),
                ("picked", "pack"),
            ):
                due = [row.id for row in self.shipments(sale) if row.state == state]
                if due:
                    self.client.press("stock.shipment.out", button, due, yes_to=NO_CARRIER)

    def shipments(self, sale: SaleRow) -> list[DocumentRow]:
        return self.client.read("stock.shipment.out", sale.shipments, ("number", "state"), DocumentRow)

    def known(self, references: Sequence[str]) -> dict[str, SaleRow]:
        """Of several sales with one reference (an order that was changed), the one that counts now."""
        domain = [["company", "=", self.company.id], ["reference", "in", list(references)]]
        rows = self.client.find("sale.sale", domain, SALE_FIELDS, SaleRow)
        found: dict[str, SaleRow] = {}
        for row in rows:
            before = found.get(row.reference or "")
            if before is None or row.state != "cancelled":
                found[row.reference or ""] = row
        return found

    def find_sent(self, ours: str) -> str | None:
        """The sale's id, once it has the status that it should have. One that Tryton does not accept is taken out, so it
        has not arrived. Raises ``RecordRefused`` for one that stays there and cannot be processed."""
        sale = self.known([self.reference(ours)]).get(self.reference(ours))
        if sale is None:
            return None
        result = self.arrived(ours, sale)
        if result.ok:
            return result.remote_id
        if self.known([self.reference(ours)]):
            raise RecordRefused(result.reason, fix=result.fix)
        return None

    # Cancelling and changing

    def cancel(self, wish: OutboundCancellation) -> WriteResult:
        sale = self.known([self.reference(wish.reference)]).get(self.reference(wish.reference))
        if sale is None:
            return WriteResult.rejected(
                wish.reference,
                f"Tryton has no sale with the reference {self.reference(wish.reference)}.",
                "Look in Tryton whether somebody changed the reference of the sale, and cancel it there.",
            )
        try:
            problem = self.take_back(sale)
        except RecordRefused as error:
            return WriteResult.rejected(wish.reference, error.message, error.fix)
        if problem:
            return WriteResult.rejected(
                wish.reference, problem, "Stop the parcel by hand, or take the goods back as a return."
            )
        return replace(WriteResult.done(wish.reference, str(sale.id)), reason=self.drop_invoices(sale))

    def take_back(self, sale: SaleRow) -> str:
        """Cancels a sale. Returns why it is too late, or "". Tryton cancels no sale that it processes: then its
        shipments are cancelled, and the sale is told that this is right."""
        if sale.state == "cancelled":
            return ""
        if sale.state == "confirmed":
            self.client.press("sale.sale", "process", [sale.id])
            [sale] = self.client.read("sale.sale", [sale.id], SALE_FIELDS, SaleRow)
        if sale.state in ("draft", "quotation"):
            self.client.press("sale.sale", "cancel", [sale.id])
            return ""
        shipments = self.shipments(sale)
        gone = [row for row in shipments if row.state in PACKED]
        if gone:
            return f"{sale.name} cannot be cancelled: its shipment {gone[0].number or gone[0].id} is {gone[0].state}."
        due = [row.id for row in shipments if row.state in NOT_PACKED]
        if due:
            self.client.press("stock.shipment.out", "cancel", due)
        self.settle(sale, "shipment")
        return ""

    def drop_invoices(self, sale: SaleRow) -> str:
        """Cancels the draft invoices of a sale that was taken back. Returns what a person has to do about them."""
        if not sale.invoices:
            return ""
        left = f"The invoice stays: cancel or credit the one of {sale.name} in Tryton."
        domain = [["id", "in", sale.invoices], ["state", "!=", "cancelled"]]
        try:
            rows = self.client.find("account.invoice", domain, ("number", "state"), DocumentRow)
            drafts = [row.id for row in rows if row.state in ("draft", "validated")]
            if drafts:
                self.client.press("account.invoice", "cancel", drafts)
            self.settle(sale, "invoice")
        except PermissionMissing:
            return left
        return left if len(drafts) < len(rows) else ""

    def settle(self, sale: SaleRow, what: str) -> None:
        """Tells a sale that its cancelled shipments (or invoices) are not to be made anew."""
        kind = "moves" if what == "shipment" else "invoices"
        wizard = f"sale.handle.{what}.exception"
        [told] = self.client.walk(wizard, [("ask", {})], model="sale.sale", record=sale.id)
        open_ones = ((told.get("view") or {}).get("defaults") or {}).get(f"domain_{kind}") or []
        if open_ones:
            answer = {f"domain_{kind}": open_ones, f"recreate_{kind}": [], f"ignore_{kind}": open_ones}
            self.client.walk(wizard, [("handle", {"ask": answer})], model="sale.sale", record=sale.id)

    def change(self, change: OutboundOrderChange) -> WriteResult:
        """A sale that Tryton does not process yet is written anew; one that waits to be packed is taken back, and the
        changed order is a new sale with the same reference."""
        reference = self.reference(change.order.reference)
        sale = self.known([reference]).get(reference)
        if sale is None or sale.state == "cancelled":
            return WriteResult.rejected(
                change.reference, f"Tryton has no open sale with the reference {reference}.", "Send the order again."
            )
        if self.carries(sale.id, change.reference):
            return self.renamed(self.arrived(change.order.reference, sale), change.reference)
        try:
            values = self.values.of_order(change.order, reference)
        except Refusal as refusal:
            return WriteResult.rejected(change.reference, str(refusal), refusal.fix)
        values["notes"] = [["create", [{"message": change.reference}]]]
        try:
            problem = self.take_back(sale)
        except RecordRefused as error:
            return WriteResult.rejected(change.reference, error.message, error.fix)
        if problem:
            return WriteResult.rejected(
                change.reference, problem, "Change it in Tryton by hand, or agree with the customer on something else."
            )
        self.drop_invoices(sale)
        return self.renamed(self.make({change.order.reference: values})[change.order.reference], change.reference)

    def carries(self, sale: int, note: str) -> bool:
        """Was this very change carried out before? The sale that it made has a note that says so."""
        domain = [["resource", "=", f"sale.sale,{sale}"], ["message", "=", note]]
        return bool(self.client.find("ir.note", domain, ("id",), DocumentRow, limit=1))

    @staticmethod
    def renamed(result: WriteResult, reference: str) -> WriteResult:
        return replace(result, reference=reference)

    # Returns

    def send_refund(self, refund: OutboundRefund) -> WriteResult:
        reference = self.return_reference(refund.reference)
        known = self.known([reference]).get(reference)
        try:
            if known is None:
                values = self.values.of_refund(refund, reference, self.origin(refund))
                [key] = self.client.create("sale.sale", [values])
                known = SaleRow(id=key, state="draft")
            self.bring_return_on(known, receive=refund.restock is not False)
        except Refusal as refusal:
            return WriteResult.rejected(refund.reference, str(refusal), refusal.fix)
        except PermissionMissing:
            raise
        except RecordRefused as error:
            if known is not None:
                return self.not_accepted(refund.reference, known, error)
            return WriteResult.rejected(refund.reference, error.message, error.fix)
        return WriteResult.done(refund.reference, str(known.id))

    def origin(self, refund: OutboundRefund) -> OriginRow | None:
        if not refund.order_reference:
            return None
        sale = self.known([self.reference(refund.order_reference)]).get(self.reference(refund.order_reference))
        rows = self.client.read("sale.sale", [sale.id], ("party", "invoice_address"), OriginRow) if sale else []
        return rows[0] if rows else None

    def bring_return_on(self, sale: SaleRow, *, receive: bool) -> None:
        """A return is always confirmed, so that its goods are expected. ``receive``: may they be put in stock at once,
        where the settings want that?"""
        if sale.state == "draft":
            self.client.press("sale.sale", "quote", [sale.id])
            sale.state = "quotation"
        if sale.state == "quotation":
            self.client.press("sale.sale", "confirm", [sale.id])
        elif sale.state == "confirmed":
            self.client.press("sale.sale", "process", [sale.id])
        if not receive or self.options.return_status != RECEIVED:
            return
        [now] = self.client.read("sale.sale", [sale.id], SALE_FIELDS, SaleRow)
        for state, button in (("draft", "receive"), ("received", "do")):
            rows = self.client.read("stock.shipment.out.return", now.shipment_returns, ("number", "state"), DocumentRow)
            due = [row.id for row in rows if row.state == state]
            if due:
                self.client.press("stock.shipment.out.return", button, due)

    def find_refund(self, ours: str) -> str | None:
        """The return's id, once it is where the settings want it. Whether its goods may be put in stock at once is known
        only to whoever sends it, so that is left to a person."""
        reference = self.return_reference(ours)
        sale = self.known([reference]).get(reference)
        if sale is None:
            return None
        try:
            self.bring_return_on(sale, receive=False)
        except RecordRefused as error:
            refused = self.not_accepted(ours, sale, error)
            if reference not in self.known([reference]):
                return None
            raise RecordRefused(refused.reason, fix=refused.fix) from error
        return str(sale.id)
