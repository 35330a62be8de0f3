"""A log line says what was being worked on, in both forms."""

from __future__ import annotations

import json
import logging
import sys

from integration_manager.log_formats import JsonFormat, TextFormat
from syncjobs.log_context import AddWork, working_on


def line(formatter: logging.Formatter, **facts: object) -> str:
    with working_on(run=7), working_on(**facts):
        record = logging.LogRecord("syncjobs.runner", logging.WARNING, __file__, 1, "slow: %s", ("Queen St",), None)
        AddWork().filter(record)
    return formatter.format(record)


def test_a_line_for_machines() -> None:
    found = json.loads(line(JsonFormat(), order=12))
    assert found.pop("time").endswith("+00:00")
    assert found == {
        "level": "WARNING",
        "logger": "syncjobs.runner",
        "message": "slow: Queen St",
        "run": "7",
        "order": "12",
    }


def test_a_line_for_people() -> None:
    assert line(TextFormat("{message}{about}", style="{"), order=12) == "slow: Queen St [run=7 order=12]"


def test_a_line_about_nothing() -> None:
    record = logging.LogRecord("x", logging.INFO, __file__, 1, "hello", (), None)
    AddWork().filter(record)
    assert TextFormat("{message}{about}", style="{").format(record) == "hello"


def test_a_traceback_stays_on_one_line_for_machines() -> None:
    try:
        raise ValueError("broken")
    except ValueError:
        record = logging.LogRecord("x", logging.ERROR, __file__, 1, "fault", (), sys.exc_info())
    text = JsonFormat().format(record)
    assert "\n" not in text
    assert "ValueError: broken" in json.loads(text)["traceback"]
