"""Column types shared by all models: money, quantities, and keys that follow from a row's SKU."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from django.db import models

from connectors.product_rules import plain_sku


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


class PlainKeyField(models.CharField):
    """The row's SKU in letters and digits only, case ignored: computed whenever the whole row is written."""

    def pre_save(self, model_instance: Any, add: bool) -> str:
        key = plain_key(model_instance.sku)[: self.max_length]
        setattr(model_instance, self.attname, key)
        return key


class StockKeyField(models.CharField):
    """The row's own ``sku_key``, unless ``carts.stock_keys`` found the SKU of a warehouse for it (``stock_sku``)."""

    def pre_save(self, model_instance: Any, add: bool) -> str:
        if not model_instance.stock_sku:
            setattr(model_instance, self.attname, model_instance.sku_key)
        return str(getattr(model_instance, self.attname))


def plain_key(sku: str) -> str:
    """The form in which SKUs are compared that differ in special characters."""
    return plain_sku(sku).casefold()


def plain_decimal(value: Decimal, places: int = 0) -> str:
    """A decimal as people write it: at least ``places`` decimals, no trailing zeros beyond, no exponent."""
    text = f"{value:f}"
    whole, _, decimals = text.partition(".")
    decimals = decimals.rstrip("0").ljust(places, "0")
    return f"{whole}.{decimals}" if decimals else whole
