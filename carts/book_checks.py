"""What the built-in warehouse's book accepts, and in which words it refuses."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal

from django.core.exceptions import ValidationError

from carts.models import Location, PickLine, PickOrder, PickShipment
from carts.models.catalogue import sku_key
from carts.models.fields import plain_decimal
from connectors.records import OutboundOrder, OutboundRefund

FIVE_PLACES = Decimal("0.00001")
LARGEST_QUANTITY = Decimal(10) ** 10


class BookError(Exception):
    """What was asked for cannot be done. The text says why, for people; ``fix`` says what to do, where that is known."""

    def __init__(self, message: str, fix: str = "") -> None:
        super().__init__(message)
        self.fix = fix


class LocationFinder:
    """Finds one warehouse's locations by what people and carts call them. One query, however many are looked up."""

    def __init__(self, locations: Iterable[Location]) -> None:
        places = sorted(locations, key=lambda place: (not place.is_default, place.pk))
        self.default = next((place for place in places if place.is_active), None)
        self.by_name = {place.name.strip().casefold(): place for place in places}
        self.by_id = {place.external_id or f"loc-{place.pk}": place for place in places}

    def find(self, name: str) -> Location:
        """By id, else by name; "" is the default location. Raises ``BookError``."""
        name = name.strip()
        place = self.by_id.get(name) or self.by_name.get(name.casefold()) if name else self.default
        if place is None:
            raise BookError(
                f"The warehouse has no location {name}." if name else "The warehouse has no active location.",
                "Choose a location of this warehouse in the cart's settings."
                if name
                else "Add a location to the warehouse, or switch one on.",
            )
        return place

    def find_for_order(self, external_id: str) -> Location:
        """As ``find``, and it must be active."""
        place = self.find(external_id)
        if not place.is_active:
            raise BookError(
                f"Location {place} is switched off, so it takes no orders.",
                "Switch the location on, or choose another one in the cart's settings.",
            )
        return place


def check_lines(order: OutboundOrder | OutboundRefund) -> None:
    """Raises ``BookError`` for an order or a return whose lines could not be told apart."""
    what = "Order" if isinstance(order, OutboundOrder) else "Return"
    seen: set[str] = set()
    for line in order.lines:
        if line.reference in seen:
            raise BookError(
                f"{what} {order.number} has two lines with the reference {line.reference}.",
                f"Give every line of the {what.lower()} a reference of its own.",
            )
        seen.add(line.reference)


def parts_to_ship(
    order: PickOrder, lines: Sequence[PickLine], wanted: Mapping[str, Decimal] | None
) -> list[tuple[PickLine, Decimal]]:
    """Which line ships how much. Empty only for an order in which there is nothing to pick at all. Raises
    ``BookError``."""
    if wanted is None:
        return [(line, line.open_quantity) for line in lines if line.open_quantity]
    by_reference = {line.reference: line for line in lines}
    parts = []
    for reference, given in wanted.items():
        line = by_reference.get(reference)
        if line is None:
            raise BookError(f"Order {order} has no line {reference}.")
        quantity = check_quantity(given)
        if quantity < 0:
            raise BookError(f"{line.sku}: a quantity to ship cannot be negative.")
        if quantity > line.open_quantity:
            raise BookError(
                f"{line.sku}: {plain_decimal(quantity)} to ship, but only {plain_decimal(line.open_quantity)} open."
            )
        if quantity:
            parts.append((line, quantity))
    if not parts and any(line.open_quantity for line in lines):
        raise BookError(f"Nothing to ship: enter a quantity for at least one line of order {order}.")
    return parts


def check_fields(shipment: PickShipment) -> None:
    """Raises ``BookError`` for texts that are too long and for a tracking URL that is none."""
    try:
        shipment.clean_fields(exclude=["pick_order"])
    except ValidationError as error:
        field, messages = next(iter(error.message_dict.items()))
        raise BookError(f"{field.replace('_', ' ').capitalize()}: {messages[0]}") from error


def check_sku(sku: str) -> str:
    """The SKU's key. Raises ``BookError`` for an SKU that cannot be stored."""
    key = sku_key(sku)
    if not key:
        raise BookError("The SKU is missing.")
    if max(len(key), len(sku.strip())) > 200:
        raise BookError(f"The SKU {sku.strip()[:40]}… is longer than 200 characters.")
    if "\0" in key:
        raise BookError("The SKU holds a character that cannot be stored.")
    return key


def check_quantity(quantity: Decimal) -> Decimal:
    """The quantity with five decimals. Raises ``BookError`` for one that cannot be stored exactly."""
    if not quantity.is_finite() or abs(quantity) >= LARGEST_QUANTITY:
        raise BookError(f"{quantity} is not a possible quantity.")
    exact = quantity.quantize(FIVE_PLACES)
    if exact != quantity:
        raise BookError(f"{plain_decimal(quantity)} has more than five decimals.")
    return exact
