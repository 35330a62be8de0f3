"""The commands for operators: sync, connectors, doctor, prune, sandbox."""

from __future__ import annotations

import io
import os
import subprocess
import sys
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography.fernet import Fernet
from django.core.management import CommandError, call_command
from django.utils import timezone

from carts.models import Cart, Connection, Order
from connectors.functions import Function, Role
from connectors.registry import all_connectors
from syncjobs.models import ApiCall, Delivery, Run, WorkerProcess
from syncjobs.pausing import pause
from syncjobs.schedule import new_run, request_run
from syncjobs.supervisor import host_name
from tests.engine.conftest import World
from tests.engine.conftest import world as world  # the fixture
from tests.factories import make_builtin_warehouse, make_cart, make_order


class Outcome:
    def __init__(self, status: int, out: str, err: str) -> None:
        self.status, self.out, self.err = status, out, err


@pytest.fixture
def manage(capsys: pytest.CaptureFixture[str]) -> Callable[..., Outcome]:
    """Runs a command as a shell would; the exit status, and what it wrote."""

    def run(*arguments: Any, **options: Any) -> Outcome:
        out, err = io.StringIO(), io.StringIO()
        status = 0
        try:
            call_command(*(str(argument) for argument in arguments), stdout=out, stderr=err, **options)
        except SystemExit as end:
            status = int(end.code or 0)
        return Outcome(status, out.getvalue(), err.getvalue())

    return run


# sync


def test_sync_runs_all_that_is_on_the_warehouse_side_included(world: World, manage: Callable[..., Outcome]) -> None:
    world.sell()
    world.stock(world.product()["sku"], 70)
    outcome = manage("sync", world.cart.pk)
    assert outcome.status == 0, outcome.err
    assert f"{world.cart}: Order Download: 1 imported." in outcome.out
    assert f"{world.warehouse}: Order Sending: 1 sent." in outcome.out
    assert "Order Cancel Download" not in outcome.out  # it rides on the order feed
    assert f"{world.cart}: Inventory Sync: " in outcome.out
    assert Order.objects.get().status == Order.Status.AT_WAREHOUSE
    assert world.level(world.product()) == world.available(world.product()["sku"])


def test_sync_runs_named_functions_only(world: World, manage: Callable[..., Outcome]) -> None:
    world.sell()
    outcome = manage("sync", world.cart.pk, "order_download")
    assert (outcome.status, outcome.out) == (0, f"{world.cart}: Order Download: 1 imported.\n")
    assert Order.objects.get().status == Order.Status.NEW


def test_sync_full_begins_anew(world: World, manage: Callable[..., Outcome]) -> None:
    world.sell()
    manage("sync", world.cart.pk, "order_download")
    again = manage("sync", world.cart.pk, "order_download")
    full = manage("sync", world.cart.pk, "order_download", "--full")
    assert again.out == f"{world.cart}: Order Download: nothing to do.\n"
    assert full.out == f"{world.cart}: Order Download: 1 unchanged.\n"


def test_sync_dry_run_shows_and_writes_nothing(world: World, manage: Callable[..., Outcome]) -> None:
    sale = world.sell()
    outcome = manage("sync", world.cart.pk, "order_download", "--dry-run")
    assert outcome.status == 0
    assert "1 to import" in outcome.out and sale.invoice_number in outcome.out
    assert not Order.objects.exists()


def test_sync_says_what_failed_and_what_to_do(world: World, manage: Callable[..., Outcome]) -> None:
    world.sandbox.token = "another"
    outcome = manage("sync", world.cart.pk, "order_download")
    assert outcome.status == 1
    assert f"{world.cart}: Order Download failed: " in outcome.err
    assert "  What to do: Enter a valid access token" in outcome.err


def test_sync_leaves_what_is_paused_and_continues_it_when_told(world: World, manage: Callable[..., Outcome]) -> None:
    world.sell()
    pause(request_run(world.cart, Function.ORDER_DOWNLOAD, Run.Trigger.PERSON), "ada")
    outcome = manage("sync", world.cart.pk, "order_download")
    assert outcome.status == 1
    assert f"{world.cart}: Order Download paused by ada since " in outcome.err
    assert "--continue" in outcome.err
    assert not Order.objects.exists()
    assert manage("sync", world.cart.pk, "order_download", "--continue").status == 0
    assert Order.objects.count() == 1


def test_sync_leaves_what_must_wait_in_the_queue(world: World, manage: Callable[..., Outcome]) -> None:
    pause(request_run(world.cart, Function.ORDER_DOWNLOAD, Run.Trigger.PERSON), "ada")
    outcome = manage("sync", world.cart.pk, "inventory_sync")
    assert outcome.status == 1
    assert "Inventory Sync stays in the queue. Waits: Order Download paused by ada" in outcome.err


