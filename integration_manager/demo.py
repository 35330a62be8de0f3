"""``make demo``: a shop, the hub and a warehouse at work on this machine, with nothing to set up.

The shop is the Vend sandbox (a process of its own, real HTTP on the loopback interface), the hub is this product as it
runs anywhere else: gunicorn and ``manage.py worker``. This module finds ports, makes the demo's own settings and runs
the processes; what happens inside the hub is in ``demo_hub``. The sandbox forgets its sales when it stops, so every
start begins with a new shop and an empty hub. A real installation's settings and data are never touched.
"""

from __future__ import annotations

import argparse
import contextlib
import fcntl
import json
import os
import secrets
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import IO, TYPE_CHECKING, Any

from cryptography.fernet import Fernet

from connectors.tryton.local_company import HUB_PASSWORD, HUB_USER
from connectors.tryton.local_server import DATABASE, LocalServerFailed, LocalTryton

if TYPE_CHECKING:
    from integration_manager.demo_hub import DemoHub

ROOT = Path(__file__).resolve().parent.parent
WEB_PORT = 8000
SANDBOX_PORT = 8101
SHOP_TOKEN = "demo-shop-token"
OUTLETS = 2
PRODUCTS = 20
PAST_SALES = 8
# A till that rings every few seconds, day and night, is busier than the real limit was made for.
CALLS_PER_WINDOW = 20_000
LOOK_EVERY_SECONDS = 0.3
START_WITHIN_SECONDS = 60.0
STOP_WITHIN_SECONDS = 30.0
LINES_OF_LOG_SHOWN = 25


class DemoFailed(Exception):
    """The demo cannot start or go on; the text says why."""


@dataclass(frozen=True)
class DemoSettings:
    """Everything that is decided before Django starts. ``password`` is the same at each start."""

    folder: Path
    web_port: int
    sandbox_port: int
    secret_key: str
    credentials_key: str
    password: str
    tryton: LocalTryton | None = None

    @property
    def web_url(self) -> str:
        return f"http://127.0.0.1:{self.web_port}"

    @property
    def shop_url(self) -> str:
        return f"http://127.0.0.1:{self.sandbox_port}"

    @property
    def database(self) -> Path:
        return self.folder / "demo.sqlite3"

    def environment(self) -> dict[str, str]:
        """Replaces what the environment or a ``.env`` file says about a real installation."""
        hosts = [f"127.0.0.1:{self.sandbox_port}", *([self.tryton.host] if self.tryton else [])]
        return {
            "DJANGO_SETTINGS_MODULE": "integration_manager.settings",
            "DATABASE_URL": f"sqlite:///{self.database}",
            "REDIS_URL": "",
            "SECRET_KEY": self.secret_key,
            "CREDENTIALS_KEYS": self.credentials_key,
            "PUBLIC_URL": self.web_url,
            "INTEGRATION_MANAGER_EXTRA_HOSTS": ",".join(hosts),
            "ALLOWED_HOSTS": "127.0.0.1,localhost",
            "DEBUG": "false",
            "WORKERS": "2",
        }


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="manage.py demo", description="A shop, the hub and a warehouse at work.")
    parser.add_argument(
        "--warehouse",
        default="builtin",
        choices=["builtin", "tryton"],
        help="which warehouse: the built-in one (default), or a real Tryton started beside the hub",
    )
    parser.add_argument("--port", type=int, default=WEB_PORT, help=f"of the web server (default {WEB_PORT}, if free)")
    parser.add_argument(
        "--sandbox-port", type=int, default=SANDBOX_PORT, help=f"of the shop (default {SANDBOX_PORT}, if free)"
    )
    parser.add_argument("--every", type=float, metavar="SECONDS", help="a new sale every so many seconds (default 8)")
    parser.add_argument(
        "--ship-after", type=float, metavar="SECONDS", help="how long an order waits on the pick list (default 4)"
    )
    parser.add_argument("--no-robot", action="store_true", help="nobody ships or counts: do it by hand in the admin")
    parser.add_argument("--folder", type=Path, default=ROOT / "var" / "demo", help="where the demo keeps its files")
    parser.add_argument(
        "--exit-after-circle",
        action="store_true",
        help="end with status 0 as soon as a sale of each outlet was shipped, stock went back to each outlet, and the "
        "warehouse's ledger shows a stock order, a return, a count and a transfer",
    )
    parser.add_argument(
        "--deadline", type=float, default=180.0, metavar="SECONDS", help="for --exit-after-circle (default 180)"
    )
    options = parser.parse_args(arguments)
    if options.exit_after_circle and options.no_robot:
        parser.error("--exit-after-circle needs the robot.")
    hurried = options.exit_after_circle
    options.every = options.every or (1.5 if hurried else 8.0)
    options.ship_after = options.ship_after if options.ship_after is not None else (0.5 if hurried else 4.0)
    return options


def main(arguments: Sequence[str]) -> int:
    """Runs the demo until it is interrupted. Returns the exit status."""
    options = parse(arguments)
    try:
        with only_one(options.folder):
            return run(options)
    except DemoFailed as failure:
        say(f"The demo cannot go on: {failure}")
        return 1


