"""Certificates are verified against the trusted roots, by every session."""

from __future__ import annotations

import ssl
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer
from ipaddress import ip_address
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from connectors import http
from connectors.budget import Budget
from connectors.errors import RemoteUnavailable
from connectors.hosts import HostPolicy
from connectors.http import HttpSession


class Answer(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"{}")

    def log_message(self, *args: object) -> None:
        pass


@pytest.fixture
def certificate(tmp_path: Path) -> Path:
    """Of 127.0.0.1, signed by itself, with its key in the same file."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    path = tmp_path / "certificate.pem"
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    path.write_bytes(made.public_bytes(serialization.Encoding.PEM) + private)
    return path


@pytest.fixture
def host(certificate: Path) -> Iterator[str]:
    server = HTTPServer(("127.0.0.1", 0), Answer)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()
    thread.join()


def session(host: str) -> HttpSession:
    return HttpSession(f"https://{host}", hosts=HostPolicy(extra_hosts=frozenset({host})), budget=Budget(key=""))


def test_a_certificate_that_nobody_vouches_for_is_refused(host: str) -> None:
    with pytest.raises(RemoteUnavailable, match="the TLS certificate cannot be verified"):
        session(host).get("/")


def test_one_of_a_trusted_root_is_taken(host: str, certificate: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    roots = ssl.create_default_context(cafile=str(certificate))
    monkeypatch.setattr(http, "trusted_roots", lambda: roots)
    assert session(host).get("/").status == 200


def test_the_roots_are_read_once() -> None:
    assert http.trusted_roots() is http.trusted_roots()
    assert http.trusted_roots().verify_mode == ssl.CERT_REQUIRED
    assert http.trusted_roots().check_hostname
    assert http.trusted_roots().get_ca_certs()
