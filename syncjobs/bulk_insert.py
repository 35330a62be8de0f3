"""Inserting many plain rows at once, for the one place where ``bulk_create`` is the bottleneck: the intake of orders.

``bulk_create`` compiles an expression for every single value, and making a model instance costs more than storing it.
Here a row is plain values by attribute name; a column is converted as a whole where the database needs it, and the rows
are handed to the driver as they are: ``executemany`` on SQLite, ``COPY`` on PostgreSQL. Amounts and times go as text, which
both drivers take without a look at their kind. No signals are sent.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from functools import lru_cache
from itertools import repeat
from operator import itemgetter
from typing import Any

import msgspec
from django.db import connection as database
from django.db import models
from django.utils import timezone

Convert = Callable[[Any], Any]


@dataclass(frozen=True, slots=True)
class Columns:
    """A table's columns as rows of certain attributes fill them. ``given`` reads a row's own values; the columns after
    them have the same value in every row: the time of storing (``clocks`` of them), then the columns' defaults."""

    names: tuple[str, ...]
    given: Callable[[Mapping[str, Any]], tuple[Any, ...]]
    conversions: tuple[tuple[int, Convert], ...]
    clocks: int
    keep_time: Convert | None
    defaults: tuple[Any, ...]


def insert_values(model: type[models.Model], rows: Sequence[Mapping[str, Any]]) -> None:
    """Inserts rows that are values by attribute name (``order_id``, not ``order``); all of them name the same. What they
    leave out gets the column's default, or the time of storing where the column keeps that."""
    if not rows:
        return
    columns = columns_of(model, tuple(rows[0]), database.vendor)
    table = database.ops.quote_name(model._meta.db_table)
    names = ", ".join(map(database.ops.quote_name, columns.names))
    with database.cursor() as cursor, database.wrap_database_errors:
        if database.vendor == "postgresql":
            with cursor.copy(f"COPY {table} ({names}) FROM STDIN") as copy:
                for values in plain_rows(columns, rows):
                    copy.write_row(values)
        else:
            places = ", ".join(["%s"] * len(columns.names))
            cursor.executemany(f"INSERT INTO {table} ({names}) VALUES ({places})", list(plain_rows(columns, rows)))  # noqa: S608


# The sequence is looked up once, not once per id.
NEXT_IDS = """
    WITH ids AS MATERIALIZED (SELECT pg_get_serial_sequence(%s, 'id')::regclass AS sequence)
    SELECT nextval(ids.sequence) FROM ids, generate_series(1, %s)
"""


def reserve_ids(model: type[models.Model], number: int) -> Sequence[int]:
    """Primary keys for rows that are about to be inserted with them. Nobody else gets them as long as this transaction
    lasts (on SQLite, because a transaction of ours holds the write lock from its start)."""
    assert database.in_atomic_block, "ids are reserved within the transaction that uses them"
    table = model._meta.db_table
    with database.cursor() as cursor:
        if database.vendor == "postgresql":
            cursor.execute(NEXT_IDS, [database.ops.quote_name(table), number])
            return [row[0] for row in cursor.fetchall()]
        cursor.execute("SELECT seq FROM sqlite_sequence WHERE name = %s", [table])
        last = (cursor.fetchone() or (0,))[0]
        return range(last + 1, last + 1 + number)


def plain_rows(columns: Columns, rows: Sequence[Mapping[str, Any]]) -> Iterator[tuple[Any, ...]]:
    """Each row's values as the driver takes them."""
    cells: list[Sequence[Any]] = list(zip(*map(columns.given, rows), strict=True))
    for place, convert in columns.conversions:
        cells[place] = [None if value is None else convert(value) for value in cells[place]]
    now: Any = timezone.now()
    if columns.keep_time is not None:
        now = columns.keep_time(now)
    return zip(*cells, *([repeat(now)] * columns.clocks), *map(repeat, columns.defaults))  # noqa: B905 - repeat never ends


@lru_cache(maxsize=64)
def columns_of(model: type[models.Model], attributes: tuple[str, ...], vendor: str) -> Columns:
    by_attribute = {field.attname: field for field in model._meta.local_concrete_fields}
    given = [by_attribute.pop(attribute) for attribute in attributes]
    left = [field for field in by_attribute.values() if not field.primary_key]
    clocks = [field for field in left if getattr(field, "auto_now", False) or getattr(field, "auto_now_add", False)]
    rest = [field for field in left if field not in clocks]
    conversions = ((place, conversion(field, vendor)) for place, field in enumerate(given))
    return Columns(
        names=tuple(str(field.column) for field in [*given, *clocks, *rest]),
        given=itemgetter(*attributes),
        conversions=tuple((place, convert) for place, convert in conversions if convert is not None),
        clocks=len(clocks),
        keep_time=conversion(models.DateTimeField(), vendor),
        defaults=tuple(default_of(field, vendor) for field in rest),
    )


def default_of(field: models.Field[Any, Any], vendor: str) -> Any:
    value, convert = field.get_default(), conversion(field, vendor)
    return value if value is None or convert is None else convert(value)


def conversion(field: models.Field[Any, Any], vendor: str) -> Convert | None:
    """What turns a value of this column into what the driver takes; None where it takes the value itself."""
    if isinstance(field, models.JSONField):
        return json_text
    if isinstance(field, models.DecimalField):
        return rounded_text(field.decimal_places)
    if isinstance(field, models.DateTimeField):
        return naive_text if vendor == "sqlite" else iso_text
    if vendor == "sqlite" and isinstance(field, models.BooleanField):
        return int
    return None


def json_text(value: Any) -> str:
    return msgspec.json.encode(value).decode()


def rounded_text(places: int) -> Convert:
    """Zero, the most frequent amount, needs no rounding."""

    def convert(value: Decimal) -> str:
        return str(round(value, places)) if value else "0"

    return convert


def iso_text(value: datetime) -> str:
    return value.isoformat(" ")


def naive_text(value: datetime) -> str:
    """As Django keeps times in SQLite: UTC, without saying so."""
    return value.astimezone(UTC).isoformat(" ").removesuffix("+00:00")
