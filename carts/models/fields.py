"""Column types shared by all models: money and quantities."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from django.db import models


class MoneyField(models.DecimalField):
    """An amount as the remote sent it: up to six decimals, never rounded to the currency."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        kwargs.setdefault("max_digits", 20)
        kwargs.setdefault("decimal_places", 6)
        kwargs.setdefault("default", Decimal(0))
        super().__init__(*args, **kwargs)


class QuantityField(models.DecimalField):
    """A quantity, possibly fractional (five decimals, as POS systems count)."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        kwargs.setdefault("max_digits", 16)
        kwargs.setdefault("decimal_places", 5)
        super().__init__(*args, **kwargs)


def plain_decimal(value: Decimal, places: int = 0) -> str:
    """A decimal as people write it: at least ``places`` decimals, no trailing zeros beyond, no exponent."""
    text = f"{value:f}"
    whole, _, decimals = text.partition(".")
    decimals = decimals.rstrip("0").ljust(places, "0")
    return f"{whole}.{decimals}" if decimals else whole
