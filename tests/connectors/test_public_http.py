"""An address that a merchant chose leads to the public internet, or nowhere."""

from __future__ import annotations

import socket
from typing import Any

import pytest

from connectors import public_http
from connectors.errors import ConfigurationInvalid, ContractBroken, OutcomeUnknown, RemoteUnavailable
from connectors.public_http import is_public, public_session
from tests.wms_listener import WmsListener

NOBODY: frozenset[str] = frozenset()


@pytest.mark.parametrize(
    "url",
    [
        "http://wms.example.com/hooks",
        "https://127.0.0.1/hooks",
        "https://[::1]/",
        "https://[::ffff:10.0.0.1]/",
        "https://10.1.2.3/",
        "https://169.254.169.254/latest/meta-data",
        "https://192.168.0.1/",
        "https://100.64.0.1/",
        "https://0.0.0.0/",
        "https://224.0.0.1/",
        "https://localhost/",
        "https://printer.local/",
        "https://redis/",
        "https://wms.example.com:6379/",
        "https://user:pass@wms.example.com/",
        "ftp://wms.example.com/",
        "https://wms.example.com:99999/",
    ],
)
def test_addresses_that_are_refused_at_once(url: str) -> None:
    with pytest.raises(ConfigurationInvalid, match="may not send"):
        public_session(url, extra_hosts=NOBODY)


@pytest.mark.parametrize(
    ("address", "public"),
    [
        ("93.184.216.34", True),
        ("2606:2800:220:1::1", True),
        ("10.0.0.1", False),
        ("fe80::1%eth0", False),
        ("::ffff:127.0.0.1", False),
        ("2002:7f00:1::", False),
        ("fc00::1", False),
        ("198.18.0.1", False),
    ],
)
def test_what_is_public(address: str, public: bool) -> None:
    assert is_public(address) is public


@pytest.mark.parametrize("addresses", [["127.0.0.1"], ["93.184.216.34", "10.0.0.1"], ["::1"], []])
def test_a_name_that_leads_inside_is_not_connected_to(monkeypatch: Any, addresses: list[str]) -> None:
    """Whatever the name looked like when it was entered: what counts is where it leads now."""
    found = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, 443)) for address in addresses]
    monkeypatch.setattr(public_http.socket, "getaddrinfo", lambda *args, **kwargs: found)
    session = public_session("https://wms.example.com/hooks", extra_hosts=NOBODY)
    with pytest.raises(RemoteUnavailable, match="public internet"):
        session.request("POST", "https://wms.example.com/hooks", json={})


def test_the_address_that_was_checked_is_the_one_that_is_used(monkeypatch: Any) -> None:
    """The second look-up, which would lead inside, never happens."""
    looked_up: list[str] = []
    tried: list[tuple[str, int]] = []

    def look_up(name: str, *args: Any, **kwargs: Any) -> Any:
        looked_up.append(name)
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("93.184.216.34", 443))]

    def connect(address: tuple[str, int], *args: Any, **kwargs: Any) -> Any:
        tried.append(address)
        raise ConnectionRefusedError("Connection refused")

    monkeypatch.setattr(public_http.socket, "getaddrinfo", look_up)
    monkeypatch.setattr("urllib3.util.connection.create_connection", connect)
    session = public_session("https://wms.example.com/hooks", extra_hosts=NOBODY)
    with pytest.raises(RemoteUnavailable):
        session.request("POST", "https://wms.example.com/hooks", json={})
    assert (looked_up, tried) == (["wms.example.com"], [("93.184.216.34", 443)])


def test_hosts_that_the_operator_lists_are_reached() -> None:
    with WmsListener() as wms:
        session = public_session(wms.url, extra_hosts=frozenset({wms.host}))
        assert session.request("POST", wms.url, json={"topic": "test"}).status == 204
        session.close()


def test_redirects_lead_nowhere() -> None:
    with WmsListener() as inside, WmsListener() as wms:
        wms.answers, wms.location = [307], inside.url
        session = public_session(wms.url, extra_hosts=frozenset({wms.host, inside.host}))
        with pytest.raises(ContractBroken, match="redirects"):
            session.request("POST", wms.url, json={})
        session.close()
        assert inside.received == []


def test_a_connection_that_lasts_too_long_is_cut(monkeypatch: Any) -> None:
    """Somebody who sends a header now and then could hold a worker for ever."""
    monkeypatch.setattr(public_http, "LONGEST_CONNECTION_SECONDS", 0.1)
    server = socket.create_server(("127.0.0.1", 0))
    host = f"127.0.0.1:{server.getsockname()[1]}"
    session = public_session(f"http://{host}/", extra_hosts=frozenset({host}))
    with server, pytest.raises((OutcomeUnknown, RemoteUnavailable)):
        # Nobody answers; without the cut this would take as long as the read time-out.
        session.request("POST", f"http://{host}/", json={})
    session.close()
