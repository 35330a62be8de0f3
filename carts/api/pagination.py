"""How long lists are cut into pages."""

from __future__ import annotations

from typing import Any

from rest_framework import pagination
from rest_framework.response import Response

from carts.deep_pages import DeepPaginator, MoreThan


class PageNumberPagination(pagination.PageNumberPagination):
    """``?page=2&page_size=200`` -> ``{"count", "next", "previous", "results"}``. Where more rows fit than are counted,
    ``"count_is_exact": false`` says so, and ``next`` leads on."""

    django_paginator_class = DeepPaginator
    page_size = 50
    page_size_query_param = "page_size"
    page_size_query_description = "How many results a page holds, up to 1000."
    max_page_size = 1000

    def get_paginated_response(self, data: Any) -> Response:
        answer = super().get_paginated_response(data)
        if isinstance(count := answer.data["count"], MoreThan):
            answer.data |= {"count": count.counted, "count_is_exact": False}
        return answer

    def get_paginated_response_schema(self, schema: dict[str, Any]) -> dict[str, Any]:
        described = super().get_paginated_response_schema(schema)
        described["properties"]["count_is_exact"] = {
            "type": "boolean",
            "description": "False where there are more than `count`; left out where there are not.",
        }
        return described
