"""``make chaos``: 10,000 orders through a storm, on SQLite with one worker and on PostgreSQL and Redis with four.

Each hub lives in a process of its own, because Django knows one database. Ends with status 1 when anything was lost,
doubled, or did not heal.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.chaos.processes import KEY, ROOT, HubProcesses, Postgres, Redis, free_port

PARTS = ("sqlite", "postgresql")


def environment(database_url: str, redis_url: str, port: int) -> dict[str, str]:
    return {
        **{name: value for name, value in os.environ.items() if not name.startswith("DJANGO_")},
        "DJANGO_SETTINGS_MODULE": "tests.chaos.settings",
        "DATABASE_URL": database_url,
        "REDIS_URL": redis_url,
        "SECRET_KEY": "chaos-key-chaos-key-chaos-key-chaos-key-chaos-key-chaos",
        "CREDENTIALS_KEYS": KEY,
        "PUBLIC_URL": f"http://127.0.0.1:{port}",
        "ALLOWED_HOSTS": "127.0.0.1",
        "DEBUG": "false",
        "LOG_LEVEL": "WARNING",
        "PYTHONPATH": str(ROOT),
    }


def part(name: str, orders: int, kills: int, per_second: float, seed: int, workers: int = 0) -> int:
    """One hub, here and now. Returns the exit status."""
    folder = Path(tempfile.mkdtemp(prefix="hub-chaos-"))
    servers: list[Postgres | Redis] = []
    workers = workers or (4 if name == "postgresql" else 1)
    database_url, redis_url = f"sqlite:///{folder / 'hub.sqlite3'}", ""
    if name == "postgresql":
        database, broker = Postgres(), Redis()
        servers = [database, broker]
        database_url, redis_url = database.url, broker.url
    port = free_port()
    values = environment(database_url, redis_url, port)
    os.environ.update(values)
    try:
        subprocess.run([sys.executable, "manage.py", "migrate", "-v0"], cwd=ROOT, env=values, check=True)
        import django

        django.setup()
        from django.conf import settings

        from tests.chaos.run import World, run

        world = World(values["PUBLIC_URL"], seed)
        values["INTEGRATION_MANAGER_EXTRA_HOSTS"] = world.extra_hosts
        settings.EXTRA_HOSTS = frozenset(world.extra_hosts.split(","))
        hub = None
        try:
            world.set_up_hub()
            hub = HubProcesses(values, port, workers, folder / "hub.log", seed)
            report = run(
                world, hub, orders=orders, kills=kills, per_second=per_second, restarts=tuple(servers), seed=seed
            )
        finally:
            if hub is not None:
                hub.stop()
            world.stop()
        print(f"\n{name}, {workers} worker{'s' if workers > 1 else ''}")  # noqa: T201
        for line in report.lines():
            print(f"  {line}")  # noqa: T201
        if report.is_good:
            shutil.rmtree(folder, ignore_errors=True)
        else:
            print(f"  The hub's log: {folder / 'hub.log'}")  # noqa: T201
        return 0 if report.is_good else 1
    finally:
        for server in servers:
            server.stop()


def main() -> int:
    parser = argparse.ArgumentParser(prog="make chaos", description=__doc__)
    parser.add_argument("--orders", type=int, default=10_000)
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--per-second", type=float, default=25.0, help="how many sales a second")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--workers", type=int, default=0, help="default: one on SQLite, four on PostgreSQL")
    parser.add_argument("--part", choices=PARTS, help="only this one")
    options = parser.parse_args()
    chosen = [options.part] if options.part else list(PARTS)
    if len(chosen) == 1:
        return part(chosen[0], options.orders, options.kills, options.per_second, options.seed, options.workers)
    status = 0
    for name in chosen:
        again = [sys.executable, "-m", "tests.chaos", *sys.argv[1:], "--part", name]
        status |= subprocess.run(again, cwd=ROOT, check=False).returncode
    return status


if __name__ == "__main__":
    sys.exit(main())
