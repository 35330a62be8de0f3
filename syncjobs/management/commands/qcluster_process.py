"""The process group that ``manage.py worker`` starts and watches. Not for people."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand

from syncjobs.cluster import run_cluster
from syncjobs.supervisor import die_with_parent


class Command(BaseCommand):
    help = "Internal: the django-q2 cluster behind `manage.py worker`."
    requires_system_checks: list[str] = []  # the worker has made them

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("queue", help="name of the worker, and of its queue")
        parser.add_argument("slots", type=int, help="how many drains run at once")
        parser.add_argument("parent", type=int, help="process id of the worker")

    def handle(self, *args: Any, **options: Any) -> None:
        die_with_parent(options["parent"])
        run_cluster(options["queue"], options["slots"])
