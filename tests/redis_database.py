"""Which Redis database a test process has: tests that run side by side must not share a queue."""

from __future__ import annotations

import os


def redis_of_this_process() -> str:
    """The address in REDIS_URL, with the database that it names for the first process and the next ones for the others."""
    address, slash, number = os.environ.get("REDIS_URL", "").rpartition("/")
    process = os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw")
    return f"{address}{slash}{int(number) + int(process)}" if address else ""
