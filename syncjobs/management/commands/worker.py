"""``manage.py worker``: does the work, until it is told to stop. Start as many as you like, on as many hosts."""

from __future__ import annotations

import sys
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand
from django.utils import timezone

from carts.setup import complete_functions
from syncjobs.models import WorkerProcess
from syncjobs.readiness import WORKER_IS_SILENT_AFTER
from syncjobs.supervisor import Supervisor, host_name


class Command(BaseCommand):
    help = "Runs the jobs: syncs, deliveries, webhooks. Stops cleanly on SIGTERM."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--slots", type=int, default=None, help="How many things are done at once (default: WORKERS)."
        )
        parser.add_argument(
            "--is-alive",
            action="store_true",
            help="Starts nothing: says whether a worker of this host beat within a minute, by exit status 0 or 1.",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        if options["is_alive"]:
            beat = WorkerProcess.objects.filter(
                host=host_name(), beat_at__gt=timezone.now() - WORKER_IS_SILENT_AFTER
            ).exists()
            self.stdout.write("alive" if beat else "no worker of this host beat within a minute")
            sys.exit(0 if beat else 1)
        for setting in complete_functions():
            state = "on" if setting.is_on else "off"
            self.stdout.write(f"New since {setting.connection} was set up: {setting}, switched {state}.")
        supervisor = Supervisor(options["slots"])
        self.stdout.write(f"Worker {supervisor.name} with {supervisor.slots} slots. Stop it with Ctrl-C.")
        supervisor.run()
