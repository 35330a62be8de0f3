"""Setting up a connection: the rules shared by the admin's forms and the REST API."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from django.conf import settings
from django.db import transaction

from carts.credentials import with_operators_app
from carts.models import Cart, Connection, FunctionSetting, Location, StockFrom, Warehouse
from connectors.base import Connector
from connectors.functions import FUNCTIONS_BY_ROLE, Function, Role
from connectors.registry import UnknownConnector
from connectors.settings_fields import SettingErrors

FIRST_LOCATION_NAME = "Main location"


class SetupErrors(Exception):
    """Wrong input. ``errors`` maps ``options``/``credentials`` to {field: message}, other fields to a message."""

    def __init__(self, errors: Mapping[str, Any]) -> None:
        super().__init__(str(errors))
        self.errors = dict(errors)


def check_settings(
    kind: type[Connector], options: Mapping[str, Any], credentials: Mapping[str, Any], stored: Mapping[str, Any]
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Options and credentials as they are to be stored. A credential left out or empty keeps its stored value.
    Raises ``SetupErrors``."""
    errors: dict[str, Any] = {}
    clean_options: dict[str, Any] = {}
    clean_credentials: dict[str, Any] = {}
    try:
        clean_options = kind.Options.parse(options).as_json()
    except SettingErrors as error:
        errors["options"] = error.errors
    known = {field.name for field in kind.Credentials.fields()}
    merged = {name: value for name, value in stored.items() if name in known}
    merged.update({name: value for name, value in credentials.items() if value not in (None, "")})
    try:
        clean_credentials = kind.Credentials.parse(with_operators_app(kind.key, merged)).as_json()
        if not merged.get("client_id"):
            # The operator's app counts, but stays the operator's.
            clean_credentials |= dict.fromkeys(settings.OPERATORS_APPS.get(kind.key, {}), "")
    except SettingErrors as error:
        errors["credentials"] = error.errors
    if errors:
        raise SetupErrors(errors)
    return clean_options, clean_credentials


def offered_functions(connection: Connection) -> list[Function]:
    """What this connection can do together with the other side: for a cart, only functions whose counterpart its
    warehouse has."""
    warehouse = connection.warehouse if isinstance(connection, Cart) else None
    able = set(warehouse.possible_functions) if warehouse else set()
    return [
        function
        for function, facts in connection.possible_functions.items()
        if facts.counterpart is None or warehouse is None or facts.counterpart in able
    ]


def default_functions(connection: Connection) -> list[Function]:
    """What a new connection does: everything offered, beta and push functions excepted."""
    facts = connection.possible_functions
    return [function for function in offered_functions(connection) if facts[function].default_on]


def set_functions(connection: Connection, on: Iterable[str], minutes: Mapping[str, int] | None = None) -> None:
    """Switches exactly these functions on. ``minutes`` gives intervals; the others keep theirs, or get the default.
    Raises ``SetupErrors`` for a function that the system does not have."""
    wanted = list(dict.fromkeys(on))
    possible = connection.possible_functions
    unknown = [name for name in wanted if name not in possible]
    if unknown:
        raise SetupErrors(
            {
                "functions": f"{connection.connector_class.label} cannot do: {', '.join(unknown)}. "
                f"It can do: {', '.join(possible)}."
            }
        )
    with transaction.atomic():
        existing = {setting.function: setting for setting in connection.function_settings.all()}
        for function, facts in possible.items():
            setting = existing.get(function) or FunctionSetting(
                connection_id=connection.pk, function=function.value, minutes=facts.minutes
            )
            setting.is_on = function.value in wanted
            setting.minutes = (minutes or {}).get(function.value, setting.minutes)
            setting.save()
        connection.function_settings.exclude(function__in=[f.value for f in possible]).delete()


def complete_functions() -> list[FunctionSetting]:
    """After an upgrade: gives each connection the functions that came into being after it, on or off as a new connection
    would have them. What people chose stays. Returns what was added; costs three queries when nothing is missing."""
    connections: list[Connection] = [*Warehouse.objects.all(), *Cart.objects.select_related("warehouse")]
    known: dict[int, set[str]] = {}
    for connection_id, function in FunctionSetting.objects.values_list("connection_id", "function"):
        known.setdefault(connection_id, set()).add(function)
    added = []
    for connection in connections:
        try:
            possible = connection.possible_functions
        except UnknownConnector:
            continue  # an upgrade took its system away; every screen says so
        missing = [function for function in possible if function not in known.get(connection.pk, ())]
        on = default_functions(connection) if missing and connection.pk in known else []
        for function in missing:
            setting, is_new = FunctionSetting.objects.get_or_create(
                connection_id=connection.pk,
                function=function.value,
                defaults={"is_on": function in on, "minutes": possible[function].minutes},
            )
            added += [setting] if is_new else []
    return added


def finish_new_connection(connection: Connection, functions: Iterable[str] | None = None) -> None:
    """What a connection needs right after it was created: its functions, and a first location for a warehouse of
    ours."""
    with transaction.atomic():
        set_functions(connection, default_functions(connection) if functions is None else functions)
        if isinstance(connection, Warehouse) and connection.is_in_hub:
            Location.objects.get_or_create(
                warehouse=connection, is_default=True, defaults={"name": FIRST_LOCATION_NAME, "external_id": "main"}
            )


def check_cart_links(cart: Cart, stock_locations: Sequence[Location] = ()) -> None:
    """Warehouse and locations must belong to the cart's merchant and to each other. ``stock_locations``: the set that the
    cart is to show. Raises ``SetupErrors``."""
    errors = {}
    if cart.warehouse and cart.warehouse.merchant_id != cart.merchant_id:
        errors["warehouse"] = "This warehouse belongs to another merchant."
    if cart.location and (cart.warehouse is None or cart.location.warehouse_id != cart.warehouse_id):
        errors["location"] = "This location belongs to another warehouse."
    if problem := wrong_stock_locations(cart, stock_locations):
        errors.setdefault("stock_locations", problem)
    if errors:
        raise SetupErrors(errors)


def wrong_stock_locations(cart: Cart, chosen: Sequence[Location]) -> str:
    """What is wrong with the set of locations whose stock a cart is to show, "" if nothing is."""
    if cart.stock_from != StockFrom.SET:
        return "Locations can be chosen only where the stock comes from chosen locations (set)." if chosen else ""
    if not chosen:
        return "Choose at least one location."
    strangers = [place.name for place in chosen if place.warehouse_id != cart.warehouse_id]
    if strangers:
        return f"Not a location of the cart's warehouse: {', '.join(strangers)}."
    own = cart.stock_location()
    if own is not None and own not in chosen:
        return f"Choose {own} too: this cart's orders go there, so its stock must be part of what the shop shows."
    return ""


def keep_stock_locations(cart: Cart, chosen: Iterable[Location]) -> None:
    """Stores the set whose stock the cart shows; none for a cart that shows no set."""
    cart.stock_locations.set(chosen if cart.stock_from == StockFrom.SET else ())


def function_label(name: str) -> str:
    return Function(name).label


def roles_of(kind: type[Connector]) -> list[Role]:
    return [role for role in Role if role in kind.roles and FUNCTIONS_BY_ROLE[role]]
