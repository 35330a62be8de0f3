"""Stock adjustments as Tryton inventories: counts of what should be there now, so that the level changes by just the
difference.

A count is made in three calls: a draft that says what Tryton expects, the counted quantities, the confirmation. Only the
last one moves stock, by the difference to what the draft expected: whatever else moves in between keeps its effect. The
draft carries the hub's reference as a note before anything is counted.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from decimal import Decimal

import msgspec

from connectors.errors import PermissionMissing, RecordRefused
from connectors.records import ZERO, OutboundStockAdjustment, OutboundStockLine, WriteResult
from connectors.tryton.catalogue import Article, Articles
from connectors.tryton.client import TrytonClient
from connectors.tryton.company import Company, LocationUnknown
from connectors.tryton.wire import quantity

ADJUSTMENT_MARK = "A/"
MODEL = "stock.inventory"
LOOKED_THROUGH_AT_ONCE = 1000


class NoteRow(msgspec.Struct):
    id: int
    resource: str | None = None


class InventoryRow(msgspec.Struct):
    id: int
    state: str = ""


class LineRow(msgspec.Struct):
    id: int
    product: int
    expected_quantity: Decimal = ZERO


@dataclass(slots=True)
class Stocktakes:
    client: TrytonClient
    company: Company
    articles: Articles
    mark: str

    def reference(self, ours: str) -> str:
        return f"{self.mark}{ADJUSTMENT_MARK}{ours}"

    def send(self, adjustment: OutboundStockAdjustment) -> WriteResult:
        """Lines of SKUs that Tryton does not have are named, and the rest is booked. Whether it was booked before is for
        ``find`` to say."""
        known, problems = goods_of(self.articles, adjustment.lines)
        if not known:
            return WriteResult.rejected(
                adjustment.reference,
                " ".join(problems) or "There is nothing to book.",
                "Add the products in Tryton with these SKUs as their codes, then reprocess it.",
            )
        try:
            place = self.company.place(adjustment.location_id)
            return self.book(adjustment.reference, place.storage, known, problems)
        except LocationUnknown as problem:
            return WriteResult.rejected(adjustment.reference, str(problem), problem.fix)
        except PermissionMissing:
            raise
        except RecordRefused as error:
            return WriteResult.rejected(adjustment.reference, error.message, error.fix)

    def book(
        self, ours: str, location: int, known: dict[int, tuple[Article, Decimal]], problems: list[str]
    ) -> WriteResult:
        lines = [["create", [{"product": key} for key in known]]]
        values = {"company": self.company.id, "location": location, "date": self.today(), "lines": lines}
        [key] = self.client.create(MODEL, [values])
        self.client.create("ir.note", [{"resource": f"{MODEL},{key}", "message": self.reference(ours)}])
        fields = ("product", "expected_quantity")
        counted = 0
        for line in self.client.find("stock.inventory.line", [["inventory", "=", key]], fields, LineRow):
            article, difference = known[line.product]
            target = line.expected_quantity + difference
            if target < 0:
                problems.append(
                    f"Tryton has {plain(line.expected_quantity)} of {article.code} there, so {plain(difference)} cannot be "
                    f"booked in full."
                )
                target = ZERO
            if not target and line.expected_quantity <= 0:
                self.client.delete("stock.inventory.line", [line.id])
                continue
            self.client.write("stock.inventory.line", [line.id], {"quantity": quantity(target)})
            counted += 1
        if not counted:
            self.client.delete(MODEL, [key])
            return WriteResult.rejected(ours, " ".join(problems), "Count the product in Tryton.")
        self.client.press(MODEL, "confirm", [key])
        return replace(WriteResult.done(ours, str(key)), reason=" ".join(problems))

    def today(self) -> object:
        return self.company.day_of(self.client.now())

    def find(self, ours: str) -> str | None:
        """The inventory's id if it is done. A draft of it that was left half-way has moved nothing: it is taken out."""
        for state in ("draft", "done"):
            for key in self.noted(ours, state):
                if state == "done":
                    return str(key)
                self.client.delete(MODEL, [key])
        return None

    def noted(self, ours: str, state: str) -> list[int]:
        """Inventories of the hub's with this reference as a note, the newest first. Tryton lets nobody look for notes but
        among the documents that he names."""
        domain = [["company", "=", self.company.id], ["create_uid", "=", self.client.user_id], ["state", "=", state]]
        before = 0
        while True:
            older = [*domain, ["id", "<", before]] if before else domain
            rows = self.client.find(
                MODEL, older, ("state",), InventoryRow, limit=LOOKED_THROUGH_AT_ONCE, order=(("id", "DESC"),)
            )
            if not rows:
                return []
            among = ["resource", "in", [f"{MODEL},{row.id}" for row in rows]]
            notes = self.client.find("ir.note", [among, ["message", "=", self.reference(ours)]], ("resource",), NoteRow)
            if notes:
                return [int((note.resource or "").partition(",")[2]) for note in notes]
            before = rows[-1].id


def goods_of(
    articles: Articles, lines: Sequence[OutboundStockLine]
) -> tuple[dict[int, tuple[Article, Decimal]], list[str]]:
    """Product id -> product and quantity, lines of one product added up; and what cannot be booked, in sentences."""
    found = articles.find([line.sku for line in lines])
    known: dict[int, tuple[Article, Decimal]] = {}
    problems = []
    for line in lines:
        sku, wanted = line.sku, line.quantity
        article = found.get(sku)
        if article is None:
            problems.append(f"Tryton has no product with the code {sku}.")
        elif article.type != "goods":
            problems.append(f"{sku} is no goods in Tryton but of the type {article.type}.")
        elif wanted != round(wanted, article.digits):
            problems.append(f"Tryton counts {sku} in whole units, not {plain(wanted)}.")
        else:
            known[article.id] = (article, known.get(article.id, (article, ZERO))[1] + wanted)
    return {key: entry for key, entry in known.items() if entry[1]}, problems


def plain(value: Decimal) -> str:
    return f"{value.normalize():f}"
