"""Refunds: goods that customers bring back to a shop. Every change of state goes through ``carts.refund_flow``."""

from __future__ import annotations

from django.db import models
from django.db.models import Q

from carts.models.connections import Cart, Location, Warehouse
from carts.models.fields import MoneyField, QuantityField
from carts.models.merchants import Merchant
from carts.models.orders import Order, OrderLine


class Refund(models.Model):
    """One return of one cart, tied to the order whose goods came back. Its history is written into that order's."""

    class Status(models.TextChoices):
        NEW = "new", "New"
        AT_WAREHOUSE = "at_warehouse", "At warehouse"
        RECEIVED = "received", "Received"
        HELD = "held", "Held"
        ERROR = "error", "Error"
        NOT_SENT = "not_sent", "Not sent"
        CANCELLED = "cancelled", "Cancelled"

    merchant = models.ForeignKey(Merchant, on_delete=models.CASCADE, related_name="refunds")
    cart = models.ForeignKey(Cart, on_delete=models.CASCADE, related_name="refunds")
    warehouse = models.ForeignKey(Warehouse, on_delete=models.PROTECT, null=True, blank=True, related_name="refunds")
    location = models.ForeignKey(Location, on_delete=models.PROTECT, null=True, blank=True, related_name="refunds")
    order = models.ForeignKey(Order, on_delete=models.CASCADE, null=True, blank=True, related_name="refunds")
    return_for = models.CharField(
        max_length=120, blank=True, help_text="The cart's id of the order that was returned; empty: it named none."
    )
    external_id = models.CharField(max_length=120)
    number = models.CharField(max_length=120)
    reference = models.CharField(max_length=140, help_text="Unique for ever: how the warehouse knows this return.")
    version = models.BigIntegerField(default=0)
    status = models.CharField(max_length=20, choices=Status.choices, default=Status.NEW)
    problem = models.TextField(blank=True, help_text="Why it is held, in error or not sent, in words.")
    currency = models.CharField(max_length=3, blank=True)
    amount = MoneyField(help_text="What the customer got back, tax included.")
    tax_total = MoneyField()
    payments = models.JSONField(default=list, blank=True)
    reason = models.TextField(blank=True)
    restock = models.BooleanField(
        null=True, blank=True, help_text="May the goods be sold again? Unknown: whoever receives them decides."
    )
    placed_at = models.DateTimeField()
    stored_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)
    released_at = models.DateTimeField(null=True, blank=True, help_text="When a person let it go without its order.")
    at_warehouse_at = models.DateTimeField(null=True, blank=True)
    received_at = models.DateTimeField(null=True, blank=True)
    cancelled_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["-placed_at", "-pk"]
        constraints = [
            models.UniqueConstraint(fields=["cart", "external_id"], name="refund_is_unique_per_cart"),
            models.UniqueConstraint(fields=["merchant", "reference"], name="refund_reference_is_unique"),
        ]
        indexes = [
            models.Index(fields=["merchant", "-placed_at", "-id"], name="refund_list"),
            models.Index(fields=["merchant", "status", "-placed_at", "-id"], name="refund_list_by_status"),
            models.Index(fields=["-placed_at", "-id"], name="refund_list_of_all"),
            models.Index(fields=["cart", "return_for"], condition=Q(order__isnull=True), name="refund_without_order"),
            models.Index(
                fields=["cart", "stored_at"],
                condition=Q(status__in=["new", "held", "error", "at_warehouse"]),
                name="refund_expected",
            ),
        ]

    def __str__(self) -> str:
        return self.number

    @property
    def is_sent(self) -> bool:
        """Does the warehouse have it (or did it once)?"""
        return self.at_warehouse_at is not None


class RefundLine(models.Model):
    """One line of goods that came back. ``ships`` is False for what no warehouse handles (gift cards)."""

    refund = models.ForeignKey(Refund, on_delete=models.CASCADE, related_name="lines")
    order_line = models.ForeignKey(
        OrderLine, on_delete=models.SET_NULL, null=True, blank=True, related_name="refund_lines"
    )
    position = models.PositiveIntegerField(default=0)
    external_id = models.CharField(max_length=120)
    product_id_at_cart = models.CharField(max_length=120, blank=True)
    sku = models.CharField("SKU", max_length=200, blank=True)
    warehouse_sku = models.CharField("SKU at the warehouse", max_length=200, blank=True, editable=False)
    sku_key = models.CharField(max_length=200, blank=True, editable=False)
    name = models.CharField(max_length=500, blank=True)
    quantity = QuantityField()
    amount = MoneyField(help_text="Before tax.")
    tax = MoneyField()
    ships = models.BooleanField(default=True)

    class Meta:
        ordering = ["position", "pk"]
        constraints = [models.UniqueConstraint(fields=["refund", "external_id"], name="refund_line_is_unique")]

    def __str__(self) -> str:
        return f"{self.quantity.normalize():f} x {self.sku or self.name}"

    @property
    def sku_at_warehouse(self) -> str:
        return self.warehouse_sku or self.sku
