"""Stock: what a warehouse has, and what a shop outlet shows."""

from __future__ import annotations

from django.db import models
from django.db.models import Q

from carts.models.catalogue import Product, sku_key
from carts.models.connections import Cart, Location
from carts.models.fields import PlainKeyField, QuantityField


class StockLevel(models.Model):
    """Stock of one SKU at one warehouse location.

    ``available`` is what may be sold: for the built-in warehouse ``on_hand`` less what open orders need. ``read_at`` is
    when the warehouse was asked: orders that reached it later are not in ``available`` yet. ``counted_at`` and
    ``counted_as`` belong to warehouses whose book is kept in the hub: of when the last count is, and which number was
    counted ("": somebody set what may be sold at that moment).
    """

    class Counted(models.TextChoices):
        ON_HAND = "on_hand", "On hand"
        AVAILABLE = "available", "Available"

    location = models.ForeignKey(Location, on_delete=models.CASCADE, related_name="stock_levels", db_index=False)
    sku = models.CharField("SKU", max_length=200)
    sku_key = models.CharField(max_length=200, editable=False)
    plain_key = PlainKeyField(max_length=200, blank=True, editable=False)
    available = QuantityField()
    on_hand = QuantityField(null=True, blank=True)
    read_at = models.DateTimeField()
    changed_at = models.DateTimeField()
    counted_at = models.DateTimeField(null=True, blank=True)
    counted_as = models.CharField(max_length=10, blank=True, default="", choices=Counted.choices)

    class Meta:
        ordering = ["sku"]
        constraints = [models.UniqueConstraint(fields=["location", "sku_key"], name="stock_level_is_unique")]
        indexes = [
            models.Index(fields=["location", "changed_at"], name="stock_level_by_change"),
            models.Index(fields=["location", "plain_key"], name="stock_level_by_plain_sku"),
        ]

    def __str__(self) -> str:
        return f"{self.sku} at {self.location}"

    def save(self, *args: object, **kwargs: object) -> None:
        self.sku_key = sku_key(self.sku)
        super().save(*args, **kwargs)  # type: ignore[arg-type]


class OutletLevel(models.Model):
    """Stock of one product as a cart's outlet shows it: last read level, and what was last written there."""

    cart = models.ForeignKey(Cart, on_delete=models.CASCADE, related_name="outlet_levels", db_index=False)
    product = models.ForeignKey(Product, on_delete=models.CASCADE, related_name="outlet_levels")
    level = QuantityField()
    version = models.BigIntegerField(default=0)
    read_at = models.DateTimeField()
    written = QuantityField(null=True, blank=True)
    written_at = models.DateTimeField(null=True, blank=True)
    in_doubt_since = models.DateTimeField(null=True, blank=True)
    problem = models.CharField(max_length=300, blank=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["cart", "product"], name="outlet_level_is_unique")]
        indexes = [
            models.Index(fields=["cart"], condition=Q(in_doubt_since__isnull=False), name="outlet_level_in_doubt"),
        ]

    def __str__(self) -> str:
        return f"{self.product.sku} at {self.cart}"
