"""What a remote store says about itself, kept between runs and shared by a merchant's connections to that store.

Such facts (outlets, tax rates, the retailer's own record) hardly ever change, but every run of every cart needs them, and
all carts of a store share its rate limit. Whoever uses them follows one rule: **a kept fact may say yes, never no**. What
cannot be found among kept facts, or is not good enough there, is asked for again before anybody is told.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from connectors.budget import utc_now


@dataclass(frozen=True, slots=True)
class StoreFact:
    """One answer of the store, as JSON, and when it was given."""

    body: bytes
    read_at: datetime


class StoreFacts:
    """The facts of one store by name. The hub keeps them in its database between runs; here they lie in memory, so that
    a thread that fetches pages may use them. ``key`` is the store's; "": nobody keeps them any longer."""

    def __init__(self, key: str = "", facts: Mapping[str, StoreFact] | None = None) -> None:
        self.key = key
        self._facts = dict(facts or {})
        self._changed: set[str] = set()
        self._lock = threading.Lock()

    def get(self, name: str, lifetime: timedelta | None = None) -> bytes | None:
        """The fact, if there is one no older than ``lifetime`` (None: of any age)."""
        with self._lock:
            fact = self._facts.get(name)
        if fact is None or (lifetime is not None and abs(utc_now() - fact.read_at) > lifetime):
            return None
        return fact.body

    def put(self, name: str, body: bytes) -> None:
        with self._lock:
            self._facts[name] = StoreFact(body, utc_now())
            self._changed.add(name)

    def forget(self) -> None:
        """Everything must be asked for again. What is stored elsewhere stays until it is replaced."""
        with self._lock:
            self._facts.clear()
            self._changed.clear()

    def take_changed(self) -> dict[str, StoreFact]:
        """What was put since the last call, for whoever stores it."""
        with self._lock:
            changed, self._changed = self._changed, set()
            return {name: self._facts[name] for name in changed}
