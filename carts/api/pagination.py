"""How long lists are cut into pages."""

from __future__ import annotations

from rest_framework import pagination

from carts.deep_pages import DeepPaginator


class PageNumberPagination(pagination.PageNumberPagination):
    """``?page=2&page_size=200`` -> ``{"count", "next", "previous", "results"}``."""

    django_paginator_class = DeepPaginator
    page_size = 50
    page_size_query_param = "page_size"
    page_size_query_description = "How many results a page holds, up to 1000."
    max_page_size = 1000
