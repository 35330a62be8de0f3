"""Product Pickup: product by product, because the API has no list of them (section B.3.4).

A pass costs one call for each SKU of the stock list, so there is one a day, or when the number of SKUs has changed; in
between a look costs one call. A pass leaves half of the bucket of calls to orders and shipments.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime, timedelta
from decimal import Decimal

import msgspec
from msgspec import Raw

from connectors.budget import utc_now
from connectors.errors import RecordRefused
from connectors.http import HttpSession
from connectors.integration_manager.client import CartRoverClient
from connectors.integration_manager.session import BUCKET, REFILL_SECONDS
from connectors.integration_manager.shapes import (
    Alias,
    Product,
    Stock,
    Unreadable,
    moment,
    number,
    read,
    rows,
    table,
    text,
)
from connectors.records import Page, ProductRecord, Reject

PASS_EVERY = timedelta(days=1)
PRODUCTS_PER_PAGE = 20
LONGEST_SKU = 120
BARCODE_TYPES = ("UPC", "EAN", "GTIN", "ISBN", "BARCODE")


class Progress(msgspec.Struct, omit_defaults=True):
    """The cursor. ``page``: the stock page to go on from, in the middle of a pass. ``done`` and ``total``: when the last
    pass ended, and how many SKUs there were."""

    page: int = 0
    done: datetime | None = None
    total: int | None = None


def read_products(
    client: CartRoverClient, cursor: str, now: Callable[[], datetime] = utc_now
) -> Iterator[Page[ProductRecord]]:
    progress = progress_of(cursor)
    if not progress.page and progress.done is not None and now() - progress.done < PASS_EVERY:
        total = client.stock_page(1, limit=1).total
        if total is None or total == progress.total:
            return
    total = None
    for stock in client.stock(max(progress.page, 1), limit=PRODUCTS_PER_PAGE):
        total = stock.total
        yield product_page(client, stock.rows, as_cursor(Progress(page=stock.number + 1)))
    yield Page(records=(), cursor=as_cursor(Progress(done=now(), total=total)))


def progress_of(cursor: str) -> Progress:
    try:
        return msgspec.json.decode(cursor, type=Progress)
    except msgspec.MsgspecError:
        return Progress()


def as_cursor(progress: Progress) -> str:
    return msgspec.json.encode(progress).decode()


def product_page(client: CartRoverClient, stock_rows: Sequence[Raw], cursor: str) -> Page[ProductRecord]:
    records: list[ProductRecord] = []
    rejects: list[Reject] = []
    for raw in stock_rows:
        sku = ""
        try:
            sku = text(read(raw, Stock).sku)
            if sku:
                leave_room(client.merchant)
                records.append(product_record(client.product(sku), sku))
        except (Unreadable, RecordRefused) as error:
            rejects.append(Reject(external_id=sku, reason=str(error), payload=bytes(raw)))
    return Page(records=records, cursor=cursor, rejects=rejects)


def leave_room(session: HttpSession, sleep: Callable[[float], None] = time.sleep) -> None:
    """Waits for one call to be refilled while the bucket is less than half full."""
    remaining = session.budget.remaining
    if remaining is not None and remaining < BUCKET / 2:
        sleep(REFILL_SECONDS)


def product_record(product: Product, sku: str) -> ProductRecord:
    """The product with two price lists, ``retail`` and ``wholesale``. Raises ``Unreadable``."""
    sku = text(product.sku) or sku
    if len(sku) > LONGEST_SKU:
        raise Unreadable(f"Its SKU has more than {LONGEST_SKU} characters.")
    prices: dict[str, Decimal] = {}
    for name, raw in (("retail", product.retail_price), ("wholesale", product.wholesale_price)):
        price = number(raw, f"{name} price")
        if price is not None:
            prices[name] = price
    changed = moment(product.last_updated_datetime, "last_updated_datetime")
    return ProductRecord(
        external_id=sku,
        version=int(changed.timestamp()) if changed is not None else 0,
        sku=sku,
        name=text(product.name) or sku,
        barcode=barcode_of(product.aliases),
        description=text(product.description),
        prices=prices,
    )


def barcode_of(aliases: Raw) -> str:
    """The first alias that is a barcode: a list of types and codes, or an object of codes by type."""
    by_type = table(aliases)
    codes = {name.upper(): text(code) for name, code in by_type.items() if not name.isdigit()}
    for alias in rows(aliases, Alias):
        codes.setdefault(text(alias.code_type).upper(), text(alias.code))
    return next((codes[name] for name in BARCODE_TYPES if codes.get(name)), "")
