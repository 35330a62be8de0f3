"""``manage.py sync``: runs functions of a cart (and of its warehouse) now, in the foreground, with progress."""

from __future__ import annotations

import os
import socket
import sys
import time
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone

from carts.models import Cart, Connection, Warehouse
from connectors.functions import FUNCTIONS_BY_ROLE, Function, Role
from syncjobs.drain import LeaseKeeper
from syncjobs.models import Run
from syncjobs.run_words import percent_of
from syncjobs.runner import claim_run, execute, give_back
from syncjobs.schedule import expand, request_run
from syncjobs.words import counts_in_words

WAIT_SECONDS = 0.5


class Command(BaseCommand):
    help = (
        "Runs the named functions of a cart or warehouse, or all that are on (for a cart the warehouse's side included). "
        "Exit status 0, or 1 when any failed."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        # Options may stand anywhere: "sync 2 --dry-run inventory_sync" means what it says.
        parser.parse_args = parser.parse_intermixed_args  # type: ignore[method-assign]
        parser.add_argument("connection", type=int, metavar="ID", help="of a cart or warehouse")
        parser.add_argument("functions", nargs="*", metavar="FUNCTION", help="for example order_download")
        parser.add_argument("--full", action="store_true", help="from the beginning, not from the cursor")
        parser.add_argument("--dry-run", action="store_true", help="show what would be done; write nothing")

    def handle(self, *args: Any, **options: Any) -> None:
        connection = self.find(options["connection"])
        pairs = expand(connection, self.parse(connection, options["functions"]))
        if not pairs:
            raise CommandError(f"{connection} has no function switched on.")
        owner = f"sync-{socket.gethostname()[:20]}-{os.getpid()}"
        failed = 0
        keeper = LeaseKeeper(owner)
        keeper.start()
        try:
            for target, function in pairs:
                with keeper.holding():
                    run = self.run(target, function, owner, full=options["full"], dry_run=options["dry_run"])
                failed += run.state != Run.State.DONE
                self.tell(target, function, run)
        except KeyboardInterrupt:
            give_back(list(Run.objects.filter(lease_owner=owner, state=Run.State.RUNNING)))
            raise CommandError("Stopped. What was stored stays; a worker goes on from there.") from None
        finally:
            keeper.stop()
        if failed:
            sys.exit(1)

    def find(self, pk: int) -> Connection:
        for model in (Cart, Warehouse):
            found = model.objects.select_related("merchant").filter(pk=pk).first()
            if found is not None:
                return found
        known = ", ".join(f"{c.pk} ({c.name})" for c in Cart.objects.order_by("pk")[:20])
        raise CommandError(f"There is no cart {pk}. Carts: {known or 'none yet'}.")

    def parse(self, connection: Connection, names: list[str]) -> list[Function] | None:
        if not names:
            return None
        known = FUNCTIONS_BY_ROLE[Role(connection.role)]
        able = connection.possible_functions
        functions = []
        for name in names:
            if name not in able:
                hint = (
                    "a function of its warehouse"
                    if name in set(Function) and name not in known
                    else "not possible here"
                )
                raise CommandError(f"{connection} cannot do {name} ({hint}). It can do: {', '.join(able)}.")
            functions.append(Function(name))
        return functions

    def run(self, connection: Connection, function: Function, owner: str, *, full: bool, dry_run: bool) -> Run:
        """Queues the run and executes it here. A feed that another worker reads is waited for; a pause that the remote
        named is waited out; back-off is not."""
        who = os.environ.get("USER", "operator")
        run = request_run(connection, function, Run.Trigger.PERSON, full=full, dry_run=dry_run, requested_by=who)
        while True:
            claimed = claim_run(run.pk, owner)
            if claimed is not None:
                Connection.objects.filter(pk=connection.pk).update(resting_until=None)
                run = execute(claimed, owner, progress=self.progress)
            else:
                run = Run.objects.get(pk=run.pk)
            if run.state in (Run.State.DONE, Run.State.FAILED, Run.State.CANCELLED):
                return run
            pause = (run.run_at - timezone.now()).total_seconds() if run.error_kind == "rate_limited" else 0.0
            if pause > WAIT_SECONDS:
                self.stdout.write(f"{run.error} Waiting {pause:.0f} s.")
            time.sleep(max(pause, WAIT_SECONDS))

    def progress(self, run: Run) -> None:
        if sys.stdout.isatty():
            percent = percent_of(run)
            bar = "" if percent is None else f"[{'#' * (percent // 5):<20}] {percent} %, "
            told = f"{run.function_label}: {bar}page {run.pages}, {counts_in_words(run.counts)}"
            self.stdout.write(f"\r{told}   ", ending="")
            self.stdout.flush()

    def tell(self, connection: Connection, function: Function, run: Run) -> None:
        start = "\r" if sys.stdout.isatty() else ""
        if run.state == Run.State.DONE:
            self.stdout.write(f"{start}{connection}: {function.label}: {counts_in_words(run.counts)}.")
            for row in run.preview:
                self.stdout.write("  " + "  ".join(f"{name}={value}" for name, value in row.items() if value))
        else:
            self.stderr.write(f"{start}{connection}: {function.label} failed: {run.error}")
            if run.fix:
                self.stderr.write(f"  What to do: {run.fix}")
