"""While one page is stored, the next one is already being fetched (law 10)."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, TypeVar, cast

T = TypeVar("T")
END: Any = object()


class FetchedAhead(Iterator[T]):
    """The same pages, each fetched by a thread while the previous one is in the caller's hands. The caller waits for the
    first one anyway and fetches it itself: most feeds hold no other, and then there is no thread to be started. At most
    one page waits, so memory stays flat. The thread touches the network only, never the database (but for the rare
    renewal of a connection's tokens, which ``carts.credential_store`` does by itself). Close it when you stop before the
    end."""

    def __init__(self, pages: Iterator[T]) -> None:
        self._pages = pages
        self._pool: ThreadPoolExecutor | None = None
        self._waiting: Future[Any] | None = None

    def start(self) -> None:
        """Begins to fetch the first page at once, for a caller who has something else to do before it."""
        self._pool = self._pool or ThreadPoolExecutor(max_workers=1, thread_name_prefix="next-page")
        self._waiting = self._pool.submit(next, self._pages, END)

    def __next__(self) -> T:
        try:
            page = next(self._pages, END) if self._waiting is None else self._waiting.result()
        except BaseException:
            self.close()
            raise
        if page is END:
            self.close()
            raise StopIteration
        self.start()
        return cast(T, page)

    def close(self) -> None:
        """Waits for the fetch that is on its way, and forgets it."""
        if self._pool is not None:
            self._pool.shutdown(wait=True, cancel_futures=True)
