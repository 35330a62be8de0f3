"""How the API describes itself (OpenAPI)."""

from __future__ import annotations

from drf_spectacular.openapi import AutoSchema

SUMMARIES = {
    "list": "List",
    "retrieve": "Show one",
    "create": "Add",
    "partial_update": "Change",
    "destroy": "Delete",
}


class Description(AutoSchema):
    """Gives every operation a headline: what all lists and objects have in common in a word, else the first sentence of
    its own description."""

    def get_summary(self) -> str:
        known = SUMMARIES.get(getattr(self.view, "action", ""), "")
        first_sentence: str = self.get_description().partition(".")[0]
        return known or first_sentence.replace("\n", " ")
