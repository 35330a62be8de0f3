"""What a run did and why it ran, in words."""

from __future__ import annotations

from syncjobs.models import Run
from syncjobs.models.runs import SUPERSEDED, WAITING
from syncjobs.words import counts_in_words

State = Run.State

WAITING_WORDS = {
    State.QUEUED: "waits for its turn",
    State.RUNNING: "working …",
    State.PAUSED: "paused; Continue goes on from where it stopped",
    State.CANCELLED: "cancelled before it started",
}


def result_of(run: Run) -> str:
    """``12 imported, 3 unchanged``, or what it is waiting for."""
    if waits_in_words(run):
        return run.error
    if run.counts or run.state == State.DONE:
        return counts_in_words(run.counts)
    return WAITING_WORDS.get(State(run.state), "")


def waits_in_words(run: Run) -> bool:
    """Is what a run keeps as its error no trouble, but what it waits for, or which run does its work?"""
    return run.error_kind in (WAITING, SUPERSEDED)


def trigger_of(run: Run) -> str:
    if run.trigger == Run.Trigger.PERSON:
        return f"asked for by {run.requested_by}" if run.requested_by else "asked for by a person"
    return {
        Run.Trigger.SCHEDULE: "by schedule",
        Run.Trigger.API: "by a REST client",
        Run.Trigger.WEBHOOK: "after a webhook",
    }.get(Run.Trigger(run.trigger), "by the hub itself")
