"""The documentation is true: its examples run, its tables match the code, its links lead somewhere."""

from __future__ import annotations

import importlib
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from cryptography.fernet import Fernet
from django.core import checks
from django.core.management import get_commands, load_command_class
from django.urls import Resolver404, resolve
from django.utils import timezone

import connectors
from carts.authorization import keep_authorization
from carts.connection_test import run_test
from carts.credential_store import store_of
from carts.models import Cart, Order, StockLevel, Warehouse
from carts.setup import check_settings, finish_new_connection
from carts.wms_secrets import endpoint_of, replace_secret, valid_secrets
from connectors import registry
from connectors.functions import Function, Role
from connectors.oauth import TokenSet
from syncjobs.connector_cache import OpenConnectors
from syncjobs.delivering import deliver_next
from syncjobs.management.commands.connectors import table_of_functions
from syncjobs.models import Delivery, Run
from syncjobs.runner import claim_run, execute
from syncjobs.schedule import request_run
from tests.engine.conftest import World
from tests.engine.conftest import world as world  # the fixture
from tests.factories import make_cart, make_merchant, make_order, make_rest_warehouse

ROOT = Path(__file__).parents[1]
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")])
SETTINGS = (ROOT / "integration_manager" / "settings.py").read_text()


def page(name: str) -> str:
    return (ROOT / name).read_text()


def files_in(text: str) -> dict[str, str]:
    """The code blocks that a page marks as files."""
    return dict(re.findall(r"<!-- file: (\S+) -->\n```python\n(.*?)```", text, re.DOTALL))


# Add a connector


@pytest.fixture
def parcelbox(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, str]]:
    """The example of docs/add-a-connector.md, put where the page says, and registered."""
    written = files_in(page("docs/add-a-connector.md"))
    for name, code in written.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(code)
    monkeypatch.setattr(connectors, "__path__", [*connectors.__path__, str(tmp_path / "connectors")])
    [rows] = re.findall(r"```python\n((?:CONNECTORS|SANDBOXES).*?)```", page("docs/add-a-connector.md"), re.DOTALL)
    for table, key, path in re.findall(r'^(\w+)\["(\w+)"\] = "([\w.]+)"$', rows, re.MULTILINE):
        monkeypatch.setitem(getattr(registry, table), key, path)
    registry.connector_class.cache_clear()
    yield written
    registry.connector_class.cache_clear()
    for name in [name for name in sys.modules if name.startswith("connectors.parcelbox")]:
        del sys.modules[name]


def run(connection: Any, function: Function) -> Run:
    claimed = claim_run(request_run(connection, function, Run.Trigger.PERSON).pk, "test")
    assert claimed is not None
    return execute(claimed, "test")


def test_the_example_connector_works_in_the_hub(
    parcelbox: dict[str, str], transactional_db: None, settings: Any
) -> None:
    sandbox_class = registry.sandbox_class("parcelbox")
    with sandbox_class() as sandbox:
        settings.EXTRA_HOSTS = frozenset({sandbox.host})
        kind = registry.connector_class("parcelbox")
        options, credentials = check_settings(kind, {"url": sandbox.url + "/"}, {"key": sandbox.token}, {})
        warehouse = Warehouse.objects.create(
            merchant=make_merchant(),
            name="Parcelbox",
            connector="parcelbox",
            options=options,
            credentials=credentials,
            is_active=True,
        )
        finish_new_connection(warehouse)
        assert warehouse.switched_on_functions() == [
            Function.ORDER_SENDING,
            Function.SHIPMENT_PICKUP,
            Function.INVENTORY_PICKUP,
        ]
        assert [(step.name, step.ok) for step in run_test(warehouse).steps] == [("API key", True)]

        levels = run(warehouse, Function.INVENTORY_PICKUP)
        assert levels.state == Run.State.DONE, levels.error
        assert StockLevel.objects.get(location__warehouse=warehouse).available == 12

        order = make_order(make_cart(warehouse), lines=(("MUG", "2"),))
        order_is_sent(order)
        assert sandbox.orders[0]["reference"] == order.reference

        sandbox.send_parcel(order.reference)
        shipments = run(warehouse, Function.SHIPMENT_PICKUP)
        assert shipments.state == Run.State.DONE, shipments.error
        order.refresh_from_db()
        assert (order.status, order.shipments.get().tracking_number) == (Order.Status.SHIPPED, "JD000")
    assert "| Parcelbox | `parcelbox` |" in table_of_functions()


