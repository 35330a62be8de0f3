"""A store whose stock documents are passed on: two outlets, each a cart with a location of its own, levels in step."""

from __future__ import annotations

import uuid
from collections.abc import Iterable
from decimal import Decimal
from typing import Any
from urllib.parse import urlencode

from carts.connection_test import run_test
from carts.models import (
    Cart,
    Consignment,
    Location,
    StockAdjustment,
    StockLevel,
    StockTransfer,
    Warehouse,
)
from carts.models.catalogue import sku_key
from carts.setup import check_settings, finish_new_connection
from connectors.functions import Function
from connectors.registry import connector_class
from connectors.vend.sandbox_consignments import line_event
from syncjobs.models import ConsignmentHint, Run, WebhookEvent
from tests.engine.conftest import World

ADJUSTMENTS, TRANSFERS = Function.STOCK_ADJUSTMENT_SYNC, Function.STOCK_TRANSFER_SYNC


class Stockroom:
    """The world's first cart passes its stock documents on. ``add_outlet`` makes the second one do so too."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.store = world.store
        self.here, self.there = world.store.outlets[:2]
        self.cart: Cart = world.cart
        self.products = world.store.products[:4]
        self.switch_on(self.cart)
        world.run(Function.PRODUCT_PICKUP)
        self.fill(world.location, self.here)

    # Setting up

    def switch_on(self, cart: Cart, *functions: Function) -> None:
        cart.refresh_from_db()
        cart.options = {**cart.options, "send_stock_adjustments": True}
        cart.save()
        for setting in cart.function_settings.filter(function__in=functions or (ADJUSTMENTS, TRANSFERS)):
            setting.is_on = True
            setting.save()

    def fill(self, location: Location, outlet: Any, level: int = 40) -> None:
        """The same stock in the shop and at the warehouse."""
        for product in self.products:
            self.store.set_level(product, outlet, level)
        self.world.book.set_on_hand([(location, product["sku"], Decimal(level)) for product in self.products])

    def add_cart(self, outlet: Any, location: Location | None, warehouse: Warehouse | None = None) -> Cart:
        """A cart of the store as a person sets it up: with a token of its own, tested; stock functions off."""
        sandbox = self.world.sandbox
        values = {"vend_url": sandbox.url, "outlet_name": outlet["name"]}
        clean, credentials = check_settings(connector_class("vend"), values, {"access_token": sandbox.token}, {})
        cart = Cart.objects.create(
            merchant=self.world.merchant,
            name=f"Cart {uuid.uuid4().hex[:4]}",
            connector="vend",
            options=clean,
            credentials=credentials,
            warehouse=warehouse or self.world.warehouse,
            location=location,
            is_active=True,
        )
        finish_new_connection(cart)
        assert run_test(cart).ok
        for webhook in list(self.store.webhooks):
            self.store.delete_webhook(webhook["id"])
        cart.refresh_from_db()
        return cart

    def add_outlet(self) -> tuple[Cart, Location]:
        """The second outlet with its own location and cart, switched on."""
        location = Location.objects.create(warehouse=self.world.warehouse, name="Back room", external_id="back")
        cart = self.add_cart(self.there, location)
        self.switch_on(cart)
        self.fill(location, self.there)
        return cart, location

    # The two roads

    def hear(self, consignment: Any, *products: Any, cart: Cart | None = None) -> None:
        """The webhooks of a consignment as Vend sends them, one for each item, stored in the inbox."""
        cart = cart or self.cart
        topic = "consignment.send" if consignment["status"] == "SENT" else "consignment.receive"
        ids = [product["id"] for product in products]
        for line in self.store.lines_of(consignment):
            if not ids or line["product_id"] in ids:
                event = line_event(consignment, line)
                payload = {name: event[name] for name in event if name != "version"}
                self.hear_payload(topic, payload, cart)

    def hear_payload(self, topic: str, payload: Any, cart: Cart) -> None:
        from connectors.sandbox.wire import encode_json

        body = urlencode({"payload": encode_json(payload).decode()}).encode()
        WebhookEvent.objects.create(connection=cart, headers={"X-Hub-Topic": topic}, body=body)

    def work_on_webhooks(self, cart: Cart | None = None) -> Run | None:
        """The inbox, then the run that it asked for."""
        self.world.process_inbox()
        cart = cart or self.cart
        if not ConsignmentHint.objects.filter(connection=cart).exists():
            return None
        return self.world.run(ADJUSTMENTS, cart)

    def real_time(self, consignment: Any, *products: Any, cart: Cart | None = None) -> Run | None:
        self.hear(consignment, *products, cart=cart)
        self.world.process_inbox()
        queued = Run.objects.filter(connection=cart or self.cart, function=ADJUSTMENTS, state=Run.State.QUEUED)
        assert queued.get().trigger == Run.Trigger.WEBHOOK
        return self.work_on_webhooks(cart)

    def search(self, cart: Cart | None = None, **flags: Any) -> Run:
        return self.world.run(ADJUSTMENTS, cart or self.cart, **flags)

    def deliver(self) -> int:
        return self.world.deliver()

    # Looking

    def documents(self) -> list[list[tuple[str, Decimal]]]:
        """Every adjustment's lines, oldest first."""
        return [
            sorted((line.sku, line.quantity) for line in adjustment.lines.all())
            for adjustment in StockAdjustment.objects.exclude(status="withdrawn").order_by("pk")
        ]

    def sku(self, number: int) -> str:
        return str(self.products[number]["sku"])

    def on_hand(self, number: int, location: Location | None = None) -> Decimal | None:
        place = location or self.world.location
        return StockLevel.objects.get(location=place, sku_key=sku_key(self.sku(number))).on_hand

    def in_shop(self, number: int, outlet: Any = None) -> Any:
        return self.store.level(self.products[number], outlet or self.here)

    def in_step(self, *places: tuple[Location, Any]) -> None:
        """The warehouse has what the shop has, everywhere."""
        for location, outlet in places or ((self.world.location, self.here),):
            for number in range(len(self.products)):
                assert self.on_hand(number, location) == self.in_shop(number, outlet), (location, self.sku(number))


def consignment(record: Any) -> Consignment:
    return Consignment.objects.get(external_id=record["id"])


def transfer(record: Any) -> StockTransfer:
    return StockTransfer.objects.get(consignment__external_id=record["id"])


def refs(documents: Iterable[Any]) -> list[str]:
    return [document.reference for document in documents]
