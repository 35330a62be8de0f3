"""Inventory Pickup and the warehouses that stock lies in (section B.3.4)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal

import msgspec

from connectors.budget import utc_now
from connectors.integration_manager.client import CartRoverClient, ListPage
from connectors.integration_manager.shapes import Stock, StockAtWarehouse, Unreadable, moment, number, read, table, text
from connectors.records import ZERO, LevelRecord, LocationRecord, Page, Reject

# Where stock lies that Integration Manager does not split by warehouse.
EVERYWHERE = "all"
EVERYWHERE_NAME = "All warehouses"

# How many pages of stock are looked through for warehouses, which have no list of their own. One that has only stock
# further down appears with Inventory Pickup, which reads everything.
PAGES_FOR_LOCATIONS = 3


@dataclass(slots=True)
class Split:
    """Which warehouses were seen so far, id -> name, and whether the account splits its stock by them at all."""

    names: dict[str, str] = field(default_factory=dict)

    @property
    def is_known(self) -> bool:
        return bool(self.names)


class Progress(msgspec.Struct, omit_defaults=True):
    """The cursor. ``began``: when the pass in progress began; ``page``: where it goes on. ``before``: when the last
    complete pass began."""

    page: int = 1
    began: datetime | None = None
    before: datetime | None = None


def read_levels(
    client: CartRoverClient, cursor: str, now: Callable[[], datetime] = utc_now
) -> Iterator[Page[LevelRecord]]:
    """All levels, each time: the list tells no changes. What two passes in a row did not show is gone; one may miss a row
    that moved up a page while it was read. A list that is empty altogether shows trouble there rather than that
    everything is sold."""
    progress = progress_of(cursor)
    began = progress.began or now()
    split = Split()
    is_empty = progress.page == 1
    for page in client.stock(progress.page):
        reached = Progress(page=page.number + 1, began=began, before=progress.before)
        yield level_page(page, split, as_cursor(reached))
        is_empty = False
    if not is_empty:
        yield Page(records=(), cursor=as_cursor(Progress(before=began)), complete_since=progress.before)


def progress_of(cursor: str) -> Progress:
    try:
        return msgspec.json.decode(cursor, type=Progress)
    except msgspec.MsgspecError:
        return Progress()


def as_cursor(progress: Progress) -> str:
    return msgspec.json.encode(progress).decode()


def level_page(page: ListPage, split: Split, cursor: str = "") -> Page[LevelRecord]:
    records: list[LevelRecord] = []
    rejects: list[Reject] = []
    stocks: list[tuple[Stock, dict[str, StockAtWarehouse]]] = []
    for raw in page.rows:
        sku = ""
        try:
            stock = read(raw, Stock)
            sku = text(stock.sku)
            if not sku:
                raise Unreadable("The stock row has no SKU.")
            parts = {place: read(part, StockAtWarehouse) for place, part in table(stock.warehouses).items()}
            split.names |= {place: text(part.warehouse) or place for place, part in parts.items()}
            stocks.append((stock, parts))
        except Unreadable as error:
            rejects.append(Reject(external_id=sku, reason=str(error), payload=bytes(raw)))
    for stock, parts in stocks:
        try:
            records += levels_of(stock, parts, split)
        except Unreadable as error:
            rejects.append(Reject(external_id=text(stock.sku), reason=str(error), payload=bytes(stock.sku)))
    return Page(records=records, cursor=cursor, rejects=rejects)


def levels_of(stock: Stock, parts: dict[str, StockAtWarehouse], split: Split) -> list[LevelRecord]:
    """One level for each warehouse that has the SKU. A SKU without stock shows no warehouse: then it is zero at each of
    them. Raises ``Unreadable``."""
    sku, as_of = text(stock.sku), moment(stock.wms_datetime, "wms_datetime")
    if parts:
        return [
            LevelRecord(
                location_id=place,
                location_name=split.names[place],
                sku=sku,
                available=number(part.qty_available, "qty_available") or ZERO,
                on_hand=number(part.qty_on_hand, "qty_on_hand"),
                as_of=moment(part.wms_datetime, "wms_datetime") or as_of,
            )
            for place, part in parts.items()
        ]
    available = number(stock.qty_available, "qty_available") or ZERO
    on_hand = number(stock.qty_on_hand, "qty_on_hand")
    if split.is_known and not available and not on_hand:
        return [level(sku, place, name, ZERO, ZERO, as_of) for place, name in split.names.items()]
    return [level(sku, EVERYWHERE, EVERYWHERE_NAME, available, on_hand, as_of)]


def level(
    sku: str, place: str, name: str, available: Decimal, on_hand: Decimal | None, as_of: datetime | None
) -> LevelRecord:
    return LevelRecord(
        location_id=place, location_name=name, sku=sku, available=available, on_hand=on_hand, as_of=as_of
    )


def read_locations(client: CartRoverClient, wanted: str = "") -> list[LocationRecord]:
    """The warehouses seen in the first pages of stock (``wanted``: on as many pages as it takes to see that one); the one
    that stands for all where none is seen."""
    split = Split()
    for page in client.stock():
        level_page(page, split)
        if wanted in split.names or (not wanted and page.number >= PAGES_FOR_LOCATIONS):
            break
    if not split.is_known:
        return [LocationRecord(external_id=EVERYWHERE, name=EVERYWHERE_NAME)]
    return [LocationRecord(external_id=place, name=name) for place, name in split.names.items()]
