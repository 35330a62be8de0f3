"""Rate limits shared by all processes: ``RateBudget`` rows kept in step with this process's budgets."""

from __future__ import annotations

from datetime import timedelta

from django.utils import timezone

from carts.remote import BUDGETS
from connectors.budget import Budget
from syncjobs.models import RateBudget

STILL_INTERESTING = timedelta(minutes=10)


def load_budgets() -> None:
    """Takes over what other processes learned. One query."""
    now = timezone.now()
    for row in RateBudget.objects.filter(paused_until__gt=now) | RateBudget.objects.filter(
        observed_at__gt=now - STILL_INTERESTING
    ):
        budget = BUDGETS.get(row.key)
        with budget.lock:
            if row.paused_until and (budget.paused_until is None or row.paused_until > budget.paused_until):
                budget.paused_until = row.paused_until
            if row.observed_at and (budget.observed_at is None or row.observed_at > budget.observed_at):
                budget.limit, budget.remaining, budget.observed_at = row.limit, row.remaining, row.observed_at


def save_budgets() -> None:
    """Tells the other processes what this one learned. No query when it learned nothing."""
    changed = BUDGETS.changed()
    if not changed:
        return
    RateBudget.objects.bulk_create(
        [row_of(budget) for budget in sorted(changed, key=lambda budget: budget.key)],
        update_conflicts=True,
        unique_fields=["key"],
        update_fields=["limit", "remaining", "observed_at", "paused_until"],
    )


def row_of(budget: Budget) -> RateBudget:
    with budget.lock:
        budget.changed = False
        return RateBudget(
            key=budget.key,
            limit=budget.limit,
            remaining=budget.remaining,
            observed_at=budget.observed_at,
            paused_until=budget.paused_until,
        )
