"""``manage.py sandbox``: a process of its own, as the demo starts it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests
from django.core.management import CommandError, call_command

from connectors.vend.sandbox import VendSandbox

ROOT = Path(__file__).parents[3]


@pytest.fixture
def process() -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "manage.py", "sandbox", "vend", "--outlets=3", "--sales=5", "--trickle=0.01"]
    process = subprocess.Popen(
        [*command, "--token=secret", "--tax-inclusive"],
        cwd=ROOT,
        env={**os.environ, "DJANGO_SETTINGS_MODULE": "tests.settings"},
        stdout=subprocess.PIPE,
        text=True,
    )
    yield process
    process.kill()
    process.communicate()


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGINT])
def test_it_introduces_itself_lives_and_stops(process: subprocess.Popen[str], how: signal.Signals) -> None:
    assert process.stdout is not None
    lines = [process.stdout.readline().strip() for _ in range(7)]
    url = lines[0].removeprefix("URL: ")
    assert lines[1:5] == [
        "Access token: secret",
        "Outlet: Main Outlet (Auckland)",
        "Outlet: Lambton Quay (Wellington)",
        "Outlet: Riccarton (Christchurch)",
    ]
    assert lines[5] == f"Let the hub reach it with INTEGRATION_MANAGER_EXTRA_HOSTS={url.removeprefix('http://')}"
    assert lines[6].startswith("Sale ")
    headers = {"Authorization": "Bearer secret"}
    assert (
        requests.get(f"{url}/api/2026-07/retailer", headers=headers, timeout=10).json()["data"]["tax_exclusive"]
        is False
    )
    sales = requests.get(f"{url}/api/2026-07/sales", headers=headers, timeout=10).json()["data"]
    assert len(sales) > 5
    process.send_signal(how)
    rest, _ = process.communicate(timeout=10)
    assert rest.endswith("Stopped.\n")
    assert process.returncode == 0


def test_an_unknown_system_is_named() -> None:
    with pytest.raises(CommandError, match="no sandbox for 'shopify'"):
        call_command("sandbox", "shopify")


def test_a_port_in_use_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(signal, "signal", lambda *_: None)
    with VendSandbox(products=1) as sandbox, pytest.raises(CommandError, match=str(sandbox.port)):
        call_command("sandbox", "vend", port=sandbox.port)
