"""Vend's price books per outlet (vend.md section 3.11): the base book, books of all outlets and those of the one asked for.

A price is as Vend gives it: before tax. The books are few and read first; their prices come as one feed over all books.
A store whose base book lists no prices has them on its products, which are read then.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from decimal import Decimal
from typing import Any

import msgspec

from connectors.errors import ContractBroken, PermissionMissing, RecordRefused
from connectors.records import Page, PriceBookRecord, PriceRecord, Reject
from connectors.vend import shapes
from connectors.vend.client import PEEK, FeedPage, VendClient
from connectors.vend.errors import Unreadable
from connectors.vend.mapping import amount, first, parse_time
from connectors.vend.shapes import Text, text

PLATFORMS = {"1": "store", "2": "online"}
BASE = "BASE"


class CustomerGroup(shapes.Loose):
    id: Text = None
    name: Text = None


class PriceBook(shapes.Loose):
    """2.0 and dated: one customer group and at most one outlet; 3.0: lists of both."""

    id: Text = None
    name: Text = None
    type: Text = None
    customer_group_id: Text = None
    customer_group_ids: list[Text] | None = None
    outlet_id: Text = None
    outlet_ids: list[Text] | None = None
    restrict_to_platform_key: Text = None
    restrict_to_platform: Text = None
    valid_from: Text = None
    valid_to: Text = None
    deleted_at: Text = None


class BookPrice(shapes.Loose):
    id: Text = None
    product_id: Text = None
    price_book_id: Text = None
    price: Decimal | None = None
    min_units: Decimal | None = None
    max_units: Decimal | None = None
    deleted_at: Text = None
    version: int | None = None


class ProductPrice(shapes.Loose):
    id: Text = None
    price_excluding_tax: Decimal | None = None
    price_including_tax: Decimal | None = None
    deleted_at: Text = None


GROUPS = shapes.Reader(CustomerGroup)
BOOKS = shapes.Reader(PriceBook)
PRICES = shapes.Reader(BookPrice)
PRODUCTS = shapes.Reader(ProductPrice)


def read(client: VendClient, outlet_id: str, currency: str) -> Iterator[Page[PriceRecord]]:
    """Pages of prices; a price that cannot be read is a reject of its page."""
    books = books_of(client, outlet_id)
    base = next((book for book in books.values() if book.is_base), None)
    has_base_prices = False

    def from_row(raw: bytes) -> PriceRecord | None:
        row = PRICES.read(raw)
        book = books.get(text(row.price_book_id))
        if book is None or row.deleted_at:
            return None
        return price_record(row, book, currency)

    for feed_page in client.price_book_products():
        page = page_of(feed_page, from_row)
        has_base_prices = has_base_prices or any(record.book.is_base for record in page.records)
        yield page
    if base is None or has_base_prices:
        return
    for feed_page in client.products(""):
        yield page_of(feed_page, lambda raw: product_price(PRODUCTS.read(raw), base, currency))


def page_of(feed_page: FeedPage, convert: Callable[[bytes], PriceRecord | None]) -> Page[PriceRecord]:
    records: list[PriceRecord] = []
    rejects: list[Reject] = []
    for raw in feed_page.records:
        try:
            record = convert(raw)
        except (Unreadable, ArithmeticError) as error:
            rejects.append(Reject(external_id=id_in(raw), reason=str(error), payload=raw))
        else:
            if record is not None:
                records.append(record)
    skipped = len(feed_page.records) - len(records) - len(rejects)
    return Page(records=records, cursor=feed_page.cursor, rejects=rejects, skipped=skipped)


def price_record(row: BookPrice, book: PriceBookRecord, currency: str) -> PriceRecord:
    product_id = text(row.product_id)
    if not product_id or row.price is None:
        raise Unreadable("The price names no product or no amount.")
    return PriceRecord(
        product_id=product_id,
        book=book,
        price=amount(row.price),
        currency=currency,
        min_units=units(row.min_units),
        max_units=units(row.max_units),
        external_id=text(row.id),
        version=row.version or 0,
    )


def product_price(product: ProductPrice, book: PriceBookRecord, currency: str) -> PriceRecord | None:
    price = first(product.price_excluding_tax, product.price_including_tax)
    if product.deleted_at or price is None or not product.id:
        return None
    return PriceRecord(product_id=text(product.id), book=book, price=amount(price), currency=currency)


def units(number: Decimal | None) -> Decimal | None:
    """A bound on the units; 0 means none, as null does."""
    return amount(number) or None


# --- books -----------------------------------------------------------------------------------------------------------


def books_of(client: VendClient, outlet_id: str) -> dict[str, PriceBookRecord]:
    """The living books that hold at an outlet ("": at any), by id."""
    groups = group_names(client)
    books = {}
    for feed_page in client.price_books():
        for raw in feed_page.records:
            try:
                book = BOOKS.read(raw)
            except Unreadable as error:
                raise ContractBroken(f"A price book cannot be read: {error}") from error
            record = book_record(book, groups)
            if not book.deleted_at and (not outlet_id or not record.outlet_ids or outlet_id in record.outlet_ids):
                books[record.external_id] = record
    return books


def book_record(book: PriceBook, groups: Mapping[str, str]) -> PriceBookRecord:
    group_ids = ids(book.customer_group_ids, book.customer_group_id)
    platform = text(book.restrict_to_platform_key) or text(book.restrict_to_platform)
    return PriceBookRecord(
        external_id=text(book.id),
        name=text(book.name),
        is_base=text(book.type).upper() == BASE,
        outlet_ids=ids(book.outlet_ids, book.outlet_id),
        customer_group_ids=group_ids,
        customer_groups=tuple(groups[group_id] for group_id in group_ids if group_id in groups),
        platform=PLATFORMS.get(platform, ""),
        valid_from=parse_time(book.valid_from),
        valid_to=parse_time(book.valid_to),
    )


def ids(many: list[Text] | None, one: Text) -> tuple[str, ...]:
    return tuple(text(member) for member in (many or [one]) if member)


def group_names(client: VendClient) -> dict[str, str]:
    """Customer group id -> name. Only for the eye: without permission the names stay unknown."""
    names = {}
    try:
        for feed_page in client.references("customer_groups"):
            for raw in feed_page.records:
                group = GROUPS.read(raw)
                names[text(group.id)] = text(group.name)
    except (RecordRefused, ContractBroken, PermissionMissing, Unreadable):
        return names
    return names


def id_in(raw: bytes) -> str:
    try:
        found: Any = PEEK.read(raw).id
    except (Unreadable, msgspec.MsgspecError):
        return ""
    return found if isinstance(found, str) else ""
