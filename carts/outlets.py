"""The outlets of a cart's store, and which of them have a cart already."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

from django.db import transaction

from carts.models import Cart, Outlet
from carts.remote import held_of, names_outlet, open_connector, store_key_of, wanted_outlet
from carts.store_facts import save_store_facts
from connectors.base import Connector
from connectors.errors import ConnectorError
from connectors.ports import OutletReader
from connectors.records import OutletRecord

DELETED = "The outlet was deleted in the shop. Switch this cart off."
RENAMED = "The outlet has another name in the shop now. Enter it in this cart's settings."
SAME_NAME = (
    "Another outlet has the same name, and a cart finds its outlet by name. Give one of them another name in the shop."
)


@dataclass(frozen=True, slots=True)
class OutletPlace:
    """One outlet and the carts that serve it. ``problem`` says what is wrong with it, and what to do."""

    outlet: Outlet
    carts: tuple[Cart, ...]
    problem: str = ""

    @property
    def is_free(self) -> bool:
        """May it get a cart?"""
        return not self.carts and not self.problem


def has_outlets(kind: type[Connector]) -> bool:
    """Does a cart of this system serve one outlet of several?"""
    return bool(kind.outlet_option) and issubclass(kind, OutletReader)


def look_for_outlets(cart: Cart) -> None:
    """Asks the shop for its outlets and keeps them. Raises ``ConnectorError`` or ``CredentialsUnreadable``."""
    connector = open_connector(cart)
    try:
        if not isinstance(connector, OutletReader):
            raise ConnectorError(f"{connector.label} has no outlets.")
        keep_outlets(cart, connector.read_outlets())
    finally:
        connector.close()
        save_store_facts(cart, connector)


def keep_outlets(cart: Cart, records: Iterable[OutletRecord]) -> None:
    """Stores what the shop has now, and which of them is the cart's. Six statements, however many outlets.

    The outlet that the cart was tested with keeps the name that the settings know, so that a new name can be told."""
    known = {record.external_id: record for record in records}
    there = set(known)
    own = cart.outlet
    if own is not None and own.external_id in known and names_outlet(cart, own):
        renamed = not names_outlet(cart, known[own.external_id])
        if renamed and not any(names_outlet(cart, record) for record in known.values()):
            del known[own.external_id]
    with transaction.atomic():
        Outlet.objects.bulk_create(
            [
                Outlet(
                    connection_id=cart.pk,
                    external_id=record.external_id,
                    name=record.name[:200],
                    currency=record.currency,
                    time_zone=record.time_zone,
                    address=record.address.as_dict() if record.address else {},
                    deleted=record.deleted,
                )
                for record in known.values()
            ],
            update_conflicts=True,
            unique_fields=["connection", "external_id"],
            update_fields=["name", "currency", "time_zone", "address", "deleted"],
        )
        kept = list(Outlet.objects.filter(connection_id=cart.pk))
        gone = [outlet.pk for outlet in kept if outlet.external_id not in there and not outlet.deleted]
        if gone:
            Outlet.objects.filter(pk__in=gone).update(deleted=True)
        served = next((one for one in kept if not one.deleted and one.pk not in gone and names_outlet(cart, one)), None)
        if served is not None:
            Cart.objects.filter(pk=cart.pk).update(outlet=served)
            cart.outlet = served


def survey(cart: Cart) -> list[OutletPlace]:
    """Every outlet of the store as it was last seen, by name, with its carts. Deleted ones only where a cart is left."""
    outlets = list(cart.outlets.order_by("name", "pk"))
    there = [outlet for outlet in outlets if not outlet.deleted]
    namesakes = Counter(held_of(cart, outlet) for outlet in there)
    by_name = {held_of(cart, outlet): outlet for outlet in reversed(there)}
    by_id = {outlet.external_id: outlet for outlet in outlets}
    served: dict[int, list[Cart]] = {outlet.pk: [] for outlet in outlets}
    problems: dict[int, str] = {}
    for other in carts_of_store(cart):
        outlet = by_name.get(wanted_outlet(other))
        if outlet is None and other.outlet is not None:
            # What its settings name is not there any more; it is the one that the last good Test found.
            outlet = by_id.get(other.outlet.external_id)
            if outlet is not None and names_outlet(other, other.outlet):
                problems[outlet.pk] = DELETED if outlet.deleted else RENAMED
        if outlet is not None:
            served[outlet.pk].append(other)
    for outlet in there:
        if not served[outlet.pk] and namesakes[held_of(cart, outlet)] > 1:
            problems.setdefault(outlet.pk, SAME_NAME)
    return [
        OutletPlace(outlet, tuple(served[outlet.pk]), problems.get(outlet.pk, ""))
        for outlet in outlets
        if served[outlet.pk] or not outlet.deleted
    ]


def carts_of_store(cart: Cart) -> list[Cart]:
    """All of the merchant's carts in the same store, this one included."""
    key = store_key_of(cart)
    candidates = Cart.objects.filter(merchant_id=cart.merchant_id, connector=cart.connector)
    rows = candidates.select_related("warehouse", "outlet").order_by("name", "pk")
    return [other for other in rows if other.pk == cart.pk or (key and store_key_of(other) == key)]
