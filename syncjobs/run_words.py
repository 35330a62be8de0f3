"""What a run did and why it ran, in words."""

from __future__ import annotations

from syncjobs.models import Run
from syncjobs.words import counts_in_words

State = Run.State

WAITING_WORDS = {
    State.QUEUED: "waits for its turn",
    State.RUNNING: "working …",
    State.PAUSED: "goes on by itself",
    State.CANCELLED: "cancelled before it started",
}


def result_of(run: Run) -> str:
    """``12 imported, 3 unchanged``, or what it is waiting for."""
    if run.counts or run.state == State.DONE:
        return counts_in_words(run.counts)
    return WAITING_WORDS.get(State(run.state), "")


def percent_of(run: Run) -> int | None:
    """How far a run is, where it knows how much there is."""
    expected = run.counts.get("of")
    if not expected or run.state in (State.DONE, State.FAILED, State.CANCELLED):
        return None
    return min(100 * int(run.counts.get("seen", 0)) // int(expected), 100)


def trigger_of(run: Run) -> str:
    if run.trigger == Run.Trigger.PERSON:
        return f"asked for by {run.requested_by}" if run.requested_by else "asked for by a person"
    return {
        Run.Trigger.SCHEDULE: "by schedule",
        Run.Trigger.API: "by a REST client",
        Run.Trigger.WEBHOOK: "after a webhook",
    }.get(Run.Trigger(run.trigger), "by the hub itself")
