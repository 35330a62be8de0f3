"""The processes of a hub under chaos: web, workers, and (where asked for) a database server and a broker of its own."""

from __future__ import annotations

import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from tests.process_tree import children_of, is_alive

ROOT = Path(__file__).resolve().parents[2]
KEY = "Zm9yLXRlc3RzLW9ubHktMzItYnl0ZXMtbG9uZy1rZXk="


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_for_port(port: int, seconds: float = 30.0) -> None:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        with socket.socket() as probe:
            probe.settimeout(1.0)
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.1)
    raise RuntimeError(f"Nothing listens on port {port}.")


def tree_of(pid: int) -> list[int]:
    """The process and all its living descendants."""
    found = [pid]
    for member in found:
        found.extend(child for child in children_of(member) if child not in found)
    return found


class Redis:
    """A Redis of our own, which keeps nothing when it is killed."""

    def __init__(self) -> None:
        self.port = free_port()
        self.url = f"redis://127.0.0.1:{self.port}/0"
        self.start()

    def start(self) -> None:
        command = ["redis-server", "--port", str(self.port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"]
        self.process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
        wait_for_port(self.port)

    def restart(self) -> None:
        self.stop()
        time.sleep(2.0)
        self.start()

    def stop(self) -> None:
        self.process.kill()
        self.process.wait()


class Postgres:
    """A PostgreSQL cluster of our own. Its binaries refuse to run as root, so root lends it the user ``postgres``."""

    def __init__(self) -> None:
        self.binaries = max(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: int(path.parent.name))
        self.folder = Path(tempfile.mkdtemp(prefix="hub-chaos-pg-"))
        self.port = free_port()
        self.as_user = ["runuser", "-u", "postgres", "--"] if os.geteuid() == 0 else []
        if self.as_user:
            shutil.chown(self.folder, "postgres")
        self.call("initdb", "--auth=trust", "--username=postgres", "-D", str(self.folder / "data"))
        self.start()
        self.call("createdb", "-h", "127.0.0.1", "-p", str(self.port), "-U", "postgres", "hub")
        self.url = f"postgres://postgres@127.0.0.1:{self.port}/hub"

    def call(self, program: str, *arguments: str) -> None:
        command = [*self.as_user, str(self.binaries / program), *arguments]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, cwd="/")

    def control(self, *words: str) -> None:
        options = f"-p {self.port} -c listen_addresses=127.0.0.1 -c unix_socket_directories={self.folder}"
        log = str(self.folder / "log")
        self.call("pg_ctl", "-w", "-D", str(self.folder / "data"), "-o", options, "-l", log, *words)

    def start(self) -> None:
        self.control("start")

    def restart(self) -> None:
        self.control("restart", "-m", "fast")

    def stop(self) -> None:
        self.control("stop", "-m", "immediate")
        shutil.rmtree(self.folder, ignore_errors=True)


class HubProcesses:
    """Web and workers of one hub. ``kill_one`` ends any process of any worker; what a service manager would start again
    is started again."""

    def __init__(self, environment: dict[str, str], web_port: int, workers: int, log: Path, seed: int) -> None:
        self.environment = environment
        self.web_port = web_port
        self.log = log.open("ab")
        self.dice = random.Random(seed)
        self.kills: list[str] = []
        self.web = self.spawn(
            "-m",
            "gunicorn",
            "integration_manager.wsgi",
            f"--bind=127.0.0.1:{web_port}",
            "--workers=2",
            "--log-level=error",
        )
        wait_for_port(web_port)
        self.workers = [self.start_worker() for _ in range(workers)]

    def spawn(self, *arguments: str) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            [sys.executable, *arguments], cwd=ROOT, env=self.environment, stdout=self.log, stderr=self.log
        )

    def start_worker(self) -> subprocess.Popen[bytes]:
        return self.spawn("manage.py", "worker")

    def kill_one(self) -> None:
        place = self.dice.randrange(len(self.workers))
        worker = self.workers[place]
        members = tree_of(worker.pid)
        victim = self.dice.choice(members)
        what = "supervisor" if victim == worker.pid else f"member {members.index(victim)} of {len(members)}"
        try:
            os.kill(victim, signal.SIGKILL)
        except ProcessLookupError:
            return
        self.kills.append(what)
        if victim == worker.pid:
            worker.wait()

    def tend(self) -> None:
        """As a service manager does: a worker that ended is started again."""
        for place, worker in enumerate(self.workers):
            if worker.poll() is not None:
                self.workers[place] = self.start_worker()

    def stop(self) -> None:
        everything = [pid for process in (self.web, *self.workers) for pid in tree_of(process.pid)]
        for process in (*self.workers, self.web):
            process.terminate()
        for process in (*self.workers, self.web):
            try:
                process.wait(60)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        for pid in everything:
            if is_alive(pid) and pid not in (os.getpid(),):
                os.kill(pid, signal.SIGKILL)
        self.log.close()
