"""A process that uses one cart's connection, for tests with several of them.

``python -m tests.carts.renewing_process DATABASE CART SECONDS LEASE``: says ``ready``, waits for a line, reads the
store's description for so many seconds (0: once), and prints how many calls worked, or what went wrong.
"""

from __future__ import annotations

import sys
import time
from datetime import timedelta

import django
from django.conf import settings


def main(database: str, cart_id: str, seconds: str, lease: str) -> None:
    settings.DATABASES["default"]["NAME"] = database
    django.setup()

    from carts import credential_store
    from carts.models import Cart
    from carts.remote import open_connector

    credential_store.LEASE = timedelta(seconds=float(lease))
    cart = Cart.objects.get(pk=cart_id)
    connector = open_connector(cart)
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    sys.stdin.readline()
    calls, until = 0, time.monotonic() + float(seconds)
    try:
        while calls == 0 or time.monotonic() < until:
            connector.client.retailer()  # type: ignore[attr-defined]
            calls += 1
        sys.stdout.write(f"{calls} calls\n")
    except Exception as error:
        sys.stdout.write(f"{type(error).__name__}: {error}\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
