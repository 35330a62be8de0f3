"""Reading what wobbles."""

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from msgspec import Raw

from connectors.countries import THREE_LETTERS, three_letters
from connectors.integration_manager.shapes import (
    ShipmentItem,
    Unreadable,
    flag,
    moment,
    number,
    rows,
    table,
    text,
)


@pytest.mark.parametrize(
    ("json", "expected"),
    [
        (b'"a"', "a"),
        (b"12", "12"),
        (b"1.50", "1.50"),
        (b"null", ""),
        (b'""', ""),
        (b'" a "', "a"),
        (b"[]", ""),
        (b"true", ""),
    ],
)
def test_text(json: bytes, expected: str) -> None:
    assert text(Raw(json)) == expected


def test_text_without_what_no_database_takes() -> None:
    assert text(Raw(b'"a\\u0000b\\ud800c"')) == "ab?c"


@pytest.mark.parametrize(
    ("json", "expected"),
    [(b"2", 2), (b'"2"', 2), (b"0.1", "0.1"), (b'"1,234.50"', "1234.50"), (b"-1", -1), (b"null", None), (b'""', None)],
)
def test_number(json: bytes, expected: Any) -> None:
    found = number(Raw(json))
    assert found == (None if expected is None else Decimal(expected))


@pytest.mark.parametrize("json", [b'"x"', b'"NaN"', b'"1e999999999"', b'"inf"'])
def test_no_number(json: bytes) -> None:
    with pytest.raises(Unreadable):
        number(Raw(json))


@pytest.mark.parametrize(
    "json",
    [
        b'"2026-03-02T18:00:00+00:00"',
        b'"2026-03-02T18:00:00Z"',
        b'"2026-03-02 18:00:00"',
        b'"2026-03-02T19:00:00+01:00"',
    ],
)
def test_moment(json: bytes) -> None:
    assert moment(Raw(json)) == datetime(2026, 3, 2, 18, tzinfo=UTC)


@pytest.mark.parametrize("json", [b"null", b'""', b'"0000-00-00 00:00:00"'])
def test_no_moment(json: bytes) -> None:
    assert moment(Raw(json)) is None


@pytest.mark.parametrize(
    ("json", "expected"),
    [(b"true", True), (b'"Y"', True), (b"1", True), (b'"N"', False), (b"null", False), (b"0", False)],
)
def test_flag(json: bytes, expected: bool) -> None:
    assert flag(Raw(json)) is expected


@pytest.mark.parametrize(
    ("json", "items"),
    [
        (b'[{"item":"a"},{"item":"b"}]', ["a", "b"]),
        (b'{"0":{"item":"a"},"1":{"item":"b"}}', ["a", "b"]),
        (b'{"item":"a"}', ["a"]),
        (b"[]", []),
        (b"{}", []),
        (b"null", []),
        (b'""', []),
        (b"false", []),
    ],
)
def test_rows(json: bytes, items: list[str]) -> None:
    assert [text(row.item) for row in rows(Raw(json), ShipmentItem)] == items


@pytest.mark.parametrize("json", [b'"text"', b"7", b"[1]", b"[null]"])
def test_no_rows(json: bytes) -> None:
    with pytest.raises(Unreadable):
        rows(Raw(json), ShipmentItem)


@pytest.mark.parametrize(("json", "names"), [(b'{"a":1}', ["a"]), (b"[]", []), (b"null", []), (b'""', [])])
def test_table(json: bytes, names: list[str]) -> None:
    assert list(table(Raw(json))) == names


@pytest.mark.parametrize(
    ("given", "expected"),
    [("US", "USA"), ("nz", "NZL"), ("GB", "GBR"), ("USA", "USA"), ("New Zealand", "New Zealand"), ("", "")],
)
def test_countries(given: str, expected: str) -> None:
    assert three_letters(given) == expected
    assert len(THREE_LETTERS) == len(set(THREE_LETTERS.values())) == 249
