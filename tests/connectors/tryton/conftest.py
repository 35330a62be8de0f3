"""Short ways to what the tests of Tryton ask for again and again."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import msgspec
import pytest

from connectors.records import WriteResult
from connectors.tryton.local_company import one
from tests.factories import make_outbound
from tests.local_tryton import NUMBERS, TrytonWorld


class Sale(msgspec.Struct):
    """A sale as a person sees it in Tryton."""

    id: int
    state: str
    number: str | None = None
    reference: str | None = None
    description: str | None = None
    comment: str | None = None
    party: int = 0
    warehouse: int = 0
    shipment_address: int | None = None
    invoice_address: int | None = None
    invoice_method: str = ""
    shipment_state: str = ""
    origin: str | None = None
    total: dict[str, Any] = msgspec.field(name="total_amount", default_factory=dict)
    lines: list[dict[str, Any]] = msgspec.field(name="lines.", default_factory=list)
    shipments: list[dict[str, Any]] = msgspec.field(name="shipments.", default_factory=list)
    returns: list[dict[str, Any]] = msgspec.field(name="shipment_returns.", default_factory=list)
    invoices: list[dict[str, Any]] = msgspec.field(name="invoices.", default_factory=list)

    @property
    def total_amount(self) -> Decimal:
        return Decimal(self.total["decimal"])

    def line(self, description: str) -> dict[str, Any]:
        [found] = [line for line in self.lines if line["description"] == description]
        return found

    @property
    def plain_lines(self) -> dict[str, Decimal]:
        """Lines without a product: description -> amount."""
        return {
            line["description"]: Decimal(line["unit_price"]["decimal"]).normalize()
            for line in self.lines
            if not line["product"]
        }


SALE_FIELDS = (
    *("state", "number", "reference", "description", "comment", "party", "warehouse", "shipment_address"),
    *("invoice_address", "invoice_method", "shipment_state", "origin", "total_amount"),
    *("lines.product", "lines.description", "lines.quantity", "lines.unit_price", "lines.taxes", "lines.note"),
    *("shipments.state", "shipment_returns.state", "invoices.state"),
)


class Desk:
    """Sends orders to Tryton and looks at what became of them."""

    def __init__(self, world: TrytonWorld) -> None:
        self.world = world
        self.connector = world.connect()

    def article(self, stock: int = 100, **changes: Any) -> str:
        """A new product; ``changes`` are values of its template."""
        sku = f"TT{next(NUMBERS)}"
        [product] = self.world.people.add_products([(sku, f"Thing {sku}", Decimal("12.50"), Decimal("5.20"))])
        if stock:
            self.world.people.count(self.place(), {product: Decimal(stock)})
        if changes:
            template = self.world.admin.read("product.product", [product], ("template",), dict)[0]["template"]
            self.world.admin.write("product.template", [template], changes)
        return sku

    def place(self, code: str = "AKL") -> int:
        return one(self.world.admin, "stock.location", [["code", "=", code]])

    def send(self, *lines: tuple[str, str], connector: Any = None, **fields: Any) -> tuple[WriteResult, str]:
        """Sends one order; returns its result and its reference. Options go into ``connector``."""
        order = make_outbound(
            lines=lines or ((self.article(), "2"),), **{"customer_email": "ada@example.com", **fields}
        )
        [result] = (connector or self.connector).send_orders([order])
        return result, order.reference

    def sale(self, reference: str, mark: str = "IM/") -> Sale:
        [found] = self.sales(reference, mark)
        return found

    def sales(self, reference: str, mark: str = "IM/") -> list[Sale]:
        return self.world.admin.find("sale.sale", [["reference", "=", f"{mark}{reference}"]], SALE_FIELDS, Sale)

    def sent(self, *lines: tuple[str, str], connector: Any = None, **fields: Any) -> Sale:
        result, reference = self.send(*lines, connector=connector, **fields)
        assert result.ok, result
        return self.sale(reference)


@pytest.fixture
def desk(tryton: TrytonWorld) -> Desk:
    return Desk(tryton)
