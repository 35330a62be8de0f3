"""An order as the values of a Tryton sale."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

import msgspec

from connectors.errors import ConfigurationInvalid
from connectors.records import ZERO, Address, OutboundLine, OutboundOrder, OutboundRefund, OutboundRefundLine
from connectors.tryton.catalogue import Article, Articles
from connectors.tryton.client import TrytonClient
from connectors.tryton.company import Company, LocationUnknown
from connectors.tryton.options import EXCLUSIVE, INCLUSIVE, OWN_TAXES, TrytonOptions
from connectors.tryton.parties import AddressUnknown, Customer, Parties, Party
from connectors.tryton.wire import quantity

PRICE_STEP = Decimal("0.0001")
RATE_STEP = Decimal("0.005")
CENT = Decimal("0.01")


class Refusal(Exception):
    """The order cannot go to Tryton as it is. The text says why; ``fix`` what to do."""

    def __init__(self, message: str, fix: str) -> None:
        super().__init__(message)
        self.fix = fix


class TaxRow(msgspec.Struct):
    id: int
    rate: Any = None


class CategoryRow(msgspec.Struct):
    id: int
    customer_taxes_used: list[int] = []


@dataclass(slots=True)
class SaleValues:
    """Makes the values of sales. Looks up what it needs; writes nothing but new customers and addresses."""

    client: TrytonClient
    company: Company
    articles: Articles
    parties: Parties
    options: TrytonOptions

    def of_order(self, order: OutboundOrder, reference: str) -> dict[str, Any]:
        """Raises ``Refusal``."""
        articles = self.known(order.lines)
        bill_to = order.bill_to if order.bill_to and order.bill_to.is_usable else order.ship_to
        customer = Customer.of(
            order.customer_name, order.customer_email, order.ship_to, f"{order.cart_name} walk-in customer"
        )
        try:
            place = self.company.place(order.location_id)
            party = self.parties.party(customer, order.ship_to)
            shipment, invoice = self.parties.address_ids(party.id, (order.ship_to, bill_to))
        except (LocationUnknown, AddressUnknown) as problem:
            raise Refusal(str(problem), problem.fix) from problem
        lines = self.goods(order, articles, party)
        return {
            **self.head(party, place.id, order.currency, reference),
            "description": f"{order.cart_name} {order.number}".strip(),
            "comment": comment(order),
            "sale_date": self.company.day_of(order.placed_at),
            "shipment_address": shipment,
            "invoice_address": invoice,
            "lines": [["create", [*lines, *self.charges(order)]]],
        }

    def of_refund(self, refund: OutboundRefund, reference: str, origin: OriginRow | None) -> dict[str, Any]:
        """A sale of negative quantities, tied to the sale that it takes back where Tryton has that. Raises
        ``Refusal``."""
        articles = self.known(refund.lines)
        try:
            place = self.company.place(refund.location_id)
        except LocationUnknown as problem:
            raise Refusal(str(problem), problem.fix) from problem
        address: int | None
        if origin is None:
            customer = Customer.of(refund.customer_name, "", None, f"{refund.cart_name} walk-in customer")
            party = self.parties.party(customer, Address())
            [address] = self.parties.address_ids(party.id, (Address(name=customer.name),))
        else:
            party, address = Party(id=origin.party), origin.invoice_address
        taxes = self.own_taxes(articles, party) if self.options.tax_treatment == OWN_TAXES else {}
        lines = []
        for line in refund.lines:
            article = articles[line.reference]
            amount = line.amount + line.tax if self.options.tax_treatment == INCLUSIVE else line.amount
            lines.append(
                goods_line(article, -line.quantity, unit_price(amount, line.quantity), line.name, taxes.get(article.id))
            )
        if self.options.tax_treatment == EXCLUSIVE and refund.tax:
            lines.append(plain_line("Tax", -refund.tax))
        return {
            **self.head(party, place.id, refund.currency, reference),
            "origin": f"sale.sale,{origin.id}" if origin else None,
            "description": f"{refund.cart_name} {refund.number}".strip(),
            "comment": refund.reason,
            "sale_date": self.company.day_of(refund.placed_at),
            "invoice_address": address,
            "lines": [["create", lines]],
        }

    def head(self, party: Party, warehouse: int, currency: str, reference: str) -> dict[str, Any]:
        return {
            "company": self.company.id,
            "party": party.id,
            "warehouse": warehouse,
            "currency": self.currency(currency),
            "reference": reference,
            "invoice_method": "order" if self.options.create_invoice else "manual",
            "shipment_method": "order",
        }

    def currency(self, of_order: str) -> int:
        """A wrong one in the settings concerns every order, another one only its own."""
        if self.options.currency:
            return self.company.currency(self.options.currency)
        try:
            return self.company.currency(of_order)
        except ConfigurationInvalid as error:
            raise Refusal(error.message, error.fix) from error

    def known(self, lines: Sequence[OutboundLine] | Sequence[OutboundRefundLine]) -> dict[str, Article]:
        """Line reference -> product. Raises ``Refusal`` naming every line that Tryton cannot take."""
        found = self.articles.find([line.sku for line in lines])
        unknown = sorted({line.sku or line.name for line in lines if line.sku not in found})
        if unknown:
            raise Refusal(
                f"Tryton has no product with the code {', '.join(unknown)}.",
                "Add the product in Tryton with this SKU as its code, or correct the SKU, then send the order again.",
            )
        for line in lines:
            problem = trouble_with(found[line.sku], line.quantity)
            if problem:
                raise Refusal(*problem)
        return {line.reference: found[line.sku] for line in lines}

    # Goods

    def goods(self, order: OutboundOrder, articles: Mapping[str, Article], party: Party) -> list[dict[str, Any]]:
        taxes = self.own_taxes(articles, party) if self.options.tax_treatment == OWN_TAXES else {}
        lines = []
        for line in order.lines:
            article = articles[line.reference]
            amount = line.total + line.tax if self.options.tax_treatment == INCLUSIVE else line.total
            of_line = taxes.get(article.id)
            if self.options.tax_treatment == OWN_TAXES and self.options.dynamic_tax:
                of_line = self.taxes_of_rate(line)
            lines.append(
                goods_line(article, line.quantity, unit_price(amount, line.quantity), line.name, of_line, line.note)
            )
        return lines

    def own_taxes(self, articles: Mapping[str, Article], party: Party) -> dict[int, list[int]]:
        """Product id -> taxes, as Tryton's own form would fill them in."""
        if self.options.dynamic_tax:
            return {}
        if party.customer_tax_rule:
            return {article.id: self.taxes_by_form(article, party) for article in articles.values()}
        categories = sorted({article.account_category for article in articles.values() if article.account_category})
        rows = self.client.read("product.category", categories, ("customer_taxes_used",), CategoryRow)
        by_category = {row.id: row.customer_taxes_used for row in rows}
        return {article.id: by_category.get(article.account_category or 0, []) for article in articles.values()}

    def taxes_by_form(self, article: Article, party: Party) -> list[int]:
        """A customer with rules of its own: Tryton's form is asked what it would fill in."""
        currency = self.company.row.currency
        sale = {"id": -1, "company": self.company.id, "party": party.id, "currency": currency.id if currency else None}
        values = {
            "id": -1,
            "type": "line",
            "product": article.id,
            "quantity": 1.0,
            "unit": None,
            "taxes": [],
            "sale": sale,
        }
        told = self.client.ask("sale.line", "on_change", values, ["product"], kind=dict[str, Any])
        taxes = told.get("taxes") or {}
        return [int(row["id"]) for _, row in taxes.get("add") or ()] if isinstance(taxes, dict) else list(taxes)

    def taxes_of_rate(self, line: OutboundLine) -> list[int]:
        """The Tryton tax with the rate that the shop charged. Raises ``Refusal``."""
        if not line.tax:
            return []
        rate = line.tax / line.total if line.total else ZERO
        rows = self.client.find(
            "account.tax",
            [
                ["type", "=", "percentage"],
                ["parent", "=", None],
                ["company", "=", self.company.id],
                ["OR", ["group", "=", None], ["group.kind", "in", ["sale", "both"]]],
            ],
            ("rate",),
            TaxRow,
        )
        close = sorted((abs(Decimal(row.rate["decimal"]) - rate), row.id) for row in rows if row.rate)
        if not close or close[0][0] > RATE_STEP:
            raise Refusal(
                f"Tryton has no tax of {rate * 100:.2f} % for {line.sku}.",
                "Add a tax of this rate in Tryton, or switch Dynamic item tax rate off.",
            )
        return [close[0][1]]

    # Beside the goods

    def charges(self, order: OutboundOrder) -> list[dict[str, Any]]:
        """Shipping, discount and, with exclusive taxes, the tax: lines without a product."""
        lines = []
        treatment = self.options.tax_treatment
        beside = order.tax_total - sum((line.tax for line in order.lines), ZERO)
        shipping = order.shipping_total + (beside if treatment == INCLUSIVE else ZERO)
        if self.options.shipping_line and (order.shipping_total or self.options.send_free_shipping):
            lines.append(plain_line(self.options.shipping_line, shipping))
        if self.options.send_discount and order.discount_total:
            lines.append(plain_line("Discount", -order.discount_total))
        if treatment == EXCLUSIVE and order.tax_total:
            lines.append(plain_line("Tax", order.tax_total))
        return lines


