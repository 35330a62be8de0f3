"""Deleting a cart or a warehouse, and what it has left at its remote system."""

from __future__ import annotations

from django.db.models import ProtectedError

from carts.models import Cart, Connection, Warehouse
from carts.outlets import carts_of_store
from carts.webhook_registrations import take_off_all
from connectors.registry import UnknownConnector


class StillNeeded(Exception):
    """It is kept; ``str(error)`` says why and what to do instead."""


def delete_connection(connection: Connection) -> str:
    """Deletes it. Its webhooks are taken off first, as far as the remote answers. Returns "", or a sentence about what is
    left there. Raises ``StillNeeded``."""
    check_deletable(connection)
    name = str(connection)
    try:
        trouble = take_off_all(connection)
    except UnknownConnector:
        trouble = ""
    has_others = bool(trouble) and isinstance(connection, Cart) and len(carts_of_store(connection)) > 1
    try:
        connection.delete()
    except ProtectedError:
        # Something came to use it in this moment: its webhooks are registered again at once.
        Connection.objects.filter(pk=connection.pk).update(webhooks_due_at=None)
        check_deletable(connection)
        raise StillNeeded(f"{name} is in use, so it is kept. Switch it off instead.") from None
    if not trouble:
        return ""
    later = "The daily check of the store's other carts takes them off."
    if not has_others:
        later = "They do no harm; if the store gets a cart again, its check takes them off."
    return f"Its webhooks are still registered, because they could not be taken off now: {trouble} {later}"


def check_deletable(connection: Connection) -> None:
    if connection.orders.exists():  # type: ignore[attr-defined]
        raise StillNeeded(f"{connection} has orders, so it is kept for their history. Switch it off instead.")
    if isinstance(connection, Warehouse) and connection.carts.exists():
        raise StillNeeded(f"Carts send their orders to {connection}. Choose another warehouse for them first.")
