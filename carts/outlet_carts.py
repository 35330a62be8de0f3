"""Carts for the other outlets of a store, made from one cart that is set up."""

from __future__ import annotations

import time
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from django.db import IntegrityError, transaction

from carts.connection_test import run_test
from carts.models import Cart, Connection, Location, Merchant, Outlet, StockFrom
from carts.outlets import OutletPlace, survey
from carts.setup import SetupErrors, check_cart_links, check_settings, keep_stock_locations, set_functions
from connectors.functions import Role

LONGEST_NAME = 120
# A test asks the shop several times. What is not tested within this time is left for the next request.
TEST_SECONDS = 15.0


@dataclass(frozen=True, slots=True, kw_only=True)
class WantedCart:
    """A cart to be made for an outlet. ``credentials``: of its own; what is left out or empty is the same as the source's.
    ``name`` "": one is found. ``location`` None: the warehouse's default location."""

    outlet: Outlet
    name: str = ""
    location: Location | None = None
    credentials: Mapping[str, Any] = field(default_factory=dict)


class OutletErrors(Exception):
    """Nothing was made. ``errors``: outlet's external id -> field (``name``, ``location``, ``credentials``, or ``outlet``)
    -> what to do."""

    def __init__(self, errors: Mapping[str, Mapping[str, str]]) -> None:
        super().__init__("; ".join(text for fields in errors.values() for text in fields.values()))
        self.errors = {outlet: dict(fields) for outlet, fields in errors.items()}


def own_access_of(cart: Cart) -> tuple[str, ...]:
    """The credentials that the new carts may have of their own. None where the store is reached by an authorisation, or by
    one access for all. May raise ``CredentialsUnreadable``."""
    stored = cart.read_credentials()
    return tuple(name for name in cart.connector_class.own_access if stored.get(name))


def default_names(cart: Cart, places: Iterable[OutletPlace]) -> dict[str, str]:
    """Outlet's external id -> a name that no cart of the merchant has: the outlet's own, with a number if need be."""
    return free_names(cart, [place.outlet for place in places], names_taken(cart.merchant_id))


def free_names(cart: Cart, outlets: Iterable[Outlet], taken: Collection[str]) -> dict[str, str]:
    names: dict[str, str] = {}
    used = set(taken)
    for outlet in outlets:
        base = outlet.name.strip()[: LONGEST_NAME - 6].strip() or cart.name[: LONGEST_NAME - 6]
        numbered = (base if number == 1 else f"{base} {number}" for number in range(1, len(used) + 3))
        names[outlet.external_id] = next(name for name in numbered if name not in used)
        used.add(names[outlet.external_id])
    return names


def names_taken(merchant_id: int) -> set[str]:
    carts = Connection.objects.filter(merchant_id=merchant_id, role=Role.CART)
    return set(carts.values_list("name", flat=True))


def fitting_location(outlet: Outlet, locations: Iterable[Location]) -> Location | None:
    """The location that has the outlet's name: it is meant, most likely."""
    wanted = outlet.name.strip().casefold()
    return next((one for one in locations if wanted and one.name.strip().casefold() == wanted), None)


def add_carts(source: Cart, wanted: Sequence[WantedCart]) -> list[Cart]:
    """Makes one cart for each, switched off and not tested: options, functions, intervals and warehouse are the source's.
    All or none. Of two who do this at once for one outlet, the second gets ``OutletErrors``."""
    with transaction.atomic():
        # Whoever adds carts for this merchant's outlets waits here, so that what is free is free until the end.
        Merchant.objects.select_for_update(no_key=True).get(pk=source.merchant_id)
        places = {place.outlet.pk: place for place in survey(source)}
        taken = names_taken(source.merchant_id)
        found = free_names(source, [one.outlet for one in wanted if not one.name], {*taken, *(w.name for w in wanted)})
        errors: dict[str, dict[str, str]] = {}
        new: list[tuple[str, Cart]] = []
        for one in wanted:
            name = one.name or found[one.outlet.external_id]
            problems = check_free(places.get(one.outlet.pk)) or check_name(name, taken)
            taken.add(name)
            if not problems:
                new.append((one.outlet.external_id, prepared(source, one, name, problems)))
            if problems:
                errors[one.outlet.external_id] = problems
        if errors:
            raise OutletErrors(errors)
        able = source.possible_functions
        settings = [setting for setting in source.function_settings.all() if setting.function in able]
        for outlet_id, cart in new:
            save_new(cart, outlet_id)
            keep_stock_locations(cart, shown_by(source, cart))
            on = [setting.function for setting in settings if setting.is_on]
            set_functions(cart, on, {setting.function: setting.minutes for setting in settings})
    return [cart for _, cart in new]


def check_free(place: OutletPlace | None) -> dict[str, str]:
    if place is None or (place.outlet.deleted and not place.carts):
        return {"outlet": "The store has no such outlet any more."}
    if place.carts:
        return {"outlet": f"“{place.outlet}” has a cart already: {', '.join(map(str, place.carts))}."}
    return {"outlet": place.problem} if place.problem else {}


def check_name(name: str, taken: Collection[str]) -> dict[str, str]:
    if len(name) > LONGEST_NAME:
        return {"name": f"A name has {LONGEST_NAME} characters at most."}
    return {"name": f"There is another cart named “{name}”. Choose another name."} if name in taken else {}


def prepared(source: Cart, wanted: WantedCart, name: str, problems: dict[str, str]) -> Cart:
    """The cart, not saved yet. What is wrong with it is put into ``problems``."""
    kind = source.connector_class
    options = {**source.options, kind.outlet_option: getattr(wanted.outlet, kind.outlet_option_holds)}
    cart = Cart(
        merchant_id=source.merchant_id,
        name=name,
        connector=source.connector,
        warehouse=source.warehouse,
        location=wanted.location,
        stock_from=source.stock_from,
        is_active=False,
    )
    unknown = [name for name in wanted.credentials if name not in kind.own_access]
    if unknown:
        able = ", ".join(kind.own_access) or "none"
        problems["credentials"] = f"{', '.join(unknown)}: a cart of the same store may have of its own: {able}."
        return cart
    try:
        check_cart_links(cart, shown_by(source, cart))
        cart.options, cart.credentials = check_settings(kind, options, wanted.credentials, source.read_credentials())
    except SetupErrors as error:
        for field_name, text in error.errors.items():
            if isinstance(text, Mapping):
                text = " ".join(text.values())
            problems[field_name if field_name in ("location", "credentials") else "outlet"] = str(text)
    return cart


def shown_by(source: Cart, cart: Cart) -> list[Location]:
    """The set whose stock the new cart shows, where the source shows one: the same, and the location of its own."""
    if source.stock_from != StockFrom.SET:
        return []
    own = cart.stock_location()
    return list(dict.fromkeys([*source.stock_locations.all(), *([own] if own is not None else [])]))


def save_new(cart: Cart, outlet_id: str) -> None:
    try:
        with transaction.atomic():
            cart.save()
    except IntegrityError:
        # Somebody gave this name to another cart just now.
        raise OutletErrors({outlet_id: check_name(cart.name, {cart.name})}) from None


def run_tests(carts: Iterable[Cart], seconds: float = TEST_SECONDS) -> list[Cart]:
    """Tests one cart after the other, as long as there is time for the next. Returns those that were tested."""
    until = time.monotonic() + seconds
    tested: list[Cart] = []
    for cart in carts:
        if tested and time.monotonic() > until:
            break
        run_test(cart)
        tested.append(cart)
    return tested
