"""What happens inside the demo's hub: the merchant is set up as a person would do it, a robot plays the warehouse
person, and every event is told in a line."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal

from django.contrib.auth import get_user_model
from django.db import connection as database
from django.db import transaction
from django.utils import timezone

from carts.connection_test import run_test
from carts.models import (
    Alert,
    ApiToken,
    Cart,
    Membership,
    Merchant,
    Order,
    OutletLevel,
    Preference,
    Product,
    StockLevel,
)
from carts.models.catalogue import sku_key
from carts.models.fields import plain_decimal
from carts.remote import open_connector
from carts.setup import check_settings, default_functions, finish_new_connection
from connectors.functions import Function
from connectors.ports import InventoryReader
from connectors.registry import connector_class
from connectors.vend.sandbox_data import RETAILER_NAME, outlet_facts
from integration_manager.demo import OUTLETS, DemoFailed
from integration_manager.demo_stockroom import DemoStockroom
from integration_manager.demo_warehouses import BuiltinDemo, DemoWarehouse
from syncjobs.models import Run
from syncjobs.schedule import request_runs

TIME_ZONE = "Pacific/Auckland"
# Goods arrive at one of the locations every so often.
RECEIVE_EVERY = timedelta(seconds=20)
RECEIVED = 12

STOCK_FUNCTIONS = (Function.STOCK_ADJUSTMENT_SYNC, Function.STOCK_TRANSFER_SYNC)

Status = Order.Status


@dataclass
class Receipt:
    """Goods that arrived at a location; told once the shop shows them."""

    cart: Cart
    sku: str
    at: datetime
    before: Decimal


class DemoHub:
    """The demo merchant's hub. ``say`` prints one line."""

    def __init__(
        self,
        shop_url: str,
        shop_token: str,
        password: str,
        say: Callable[[str], None],
        place: DemoWarehouse | None = None,
    ) -> None:
        self.place = place or BuiltinDemo()
        self.shop_url = shop_url
        self.shop_token = shop_token
        self.password = password
        self.say = say
        self.started_at = timezone.now()
        self.receipt: Receipt | None = None
        self.receipts = 0
        self.next_receipt_at = self.started_at
        self.told: dict[int, str] = {}
        self.told_alerts: dict[int, str] = {}
        self.shipped: set[int] = set()
        self.restocked: set[int] = set()

    # Setting up

    def set_up(self) -> str:
        """Everything a merchant would set up in the admin. Done again it changes nothing, but gives a new API token.
        Raises ``DemoFailed`` when a Test fails."""
        with transaction.atomic():
            self.merchant = self.make_merchant()
        self.warehouse, self.locations = self.place.set_up(self.merchant)
        with transaction.atomic():
            self.carts = [self.make_cart(place) for place in range(OUTLETS)]
        # The ledger is the built-in warehouse's own.
        has_ledger = connector_class(self.warehouse.connector).stores_in_hub
        self.stockroom = DemoStockroom(self.carts, self.line) if has_ledger else None
        for connection in (self.warehouse, *self.carts):
            report = run_test(connection)
            for step in report.steps:
                if not step.ok:
                    raise DemoFailed(f"Test of {connection}: {step.name}: {step.message} {step.help}")
        for cart in self.carts:
            # Tested first, then switched on: as a careful person does it.
            Cart.objects.filter(pk=cart.pk).update(is_active=True)
            cart.refresh_from_db()
            request_runs(cart, None, requested_by="demo")
        return ApiToken.issue(self.merchant, name="Demo")[1]

    def make_merchant(self) -> Merchant:
        merchant = Merchant.objects.filter(name=RETAILER_NAME).first() or Merchant.create_named(RETAILER_NAME)
        merchant.time_zone = TIME_ZONE
        merchant.save()
        users = get_user_model()
        for name, is_superuser in (("admin", True), ("merchant", False)):
            user, _ = users.objects.get_or_create(username=name)
            user.is_staff, user.is_superuser = True, is_superuser
            user.set_password(self.password)
            user.save()
            Preference.objects.update_or_create(user=user, defaults={"time_zone": TIME_ZONE})
            if not is_superuser:
                Membership.objects.get_or_create(merchant=merchant, user=user)
        return merchant

    def make_cart(self, place: int) -> Cart:
        outlet = outlet_facts(place)["name"]
        known = Cart.objects.filter(merchant=self.merchant, name=outlet).first()
        if known is not None:
            return known
        options, credentials = check_settings(
            connector_class("vend"),
            {
                "vend_url": self.shop_url,
                "outlet_name": outlet,
                "send_cancellations": True,
                "send_stock_adjustments": True,
            },
            {"access_token": self.shop_token},
            {},
        )
        cart = Cart.objects.create(
            merchant=self.merchant,
            name=outlet,
            connector="vend",
            options=options,
            credentials=credentials,
            warehouse=self.warehouse,
            location=self.locations[place],
        )
        finish_new_connection(cart, [*default_functions(cart), *STOCK_FUNCTIONS])
        return cart

    # The robot

    def work_at_warehouse(self, ship_after: float) -> None:
        """Ships what has waited long enough; receives goods now and then."""
        self.place.ship(ship_after)
        if self.receipt is None and timezone.now() >= self.next_receipt_at and self.first_stock_is_in_step():
            self.receive_goods()
        room = self.stockroom
        if room is not None and (room.has_begun or {cart.pk for cart in self.carts} <= self.written_carts()):
            room.work()

    def first_stock_is_in_step(self) -> bool:
        """Goods arrive only after the outlets show the first stock, so that the effect can be seen. Where sales come fast
        there is always another Inventory Sync in the queue."""
        return {cart.pk for cart in self.carts} <= self.written_carts()

    def written_carts(self) -> set[int]:
        return set(OutletLevel.objects.filter(written_at__isnull=False).values_list("cart_id", flat=True))

    def receive_goods(self) -> None:
        """New goods for each outlet's location in turn."""
        cart = self.carts[self.receipts % len(self.carts)]
        location = cart.stock_location()
        levels = StockLevel.objects.filter(location=location).order_by("available", "pk")
        level = levels.first()
        if level is None or location is None:
            return
        self.receipt = Receipt(cart, level.sku, timezone.now(), level.available)
        self.receipts += 1
        self.place.receive(location, level.sku, RECEIVED)

    # Telling

    def tell_news(self) -> None:
        """One line per event since the last look."""
        self.tell_orders()
        self.tell_receipt()
        self.tell_alerts()

    def tell_orders(self) -> None:
        for order in Order.objects.filter(merchant=self.merchant).select_related("cart").order_by("pk"):
            before = self.told.get(order.pk)
            if before == order.status:
                continue
            self.told[order.pk] = order.status
            if order.status in (Status.SHIPPED, Status.CONFIRMED):
                if order.placed_at >= self.started_at:
                    self.shipped.add(order.cart_id)
                since = max(order.placed_at, self.started_at)
                seconds = (timezone.now() - since).total_seconds()
                self.line(order.cart, f"sale {order.number} -> order -> warehouse -> shipped ({seconds:.1f} s)")
            elif order.status in (Status.HELD, Status.ERROR, Status.CANCELLED):
                self.line(order.cart, f"sale {order.number} -> order, {order.get_status_display().lower()}")

    def tell_receipt(self) -> None:
        """Is the outlet up to date again? The shop itself is asked, not only the hub's own note of it."""
        receipt = self.receipt
        if receipt is None or not self.hub_has_written(receipt):
            return
        for cart in self.carts:
            if self.level_at_shop(cart, receipt.sku) != self.available(cart, receipt.sku):
                return
        now = timezone.now()
        seconds = (now - receipt.at).total_seconds()
        location = receipt.cart.stock_location()
        shown = plain_decimal(self.available(receipt.cart, receipt.sku) or Decimal(0))
        self.line(
            receipt.cart,
            f"{RECEIVED} x {receipt.sku} arrived at {location} -> stock at the outlet "
            f"{plain_decimal(receipt.before)} -> {shown} ({seconds:.1f} s)",
        )
        self.restocked.add(receipt.cart.pk)
        self.receipt = None
        self.next_receipt_at = now + (RECEIVE_EVERY if len(self.restocked) == len(self.carts) else timedelta(0))

    def hub_has_written(self, receipt: Receipt) -> bool:
        return OutletLevel.objects.filter(
            cart=receipt.cart,
            product__sku_key=sku_key(receipt.sku),
            written_at__gt=receipt.at,
        ).exists()

    def available(self, cart: Cart, sku: str) -> Decimal | None:
        levels = StockLevel.objects.filter(location=cart.stock_location(), sku_key=sku_key(sku))
        return levels.values_list("available", flat=True).first()

    def level_at_shop(self, cart: Cart, sku: str) -> Decimal | None:
        """The shop's own level of a SKU at the cart's outlet, read over HTTP."""
        product = Product.objects.filter(connection_id=cart.pk, sku_key=sku_key(sku)).first()
        connector = open_connector(cart)
        try:
            if product is None or not isinstance(connector, InventoryReader):
                return None
            found = None
            for page in connector.read_levels(""):
                for record in page.records:
                    if record.product_id == product.external_id:
                        found = record.available
            return found
        finally:
            connector.close()

    def tell_alerts(self) -> None:
        for alert in Alert.objects.filter(merchant=self.merchant).order_by("pk"):
            if self.told_alerts.get(alert.pk) != alert.status:
                self.told_alerts[alert.pk] = alert.status
                self.line(None, f"alert {alert.status}: {alert.message}")

    def line(self, cart: Cart | None, text: str) -> None:
        clock = datetime.now().astimezone().strftime("%H:%M:%S")
        self.say(f"{clock}  {f'{cart}: ' if cart else ''}{text}")

    # The circle

    def missing_for_circle(self) -> list[str]:
        """What has not happened yet, in words."""
        return (
            [f"no new sale of {cart} was shipped" for cart in self.carts if cart.pk not in self.shipped]
            + [f"no stock went back to {cart}" for cart in self.carts if cart.pk not in self.restocked]
            + (self.stockroom.missing() if self.stockroom else [])
        )

    def tell_trouble(self) -> None:
        """The latest failures, for whoever has to find out why the demo failed."""
        for run in Run.objects.filter(state=Run.State.FAILED).order_by("-pk")[:5]:
            self.say(f"  failed run: {run}: {run.error}")
        for alert in Alert.objects.filter(status=Alert.Status.OPEN)[:5]:
            self.say(f"  open alert: {alert.message}")

    def close(self) -> None:
        database.close()
