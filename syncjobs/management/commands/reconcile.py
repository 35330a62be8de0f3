"""``manage.py reconcile CART``: compares a cart with the hub and the warehouse now, in the foreground."""

from __future__ import annotations

import sys
from argparse import ArgumentParser, ArgumentTypeError
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError

from carts.models import Cart
from connectors.functions import Function
from syncjobs.models import Mismatch, Reconciliation, Run
from syncjobs.reconciliation import PeriodInvalid, request_reconciliation


def day(text: str) -> datetime:
    try:
        return datetime.strptime(text, "%Y-%m-%d")  # noqa: DTZ007 - the merchant's zone is added below
    except ValueError as error:
        raise ArgumentTypeError("a day is written like 2026-07-31") from error


class Command(BaseCommand):
    help = "Compares cart, hub and warehouse. Exit status 0 when all agree, 1 when something does not or could not be read."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("cart", type=int, metavar="CART_ID")
        parser.add_argument("--since", type=day, metavar="YYYY-MM-DD", help="default: seven days before the end")
        parser.add_argument("--until", type=day, metavar="YYYY-MM-DD", help="this day included; default: now")

    def handle(self, *args: Any, **options: Any) -> None:
        cart = Cart.objects.select_related("merchant").filter(pk=options["cart"]).first()
        if cart is None:
            raise CommandError(f"There is no cart {options['cart']}.")
        if Function.RECONCILIATION not in cart.possible_functions:
            raise CommandError(f"{cart} cannot list its orders by date.")
        zone = ZoneInfo(cart.merchant.time_zone)
        since, until = (at.replace(tzinfo=zone) if at else None for at in (options["since"], options["until"]))
        try:
            report, _ = request_reconciliation(
                cart, Run.Trigger.PERSON, since, until + timedelta(days=1) if until else None, "operator"
            )
        except PeriodInvalid as error:
            raise CommandError(str(error)) from error
        call_command("sync", cart.pk, Function.RECONCILIATION.value, stdout=self.stdout, stderr=self.stderr)
        report.refresh_from_db()
        if report.state != Reconciliation.State.DONE:
            raise CommandError("The comparison is not finished. Look at the sync history.")
        looked_at = ", ".join(f"{name.replace('_', ' ')}: {number}" for name, number in report.counts.items())
        self.stdout.write(f"Compared {report.since:%Y-%m-%d %H:%M} to {report.until:%Y-%m-%d %H:%M} UTC ({looked_at}).")
        for sentence in report.left_out:
            self.stdout.write(sentence)
        rows = Mismatch.objects.filter(cart=cart, state=Mismatch.State.OPEN)
        for row in rows.iterator(chunk_size=1000):
            self.stdout.write(f"  {row.label}: {row.get_cause_display()} (hub: {row.here}; there: {row.there})")
        if rows.exists():
            sys.exit(1)
        self.stdout.write("Everything agrees.")
