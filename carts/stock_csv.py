"""Stock of a built-in warehouse as CSV: columns ``location``, ``sku``, ``available``."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal

from carts.book_checks import BookError, LocationFinder, check_quantity, check_sku
from carts.book_ledger import Cause, Why
from carts.csv_table import CsvLine, CsvTable, CsvUnreadable, ImportResult, LineRefused
from carts.models import Location, StockLevel, Warehouse
from carts.models.fields import plain_decimal
from carts.warehouse_book import WarehouseBook

HEADER = ("location", "sku", "available")


def stock_rows(warehouse: Warehouse) -> Iterator[tuple[str, str, str]]:
    """Every stock level as (location id or name, SKU, available), in the order of ``HEADER``; read while it is used."""
    levels = StockLevel.objects.filter(location__warehouse_id=warehouse.pk).order_by("location__name", "sku_key")
    columns = levels.values_list("location__external_id", "location__name", "sku", "available")
    for external_id, name, sku, available in columns.iterator(chunk_size=2000):
        yield external_id or name, sku, plain_decimal(available)


def import_stock(warehouse: Warehouse, content: bytes) -> ImportResult:
    """Sets ``available`` from a file. An empty (or missing) location is the default location. All usable lines are
    applied, in transactions of 1,000; the last of several lines for one SKU and location wins."""
    result = ImportResult()
    try:
        table = CsvTable(content, needed=("sku", "available"))
    except CsvUnreadable as error:
        result.refuse(1, str(error))
        return result
    result.ignored_columns = [name for name in table.header if name and name.lower() not in HEADER]
    finder = LocationFinder(warehouse.locations.all())
    rows = []
    for line in table.lines():
        try:
            rows.append(row_of(table, line, finder))
        except (LineRefused, BookError) as error:
            result.refuse(line.number, str(error))
    change = WarehouseBook(warehouse.pk).set_available(rows, Why(cause=Cause.CSV))
    result.applied = len(rows)
    result.created, result.changed, result.unchanged = change.created, change.changed, change.unchanged
    return result


def row_of(table: CsvTable, line: CsvLine, finder: LocationFinder) -> tuple[Location, str, Decimal]:
    """Raises ``LineRefused`` or ``BookError``."""
    if line.refused:
        raise LineRefused(line.refused)
    sku = line.cells.get("sku", "")
    check_sku(sku)
    return finder.find(line.cells.get("location", "")), sku, check_quantity(table.number(line, "available", 5))