def test_sync_shows_a_bar_on_a_terminal(
    world: World, manage: Callable[..., Outcome], monkeypatch: pytest.MonkeyPatch
) -> None:
    world.store.generate_sales(24)
    mine = sum(sale.outlet_id == world.outlet["id"] for sale in world.store.sales)
    monkeypatch.setattr("connectors.vend.client.SALES_PER_PAGE", 8)
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    lines = manage("sync", world.cart.pk, "order_download").out.split("\r")
    shown = [line for line in lines if "8 read" in line]
    assert shown and "about " in shown[0] and "changes up to " in shown[0], lines
    assert mine and lines[-1].startswith(f"{world.cart}: Order Download: {mine} imported, {24 - mine} skipped")


def test_sync_does_not_wait_for_back_off(world: World, manage: Callable[..., Outcome]) -> None:
    Connection.objects.filter(pk=world.cart.pk).update(resting_until=timezone.now() + timedelta(hours=6))
    world.sell()
    assert manage("sync", world.cart.pk, "order_download").status == 0
    assert Order.objects.count() == 1


@pytest.mark.django_db(transaction=True)  # the command's thread that renews leases must see the database, too
def test_sync_waits_out_a_rate_limit(world: World, manage: Callable[..., Outcome]) -> None:
    world.sell()
    world.sandbox.reset_calls()
    world.sandbox.reset_calls()
    world.sandbox.fail(match="GET /sales", status=429, retry_after="integer", retry_after_seconds=2)
    outcome = manage("sync", world.cart.pk, "order_download")
    assert (outcome.status, Order.objects.count()) == (0, 1), outcome.err
    refused, accepted = [call for call in world.sandbox.calls if call.name == "GET /sales"][:2]
    assert refused.status == 429
    assert accepted.at - refused.at >= timedelta(seconds=1)


def test_sync_of_an_unknown_cart_names_those_that_exist(world: World, manage: Callable[..., Outcome]) -> None:
    with pytest.raises(CommandError, match=rf"no cart 999999. Carts: {world.cart.pk} \({world.cart.name}\)"):
        manage("sync", 999999)


def test_sync_without_any_cart(db: None, manage: Callable[..., Outcome]) -> None:
    with pytest.raises(CommandError, match="Carts: none yet"):
        manage("sync", 1)


@pytest.mark.parametrize(
    ("function", "words"),
    [("shipment_pickup", "a function of its warehouse"), ("invoice", "not possible here"), ("x", "not possible here")],
)
def test_sync_of_what_a_cart_cannot_do(world: World, manage: Callable[..., Outcome], function: str, words: str) -> None:
    with pytest.raises(CommandError, match=words):
        manage("sync", world.cart.pk, function)


def test_sync_with_nothing_on(db: None, manage: Callable[..., Outcome]) -> None:
    warehouse = make_builtin_warehouse()
    warehouse.function_settings.update(is_on=False)
    with pytest.raises(CommandError, match="no function switched on"):
        manage("sync", make_cart(warehouse).pk)


def test_sync_of_a_cart_that_is_off(world: World, manage: Callable[..., Outcome]) -> None:
    Cart.objects.filter(pk=world.cart.pk).update(is_active=False)
    outcome = manage("sync", world.cart.pk, "order_download")
    assert outcome.status == 1
    assert "is switched off" in outcome.err and "Switch the connection on" in outcome.err


# connectors


def test_connectors_prints_every_system_and_function(manage: Callable[..., Outcome]) -> None:
    out = manage("connectors").out
    for kind in all_connectors():
        for role in kind.roles:
            [row] = [line for line in out.splitlines() if f"`{kind.key}`" in line]
            assert row.count("| yes") == len(kind.functions(role))
            assert all(f"| {function.label} |" in out for function in kind.functions(role))
    assert [line.split("|")[1].strip() for line in out.splitlines() if "| key |" in line] == [
        role.value.title() for role in Role
    ]


# doctor


@pytest.fixture
def well(db: None, settings: Any) -> None:
    """An installation without anything to complain about."""
    settings.PUBLIC_URL = "https://hub.example"
    settings.ALLOWED_HOSTS = ["hub.example"]
    settings.SECRET_KEY = "q3v8Zr1LmX0aTn6Yc9KsWb2Hd7Jf4Gp5Ue-Ro_Ii8Qt1Mx6Nw3Vy"
    settings.REDIS_URL = ""
    WorkerProcess.objects.create(name="w", host="h", pid=1, beat_at=timezone.now())


def test_doctor_finds_nothing_on_a_good_installation(well: None, manage: Callable[..., Outcome]) -> None:
    outcome = manage("doctor")
    assert outcome.status == 0, outcome.out
    assert "ERROR" not in outcome.out and "WARN" not in outcome.out
    key = outcome.out.strip().rpartition(" ")[2]
    Fernet(key)


