"""Processes of a benchmark: every measurement has one of its own, and answers with one line of JSON."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
LONGEST_MEASUREMENT_SECONDS = 240
STOP_WITHIN_SECONDS = 30


def hub_environment(database_url: str, **more: str) -> dict[str, str]:
    """The environment of a process of the hub. Nothing of the caller's own hub gets in."""
    return {
        **{name: value for name, value in os.environ.items() if name not in ("REDIS_URL", "DJANGO_SETTINGS_MODULE")},
        "DJANGO_SETTINGS_MODULE": "integration_manager.settings",
        "DATABASE_URL": database_url,
        "REDIS_URL": "",
        "SECRET_KEY": "bench-key-bench-key-bench-key-bench-key-bench-key-bench",
        "CREDENTIALS_KEYS": "Zm9yLXRlc3RzLW9ubHktMzItYnl0ZXMtbG9uZy1rZXk=",
        "PUBLIC_URL": "https://hub.example",
        "DEBUG": "false",
        "LOG_LEVEL": "WARNING",
        **more,
    }


def measure(
    module: str,
    *arguments: object,
    env: Mapping[str, str],
    python: str = sys.executable,
    seconds: float = LONGEST_MEASUREMENT_SECONDS,
) -> dict[str, Any]:
    """Runs ``python -m module`` and returns the JSON object it prints last. Raises ``RuntimeError``."""
    command = [python, "-m", module, *map(str, arguments)]
    process = subprocess.Popen(
        command, cwd=ROOT, env=dict(env), stdout=subprocess.PIPE, text=True, start_new_session=True
    )
    try:
        output, _ = process.communicate(timeout=seconds)
    except BaseException:
        os.killpg(process.pid, signal.SIGKILL)  # with whatever it started itself
        process.wait()
        raise
    if process.returncode:
        raise RuntimeError(f"{module} {' '.join(map(str, arguments))} failed (exit code {process.returncode}).")
    answer: dict[str, Any] = json.loads(output.strip().splitlines()[-1])
    return answer


class Server:
    """A process that is told things line by line and answers each with one line of JSON."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process
        self.facts = self._answer()

    def ask(self, *words: object) -> dict[str, Any]:
        assert self.process.stdin is not None
        self.process.stdin.write(" ".join(map(str, words)) + "\n")
        self.process.stdin.flush()
        return self._answer()

    def _answer(self) -> dict[str, Any]:
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if not line:
            raise RuntimeError("A server of the benchmark ended by itself.")
        answer: dict[str, Any] = json.loads(line)
        return answer


@contextmanager
def serving(module: str, *arguments: object) -> Iterator[Server]:
    command = [sys.executable, "-m", module, *map(str, arguments)]
    with running(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        yield Server(process)


@contextmanager
def running(command: list[str], **options: Any) -> Iterator[subprocess.Popen[Any]]:
    """A process that lives as long as the block."""
    process = subprocess.Popen(command, cwd=ROOT, **options)
    try:
        yield process
    finally:
        process.terminate()
        try:
            process.wait(STOP_WITHIN_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        for stream in (process.stdin, process.stdout):
            if stream is not None:
                stream.close()


def peak_memory_mb() -> float:
    """The most memory this process ever held."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) / 1024
    return 0.0
