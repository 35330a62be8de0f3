"""The process group that ``manage.py worker`` starts and watches. Not for people."""

from __future__ import annotations

import os
from typing import Any

from django.core.management.base import BaseCommand
from django_q.cluster import Cluster

from syncjobs.supervisor import die_with_parent


class Command(BaseCommand):
    help = "Internal: the django-q2 cluster behind `manage.py worker`."

    def handle(self, *args: Any, **options: Any) -> None:
        die_with_parent()
        os.register_at_fork(after_in_child=die_with_parent)
        Cluster().start()
