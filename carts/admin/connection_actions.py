"""What people do to carts and warehouses: switch on, switch off, delete."""

from __future__ import annotations

from typing import Any

from carts import first_load
from carts.admin.base import PersonAction
from carts.models import Cart, Connection
from carts.order_flow import TransitionRefused
from carts.removal import StillNeeded, delete_connection


def switch_on(connection: Connection, actor: str, data: dict[str, Any]) -> str:
    if isinstance(connection, Cart) and connection.warehouse is None:
        raise TransitionRefused(f"{connection} has no warehouse yet. Choose one in its settings, then switch it on.")
    day = data.get("earliest_order_date")
    if day and first_load.is_undecided(connection):
        first_load.decide(connection, day)
    Connection.objects.filter(pk=connection.pk).update(is_active=True)
    return f"{connection} is switched on. The first runs start within a minute."


def switch_off(connection: Connection, actor: str, data: dict[str, Any]) -> str:
    Connection.objects.filter(pk=connection.pk).update(is_active=False)
    return f"{connection} is switched off. Nothing is downloaded or sent for it any more."


def delete(connection: Connection, actor: str, data: dict[str, Any]) -> str:
    name = str(connection)
    try:
        left = delete_connection(connection)
    except StillNeeded as error:
        raise TransitionRefused(str(error)) from None
    return f"{name} is deleted. {left}".strip()


CONNECTION_ACTIONS = (
    PersonAction(
        key="switch_on",
        label="Switch on",
        icon="toggle_on",
        explanation="From now on everything that is set up here runs by itself, at its intervals.",
        done="switched on",
        run=switch_on,
        offered=lambda connection: not connection.is_active,
    ),
    PersonAction(
        key="switch_off",
        label="Switch off",
        icon="toggle_off",
        explanation="Nothing is downloaded or sent any more until it is switched on again. Nothing is lost: it goes on "
        "where it stopped.",
        done="switched off",
        run=switch_off,
        offered=lambda connection: connection.is_active,
    ),
    PersonAction(
        key="delete",
        label="Delete",
        icon="delete",
        explanation="Removes it with its settings, and its webhooks at the remote system. Possible only as long as it has no "
        "orders.",
        done="deleted",
        run=delete,
        offered=lambda connection: not connection.orders.exists(),
        danger=True,
        bulk=False,
    ),
)
