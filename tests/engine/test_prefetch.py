"""While one page is stored, the next one is already being fetched; a feed without news needs no thread for that."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from syncjobs.prefetch import FetchedAhead


def fetched(pages: int, fetchers: list[threading.Thread]) -> Iterator[int]:
    for page in range(pages):
        fetchers.append(threading.current_thread())
        yield page
    fetchers.append(threading.current_thread())


def test_a_feed_without_news_is_read_by_the_caller_itself() -> None:
    fetchers: list[threading.Thread] = []
    assert list(FetchedAhead(fetched(0, fetchers))) == []
    assert fetchers == [threading.current_thread()]


def test_after_the_first_page_another_thread_is_ahead() -> None:
    fetchers: list[threading.Thread] = []
    assert list(FetchedAhead(fetched(3, fetchers))) == [0, 1, 2]
    assert fetchers[0] is threading.current_thread()
    assert len(fetchers) == 4 and threading.current_thread() not in fetchers[1:]


def test_who_has_something_else_to_do_first_starts_it() -> None:
    fetchers: list[threading.Thread] = []
    ahead = FetchedAhead(fetched(2, fetchers))
    ahead.start()
    assert list(ahead) == [0, 1]
    assert threading.current_thread() not in fetchers


def test_what_goes_wrong_reaches_the_caller_whoever_fetched() -> None:
    def broken(good: int) -> Iterator[int]:
        yield from range(good)
        raise ValueError("the remote is away")

    for good in (0, 1):
        ahead = FetchedAhead(broken(good))
        assert [next(ahead) for _ in range(good)] == list(range(good))
        with pytest.raises(ValueError, match="away"):
            next(ahead)
