"""Products of a built-in warehouse as CSV: ``sku``, ``name``, ``barcode``, ``description`` and one column
``price:<list>`` per price list (``price:retail``, ``price:wholesale``, ...)."""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal, InvalidOperation

from django.db import transaction

from carts import stock_keys
from carts.book_checks import BookError, check_sku
from carts.book_stock import KEYS_PER_QUERY, ROWS_PER_TRANSACTION, lock_book, parts_of
from carts.csv_table import CsvLine, CsvTable, CsvUnreadable, ImportResult, LineRefused
from carts.models import Product, Warehouse
from carts.models.fields import plain_decimal

TEXT_COLUMNS = ("name", "barcode", "description")
COLUMNS = ("sku", *TEXT_COLUMNS)
PRICE_PREFIX = "price:"
PRICE_PLACES = 6
LARGEST_PRICE = Decimal(10) ** 14
WRITTEN = [*COLUMNS, "sku_key", "plain_key", "prices", "version", "deleted", "updated_at"]


def price_lists(warehouse: Warehouse) -> list[str]:
    """The names of all price lists that a product of the warehouse has, sorted."""
    names: set[str] = set()
    products = Product.objects.filter(connection_id=warehouse.pk, deleted=False)
    for prices in products.order_by().values_list("prices", flat=True).iterator(chunk_size=2000):
        names.update(prices)
    return sorted(names)


def product_header(lists: Sequence[str]) -> list[str]:
    return [*COLUMNS, *(f"{PRICE_PREFIX}{name}" for name in lists)]


def product_rows(warehouse: Warehouse, lists: Sequence[str]) -> Iterator[list[str]]:
    """Every product, in the order of ``product_header(lists)``; read while it is used."""
    products = Product.objects.filter(connection_id=warehouse.pk, deleted=False).order_by("sku", "pk")
    for *texts, prices in products.values_list(*COLUMNS, "prices").iterator(chunk_size=2000):
        yield [*texts, *(str(prices.get(name, "")) for name in lists)]


def import_products(warehouse: Warehouse, content: bytes) -> ImportResult:
    """Creates and changes products, found by their SKU. A column that the file does not have stays as it is; an empty
    cell empties the text or takes the product off the price list. All usable lines are applied, in transactions of
    1,000; a later line for the same SKU adds to an earlier one."""
    result = ImportResult()
    try:
        table = CsvTable(content, needed=("sku",))
        lists = price_columns(table, price_lists(warehouse))
    except CsvUnreadable as error:
        result.refuse(1, str(error))
        return result
    result.ignored_columns = [
        name for name in table.header if name and name.lower() not in COLUMNS and name.lower() not in lists
    ]
    for part in parts_of(table.lines(), ROWS_PER_TRANSACTION):
        with transaction.atomic():
            import_part(warehouse, table, part, lists, result)
    result.problems.sort(key=lambda problem: problem.line)
    return result


def price_columns(table: CsvTable, known: Sequence[str]) -> dict[str, str]:
    """Column in lower case -> price list: one that exists, whatever its upper and lower case, or a new one as it is
    written. Raises ``CsvUnreadable`` for a column without a name."""
    existing = {name.casefold(): name for name in known}
    columns = {}
    for title in table.header:
        if title.lower().startswith(PRICE_PREFIX):
            name = title[len(PRICE_PREFIX) :].strip()
            if not name:
                raise CsvUnreadable("A price column has no name. Write price:retail, for example.")
            columns[title.lower()] = existing.get(name.casefold(), name)
    return columns


