"""Products: found by SKU for orders and stock documents, and told page by page with their prices."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from decimal import Decimal
from functools import cached_property
from typing import Any

import msgspec

from connectors.product_rules import plain_sku
from connectors.records import Page, ProductKind, ProductRecord
from connectors.tryton.client import TrytonClient
from connectors.tryton.company import Company
from connectors.tryton.feed import Feed
from connectors.tryton.wire import Amount, Domain, Moment, changed_since

ARTICLE_FIELDS = ("code", "name", "type", "salable", "default_uom", "default_uom.digits", "account_category")
PRODUCT_FIELDS = (
    "code",
    "name",
    "description",
    "type",
    "consumable",
    "salable",
    "active",
    "template",
    "template.active",
    "cost_price",
    "identifiers.type",
    "identifiers.code",
    "write_date",
    "create_date",
)
BARCODE_TYPES = ("ean", "isbn", "ismn", "upc")
RETAIL, BUY = "Retail", "Buy"


class UnitRow(msgspec.Struct):
    digits: int = 0


class Article(msgspec.Struct):
    """What an order or a stock document must know of a product. Quantities are in its own (stock) unit."""

    id: int
    code: str = ""
    name: str = ""
    type: str = "goods"
    salable: bool = False
    default_uom: int = 0
    unit: UnitRow | None = msgspec.field(name="default_uom.", default=None)
    account_category: int | None = None

    @property
    def digits(self) -> int:
        return self.unit.digits if self.unit else 0


class CodeRow(msgspec.Struct):
    id: int
    code: str | None = None


class Identifier(msgspec.Struct):
    type: str | None = None
    code: str = ""


class TemplateRow(msgspec.Struct):
    active: bool = True


class ProductRow(msgspec.Struct):
    id: int
    template: int
    code: str | None = None
    name: str = ""
    description: str | None = None
    type: str = "goods"
    consumable: bool = False
    salable: bool = False
    active: bool = True
    cost_price: Amount | None = None
    list_price: Amount | None = None
    list_price_used: Amount | None = None
    attributes: dict[str, Any] | None = None
    family: TemplateRow | None = msgspec.field(name="template.", default=None)
    identifiers: list[Identifier] = msgspec.field(name="identifiers.", default_factory=list)
    write_date: Moment | None = None
    create_date: Moment | None = None


class PriceRow(msgspec.Struct):
    id: int
    sale_price_uom: Amount | None = None


class NameRow(msgspec.Struct):
    id: int
    name: str


class AttributeRow(msgspec.Struct):
    name: str
    string: str = ""
    selection_json: str | None = None


class Articles:
    """Products by SKU, remembered until ``forget``."""

    def __init__(self, client: TrytonClient) -> None:
        self.client = client
        self.known: dict[str, Article] = {}

    def forget(self) -> None:
        """Products may have been added since."""
        self.known.clear()
        self.__dict__.pop("codes", None)

    def find(self, skus: Sequence[str]) -> dict[str, Article]:
        """SKU -> product, for those that Tryton has. A SKU is a product's code; where none is exactly the same, upper and
        lower case and, last, everything but letters and digits are left out of account, if one product is meant then."""
        wanted = {sku.strip() for sku in skus}
        missing = sorted(wanted - self.known.keys())
        if missing:
            domain = [["code", "in", missing], ["template.active", "=", True]]
            for row in self.client.find("product.product", domain, ARTICLE_FIELDS, Article):
                self.known[row.code] = row
            unclear = {sku: key for sku in missing if sku not in self.known for key in [self.likeness(sku)] if key}
            rows = {
                row.id: row
                for row in self.client.read("product.product", sorted(set(unclear.values())), ARTICLE_FIELDS, Article)
            }
            self.known |= {sku: rows[key] for sku, key in unclear.items() if key in rows}
        return {sku: self.known[sku.strip()] for sku in skus if sku.strip() in self.known}

    def likeness(self, sku: str) -> int | None:
        """The only product whose code is this SKU but for case, or but for what a shop leaves out of SKUs."""
        for likes, key in zip(self.codes, (sku.casefold(), plain_sku(sku).casefold()), strict=True):
            found = likes.get(key, set())
            if key and len(found) == 1:
                return next(iter(found))
        return None

    @cached_property
    def codes(self) -> tuple[dict[str, set[int]], dict[str, set[int]]]:
        """Every code, without regard to case, and as plain letters and digits. Read only when a SKU is not found."""
        by_case: dict[str, set[int]] = {}
        plain: dict[str, set[int]] = {}
        for page in self.client.find_all("product.product", [["code", "!=", None]], ("code",), CodeRow, limit=5000):
            for row in page:
                if row.code:
                    by_case.setdefault(row.code.casefold(), set()).add(row.id)
                    plain.setdefault(plain_sku(row.code).casefold(), set()).add(row.id)
        return by_case, plain


class Catalogue:
    """Product Pickup: what changed since, with the prices of every price list."""

    def __init__(self, client: TrytonClient, company: Company) -> None:
        self.client = client
        self.company = company

    def pages(self, cursor: str) -> Iterator[Page[ProductRecord]]:
        feed = Feed(self.client, cursor, whole_after_hours=24)
        fields = list(PRODUCT_FIELDS)
        fields.append("list_price_used" if self.client.has("product.product", "list_price_used") else "list_price")
        if self.client.has("product.product", "attributes"):
            fields.append("attributes")
        for rows in self.client.find_all(
            "product.product",
            self.changes(feed),
            fields,
            ProductRow,
            after=feed.after,
            active_test=False,
            **self.own_words,
        ):
            yield Page(records=self.records(rows), cursor=feed.inside(rows[-1].id))
        yield Page(records=[], cursor=feed.end())

    @property
    def own_words(self) -> dict[str, Any]:
        """Names in the user's own language, not in that of the hub's error messages."""
        return {"language": self.client.preferences.get("language") or "en"}

    def changes(self, feed: Feed) -> Domain:
        """Which products to read: those with a part that was written since. A changed price list changes all."""
        if feed.since is None:
            return [["code", "!=", None]]
        since = changed_since(feed.since)
        for model in ("product.price_list", "product.price_list.line"):
            if self.client.has_model(model) and self.client.find(model, since, ("id",), CodeRow, limit=1):
                return [["code", "!=", None]]
        touched: list[Any] = ["OR", since]
        for path in ("template", "list_prices", "template.list_prices", "cost_prices"):
            model, _, field = path.rpartition(".")
            owner = "product.template" if path == "template" or model else "product.product"
            if path == "template" or self.client.has(owner, field):
                touched += [[f"{path}.{moment}", ">=", feed.since] for moment in ("write_date", "create_date")]
        return [["code", "!=", None], touched]

    def records(self, rows: Sequence[ProductRow]) -> list[ProductRecord]:
        ids = [row.id for row in rows]
        lists = {name: self.list_prices(key, ids) for key, name in self.price_lists.items()}
        return [
            self.record(row, {name: prices[row.id] for name, prices in lists.items() if row.id in prices})
            for row in rows
        ]

    @cached_property
    def price_lists(self) -> dict[int, str]:
        """id -> name. A list needs Tryton's module sale_price_list to be counted out."""
        if not self.client.has_model("product.price_list") or not self.client.has("sale.sale", "price_list"):
            return {}
        rows = self.client.find("product.price_list", [["company", "=", self.company.id]], ("name",), NameRow)
        return {row.id: row.name for row in rows}

    def list_prices(self, price_list: int, ids: Sequence[int]) -> dict[int, Decimal]:
        rows = self.client.read(
            "product.product", ids, ("sale_price_uom",), PriceRow, price_list=price_list, quantity=1
        )
        return {row.id: row.sale_price_uom.value() for row in rows if row.sale_price_uom}

    def record(self, row: ProductRow, lists: Mapping[str, Decimal]) -> ProductRecord:
        retail = row.list_price_used or row.list_price
        prices = {RETAIL: retail.value()} if retail else {}
        prices |= {BUY: row.cost_price.value()} if row.cost_price else {}
        changed = row.write_date or row.create_date
        currency = self.company.row.currency
        is_there = row.active and (row.family is None or row.family.active)
        return ProductRecord(
            external_id=str(row.id),
            version=int(changed.value().timestamp() * 1_000_000) if changed else 0,
            sku=row.code or "",
            name=row.name,
            handle=str(row.template),
            family_id=str(row.template),
            barcode=barcode(row.identifiers),
            description=row.description or "",
            attributes=self.attributes(row.attributes or {}),
            prices={**prices, **lists},
            currency=currency.code if currency else "",
            kind={"goods": ProductKind.GOODS, "kit": ProductKind.COMPOSITE}.get(row.type, ProductKind.SERVICE),
            is_active=is_there and row.salable,
            is_stock_tracked=row.type == "goods" and not row.consumable,
            deleted=not is_there,
        )

    def attributes(self, values: Mapping[str, Any]) -> dict[str, str]:
        """Attributes in words."""
        found = {}
        for name, value in values.items():
            row = self.attribute_names.get(name)
            choices = dict(msgspec.json.decode(row.selection_json)) if row and row.selection_json else {}
            if value not in (None, "", []):
                found[row.string if row and row.string else name] = str(choices.get(value, value))
        return found

    @cached_property
    def attribute_names(self) -> dict[str, AttributeRow]:
        fields = ("name", "string", "selection_json")
        rows = self.client.find("product.attribute", [], fields, AttributeRow, **self.own_words)
        return {row.name: row for row in rows}


def barcode(identifiers: Iterable[Identifier]) -> str:
    known = [one.code for one in identifiers if (one.type or "") in BARCODE_TYPES]
    return known[0] if known else ""
