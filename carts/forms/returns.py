"""Forms about returns."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from django import forms

from carts.forms.fields import HubForm
from carts.models import PickReturnLine


class ReceiveForm(HubForm):
    """Mark received: for each line, whether it goes back on the shelf."""

    def __init__(self, *args: Any, lines: Iterable[PickReturnLine], restock: bool = True, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.lines = list(lines)
        for line in self.lines:
            self.fields[self.name_of(line)] = forms.BooleanField(
                label=f"{line.sku or line.name} can be sold again", required=False, initial=restock
            )

    @staticmethod
    def name_of(line: PickReturnLine) -> str:
        return f"line_{line.pk}"

    def rows(self) -> list[tuple[PickReturnLine, forms.BoundField]]:
        return [(line, self[self.name_of(line)]) for line in self.lines]

    def restocked(self) -> list[str]:
        """The references of the lines that go back on the shelf."""
        return [line.reference for line in self.lines if self.cleaned_data[self.name_of(line)]]
