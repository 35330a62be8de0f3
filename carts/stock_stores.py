"""Stores: the carts that look at the same remote store, and which of its outlets is whose.

A stock document belongs to a store. Whichever cart finds it, the carts of its outlets say where it is booked.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime

from carts.models import Cart, Connection, Consignment, FunctionSetting, Outlet
from connectors.functions import Function
from connectors.records import ConsignmentKind, ConsignmentRecord
from connectors.registry import connector_class
from connectors.settings_fields import SettingErrors

ADJUSTMENTS, TRANSFERS = Function.STOCK_ADJUSTMENT_SYNC, Function.STOCK_TRANSFER_SYNC
# What a cart that has such a switch calls it; a cart without it is always willing.
SWITCH = "send_stock_adjustments"


def store_key(connection: Connection) -> str:
    """What all carts of one store have in common; a connection of which nothing tells is a store of its own."""
    kind = connector_class(connection.connector)
    try:
        key = kind.store_key(kind.Options.parse(connection.options))
    except SettingErrors:
        key = ""
    return (key or str(connection.uuid))[:300]


def function_of(kind: str) -> Function:
    return TRANSFERS if kind == ConsignmentKind.TRANSFER else ADJUSTMENTS


@dataclass(slots=True)
class Store:
    """One store as one merchant's carts see it, loaded at once."""

    merchant_id: int
    connector: str
    key: str
    carts: list[Cart]
    settings: dict[tuple[int, str], FunctionSetting] = field(default_factory=dict)
    outlet_names: dict[str, str] = field(default_factory=dict)

    @classmethod
    def of_cart(cls, cart: Cart) -> Store:
        return cls.load(cart.merchant_id, cart.connector, store_key(cart))

    @classmethod
    def of(cls, consignment: Consignment) -> Store:
        return cls.load(consignment.merchant_id, consignment.connector, consignment.store)

    @classmethod
    def load(cls, merchant_id: int, connector: str, key: str) -> Store:
        """Three queries."""
        rows = Cart.objects.filter(merchant_id=merchant_id, connector=connector).order_by("pk")
        carts = [cart for cart in rows.select_related("warehouse", "location", "outlet") if store_key(cart) == key]
        owners = {cart.pk for cart in carts} | {cart.warehouse_id for cart in carts if cart.warehouse_id}
        settings = FunctionSetting.objects.filter(connection_id__in=owners, function__in=[ADJUSTMENTS, TRANSFERS])
        outlets = Outlet.objects.filter(connection_id__in=[cart.pk for cart in carts]).order_by("pk")
        return cls(
            merchant_id,
            connector,
            key,
            carts,
            {(setting.connection_id, setting.function): setting for setting in settings},
            dict(outlets.values_list("external_id", "name")),
        )

    def is_on(self, connection_id: int, function: Function) -> bool:
        setting = self.settings.get((connection_id, function))
        return setting is not None and setting.is_on

    def cart_of(self, outlet_id: str) -> Cart | None:
        """The outlet's own cart. Of several, the one that is at work, else the oldest."""
        found = [cart for cart in self.carts if cart.outlet is not None and cart.outlet.external_id == outlet_id]
        found.sort(key=lambda cart: (not cart.is_active, not self.is_on(cart.pk, ADJUSTMENTS), cart.pk))
        return found[0] if found else None

    def outlet_name(self, outlet_id: str) -> str:
        return self.outlet_names.get(outlet_id) or outlet_id

    def since(self, record: ConsignmentRecord) -> datetime | None:
        """From when on documents like this one are passed on; None: nobody ever asked for them. A transfer counts from
        when the first of its two carts asked."""
        function = function_of(record.kind)
        outlets = [record.outlet_id]
        if record.kind is ConsignmentKind.TRANSFER:
            outlets.append(record.source_outlet_id)
        return earliest(self.first_on(cart, function) for outlet in outlets if (cart := self.cart_of(outlet)))

    def first_on(self, cart: Cart, function: Function) -> datetime | None:
        """When a cart's function was switched on first, to the second: shops tell times in seconds."""
        setting = self.settings.get((cart.pk, function))
        first = setting.first_on_at if setting is not None else None
        return first.replace(microsecond=0) if first is not None else None


def earliest(moments: Iterable[datetime | None]) -> datetime | None:
    return min((moment for moment in moments if moment is not None), default=None)
