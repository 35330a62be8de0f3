"""``manage.py prune``: deletes what is older than its retention; the worker does it once an hour anyway."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand

from syncjobs.retention import prune


class Command(BaseCommand):
    help = (
        "Deletes runs, API calls, payloads, attempts and webhooks that are older than the KEEP_..._DAYS settings say."
    )

    def handle(self, *args: Any, **options: Any) -> None:
        for kind, number in prune().items():
            self.stdout.write(f"{kind}: {number} deleted")
