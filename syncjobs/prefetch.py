"""While one page is stored, the next one is already being fetched (law 10)."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

T = TypeVar("T")
END: Any = object()


def fetched_ahead(pages: Iterator[T]) -> Iterator[T]:
    """The same pages, each fetched by a thread while the previous one is in the caller's hands. At most one page waits,
    so memory stays flat. The thread touches the network only, never the database (but for the rare renewal
    of a connection's tokens, which ``carts.credential_store`` does by itself)."""
    pool = ThreadPoolExecutor(max_workers=1, thread_name_prefix="next-page")
    try:
        waiting = pool.submit(next, pages, END)
        while (page := waiting.result()) is not END:
            waiting = pool.submit(next, pages, END)
            yield page
    finally:
        pool.shutdown(wait=True, cancel_futures=True)
