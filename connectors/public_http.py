"""HTTP to an address that a merchant chose: https to public addresses only, or to hosts that the operator lists.

The name is looked up when the connection is opened, and the very address that was checked is connected to, so a name that
points elsewhere a moment later leads nowhere. Redirects are not followed, and a connection is cut when it has lasted too
long, however slowly the other side sends.
"""

from __future__ import annotations

import ipaddress
import socket
import threading
from typing import Any
from urllib.parse import urlsplit

from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.exceptions import NewConnectionError

from connectors.budget import Budget
from connectors.errors import ConfigurationInvalid
from connectors.hosts import HostPolicy
from connectors.http import CallLog, HttpSession, OneRemote

CONNECT_SECONDS = 3.0
READ_SECONDS = 5.0
LONGEST_CONNECTION_SECONDS = 12.0
LARGEST_ANSWER_BYTES = 64 * 1024

NOT_PUBLIC = "is no address on the public internet"


class PublicHosts(HostPolicy):
    """Any host over https, as far as its name shows. Its address is checked when the connection is opened."""

    def permits(self, url: str) -> bool:
        if super().permits(url):
            return True
        try:
            parts = urlsplit(url)
            port = parts.port
        except ValueError:
            return False
        host = (parts.hostname or "").lower().rstrip(".")
        if parts.scheme != "https" or port not in (None, 443) or parts.username or parts.password:
            return False
        try:
            return is_public(host)
        except ValueError:
            return "." in host and not host.endswith((".local", ".localhost", ".internal"))

    def check(self, url: str) -> None:
        """Raises ``ConfigurationInvalid`` for an address that the hub does not talk to."""
        if not self.permits(url):
            raise ConfigurationInvalid(
                f"The hub may not send to {url.partition('?')[0]}.",
                fix="Enter a public address that begins with https://, or ask the operator to list its host in "
                "INTEGRATION_MANAGER_EXTRA_HOSTS.",
            )


def is_public(address: str) -> bool:
    """Raises ``ValueError`` for what is no IP address."""
    ip = ipaddress.ip_address(address.strip("[]").partition("%")[0])
    inner = getattr(ip, "ipv4_mapped", None) or getattr(ip, "sixtofour", None)
    return ip.is_global and not ip.is_multicast and (inner is None or is_public(str(inner)))


class ShortLived:
    """A connection that is cut after a while, whatever is still being sent."""

    sock: Any

    def connect(self) -> None:
        super().connect()  # type: ignore[misc]
        self._cutter = threading.Timer(LONGEST_CONNECTION_SECONDS, self._cut)
        self._cutter.daemon = True
        self._cutter.start()

    def _cut(self) -> None:
        sock = self.sock
        if sock is not None:
            try:
                sock.shutdown(socket.SHUT_RDWR)
            except OSError:
                return  # it is closed already

    def close(self) -> None:
        cutter = getattr(self, "_cutter", None)
        if cutter is not None:
            cutter.cancel()
        super().close()  # type: ignore[misc]


class ListedConnection(ShortLived, HTTPConnection):
    pass


class ListedTlsConnection(ShortLived, HTTPSConnection):
    pass


class PublicConnection(ShortLived, HTTPSConnection):
    """Connects to an address that was checked; the certificate is still that of the name."""

    def _new_conn(self) -> socket.socket:
        name = self._dns_host
        try:
            found = socket.getaddrinfo(name, self.port, type=socket.SOCK_STREAM)
        except OSError as error:
            raise NewConnectionError(self, f"Name or service not known: {error}") from error
        addresses = list(dict.fromkeys(str(entry[4][0]) for entry in found))
        if not addresses or not all(is_public(address) for address in addresses):
            raise NewConnectionError(self, f"{name} {NOT_PUBLIC}")
        self._dns_host = addresses[0]
        try:
            return super()._new_conn()
        finally:
            self._dns_host = name


class ListedPool(HTTPConnectionPool):
    ConnectionCls = ListedConnection


class ListedTlsPool(HTTPSConnectionPool):
    ConnectionCls = ListedTlsConnection


class PublicPool(HTTPSConnectionPool):
    ConnectionCls = PublicConnection


class PoolAdapter(OneRemote):
    """Uses the given connections instead of the usual ones."""

    def __init__(self, pools: dict[str, Any]) -> None:
        self.pools = pools
        super().__init__()

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        super().init_poolmanager(*args, **kwargs)
        self.poolmanager.pool_classes_by_scheme = self.pools


def public_session(url: str, *, extra_hosts: frozenset[str], call_log: CallLog | None = None) -> HttpSession:
    """A session that only talks to this address. Raises ``ConfigurationInvalid`` for one that the hub does not talk to."""
    session = HttpSession(
        url,
        hosts=PublicHosts(extra_hosts=extra_hosts),
        budget=Budget(key=""),
        call_log=call_log,
        connect_timeout=CONNECT_SECONDS,
        read_timeout=READ_SECONDS,
        largest_body=LARGEST_ANSWER_BYTES,
    )
    is_listed = HostPolicy(extra_hosts=extra_hosts).permits(url)
    pools = {"http": ListedPool, "https": ListedTlsPool} if is_listed else {"https": PublicPool}
    for scheme in ("https", "http"):
        session.session.mount(f"{scheme}://", PoolAdapter(pools))
    return session
