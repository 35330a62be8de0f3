"""The table that ``make bench`` prints."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Row:
    """One comparison. ``ratio`` is what the target speaks of; None for a row that only informs."""

    name: str
    ours: str
    floor: str = ""
    ratio: float | None = None
    target: float | None = None
    at_most: bool = False

    @property
    def verdict(self) -> str:
        if self.ratio is None or self.target is None:
            return ""
        kept = self.ratio <= self.target if self.at_most else self.ratio >= self.target
        return "ok" if kept else "MISSED"

    def cells(self) -> tuple[str, ...]:
        ratio = "" if self.ratio is None else f"{self.ratio:,.2f}".rstrip("0").rstrip(".")
        target = "" if self.target is None else f"{'<=' if self.at_most else '>='} {self.target:,g}"
        return self.name, self.ours, self.floor, ratio, target, self.verdict


HEAD = ("what", "ours", "floor or peer", "ratio", "target", "")


def table(rows: list[Row]) -> str:
    """The rows as text, columns aligned."""
    lines = [HEAD, *(row.cells() for row in rows)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(HEAD))]
    texts = ["  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in lines]
    return "\n".join([texts[0], "  ".join("-" * width for width in widths).rstrip(), *texts[1:]])


def per_second(rate: float, what: str = "") -> str:
    return f"{rate:,.0f}{' ' + what if what else ''}/s"
