"""Databases to measure in: one template per kind, migrated once, and a fresh copy for every measurement."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import psycopg
from psycopg import sql

from benchmarks.processes import ROOT, hub_environment

POSTGRES_URL = os.environ.get("BENCH_POSTGRES_URL", "postgres://postgres@127.0.0.1:5432/postgres")
REDIS_URL = os.environ.get("BENCH_REDIS_URL", "redis://127.0.0.1:6379/9")


class Databases:
    """Makes and drops databases; ``kinds`` are those that can be had here."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.kinds = ["SQLite"]
        self.mark = f"bench_{os.getpid()}_{uuid.uuid4().hex[:6]}"
        self._postgres: list[str] = []
        self._migrated: set[str] = set()
        if self.postgres_answers():
            self.kinds.append("PostgreSQL")
        else:
            print(f"PostgreSQL does not answer at {POSTGRES_URL}: its rows are left out (set BENCH_POSTGRES_URL).")

    @staticmethod
    def postgres_answers() -> bool:
        try:
            psycopg.connect(POSTGRES_URL, connect_timeout=3).close()
        except psycopg.OperationalError:
            return False
        return True

    @contextmanager
    def fresh(self, kind: str) -> Iterator[str]:
        """The URL of a migrated, empty database that is dropped afterwards."""
        self._prepare(kind)
        name = f"{self.mark}_{uuid.uuid4().hex[:6]}"
        if kind == "SQLite":
            path = self.folder / f"{name}.sqlite3"
            shutil.copy(self.folder / "template.sqlite3", path)
            yield f"sqlite:///{path}"
            for left in self.folder.glob(f"{name}.sqlite3*"):
                left.unlink()
            return
        self._run_on_postgres("CREATE DATABASE {} TEMPLATE {}", name, f"{self.mark}_template")
        try:
            yield url_of(name)
        finally:
            self._run_on_postgres("DROP DATABASE IF EXISTS {} WITH (FORCE)", name)

    @contextmanager
    def empty(self, kind: str) -> Iterator[str]:
        """The URL of a database without any table, for a peer."""
        name = f"{self.mark}_{uuid.uuid4().hex[:6]}"
        if kind == "SQLite":
            yield f"sqlite:///{self.folder / name}.sqlite3"
            return
        self._run_on_postgres("CREATE DATABASE {}", name)
        try:
            yield url_of(name)
        finally:
            self._run_on_postgres("DROP DATABASE IF EXISTS {} WITH (FORCE)", name)

    def close(self) -> None:
        if "PostgreSQL" in self._migrated:
            self._run_on_postgres("DROP DATABASE IF EXISTS {} WITH (FORCE)", f"{self.mark}_template")

    def _prepare(self, kind: str) -> None:
        """Migrates the template of this kind, once."""
        if kind in self._migrated:
            return
        self._migrated.add(kind)
        if kind == "SQLite":
            url = f"sqlite:///{self.folder / 'template.sqlite3'}"
        else:
            self._run_on_postgres("CREATE DATABASE {}", f"{self.mark}_template")
            url = url_of(f"{self.mark}_template")
        command = [sys.executable, "manage.py", "migrate", "--verbosity", "0"]
        subprocess.run(command, cwd=ROOT, env=hub_environment(url), check=True, timeout=120)

    @staticmethod
    def _run_on_postgres(statement: str, *names: str) -> None:
        with psycopg.connect(POSTGRES_URL, autocommit=True) as connection:
            connection.execute(sql.SQL(statement).format(*(sql.Identifier(name) for name in names)))


def url_of(name: str) -> str:
    return urlunsplit(urlsplit(POSTGRES_URL)._replace(path=f"/{name}"))
