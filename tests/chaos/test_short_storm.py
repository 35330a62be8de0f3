"""A short storm in every run of the suite; ``make chaos`` is the long one."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from django.conf import settings

from tests.chaos.processes import ROOT

HAS_SERVERS = any(Path("/usr/lib/postgresql").glob("*/bin/initdb")) and shutil.which("redis-server") is not None
ON_POSTGRESQL = not settings.DATABASES["default"]["ENGINE"].endswith("sqlite3")
LONGEST_SECONDS = 480


def storm(part: str, *options: str) -> str:
    """Its report. Fails the test when it ended badly."""
    command = [sys.executable, "-m", "tests.chaos", "--part", part, "--seed", "7", *options]
    done = subprocess.run(
        command,
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=LONGEST_SECONDS,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    return done.stdout


@pytest.mark.skipif(ON_POSTGRESQL, reason="The other storm runs on PostgreSQL.")
def test_nothing_is_lost_or_doubled_on_sqlite() -> None:
    report = storm("sqlite", "--orders", "150", "--kills", "3", "--per-second", "10")
    assert "sold 150, orders 150, at the warehouse 150" in report
    assert "twice at the warehouse: 0; missing: 0" in report
    assert "3 kills" in report


@pytest.mark.skipif(not ON_POSTGRESQL, reason="Only where the suite runs on PostgreSQL.")
@pytest.mark.skipif(
    not HAS_SERVERS, reason="Restarts a database and a broker of its own: needs initdb and redis-server."
)
def test_nothing_is_lost_or_doubled_while_database_and_broker_are_restarted() -> None:
    report = storm("postgresql", "--orders", "150", "--kills", "3", "--per-second", "8", "--workers", "2")
    assert "sold 150, orders 150, at the warehouse 150" in report
    assert "twice at the warehouse: 0; missing: 0" in report
    assert "restarts: Postgres, Redis" in report