def import_part(
    warehouse: Warehouse, table: CsvTable, lines: Sequence[CsvLine], lists: Mapping[str, str], result: ImportResult
) -> None:
    lock_book(warehouse.pk)
    keys: dict[int, str] = {}
    for line in lines:
        try:
            keys[line.number] = readable_key(line)
        except (LineRefused, BookError) as error:
            result.refuse(line.number, str(error))
    products = products_by_key(warehouse, set(keys.values()))
    before = {key: state_of(found[0]) for key, found in products.items()}
    touched: dict[str, Product] = {}
    for line in lines:
        key = keys.get(line.number)
        if key is None:
            continue
        found = products.setdefault(key, [])
        try:
            if len(found) > 1:
                raise LineRefused(f"{len(found)} products have the SKU {line.cells['sku']}; give each its own first.")
            values = values_of(table, line, lists)
        except LineRefused as error:
            result.refuse(line.number, str(error))
            continue
        if not found:
            found.append(Product(connection_id=warehouse.pk, external_id=uuid.uuid4().hex, sku_key=key))
            found[0].sku = line.cells["sku"]
        apply(found[0], *values)
        touched[key] = found[0]
        result.applied += 1
    created = [product for key, product in touched.items() if key not in before]
    changed = [product for key, product in touched.items() if key in before and state_of(product) != before[key]]
    for product in created + changed:
        product.version += 1
    write(created + changed)
    result.created += len(created)
    result.changed += len(changed)
    result.unchanged += len(touched) - len(created) - len(changed)


def readable_key(line: CsvLine) -> str:
    """The line's SKU key. Raises ``LineRefused`` or ``BookError``."""
    if line.refused:
        raise LineRefused(line.refused)
    return check_sku(line.cells.get("sku", ""))


def products_by_key(warehouse: Warehouse, keys: set[str]) -> dict[str, list[Product]]:
    """The products with these SKUs; a deleted one only where no living one has the SKU."""
    found: dict[str, list[Product]] = {}
    for part in parts_of(sorted(keys), KEYS_PER_QUERY):
        for product in Product.objects.filter(connection_id=warehouse.pk, sku_key__in=part).order_by("deleted", "pk"):
            same = found.setdefault(product.sku_key, [])
            if not (product.deleted and same):
                same.append(product)
    return found


def values_of(
    table: CsvTable, line: CsvLine, lists: Mapping[str, str]
) -> tuple[dict[str, str], dict[str, Decimal | None]]:
    """The texts and the prices that the line sets; None takes a price away. Raises ``LineRefused``."""
    texts = {name: line.cells[name] for name in TEXT_COLUMNS if name in line.cells}
    for name, text in texts.items():
        longest = getattr(Product._meta.get_field(name), "max_length", None)
        if longest and len(text) > longest:
            raise LineRefused(f"The {name} is longer than {longest} characters.")
    prices: dict[str, Decimal | None] = {}
    for column, name in lists.items():
        if column not in line.cells:
            continue
        price = table.number(line, column, PRICE_PLACES) if line.cells[column] else None
        if price is not None and not 0 <= price < LARGEST_PRICE:
            raise LineRefused(f"The {column} {line.cells[column]} is not a possible price.")
        prices[name] = price
    return texts, prices


def apply(product: Product, texts: Mapping[str, str], prices: Mapping[str, Decimal | None]) -> None:
    product.deleted = False
    for name, text in texts.items():
        setattr(product, name, text)
    kept = dict(product.prices)
    for name, price in prices.items():
        if price is None:
            kept.pop(name, None)
        elif amount_of(kept.get(name)) != price:
            kept[name] = plain_decimal(price, 2)
    product.prices = kept


def amount_of(text: object) -> Decimal | None:
    """A stored price, or None when there is none or it is no number."""
    try:
        return Decimal(str(text))
    except InvalidOperation:
        return None


def state_of(product: Product) -> tuple[object, ...]:
    return (*(getattr(product, name) for name in TEXT_COLUMNS), dict(product.prices), product.deleted)


def write(products: Sequence[Product]) -> None:
    """New products and changed ones, in as few statements as the database takes."""
    if not products:
        return
    connection_id = products[0].connection_id
    before = stock_keys.state_before(connection_id, [product.external_id for product in products])
    for product in products:
        product.pk = None
    Product.objects.bulk_create(
        products, update_conflicts=True, unique_fields=["connection", "external_id"], update_fields=WRITTEN
    )
    stock_keys.products_written(connection_id, before, products)
