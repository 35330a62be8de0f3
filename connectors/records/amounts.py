"""Amounts: money and quantities are ``Decimal`` made from text, never from a float."""

from __future__ import annotations

from decimal import Decimal

ZERO = Decimal(0)
