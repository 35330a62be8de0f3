"""Reading CSV files that people made: comma or semicolon, with or without byte order mark, columns in any order.

Every line is read for itself: a bad one is reported with its number and a sentence, and the others go on.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from decimal import Decimal

NUMBER = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)", re.ASCII)
# Downloads put an apostrophe before a text that a spreadsheet would take for a formula; see ``cell_text``.
FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r")


class CsvUnreadable(Exception):
    """The file as a whole cannot be used. The text says why, for people."""


class LineRefused(Exception):
    """One line cannot be used. The text says why, for people."""


@dataclass(frozen=True, slots=True)
class CsvLine:
    """``number`` is where the line begins in the file (the header is line 1). ``cells`` maps the column's name in lower
    case -> its text without surrounding space; ``refused`` says why the line cannot be read."""

    number: int
    cells: dict[str, str]
    refused: str = ""


@dataclass(frozen=True, slots=True)
class LineProblem:
    line: int
    message: str


@dataclass(slots=True)
class ImportResult:
    """What an import did. ``applied`` counts lines of the file; ``created``, ``changed`` and ``unchanged`` count rows of
    the database (a row that several lines name counts once)."""

    applied: int = 0
    created: int = 0
    changed: int = 0
    unchanged: int = 0
    problems: list[LineProblem] = field(default_factory=list)
    ignored_columns: list[str] = field(default_factory=list)

    @property
    def ok(self) -> bool:
        return not self.problems

    @property
    def summary(self) -> str:
        """One sentence for a message on screen."""
        text = f"{self.applied} lines taken: {self.created} new, {self.changed} changed, {self.unchanged} as before."
        if self.problems:
            text += f" {len(self.problems)} lines could not be used."
        if self.ignored_columns:
            text += f" Columns without meaning here: {', '.join(self.ignored_columns)}."
        return text

    def refuse(self, line: int, message: str) -> None:
        self.problems.append(LineProblem(line, message))


class CsvTable:
    """A CSV file with a header line. Raises ``CsvUnreadable`` when there is no header with the ``needed`` columns."""

    def __init__(self, content: bytes, needed: Sequence[str]) -> None:
        try:
            text = content.decode("utf-8-sig")
        except UnicodeDecodeError:
            raise CsvUnreadable(
                "The file is not in UTF-8. In a spreadsheet, save it as “CSV UTF-8 (comma delimited)”."
            ) from None
        first_line = text.lstrip().partition("\n")[0]
        self.delimiter = ";" if first_line.count(";") > first_line.count(",") else ","
        self.reader = csv.reader(io.StringIO(text, newline=""), delimiter=self.delimiter, skipinitialspace=True)
        self.header = [name.strip() for name in self._first_row()]
        self.columns = [name.lower() for name in self.header]
        missing = [name for name in needed if name not in self.columns]
        if missing:
            raise CsvUnreadable(
                f"The column {missing[0]} is missing. The first line must name the columns: {', '.join(needed)}."
            )
        twice = [name for name in self.columns if name and self.columns.count(name) > 1]
        if twice:
            raise CsvUnreadable(f"The column {twice[0]} is there twice.")

    def lines(self) -> Iterator[CsvLine]:
        """Every line after the header; empty ones are left out."""
        while True:
            number = self.reader.line_num + 1
            try:
                row = next(self.reader)
            except StopIteration:
                return
            except csv.Error as error:
                yield CsvLine(number, {}, f"This line cannot be read: {error}.")
                continue
            cells = [cell_text(cell) for cell in row]
            if not any(cells):
                continue
            yield CsvLine(number, dict(zip(self.columns, cells, strict=False)), self._fault_of(cells))

    def number(self, line: CsvLine, column: str, places: int) -> Decimal:
        """The column's number, with at most ``places`` decimals; files with semicolons may write them after a comma.
        Raises ``LineRefused``."""
        text = line.cells.get(column, "")
        if not text:
            raise LineRefused(f"The column {column} is empty.")
        plain = text.replace(",", ".") if self.delimiter == ";" and "." not in text else text
        if not NUMBER.fullmatch(plain):
            raise LineRefused(f"The {column} “{shortened(text)}” is not a number.")
        if len(plain.partition(".")[2].rstrip("0")) > places:
            raise LineRefused(f"The {column} “{shortened(text)}” has more than {places} decimals.")
        return Decimal(plain)

    def _first_row(self) -> list[str]:
        try:
            return next((row for row in self.reader if any(cell.strip() for cell in row)), [])
        except csv.Error as error:
            raise CsvUnreadable(f"The file cannot be read: {error}.") from error

    def _fault_of(self, cells: Sequence[str]) -> str:
        if len(cells) > len(self.columns):
            return (
                f"This line has {len(cells)} columns, the header {len(self.columns)}. "
                f"Put texts that hold a “{self.delimiter}” in double quotes."
            )
        if any("\0" in cell for cell in cells):
            return "This line holds a character that cannot be stored."
        return ""


def cell_text(cell: str) -> str:
    """A cell without surrounding space and without the apostrophe that a download put before a formula's sign."""
    text = cell.strip()
    return text[1:] if text.startswith("'") and text[1:].startswith(FORMULA_STARTS) else text


def shortened(text: str) -> str:
    return text if len(text) <= 40 else f"{text[:40]}…"
