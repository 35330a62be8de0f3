"""``manage.py worker``: does the work, until it is told to stop. Start as many as you like, on as many hosts."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand

from syncjobs.supervisor import Supervisor


class Command(BaseCommand):
    help = "Runs the jobs: syncs, deliveries, webhooks. Stops cleanly on SIGTERM."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--slots", type=int, default=None, help="How many things are done at once (default: WORKERS)."
        )

    def handle(self, *args: Any, **options: Any) -> None:
        supervisor = Supervisor(options["slots"])
        self.stdout.write(f"Worker {supervisor.name} with {supervisor.slots} slots. Stop it with Ctrl-C.")
        supervisor.run()