def run(options: argparse.Namespace) -> int:
    settings = prepare(options.folder, options.port, options.sandbox_port, options.warehouse)
    os.environ.update(settings.environment())
    stop = StopSignal()
    hub = start_django(settings)
    processes = Processes(settings.folder)
    try:
        if settings.tryton is not None:
            start_tryton(processes, settings.tryton, stop)
        say("Starting the shop, the web server and the worker ...")
        start_processes(processes, settings, options)
        processes.wait_until(stop, "the shop", lambda: answers(settings.sandbox_port))
        processes.wait_until(stop, "the web server", lambda: serves(f"{settings.web_url}/admin/login/"))
        token = hub.set_up()
        introduce(settings, options, token)
        return watch(processes, hub, options, stop)
    except Stopped:
        return 0
    except DemoFailed:
        hub.tell_trouble()
        raise
    finally:
        say("Stopping ...")
        hub.close()
        processes.stop()
        say("Stopped.")


# Before Django starts


def prepare(folder: Path, web_port: int, sandbox_port: int, warehouse: str = "builtin") -> DemoSettings:
    """Secrets are made once and kept in the folder; ports are the wanted ones or free ones."""
    folder = folder.resolve()
    folder.mkdir(parents=True, exist_ok=True)
    kept = folder / "secrets.json"
    if not kept.exists():
        fresh = {
            "secret_key": secrets.token_urlsafe(50),
            "credentials_key": Fernet.generate_key().decode(),
            "password": secrets.token_urlsafe(9),
        }
        kept.touch(mode=0o600)
        kept.write_text(json.dumps(fresh, indent=1))
    first = free_port(web_port)
    tryton = LocalTryton(folder / "tryton", ROOT / "var" / "tryton") if warehouse == "tryton" else None
    return DemoSettings(folder, first, free_port(sandbox_port, first), **json.loads(kept.read_text()), tryton=tryton)


def free_port(wanted: int, taken: int = 0) -> int:
    """The wanted port, or any other one when something listens there."""
    for port in (wanted, 0):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            with contextlib.suppress(OSError):
                probe.bind(("127.0.0.1", port))
                found = int(probe.getsockname()[1])
                if found != taken:
                    return found
    raise DemoFailed("no free port was found on 127.0.0.1.")


@contextlib.contextmanager
def only_one(folder: Path) -> Iterator[None]:
    """Two demos in one folder would share a database. Raises ``DemoFailed``."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise DemoFailed(f"another demo is running in {folder}. Stop it, or give this one --folder.") from None
        yield


def start_django(settings: DemoSettings) -> DemoHub:
    """A new, empty hub. Only now may anything be imported that needs Django's settings."""
    for leftover in settings.folder.glob("demo.sqlite3*"):
        leftover.unlink()
    level, os.environ["LOG_LEVEL"] = os.environ.get("LOG_LEVEL"), "WARNING"
    import django
    from django.core.management import call_command

    django.setup()
    if level is None:
        del os.environ["LOG_LEVEL"]
    else:
        os.environ["LOG_LEVEL"] = level
    say("Making the database ...")
    call_command("migrate", verbosity=0)
    from integration_manager.demo_hub import DemoHub
    from integration_manager.demo_warehouses import TrytonDemo

    place = TrytonDemo(settings.tryton) if settings.tryton else None
    return DemoHub(settings.shop_url, SHOP_TOKEN, settings.password, say, place)


# The processes


