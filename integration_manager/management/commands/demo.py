"""``manage.py demo``: see ``integration_manager.demo``. manage.py starts it before any settings are read."""

from __future__ import annotations

import os
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from integration_manager import demo


class Command(BaseCommand):
    help = "A shop, the hub and a warehouse at work on this machine, with nothing to set up."

    def run_from_argv(self, argv: list[str]) -> None:
        os.chdir(demo.ROOT)
        demo.replace_this_process(argv[2:], os.environ)

    def handle(self, *args: Any, **options: Any) -> None:
        raise CommandError("The demo needs settings of its own: start it from a shell with `make demo`.")
