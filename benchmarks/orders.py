"""Order Download: against the shortest honest script, against dlt, in flat memory, and hidden behind a slow remote."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from benchmarks.databases import Databases
from benchmarks.peer import peer_python
from benchmarks.processes import Server, hub_environment, measure, serving
from benchmarks.report import Row, per_second

FLOOR_SHARE = 0.5
TIMES_DLT = 3
MEMORY_GROWTH = 1.2
WITHOUT_GAPS = 0.9
LATENCY_SECONDS = 0.1
# With pages this small, a call takes longer than storing its page: there is something to hide behind.
SMALL_PAGE = 50
LARGE_PAGE = 500


def run(databases: Databases, quick: bool) -> list[Row]:
    small, large, rounds = (500, 4_000, 1) if quick else (2_000, 20_000, 2)
    rows: list[Row] = []
    with serving("benchmarks.page_server", "--sales", large) as server:
        for kind in databases.kinds:
            rows += rates(databases, server, kind, large, rounds)
        rows += behind_latency(databases, server, 1_000 if quick else 5_000)
    rows += memory(databases, small, large)
    return rows


def rates(databases: Databases, server: Server, kind: str, sales: int, rounds: int) -> list[Row]:
    """Hub, floor and peer in turns; the best round of each counts."""
    best: dict[str, dict[str, Any]] = {}

    def take(name: str, answer: dict[str, Any]) -> None:
        if name not in best or answer["seconds"] < best[name]["seconds"]:
            best[name] = answer

    modes = ("append", "merge") if peer_python() else ()
    for _ in range(rounds):
        take("ours", ours(databases, server, kind))
        take("floor", floor(databases, server, kind))
        for mode in modes:
            take(mode, dlt(databases, server, kind, mode))
    check_same_rows(best["ours"]["rows"], best["floor"]["rows"])
    title = f"Order Download, {sales:,} sales, {kind}"
    names = {"floor": "shortest script", "append": "dlt append", "merge": "dlt merge"}
    return [
        Row(
            title,
            rate(sales, best["ours"]),
            f"{rate(sales, best[name])}, {names[name]}",
            best[name]["seconds"] / best["ours"]["seconds"],
            FLOOR_SHARE if name == "floor" else TIMES_DLT,
        )
        for name in ("floor", *modes)
    ]


def rate(sales: int, answer: dict[str, Any]) -> str:
    """Sales per second, and the processor time of one sale, which a busy machine disturbs less."""
    return f"{per_second(sales / answer['seconds'])} ({answer['cpu'] / sales * 1e6:,.0f} µs CPU)"


def check_same_rows(mine: dict[str, int], theirs: dict[str, int]) -> None:
    """A comparison is worth nothing unless both wrote the same. The hub makes a few calls more (outlet, taxes, ...)."""
    different = {name: (mine[name], theirs[name]) for name in mine if not name.startswith("Api")}
    different = {name: pair for name, pair in different.items() if pair[0] != pair[1]}
    if different:
        raise RuntimeError(f"Hub and floor did not write the same rows: {different}")


def memory(databases: Databases, small: int, large: int) -> list[Row]:
    peaks = []
    for sales in (small, large):
        with serving("benchmarks.page_server", "--sales", sales) as server:
            peaks.append(ours(databases, server, "SQLite")["peak_mb"])
    growth = peaks[1] / peaks[0]
    return [
        Row(
            f"Order Download, peak memory at {large:,} against {small:,} sales",
            f"{peaks[1]:.0f} MB",
            f"{peaks[0]:.0f} MB",
            growth,
            MEMORY_GROWTH,
            at_most=True,
        )
    ]


def behind_latency(databases: Databases, server: Server, sales: int) -> list[Row]:
    """Behind 100 ms per call: against the same pages fetched one after another without gaps and stored nowhere; with
    pages of 500, where storing is the longer half, against the longer of the two."""
    rows = []
    for page_size in (SMALL_PAGE, LARGE_PAGE):
        with serving("benchmarks.page_server", "--sales", sales, "--page-size", page_size) as slow:
            alone = ours(databases, slow, "SQLite")["seconds"]
            slow.ask("latency", LATENCY_SECONDS)
            slow.ask("reset")
            with environment(databases, slow, "SQLite") as env:
                fetching = measure("benchmarks.orders_floor", "--fetch-only", env=env)["seconds"]
            pages = slow.ask("counts")["GET /sales"]
            seconds = ours(databases, slow, "SQLite")["seconds"]
        ideal = max(alone, fetching)
        rows.append(
            Row(
                f"Order Download behind 100 ms, {pages} calls for sales, {page_size} in a page",
                f"{seconds:.1f} s",
                f"fetching alone {fetching:.1f} s, storing alone {alone:.1f} s",
                ideal / seconds,
                WITHOUT_GAPS,
            )
        )
    return rows


@contextmanager
def environment(databases: Databases, server: Server, kind: str) -> Iterator[dict[str, str]]:
    with databases.fresh(kind) as url:
        yield hub_environment(
            url,
            BENCH_URL=server.facts["url"],
            BENCH_TOKEN=server.facts["token"],
            BENCH_OUTLET=server.facts["outlet"],
            INTEGRATION_MANAGER_EXTRA_HOSTS=server.facts["host"],
        )


def ours(databases: Databases, server: Server, kind: str) -> dict[str, Any]:
    with environment(databases, server, kind) as env:
        return measure("benchmarks.orders_ours", env=env)


def floor(databases: Databases, server: Server, kind: str) -> dict[str, Any]:
    with environment(databases, server, kind) as env:
        return measure("benchmarks.orders_floor", env=env)


def dlt(databases: Databases, server: Server, kind: str, mode: str) -> dict[str, Any]:
    folder: Path = databases.folder / "dlt"
    env = {
        **os.environ,
        "BENCH_URL": server.facts["url"],
        "BENCH_TOKEN": server.facts["token"],
        "RUNTIME__DLTHUB_TELEMETRY": "false",
        "RUNTIME__LOG_LEVEL": "ERROR",
    }
    try:
        with databases.empty(kind) as url:
            return measure("benchmarks.orders_dlt", url, folder, mode, env=env, python=peer_python())
    finally:
        shutil.rmtree(folder, ignore_errors=True)
