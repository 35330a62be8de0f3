"""Orders, their lines, shipments and history. Every change of state goes through ``carts.order_flow``."""

from __future__ import annotations

from decimal import Decimal

from django.db import models
from django.db.models import Q

from carts.models.catalogue import Customer
from carts.models.connections import Cart, Location, Warehouse
from carts.models.fields import MoneyField, QuantityField
from carts.models.merchants import Merchant
from carts.models.packing import pack, unpack


class Order(models.Model):
    """One order of one cart. Totals are as the cart sent them."""

    class Status(models.TextChoices):
        NEW = "new", "New"
        AT_WAREHOUSE = "at_warehouse", "At warehouse"
        SHIPPED = "shipped", "Shipped"
        CONFIRMED = "confirmed", "Confirmed"
        HELD = "held", "Held"
        ERROR = "error", "Error"
        CANCELLED = "cancelled", "Cancelled"

    # No indexes of their own: each of these begins one of the indexes below. Every index costs each order its share.
    merchant = models.ForeignKey(Merchant, on_delete=models.CASCADE, related_name="orders", db_index=False)
    cart = models.ForeignKey(Cart, on_delete=models.CASCADE, related_name="orders", db_index=False)
    warehouse = models.ForeignKey(
        Warehouse, on_delete=models.PROTECT, null=True, blank=True, related_name="orders", db_index=False
    )
    location = models.ForeignKey(
        Location, on_delete=models.PROTECT, null=True, blank=True, related_name="orders", db_index=False
    )
    external_id = models.CharField(max_length=120)
    number = models.CharField(max_length=120)
    reference = models.CharField(
        max_length=140, help_text="Unique for ever: how the warehouse knows this order. Never sent twice."
    )
    status = models.CharField(max_length=20, choices=Status.choices, default=Status.NEW)
    remote_status = models.CharField(max_length=60, blank=True)
    version = models.BigIntegerField(default=0)
    problem = models.TextField(blank=True, help_text="Why the order is held or in error, in words.")
    placed_at = models.DateTimeField()
    remote_updated_at = models.DateTimeField(null=True, blank=True)
    currency = models.CharField(max_length=3, blank=True)
    subtotal = MoneyField()
    discount_total = MoneyField()
    shipping_total = MoneyField()
    tax_total = MoneyField()
    total = MoneyField()
    unexplained = MoneyField(help_text="What of the total the lines, charges and taxes as sent leave open.")
    customer = models.ForeignKey(Customer, on_delete=models.SET_NULL, null=True, blank=True, related_name="orders")
    customer_name = models.CharField(max_length=300, blank=True)
    customer_email = models.CharField(max_length=254, blank=True)
    ship_to = models.JSONField(default=dict, blank=True)
    bill_to = models.JSONField(default=dict, blank=True)
    payments = models.JSONField(default=list, blank=True)
    charges = models.JSONField(default=list, blank=True)
    ship_method = models.CharField(max_length=120, blank=True)
    note = models.TextField(blank=True)
    by_hand = models.JSONField(
        default=list,
        blank=True,
        help_text="What a person set here (ship_to, ship_method, note, skus): later versions from the cart leave it alone.",
    )
    cancel_requested_at = models.DateTimeField(null=True, blank=True)
    cancel_reason = models.CharField(max_length=300, blank=True)
    stored_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)
    at_warehouse_at = models.DateTimeField(null=True, blank=True)
    shipped_at = models.DateTimeField(null=True, blank=True)
    confirmed_at = models.DateTimeField(null=True, blank=True)
    cancelled_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["-placed_at", "-pk"]
        constraints = [
            models.UniqueConstraint(fields=["cart", "external_id"], name="order_is_unique_per_cart"),
            models.UniqueConstraint(fields=["merchant", "reference"], name="order_reference_is_unique"),
        ]
        indexes = [
            models.Index(fields=["merchant", "-placed_at", "-id"], name="order_list"),
            models.Index(fields=["merchant", "status", "-placed_at", "-id"], name="order_list_by_status"),
            # With what a cart's orders are counted by, too: further columns cost less than a further index.
            models.Index(fields=["cart", "-placed_at", "-id", "status", "merchant"], name="order_list_by_cart"),
            models.Index(fields=["warehouse", "-placed_at", "-id", "merchant"], name="order_list_by_warehouse"),
            # The moment first: so it answers for one merchant and for all of them.
            models.Index(fields=["updated_at", "merchant"], name="order_by_change"),
            models.Index(fields=["merchant", "number"], name="order_by_number"),
            models.Index(fields=["-placed_at", "-id"], name="order_list_of_all"),
            # What was sold but is not in the warehouse's figures yet: not sent, or sent lately.
            models.Index(fields=["location", "status", "at_warehouse_at"], name="order_by_place"),
            models.Index(fields=["cart"], condition=Q(status="error"), name="order_in_error"),
            models.Index(
                fields=["warehouse", "cancel_requested_at"],
                condition=Q(cancel_requested_at__isnull=False),
                name="order_asked_to_cancel",
            ),
        ]

    def __str__(self) -> str:
        return self.number

    @property
    def is_sent(self) -> bool:
        """Does the warehouse have it (or did it once)?"""
        return self.at_warehouse_at is not None


