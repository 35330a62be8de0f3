"""Template filters for runs."""

from __future__ import annotations

from django import template

from syncjobs.models import Run
from syncjobs.run_progress import progress_of
from syncjobs.run_words import result_of, trigger_of, waits_in_words

register = template.Library()


@register.filter
def run_result(run: Run) -> str:
    return result_of(run)


@register.filter
def is_trouble(run: Run) -> bool:
    """Does the run's error tell of trouble, not of what it waits for?"""
    return bool(run.error) and not waits_in_words(run)


@register.filter
def run_progress(run: Run) -> str:
    """``about 34 %, 84,500 read, 412 per second, ...`` of an unfinished run."""
    progress = progress_of(run)
    return ", ".join(filter(None, [progress.percent_words, *progress.parts()])) if progress else ""


@register.filter
def trigger_words(run: Run) -> str:
    return trigger_of(run)
