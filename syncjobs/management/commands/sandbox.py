"""``manage.py sandbox SYSTEM``: a fake remote system over real HTTP, for trying things out without an account."""

from __future__ import annotations

import inspect
import signal
import threading
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from connectors.registry import SANDBOXES, UnknownConnector, sandbox_class

# Options that are handed to the sandbox as they are; a sandbox takes those that its constructor names.
PASSED_ON = ("outlets", "sales", "products", "customers", "seed", "token", "rate_limit")


class Command(BaseCommand):
    help = "Runs a fake remote system on the loopback interface until it is interrupted."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("system", help=f"which system: {', '.join(sorted(SANDBOXES))}")
        parser.add_argument("--port", type=int, default=0, help="port to listen on (default: a free one)")
        parser.add_argument("--outlets", type=int, help="number of shops")
        parser.add_argument("--sales", type=int, help="number of past sales")
        parser.add_argument("--products", type=int, help="number of products")
        parser.add_argument("--customers", type=int, help="number of customers")
        parser.add_argument("--seed", type=int, help="the same seed gives the same data")
        parser.add_argument("--token", help="access token that clients must send")
        parser.add_argument("--rate-limit", type=int, help="calls per window (default: as documented)")
        parser.add_argument(
            "--trickle", type=float, default=0.0, metavar="SECONDS", help="a new random sale every so many seconds"
        )
        parser.add_argument(
            "--tax-inclusive", action="store_true", help="shelf prices include tax (default: prices are before tax)"
        )
        parser.add_argument(
            "--webhook-secret", help="sign webhooks with this application secret (default: unsigned, as for tokens)"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            kind = sandbox_class(options["system"])
        except UnknownConnector as error:
            raise CommandError(str(error)) from error
        sandbox = kind(port=options["port"], **self._settings(kind, options))
        if options["webhook_secret"]:
            sandbox.webhook_secret = options["webhook_secret"]
        stop = threading.Event()
        for name in (signal.SIGINT, signal.SIGTERM):
            signal.signal(name, lambda *_: stop.set())
        try:
            sandbox.start()
        except OSError as error:
            raise CommandError(f"Port {options['port']} cannot be used: {error}.") from error
        try:
            self._introduce(sandbox)
            self._run(sandbox, stop, options["trickle"])
        finally:
            sandbox.stop()
        self.stdout.write("Stopped.")

    @staticmethod
    def _settings(kind: type, options: dict[str, Any]) -> dict[str, Any]:
        known = inspect.signature(kind).parameters
        settings = {name: options[name] for name in PASSED_ON if options[name] is not None and name in known}
        if options["tax_inclusive"] and "tax_exclusive" in known:
            settings["tax_exclusive"] = False
        return settings

    def _introduce(self, sandbox: Any) -> None:
        for line in sandbox.introduction():
            self.stdout.write(line)
        self.stdout.write(f"Let the hub reach it with INTEGRATION_MANAGER_EXTRA_HOSTS={sandbox.host}")
        self.stdout.flush()

    def _run(self, sandbox: Any, stop: threading.Event, trickle: float) -> None:
        while not stop.wait(trickle or None):
            self.stdout.write(sandbox.happen())
            self.stdout.flush()
