"""A new API token from the command line."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from carts.models import ApiToken, Merchant

LONGEST_NAME = 100
MOST_SLUGS_SHOWN = 20


class Command(BaseCommand):
    help = "Makes a token for the REST API and prints it on the last line. It cannot be shown again."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("merchant", metavar="MERCHANT_SLUG", help="The merchant whose data the token opens.")
        parser.add_argument("--read-only", action="store_true", help="The token may look, but change nothing.")
        parser.add_argument("--name", default="REST client", help="What the token is for; shown in histories.")

    def handle(self, *args: Any, **options: Any) -> None:
        merchant = Merchant.objects.filter(slug=options["merchant"]).first()
        if merchant is None:
            raise CommandError(f"There is no merchant {options['merchant']!r}. {known_merchants()}")
        if not merchant.is_active:
            raise CommandError(f"Merchant {merchant} is switched off, so its tokens open nothing. Switch it on first.")
        name = options["name"].strip()
        if not name or len(name) > LONGEST_NAME:
            raise CommandError(f"Give the token a name of 1 to {LONGEST_NAME} characters.")
        _, secret = ApiToken.issue(merchant, name=name, read_only=options["read_only"])
        kind = "read-only token" if options["read_only"] else "token"
        self.stdout.write(f"A {kind} for {merchant}. Keep it safe, it is shown only now:")
        self.stdout.write(secret)


def known_merchants() -> str:
    slugs = list(Merchant.objects.order_by("slug").values_list("slug", flat=True)[: MOST_SLUGS_SHOWN + 1])
    if not slugs:
        return "There is none yet: make one with create_merchant."
    more = ", ..." if len(slugs) > MOST_SLUGS_SHOWN else ""
    return f"Known: {', '.join(slugs[:MOST_SLUGS_SHOWN])}{more}."
