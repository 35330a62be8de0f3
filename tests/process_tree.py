"""What /proc says of processes: alive or not, children, open connections."""

from __future__ import annotations

from pathlib import Path


def stat_of(pid: int) -> tuple[str, int] | None:
    """(state, parent) of a process; None when there is none."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return None
    state, parent = text.rpartition(")")[2].split()[:2]
    return state, int(parent)


def is_alive(pid: int) -> bool:
    found = stat_of(pid)
    return found is not None and found[0] != "Z"


def children_of(pid: int) -> list[int]:
    """Living children, in the order of their start."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            stat = stat_of(int(entry.name))
            if stat is not None and stat[1] == pid and stat[0] != "Z":
                found.append(int(entry.name))
    return sorted(found)


def remote_ports(pid: int) -> set[int]:
    """Ports that this process has open IPv4 connections to."""
    inodes = set()
    try:
        for handle in Path(f"/proc/{pid}/fd").iterdir():
            target = str(handle.readlink()) if handle.is_symlink() else ""
            if target.startswith("socket:["):
                inodes.add(target[8:-1])
        rows = [row.split() for row in Path(f"/proc/{pid}/net/tcp").read_text().splitlines()[1:]]
    except OSError:
        return set()
    established = "01"
    return {int(row[2].rpartition(":")[2], 16) for row in rows if row[3] == established and row[9] in inodes}
