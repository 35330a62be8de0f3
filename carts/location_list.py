"""A warehouse's locations, kept in step with what its own system lists: new ones appear, renamed ones are renamed, those
that are gone are switched off, never deleted, and are switched on again when they are back. What a person switched off,
or named, stays so."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, count

from django.db import transaction
from django.db.models import Q
from django.utils import timezone

from carts.alerting import clear_alert, raise_alert
from carts.models import Cart, Location, StockFrom, Warehouse
from connectors.records import LocationRecord

ALERT = "location_gone"


@dataclass(slots=True)
class Changes:
    """How many locations are new, were renamed, are back again, or are gone."""

    new: int = 0
    renamed: int = 0
    back: int = 0
    gone: int = 0

    def __add__(self, other: Changes) -> Changes:
        return Changes(
            self.new + other.new, self.renamed + other.renamed, self.back + other.back, self.gone + other.gone
        )

    @property
    def touch_stock(self) -> bool:
        return bool(self.new or self.back or self.gone)

    def as_counts(self) -> dict[str, int]:
        found = {
            "locations_new": self.new,
            "locations_renamed": self.renamed,
            "locations_back": self.back,
            "locations_gone": self.gone,
        }
        return {name: number for name, number in found.items() if number}


def take_in_list(warehouse: Warehouse, records: Sequence[LocationRecord], *, is_complete: bool = True) -> Changes:
    """Takes in what the system lists. ``is_complete``: what is not among it is gone; a list that is empty shows trouble
    there rather than that nothing is left."""
    names = {record.external_id: record.name for record in records if record.is_active}
    with transaction.atomic():
        changes = take_in(warehouse, names)
        if is_complete and names:
            changes.gone = switch_off_gone(warehouse, Q(listed_at__isnull=False) & ~Q(external_id__in=names))
        warehouse.locations_read_at = timezone.now()
        Warehouse.objects.filter(pk=warehouse.pk).update(locations_read_at=warehouse.locations_read_at)
    tell_about_gone(warehouse)
    return changes


def take_in(warehouse: Warehouse, names: Mapping[str, str]) -> Changes:
    """Locations that the system lists, id -> name. Called inside a transaction."""
    changes = Changes()
    known = {place.external_id: place for place in locked(warehouse)}
    for external_id, name in names.items():
        place = known.get(external_id)
        if place is None:
            known[external_id] = add(warehouse, known.values(), external_id, name)
            changes.new += 1
        else:
            recognise(place, name, known.values(), changes)
    warehouse.locations.filter(external_id__in=names).update(listed_at=timezone.now())
    return changes


def switch_off_gone(warehouse: Warehouse, unlisted: Q) -> int:
    """Switches off those that are ``unlisted`` now. One that a person switched on although it was gone stays on. Returns
    how many it were."""
    gone = warehouse.locations.filter(unlisted, is_active=True, gone_since=None).exclude(external_id="")
    return gone.update(is_active=False, gone_since=timezone.now())


def locked(warehouse: Warehouse) -> list[Location]:
    """Two runs, or a run and a Test, never make the same location twice."""
    Warehouse.objects.select_for_update(of=("self",)).get(pk=warehouse.pk)
    return list(warehouse.locations.order_by("pk"))


def add(warehouse: Warehouse, known: Collection[Location], external_id: str, name: str) -> Location:
    told = (name or external_id or "Main location")[:120]
    place, _ = Location.objects.get_or_create(
        warehouse=warehouse,
        external_id=external_id,
        defaults={"name": free_name(known, told), "listed_name": told, "listed_at": timezone.now()},
    )
    return place


def recognise(place: Location, name: str, known: Iterable[Location], changes: Changes) -> None:
    """Takes over the name, unless a person gave it another one here; switches on what the hub had switched off."""
    changed = []
    name = name[:120]
    if name and name != place.listed_name:
        if place.name != name and is_named(place, place.listed_name or place.external_id):
            place.name = free_name([other for other in known if other is not place], name)
            changes.renamed += 1
        place.listed_name = name
        changed += ["name", "listed_name"]
    if place.gone_since is not None:
        changes.back += not place.is_active
        place.gone_since, place.is_active = None, True
        changed += ["gone_since", "is_active"]
        clear_alert(place.warehouse.merchant_id, ALERT, str(place.pk))
    if changed:
        place.save(update_fields=changed)


def is_named(place: Location, name: str) -> bool:
    """Does it still have the name that the hub gave it?"""
    number = place.name.removeprefix(name).removeprefix(" (").removesuffix(")")
    return place.name == name or (number.isdigit() and place.name == f"{name} ({number})")


def free_name(known: Iterable[Location], name: str) -> str:
    """The name, numbered if another location of the warehouse has it."""
    taken = {location.name for location in known}
    numbered = (f"{name[:110]} ({number})" for number in count(2))
    return next(one for one in chain([name[:120]], numbered) if one not in taken)


def tell_about_gone(warehouse: Warehouse) -> None:
    """One alert for each location that is gone and that a cart uses; closed when none does any more, or when a person
    switched the location on again. One query when none is gone."""
    gone = list(warehouse.locations.filter(gone_since__isnull=False).order_by("pk"))
    if not gone:
        return
    stand_in = warehouse.default_location()
    for place in gone:
        carts = [] if place.is_active else carts_using(place, stand_in)
        if not carts:
            clear_alert(warehouse.merchant_id, ALERT, str(place.pk))
            continue
        names = ", ".join(cart.name for cart in carts)
        raise_alert(
            warehouse.merchant,
            ALERT,
            str(place.pk),
            f"{warehouse} does not list the location {place} any more, so it is switched off here. Used by: {names}.",
            fix="Choose another location in the settings of these carts. If it is still in use at the warehouse, switch it "
            "on again in the warehouse's locations.",
            link=f"/admin/carts/warehouse/{warehouse.pk}/change/",
            connection=warehouse,
        )


def carts_using(place: Location, stand_in: Location | None) -> list[Cart]:
    """The carts that name this location, or that name none and have it as the warehouse's default one. ``stand_in``: the
    default location as long as this one is off."""
    uses = Q(location=place) | Q(stock_from=StockFrom.SET, stock_locations=place)
    if stand_in is None or (not place.is_default, place.pk) < (not stand_in.is_default, stand_in.pk):
        uses |= Q(location=None)
    return list(Cart.objects.filter(uses, warehouse_id=place.warehouse_id).distinct().order_by("name"))


def switched_by_a_person(place: Location) -> None:
    """After a person switched a location off or on: off, it stays off, even when the warehouse lists it again."""
    if not place.is_active and place.gone_since is not None:
        Location.objects.filter(pk=place.pk).update(gone_since=None)
        place.gone_since = None
        clear_alert(place.warehouse.merchant_id, ALERT, str(place.pk))
    elif place.gone_since is not None:
        tell_about_gone(place.warehouse)