class OrderLine(models.Model):
    """One line of goods. ``ships`` is False for what is never handed to a warehouse (gift cards).

    ``warehouse_sku`` is the SKU under which the warehouse knows it, where that is another one; ``sku_key`` is the key of
    that one (``carts.line_skus``).
    """

    order = models.ForeignKey(Order, on_delete=models.CASCADE, related_name="lines", db_index=False)
    position = models.PositiveIntegerField(default=0)
    external_id = models.CharField(max_length=120)
    product_id_at_cart = models.CharField(max_length=120, blank=True)
    sku = models.CharField("SKU", max_length=200, blank=True)
    warehouse_sku = models.CharField("SKU at the warehouse", max_length=200, blank=True, editable=False)
    sku_key = models.CharField(max_length=200, blank=True, editable=False)
    name = models.CharField(max_length=500, blank=True)
    quantity = QuantityField()
    shipped = QuantityField(default=Decimal(0))
    unit_price = MoneyField()
    discount = MoneyField()
    tax = MoneyField()
    total = MoneyField()
    note = models.CharField(max_length=500, blank=True)
    ships = models.BooleanField(default=True)

    class Meta:
        ordering = ["position", "pk"]
        constraints = [models.UniqueConstraint(fields=["order", "external_id"], name="order_line_is_unique")]
        # By the beginning, too: PostgreSQL needs its own operators for that, SQLite takes any index.
        indexes = [models.Index(fields=["sku_key"], name="order_line_by_sku", opclasses=["varchar_pattern_ops"])]

    def __str__(self) -> str:
        return f"{self.quantity.normalize():f} x {self.sku or self.name}"

    @property
    def sku_at_warehouse(self) -> str:
        return self.warehouse_sku or self.sku

    @property
    def open_quantity(self) -> Decimal:
        return max(self.quantity - self.shipped, Decimal(0)) if self.ships else Decimal(0)


class OrderPayload(models.Model):
    """The order exactly as the remote sent it, compressed, one row per version seen. Pruned by age."""

    order = models.ForeignKey(Order, on_delete=models.CASCADE, related_name="payloads")
    version = models.BigIntegerField(default=0)
    body = models.BinaryField()
    stored_at = models.DateTimeField(auto_now_add=True, db_index=True)

    class Meta:
        ordering = ["-pk"]

    def __str__(self) -> str:
        return f"Payload of {self.order} at version {self.version}"

    @staticmethod
    def pack(raw: bytes) -> bytes:
        return pack(raw)

    @property
    def text(self) -> str:
        return unpack(self.body).decode("utf-8", "replace")


class OrderEvent(models.Model):
    """One line of an order's history: who, when, what, why."""

    order = models.ForeignKey(Order, on_delete=models.CASCADE, related_name="events")
    at = models.DateTimeField(auto_now_add=True)
    actor = models.CharField(max_length=150, default="hub")
    kind = models.CharField(max_length=40)
    message = models.TextField()

    class Meta:
        ordering = ["at", "pk"]

    def __str__(self) -> str:
        return self.message


class Shipment(models.Model):
    """A parcel or consignment that left the warehouse for one order."""

    order = models.ForeignKey(Order, on_delete=models.CASCADE, related_name="shipments")
    external_id = models.CharField(max_length=120)
    carrier = models.CharField(max_length=120, blank=True)
    method = models.CharField(max_length=120, blank=True)
    tracking_number = models.CharField(max_length=200, blank=True)
    tracking_url = models.URLField(max_length=500, blank=True)
    shipped_at = models.DateTimeField()
    stored_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["shipped_at", "pk"]
        constraints = [models.UniqueConstraint(fields=["order", "external_id"], name="shipment_is_unique")]

    def __str__(self) -> str:
        return f"{self.carrier} {self.tracking_number}".strip() or self.external_id


class ShipmentLine(models.Model):
    shipment = models.ForeignKey(Shipment, on_delete=models.CASCADE, related_name="lines")
    order_line = models.ForeignKey(OrderLine, on_delete=models.CASCADE, related_name="shipment_lines")
    quantity = QuantityField()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["shipment", "order_line"], name="shipment_line_is_unique")]

    def __str__(self) -> str:
        return f"{self.quantity.normalize():f} x {self.order_line.sku}"
