"""Stock transfers as Tryton internal shipments. Between two warehouses Tryton keeps the goods in transit until they are
received."""

from __future__ import annotations

from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any

import msgspec

from connectors.errors import PermissionMissing, RecordRefused
from connectors.records import ZERO, OutboundStockTransfer, TransferStep, WriteResult
from connectors.tryton.catalogue import Article, Articles
from connectors.tryton.client import TrytonClient
from connectors.tryton.company import Company, LocationUnknown
from connectors.tryton.stocktakes import goods_of, plain
from connectors.tryton.wire import quantity

TRANSFER_MARK = "T/"
MODEL = "stock.shipment.internal"
# What the shop did is a fact: no carrier is known, and what arrives may be more or less than what was sent.
FACTS = (".no_carrier", ".check_quantity_product")
# State -> the button that leads on. Goods that the shop sent are gone, whatever Tryton thinks that there was.
TO_SENT = {"request": "draft", "draft": "wait", "waiting": "assign_force", "assigned": "pack", "packed": "ship"}
SENT_STATES = ("shipped", "done")


class TransferRow(msgspec.Struct):
    id: int
    state: str = ""
    number: str | None = None
    incoming_moves: list[int] = []


class MoveRow(msgspec.Struct):
    id: int
    product: int
    quantity: Decimal = ZERO


@dataclass(slots=True)
class Transfers:
    client: TrytonClient
    company: Company
    articles: Articles
    mark: str

    def reference(self, transfer: OutboundStockTransfer) -> str:
        return f"{self.mark}{TRANSFER_MARK}{transfer.transfer_reference}"

    def known(self, transfer: OutboundStockTransfer) -> TransferRow | None:
        domain = [
            ["company", "=", self.company.id],
            ["reference", "=", self.reference(transfer)],
            ["state", "!=", "cancelled"],
        ]
        rows = self.client.find(MODEL, domain, ("state", "number", "incoming_moves"), TransferRow)
        return rows[0] if rows else None

    def find(self, transfer: OutboundStockTransfer) -> str | None:
        row = self.known(transfer)
        wanted = SENT_STATES if transfer.step is TransferStep.SENT else ("done",)
        return str(row.id) if row is not None and row.state in wanted else None

    def send(self, transfer: OutboundStockTransfer) -> WriteResult:
        """Goes on from where an earlier step, or an earlier try, left the shipment in Tryton."""
        known, problems = goods_of(self.articles, transfer.lines)
        if not known:
            return WriteResult.rejected(
                transfer.reference,
                " ".join(problems) or "There is nothing to move.",
                "Add the products in Tryton with these SKUs as their codes, then reprocess it.",
            )
        try:
            row = self.known(transfer) or self.make(transfer, known)
            problems += self.carry_out(row, transfer.step, known)
        except LocationUnknown as problem:
            return WriteResult.rejected(transfer.reference, str(problem), problem.fix)
        except PermissionMissing:
            raise
        except RecordRefused as error:
            return WriteResult.rejected(transfer.reference, error.message, error.fix)
        return replace(WriteResult.done(transfer.reference, str(row.id)), reason=" ".join(problems))

    def make(self, transfer: OutboundStockTransfer, known: dict[int, tuple[Article, Decimal]]) -> TransferRow:
        source, target = self.company.place(transfer.from_location_id), self.company.place(transfer.to_location_id)
        if source.id == target.id:
            raise LocationUnknown(
                f"Both ends of the transfer are the Tryton warehouse {source.name}.",
                "Give each outlet's cart a location of its own under Sync Inventory With Warehouse.",
            )
        day = self.company.day_of(self.client.now())
        both = {"from_location": source.storage, "to_location": target.storage, "company": self.company.id}
        moves: list[dict[str, Any]] = [
            {**both, "product": key, "unit": article.default_uom, "quantity": quantity(wanted), "planned_date": day}
            for key, (article, wanted) in known.items()
        ]
        values = {
            **both,
            "reference": self.reference(transfer),
            "planned_date": day,
            "planned_start_date": day,
            "moves": [["create", moves]],
        }
        [key] = self.client.create(MODEL, [values])
        return TransferRow(id=key, state="draft")

    def carry_out(self, row: TransferRow, step: TransferStep, known: dict[int, tuple[Article, Decimal]]) -> list[str]:
        """Brings the shipment to where this step ends. Returns what a person should look at."""
        while row.state in TO_SENT:
            before = row
            self.client.press(MODEL, TO_SENT[row.state], [row.id], yes_to=FACTS)
            row = self.now(row)
            if row.state == before.state:
                raise RecordRefused(
                    f"The internal shipment {row.number or row.id} stays {row.state} in Tryton.",
                    fix="Carry it out in Tryton, then reprocess it here.",
                )
        if step is TransferStep.SENT or row.state == "done":
            return []
        problems = self.count_arrivals(row, known) if step is TransferStep.RECEIVED else []
        self.client.press(MODEL, "do", [row.id], yes_to=FACTS)
        return problems

    def now(self, row: TransferRow) -> TransferRow:
        [fresh] = self.client.read(MODEL, [row.id], ("state", "number", "incoming_moves"), TransferRow)
        return fresh

    def count_arrivals(self, row: TransferRow, known: dict[int, tuple[Article, Decimal]]) -> list[str]:
        """Another quantity arrived than was sent: the difference stays in transit, for a person to look for."""
        problems = []
        left = {key: wanted for key, (_, wanted) in known.items()}
        for move in self.client.read("stock.move", row.incoming_moves, ("product", "quantity"), MoveRow):
            arrived = left.pop(move.product, ZERO)
            if arrived != move.quantity:
                self.client.write("stock.move", [move.id], {"quantity": quantity(arrived)})
                code = known[move.product][0].code if move.product in known else f"product {move.product}"
                problems.append(f"{plain(arrived)} of {code} arrived, {plain(move.quantity)} were sent.")
        for key in left:
            problems.append(
                f"{plain(left[key])} of {known[key][0].code} arrived that were not sent: count them in Tryton."
            )
        return problems
