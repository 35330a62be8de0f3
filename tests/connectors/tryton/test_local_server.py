"""The local Tryton says what is wrong when it cannot be had."""

from __future__ import annotations

from pathlib import Path

import pytest

from connectors.tryton import local_server
from connectors.tryton.local_server import LocalServerFailed, LocalTryton


def test_without_tryton_it_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(local_server, "distributions", list)
    with pytest.raises(LocalServerFailed, match=r"pip install -r requirements-dev\.txt"):
        LocalTryton(tmp_path, tmp_path / "cache").start()


def test_a_server_that_ends_is_told_with_its_log(tmp_path: Path) -> None:
    server = LocalTryton(tmp_path, tmp_path / "cache")
    with pytest.raises(LocalServerFailed, match="no such table in this world"):
        server.run(["-c", "raise SystemExit('no such table in this world')"])


def test_nothing_of_tryton_is_imported_by_the_hub() -> None:
    """GPL: it runs as a process of its own. (pyproject.toml forbids the import, too.)"""
    for path in (Path(__file__).parents[3] / "connectors" / "tryton").glob("*.py"):
        text = path.read_text()
        assert "import trytond" not in text and "from trytond" not in text and "proteus" not in text, path
