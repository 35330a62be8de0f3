"""Opening a connector for a stored connection."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from django.conf import settings

from carts.credential_store import store_of
from carts.credentials import credentials_of
from carts.models import Cart, Connection, Outlet
from carts.store_facts import load_facts_of, load_store_facts
from connectors.base import Connector, Environment
from connectors.budget import BudgetBook, PatientBook
from connectors.errors import ConfigurationInvalid
from connectors.functions import Role
from connectors.http import CallLog
from connectors.records import OutletRecord
from connectors.settings_fields import SettingErrors
from connectors.store_facts import StoreFacts

BUDGETS = BudgetBook()

# Where calls are logged when the caller brings no log of its own; set by ``syncjobs``.
default_call_log: Callable[[Connection], CallLog | None] = lambda connection: None  # noqa: E731


def open_connector(
    connection: Connection,
    call_log: CallLog | None = None,
    store_facts: StoreFacts | None = None,
    *,
    patient: bool = False,
) -> Connector:
    """A connector for this connection. Close it after use. ``store_facts``: of another connector of this connection, to
    share them. ``patient``: it leaves the last calls that the remote allows to work that cannot wait. Raises ``ConfigurationInvalid`` when the stored options or credentials do not fit the connector any more,
    ``CredentialsUnreadable`` when no key opens them."""
    kind = connection.connector_class
    try:
        options = kind.Options.parse(connection.options)
        credentials = kind.Credentials.parse(credentials_of(connection))
    except SettingErrors as error:
        raise ConfigurationInvalid(f"The settings of {connection} are not complete: {error}") from error
    environment = Environment(
        budgets=PatientBook(BUDGETS) if patient else BUDGETS,
        extra_hosts=settings.EXTRA_HOSTS,
        call_log=call_log or default_call_log(connection),
        connection_id=str(connection.uuid),
        resources=resources_of(connection),
        credential_store=store_of(connection),
        store_facts=load_store_facts(connection, options) if store_facts is None else store_facts,
        outlet_id=outlet_id_of(connection),
    )
    return kind(options, credentials, environment)


def facts_of_stores(connections: Iterable[Connection]) -> dict[int, StoreFacts]:
    """What is known of the stores of these connections, by connection, for ``open_connector``. One query at most."""
    keys = {one.pk: (one.merchant_id, store_key_of(one)) for one in connections}
    return load_facts_of(keys) if any(key for _, key in keys.values()) else {}


def resources_of(connection: Connection) -> dict[str, Any]:
    """What this connection's connector needs from the hub's own database."""
    if connection.role == Role.WAREHOUSE and connection.connector_class.worked_by_wms:
        from carts.rest_book import RestBook

        return {"book": RestBook(connection.pk)}
    if connection.role == Role.WAREHOUSE:
        from carts.warehouse_book import WarehouseBook

        return {"book": WarehouseBook(connection.pk)}
    return {}


def store_key_of(connection: Connection) -> str:
    """Which store the settings lead to; "" when they lead to none, or when stores cannot be told apart."""
    kind = connection.connector_class
    try:
        return kind.store_key(kind.Options.parse(connection.options))
    except SettingErrors:
        return ""


def outlet_id_of(connection: Connection) -> str:
    """The outlet that the last Test found, as long as the settings name the same one."""
    outlet = connection.outlet if isinstance(connection, Cart) else None
    return outlet.external_id if outlet is not None and names_outlet(connection, outlet) else ""


def names_outlet(connection: Connection, outlet: Outlet | OutletRecord) -> bool:
    """Is it the outlet that the settings name?"""
    wanted = wanted_outlet(connection)
    return bool(wanted) and held_of(connection, outlet) == wanted


def wanted_outlet(connection: Connection) -> str:
    """What the settings say of the outlet, "" when they name none."""
    return str(connection.options.get(connection.connector_class.outlet_option) or "").strip()


def held_of(connection: Connection, outlet: Outlet | OutletRecord) -> str:
    """What settings that name this outlet would say."""
    held: str = getattr(outlet, connection.connector_class.outlet_option_holds)
    return held.strip()


def webhook_url(connection: Connection) -> str:
    return f"{settings.PUBLIC_URL}/webhooks/{connection.uuid}/{connection.webhook_secret}/"
