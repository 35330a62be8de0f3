"""What an operator can get wrong, each with its number and what to do."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography.fernet import Fernet
from django.conf import settings as django_settings
from django.core import checks
from django.utils import timezone
from redis import Redis

from carts.models import AlertSubscription, Authorization, Connection
from connectors.hosts import parse_extra_hosts
from syncjobs import examination
from syncjobs.checks import TAG, file_system_of
from syncjobs.models import Delivery, Run, WorkerProcess
from syncjobs.readiness import Finding
from tests.factories import make_cart, make_merchant

ROOT = Path(__file__).parents[1]
NUMBER = re.compile(r"hub\.[EW]\d{3}")
GOOD = {
    "DEBUG": False,
    "PUBLIC_URL": "https://hub.example",
    "ALLOWED_HOSTS": ["hub.example"],
    "REDIS_URL": "",
    "EMAIL_URL": "",
    "SECRET_KEY": "q3v8Zr1LmX0aTn6Yc9KsWb2Hd7Jf4Gp5Ue-Ro_Ii8Qt1Mx6Nw3Vy",
}
POSTGRES = {"ENGINE": "django.db.backends.postgresql", "CONN_MAX_AGE": 60, "CONN_HEALTH_CHECKS": True}


@pytest.fixture
def numbers(settings: Any, monkeypatch: pytest.MonkeyPatch) -> Callable[..., set[str]]:
    """The numbers that the checks of the settings give, with these settings changed."""

    def run(**changed: Any) -> set[str]:
        for name, value in {**GOOD, **changed}.items():
            setattr(settings, name, value)
        found = checks.run_checks(tags=[TAG], include_deployment_checks=True)
        for message in found:
            assert message.hint, f"{message.id} does not say what to do"
        return {str(message.id) for message in found}

    monkeypatch.delenv("GUNICORN_CMD_ARGS", raising=False)
    return run


def test_every_number_stands_in_the_docs_and_no_other() -> None:
    used = {number for file in (ROOT / "syncjobs").rglob("*.py") for number in NUMBER.findall(file.read_text())}
    rows = re.findall(r"^\| `(hub\.[EW]\d{3})` \|", (ROOT / "docs/operations.md").read_text(), re.MULTILINE)
    assert sorted(used) == sorted(rows)


KEY = Fernet.generate_key().decode()
SQLITE = {"ENGINE": "django.db.backends.sqlite3", "NAME": "hub.sqlite3"}


@pytest.mark.parametrize(
    ("changed", "number"),
    [
        ({"DATABASES": {"default": SQLITE}}, "hub.E001"),
        ({"RETENTION_DAYS": {"runs": 0}}, "hub.E002"),
        ({"CREDENTIALS_KEYS": []}, "hub.E003"),
        ({"CREDENTIALS_KEYS": [KEY, "too-short"]}, "hub.E004"),
        ({"CREDENTIALS_KEYS": [KEY, KEY]}, "hub.W002"),
        ({"EXTRA_HOSTS": parse_extra_hosts("http://erp.local/")}, "hub.E005"),
        ({"EXTRA_HOSTS": parse_extra_hosts("erp.local:80000")}, "hub.E005"),
        ({"PUBLIC_URL": "hub.example"}, "hub.E006"),
        ({"ALLOWED_HOSTS": ["localhost"]}, "hub.E007"),
        ({"DEBUG": True}, "hub.E008"),
        ({"PUBLIC_URL": "http://hub.example"}, "hub.W001"),
        ({"SECRET_KEY": "a" * 60}, "hub.W003"),
        ({"SECRET_KEY": "0123456789abcdefghijklmnopqrstuvw"}, "hub.W003"),
        ({"DATABASES": {"default": {**POSTGRES, "CONN_MAX_AGE": 0}}}, "hub.W006"),
        ({"EMAIL_URL": "smtp://mail.example", "DEFAULT_FROM_EMAIL": "hub@localhost"}, "hub.W007"),
    ],
)
def test_settings(numbers: Callable[..., set[str]], changed: dict[str, Any], number: str) -> None:
    assert numbers(**changed) == {number}


def test_good_settings(numbers: Callable[..., set[str]]) -> None:
    assert numbers() == set()
    assert numbers(ALLOWED_HOSTS=[".example"]) == set()
    assert numbers(EXTRA_HOSTS=parse_extra_hosts("erp.local, 127.0.0.1:8101, [::1]:8102")) == set()
    assert numbers(DATABASES={"default": POSTGRES}) == set()


def test_sqlite_is_for_one_host(numbers: Callable[..., set[str]], monkeypatch: pytest.MonkeyPatch) -> None:
    sqlite = {"DATABASES": {"default": {**SQLITE, "OPTIONS": SQLITE_OPTIONS}}}
    assert numbers(**sqlite) == set()
    assert numbers(**sqlite, REDIS_URL="redis://127.0.0.1/0") == {"hub.W004"}
    monkeypatch.setenv("GUNICORN_CMD_ARGS", "--workers 2 --threads 4")
    assert numbers(**sqlite) == {"hub.W005"}
    monkeypatch.delenv("GUNICORN_CMD_ARGS")
    monkeypatch.setattr("syncjobs.checks.file_system_of", lambda file: "nfs4")
    assert numbers(**sqlite) == {"hub.E009"}


SQLITE_OPTIONS = {"timeout": 20, "transaction_mode": "IMMEDIATE", "init_command": "PRAGMA journal_mode=WAL;"}


def test_the_file_system_is_that_of_the_nearest_mount(tmp_path: Path) -> None:
    mounts = tmp_path / "mounts"
    mounts.write_text("/dev/sda1 / ext4 rw 0 0\nserver:/data /srv/data nfs4 rw 0 0\n")
    assert file_system_of(Path("/srv/data/hub.sqlite3"), mounts) == "nfs4"
    assert file_system_of(Path("/srv/database.sqlite3"), mounts) == "ext4"
    assert file_system_of(Path("/srv/data/hub.sqlite3"), tmp_path / "none") == ""


def told(look: Callable[[], Any]) -> list[Finding]:
    """What is not well, as one look says it."""
    found = [finding for finding in look() if not finding.ok]
    assert all(finding.help and NUMBER.fullmatch(finding.number) for finding in found)
    return found


@pytest.mark.django_db
class TestWhatRuns:
    def test_a_silent_worker(self) -> None:
        silent = {"beat_at": timezone.now() - timedelta(minutes=3), "pid": 1}
        WorkerProcess.objects.create(name="hung-1", host="hung", **silent)
        WorkerProcess.objects.create(name="ended-1", host="ended", stopping=True, **silent)
        [finding] = told(examination.look_at_silent_workers)
        assert finding.number == "hub.W104" and "hung-1" in finding.message and not finding.is_error

    def test_clocks(self) -> None:
        assert told(examination.look_at_clocks) == []
        assert examination.clock_finding(timedelta(seconds=-4)).ok
        wrong = examination.clock_finding(timedelta(seconds=-6))
        assert (wrong.ok, wrong.number) == (False, "hub.E105") and "-6.0 s" in wrong.message

    def test_credentials_of_an_old_key(self, settings: Any) -> None:
        make_cart(credentials={"access_token": "secret"})
        now = timezone.now()
        Authorization.objects.create(
            merchant=make_merchant(), key="vend/x", tokens={"access": "a"}, authorised_at=now, renewed_at=now
        )
        assert told(examination.look_at_credentials) == []
        old = settings.CREDENTIALS_KEYS
        settings.CREDENTIALS_KEYS = [KEY, *old]
        [finding] = told(examination.look_at_credentials)
        assert finding.number == "hub.W106" and finding.message.startswith("2 still")
        settings.CREDENTIALS_KEYS = [KEY]
        assert [finding.number for finding in told(examination.look_at_credentials)] == ["hub.E106"] * 2

    def test_mail_that_is_wanted_but_not_set_up(self, settings: Any, django_user_model: Any) -> None:
        settings.EMAIL_URL = ""
        assert told(examination.look_at_mail) == []
        user = django_user_model.objects.create_user("ada")
        AlertSubscription.objects.create(user=user, merchant=make_merchant(), last_digest_at=timezone.now())
        [finding] = told(examination.look_at_mail)
        assert finding.number == "hub.W109"
        settings.EMAIL_URL = "smtp://mail.example"
        assert told(examination.look_at_mail) == []

    @pytest.mark.parametrize(("free", "number"), [(1024**3, "hub.W110"), (100 * 1024**2, "hub.E110")])
    def test_little_room(self, free: int, number: str) -> None:
        finding = examination.disk_finding(Path("/data"), free)
        assert (finding.ok, finding.number) == (False, number)
        assert examination.disk_finding(Path("/data"), 3 * 1024**3).ok

    def test_nobody_prunes(self) -> None:
        cart = make_cart()
        run = Run.objects.create(
            connection_id=cart.pk,
            function="order_download",
            feed="order_download",
            lane="orders",
            trigger="person",
            state=Run.State.DONE,
            counts={"imported": 1},
            run_at=timezone.now(),
        )
        days = django_settings.RETENTION_DAYS["runs"]
        Run.objects.filter(pk=run.pk).update(queued_at=timezone.now() - timedelta(days=days, hours=23))
        assert told(examination.look_at_retention) == [], "an hour late is not late"
        Run.objects.filter(pk=run.pk).update(queued_at=timezone.now() - timedelta(days=days + 2))
        [finding] = told(examination.look_at_retention)
        assert finding.number == "hub.W111" and finding.message == "not pruned: runs"

    def test_a_failing_connection_and_a_late_delivery(self) -> None:
        cart = make_cart()
        Connection.objects.filter(pk=cart.pk).update(last_error_at=timezone.now(), last_error="Refused.")
        assert [finding.number for finding in told(examination.look_at_connections)] == ["hub.W108"]
        late = timezone.now() - timedelta(minutes=11)
        Delivery.objects.create(connection_id=cart.pk, kind=Delivery.Kind.SHIPMENT, run_at=late)
        assert [finding.number for finding in told(examination.look_at_waiting_deliveries)] == ["hub.E107"]

    def test_another_hub_on_the_same_redis(self, settings: Any) -> None:
        assert told(examination.look_at_neighbours) == []
        if not settings.REDIS_URL:
            return
        examination.announce()
        assert told(examination.look_at_neighbours) == []
        with Redis.from_url(settings.REDIS_URL) as broker:
            broker.set(f"{examination.NEIGHBOURS}another", "", ex=60)
            try:
                [finding] = told(examination.look_at_neighbours)
            finally:
                broker.delete(
                    f"{examination.NEIGHBOURS}another", f"{examination.NEIGHBOURS}{examination.installation()}"
                )
        assert finding.number == "hub.E112" and finding.message.startswith("1 other hub")
