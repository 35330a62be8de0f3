"""Inserting many plain rows at once, for the one place where ``bulk_create`` is the bottleneck: the intake of orders.

``bulk_create`` compiles an expression for every single value, and making a model instance costs more than storing it.
Here a row is plain values, converted only where a column needs it, and handed to the driver as it is: ``executemany`` on
SQLite, ``COPY`` on PostgreSQL. Neither primary keys are set nor signals sent.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from functools import lru_cache
from operator import attrgetter
from typing import Any

from django.db import connection as database
from django.db import models
from django.utils import timezone

Convert = Callable[[Any], Any]


@dataclass(frozen=True, slots=True)
class Columns:
    """A table's columns without its automatic primary key. ``conversions`` and ``clocks`` are positions in a row."""

    table: str
    names: tuple[str, ...]
    attributes: tuple[str, ...]
    defaults: dict[str, Any]
    read: Callable[[Any], tuple[Any, ...]]
    conversions: tuple[tuple[int, Convert], ...]
    clocks: tuple[int, ...]


def insert_rows(model: type[models.Model], rows: Sequence[models.Model]) -> None:
    """Inserts new rows of one model. Columns that keep the time of storing get it."""
    if rows:
        columns = columns_of(model, database.vendor)
        insert(columns, (list(columns.read(row)) for row in rows))


def insert_values(model: type[models.Model], rows: Sequence[Mapping[str, Any]]) -> None:
    """The same for rows that are mere values by attribute name (``order_id``, not ``order``); what is left out gets the
    column's default."""
    if rows:
        columns = columns_of(model, database.vendor)
        attributes, defaults = columns.attributes, columns.defaults
        insert(columns, ([*map({**defaults, **row}.__getitem__, attributes)] for row in rows))


def insert(columns: Columns, rows: Iterable[list[Any]]) -> None:
    names = ", ".join(f'"{name}"' for name in columns.names)
    with database.cursor() as cursor, database.wrap_database_errors:
        if database.vendor == "postgresql":
            with cursor.copy(f'COPY "{columns.table}" ({names}) FROM STDIN') as copy:
                for values in plain_rows(columns, rows):
                    copy.write_row(values)
        else:
            places = ", ".join(["%s"] * len(columns.names))
            statement = f'INSERT INTO "{columns.table}" ({names}) VALUES ({places})'  # noqa: S608
            cursor.executemany(statement, list(plain_rows(columns, rows)))


def plain_rows(columns: Columns, rows: Iterable[list[Any]]) -> Iterable[list[Any]]:
    """Each row's values as the driver takes them."""
    now = timezone.now()
    for values in rows:
        for place in columns.clocks:
            values[place] = now
        for place, convert in columns.conversions:
            value = values[place]
            if value is not None:
                values[place] = convert(value)
        yield values


@lru_cache(maxsize=32)
def columns_of(model: type[models.Model], vendor: str) -> Columns:
    fields = [field for field in model._meta.local_concrete_fields if not field.primary_key]
    conversions = ((place, conversion(field, vendor)) for place, field in enumerate(fields))
    return Columns(
        table=model._meta.db_table,
        names=tuple(str(field.column) for field in fields),
        attributes=tuple(field.attname for field in fields),
        defaults={field.attname: field.get_default() for field in fields},
        read=attrgetter(*(field.attname for field in fields)),
        conversions=tuple((place, convert) for place, convert in conversions if convert is not None),
        clocks=tuple(
            place
            for place, field in enumerate(fields)
            if getattr(field, "auto_now", False) or getattr(field, "auto_now_add", False)
        ),
    )


def conversion(field: models.Field[Any, Any], vendor: str) -> Convert | None:
    """What turns a value of this column into what the driver takes; None where it takes the value itself."""
    if isinstance(field, models.JSONField):
        return json.dumps
    if isinstance(field, models.DecimalField):
        places = field.decimal_places
        return rounded_text(places) if vendor == "sqlite" else lambda value: round(value, places)
    if isinstance(field, models.DateTimeField) and vendor == "sqlite":
        return naive_text
    return None


def rounded_text(places: int) -> Convert:
    def convert(value: Decimal) -> str:
        return str(round(value, places))

    return convert


def naive_text(value: datetime) -> str:
    """As Django keeps times in SQLite: UTC, without saying so."""
    return str(value.astimezone(UTC).replace(tzinfo=None))
