"""Tokens in the database: renewed by one at a time, whatever happens to whoever does it. With real processes."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
import requests
from django.db import OperationalError, connection, transaction
from django.utils import timezone

from carts import credential_store
from carts.authorization import finish, keep_authorization, redirect_uri, status_of
from carts.credential_store import StoredTokens, store_of
from carts.encryption import CredentialsUnreadable
from carts.models import Alert, Authorization, Cart, Connection
from carts.remote import open_connector
from carts.setup import finish_new_connection
from connectors.errors import AuthenticationFailed, RemoteUnavailable
from connectors.functions import Function
from connectors.oauth import TokenSet
from connectors.sandbox import Response
from connectors.vend.sandbox import VendSandbox
from syncjobs.models import ApiCallBody, Run, Schedule
from syncjobs.runner import claim_run, execute
from syncjobs.schedule import request_run
from tests.factories import make_builtin_warehouse, make_cart

APP = {"client_id": "hub", "client_secret": "s3cret-of-the-app"}
TOKEN_CALL = "POST /token"
ROOT = Path(__file__).resolve().parents[2]
PATIENCE = 60.0


@pytest.fixture
def sandbox(transactional_db: None, settings: Any) -> Iterator[VendSandbox]:
    with VendSandbox(outlets=1, sales=0, products=5, customers=2, rate_limit=1_000_000) as sandbox:
        settings.EXTRA_HOSTS = frozenset({sandbox.host})
        sandbox.oauth.applications = {APP["client_id"]: APP["client_secret"]}
        yield sandbox


@pytest.fixture
def cart(sandbox: VendSandbox) -> Cart:
    cart = make_cart(
        make_builtin_warehouse(),
        options={"vend_url": sandbox.url, "outlet_name": sandbox.store.outlets[0]["name"]},
        credentials=APP,
    )
    finish_new_connection(cart)
    authorise(cart)
    sandbox.reset_calls()
    return cart


def authorise(cart: Cart) -> TokenSet:
    connector: Any = open_connector(cart)
    answer = requests.get(connector.authorize_url("state-of-a-test", redirect_uri()), allow_redirects=False, timeout=5)
    params = {name: values[0] for name, values in parse_qs(urlsplit(answer.headers["Location"]).query).items()}
    tokens: TokenSet = connector.exchange_code(params, redirect_uri())
    keep_authorization(cart, tokens, "ann")
    return tokens


def tokens_of(cart: Cart) -> StoredTokens:
    store = store_of(cart)
    assert store is not None
    return store


def stored(cart: Cart) -> TokenSet:
    tokens = tokens_of(cart).read()
    assert tokens is not None
    return tokens


def fresh(name: str) -> TokenSet:
    return TokenSet(access_token=f"AT-{name}", refresh_token=f"RT-{name}")


def never(tokens: TokenSet) -> TokenSet:
    raise AssertionError("renewed once more")


def wait_until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.01)


# --- one process -----------------------------------------------------------------------------------------------------


def test_the_answer_replaces_the_old_tokens(cart: Cart) -> None:
    old = stored(cart)
    assert tokens_of(cart).renewed(old, lambda tokens: fresh(tokens.refresh_token)) == fresh(old.refresh_token)
    assert stored(cart) == fresh(old.refresh_token)
    row = Authorization.objects.get()
    assert (row.holder, row.held_until) == ("", None)
    assert old.refresh_token not in row.tokens and "AT-" not in row.tokens, "encrypted"
    assert tokens_of(cart).renewed(old, never) == stored(cart)


def test_a_failure_frees_the_lease(cart: Cart) -> None:
    old = stored(cart)

    def fail(tokens: TokenSet) -> TokenSet:
        raise RemoteUnavailable("down")

    with pytest.raises(RemoteUnavailable):
        tokens_of(cart).renewed(old, fail)
    assert stored(cart) == old
    assert tokens_of(cart).renewed(old, lambda tokens: fresh("1")) == fresh("1")


def test_nothing_is_locked_while_the_remote_is_asked(cart: Cart) -> None:
    def renew(tokens: TokenSet) -> TokenSet:
        assert not connection.in_atomic_block
        writer = threading.Thread(target=lambda: (cart.save(), connection.close()))
        writer.start()
        writer.join(5)
        assert not writer.is_alive()
        return fresh("1")

    tokens_of(cart).renewed(stored(cart), renew)


def test_it_is_never_a_part_of_somebodys_transaction(cart: Cart) -> None:
    """Rolled back with the caller's work, the new tokens would be lost."""
    with pytest.raises(RuntimeError, match="durable"), transaction.atomic():
        tokens_of(cart).renewed(stored(cart), never)