def order_is_sent(order: Order) -> None:
    from syncjobs.outbox import order_is_ready

    order_is_ready(Order, order)
    opened = OpenConnectors()
    try:
        assert deliver_next("test", opened) == 1
    finally:
        opened.close()
    order.refresh_from_db()
    assert order.status == Order.Status.AT_WAREHOUSE


def test_the_example_sandbox_lives(parcelbox: dict[str, str]) -> None:
    with registry.sandbox_class("parcelbox")() as sandbox:
        assert sandbox.happen() == "Nothing waits."
        sandbox.orders.append({"reference": "a"})
        assert sandbox.happen() == "Parcel for a"
        assert sandbox.introduction() == [f"URL: {sandbox.url}"]


def test_the_example_tests_pass(parcelbox: dict[str, str], subtests: Any) -> None:
    """Each test function of the page is called with the page's own fixtures."""
    code = parcelbox["tests/connectors/parcelbox/test_parcelbox.py"]
    names = re.findall(r"^def (test_\w+)", code, re.MULTILINE)
    assert len(names) >= 3
    namespace: dict[str, Any] = {"__name__": "parcelbox_example"}
    exec(compile(code, "docs/add-a-connector.md", "exec"), namespace)  # noqa: S102
    module = importlib.import_module("connectors.parcelbox.connector")
    for name in names:
        with subtests.test(name), registry.sandbox_class("parcelbox")() as sandbox:
            made = namespace["parcelbox"].__wrapped__(sandbox)
            connector = next(made)
            assert isinstance(connector, module.ParcelboxConnector)
            namespace[name](sandbox, connector)
            next(made, None)


def test_the_example_is_as_tidy_as_the_house(parcelbox: dict[str, str], tmp_path: Path) -> None:
    config = ["--no-cache", "--config", str(ROOT / "pyproject.toml")]
    ours = ["--config", "lint.isort.known-first-party = ['connectors', 'tests']"]
    for command in (["check", *config, *ours], ["format", "--check", *config]):
        outcome = subprocess.run(
            [sys.executable, "-m", "ruff", *command, str(tmp_path)], capture_output=True, text=True, check=False
        )
        assert outcome.returncode == 0, outcome.stdout + outcome.stderr


def test_the_table_of_ports_is_true() -> None:
    from connectors.base import PORTS

    text = page("docs/add-a-connector.md")
    for column, role in ((2, Role.CART), (3, Role.WAREHOUSE)):
        for function, port in PORTS[role].items():
            rows = [line for line in text.splitlines() if line.startswith(f"| `{port.__name__}`")]
            assert any(function.label == line.split("|")[column].strip() for line in rows), (
                f"docs/add-a-connector.md: the table of ports misses {port.__name__}: {function.label} ({role})"
            )


# Operations


def variables_of_settings() -> set[str]:
    return set(re.findall(r'env\.\w+\(\s*"([A-Z_]+)"', SETTINGS))


def test_every_environment_variable_is_documented() -> None:
    table = page("docs/operations.md").partition("## Environment")[2].partition("\n## ")[0]
    assert set(re.findall(r"^\| `([A-Z_]+)` \|", table, re.MULTILINE)) == variables_of_settings()


def test_the_example_environment_names_every_variable() -> None:
    named = re.findall(r"^#? ?([A-Z_]+)=", page(".env.example"), re.MULTILINE)
    assert len(named) == len(set(named))
    of_containers = set(re.findall(r"\$\{([A-Z_]+)", page("compose.yaml")))
    assert set(named) == variables_of_settings() | of_containers


def test_documented_defaults_are_those_of_the_settings() -> None:
    table = page("docs/operations.md").partition("## Environment")[2].partition("\n## ")[0]
    rows = dict(re.findall(r"^\| `([A-Z_]+)` \| (.*?) \|", table, re.MULTILINE))
    for name, default in re.findall(r'env\.int\("([A-Z_]+)", default=(\d+)\)', SETTINGS):
        assert rows[name] == default, name
        assert re.search(rf"^# {name}={default}$", page(".env.example"), re.MULTILINE), name


def test_the_checks_find_nothing_in_the_tests_settings() -> None:
    assert [message for message in checks.run_checks() if message.is_serious()] == []


