"""``make demo``: the whole circle in processes of its own, and a clean end whatever ends it."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
from django.contrib.auth import get_user_model
from django.core.management import CommandError, call_command

from carts.models import ApiToken, Cart, Location, Merchant, Product, StockLevel, Warehouse
from connectors.vend.sandbox import VendSandbox
from integration_manager import demo
from integration_manager.demo_hub import DemoHub

ROOT = Path(__file__).parents[1]
ENOUGH_SECONDS = 120.0


class Demo:
    """A running demo. ``lines`` are what it printed so far."""

    def __init__(self, folder: Path, *arguments: str) -> None:
        environment = {name: value for name, value in os.environ.items() if name not in demo_names()}
        self.process = subprocess.Popen(
            [sys.executable, "manage.py", "demo", "--folder", str(folder), "--port=0", "--sandbox-port=0", *arguments],
            cwd=ROOT,
            env={**environment, "DATABASE_URL": "sqlite:////nowhere/of-a-real-installation.sqlite3"},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self.lines: list[str] = []

    def read_until(self, words: str) -> str:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.lines.append(line)
            if words in line:
                return line
        raise AssertionError(f"the demo ended without saying {words!r}:\n{''.join(self.lines)}")

    def end(self) -> int:
        rest, _ = self.process.communicate(timeout=ENOUGH_SECONDS)
        self.lines.append(rest)
        return self.process.returncode

    @property
    def text(self) -> str:
        return "".join(self.lines)

    @property
    def ports(self) -> list[int]:
        return [int(port) for port in re.findall(r"(?:Open|The shop) +http://127\.0\.0\.1:(\d+)", self.text)]


def demo_names() -> set[str]:
    return {"SECRET_KEY", "CREDENTIALS_KEYS", "PUBLIC_URL", "DATABASE_URL", "REDIS_URL", "DJANGO_SETTINGS_MODULE"}


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., Demo]]:
    started: list[Demo] = []

    def begin(*arguments: str) -> Demo:
        started.append(Demo(tmp_path, *arguments))
        return started[-1]

    yield begin
    for one in started:
        if one.process.poll() is None:
            one.process.kill()
        one.process.communicate()


def wait_for(condition: Callable[[], bool], what: str) -> None:
    end = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < end, what
        time.sleep(0.05)


def is_silent(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) != 0


def test_the_whole_circle(start: Callable[..., Demo], tmp_path: Path) -> None:
    running = start("--exit-after-circle")
    assert running.end() == 0, running.text
    for outlet in ("Main Outlet", "Lambton Quay"):
        assert re.search(rf"{outlet}: sale \S+ -> order -> warehouse -> shipped \(\d+\.\d s\)", running.text)
        assert re.search(rf"{outlet}: 12 x \S+ arrived at .* store room -> stock at the outlet", running.text)
    for what in ("stock order", "return to supplier", "inventory count", "stock transfer"):
        assert re.search(rf"Main Outlet: {what} \S+ -> ledger of the warehouse: ", running.text), running.text
    assert "alert" not in running.text
    assert running.text.endswith("Stopped.\n")
    assert (tmp_path / "demo.sqlite3").exists()


def test_it_can_be_used_and_sigterm_ends_everything(start: Callable[..., Demo]) -> None:
    running = start("--no-robot")
    running.read_until("Stop it with Ctrl-C")
    assert len(running.ports) == 2
    web = f"http://127.0.0.1:{running.ports[0]}"
    [(user, password)] = re.findall(r"(merchant) / (\S+)", running.text)
    session = requests.Session()
    token = re.search(r'csrfmiddlewaretoken" value="(\w+)"', session.get(f"{web}/admin/login/", timeout=20).text)
    assert token is not None
    form = {"username": user, "password": password, "csrfmiddlewaretoken": token[1], "next": "/admin/"}
    page = session.post(f"{web}/admin/login/", data=form, timeout=20)
    assert (page.status_code, page.url) == (200, f"{web}/admin/")
    [key] = re.findall(r"Bearer (\S+)'", running.text)
    orders = requests.get(f"{web}/api/v1/carts/", headers={"Authorization": f"Bearer {key}"}, timeout=20).json()
    assert [cart["name"] for cart in orders["results"]] == ["Lambton Quay", "Main Outlet"]
    running.process.send_signal(signal.SIGTERM)
    assert running.end() == 0
    assert all(is_silent(port) for port in running.ports)


def test_killed_it_leaves_nothing_behind(start: Callable[..., Demo]) -> None:
    running = start()
    running.read_until("Stop it with Ctrl-C")
    running.process.kill()
    running.process.wait()
    for port in running.ports:
        wait_for(lambda port=port: is_silent(port), f"port {port} is still served")  # type: ignore[misc]


def test_a_process_that_ends_is_told_with_its_log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    processes = demo.Processes(tmp_path)
    processes.start("shop", ["-c", "print('out of paper'); raise SystemExit(3)"])
    processes.running["shop"].wait()
    with pytest.raises(demo.DemoFailed, match=r"the shop ended \(status 3\):\n  out of paper"):
        processes.check()
    processes.stop()


def test_an_error_page_is_no_web_server() -> None:
    with VendSandbox(products=1) as sandbox:
        assert demo.serves(f"{sandbox.url}/signin")
        with pytest.raises(demo.DemoFailed, match=r"with status 401; see web\.log"):
            demo.serves(f"{sandbox.url}/api/2026-07/sales")
        port = sandbox.port
    assert not demo.serves(f"http://127.0.0.1:{port}/")


def test_what_is_missing_at_the_deadline_is_named(start: Callable[..., Demo]) -> None:
    running = start("--exit-after-circle", "--every=1000", "--deadline=0.1")
    assert running.end() == 1
    assert "after 0 s this is still missing: no new sale of Main Outlet was shipped" in running.text
    assert running.text.endswith("Stopped.\nThe demo cannot go on: " + running.text.rpartition("cannot go on: ")[2])


def test_one_demo_per_folder(tmp_path: Path) -> None:
    with (
        demo.only_one(tmp_path),
        pytest.raises(demo.DemoFailed, match="another demo is running"),
        demo.only_one(tmp_path),
    ):
        pass
    with demo.only_one(tmp_path):
        pass


def test_secrets_are_made_once_and_kept_to_oneself(tmp_path: Path) -> None:
    first = demo.prepare(tmp_path, 0, 0)
    again = demo.prepare(tmp_path, 0, 0)
    assert (first.password, first.secret_key) == (again.password, again.secret_key)
    assert (tmp_path / "secrets.json").stat().st_mode & 0o777 == 0o600
    assert first.web_port != first.sandbox_port


def test_a_taken_port_is_replaced() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        assert demo.free_port(port) not in (port, 0)
    assert demo.free_port(port) == port
    assert demo.free_port(port, taken=port) != port


def test_a_tryton_beside_the_hub_is_a_host_of_its_own(tmp_path: Path) -> None:
    settings = demo.prepare(tmp_path, 0, 0, "tryton")
    assert settings.tryton is not None
    hosts = settings.environment()["INTEGRATION_MANAGER_EXTRA_HOSTS"].split(",")
    assert hosts == [f"127.0.0.1:{settings.sandbox_port}", settings.tryton.host]
    assert "user hub" in demo.tryton_lines(settings)[0]
    assert demo.prepare(tmp_path, 0, 0).tryton is None


def test_a_real_installation_is_not_touched(tmp_path: Path) -> None:
    environment = demo.prepare(tmp_path, 0, 0).environment()
    assert environment["DATABASE_URL"] == f"sqlite:///{tmp_path}/demo.sqlite3"
    assert environment["REDIS_URL"] == ""


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--warehouse=moon"], "choose from 'builtin', 'tryton'"),
        (["--exit-after-circle", "--no-robot"], "--exit-after-circle needs the robot"),
    ],
)
def test_wrong_words_are_explained(arguments: list[str], words: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        demo.parse(arguments)
    assert words in capsys.readouterr().err


def test_inside_another_django_it_says_how_to_start_it() -> None:
    with pytest.raises(CommandError, match="make demo"):
        call_command("demo")


def test_setting_up_twice_is_setting_up_once(transactional_db: None, settings: Any) -> None:
    with VendSandbox(outlets=2, products=20, rate_limit=100_000) as sandbox:
        settings.EXTRA_HOSTS = frozenset({sandbox.host})
        hub = DemoHub(sandbox.url, sandbox.token, "a-demo-password", lambda text: None)
        models = (Merchant, Cart, Warehouse, Location, Product, StockLevel, get_user_model())
        hub.set_up()
        before = [model.objects.count() for model in models]
        hub.set_up()
        assert [model.objects.count() for model in models] == before
        assert len(sandbox.store.webhooks) == 2 * 6
    assert ApiToken.objects.count() == 2
    merchant = get_user_model().objects.get(username="merchant")
    assert (merchant.is_staff, merchant.is_superuser, merchant.merchants.get()) == (True, False, hub.merchant)
    assert {cart.location.name for cart in hub.carts if cart.location} == {
        "Auckland store room",
        "Wellington store room",
    }


def test_a_shop_that_refuses_the_token_is_told(transactional_db: None, settings: Any) -> None:
    with VendSandbox(outlets=2, products=1, rate_limit=100_000) as sandbox:
        settings.EXTRA_HOSTS = frozenset({sandbox.host})
        hub = DemoHub(sandbox.url, "wrong", "a-demo-password", lambda text: None)
        with pytest.raises(demo.DemoFailed, match="Test of Main Outlet: Access token"):
            hub.set_up()
