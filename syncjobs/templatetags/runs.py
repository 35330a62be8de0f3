"""Template filters for runs."""

from __future__ import annotations

from django import template

from syncjobs.models import Run
from syncjobs.run_words import result_of, trigger_of

register = template.Library()


@register.filter
def run_result(run: Run) -> str:
    return result_of(run)


@register.filter
def trigger_words(run: Run) -> str:
    return trigger_of(run)
