#!/usr/bin/env python
"""Django's command line."""

import os
import sys


def main() -> None:
    if sys.argv[1:2] == ["demo"]:
        # The demo makes its own settings, so it must start before any are read.
        from integration_manager import demo

        sys.exit(demo.main(sys.argv[2:]))
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "integration_manager.settings")
    from django.core.management import execute_from_command_line

    execute_from_command_line(sys.argv)


if __name__ == "__main__":
    main()
