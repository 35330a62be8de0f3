"""Where a connection may send requests: its system's own domains over https, or hosts that the operator lists.

A merchant must not be able to point the hub at an internal address, so nothing else is reachable.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from urllib.parse import urlsplit

from connectors.errors import ConfigurationInvalid


@dataclass(frozen=True, slots=True)
class HostPolicy:
    """``domains``: suffixes of the system's own hosts. ``extra_hosts``: ``host:port`` pairs from
    INTEGRATION_MANAGER_EXTRA_HOSTS, reachable over http and https."""

    domains: tuple[str, ...] = ()
    extra_hosts: frozenset[str] = frozenset()

    def permits(self, url: str) -> bool:
        parts = urlsplit(url)
        host = (parts.hostname or "").lower()
        if not host or parts.username or parts.password:
            return False
        try:
            port = parts.port
        except ValueError:
            return False
        default_port = 443 if parts.scheme == "https" else 80
        if parts.scheme in ("http", "https") and f"{host}:{port or default_port}" in self.extra_hosts:
            return True
        if parts.scheme != "https" or port not in (None, 443):
            return False
        return any(host == domain or host.endswith("." + domain) for domain in self.domains)

    def check(self, url: str) -> None:
        """Raises ``ConfigurationInvalid`` for an address this connection may not talk to."""
        if not self.permits(url):
            host = urlsplit(url).netloc.rpartition("@")[2] or url
            own = " or ".join(f"https://….{domain}" for domain in self.domains) or "no public host"
            raise ConfigurationInvalid(
                f"The hub may not talk to {host}.",
                fix=f"Use the system's own address ({own}), or ask the operator to list {host} in "
                "INTEGRATION_MANAGER_EXTRA_HOSTS.",
            )


def parse_extra_hosts(text: str | Iterable[str]) -> frozenset[str]:
    """``"127.0.0.1:8101, erp.example:8000"`` -> a set of lower-case ``host:port``; a missing port means 443."""
    entries = text.split(",") if isinstance(text, str) else text
    hosts = set()
    for entry in entries:
        entry = entry.strip().lower()
        if entry:
            hosts.add(entry if ":" in entry else f"{entry}:443")
    return frozenset(hosts)
