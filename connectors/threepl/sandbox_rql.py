"""The filter and sort languages of the fake 3PL Warehouse Manager: ``a==1;b=ge=2026-03-01`` and ``sort=a,-b``."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from decimal import Decimal, InvalidOperation
from fnmatch import fnmatchcase
from typing import Any
from urllib.parse import unquote_plus

from connectors.sandbox import Refusal

CONDITION = re.compile(r"^(?P<name>[\w.]+)(?P<operator>==|!=|=gt=|=ge=|=lt=|=le=|=in=|=out=)(?P<value>.*)$")
COMPARE: dict[str, Callable[[Any, Any], bool]] = {
    "=gt=": lambda a, b: a > b,
    "=ge=": lambda a, b: a >= b,
    "=lt=": lambda a, b: a < b,
    "=le=": lambda a, b: a <= b,
}


def matching(records: Iterable[dict[str, Any]], rql: str, known: frozenset[str]) -> list[dict[str, Any]]:
    """The records that meet the filter. ``known`` names what may be asked for, in small letters. Raises ``Refusal``."""
    if not rql:
        return list(records)
    # ``;`` is and, ``,`` is or and binds less.
    choices = [[condition(text, known) for text in choice.split(";")] for choice in split_outside(rql, ",")]
    return [record for record in records if any(all(test(record) for test in conditions) for conditions in choices)]


def condition(text: str, known: frozenset[str]) -> Callable[[dict[str, Any]], bool]:
    found = CONDITION.match(text.strip())
    if found is None or found["name"].lower() not in known:
        raise Refusal(400, {"ErrorCode": "ValueNotSupported", "Properties": [{"Name": "rql", "Value": text}]})
    name, operator = found["name"].lower(), found["operator"]
    values = [unquote_plus(value).strip("\"'") for value in found["value"].strip("()").split(",")]

    def test(record: dict[str, Any]) -> bool:
        own = lookup(record, name)
        if operator in ("==", "=in="):
            return any(equal(own, value) for value in values)
        if operator in ("!=", "=out="):
            return not any(equal(own, value) for value in values)
        left, right = comparable(own, values[0])
        return left is not None and COMPARE[operator](left, right)

    return test


def split_outside(text: str, mark: str) -> list[str]:
    """Split at ``mark``, but not within parentheses."""
    parts, depth, start = [], 0, 0
    for place, character in enumerate(text):
        depth += (character == "(") - (character == ")")
        if character == mark and not depth:
            parts.append(text[start:place])
            start = place + 1
    return [*parts, text[start:]]


def lookup(record: Any, path: str) -> Any:
    for part in path.split("."):
        if not isinstance(record, dict):
            return None
        record = next((value for name, value in record.items() if name.lower() == part), None)
    return record


def plain(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else "" if value is None else str(value)


def equal(own: Any, value: str) -> bool:
    return fnmatchcase(plain(own).lower(), value.lower().replace("[", "[[]"))


def comparable(own: Any, value: str) -> tuple[Any, Any]:
    if isinstance(own, int | Decimal):
        try:
            return own, Decimal(value)
        except InvalidOperation:
            return None, None
    return (own, value) if isinstance(own, str) else (None, None)


def in_order(records: Sequence[dict[str, Any]], sort: str, known: frozenset[str]) -> list[dict[str, Any]]:
    """Raises ``Refusal``."""
    found = list(records)
    for part in reversed([part for part in sort.split(",") if part]):
        name = part.lstrip("-").lower()
        if name not in known:
            raise Refusal(400, {"ErrorCode": "ValueNotSupported", "Properties": [{"Name": "sort", "Value": part}]})
        found.sort(key=lambda record: plain(lookup(record, name)), reverse=part.startswith("-"))
    return found
