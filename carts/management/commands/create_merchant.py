"""A new merchant from the command line."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from carts.models import Merchant

LONGEST_NAME = 200


class Command(BaseCommand):
    help = "Creates a merchant and prints its slug on the last line."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("name", help='The merchant\'s name, for example "Queen Street Books".')

    def handle(self, *args: Any, **options: Any) -> None:
        name = options["name"].strip()
        if not name:
            raise CommandError("Give the merchant a name.")
        if len(name) > LONGEST_NAME:
            raise CommandError(f"The name is longer than {LONGEST_NAME} characters.")
        merchant = Merchant.create_named(name)
        self.stdout.write(f"Merchant {merchant.name} was created. Its slug is:")
        self.stdout.write(merchant.slug)
