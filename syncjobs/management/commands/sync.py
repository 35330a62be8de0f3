"""``manage.py sync``: runs functions of a cart (and of its warehouse) now, in the foreground, with progress."""

from __future__ import annotations

import os
import shutil
import socket
import sys
import time
from argparse import ArgumentParser
from functools import partial
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone

from carts.models import Cart, Connection, Warehouse
from connectors.functions import FUNCTIONS_BY_ROLE, Function, Role
from syncjobs.drain import LeaseKeeper
from syncjobs.models import Run
from syncjobs.models.runs import SUPERSEDED, WAITING
from syncjobs.pausing import PauseRefused, go_on, pauses_of, words_of_pause
from syncjobs.run_progress import progress_of
from syncjobs.runner import claim_run, execute, give_back
from syncjobs.schedule import expand, feed_of, request_run
from syncjobs.words import counts_in_words

WAIT_SECONDS = 0.5


def operator() -> str:
    """Who asked, for the histories."""
    return os.environ.get("USER", "operator")


def terminal_width() -> int:
    return shutil.get_terminal_size().columns - 1


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
        parser.add_argument("--continue", action="store_true", help="end the pause of these functions, then run them")
        parser.add_argument("--dry-run", action="store_true", help="show what would be done; write nothing")

    def handle(self, *args: Any, **options: Any) -> None:
        connection = self.find(options["connection"])
        pairs = expand(connection, self.parse(connection, options["functions"]))
        if not pairs:
            raise CommandError(f"{connection} has no function switched on.")
        owner = f"sync-{socket.gethostname()[:20]}-{os.getpid()}"
        if options["continue"]:
            self.end_pauses(pairs)
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

    def end_pauses(self, pairs: list[tuple[Connection, Function]]) -> None:
        for connection, feed in {(connection, feed_of(connection, function)) for connection, function in pairs}:
            try:
                if any(held.function == feed for held in pauses_of(connection)):
                    self.stdout.write(go_on(connection, feed, operator()))
            except PauseRefused as refusal:
                raise CommandError(str(refusal)) from None

    def run(self, connection: Connection, function: Function, owner: str, *, full: bool, dry_run: bool) -> Run:
        """Queues the run and executes it here. A feed that another worker reads is waited for; a pause that the remote
        named is waited out; back-off is not. What a person paused, or what must wait for another function, is left."""
        request = partial(
            request_run,
            connection,
            function,
            Run.Trigger.PERSON,
            full=full,
            dry_run=dry_run,
            requested_by=operator(),
        )
        run = request()
        while True:
            claimed = claim_run(run.pk, owner)
            if claimed is not None:
                Connection.objects.filter(pk=connection.pk).update(resting_until=None)
                run = execute(claimed, owner, progress=self.progress)
            else:
                run = Run.objects.get(pk=run.pk)
            if run.error_kind == SUPERSEDED:
                run = request()
            elif run.state not in (Run.State.QUEUED, Run.State.RUNNING) or run.error_kind == WAITING:
                return run
            pause = (run.run_at - timezone.now()).total_seconds() if run.error_kind == "rate_limited" else 0.0
            if pause > WAIT_SECONDS:
                self.stdout.write(f"{run.error} Waiting {pause:.0f} s.")
            time.sleep(max(pause, WAIT_SECONDS))

    def progress(self, run: Run) -> None:
        """One line that is written over and over: the bar, what is known of the rest, and the counts."""
        progress = progress_of(run)
        if not sys.stdout.isatty() or progress is None:
            return
        bar = "" if progress.percent is None else f"[{'#' * (progress.percent // 5):<20}] {progress.percent_words}, "
        told = f"{run.function_label}: {bar}{', '.join([*progress.parts(), counts_in_words(run.counts)])}"
        width = terminal_width()
        self.stdout.write(f"\r{told[:width]:<{width}}", ending="")
        self.stdout.flush()

    def tell(self, connection: Connection, function: Function, run: Run) -> None:
        start = f"\r{'':<{terminal_width()}}\r" if sys.stdout.isatty() else ""
        if run.state == Run.State.DONE:
            self.stdout.write(f"{start}{connection}: {function.label}: {counts_in_words(run.counts)}.")
            for row in run.preview:
                self.stdout.write("  " + "  ".join(f"{name}={value}" for name, value in row.items() if value))
        elif run.state == Run.State.PAUSED:
            held = next((words_of_pause(one) for one in pauses_of(connection) if one.function == run.feed), "paused")
            self.stderr.write(f"{start}{connection}: {held}. What was stored stays.")
            self.stderr.write("  What to do: continue it in the admin or with --continue.")
        elif run.error_kind == WAITING:
            self.stderr.write(f"{start}{connection}: {function.label} stays in the queue. {run.error}")
        else:
            self.stderr.write(f"{start}{connection}: {function.label} failed: {run.error}")
            if run.fix:
                self.stderr.write(f"  What to do: {run.fix}")
