"""Where a cart's stock comes from: its own location, a set of the warehouse's locations, or the sum of all of them."""

from __future__ import annotations

from carts.models import Cart, Location, StockFrom

ITS_OWN = "Choose a location under Sync Inventory With Warehouse in the cart's settings."


class NoStockPlaces(Exception):
    """There is nothing that the cart could show. The text says why; ``fix`` what to do."""

    def __init__(self, message: str, fix: str) -> None:
        super().__init__(message)
        self.fix = fix


def places_of(cart: Cart) -> list[Location]:
    """The locations whose stock the cart shows, added up: at least one, all active, all of its warehouse. The one that
    its orders go to is always among them: else a sale would not lower the stock that is shown. Raises
    ``NoStockPlaces``."""
    places = cart.stock_places()
    if cart.stock_from == StockFrom.LOCATION:
        if not places:
            raise NoStockPlaces(f"{cart} has no active warehouse location to take stock from.", ITS_OWN)
        return places
    if not places:
        raise NoStockPlaces(
            f"None of the locations whose stock {cart} shows is in use.",
            "Choose others under Stock From in the cart's settings, or switch them on in the warehouse's locations.",
        )
    own = cart.stock_location()
    if own not in places:
        raise NoStockPlaces(
            f"The orders of {cart} go to {own}, which is not among the locations whose stock it shows.",
            "Choose another location under Sync Inventory With Warehouse in the cart's settings, or add this one under "
            "Stock From. If it is switched off, switch it on in the warehouse's locations.",
        )
    return places


def in_words(cart: Cart) -> str:
    """For screens, without a look at the warehouse's locations."""
    if cart.stock_from == StockFrom.ALL:
        return "All locations, added up"
    if cart.stock_from == StockFrom.SET:
        return " + ".join(named(place) for place in cart.stock_locations.all()) or "No location chosen"
    return named(cart.location) if cart.location else "Default location"


def named(location: Location) -> str:
    return location.name if location.is_active else f"{location.name} (switched off)"
