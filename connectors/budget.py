"""Rate limits: one ``Budget`` per rate-limit group (for example: one store), shared by all its connections."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, cast

from connectors.errors import RateLimited

# Below this share of the limit, calls are spread out instead of sent at once.
SPARE_SHARE = 0.05
# Above this share there is nothing that the other processes need to hear of.
PLENTY_SHARE = 0.5
LONGEST_SPREAD_SECONDS = 1.0
# What patient work leaves of the limit to everything else; and after which part of the window it looks again.
RESERVED_SHARE = 0.2
LOOKS_IN_A_WINDOW = 10
OBSERVATION_LIFETIME = timedelta(seconds=300)


@dataclass(slots=True)
class Budget:
    """What is known about the remaining calls of one rate-limit group.

    ``limit`` and ``remaining`` come from the remote's own headers, which already count every process of ours;
    ``paused_until`` is the time that the remote named when it refused a call.
    """

    key: str
    limit: int | None = None
    remaining: int | None = None
    observed_at: datetime | None = None
    paused_until: datetime | None = None
    window: timedelta = OBSERVATION_LIFETIME
    changed: bool = False
    lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    def check(self, now: datetime) -> float:
        """Seconds to wait before the next call. Raises ``RateLimited`` while the group is paused."""
        with self.lock:
            if self.paused_until and self.paused_until > now:
                raise RateLimited(
                    f"The remote asked the hub to wait until {self.paused_until:%H:%M:%S} UTC.",
                    retry_at=self.paused_until,
                )
            if self.limit and self.remaining is not None and self.observed_at:
                fresh = now - self.observed_at < self.window
                if fresh and self.remaining <= self.limit * SPARE_SHARE:
                    return min(self.window.total_seconds() / self.limit, LONGEST_SPREAD_SECONDS)
            return 0.0

    def check_reserve(self, now: datetime) -> None:
        """For work that can wait, such as a sweep over a whole catalogue: it may not use up the calls that an order needs.
        Raises ``RateLimited`` when only the reserve is left; now and then one call goes through, to see how much there is
        again."""
        with self.lock:
            if not self.limit or self.remaining is None or self.observed_at is None:
                return
            look_again = self.observed_at + self.window / LOOKS_IN_A_WINDOW
            if self.remaining <= self.limit * RESERVED_SHARE and now < look_again:
                raise RateLimited(
                    f"{self.remaining} of {self.limit} calls are left; they are kept for orders until there are more.",
                    retry_at=look_again,
                )

    def observe(self, limit: int | None, remaining: int | None, now: datetime) -> None:
        if limit is None and remaining is None:
            return
        with self.lock:
            had_plenty = self.has_plenty
            self.limit = limit if limit is not None else self.limit
            self.remaining = remaining
            self.observed_at = now
            self.changed = self.changed or not (had_plenty and self.has_plenty)

    @property
    def has_plenty(self) -> bool:
        return bool(self.limit and self.remaining is not None and self.remaining > self.limit * PLENTY_SHARE)

    def pause(self, until: datetime) -> None:
        with self.lock:
            if self.paused_until is None or until > self.paused_until:
                self.paused_until = until
                self.changed = True


class PatientBudget:
    """A budget as work that can wait sees it; everything else of it is the budget's own."""

    def __init__(self, budget: Budget) -> None:
        object.__setattr__(self, "_budget", budget)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._budget, name)

    def __setattr__(self, name: str, value: Any) -> None:
        setattr(self._budget, name, value)

    def check(self, now: datetime) -> float:
        self._budget.check_reserve(now)
        pause: float = self._budget.check(now)
        return pause


class BudgetBook:
    """All budgets of this process. The engine keeps them in step with the other processes."""

    def __init__(self) -> None:
        self._budgets: dict[str, Budget] = {}
        self._lock = threading.Lock()

    def get(self, key: str) -> Budget:
        with self._lock:
            return self._budgets.setdefault(key, Budget(key))

    def changed(self) -> list[Budget]:
        with self._lock:
            return [budget for budget in self._budgets.values() if budget.changed]

    def clear(self) -> None:
        with self._lock:
            self._budgets.clear()


class PatientBook(BudgetBook):
    """The same budgets, for work that can wait."""

    def __init__(self, book: BudgetBook) -> None:
        super().__init__()
        self._book = book

    def get(self, key: str) -> Budget:
        return cast(Budget, PatientBudget(self._book.get(key)))


def utc_now() -> datetime:
    return datetime.now(UTC)
