"""``python -m benchmarks [orders|stock|worker|webhooks|lanes|firstload ...] [--quick]``: measures, and prints one table."""

from __future__ import annotations

import argparse
import os
import platform
import tempfile
import time
from importlib import import_module
from pathlib import Path

from benchmarks.databases import Databases
from benchmarks.report import Row, table

SUBJECTS = (
    "orders",
    "stock",
    "worker",
    "webhooks",
    "lanes",
    "firstload",
    "workers",
    "idle",
    "dispatch",
    "orderlist",
    "storm",
)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description="Ratios against floors, one table.")
    parser.add_argument("subjects", nargs="*", metavar="subject", help=f"any of: {', '.join(SUBJECTS)} (default: all)")
    parser.add_argument("--quick", action="store_true", help="less data, one round: for a look, not for a verdict")
    options = parser.parse_args()
    unknown = set(options.subjects) - set(SUBJECTS)
    if unknown:
        parser.error(f"there is no {', '.join(sorted(unknown))}; choose from {', '.join(SUBJECTS)}")
    started = time.monotonic()
    rows: list[Row] = []
    failed = []
    with tempfile.TemporaryDirectory(prefix="hub-bench-") as folder:
        databases = Databases(Path(folder))
        try:
            for name in options.subjects or SUBJECTS:
                print(f"Measuring {name} ...", flush=True)
                try:
                    rows += import_module(f"benchmarks.{name}").run(databases, options.quick)
                except Exception as error:
                    failed.append(name)
                    print(f"{name} could not be measured: {error}", flush=True)
        finally:
            databases.close()
    print(f"\nPython {platform.python_version()}, {os.cpu_count()} cores, {time.monotonic() - started:.0f} s in all\n")
    print(table(rows))
    return 1 if failed else 0


if __name__ == "__main__":
    raise SystemExit(main())
