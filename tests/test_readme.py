"""The README is true: its two commands, its table, its pictures."""

from __future__ import annotations

import re
import struct
from pathlib import Path

from syncjobs.management.commands.connectors import table_of_functions

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()
TARGETS = (ROOT / "Makefile").read_text()
PICTURE_WIDTH = 1280


def test_it_begins_with_the_two_commands() -> None:
    lines = [line.strip() for line in README.splitlines()[1:] if line.strip()]
    assert lines[0].startswith("make demo ")
    assert lines[1].startswith("make test ")
    assert README.index("![") < README.index("\n## ")


def test_the_table_of_systems_and_functions_is_true() -> None:
    found = re.search(r"<!-- connectors: begin [^\n]*-->\n(.*?)<!-- connectors: end -->", README, re.DOTALL)
    assert found is not None
    assert found[1].strip() == table_of_functions().strip(), (
        "Put the output of `manage.py connectors` between the marks in README.md."
    )


def test_its_pictures_are_there_and_wide_enough() -> None:
    pictures = re.findall(r"!\[[^\]]+\]\(([^)]+)\)", README)
    assert {Path(picture).stem for picture in pictures} >= {"dashboard", "setup", "orders"}
    for picture in pictures:
        start = (ROOT / picture).read_bytes()[:24]
        assert start.startswith(b"\x89PNG")
        width, height = struct.unpack(">II", start[16:])
        assert width == PICTURE_WIDTH and height > 400, picture


def test_it_links_every_page_of_the_documentation() -> None:
    linked = set(re.findall(r"\]\((docs/[\w-]+\.md)", README))
    missing = {f"docs/{path.name}" for path in (ROOT / "docs").glob("*.md")} - linked
    assert not missing, f"README.md, Documentation: add a row for {', '.join(sorted(missing))}"


def test_the_licence_is_apache_2() -> None:
    text = (ROOT / "LICENSE").read_text()
    assert "Apache License" in text and "Version 2.0, January 2004" in text
    assert "END OF TERMS AND CONDITIONS" in text and "Integration Manager contributors" in text


def test_the_lock_files_hold_no_addresses() -> None:
    for lock in ROOT.glob("requirements*.txt"):
        assert not re.search(r"https?://|file:", lock.read_text()), lock.name


def test_make_lists_every_target() -> None:
    targets = set(re.findall(r"^([a-z]+):", TARGETS, re.MULTILINE))
    assert set(re.findall(r"^([a-z]+):.*## ", TARGETS, re.MULTILINE)) == targets
    assert {"install", "demo", "test", "lint", "bench"} <= targets
