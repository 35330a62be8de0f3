"""A real Tryton server on this machine, for tests, the demo and trying things out: ``trytond`` from the development
requirements as a process of its own, with an SQLite database.

Making a database with the modules takes half a minute, so it is made once and kept as a template in a folder of its own,
by the versions of everything that it depends on; each server works on a copy. Tryton is never imported: it is spoken to
over HTTP, as anywhere else.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import inspect
import os
import shutil
import socket
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from importlib.metadata import distributions
from pathlib import Path
from typing import Self

from connectors.budget import BudgetBook, utc_now
from connectors.errors import ConnectorError
from connectors.hosts import HostPolicy
from connectors.tryton import local_company
from connectors.tryton.client import TrytonClient, TrytonSession

DATABASE = "hub"
ADMIN, ADMIN_PASSWORD, EMAIL = "admin", "local-admin-password", "admin@example.com"
MODULES = ("sale", "stock", "sale_price_list", "stock_package_shipping", "product_attribute")
START_WITHIN_SECONDS = 60.0
STOP_WITHIN_SECONDS = 20.0
LOOK_EVERY_SECONDS = 0.05


class LocalServerFailed(Exception):
    """The server cannot be made or started here; the text says why and what to do."""


class LocalTryton:
    """One server with a database of its own in ``folder``. ``guard`` runs in the child before it becomes the server
    (to make it die with its parent, for example)."""

    def __init__(self, folder: Path, cache: Path, *, port: int = 0, guard: Callable[[], None] | None = None) -> None:
        self.folder = folder
        self.cache = cache
        self.port = port or free_port()
        self.guard = guard
        self.process: subprocess.Popen[bytes] | None = None

    @property
    def host(self) -> str:
        return f"127.0.0.1:{self.port}"

    @property
    def url(self) -> str:
        return f"http://{self.host}"

    @property
    def settings(self) -> dict[str, str]:
        """The options of a warehouse that uses this server."""
        return {"tryton_url": self.url, "database": DATABASE}

    @property
    def log(self) -> Path:
        return self.folder / "tryton.log"

    def prepare(self) -> list[str]:
        """Puts a fresh database in place. Returns the arguments for Python that start the server."""
        self.folder.mkdir(parents=True, exist_ok=True)
        for leftover in self.folder.glob(f"{DATABASE}.sqlite*"):
            leftover.unlink()
        shutil.copyfile(template(self.cache), self.folder / f"{DATABASE}.sqlite")
        return command(self.folder, self.port)

    def start(self) -> Self:
        return self.run(self.prepare())

    def run(self, arguments: list[str]) -> Self:
        """Starts the server and waits until it answers. Raises ``LocalServerFailed``."""
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(  # noqa: S603
                [sys.executable, *arguments],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                preexec_fn=self.guard,
            )
        end = time.monotonic() + START_WITHIN_SECONDS
        while not self.answers():
            if self.process.poll() is not None or time.monotonic() > end:
                self.stop()
                raise LocalServerFailed(f"The Tryton server did not start:\n{self.log.read_text()[-2000:]}")
            time.sleep(LOOK_EVERY_SECONDS)
        return self

    def stop(self) -> None:
        process, self.process = self.process, None
        if process is None:
            return
        process.terminate()
        try:
            process.wait(STOP_WITHIN_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *exc_info: object) -> None:
        self.stop()

    def answers(self) -> bool:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port), 1):
            return True
        return False

    def client(self, user: str = ADMIN, password: str = ADMIN_PASSWORD) -> TrytonClient:
        """What a person at this Tryton could do. Made for the company, if there is one."""
        hosts = HostPolicy((), frozenset({self.host}))
        session = TrytonSession(self.url, hosts=hosts, budget=BudgetBook().get(self.url), read_timeout=60)
        client = TrytonClient(session, DATABASE, user, password)
        company = client.preferences.get("company")
        if company:
            client.context |= {"company": company, "companies": [company]}
        return client


# The template


def template(cache: Path) -> Path:
    """The database to begin with; made when this machine has none of these versions yet. Others who want it wait."""
    wanted = cache / fingerprint() / "template.sqlite"
    if not wanted.exists():
        wanted.parent.mkdir(parents=True, exist_ok=True)
        with locked(wanted.parent / "lock"):
            if not wanted.exists():
                make_template(wanted)
    return wanted


def make_template(wanted: Path) -> None:
    workshop = wanted.parent / f"making-{os.getpid()}"
    workshop.mkdir(exist_ok=True)
    try:
        database = workshop / f"{DATABASE}.sqlite"
        database.touch()
        configuration = configure(workshop, free_port())
        administer(workshop, configuration, "--update", *MODULES, "--activate-dependencies", "--email", EMAIL)
        server = LocalTryton(workshop, wanted.parent)
        try:
            local_company.found(server.run(command(workshop, server.port)).client())
        finally:
            server.stop()
        with contextlib.closing(sqlite3.connect(database)) as connection:
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        database.rename(wanted)
    except ConnectorError as error:
        raise LocalServerFailed(f"The company could not be set up: {error.message}") from error
    finally:
        shutil.rmtree(workshop, ignore_errors=True)


def fingerprint() -> str:
    """Changes with Tryton's versions, with what is set up, and with the year (the fiscal years)."""
    parts = [inspect.getsource(local_company), *MODULES, str(utc_now().year), *installed()]
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:16]


def installed() -> list[str]:
    found = {f"{one.name}=={one.version}" for one in distributions() if (one.name or "").lower().startswith("trytond")}
    if not found:
        raise LocalServerFailed(
            "Tryton is not installed here. It belongs to the development requirements: "
            "pip install -r requirements-dev.txt"
        )
    return sorted(found)


def configure(folder: Path, port: int) -> Path:
    path = folder / "trytond.conf"
    path.write_text(f"[database]\nuri = sqlite://\npath = {folder}\n\n[web]\nlisten = 127.0.0.1:{port}\n")
    return path


def command(folder: Path, port: int) -> list[str]:
    return [str(script("trytond")), "-c", str(configure(folder, port)), "-d", DATABASE]


def script(name: str) -> Path:
    return Path(sys.executable).parent / name


def administer(folder: Path, configuration: Path, *arguments: str) -> None:
    password = folder / "password"
    password.write_text(ADMIN_PASSWORD)
    outcome = subprocess.run(  # noqa: S603
        [sys.executable, str(script("trytond-admin")), "-c", str(configuration), "-d", DATABASE, *arguments],
        env={**os.environ, "TRYTONPASSFILE": str(password)},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    if outcome.returncode:
        raise LocalServerFailed(f"trytond-admin failed:\n{outcome.stdout[-1000:]}{outcome.stderr[-2000:]}")


@contextlib.contextmanager
def locked(path: Path) -> Iterator[None]:
    with path.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
