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
    from django.core.exceptions import AppRegistryNotReady, ImproperlyConfigured
    from django.core.management import execute_from_command_line

    try:
        execute_from_command_line(sys.argv)
    except (AppRegistryNotReady, ImproperlyConfigured):
        # Django puts off what is wrong with the settings, and a command may stumble over something else first.
        exit_for_settings()
        raise


def exit_for_settings() -> None:
    """Ends with what the operator has to mend in the settings, if anything; without a traceback."""
    from django.conf import settings
    from django.core.exceptions import ImproperlyConfigured

    try:
        settings.INSTALLED_APPS  # noqa: B018 - reads them
    except ImproperlyConfigured as error:
        sys.exit(f"{error}")


if __name__ == "__main__":
    main()
