"""Tryton's JSON: amounts, dates and times are objects with a ``__class__``; quantities are plain numbers."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import msgspec

Domain = list[Any]


class Amount(msgspec.Struct, frozen=True):
    decimal: str

    def value(self) -> Decimal:
        return Decimal(self.decimal)


class Day(msgspec.Struct, frozen=True):
    year: int
    month: int
    day: int

    def value(self) -> date:
        return date(self.year, self.month, self.day)


class Moment(msgspec.Struct, frozen=True):
    """A time in UTC."""

    year: int
    month: int
    day: int
    hour: int = 0
    minute: int = 0
    second: int = 0
    microsecond: int = 0

    def value(self) -> datetime:
        return datetime(
            self.year, self.month, self.day, self.hour, self.minute, self.second, self.microsecond, tzinfo=UTC
        )


def to_wire(value: Any) -> Any:
    """A value as Tryton reads it. A ``Decimal`` is money: give quantities as ``quantity()``."""
    if isinstance(value, Decimal):
        return {"__class__": "Decimal", "decimal": format(value, "f")}
    if isinstance(value, datetime):
        moment = value.astimezone(UTC)
        names = ("year", "month", "day", "hour", "minute", "second", "microsecond")
        return {"__class__": "datetime", **{name: getattr(moment, name) for name in names}}
    if isinstance(value, date):
        return {"__class__": "date", "year": value.year, "month": value.month, "day": value.day}
    if isinstance(value, Mapping):
        return {name: to_wire(part) for name, part in value.items()}
    if isinstance(value, list | tuple):
        return [to_wire(part) for part in value]
    return value


def quantity(value: Decimal) -> msgspec.Raw:
    """A quantity as a number, digit for digit."""
    text = format(value, "f")
    return msgspec.Raw((text if "." in text else f"{text}.0").encode())


def like(text: str) -> str:
    """A text for ``like`` and ``ilike`` that stands for itself."""
    return text.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")


def changed_since(moment: datetime) -> Domain:
    """Records made or changed at or after a time."""
    return ["OR", ["write_date", ">=", moment], [["write_date", "=", None], ["create_date", ">=", moment]]]
