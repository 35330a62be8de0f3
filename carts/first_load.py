"""The first load of a cart: how far back it goes, decided before the cart is switched on.

A shop's history may be long. Every sale that becomes an order goes to the warehouse, so one that was handed over years ago
must not slip in unasked.
"""

from __future__ import annotations

from datetime import date

from carts.models import Cart, Connection
from connectors.functions import Function

# The option by which connectors with a long history leave old sales out.
EARLIEST = "earliest_order_date"


def is_undecided(connection: Connection) -> bool:
    """Would the first Order Download of this cart take everything that was ever sold there?"""
    if not isinstance(connection, Cart) or connection.options.get(EARLIEST):
        return False
    if EARLIEST not in {field.name for field in connection.connector_class.Options.fields()}:
        return False
    begun = connection.schedules.filter(function=Function.ORDER_DOWNLOAD).exclude(cursor="")  # type: ignore[attr-defined]
    return connection.function_is_on(Function.ORDER_DOWNLOAD) and not begun.exists()


def decide(cart: Cart, day: date) -> None:
    """Sales made before ``day`` are left out from now on."""
    cart.options = {**cart.options, EARLIEST: day.isoformat()}
    cart.save(update_fields=["options", "updated_at"])
