"""Connector: the code for one remote system. Free of roles: which side of the hub it serves is the connection's matter."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal

from connectors import ports
from connectors.budget import BudgetBook
from connectors.functions import FUNCTIONS_BY_ROLE, Function, Role
from connectors.hosts import HostPolicy
from connectors.http import CallLog
from connectors.oauth import CredentialStore
from connectors.records import TestStep
from connectors.settings_fields import Settings
from connectors.store_facts import StoreFacts

# Which port makes a connector able to do a function, per role. A function not named here cannot be done by anyone yet.
PORTS: dict[Role, dict[Function, type]] = {
    Role.CART: {
        Function.ORDER_DOWNLOAD: ports.OrderReader,
        Function.RECONCILIATION: ports.OrderSearcher,
        Function.PRODUCT_PICKUP: ports.ProductReader,
        Function.CUSTOMER_SYNC: ports.CustomerReader,
        Function.INVENTORY_SYNC: ports.InventoryWriter,
        Function.SHIPMENT_CONFIRMATION: ports.ShipmentWriter,
        Function.PRODUCT_DETAIL_SYNC: ports.ProductWriter,
        Function.STOCK_ADJUSTMENT_SYNC: ports.ConsignmentReader,
        Function.STOCK_TRANSFER_SYNC: ports.ConsignmentReader,
    },
    Role.WAREHOUSE: {
        Function.ORDER_SENDING: ports.OrderWriter,
        Function.ORDER_CANCELLATION_SENDING: ports.CancellationWriter,
        Function.REFUND_SENDING: ports.RefundWriter,
        Function.STOCK_ADJUSTMENT_SYNC: ports.StockAdjustmentWriter,
        Function.STOCK_TRANSFER_SYNC: ports.StockTransferWriter,
        Function.ORDER_CANCEL_PICKUP: ports.OrderAnswerReader,
        Function.SHIPMENT_PICKUP: ports.ShipmentReader,
        Function.INVENTORY_PICKUP: ports.InventoryReader,
        Function.PRODUCT_PICKUP: ports.ProductReader,
        Function.PRODUCT_DETAIL_SYNC: ports.ProductWriter,
    },
}


@dataclass(frozen=True, slots=True)
class Environment:
    """What the hub lends to a connector: nothing of it is the connector's own.

    ``extra_hosts``: ``host:port`` pairs the operator allows. ``call_log`` is told every HTTP call. ``resources`` holds
    what only one connector needs (the built-in warehouse's book), by name. ``credential_store`` keeps the tokens of this
    connection's authorisation, where it has one. ``store_facts`` is what the store said about itself before;
    ``outlet_id`` which of its outlets the connection serves, by its last Test.
    """

    budgets: BudgetBook
    extra_hosts: frozenset[str] = frozenset()
    call_log: CallLog | None = None
    connection_id: str = ""
    resources: Mapping[str, Any] = field(default_factory=dict)
    credential_store: CredentialStore | None = None
    store_facts: StoreFacts = field(default_factory=StoreFacts)
    outlet_id: str = ""


class Connector:
    """Base of all connectors. A sub-class declares its facts, typed options and credentials, and implements ports."""

    key: ClassVar[str]
    label: ClassVar[str]
    summary: ClassVar[str] = ""
    roles: ClassVar[frozenset[Role]]
    domains: ClassVar[tuple[str, ...]] = ()
    Options: ClassVar[type[Settings]] = Settings
    Credentials: ClassVar[type[Settings]] = Settings
    # The option that names the outlet a connection serves; "" for systems without outlets.
    outlet_option: ClassVar[str] = ""
    # What of an outlet that option holds.
    outlet_option_holds: ClassVar[Literal["name", "external_id"]] = "name"
    # The credentials that each cart of one store may have of its own. (): one access is good for the whole store.
    own_access: ClassVar[tuple[str, ...]] = ()
    # True when its SKUs hold letters and digits only, so that an article may have another SKU elsewhere.
    plain_skus: ClassVar[bool] = False
    # True where a WMS works on the hub's own book through the REST API, and decides what becomes of it.
    worked_by_wms: ClassVar[bool] = False
    # True when a level that is read now already contains every order that was sent before (no snapshot delay).
    levels_are_live: ClassVar[bool] = False
    # True when it asks for its tokens by itself and wants them kept for all workers (``Environment.credential_store``).
    keeps_tokens: ClassVar[bool] = False
    # True when the system's data are rows of the hub's own database: reading it never copies anything.
    stores_in_hub: ClassVar[bool] = False
    # False when ``read_locations`` tells only some: then new ones appear with their levels, and those that no complete
    # reading of the levels (``Page.complete_since``) shows are gone.
    lists_all_locations: ClassVar[bool] = True
    # True when the levels of an SKU at all locations are told together: where none is told, there is none.
    tells_whole_skus: ClassVar[bool] = False

    def __init__(self, options: Settings, credentials: Settings, environment: Environment) -> None:
        self.environment = environment

    @classmethod
    def functions(cls, role: Role) -> tuple[Function, ...]:
        """What this connector can do on one side of the hub, computed from the ports it implements."""
        if role not in cls.roles:
            return ()
        able = {function for function, port in PORTS[role].items() if issubclass(cls, port)}
        if role is Role.CART and issubclass(cls, ports.OrderFeedCancellations | ports.CancellationReader):
            able.add(Function.ORDER_CANCEL_DOWNLOAD)
        if role is Role.CART and issubclass(cls, ports.OrderFeedRefunds):
            able.add(Function.REFUND_DOWNLOAD)
        return tuple(function for function in FUNCTIONS_BY_ROLE[role] if function in able)

    @classmethod
    def feed_of(cls, function: Function) -> Function:
        """Whose cursor a function reads by. Usually its own; Order Cancel Download and Refund Download ride on the order
        feed where that feed itself shows cancellations and returns; stock transfers come in the feed of adjustments."""
        if function is Function.ORDER_CANCEL_DOWNLOAD and issubclass(cls, ports.OrderFeedCancellations):
            return Function.ORDER_DOWNLOAD
        if function is Function.REFUND_DOWNLOAD and issubclass(cls, ports.OrderFeedRefunds):
            return Function.ORDER_DOWNLOAD
        if function is Function.STOCK_TRANSFER_SYNC and issubclass(cls, ports.ConsignmentReader):
            return Function.STOCK_ADJUSTMENT_SYNC
        return function

    @classmethod
    def store_key(cls, options: Settings) -> str:
        """Which store of the remote these options lead to. Connections of one merchant with the same key share what the
        store says about itself (``Environment.store_facts``). "": nothing is shared."""
        return ""

    @classmethod
    def host_policy(cls, environment: Environment) -> HostPolicy:
        return HostPolicy(cls.domains, environment.extra_hosts)

    @classmethod
    def verify_webhook(cls, credentials: Mapping[str, Any], headers: Mapping[str, str], body: bytes) -> bool:
        """Is this delivery genuine? The secret part of the URL was already compared. Default: nothing to add."""
        return True

    def test(self) -> Iterator[TestStep]:
        """Checks the set-up step by step, most basic first, and stops where going on makes no sense."""
        raise NotImplementedError(f"{type(self).__name__} must say how it is tested")

    def close(self) -> None:
        """Gives back network connections."""
