"""The admin's navigation."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest


def sidebar(request: HttpRequest) -> dict[str, Any]:
    return {"show_search": True, "show_all_applications": False, "navigation": []}
