"""``python -m tests.engine.dying_worker WORK POINT WHEN``: a process that works and stands still at one point for ever,
so that a test can kill it exactly there. It prints ``here`` when it has got there.

WORK: ``deliver`` (the outbox, as a drain does it) or ``recover`` (what dead workers left). POINT: the dotted name of a
function or method; "" to work to the end. WHEN: ``before`` it is called, or ``after``.
"""

from __future__ import annotations

import signal
import sys
from importlib import import_module
from typing import Any

import django


def stand_still() -> None:
    sys.stdout.write("here\n")
    sys.stdout.flush()
    while True:
        signal.pause()


def place_of(point: str) -> tuple[Any, str]:
    """Where the name is looked up: a module, or a class in one."""
    place, _, name = point.rpartition(".")
    try:
        return import_module(place), name
    except ModuleNotFoundError:
        module, _, kind = place.rpartition(".")
        return getattr(import_module(module), kind), name


def stop_at(point: str, when: str) -> None:
    place, name = place_of(point)
    true = getattr(place, name)

    def halted(*args: Any, **kwargs: Any) -> Any:
        if when == "after":
            true(*args, **kwargs)
        stand_still()

    setattr(place, name, halted)


def main() -> None:
    work, point, when = sys.argv[1:4]
    django.setup()
    from syncjobs import outbox
    from syncjobs.connector_cache import OpenConnectors
    from syncjobs.delivering import deliver_next

    if point:
        stop_at(point, when)
    if work == "recover":
        outbox.recover_abandoned()
        return
    connectors = OpenConnectors()
    while deliver_next("dying", connectors):
        pass
    connectors.close()


if __name__ == "__main__":
    main()
