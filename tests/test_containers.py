"""Dockerfile and compose.yaml say what is true of this repository. (Building needs a container engine: not done here.)"""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import Any

import pytest
import yaml
from django.core.management import get_commands

ROOT = Path(__file__).parents[1]
DOCKERFILE = (ROOT / "Dockerfile").read_text()
COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "compose.yaml").read_text())
SERVICES: dict[str, Any] = COMPOSE["services"]


def copied() -> list[str]:
    lines = re.findall(r"^COPY (?!--from)(.+)$", DOCKERFILE, re.MULTILINE)
    return [name for line in lines for name in shlex.split(line)[:-1]]


def test_the_image_holds_every_part_of_the_hub() -> None:
    ignored = (ROOT / ".dockerignore").read_text().splitlines()
    for name in copied():
        assert (ROOT / name).exists(), name
        assert f"!{name}" in ignored, f"{name} is not let through by .dockerignore"
    apps = {path.parent.name for path in ROOT.glob("*/__init__.py")} - {"tests", "benchmarks"}
    assert apps | {"templates", "static", "manage.py", "requirements.txt"} <= set(copied())


def test_the_image_runs_without_rights_and_can_be_asked_how_it_is() -> None:
    stages = DOCKERFILE.split("\nFROM ")
    assert re.search(r"^USER hub$", stages[-1], re.MULTILINE)
    assert "/healthz" in stages[-1].partition("HEALTHCHECK")[2]
    assert "--require-hashes -r requirements.txt" in DOCKERFILE


@pytest.mark.parametrize("name", ["migrate", "worker"])
def test_services_call_commands_that_exist(name: str) -> None:
    command = SERVICES[name]["command"]
    assert command[:2] == ["python", "manage.py"]
    assert command[2] in get_commands()


def test_every_service_of_the_hub_has_database_and_broker() -> None:
    for name in ("migrate", "web", "worker"):
        environment = SERVICES[name]["environment"]
        assert environment["DATABASE_URL"].endswith("@database:5432/hub"), name
        assert environment["REDIS_URL"] == "redis://broker:6379/0", name
    assert SERVICES["web"]["ports"] == ["127.0.0.1:8000:8000"], "the world comes through a proxy with https"


def test_the_code_is_compiled_where_nobody_may_write_later() -> None:
    compiled = re.findall(r"^RUN python -m compileall -q (.+)$", DOCKERFILE, re.MULTILINE)
    packages = {path.parent.name for path in ROOT.glob("*/__init__.py")} - {"tests", "benchmarks"}
    assert [set(line.split()) for line in compiled] == [packages]


def test_the_database_is_ready_only_when_it_can_be_reached() -> None:
    assert "--host=127.0.0.1" in SERVICES["database"]["healthcheck"]["test"]


def test_web_ends_what_it_is_at() -> None:
    assert SERVICES["web"]["stop_grace_period"] == "40s"
    assert "gunicorn" in DOCKERFILE.rpartition("\nCMD [")[2], "as process 1, so that it gets the signal"


def test_a_worker_has_time_to_stop() -> None:
    assert SERVICES["worker"]["stop_grace_period"] == "90s"
    assert SERVICES["worker"]["healthcheck"]["test"][1:] == ["python", "manage.py", "worker", "--is-alive"]
