"""Processor time of other processes, from ``/proc``: what a worker, or a database server, has used so far."""

from __future__ import annotations

import os
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

TICKS = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, slots=True)
class Times:
    """Seconds: a process's own, and those of its children that ended and were waited for."""

    parent: int
    own: float
    ended_children: float


def table() -> dict[int, Times]:
    found = {}
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            stat = (folder / "stat").read_text()
        except OSError:
            continue  # it ended while we looked
        fields = stat.rpartition(")")[2].split()
        user, system, child_user, child_system = map(int, fields[11:15])
        found[int(folder.name)] = Times(int(fields[1]), (user + system) / TICKS, (child_user + child_system) / TICKS)
    return found


def of_descendants(pid: int) -> float:
    """Seconds used by everything that a process started, directly or not; not by itself."""
    processes = table()
    children: dict[int, list[int]] = defaultdict(list)
    for one, times in processes.items():
        children[times.parent].append(one)
    seconds = processes[pid].ended_children
    waiting = list(children[pid])
    while waiting:
        one = waiting.pop()
        seconds += processes[one].own + processes[one].ended_children
        waiting += children[one]
    return seconds


def of_tree(pid: int) -> float:
    """The same with the process itself."""
    return of_descendants(pid) + table()[pid].own