def test_doctor_misses_a_worker(well: None, manage: Callable[..., Outcome]) -> None:
    WorkerProcess.objects.update(beat_at=timezone.now() - timedelta(minutes=2))
    outcome = manage("doctor")
    assert outcome.status == 1
    assert "ERROR hub.E104 workers: 0 running" in outcome.out and "Start one: manage.py worker" in outcome.out


def test_doctor_sees_an_address_that_nobody_can_call(well: None, settings: Any, manage: Callable[..., Outcome]) -> None:
    settings.PUBLIC_URL = "http://localhost:8000"
    outcome = manage("doctor")
    assert outcome.status == 1
    assert "WARN  hub.W001" in outcome.out and "ERROR hub.E007" in outcome.out


def test_doctor_sees_a_silent_redis(well: None, settings: Any, manage: Callable[..., Outcome]) -> None:
    settings.REDIS_URL = "redis://127.0.0.1:9/0"
    outcome = manage("doctor")
    assert outcome.status == 1
    assert "ERROR hub.E103 broker: Redis does not answer" in outcome.out and "Check REDIS_URL" in outcome.out


def test_doctor_sees_late_deliveries(well: None, manage: Callable[..., Outcome]) -> None:
    order = make_order()
    Delivery.objects.create(
        order=order,
        connection_id=order.warehouse_id,
        kind=Delivery.Kind.ORDER,
        run_at=timezone.now() - timedelta(minutes=11),
    )
    outcome = manage("doctor")
    assert outcome.status == 1
    assert "ERROR hub.E107 deliveries: deliveries waiting for more than 10 minutes: 1" in outcome.out


def test_doctor_sees_credentials_that_no_key_opens(well: None, settings: Any, manage: Callable[..., Outcome]) -> None:
    make_cart(credentials={"access_token": "secret"})
    settings.CREDENTIALS_KEYS = [Fernet.generate_key().decode()]
    outcome = manage("doctor")
    assert outcome.status == 1
    assert "cannot be read with the keys" in outcome.out and "Put the old key behind the new one" in outcome.out


def test_doctor_warns_of_a_failing_connection(well: None, manage: Callable[..., Outcome]) -> None:
    cart = make_cart()
    Connection.objects.filter(pk=cart.pk).update(last_error_at=timezone.now(), last_error="The token was refused.")
    outcome = manage("doctor")
    assert outcome.status == 0, "it is the merchant's to mend"
    assert f"WARN  hub.W108 connection: {cart}: The token was refused." in outcome.out and "click Test" in outcome.out


# prune


@pytest.mark.parametrize(("host", "seconds", "status"), [("here", 5, 0), ("here", 61, 1), ("elsewhere", 5, 1)])
def test_a_worker_of_this_host_can_be_asked_for(
    db: None, manage: Callable[..., Outcome], host: str, seconds: int, status: int
) -> None:
    WorkerProcess.objects.create(
        name="w",
        host=host_name() if host == "here" else host,
        pid=1,
        beat_at=timezone.now() - timedelta(seconds=seconds),
    )
    assert manage("worker", "--is-alive").status == status


def test_prune_deletes_what_is_older_than_its_retention(db: None, manage: Callable[..., Outcome]) -> None:
    cart = make_cart()
    old = timezone.now() - timedelta(days=91)
    for number in range(3):
        ApiCall.objects.create(connection=cart, method="GET", url="https://x.example/", started_at=old)
        run = new_run(cart, Function.ORDER_DOWNLOAD, Run.Trigger.PERSON)
        run.state = Run.State.DONE
        run.save()
        if number:
            Run.objects.filter(pk=run.pk).update(queued_at=old)
    outcome = manage("prune")
    assert outcome.status == 0
    assert "api_calls: 3 deleted" in outcome.out
    assert "runs: 2 deleted" in outcome.out
    assert (ApiCall.objects.count(), Run.objects.count()) == (0, 1)


# sandbox: more in tests/connectors/*/test_sandbox_command.py


def test_sandbox_names_the_systems_it_has(manage: Callable[..., Outcome]) -> None:
    with pytest.raises(CommandError, match=r"Known: .*vend"):
        manage("sandbox", "nothing")


@pytest.mark.parametrize("command", ["migrate", "makemigrations", "doctor", "worker"])
def test_what_is_wrong_with_the_settings_is_said_without_a_traceback(command: str) -> None:
    done = subprocess.run(
        [sys.executable, "manage.py", command],
        cwd=Path(__file__).resolve().parents[1],
        env={**os.environ, "DJANGO_SETTINGS_MODULE": "integration_manager.settings", "SECRET_KEY": "short"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 1
    assert done.stderr.startswith("SECRET_KEY is missing or too short. Put 50 random characters into .env")
    assert "Traceback" not in done.stdout + done.stderr
