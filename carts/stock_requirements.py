"""What passing stock documents on needs: checked by *Test*, at every run, and before each document goes out."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from carts.alerting import clear_alert, raise_alert
from carts.models import Alert, Cart, Warehouse
from carts.stock_stores import ADJUSTMENTS, SWITCH, TRANSFERS, Store
from connectors.functions import Function
from connectors.ports import StockAdjustmentWriter, StockTransferWriter, WebhookSource
from connectors.records import TestStep
from connectors.registry import connector_class

ALERT = "stock_requirements"
WRITERS = {ADJUSTMENTS: StockAdjustmentWriter, TRANSFERS: StockTransferWriter}
GOODS = {ADJUSTMENTS: "stock adjustments", TRANSFERS: "stock transfers"}
WEBHOOKS = "Webhooks"


@dataclass(frozen=True, slots=True)
class Missing:
    """One thing that is not there. ``blocks``: nothing goes out without it."""

    item: str
    message: str
    fix: str
    blocks: bool = True

    def __str__(self) -> str:
        return self.message


def missing_at_cart(cart: Cart, store: Store, function: Function) -> Iterator[Missing]:
    """What the cart's own settings lack."""
    if cart.outlet is None:
        yield Missing("Outlet Name", f"The outlet of {cart} is not known yet.", "Enter Outlet Name, then click Test.")
    if not cart.options.get(SWITCH, True):
        yield Missing(
            "Send Stock Adjustment to WMS",
            f"Send Stock Adjustment to WMS of {cart} is off.",
            "Set it to Yes in the cart's settings.",
        )
    if not store.is_on(cart.pk, function):
        yield Missing(function.label, f"{function.label} of {cart} is off.", "Switch it on in the cart's functions.")
    if cart.warehouse is None:
        yield Missing("Warehouse", f"{cart} has no warehouse.", "Choose one in the cart's settings.")


def missing_location(cart: Cart) -> Iterator[Missing]:
    location = cart.stock_location()
    if cart.warehouse is not None and (location is None or not location.is_active):
        yield Missing(
            "Sync Inventory With Warehouse",
            f"{cart} has no active location of {cart.warehouse}.",
            "Choose a location under Sync Inventory With Warehouse in the cart's settings.",
        )


def missing_at_warehouse(warehouse: Warehouse, store: Store, function: Function) -> Iterator[Missing]:
    kind = connector_class(warehouse.connector)
    if not issubclass(kind, WRITERS[function]):
        yield Missing(
            "Warehouse",
            f"{kind.label} takes no {GOODS[function]}.",
            f"Switch {function.label} off at the cart, or choose a warehouse that takes them.",
        )
    elif not store.is_on(warehouse.pk, function):
        yield Missing(
            f"{function.label} of the warehouse",
            f"{function.label} of {warehouse} is off.",
            "Switch it on in the warehouse's functions.",
        )


def missing_webhooks(cart: Cart) -> Iterator[Missing]:
    registered = any(step.get("name") == WEBHOOKS and step.get("ok") for step in cart.test_steps)
    if issubclass(connector_class(cart.connector), WebhookSource) and not registered:
        yield Missing(
            WEBHOOKS,
            f"The webhooks of {cart} are not registered, so stock documents arrive at the set interval only.",
            "Click Test on the cart's page.",
            blocks=False,
        )


def missing(cart: Cart, store: Store, function: Function) -> Iterator[Missing]:
    """Everything that this cart lacks for this function."""
    yield from missing_at_cart(cart, store, function)
    yield from missing_location(cart)
    if cart.warehouse is not None:
        yield from missing_at_warehouse(cart.warehouse, store, function)
    yield from missing_webhooks(cart)


def check(cart: Cart, store: Store) -> list[Missing]:
    """At every run: one alert for each missing item of the functions that are on; those that are there again close
    theirs. Returns what is missing."""
    found: dict[str, Missing] = {}
    for function in (ADJUSTMENTS, TRANSFERS):
        if store.is_on(cart.pk, function):
            for one in missing(cart, store, function):
                found.setdefault(f"{cart.pk}:{one.item}"[:200], one)
    known = Alert.objects.filter(merchant_id=cart.merchant_id, connection_id=cart.pk, kind=ALERT)
    for key in set(known.exclude(status=Alert.Status.RESOLVED).values_list("key", flat=True)) - found.keys():
        clear_alert(cart.merchant_id, ALERT, key)
    for key, one in found.items():
        raise_alert(
            cart.merchant,
            ALERT,
            key,
            f"Stock documents of {cart} are not passed on: {one.message}" if one.blocks else one.message,
            fix=one.fix,
            link=f"/admin/carts/cart/{cart.pk}/change/",
            connection=cart,
            severity=Alert.Severity.ERROR if one.blocks else Alert.Severity.WARNING,
        )
    return list(found.values())


def steps(cart: Cart) -> list[TestStep]:
    """The part of a cart's *Test*: nothing for a cart that passes no stock documents on. (What the Test itself has found
    out a moment ago, webhooks and outlet among it, has steps of its own.)"""
    if ADJUSTMENTS not in cart.possible_functions:
        return []
    store = Store.of_cart(cart)
    functions = (ADJUSTMENTS, TRANSFERS)
    on = [function for function in functions if store.is_on(cart.pk, function)]
    if not on:
        if not cart.options.get(SWITCH):
            return []
        message = f"{ADJUSTMENTS.label} and {TRANSFERS.label} are off, so no stock document is passed on."
        return [TestStep(name=ADJUSTMENTS.label, ok=True, message=message)]
    found: list[TestStep] = []
    for function in on:
        lacking = [one for one in missing(cart, store, function) if one.item != WEBHOOKS]
        found += [TestStep(name=function.label, ok=False, message=one.message, help=one.fix) for one in lacking]
        if not lacking:
            location = cart.stock_location()
            message = f"Documents of {cart.outlet} are booked at {cart.warehouse}, location {location}."
            found.append(TestStep(name=function.label, ok=True, message=message))
    return found
