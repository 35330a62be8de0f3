"""JSON as 3PL Warehouse Manager sends it, whatever its casing.

The ``Accept`` header decides: with ``application/hal+json`` names begin with a small letter and lists lie under
``_embedded``, else names begin with a capital and lists are called ``ResourceList``. Names are therefore folded: small
letters, no underscores. Numbers with a fraction become ``Decimal``.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

import msgspec

from connectors.errors import ContractBroken
from connectors.http import HttpResponse, describe_body

DECODER = msgspec.json.Decoder(float_hook=Decimal)
LIST_NAMES = ("resourcelist", "summaries", "items", "item", "data")


def decoded(answer: HttpResponse) -> Any:
    """Raises ``ContractBroken`` for anything but JSON."""
    try:
        return DECODER.decode(answer.body)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise ContractBroken(
            f"3PL Warehouse Manager gave an answer that cannot be read: {describe_body(answer.body, error)}",
            status=answer.status,
            body=answer.text(500),
        ) from error


def fold(name: str) -> str:
    return name.replace("_", "").lower()


def folded(value: Any) -> Any:
    """The value with its names folded, without empty texts and nulls: both mean the same as nothing here."""
    if isinstance(value, dict):
        return {fold(name): folded(member) for name, member in value.items() if member is not None and member != ""}
    if isinstance(value, list):
        return [folded(member) for member in value]
    return value


def rows_of(data: Any) -> list[Any]:
    """The rows of a list, wherever they lie. ``data`` is folded. Raises ``ContractBroken``."""
    if isinstance(data, list):
        return data
    if isinstance(data, dict):
        embedded = data.get("embedded")
        if isinstance(embedded, dict):
            for rows in embedded.values():
                if isinstance(rows, list):
                    return rows
            return []
        for name in LIST_NAMES:
            if isinstance(data.get(name), list):
                return list(data[name])
        if "totalresults" in data:
            return []
    raise ContractBroken("3PL Warehouse Manager's answer holds no list.")


def total_of(data: Any) -> int | None:
    """How many rows there are over all pages; None when the answer does not say."""
    told = data.get("totalresults") if isinstance(data, dict) else None
    return int(told) if told is not None and str(told).isdigit() else None


def member(record: Mapping[str, Any], name: str) -> tuple[str, Any]:
    """(the name as this record spells it, the value); (``name``, None) when it is not there."""
    for own, value in record.items():
        if fold(own) == fold(name):
            return own, value
    return name, None


def number(value: Decimal) -> int | msgspec.Raw:
    """A quantity as a JSON number, without rounding."""
    if value == value.to_integral_value():
        return int(value)
    return msgspec.Raw(format(value.normalize(), "f").encode())