class OriginRow(msgspec.Struct):
    """The sale that a return takes back."""

    id: int
    party: int
    invoice_address: int | None = None


def trouble_with(article: Article, wanted: Decimal) -> tuple[str, str] | None:
    """Why Tryton cannot sell this, and what to do."""
    what = f"{article.code} ({article.name})"
    if not article.salable:
        return (
            f"{what} is not for sale in Tryton.",
            "Tick Salable on the product in Tryton, then send the order again.",
        )
    if article.type != "goods":
        return (
            f"{what} is no goods in Tryton but of the type {article.type}, so nothing would ever be shipped for it.",
            "Make it a product of the type Goods in Tryton, or take it out of the order.",
        )
    if wanted != round(wanted, article.digits):
        return (
            f"Tryton sells {what} in steps of {Decimal(1).scaleb(-article.digits)}, not {wanted.normalize():f}.",
            "Give the product a unit with more digits in Tryton, or correct the quantity.",
        )
    return None


def goods_line(
    article: Article, wanted: Decimal, price: Decimal, name: str, taxes: Sequence[int] | None, note: str = ""
) -> dict[str, Any]:
    return {
        "type": "line",
        "product": article.id,
        "quantity": quantity(wanted),
        "unit": article.default_uom,
        "unit_price": price,
        "description": name or article.name,
        "note": note or None,
        "taxes": [["add", list(taxes)]] if taxes else [],
    }


def plain_line(label: str, amount: Decimal) -> dict[str, Any]:
    return {
        "type": "line",
        "quantity": quantity(Decimal(1)),
        "unit_price": amount.quantize(PRICE_STEP, ROUND_HALF_UP),
        "description": label,
    }


def unit_price(amount: Decimal, of: Decimal) -> Decimal:
    """What one costs, so that the line comes to its amount within Tryton's four places."""
    return (amount / of if of else amount).quantize(PRICE_STEP, ROUND_HALF_UP)


def comment(order: OutboundOrder) -> str:
    """What the person who packs may want to know."""
    parts = (
        order.note,
        f"Ship by: {order.ship_method}" if order.ship_method else "",
        f"Total in the shop: {order.total.quantize(CENT)} {order.currency}".rstrip(),
    )
    return "\n".join(part for part in parts if part)
