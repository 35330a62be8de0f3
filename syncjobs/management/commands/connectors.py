"""``manage.py connectors``: the table of systems and functions, as in the README."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand

from connectors.functions import FUNCTIONS_BY_ROLE, Role
from connectors.registry import all_connectors


def table_of_functions() -> str:
    """One Markdown table per side of the hub: systems down, functions across, computed from the ports."""
    parts = []
    for role in Role:
        systems = [kind for kind in all_connectors() if role in kind.roles]
        functions = [f for f in FUNCTIONS_BY_ROLE[role] if any(f in kind.functions(role) for kind in systems)]
        lines = [
            f"| {role.value.title()} | key | " + " | ".join(f.label for f in functions) + " |",
            "|---|---|" + "---|" * len(functions),
        ]
        for kind in systems:
            able = kind.functions(role)
            lines.append(
                f"| {kind.label} | `{kind.key}` | " + " | ".join("yes" if f in able else "-" for f in functions) + " |"
            )
        parts.append("\n".join(lines))
    return "\n\n".join(parts) + "\n"


class Command(BaseCommand):
    help = "Prints the table of systems and functions."

    def add_arguments(self, parser: ArgumentParser) -> None:
        pass

    def handle(self, *args: Any, **options: Any) -> None:
        self.stdout.write(table_of_functions(), ending="")