def test_the_lease_of_a_dead_process_ends_by_itself(cart: Cart) -> None:
    Authorization.objects.update(holder="dead", held_until=timezone.now() + timedelta(seconds=0.3))
    started = time.monotonic()
    assert tokens_of(cart).renewed(stored(cart), lambda tokens: fresh("1")) == fresh("1")
    assert time.monotonic() - started > 0.2


def test_whoever_waits_takes_what_the_other_got(cart: Cart) -> None:
    old = stored(cart)
    Authorization.objects.update(holder="other", held_until=timezone.now() + timedelta(minutes=1))

    def other() -> None:
        Authorization.objects.update(tokens=fresh("theirs").as_json(), holder="", held_until=None)
        connection.close()

    timer = threading.Timer(0.2, other)
    timer.start()
    assert tokens_of(cart).renewed(old, never) == fresh("theirs")
    timer.join()


def test_waiting_has_an_end(cart: Cart, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(credential_store, "PATIENCE", timedelta(seconds=0.1))
    Authorization.objects.update(holder="other", held_until=timezone.now() + timedelta(minutes=1))
    with pytest.raises(RemoteUnavailable, match="too long"):
        tokens_of(cart).renewed(stored(cart), never)


def test_a_slow_one_who_lost_the_lease_still_keeps_what_it_got(cart: Cart) -> None:
    """The remote has forgotten the old tokens: throwing the new ones away would lock everybody out."""

    def slow(tokens: TokenSet) -> TokenSet:
        Authorization.objects.update(holder="next", held_until=timezone.now() + timedelta(minutes=1))
        return fresh("slow")

    assert tokens_of(cart).renewed(stored(cart), slow) == fresh("slow")
    assert stored(cart) == fresh("slow")


def test_newer_tokens_are_never_overwritten(cart: Cart) -> None:
    """A person authorised anew while a renewal was under way, and the old tokens are refused."""

    def answer(tokens: TokenSet) -> TokenSet:
        Authorization.objects.update(tokens=fresh("by hand").as_json())
        return fresh("late")

    assert tokens_of(cart).renewed(stored(cart), answer) == fresh("by hand")

    def refusal(tokens: TokenSet) -> TokenSet:
        Authorization.objects.update(tokens=fresh("by hand again").as_json())
        raise AuthenticationFailed("invalid_grant")

    assert tokens_of(cart).renewed(fresh("by hand"), refusal) == fresh("by hand again")


def test_a_database_in_trouble_is_tried_again(cart: Cart, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(credential_store, "PAUSE_BETWEEN_TRIES_SECONDS", 0)
    update, trouble = StoredTokens._update, [OperationalError("gone"), OperationalError("gone")]

    def troubled(rows: Any, **values: Any) -> bool:
        if "tokens" in values and trouble:
            raise trouble.pop()
        return update(rows, **values)

    monkeypatch.setattr(StoredTokens, "_update", staticmethod(troubled))
    tokens_of(cart).renewed(stored(cart), lambda tokens: fresh("1"))
    assert stored(cart) == fresh("1")


def test_without_an_authorisation(cart: Cart) -> None:
    old = stored(cart)
    Authorization.objects.all().delete()
    assert tokens_of(cart).read() is None
    with pytest.raises(AuthenticationFailed, match="not authorised"):
        tokens_of(cart).renewed(old, never)


def test_without_the_key(cart: Cart) -> None:
    Authorization.objects.update(tokens="unreadable")
    with pytest.raises(CredentialsUnreadable):
        open_connector(cart)


def test_saving_a_connection_brings_no_old_tokens_back(cart: Cart) -> None:
    loaded = Cart.objects.get(pk=cart.pk)
    tokens_of(cart).renewed(stored(cart), lambda tokens: fresh("1"))
    loaded.name = "Renamed"
    loaded.save()
    assert stored(cart) == fresh("1")


def test_authorising_makes_the_personal_token_superfluous(cart: Cart) -> None:
    Connection.objects.filter(pk=cart.pk).update(credentials={**APP, "access_token": "personal"})
    authorise(cart)
    assert cart.read_credentials()["access_token"] == ""
    assert Cart.objects.get(pk=cart.pk).read_credentials() == {**APP, "access_token": ""}


# --- the engine ------------------------------------------------------------------------------------------------------


def download(cart: Cart) -> Run:
    claimed = claim_run(request_run(cart, Function.ORDER_DOWNLOAD, Run.Trigger.PERSON).pk, "test")
    assert claimed is not None
    return execute(claimed, "test")


def test_tokens_are_renewed_in_the_middle_of_a_run(cart: Cart, sandbox: VendSandbox) -> None:
    sandbox.store.generate_sales(20)
    old = stored(cart)
    sandbox.clock_skew = timedelta(days=2)
    run = download(cart)
    assert run.state == Run.State.DONE, run.error
    assert run.counts["imported"] + run.counts.get("skipped", 0) >= 1
    new = stored(cart)
    assert new.access_token != old.access_token
    kept = "".join(
        f"{body.request_headers}{body.request_text}{body.response_text}" for body in ApiCallBody.objects.all()
    )
    assert "refresh_token" in kept
    for secret in (old.access_token, old.refresh_token, new.access_token, new.refresh_token, APP["client_secret"]):
        assert secret not in kept


def test_the_alert_about_lost_access_leads_to_the_button(cart: Cart, sandbox: VendSandbox) -> None:
    sandbox.oauth.revoke_all()
    run = download(cart)
    assert (run.state, run.error_kind) == (Run.State.FAILED, "authentication")
    alert = Alert.objects.get()
    assert "Authorise" in alert.fix
    assert alert.link == f"/admin/carts/cart/{cart.pk}/authorise/"
    authorise(cart)
    assert download(cart).state == Run.State.DONE
    assert not Alert.objects.exclude(status=Alert.Status.RESOLVED).exists()


# --- many processes --------------------------------------------------------------------------------------------------


class Processes:
    """Processes that use the cart's connection, all let loose at once."""

    def __init__(self, cart: Cart, sandbox: VendSandbox) -> None:
        self.cart, self.host = cart, sandbox.host
        self.all: list[subprocess.Popen[str]] = []

    def start(
        self, number: int, *, seconds: float = 0, lease: float = 60, cart: Cart | None = None
    ) -> list[subprocess.Popen[str]]:
        database = str(connection.settings_dict["NAME"])
        command = [
            sys.executable,
            "-m",
            "tests.carts.renewing_process",
            database,
            str((cart or self.cart).pk),
            str(seconds),
            str(lease),
        ]
        environment = {
            **os.environ,
            "DJANGO_SETTINGS_MODULE": "tests.settings",
            "INTEGRATION_MANAGER_EXTRA_HOSTS": self.host,
        }
        pipes: dict[str, Any] = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
        started = [subprocess.Popen(command, cwd=ROOT, env=environment, **pipes) for _ in range(number)]
        self.all += started
        for process in started:
            assert process.stdout is not None and process.stdout.readline() == "ready\n"
        return started

    @staticmethod
    def go(processes: list[subprocess.Popen[str]]) -> None:
        for process in processes:
            assert process.stdin is not None
            process.stdin.write("go\n")
            process.stdin.flush()

    @staticmethod
    def outcomes(processes: list[subprocess.Popen[str]]) -> list[str]:
        return [process.communicate(timeout=PATIENCE)[0].strip() for process in processes]

    def end(self) -> None:
        for process in self.all:
            if process.poll() is None:
                process.kill()
            process.communicate()


@pytest.fixture
def processes(cart: Cart, sandbox: VendSandbox) -> Iterator[Processes]:
    made = Processes(cart, sandbox)
    yield made
    made.end()


def is_held() -> bool:
    return Authorization.objects.exclude(holder="").exists()


def test_many_processes_with_a_token_that_ended(cart: Cart, sandbox: VendSandbox, processes: Processes) -> None:
    """All are refused at once; one renews, slowly; all go on with what it got."""
    started = processes.start(4)
    sandbox.clock_skew = timedelta(days=2)
    sandbox.fail(match=TOKEN_CALL, delay=0.5, times=None)
    processes.go(started)
    assert processes.outcomes(started) == ["1 calls"] * 4
    assert sandbox.count(TOKEN_CALL) == 1
    assert not is_held()


def test_many_processes_and_tokens_that_end_all_the_time(
    cart: Cart, sandbox: VendSandbox, processes: Processes
) -> None:
    """Tokens of one second, four processes for three seconds: every renewal used the newest refresh token."""
    sandbox.oauth.token_seconds = 1
    started = processes.start(4, seconds=3)
    sandbox.clock_skew = timedelta(days=2)
    processes.go(started)
    outcomes = processes.outcomes(started)
    assert all(outcome.endswith(" calls") for outcome in outcomes), outcomes
    renewals = [call.status for call in sandbox.calls if call.name == TOKEN_CALL]
    assert len(renewals) >= 3 and set(renewals) == {200}
    assert not is_held()


def kill_while_renewing(
    sandbox: VendSandbox, victim: subprocess.Popen[str], monkeypatch: pytest.MonkeyPatch, *, carried_out: bool
) -> None:
    """The first renewal that arrives costs its sender the life, before or after Vend has exchanged the tokens."""
    respond = sandbox._respond

    def kill_first(request: Any, handler: Any, fault: Any) -> Any:
        if request.template != "/token" or victim.poll() is not None:
            return respond(request, handler, fault)
        answer = respond(request, handler, fault) if carried_out else Response(503)
        victim.kill()
        victim.wait()
        return answer

    monkeypatch.setattr(sandbox, "_respond", kill_first)


def test_whoever_renews_is_killed(
    cart: Cart, sandbox: VendSandbox, processes: Processes, monkeypatch: pytest.MonkeyPatch
) -> None:
    """kill -9 before Vend did anything: the next one takes over when the lease is over."""
    [victim], others = processes.start(1, lease=2), processes.start(2, lease=2)
    sandbox.clock_skew = timedelta(days=2)
    kill_while_renewing(sandbox, victim, monkeypatch, carried_out=False)
    processes.go([victim])
    wait_until(lambda: victim.poll() is not None)
    assert is_held(), "by the dead"
    processes.go(others)
    assert processes.outcomes(others) == ["1 calls"] * 2
    assert [call.status for call in sandbox.calls if call.name == TOKEN_CALL].count(200) == 1
    assert not is_held()


def test_whoever_renews_is_killed_after_vend_exchanged_the_tokens(
    cart: Cart, sandbox: VendSandbox, processes: Processes, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The new tokens died with the process. Nobody hangs: the access is gone, and a person is told what to do."""
    [victim] = processes.start(1, lease=1)
    sandbox.clock_skew = timedelta(days=2)
    kill_while_renewing(sandbox, victim, monkeypatch, carried_out=True)
    processes.go([victim])
    wait_until(lambda: victim.poll() is not None)
    assert is_held(), "by the dead"
    run = download(cart)
    assert (run.state, run.error_kind) == (Run.State.FAILED, "authentication")
    assert "Authorise" in Alert.objects.get().fix
    authorise(cart)
    assert download(cart).state == Run.State.DONE
    assert not Alert.objects.exclude(status=Alert.Status.RESOLVED).exists()


# --- many carts of one store -----------------------------------------------------------------------------------------


def sibling(cart: Cart, **fields: Any) -> Cart:
    """Another cart of the same merchant, store and app."""
    values = {"options": cart.options, "credentials": APP, **fields}
    return make_cart(cart.warehouse, **values)


def test_carts_of_one_store_and_app_share_the_tokens(cart: Cart, sandbox: VendSandbox, processes: Processes) -> None:
    other = sibling(cart)
    assert stored(other) == stored(cart)
    status = status_of(other)
    assert status is not None and f"also used by {cart}" in status.text
    started = [*processes.start(2), *processes.start(2, cart=other)]
    sandbox.clock_skew = timedelta(days=2)
    processes.go(started)
    assert processes.outcomes(started) == ["1 calls"] * 4
    assert sandbox.count(TOKEN_CALL) == 1


@pytest.mark.parametrize("what", ["app", "store", "merchant"])
def test_nobody_else_does(cart: Cart, what: str) -> None:
    stranger = {
        "app": lambda: sibling(cart, credentials={**APP, "client_id": "another"}),
        "store": lambda: sibling(cart, options={**cart.options, "vend_url": "https://other.retail.lightspeed.app"}),
        "merchant": lambda: make_cart(make_builtin_warehouse(), options=cart.options, credentials=APP),
    }[what]()
    assert tokens_of(stranger).read() is None


def test_other_settings_lead_away_from_the_tokens_and_back(cart: Cart) -> None:
    """Tokens are never shown to a store that they are not for."""
    tokens, options = stored(cart), cart.options
    cart.options = {**options, "vend_url": "https://other.retail.lightspeed.app"}
    assert tokens_of(cart).read() is None
    cart.options = options
    assert stored(cart) == tokens


def test_a_cart_with_a_token_of_its_own_uses_that(cart: Cart, sandbox: VendSandbox) -> None:
    other = sibling(cart, credentials={**APP, "access_token": sandbox.token})
    connector: Any = open_connector(other)
    assert connector.keeper is None
    status = status_of(cart)
    assert status is not None and status.others == ()


def test_the_tokens_go_with_the_last_cart_that_uses_them(cart: Cart) -> None:
    other = sibling(cart)
    cart.delete()
    assert stored(other)
    other.delete()
    assert not Authorization.objects.exists()


def test_authorising_one_heals_all(cart: Cart, sandbox: VendSandbox) -> None:
    other = sibling(cart)
    finish_new_connection(other)
    sandbox.oauth.revoke_all()
    assert download(cart).error_kind == download(other).error_kind == "authentication"
    waiting = Schedule.objects.get(connection=other, function=Function.ORDER_DOWNLOAD)
    assert waiting.next_run_at > timezone.now()
    connector: Any = open_connector(cart)
    answer = requests.get(connector.authorize_url("state-of-a-test", redirect_uri()), allow_redirects=False, timeout=5)
    params = {name: values[0] for name, values in parse_qs(urlsplit(answer.headers["Location"]).query).items()}
    assert finish(cart, params, "ann")
    waiting.refresh_from_db()
    assert waiting.next_run_at <= timezone.now() and waiting.failures == 0
    assert download(other).state == Run.State.DONE