def test_the_key_rotation_recipe_works(db: None, settings: Any) -> None:
    """The block of docs/operations.md is run as it stands."""
    old, new = (Fernet.generate_key().decode() for _ in range(2))
    settings.CREDENTIALS_KEYS = [old]
    cart = make_cart(credentials={"access_token": "secret"})
    through_app, empty = make_cart(), make_cart()
    tokens = TokenSet(access_token="AT", refresh_token="RT")
    keep_authorization(through_app, tokens, "ann")
    warehouse = make_rest_warehouse()
    secret, _ = replace_secret(warehouse.pk)
    settings.CREDENTIALS_KEYS = [new, old]
    follow("rotate")
    settings.CREDENTIALS_KEYS = [new]
    store = store_of(through_app)
    assert store is not None and store.read() == tokens
    assert valid_secrets(endpoint_of(warehouse.pk), timezone.now())[0] == secret
    assert Cart.objects.get(pk=cart.pk).read_credentials() == {"access_token": "secret"}
    assert Cart.objects.get(pk=empty.pk).read_credentials() == {}


def test_the_restore_recipe_sends_nothing_twice(
    parcelbox: dict[str, str], transactional_db: None, settings: Any
) -> None:
    with registry.sandbox_class("parcelbox")() as sandbox:
        settings.EXTRA_HOSTS = frozenset({sandbox.host})
        warehouse = Warehouse.objects.create(
            merchant=make_merchant(),
            name="Parcelbox",
            connector="parcelbox",
            options={"url": sandbox.url},
            credentials={"key": sandbox.token},
            is_active=True,
        )
        finish_new_connection(warehouse)
        order = make_order(make_cart(warehouse), lines=(("MUG", "2"),))
        order_is_sent(order)
        # The backup is from before it was sent.
        Order.objects.update(status=Order.Status.NEW, at_warehouse_at=None)
        Delivery.objects.update(state=Delivery.State.PENDING, attempts=0, remote_id="")
        follow("restore")
        order_is_sent(order)
        assert len(sandbox.orders) == 1


def test_the_webhook_recipe_replaces_the_address(world: World) -> None:
    assert run_test(world.cart).ok
    before = {hook["url"] for hook in world.store.webhooks}
    follow("webhook", {"Queen Street": world.cart.name})
    world.cart.refresh_from_db()
    assert run_test(world.cart).ok
    after = {hook["url"] for hook in world.store.webhooks}
    assert len(before) == len(after) == 6
    assert not before & after


def follow(name: str, replacements: dict[str, str] | None = None) -> None:
    """Runs a recipe of docs/operations.md."""
    [recipe] = re.findall(rf"<!-- recipe: {name} -->\n```python\n(.*?)```", page("docs/operations.md"), re.DOTALL)
    for old, new in (replacements or {}).items():
        assert old in recipe
        recipe = recipe.replace(old, new)
    exec(recipe, {})  # noqa: S102


# All pages


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.name)
def test_links_lead_somewhere(path: Path) -> None:
    for target in re.findall(r"\]\((?!https?:)([^)#\s]+)", path.read_text()):
        assert (path.parent / target).exists(), f"{path.name} links to {target}"


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.name)
def test_named_commands_exist_and_take_the_options_shown(path: Path) -> None:
    known = get_commands()
    for name, rest in re.findall(r"manage\.py ([a-z_]+)([^`\n|]*)", path.read_text()):
        assert name in known, f"{path.name}: manage.py {name}"
        if name == "demo":
            continue
        parser = load_command_class(known[name], name).create_parser("manage.py", name)
        for option in re.findall(r"(?<!\S)(--[a-z-]+)", rest):
            assert option in parser._option_string_actions, f"{path.name}: manage.py {name} {option}"


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.name)
def test_named_make_targets_exist(path: Path) -> None:
    targets = set(re.findall(r"^([a-z]+):", page("Makefile"), re.MULTILINE))
    for name in re.findall(r"(?:`|^ {4}|^)make ([a-z]+)", path.read_text(), re.MULTILINE):
        assert name in targets, f"{path.name}: make {name}"


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.name)
def test_named_addresses_exist(path: Path) -> None:
    for address in re.findall(r"(?<![\w.])(/(?:api/v1|admin|healthz?|metrics)/[\w/-]*)", path.read_text()):
        try:
            resolve(address if address.endswith("/") else f"{address}/")
        except Resolver404:
            pytest.fail(f"{path.name} names {address}")


def test_the_systemd_units_start_what_exists() -> None:
    text = page("README.md") + page("docs/operations.md")
    lines = re.findall(r"^ExecStart=(.*)$", text, re.MULTILINE)
    assert len(lines) == 2
    for line in lines:
        words = shlex.split(line)
        assert words[0].startswith("/opt/integration-manager/.venv/bin/")
        assert words[1] in ("manage.py", "integration_manager.wsgi") or words[1].endswith("manage.py")