class Processes:
    """The demo's child processes, each with a log file, in sessions of their own: Ctrl-C reaches the demo alone, which
    then ends them in order, by their ids. Should the demo be killed, they die with it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.running: dict[str, subprocess.Popen[bytes]] = {}
        self.logs: list[IO[bytes]] = []

    def start(self, name: str, command: Sequence[str]) -> None:
        from syncjobs.supervisor import die_with_parent

        log = (self.folder / f"{name}.log").open("wb")
        self.logs.append(log)
        self.running[name] = subprocess.Popen(  # noqa: S603
            [sys.executable, *command],
            cwd=ROOT,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            preexec_fn=die_with_parent,
        )

    def check(self) -> None:
        """Raises ``DemoFailed`` with the end of the log when a process ended."""
        for name, process in self.running.items():
            if process.poll() is not None:
                path = self.folder / f"{name}.log"
                lines = path.read_text(errors="replace").splitlines()[-LINES_OF_LOG_SHOWN:]
                raise DemoFailed(f"the {name} ended (status {process.returncode}):\n  " + "\n  ".join(lines))

    def wait_until(self, stop: StopSignal, what: str, condition: Any) -> None:
        end = time.monotonic() + START_WITHIN_SECONDS
        while not condition():
            stop.check()
            self.check()
            if time.monotonic() > end:
                raise DemoFailed(f"{what} did not start within {START_WITHIN_SECONDS:.0f} s; see {self.folder}.")
            time.sleep(0.1)

    def stop(self) -> None:
        """The worker first, so that it can finish what it does; nobody is left then to miss the shop."""
        for name in ("worker", "web", "shop", "tryton"):
            process = self.running.pop(name, None)
            if process is None:
                continue
            process.terminate()
            try:
                process.wait(STOP_WITHIN_SECONDS)
            except subprocess.TimeoutExpired:
                say(f"The {name} did not stop within {STOP_WITHIN_SECONDS:.0f} s; ending it.")
                process.kill()
                process.wait()
        for log in self.logs:
            log.close()


def start_tryton(processes: Processes, server: LocalTryton, stop: StopSignal) -> None:
    say("Starting Tryton (the first time it makes its database, which takes a minute) ...")
    try:
        processes.start("tryton", server.prepare())
    except LocalServerFailed as failure:
        raise DemoFailed(str(failure)) from failure
    processes.wait_until(stop, "Tryton", server.answers)


def start_processes(processes: Processes, settings: DemoSettings, options: argparse.Namespace) -> None:
    shop = {
        "port": settings.sandbox_port,
        "outlets": OUTLETS,
        "products": PRODUCTS,
        "sales": PAST_SALES,
        "token": SHOP_TOKEN,
        "trickle": options.every,
        "rate-limit": CALLS_PER_WINDOW,
    }
    processes.start("shop", ["manage.py", "sandbox", "vend", *(f"--{name}={value}" for name, value in shop.items())])
    gunicorn = {"bind": f"127.0.0.1:{settings.web_port}", "workers": "2", "access-logfile": "-"}
    flags = [f"--{name}={value}" for name, value in gunicorn.items()]
    processes.start("web", ["-m", "gunicorn", *flags, "integration_manager.wsgi"])
    processes.start("worker", ["manage.py", "worker"])


def answers(port: int) -> bool:
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
        return True
    return False


def serves(url: str) -> bool:
    """Does a page come? Raises ``DemoFailed`` when an error page comes instead."""
    try:
        with urllib.request.urlopen(url, timeout=20):  # noqa: S310 - our own address
            return True
    except urllib.error.HTTPError as error:
        raise DemoFailed(f"the web server answers {url} with status {error.code}; see web.log.") from None
    except OSError:
        return False


class Stopped(Exception):
    """Someone asked the demo to end."""


class StopSignal:
    """Ctrl-C or SIGTERM: remembered, and acted on between two steps."""

    def __init__(self) -> None:
        self.received = False
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, self.receive)

    def receive(self, number: int, frame: FrameType | None) -> None:
        self.received = True

    def check(self) -> None:
        if self.received:
            raise Stopped


# While it runs


def watch(processes: Processes, hub: DemoHub, options: argparse.Namespace, stop: StopSignal) -> int:
    """Looks, acts and tells until someone stops it; with --exit-after-circle until the circle is closed."""
    end = time.monotonic() + options.deadline
    while True:
        stop.check()
        processes.check()
        if not options.no_robot:
            hub.work_at_warehouse(options.ship_after)
        hub.tell_news()
        if options.exit_after_circle:
            missing = hub.missing_for_circle()
            if not missing:
                say(
                    "The circle is closed: a sale of each outlet was shipped, stock went back to each outlet, and what the "
                    "shops did with their stock is in the warehouse's ledger."
                )
                return 0
            if time.monotonic() > end:
                raise DemoFailed(f"after {options.deadline:.0f} s this is still missing: {'; '.join(missing)}.")
        time.sleep(LOOK_EVERY_SECONDS)


def introduce(settings: DemoSettings, options: argparse.Namespace, token: str) -> None:
    robot = "A robot plays the warehouse person: it ships orders, and now and then new goods arrive."
    if options.no_robot:
        where = "do it yourself, in Tryton" if settings.tryton else "open Warehouse > Pick list and do it yourself"
        robot = f"Nobody ships the orders: {where}."
    for line in (
        "",
        f"  Open          {settings.web_url}/admin/",
        f"  Log in        merchant / {settings.password}   (what a shop owner sees)",
        f"                admin / {settings.password}      (what the operator sees)",
        f"  REST          curl -H 'Authorization: Bearer {token}' {settings.web_url}/api/v1/orders/",
        f"  The shop      {settings.shop_url} (a fake Vend with {OUTLETS} outlets, a sale every {options.every:g} s)",
        *tryton_lines(settings),
        f"  Log files     {settings.folder}",
        "",
        f"  {robot}",
        "  This is a demo: everything begins anew at the next start. Stop it with Ctrl-C.",
        "",
    ):
        say(line)


def tryton_lines(settings: DemoSettings) -> list[str]:
    """How to look into Tryton with one of its own clients."""
    if settings.tryton is None:
        return []
    return [f"  Tryton        {settings.tryton.host}, database {DATABASE}, user {HUB_USER}, password {HUB_PASSWORD}"]


def say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def replace_this_process(arguments: Sequence[str], environment: Mapping[str, str]) -> None:
    """Starts over as the demo, without settings that were read for a real installation."""
    os.execve(sys.executable, [sys.executable, "-m", "integration_manager.demo", *arguments], dict(environment))  # noqa: S606


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
